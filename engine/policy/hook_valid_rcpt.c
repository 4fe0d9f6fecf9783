/* ValidRcptHandler: is there somebody of this name? Look-ups in memory only. */
#include "config/aliases.h"
#include "config/users.h"
#include "engine/policy/hook.h"
#include "engine/policy/relay.h"

#include <errno.h>

struct targets {
    const struct mx_conf *conf;
    uint32_t valid, invalid;
    bool is_one_enough;
};

static bool look_at(void *context, struct mx_span target) {
    struct targets *self = context;
    bool is_valid = !mx_relay_is_local(self->conf, mx_relay_domain(target)) ||
                    mx_users_find(self->conf->users, target, NULL);
    self->valid += is_valid;
    self->invalid += !is_valid;
    return self->is_one_enough ? !is_valid : is_valid;
}

/* 0, -ENOENT or MX_ELIMIT. */
static int check_alias(const struct mx_conf *conf, enum mx_alias_check check,
                       struct mx_span recipient) {
    struct targets targets = {.conf = conf, .is_one_enough = check == MX_ALIAS_CHECK_ANY};
    if (check == MX_ALIAS_CHECK_EXISTS)
        return mx_aliases_has(conf->aliases, recipient) ? 0 : -ENOENT;
    int err = mx_aliases_follow(conf->aliases, recipient, conf->alias_limit, look_at, &targets);
    if (err < 0)
        return err;
    bool is_good = targets.valid > 0 && (targets.is_one_enough || targets.invalid == 0);
    return is_good ? 0 : -ENOENT;
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    const struct mx_opt_valid_rcpt *options = call->options;
    const struct mx_conf *conf = call->conf;
    struct mx_span rcpt = call->rcpt;
    if (!mx_relay_is_local(conf, mx_relay_domain(rcpt)) || mx_users_find(conf->users, rcpt, NULL))
        return MX_VERDICT_DECLINED;
    int err = options->uses_aliases ? check_alias(conf, options->alias_check, rcpt) : -ENOENT;
    if (err == 0)
        return MX_VERDICT_DECLINED;
    if (err == MX_ELIMIT) /* aliases in a loop */
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "451 4.0.0 Unexpected error for %.*s",
                              (int)rcpt.len, rcpt.ptr);
    return mx_hook_refuse(call, MX_VERDICT_HARD, "550 5.1.1 Unknown user: %.*s", (int)rcpt.len,
                          rcpt.ptr);
}

const struct mx_hook_class mx_hook_valid_rcpt = {
    .summary = "A recipient of a local domain must be a user or an alias. Built into LMTP when "
               "there are users",
    .points = {[MX_HOOK_RCPT] = on_rcpt                                   },
    .replies = { {"neither user nor alias", "550 5.1.1 Unknown user: a@b"},
               {"aliases in a loop", "451 4.0.0 Unexpected error for a@b"}},
};
