#include "engine/spool/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int mx_spool_file_new(struct mx_spool_file *self) {
    *self = (struct mx_spool_file){.fd = -1};
    void *buffer;
    if (posix_memalign(&buffer, MX_SPOOL_BLOCK, MX_SPOOL_READ_BUFFER) != 0)
        return -ENOMEM;
    self->buffer = buffer;
    return 0;
}

void mx_spool_file_free(struct mx_spool_file *self) {
    mx_spool_file_close(self);
    free(self->buffer);
    self->buffer = NULL;
}

void mx_spool_file_close(struct mx_spool_file *self) {
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    self->at = self->len = 0;
}

int mx_spool_file_open(struct mx_spool_file *self, int folder, const char *name) {
    mx_spool_file_close(self);
    /* O_NONBLOCK: should somebody have put a FIFO there */
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    self->is_direct = true;
    self->fd = openat(folder, name, flags | O_DIRECT);
    if (self->fd < 0 && errno == EINVAL) {
        self->is_direct = false;
        self->fd = openat(folder, name, flags);
    }
    if (self->fd < 0)
        return -errno;
    struct stat st;
    int err = fstat(self->fd, &st) == 0 ? 0 : -errno;
    if (err == 0 && !S_ISREG(st.st_mode))
        err = -EINVAL;
    if (err < 0)
        mx_spool_file_close(self);
    else
        self->size_octets = (uint64_t)st.st_size;
    return err;
}

/* Some file systems take O_DIRECT when a file is opened and refuse it later. */
static bool give_up_direct(struct mx_spool_file *self) {
    int flags = fcntl(self->fd, F_GETFL);
    if (!self->is_direct || flags < 0 || fcntl(self->fd, F_SETFL, flags & ~O_DIRECT) < 0)
        return false;
    self->is_direct = false;
    return true;
}

/* Fill the buffer from at on, with want octets if the file has so many. */
static int fill(struct mx_spool_file *self, uint64_t at, uint32_t want) {
    assert(at % MX_SPOOL_BLOCK == 0 && want % MX_SPOOL_BLOCK == 0);
    assert(want <= MX_SPOOL_READ_BUFFER);
    self->at = at;
    self->len = 0;
    while (self->len < want) {
        self->reads++;
        ssize_t n =
            pread(self->fd, self->buffer + self->len, want - self->len, (off_t)(at + self->len));
        if (n < 0 && (errno == EINTR || (errno == EINVAL && give_up_direct(self))))
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        self->len += (uint32_t)n;
    }
    return 0;
}

static uint32_t read_ahead(const struct mx_spool_file *self, uint64_t at) {
    bool goes_on = at >= self->at && at <= self->at + self->len + MX_SPOOL_READ_JUMP;
    return goes_on ? MX_SPOOL_READ_FAR : MX_SPOOL_READ_NEAR;
}

int mx_spool_file_map(struct mx_spool_file *self, uint64_t offset, uint32_t len, const char **ptr) {
    assert(self->fd >= 0 && len <= MX_SPOOL_READ_BUFFER - 2 * MX_SPOOL_BLOCK);
    if (!mx_spool_file_has(self, offset, len)) {
        uint64_t at = offset / MX_SPOOL_BLOCK * MX_SPOOL_BLOCK;
        uint32_t least = (uint32_t)mx_spool_round(offset + len - at, MX_SPOOL_BLOCK);
        uint32_t ahead = read_ahead(self, at);
        int err = fill(self, at, least > ahead ? least : ahead);
        /* one bad sector must not hide its neighbours */
        if (err < 0 && least < ahead)
            err = fill(self, at, least);
        if (err < 0) {
            self->len = 0;
            return err;
        }
    }
    if (!mx_spool_file_has(self, offset, len))
        return MX_EPARTIAL;
    *ptr = self->buffer + (offset - self->at);
    return 0;
}
