/* Header fields in canonical form (RFC 6376 3.4.1, 3.4.2, 3.7). */
#include "proto/dkim.h"

enum { ROOM = 256 };

/* Small pieces are put together before they are handed on. */
struct writer {
    const struct mx_dkim_out *out;
    size_t len;
    char room[ROOM];
};

static void flush(struct writer *self) {
    if (self->len > 0)
        self->out->put(self->out->context, (struct mx_span){self->room, self->len});
    self->len = 0;
}

static void put(struct writer *self, char c) {
    if (self->len == ROOM)
        flush(self);
    self->room[self->len++] = c;
}

static bool is_wsp(char c) {
    return c == ' ' || c == '\t';
}

/* Without the line end behind it. */
static struct mx_span without_end(struct mx_span field) {
    if (field.len > 0 && field.ptr[field.len - 1] == '\n')
        field.len--;
    if (field.len > 0 && field.ptr[field.len - 1] == '\r')
        field.len--;
    return field;
}

/* As it stands, each line end as CRLF. */
static void put_simple(struct writer *self, struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\n' && (i == 0 || text.ptr[i - 1] != '\r'))
            put(self, '\r');
        put(self, text.ptr[i]);
    }
}

static bool is_line_end(struct mx_span text, size_t at) {
    return text.ptr[at] == '\n' ||
           (text.ptr[at] == '\r' && at + 1 < text.len && text.ptr[at + 1] == '\n');
}

/* Unfolded, white space as one space, none at both ends. *has_space and *is_first are carried from
 * one piece of a value to the next. */
static void put_relaxed(struct writer *self, struct mx_span text, bool *has_space, bool *is_first) {
    for (size_t i = 0; i < text.len; i++) {
        if (is_line_end(text, i))
            continue;
        if (is_wsp(text.ptr[i])) {
            *has_space = true;
            continue;
        }
        if (*has_space && !*is_first)
            put(self, ' ');
        *has_space = *is_first = false;
        put(self, text.ptr[i]);
    }
}

/* The name and the colon. Returns how many octets they take in the field. */
static size_t put_name(struct writer *self, struct mx_span field) {
    const char *colon = field.len > 0 ? memchr(field.ptr, ':', field.len) : NULL;
    size_t len = colon != NULL ? (size_t)(colon - field.ptr) : field.len, end = len;
    while (end > 0 && is_wsp(field.ptr[end - 1]))
        end--;
    for (size_t i = 0; i < end; i++)
        put(self, mx_ascii_lower(field.ptr[i]));
    put(self, ':');
    return colon != NULL ? len + 1 : len;
}

/* The field with a part of it left out. */
static void put_field(struct mx_span field, struct mx_span hidden, bool is_relaxed, bool has_end,
                      const struct mx_dkim_out *out) {
    struct writer writer = {.out = out, .len = 0};
    size_t done = is_relaxed ? put_name(&writer, field) : 0;
    size_t begin = hidden.ptr != NULL ? (size_t)(hidden.ptr - field.ptr) : field.len;
    bool has_space = false, is_first = true;
    struct mx_span before = {field.ptr + done, begin - done};
    struct mx_span behind =
        mx_span_skip(field, hidden.ptr != NULL ? begin + hidden.len : field.len);
    if (is_relaxed) {
        put_relaxed(&writer, before, &has_space, &is_first);
        put_relaxed(&writer, behind, &has_space, &is_first);
    } else {
        put_simple(&writer, before);
        put_simple(&writer, behind);
    }
    if (has_end) {
        put(&writer, '\r');
        put(&writer, '\n');
    }
    flush(&writer);
}

void mx_dkim_put_field(struct mx_span field, bool is_relaxed, const struct mx_dkim_out *out) {
    put_field(without_end(field), (struct mx_span){NULL, 0}, is_relaxed, true, out);
}

/* All that stands between "=" of b= and the next ";". The tag list is sound: it was read. */
static struct mx_span value_of_b(struct mx_span field) {
    const char *colon = memchr(field.ptr, ':', field.len);
    struct mx_span rest = mx_span_skip(field, colon != NULL ? (size_t)(colon - field.ptr) + 1 : 0);
    struct mx_dkim_tag tag;
    while (mx_dkim_next_tag(&rest, &tag) == 0) {
        if (!mx_span_equal(tag.name, MX_SPAN("b")))
            continue;
        const char *end = field.ptr + field.len, *at = tag.name.ptr;
        while (at < end && *at != '=')
            at++;
        const char *from = at < end ? at + 1 : end;
        const char *semicolon = from < end ? memchr(from, ';', (size_t)(end - from)) : NULL;
        return (struct mx_span){from, (size_t)((semicolon != NULL ? semicolon : end) - from)};
    }
    return (struct mx_span){NULL, 0};
}

void mx_dkim_put_signature(struct mx_span field, bool is_relaxed, const struct mx_dkim_out *out) {
    field = without_end(field);
    put_field(field, value_of_b(field), is_relaxed, false, out);
}
