#include "engine/policy/core.h"

#include "engine/policy/identity.h"
#include "engine/policy/relay.h"

static struct mx_refusal *refusal_of(struct mx_hook_call *call) {
    return &call->session->shared->refusal;
}

static enum mx_verdict verdict_of(int err) {
    return err < 0 ? MX_VERDICT_HARD : MX_VERDICT_DECLINED;
}

static enum mx_verdict ask_relay(struct mx_hook_call *call) {
    return verdict_of(mx_relay_check(call->conf, call->session, call->rcpt, refusal_of(call)));
}

static enum mx_verdict ask_sender(struct mx_hook_call *call) {
    return verdict_of(mx_relay_check_sender(call->server, call->session, refusal_of(call)));
}

/* At RCPT once more: who is logged in may have changed. */
static enum mx_verdict ask_identity(struct mx_hook_call *call) {
    return verdict_of(mx_identity_check(call->conf, call->server, call->session, refusal_of(call)));
}

static enum mx_verdict ask_header(struct mx_hook_call *call) {
    return verdict_of(mx_identity_check_header(call->conf, call->session, refusal_of(call)));
}

static const struct mx_hook_class relay = {.points = {[MX_HOOK_RCPT] = ask_relay}};
static const struct mx_hook_class sender = {.points = {[MX_HOOK_MAIL] = ask_sender}};
static const struct mx_hook_class identity = {
    .points = {[MX_HOOK_MAIL] = ask_identity,
               [MX_HOOK_RCPT] = ask_identity,
               [MX_HOOK_MESSAGE] = ask_header}
};

uint32_t mx_core_hooks(const struct mx_conf *conf, const struct mx_conf_server *server,
                       const struct mx_hook_class *classes[MX_CORE_HOOKS_MAX],
                       const void *options[MX_CORE_HOOKS_MAX]) {
    static const struct mx_opt_valid_rcpt built_in = {.uses_aliases = true};
    bool is_smtp = !server->is_lmtp;
    bool has_core = server->core_handlers == MX_CORE_HANDLERS_CORE;
    bool has_identity = is_smtp && server->verify_identity != MX_VERIFY_IDENTITY_DISABLED;
    bool has_valid_rcpt = !is_smtp && conf->users != NULL &&
                          mx_conf_find_hook(server, MX_HOOK_KIND_VALID_RCPT) == NULL;
    const struct {
        bool is_wanted;
        const struct mx_hook_class *class;
        const void *options;
    } rows[] = {
        {has_valid_rcpt,                                  &mx_hook_valid_rcpt, &built_in},
        {true,                                            &relay,              NULL     },
        {has_identity,                                    &identity,           NULL     },
        {is_smtp && server->auth.is_required && has_core, &sender,             NULL     },
    };
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].is_wanted)
            continue;
        classes[count] = rows[i].class;
        options[count++] = rows[i].options;
    }
    return count;
}
