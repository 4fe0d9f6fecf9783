/* SpamAssassinHandler: spamd is shown the whole message, and counts hits. */
#include "engine/policy/scanner.h"
#include "proto/decimal.h"

#include <assert.h>
#include <stdio.h>

enum { JOB_OCTETS = 2048, REQUEST_OCTETS = 256 };

static enum mx_verdict ask(struct mx_hook_call *call) {
    const struct mx_opt_spamd *options = call->options;
    enum mx_verdict verdict;
    if (!mx_scanner_sees(call, &verdict))
        return verdict;
    struct mx_scanner_job *job = mx_scanner_new(call, JOB_OCTETS, REQUEST_OCTETS);
    if (job == NULL)
        return mx_hook_fail(call);
    int len =
        snprintf(job->room, job->request_cap, "CHECK SPAMC/1.2\r\nContent-length: %llu\r\n\r\n",
                 (unsigned long long)call->text->octets);
    assert(len > 0 && (uint32_t)len < job->request_cap);
    job->question.kind = MX_SCAN_SPAMD;
    job->question.request_octets = (uint32_t)len;
    int err =
        mx_endpoint_parse_host(mx_span_of(options->host), options->port, &job->question.endpoint);
    assert(err == 0); /* the configuration was checked */
    return mx_scanner_show(call, job);
}

static int note(struct mx_hook_call *call, struct mx_span flag, struct mx_span status) {
    int err = mx_hook_note(call, MX_SPAN("org.apache.james.spamassassin.flag"), flag);
    return err == 0 ? mx_hook_note(call, MX_SPAN("org.apache.james.spamassassin.status"), status)
                    : err;
}

static enum mx_verdict decide(struct mx_hook_call *call, struct mx_scan_question *answer) {
    const struct mx_opt_spamd *options = call->options;
    char score[MX_DECIMAL_TEXT_MAX], required[MX_DECIMAL_TEXT_MAX], text[64];
    int32_t most = 0;
    if (answer->error < 0)
        return mx_hook_fail(call);
    int err = mx_decimal_parse(mx_span_of(options->rejection_hits), &most);
    assert(err == 0); /* the configuration was checked */
    if (most > 0 && answer->score >= most)
        return mx_hook_refuse(call, MX_VERDICT_HARD,
                              "554 5.7.0 This message reach the spam hits treshold. Please contact "
                              "the Postmaster if the email is not SPAM. Message rejected");
    mx_decimal_text(answer->score, score);
    mx_decimal_text(answer->required, required);
    struct mx_span flag = answer->is_spam ? MX_SPAN("YES") : MX_SPAN("NO");
    int len = snprintf(text, sizeof text, "%s, hits=%s required=%s", answer->is_spam ? "Yes" : "No",
                       score, required);
    struct mx_span status = {text, (size_t)len};
    if (options->adds_headers) {
        int put = mx_changes_put(&answer->changes, MX_CHANGE_SET, 0, MX_SPAN("X-Spam-Flag"), flag);
        if (put == 0)
            put = mx_changes_put(&answer->changes, MX_CHANGE_SET, 0, MX_SPAN("X-Spam-Status"),
                                 status);
        assert(put == 0); /* the job has room for them */
    }
    return mx_scanner_admit(call, note(call, flag, status), &answer->changes);
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    struct mx_scan_question *answer = mx_scanner_answer(call);
    return answer != NULL ? decide(call, answer) : ask(call);
}

const struct mx_hook_class mx_hook_spamd = {
    .summary = "SpamAssassin's spamd is shown the whole message and counts hits. They are noted as "
               "org.apache.james.spamassassin.status (`Yes, hits=15.0 required=5.0`) and "
               "org.apache.james.spamassassin.flag (YES or NO), and in the message",
    .points = {[MX_HOOK_MESSAGE] = on_message                                                 },
    .text_octets = mx_scanner_text_octets,
    .waits = true,
    .replies = { {"spamdRejectionHits are reached",
                 "554 5.7.0 This message reach the spam hits treshold. Please contact the "
                 "Postmaster if the email is not SPAM. Message rejected"},
               {"onOversize: tempfail", "451 4.3.4 Message too large to be checked"},
               {"onOversize: reject", "552 5.3.4 Message too large to be checked"},
               {"the header has no room", "552 5.3.4 Header size exceeds maximum header size"}},
    .differences =
        "timeout, onFailure, maxConnections, maxScanSize and headers are ours. spamdHost "
        "must be a numeric address, localhost or a path",
};
