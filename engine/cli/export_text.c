#include "engine/cli/export_text.h"

static const char separator[] = "From ";
enum { SEPARATOR_LEN = sizeof separator - 1 };

static void put(struct mx_export_text *self, const char *ptr, size_t len) {
    if (fwrite(ptr, 1, len, self->to) != len) {
        /* the caller looks at the stream when the piece is done */
    }
}

static void begin_line(struct mx_export_text *self) {
    self->is_inside = !self->is_mbox;
    self->is_begun = false;
    self->matched = 0;
}

/* It was none: what was held back is content. */
static void let_go(struct mx_export_text *self) {
    put(self, separator, self->matched);
    self->matched = 0;
    self->is_inside = true;
}

/* Begin of a line: any number of '>', then the separator or something else. Returns how many octets
 * were taken; 0: the line is like any other. */
static size_t match(struct mx_export_text *self, struct mx_span piece) {
    size_t taken = 0;
    while (taken < piece.len && !self->is_inside) {
        char c = piece.ptr[taken];
        if (c == '>' && self->matched == 0) {
            put(self, ">", 1);
        } else if (c == separator[self->matched]) {
            self->matched++;
        } else {
            let_go(self);
            break;
        }
        taken++;
        self->is_begun = true;
        if (self->matched == SEPARATOR_LEN) {
            put(self, ">", 1);
            let_go(self);
        }
    }
    return taken;
}

/* The rest of a line, or as much of it as there is; returns how many octets were taken. */
static size_t take_line(struct mx_export_text *self, struct mx_span piece) {
    const char *lf = memchr(piece.ptr, '\n', piece.len);
    size_t len = lf != NULL ? (size_t)(lf - piece.ptr) : piece.len, taken = len + (lf != NULL);
    bool has_cr = len > 0 && piece.ptr[len - 1] == '\r';
    if (self->has_cr && len > 0)
        put(self, "\r", 1); /* another octet than LF came behind it */
    self->has_cr = has_cr || (self->has_cr && len == 0);
    put(self, piece.ptr, len - has_cr);
    self->is_begun = self->is_begun || len > 0;
    if (lf == NULL)
        return taken;
    put(self, "\n", 1);
    self->has_cr = false;
    begin_line(self);
    return taken;
}

void mx_export_text_put(struct mx_export_text *self, struct mx_span piece) {
    if (!self->is_begun && !self->has_cr && self->matched == 0)
        begin_line(self);
    while (piece.len > 0) {
        if (!self->is_inside)
            piece = mx_span_skip(piece, match(self, piece));
        if (piece.len > 0)
            piece = mx_span_skip(piece, take_line(self, piece));
    }
}

void mx_export_text_end(struct mx_export_text *self) {
    if (self->matched > 0)
        let_go(self);
    if (self->has_cr)
        put(self, "\r", 1);
    if (self->is_begun || self->has_cr)
        put(self, "\n", 1);
    self->has_cr = false;
    begin_line(self);
}
