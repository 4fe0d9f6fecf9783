/* session_hook.c - asking the policy, and the refusal it leaves behind. */
#include "proto/session_impl.h"

enum mx_action mx_session_refuse(struct mx_session *self, struct mx_out *out) {
    struct mx_span text = self->shared->refusal.text;
    if (text.len == 0)
        text = MX_SPAN("451 Temporary problem. Please try again later");
    mx_session_count_reply(self, text.ptr[0]);
    mx_reply_echo(out, text, MX_REPLY_LINE_MAX - 2, true);
    mx_out_put(out, MX_SPAN("\r\n"));
    return self->shared->refusal.is_disconnect ? mx_session_end(self) : MX_ACTION_NONE;
}

enum mx_action mx_session_ask_hook(struct mx_session *self, enum mx_hook_point point,
                                   mx_session_continue_fn *on_resume, struct mx_out *out) {
    if (!(self->conf->hooks & (1u << point)))
        return on_resume(self, 0, out);
    self->hook = (uint8_t)point;
    self->shared->refusal = (struct mx_refusal){0};
    return mx_session_park(self, MX_ACTION_HOOK, on_resume, (enum mx_session_state)self->state);
}

static enum mx_action on_first_hook(struct mx_session *self, int result, struct mx_out *out) {
    self->is_hook_asked = true;
    self->is_hook_refused = result < 0;
    return result < 0 ? mx_session_refuse(self, out) : MX_ACTION_NONE;
}

bool mx_session_hook_first(struct mx_session *self, enum mx_hook_point point,
                           enum mx_action *action) {
    *action = MX_ACTION_NONE;
    if (!(self->conf->hooks & (1u << point)))
        return true;
    if (self->is_hook_asked)
        return !self->is_hook_refused;
    self->hook = (uint8_t)point;
    self->shared->refusal = (struct mx_refusal){0};
    *action = mx_session_park(self, MX_ACTION_HOOK, on_first_hook, MX_STATE_COMMAND);
    return false;
}
