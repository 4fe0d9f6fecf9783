/* conn_timer.c - deadlines: idle time, content time, data rate, lingering, draining. */
#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/conn_policy.h"

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* The idle limit of the current phase in ms; 0 = none. */
static uint32_t idle_limit(const struct mx_conn *conn) {
    const struct mx_conf_server *server = conn->service->server;
    uint32_t limit = server->connection_timeout_ms;
    if (conn->wait == MX_WAIT_TLS)
        return server->tls.handshake_timeout_ms;
    if (mx_session_in_content(&conn->session))
        return server->data_timeout_ms;
    if (conn->session.state != MX_STATE_PROXY)
        return limit;
    return limit > 0 && limit < MX_PROXY_HEADER_MS ? limit : MX_PROXY_HEADER_MS;
}

/* It waits for us: that time is not the client's. */
static bool is_ours(const struct mx_conn *conn) {
    return conn->wait == MX_WAIT_COMMIT || conn->wait == MX_WAIT_SINK ||
           conn->wait == MX_WAIT_OPEN || conn->wait == MX_WAIT_AUTH || conn->wait == MX_WAIT_HOOK;
}

/* MaxConnectionLifespanHandler; UINT64_MAX: it may live for ever. */
static uint64_t end_of_life(const struct mx_worker *worker, const struct mx_conn *conn) {
    uint32_t span_ms = conn->service->session_conf.max_lifespan_ms;
    uint32_t age_ms = (uint32_t)worker->now_ms - conn->opened_ms;
    if (span_ms == 0)
        return UINT64_MAX;
    return worker->now_ms + (age_ms < span_ms ? span_ms - age_ms : 0);
}

void mx_conn_set_timer(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->state == MX_CONN_LINGER) {
        mx_timer_set(&worker->wheel, &conn->timer, worker->now_ms + MX_LINGER_QUIET_MS);
        return;
    }
    if (conn->state == MX_CONN_CLOSING) {
        mx_timer_set(&worker->wheel, &conn->timer, conn->window_ms + MX_CLOSE_MS);
        return;
    }
    if (conn->wait == MX_WAIT_DELAY || conn->wait == MX_WAIT_HOOK)
        return; /* the timer is theirs */
    const struct mx_conf_server *server = conn->service->server;
    /* The phase may change without a word to the wheel: no look is further away than the shortest
     * limit of any phase. */
    uint64_t due = UINT64_MAX;
    uint32_t limit = idle_limit(conn);
    if (limit > 0 && !is_ours(conn))
        due = conn->activity_ms + limit;
    if (server->connection_timeout_ms > 0)
        due = min_u64(due, worker->now_ms + server->connection_timeout_ms);
    if (server->data_timeout_ms > 0)
        due = min_u64(due, worker->now_ms + server->data_timeout_ms);
    if (server->min_data_rate > 0)
        due = min_u64(due, worker->now_ms + MX_TIMER_CHECK_MS);
    due = min_u64(due, end_of_life(worker, conn));
    if (due <= worker->now_ms) /* what is over now waits for the disk */
        due = worker->now_ms + MX_TIMER_TICK_MS;
    if (due != UINT64_MAX)
        mx_timer_set(&worker->wheel, &conn->timer, due);
}

/* Content comes in slower than minDataRate, seen over whole windows. A window begins anew whenever
 * the client had to wait for us. */
static bool is_too_slow(struct mx_worker *worker, struct mx_conn *conn) {
    uint32_t rate = conn->service->server->min_data_rate;
    uint64_t age = worker->now_ms - conn->window_ms;
    if (rate == 0 || !mx_session_in_message(&conn->session) || age < MX_RATE_WINDOW_MS)
        return false;
    uint32_t received = (uint32_t)conn->session.received_octets - conn->window_octets;
    bool is_slow = conn->wait == MX_WAIT_NOTHING && received < rate * age / 1000;
    mx_conn_begin_window(worker, conn);
    return is_slow;
}

static void on_open_timer(struct mx_worker *worker, struct mx_conn *conn) {
    /* as James: without a word; but what is on its way to the disk is answered */
    if (end_of_life(worker, conn) <= worker->now_ms && conn->wait != MX_WAIT_COMMIT) {
        worker->counters.lifespan_ended++;
        mx_conn_log_limit(worker, conn, "MaxConnectionLifespanHandler");
        mx_conn_close(worker, conn, false);
        return;
    }
    uint32_t limit = idle_limit(conn);
    bool is_idle = limit > 0 && !is_ours(conn) && worker->now_ms >= conn->activity_ms + limit;
    if (is_idle && conn->session.state == MX_STATE_PROXY) { /* as James: without a word */
        worker->counters.proxy_timeouts++;
        mx_conn_log_limit(worker, conn, "proxyRequired");
        mx_conn_close(worker, conn, false);
        return;
    }
    if (is_idle && conn->wait == MX_WAIT_TLS) {
        worker->counters.tls_timeouts++;
        mx_conn_log_limit(worker, conn, "tls.handshakeTimeout");
        mx_conn_close(worker, conn, false);
        return;
    }
    if (is_idle) {
        bool is_data = mx_session_in_content(&conn->session);
        worker->counters.connection_timeouts += !is_data;
        worker->counters.data_timeouts += is_data;
        mx_conn_log_limit(worker, conn, is_data ? "dataTimeout" : "connectionTimeout");
        mx_conn_farewell(worker, conn, MX_FAREWELL_TIMEOUT);
        return;
    }
    if (is_too_slow(worker, conn)) {
        worker->counters.slow_data++;
        mx_conn_log_limit(worker, conn, "minDataRate");
        mx_conn_farewell(worker, conn, MX_FAREWELL_SLOW);
        return;
    }
    mx_conn_set_timer(worker, conn);
}

static void on_linger_timer(struct mx_worker *worker, struct mx_conn *conn) {
    bool is_quiet = worker->now_ms >= conn->activity_ms + MX_LINGER_QUIET_MS;
    bool is_over = worker->now_ms >= conn->window_ms + MX_LINGER_MS;
    if (is_quiet || is_over)
        mx_conn_close(worker, conn, false);
    else
        mx_conn_set_timer(worker, conn);
}

static void on_delay_over(struct mx_worker *worker, struct mx_conn *conn) {
    mx_conn_resume(worker, conn, 0);
    if (conn->state == MX_CONN_OPEN)
        mx_conn_set_timer(worker, conn);
}

void mx_conn_on_timer(struct mx_worker *worker, struct mx_conn *conn) {
    switch ((enum mx_conn_state)conn->state) {
    case MX_CONN_OPEN:
        if (conn->wait == MX_WAIT_DELAY)
            on_delay_over(worker, conn);
        else if (conn->wait == MX_WAIT_HOOK)
            mx_conn_hook_on_timer(worker, conn);
        else
            on_open_timer(worker, conn);
        break;
    case MX_CONN_LINGER:
        on_linger_timer(worker, conn);
        break;
    case MX_CONN_CLOSING:
        mx_conn_kill(worker, conn); /* the client does not take its last reply */
        break;
    case MX_CONN_FREE:
    case MX_CONN_OPENING:
        break;
    }
}

void mx_conn_drain(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->state != MX_CONN_OPEN)
        return;
    conn->session.is_draining = true;
    bool is_between =
        conn->session.state == MX_STATE_COMMAND || conn->session.state == MX_STATE_PROXY;
    bool is_idle = is_between && (conn->wait == MX_WAIT_NOTHING || conn->wait == MX_WAIT_TLS) &&
                   !mx_session_in_transaction(&conn->session);
    if (is_idle || !conn->service->server->graceful_shutdown)
        mx_conn_farewell(worker, conn, MX_FAREWELL_SHUTDOWN);
}

void mx_conn_end_drain(struct mx_worker *worker, struct mx_conn *conn, bool is_end) {
    if (conn->state == MX_CONN_OPEN) {
        worker->counters.drain_killed++;
        mx_conn_log_limit(worker, conn, "engine.drainTimeout");
    }
    if (is_end)
        mx_conn_kill(worker, conn);
    else if (conn->state == MX_CONN_OPEN)
        mx_conn_farewell(worker, conn, MX_FAREWELL_SHUTDOWN);
}
