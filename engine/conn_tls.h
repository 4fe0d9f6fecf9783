/* conn_tls.h - TLS of a connection: the filter between its octets and its session.
 *
 * What comes is kept in `in` until the filter has taken it, what goes out is sealed into `out`;
 * both are blocks of session memory. Handshakes stand in a queue of their worker, which gives them
 * a share of each turn. A connection finds its own by session.tls, since it may not grow.
 */
#pragma once
#include "engine/conn.h"
#include "tls/filter.h"

struct mx_conn_tls {
    struct mx_session_tls about; /* what session.tls points to */
    struct mx_tls filter;
    struct mx_tls_facts facts;
    struct mx_conn_block in; /* cipher text that the filter has not taken */
    struct mx_out out;       /* cipher text that is not sent; before the handshake also replies */
    uint32_t conn;           /* its slot */
    uint32_t next;           /* in the queue, or in the list of free ones */
    bool is_queued;          /* in the queue */
    bool is_gone;            /* the connection has closed; free when it leaves the queue */
};

/* The filters of one worker. */
struct mx_conn_tls_pool {
    struct mx_conn_tls *rows;
    uint32_t capacity, used;    /* the first `used` were ever in use */
    uint32_t free_head;         /* LIFO */
    uint32_t head, tail, count; /* handshakes that wait for their share */
    char *plain;                /* scratch: one record's plain text */
};

/* NULL: there is no TLS (yet). */
static inline struct mx_conn_tls *mx_conn_tls(const struct mx_conn *conn) {
    const struct mx_session_tls *about = conn->session.tls;
    if (about == NULL)
        return NULL;
    return (struct mx_conn_tls *)(uintptr_t)((const char *)about -
                                             offsetof(struct mx_conn_tls, about));
}

/* Room for so many; 0 or -ENOMEM. */
MX_MUST_CHECK int mx_conn_tls_pool_init(struct mx_conn_tls_pool *self, uint32_t capacity);
void mx_conn_tls_pool_deinit(struct mx_conn_tls_pool *self);

/* A filter for the connection. 0; -EBUSY: too many handshakes or too little memory; -ENOMEM. */
MX_MUST_CHECK int mx_conn_tls_new(struct mx_worker *worker, struct mx_conn *conn);

/* The handshake may begin; what is in conn->out still goes out in clear. */
void mx_conn_tls_begin(struct mx_worker *worker, struct mx_conn *conn);

/* Octets of the connection, or what was kept of them. */
void mx_conn_tls_input(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data);
void mx_conn_tls_continue(struct mx_worker *worker, struct mx_conn *conn);

/* Seal what conn->out holds, and our last word when the connection ends. False: it failed, the
 * connection is being closed. */
MX_MUST_CHECK bool mx_conn_tls_seal(struct mx_worker *worker, struct mx_conn *conn);

/* Nothing more is said: what is not sent is forgotten. */
void mx_conn_tls_silence(struct mx_worker *worker, struct mx_conn *conn);

/* The connection is closed: give everything back. */
void mx_conn_tls_free(struct mx_worker *worker, struct mx_conn *conn);

/* A part of the turn: handshakes, for a while. */
void mx_conn_tls_turn(struct mx_worker *worker);

/* It is in a handshake that cannot go on without more input. */
static inline bool mx_conn_tls_lacks(const struct mx_conn *conn) {
    return conn->wait == MX_WAIT_TLS && !mx_conn_tls(conn)->is_queued;
}

/* Would a line in clear be out of place? */
static inline bool mx_conn_tls_is_opening(const struct mx_conn *conn) {
    const struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (tls != NULL)
        return tls->filter.state != MX_TLS_OPEN;
    return conn->service->server->tls.is_implicit;
}
