#include "engine/policy/header.h"

#include "engine/limits.h"

#include <assert.h>
#include <errno.h>

enum { FIRST = 4096 }; /* octets of the block to begin with */

void mx_header_init(struct mx_header *self, struct mx_buddy *buddy) {
    *self = (struct mx_header){.buddy = buddy};
}

void mx_header_free(struct mx_header *self) {
    if (self->ptr != NULL)
        mx_buddy_give(self->buddy, self->ptr, self->cap);
    *self = (struct mx_header){.buddy = self->buddy};
}

/* Room for so many octets in all. */
static int reserve(struct mx_header *self, uint64_t octets) {
    if (octets > MX_HEADER_MAX)
        return MX_ELIMIT;
    if (octets <= self->cap)
        return 0;
    uint32_t got = 0, wanted = self->cap > 0 ? self->cap : FIRST;
    while (wanted < octets)
        wanted *= 2;
    char *block = mx_buddy_is_tight(self->buddy) ? NULL : mx_buddy_take(self->buddy, wanted, &got);
    if (block == NULL)
        return -ENOMEM;
    if (self->ptr != NULL) {
        memcpy(block, self->ptr, self->len);
        mx_buddy_give(self->buddy, self->ptr, self->cap);
    }
    self->ptr = block;
    self->cap = got;
    return 0;
}

/* How many octets of the content belong to the header; notes where it ends. */
static size_t scan(struct mx_header *self, struct mx_span content) {
    size_t done = 0;
    while (done < content.len && !self->is_over) {
        const char *begin = content.ptr + done;
        const char *lf = memchr(begin, '\n', content.len - done);
        size_t len = lf != NULL ? (size_t)(lf - begin) : content.len - done;
        if (lf == NULL) {
            self->line_octets += (uint32_t)len;
            return content.len;
        }
        const char *last = len > 0 ? lf - 1 : NULL; /* of this line, in this piece */
        if (last == NULL && self->line_octets > 0 && done == 0)
            last = self->ptr + self->len - 1;
        uint64_t octets = self->line_octets + len;
        self->is_over = octets == 0 || (octets == 1 && *last == '\r');
        self->line_octets = 0;
        done += len + 1;
    }
    return done;
}

int mx_header_take(struct mx_header *self, struct mx_span *content) {
    if (self->is_over || content->len == 0)
        return 0;
    /* nothing is noted before there is room for it */
    struct mx_header before = *self;
    size_t len = scan(self, *content);
    bool is_over = self->is_over;
    uint32_t line_octets = self->line_octets;
    *self = before;
    int err = reserve(self, self->len + (uint64_t)len);
    if (err < 0)
        return err;
    memcpy(self->ptr + self->len, content->ptr, len);
    self->len += (uint32_t)len;
    self->is_over = is_over;
    self->line_octets = line_octets;
    *content = mx_span_skip(*content, len);
    return 0;
}

/* ---- fields ---- */

/* Behind the end of the line that begins there. */
static uint32_t line_end(const struct mx_header *self, uint32_t at) {
    const char *lf = memchr(self->ptr + at, '\n', self->len - at);
    return lf != NULL ? (uint32_t)(lf - self->ptr) + 1 : self->len;
}

static bool is_folded(const struct mx_header *self, uint32_t at) {
    return at < self->len && (self->ptr[at] == ' ' || self->ptr[at] == '\t');
}

static struct mx_span without_end(struct mx_span text) {
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

bool mx_header_next(const struct mx_header *self, uint32_t *at, struct mx_header_field *field) {
    while (*at < self->len) {
        uint32_t begin = *at, end = line_end(self, begin);
        while (is_folded(self, end))
            end = line_end(self, end);
        *at = end;
        struct mx_span whole = {self->ptr + begin, end - begin};
        const char *colon = memchr(whole.ptr, ':', whole.len);
        if (colon == NULL)
            continue;
        struct mx_span name = {whole.ptr, (size_t)(colon - whole.ptr)};
        while (name.len > 0 && (name.ptr[name.len - 1] == ' ' || name.ptr[name.len - 1] == '\t'))
            name.len--;
        *field = (struct mx_header_field){
            .name = name,
            .value = without_end(mx_span_skip(whole, (size_t)(colon - whole.ptr) + 1)),
            .whole = whole,
        };
        return true;
    }
    return false;
}

bool mx_header_find(const struct mx_header *self, struct mx_span name, uint32_t *at,
                    struct mx_header_field *field) {
    while (mx_header_next(self, at, field)) {
        if (mx_span_equal_nocase(field->name, name))
            return true;
    }
    return false;
}

/* ---- changes ---- */

/* Replace octets by room for so many others; the room was reserved. */
static char *open_gap(struct mx_header *self, uint32_t at, uint32_t old_len, uint32_t new_len) {
    assert(at + old_len <= self->len && self->len - old_len + new_len <= self->cap);
    memmove(self->ptr + at + new_len, self->ptr + at + old_len, self->len - at - old_len);
    self->len = self->len - old_len + new_len;
    self->is_changed = true;
    return self->ptr + at;
}

static char *put(char *to, struct mx_span text) {
    memcpy(to, text.ptr, text.len);
    return to + text.len;
}

/* Where another field can be put at the end: before the empty line. */
static uint32_t end_of_fields(const struct mx_header *self) {
    uint32_t end = self->len;
    if (!self->is_over)
        return end;
    end--; /* LF */
    return end > 0 && self->ptr[end - 1] == '\r' && (end < 2 || self->ptr[end - 2] == '\n')
               ? end - 1
               : end;
}

static void remove_others(struct mx_header *self, struct mx_span name, uint32_t at) {
    struct mx_header_field field;
    while (mx_header_find(self, name, &at, &field)) {
        uint32_t begin = (uint32_t)(field.whole.ptr - self->ptr);
        open_gap(self, begin, (uint32_t)field.whole.len, 0);
        at = begin;
    }
}

/* A last line without its end gets one; room for it and so many octets more. */
static int make_room(struct mx_header *self, uint64_t octets) {
    static const struct mx_span crlf = MX_SPAN("\r\n");
    bool is_cut = !self->is_over && self->len > 0 && self->ptr[self->len - 1] != '\n';
    int err = reserve(self, self->len + octets + (is_cut ? crlf.len : 0));
    if (err == 0 && is_cut)
        put(open_gap(self, self->len, 0, (uint32_t)crlf.len), crlf);
    return err;
}

int mx_header_set(struct mx_header *self, struct mx_span name, struct mx_span value) {
    static const struct mx_span colon = MX_SPAN(": "), crlf = MX_SPAN("\r\n");
    uint64_t len = (uint64_t)name.len + colon.len + value.len + crlf.len;
    struct mx_header_field field = {0};
    int err = make_room(self, len);
    if (err < 0)
        return err;
    uint32_t at = 0, begin = 0, old_len = 0;
    if (mx_header_find(self, name, &at, &field)) {
        begin = (uint32_t)(field.whole.ptr - self->ptr);
        old_len = (uint32_t)field.whole.len;
    } else {
        begin = end_of_fields(self);
    }
    char *to = open_gap(self, begin, old_len, (uint32_t)len);
    put(put(put(put(to, name), colon), value), crlf);
    remove_others(self, name, begin + (uint32_t)len);
    return 0;
}

int mx_header_insert(struct mx_header *self, uint32_t at, struct mx_span whole) {
    assert(whole.len > 2 && whole.ptr[whole.len - 1] == '\n');
    int err = make_room(self, whole.len);
    if (err < 0)
        return err;
    struct mx_header_field field;
    uint32_t cursor = 0, begin = 0;
    bool is_there = mx_header_next(self, &cursor, &field);
    for (; is_there && at > 0; at--)
        is_there = mx_header_next(self, &cursor, &field);
    begin = is_there ? (uint32_t)(field.whole.ptr - self->ptr) : end_of_fields(self);
    put(open_gap(self, begin, 0, (uint32_t)whole.len), whole);
    return 0;
}

int mx_header_replace(struct mx_header *self, struct mx_span name, uint32_t nth,
                      struct mx_span whole) {
    struct mx_header_field field;
    uint32_t at = 0;
    bool is_there = mx_header_find(self, name, &at, &field);
    for (; is_there && nth > 1; nth--)
        is_there = mx_header_find(self, name, &at, &field);
    if (!is_there)
        return -ENOENT;
    uint32_t begin = (uint32_t)(field.whole.ptr - self->ptr);
    uint32_t old_len = (uint32_t)field.whole.len;
    int err = whole.len > old_len ? reserve(self, self->len + (uint64_t)whole.len - old_len) : 0;
    if (err < 0)
        return err;
    char *to = open_gap(self, begin, old_len, (uint32_t)whole.len);
    if (whole.len > 0)
        put(to, whole);
    return 0;
}

int mx_header_put_first(struct mx_header *self, struct mx_span whole) {
    assert(whole.len > 2 && whole.ptr[whole.len - 1] == '\n');
    int err = reserve(self, self->len + (uint64_t)whole.len);
    if (err == 0)
        put(open_gap(self, 0, 0, (uint32_t)whole.len), whole);
    return err;
}
