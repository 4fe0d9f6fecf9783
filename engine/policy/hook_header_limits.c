/* EnforceHeaderLimitationsMessageHook: headers of a bounded size. */
#include "engine/policy/hook.h"

enum { FRAME = 4 }; /* colon, blank and line end of a field, octets */

static enum mx_verdict on_header(struct mx_hook_call *call) {
    const struct mx_opt_header_limits *options = call->options;
    struct mx_header_field field;
    uint32_t at = 0, fields = 0;
    uint64_t octets = 0;
    while (mx_header_next(call->header, &at, &field)) {
        while (field.value.len > 0 && (field.value.ptr[0] == ' ' || field.value.ptr[0] == '\t'))
            field.value = mx_span_skip(field.value, 1);
        octets += field.name.len + field.value.len + FRAME;
        if (++fields > options->max_fields)
            return mx_hook_refuse(call, MX_VERDICT_HARD, "552 Header Lines are too many");
        if (octets > options->max_octets)
            return mx_hook_refuse(call, MX_VERDICT_HARD, "552 Header size is too large");
    }
    return MX_VERDICT_DECLINED;
}

const struct mx_hook_class mx_hook_header_limits = {
    .summary = "Not more header fields, and not more octets in them, than so many; with the "
               "Received field that is put in front",
    .points = {[MX_HOOK_HEADER] = on_header                       },
    .replies = { {"too many fields", "552 Header Lines are too many"},
               {"too many octets", "552 Header size is too large"}},
    .differences = "both options have defaults. A number without unit is octets, as in James's "
                   "code; its documentation says KB. More than 80K is refused anyway",
};
