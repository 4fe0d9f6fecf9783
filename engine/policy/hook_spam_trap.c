/* SpamTrapHandler: who writes to addresses that nobody has ever used is not heard for a while. */
#include "engine/policy/hook.h"
#include "engine/policy/memo.h"

struct look {
    uint64_t now_ms, block_ms;
    bool is_trap, is_blocked;
};

static uint64_t on_fact(void *context, struct mx_memo_fact *fact, bool is_new) {
    struct look *self = context;
    (void)is_new; /* then it is not blocked */
    if (self->is_trap)
        fact->first = self->now_ms + self->block_ms;
    self->is_blocked = fact->first > self->now_ms;
    return self->is_blocked ? fact->first - self->now_ms : 0;
}

static bool is_trap(const struct mx_opt_spam_trap *options, struct mx_span rcpt) {
    for (uint32_t i = 0; i < options->traps.count; i++) {
        if (mx_span_equal_nocase(options->traps.rows[i], rcpt))
            return true;
    }
    return false;
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    const struct mx_opt_spam_trap *options = call->options;
    const struct mx_ip *peer = &call->session->peer;
    struct mx_memo *memo = mx_hook_memo(call);
    struct look look = {.now_ms = call->now_ms,
                        .block_ms = options->block_ms,
                        .is_trap = is_trap(options, call->rcpt)};
    struct mx_span address = {(const char *)peer->bytes, sizeof peer->bytes};
    struct mx_memo_key key = mx_memo_key(memo, MX_MEMO_SPAM_TRAP, address);
    mx_memo_update(memo, key, call->now_ms, on_fact, &look);
    return look.is_blocked ? mx_hook_refuse(call, MX_VERDICT_HARD, "554 Email rejected")
                           : MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_spam_trap = {
    .summary = "A client that names one of these recipients is refused, and for blockTime all "
               "others it names, on any connection",
    .points = {[MX_HOOK_RCPT] = on_rcpt},
    .replies = {{"a trap, or a client that is blocked", "554 Email rejected"}},
    .differences = "James does not start with it: its test of the options is inverted. A bare "
                   "number is milliseconds, as in its code",
};
