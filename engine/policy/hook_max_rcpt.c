/* MaxRcptHandler: not more recipients than so many. */
#include "engine/policy/hook.h"

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    const struct mx_opt_max_rcpt *options = call->options;
    if (call->session->envelope.rcpt_count <= options->max) /* this one is counted already */
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_SOFT,
                          "452 4.5.3 Requested action not taken: max recipients reached");
}

const struct mx_hook_class mx_hook_max_rcpt = {
    .summary = "Not more recipients of a message than so many",
    .points = {[MX_HOOK_RCPT] = on_rcpt},
    .replies = {{"one more", "452 4.5.3 Requested action not taken: max recipients reached"}},
    .differences = "`maxRcpt` must be given: James's default, 0, refuses every recipient. The row "
                   "`maxRecipients` of the server is a limit, too (1000)",
};
