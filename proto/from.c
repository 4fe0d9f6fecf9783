#include "proto/from.h"

#include "proto/path.h"

#include <assert.h>

/* Where in the header the next octet is. */
enum mx_from_at {
    AT_BEGIN, /* of a line */
    AT_CR,    /* behind a CR that began a line */
    AT_NAME,  /* the line's name may be one of ours */
    AT_COLON, /* it is */
    AT_VALUE, /* of one of our fields */
    AT_REST,  /* of a line that does not matter */
};

enum mx_from_field { FIELD_OTHER, FIELD_FROM, FIELD_SENDER };

/* ---- the header ---- */

static void put(struct mx_from *self, char c) {
    if (!self->keeps_text || self->is_cut)
        return;
    self->is_cut = self->text_len == MX_FROM_TEXT_MAX;
    if (!self->is_cut)
        self->text[self->text_len++] = c;
}

/* A value begins: Sender counts only without From. */
static void begin_value(struct mx_from *self) {
    bool is_from = self->field == FIELD_FROM;
    if (is_from && !self->has_from) {
        self->text_len = 0;
        self->is_cut = false;
    }
    self->has_from = self->has_from || is_from;
    self->has_sender = self->has_sender || !is_from;
    self->is_over = !self->keeps_text;
    self->at = AT_VALUE;
    if (!is_from && self->has_from) {
        self->field = FIELD_OTHER;
        self->at = AT_REST;
    }
}

static void skip_line(struct mx_from *self) {
    self->field = FIELD_OTHER;
    self->at = AT_REST;
}

static void end_line(struct mx_from *self) {
    self->at = AT_BEGIN;
}

/* What a line begins with. True: the octet is used up. */
static bool begin_line(struct mx_from *self, char c) {
    if (c == '\n') {
        self->is_over = true;
    } else if (c == '\r') {
        self->at = AT_CR;
    } else if (c == ' ' || c == '\t') { /* the field goes on */
        self->at = self->field == FIELD_OTHER ? AT_REST : AT_VALUE;
        return self->at == AT_REST;
    } else {
        if (self->field != FIELD_OTHER)
            put(self, ',');
        c = mx_ascii_lower(c);
        self->field = c == 'f' ? FIELD_FROM : c == 's' ? FIELD_SENDER : FIELD_OTHER;
        self->at = self->field == FIELD_OTHER ? AT_REST : AT_NAME;
        self->matched = 1;
    }
    return true;
}

/* True: the octet is used up. */
static bool take_octet(struct mx_from *self, char c) {
    const struct mx_span name = self->field == FIELD_FROM ? MX_SPAN("from") : MX_SPAN("sender");
    switch ((enum mx_from_at)self->at) {
    case AT_BEGIN:
        return begin_line(self, c);
    case AT_CR:
        self->is_over = c == '\n';
        if (!self->is_over)
            skip_line(self);
        return self->is_over;
    case AT_NAME:
        if (mx_ascii_lower(c) != name.ptr[self->matched])
            break;
        if (++self->matched == name.len)
            self->at = AT_COLON;
        return true;
    case AT_COLON:
        if (c == ':')
            begin_value(self);
        else if (c != ' ' && c != '\t')
            break;
        return true;
    case AT_VALUE:
    case AT_REST:
        break;
    }
    skip_line(self);
    return false;
}

void mx_from_scan(struct mx_from *self, struct mx_span piece) {
    while (piece.len > 0 && !self->is_over) {
        if (self->at != AT_VALUE && self->at != AT_REST) {
            if (take_octet(self, piece.ptr[0]))
                piece = mx_span_skip(piece, 1);
            continue;
        }
        const char *lf = memchr(piece.ptr, '\n', piece.len);
        size_t len = lf != NULL ? (size_t)(lf - piece.ptr) : piece.len;
        for (size_t i = 0; self->at == AT_VALUE && i < len; i++) {
            if (piece.ptr[i] != '\r')
                put(self, piece.ptr[i]);
        }
        if (lf != NULL)
            end_line(self);
        piece = mx_span_skip(piece, lf != NULL ? len + 1 : len);
    }
}

/* ---- addresses ---- */

struct taker {
    char text[MX_FROM_ADDRESS_MAX];
    size_t len;
    unsigned depth; /* of comments */
    bool is_quoted, is_literal, is_escaped;
    bool is_in_brackets, had_brackets;
    bool is_apart; /* white space or a comment came last */
    bool is_wrong; /* not an address, unless all of it is the name before the brackets */
    bool is_bad;   /* not an address in any case */
};

/* What was taken so far was the name of a mailbox or a group, or a route. */
static void forget(struct taker *self) {
    self->len = 0;
    self->is_apart = self->is_wrong = false;
}

static bool is_joint(char c) {
    return c == '.' || c == '@';
}

static void keep(struct taker *self, char c) {
    bool is_inside = self->is_quoted || self->is_literal;
    if (self->is_apart && self->len > 0 && !is_inside && !is_joint(c) &&
        !is_joint(self->text[self->len - 1]))
        self->is_wrong = true; /* two words */
    self->is_apart = false;
    self->is_bad = self->is_bad || self->had_brackets;
    if (self->len < sizeof self->text)
        self->text[self->len++] = c;
    else
        self->is_wrong = true;
}

/* Within quotes, a literal or a comment. False: in none of them. */
static bool take_inside(struct taker *self, char c) {
    if (self->depth == 0 && !self->is_quoted && !self->is_literal)
        return false;
    bool is_escaped = self->is_escaped;
    self->is_escaped = !is_escaped && c == '\\';
    if (self->depth > 0) {
        if (!is_escaped)
            self->depth = c == '(' ? self->depth + 1 : c == ')' ? self->depth - 1 : self->depth;
        self->is_apart = true;
        return true;
    }
    keep(self, c);
    if (!is_escaped && c == (self->is_quoted ? '"' : ']'))
        self->is_quoted = self->is_literal = false;
    return true;
}

static void take(struct taker *self, char c) {
    if (take_inside(self, c))
        return;
    switch (c) {
    case ' ':
    case '\t':
        self->is_apart = true;
        break;
    case '(':
        self->depth = 1;
        break;
    case '<':
        self->is_bad = self->is_bad || self->is_in_brackets || self->had_brackets;
        self->is_in_brackets = true;
        forget(self);
        break;
    case '>':
        self->is_bad = self->is_bad || !self->is_in_brackets;
        self->is_in_brackets = false;
        self->had_brackets = true;
        break;
    case ':':
        forget(self);
        break;
    case '"':
        keep(self, c);
        self->is_quoted = true;
        break;
    case '[':
        keep(self, c);
        self->is_literal = true;
        break;
    default:
        keep(self, c);
    }
}

/* local@domain, as MAIL and RCPT give it. */
static int finish(const struct taker *self, char room[MX_FROM_ADDRESS_MAX],
                  struct mx_span *address) {
    struct mx_path path;
    bool is_open = self->depth > 0 || self->is_quoted || self->is_literal || self->is_in_brackets;
    if (self->is_bad || self->is_wrong || is_open ||
        mx_path_parse((struct mx_span){self->text, self->len}, true, &path) < 0 ||
        path.local.len == 0 || path.domain.len == 0)
        return MX_ESYNTAX;
    assert(path.local.len + 1 + path.domain.len <= MX_FROM_ADDRESS_MAX);
    memcpy(room, path.local.ptr, path.local.len);
    room[path.local.len] = '@';
    memcpy(room + path.local.len + 1, path.domain.ptr, path.domain.len);
    *address = (struct mx_span){room, path.local.len + 1 + path.domain.len};
    return 0;
}

int mx_from_take(struct mx_span *list, char room[MX_FROM_ADDRESS_MAX], struct mx_span *address) {
    struct taker taker = {0};
    while (list->len > 0) {
        char c = list->ptr[0];
        *list = mx_span_skip(*list, 1);
        bool is_inside = taker.depth > 0 || taker.is_quoted || taker.is_literal;
        bool is_end = !is_inside && !taker.is_in_brackets && (c == ',' || c == ';');
        if (!is_end)
            take(&taker, c);
        else if (taker.len > 0 || taker.had_brackets || taker.is_bad)
            return finish(&taker, room, address);
        else
            forget(&taker); /* between two commas there may be nothing */
    }
    bool is_nothing = taker.len == 0 && !taker.had_brackets && !taker.is_in_brackets &&
                      !taker.is_bad && taker.depth == 0;
    return is_nothing ? MX_EPARTIAL : finish(&taker, room, address);
}
