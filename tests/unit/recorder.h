/* recorder.h - drives one mx_session over octets and records what it says and what it stores.
 *
 * What must hold for every session is checked here, by assertion: replies are whole lines, a
 * message is opened, filled, committed and aborted in that order, what is committed is what a naive
 * reading of the stream says, and nothing happens after CLOSE. The input of each call is a copy of
 * its exact size, so that a sanitizer sees a read behind it.
 */
#pragma once
#include "proto/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
    RECORDER_STREAM_MAX = 1 << 15, /* octets fed in all */
    RECORDER_REPLIES_MAX = 4 << 20,
    RECORDER_LEDGER_MAX = 1 << 20,
};

/* What the world answers. All zero: everything works. */
struct recorder_plan {
    int open_error, body_error, commit_error, rcpt_error; /* 0 or negative */
    uint32_t body_limit;    /* body_error comes when a message grows over this; octets */
    uint32_t failing;       /* every failing-th message gets the errors; 0 = every one */
    uint32_t block_max;     /* GROW beyond this is refused, octets; 0 = never */
    uint32_t refused_octet; /* a hook refuses when sender or recipient hold this octet; 0 = never */
    bool hook_disconnects;
    uint32_t out_cap; /* of the reply buffer; 0 = four times the least */
};

struct recorder {
    struct recorder_plan plan;
    struct mx_session session;
    struct mx_session_shared shared;
    char *block; /* of the envelope, heap */
    bool is_open, is_closed, is_data;
    uint32_t opened, committed, refused, aborted; /* messages; refused: commits that failed */
    uint32_t final_oks;                           /* final 250s that must have been written */
    size_t fed, consumed, open_at;                /* in stream */
    size_t content_len, replies_len, ledger_len;
    char stream[RECORDER_STREAM_MAX], content[RECORDER_STREAM_MAX + 4096];
    char replies[RECORDER_REPLIES_MAX]; /* all that was said */
    char ledger[RECORDER_LEDGER_MAX];   /* envelope and content of all that was committed */
};

/* ---- what was stored, from the definition ---- */

/* DATA: wire ends with the first CRLF.CRLF; a dot in front of a line goes. Returns the length. */
static inline size_t naive_data(struct mx_span wire, char *to) {
    assert(wire.len >= 3 && memcmp(wire.ptr + wire.len - 3, ".\r\n", 3) == 0);
    size_t len = 0;
    const char *end = wire.ptr + wire.len - 3;
    for (const char *line = wire.ptr; line < end;) {
        const char *crlf = memmem(line, (size_t)(end - line), "\r\n", 2);
        assert(crlf != NULL);                        /* the content ends with a line end */
        assert(!(*line == '.' && crlf == line + 1)); /* that was the end already */
        const char *from = *line == '.' ? line + 1 : line;
        assert(memchr(from, '\n', (size_t)(crlf - from)) == NULL); /* a bare LF */
        memcpy(to + len, from, (size_t)(crlf + 2 - from));
        len += (size_t)(crlf + 2 - from);
        line = crlf + 2;
    }
    return len;
}

/* Size and LAST of a BDAT line; false: it is no BDAT line. */
static inline bool naive_bdat_line(struct mx_span line, unsigned long *size, bool *is_last) {
    char text[2048];
    size_t len = line.len < sizeof text - 1 ? line.len : sizeof text - 1;
    memcpy(text, line.ptr, len);
    text[len] = '\0';
    const char *verb = text;
    while (verb < text + len && (unsigned char)*verb <= ' ') /* NULs, too */
        verb++;
    if (strncasecmp(verb, "BDAT ", 5) != 0)
        return false;
    char *rest = NULL;
    *size = strtoul(verb + 5, &rest, 10);
    *is_last = strcasestr(rest, "LAST") != NULL;
    return true;
}

/* BDAT: the chunks of every BDAT line from the one in front of `at` on, up to `end`. */
static inline size_t naive_bdat(const struct recorder *self, size_t at, size_t end, char *to) {
    size_t len = 0, line_at = at;
    bool is_last = false;
    do { /* the line may begin right behind another chunk, without an LF between */
        assert(line_at > 0);
        line_at--;
    } while (strncasecmp(self->stream + line_at, "BDAT ", 5) != 0);
    while (!is_last) {
        const char *line = self->stream + line_at;
        const char *lf = memchr(line, '\n', end - line_at);
        assert(lf != NULL);
        unsigned long size = 0;
        size_t next = (size_t)(lf + 1 - self->stream), line_len = next - line_at;
        bool is_too_long = line_len > self->session.conf->max_line_octets + 2;
        if (!is_too_long && naive_bdat_line((struct mx_span){line, line_len}, &size, &is_last)) {
            assert(size <= end - next);
            memcpy(to + len, self->stream + next, size);
            len += size;
            next += size;
        }
        line_at = next;
    }
    assert(line_at == end);
    return len;
}

/* maxDataLineLength, from the definition: an LF and the CR in front of it end a line. */
static inline void check_line_limit(const struct recorder *self, struct mx_span content) {
    uint32_t limit = self->session.conf->max_data_line_octets;
    if (limit == 0 || self->session.envelope.body_type == MX_BODY_BINARYMIME)
        return;
    while (content.len > 0) {
        const char *lf = memchr(content.ptr, '\n', content.len);
        size_t len = lf != NULL ? (size_t)(lf - content.ptr) : content.len;
        assert(len - (lf != NULL && len > 0 && lf[-1] == '\r') <= limit);
        content = mx_span_skip(content, len + (lf != NULL));
    }
}

/* What was stored is the content, behind one Received line when the server wants one. */
static inline void check_content(const struct recorder *self) {
    static char wanted[RECORDER_STREAM_MAX];
    struct mx_span wire = {self->stream + self->open_at, self->consumed - self->open_at};
    size_t len = self->is_data ? naive_data(wire, wanted)
                               : naive_bdat(self, self->open_at, self->consumed, wanted);
    check_line_limit(self, (struct mx_span){wanted, len});
    assert(self->content_len >= len);
    size_t trace_len = self->content_len - len;
    assert(memcmp(self->content + trace_len, wanted, len) == 0);
    if (!self->session.conf->needs_trace) {
        assert(trace_len == 0);
        return;
    }
    assert(trace_len > 12 && memcmp(self->content, "Received: ", 10) == 0);
    assert(memcmp(self->content + trace_len - 2, "\r\n", 2) == 0);
    for (const char *at = self->content, *end = at + trace_len - 2; at < end; at++)
        assert(*at != '\n' || at[1] == '\t' || at[1] == ' '); /* one header, folded */
}

/* ---- replies ---- */

static inline void check_reply_line(const char *line, size_t len) {
    assert(len >= 6 && len <= 512); /* RFC 5321 4.5.3.1.5, CRLF included */
    assert(line[0] >= '2' && line[0] <= '5');
    assert(line[1] >= '0' && line[1] <= '9' && line[2] >= '0' && line[2] <= '9');
    assert(line[3] == ' ' || line[3] == '-');
    for (size_t i = 0; i < len - 2; i++)
        assert((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    assert(line[len - 2] == '\r');
}

static inline void take_replies(struct recorder *self, struct mx_out *out) {
    assert(out->len <= sizeof self->replies - self->replies_len);
    if (out->len > 0)
        memcpy(self->replies + self->replies_len, out->ptr, out->len);
    self->replies_len += out->len;
    out->len = 0;
}

/* Everything said is whole lines, and a final 250 stands for a commit that succeeded. */
static inline void check_replies(const struct recorder *self) {
    uint32_t oks = 0;
    const char *line = self->replies, *end = line + self->replies_len;
    const char *first = NULL; /* of the lines of one reply */
    while (line < end) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        assert(lf != NULL);
        check_reply_line(line, (size_t)(lf + 1 - line));
        assert(first == NULL || memcmp(line, first, 3) == 0);
        first = line[3] == ' ' ? NULL : line;
        oks += lf - line > 10 && memcmp(line, "250 2.6.0 ", 10) == 0;
        line = lf + 1;
    }
    assert(first == NULL);
    assert(oks == self->final_oks);
}

/* ---- the session's wishes ---- */

static inline bool is_failing(const struct recorder *self) {
    return self->plan.failing == 0 || self->opened % self->plan.failing == 0;
}

static inline int do_grow(struct recorder *self) {
    struct mx_envelope *envelope = &self->session.envelope;
    uint32_t need = self->session.grow_octets;
    if (self->plan.block_max > 0 && need > self->plan.block_max)
        return -ENOMEM;
    char *block = malloc(need); /* always another place: nobody may keep a pointer */
    assert(block != NULL);
    if (envelope->used > 0)
        memcpy(block, envelope->base, envelope->used);
    free(self->block);
    self->block = envelope->base = block;
    envelope->cap = need;
    return 0;
}

static inline bool holds(struct mx_span text, uint32_t octet) {
    return octet != 0 && text.len > 0 && memchr(text.ptr, (int)octet, text.len) != NULL;
}

static inline int do_hook(struct recorder *self) {
    struct mx_session *session = &self->session;
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = session->rcpt_at;
    struct mx_span text = mx_envelope_sender(&session->envelope);
    if (session->hook == MX_HOOK_RCPT) {
        bool is_there = mx_envelope_rcpt_next(&session->envelope, &cursor, &rcpt);
        assert(is_there);
        text = rcpt.address;
    }
    if (!holds(text, self->plan.refused_octet))
        return 0;
    session->shared->refusal.is_disconnect = self->plan.hook_disconnects;
    if (session->hook != MX_HOOK_MAIL)
        session->shared->refusal.text = MX_SPAN("550 5.7.1 no");
    return -EACCES;
}

static inline int do_open(struct recorder *self) {
    assert(!self->is_open);
    self->opened++;
    if (self->plan.open_error < 0 && is_failing(self))
        return self->plan.open_error;
    self->is_open = true;
    self->is_data = !self->session.is_chunked;
    self->open_at = self->consumed;
    self->content_len = 0;
    return 0;
}

static inline int do_body(struct recorder *self) {
    assert(self->is_open);
    for (uint32_t i = 0; i < self->shared.slice_count; i++) {
        struct mx_span slice = self->shared.slices[i];
        assert(slice.len > 0 && slice.len <= sizeof self->content - self->content_len);
        memcpy(self->content + self->content_len, slice.ptr, slice.len);
        self->content_len += slice.len;
    }
    bool is_over = self->content_len > self->plan.body_limit;
    return is_over && self->plan.body_error < 0 && is_failing(self) ? self->plan.body_error : 0;
}

static inline void note(struct recorder *self, struct mx_span text) {
    assert(text.len + 1 <= sizeof self->ledger - self->ledger_len);
    if (text.len > 0)
        memcpy(self->ledger + self->ledger_len, text.ptr, text.len);
    self->ledger_len += text.len;
    self->ledger[self->ledger_len++] = '\n';
}

static inline int do_commit(struct recorder *self) {
    struct mx_envelope *envelope = &self->session.envelope;
    bool fails = is_failing(self);
    assert(self->is_open && envelope->has_sender && envelope->rcpt_count > 0);
    self->is_open = false;
    check_content(self);
    if (self->plan.commit_error < 0 && fails) {
        self->refused++;
        return self->plan.commit_error;
    }
    self->committed++;
    note(self, mx_envelope_sender(envelope));
    uint32_t cursor = envelope->rcpts_at, at = cursor, oks = 0;
    struct mx_rcpt rcpt;
    for (uint32_t i = 0; mx_envelope_rcpt_next(envelope, &cursor, &rcpt); i++) {
        bool rcpt_fails = self->plan.rcpt_error < 0 && fails && i % 2 == 0;
        if (rcpt_fails)
            mx_envelope_rcpt_result(envelope, at, self->plan.rcpt_error);
        oks += !rcpt_fails;
        at = cursor;
        note(self, rcpt.address);
    }
    self->final_oks += self->session.conf->proto == MX_PROTO_LMTP ? oks : 1;
    note(self, (struct mx_span){self->content, self->content_len});
    return 0;
}

/* ---- driving ---- */

static inline void recorder_init(struct recorder *self, const struct mx_session_conf *conf,
                                 const struct recorder_plan *plan) {
    /* the large arrays need no clearing */
    self->plan = *plan;
    self->block = NULL;
    self->is_open = self->is_closed = self->is_data = false;
    self->opened = self->committed = self->refused = self->aborted = self->final_oks = 0;
    self->fed = self->consumed = self->open_at = 0;
    self->content_len = self->replies_len = self->ledger_len = 0;
    self->shared = (struct mx_session_shared){.now_s = 1700000000};
    mx_session_init(&self->session, conf, &self->shared, 7);
    self->session.peer = (struct mx_ip){
        .family = 4, .bytes = {192, 0, 2, 1}
    };
}

/* Each block is new and has its exact size. */
static inline int do_auth_begin(struct recorder *self) {
    assert(self->session.login == NULL);
    if (self->plan.failing > 0 && self->plan.block_max > 0)
        return -ENOMEM;
    struct mx_login *login = calloc(1, sizeof *login);
    assert(login != NULL);
    login->auth = calloc(1, sizeof *login->auth);
    assert(login->auth != NULL);
    self->session.login = login;
    return 0;
}

/* Whoever has a name for a password is let in, a proof is right when its first octet is even, and a
 * name that begins with 'b' finds everybody busy. */
static inline int do_auth(struct recorder *self) {
    struct mx_login *login = self->session.login;
    struct mx_auth *auth = login->auth;
    struct mx_span name = mx_login_name(login);
    assert(name.len > 0);
    if (name.ptr[0] == 'b')
        return -EBUSY;
    switch ((enum mx_auth_ask)auth->ask) {
    case MX_AUTH_PASSWORD:
        return mx_span_equal(name, (struct mx_span){auth->password, auth->password_len}) ? 0
                                                                                         : -EACCES;
    case MX_AUTH_SALT:
        memset(auth->our_nonce, 'N', sizeof auth->our_nonce);
        auth->our_nonce_len = sizeof auth->our_nonce;
        memset(auth->salt, 'S', sizeof auth->salt);
        auth->salt_len = sizeof auth->salt;
        auth->iterations = 4096;
        return 0;
    case MX_AUTH_PROOF:
        assert(mx_auth_message(auth).len > 0);
        return auth->proof[0] % 2 == 0 ? 0 : -EACCES;
    }
    return -EIO;
}

static inline void release_auth(struct recorder *self, bool is_end) {
    struct mx_login *login = self->session.login;
    assert(!self->session.is_authenticated || (login != NULL && login->name_len > 0));
    if (login != NULL && (is_end || mx_session_is_done_with_auth(&self->session))) {
        free(login->auth);
        login->auth = NULL;
    }
    if (is_end || mx_session_is_done_with_login(&self->session)) {
        free(login);
        self->session.login = NULL;
    }
}

/* What was a password is not there any more. */
static inline void wipe_secret(struct mx_span *secret) {
    if (secret->len > 0)
        memset((void *)(uintptr_t)secret->ptr, '\n', secret->len);
    *secret = (struct mx_span){0};
}

/* Do what the session asks for. False: it wants input, or is at its end. */
static inline bool recorder_serve(struct recorder *self, enum mx_action action,
                                  struct mx_out *out) {
    int result = 0;
    switch (action) {
    case MX_ACTION_INPUT:
        return false;
    case MX_ACTION_CLOSE:
        self->is_closed = true;
        self->aborted += self->is_open;
        self->is_open = false;
        return false;
    case MX_ACTION_OUTPUT:
        assert(out->len > 0);
        take_replies(self, out);
        return true;
    case MX_ACTION_GROW:
        result = do_grow(self);
        break;
    case MX_ACTION_HOOK:
        result = do_hook(self);
        break;
    case MX_ACTION_CLIENT:
        assert(self->session.peer.family != 0);
        break;
    case MX_ACTION_AUTH_BEGIN:
        release_auth(self, false); /* of an exchange before, in the same input */
        result = do_auth_begin(self);
        break;
    case MX_ACTION_TLS:
        assert(!self->session.is_tls);
        break;
    case MX_ACTION_AUTH:
        result = do_auth(self);
        break;
    case MX_ACTION_DELAY:
        assert(self->session.delay_ms > 0);
        break;
    case MX_ACTION_OPEN:
        result = do_open(self);
        break;
    case MX_ACTION_BODY:
        result = do_body(self);
        break;
    case MX_ACTION_COMMIT:
        result = do_commit(self);
        break;
    case MX_ACTION_ABORT:
        assert(self->is_open);
        self->is_open = false;
        self->aborted++;
        break;
    case MX_ACTION_NONE:
        assert(false);
    }
    if (mx_out_room(out) < MX_OUT_ROOM_MIN)
        take_replies(self, out);
    mx_session_resume(&self->session, result, out);
    return true;
}

static inline struct mx_out out_new(const struct recorder *self) {
    uint32_t cap = self->plan.out_cap > 0 ? self->plan.out_cap : 4 * MX_OUT_ROOM_MIN;
    struct mx_out out = {malloc(cap), 0, cap};
    assert(out.ptr != NULL);
    return out;
}

static inline void recorder_greet(struct recorder *self) {
    struct mx_out out = out_new(self);
    enum mx_action action;
    do {
        action = mx_session_greet(&self->session, &out);
    } while (action == MX_ACTION_DELAY && recorder_serve(self, action, &out));
    recorder_serve(self, action, &out);
    take_replies(self, &out);
    free(out.ptr);
}

/* Once closed, the session does nothing but say so. */
static inline void check_closed(struct recorder *self, struct mx_span piece) {
    struct mx_out out = out_new(self);
    enum mx_action action = mx_session_step(&self->session, &piece, &out);
    assert(action == MX_ACTION_CLOSE && out.len == 0);
    free(out.ptr);
}

/* The next octets of the stream. */
static inline void recorder_feed(struct recorder *self, struct mx_span piece) {
    if (self->is_closed) {
        check_closed(self, piece);
        return;
    }
    assert(piece.len <= sizeof self->stream - self->fed);
    memcpy(self->stream + self->fed, piece.ptr, piece.len);
    self->fed += piece.len;
    size_t len = self->fed - self->consumed;
    char *copy = malloc(len > 0 ? len : 1);
    assert(copy != NULL);
    memcpy(copy, self->stream + self->consumed, len);
    struct mx_span in = {copy, len};
    struct mx_out out = out_new(self);
    enum mx_action action;
    do {
        const char *before = in.ptr;
        action = mx_session_step(&self->session, &in, &out);
        wipe_secret(&self->shared.secret);
        assert(in.ptr >= before && in.ptr + in.len == copy + len);
        self->consumed = self->fed - in.len;
    } while (recorder_serve(self, action, &out));
    take_replies(self, &out);
    release_auth(self, false);
    free(out.ptr);
    free(copy);
}

/* The client is gone: the driver forgets an open message itself. */
static inline void recorder_end(struct recorder *self) {
    self->aborted += self->is_open;
    self->is_open = false;
    check_replies(self);
    release_auth(self, true);
    free(self->block);
    self->block = NULL;
}
