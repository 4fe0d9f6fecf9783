/* play.c - one dialogue against one driver. */
#include "tests/dialogue/dialogue.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_OCTETS = 512 }; /* RFC 5321 4.5.3.1.5, CRLF included */

struct link {
    struct mx_text in; /* octets of the server that no S: has taken */
    size_t at;         /* how many of them are taken */
    bool is_open;
    bool is_closed; /* an E: was played */
    bool has_sent;
    bool is_greeted; /* the first line has been taken */
};

struct player {
    const struct mx_dialogue *dialogue;
    struct mx_driver *driver;
    struct mx_text *transcript;
    struct mx_failure *failure;
    struct link links[MX_LINKS_MAX];
    unsigned link_count, current;
    size_t stored_at; /* M: octets of the last message that are matched */
};

enum taken { TAKEN, TAKEN_CLOSED, TAKEN_NOTHING, TAKEN_BAD };

/* What every reply line must be, whatever it says. */
static bool is_proper(struct player *self, uint32_t line, struct mx_span reply) {
    size_t bad = 0;
    while (bad < reply.len && (unsigned char)reply.ptr[bad] >= ' ' && reply.ptr[bad] != 0x7f)
        bad++;
    if (bad < reply.len)
        return mx_fail(self->failure, line, "a reply with the control octet %u at %zu",
                       (unsigned char)reply.ptr[bad], bad);
    return reply.len + 2 <= LINE_MAX_OCTETS ||
           mx_fail(self->failure, line, "a reply line of %zu octets", reply.len + 2);
}

/* Take the next line of the server without its CRLF; borrowed until the next read. */
static enum taken take_line(struct player *self, uint32_t line, uint32_t timeout_ms,
                            struct mx_span *reply) {
    struct link *link = &self->links[self->current];
    for (;;) {
        struct mx_span rest = {link->in.ptr + link->at, link->in.len - link->at};
        const char *lf = rest.len > 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
        if (lf != NULL) {
            *reply = (struct mx_span){rest.ptr, (size_t)(lf - rest.ptr)};
            link->at += reply->len + 1;
            mx_text_put(self->transcript, reply->ptr, reply->len + 1);
            if (reply->len == 0 || reply->ptr[reply->len - 1] != '\r') {
                mx_fail(self->failure, line, "a reply line that ends in a bare LF");
                return TAKEN_BAD;
            }
            reply->len--;
            return is_proper(self, line, *reply) ? TAKEN : TAKEN_BAD;
        }
        switch (self->driver->read(self->driver, self->current, &link->in, timeout_ms)) {
        case MX_READ_MORE:
            break;
        case MX_READ_CLOSED:
            *reply = rest;
            return TAKEN_CLOSED;
        case MX_READ_NOTHING:
            *reply = rest;
            return TAKEN_NOTHING;
        }
    }
}

static bool fail_with(struct player *self, const struct mx_step *step, const char *what,
                      struct mx_span got) {
    struct mx_text shown = {0};
    mx_text_put_escaped(&shown, got.ptr, got.len < 600 ? got.len : 600);
    mx_fail(self->failure, step->line, "expected %s%s; %s%s", step->text.len > 0 ? "" : "nothing",
            step->text.len > 0 ? step->text.ptr : "", what, shown.len > 0 ? shown.ptr : "");
    free(shown.ptr);
    return false;
}

static bool matches(const struct mx_step *step, struct mx_span line) {
    regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)line.len};
    return regexec(&step->regex, line.ptr, 1, &whole, REG_STARTEND) == 0;
}

static bool is_greeting(struct mx_span line) {
    return line.len >= 4 && memcmp(line.ptr, "220 ", 4) == 0;
}

static bool play_reply(struct player *self, const struct mx_step *step) {
    struct link *link = &self->links[self->current];
    for (;;) {
        struct mx_span line;
        switch (take_line(self, step->line, MX_WAIT_MS, &line)) {
        case TAKEN_BAD:
            return false;
        case TAKEN_CLOSED:
            return fail_with(self, step, "the server closed. ", line);
        case TAKEN_NOTHING:
            return fail_with(self, step, "nothing came. ", line);
        case TAKEN:
            break;
        }
        bool may_skip = link->has_sent && !link->is_greeted && is_greeting(line);
        link->is_greeted = true;
        if (matches(step, line))
            return true;
        if (!may_skip)
            return fail_with(self, step, "got: ", line);
    }
}

/* No line may be left that no S: asked for; but the greeting may. */
static enum taken nothing_left(struct player *self, uint32_t at_line, uint32_t timeout_ms) {
    struct link *link = &self->links[self->current];
    for (;;) {
        struct mx_span line;
        enum taken taken = take_line(self, at_line, timeout_ms, &line);
        if (taken != TAKEN && line.len > 0 && taken != TAKEN_BAD) {
            mx_fail(self->failure, at_line, "half a line, nobody expected it: %.*s", (int)line.len,
                    line.ptr);
            return TAKEN_BAD;
        }
        if (taken != TAKEN)
            return taken;
        bool may_skip = !link->is_greeted && is_greeting(line);
        link->is_greeted = true;
        if (!may_skip) {
            mx_fail(self->failure, at_line, "before this, nobody expected: %.*s", (int)line.len,
                    line.ptr);
            return TAKEN_BAD;
        }
    }
}

static bool play_closed(struct player *self, const struct mx_step *step) {
    switch (nothing_left(self, step->line, MX_CLOSE_WAIT_MS)) {
    case TAKEN:
    case TAKEN_BAD:
        return false;
    case TAKEN_NOTHING:
        return mx_fail(self->failure, step->line, "the server does not close");
    case TAKEN_CLOSED:
        break;
    }
    self->links[self->current].is_closed = true;
    return true;
}

static bool play_send(struct player *self, const struct mx_step *step) {
    struct link *link = &self->links[self->current];
    if (link->is_closed)
        return mx_fail(self->failure, step->line, "the connection is closed already");
    if (link->is_greeted) {
        enum taken taken = nothing_left(self, step->line, 0);
        if (taken == TAKEN_BAD)
            return false;
        if (taken == TAKEN_CLOSED)
            return mx_fail(self->failure, step->line, "the server has closed");
    }
    link->has_sent = true;
    struct mx_span octets = {step->text.ptr, step->text.len};
    return self->driver->send(self->driver, self->current, octets, self->failure) ||
           mx_fail(self->failure, step->line, "cannot send");
}

/* ---- stored messages ---- */

/* The next line in printable form. False: there is none. */
static bool next_stored(const struct mx_text *message, size_t *at, struct mx_text *line) {
    if (*at == message->len)
        return false;
    const char *from = message->ptr + *at;
    size_t left = message->len - *at;
    const char *end = memmem(from, left, "\r\n", 2);
    size_t len = end != NULL ? (size_t)(end - from) : left;
    line->len = 0;
    mx_text_put_escaped(line, from, len);
    if (end == NULL)
        mx_text_put(line, "\\c", 2);
    *at += end != NULL ? len + 2 : len;
    return true;
}

/* One line of the last stored message; the last M: of a group also is its last line. */
static bool play_stored(struct player *self, const struct mx_step *step) {
    const struct mx_step *steps = self->dialogue->steps;
    size_t index = (size_t)(step - steps), count = 0;
    const struct mx_text *stored = self->driver->stored(self->driver, &count);
    if (stored == NULL)
        return true;
    if (index == 0 || steps[index - 1].kind != MX_STEP_STORED)
        self->stored_at = 0;
    if (count == 0)
        return mx_fail(self->failure, step->line, "no message is stored");
    const struct mx_text *message = &stored[count - 1];
    struct mx_text line = {0};
    bool is_good;
    if (!next_stored(message, &self->stored_at, &line))
        is_good =
            fail_with(self, step, "the stored message has no more lines", (struct mx_span){0});
    else if (!matches(step, (struct mx_span){line.ptr, line.len}))
        is_good =
            mx_fail(self->failure, step->line, "expected %s; stored: %s", step->text.ptr, line.ptr);
    else
        is_good = true;
    bool is_last = index + 1 == self->dialogue->count || steps[index + 1].kind != MX_STEP_STORED;
    if (is_good && is_last && next_stored(message, &self->stored_at, &line))
        is_good = mx_fail(self->failure, step->line, "behind this, also stored: %s", line.ptr);
    free(line.ptr);
    return is_good;
}

static bool check_stored_count(struct player *self) {
    size_t count = 0;
    int wanted = self->dialogue->stored_count;
    const struct mx_text *stored = self->driver->stored(self->driver, &count);
    return stored == NULL || wanted < 0 || count == (size_t)wanted ||
           mx_fail(self->failure, 0, "%zu messages are stored, not %d", count, wanted);
}

/* ---- connections ---- */

/* The client leaves; what the server still says, it may not say. */
static bool leave(struct player *self, uint32_t line) {
    struct link *link = &self->links[self->current];
    if (!link->is_open)
        return true;
    bool is_good = true;
    if (!link->is_closed) {
        enum taken taken = nothing_left(self, line, 0);
        if (taken == TAKEN_CLOSED)
            is_good = mx_fail(self->failure, line, "the server has closed, and no E: said so");
        is_good = is_good && taken != TAKEN_BAD;
        self->driver->disconnect(self->driver, self->current, true);
        if (is_good) {
            taken = nothing_left(self, line, MX_WAIT_MS);
            is_good = taken != TAKEN_BAD;
            if (taken == TAKEN_NOTHING)
                is_good = mx_fail(self->failure, line, "the client left, the server stays");
        }
    }
    self->driver->disconnect(self->driver, self->current, false);
    link->is_open = false;
    return is_good;
}

static bool connect_new(struct player *self, uint32_t line, const char *from) {
    if (self->link_count == MX_LINKS_MAX)
        return mx_fail(self->failure, line, "too many connections");
    self->current = self->link_count++;
    self->links[self->current].is_open = true;
    return self->driver->connect(self->driver, self->current, from, self->failure);
}

static bool play_connect(struct player *self, const struct mx_step *step) {
    if (step->number > 0) {
        if (step->number > self->link_count || !self->links[step->number - 1].is_open)
            return mx_fail(self->failure, step->line, "there is no such connection");
        self->current = step->number - 1;
        return true;
    }
    if (!step->keeps_current && !leave(self, step->line))
        return false;
    return connect_new(self, step->line, step->text.len > 0 ? step->text.ptr : NULL);
}

/* Nothing in clear may be left: it would be taken for the answer to what is said inside. */
static bool play_tls(struct player *self, const struct mx_step *step) {
    struct link *link = &self->links[self->current];
    if (link->is_greeted && nothing_left(self, step->line, 0) != TAKEN_NOTHING)
        return mx_fail(self->failure, step->line, "something is left in clear before T:");
    link->has_sent = true;
    return self->driver->start_tls(self->driver, self->current, self->failure) ||
           mx_fail(self->failure, step->line, "no handshake");
}

static bool play_step(struct player *self, const struct mx_step *step) {
    switch (step->kind) {
    case MX_STEP_SEND:
        return play_send(self, step);
    case MX_STEP_REPLY:
        return play_reply(self, step);
    case MX_STEP_CLOSED:
        return play_closed(self, step);
    case MX_STEP_WAIT:
        self->driver->wait(self->driver, step->wait_ms);
        return true;
    case MX_STEP_CONNECT:
        return play_connect(self, step);
    case MX_STEP_TLS:
        return play_tls(self, step);
    case MX_STEP_STORED:
        return play_stored(self, step);
    }
    abort();
}

static void put_stored(struct player *self) {
    size_t count = 0;
    const struct mx_text *stored = self->driver->stored(self->driver, &count);
    for (size_t i = 0; stored != NULL && i < count; i++) {
        mx_text_put(self->transcript, "stored:\n", 8);
        mx_text_put(self->transcript, stored[i].ptr, stored[i].len);
    }
}

bool mx_dialogue_play(const struct mx_dialogue *dialogue, struct mx_driver *driver,
                      struct mx_text *transcript, struct mx_failure *failure) {
    struct player player = {
        .dialogue = dialogue,
        .driver = driver,
        .transcript = transcript,
        .failure = failure,
    };
    bool is_good = driver->begin(driver, dialogue, failure);
    /* a file may begin with its own N: */
    if (is_good && dialogue->steps[0].kind != MX_STEP_CONNECT)
        is_good = connect_new(&player, dialogue->steps[0].line, NULL);
    for (size_t i = 0; is_good && i < dialogue->count; i++)
        is_good = play_step(&player, &dialogue->steps[i]);
    for (unsigned i = 0; i < player.link_count; i++) {
        player.current = i;
        if (is_good)
            is_good = leave(&player, dialogue->steps[dialogue->count - 1].line);
        else
            driver->disconnect(driver, i, false);
        free(player.links[i].in.ptr);
    }
    is_good = is_good && check_stored_count(&player);
    put_stored(&player);
    driver->end(driver);
    return is_good;
}
