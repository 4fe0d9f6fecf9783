/* hook_auth.c - AuthCmdHandler, AuthRequiredHook and ConfigurationAuthHook. Passwords are looked at
 * by the helpers: engine/policy/auth.c. */
#include "engine/policy/hook.h"
#include "engine/policy/relay.h"

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

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    if (!call->server->auth.is_required || mx_relay_is_allowed(call->session))
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_HARD, "530 5.7.1 Authentication Required");
}

const struct mx_hook_class mx_hook_auth_required = {
    .summary = "`auth.required` holds although `coreHandlers` is noAuth",
    .points = {[MX_HOOK_MAIL] = on_mail},
    .replies = {{"neither logged in nor in authorizedAddresses",
                 "530 5.7.1 Authentication Required"}},
};
