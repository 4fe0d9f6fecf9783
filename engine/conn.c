/* conn.c - a connection's life on the ring: open, receive, send, close. */
#include "engine/conn.h"

#include "engine/conn_auth.h"
#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/conn_policy.h"
#include "engine/conn_tls.h"
#include "engine/rules.h"

#include <assert.h>
#include <errno.h>

enum { RECV_GROUP = 1 };

void mx_conn_block_free(struct mx_worker *worker, struct mx_conn_block *block) {
    mx_buddy_give(&worker->buddy, block->ptr, block->cap);
    *block = (struct mx_conn_block){0};
}

static void free_out(struct mx_worker *worker, struct mx_conn *conn) {
    mx_buddy_give(&worker->buddy, conn->out.ptr, conn->out.cap);
    conn->out = (struct mx_out){0};
}

/* ---- open ---- */

/* The address at the other end of the connection: the client, or a proxy. */
static struct mx_ip ip_of(const struct mx_conn *conn) {
    struct mx_ip ip = {0};
    if (conn->peer.sa.sa_family == AF_INET6)
        return mx_ip_of_v6(conn->peer.in6.sin6_addr.s6_addr);
    if (conn->peer.sa.sa_family == AF_INET) {
        ip.family = 4;
        memcpy(ip.bytes, &conn->peer.in.sin_addr, 4);
    }
    return ip;
}

/* Say why, and close. */
static void refuse(struct mx_worker *worker, struct mx_conn *conn, enum mx_service_full full) {
    static const char *const rows[] = {[MX_FULL_PROCESS] = "engine.maxConnections",
                                       [MX_FULL_PROXY] = "proxyFrom",
                                       [MX_FULL_SERVICE] = "connectionLimit",
                                       [MX_FULL_ADDRESS] = "connectionLimitPerIP"};
    mx_conn_log_limit(worker, conn, rows[full]);
    worker->counters.refused_max_connections += full == MX_FULL_PROCESS;
    worker->counters.refused_proxy_from += full == MX_FULL_PROXY;
    worker->counters.refused_connection_limit += full == MX_FULL_SERVICE;
    worker->counters.refused_connection_limit_per_ip += full == MX_FULL_ADDRESS;
    if (conn->service->session_conf.has_james_texts)
        mx_conn_kill(worker, conn); /* James closes without a word */
    else
        mx_conn_farewell(worker, conn,
                         full == MX_FULL_PROXY ? MX_FAREWELL_PROXY : MX_FAREWELL_CONNECTIONS);
}

static bool counts_client(const struct mx_conn *conn) {
    return conn->service->server->proxy_required && conn->service->server->proxy_counts_clients;
}

/* What connectionLimitPerIP counts. */
static struct mx_ip counted_address(const struct mx_conn *conn) {
    return counts_client(conn) ? conn->session.peer : ip_of(conn);
}

static bool count_address(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_ip address = counted_address(conn);
    enum mx_service_full full = mx_service_enter_address(conn->service, &address);
    conn->is_address_counted = full == MX_FULL_NOT;
    if (full != MX_FULL_NOT)
        refuse(worker, conn, full);
    return full == MX_FULL_NOT;
}

bool mx_conn_know_client(struct mx_worker *worker, struct mx_conn *conn) {
    mx_conn_log_client(worker, conn);
    mx_service_know_client(conn->service, &conn->session);
    return !counts_client(conn) || count_address(worker, conn);
}

/* 421 when there are too many; false: it is being closed. */
static bool count_in(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_fleet *fleet = worker->fleet;
    enum mx_service_full full = MX_FULL_PROCESS;
    if (!mx_service_admits(conn->service, &conn->session.peer)) {
        full = MX_FULL_PROXY;
    } else if (mx_service_count(&fleet->connections, fleet->max_connections)) {
        full = mx_service_enter(conn->service);
        conn->is_counted = full == MX_FULL_NOT;
        if (!conn->is_counted)
            atomic_fetch_sub_explicit(&fleet->connections, 1, memory_order_relaxed);
    }
    if (full != MX_FULL_NOT)
        refuse(worker, conn, full);
    return full == MX_FULL_NOT && (counts_client(conn) || count_address(worker, conn));
}

static void count_out(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->is_address_counted) {
        struct mx_ip address = counted_address(conn);
        mx_service_leave_address(conn->service, &address);
    }
    if (conn->is_counted) {
        mx_service_leave(conn->service);
        atomic_fetch_sub_explicit(&worker->fleet->connections, 1, memory_order_relaxed);
    }
}

static void begin(struct mx_worker *worker, struct mx_conn *conn) {
    conn->state = MX_CONN_OPEN;
    if (worker->drain_deadline_ms != 0) {
        mx_conn_farewell(worker, conn, MX_FAREWELL_SHUTDOWN);
        return;
    }
    if (!count_in(worker, conn))
        return;
    const struct mx_conf_server *server = conn->service->server;
    if (!server->tls.is_implicit)
        mx_conn_greet(worker, conn);
    else if (!server->proxy_required || !server->proxy_first)
        mx_conn_start_tls(worker, conn);
    if (conn->state != MX_CONN_OPEN)
        return;
    mx_conn_arm_recv(worker, conn);
    mx_conn_set_timer(worker, conn);
}

static void ask_peername(struct mx_worker *worker, struct mx_conn *conn, sa_family_t family) {
    socklen_t len = family == AF_INET6 ? sizeof conn->peer.in6 : sizeof conn->peer.in;
    if (worker->ring.is_direct) {
        conn->refs++;
        mx_ring_peername(&worker->ring, conn->fd, &conn->peer.sa, len,
                         mx_worker_op(worker, MX_OP_PEERNAME, conn));
        return;
    }
    int err = worker->ring.io->getpeername(&worker->ring, conn->fd, &conn->peer.sa, &len);
    conn->session.peer = err < 0 ? (struct mx_ip){0} : ip_of(conn);
    mx_service_know_client(conn->service, &conn->session);
    mx_conn_log_open(worker, conn);
}

void mx_conn_open(struct mx_worker *worker, int fd, uint32_t listener) {
    struct mx_conn *conn = mx_worker_take_conn(worker);
    if (conn == NULL) { /* the descriptor table is larger than the slots: cannot happen twice */
        mx_ring_close(&worker->ring, fd, mx_op_pack(MX_OP_CLOSE, 0, MX_NO_SLOT));
        atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
        return;
    }
    struct mx_service *service = worker->listeners[listener].service;
    mx_rules_hold(service->rules, worker->index);
    conn->fd = fd;
    conn->state = MX_CONN_OPENING;
    conn->service = service;
    conn->activity_ms = worker->now_ms;
    conn->opened_ms = (uint32_t)worker->now_ms;
    uint32_t id = ++worker->session_seq * MX_WORKERS_MAX + worker->index;
    mx_session_init(&conn->session, &service->session_conf, &worker->shared, id);
    if (atomic_load_explicit(&worker->first_ms, memory_order_relaxed) == 0)
        atomic_store_explicit(&worker->first_ms, worker->now_ms, memory_order_relaxed);
    ask_peername(worker, conn, worker->listeners[listener].family);
    /* only the limit per address, proxyFrom and hooks have to know it before the greeting; and it
     * must not come behind a PROXY header */
    bool may_wait_for_it = service->server->connection_limit_per_ip > 0 ||
                           service->server->proxy_required ||
                           (service->session_conf.hooks & 1u << MX_HOOK_CONNECT);
    if (conn->refs == 0 || !may_wait_for_it)
        begin(worker, conn);
}

void mx_conn_on_peername(struct mx_worker *worker, struct mx_conn *conn,
                         const struct io_uring_cqe *cqe) {
    if (cqe->res >= 0) /* an error means that the peer is gone: the receive will tell */
        conn->session.peer = ip_of(conn);
    mx_service_know_client(conn->service, &conn->session);
    mx_conn_log_open(worker, conn);
    if (conn->state == MX_CONN_OPENING)
        begin(worker, conn);
}

/* ---- receive ---- */

void mx_conn_arm_recv(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->is_recv_armed || conn->is_starved || conn->is_eof)
        return;
    conn->is_recv_armed = true;
    conn->is_recv_cancelled = false;
    conn->refs++;
    uint64_t op = mx_worker_op(worker, MX_OP_RECV, conn);
    if (!mx_worker_is_recv_single(worker)) {
        mx_ring_recv(&worker->ring, conn->fd, RECV_GROUP, op);
        return;
    }
    worker->counters.recv_single++;
    mx_ring_recv_once(&worker->ring, conn->fd, RECV_GROUP, op);
}

void mx_conn_cancel_recv(struct mx_worker *worker, struct mx_conn *conn) {
    if (!conn->is_recv_armed || conn->is_recv_cancelled)
        return;
    conn->is_recv_cancelled = true;
    mx_ring_cancel(&worker->ring, mx_worker_op(worker, MX_OP_RECV, conn),
                   mx_worker_op(worker, MX_OP_CANCEL_RECV, conn));
}

void mx_conn_slow_down(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->state == MX_CONN_OPEN && conn->session.is_open)
        mx_conn_cancel_recv(worker, conn); /* it is armed again when that has come back */
}

static void cancel_send(struct mx_worker *worker, struct mx_conn *conn) {
    if (!conn->is_sending || conn->is_send_cancelled)
        return;
    conn->is_send_cancelled = true;
    mx_ring_cancel(&worker->ring, mx_worker_op(worker, MX_OP_SEND, conn),
                   mx_worker_op(worker, MX_OP_CANCEL_SEND, conn));
}

/* Only failures complete: the operation was between two states. Its own completion may be on its
 * way; else it is asked again. */
void mx_conn_on_cancel_recv(struct mx_worker *worker, struct mx_conn *conn,
                            const struct io_uring_cqe *cqe) {
    (void)cqe;
    worker->counters.cancel_missed++;
    if (!conn->is_recv_cancelled)
        return;
    conn->is_recv_cancelled = false;
    mx_conn_cancel_recv(worker, conn);
}

void mx_conn_on_cancel_send(struct mx_worker *worker, struct mx_conn *conn,
                            const struct io_uring_cqe *cqe) {
    (void)cqe;
    worker->counters.cancel_missed++;
    if (!conn->is_send_cancelled)
        return;
    conn->is_send_cancelled = false;
    cancel_send(worker, conn);
}

static void note_activity(struct mx_worker *worker, struct mx_conn *conn) {
    mx_batch_note(&worker->batch, &conn->active_window);
    if (mx_session_in_content(&conn->session))
        conn->activity_ms = worker->now_ms;
}

static void on_data(struct mx_worker *worker, struct mx_conn *conn,
                    const struct io_uring_cqe *cqe) {
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    struct mx_span data = {mx_buf_take(&worker->buf, id), (size_t)cqe->res};
    worker->counters.receives++;
    worker->counters.received += data.len;
    if (conn->state == MX_CONN_OPEN) {
        note_activity(worker, conn);
        if (conn->session.tls != NULL)
            mx_conn_tls_input(worker, conn, data);
        else
            mx_conn_input(worker, conn, data);
    } else {
        conn->activity_ms = worker->now_ms; /* a lingering one waits until it is quiet */
    }
    mx_buf_recycle(&worker->buf, id);
}

/* The peer has sent everything: what is under way ends, then the connection closes. */
static void on_eof(struct mx_worker *worker, struct mx_conn *conn) {
    conn->is_eof = true;
    bool is_idle =
        conn->state == MX_CONN_OPEN && (conn->wait == MX_WAIT_NOTHING || mx_conn_tls_lacks(conn));
    if (is_idle || conn->state == MX_CONN_LINGER)
        mx_conn_close(worker, conn, false);
}

void mx_conn_on_recv(struct mx_worker *worker, struct mx_conn *conn,
                     const struct io_uring_cqe *cqe) {
    if (!(cqe->flags & IORING_CQE_F_MORE))
        conn->is_recv_armed = false;
    if (cqe->res > 0) {
        on_data(worker, conn, cqe);
    } else if (cqe->res == 0) {
        mx_worker_drop_buffer(worker, cqe);
        on_eof(worker, conn);
    } else if (cqe->res == -ENOBUFS) {
        worker->counters.recv_starved++;
    } else if (cqe->res != -ECANCELED) {
        worker->counters.resets++;
        mx_conn_kill(worker, conn);
    }
    if (conn->is_recv_armed || conn->is_starved)
        return;
    /* The multishot has ended for a reason of the kernel's (no buffer, CQ pressure, a race with a
     * pause that is over): go on unless the receive was meant to end. */
    bool is_wanted = conn->state == MX_CONN_OPEN || conn->state == MX_CONN_LINGER;
    bool is_paused = conn->wait != MX_WAIT_NOTHING && !mx_conn_tls_lacks(conn) &&
                     (conn->is_recv_cancelled || mx_worker_is_recv_single(worker));
    conn->is_recv_cancelled = false;
    if (!is_wanted || is_paused || conn->is_eof)
        return;
    if (cqe->res == -ENOBUFS) {
        mx_worker_park(worker, conn);
        return;
    }
    worker->counters.recv_rearmed++;
    mx_conn_arm_recv(worker, conn);
}

void mx_conn_rearm(struct mx_worker *worker, struct mx_conn *conn) {
    assert(!conn->is_starved);
    if (conn->state != MX_CONN_OPEN && conn->state != MX_CONN_LINGER)
        return;
    if (conn->state == MX_CONN_OPEN)
        mx_conn_begin_window(worker, conn); /* that it did not send was our doing */
    worker->counters.recv_rearmed++;
    mx_conn_arm_recv(worker, conn);
}

/* ---- close ---- */

static void abort_message(struct mx_worker *worker, struct mx_conn *conn) {
    if (!conn->session.is_open)
        return;
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    struct mx_sink_message message = mx_conn_message(worker, conn);
    sink->class->abort(sink, &message);
    conn->session.is_open = false;
}

static void drop_backlog(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_block *block = &conn->backlog;
    if (block->ptr != NULL) {
        struct mx_span text = {block->ptr + block->begin, mx_conn_block_len(block)};
        if (mx_session_is_secret(&conn->session, text))
            explicit_bzero(block->ptr + block->begin, text.len);
    }
    mx_conn_block_free(worker, block);
}

/* Called whenever one of the reasons not to close is gone. */
static void close_if_idle(struct mx_worker *worker, struct mx_conn *conn) {
    const struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (conn->state != MX_CONN_CLOSING || conn->is_sending || conn->out.len > 0 ||
        (tls != NULL && tls->out.len > 0))
        return;
    if (conn->is_recv_armed) {
        mx_conn_cancel_recv(worker, conn);
        return;
    }
    if (conn->refs > 0)
        return;
    mx_conn_log_close(worker, conn);
    mx_ring_close(&worker->ring, conn->fd, mx_worker_op(worker, MX_OP_CLOSE, conn));
    mx_timer_clear(&worker->wheel, &conn->timer);
    mx_conn_block_free(worker, &conn->sending);
    mx_conn_block_free(worker, &conn->backlog);
    mx_conn_tls_free(worker, conn);
    free_out(worker, conn);
    mx_buddy_give(&worker->buddy, conn->session.envelope.base, conn->session.envelope.cap);
    count_out(worker, conn);
    mx_rules_release(conn->service->rules, worker->index);
    mx_worker_give_conn(worker, conn);
}

/* ---- send ---- */

static void send_more(struct mx_worker *worker, struct mx_conn *conn) {
    conn->is_sending = true;
    conn->is_send_cancelled = false;
    conn->refs++;
    worker->counters.sends++;
    mx_ring_send(&worker->ring, conn->fd, conn->sending.ptr + conn->sending.begin,
                 mx_conn_block_len(&conn->sending), mx_worker_op(worker, MX_OP_SEND, conn));
}

void mx_conn_flush(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->is_sending || conn->state == MX_CONN_FREE || conn->state == MX_CONN_OPENING)
        return;
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (tls != NULL && !mx_conn_tls_seal(worker, conn))
        return;
    struct mx_out *out = tls != NULL ? &tls->out : &conn->out;
    if (out->len > 0) {
        conn->sending = (struct mx_conn_block){out->ptr, out->cap, 0, out->len};
        *out = (struct mx_out){0};
        send_more(worker, conn);
    }
    close_if_idle(worker, conn);
}

void mx_conn_on_send(struct mx_worker *worker, struct mx_conn *conn,
                     const struct io_uring_cqe *cqe) {
    conn->is_sending = false;
    if (cqe->res <= 0 || conn->is_send_cancelled) { /* a cancelled one may have written some */
        worker->counters.resets += !conn->is_send_cancelled;
        mx_conn_kill(worker, conn);
        return;
    }
    worker->counters.sent += (unsigned)cqe->res;
    conn->sending.begin += (uint32_t)cqe->res;
    if (mx_conn_block_len(&conn->sending) > 0) {
        send_more(worker, conn); /* a short send: the rest goes first, nothing overtakes it */
        return;
    }
    mx_conn_block_free(worker, &conn->sending);
    const struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (conn->out.len > 0 || (tls != NULL && tls->out.len > 0))
        mx_worker_mark_dirty(worker, conn);
    if (conn->wait == MX_WAIT_OUTPUT && conn->state == MX_CONN_OPEN)
        mx_conn_continue(worker, conn);
}

/* ---- the end ---- */

void mx_conn_released(struct mx_worker *worker, struct mx_conn *conn) {
    close_if_idle(worker, conn);
}

void mx_conn_close(struct mx_worker *worker, struct mx_conn *conn, bool lingers) {
    assert(conn->state != MX_CONN_FREE);
    abort_message(worker, conn);
    mx_conn_auth_drop(worker, conn);
    if (conn->state == MX_CONN_OPEN)
        mx_conn_policy_end(worker, conn);
    conn->wait = MX_WAIT_NOTHING;
    drop_backlog(worker, conn);
    conn->activity_ms = worker->now_ms;
    conn->window_ms = worker->now_ms; /* in LINGER and CLOSING: when it began */
    bool can_linger = lingers && !conn->is_eof;
    conn->state = can_linger ? MX_CONN_LINGER : MX_CONN_CLOSING;
    mx_conn_set_timer(worker, conn);
    if (can_linger) /* a receive that is being cancelled is armed again by its completion */
        mx_conn_arm_recv(worker, conn);
    else /* SEND and CANCEL go out together; what is left is closed by their completions */
        mx_conn_cancel_recv(worker, conn);
    mx_worker_mark_dirty(worker, conn);
}

void mx_conn_kill(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->state == MX_CONN_FREE)
        return;
    free_out(worker, conn); /* nobody reads it */
    mx_conn_tls_silence(worker, conn);
    cancel_send(worker, conn);
    mx_conn_close(worker, conn, false);
}

void mx_conn_farewell(struct mx_worker *worker, struct mx_conn *conn, enum mx_farewell why) {
    bool can_write = conn->wait != MX_WAIT_COMMIT && !mx_conn_tls_is_opening(conn) &&
                     mx_conn_has_room(worker, conn, MX_REPLY_LINE_MAX);
    if (!can_write) {
        mx_conn_kill(worker, conn);
        return;
    }
    mx_session_farewell(&conn->session, why, &conn->out);
    /* Input that nobody reads would turn the close into a reset, and the client might lose the
     * line. One that timed out is silent, and a newcomer has to wait for the greeting. */
    bool may_talk = why != MX_FAREWELL_TIMEOUT && conn->is_greeted;
    mx_conn_close(worker, conn, may_talk);
}
