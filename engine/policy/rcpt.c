#include "engine/policy/rcpt.h"

#include "config/aliases.h"
#include "config/users.h"
#include "engine/policy/relay.h"

#include <errno.h>
#include <stdio.h>

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

static void refuse(struct mx_session_shared *shared, const char *text, struct mx_span recipient) {
    size_t room = sizeof shared->refusal_text;
    int len =
        snprintf(shared->refusal_text, room, "%s%.*s", text, (int)recipient.len, recipient.ptr);
    size_t cut = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    shared->refusal.text = (struct mx_span){shared->refusal_text, cut};
}

int mx_rcpt_check(const struct mx_conf *conf, const struct mx_conf_hook *hook,
                  struct mx_span recipient, struct mx_session_shared *shared) {
    int err = -ENOENT;
    if (!mx_relay_is_local(conf, mx_relay_domain(recipient)) ||
        mx_users_find(conf->users, recipient, NULL))
        return 0;
    if (hook->uses_aliases)
        err = check_alias(conf, hook->alias_check, recipient);
    if (err < 0)
        refuse(shared,
               err == MX_ELIMIT ? "451 4.0.0 Unexpected error for " : "550 5.1.1 Unknown user: ",
               recipient);
    return err;
}
