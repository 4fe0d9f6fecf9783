/* hook_auth.c - AuthCmdHandler and ConfigurationAuthHook. Passwords are looked at by the helpers:
 * engine/policy/auth.c. */
#include "engine/policy/hook.h"

static void add_command(const void *options, struct mx_session_conf *conf) {
    (void)options;
    conf->has_auth = true;
}

const struct mx_hook_class mx_hook_auth_command = {
    .summary = "AUTH is a command although `coreHandlers` is noAuth",
    .where = "AUTH",
    .set_up = add_command,
};

const struct mx_hook_class mx_hook_auth_accounts = {
    .summary = "The accounts of AUTH are these, and no others: the users of the file cannot log "
               "in. PLAIN and LOGIN only",
    .where = "AUTH",
    .replies = {{"another name or password", "535 Authentication Failed"}},
    .differences = "a password may be `file:PATH`, or hold `${env:NAME}`; `--dump` shows none",
};
