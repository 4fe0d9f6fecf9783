#include "engine/conn_tls.h"

#include "engine/conn_impl.h"
#include "engine/conn_log.h"
#include "engine/tls_slot.h"
#include "tls/library.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

/* ---- the pool ---- */

static void *map(size_t octets) {
    void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int mx_conn_tls_pool_init(struct mx_conn_tls_pool *self, uint32_t capacity) {
    *self = (struct mx_conn_tls_pool){.capacity = capacity, .free_head = MX_NO_SLOT};
    self->rows = map(capacity * sizeof *self->rows);
    self->plain = map(MX_TLS_RECORD_MAX);
    return self->rows != NULL && self->plain != NULL ? 0 : -ENOMEM;
}

void mx_conn_tls_pool_deinit(struct mx_conn_tls_pool *self) {
    for (uint32_t i = 0; i < self->used && self->rows != NULL; i++)
        mx_tls_deinit(&self->rows[i].filter); /* of a worker that was stopped by force */
    if (self->rows != NULL)
        munmap(self->rows, self->capacity * sizeof *self->rows);
    if (self->plain != NULL)
        munmap(self->plain, MX_TLS_RECORD_MAX);
}

static struct mx_conn_tls *take_row(struct mx_conn_tls_pool *pool) {
    uint32_t at = pool->free_head;
    if (at != MX_NO_SLOT)
        pool->free_head = pool->rows[at].next;
    else if (pool->used < pool->capacity)
        at = pool->used++;
    else
        return NULL;
    return &pool->rows[at];
}

static void give_row(struct mx_conn_tls_pool *pool, struct mx_conn_tls *tls) {
    tls->next = pool->free_head;
    pool->free_head = (uint32_t)(tls - pool->rows);
}

/* ---- the queue of handshakes ---- */

static void enqueue(struct mx_worker *worker, struct mx_conn_tls *tls) {
    struct mx_conn_tls_pool *pool = &worker->tls;
    uint32_t at = (uint32_t)(tls - pool->rows);
    if (tls->is_queued)
        return;
    tls->is_queued = true;
    tls->next = MX_NO_SLOT;
    if (pool->count++ == 0)
        pool->head = at;
    else
        pool->rows[pool->tail].next = at;
    pool->tail = at;
}

static struct mx_conn_tls *dequeue(struct mx_worker *worker) {
    struct mx_conn_tls_pool *pool = &worker->tls;
    struct mx_conn_tls *tls = &pool->rows[pool->head];
    pool->head = tls->next;
    pool->count--;
    tls->is_queued = false;
    return tls;
}

/* ---- begin and end ---- */

static bool is_full(const struct mx_worker *worker) {
    uint64_t bound = worker->fleet->conf->engine.tls_memory_octets;
    int64_t used = mx_tls_memory_used();
    return worker->tls.count >= MX_HANDSHAKES_MAX ||
           (used > 0 && (uint64_t)used > bound - bound / 8 + mx_tls_library_info().kept_octets);
}

int mx_conn_tls_new(struct mx_worker *worker, struct mx_conn *conn) {
    if (is_full(worker)) {
        worker->counters.tls_refused++;
        mx_conn_log_limit(worker, conn, "engine.tlsMemory");
        return -EBUSY;
    }
    struct mx_tls_context *context =
        conn->service->tls != NULL ? mx_tls_slot_get(conn->service->tls) : NULL;
    struct mx_conn_tls *tls = context != NULL ? take_row(&worker->tls) : NULL;
    int err = tls != NULL ? mx_tls_init(&tls->filter, context) : -ENOMEM;
    mx_tls_context_free(context);
    if (err < 0) {
        worker->counters.tls_refused++;
        if (tls != NULL)
            give_row(&worker->tls, tls);
        return err;
    }
    tls->about = (struct mx_session_tls){0};
    tls->in = (struct mx_conn_block){0};
    tls->out = (struct mx_out){0};
    tls->conn = mx_worker_slot(worker, conn);
    tls->is_queued = tls->is_gone = false;
    conn->session.tls = &tls->about;
    return 0;
}

static void free_out(struct mx_worker *worker, struct mx_out *out) {
    mx_buddy_give(&worker->buddy, out->ptr, out->cap);
    *out = (struct mx_out){0};
}

void mx_conn_tls_begin(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (conn->out.len > 0) {
        tls->out = conn->out;
        conn->out = (struct mx_out){0};
        mx_worker_mark_dirty(worker, conn);
    }
    conn->wait = MX_WAIT_TLS;
    conn->activity_ms = worker->now_ms;
    mx_conn_set_timer(worker, conn);
}

void mx_conn_tls_silence(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (tls == NULL)
        return;
    free_out(worker, &tls->out);
    tls->filter.state = MX_TLS_ENDED;
}

void mx_conn_tls_free(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (tls == NULL)
        return;
    conn->session.tls = NULL;
    mx_tls_deinit(&tls->filter);
    mx_conn_block_free(worker, &tls->in);
    free_out(worker, &tls->out);
    tls->is_gone = true;
    if (!tls->is_queued)
        give_row(&worker->tls, tls);
}

/* ---- memory ---- */

/* *out has at least so much room. False: no memory. */
static bool has_room(struct mx_worker *worker, struct mx_out *out, uint32_t room) {
    if (out->ptr != NULL && mx_out_room(out) >= room)
        return true;
    uint32_t need = out->len + room, got = 0;
    char *larger = need <= MX_BUDDY_MAX ? mx_buddy_take(&worker->buddy, need, &got) : NULL;
    if (larger == NULL)
        return false;
    if (out->ptr != NULL)
        memcpy(larger, out->ptr, out->len);
    mx_buddy_give(&worker->buddy, out->ptr, out->cap);
    out->ptr = larger;
    out->cap = got;
    return true;
}

static void out_of_memory(struct mx_worker *worker, struct mx_conn *conn) {
    worker->counters.memory_refused++;
    mx_conn_log_limit(worker, conn, "engine.sessionMemory");
    mx_conn_kill(worker, conn);
}

/* Append to `in`. False: no memory, the connection is being closed. */
static bool keep(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data) {
    struct mx_conn_block *block = &mx_conn_tls(conn)->in;
    uint32_t len = mx_conn_block_len(block);
    if (data.len > block->cap - block->end) {
        uint64_t need = len + (uint64_t)data.len;
        uint32_t most = mx_buddy_is_tight(&worker->buddy) ? MX_BACKLOG_QUOTA : MX_BACKLOG_MAX;
        uint32_t got = 0;
        char *larger = need > most ? NULL : mx_buddy_take(&worker->buddy, (uint32_t)need, &got);
        if (larger == NULL) {
            out_of_memory(worker, conn);
            return false;
        }
        if (len > 0)
            memcpy(larger, block->ptr + block->begin, len);
        mx_buddy_give(&worker->buddy, block->ptr, block->cap);
        *block = (struct mx_conn_block){larger, got, 0, len};
    }
    memcpy(block->ptr + block->end, data.ptr, data.len);
    block->end += (uint32_t)data.len;
    return true;
}

/* Behind a call of the filter: what it has not taken of `in` stays. */
static struct mx_span kept(const struct mx_conn_tls *tls) {
    return (struct mx_span){tls->in.ptr + tls->in.begin, mx_conn_block_len(&tls->in)};
}

static void keep_rest(struct mx_worker *worker, struct mx_conn_tls *tls, struct mx_span rest) {
    if (rest.len == 0)
        mx_conn_block_free(worker, &tls->in);
    else
        tls->in.begin = tls->in.end - (uint32_t)rest.len;
}

static void pause_if_full(struct mx_worker *worker, struct mx_conn *conn) {
    bool is_over = mx_conn_block_len(&mx_conn_tls(conn)->in) >= MX_BACKLOG_QUOTA;
    if (!is_over || conn->wait == MX_WAIT_NOTHING || !conn->is_recv_armed ||
        conn->is_recv_cancelled)
        return;
    worker->counters.recv_paused++;
    mx_conn_cancel_recv(worker, conn);
}

/* ---- records ---- */

static void fail(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    worker->counters.tls_failed++;
    mx_conn_log_tls_failed(worker, conn, mx_tls_error_text(&tls->filter));
    /* the alert, if there is one, goes out; nothing else can */
    mx_buddy_give(&worker->buddy, conn->out.ptr, conn->out.cap);
    conn->out = (struct mx_out){0};
    mx_conn_close(worker, conn, tls->out.len > 0);
}

/* Open records and step over them, until there are no more or the connection waits. What is not
 * taken of *in is left. False: the connection is being closed. */
static bool pump(struct mx_worker *worker, struct mx_conn *conn, struct mx_span *in) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    while (conn->state == MX_CONN_OPEN && conn->wait == MX_WAIT_NOTHING) {
        size_t len = 0;
        if (tls->out.len >= worker->fleet->conf->engine.max_unsent_octets) {
            worker->counters.output_blocked++; /* answers of the library that nobody reads */
            conn->wait = MX_WAIT_OUTPUT;
            break;
        }
        int err =
            mx_tls_open(&tls->filter, in, &tls->out, worker->tls.plain, MX_TLS_RECORD_MAX, &len);
        if (err == MX_ENOROOM && has_room(worker, &tls->out, MX_TLS_OUT_FIRST))
            continue;
        if (tls->out.len > 0)
            mx_worker_mark_dirty(worker, conn);
        if (err == MX_EPARTIAL)
            return true;
        if (err == MX_EEND)
            mx_conn_close(worker, conn, false);
        else if (err == MX_ENOROOM)
            out_of_memory(worker, conn);
        else if (err < 0)
            fail(worker, conn);
        else
            mx_conn_input(worker, conn, (struct mx_span){worker->tls.plain, len});
    }
    return conn->state == MX_CONN_OPEN;
}

void mx_conn_tls_continue(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    struct mx_span in = kept(tls);
    if (pump(worker, conn, &in))
        keep_rest(worker, tls, in);
}

void mx_conn_tls_input(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    if (conn->wait != MX_WAIT_NOTHING || tls->in.ptr != NULL) {
        if (!keep(worker, conn, data))
            return;
        if (conn->wait == MX_WAIT_NOTHING)
            mx_conn_tls_continue(worker, conn);
        else if (conn->wait == MX_WAIT_TLS)
            enqueue(worker, tls);
    } else if (pump(worker, conn, &data) && data.len > 0 && !keep(worker, conn, data)) {
        return;
    }
    if (conn->state == MX_CONN_OPEN)
        pause_if_full(worker, conn);
}

/* ---- out ---- */

bool mx_conn_tls_seal(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    bool is_end = conn->state == MX_CONN_CLOSING || conn->state == MX_CONN_LINGER;
    struct mx_span plain = {conn->out.ptr, conn->out.len};
    if (tls->filter.state != MX_TLS_OPEN) {
        if (tls->filter.state == MX_TLS_ENDED)
            free_out(worker, &conn->out); /* nobody can read it any more */
        return true;
    }
    if (plain.len == 0 && !is_end)
        return true;
    uint32_t room = mx_tls_sealed_max(&tls->filter, conn->out.len) + MX_TLS_RECORD_EXTRA;
    if (!has_room(worker, &tls->out, room) || mx_tls_seal(&tls->filter, plain, &tls->out) < 0) {
        worker->counters.memory_refused++;
        mx_conn_kill(worker, conn);
        return false;
    }
    free_out(worker, &conn->out);
    if (is_end)
        mx_tls_end(&tls->filter, &tls->out);
    return true;
}

/* ---- handshakes ---- */

static void opened(struct mx_worker *worker, struct mx_conn *conn) {
    struct mx_conn_tls *tls = mx_conn_tls(conn);
    assert(tls != NULL);
    mx_tls_facts(&tls->filter, &tls->facts);
    tls->about = (struct mx_session_tls){
        .version = mx_span_of(tls->facts.version),
        .cipher = mx_span_of(tls->facts.cipher),
        .sni = {tls->filter.sni, tls->filter.sni_len},
        .client_subject = mx_span_of(tls->facts.client_subject),
        .is_resumed = tls->facts.is_resumed,
    };
    worker->counters.tls_handshakes++;
    worker->counters.tls_resumed += tls->facts.is_resumed;
    conn->session.is_tls = true;
    conn->wait = MX_WAIT_NOTHING;
    conn->activity_ms = worker->now_ms;
    mx_conn_log_tls(worker, conn);
    if (!conn->is_greeted)
        mx_conn_greet(worker, conn);
    if (conn->state != MX_CONN_OPEN)
        return;
    mx_conn_set_timer(worker, conn);
    mx_conn_tls_continue(worker, conn);
    if (conn->state != MX_CONN_OPEN || conn->wait != MX_WAIT_NOTHING)
        return;
    if (conn->is_eof)
        mx_conn_close(worker, conn, false);
    else
        mx_conn_arm_recv(worker, conn);
}

/* One step of one handshake. */
static void step(struct mx_worker *worker, struct mx_conn_tls *tls) {
    struct mx_conn *conn = &worker->conns[tls->conn];
    struct mx_span in = kept(tls);
    if (!has_room(worker, &tls->out, MX_TLS_OUT_FIRST / 4)) {
        out_of_memory(worker, conn);
        return;
    }
    int err = mx_tls_handshake(&tls->filter, &in, &tls->out);
    if (tls->out.len > 0)
        mx_worker_mark_dirty(worker, conn);
    else
        free_out(worker, &tls->out);
    keep_rest(worker, tls, in);
    if (err == 0) {
        opened(worker, conn);
    } else if (err == MX_ENOROOM) {
        if (has_room(worker, &tls->out, MX_TLS_OUT_FIRST))
            enqueue(worker, tls);
        else
            out_of_memory(worker, conn);
    } else if (err == MX_EPARTIAL && conn->is_eof) {
        mx_conn_close(worker, conn, false);
    } else if (err == MX_EPARTIAL) {
        mx_conn_arm_recv(worker, conn); /* it may have been paused */
    } else {
        fail(worker, conn);
    }
}

void mx_conn_tls_turn(struct mx_worker *worker) {
    const uint64_t budget_ns = MX_HANDSHAKE_TURN_US * UINT64_C(1000);
    if (worker->tls.count == 0)
        return;
    uint64_t begin_ns = worker->ring.io->cpu_ns(&worker->ring);
    do {
        struct mx_conn_tls *tls = dequeue(worker);
        if (tls->is_gone)
            give_row(&worker->tls, tls);
        else if (worker->conns[tls->conn].wait == MX_WAIT_TLS)
            step(worker, tls);
    } while (worker->tls.count > 0 &&
             worker->ring.io->cpu_ns(&worker->ring) - begin_ns < budget_ns);
}
