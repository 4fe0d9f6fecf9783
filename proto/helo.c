#include "proto/ip.h"
#include "proto/path.h"

enum { LABEL_MAX = 63, NAME_MAX = 253 };

enum { ALNUM = 1 << 0, DIGIT = 1 << 1, INNER = 1 << 2 };

/* clang-format off */
static const uint8_t classes[256] = {
    ['-'] = INNER,
    ['0' ... '9'] = ALNUM | DIGIT | INNER,
    ['A' ... 'Z'] = ALNUM | INNER,
    ['_'] = INNER,
    ['a' ... 'z'] = ALNUM | INNER,
};
/* clang-format on */

static inline unsigned class_of(char c) {
    return classes[(uint8_t)c];
}

static bool is_alphanumeric(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!(class_of(text.ptr[i]) & ALNUM))
            return false;
    }
    return text.len > 0;
}

static bool is_label(struct mx_span label) {
    return label.len > 0 && label.len <= LABEL_MAX && class_of(label.ptr[0]) & ALNUM &&
           class_of(label.ptr[label.len - 1]) & ALNUM;
}

/* With is_ehlo the RFC 1123 form counts too: any label may start with a digit, but then neither
 * '_' nor a trailing dot is allowed. */
static bool is_host(struct mx_span text, bool is_ehlo) {
    bool has_dot = text.len > 0 && text.ptr[text.len - 1] == '.', has_underscore = false;
    text.len -= has_dot;
    if (text.len == 0 || text.len > NAME_MAX)
        return false;
    size_t i = 0, label = 0;
    for (;;) {
        while (i < text.len && class_of(text.ptr[i]) & INNER)
            has_underscore |= text.ptr[i++] == '_';
        if (!is_label((struct mx_span){text.ptr + label, i - label}))
            return false;
        if (i == text.len)
            break;
        if (text.ptr[i] != '.')
            return false;
        label = ++i;
    }
    return !(class_of(text.ptr[label]) & DIGIT) || (is_ehlo && !has_underscore && !has_dot);
}

static bool is_ip(struct mx_span text) {
    struct mx_ip ip;
    return mx_ip_parse(text, &ip);
}

static bool is_v6(struct mx_span text) {
    return text.len > 0 && memchr(text.ptr, ':', text.len) != NULL && is_ip(text);
}

/* "<v6>" or, as eM Client sends it, "<v6>:<v4>". */
static bool is_tagged(struct mx_span text) {
    if (is_v6(text))
        return true;
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL)
        return false;
    size_t len = (size_t)(colon - text.ptr);
    return is_v6((struct mx_span){text.ptr, len}) && is_ip(mx_span_skip(text, len + 1));
}

bool mx_helo_is_valid(struct mx_span name, bool is_ehlo) {
    static const struct mx_span tag = {"IPv6:", 5};
    if (name.len > 0 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = (struct mx_span){name.ptr + 1, name.len - 2};
    if (is_host(name, is_ehlo) || is_ip(name))
        return true;
    if (!is_ehlo)
        return false;
    if (name.len > tag.len && mx_span_equal_nocase((struct mx_span){name.ptr, tag.len}, tag))
        return is_tagged(mx_span_skip(name, tag.len));
    return is_alphanumeric(name);
}
