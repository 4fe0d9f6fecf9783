/* AcceptRecipientIfRelayingIsAllowed: who may relay is not asked further. */
#include "engine/policy/hook.h"
#include "engine/policy/relay.h"

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    return mx_relay_is_allowed(call->session) ? MX_VERDICT_OK : MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_relay_accept = {
    .summary = "Accepts the recipients of those who may relay: no hook behind it is asked, nor a "
               "core handler",
    .points = {[MX_HOOK_RCPT] = on_rcpt},
};
