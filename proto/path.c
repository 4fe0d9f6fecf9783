#include "proto/path.h"

#include "proto/ip.h"
#include "proto/utf8.h"

enum { LABEL_MAX = 63, DOMAIN_MAX = 253 };

enum {
    ATOM = 1 << 0,  /* in a dot-atom */
    QTEXT = 1 << 1, /* unescaped in a quoted string */
    PAIR = 1 << 2,  /* behind a backslash in a dot-atom */
    LABEL = 1 << 3, /* in a domain's label */
    DIGIT = 1 << 4,
    HIGH = 1 << 5, /* above 0x7f */
};
#define PLAIN (ATOM | QTEXT | PAIR)

/* '<' and '>' may not even be escaped outside quotes: the next server may end the path there. */
/* clang-format off */
static const uint8_t classes[256] = {
    [' '] = QTEXT | PAIR,
    ['!'] = PLAIN,
    ['"'] = PAIR,
    ['#' ... '\''] = PLAIN,
    ['(' ... ')'] = QTEXT | PAIR,
    ['*' ... '+'] = PLAIN,
    [','] = QTEXT,
    ['-'] = PLAIN | LABEL,
    ['.'] = QTEXT | PAIR,
    ['/'] = PLAIN,
    ['0' ... '9'] = PLAIN | LABEL | DIGIT,
    [':' ... ';'] = QTEXT | PAIR,
    ['<'] = QTEXT,
    ['='] = PLAIN,
    ['>'] = QTEXT,
    ['?'] = PLAIN,
    ['@'] = QTEXT | PAIR,
    ['A' ... 'Z'] = PLAIN | LABEL,
    ['['] = QTEXT | PAIR,
    ['\\'] = PAIR,
    [']'] = QTEXT | PAIR,
    ['^' ... '`'] = PLAIN,
    ['a' ... 'z'] = PLAIN | LABEL,
    ['{' ... '~'] = PLAIN,
    [0x80 ... 0xff] = HIGH,
};
/* clang-format on */

static inline unsigned class_of(char c) {
    return classes[(uint8_t)c];
}

/* Offset of the first octet from i on that is not of the class, or the length. */
static inline size_t skip(struct mx_span text, size_t i, unsigned class) {
    const char *at = text.ptr + i, *end = text.ptr + text.len;
    while (at != end && class_of(*at) & class)
        at++;
    return (size_t)(at - text.ptr);
}

/* Offset behind the closing quote of the quoted string at the begin of text; 0: it has no end. */
static size_t quoted_end(struct mx_span text) {
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '"')
            return i + 1;
        i += text.ptr[i] == '\\';
    }
    return 0;
}

int mx_path_split(struct mx_span text, bool brackets_required, struct mx_span *inner,
                  struct mx_span *rest) {
    while (text.len > 0 && *text.ptr == ' ')
        text = mx_span_skip(text, 1);
    if (text.len == 0)
        return MX_ESYNTAX;
    if (*text.ptr != '<') {
        if (brackets_required)
            return MX_ESYNTAX;
        const char *space = memchr(text.ptr, ' ', text.len);
        *inner = (struct mx_span){text.ptr, space != NULL ? (size_t)(space - text.ptr) : text.len};
        *rest = mx_span_skip(text, inner->len);
        return 0;
    }
    text = mx_span_skip(text, 1);
    size_t quoted = 0;
    if (text.len > 0 && *text.ptr == '"') {
        quoted = quoted_end(text);
        if (quoted == 0)
            return MX_ESYNTAX;
    }
    if (quoted == text.len)
        return MX_ESYNTAX;
    const char *end = memchr(text.ptr + quoted, '>', text.len - quoted);
    if (end == NULL)
        return MX_ESYNTAX;
    struct mx_span behind = mx_span_skip(text, (size_t)(end - text.ptr) + 1);
    if (behind.len > 0 && *behind.ptr != ' ')
        return MX_ESYNTAX;
    *inner = (struct mx_span){text.ptr, (size_t)(end - text.ptr)};
    *rest = behind;
    return 0;
}

/* The two parsers of the local part return its length, 0 when it is malformed. *is_utf8 is set
 * (never cleared) when an octet above 0x7f occurs. */

static size_t parse_quoted(struct mx_span text, bool allow_utf8, bool *is_utf8) {
    size_t i = 1;
    while (i < text.len && text.ptr[i] != '"') {
        unsigned class = class_of(text.ptr[i]);
        size_t step = 1;
        if (class & HIGH) {
            step = allow_utf8 ? mx_utf8_len(text.ptr + i, text.len - i) : 0;
            *is_utf8 = true;
        } else if (text.ptr[i] == '\\') {
            bool is_pair = i + 1 < text.len && text.ptr[i + 1] >= ' ' && text.ptr[i + 1] <= '~';
            step = is_pair ? 2 : 0;
        } else if (!(class & QTEXT)) {
            step = 0;
        }
        if (step == 0)
            return 0;
        i += step;
    }
    if (i == 1 || i >= text.len)
        return 0;
    return i + 1;
}

static size_t parse_dot_atom(struct mx_span text, bool allow_utf8, bool *is_utf8) {
    size_t i = 0, atom = 0;
    for (;;) {
        i = skip(text, i, ATOM);
        if (i == text.len || text.ptr[i] == '@')
            return i > atom ? i : 0;
        size_t step = 0;
        if (text.ptr[i] == '.') {
            if (i == atom)
                return 0;
            atom = i + 1;
            step = 1;
        } else if (text.ptr[i] == '\\') {
            step = i + 1 < text.len && class_of(text.ptr[i + 1]) & PAIR ? 2 : 0;
        } else if (class_of(text.ptr[i]) & HIGH && allow_utf8) {
            step = mx_utf8_len(text.ptr + i, text.len - i);
            *is_utf8 = true;
        }
        if (step == 0)
            return 0;
        i += step;
    }
}

static bool is_v4(struct mx_span text) {
    struct mx_ip ip;
    return memchr(text.ptr, ':', text.len) == NULL && mx_ip_parse(text, &ip);
}

static bool is_label(struct mx_span label) {
    return label.len > 0 && label.len <= LABEL_MAX && label.ptr[0] != '-' &&
           label.ptr[label.len - 1] != '-';
}

static bool is_domain(struct mx_span text, bool allow_utf8, bool *is_utf8) {
    size_t i = 0, label = 0;
    if (text.len > DOMAIN_MAX)
        return false;
    for (;;) {
        i = skip(text, i, LABEL);
        if (i < text.len && class_of(text.ptr[i]) & HIGH) {
            size_t step = allow_utf8 ? mx_utf8_len(text.ptr + i, text.len - i) : 0;
            if (step == 0)
                return false;
            *is_utf8 = true;
            i += step;
            continue;
        }
        if (!is_label((struct mx_span){text.ptr + label, i - label}))
            return false;
        if (i == text.len)
            break;
        if (text.ptr[i] != '.')
            return false;
        label = ++i;
    }
    return !(class_of(text.ptr[label]) & DIGIT) || is_v4(text);
}

static bool parse_literal(struct mx_span text, struct mx_path *path) {
    if (text.ptr[text.len - 1] != ']')
        return false;
    path->domain = (struct mx_span){text.ptr + 1, text.len - 2};
    path->is_literal = true;
    return is_v4(path->domain);
}

int mx_path_parse(struct mx_span text, bool allow_utf8, struct mx_path *path) {
    struct mx_path parsed = {
        .local = {text.ptr, 0},
          .domain = {text.ptr, 0}
    };
    if (text.len == 0 || (text.len == 1 && *text.ptr == '@')) {
        *path = parsed;
        return 0;
    }
    size_t len = *text.ptr == '"' ? parse_quoted(text, allow_utf8, &parsed.is_utf8)
                                  : parse_dot_atom(text, allow_utf8, &parsed.is_utf8);
    if (len == 0)
        return MX_ESYNTAX;
    parsed.local.len = len;
    if (len < text.len) {
        if (text.ptr[len] != '@' || len + 1 == text.len)
            return MX_ESYNTAX;
        parsed.domain = mx_span_skip(text, len + 1);
        bool is_valid = *parsed.domain.ptr == '['
                            ? parse_literal(parsed.domain, &parsed)
                            : is_domain(parsed.domain, allow_utf8, &parsed.is_utf8);
        if (!is_valid)
            return MX_ESYNTAX;
    }
    *path = parsed;
    return 0;
}
