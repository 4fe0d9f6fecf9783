/* MaxUnknownCmdHandler: who says too much that nobody understands has to go. */
#include "engine/policy/hook.h"

static enum mx_verdict on_unknown(struct mx_hook_call *call) {
    const struct mx_opt_max_unknown *options = call->options;
    if (call->session->unknown_count <= options->max) /* this one is counted already */
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_DROP,
                          "521 Closing connection as too many unknown commands received");
}

const struct mx_hook_class mx_hook_max_unknown = {
    .summary = "Closes the connection at one more unknown command than so many since the last "
               "message, RSET, HELO or EHLO",
    .points = {[MX_HOOK_UNKNOWN] = on_unknown},
    .replies = {{"one more", "521 Closing connection as too many unknown commands received"}},
};
