#include "proto/session.h"

#include "proto/session_impl.h"

#define IN(state) (1u << MX_STATE_##state)

/* clang-format off */
static const unsigned state_next[MX_STATE_COUNT] = {
    [MX_STATE_COMMAND] = IN(PARKED) | IN(AUTH) | IN(CHUNK) | IN(CLOSED),
    [MX_STATE_PROXY]   = IN(PARKED) | IN(CLOSED),
    [MX_STATE_AUTH]    = IN(PARKED) | IN(COMMAND) | IN(CLOSED),
    [MX_STATE_DATA]    = IN(PARKED) | IN(REPLIES) | IN(COMMAND) | IN(CLOSED),
    [MX_STATE_CHUNK]   = IN(PARKED) | IN(REPLIES) | IN(COMMAND) | IN(CLOSED),
    [MX_STATE_REPLIES] = IN(PARKED) | IN(COMMAND) | IN(CLOSED),
    [MX_STATE_PARKED]  = IN(COMMAND) | IN(PROXY) | IN(DATA) | IN(CHUNK) | IN(REPLIES) | IN(CLOSED),
    [MX_STATE_CLOSED]  = IN(CLOSED),
};
/* clang-format on */

void mx_session_enter(struct mx_session *self, enum mx_session_state next) {
    assert(state_next[self->state] & (1u << next));
    self->state = (uint8_t)next;
}

enum mx_action mx_session_park(struct mx_session *self, enum mx_action action,
                               mx_session_continue_fn *on_resume, enum mx_session_state then) {
    mx_session_enter(self, MX_STATE_PARKED);
    self->resume_state = (uint8_t)then;
    self->on_resume = on_resume;
    return action;
}

void mx_session_resume(struct mx_session *self, int result, struct mx_out *out) {
    assert(self->state == MX_STATE_PARKED && self->on_resume != NULL);
    mx_session_continue_fn *on_resume = self->on_resume;
    self->on_resume = NULL;
    mx_session_enter(self, (enum mx_session_state)self->resume_state);
    self->pending = (uint8_t)on_resume(self, result, out);
}

static enum mx_action nothing_more(struct mx_session *self, int result, struct mx_out *out) {
    (void)self, (void)result, (void)out;
    return MX_ACTION_NONE;
}

static enum mx_action on_grown(struct mx_session *self, int result, struct mx_out *out) {
    (void)out;
    self->is_memory_refused = result < 0;
    self->grows_for_rcpt = false;
    assert(result < 0 || self->envelope.cap >= self->grow_octets);
    return MX_ACTION_NONE;
}

enum mx_action mx_session_grow(struct mx_session *self, uint32_t octets) {
    self->grow_octets = octets;
    return mx_session_park(self, MX_ACTION_GROW, on_grown, MX_STATE_COMMAND);
}

/* ---- replies ---- */

void mx_session_count_line(struct mx_session *self, char digit) {
    if (digit == '4')
        self->shared->counters.replies_4xx++;
    if (digit == '5')
        self->shared->counters.replies_5xx++;
}

void mx_session_count_reply(struct mx_session *self, char digit) {
    self->error_count += digit >= '4';
    mx_session_count_line(self, digit);
}

enum mx_action mx_session_say(struct mx_session *self, struct mx_out *out, struct mx_span line) {
    mx_session_count_reply(self, line.ptr[0]);
    mx_out_put(out, line);
    return MX_ACTION_NONE;
}

enum mx_action mx_session_end(struct mx_session *self) {
    mx_session_enter(self, MX_STATE_CLOSED);
    return MX_ACTION_NONE;
}

/* "<code and enhanced code> <helloName> <text>" */
static void say_named(struct mx_session *self, struct mx_out *out, struct mx_span code,
                      struct mx_span text) {
    mx_session_count_reply(self, code.ptr[0]);
    mx_out_put(out, code);
    mx_out_put(out, self->conf->hello_name);
    mx_out_put(out, text);
}

void mx_session_farewell(struct mx_session *self, enum mx_farewell why, struct mx_out *out) {
    static const struct {
        struct mx_span code, text;
    } rows[] = {
        [MX_FAREWELL_TIMEOUT] = {MX_SPAN("421 4.4.2 "), MX_SPAN(" Timeout\r\n")             },
        [MX_FAREWELL_SLOW] = {MX_SPAN("421 4.4.2 "), MX_SPAN(" Data rate too low\r\n")   },
        [MX_FAREWELL_CONNECTIONS] = {MX_SPAN("421 4.7.0 "), MX_SPAN(" Too many connections\r\n")},
        [MX_FAREWELL_SHUTDOWN] = {MX_SPAN("421 4.3.2 "), MX_SPAN(" Shutting down\r\n")       },
        [MX_FAREWELL_MEMORY] = {MX_SPAN("421 4.3.1 "),
                                 MX_SPAN(" Insufficient system resources\r\n")              },
        [MX_FAREWELL_PROXY] = {MX_SPAN("421 4.7.0 "),
                                 MX_SPAN(" Only known proxies may connect\r\n")             },
    };
    if (self->state == MX_STATE_CLOSED)
        return;
    self->on_resume = NULL;
    self->pending = MX_ACTION_NONE;
    say_named(self, out, rows[why].code, rows[why].text);
    mx_session_enter(self, MX_STATE_CLOSED);
}

/* ---- the transaction ---- */

void mx_session_reset(struct mx_session *self) {
    self->is_abort_due = self->is_open;
    mx_envelope_reset(&self->envelope);
    self->is_failed = self->is_chunked = self->is_last_chunk = self->is_trace_due = false;
    self->wants_from = false;
    self->message_error = 0;
    self->received_octets = self->stored_octets = 0;
    self->data_line_octets = 0;
    self->is_line_cr = false;
    self->unknown_count = 0;
    self->refusal_len = 0;
}

/* ---- verbs that need no file of their own (others: session_verbs.c) ---- */

static enum mx_action verb_quit(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    self->has_quit = true;
    if (args.len > 0)
        SAY(self, out, "500 5.5.4 Unexpected argument provided with QUIT command");
    else
        say_named(self, out, MX_SPAN("221 2.0.0 "),
                  MX_SPAN(" Service closing transmission channel\r\n"));
    return mx_session_end(self);
}

static enum mx_action unknown(struct mx_session *self, struct mx_span verb, struct mx_out *out) {
    enum mx_action action;
    if (!self->is_hook_asked) {
        self->shared->counters.unknown_commands++;
        self->unknown_count = (uint16_t)(self->unknown_count + (self->unknown_count < UINT16_MAX));
    }
    if (!mx_session_hook_first(self, MX_HOOK_UNKNOWN, &action))
        return action;
    if (self->conf->proto == MX_PROTO_LMTP)
        return SAY(self, out, "500 Unable to process request: the command is unknown");
    mx_session_count_reply(self, '5');
    mx_out_put(out, MX_SPAN("500 5.5.1 Command "));
    size_t start = out->len;
    mx_reply_echo(out, verb, MX_REPLY_LINE_MAX - 40, false);
    for (size_t i = start; i < out->len; i++)
        out->ptr[i] = mx_ascii_upper(out->ptr[i]);
    mx_out_put(out, MX_SPAN(" unrecognized.\r\n"));
    return MX_ACTION_NONE;
}

/* ---- the verb table ---- */

/* What a guard looks at. */
enum fact {
    HAS_HELO = 1,
    HAS_SENDER = 2,
    HAS_RCPT = 4,
    IS_CHUNKED = 8,
    IS_BINARY = 16,
    IS_AUTHENTICATED = 32,
    IS_TLS = 64
};

struct guard {
    unsigned fact; /* 0 ends the list */
    bool refused_when;
    struct mx_span reply;
};

#define UNLESS(fact, text)                                                                         \
    {                                                                                              \
        fact, false, {                                                                             \
            text "\r\n", sizeof(text "\r\n") - 1                                                   \
        }                                                                                          \
    }
#define WHEN(fact, text)                                                                           \
    {                                                                                              \
        fact, true, {                                                                              \
            text "\r\n", sizeof(text "\r\n") - 1                                                   \
        }                                                                                          \
    }

/* The order of the guards is the order of the checks. */
/* clang-format off */
static const struct verb_row {
    mx_verb_fn *run;
    struct mx_span no_args; /* the refusal of an argument; empty: arguments are for run */
    struct guard guards[4];
} rows[MX_VERB_COUNT] = {
    [MX_VERB_MAIL] = {mx_session_mail, {0}, {
        WHEN(HAS_SENDER, "503 5.5.0 Sender already specified"),
        UNLESS(HAS_HELO, "503 5.5.0 Need HELO or EHLO before MAIL")}},
    [MX_VERB_RCPT] = {mx_session_rcpt, {0}, {
        UNLESS(HAS_SENDER, "503 5.5.0 Need MAIL before RCPT"),
        WHEN(IS_CHUNKED, "503 5.5.0 BDAT has begun, no more recipients")}},
    [MX_VERB_DATA] = {mx_session_data, MX_SPAN("500 5.5.4 Unexpected argument provided with DATA command\r\n"), {
        UNLESS(HAS_SENDER, "503 5.5.0 No sender specified"),
        UNLESS(HAS_RCPT, "503 5.5.0 No recipients specified"),
        WHEN(IS_CHUNKED, "503 5.5.0 BDAT has begun, DATA is not allowed"),
        WHEN(IS_BINARY, "503 5.5.0 BODY=BINARYMIME needs BDAT")}},
    [MX_VERB_BDAT] = {mx_session_bdat, {0}, {{0}}},
    [MX_VERB_EHLO] = {mx_session_ehlo, {0}, {{0}}},
    [MX_VERB_HELO] = {mx_session_helo, {0}, {{0}}},
    [MX_VERB_LHLO] = {mx_session_ehlo, {0}, {{0}}},
    [MX_VERB_QUIT] = {verb_quit, {0}, {{0}}},
    [MX_VERB_RSET] = {mx_session_rset, MX_SPAN("500 5.5.4 Unexpected argument provided with RSET command\r\n"), {{0}}},
    [MX_VERB_NOOP] = {mx_session_noop, {0}, {{0}}},
    [MX_VERB_VRFY] = {mx_session_vrfy, {0}, {{0}}},
    [MX_VERB_EXPN] = {mx_session_expn, {0}, {{0}}},
    [MX_VERB_HELP] = {mx_session_help, {0}, {{0}}},
    [MX_VERB_AUTH] = {mx_session_auth, {0}, {
        WHEN(IS_AUTHENTICATED, "503 5.5.0 User has previously authenticated.  Further authentication is not required!"),
        WHEN(IS_CHUNKED, "503 5.5.0 BDAT has begun, AUTH is not allowed")}},
    [MX_VERB_STARTTLS] = {mx_session_starttls, MX_SPAN("501 5.5.4 Syntax error (no parameters allowed) with STARTTLS command\r\n"), {
        WHEN(IS_TLS, "500 5.5.1 TLS already active RFC2487 5.2"),
        WHEN(IS_AUTHENTICATED, "501 5.5.4 Syntax error (invalid command in this state) Already authenticated...")}},
};
/* clang-format on */

static unsigned facts(const struct mx_session *self) {
    const struct mx_session_conf *conf = self->conf;
    bool is_greeted = self->has_helo || !conf->needs_helo || conf->proto == MX_PROTO_LMTP;
    return (is_greeted ? HAS_HELO : 0u) | (self->envelope.has_sender ? HAS_SENDER : 0u) |
           (self->envelope.rcpt_count > 0 ? HAS_RCPT : 0u) | (self->is_chunked ? IS_CHUNKED : 0u) |
           (self->envelope.body_type == MX_BODY_BINARYMIME ? IS_BINARY : 0u) |
           (self->is_authenticated ? IS_AUTHENTICATED : 0u) | (self->is_tls ? IS_TLS : 0u);
}

static enum mx_action run_verb(struct mx_session *self, enum mx_verb verb, struct mx_span args,
                               struct mx_out *out) {
    const struct verb_row *row = &rows[verb];
    if (args.len > 0 && row->no_args.len > 0)
        return mx_session_say(self, out, row->no_args);
    unsigned now = facts(self);
    for (const struct guard *g = row->guards; g < row->guards + 4 && g->fact != 0; g++) {
        if (((now & g->fact) != 0) == g->refused_when)
            return mx_session_say(self, out, g->reply);
    }
    return row->run(self, args, out);
}

/* ---- command lines ---- */

static struct mx_span trim(struct mx_span text) {
    while (text.len > 0 && (unsigned char)text.ptr[0] <= 0x20)
        text = mx_span_skip(text, 1);
    while (text.len > 0 && (unsigned char)text.ptr[text.len - 1] <= 0x20)
        text.len--;
    return text;
}

static enum mx_verb known_verb(const struct mx_session *self, struct mx_span name) {
    enum mx_verb verb = mx_verb_find(name);
    unsigned mine = self->conf->proto == MX_PROTO_LMTP ? MX_IN_LMTP : MX_IN_SMTP;
    if (verb == MX_VERB_UNKNOWN || !(mx_verb_protocols(verb) & mine))
        return MX_VERB_UNKNOWN;
    if (verb == MX_VERB_BDAT && (self->conf->hidden_features & MX_FEATURE_CHUNKING))
        return MX_VERB_UNKNOWN;
    if (verb == MX_VERB_STARTTLS && !self->conf->has_starttls)
        return MX_VERB_UNKNOWN;
    if (verb == MX_VERB_AUTH && !self->conf->has_auth)
        return MX_VERB_UNKNOWN;
    return verb;
}

/* Reading what stands behind a BDAT line as commands would be smuggling. */
static bool begins_with_bdat(const struct mx_session *self, struct mx_span line) {
    return line.len >= 4 && known_verb(self, (struct mx_span){line.ptr, 4}) == MX_VERB_BDAT;
}

/* "BDAT\t6": no command of ours, but the client may think it is. */
static bool is_odd_bdat(const struct mx_session *self, struct mx_span line) {
    return line.len > 4 && (unsigned char)line.ptr[4] <= 0x20 && begins_with_bdat(self, line);
}

static enum mx_action run_line(struct mx_session *self, struct mx_span line, struct mx_out *out) {
    line = trim(line);
    const char *space = memchr(line.ptr, ' ', line.len < 5 ? line.len : 5);
    if (space == NULL && line.len > 5)
        space = memchr(line.ptr, ' ', line.len);
    size_t name_len = space != NULL ? (size_t)(space - line.ptr) : line.len;
    struct mx_span name = {line.ptr, name_len};
    struct mx_span args = space != NULL ? mx_span_skip(line, name_len + 1) : (struct mx_span){0};
    enum mx_verb verb = known_verb(self, name);
    bool is_handled = false;
    enum mx_action action = MX_ACTION_NONE;
    if (self->conf->faults != NULL) {
        if (mx_session_fault_waits(self, verb))
            return MX_ACTION_DELAY;
        action = mx_session_fault(self, verb, &is_handled, out);
    }
    if (!is_handled && verb != MX_VERB_UNKNOWN)
        return run_verb(self, verb, args, out);
    if (!is_handled)
        action = unknown(self, name, out);
    bool is_answered = action == MX_ACTION_NONE && self->state != MX_STATE_CLOSED;
    if (is_answered && verb == MX_VERB_UNKNOWN && is_odd_bdat(self, line))
        return mx_session_end(self);
    return action;
}

/* What ends a session instead of its next command. */
static bool is_over(struct mx_session *self, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (self->is_draining && !mx_session_in_transaction(self)) {
        mx_session_farewell(self, MX_FAREWELL_SHUTDOWN, out);
        return true;
    }
    if (conf->max_auth_failures > 0 && self->auth_failures >= conf->max_auth_failures) {
        self->shared->counters.auth_limit++;
        say_named(self, out, MX_SPAN("421 4.7.0 "), MX_SPAN(" Too many failed logins\r\n"));
        mx_session_end(self);
        return true;
    }
    if (conf->max_errors == 0 || self->error_count < conf->max_errors)
        return false;
    self->shared->counters.error_limit++;
    say_named(self, out, MX_SPAN("421 4.7.0 "), MX_SPAN(" Too many errors\r\n"));
    mx_session_end(self);
    return true;
}

/* A line that is refused unread; may_be_bdat: octets of a chunk may stand behind it. */
static enum mx_action refuse_line(struct mx_session *self, bool may_be_bdat, struct mx_span refusal,
                                  struct mx_out *out) {
    mx_session_say(self, out, refusal);
    return may_be_bdat ? mx_session_end(self) : MX_ACTION_NONE;
}

static enum mx_action refuse_long_line(struct mx_session *self, struct mx_span seen,
                                       struct mx_out *out) {
    self->shared->counters.line_limit++;
    /* How much of the line is seen depends on the network; its first four octets always are. So
     * white space is not skipped: what stands behind it might be BDAT. */
    bool may_be_bdat = (unsigned char)seen.ptr[0] <= 0x20 || begins_with_bdat(self, seen);
    return refuse_line(self, may_be_bdat,
                       MX_SPAN("500 Line length exceeded. See RFC 2821 #4.5.3.1.\r\n"), out);
}

static enum mx_action refuse_bare_lf(struct mx_session *self, struct mx_span line,
                                     struct mx_out *out) {
    self->shared->counters.bare_lf_commands++;
    return refuse_line(self, begins_with_bdat(self, trim(line)),
                       MX_SPAN("500 5.5.2 line delimiter must be CRLF\r\n"), out);
}

/* The command wants something of the driver first. A failed login waits behind its own line. */
static bool runs_again(const struct mx_session *self, enum mx_action action) {
    if (action == MX_ACTION_NONE)
        return false;
    bool is_first_hook =
        action == MX_ACTION_HOOK && (self->hook == MX_HOOK_HELO || self->hook == MX_HOOK_UNKNOWN);
    return action == MX_ACTION_GROW || action == MX_ACTION_AUTH_BEGIN || is_first_hook ||
           (action == MX_ACTION_DELAY && !self->is_in_auth);
}

static enum mx_action step_command(struct mx_session *self, struct mx_span *in,
                                   struct mx_out *out) {
    if (is_over(self, out))
        return MX_ACTION_NONE;
    struct mx_span line;
    bool bare_lf = false;
    int err = mx_line_take(&self->line, in, &line, &bare_lf);
    if (err == MX_EPARTIAL)
        return MX_ACTION_INPUT;
    enum mx_action action;
    if (err == MX_ELIMIT) {
        action = refuse_long_line(self, line, out);
    } else if (bare_lf && self->conf->refuses_bare_lf_commands) {
        action = refuse_bare_lf(self, line, out);
    } else {
        self->has_more = in->len > 0;
        action = run_line(self, line, out);
        if (runs_again(self, action)) {
            /* the same line runs again after resume */
            *in = (struct mx_span){line.ptr, (size_t)(in->ptr + in->len - line.ptr)};
            return action;
        }
        self->shared->counters.bare_lf_commands += bare_lf;
        self->is_memory_refused = self->is_fault_done = self->is_hook_asked = false;
    }
    self->shared->counters.commands++;
    return action;
}

/* ---- the driver's calls ---- */

void mx_session_init(struct mx_session *self, const struct mx_session_conf *conf,
                     struct mx_session_shared *shared, uint32_t id) {
    assert(conf->max_line_octets >= 4); /* refuse_long_line looks at as many */
    memset(self, 0, sizeof *self);
    self->conf = conf;
    self->shared = shared;
    self->id = id;
    self->state = conf->needs_proxy ? MX_STATE_PROXY : MX_STATE_COMMAND;
    mx_line_init(&self->line, conf->max_line_octets);
}

/* No service: the refusal is the greeting. */
static enum mx_action end_greeting(struct mx_session *self) {
    if (self->state != MX_STATE_CLOSED)
        mx_session_enter(self, MX_STATE_CLOSED);
    return MX_ACTION_CLOSE;
}

enum mx_action mx_session_greet(struct mx_session *self, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (conf->faults != NULL) {
        bool is_handled;
        if (mx_session_fault_waits(self, MX_FAULT_CONNECT))
            return MX_ACTION_DELAY; /* greet is called again after resume */
        self->is_fault_done = false;
        mx_session_fault(self, MX_FAULT_CONNECT, &is_handled, out);
        if (is_handled)
            return end_greeting(self);
    }
    if (!conf->needs_proxy) { /* else nobody knows yet who it is */
        enum mx_action action;
        if (!mx_session_hook_first(self, MX_HOOK_CONNECT, &action))
            return action == MX_ACTION_NONE ? end_greeting(self) : action;
        self->is_hook_asked = false;
    }
    mx_out_put(out, MX_SPAN("220 "));
    if (conf->greeting.len > 0) {
        mx_reply_echo(out, conf->greeting, MX_REPLY_LINE_MAX - 6, true);
        mx_out_put(out, MX_SPAN("\r\n"));
        return MX_ACTION_INPUT;
    }
    static const struct mx_span texts[2][2] = {
        [MX_PROTO_SMTP] = {MX_SPAN(" SMTP Server (mxring) ready\r\n"),
                           MX_SPAN(" JAMES SMTP Server Server (JAMES SMTP Server ) ready\r\n")},
        [MX_PROTO_LMTP] = {MX_SPAN(" LMTP Server (mxring) ready\r\n"),
                           MX_SPAN(" LMTP Server (JAMES Protocols Server) ready\r\n")         },
    };
    mx_out_put(out, conf->hello_name);
    mx_out_put(out, texts[conf->proto][conf->has_james_texts]);
    return MX_ACTION_INPUT;
}

static enum mx_action step_once(struct mx_session *self, struct mx_span *in, struct mx_out *out) {
    switch ((enum mx_session_state)self->state) {
    case MX_STATE_COMMAND:
        return step_command(self, in, out);
    case MX_STATE_PROXY:
        return mx_session_step_proxy(self, in, out);
    case MX_STATE_AUTH:
        return mx_session_step_auth(self, in, out);
    case MX_STATE_DATA:
        return mx_session_step_data(self, in, out);
    case MX_STATE_CHUNK:
        return mx_session_step_chunk(self, in, out);
    case MX_STATE_REPLIES:
        return mx_session_step_replies(self, in, out);
    case MX_STATE_CLOSED:
        *in = mx_span_skip(*in, in->len);
        return MX_ACTION_CLOSE;
    case MX_STATE_PARKED:
    case MX_STATE_COUNT:
        break;
    }
    assert(false); /* step on a parked session */
    return MX_ACTION_CLOSE;
}

enum mx_action mx_session_step(struct mx_session *self, struct mx_span *in, struct mx_out *out) {
    for (;;) {
        enum mx_action action = (enum mx_action)self->pending;
        self->pending = MX_ACTION_NONE;
        if (action != MX_ACTION_NONE)
            return action;
        if (self->is_abort_due && self->state != MX_STATE_CLOSED) {
            self->is_abort_due = self->is_open = false;
            return mx_session_park(self, MX_ACTION_ABORT, nothing_more,
                                   (enum mx_session_state)self->state);
        }
        if (mx_out_room(out) < MX_OUT_ROOM_MIN && self->state != MX_STATE_CLOSED)
            return MX_ACTION_OUTPUT;
        action = step_once(self, in, out);
        if (action != MX_ACTION_NONE)
            return action;
    }
}
