/* lane.h - what a worker's log and the keeper say to each other: segments that are ready one way,
 * segments that are full the other way. Two rings with one writer and one reader each; no locks.
 */
#pragma once
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MX_SPOOL_READY_MAX = 8, /* segments prepared ahead of a worker; a power of two */
    /* full ones the keeper has not seen yet; a power of two. A worker with so many waits for it */
    MX_SPOOL_RETIRED_MAX = 64,
};

/* A file of zeros, or a recycled one: its header block is zero. */
struct mx_spool_ready {
    int fd;          /* open for writing; given */
    uint32_t dir;    /* 0: spool.directory, 1: spool.secondDirectory */
    uint32_t number; /* of the file */
    uint64_t size_octets;
};

/* A segment that will not be written again. */
struct mx_spool_retired {
    int fd; /* given back: the keeper closes it */
    uint32_t dir, number;
    uint64_t epoch, prev_epoch, end_offset, last_lsn, oldest_epoch, content_octets;
    uint32_t message_count, rcpt_count; /* acknowledged ones */
    bool is_sealed;                     /* its footer is durable */
    bool is_unused;                     /* never begun: its directory fails */
    /* messages that were being received, or not answered, when it was left have chunks from this
     * epoch on */
    uint64_t oldest_open_epoch;
    int error; /* why it was given up; 0: it is full */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): one cache line a side */
struct mx_spool_lane {
    uint32_t core;
    sem_t *wake;                 /* the keeper's */
    _Atomic uint32_t ready_tail; /* written by the keeper */
    _Atomic uint32_t retired_head;
    /* octets of the segments that this lane may still get */
    _Atomic uint64_t unallocated_octets;
    _Atomic uint32_t failed_dirs; /* bits: segments there are given back */
    _Atomic bool is_broken;       /* that is all of them: not space is missing */
    /* the disk has failed too often: no mail is taken, until the keeper thinks better of it */
    _Atomic bool is_stopped;
    struct mx_spool_ready ready[MX_SPOOL_READY_MAX];
    _Alignas(64) _Atomic uint32_t ready_head; /* written by the worker */
    _Atomic uint32_t retired_tail;
    struct mx_spool_retired retired[MX_SPOOL_RETIRED_MAX];
};

/* Worker: how many segments are ready; take one; give one back. */
static inline uint32_t mx_spool_lane_ready(struct mx_spool_lane *self) {
    return atomic_load_explicit(&self->ready_tail, memory_order_acquire) -
           atomic_load_explicit(&self->ready_head, memory_order_relaxed);
}
static inline struct mx_spool_ready mx_spool_lane_take(struct mx_spool_lane *self) {
    uint32_t head = atomic_load_explicit(&self->ready_head, memory_order_relaxed);
    struct mx_spool_ready ready = self->ready[head % MX_SPOOL_READY_MAX];
    atomic_store_explicit(&self->ready_head, head + 1, memory_order_release);
    sem_post(self->wake);
    return ready;
}
static inline bool mx_spool_lane_can_retire(struct mx_spool_lane *self) {
    return atomic_load_explicit(&self->retired_tail, memory_order_relaxed) -
               atomic_load_explicit(&self->retired_head, memory_order_acquire) <
           MX_SPOOL_RETIRED_MAX - 1; /* one is kept for the end */
}
static inline void mx_spool_lane_retire(struct mx_spool_lane *self,
                                        const struct mx_spool_retired *retired) {
    uint32_t tail = atomic_load_explicit(&self->retired_tail, memory_order_relaxed);
    self->retired[tail % MX_SPOOL_RETIRED_MAX] = *retired;
    atomic_store_explicit(&self->retired_tail, tail + 1, memory_order_release);
    sem_post(self->wake);
}

/* Worker: why there is no space. */
static inline int mx_spool_lane_no_space(struct mx_spool_lane *self) {
    return atomic_load_explicit(&self->is_broken, memory_order_relaxed) ? -EIO : -ENOSPC;
}

/* Keeper: how many does the worker still have; offer one more (there must be fewer than
 * MX_SPOOL_READY_MAX); take a full one (false: there is none). */
static inline uint32_t mx_spool_lane_offered(struct mx_spool_lane *self) {
    return atomic_load_explicit(&self->ready_tail, memory_order_relaxed) -
           atomic_load_explicit(&self->ready_head, memory_order_acquire);
}
static inline void mx_spool_lane_offer(struct mx_spool_lane *self,
                                       const struct mx_spool_ready *ready) {
    uint32_t tail = atomic_load_explicit(&self->ready_tail, memory_order_relaxed);
    self->ready[tail % MX_SPOOL_READY_MAX] = *ready;
    atomic_store_explicit(&self->ready_tail, tail + 1, memory_order_release);
}
static inline bool mx_spool_lane_take_retired(struct mx_spool_lane *self,
                                              struct mx_spool_retired *retired) {
    uint32_t head = atomic_load_explicit(&self->retired_head, memory_order_relaxed);
    if (head == atomic_load_explicit(&self->retired_tail, memory_order_acquire))
        return false;
    *retired = self->retired[head % MX_SPOOL_RETIRED_MAX];
    atomic_store_explicit(&self->retired_head, head + 1, memory_order_release);
    return true;
}
