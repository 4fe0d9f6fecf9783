#include "proto/xtext.h"

/* The value of an upper-case hexadecimal digit; 16: it is none. */
static unsigned hex(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

int mx_xtext_decode(struct mx_span text, char *to, size_t cap, size_t *len) {
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '!' || c > '~' || c == '=')
            return MX_ESYNTAX;
        if (c == '+') {
            unsigned high = text.len - i > 2 ? hex(text.ptr[i + 1]) : 16;
            unsigned low = high < 16 ? hex(text.ptr[i + 2]) : 16;
            if (low > 15)
                return MX_ESYNTAX;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (*len == cap)
            return MX_ENOROOM;
        to[(*len)++] = c;
    }
    return 0;
}
