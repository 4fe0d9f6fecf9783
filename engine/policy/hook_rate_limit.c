/* RateLimit: token buckets for clients, senders, recipients' domains and users. Not James's. */
#include "engine/policy/hook.h"
#include "engine/policy/memo.h"
#include "engine/policy/relay.h"
#include "engine/policy/shared.h"

/* A fact: first = when the bucket was looked at last (ms), second = what is in it, in thousandths
 * of a message. */
enum { UNIT = 1000 };

struct look {
    const struct mx_opt_rate_limit *options;
    uint64_t now_ms;
    bool has_token;
};

/* Full after `per` without mail. */
static uint64_t on_fact(void *context, struct mx_memo_fact *fact, bool is_new) {
    struct look *self = context;
    const struct mx_opt_rate_limit *options = self->options;
    uint64_t most = (uint64_t)options->count * UNIT;
    uint64_t age_ms = is_new ? options->period_ms : self->now_ms - fact->first;
    age_ms = age_ms < options->period_ms ? age_ms : options->period_ms;
    uint64_t more = most * age_ms / options->period_ms;
    if (is_new || more > 0) /* else the time counts on */
        fact->first = self->now_ms;
    uint64_t tokens = fact->second + more;
    tokens = tokens < most ? tokens : most;
    self->has_token = tokens >= UNIT;
    fact->second = self->has_token ? tokens - UNIT : tokens;
    return options->period_ms;
}

/* Whom the bucket is of; empty: nobody, there is no limit. */
static struct mx_span subject(const struct mx_hook_call *call, uint8_t network[16]) {
    const struct mx_session *session = call->session;
    const struct mx_opt_rate_limit *options = call->options;
    size_t len = session->peer.family == 4 ? 4 : 16;
    memcpy(network, session->peer.bytes, 16);
    switch (options->subject) {
    case MX_RATE_IP:
        return (struct mx_span){(const char *)network, len};
    case MX_RATE_NETWORK:
        return (struct mx_span){(const char *)network, len == 4 ? 3 : 8};
    case MX_RATE_SENDER:
        return mx_envelope_sender(&session->envelope);
    case MX_RATE_DOMAIN:
        return mx_relay_domain(call->rcpt);
    case MX_RATE_USER:
        return session->is_authenticated ? mx_login_name(session->login) : (struct mx_span){0};
    }
    return (struct mx_span){0};
}

static enum mx_verdict decide(struct mx_hook_call *call, bool has_token) {
    return has_token ? MX_VERDICT_DECLINED
                     : mx_hook_refuse(call, MX_VERDICT_SOFT,
                                      "451 4.7.1 Too many recipients in a short time. Please try "
                                      "again later");
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    const struct mx_opt_rate_limit *options = call->options;
    const struct mx_redis_question *shared = mx_shared_answer(call);
    struct look look = {.options = options, .now_ms = call->now_ms};
    uint8_t network[16];
    char text[400];
    if (shared != NULL)
        return shared->is_answered ? decide(call, shared->answer == 1) : mx_hook_fail(call);
    struct mx_span whom = subject(call, network);
    if (whom.len == 0)
        return MX_VERDICT_DECLINED;
    /* limits of other numbers have buckets of their own */
    size_t len = 0, cut = whom.len < 320 ? whom.len : 320;
    bool is_text = options->subject != MX_RATE_IP && options->subject != MX_RATE_NETWORK;
    for (size_t i = 0; i < cut; i++)
        text[len++] = is_text ? mx_ascii_lower(whom.ptr[i]) : whom.ptr[i];
    const uint32_t numbers[] = {(uint32_t)options->subject, options->count, options->period_ms};
    memcpy(text + len, numbers, sizeof numbers);
    if (options->store == MX_STORE_REDIS) {
        const uint64_t shared_numbers[MX_REDIS_NUMBERS] = {options->count, options->period_ms};
        return mx_shared_ask(call, MX_REDIS_RATE, (struct mx_span){text, len + sizeof numbers},
                             shared_numbers);
    }
    struct mx_memo *memo = mx_hook_memo(call);
    struct mx_memo_key key =
        mx_memo_key(memo, MX_MEMO_RATE_LIMIT, (struct mx_span){text, len + sizeof numbers});
    mx_memo_update(memo, key, call->now_ms, on_fact, &look);
    return decide(call, look.has_token);
}

const struct mx_hook_class mx_hook_rate_limit = {
    .summary = "Not more recipients than so many in so long a time, for each client address, "
               "network (/24, /64), sender, recipient's domain or user; a token bucket, which "
               "allows all of them at once",
    .points = {[MX_HOOK_RCPT] = on_rcpt},
    .replies = {{"the bucket is empty",
                 "451 4.7.1 Too many recipients in a short time. Please try again later"}},
    .waits = true,
    .differences = "it has no such hook. The buckets lie in memory (`engine.policyMemory`), or in "
                   "Redis, and are shared by all servers with the same numbers",
};
