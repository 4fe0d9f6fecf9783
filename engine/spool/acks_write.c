/* acks_write.c - appending to the log of a writer. */
#include "engine/spool/acks.h"
#include "engine/spool/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_TRIES = 50,
    LOCK_WAIT_MS = 100,
    AT_A_TIME = 512,      /* records */
    REWRITE_MIN = 1 << 20 /* a smaller log is left alone (octets) */
};

static void sign(const struct mx_spool_ack_writer *self, struct mx_spool_ack *ack) {
    ack->magic = MX_SPOOL_ACK_MAGIC;
    ack->crc = 0;
    ack->crc = mx_crc32c(self->seed, (struct mx_span){(const char *)ack, sizeof *ack});
}

int mx_spool_ack_writer_put(struct mx_spool_ack_writer *self, struct mx_spool_ack *acks,
                            uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        sign(self, &acks[i]);
    struct mx_span octets = {(const char *)acks, count * sizeof *acks};
    int err = mx_disk_write(self->fd, octets, self->octets);
    if (err == 0)
        self->octets += octets.len;
    return err;
}

int mx_spool_ack_writer_sync(struct mx_spool_ack_writer *self) {
    return fdatasync(self->fd) == 0 ? 0 : -errno;
}

void mx_spool_ack_writer_close(struct mx_spool_ack_writer *self) {
    if (self->fd >= 0)
        close(self->fd);
    if (self->folder >= 0)
        close(self->folder);
    self->fd = self->folder = -1;
}

/* ---- open ---- */

static bool is_in_place(const struct mx_spool_ack_writer *self, int fd) {
    struct stat ours, there;
    return fstat(fd, &ours) == 0 &&
           fstatat(self->folder, self->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static void pause_a_little(void) {
    struct timespec time = {0, LOCK_WAIT_MS * 1000000L};
    nanosleep(&time, NULL);
}

/* Open and lock the file that has the name when the lock is ours: whoever had it may have put
 * another one there. */
static int lock_file(struct mx_spool_ack_writer *self) {
    for (int i = 0; i <= LOCK_TRIES; i++) {
        int fd = openat(self->folder, self->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -errno;
        int err = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
        if (err == 0 && is_in_place(self, fd)) {
            self->fd = fd;
            return mx_disk_adopt(self->folder, fd);
        }
        close(fd);
        if (err < 0 && err != -EWOULDBLOCK)
            return err;
        pause_a_little();
    }
    return -EWOULDBLOCK;
}

/* Behind the last whole record nothing counts. */
static int cut_tail(struct mx_spool_ack_writer *self) {
    struct mx_spool_ack ack;
    struct stat st;
    size_t len;
    if (fstat(self->fd, &st) < 0)
        return -errno;
    uint64_t size = (uint64_t)st.st_size;
    self->octets = size - size % sizeof ack;
    for (; self->octets > 0; self->octets -= sizeof ack) {
        int err = mx_disk_read(self->fd, (char *)&ack, sizeof ack, self->octets - sizeof ack, &len);
        if (err < 0)
            return err;
        if (len == sizeof ack && mx_spool_ack_is_sound(&ack, self->seed))
            break;
    }
    self->cut_octets = size - self->octets;
    if (self->cut_octets == 0)
        return 0;
    if (ftruncate(self->fd, (off_t)self->octets) < 0)
        return -errno;
    return fsync(self->fd) == 0 ? 0 : -errno;
}

/* The record of the file itself, by which it is known whose it is. */
static int begin_file(struct mx_spool_ack_writer *self) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct mx_spool_ack first = {
        .state = MX_SPOOL_ACK_FILE,
        .time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
    };
    int err = mx_spool_ack_writer_put(self, &first, 1);
    if (err == 0 && fsync(self->fd) < 0)
        err = -errno;
    return err == 0 ? mx_disk_sync_folder(self->folder) : err;
}

/* ---- rewriting ---- */

struct live {
    const struct mx_spool_store *store;
    mx_spool_live_fn *ask;
    void *context;
};

static bool is_kept(const struct live *live, const struct mx_spool_ack *ack) {
    if (ack->state == MX_SPOOL_ACK_FILE)
        return false;
    return live->ask != NULL ? live->ask(live->context, ack->core, ack->epoch)
                             : !mx_spool_store_is_gone(live->store, ack->core, ack->epoch);
}

/* What is still needed of the log, into another one (to NULL: it is only counted). */
static int copy(struct mx_spool_ack_writer *self, const struct live *live,
                struct mx_spool_ack_writer *to, uint64_t *kept) {
    struct mx_spool_ack acks[AT_A_TIME];
    size_t len;
    *kept = 0;
    for (uint64_t at = 0; at < self->octets; at += sizeof acks) {
        int err = mx_disk_read(self->fd, (char *)acks, sizeof acks, at, &len);
        if (err < 0)
            return err;
        uint32_t count = 0;
        for (size_t i = 0; i < len / sizeof *acks; i++) {
            if (mx_spool_ack_is_sound(&acks[i], self->seed) && is_kept(live, &acks[i]))
                acks[count++] = acks[i];
        }
        *kept += count;
        err = to != NULL ? mx_spool_ack_writer_put(to, acks, count) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

/* The lock of the new file is ours before it gets the name. */
static int write_other(struct mx_spool_ack_writer *self, const struct live *live,
                       struct mx_spool_ack_writer *other) {
    char name[sizeof self->name + 4];
    uint64_t kept;
    int len = snprintf(name, sizeof name, "%s.tmp", self->name);
    assert(len > 0 && (size_t)len < sizeof name);
    int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    other->fd = openat(self->folder, name, flags, 0600);
    if (other->fd < 0)
        return -errno;
    int err = flock(other->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    if (err == 0)
        err = mx_disk_adopt(self->folder, other->fd);
    if (err == 0)
        err = begin_file(other);
    if (err == 0)
        err = copy(self, live, other, &kept);
    if (err == 0 && fsync(other->fd) < 0)
        err = -errno;
    if (err == 0 && renameat(self->folder, name, self->folder, self->name) < 0)
        err = -errno;
    return err == 0 ? mx_disk_sync_folder(self->folder) : err;
}

static int rewrite(struct mx_spool_ack_writer *self, const struct live *live) {
    uint64_t kept;
    if (self->octets < REWRITE_MIN)
        return 0;
    int err = copy(self, live, NULL, &kept);
    if (err < 0 || 2 * kept * sizeof(struct mx_spool_ack) > self->octets)
        return err;
    struct mx_spool_ack_writer other = *self;
    other.octets = 0;
    other.fd = -1;
    err = write_other(self, live, &other);
    if (err < 0) {
        if (other.fd >= 0)
            close(other.fd);
        return err;
    }
    close(self->fd);
    *self = other;
    self->is_rewritten = true;
    return 0;
}

int mx_spool_ack_writer_open(struct mx_spool_ack_writer *self, const struct mx_spool_store *store,
                             const char *writer, mx_spool_live_fn *is_live, void *context) {
    struct mx_span uuid = {(const char *)store->uuid, sizeof store->uuid};
    struct live live = {store, is_live, context};
    *self = (struct mx_spool_ack_writer){.folder = -1, .fd = -1, .seed = mx_crc32c(0, uuid)};
    memcpy(self->uuid, store->uuid, sizeof self->uuid);
    assert(strlen(writer) > 0 && strlen(writer) <= MX_SPOOL_WRITER_MAX);
    int len = snprintf(self->name, sizeof self->name, "%s.log", writer);
    assert(len > 0 && (size_t)len < sizeof self->name);
    int err = mx_disk_make_folder(store->dirs[0].fd, "acks", &self->folder);
    if (err == 0)
        err = lock_file(self);
    if (err == 0)
        err = cut_tail(self);
    if (err == 0 && self->octets == 0)
        err = begin_file(self);
    if (err == 0)
        err = rewrite(self, &live);
    if (err < 0)
        mx_spool_ack_writer_close(self);
    return err;
}
