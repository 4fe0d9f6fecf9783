#include "bench/mxload/mbox.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_OCTETS = 1 << 18 };

void mx_mbox_init(struct mx_mbox *self, int fd) {
    *self = (struct mx_mbox){.fd = fd};
}

void mx_mbox_reuse(struct mx_mbox *self, int fd) {
    self->fd = fd;
    self->has_ended = false;
    self->begin = self->len = 0;
}

void mx_mbox_free(struct mx_mbox *self) {
    free(self->octets);
    self->octets = NULL;
}

/* Room for READ_OCTETS behind what is there. */
static int new_room(struct mx_mbox *self) {
    if (self->begin > 0) {
        memmove(self->octets, self->octets + self->begin, self->len - self->begin);
        self->len -= self->begin;
        self->begin = 0;
    }
    if (self->len > MX_MBOX_MESSAGE_MAX)
        return -EFBIG;
    if (self->cap - self->len >= READ_OCTETS)
        return 0;
    size_t cap = 2 * self->cap + READ_OCTETS;
    char *octets = realloc(self->octets, cap);
    if (octets == NULL)
        return -ENOMEM;
    self->octets = octets;
    self->cap = cap;
    return 0;
}

static int read_more(struct mx_mbox *self) {
    int err = new_room(self);
    if (err < 0)
        return err;
    ssize_t n;
    do
        n = read(self->fd, self->octets + self->len, self->cap - self->len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    self->has_ended = n == 0;
    self->len += (size_t)n;
    return 0;
}

static bool begins_with_from(struct mx_span in) {
    return in.len >= 5 && memcmp(in.ptr, "From ", 5) == 0;
}

/* Where the line end begins that in.ptr[lf] ends. */
static size_t line_end(struct mx_span in, size_t lf) {
    return lf > 0 && in.ptr[lf - 1] == '\r' ? lf - 1 : lf;
}

/* in.ptr[lf] ends an empty line; *end: where that line begins. */
static bool ends_empty_line(struct mx_span in, size_t lf, size_t *end) {
    *end = line_end(in, lf);
    return *end > 0 && in.ptr[*end - 1] == '\n';
}

/* The LF in front of the next From_ line, of which the empty line begins at *end; in.len: none.
 * *scanned: none is before it. */
static size_t find_next(struct mx_span in, size_t *scanned, size_t *end) {
    const char *at;
    while ((at = memmem(in.ptr + *scanned, in.len - *scanned, "\nFrom ", 6)) != NULL) {
        size_t lf = (size_t)(at - in.ptr);
        if (ends_empty_line(in, lf, end))
            return lf;
        *scanned = lf + 1;
    }
    if (in.len - *scanned >= 6)
        *scanned = in.len - 5;
    return in.len;
}

/* The last message, when there is nothing more to read. */
static int take_last(struct mx_mbox *self, struct mx_span in, size_t content,
                     struct mx_span *text) {
    self->begin = self->len;
    if (in.len == 0)
        return 0;
    if (content == 0)
        return MX_ESYNTAX; /* not even one line */
    size_t end = in.len;
    if (end > content && in.ptr[end - 1] == '\n' && !ends_empty_line(in, end - 1, &end))
        end = in.len;
    *text = (struct mx_span){in.ptr + content, end - content};
    return 1;
}

int mx_mbox_new_message(struct mx_mbox *self, struct mx_span *text) {
    size_t scanned = 0;
    while (true) {
        struct mx_span in = {self->octets + self->begin, self->len - self->begin};
        if (in.len >= 5 && !begins_with_from(in))
            return MX_ESYNTAX;
        const char *first = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
        size_t content = first != NULL ? (size_t)(first + 1 - in.ptr) : 0, end;
        if (scanned + 1 < content)
            scanned = content - 1; /* an empty line may follow at once */
        size_t lf = content > 0 ? find_next(in, &scanned, &end) : in.len;
        if (lf < in.len) {
            *text = (struct mx_span){in.ptr + content, end - content};
            self->begin += lf + 1;
            return 1;
        }
        if (self->has_ended)
            return take_last(self, in, content, text);
        int err = read_more(self);
        if (err < 0)
            return err;
    }
}

int mx_mbox_new_whole(struct mx_mbox *self, struct mx_span *text) {
    while (!self->has_ended) {
        int err = read_more(self);
        if (err < 0)
            return err;
    }
    *text = (struct mx_span){self->octets + self->begin, self->len - self->begin};
    return 0;
}

size_t mx_mbox_unquote(struct mx_span in, bool is_single, char *to) {
    char *begin = to;
    while (in.len > 0) {
        const char *lf = memchr(in.ptr, '\n', in.len);
        size_t len = lf != NULL ? (size_t)(lf + 1 - in.ptr) : in.len, quotes = 0;
        while (quotes < len && in.ptr[quotes] == '>')
            quotes++;
        bool is_quoted = quotes > 0 && (quotes == 1 || !is_single) &&
                         begins_with_from((struct mx_span){in.ptr + quotes, len - quotes});
        memmove(to, in.ptr + is_quoted, len - is_quoted);
        to += len - is_quoted;
        in = mx_span_skip(in, len);
    }
    return (size_t)(to - begin);
}
