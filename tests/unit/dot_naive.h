/* dot_naive.h - what the DATA scanner must find, from the definition: on the whole text, without
 * states, by searching for CRLF.CRLF, for bare LFs and for lines.
 */
#pragma once
#include "proto/dot.h"

enum { TEXT_MAX = 4096 }; /* octets */

struct outcome {
    enum mx_dot_result result;
    bool has_bare_cr, has_nul, has_8bit;
    size_t consumed; /* octets */
    size_t len;
    char content[TEXT_MAX];
};

static inline const char *find(const char *from, const char *to, const char *what) {
    return memmem(from, (size_t)(to - from), what, strlen(what));
}

static inline const char *find_bare_lf(const char *from, const char *to) {
    for (const char *lf = from; (lf = find(lf, to, "\n")) != NULL; lf++) {
        if (lf[-1] != '\r')
            return lf;
    }
    return NULL;
}

/* Take the lines from..to apart and drop the dot in front of each. */
static inline void unstuff(struct outcome *self, const char *from, const char *to) {
    while (from < to) {
        const char *crlf = find(from, to, "\r\n");
        const char *next = crlf != NULL ? crlf + 2 : to;
        if (*from == '.')
            from++;
        memcpy(self->content + self->len, from, (size_t)(next - from));
        self->len += (size_t)(next - from);
        from = next;
    }
}

static inline void naive(struct outcome *self, struct mx_span text) {
    static char copy[TEXT_MAX + 2];
    memcpy(copy, "\r\n", 2); /* the data begins a line */
    memcpy(copy + 2, text.ptr, text.len);
    const char *begin = copy + 2, *end = begin + text.len;
    const char *dot = find(copy, end, "\r\n.\r\n"), *lf = find_bare_lf(begin, end);
    const char *content_end = end; /* behind it nothing may be reported */
    *self = (struct outcome){.result = MX_DOT_MORE, .consumed = text.len};
    if (lf != NULL && (dot == NULL || lf < dot)) {
        self->result = MX_DOT_BARE_LF;
        self->consumed = (size_t)(lf + 1 - begin);
        content_end = lf;
    } else if (dot != NULL) {
        self->result = MX_DOT_END;
        self->consumed = (size_t)(dot + 5 - begin);
        content_end = dot + 2;
    } else if (end - copy >= 3 && memcmp(end - 3, "\r\n.", 3) == 0) {
        content_end = end - 1; /* not known yet to be content */
    } else if (end - copy >= 4 && memcmp(end - 4, "\r\n.\r", 4) == 0) {
        content_end = end - 2;
    }
    unstuff(self, begin, content_end);
    for (const char *at = begin; at < content_end; at++) {
        self->has_nul |= *at == 0;
        self->has_8bit |= (unsigned char)*at > 0x7f;
        self->has_bare_cr |= *at == '\r' && at + 1 < end && at[1] != '\n';
    }
}
