/* Milter: a mail filter of the kind that sendmail began with (protocol 6) follows the session and
 * has its say at each step. One conversation with it for each connection; when it fails, the next
 * transaction begins another one.
 */
#include "engine/policy/scanner.h"
#include "proto/milter.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* How far the filter knows of the session. */
enum stage { STRANGER, CONNECTED, GREETED };

/* Of a connection. */
struct memory {
    uint32_t talk; /* + 1; 0: there is none */
    uint8_t stage;
    bool is_asking;   /* its answer has not come; when it is asked again, it came too late */
    bool is_accepted; /* it wants to hear no more of this connection */
    bool has_mail;    /* it has heard MAIL, and no end of the message */
};

/* Of a transaction. */
enum fate { FATE_OPEN, FATE_ACCEPTED, FATE_DISCARDED, FATE_FAILED };
struct scratch {
    uint8_t fate;
};

enum { ADDRESS_MAX = 1100, SENDER_ARGUMENTS = 3 };

/* ---- what is told ---- */

static struct mx_span text_of(char *buffer, size_t cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static struct mx_span text_of(char *buffer, size_t cap, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(buffer, cap, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < cap);
    return (struct mx_span){buffer, (size_t)len};
}

static struct mx_span in_brackets(char buffer[ADDRESS_MAX], struct mx_span address) {
    int len = (int)(address.len < ADDRESS_MAX - 3 ? address.len : ADDRESS_MAX - 3);
    return text_of(buffer, ADDRESS_MAX, "<%.*s>", len, address.len > 0 ? address.ptr : "");
}

static void put_connect(const struct mx_hook_call *call, struct mx_milter_out *out) {
    const struct mx_session *session = call->session;
    char ip[MX_IP_TEXT_MAX], host[MX_IP_TEXT_MAX + 3];
    struct mx_span address = {ip, mx_ip_text(&session->peer, ip)};
    struct mx_span name = text_of(host, sizeof host, "[%.*s]", (int)address.len, ip);
    const struct mx_milter_macro macros[] = {
        {"j",             session->conf->hello_name     },
        {"v",             MX_SPAN("mxring " MX_VERSION) },
        {"{daemon_name}", mx_span_of(call->server->name)},
        {"{client_addr}", address                       },
        {"{client_name}", name                          },
        {"{client_ptr}",  name                          },
        {"_",             name                          },
    };
    mx_milter_put_macros(out, MX_MILTER_CONNECT, macros, sizeof macros / sizeof *macros);
    mx_milter_put_connect(out, name, &session->peer, 0);
}

static void put_helo(const struct mx_hook_call *call, struct mx_milter_out *out) {
    const struct mx_session *session = call->session;
    const struct mx_span name = {session->helo_name, session->helo_len};
    const struct mx_session_tls *tls = session->is_tls ? session->tls : NULL;
    if (tls != NULL) {
        const struct mx_milter_macro macros[] = {
            {"{tls_version}",  tls->version       },
            {"{cipher}",       tls->cipher        },
            {"{cert_subject}", tls->client_subject},
        };
        mx_milter_put_macros(out, MX_MILTER_HELO, macros, sizeof macros / sizeof *macros);
    }
    mx_milter_put_texts(out, MX_MILTER_HELO, &name, 1);
}

/* The number that our Received field has, and which of its messages it is. */
static struct mx_span queue_id(const struct mx_hook_call *call, char buffer[32], bool is_begun) {
    const struct mx_session *session = call->session;
    return text_of(buffer, 32, "%08x.%x", session->id, session->transaction_count + !is_begun);
}

static void put_mail(const struct mx_hook_call *call, struct mx_milter_out *out) {
    static const struct mx_span bodies[] = {[MX_BODY_7BIT] = MX_SPAN("BODY=7BIT"),
                                            [MX_BODY_8BITMIME] = MX_SPAN("BODY=8BITMIME"),
                                            [MX_BODY_BINARYMIME] = MX_SPAN("BODY=BINARYMIME")};
    const struct mx_session *session = call->session;
    const struct mx_envelope *envelope = &session->envelope;
    char address[ADDRESS_MAX], size[32], id[32];
    struct mx_span arguments[SENDER_ARGUMENTS];
    size_t count = 0;
    struct mx_span sender = mx_envelope_sender(envelope);
    const struct mx_span nobody = {NULL, 0};
    bool has_login = session->is_authenticated;
    const struct mx_milter_macro macros[] = {
        {"i",                                                 queue_id(call, id, false)},
        {"{mail_addr}",                                             sender                                                         },
        {"{auth_authen}", has_login ? mx_login_name(session->login) : nobody},
        {"{auth_type}",
         has_login ? mx_sasl_name((enum mx_sasl_mechanism)session->login->mechanism) : nobody                                                         },
    };
    mx_milter_put_macros(out, MX_MILTER_MAIL, macros, sizeof macros / sizeof *macros);
    arguments[count++] = in_brackets(address, sender);
    if (envelope->declared_size > 0)
        arguments[count++] =
            text_of(size, sizeof size, "SIZE=%llu", (unsigned long long)envelope->declared_size);
    if (envelope->body_type != MX_BODY_NONE)
        arguments[count++] = bodies[envelope->body_type];
    mx_milter_put_texts(out, MX_MILTER_MAIL, arguments, count);
}

static void put_rcpt(const struct mx_hook_call *call, struct mx_milter_out *out) {
    char address[ADDRESS_MAX];
    const struct mx_milter_macro macros[] = {
        {"{rcpt_addr}", call->rcpt}
    };
    mx_milter_put_macros(out, MX_MILTER_RCPT, macros, 1);
    struct mx_span argument = in_brackets(address, call->rcpt);
    mx_milter_put_texts(out, MX_MILTER_RCPT, &argument, 1);
}

static void put_data(const struct mx_hook_call *call, struct mx_milter_out *out,
                     enum mx_milter_command command) {
    char id[32];
    const struct mx_milter_macro macros[] = {
        {"i", queue_id(call, id, true)}
    };
    mx_milter_put_macros(out, command, macros, 1);
    if (command == MX_MILTER_DATA)
        mx_milter_put(out, command);
}

/* All that the filter has to hear at this point, from where it stands. */
static void put_request(const struct mx_hook_call *call, const struct memory *memory,
                        enum mx_hook_point point, struct mx_milter_out *out) {
    if (memory->has_mail && (point == MX_HOOK_MAIL || point == MX_HOOK_HELO))
        mx_milter_put(out, MX_MILTER_ABORT);
    if (memory->stage == STRANGER)
        put_connect(call, out);
    bool greets = point == MX_HOOK_MAIL && memory->stage != GREETED && call->session->helo_len > 0;
    if (point == MX_HOOK_HELO || greets)
        put_helo(call, out);
    if (point == MX_HOOK_MAIL)
        put_mail(call, out);
    else if (point == MX_HOOK_RCPT)
        put_rcpt(call, out);
    else if (point == MX_HOOK_DATA)
        put_data(call, out, MX_MILTER_DATA);
    else if (point == MX_HOOK_MESSAGE)
        put_data(call, out, MX_MILTER_END_OF_MESSAGE);
}

/* ---- asking ---- */

/* Before MAIL nothing is lost: the next command begins another conversation. */
static enum mx_verdict fail(struct mx_hook_call *call) {
    struct memory *memory = call->memory;
    struct scratch *scratch = call->scratch;
    memory->stage = STRANGER;
    memory->has_mail = false;
    if (scratch == NULL)
        return MX_VERDICT_DECLINED;
    scratch->fate = FATE_FAILED;
    return mx_hook_fail(call);
}

static bool fill(struct mx_hook_call *call, enum mx_hook_point point, struct mx_scanner_job *job) {
    const struct mx_opt_milter *options = call->options;
    const struct memory *memory = call->memory;
    struct mx_scan_question *question = &job->question;
    struct mx_milter_out out = {.ptr = job->room, .cap = job->request_cap};
    put_request(call, memory, point, &out);
    question->kind = MX_SCAN_MILTER;
    question->talk = memory->talk - 1;
    question->is_fresh = memory->stage == STRANGER;
    question->offers_quarantine = options->quarantine != MX_MILTER_QUARANTINE_NO;
    question->max_connections = options->scan.max_connections;
    question->request_octets = out.len;
    int err = mx_endpoint_parse(mx_span_of(options->address), &question->endpoint);
    assert(err == 0); /* the configuration was checked */
    if (point == MX_HOOK_MESSAGE) {
        mx_hook_lend_text(call, &job->job);
        question->text = job->job.text;
        question->hides_received = call->session->conf->needs_trace;
    }
    return !out.is_full;
}

static enum mx_verdict ask(struct mx_hook_call *call, enum mx_hook_point point) {
    struct memory *memory = call->memory;
    size_t octets = point == MX_HOOK_MESSAGE ? MX_SCANNER_LARGE : MX_SCANNER_SMALL;
    if (memory->talk == 0)
        memory->talk = mx_scanner_take(call) + 1; /* MX_SCAN_NONE + 1 is 0 */
    if (memory->talk == 0)
        return fail(call);
    struct mx_scanner_job *job = mx_scanner_new(call, octets, MX_SCANNER_REQUEST);
    if (job == NULL)
        return fail(call);
    if (!fill(call, point, job)) {
        mx_hook_job_free(call, &job->job);
        return fail(call);
    }
    memory->is_asking = true;
    mx_scanner_ask(call, job);
    return MX_VERDICT_PENDING;
}

/* ---- its word ---- */

static enum mx_verdict let_go(struct mx_hook_call *call, enum mx_hook_point point) {
    struct memory *memory = call->memory;
    struct scratch *scratch = call->scratch;
    if (point == MX_HOOK_CONNECT || point == MX_HOOK_HELO)
        memory->is_accepted = true;
    else if (scratch != NULL)
        scratch->fate = FATE_ACCEPTED;
    return MX_VERDICT_DECLINED;
}

static enum mx_verdict discard(struct mx_hook_call *call, enum mx_hook_point point) {
    struct scratch *scratch = call->scratch;
    if (scratch == NULL) /* of a connection: nothing is lost yet that could be */
        return let_go(call, point);
    scratch->fate = FATE_DISCARDED;
    return point == MX_HOOK_MESSAGE ? mx_hook_discard(call) : MX_VERDICT_DECLINED;
}

/* The message is good, or is to be kept apart, which is not done here. */
static enum mx_verdict admit(struct mx_hook_call *call, const struct mx_scan_question *answer) {
    const struct mx_opt_milter *options = call->options;
    if (!answer->is_quarantined)
        return mx_scanner_admit(call, 0, &answer->changes);
    return options->quarantine == MX_MILTER_QUARANTINE_REJECT
               ? mx_hook_refuse(call, MX_VERDICT_HARD, "550 5.7.1 Message quarantined")
               : mx_hook_refuse(call, MX_VERDICT_SOFT, "451 4.7.1 Message quarantined");
}

/* What the filter knows now. */
static void note_progress(struct memory *memory, enum mx_hook_point point,
                          const struct mx_session *session) {
    if (memory->stage == STRANGER)
        memory->stage = CONNECTED;
    if (point == MX_HOOK_HELO || (point == MX_HOOK_MAIL && session->helo_len > 0))
        memory->stage = GREETED;
    if (point == MX_HOOK_MAIL)
        memory->has_mail = true;
    if (point == MX_HOOK_HELO || point == MX_HOOK_MESSAGE)
        memory->has_mail = false;
}

static enum mx_verdict decide(struct mx_hook_call *call, enum mx_hook_point point,
                              const struct mx_scan_question *answer) {
    struct memory *memory = call->memory;
    memory->is_asking = false;
    if (answer->error < 0)
        return fail(call);
    note_progress(memory, point, call->session);
    switch ((enum mx_scan_verdict)answer->verdict) {
    case MX_SCAN_CONTINUE:
        return point == MX_HOOK_MESSAGE ? admit(call, answer) : MX_VERDICT_DECLINED;
    case MX_SCAN_ACCEPT:
        if (point == MX_HOOK_MESSAGE)
            return admit(call, answer);
        return let_go(call, point);
    case MX_SCAN_DISCARD:
        return discard(call, point);
    case MX_SCAN_REJECT:
        if (point == MX_HOOK_CONNECT)
            return mx_scanner_refuse(call, MX_VERDICT_DROP, answer, "554 5.7.1 Access denied");
        return mx_scanner_refuse(call, MX_VERDICT_HARD, answer, "550 5.7.1 Command rejected");
    case MX_SCAN_TEMPFAIL:
        if (point == MX_HOOK_CONNECT)
            return mx_scanner_refuse(call, MX_VERDICT_DROP, answer,
                                     "421 4.7.1 Service unavailable - try again later");
        return mx_scanner_refuse(call, MX_VERDICT_SOFT, answer,
                                 "451 4.7.1 Service unavailable - try again later");
    case MX_SCAN_SHUTDOWN:
        return mx_scanner_refuse(call, MX_VERDICT_DROP, answer, "421 4.7.0 Closing connection");
    case MX_SCAN_GREYLIST:
    case MX_SCAN_ADD_HEADER:
    case MX_SCAN_REWRITE_SUBJECT:
        break; /* nothing that a milter says */
    }
    assert(false);
    return MX_VERDICT_DECLINED;
}

/* ---- points ---- */

/* What was said before settles it. False: it does not. */
static bool is_settled(struct mx_hook_call *call, enum mx_hook_point point,
                       enum mx_verdict *verdict) {
    struct memory *memory = call->memory;
    const struct scratch *scratch = call->scratch;
    enum fate fate = scratch != NULL ? (enum fate)scratch->fate : FATE_OPEN;
    bool can_begin = point == MX_HOOK_CONNECT || point == MX_HOOK_HELO || point == MX_HOOK_MAIL;
    *verdict = MX_VERDICT_DECLINED;
    if (memory->is_accepted || fate == FATE_ACCEPTED)
        return true;
    if (fate == FATE_DISCARDED) {
        if (point == MX_HOOK_MESSAGE)
            *verdict = mx_hook_discard(call);
        return true;
    }
    if (memory->is_asking) { /* the deadline was over before it answered */
        memory->is_asking = memory->has_mail = false;
        memory->stage = STRANGER;
    }
    if (fate == FATE_FAILED || (memory->stage == STRANGER && !can_begin)) {
        *verdict = fail(call);
        return true;
    }
    return point == MX_HOOK_MESSAGE && !mx_scanner_sees(call, verdict);
}

static enum mx_verdict on_point(struct mx_hook_call *call, enum mx_hook_point point) {
    enum mx_verdict verdict;
    const struct mx_scan_question *answer = mx_scanner_answer(call);
    if (answer != NULL)
        return decide(call, point, answer);
    return is_settled(call, point, &verdict) ? verdict : ask(call, point);
}

static enum mx_verdict on_connect(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_CONNECT);
}

static enum mx_verdict on_helo(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_HELO);
}

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_MAIL);
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_RCPT);
}

static enum mx_verdict on_data(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_DATA);
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    return on_point(call, MX_HOOK_MESSAGE);
}

static enum mx_verdict on_disconnect(struct mx_hook_call *call) {
    struct memory *memory = call->memory;
    if (memory->talk != 0)
        mx_scanner_leave(call, memory->talk - 1);
    memory->talk = 0;
    return MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_milter = {
    .summary =
        "A mail filter (milter protocol 6, as rspamd, OpenDKIM and ClamAV speak it) hears of "
        "the session step by step, may refuse at each, and may add, insert, change and "
        "remove header fields. It is not offered to change the sender, the recipients or "
        "the body, nor (unless `quarantine` says what becomes of it) to quarantine; one that does "
        "so all the same has failed",
    .points = {[MX_HOOK_CONNECT] = on_connect,
               [MX_HOOK_HELO] = on_helo,
               [MX_HOOK_MAIL] = on_mail,
               [MX_HOOK_RCPT] = on_rcpt,
               [MX_HOOK_DATA] = on_data,
               [MX_HOOK_MESSAGE] = on_message,
               [MX_HOOK_DISCONNECT] = on_disconnect                  },
    .memory_octets = sizeof(struct memory),
    .scratch_octets = sizeof(struct scratch),
    .text_octets = mx_scanner_text_octets,
    .waits = true,
    .replies = { {"it refuses the client, and the connection is closed", "554 5.7.1 Access denied"},
               {"... for now", "421 4.7.1 Service unavailable - try again later"},
               {"it rejects without words", "550 5.7.1 Command rejected"},
               {"... for now", "451 4.7.1 Service unavailable - try again later"},
               {"it wants the connection closed", "421 4.7.0 Closing connection"},
               {"quarantine: tempfail", "451 4.7.1 Message quarantined"},
               {"quarantine: reject", "550 5.7.1 Message quarantined"},
               {"onOversize: tempfail", "451 4.3.4 Message too large to be checked"},
               {"onOversize: reject", "552 5.3.4 Message too large to be checked"},
               {"the header has no room for its changes",
                 "552 5.3.4 Header size exceeds maximum header size"}},
    .differences = "it has no such hook. What a filter discards is answered 250 and thrown away. "
                   "Unknown commands and refused recipients are not told",
};
