#include "proto/change.h"

struct head {
    uint32_t kind, index, name_len, whole_len;
};

enum { NAME_MAX_LEN = 997 }; /* a line has 998 octets, RFC 5322 2.1.1 */

static bool is_field_name(struct mx_span name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= 0x20 || name.ptr[i] == 0x7f || name.ptr[i] == ':')
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

static bool is_end(char c) {
    return c == '\r' || c == '\n' || c == '\0';
}

/* Where a value is written; without memory it is only counted. */
struct sink {
    char *to;
    size_t len;
};

static void put(struct sink *self, char c) {
    if (self->to != NULL)
        self->to[self->len] = c;
    self->len++;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* A line end within the value, at *at: the next line is folded, and an empty one, which would end
 * the header, is left out. */
static void put_fold(struct sink *self, struct mx_span value, size_t *at) {
    put(self, '\r');
    put(self, '\n');
    while (*at + 1 < value.len && is_end(value.ptr[*at + 1]))
        (*at)++;
    if (*at + 1 < value.len && !is_blank(value.ptr[*at + 1]))
        put(self, '\t');
}

/* The value as it may stand behind a colon. Its length. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the sink writes to it */
static size_t put_value(char *to, struct mx_span value) {
    struct sink sink = {to, 0};
    while (value.len > 0 && is_end(value.ptr[value.len - 1]))
        value.len--;
    if (value.len == 0 || !is_blank(value.ptr[0]))
        put(&sink, ' ');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\n')
            put_fold(&sink, value, &i);
        else if (!is_end(value.ptr[i]))
            put(&sink, value.ptr[i]);
    }
    put(&sink, '\r');
    put(&sink, '\n');
    return sink.len;
}

int mx_changes_put(struct mx_changes *self, enum mx_change_kind kind, uint32_t index,
                   struct mx_span name, struct mx_span value) {
    bool has_field = kind != MX_CHANGE_REMOVE && kind != MX_CHANGE_REMOVE_ALL;
    if (!is_field_name(name))
        return MX_ESYNTAX;
    uint64_t whole_len = has_field ? name.len + 1 + put_value(NULL, value) : 0;
    uint64_t octets = sizeof(struct head) + name.len + whole_len;
    if (octets > self->cap - self->len)
        return MX_ENOROOM;
    const struct head head = {(uint32_t)kind, index, (uint32_t)name.len, (uint32_t)whole_len};
    char *to = self->ptr + self->len;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, name.ptr, name.len);
    to += sizeof head + name.len;
    if (has_field) {
        memcpy(to, name.ptr, name.len);
        to[name.len] = ':';
        put_value(to + name.len + 1, value);
    }
    self->len += (uint32_t)octets;
    return 0;
}

bool mx_changes_next(const struct mx_changes *self, uint32_t *at, struct mx_change *change) {
    struct head head;
    if (*at >= self->len)
        return false;
    const char *from = self->ptr + *at;
    memcpy(&head, from, sizeof head);
    from += sizeof head;
    *change = (struct mx_change){
        .kind = (enum mx_change_kind)head.kind,
        .index = head.index,
        .name = {from,                 head.name_len },
        .whole = {from + head.name_len, head.whole_len},
    };
    *at += (uint32_t)sizeof head + head.name_len + head.whole_len;
    return true;
}
