/* JDBCGreylistHandler: who comes for the first time is asked to come again; who queues mail does.
 */
#include "engine/policy/hook.h"
#include "engine/policy/memo.h"
#include "engine/policy/relay.h"
#include "engine/policy/shared.h"

/* A fact: first = when the triplet was seen first (ms), second = 1 once it has come again. */
struct look {
    const struct mx_opt_greylist *options;
    uint64_t now_ms;
    enum { FIRST = MX_REDIS_FIRST, EARLY = MX_REDIS_EARLY, KNOWN = MX_REDIS_KNOWN } result;
};

static uint64_t on_fact(void *context, struct mx_memo_fact *fact, bool is_new) {
    struct look *self = context;
    const struct mx_opt_greylist *options = self->options;
    if (is_new)
        fact->first = self->now_ms;
    uint64_t age_ms = self->now_ms - fact->first;
    if (is_new)
        self->result = FIRST;
    else if (fact->second == 0 && age_ms < options->block_ms)
        self->result = EARLY;
    else
        self->result = KNOWN;
    fact->second = self->result == KNOWN;
    if (self->result == KNOWN)
        return options->known_ms;
    uint64_t unseen_ms = options->unseen_ms;
    return age_ms < unseen_ms ? unseen_ms - age_ms : 1; /* it is not prolonged by trying */
}

/* The network of the client, its sender and the recipient, the latter in lower case. */
static size_t put_triplet(const struct mx_hook_call *call, char *to, size_t room) {
    const struct mx_ip *peer = &call->session->peer;
    size_t network = peer->family == 4 ? 3 : 8, len = 0;
    struct mx_span texts[] = {
        {(const char *)peer->bytes, network},
        mx_envelope_sender(&call->session->envelope),
        call->rcpt
    };
    to[len++] = (char)peer->family;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t k = 0; k < texts[i].len && len + 1 < room; k++)
            to[len++] = i == 0 ? texts[i].ptr[k] : mx_ascii_lower(texts[i].ptr[k]);
        if (i > 0 && len < room)
            to[len++] = '\0';
    }
    return len;
}

static enum mx_verdict decide(struct mx_hook_call *call, int64_t result) {
    switch (result) {
    case FIRST:
        return mx_hook_refuse(call, MX_VERDICT_SOFT,
                              "451 4.4.3 Temporary rejected: Please try again later");
    case EARLY:
        return mx_hook_refuse(
            call, MX_VERDICT_SOFT,
            "451 4.4.3 Temporary rejected: Reconnect to fast. Please try again later");
    case KNOWN:
        return MX_VERDICT_DECLINED;
    default: /* a script that is not ours */
        return mx_hook_fail(call);
    }
}

static enum mx_verdict ask_redis(struct mx_hook_call *call, struct mx_span text) {
    const struct mx_opt_greylist *options = call->options;
    const uint64_t numbers[MX_REDIS_NUMBERS] = {options->block_ms, options->unseen_ms,
                                                options->known_ms};
    return mx_shared_ask(call, MX_REDIS_GREYLIST, text, numbers);
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    const struct mx_opt_greylist *options = call->options;
    const struct mx_redis_question *shared = mx_shared_answer(call);
    struct look look = {.options = options, .now_ms = call->now_ms};
    char triplet[1024];
    if (shared != NULL)
        return shared->is_answered ? decide(call, shared->answer) : mx_hook_fail(call);
    if (mx_relay_is_allowed(call->session) ||
        mx_relay_is_in(&options->known_networks, &call->session->peer))
        return MX_VERDICT_DECLINED;
    struct mx_span text = {triplet, put_triplet(call, triplet, sizeof triplet)};
    if (options->store == MX_STORE_REDIS)
        return ask_redis(call, text);
    struct mx_memo *memo = mx_hook_memo(call);
    struct mx_memo_key key = mx_memo_key(memo, MX_MEMO_GREYLIST, text);
    mx_memo_update(memo, key, call->now_ms, on_fact, &look);
    return decide(call, look.result);
}

const struct mx_hook_class mx_hook_greylist = {
    .summary = "A client's network (/24, /64) that comes with a sender and a recipient for the "
               "first time is asked to come again; once it has, it is known for "
               "autoWhiteListLifeTime from its last mail on",
    .points = {[MX_HOOK_RCPT] = on_rcpt                                                    },
    .replies = { {"first time", "451 4.4.3 Temporary rejected: Please try again later"},
               {"again, before tempBlockTime is over",
                 "451 4.4.3 Temporary rejected: Reconnect to fast. Please try again later"}},
    .waits = true,
    .differences =
        "no SQL: what is known lies in memory (`engine.policyMemory`) for all servers, and in a "
        "file "
        "for the next start (`engine.policyFile`, `policySave`); or in Redis. The client's network "
        "counts, not its address",
};
