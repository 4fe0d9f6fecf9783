/* SPFHandler: may this client send mail for the sender's domain? RFC 7208. */
#include "engine/policy/lookup.h"
#include "engine/policy/relay.h"
#include "proto/spf.h"

#include <stdio.h>

enum { JOB_OCTETS = 8192, SHOWN_MAX = 200 /* octets of an address in a text */ };

struct spf_job {
    struct mx_lookup lookup;
    struct mx_spf spf;
    char room[];
};
_Static_assert(sizeof(struct spf_job) + 1536 <= JOB_OCTETS, "room for a record");

static struct mx_spf_client client_of(const struct mx_hook_call *call) {
    const struct mx_session *session = call->session;
    return (struct mx_spf_client){
        .ip = session->peer,
        .helo = {session->helo_name, session->helo_len},
        .sender = mx_envelope_sender(&session->envelope),
        .receiver = mx_span_of(call->server->hello_name),
        .now_s = session->shared->now_s
    };
}

static int shown(struct mx_span text) {
    return (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

/* RFC 7208 9.1, for what comes behind us. */
static int note(struct mx_hook_call *call, const struct mx_spf *spf) {
    char text[900], ip[MX_IP_TEXT_MAX];
    struct mx_span sender = spf->client.sender, helo = spf->client.helo;
    struct mx_span receiver = spf->client.receiver;
    size_t ip_len = mx_ip_text(&spf->client.ip, ip);
    int len =
        snprintf(text, sizeof text,
                 "Received-SPF: %s client-ip=%.*s; envelope-from=\"%.*s\"; helo=%.*s; "
                 "receiver=%.*s; identity=mailfrom",
                 mx_spf_result_name((enum mx_spf_result)spf->result), (int)ip_len, ip,
                 shown(sender), sender.ptr, shown(helo), helo.ptr, shown(receiver), receiver.ptr);
    return len < 0 ? 0
                   : mx_hook_note(call, MX_SPAN("org.apache.james.spf.header"),
                                  (struct mx_span){text, (size_t)len});
}

static enum mx_verdict admit(struct mx_hook_call *call, const struct mx_spf *spf) {
    if (note(call, spf) < 0)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
    return MX_VERDICT_DECLINED;
}

static enum mx_verdict refuse(struct mx_hook_call *call, const struct mx_spf *spf) {
    char ip[MX_IP_TEXT_MAX];
    struct mx_span domain = mx_spf_domain(&spf->client);
    size_t ip_len = mx_ip_text(&spf->client.ip, ip);
    if (spf->explanation_len > 0)
        return mx_hook_refuse(call, MX_VERDICT_HARD, "554 5.7.1 %.*s", (int)spf->explanation_len,
                              spf->explanation);
    if (spf->result == MX_SPF_PERMERROR)
        return mx_hook_refuse(call, MX_VERDICT_HARD,
                              "554 5.7.1 The SPF record of %.*s is not valid", shown(domain),
                              domain.ptr);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "554 5.7.1 %.*s may not send mail for %.*s, says its SPF record",
                          (int)ip_len, ip, shown(domain), domain.ptr);
}

static enum mx_verdict fail(struct mx_hook_call *call) {
    if (call->wait->on_failure == MX_ON_FAILURE_TEMPFAIL)
        return mx_hook_refuse(call, MX_VERDICT_SOFT,
                              "451 4.4.3 Temporarily rejected: Problem on SPF lookup");
    return mx_hook_fail(call);
}

static enum mx_verdict decide(struct mx_hook_call *call, const struct mx_spf *spf) {
    const struct mx_opt_spf *options = call->options;
    bool is_blocked = false;
    switch ((enum mx_spf_result)spf->result) {
    case MX_SPF_FAIL:
        is_blocked = true;
        break;
    case MX_SPF_SOFTFAIL:
        is_blocked = options->blocks_soft_fail;
        break;
    case MX_SPF_PERMERROR:
        is_blocked = options->blocks_perm_error;
        break;
    case MX_SPF_TEMPERROR:
        return fail(call);
    case MX_SPF_NONE:
    case MX_SPF_NEUTRAL:
    case MX_SPF_PASS:
    case MX_SPF_RESULT_COUNT:
        break;
    }
    return is_blocked ? refuse(call, spf) : admit(call, spf);
}

/* PENDING: the job is away. */
static enum mx_verdict ask(struct mx_hook_call *call, struct spf_job *job) {
    struct mx_dns_question *question = &job->lookup.question;
    const struct mx_spf *spf = &job->spf;
    question->type = spf->ask_type;
    question->prefix = spf->ask_prefix;
    question->room = job->room;
    question->room_octets = JOB_OCTETS - sizeof *job;
    bool is_set = mx_dns_set_name(question, (struct mx_span){spf->ask_name, spf->ask_len});
    if (is_set && mx_lookup_ask(call, &job->lookup) == 0)
        return MX_VERDICT_PENDING;
    return fail(call);
}

static enum mx_verdict step_done(struct mx_hook_call *call, struct spf_job *job,
                                 enum mx_spf_step step) {
    return step == MX_SPF_ASK ? ask(call, job) : decide(call, &job->spf);
}

static enum mx_verdict begin(struct mx_hook_call *call) {
    struct mx_spf_client client = client_of(call);
    struct spf_job *job = mx_lookup_new(call, JOB_OCTETS);
    if (job == NULL)
        return fail(call);
    enum mx_verdict verdict = step_done(call, job, mx_spf_begin(&job->spf, &client));
    if (verdict != MX_VERDICT_PENDING)
        mx_hook_job_free(call, &job->lookup.job);
    return verdict;
}

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    const struct mx_session *session = call->session;
    struct spf_job *job = (struct spf_job *)call->answer;
    if (job != NULL) {
        job->spf.client = client_of(call); /* where it lies now */
        return step_done(call, job, mx_spf_answer(&job->spf, &job->lookup.question.answer));
    }
    bool is_subject = session->helo_len > 0 && session->peer.family != 0 &&
                      mx_envelope_sender(&session->envelope).len > 0 &&
                      !mx_relay_is_allowed(session);
    return is_subject ? begin(call) : MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_spf = {
    .summary = "The sender's domain must not forbid this client (RFC 7208); not asked of those who "
               "may relay, nor of `<>`. The result is noted as org.apache.james.spf.header",
    .points = {[MX_HOOK_MAIL] = on_mail                                  },
    .waits = true,
    .replies = { {"fail, or softfail with blockSoftFail", "554 5.7.1 EXPLANATION"},
               {"... without an explanation of the domain",
                 "554 5.7.1 IP may not send mail for DOMAIN, says its SPF record"},
               {"permerror with blockPermError",
                 "554 5.7.1 The SPF record of DOMAIN is not valid"},
               {"temperror, with onFailure: tempfail",
                 "451 4.4.3 Temporarily rejected: Problem on SPF lookup"}},
    .differences = "It works: James's says `false` instead of the text, and breaks the connection "
                   "when the message ends.",
};
