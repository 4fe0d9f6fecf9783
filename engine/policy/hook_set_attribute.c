/* SetMailAttributeMessageHook: an attribute in the envelope of every message. */
#include "engine/policy/hook.h"

static enum mx_verdict on_message(struct mx_hook_call *call) {
    const struct mx_opt_set_attribute *options = call->options;
    if (mx_hook_note(call, mx_span_of(options->name), mx_span_of(options->value)) == 0)
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
}

const struct mx_hook_class mx_hook_set_attribute = {
    .summary = "Gives every message an attribute in its envelope (`mxring spool cat --envelope`)",
    .points = {[MX_HOOK_MESSAGE] = on_message},
    .replies = {{"no memory, or over 16 KiB of attributes",
                 "452 4.3.1 Insufficient system storage"}},
};
