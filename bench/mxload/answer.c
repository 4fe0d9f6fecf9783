#include "bench/mxload/answer.h"

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Keep the beginning of a line whose end is not there yet. */
static int put(struct mx_answer *self, struct mx_span part) {
    if (self->len < MX_ANSWER_TEXT && part.len > 0)
        memcpy(self->text + self->len, part.ptr, least(part.len, MX_ANSWER_TEXT - self->len));
    if (part.len > MX_ANSWER_LINE_MAX - self->len)
        return MX_ELIMIT;
    self->len += (uint32_t)part.len;
    return 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Code of a line without its end; 0: more lines follow. */
static int code_of(struct mx_span line) {
    if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' || !is_digit(line.ptr[1]) ||
        !is_digit(line.ptr[2]))
        return MX_ESYNTAX;
    if (line.len > 3 && line.ptr[3] == '-')
        return 0;
    if (line.len > 3 && line.ptr[3] != ' ')
        return MX_ESYNTAX;
    return (line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + (line.ptr[2] - '0');
}

int mx_answer_take(struct mx_answer *self, struct mx_span *in, struct mx_span *text) {
    while (in->len > 0) {
        const char *lf = memchr(in->ptr, '\n', in->len);
        struct mx_span line = {in->ptr, lf != NULL ? (size_t)(lf - in->ptr) : in->len};
        *in = mx_span_skip(*in, line.len + (lf != NULL));
        if (lf == NULL || self->len > 0) {
            int err = put(self, line);
            if (err < 0)
                return err;
            if (lf == NULL)
                break;
            line = (struct mx_span){self->text, self->len};
        }
        bool is_whole = line.len <= MX_ANSWER_TEXT;
        line.len = least(line.len, MX_ANSWER_TEXT);
        if (is_whole && line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        self->len = 0;
        int code = code_of(line);
        if (code != 0) {
            *text = line;
            return code;
        }
    }
    return MX_EPARTIAL;
}
