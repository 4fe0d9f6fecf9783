/* conn_step.c - the action loop: runs the session over input and does what it asks for. */
#include "engine/conn_auth.h"
#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/conn_policy.h"

#include <assert.h>
#include <errno.h>

/* ---- replies ---- */

bool mx_conn_has_room(struct mx_worker *worker, struct mx_conn *conn, uint32_t room) {
    if (conn->out.ptr == NULL) {
        uint32_t got = 0;
        conn->out.ptr = mx_buddy_take(&worker->buddy, MX_OUT_FIRST, &got);
        conn->out.cap = conn->out.ptr != NULL ? got : 0;
        conn->out.len = 0;
    }
    return conn->out.ptr != NULL && mx_out_room(&conn->out) >= room;
}

/* The replies do not fit: let the buffer grow, or send it, or wait for the client. True: go on. */
static bool make_room(struct mx_worker *worker, struct mx_conn *conn) {
    uint32_t max = worker->fleet->conf->engine.max_unsent_octets;
    uint32_t unsent = mx_conn_block_len(&conn->sending) + conn->out.cap * 2;
    if (unsent <= max && !mx_buddy_is_tight(&worker->buddy)) {
        uint32_t got = 0;
        char *larger = mx_buddy_take(&worker->buddy, conn->out.cap * 2, &got);
        if (larger != NULL) {
            memcpy(larger, conn->out.ptr, conn->out.len);
            mx_buddy_give(&worker->buddy, conn->out.ptr, conn->out.cap);
            conn->out.ptr = larger;
            conn->out.cap = got;
            return true;
        }
    }
    if (conn->is_sending)
        return false;
    mx_conn_flush(worker, conn);
    return conn->state == MX_CONN_OPEN && mx_conn_has_room(worker, conn, MX_OUT_ROOM_MIN);
}

/* ---- actions: each returns true to go on, false when the connection waits or closes ---- */

static bool do_input(struct mx_worker *worker, struct mx_conn *conn) {
    (void)worker, (void)conn;
    return false;
}

static bool do_output(struct mx_worker *worker, struct mx_conn *conn) {
    if (make_room(worker, conn))
        return true;
    worker->counters.output_blocked++;
    if (conn->state == MX_CONN_OPEN)
        conn->wait = MX_WAIT_OUTPUT;
    return false;
}

/* For small envelopes there is always room, so that a few clients with very long ones cannot keep
 * everybody else's mail out. Recipients also stop where the sink does: a block can be filled. */
static bool may_grow(struct mx_worker *worker, const struct mx_conn *conn, uint32_t need) {
    struct mx_buddy *buddy = &worker->buddy;
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    uint32_t most = buddy->used > buddy->octets / 2 ? MX_ENVELOPE_USUAL : MX_BUDDY_MAX;
    if (need > (mx_buddy_is_tight(buddy) ? MX_ENVELOPE_TIGHT : most))
        return false;
    bool is_fine = !conn->session.grows_for_rcpt || sink->class->envelope_max == NULL;
    return is_fine || mx_buddy_size(need) <= sink->class->envelope_max(sink);
}

static bool do_grow(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_envelope *envelope = &conn->session.envelope;
    uint32_t need = conn->session.grow_octets, got = 0;
    char *block = NULL;
    if (may_grow(worker, conn, need))
        block = mx_buddy_take(&worker->buddy, need, &got);
    if (block != NULL) {
        if (envelope->base != NULL)
            memcpy(block, envelope->base, envelope->used);
        mx_buddy_give(&worker->buddy, envelope->base, envelope->cap);
        envelope->base = block;
        envelope->cap = got;
    }
    mx_session_resume(&conn->session, block != NULL ? 0 : -ENOMEM, &conn->out);
    return true;
}

static bool do_client(struct mx_worker *worker, struct mx_conn *conn) {
    if (!mx_conn_know_client(worker, conn))
        return false;
    conn->activity_ms = worker->now_ms;
    mx_session_resume(&conn->session, 0, &conn->out);
    if (!conn->service->server->tls.is_implicit || conn->session.tls != NULL)
        return true;
    mx_conn_start_tls(worker, conn); /* proxyFirst: what follows is the handshake */
    return false;
}

static bool do_auth_begin(struct mx_worker *worker, struct mx_conn *conn) {
    mx_conn_auth_begin(worker, conn);
    return true;
}

static bool do_auth(struct mx_worker *worker, struct mx_conn *conn) {
    return !mx_conn_auth_ask(worker, conn);
}

void mx_conn_start_tls(struct mx_worker *worker, struct mx_conn *conn) {
    if (mx_conn_tls_new(worker, conn) < 0)
        mx_conn_kill(worker, conn); /* there is no way to say why */
    else
        mx_conn_tls_begin(worker, conn);
}

static bool do_tls(struct mx_worker *worker, struct mx_conn *conn) {
    int err = conn->has_rest ? MX_ESYNTAX : mx_conn_tls_new(worker, conn);
    mx_session_resume(&conn->session, err, &conn->out);
    if (err == 0)
        mx_conn_tls_begin(worker, conn);
    return err < 0;
}

static bool do_delay(struct mx_worker *worker, struct mx_conn *conn) {
    conn->wait = MX_WAIT_DELAY;
    mx_timer_set(&worker->wheel, &conn->timer, worker->now_ms + conn->session.delay_ms);
    return false;
}

struct mx_sink_message mx_conn_message(const struct mx_worker *worker, struct mx_conn *conn) {
    return (struct mx_sink_message){
        .owner = mx_worker_op(worker, MX_OP_NONE, conn),
        .token = conn->sink_token,
        .session = &conn->session,
        .server_name = conn->service->server->name,
        .attributes = mx_policy_notes(conn->policy),
    };
}

/* True: the sink can take something. False: the connection waits until it can. */
static bool is_sink_ready(struct mx_worker *worker, struct mx_conn *conn, enum mx_conn_wait wait) {
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    if (sink->class->is_ready == NULL || sink->class->is_ready(sink))
        return true;
    worker->counters.sink_waits++;
    conn->wait = (uint8_t)wait;
    mx_worker_await_sink(worker, conn);
    return false;
}

static int open_message(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    struct mx_sink_message message = mx_conn_message(worker, conn);
    int err = sink->class->open(sink, &message);
    conn->sink_token = message.token;
    conn->activity_ms = worker->now_ms;
    return err;
}

static bool do_open(struct mx_worker *worker, struct mx_conn *conn) {
    if (!is_sink_ready(worker, conn, MX_WAIT_OPEN))
        return false;
    mx_session_resume(&conn->session, open_message(worker, conn), &conn->out);
    return true;
}

static bool do_body(struct mx_worker *worker, struct mx_conn *conn) {
    const struct mx_span *slices = worker->shared.slices;
    uint32_t count = worker->shared.slice_count;
    int err;
    if (mx_chain_has_header(&conn->service->chain)) {
        err = mx_conn_hook_content(worker, conn, slices, count);
    } else {
        struct mx_sink *sink = mx_worker_sink(worker, conn);
        struct mx_sink_message message = mx_conn_message(worker, conn);
        err = sink->class->write(sink, &message, slices, count);
    }
    mx_session_resume(&conn->session, err, &conn->out);
    return true;
}

static bool do_commit(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    struct mx_sink_message message = mx_conn_message(worker, conn);
    int err = 0;
    message.header = mx_policy_header(conn->policy, &message.header_replaces);
    conn->activity_ms = worker->now_ms;
    if (mx_policy_is_discarded(conn->policy)) {
        sink->class->abort(sink, &message);
        worker->counters.discarded++;
    } else {
        err = sink->class->commit(sink, &message);
    }
    if (err == MX_EPENDING) {
        conn->wait = MX_WAIT_COMMIT;
        return false;
    }
    mx_conn_log_message(worker, conn, err);
    mx_session_resume(&conn->session, err, &conn->out);
    return true;
}

static bool do_abort(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_sink *sink = mx_worker_sink(worker, conn);
    struct mx_sink_message message = mx_conn_message(worker, conn);
    sink->class->abort(sink, &message);
    mx_session_resume(&conn->session, 0, &conn->out);
    return true;
}

static bool do_close(struct mx_worker *worker, struct mx_conn *conn) {
    bool has_words = conn->out.len > 0 || conn->is_sending;
    mx_conn_close(worker, conn, has_words && !conn->session.has_quit);
    return false;
}

/* clang-format off */
static bool (*const actions[])(struct mx_worker *, struct mx_conn *) = {
    [MX_ACTION_INPUT]  = do_input,
    [MX_ACTION_OUTPUT] = do_output,
    [MX_ACTION_GROW]   = do_grow,
    [MX_ACTION_HOOK]   = mx_conn_hook_ask,
    [MX_ACTION_CLIENT] = do_client,
    [MX_ACTION_AUTH_BEGIN] = do_auth_begin,
    [MX_ACTION_AUTH]   = do_auth,
    [MX_ACTION_TLS]    = do_tls,
    [MX_ACTION_DELAY]  = do_delay,
    [MX_ACTION_OPEN]   = do_open,
    [MX_ACTION_BODY]   = do_body,
    [MX_ACTION_COMMIT] = do_commit,
    [MX_ACTION_ABORT]  = do_abort,
    [MX_ACTION_CLOSE]  = do_close,
};
/* clang-format on */

static void out_of_memory(struct mx_worker *worker, struct mx_conn *conn) {
    worker->counters.memory_refused++;
    mx_conn_log_limit(worker, conn, "engine.sessionMemory");
    mx_conn_farewell(worker, conn, MX_FAREWELL_MEMORY);
}

/* What a password stood in. The memory is ours: a receive buffer or a backlog. */
static void wipe(struct mx_span *secret) {
    if (secret->len > 0)
        explicit_bzero((void *)(uintptr_t)secret->ptr, secret->len);
    *secret = (struct mx_span){0};
}

static enum mx_action session_step(struct mx_worker *worker, struct mx_conn *conn,
                                   struct mx_span *in) {
    enum mx_action action = mx_session_step(&conn->session, in, &conn->out);
    wipe(&worker->shared.secret);
    return action;
}

/* One step and what it asks for. Content goes to the sink in windows, so that it is asked before
 * each; also between two chunks, since the next BDAT and its content are one step. False: the
 * connection waits or closes. */
static bool step(struct mx_worker *worker, struct mx_conn *conn, struct mx_span *in) {
    struct mx_session *session = &conn->session;
    struct mx_span window = *in;
    if (in->len > 0 && mx_session_in_message(session) && !session->is_failed) {
        if (!is_sink_ready(worker, conn, MX_WAIT_SINK))
            return false;
        /* what was scanned already of a line must not be cut off again */
        if (window.len > MX_SINK_WINDOW && session->line.scanned <= MX_SINK_WINDOW)
            window.len = MX_SINK_WINDOW;
    }
    bool is_cut = window.len < in->len;
    size_t before = window.len;
    enum mx_action action = session_step(worker, conn, &window);
    *in = mx_span_skip(*in, before - window.len);
    if (action == MX_ACTION_INPUT && is_cut) {
        if (window.len < before)
            return true;
        /* a command line that is longer than a window; what may follow it is small enough, or the
         * sink refuses the message */
        action = session_step(worker, conn, in);
    }
    return actions[action](worker, conn);
}

static uint64_t messages_ended(const struct mx_worker *worker) {
    const struct mx_proto_counters *counters = &worker->shared.counters;
    return counters->messages + counters->messages_refused;
}

/* Step until the input is used up, or the connection waits or closes. */
static void run(struct mx_worker *worker, struct mx_conn *conn, struct mx_span *in) {
    struct mx_session *session = &conn->session;
    if (!mx_conn_has_room(worker, conn, 1)) {
        out_of_memory(worker, conn);
        return;
    }
    uint64_t commands = worker->shared.counters.commands;
    uint64_t bad_headers = worker->shared.counters.proxy_headers_bad;
    bool was_in_message = mx_session_in_message(session);
    uint64_t received = session->received_octets, ended = messages_ended(worker);
    while (step(worker, conn, in))
        ;
    if (worker->shared.counters.proxy_headers_bad != bad_headers)
        mx_conn_log_limit(worker, conn, "proxyRequired");
    if (worker->shared.counters.commands != commands)
        conn->activity_ms = worker->now_ms;
    if (!was_in_message || session->received_octets < received || messages_ended(worker) != ended)
        mx_conn_begin_window(worker, conn); /* of another message */
    if (conn->state != MX_CONN_OPEN)
        return;
    mx_conn_auth_release(worker, conn);
    mx_conn_policy_release(worker, conn);
    if (conn->out.len > 0) {
        mx_worker_mark_dirty(worker, conn);
    } else if (conn->out.ptr != NULL) {
        mx_buddy_give(&worker->buddy, conn->out.ptr, conn->out.cap);
        conn->out = (struct mx_out){0};
    }
    if (!mx_session_in_transaction(session) && session->envelope.base != NULL) {
        mx_buddy_give(&worker->buddy, session->envelope.base, session->envelope.cap);
        session->envelope.base = NULL;
        session->envelope.cap = 0;
    }
}

/* ---- input that cannot be stepped yet ---- */

static void wipe_if_secret(const struct mx_conn *conn, struct mx_span text) {
    if (mx_session_is_secret(&conn->session, text))
        wipe(&text);
}

/* Append to the backlog. False: no memory, the connection is being closed. */
static bool keep(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data) {
    struct mx_conn_block *block = &conn->backlog;
    uint32_t len = mx_conn_block_len(block);
    assert(data.len > 0);
    if (data.len > block->cap - block->end) {
        uint64_t need = len + (uint64_t)data.len;
        uint32_t most = mx_buddy_is_tight(&worker->buddy) ? MX_BACKLOG_TIGHT : MX_BACKLOG_MAX;
        uint32_t got = 0;
        char *larger = need > most ? NULL : mx_buddy_take(&worker->buddy, (uint32_t)need, &got);
        if (larger == NULL) {
            out_of_memory(worker, conn);
            return false;
        }
        if (block->ptr != NULL) {
            struct mx_span old = {block->ptr + block->begin, len};
            memcpy(larger, old.ptr, len);
            wipe_if_secret(conn, old);
        }
        mx_buddy_give(&worker->buddy, block->ptr, block->cap);
        *block = (struct mx_conn_block){larger, got, 0, len};
    }
    assert(block->ptr != NULL);
    memcpy(block->ptr + block->end, data.ptr, data.len);
    block->end += (uint32_t)data.len;
    if (mx_session_is_secret(&conn->session,
                             (struct mx_span){block->ptr + block->begin, len + data.len}))
        wipe(&data);
    return true;
}

/* Step over the backlog; afterwards it holds what was not consumed. */
static void run_backlog(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_block *block = &conn->backlog;
    struct mx_span in = {block->ptr + block->begin, mx_conn_block_len(block)};
    run(worker, conn, &in);
    if (conn->state != MX_CONN_OPEN)
        return;                                    /* closing has freed the block */
    if (conn->wait == MX_WAIT_TLS && in.len > 0) { /* likewise */
        mx_conn_tls_input(worker, conn, in);
        in.len = 0;
        if (conn->state != MX_CONN_OPEN)
            return;
    }
    block->begin = block->end - (uint32_t)in.len;
    if (in.len == 0)
        mx_conn_block_free(worker, block);
}

/* While the connection waits, some input is kept; then TCP has to push back. */
static void pause_if_full(struct mx_worker *worker, struct mx_conn *conn) {
    bool is_full = mx_conn_block_len(&conn->backlog) >= MX_BACKLOG_QUOTA;
    if (conn->state != MX_CONN_OPEN || conn->wait == MX_WAIT_NOTHING || !is_full ||
        !conn->is_recv_armed || conn->is_recv_cancelled)
        return;
    worker->counters.recv_paused++;
    mx_conn_cancel_recv(worker, conn);
}

/* An unfinished line is completed with as little of the new data as possible: the rest is stepped
 * in place. */
static struct mx_span complete_line(struct mx_worker *worker, struct mx_conn *conn,
                                    struct mx_span data) {
    while (data.len > 0 && conn->state == MX_CONN_OPEN && conn->wait == MX_WAIT_NOTHING &&
           mx_conn_block_len(&conn->backlog) > 0) {
        const char *lf = memchr(data.ptr, '\n', data.len);
        size_t len = lf != NULL ? (size_t)(lf - data.ptr) + 1 : data.len;
        if (!keep(worker, conn, (struct mx_span){data.ptr, len}))
            break;
        data = mx_span_skip(data, len);
        conn->has_rest = data.len > 0;
        run_backlog(worker, conn);
        conn->has_rest = false;
    }
    return data;
}

void mx_conn_input(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data) {
    if (conn->backlog.ptr != NULL)
        data = complete_line(worker, conn, data);
    if (conn->state == MX_CONN_OPEN && conn->wait == MX_WAIT_NOTHING && data.len > 0)
        run(worker, conn, &data);
    if (conn->state != MX_CONN_OPEN || data.len == 0)
        return;
    if (conn->wait == MX_WAIT_TLS) /* it stands behind a PROXY header */
        mx_conn_tls_input(worker, conn, data);
    else if (keep(worker, conn, data))
        pause_if_full(worker, conn);
}

void mx_conn_continue(struct mx_worker *worker, struct mx_conn *conn) {
    conn->wait = MX_WAIT_NOTHING;
    conn->activity_ms = worker->now_ms; /* the client's time begins anew */
    mx_conn_begin_window(worker, conn);
    run_backlog(worker, conn);
    if (conn->session.tls != NULL && conn->state == MX_CONN_OPEN && conn->wait == MX_WAIT_NOTHING)
        mx_conn_tls_continue(worker, conn);
    if (conn->state != MX_CONN_OPEN || conn->wait != MX_WAIT_NOTHING)
        return;
    if (conn->is_eof) {
        mx_conn_close(worker, conn, false);
        return;
    }
    if (!conn->is_recv_armed)
        mx_conn_arm_recv(worker, conn);
}

/* There is room for what a resumed session says. False: the connection is being closed. */
static bool prepare_resume(struct mx_worker *worker, struct mx_conn *conn) {
    if (mx_conn_has_room(worker, conn, MX_REPLY_LINE_MAX) ||
        (conn->out.ptr != NULL && make_room(worker, conn)))
        return true;
    out_of_memory(worker, conn);
    return false;
}

void mx_conn_resume(struct mx_worker *worker, struct mx_conn *conn, int result) {
    conn->wait = MX_WAIT_NOTHING;
    conn->activity_ms = worker->now_ms;
    if (!prepare_resume(worker, conn))
        return;
    mx_session_resume(&conn->session, result, &conn->out);
    if (!conn->is_greeted)
        mx_conn_greet(worker, conn);
    if (conn->state == MX_CONN_OPEN && conn->wait == MX_WAIT_NOTHING)
        mx_conn_continue(worker, conn);
}

void mx_conn_greet(struct mx_worker *worker, struct mx_conn *conn) {
    if (!mx_conn_has_room(worker, conn, MX_OUT_ROOM_MIN)) {
        out_of_memory(worker, conn);
        return;
    }
    enum mx_action action = mx_session_greet(&conn->session, &conn->out);
    if (action == MX_ACTION_HOOK) {
        if (!mx_conn_hook_ask(worker, conn))
            return;
        action = mx_session_greet(&conn->session, &conn->out);
        assert(action != MX_ACTION_HOOK); /* it is asked once */
    }
    conn->is_greeted = action != MX_ACTION_DELAY;
    if (action == MX_ACTION_DELAY)
        do_delay(worker, conn);
    else if (action == MX_ACTION_CLOSE)
        mx_conn_close(worker, conn, false);
    mx_worker_mark_dirty(worker, conn);
}

void mx_conn_committed(struct mx_worker *worker, struct mx_conn *conn, int result) {
    assert(conn->wait == MX_WAIT_COMMIT);
    mx_conn_log_message(worker, conn, result);
    conn->session.is_open = false; /* the sink is done with it, whatever becomes of the reply */
    mx_conn_resume(worker, conn, result);
}

void mx_conn_abandoned(struct mx_worker *worker, struct mx_conn *conn) {
    assert(conn->wait == MX_WAIT_COMMIT);
    mx_conn_log_message(worker, conn, -ECONNABORTED);
    conn->session.is_open = false; /* the sink has forgotten it */
    mx_conn_kill(worker, conn);
}

void mx_conn_sink_ready(struct mx_worker *worker, struct mx_conn *conn) {
    if (conn->state != MX_CONN_OPEN)
        return;
    if (conn->wait == MX_WAIT_SINK)
        mx_conn_continue(worker, conn);
    else if (conn->wait == MX_WAIT_OPEN && prepare_resume(worker, conn))
        mx_conn_resume(worker, conn, open_message(worker, conn));
}
