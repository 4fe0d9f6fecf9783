/* EnforceMtaSts: no mail in clear. */
#include "engine/policy/hook.h"

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    if (call->session->is_tls)
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_HARD, "571 StartTLS required");
}

const struct mx_hook_class mx_hook_enforce_tls = {
    .summary = "Mail only under TLS",
    .points = {[MX_HOOK_MAIL] = on_mail},
    .replies = {{"MAIL in clear", "571 StartTLS required"}},
};
