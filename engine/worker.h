/* worker.h - one pinned thread with one ring: the loop, and all it owns.
 *
 * A turn: submit and wait, handle every completion, wake parked receivers, flush, fire timers.
 * Handlers only prepare; nothing allocates or blocks after start.
 */
#pragma once
#include "engine/batch.h"
#include "engine/buddy.h"
#include "engine/buf.h"
#include "engine/conn.h"
#include "engine/conn_tls.h"
#include "engine/helper.h"
#include "engine/log.h"
#include "engine/metrics.h"
#include "engine/ring.h"
#include "engine/service.h"
#include "engine/timer.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MX_NO_SLOT = UINT32_MAX >> 1 };

struct mx_dns;
struct mx_scan;
struct mx_spool_log;

/* Messages from the main thread. */
enum mx_message { MX_MESSAGE_NONE, MX_MESSAGE_DRAIN, MX_MESSAGE_STOP };

/* One listening socket of this worker; the same place in every worker's table is the same address.
 */
struct mx_listener {
    int fd;
    sa_family_t family;
    bool is_armed;
    bool is_cancelled;
    bool is_new;                /* of a reload that others may not have: not armed yet */
    bool is_going;              /* removed by a reload: never armed again */
    struct mx_service *service; /* NULL: the place is free */
    uint32_t passing;           /* connections on their way to another worker */
};

/* What the workers know of each other and of the whole process; shared, outlives them. */
struct mx_fleet {
    const struct mx_conf *conf;
    struct mx_worker *workers;
    struct mx_helper *helper;             /* NULL: there is nobody to help (mxring sink) */
    struct mx_memo *memo;                 /* likewise */
    struct mx_redis *redis;               /* NULL: gateways share nothing */
    struct mx_dns *dns;                   /* NULL: there are no look-ups (mxring sink) */
    struct mx_scan *scan;                 /* NULL: there are no scanners (mxring sink) */
    _Atomic(const struct mx_swap *) swap; /* of the reload under way */
    uint32_t worker_count;
    uint32_t max_connections; /* effective, whole process */
    uint32_t conn_reserve;    /* slots of each worker beyond it, for those who are refused */
    _Atomic uint32_t connections;
};

/* Doubly ended FIFO of slots. */
struct mx_slot_fifo {
    uint32_t head, tail, count;
};

/* What the scheduler says of a thread at one moment. */
struct mx_thread_usage {
    uint64_t time_ms;  /* monotonic */
    uint64_t cpu_ns;   /* CPU time it has used */
    uint64_t delay_ns; /* time it was ready to run but had no CPU; 0 when the kernel does not say */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): load has a cache line of its own */
struct mx_worker {
    /* On a cache line of its own: read by the others to find the emptiest worker. */
    _Alignas(64) _Atomic uint32_t load;
    char pad[60];
    struct mx_ring ring;
    struct mx_buf buf;
    struct mx_buddy buddy;
    struct mx_timer_wheel wheel;
    struct mx_conn_tls_pool tls;
    struct mx_session_shared shared;
    struct mx_engine_counters counters;
    struct mx_log log;
    struct mx_fleet *fleet;
    struct mx_listener *listeners; /* [MX_LISTENERS_MAX] */
    uint32_t listener_count;       /* places that were ever in use */
    struct mx_sink *sinks;
    uint32_t sink_count;
    struct mx_conn *conns;
    uint32_t conn_capacity, conn_used; /* slots; the first conn_used were ever in use */
    uint32_t conn_reserve;             /* of conn_capacity, for those who are refused */
    uint32_t free_head;                /* LIFO of free slots */
    uint32_t dirty_head;               /* connections to flush at the end of the turn */
    struct mx_slot_fifo starved;
    uint64_t now_ms; /* monotonic, at the begin of the turn */
    uint32_t index;
    uint32_t session_seq; /* connections served so far */
    uint32_t passing;     /* connections on their way to another worker */
    struct mx_helper_inbox inbox;
    struct mx_policy_host policy;
    struct mx_fulltext_pool texts; /* for scanners; empty: there are none (mxring sink) */
    struct mx_batch batch;
    struct mx_spool_log *spool; /* NULL: mail is not kept */
    uint32_t *sink_waiters;     /* ring of conn_capacity slots that wait for the sink ... */
    uint32_t sink_waiters_begin, sink_waiters_count;
    uint64_t sink_slow_until_ms; /* see mx_worker_is_sink_slow */
    uint64_t drain_deadline_ms;  /* 0: not draining */
    uint32_t drain_timeout_ms;
    uint64_t limits_logged_ms; /* the second in which ... */
    uint32_t limits_logged;    /* ... so many lines about limits were written */
    uint64_t accept_retry_ms;  /* accepting is paused: when to look for room again */
    bool is_accept_paused, is_stopping;
    bool is_recv_single;       /* see mx_worker_is_recv_single */
    bool is_retiring;          /* listeners go, and is_quiet has not been said yet */
    _Atomic uint64_t first_ms; /* first connection; 0: none yet */
    uint64_t last_ms;          /* last message */
    uint64_t last_messages;
    int error; /* why the loop ended: 0 or -errno */
    int cpu;   /* pinned to; -1: not */
    pthread_t thread;
    int schedstat_fd;
    bool has_thread;
    _Atomic uint32_t heard;   /* enum mx_message: the strongest one that has come */
    _Atomic uint32_t swapped; /* the last step of a reload that was taken (swap.h) */
    _Atomic bool is_quiet;    /* nobody can come from the listeners that go */
    _Atomic bool is_ready;    /* the ring is enabled and accepting */
    _Atomic bool is_taking;   /* others may hand connections over; see mx_worker_is_done */
    _Atomic bool has_ended;   /* the loop is left; error and usage_end are final */
    /* for the benchmark's verdict: soon after the first connection (written by the main thread;
     * time_ms 0: there was none), and at the end */
    struct mx_thread_usage usage_begin, usage_end;
};

/* Memory, ring and buffers; listeners are set by the caller afterwards. ring must be initialised.
 */
MX_MUST_CHECK int mx_worker_init(struct mx_worker *self, struct mx_fleet *fleet, uint32_t index);
void mx_worker_deinit(struct mx_worker *self);

/* Arm the listeners. */
void mx_worker_begin(struct mx_worker *self);

/* One turn; 0, or a fatal -errno. mx_worker_is_done says when to stop. */
MX_MUST_CHECK int mx_worker_turn(struct mx_worker *self);
bool mx_worker_is_done(const struct mx_worker *self);

/* Behind the last turn: submit what it has prepared (the last CLOSE). 0, or a fatal -errno. */
MX_MUST_CHECK int mx_worker_end(struct mx_worker *self);

/* Slots. NULL: all are in use. */
struct mx_conn *mx_worker_take_conn(struct mx_worker *self);
void mx_worker_give_conn(struct mx_worker *self, struct mx_conn *conn);

static inline uint32_t mx_worker_slot(const struct mx_worker *self, const struct mx_conn *conn) {
    return (uint32_t)(conn - self->conns);
}
static inline uint64_t mx_worker_op(const struct mx_worker *self, enum mx_op op,
                                    const struct mx_conn *conn) {
    return mx_op_pack(op, conn->generation, mx_worker_slot(self, conn));
}

static inline struct mx_sink *mx_worker_sink(struct mx_worker *self, const struct mx_conn *conn) {
    return &self->sinks[conn->service->sink];
}

/* The sink is what limits: a multishot receive would fetch up to 32 buffers at a time that nobody
 * can take, and fill the session memory with them. */
static inline bool mx_worker_is_sink_slow(const struct mx_worker *self) {
    return self->now_ms < self->sink_slow_until_ms;
}

/* Is each receive for one buffer only? */
static inline bool mx_worker_is_recv_single(const struct mx_worker *self) {
    return self->is_recv_single || mx_worker_is_sink_slow(self);
}
/* The connection that a packed operation names; NULL: it is gone. */
struct mx_conn *mx_worker_find_conn(struct mx_worker *self, uint64_t user_data);

/* Put a connection into the list that is flushed at the end of the turn. */
void mx_worker_mark_dirty(struct mx_worker *self, struct mx_conn *conn);
/* Give back the receive buffer that a completion without data may have, too. */
void mx_worker_drop_buffer(struct mx_worker *self, const struct io_uring_cqe *cqe);
/* Put a connection into the FIFO of those that go on when the sink is ready. */
void mx_worker_await_sink(struct mx_worker *self, struct mx_conn *conn);
/* Park a receiver that found no buffer. */
void mx_worker_park(struct mx_worker *self, struct mx_conn *conn);

/* Listeners (listener.c). put: at a free place, not armed yet; serve: others are reached there from
 * now on; clear: the place is free again. */
void mx_listener_put(struct mx_worker *self, uint32_t index, int fd, sa_family_t family,
                     struct mx_service *service);
void mx_listener_serve(struct mx_worker *self, uint32_t index, struct mx_service *service);
void mx_listener_clear(struct mx_worker *self, uint32_t index);
void mx_listener_on_accept(struct mx_worker *self, const struct io_uring_cqe *cqe);
void mx_listener_on_handed(struct mx_worker *self, const struct io_uring_cqe *cqe);
void mx_listener_on_passed(struct mx_worker *self, const struct io_uring_cqe *cqe);
void mx_listener_on_cancel(struct mx_worker *self, const struct io_uring_cqe *cqe);
void mx_listener_arm_all(struct mx_worker *self);
void mx_listener_cancel_all(struct mx_worker *self);
bool mx_listener_is_any_armed(const struct mx_worker *self);
/* Accepting is paused: go on when there is room. Asked when a connection has ended, and again at
 * accept_retry_ms, since what is short may be another process's or the whole machine's. */
void mx_listener_on_room(struct mx_worker *self);
