/* Rspamd: its normal worker is shown the whole message (POST /checkv2), and names an action. */
#include "engine/policy/scanner.h"
#include "proto/decimal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { JOB_OCTETS = 65536, REQUEST_OCTETS = 24576 };

/* ---- the request: HTTP/1.0, so that nobody answers in chunks ---- */

struct request {
    char *ptr;
    uint32_t len, cap;
};

static void put(struct request *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct request *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(self->ptr + self->len, self->cap - self->len, format, args);
    va_end(args);
    if (len > 0 && (uint32_t)len < self->cap - self->len)
        self->len += (uint32_t)len; /* else it is left out */
}

/* A field; what has no place in one becomes '?'. */
static void put_field(struct request *self, const char *name, struct mx_span value) {
    uint32_t before = self->len;
    if (value.len == 0)
        return;
    put(self, "%s: %.*s\r\n", name, (int)value.len, value.ptr);
    for (uint32_t i = before; i + 2 < self->len; i++) {
        unsigned char c = (unsigned char)self->ptr[i];
        if (c < 0x20 || c == 0x7f)
            self->ptr[i] = '?';
    }
}

static void put_request(const struct mx_hook_call *call, struct request *self) {
    const struct mx_session *session = call->session;
    const struct mx_envelope *envelope = &session->envelope;
    const struct mx_span end = MX_SPAN("\r\n");
    char ip[MX_IP_TEXT_MAX], id[32];
    struct mx_span sender = mx_envelope_sender(envelope);
    put(self, "POST /checkv2 HTTP/1.0\r\nHost: rspamd\r\nContent-Length: %llu\r\n",
        (unsigned long long)call->text->octets);
    if (session->peer.family != 0)
        put_field(self, "IP", (struct mx_span){ip, mx_ip_text(&session->peer, ip)});
    put_field(self, "Helo", (struct mx_span){session->helo_name, session->helo_len});
    put_field(self, "From", sender.len > 0 ? sender : MX_SPAN("<>"));
    if (session->is_authenticated)
        put_field(self, "User", mx_login_name(session->login));
    if (session->is_tls && session->tls != NULL) {
        put_field(self, "TLS-Version", session->tls->version);
        put_field(self, "TLS-Cipher", session->tls->cipher);
    }
    put_field(self, "MTA-Name", session->conf->hello_name);
    int len = snprintf(id, sizeof id, "%08x.%x", session->id, session->transaction_count);
    put_field(self, "Queue-Id", (struct mx_span){id, (size_t)len});
    self->cap -= (uint32_t)end.len; /* of many recipients the first ones, as they fit */
    uint32_t at = envelope->rcpts_at;
    for (struct mx_rcpt rcpt; mx_envelope_rcpt_next(envelope, &at, &rcpt);)
        put_field(self, "Rcpt", rcpt.address);
    memcpy(self->ptr + self->len, end.ptr, end.len);
    self->len += (uint32_t)end.len;
}

static enum mx_verdict ask(struct mx_hook_call *call) {
    const struct mx_opt_rspamd *options = call->options;
    enum mx_verdict verdict;
    if (!mx_scanner_sees(call, &verdict))
        return verdict;
    struct mx_scanner_job *job = mx_scanner_new(call, JOB_OCTETS, REQUEST_OCTETS);
    if (job == NULL)
        return mx_hook_fail(call);
    struct request request = {.ptr = job->room, .cap = job->request_cap};
    put_request(call, &request);
    job->question.kind = MX_SCAN_RSPAMD;
    job->question.request_octets = request.len;
    int err = mx_endpoint_parse(mx_span_of(options->address), &job->question.endpoint);
    assert(err == 0); /* the configuration was checked */
    return mx_scanner_show(call, job);
}

/* ---- the answer ---- */

static const struct {
    const char *name, *words;
    enum mx_verdict verdict;
} actions[] = {
    [MX_SCAN_CONTINUE] = {"no action",       NULL,                              MX_VERDICT_DECLINED},
    [MX_SCAN_REJECT] = {"reject",          "554 5.7.1 Spam message rejected", MX_VERDICT_HARD    },
    [MX_SCAN_TEMPFAIL] = {"soft reject",     "451 4.7.1 Try again later",       MX_VERDICT_SOFT    },
    [MX_SCAN_DISCARD] = {"discard",         NULL,                              MX_VERDICT_DECLINED},
    [MX_SCAN_GREYLIST] = {"greylist",        NULL,                              MX_VERDICT_DECLINED},
    [MX_SCAN_ADD_HEADER] = {"add header",      NULL,                              MX_VERDICT_DECLINED},
    [MX_SCAN_REWRITE_SUBJECT] = {"rewrite subject", NULL,                              MX_VERDICT_DECLINED},
};

static int note(struct mx_hook_call *call, const struct mx_scan_question *answer) {
    char score[MX_DECIMAL_TEXT_MAX], required[MX_DECIMAL_TEXT_MAX], text[64];
    mx_decimal_text(answer->score, score);
    mx_decimal_text(answer->required, required);
    int len = snprintf(text, sizeof text, "%s, score=%s required=%s", actions[answer->verdict].name,
                       score, required);
    return mx_hook_note(call, MX_SPAN("rspamd.action"), (struct mx_span){text, (size_t)len});
}

static enum mx_verdict decide(struct mx_hook_call *call, const struct mx_scan_question *answer) {
    const struct mx_opt_rspamd *options = call->options;
    if (answer->error < 0)
        return mx_hook_fail(call);
    assert(answer->verdict < sizeof actions / sizeof *actions &&
           actions[answer->verdict].name != NULL);
    if (actions[answer->verdict].words != NULL)
        return mx_scanner_refuse(call, actions[answer->verdict].verdict, answer,
                                 actions[answer->verdict].words);
    if (answer->verdict == MX_SCAN_GREYLIST && options->tempfails_greylist)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "451 4.7.1 Try again later");
    if (answer->verdict == MX_SCAN_DISCARD)
        return mx_hook_discard(call);
    return mx_scanner_admit(call, note(call, answer), &answer->changes);
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    const struct mx_scan_question *answer = mx_scanner_answer(call);
    return answer != NULL ? decide(call, answer) : ask(call);
}

const struct mx_hook_class mx_hook_rspamd = {
    .summary = "rspamd is shown the whole message by HTTP and names an action: reject, soft "
               "reject, add header (`X-Spam: Yes`), rewrite subject, greylist, discard, or none; "
               "header fields that its milter_headers and dkim_signing want are added and removed. "
               "The action is noted as rspamd.action",
    .points = {[MX_HOOK_MESSAGE] = on_message                        },
    .text_octets = mx_scanner_text_octets,
    .waits = true,
    .replies = { {"reject, without words of rspamd's", "554 5.7.1 Spam message rejected"},
               {"soft reject, likewise; greylist with greylist: tempfail",
                 "451 4.7.1 Try again later"},
               {"onOversize: tempfail", "451 4.3.4 Message too large to be checked"},
               {"onOversize: reject", "552 5.3.4 Message too large to be checked"},
               {"the header has no room for its fields",
                 "552 5.3.4 Header size exceeds maximum header size"}},
    .differences = "it has no such hook. An action that rspamd does not know by itself, and "
                   "quarantine, is a failure",
};
