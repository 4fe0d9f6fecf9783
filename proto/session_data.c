/* session_data.c - DATA, content on its way to the sink, and the replies behind a message. RFC 5321
 * 4.1.1.4, RFC 2033. */
#include "proto/session_impl.h"
#include "proto/trace_header.h"

void mx_session_fail(struct mx_session *self, int err) {
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

/* ---- what is kept of a message beside its content: the Received line or the refusal of a
 * hook, then struct mx_from ---- */

_Static_assert(MX_TRACE_HEADER_MAX % _Alignof(struct mx_from) == 0, "it would not be aligned");

static bool wants_from(const struct mx_session *self) {
    switch ((enum mx_session_from)self->conf->wants_from) {
    case MX_SESSION_FROM_NOBODY:
        return false;
    case MX_SESSION_FROM_LOGGED_IN:
        return self->is_authenticated;
    case MX_SESSION_FROM_EVERYBODY:
        break;
    }
    return true;
}

/* Nobody logs in while a message is open. */
static uint32_t scratch_len(const struct mx_session *self) {
    const struct mx_session_conf *conf = self->conf;
    static_assert((int)MX_TRACE_HEADER_MAX >= (int)MX_REPLY_LINE_MAX, "a refusal fits");
    bool is_needed = conf->needs_trace || wants_from(self) || (conf->hooks & 1u << MX_HOOK_MESSAGE);
    uint32_t len = is_needed ? MX_TRACE_HEADER_MAX : 0;
    if (wants_from(self))
        len += (uint32_t)sizeof(struct mx_from) + (self->is_authenticated ? MX_FROM_TEXT_MAX : 0);
    return len;
}

bool mx_session_has_message_room(const struct mx_session *self) {
    return self->envelope.cap - self->envelope.used >= scratch_len(self);
}

uint32_t mx_session_message_need(const struct mx_session *self) {
    return self->envelope.used + scratch_len(self);
}

static struct mx_from *from_of(const struct mx_session *self) {
    const struct mx_envelope *envelope = &self->envelope;
    return (struct mx_from *)(void *)(envelope->base + envelope->rcpts_end + MX_TRACE_HEADER_MAX);
}

const struct mx_from *mx_session_from(const struct mx_session *self) {
    return self->wants_from ? from_of(self) : NULL;
}

static void begin_from(struct mx_session *self) {
    self->wants_from = wants_from(self);
    if (!self->wants_from)
        return;
    char *room = mx_envelope_scratch(&self->envelope, scratch_len(self));
    assert(room != NULL);
    *from_of(self) = (struct mx_from){.keeps_text = self->is_authenticated};
}

static void scan_from(struct mx_session *self) {
    const struct mx_session_shared *shared = self->shared;
    if (!self->wants_from || self->is_failed)
        return;
    struct mx_from *from = from_of(self);
    for (uint32_t i = 0; i < shared->slice_count && !from->is_over; i++)
        mx_from_scan(from, shared->slices[i]);
}

/* ---- the Received line ---- */

static struct mx_span only_rcpt(const struct mx_session *self) {
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = self->envelope.rcpts_at;
    if (self->envelope.rcpt_count == 1 && mx_envelope_rcpt_next(&self->envelope, &cursor, &rcpt))
        return rcpt.address;
    return (struct mx_span){0};
}

/* "TLSv1.3 with cipher X" */
static void put_tls(const struct mx_session *self, struct mx_out *out) {
    if (!self->is_tls || self->tls == NULL)
        return;
    mx_reply_echo(out, self->tls->version, 16, false);
    mx_out_put(out, MX_SPAN(" with cipher "));
    mx_reply_echo(out, self->tls->cipher, 64, false);
}

static struct mx_span put_trace(struct mx_session *self) {
    static const struct mx_span james[2] = {MX_SPAN("JAMES SMTP Server "),
                                            MX_SPAN("JAMES Protocols Server")};
    const struct mx_session_conf *conf = self->conf;
    char room[16 + 13 + 64];
    struct mx_out tls = {room, 0, sizeof room};
    put_tls(self, &tls);
    bool is_greeted = self->helo_verb != 0 && self->helo_len > 0;
    struct mx_extras extras;
    mx_envelope_extras(&self->envelope, &extras);
    struct mx_trace_header header = {
        .helo_verb = is_greeted ? mx_span_of(mx_verb_name((enum mx_verb)self->helo_verb))
                                : (struct mx_span){0              },
        .helo_name = { self->helo_name, self->helo_len},
        .peer = self->peer,
        .by = conf->hello_name,
        .tls = { room,        tls.len},
        .is_tls = self->is_tls,
        .software = conf->has_james_texts ? james[conf->proto] : MX_SPAN("mxring"),
        .rcpt = only_rcpt(self),
        .session_id = self->id,
        .is_lmtp = conf->proto == MX_PROTO_LMTP,
        .is_auth = self->is_authenticated,
        .is_utf8 = self->envelope.is_smtputf8,
        .has_priority = extras.has_priority,
        .priority = extras.priority,
        .time_s = self->shared->now_s,
    };
    char *text = mx_envelope_scratch(&self->envelope, scratch_len(self));
    assert(text != NULL); /* has_message_room was asked when the message began */
    return (struct mx_span){text, mx_trace_header_put(&header, text)};
}

/* ---- the final reply ---- */

static struct mx_span refusal_text(const struct mx_session *self, int err) {
    switch (err) {
    case TOO_LARGE:
        return MX_SPAN("552 Quota exceeded");
    case LINE_TOO_LONG:
        return MX_SPAN("500 5.5.2 Line too long");
    case MX_EREFUSED:
        return MX_SPAN("554 Email rejected");
    case FAULT_SOFT:
        return MX_SPAN("450 4.3.0 Error: command failed");
    case FAULT_HARD:
        return MX_SPAN("500 5.3.0 Error: command failed");
    case NO_FROM:
        return MX_SPAN("503 5.5.4 Missing From header");
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
    bool is_hook = err == MX_EREFUSED && self->refusal_len > 0;
    if (is_hook)
        text = (struct mx_span){self->envelope.base + self->envelope.rcpts_end, self->refusal_len};
    mx_session_count_line(self, text.ptr[0]);
    if (is_hook)
        mx_reply_echo(out, text, MX_REPLY_LINE_MAX - 2, true);
    else
        mx_out_put(out, text);
    if (!is_hook && rcpt.len > 0 && (err == 0 || text.ptr[0] == '4')) {
        mx_out_put(out, MX_SPAN(" <"));
        mx_reply_echo(out, rcpt, MX_REPLY_LINE_MAX - 60, self->envelope.is_smtputf8);
        mx_out_put(out, MX_SPAN(">"));
    }
    mx_out_put(out, MX_SPAN("\r\n"));
}

/* LMTP: how many recipients the sink took the message for. */
static uint32_t count_accepted(const struct mx_envelope *envelope) {
    uint32_t accepted_count = 0, cursor = envelope->rcpts_at;
    struct mx_rcpt rcpt;
    while (mx_envelope_rcpt_next(envelope, &cursor, &rcpt))
        accepted_count += rcpt.result == 0;
    return accepted_count;
}

/* Before the replies: a client that does not read them changes nothing about what was stored. A
 * message is one error, however many of its recipients are told so. */
static void count_message(struct mx_session *self) {
    const struct mx_envelope *envelope = &self->envelope;
    struct mx_proto_counters *counters = &self->shared->counters;
    uint32_t accepted_count = 0;
    if (self->message_error == 0)
        accepted_count =
            self->conf->proto == MX_PROTO_LMTP ? count_accepted(envelope) : envelope->rcpt_count;
    self->error_count += accepted_count < envelope->rcpt_count;
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

static enum mx_action end_transaction(struct mx_session *self) {
    mx_session_reset(self);
    if (self->ends_after_message)
        return mx_session_end(self);
    mx_session_enter(self, MX_STATE_COMMAND);
    return MX_ACTION_NONE;
}

enum mx_action mx_session_put_result(struct mx_session *self, struct mx_out *out) {
    count_message(self);
    put_final(self, self->message_error, (struct mx_span){0}, out);
    return end_transaction(self);
}

/* The fate of the whole message is known (message_error). */
static enum mx_action put_results(struct mx_session *self, struct mx_out *out) {
    if (self->conf->proto != MX_PROTO_LMTP)
        return mx_session_put_result(self, out);
    count_message(self);
    self->reply_cursor = self->envelope.rcpts_at;
    mx_session_enter(self, MX_STATE_REPLIES);
    return MX_ACTION_NONE;
}

/* RFC 2033 4.2: one reply for each accepted recipient, in the order of RCPT. */
enum mx_action mx_session_step_replies(struct mx_session *self, struct mx_span *in,
                                       struct mx_out *out) {
    (void)in;
    struct mx_rcpt rcpt;
    while (mx_out_room(out) >= MX_REPLY_LINE_MAX) {
        if (!mx_envelope_rcpt_next(&self->envelope, &self->reply_cursor, &rcpt))
            return end_transaction(self);
        int err = self->message_error < 0 ? self->message_error : rcpt.result;
        put_final(self, err, rcpt.address, out);
    }
    return MX_ACTION_OUTPUT;
}

static enum mx_action on_committed(struct mx_session *self, int result, struct mx_out *out) {
    assert(result <= 0);
    self->is_open = false;
    self->message_error = result;
    return put_results(self, out);
}

/* The reply of a hook has to wait for its turn, in LMTP perhaps for the client to read others. */
static void keep_refusal(struct mx_session *self) {
    const struct mx_refusal *refusal = &self->shared->refusal;
    size_t len = refusal->text.len < MX_REPLY_LINE_MAX ? refusal->text.len : MX_REPLY_LINE_MAX;
    char *room = mx_envelope_scratch(&self->envelope, scratch_len(self));
    assert(room != NULL); /* has_message_room was asked when the message began */
    if (len > 0)
        memcpy(room, refusal->text.ptr, len);
    self->refusal_len = (uint16_t)len;
    self->ends_after_message = refusal->is_disconnect;
    mx_session_fail(self, MX_EREFUSED);
}

static enum mx_action on_message_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result == -EACCES)
        keep_refusal(self);
    else if (result < 0)
        mx_session_fail(self, result);
    if (self->is_failed)
        return put_results(self, out);
    return mx_session_park(self, MX_ACTION_COMMIT, on_committed,
                           (enum mx_session_state)self->state);
}

static enum mx_action on_chunk_refused(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0)
        keep_refusal(self);
    return mx_session_put_result(self, out);
}

enum mx_action mx_session_put_failure(struct mx_session *self, struct mx_out *out) {
    if (self->message_error != MX_EREFUSED)
        return mx_session_put_result(self, out);
    return mx_session_ask_hook(self, MX_HOOK_MESSAGE, on_chunk_refused, out);
}

enum mx_action mx_session_finish(struct mx_session *self, struct mx_out *out) {
    if (self->conf->faults != NULL) {
        bool is_handled;
        if (mx_session_fault_waits(self, MX_FAULT_DOT))
            return MX_ACTION_DELAY;
        self->is_fault_done = false;
        mx_session_fault(self, MX_FAULT_DOT, &is_handled, out);
        if (is_handled)
            return MX_ACTION_NONE;
        mx_session_fault_message(self, MX_FAULT_DOT);
    }
    bool is_refused = self->message_error == MX_EREFUSED;
    if (self->wants_from && !is_refused && !from_of(self)->has_from && !from_of(self)->has_sender)
        mx_session_fail(self, NO_FROM);
    if (self->is_failed && !is_refused)
        return put_results(self, out);
    return mx_session_ask_hook(self, MX_HOOK_MESSAGE, on_message_hook, out);
}

/* ---- content to the sink ---- */

static enum mx_action content_done(struct mx_session *self, struct mx_out *out);

static enum mx_action on_stored(struct mx_session *self, int result, struct mx_out *out) {
    assert(result <= 0);
    if (result < 0)
        mx_session_fail(self, result);
    return content_done(self, out);
}

enum mx_action mx_session_store(struct mx_session *self, struct mx_out *out) {
    struct mx_session_shared *shared = self->shared;
    scan_from(self);
    if (self->is_failed || shared->slice_count == 0)
        return content_done(self, out);
    for (uint32_t i = 0; i < shared->slice_count; i++)
        self->stored_octets += shared->slices[i].len;
    return mx_session_park(self, MX_ACTION_BODY, on_stored, (enum mx_session_state)self->state);
}

uint32_t mx_session_first_slices(struct mx_session *self) {
    if (!self->is_trace_due || self->is_failed)
        return 0;
    self->is_trace_due = false;
    self->shared->slices[0] = put_trace(self);
    return 1;
}

/* RFC 3030 3: BINARYMIME content has no lines. */
static bool has_line_limit(const struct mx_session *self) {
    return self->conf->max_data_line_octets > 0 && self->envelope.body_type != MX_BODY_BINARYMIME;
}

static void check_line(struct mx_session *self, uint64_t octets) {
    if (octets > (uint64_t)self->conf->max_data_line_octets + self->is_line_stuffed)
        mx_session_fail(self, LINE_TOO_LONG);
}

void mx_session_check_lines(struct mx_session *self, struct mx_span wire) {
    if (!has_line_limit(self))
        return;
    bool is_data = self->state == MX_STATE_DATA;
    while (wire.len > 0 && !self->is_failed) {
        if (self->data_line_octets == 0)
            self->is_line_stuffed = is_data && wire.ptr[0] == '.';
        const char *lf = memchr(wire.ptr, '\n', wire.len);
        size_t len = lf != NULL ? (size_t)(lf - wire.ptr) : wire.len;
        if (len > 0)
            self->is_line_cr = wire.ptr[len - 1] == '\r';
        uint64_t octets = self->data_line_octets + (uint64_t)len;
        /* a last CR belongs to the line's end, or may still turn out to */
        check_line(self, octets - self->is_line_cr);
        self->data_line_octets = lf != NULL ? 0 : (uint32_t)octets;
        self->is_line_cr = self->is_line_cr && lf == NULL;
        wire = mx_span_skip(wire, lf != NULL ? len + 1 : len);
    }
}

void mx_session_check_last_line(struct mx_session *self) {
    if (has_line_limit(self))
        check_line(self, self->data_line_octets);
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
        self->shared->counters.messages_refused++;
        SAY(self, out, "500 5.0.0 line delimiter must be CRLF");
        return mx_session_end(self);
    case MX_DOT_END:
        break;
    }
    count_content(self);
    return mx_session_finish(self, out);
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
        return mx_session_finish(self, out);
    if (in->len == 0)
        return MX_ACTION_INPUT;
    const struct mx_session_conf *conf = self->conf;
    struct mx_session_shared *shared = self->shared;
    uint32_t first = mx_session_first_slices(self);
    size_t count = MX_BODY_SLICES - first;
    struct mx_span wire = *in;
    enum mx_dot_result result = mx_dot_scan(&self->dot, in, shared->slices + first, &count);
    wire.len -= in->len;
    self->content_result = (uint8_t)result;
    shared->slice_count = first + (uint32_t)count;
    self->received_octets += wire.len;
    uint64_t size = self->received_octets - (result == MX_DOT_END ? 3 : undecided(&self->dot));
    if (conf->max_message_octets > 0 && size > conf->max_message_octets)
        mx_session_fail(self, TOO_LARGE);
    mx_session_check_lines(self, wire);
    return mx_session_store(self, out);
}

static struct mx_span open_refusal(int err) {
    return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM
               ? MX_SPAN("452 4.3.1 Insufficient system storage\r\n")
               : MX_SPAN("451 Unexpected error preparing to receive DATA.\r\n");
}

void mx_session_begin_message(struct mx_session *self) {
    self->is_open = true;
    self->is_trace_due = self->conf->needs_trace;
    self->stored_octets = 0;
    begin_from(self);
}

static enum mx_action on_data_opened(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0) {
        mx_session_enter(self, MX_STATE_COMMAND);
        return mx_session_say(self, out, open_refusal(result));
    }
    mx_session_begin_message(self);
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
    if (!mx_session_has_message_room(self)) {
        if (self->is_memory_refused)
            return mx_session_say(self, out, open_refusal(-ENOMEM));
        return mx_session_grow(self, mx_session_message_need(self));
    }
    return mx_session_ask_hook(self, MX_HOOK_DATA, on_data_hook, out);
}
