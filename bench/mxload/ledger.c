#include "bench/mxload/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINES_OCTETS = 1 << 18, LINE_MAX_OCTETS = 512, TEXT_MAX = 256, TIME_MAX = 32 };

int mx_ledger_new(struct mx_ledger *self, int fd) {
    *self = (struct mx_ledger){.fd = fd};
    if (fd >= 0)
        self->lines = malloc(LINES_OCTETS);
    return fd >= 0 && self->lines == NULL ? -ENOMEM : 0;
}

void mx_ledger_free(struct mx_ledger *self) {
    free(self->lines);
    self->lines = NULL;
}

int mx_ledger_flush(struct mx_ledger *self) {
    size_t done = 0;
    while (done < self->len && self->error == 0) {
        ssize_t n = write(self->fd, self->lines + done, self->len - done);
        if (n < 0 && errno != EINTR)
            self->error = -errno;
        else if (n > 0)
            done += (size_t)n;
    }
    self->len = 0;
    return self->error;
}

static size_t put_text(char *to, struct mx_span text) {
    size_t len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i];
    return len;
}

static size_t put_time(char *to, uint64_t when_ns) {
    int n = snprintf(to, TIME_MAX, "@%llu ", (unsigned long long)when_ns);
    return n > 0 ? (size_t)n : 0;
}

void mx_ledger_put(struct mx_ledger *self, const char *run, uint64_t seq, int code,
                   uint64_t when_ns, struct mx_span text) {
    if (self->fd < 0)
        return;
    if (LINES_OCTETS - self->len < LINE_MAX_OCTETS && mx_ledger_flush(self) < 0)
        return; /* kept in self->error, and told at the end */
    char *to = self->lines + self->len;
    int n =
        code > 0
            ? snprintf(to, LINE_MAX_OCTETS, "%s %012llu %d ", run, (unsigned long long)seq, code)
            : snprintf(to, LINE_MAX_OCTETS, "%s %012llu unknown ", run, (unsigned long long)seq);
    if (n < 0)
        return;
    size_t len = (size_t)n;
    if (when_ns > 0)
        len += put_time(to + len, when_ns);
    len += put_text(to + len, text);
    to[len++] = '\n';
    self->len += len;
}
