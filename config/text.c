#include "config/text.h"

#include <assert.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

struct mx_span mx_text_trim(struct mx_span text) {
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = mx_span_skip(text, 1);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static bool is_label(struct mx_span label) {
    if (label.len < 1 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = mx_ascii_lower(label.ptr[i]);
        if (!is_digit(c) && (c < 'a' || c > 'z') && c != '-')
            return false;
    }
    return true;
}

static bool is_number(struct mx_span label) {
    for (size_t i = 0; i < label.len; i++) {
        if (!is_digit(label.ptr[i]))
            return false;
    }
    return true;
}

bool mx_text_is_host(struct mx_span text) {
    if (text.len < 1 || text.len > MX_HOST_MAX)
        return false;
    for (;;) {
        const char *dot = memchr(text.ptr, '.', text.len);
        struct mx_span label = {text.ptr, dot ? (size_t)(dot - text.ptr) : text.len};
        if (!is_label(label))
            return false;
        if (!dot)
            return !is_number(label);
        text = mx_span_skip(text, label.len + 1);
        if (text.len == 0)
            return false;
    }
}

bool mx_text_is_printable(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

/* One code point off *text; 0: malformed (a NUL is refused anyway). */
static uint32_t take_code_point(struct mx_span *text) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {
        {0x80, 0x00, 1      },
        {0xe0, 0xc0, 0x80   },
        {0xf0, 0xe0, 0x800  },
        {0xf8, 0xf0, 0x10000}
    };
    unsigned char first = (unsigned char)text->ptr[0];
    for (size_t more = 0; more < 4; more++) {
        if ((first & forms[more].mask) != forms[more].lead)
            continue;
        if (text->len < more + 1)
            return 0;
        uint32_t code = first & (unsigned char)~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            unsigned char c = (unsigned char)text->ptr[i];
            if ((c & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (c & 0x3f);
        }
        *text = mx_span_skip(*text, more + 1);
        return code >= forms[more].least ? code : 0;
    }
    return 0;
}

static bool is_safe(uint32_t code) {
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return false;
    if (code == 0x2028 || code == 0x2029 || code == 0xfeff)
        return false;
    return !(code >= 0xd800 && code <= 0xdfff) && code != 0xfffe && code != 0xffff &&
           code <= 0x10ffff;
}

bool mx_text_is_utf8(struct mx_span text) {
    while (text.len > 0) {
        if (!is_safe(take_code_point(&text)))
            return false;
    }
    return true;
}

bool mx_text_take_word(struct mx_span *text, struct mx_span *word) {
    while (text->len > 0 && (is_blank(text->ptr[0]) || text->ptr[0] == ','))
        *text = mx_span_skip(*text, 1);
    size_t len = 0;
    while (len < text->len && !is_blank(text->ptr[len]) && text->ptr[len] != ',')
        len++;
    *word = (struct mx_span){text->ptr, len};
    *text = mx_span_skip(*text, len);
    return len > 0;
}

const char *mx_text_quote(struct mx_span text, char *buf, size_t size) {
    assert(size >= 8);
    bool is_cut = text.len >= size;
    size_t len = is_cut ? size - 4 : text.len;
    for (size_t i = 0; i < len; i++)
        buf[i] = mx_text_is_printable((struct mx_span){text.ptr + i, 1}) ? text.ptr[i] : '?';
    memcpy(buf + len, is_cut ? "..." : "", is_cut ? 4 : 1);
    return buf;
}
