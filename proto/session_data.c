/* session_data.c - DATA, BDAT and the replies behind a message. RFC 5321 4.1.1.4, RFC 3030, RFC
 * 2033. */
#include "proto/param.h"
#include "proto/session_impl.h"
#include "proto/trace_header.h"

/* Why a message is refused at its end, beside -errno of the sink. */
/* Not among the errors a sink can have. */
enum { TOO_LARGE = -6001, LINE_TOO_LONG = -6002, FAULT_SOFT = -6003, FAULT_HARD = -6004 };

/* The message cannot be stored any more: its octets are read and dropped, the refusal comes at the
 * end, so that the stream stays in step. */
static void fail(struct mx_session *self, int err) {
    if (self->is_failed)
        return;
    self->is_failed = true;
    self->message_error = err;
    self->is_abort_due = self->is_open;
    if (err == TOO_LARGE)
        self->shared->counters.size_limit++;
    if (err == LINE_TOO_LONG)
        self->shared->counters.data_line_limit++;
}

/* ---- the Received line ---- */

static struct mx_span only_rcpt(const struct mx_session *self) {
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = self->envelope.rcpts_at;
    if (self->envelope.rcpt_count == 1 && mx_envelope_rcpt_next(&self->envelope, &cursor, &rcpt))
        return rcpt.address;
    return (struct mx_span){0};
}

static struct mx_span put_trace(struct mx_session *self) {
    static const struct mx_span james[2] = {MX_SPAN("JAMES SMTP Server "),
                                            MX_SPAN("JAMES Protocols Server")};
    const struct mx_session_conf *conf = self->conf;
    bool is_greeted = self->helo_verb != 0 && self->helo_len > 0;
    struct mx_trace_header header = {
        .helo_verb = is_greeted ? mx_span_of(mx_verb_name((enum mx_verb)self->helo_verb))
                                : (struct mx_span){0              },
        .helo_name = { self->helo_name, self->helo_len},
        .peer = self->peer,
        .by = conf->hello_name,
        .software = conf->has_james_texts ? james[conf->proto] : MX_SPAN("mxring"),
        .rcpt = only_rcpt(self),
        .session_id = self->id,
        .is_lmtp = conf->proto == MX_PROTO_LMTP,
        .is_utf8 = self->envelope.is_smtputf8,
        .time_s = self->shared->now_s,
    };
    char *text = mx_envelope_scratch(&self->envelope, MX_TRACE_HEADER_MAX);
    assert(text != NULL); /* has_trace_room() was asked when the message began */
    return (struct mx_span){text, mx_trace_header_put(&header, text)};
}

static bool has_trace_room(const struct mx_session *self) {
    return !self->conf->needs_trace ||
           self->envelope.cap - self->envelope.used >= MX_TRACE_HEADER_MAX;
}

/* ---- the final reply ---- */

static struct mx_span refusal_text(const struct mx_session *self, int err) {
    switch (err) {
    case TOO_LARGE:
        return MX_SPAN("552 Quota exceeded");
    case LINE_TOO_LONG:
        return MX_SPAN("500 5.5.2 Line too long");
    case FAULT_SOFT:
        return MX_SPAN("450 4.3.0 Error: command failed");
    case FAULT_HARD:
        return MX_SPAN("500 5.3.0 Error: command failed");
    case -ENOSPC:
    case -EDQUOT:
    case -ENOMEM:
        return MX_SPAN("452 4.3.1 Insufficient system storage");
    default:
        return self->conf->proto == MX_PROTO_LMTP
                   ? MX_SPAN("451 4.0.0 Temporary error deliver message")
                   : MX_SPAN("451 4.0.0 Error processing message.");
    }
}

/* One final reply; LMTP names the recipient unless the message itself was refused. */
static void put_final(struct mx_session *self, int err, struct mx_span rcpt, struct mx_out *out) {
    struct mx_span text = MX_SPAN("250 2.6.0 Message received");
    if (err < 0)
        text = refusal_text(self, err);
    mx_session_count_reply(self, text.ptr[0]);
    mx_out_put(out, text);
    if (rcpt.len > 0 && (err == 0 || text.ptr[0] == '4')) {
        mx_out_put(out, MX_SPAN(" <"));
        mx_reply_echo(out, rcpt, MX_REPLY_LINE_MAX - 60, self->envelope.is_smtputf8);
        mx_out_put(out, MX_SPAN(">"));
    }
    mx_out_put(out, MX_SPAN("\r\n"));
}

/* The message was accepted for this many of its recipients. */
static void count_message(struct mx_session *self, uint32_t accepted_count) {
    struct mx_proto_counters *counters = &self->shared->counters;
    if (accepted_count == 0) {
        counters->messages_refused++;
        return;
    }
    counters->messages++;
    counters->recipients += accepted_count;
    counters->body_octets += self->stored_octets;
}

static void count_content(struct mx_session *self) {
    struct mx_proto_counters *counters = &self->shared->counters;
    counters->bare_cr_data += self->dot.has_bare_cr;
    counters->nul_data += self->dot.has_nul;
    counters->eightbit_data += self->dot.has_8bit;
}

/* The message's fate is known (message_error): reply and end the transaction. */
static enum mx_action put_result(struct mx_session *self, struct mx_out *out) {
    if (self->conf->proto == MX_PROTO_LMTP) {
        self->reply_cursor = self->envelope.rcpts_at;
        self->accepted_count = 0;
        mx_session_enter(self, MX_STATE_REPLIES);
        return MX_ACTION_NONE;
    }
    count_message(self, self->message_error < 0 ? 0 : self->envelope.rcpt_count);
    put_final(self, self->message_error, (struct mx_span){0}, out);
    mx_session_reset(self);
    mx_session_enter(self, MX_STATE_COMMAND);
    return MX_ACTION_NONE;
}

/* RFC 2033 4.2: one reply for each accepted recipient, in the order of RCPT. */
enum mx_action mx_session_step_replies(struct mx_session *self, struct mx_span *in,
                                       struct mx_out *out) {
    (void)in;
    struct mx_rcpt rcpt;
    while (mx_out_room(out) >= MX_REPLY_LINE_MAX) {
        if (!mx_envelope_rcpt_next(&self->envelope, &self->reply_cursor, &rcpt)) {
            count_message(self, self->accepted_count);
            mx_session_reset(self);
            mx_session_enter(self, MX_STATE_COMMAND);
            return MX_ACTION_NONE;
        }
        int err = self->message_error < 0 ? self->message_error : rcpt.result;
        self->accepted_count += err == 0;
        put_final(self, err, rcpt.address, out);
    }
    return MX_ACTION_OUTPUT;
}

static enum mx_action on_committed(struct mx_session *self, int result, struct mx_out *out) {
    assert(result <= 0);
    self->is_open = false;
    self->message_error = result;
    return put_result(self, out);
}

/* All content is here. */
static enum mx_action finish(struct mx_session *self, struct mx_out *out) {
    if (self->conf->faults != NULL) {
        bool is_handled = false;
        if (mx_session_fault_waits(self, MX_FAULT_DOT))
            return MX_ACTION_DELAY;
        self->is_fault_done = false;
        enum mx_fault_kind kind = (enum mx_fault_kind)self->conf->faults[MX_FAULT_DOT].kind;
        if (kind == MX_FAULT_SOFT || kind == MX_FAULT_HARD)
            fail(self, kind == MX_FAULT_SOFT ? FAULT_SOFT : FAULT_HARD);
        else
            mx_session_fault(self, MX_FAULT_DOT, &is_handled, out);
        if (is_handled)
            return MX_ACTION_NONE;
    }
    if (self->is_failed)
        return put_result(self, out);
    return mx_session_park(self, MX_ACTION_COMMIT, on_committed,
                           (enum mx_session_state)self->state);
}

/* ---- content to the sink ---- */

static enum mx_action content_done(struct mx_session *self, struct mx_out *out);

static enum mx_action on_stored(struct mx_session *self, int result, struct mx_out *out) {
    assert(result <= 0);
    if (result < 0)
        fail(self, result);
    return content_done(self, out);
}

/* Hand shared->slices[0..slice_count) over, or go on at once when there is nothing to store. */
static enum mx_action store(struct mx_session *self, struct mx_out *out) {
    struct mx_session_shared *shared = self->shared;
    if (self->is_failed || shared->slice_count == 0)
        return content_done(self, out);
    for (uint32_t i = 0; i < shared->slice_count; i++)
        self->stored_octets += shared->slices[i].len;
    return mx_session_park(self, MX_ACTION_BODY, on_stored, (enum mx_session_state)self->state);
}

/* slices[0] is the Received line when it is still due. Returns how many slices are taken. */
static uint32_t first_slices(struct mx_session *self) {
    if (!self->is_trace_due || self->is_failed)
        return 0;
    self->is_trace_due = false;
    self->shared->slices[0] = put_trace(self);
    return 1;
}

/* maxDataLineLength: neither the line's end nor a stuffing dot counts (RFC 5321 4.5.3.1.6). */
static void check_line_lengths(struct mx_session *self, struct mx_span wire) {
    bool is_data = self->state == MX_STATE_DATA;
    while (wire.len > 0 && !self->is_failed) {
        if (self->data_line_octets == 0)
            self->is_line_stuffed = is_data && wire.ptr[0] == '.';
        const char *lf = memchr(wire.ptr, '\n', wire.len);
        size_t len = lf != NULL ? (size_t)(lf - wire.ptr) : wire.len;
        uint64_t line = self->data_line_octets + (uint64_t)len;
        /* the CR before the LF is not counted; it may be the last octet of the span */
        uint64_t limit = self->conf->max_data_line_octets + UINT64_C(1) + self->is_line_stuffed;
        if (line > limit)
            fail(self, LINE_TOO_LONG);
        self->data_line_octets = lf != NULL ? 0 : (uint32_t)line;
        wire = mx_span_skip(wire, lf != NULL ? len + 1 : len);
    }
}

/* ---- DATA ---- */

static enum mx_action content_done(struct mx_session *self, struct mx_out *out) {
    if (self->state == MX_STATE_CHUNK)
        return MX_ACTION_NONE; /* step_chunk sees that nothing is left */
    switch ((enum mx_dot_result)self->content_result) {
    case MX_DOT_MORE:
    case MX_DOT_FULL:
        return MX_ACTION_NONE;
    case MX_DOT_BARE_LF:
        self->shared->counters.bare_lf_data++;
        SAY(self, out, "500 5.0.0 line delimiter must be CRLF");
        return mx_session_end(self);
    case MX_DOT_END:
        break;
    }
    count_content(self);
    return finish(self, out);
}

/* Octets received that may still turn out to be the final dot line, which does not count. */
static uint64_t undecided(const struct mx_dot *dot) {
    switch ((enum mx_dot_at)dot->at) {
    case MX_DOT_DOT:
        return 1;
    case MX_DOT_DOTCR:
        return 2;
    case MX_DOT_BOL:
    case MX_DOT_MID:
    case MX_DOT_CR:
        break;
    }
    return 0;
}

enum mx_action mx_session_step_data(struct mx_session *self, struct mx_span *in,
                                    struct mx_out *out) {
    if (self->is_fault_done) /* the delay at the final dot is over */
        return finish(self, out);
    if (in->len == 0)
        return MX_ACTION_INPUT;
    const struct mx_session_conf *conf = self->conf;
    struct mx_session_shared *shared = self->shared;
    uint32_t first = first_slices(self);
    size_t count = MX_BODY_SLICES - first;
    struct mx_span wire = *in;
    enum mx_dot_result result = mx_dot_scan(&self->dot, in, shared->slices + first, &count);
    wire.len -= in->len;
    self->content_result = (uint8_t)result;
    shared->slice_count = first + (uint32_t)count;
    self->received_octets += wire.len;
    uint64_t size = self->received_octets - (result == MX_DOT_END ? 3 : undecided(&self->dot));
    if (conf->max_message_octets > 0 && size > conf->max_message_octets)
        fail(self, TOO_LARGE);
    if (conf->max_data_line_octets > 0)
        check_line_lengths(self, wire);
    return store(self, out);
}

static struct mx_span open_refusal(int err) {
    return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM
               ? MX_SPAN("452 4.3.1 Insufficient system storage\r\n")
               : MX_SPAN("451 Unexpected error preparing to receive DATA.\r\n");
}

static void begin_message(struct mx_session *self) {
    self->is_open = true;
    self->is_trace_due = self->conf->needs_trace;
    self->stored_octets = 0;
}

static enum mx_action on_data_opened(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0) {
        mx_session_enter(self, MX_STATE_COMMAND);
        return mx_session_say(self, out, open_refusal(result));
    }
    begin_message(self);
    mx_dot_init(&self->dot);
    return SAY(self, out, "354 Ok Send data ending with <CRLF>.<CRLF>");
}

static enum mx_action on_data_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0)
        return mx_session_refuse(self, out);
    return mx_session_park(self, MX_ACTION_OPEN, on_data_opened, MX_STATE_DATA);
}

enum mx_action mx_session_data(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    if (!has_trace_room(self)) {
        if (self->is_memory_refused)
            return mx_session_say(self, out, open_refusal(-ENOMEM));
        return mx_session_grow(self, self->envelope.used + MX_TRACE_HEADER_MAX);
    }
    return mx_session_ask_hook(self, MX_HOOK_DATA, on_data_hook, out);
}

/* ---- BDAT (RFC 3030 2) ---- */

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
        mx_session_enter(self, MX_STATE_COMMAND);
        return mx_session_say(self, out, refusals[self->chunk_refusal]);
    }
    self->shared->counters.bdat_chunks++;
    if (self->is_last_chunk)
        return finish(self, out);
    if (self->is_failed) { /* RFC 3030 2: the client has to begin anew */
        put_final(self, self->message_error, (struct mx_span){0}, out);
        self->shared->counters.messages_refused++;
        mx_session_reset(self);
        mx_session_enter(self, MX_STATE_COMMAND);
        return MX_ACTION_NONE;
    }
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
        return finish(self, out);
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
    if (is_refused)
        return MX_ACTION_NONE;
    self->received_octets += len;
    if (self->conf->max_data_line_octets > 0)
        check_line_lengths(self, content);
    uint32_t count = first_slices(self);
    if (len > 0)
        shared->slices[count++] = content;
    shared->slice_count = count;
    return store(self, out);
}

static enum mx_action on_chunk_opened(struct mx_session *self, int result, struct mx_out *out) {
    (void)out;
    if (result < 0)
        fail(self, result);
    else
        begin_message(self);
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

enum mx_action mx_session_skip_chunk(struct mx_session *self, struct mx_span args) {
    if (!parse_bdat(self, args))
        return mx_session_end(self);
    self->chunk_left = self->chunk_octets;
    self->chunk_refusal = CHUNK_ANSWERED;
    mx_session_enter(self, MX_STATE_CHUNK);
    return MX_ACTION_NONE;
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
    if (is_first && !has_trace_room(self) && !self->is_memory_refused)
        return mx_session_grow(self, envelope->used + MX_TRACE_HEADER_MAX);
    self->chunk_left = self->chunk_octets;
    if (self->chunk_refusal == CHUNK_OK) {
        uint64_t max = self->conf->max_message_octets;
        if (max > 0 &&
            (self->chunk_octets > max || self->received_octets > max - self->chunk_octets))
            fail(self, TOO_LARGE);
        else if (is_first && !has_trace_room(self))
            fail(self, -ENOMEM);
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
