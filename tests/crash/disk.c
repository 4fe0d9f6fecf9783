#include "tests/crash/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool happens(struct disk *self, enum disk_fault fault) {
    bool is_hit = self->one_in[fault] > 0 && rng_take(&self->rng, self->one_in[fault]) == 0;
    self->fault_counts[fault] += is_hit;
    return is_hit;
}

static void put(int fd, const char *octets, uint64_t len, uint64_t offset) {
    ssize_t n = pwrite(fd, octets, len, (off_t)offset);
    assert(n == (ssize_t)len);
}

/* Each sector with the same chance, in percent. */
static void put_some(struct disk *self, const struct disk_write *write, uint32_t chance) {
    for (uint32_t at = 0; at < write->len; at += DISK_SECTOR) {
        if (rng_take(&self->rng, 100) < chance)
            put(write->fd, write->octets + at, DISK_SECTOR, write->offset + at);
    }
}

/* ---- the ring ---- */

static int enter(struct mx_ring *ring, unsigned count, const struct mx_ring_wait *wait) {
    struct disk *self = ring->context;
    struct io_uring_sq *sq = &ring->uring.sq;
    (void)wait;
    for (unsigned i = 0; i < count; i++) {
        const struct io_uring_sqe *sqe = &sq->sqes[(*sq->khead)++ & sq->ring_mask];
        assert(self->request_count < DISK_REQUESTS_MAX);
        struct disk_request *request = &self->requests[self->request_count++];
        *request = (struct disk_request){.user_data = sqe->user_data,
                                         .opcode = sqe->opcode,
                                         .fd = sqe->fd,
                                         .number = self->clock++};
        if (sqe->opcode != IORING_OP_WRITE) {
            assert(sqe->opcode == IORING_OP_FSYNC);
            continue;
        }
        assert(sqe->len % DISK_SECTOR == 0 && sqe->off % DISK_SECTOR == 0);
        request->is_durable = sqe->rw_flags & RWF_DSYNC;
        request->write =
            (struct disk_write){sqe->fd, sqe->off, sqe->len, malloc(sqe->len), request->number};
        assert(request->write.octets != NULL);
        const char *from = (const char *)(uintptr_t)sqe->addr;
        memcpy(request->write.octets, from, sqe->len);
    }
    return (int)count;
}

static int64_t wall_s(struct mx_ring *ring) {
    const struct disk *self = ring->context;
    return 1790000000 + (int64_t)self->clock;
}

static const struct mx_ring_io io = {.enter = enter, .wall_s = wall_s};

void disk_init(struct disk *self, uint64_t seed) {
    memset(self, 0, sizeof *self);
    self->rng = (struct rng){seed | 1};
    int err = mx_ring_memory_new(&self->ring, &io, self, 64, 256);
    assert(err == 0);
}

/* ---- requests ---- */

static void post(struct disk *self, uint64_t user_data, int32_t res) {
    struct io_uring_cq *cq = &self->ring.uring.cq;
    cq->cqes[(*cq->ktail)++ & cq->ring_mask] =
        (struct io_uring_cqe){.user_data = user_data, .res = res};
}

/* An error says nothing of what has reached the disk. */
static int32_t do_write(struct disk *self, struct disk_request *request) {
    static const uint32_t chances[] = {0, 30, 100};
    struct disk_write *write = &request->write;
    bool is_bad = happens(self, DISK_WRITE_EIO);
    bool is_short = !is_bad && happens(self, DISK_WRITE_SHORT);
    if (is_bad || is_short) {
        put_some(self, write, chances[rng_take(&self->rng, 3)]);
        free(write->octets);
        return is_bad ? -EIO : (int32_t)write->len / 2 / DISK_SECTOR * DISK_SECTOR;
    }
    int32_t len = (int32_t)write->len;
    if (request->is_durable) {
        put(write->fd, write->octets, write->len, write->offset);
        free(write->octets);
        return len;
    }
    assert(self->cache_count < DISK_VOLATILE_MAX);
    self->cache[self->cache_count++] = *write;
    return len;
}

static int32_t do_sync(struct disk *self, const struct disk_request *request) {
    bool is_bad = happens(self, DISK_SYNC_EIO);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->cache_count; i++) {
        struct disk_write *write = &self->cache[i];
        if (write->fd != request->fd || write->number > request->number) {
            self->cache[kept++] = *write;
            continue;
        }
        put_some(self, write, is_bad ? rng_take(&self->rng, 101) : 100);
        free(write->octets);
    }
    self->cache_count = kept;
    return is_bad ? -EIO : 0;
}

void disk_turn(struct disk *self) {
    for (uint32_t i = 0; i < self->request_count;) {
        if (rng_take(&self->rng, 100) < self->busy) {
            i++;
            continue;
        }
        struct disk_request request = self->requests[i];
        self->requests[i] = self->requests[--self->request_count];
        int32_t res =
            request.opcode == IORING_OP_FSYNC ? do_sync(self, &request) : do_write(self, &request);
        post(self, request.user_data, res);
    }
}

void disk_crash(struct disk *self) {
    static const uint32_t chances[] = {0, 20, 50, 80, 100};
    for (uint32_t i = 0; i < self->cache_count; i++)
        put_some(self, &self->cache[i], chances[rng_take(&self->rng, 5)]);
    for (uint32_t i = 0; i < self->request_count; i++) {
        if (self->requests[i].opcode == IORING_OP_WRITE)
            put_some(self, &self->requests[i].write, chances[rng_take(&self->rng, 5)]);
    }
}

void disk_free(struct disk *self) {
    for (uint32_t i = 0; i < self->cache_count; i++)
        free(self->cache[i].octets);
    for (uint32_t i = 0; i < self->request_count; i++)
        free(self->requests[i].write.octets);
    mx_ring_memory_free(&self->ring);
}
