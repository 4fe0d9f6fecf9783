/* session_bdat.c - BDAT: chunks of a stated size, content without lines or dots. RFC 3030 2. */
#include "proto/param.h"
#include "proto/session_impl.h"

static enum mx_action chunk_end(struct mx_session *self, struct mx_out *out) {
    static const struct mx_span refusals[] = {
        [CHUNK_NO_SENDER] = MX_SPAN("503 5.5.0 No sender specified\r\n"),
        [CHUNK_NO_RCPT] = MX_SPAN("503 5.5.0 No recipients specified\r\n"),
    };
    if (self->chunk_refusal == CHUNK_ANSWERED) {
        mx_session_reset(self);
        mx_session_enter(self, MX_STATE_COMMAND);
        return MX_ACTION_NONE;
    }
    if (self->chunk_refusal != CHUNK_OK) {
        self->received_octets -= self->chunk_octets; /* of no message */
        mx_session_enter(self, MX_STATE_COMMAND);
        return mx_session_say(self, out, refusals[self->chunk_refusal]);
    }
    self->shared->counters.bdat_chunks++;
    if (self->is_last_chunk) {
        mx_session_check_last_line(self);
        return mx_session_finish(self, out);
    }
    if (self->is_failed) /* RFC 3030 2: the client has to begin anew */
        return mx_session_put_failure(self, out);
    mx_out_put(out, MX_SPAN("250 2.0.0 "));
    mx_reply_number(out, self->chunk_octets);
    mx_out_put(out, MX_SPAN(" octets received\r\n"));
    mx_session_enter(self, MX_STATE_COMMAND);
    return MX_ACTION_NONE;
}

enum mx_action mx_session_step_chunk(struct mx_session *self, struct mx_span *in,
                                     struct mx_out *out) {
    struct mx_session_shared *shared = self->shared;
    if (self->is_fault_done)
        return mx_session_finish(self, out);
    bool is_refused = self->chunk_refusal != CHUNK_OK;
    bool has_trace = !is_refused && !self->is_failed && self->is_trace_due && self->chunk_left == 0;
    if (self->chunk_left == 0 && !has_trace)
        return chunk_end(self, out);
    if (in->len == 0 && self->chunk_left > 0)
        return MX_ACTION_INPUT;
    size_t len = in->len < self->chunk_left ? in->len : (size_t)self->chunk_left;
    struct mx_span content = {in->ptr, len};
    *in = mx_span_skip(*in, len);
    self->chunk_left -= len;
    self->received_octets += len;
    if (is_refused)
        return MX_ACTION_NONE;
    mx_session_check_lines(self, content);
    uint32_t count = mx_session_first_slices(self);
    if (len > 0)
        shared->slices[count++] = content;
    shared->slice_count = count;
    return mx_session_store(self, out);
}

static enum mx_action on_chunk_opened(struct mx_session *self, int result, struct mx_out *out) {
    (void)out;
    if (result < 0)
        mx_session_fail(self, result);
    else
        mx_session_begin_message(self);
    return MX_ACTION_NONE;
}

static enum mx_action on_chunk_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result == 0)
        return mx_session_park(self, MX_ACTION_OPEN, on_chunk_opened, MX_STATE_CHUNK);
    enum mx_action action = mx_session_refuse(self, out);
    if (self->state == MX_STATE_CLOSED)
        return action;
    self->chunk_refusal = CHUNK_ANSWERED; /* the octets have to be read all the same */
    mx_session_enter(self, MX_STATE_CHUNK);
    return MX_ACTION_NONE;
}

/* "<size> [LAST]" */
static bool parse_bdat(struct mx_session *self, struct mx_span args) {
    struct mx_param size, last;
    if (!mx_param_take(&args, &size) || size.has_value ||
        !mx_param_u64(size.key, &self->chunk_octets))
        return false;
    self->is_last_chunk = false;
    if (mx_param_take(&args, &last)) {
        if (last.has_value || !mx_param_is(&last, MX_SPAN("LAST")))
            return false;
        self->is_last_chunk = true;
    }
    return !mx_param_take(&args, &last);
}

enum mx_action mx_session_bdat(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    if (!parse_bdat(self, args)) {
        /* nobody knows how many octets follow: reading them as commands would be smuggling */
        SAY(self, out, "501 5.5.4 Usage: BDAT <size> [LAST]");
        return mx_session_end(self);
    }
    const struct mx_envelope *envelope = &self->envelope;
    self->chunk_refusal = CHUNK_OK;
    if (!envelope->has_sender)
        self->chunk_refusal = CHUNK_NO_SENDER;
    else if (envelope->rcpt_count == 0)
        self->chunk_refusal = CHUNK_NO_RCPT;
    bool is_first = self->chunk_refusal == CHUNK_OK && !self->is_chunked;
    if (is_first && !mx_session_has_message_room(self) && !self->is_memory_refused)
        return mx_session_grow(self, mx_session_message_need(self));
    self->chunk_left = self->chunk_octets;
    if (self->chunk_refusal == CHUNK_OK) {
        uint64_t max = self->conf->max_message_octets;
        mx_session_fault_message(self, MX_VERB_BDAT);
        if (max > 0 &&
            (self->chunk_octets > max || self->received_octets > max - self->chunk_octets))
            mx_session_fail(self, TOO_LARGE);
        else if (is_first && !mx_session_has_message_room(self))
            mx_session_fail(self, -ENOMEM);
    }
    if (is_first) {
        self->is_chunked = true;
        self->dot = (struct mx_dot){0};
        if (!self->is_failed)
            return mx_session_ask_hook(self, MX_HOOK_DATA, on_chunk_hook, out);
    }
    mx_session_enter(self, MX_STATE_CHUNK);
    return MX_ACTION_NONE;
}
