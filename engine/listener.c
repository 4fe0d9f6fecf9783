/* listener.c - accepting: the limit of the table, and giving connections to the emptiest worker. */
#include "engine/limits.h"
#include "engine/rules.h"
#include "engine/worker.h"

#include <assert.h>
#include <errno.h>

/* The completion of handing over names worker and listener in the bits of a generation. */
enum { LISTENER_BITS = 10 };
_Static_assert(1 << LISTENER_BITS >= MX_LISTENERS_MAX, "a listener fits");
_Static_assert(MX_GENERATION_MASK >> LISTENER_BITS >= MX_WORKERS_MAX - 1, "a worker fits");

void mx_listener_put(struct mx_worker *self, uint32_t index, int fd, sa_family_t family,
                     struct mx_service *service) {
    struct mx_listener *listener = &self->listeners[index];
    assert(index < MX_LISTENERS_MAX && listener->service == NULL);
    *listener = (struct mx_listener){.fd = fd, .family = family, .service = service};
    mx_rules_hold(service->rules, self->index);
    if (index >= self->listener_count)
        self->listener_count = index + 1;
}

void mx_listener_serve(struct mx_worker *self, uint32_t index, struct mx_service *service) {
    struct mx_listener *listener = &self->listeners[index];
    mx_rules_hold(service->rules, self->index);
    mx_rules_release(listener->service->rules, self->index);
    listener->service = service;
}

void mx_listener_clear(struct mx_worker *self, uint32_t index) {
    struct mx_listener *listener = &self->listeners[index];
    assert(!listener->is_armed && listener->passing == 0);
    mx_rules_release(listener->service->rules, self->index);
    *listener = (struct mx_listener){0};
}

static void arm(struct mx_worker *self, uint32_t index) {
    struct mx_listener *listener = &self->listeners[index];
    if (listener->is_armed || listener->is_new || listener->is_going || listener->service == NULL)
        return;
    listener->is_armed = true;
    listener->is_cancelled = false;
    mx_ring_accept(&self->ring, listener->fd, mx_op_pack(MX_OP_ACCEPT, 0, index));
}

void mx_listener_arm_all(struct mx_worker *self) {
    self->is_accept_paused = false;
    for (uint32_t i = 0; i < self->listener_count; i++)
        arm(self, i);
}

void mx_listener_cancel_all(struct mx_worker *self) {
    self->is_accept_paused = true;
    self->accept_retry_ms = self->now_ms + MX_ACCEPT_RETRY_MS;
    for (uint32_t i = 0; i < self->listener_count; i++) {
        struct mx_listener *listener = &self->listeners[i];
        if (!listener->is_armed || listener->is_cancelled)
            continue;
        listener->is_cancelled = true;
        mx_ring_cancel(&self->ring, mx_op_pack(MX_OP_ACCEPT, 0, i),
                       mx_op_pack(MX_OP_CANCEL_ACCEPT, 0, i));
    }
}

/* Only failures complete: it may be cancelled another time. */
void mx_listener_on_cancel(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    self->counters.cancel_missed++;
    self->listeners[mx_op_slot(cqe->user_data)].is_cancelled = false;
}

bool mx_listener_is_any_armed(const struct mx_worker *self) {
    for (uint32_t i = 0; i < self->listener_count; i++) {
        if (self->listeners[i].is_armed)
            return true;
    }
    return false;
}

static uint32_t open_count(const struct mx_worker *self) {
    return atomic_load_explicit(&self->load, memory_order_relaxed);
}

/* Accepting stops when half of the reserve is in use by connections that are being refused ... */
static void pause_if_full(struct mx_worker *self) {
    if (self->is_accept_paused || open_count(self) < self->conn_capacity - self->conn_reserve / 2)
        return;
    self->counters.accept_paused++;
    mx_listener_cancel_all(self);
}

/* ... and goes on when three quarters are free again: so everybody gets a 421, in groups. */
void mx_listener_on_room(struct mx_worker *self) {
    bool has_room = open_count(self) < self->conn_capacity - self->conn_reserve * 3 / 4;
    if (self->is_accept_paused && self->drain_deadline_ms == 0 && has_room)
        mx_listener_arm_all(self);
}

/* The worker with the fewest connections, when moving is worth it; else self. */
static struct mx_worker *emptiest(struct mx_worker *self) {
    struct mx_fleet *fleet = self->fleet;
    struct mx_worker *best = self;
    uint32_t least = open_count(self);
    if (!fleet->conf->engine.use_hand_over || !(self->ring.features & MX_RING_MSG_FD))
        return self;
    uint32_t mine = least;
    for (uint32_t i = 0; i < fleet->worker_count; i++) {
        struct mx_worker *other = &fleet->workers[i];
        uint32_t load = open_count(other);
        bool is_taking = atomic_load_explicit(&other->is_taking, memory_order_acquire);
        if (is_taking && load < least && load + MX_HAND_OVER_MIN <= mine + 1) {
            least = load;
            best = other;
        }
    }
    return best;
}

static void place(struct mx_worker *self, int fd, uint32_t index) {
    struct mx_worker *target = emptiest(self);
    atomic_fetch_add(&target->load, 1);
    if (target != self && !atomic_load(&target->is_taking)) { /* it has begun to drain just now */
        atomic_fetch_sub_explicit(&target->load, 1, memory_order_relaxed);
        target = self;
        atomic_fetch_add_explicit(&self->load, 1, memory_order_relaxed);
    }
    if (target == self) {
        mx_conn_open(self, fd, index);
        return;
    }
    /* the slot field of our completion names the descriptor, its generation the worker and listener
     */
    uint32_t target_index = (uint32_t)(target - self->fleet->workers);
    self->passing++;
    self->listeners[index].passing++;
    mx_ring_pass(&self->ring, mx_ring_fd(&target->ring), fd, mx_op_pack(MX_OP_HANDED, 0, index),
                 mx_op_pack(MX_OP_PASSED, target_index << LISTENER_BITS | index, (uint32_t)fd));
}

/* The multishot has ended. */
static void after_last(struct mx_worker *self, uint32_t index, int res) {
    bool may_go_on =
        res >= 0 || res == -ECONNABORTED || res == -EINTR || res == -EAGAIN || res == -ECANCELED;
    if (self->is_accept_paused || self->drain_deadline_ms != 0 || self->listeners[index].is_going)
        return;
    if (may_go_on) {
        arm(self, index);
        return;
    }
    self->counters.accept_paused++; /* arming again at once would spin */
    mx_listener_cancel_all(self);
}

void mx_listener_on_accept(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    uint32_t index = mx_op_slot(cqe->user_data);
    struct mx_listener *listener = &self->listeners[index];
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        listener->is_armed = false;
        after_last(self, index, cqe->res);
    }
    if (cqe->res < 0) {
        /* a shut down one: -EINVAL */
        if (cqe->res != -ECANCELED && self->drain_deadline_ms == 0 && !listener->is_going)
            self->counters.accept_failed++;
        return;
    }
    self->counters.connections++;
    place(self, cqe->res, index);
    pause_if_full(self);
}

void mx_listener_on_handed(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    if (cqe->res >= 0)
        mx_conn_open(self, cqe->res, mx_op_slot(cqe->user_data));
}

void mx_listener_on_passed(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    int fd = (int)mx_op_slot(cqe->user_data);
    uint32_t target = mx_op_generation(cqe->user_data) >> LISTENER_BITS;
    uint32_t index = mx_op_generation(cqe->user_data) & ((1u << LISTENER_BITS) - 1);
    assert(self->passing > 0 && self->listeners[index].passing > 0);
    self->passing--;
    self->listeners[index].passing--;
    if (cqe->res >= 0) {
        self->counters.connections_handed++;
        if (self->ring.is_direct) /* the other ring holds its own reference now */
            mx_ring_close(&self->ring, fd, mx_op_pack(MX_OP_CLOSE, 0, MX_NO_SLOT));
        return;
    }
    self->counters.hand_over_failed++;
    atomic_fetch_sub_explicit(&self->fleet->workers[target].load, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->load, 1, memory_order_relaxed);
    mx_conn_open(self, fd, index);
}
