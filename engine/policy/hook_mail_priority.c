/* MailPriorityHandler: some domains' mail is sooner than others'. */
#include "engine/policy/hook.h"
#include "engine/policy/relay.h"

#include <stdio.h>

/* The highest of all recipients'. False: none of them is in the list. */
static bool find(const struct mx_opt_mail_priority *options, const struct mx_envelope *envelope,
                 int32_t *priority) {
    const struct mx_conf_priority *rows = options->entries.rows;
    uint32_t cursor = envelope->rcpts_at;
    struct mx_rcpt rcpt;
    bool is_there = false;
    while (mx_envelope_rcpt_next(envelope, &cursor, &rcpt)) {
        for (uint32_t i = 0; i < options->entries.count; i++) {
            struct mx_span domain = mx_relay_domain(rcpt.address);
            if (!mx_span_equal_nocase(mx_span_of(rows[i].domain), domain))
                continue;
            *priority = is_there && *priority > rows[i].priority ? *priority : rows[i].priority;
            is_there = true;
        }
    }
    return is_there;
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    char text[16];
    int32_t priority = 0;
    if (!find(call->options, &call->session->envelope, &priority))
        return MX_VERDICT_DECLINED;
    int len = snprintf(text, sizeof text, "%d", priority);
    if (mx_hook_note(call, MX_SPAN("MAIL_PRIORITY"), (struct mx_span){text, (size_t)len}) == 0)
        return MX_VERDICT_DECLINED;
    return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
}

const struct mx_hook_class mx_hook_mail_priority = {
    .summary =
        "Gives a message the attribute MAIL_PRIORITY: the highest of its recipients' domains",
    .points = {[MX_HOOK_MESSAGE] = on_message},
    .replies = {{"no memory", "452 4.3.1 Insufficient system storage"}},
    .differences = "any number from -9 to 9 may be given; its documentation says 1, 5 and 9",
};
