#include "proto/dkim.h"

static const struct mx_span space = MX_SPAN(" "), cr = MX_SPAN("\r");

/* Count, and put what is within the limit. */
static void put(struct mx_dkim_body *self, struct mx_span piece, const struct mx_dkim_out *out) {
    uint64_t room = self->octets < self->limit ? self->limit - self->octets : 0;
    self->octets += piece.len;
    if (piece.len > room)
        piece.len = (size_t)room;
    if (piece.len > 0)
        out->put(out->context, piece);
}

static void put_line_ends(struct mx_dkim_body *self, const struct mx_dkim_out *out) {
    static const struct mx_span ends = MX_SPAN("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
    while (self->line_ends > 0) {
        uint64_t count = ends.len / 2 < self->line_ends ? ends.len / 2 : self->line_ends;
        put(self, (struct mx_span){ends.ptr, (size_t)count * 2}, out);
        self->line_ends -= count;
    }
}

/* What was held back, since more stands behind it in its line, or in a line below. */
static void put_held(struct mx_dkim_body *self, const struct mx_dkim_out *out) {
    put_line_ends(self, out);
    if (self->has_space)
        put(self, space, out);
    self->has_space = false;
    self->has_content = true;
}

static void end_line(struct mx_dkim_body *self) {
    self->has_space = false;
    self->has_cr = false;
    self->line_ends++;
}

static bool is_wsp(char c) {
    return c == ' ' || c == '\t';
}

enum { PLAIN, BLANK, END };

static const uint8_t kinds[256] = {['\r'] = END, ['\n'] = END, [' '] = BLANK, ['\t'] = BLANK};

static unsigned kind_of(char c) {
    return kinds[(unsigned char)c];
}

/* How many octets from there on are their own canonical form. */
static size_t simple_len(struct mx_span text) {
    const char *lf = memchr(text.ptr, '\n', text.len);
    size_t len = lf != NULL ? (size_t)(lf - text.ptr) : text.len;
    const char *found = len > 0 ? memchr(text.ptr, '\r', len) : NULL;
    return found != NULL ? (size_t)(found - text.ptr) : len;
}

/* Likewise; a space between two words is. */
static size_t relaxed_len(struct mx_span text) {
    size_t len = 0;
    for (;;) {
        while (len < text.len && kind_of(text.ptr[len]) == PLAIN)
            len++;
        bool is_between = len > 0 && len + 1 < text.len && text.ptr[len] == ' ' &&
                          kind_of(text.ptr[len + 1]) == PLAIN;
        if (!is_between)
            return len;
        len += 2;
    }
}

/* An octet that is not plain, or stands behind a CR. */
static void put_special(struct mx_dkim_body *self, struct mx_span octet,
                        const struct mx_dkim_out *out) {
    char c = octet.ptr[0];
    if (c == '\n' && (self->has_cr || self->forces_crlf)) {
        end_line(self);
        return;
    }
    if (self->has_cr) { /* it stood alone: content like any other */
        put_held(self, out);
        put(self, cr, out);
        self->has_cr = false;
    }
    if (c == '\r') {
        self->has_cr = true;
    } else if (self->is_relaxed && is_wsp(c)) {
        self->has_space = true;
    } else {
        put_held(self, out);
        put(self, octet, out);
    }
}

void mx_dkim_body_put(struct mx_dkim_body *self, struct mx_span piece,
                      const struct mx_dkim_out *out) {
    while (piece.len > 0) {
        size_t len = self->has_cr ? 0 : self->is_relaxed ? relaxed_len(piece) : simple_len(piece);
        if (len > 0) {
            put_held(self, out);
            put(self, (struct mx_span){piece.ptr, len}, out);
        } else {
            len = 1;
            put_special(self, (struct mx_span){piece.ptr, 1}, out);
        }
        piece = mx_span_skip(piece, len);
    }
}

void mx_dkim_body_end(struct mx_dkim_body *self, const struct mx_dkim_out *out) {
    if (self->has_cr) {
        put_held(self, out);
        put(self, cr, out);
    }
    /* empty lines at the end are none; a body without any line is one for "simple" (3.4.3) */
    self->has_cr = self->has_space = false;
    self->line_ends = self->has_content || !self->is_relaxed ? 1 : 0;
    put_line_ends(self, out);
}
