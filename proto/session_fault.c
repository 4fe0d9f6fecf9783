/* session_fault.c - configured faults: what a row does instead of a command or to a message. */
#include "proto/session_impl.h"

static enum mx_action on_fault_delayed(struct mx_session *self, int result, struct mx_out *out) {
    (void)result, (void)out;
    self->is_fault_done = true;
    return MX_ACTION_NONE;
}

bool mx_session_fault_waits(struct mx_session *self, unsigned place) {
    uint32_t delay_ms = self->conf->faults[place].delay_ms;
    if (delay_ms == 0 || self->is_fault_done)
        return false;
    self->delay_ms = delay_ms;
    mx_session_park(self, MX_ACTION_DELAY, on_fault_delayed, (enum mx_session_state)self->state);
    return true;
}

/* The error of the message at a place whose refusal is about the message; 0: none. */
static int fault_error(const struct mx_session *self, unsigned place) {
    static const int errors[] = {
        [MX_FAULT_SOFT] = FAULT_SOFT, [MX_FAULT_HARD] = FAULT_HARD, [MX_FAULT_DISCONNECT_421] = 0};
    bool is_of_message = place == MX_VERB_BDAT || place == MX_FAULT_DOT;
    return is_of_message ? errors[self->conf->faults[place].kind] : 0;
}

void mx_session_fault_message(struct mx_session *self, unsigned place) {
    int err = self->conf->faults != NULL ? fault_error(self, place) : 0;
    if (err < 0)
        mx_session_fail(self, err);
}

enum mx_action mx_session_fault(struct mx_session *self, unsigned place, bool *is_handled,
                                struct mx_out *out) {
    bool is_message_refused = fault_error(self, place) < 0;
    *is_handled = true;
    switch (is_message_refused ? MX_FAULT_NONE
                               : (enum mx_fault_kind)self->conf->faults[place].kind) {
    case MX_FAULT_NONE:
        break;
    case MX_FAULT_SOFT:
        return SAY(self, out, "450 4.3.0 Error: command failed");
    case MX_FAULT_HARD:
        return SAY(self, out, "500 5.3.0 Error: command failed");
    case MX_FAULT_DISCONNECT:
        return mx_session_end(self);
    case MX_FAULT_DISCONNECT_421:
        SAY(self, out, "421 4.3.0 Error: closing connection");
        return mx_session_end(self);
    }
    *is_handled = false;
    return MX_ACTION_NONE;
}
