/* conn.h - one connection: its slot, its buffers, its session, and what it waits for.
 *
 * A slot is named by SQEs through (generation, slot); it is free again when no SQE names it any
 * more (refs == 0). All functions run on the worker's thread.
 */
#pragma once
#include "engine/ring.h"
#include "engine/service.h"
#include "engine/sink/sink.h"
#include "engine/timer.h"
#include "proto/session.h"

struct mx_worker;

enum mx_conn_state {
    MX_CONN_FREE,
    MX_CONN_OPENING, /* the peer's address is being asked for */
    MX_CONN_OPEN,
    MX_CONN_LINGER,  /* the last reply is written; input is dropped for a moment */
    MX_CONN_CLOSING, /* nothing is read; closed when the last SQE that names it is back */
};

/* What an open connection waits for; its input is kept meanwhile. */
enum mx_conn_wait {
    MX_WAIT_NOTHING,
    MX_WAIT_OUTPUT, /* the client reads its replies */
    MX_WAIT_COMMIT, /* the sink */
    MX_WAIT_SINK,   /* the sink has room for content */
    MX_WAIT_OPEN,   /* the sink has room for a message */
    MX_WAIT_TLS,    /* the handshake */
    MX_WAIT_DELAY,  /* a fault's delay, or that of a failed login */
    MX_WAIT_AUTH,   /* a helper */
    MX_WAIT_HOOK,   /* the answer a hook wants */
};

/* A block of session memory. */
struct mx_conn_block {
    char *ptr;
    uint32_t cap;   /* its size, octets */
    uint32_t begin; /* first octet that counts */
    uint32_t end;   /* behind the last one */
};

struct mx_conn {
    union {
        int32_t fd;         /* direct slot or descriptor */
        uint32_t next_free; /* MX_CONN_FREE: intrusive list, slot number */
    };
    uint32_t generation;
    uint8_t state; /* enum mx_conn_state */
    uint8_t wait;  /* enum mx_conn_wait */
    uint8_t refs;  /* SQEs in flight that name this slot */
    bool is_recv_armed : 1;
    bool is_recv_cancelled : 1; /* a cancel is on its way */
    bool is_starved : 1;        /* in the worker's FIFO, waiting for a buffer */
    bool is_dirty : 1;          /* in the worker's list of connections with something to flush */
    bool is_eof : 1;            /* the peer has sent everything */
    bool is_sending : 1;
    bool is_send_cancelled : 1;
    bool is_greeted : 1;               /* the greeting is written */
    bool is_counted : 1;               /* counted in by the process and the service */
    bool has_rest : 1;                 /* octets stand behind the line that is stepped */
    bool is_address_counted : 1;       /* ... and by connectionLimitPerIP */
    bool is_sink_queued : 1;           /* in the worker's FIFO of those that wait for the sink */
    uint32_t next_dirty, next_starved; /* intrusive lists, slot numbers */
    struct mx_out out;                 /* replies not sent yet */
    struct mx_conn_block sending;      /* lent to the kernel */
    struct mx_conn_block backlog;      /* input not stepped yet */
    uint64_t activity_ms;              /* last complete command, or last input within content */
    uint64_t window_ms;                /* when the window began; 0 = not in content */
    struct mx_timer timer;
    struct mx_service *service;
    struct mx_policy *policy; /* what hooks remember; NULL: nothing */
    uint64_t sink_token;
    uint32_t opened_ms; /* low 32 bits */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
    uint32_t window_octets; /* minDataRate: received when the window began, low 32 bits */
    uint32_t active_window; /* the worker's batch window in which input came last */
    struct mx_session session;
};
/* What an idle connection costs. */
_Static_assert(sizeof(struct mx_conn) <= 512, "a slot has grown");

/* Start on a descriptor that was just accepted, or came from another worker. */
void mx_conn_open(struct mx_worker *worker, int fd, uint32_t listener);

/* Completions. */
void mx_conn_on_peername(struct mx_worker *worker, struct mx_conn *conn,
                         const struct io_uring_cqe *cqe);
void mx_conn_on_recv(struct mx_worker *worker, struct mx_conn *conn,
                     const struct io_uring_cqe *cqe);
void mx_conn_on_send(struct mx_worker *worker, struct mx_conn *conn,
                     const struct io_uring_cqe *cqe);
void mx_conn_on_cancel_recv(struct mx_worker *worker, struct mx_conn *conn,
                            const struct io_uring_cqe *cqe);
void mx_conn_on_cancel_send(struct mx_worker *worker, struct mx_conn *conn,
                            const struct io_uring_cqe *cqe);

/* After any completion of this connection was handled: close it when nothing names it any more. */
void mx_conn_released(struct mx_worker *worker, struct mx_conn *conn);

/* End of the turn: send what was written, all of it in one request. */
void mx_conn_flush(struct mx_worker *worker, struct mx_conn *conn);

/* A receive buffer is free for a parked receiver. */
void mx_conn_rearm(struct mx_worker *worker, struct mx_conn *conn);

/* Its timer fired. */
void mx_conn_on_timer(struct mx_worker *worker, struct mx_conn *conn);

/* The sink's answer to a pending commit. */
void mx_conn_committed(struct mx_worker *worker, struct mx_conn *conn, int result);

/* The sink cannot tell what becomes of the message: close without a word. */
void mx_conn_abandoned(struct mx_worker *worker, struct mx_conn *conn);

/* The sink has become slow: content is received one buffer at a time. */
void mx_conn_slow_down(struct mx_worker *worker, struct mx_conn *conn);

/* The sink has room again. */
void mx_conn_sink_ready(struct mx_worker *worker, struct mx_conn *conn);

/* The server drains: 421 at once when idle, else instead of the next command. */
void mx_conn_drain(struct mx_worker *worker, struct mx_conn *conn);

/* drainTimeout is over: 421 and close, or (is_end) close by force. */
void mx_conn_end_drain(struct mx_worker *worker, struct mx_conn *conn, bool is_end);

/* Close without a word. */
void mx_conn_kill(struct mx_worker *worker, struct mx_conn *conn);
