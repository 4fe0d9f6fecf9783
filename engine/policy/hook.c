#include "engine/policy/hook.h"

#include "engine/limits.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define CLASS_OF(kind, name, class) [MX_HOOK_KIND_##kind] = &mx_hook_##name,
const struct mx_hook_class *const mx_hook_classes[MX_HOOK_KIND_COUNT] = {MX_HOOK_LIST(CLASS_OF)};
#undef CLASS_OF

const char *mx_hook_point_name(enum mx_hook_point point) {
    static const char *const names[MX_HOOK_POINT_COUNT] = {
        [MX_HOOK_CONNECT] = "connect", [MX_HOOK_HELO] = "helo",
        [MX_HOOK_MAIL] = "mail",       [MX_HOOK_RCPT] = "rcpt",
        [MX_HOOK_DATA] = "data",       [MX_HOOK_HEADER] = "header",
        [MX_HOOK_CONTENT] = "content", [MX_HOOK_MESSAGE] = "message",
        [MX_HOOK_UNKNOWN] = "unknown", [MX_HOOK_DISCONNECT] = "disconnect",
    };
    return names[point];
}

const char *mx_hook_verdict_name(enum mx_verdict verdict) {
    static const char *const names[MX_VERDICT_COUNT] = {
        [MX_VERDICT_DECLINED] = "declined", [MX_VERDICT_OK] = "ok",
        [MX_VERDICT_SOFT] = "soft",         [MX_VERDICT_HARD] = "hard",
        [MX_VERDICT_DROP] = "drop",         [MX_VERDICT_PENDING] = "pending",
    };
    return names[verdict];
}

/* ---- verdicts ---- */

enum mx_verdict mx_hook_refuse(struct mx_hook_call *call, enum mx_verdict verdict,
                               const char *format, ...) {
    struct mx_session_shared *shared = call->session->shared;
    const size_t room = sizeof shared->refusal_text - 2;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(shared->refusal_text, room, format, args);
    va_end(args);
    size_t cut = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    shared->refusal.text = (struct mx_span){shared->refusal_text, cut};
    assert(verdict == MX_VERDICT_SOFT || verdict == MX_VERDICT_HARD || verdict == MX_VERDICT_DROP);
    return verdict;
}

enum mx_verdict mx_hook_fail(struct mx_hook_call *call) {
    assert(call->wait != NULL);
    switch (call->wait->on_failure) {
    case MX_ON_FAILURE_ACCEPT:
        return MX_VERDICT_DECLINED;
    case MX_ON_FAILURE_TEMPFAIL:
        return mx_hook_refuse(call, MX_VERDICT_SOFT,
                              "451 4.7.1 Temporary problem. Please try again later");
    case MX_ON_FAILURE_REJECT:
        return mx_hook_refuse(call, MX_VERDICT_HARD, "550 5.7.1 Cannot be checked. Rejected");
    }
    assert(false);
    return MX_VERDICT_DECLINED;
}

/* ---- attributes ---- */

static int make_room(struct mx_policy *policy, struct mx_buddy *buddy, uint64_t octets) {
    uint32_t got = 0;
    if (octets <= policy->notes_cap)
        return 0;
    if (octets > MX_NOTES_MAX)
        return MX_ELIMIT;
    uint32_t wanted = policy->notes_cap > 0 ? policy->notes_cap * 2 : MX_BUDDY_MIN;
    wanted = wanted < octets ? (uint32_t)octets : wanted;
    char *block = mx_buddy_is_tight(buddy) ? NULL : mx_buddy_take(buddy, wanted, &got);
    if (block == NULL)
        return -ENOMEM;
    if (policy->notes != NULL) {
        memcpy(block, policy->notes, policy->notes_len);
        mx_buddy_give(buddy, policy->notes, policy->notes_cap);
    }
    policy->notes = block;
    policy->notes_cap = got;
    return 0;
}

int mx_hook_note(struct mx_hook_call *call, struct mx_span name, struct mx_span value) {
    struct mx_policy *policy = mx_policy_need(call->site);
    if (policy == NULL)
        return -ENOMEM;
    uint64_t len = (uint64_t)name.len + 1 + value.len;
    uint32_t head = (uint32_t)len;
    int err = make_room(policy, call->site->host->buddy, policy->notes_len + sizeof head + len);
    if (err < 0)
        return err;
    char *to = policy->notes + policy->notes_len;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, name.ptr, name.len);
    to[sizeof head + name.len] = '\0';
    if (value.len > 0)
        memcpy(to + sizeof head + name.len + 1, value.ptr, value.len);
    policy->notes_len += (uint32_t)(sizeof head + len);
    return 0;
}

enum mx_verdict mx_hook_discard(struct mx_hook_call *call) {
    struct mx_policy *policy = *call->site->block;
    assert(policy != NULL); /* the header was gathered */
    policy->is_discarded = true;
    return MX_VERDICT_OK;
}

struct mx_memo *mx_hook_memo(struct mx_hook_call *call) {
    assert(call->site->host->memo != NULL);
    return call->site->host->memo;
}

/* ---- jobs ---- */

void *mx_hook_job_new(struct mx_hook_call *call, size_t octets) {
    struct mx_policy_site *site = call->site;
    struct mx_policy *policy = mx_policy_need(site);
    uint32_t cap = 0;
    assert(octets >= sizeof(struct mx_hook_job) && octets <= MX_BUDDY_MAX);
    bool is_tight = mx_buddy_is_tight(site->host->buddy);
    struct mx_hook_job *job =
        policy == NULL || is_tight
            ? NULL
            : (void *)mx_buddy_take(site->host->buddy, (uint32_t)octets, &cap);
    if (job == NULL)
        return NULL;
    memset(job, 0, octets);
    job->job.inbox = site->host->inbox;
    job->job.answer = site->host->answer;
    job->owner = site->owner;
    job->chain = site->chain;
    job->number = policy->number;
    job->cap = cap;
    if (site->host->hold != NULL)
        site->host->hold(site->host, site->chain);
    return job;
}

void mx_policy_job_free(struct mx_policy_host *host, struct mx_hook_job *job) {
    if (host->release != NULL)
        host->release(host, job->chain);
    mx_fulltext_release(job->text);
    mx_buddy_give(host->buddy, (char *)job, job->cap);
}

void mx_hook_lend_text(struct mx_hook_call *call, struct mx_hook_job *job) {
    assert(call->text != NULL && job->text == NULL);
    mx_fulltext_hold(call->text);
    job->text = call->text;
}

void mx_hook_job_free(struct mx_hook_call *call, struct mx_hook_job *job) {
    mx_policy_job_free(call->site->host, job);
}

bool mx_hook_post_helper(struct mx_hook_call *call, struct mx_hook_job *job,
                         mx_helper_run_fn *run) {
    struct mx_helper *helper = call->site->host->helper;
    job->job.run = run;
    if (helper != NULL && mx_helper_post(helper, &job->job) == 0)
        return true;
    mx_hook_job_free(call, job);
    return false;
}

enum mx_verdict mx_hook_ask_helper(struct mx_hook_call *call, struct mx_hook_job *job,
                                   mx_helper_run_fn *run) {
    if (job != NULL && mx_hook_post_helper(call, job, run))
        return MX_VERDICT_PENDING;
    return mx_hook_fail(call);
}
