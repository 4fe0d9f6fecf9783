#include "proto/line.h"

#include <assert.h>

/* No LF yet: has the limit been passed for certain? One octet over it may be the CR of the line's
 * end. */
static bool is_too_long(const struct mx_line *self, struct mx_span seen) {
    if (seen.len <= self->limit)
        return false;
    return seen.len > (size_t)self->limit + 1 || seen.ptr[seen.len - 1] != '\r';
}

static int wait_for_more(struct mx_line *self, struct mx_span *in, struct mx_span *line) {
    if (is_too_long(self, *in)) {
        *line = *in;
        self->scanned = 0;
        self->is_discarding = true;
        *in = mx_span_skip(*in, in->len);
        return MX_ELIMIT;
    }
    self->scanned = (uint32_t)in->len;
    return MX_EPARTIAL;
}

int mx_line_take(struct mx_line *self, struct mx_span *in, struct mx_span *line, bool *bare_lf) {
    assert(self->limit >= 1 && self->limit <= MX_LINE_MAX);
    assert(self->scanned <= in->len);
    /* Nothing new; also, an empty span may have no pointer, and memchr wants one. */
    if (self->scanned == in->len)
        return MX_EPARTIAL;
    if (self->is_discarding) {
        const char *end = memchr(in->ptr, '\n', in->len);
        if (end == NULL) {
            *in = mx_span_skip(*in, in->len);
            return MX_EPARTIAL;
        }
        *in = mx_span_skip(*in, (size_t)(end - in->ptr) + 1);
        self->is_discarding = false;
    }
    const char *lf = memchr(in->ptr + self->scanned, '\n', in->len - self->scanned);
    if (lf == NULL)
        return wait_for_more(self, in, line);
    struct mx_span text = {in->ptr, (size_t)(lf - in->ptr)};
    *in = mx_span_skip(*in, text.len + 1);
    self->scanned = 0;
    *bare_lf = text.len == 0 || text.ptr[text.len - 1] != '\r';
    text.len -= !*bare_lf;
    *line = text;
    return text.len > self->limit ? MX_ELIMIT : 0;
}
