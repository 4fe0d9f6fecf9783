/* Tag lists (RFC 6376 3.2). */
#include "proto/dkim.h"

static bool is_white(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mx_span trimmed(struct mx_span text) {
    while (text.len > 0 && is_white(text.ptr[0]))
        text = mx_span_skip(text, 1);
    while (text.len > 0 && is_white(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static bool is_name(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = mx_ascii_lower(text.ptr[i]);
        bool is_letter = c >= 'a' && c <= 'z';
        if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return text.len > 0;
}

/* No control characters; what is above ASCII may be (RFC 8616). */
static bool is_value(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (!is_white(text.ptr[i]) && (c < 0x20 || c == 0x7f))
            return false;
    }
    return true;
}

int mx_dkim_next_tag(struct mx_span *list, struct mx_dkim_tag *tag) {
    const char *semicolon = list->len > 0 ? memchr(list->ptr, ';', list->len) : NULL;
    struct mx_span spec = {list->ptr,
                           semicolon != NULL ? (size_t)(semicolon - list->ptr) : list->len};
    *list = mx_span_skip(*list, semicolon != NULL ? spec.len + 1 : spec.len);
    spec = trimmed(spec);
    if (spec.len == 0) /* one ";" may end the list */
        return semicolon == NULL && list->len == 0 ? MX_EPARTIAL : MX_ESYNTAX;
    const char *equals = memchr(spec.ptr, '=', spec.len);
    if (equals == NULL)
        return MX_ESYNTAX;
    size_t len = (size_t)(equals - spec.ptr);
    tag->name = trimmed((struct mx_span){spec.ptr, len});
    tag->value = trimmed(mx_span_skip(spec, len + 1));
    return is_name(tag->name) && is_value(tag->value) ? 0 : MX_ESYNTAX;
}

int mx_dkim_strip(struct mx_span text, char *room, size_t cap, size_t *len) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (is_white(text.ptr[i]))
            continue;
        if (count == cap)
            return MX_ENOROOM;
        room[count++] = text.ptr[i];
    }
    *len = count;
    return 0;
}

bool mx_dkim_next_item(struct mx_span *rest, struct mx_span *item) {
    if (rest->ptr == NULL)
        return false;
    const char *colon = rest->len > 0 ? memchr(rest->ptr, ':', rest->len) : NULL;
    size_t len = colon != NULL ? (size_t)(colon - rest->ptr) : rest->len;
    *item = trimmed((struct mx_span){rest->ptr, len});
    *rest = colon != NULL ? mx_span_skip(*rest, len + 1) : (struct mx_span){NULL, 0};
    return true;
}
