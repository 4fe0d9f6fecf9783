/* SetMimeHeaderHandler: a header field of every message says what the operator wants. */
#include "engine/policy/hook.h"

static enum mx_verdict on_header(struct mx_hook_call *call) {
    const struct mx_opt_set_header *options = call->options;
    int err = mx_header_set(call->header, mx_span_of(options->name), mx_span_of(options->value));
    if (err == MX_ELIMIT)
        return mx_hook_refuse(call, MX_VERDICT_HARD,
                              "552 5.3.4 Header size exceeds maximum header size");
    if (err < 0)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
    return MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_set_header = {
    .summary = "Sets a header field of every message: the first one of that name is replaced, "
               "others go; without one it is put at the end",
    .points = {[MX_HOOK_HEADER] = on_header                          },
    .replies = { {"the header has no room", "552 5.3.4 Header size exceeds maximum header size"},
               {"no memory", "452 4.3.1 Insufficient system storage"}},
};
