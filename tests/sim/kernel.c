/* kernel.c - the simulated io_uring_enter(2): submission, the completion queue, waiting.
 *
 * Nothing blocks: when there is nothing to return, the ring is noted as asleep and the loop in
 * sim_test.c calls again when something has come or the time is over.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

void sim_kernel_init(struct sim_kernel *self, struct mx_ring *ring, struct sim_table *table) {
    self->ring = ring;
    self->table = table;
    self->op_count = self->overflow_count = self->bad_enters = 0;
    self->buf_ring = NULL;
    self->buf_head = 0;
    self->is_asleep = false;
    self->sleep_until_us = 0;
    self->cpu_ns = 0;
    memset(self->held, 0, sizeof self->held);
}

/* ---- the completion queue ---------------------------------------------------------------------
 */

static unsigned cq_used(const struct sim_kernel *self) {
    const struct io_uring_cq *cq = &self->ring->uring.cq;
    return *cq->ktail - *cq->khead;
}

bool sim_cq_has_room(const struct sim_kernel *self) {
    return self->overflow_count == 0 && cq_used(self) < self->ring->uring.cq.ring_entries;
}

/* Number of the next completion in the order in which the engine will see them. */
uint32_t sim_cq_next(const struct sim_kernel *self) {
    return *self->ring->uring.cq.ktail + self->overflow_count;
}

static void cq_write(struct sim_kernel *self, const struct io_uring_cqe *cqe) {
    struct io_uring_cq *cq = &self->ring->uring.cq;
    cq->cqes[*cq->ktail & cq->ring_mask] = *cqe;
    (*cq->ktail)++;
}

void sim_post(struct sim_kernel *self, uint64_t user_data, int32_t res, uint32_t flags) {
    struct io_uring_cqe cqe = {.user_data = user_data, .res = res, .flags = flags};
    sim_note("cqe: op, slot, res", (long)mx_op_kind(user_data), (long)mx_op_slot(user_data), res);
    sim.progress_us = sim.now_us;
    if (sim_cq_has_room(self)) {
        cq_write(self, &cqe);
        return;
    }
    sim_event(SIM_E_CQ_OVERFLOW);
    SIM_CHECK(self->overflow_count < SIM_OPS_MAX, "too many completions", self->overflow_count, 0);
    self->overflow[self->overflow_count++] = cqe;
}

static void flush_overflow(struct sim_kernel *self) {
    uint32_t moved = 0;
    while (moved < self->overflow_count && cq_used(self) < self->ring->uring.cq.ring_entries)
        cq_write(self, &self->overflow[moved++]);
    self->overflow_count -= moved;
    memmove(self->overflow, self->overflow + moved, self->overflow_count * sizeof *self->overflow);
}

/* ---- task work ---------------------------------------------------------------------------------
 */

void sim_kernel_progress(struct sim_kernel *self) {
    flush_overflow(self);
    if (self->op_count == 0)
        return;
    uint32_t at = sim_below(self->op_count);
    for (uint32_t left = self->op_count; left > 0; left--) {
        if (self->op_count == 0)
            return;
        at = at + 1 < self->op_count ? at + 1 : 0;
        struct sim_op *op = &self->ops[at];
        if (op->ready_us > sim.now_us || !sim_op_progress(self, op, false))
            continue;
        *op = self->ops[--self->op_count];
    }
}

uint64_t sim_kernel_next_us(const struct sim_kernel *self) {
    uint64_t next = SIM_NEVER;
    for (uint32_t i = 0; i < self->op_count; i++) {
        uint64_t ready = self->ops[i].ready_us;
        if (ready > sim.now_us && ready < next)
            next = ready;
    }
    return next;
}

/* ---- enter --------------------------------------------------------------------------------------
 */

static bool submit(struct sim_kernel *self, unsigned *count) {
    struct io_uring_sq *sq = &self->ring->uring.sq;
    SIM_CHECK(*count == *sq->ktail - *sq->khead, "count of SQEs", *count, *sq->ktail - *sq->khead);
    SIM_CHECK(*count <= sq->ring_entries, "more SQEs than the ring has", *count, 0);
    bool is_partial = *count > 1 && sim_fault(SIM_F_SUBMIT_PARTIAL);
    if (is_partial)
        *count = 1 + sim_below(*count - 1);
    for (unsigned i = 0; i < *count; i++) {
        struct io_uring_sqe sqe = sq->sqes[*sq->khead & sq->ring_mask];
        /* the slot is the engine's again from now on */
        memset(&sq->sqes[*sq->khead & sq->ring_mask], 0xEE, sizeof sqe);
        (*sq->khead)++;
        sim_op_start(self, &sqe);
        sim.progress_us = sim.now_us;
    }
    return !is_partial;
}

/* A batch is wanted: it sleeps for min_wait, others go on meanwhile. */
static void wait_for_batch(struct sim_kernel *self, const struct mx_ring_wait *wait) {
    if (wait->events <= 1 || wait->min_wait_us == 0 || cq_used(self) == 0 ||
        cq_used(self) >= wait->events)
        return;
    SIM_CHECK(self->ring->features & MX_RING_MIN_WAIT, "min-wait without the feature", 0, 0);
    sim_event(SIM_E_BATCH_WAITED);
    sim.now_us += wait->min_wait_us;
    for (uint32_t i = 0; i < sim.client_count; i++) {
        if (sim.clients[i].next_us <= sim.now_us)
            sim_client_act(&sim.clients[i]);
    }
    sim_kernel_progress(self);
}

static int sim_enter(struct mx_ring *ring, unsigned count, const struct mx_ring_wait *wait) {
    struct sim_kernel *self = ring->context;
    self->is_asleep = false;
    if (self->bad_enters < 4 && (sim_fault(SIM_F_ENTER_EAGAIN) || sim_fault(SIM_F_ENTER_EINTR))) {
        self->bad_enters++;
        return sim_below(2) ? -EAGAIN : -EINTR;
    }
    self->bad_enters = 0;
    bool is_whole = submit(self, &count);
    if (wait == NULL)
        return (int)count; /* without GETEVENTS no task work runs */
    if (!is_whole && wait->events > 0)
        return (int)count;
    if (!sim_fault(SIM_F_TASK_WORK_LATE) || (cq_used(self) == 0 && count == 0))
        sim_kernel_progress(self);
    if (self->overflow_count > 0 && count == 0) {
        sim_event(SIM_E_ENTER_EBUSY);
        return -EBUSY;
    }
    wait_for_batch(self, wait);
    if (cq_used(self) > 0 || wait->events == 0)
        return (int)count;
    self->is_asleep = true;
    uint64_t us = wait->timeout_ns / 1000;
    self->sleep_until_us = wait->timeout_ns == UINT64_MAX ? SIM_NEVER : sim.now_us + us;
    if (count == 0)
        sim_event(SIM_E_ENTER_ETIME);
    return count > 0 ? (int)count : -ETIME;
}

static int sim_register_buffers(struct mx_ring *ring, struct io_uring_buf_reg *reg) {
    struct sim_kernel *self = ring->context;
    SIM_CHECK(reg->bgid == 1 && reg->ring_entries <= 4096, "buffer ring", reg->bgid,
              reg->ring_entries);
    self->buf_ring = (struct io_uring_buf_ring *)(uintptr_t)reg->ring_addr;
    self->buf_entries = reg->ring_entries;
    return 0;
}

static uint64_t sim_monotonic_ms(struct mx_ring *ring) {
    (void)ring;
    return sim.now_us / 1000;
}

static int64_t sim_wall_s(struct mx_ring *ring) {
    (void)ring;
    if (sim_fault(SIM_F_WALL_CLOCK_BACK))
        sim.wall_s -= sim_below(100000);
    return sim.wall_s + (int64_t)(sim.now_us / 1000000);
}

/* As fast or slow as the seed likes: batchWait has to change its mind now and then. */
static uint64_t sim_cpu_ns(struct mx_ring *ring) {
    struct sim_kernel *self = ring->context;
    self->cpu_ns += sim_below(8000000);
    return self->cpu_ns;
}

static int sim_getpeername(struct mx_ring *ring, int fd, struct sockaddr *addr, socklen_t *len) {
    struct sim_kernel *self = ring->context;
    SIM_CHECK(fd >= 0 && fd < SIM_FDS_MAX && self->table->fds[fd].client >= 0, "getpeername", fd,
              0);
    struct sim_client *client = &sim.clients[self->table->fds[fd].client];
    if (client->sock.is_reset || sim_fault(SIM_F_PEERNAME_ENOTCONN))
        return -ENOTCONN;
    SIM_CHECK(*len >= sizeof client->sock.peer, "getpeername length", *len, 0);
    memcpy(addr, &client->sock.peer, sizeof client->sock.peer);
    *len = sizeof client->sock.peer;
    return 0;
}

const struct mx_ring_io sim_ring_io = {
    .enter = sim_enter,
    .register_buffers = sim_register_buffers,
    .monotonic_ms = sim_monotonic_ms,
    .wall_s = sim_wall_s,
    .cpu_ns = sim_cpu_ns,
    .getpeername = sim_getpeername,
};
