#include "engine/policy/memo_file.h"

#include "proto/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* The file: a head, then blocks of facts, the last of them empty. Numbers as this machine has them:
 * the magic of another kind of machine is another one. */
#define MAGIC UINT64_C(0x316f6d656d786d31) /* "1mxmemo1" */

struct head {
    uint64_t magic, wall_ms;
    uint8_t secret[MX_MEMO_SECRET];
    uint32_t fact_octets;
    uint32_t crc; /* of all above */
};

struct block {
    uint32_t count; /* 0: the end */
    uint32_t crc;   /* of the count, and of the facts behind it */
};

enum { BLOCK_FACTS = 1024 };

struct writer {
    int fd;
    uint64_t octets;
    uint32_t crc; /* of facts and secret: what a file is told from the next one by */
};

static struct mx_span span_of(const void *ptr, size_t len) {
    return (struct mx_span){ptr, len};
}

/* ---- writing ---- */

static int write_all(struct writer *self, const void *from, size_t len) {
    const char *at = from;
    self->octets += len;
    while (len > 0) {
        ssize_t done = write(self->fd, at, len);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            at += done;
            len -= (size_t)done;
        }
    }
    return 0;
}

static int write_head(struct writer *self, const struct mx_memo *memo, uint64_t wall_ms) {
    struct head head = {
        .magic = MAGIC, .wall_ms = wall_ms, .fact_octets = sizeof(struct mx_memo_fact)};
    memcpy(head.secret, mx_memo_secret(memo), MX_MEMO_SECRET);
    head.crc = mx_crc32c(0, span_of(&head, offsetof(struct head, crc)));
    self->crc = mx_crc32c(0, span_of(head.secret, MX_MEMO_SECRET));
    int err = write_all(self, &head, sizeof head);
    explicit_bzero(&head, sizeof head);
    return err;
}

static int write_block(struct writer *self, const struct mx_memo_fact *facts, size_t count) {
    struct block block = {.count = (uint32_t)count};
    struct mx_span text = span_of(facts, count * sizeof *facts);
    block.crc = mx_crc32c(mx_crc32c(0, span_of(&block.count, sizeof block.count)), text);
    self->crc = mx_crc32c(self->crc, text);
    int err = write_all(self, &block, sizeof block);
    return err < 0 || count == 0 ? err : write_all(self, facts, text.len);
}

/* Facts have the times of this process; the head says how to read them. */
static int write_facts(struct writer *self, struct mx_memo *memo, uint64_t now_ms,
                       struct mx_memo_fact *facts, struct mx_memo_result *result) {
    uint64_t cursor = 0;
    size_t count;
    int err = 0;
    do {
        count = mx_memo_read(memo, &cursor, now_ms, facts, BLOCK_FACTS);
        result->facts += count;
        err = write_block(self, facts, count);
    } while (count > 0 && err == 0);
    return err;
}

/* The name is on the disk only when its folder is. */
static int sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, len > 0 ? path : ".", len > 0 ? len : 1);
    folder[len > 0 ? len : 1] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return err;
}

static int replace(struct writer *self, const char *path, const char *temporary) {
    if (fsync(self->fd) < 0 || rename(temporary, path) < 0)
        return -errno;
    return sync_folder(path);
}

static int write_file(struct writer *self, struct mx_memo *memo,
                      const struct mx_memo_moment *moment, struct mx_memo_result *result) {
    struct mx_memo_fact facts[BLOCK_FACTS];
    /* a moment that is 0 on the monotonic clock, by the wall clock */
    int err = write_head(self, memo, moment->wall_ms - moment->now_ms);
    if (err == 0)
        err = write_facts(self, memo, moment->now_ms, facts, result);
    return err;
}

int mx_memo_save(struct mx_memo *self, const char *path, const struct mx_memo_moment *moment,
                 uint32_t before, struct mx_memo_result *result) {
    char temporary[PATH_MAX];
    *result = (struct mx_memo_result){.facts = 0};
    int len = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof temporary)
        return -ENAMETOOLONG;
    struct writer writer = {
        .fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (writer.fd < 0)
        return -errno;
    int err = write_file(&writer, self, moment, result);
    bool is_same = err == 0 && writer.crc == before;
    if (err == 0 && !is_same)
        err = replace(&writer, path, temporary);
    if (close(writer.fd) < 0 && err == 0)
        err = -errno;
    if (err < 0 || is_same)
        unlink(temporary);
    result->octets = writer.octets;
    result->crc = writer.crc;
    return err;
}

/* ---- reading ---- */

struct reader {
    int fd;
    uint64_t octets;
    int err; /* of the disk */
};

/* False: there is no more, or an error. */
static bool read_all(struct reader *self, void *to, size_t len) {
    char *at = to;
    while (len > 0) {
        ssize_t got = read(self->fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            self->err = -errno;
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
        self->octets += (uint64_t)got;
    }
    return true;
}

static bool is_sound(const struct head *head) {
    return head->magic == MAGIC && head->fact_octets == sizeof(struct mx_memo_fact) &&
           head->crc == mx_crc32c(0, span_of(head, offsetof(struct head, crc)));
}

/* False: the end, or the damage. */
static bool take_block(struct reader *self, struct mx_memo_fact *facts, uint32_t *count,
                       struct mx_memo_result *result) {
    struct block block;
    result->is_damaged = true;
    if (!read_all(self, &block, sizeof block) || block.count > BLOCK_FACTS ||
        !read_all(self, facts, block.count * sizeof *facts))
        return false;
    uint32_t crc = mx_crc32c(0, span_of(&block.count, sizeof block.count));
    if (block.crc != mx_crc32c(crc, span_of(facts, block.count * sizeof *facts)))
        return false;
    result->is_damaged = false;
    *count = block.count;
    return block.count > 0;
}

static int take_file(struct reader *self, struct mx_memo *memo, const struct mx_memo_moment *moment,
                     struct mx_memo_result *result) {
    struct mx_memo_fact facts[BLOCK_FACTS];
    struct head head;
    uint32_t count = 0;
    result->is_damaged = !read_all(self, &head, sizeof head) || !is_sound(&head);
    if (!result->is_damaged) {
        mx_memo_set_secret(memo, head.secret);
        /* how much later this process's clock began; a moment before that begin is a number below
         * 0, and the differences that hooks compute are right all the same */
        uint64_t later_ms = moment->wall_ms - moment->now_ms - head.wall_ms;
        while (take_block(self, facts, &count, result)) {
            for (uint32_t i = 0; i < count; i++)
                result->facts += mx_memo_put(memo, &facts[i], later_ms, moment->now_ms);
        }
    }
    explicit_bzero(&head, sizeof head);
    return self->err;
}

int mx_memo_load(struct mx_memo *self, const char *path, const struct mx_memo_moment *moment,
                 struct mx_memo_result *result) {
    struct reader reader = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    *result = (struct mx_memo_result){.facts = 0};
    if (reader.fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int err = take_file(&reader, self, moment, result);
    close(reader.fd);
    result->octets = reader.octets;
    return err;
}
