#include "engine/worker.h"

#include "engine/conn_policy.h"
#include "engine/limits.h"
#include "engine/spool/log.h"
#include "engine/swap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { RECV_GROUP = 1 };

/* ---- slots ---- */

struct mx_conn *mx_worker_take_conn(struct mx_worker *self) {
    uint32_t slot = self->free_head;
    if (slot != MX_NO_SLOT)
        self->free_head = self->conns[slot].next_free;
    else if (self->conn_used < self->conn_capacity)
        slot = self->conn_used++;
    else
        return NULL;
    struct mx_conn *conn = &self->conns[slot];
    assert(conn->state == MX_CONN_FREE && conn->refs == 0);
    /* a slot may still stand in the lists of this turn */
    struct mx_conn keep = {.generation = conn->generation,
                           .next_dirty = conn->next_dirty,
                           .next_starved = conn->next_starved,
                           .is_dirty = conn->is_dirty,
                           .is_sink_queued = conn->is_sink_queued,
                           .is_starved = conn->is_starved};
    *conn = keep;
    return conn;
}

void mx_worker_give_conn(struct mx_worker *self, struct mx_conn *conn) {
    uint32_t slot = mx_worker_slot(self, conn);
    conn->state = MX_CONN_FREE;
    conn->generation = (conn->generation + 1) & MX_GENERATION_MASK;
    conn->next_free = self->free_head;
    self->free_head = slot;
    atomic_fetch_sub_explicit(&self->load, 1, memory_order_relaxed);
    mx_listener_on_room(self);
}

struct mx_conn *mx_worker_find_conn(struct mx_worker *self, uint64_t user_data) {
    uint32_t slot = mx_op_slot(user_data);
    if (slot >= self->conn_used)
        return NULL;
    struct mx_conn *conn = &self->conns[slot];
    bool is_current =
        conn->state != MX_CONN_FREE && conn->generation == mx_op_generation(user_data);
    return is_current ? conn : NULL;
}

/* ---- lists of the turn ---- */

void mx_worker_mark_dirty(struct mx_worker *self, struct mx_conn *conn) {
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    conn->next_dirty = self->dirty_head;
    self->dirty_head = mx_worker_slot(self, conn);
}

static void flush_dirty(struct mx_worker *self) {
    while (self->dirty_head != MX_NO_SLOT) {
        struct mx_conn *conn = &self->conns[self->dirty_head];
        self->dirty_head = conn->next_dirty;
        conn->is_dirty = false;
        mx_conn_flush(self, conn);
    }
}

void mx_worker_park(struct mx_worker *self, struct mx_conn *conn) {
    struct mx_slot_fifo *fifo = &self->starved;
    uint32_t slot = mx_worker_slot(self, conn);
    if (conn->is_starved)
        return;
    conn->is_starved = true;
    conn->next_starved = MX_NO_SLOT;
    if (fifo->count++ == 0)
        fifo->head = slot;
    else
        self->conns[fifo->tail].next_starved = slot;
    fifo->tail = slot;
}

/* Half as many parked receivers as there are free buffers go on: all of them would starve again. */
static void wake_starved(struct mx_worker *self) {
    struct mx_slot_fifo *fifo = &self->starved;
    uint32_t budget = (self->buf.free_count + 1) / 2;
    while (fifo->count > 0 && budget-- > 0) {
        struct mx_conn *conn = &self->conns[fifo->head];
        fifo->head = conn->next_starved;
        fifo->count--;
        conn->is_starved = false;
        mx_conn_rearm(self, conn);
    }
}

/* ---- completions ---- */

void mx_worker_drop_buffer(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return;
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    (void)mx_buf_take(&self->buf, id);
    mx_buf_recycle(&self->buf, id);
}

typedef void conn_fn(struct mx_worker *, struct mx_conn *, const struct io_uring_cqe *);

static void on_message(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    enum mx_message message = (enum mx_message)mx_op_slot(cqe->user_data);
    if (message > atomic_load_explicit(&self->heard, memory_order_relaxed))
        atomic_store_explicit(&self->heard, message, memory_order_release);
    switch (message) {
    case MX_MESSAGE_NONE:
        break;
    case MX_MESSAGE_DRAIN:
        if (self->drain_deadline_ms != 0)
            break;
        /* the listeners are shut down by the main thread: who is in their queues gets a 421 */
        atomic_store(&self->is_taking, false);
        self->drain_deadline_ms = self->now_ms + self->drain_timeout_ms;
        for (uint32_t i = 0; i < self->conn_used; i++)
            mx_conn_drain(self, &self->conns[i]);
        break;
    case MX_MESSAGE_STOP:
        self->is_stopping = true;
        break;
    }
}

/* A close that fails, a cancel of a listener that had nothing to cancel, or the completion of a
 * connection that is gone. */
static void on_failed(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    mx_worker_drop_buffer(self, cqe);
    self->counters.stale++;
}

static void on_spool(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    mx_spool_log_on_cqe(self->spool, cqe);
}

/* Only a wake-up: the inbox is looked into in every turn. */
static void on_helped(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    (void)self, (void)cqe;
}

/* clang-format off */
static const struct {
    conn_fn *conn; /* for one connection, generation checked */
    void (*other)(struct mx_worker *, const struct io_uring_cqe *);
    bool has_ref;
} handlers[MX_OP_COUNT] = {
    [MX_OP_ACCEPT]      = {NULL, mx_listener_on_accept, false},
    [MX_OP_HANDED]      = {NULL, mx_listener_on_handed, false},
    [MX_OP_PASSED]      = {NULL, mx_listener_on_passed, false},
    [MX_OP_PEERNAME]    = {mx_conn_on_peername, on_failed, true},
    [MX_OP_RECV]        = {mx_conn_on_recv, on_failed, true},
    [MX_OP_SEND]        = {mx_conn_on_send, on_failed, true},
    [MX_OP_CANCEL_ACCEPT] = {NULL, mx_listener_on_cancel, false},
    [MX_OP_CANCEL_RECV] = {mx_conn_on_cancel_recv, on_failed, false},
    [MX_OP_CANCEL_SEND] = {mx_conn_on_cancel_send, on_failed, false},
    [MX_OP_CLOSE]       = {NULL, on_failed, false},
    [MX_OP_HELPED]      = {NULL, on_helped, false},
    [MX_OP_MESSAGE]     = {NULL, on_message, false},
    [MX_OP_SWAP]        = {NULL, mx_swap_on_message, false},
    [MX_OP_SPOOL]       = {NULL, on_spool, false},
};
/* clang-format on */

static void dispatch(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    enum mx_op op = mx_op_kind(cqe->user_data);
    assert(op > MX_OP_NONE && op < MX_OP_COUNT);
    struct mx_conn *conn =
        handlers[op].conn != NULL ? mx_worker_find_conn(self, cqe->user_data) : NULL;
    if (conn == NULL) {
        handlers[op].other(self, cqe);
        return;
    }
    if (handlers[op].has_ref && !(cqe->flags & IORING_CQE_F_MORE))
        conn->refs--;
    handlers[op].conn(self, conn, cqe);
    if (conn->state == MX_CONN_CLOSING)
        mx_conn_released(self, conn);
}

/* ---- how long to wait ---- */

static void roll_window(struct mx_worker *self) {
    if (mx_batch_is_over(&self->batch, self->now_ms))
        mx_batch_roll(&self->batch, self->now_ms, self->counters.receives,
                      self->ring.io->cpu_ns(&self->ring));
}

static void want_batch(struct mx_worker *self, struct mx_ring_wait *wait) {
    wait->events = mx_batch_events(&self->batch);
    if (wait->events == 1)
        return;
    wait->min_wait_us = self->batch.wait_us;
    self->counters.batch_waits++;
}

static struct mx_ring_wait plan_wait(struct mx_worker *self) {
    struct mx_ring_wait wait = {.events = 1};
    uint64_t next_ms = mx_timer_next_ms(&self->wheel, self->now_ms);
    bool is_watching = self->drain_deadline_ms != 0 || self->is_accept_paused ||
                       (self->spool != NULL && mx_spool_log_is_waiting(self->spool));
    if (is_watching && next_ms > MX_TIMER_TICK_MS)
        next_ms = MX_TIMER_TICK_MS;
    if (next_ms > MX_SLEEP_MAX_MS)
        next_ms = MX_SLEEP_MAX_MS;
    wait.timeout_ns = next_ms * 1000000;
    if (self->starved.count > 0 || self->tls.count > 0) {
        /* buffers came back: the parked go on at once; handshakes have the next turn */
        wait.events = 0;
        return wait;
    }
    want_batch(self, &wait);
    return wait;
}

/* ---- the turn ---- */

static void read_clocks(struct mx_worker *self) {
    self->now_ms = self->ring.io->monotonic_ms(&self->ring);
    self->shared.now_s = self->ring.io->wall_s(&self->ring);
}

static void fire_timers(struct mx_worker *self) {
    struct mx_timer *timer;
    while ((timer = mx_timer_expire(&self->wheel, self->now_ms)) != NULL) {
        struct mx_conn *conn =
            (struct mx_conn *)(void *)((char *)timer - offsetof(struct mx_conn, timer));
        mx_conn_on_timer(self, conn);
    }
}

/* drainTimeout is over: a last word to everybody, and a moment later the end. */
static void end_drain(struct mx_worker *self) {
    if (self->drain_deadline_ms == 0 || self->now_ms < self->drain_deadline_ms)
        return;
    bool is_end = self->now_ms >= self->drain_deadline_ms + MX_DRAIN_END_MS;
    for (uint32_t i = 0; i < self->conn_used; i++)
        mx_conn_end_drain(self, &self->conns[i], is_end);
}

/* What was written for those who are through goes out first. 0, or a fatal -errno. */
static int shake_hands(struct mx_worker *self) {
    if (self->tls.count == 0)
        return 0;
    int err = mx_ring_flush(&self->ring);
    mx_conn_tls_turn(self);
    flush_dirty(self);
    return err;
}

int mx_worker_turn(struct mx_worker *self) {
    struct mx_ring_wait wait = plan_wait(self);
    int err = mx_ring_turn(&self->ring, &wait);
    if (err < 0)
        return err;
    self->counters.turns++;
    read_clocks(self);
    roll_window(self);
    unsigned count = mx_ring_ready(&self->ring);
    for (unsigned i = 0; i < count; i++)
        dispatch(self, mx_ring_cqe(&self->ring, i));
    mx_ring_consume(&self->ring, count);
    mx_buf_publish(&self->buf);
    wake_starved(self);
    mx_helper_answer_all(&self->inbox);
    fire_timers(self);
    if (self->is_accept_paused && self->now_ms >= self->accept_retry_ms)
        mx_listener_on_room(self);
    end_drain(self);
    for (uint32_t i = 0; i < self->sink_count; i++) {
        if (self->sinks[i].class->turn != NULL)
            self->sinks[i].class->turn(&self->sinks[i]);
    }
    flush_dirty(self);
    err = shake_hands(self);
    if (err < 0)
        return err;
    mx_swap_watch(self);
    if (self->shared.counters.messages != self->last_messages) {
        self->last_messages = self->shared.counters.messages;
        self->last_ms = self->now_ms;
    }
    return 0;
}

/* Who hands a connection over counts it into our load first and asks is_taking then; we say that we
 * take no more first and look at the load then. So none is sent to a worker that has left, and none
 * on its way is forgotten. */
bool mx_worker_is_done(const struct mx_worker *self) {
    bool is_empty = atomic_load(&self->load) == 0 && self->passing == 0 &&
                    !mx_listener_is_any_armed(self) &&
                    (self->spool == NULL || mx_spool_log_is_idle(self->spool));
    return self->is_stopping || (self->drain_deadline_ms != 0 && is_empty);
}

int mx_worker_end(struct mx_worker *self) {
    return mx_ring_flush(&self->ring);
}

/* ---- life ---- */

static void sink_done(void *context, uint64_t owner, int result) {
    struct mx_worker *self = context;
    struct mx_conn *conn = mx_worker_find_conn(self, owner);
    if (conn == NULL || conn->wait != MX_WAIT_COMMIT)
        return;
    if (result == -ECONNABORTED)
        mx_conn_abandoned(self, conn);
    else
        mx_conn_committed(self, conn, result);
}

/* Who was receiving many buffers at a time goes on with one. */
static void slow_down(struct mx_worker *self) {
    bool was_slow = mx_worker_is_sink_slow(self);
    self->sink_slow_until_ms = self->now_ms + MX_SINK_SLOW_MS;
    for (uint32_t i = 0; i < self->conn_used && !was_slow; i++)
        mx_conn_slow_down(self, &self->conns[i]);
}

void mx_worker_await_sink(struct mx_worker *self, struct mx_conn *conn) {
    slow_down(self);
    if (conn->is_sink_queued)
        return;
    conn->is_sink_queued = true;
    uint32_t at = (self->sink_waiters_begin + self->sink_waiters_count++) % self->conn_capacity;
    self->sink_waiters[at] = mx_worker_slot(self, conn);
}

/* In turn, as far as there is room: whoever has waited longest goes first. */
static void sink_ready(void *context) {
    struct mx_worker *self = context;
    for (uint32_t count = self->sink_waiters_count; count > 0; count--) {
        struct mx_conn *conn = &self->conns[self->sink_waiters[self->sink_waiters_begin]];
        struct mx_sink *sink = conn->state == MX_CONN_OPEN ? mx_worker_sink(self, conn) : NULL;
        if (sink != NULL && !sink->class->is_ready(sink))
            return;
        self->sink_waiters_begin = (self->sink_waiters_begin + 1) % self->conn_capacity;
        self->sink_waiters_count--;
        conn->is_sink_queued = false;
        mx_conn_sink_ready(self, conn);
    }
}

static void *map(size_t octets) {
    void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int init_slots(struct mx_worker *self) {
    self->conns = map(self->conn_capacity * sizeof *self->conns);
    self->sink_waiters = map(self->conn_capacity * sizeof *self->sink_waiters);
    self->free_head = self->dirty_head = MX_NO_SLOT;
    return self->conns == NULL || self->sink_waiters == NULL ? -ENOMEM : 0;
}

int mx_worker_init(struct mx_worker *self, struct mx_fleet *fleet, uint32_t index) {
    const struct mx_conf_engine *conf = &fleet->conf->engine;
    self->fleet = fleet;
    self->index = index;
    self->conn_reserve = fleet->conn_reserve;
    self->drain_timeout_ms = conf->drain_timeout_ms;
    self->conn_capacity = fleet->max_connections + fleet->conn_reserve;
    read_clocks(self);
    mx_timer_init(&self->wheel, self->now_ms);
    self->inbox.ring_fd = mx_ring_fd(&self->ring);
    self->inbox.context = self;
    bool can_wait = self->ring.features & MX_RING_MIN_WAIT;
    mx_batch_init(&self->batch, can_wait ? conf->batch_wait_us : MX_BATCH_WAIT_OFF, self->now_ms);
    int err = mx_log_init(&self->log, fleet->conf->log.queue_octets,
                          (enum mx_log_severity)fleet->conf->log.level,
                          fleet->conf->log.format == MX_LOG_FORMAT_JSON);
    if (err == 0)
        err = mx_buddy_init(&self->buddy, conf->session_memory_octets);
    if (err == 0 && conf->scan_memory_octets > 0)
        err = mx_fulltext_pool_init(&self->texts, conf->scan_memory_octets / fleet->worker_count);
    if (err == 0)
        err = init_slots(self);
    if (err == 0)
        err = mx_conn_tls_pool_init(&self->tls, self->conn_capacity);
    if (err == 0)
        err = mx_buf_init(&self->buf, &self->ring, RECV_GROUP, conf->recv_buffers,
                          conf->recv_buffer_octets);
    self->is_recv_single = conf->recv_buffer_octets > MX_RECV_BURST_BUFFER;
    return err;
}

void mx_worker_begin(struct mx_worker *self) {
    for (uint32_t i = 0; i < self->sink_count; i++) {
        self->sinks[i].done = sink_done;
        self->sinks[i].ready = sink_ready;
        self->sinks[i].context = self;
    }
    if (self->spool != NULL)
        mx_spool_log_bind(self->spool, sink_done, sink_ready, self);
    mx_conn_policy_init(self);
    mx_listener_arm_all(self);
    atomic_store(&self->is_taking, true);
    atomic_store_explicit(&self->is_ready, true, memory_order_release);
}

void mx_worker_deinit(struct mx_worker *self) {
    mx_conn_tls_pool_deinit(&self->tls);
    mx_buf_deinit(&self->buf);
    mx_buddy_deinit(&self->buddy);
    mx_fulltext_pool_deinit(&self->texts);
    mx_log_deinit(&self->log);
    if (self->conns != NULL)
        munmap(self->conns, self->conn_capacity * sizeof *self->conns);
    if (self->sink_waiters != NULL)
        munmap(self->sink_waiters, self->conn_capacity * sizeof *self->sink_waiters);
    self->conns = NULL;
    self->sink_waiters = NULL;
}
