/* op.c - the operations: what a request does, when it completes, and what a kernel would not
 * forgive.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, octets)   ((void)(ptr))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, octets) ((void)(ptr))
#endif

static uint32_t hash_of(const char *ptr, uint32_t len) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)ptr[i]) * 16777619u;
    return h;
}

static uint64_t delay(void) {
    return sim.now_us + 1 + sim_below(sim_chance(100) ? 60000 : 3000);
}

static struct sim_client *client_of(const struct sim_op *op) {
    return &sim.clients[op->client];
}

/* The last completion of an operation that names a descriptor. */
static bool finish(struct sim_kernel *self, struct sim_op *op, int32_t res, uint32_t flags) {
    sim_post(self, op->user_data, res, flags);
    if (op->fd >= 0)
        self->table->fds[op->fd].ops--;
    return true;
}

/* ---- descriptors ------------------------------------------------------------------------------
 */

static int fd_open(struct sim_table *table, int16_t client) {
    for (uint32_t fd = 0; fd < table->size; fd++) {
        if (table->fds[fd].client < 0) {
            table->fds[fd].client = client;
            table->fds[fd].ops = 0;
            sim.clients[client].sock.refs++;
            return (int)fd;
        }
    }
    return -ENFILE;
}

static void drop_connection(struct sim_client *client) {
    if (sim_len(&client->sock.in) > 0)
        sim_event(SIM_E_CLOSED_WITH_UNREAD_INPUT);
    client->sock.is_closed = true;
    sim_client_wake(client, 1 + sim_below(500));
}

static void fd_close(struct sim_table *table, int fd) {
    struct sim_client *client = &sim.clients[table->fds[fd].client];
    table->fds[fd].client = -1;
    if (--client->sock.refs == 0)
        drop_connection(client);
}

/* ---- accept ------------------------------------------------------------------------------------
 */

static bool accept_fails(struct sim_kernel *self, struct sim_op *op, struct sim_listener *listener,
                         bool is_full) {
    if (sim_fault(SIM_F_ACCEPT_ECONNABORTED))
        return finish(self, op, -ECONNABORTED, 0);
    bool strikes = !is_full && sim_fault(SIM_F_ACCEPT_ENFILE);
    if (!is_full && !strikes)
        return false;
    if (is_full)
        sim_event(SIM_E_ACCEPT_TABLE_FULL);
    if (sim.is_direct) { /* verified on 6.18: the peer sees EOF, the accept ends */
        struct sim_client *client = &sim.clients[listener->queue[listener->begin++]];
        client->may_vanish = true;
        drop_connection(client);
        return finish(self, op, -ENFILE, 0);
    }
    return finish(self, op, sim_below(2) ? -EMFILE : -ENOMEM, 0);
}

void sim_refuse_queue(struct sim_listener *listener) {
    while (listener->begin < listener->end) {
        struct sim_client *client = &sim.clients[listener->queue[listener->begin++]];
        client->may_vanish = true;
        drop_connection(client);
    }
}

static bool progress_accept(struct sim_kernel *self, struct sim_op *op) {
    struct sim_listener *listener = &sim.listeners[self - sim.kernels][op->client];
    if (op->is_cancelled)
        return finish(self, op, -ECANCELED, 0);
    if (sim.now_us >= sim.shutdown_us || sim.is_shut[op->client]) {
        sim_refuse_queue(listener);
        return finish(self, op, -EINVAL, 0);
    }
    while (listener->begin < listener->end) {
        int16_t index = listener->queue[listener->begin];
        int fd = fd_open(self->table, index);
        if (accept_fails(self, op, listener, fd < 0)) {
            if (fd >= 0) {
                self->table->fds[fd].client = -1;
                sim.clients[index].sock.refs--;
            }
            return true;
        }
        listener->begin++;
        if (sim.clients[index].state == SIM_C_QUEUED)
            sim.clients[index].state = SIM_C_OPEN;
        sim.clients[index].was_accepted = true;
        sim_client_wake(&sim.clients[index], 1);
        sim_note("accept: worker, client, fd", self - sim.kernels, index, fd);
        bool is_full = !sim_cq_has_room(self);
        if (is_full)
            sim_event(SIM_E_CQ_ENDS_MULTISHOT);
        if (is_full || sim_fault(SIM_F_ACCEPT_ENDS))
            return finish(self, op, fd, 0);
        sim_post(self, op->user_data, fd, IORING_CQE_F_MORE);
        if (sim_chance(300))
            break;
    }
    return false;
}

/* ---- receive ------------------------------------------------------------------------------------
 */

/* The next provided buffer, as the kernel picks it; NULL: none. */
static char *pick_buffer(struct sim_kernel *self, uint32_t *len, uint32_t *flags) {
    uint16_t tail = __atomic_load_n(&self->buf_ring->tail, __ATOMIC_ACQUIRE);
    if (self->buf_head == tail)
        return NULL;
    uint16_t lent = (uint16_t)(tail - self->buf_head);
    SIM_CHECK(lent <= self->buf_entries, "more buffers than the ring has", lent, 0);
    struct io_uring_buf *entry = &self->buf_ring->bufs[self->buf_head++ & (self->buf_entries - 1)];
    SIM_CHECK(entry->bid < self->buf_entries && entry->len > 0, "buffer", entry->bid, entry->len);
    uint32_t seen = *self->ring->uring.cq.khead;
    SIM_CHECK((int32_t)(seen - self->held[entry->bid]) >= 0, "buffer lent twice", entry->bid, seen);
    self->held[entry->bid] = sim_cq_next(self) + 1;
    *len = entry->len;
    *flags = IORING_CQE_F_BUFFER | (uint32_t)entry->bid << IORING_CQE_BUFFER_SHIFT;
    return (char *)(uintptr_t)entry->addr;
}

static bool receive_eof(struct sim_kernel *self, struct sim_op *op) {
    uint32_t len, flags = 0;
    sim_event(SIM_E_RECV_EOF);
    if (sim_fault(SIM_F_EOF_WITH_BUFFER)) {
        char *buffer = pick_buffer(self, &len, &flags);
        SIM_CHECK(buffer != NULL, "no buffer", 0, 0);
    }
    return finish(self, op, 0, flags);
}

/* Copy some of what is there into a buffer. *is_last: the multishot has ended. */
static void receive_some(struct sim_kernel *self, struct sim_op *op, bool *is_last) {
    struct sim_sock *sock = &client_of(op)->sock;
    uint32_t room = 0, flags = 0;
    char *buffer = pick_buffer(self, &room, &flags);
    SIM_CHECK(buffer != NULL, "no buffer", 0, 0);
    uint32_t len = sim_len(&sock->in) < room ? sim_len(&sock->in) : room;
    if (sim_fault(SIM_F_RECV_SHORT))
        len = 1 + sim_below(sim_below(2) ? len : 1);
    ASAN_UNPOISON_MEMORY_REGION(buffer, room);
    memcpy(buffer, sock->in.ptr + sock->in.begin, len);
    ASAN_POISON_MEMORY_REGION(buffer, room);
    sim_drop(&sock->in, len);
    sim_client_wake(client_of(op), 1 + sim_below(50)); /* the window opens */
    *is_last = !sim_cq_has_room(self);
    if (op->is_once)
        *is_last = true;
    else if (*is_last)
        sim_event(SIM_E_CQ_ENDS_MULTISHOT);
    else
        *is_last = sim_fault(SIM_F_RECV_ENDS);
    if (*is_last)
        finish(self, op, (int32_t)len, flags);
    else
        sim_post(self, op->user_data, (int32_t)len, flags | IORING_CQE_F_MORE);
}

static bool progress_recv(struct sim_kernel *self, struct sim_op *op, bool is_inline) {
    struct sim_sock *sock = &client_of(op)->sock;
    if (op->is_cancelled) {
        sim_event(SIM_E_RECV_CANCELED);
        return finish(self, op, -ECANCELED, 0);
    }
    bool is_last = false;
    do {
        bool has_buffer = self->buf_head != self->buf_ring->tail;
        bool has_data = sim_len(&sock->in) > 0;
        /* the buffer comes first: at the first try it is missed even without data */
        if (!has_buffer && (is_inline || has_data || sock->is_fin || sock->is_reset)) {
            sim_event(SIM_E_RECV_ENOBUFS);
            return finish(self, op, -ENOBUFS, 0);
        }
        if (sock->is_reset) {
            sim_event(SIM_E_RECV_ECONNRESET);
            return finish(self, op, -ECONNRESET, 0);
        }
        if (!has_data)
            return sock->is_fin && receive_eof(self, op);
        receive_some(self, op, &is_last);
    } while (!is_last && sim_chance(700));
    return is_last;
}

/* ---- send --------------------------------------------------------------------------------------
 */

static bool end_send(struct sim_kernel *self, struct sim_op *op, int32_t res) {
    if (!sim_fault(SIM_F_SEND_DELAYED))
        return finish(self, op, res, 0);
    op->has_result = true;
    op->result = res;
    op->ready_us = delay();
    return false;
}

static bool progress_send(struct sim_kernel *self, struct sim_op *op) {
    struct sim_client *client = client_of(op);
    struct sim_sock *sock = &client->sock;
    if (op->has_result)
        return finish(self, op, op->result, 0);
    if (op->is_cancelled) {
        sim_event(op->done > 0 ? SIM_E_SEND_CANCELED_HALFWAY : SIM_E_SEND_CANCELED);
        return finish(self, op, op->done > 0 ? (int32_t)op->done : -ECANCELED, 0);
    }
    if (sock->is_reset && op->done == 0) {
        bool is_pipe = sim_below(2);
        sim_event(is_pipe ? SIM_E_SEND_EPIPE : SIM_E_SEND_ECONNRESET);
        return end_send(self, op, is_pipe ? -EPIPE : -ECONNRESET);
    }
    if (sock->is_reset)
        return end_send(self, op, (int32_t)op->done);
    const char *ptr = (const char *)(uintptr_t)op->addr;
    uint32_t used = sim_len(&sock->out), left = op->len - op->done;
    uint32_t room = sock->is_gone ? left : used < sock->out_cap ? sock->out_cap - used : 0;
    uint32_t len = left < room ? left : room;
    if (len == 0)
        return false;
    SIM_CHECK(hash_of(ptr, op->len) == op->hash, "octets lent to a send were changed", op->fd,
              op->len);
    bool is_short = len > 1 && sim_fault(SIM_F_SEND_SHORT);
    if (is_short)
        len = 1 + sim_below(len - 1);
    if (!sock->is_gone)
        sim_put(&sock->out, ptr + op->done, len);
    op->done += len;
    sim_client_wake(client, 1 + sim_below(200));
    if (op->done == op->len || is_short)
        return end_send(self, op, (int32_t)op->done);
    sim_event(SIM_E_SEND_BLOCKED); /* MSG_WAITALL: the rest when there is room */
    return false;
}

/* ---- the rest
 * ------------------------------------------------------------------------------------ */

static bool progress_peername(struct sim_kernel *self, struct sim_op *op) {
    struct sim_sock *sock = &client_of(op)->sock;
    if (sock->is_reset || sim_fault(SIM_F_PEERNAME_ENOTCONN))
        return finish(self, op, -ENOTCONN, 0);
    SIM_CHECK(op->len == sizeof sock->peer, "length of SO_PEERNAME", op->len, 0);
    memcpy((void *)(uintptr_t)op->addr, &sock->peer, sizeof sock->peer);
    return finish(self, op, (int32_t)op->len, 0);
}

/* MSG_RING: op->done = the target ring, op->hash = index of its listener in the target data. */
static bool progress_pass(struct sim_kernel *self, struct sim_op *op) {
    struct sim_kernel *target = &sim.kernels[op->done];
    if (sim_fault(SIM_F_PASS_EOVERFLOW))
        return finish(self, op, -EOVERFLOW, 0);
    if (sim_fault(SIM_F_PASS_ENFILE))
        return finish(self, op, -ENFILE, 0);
    if (!sim.is_direct) { /* a number: the descriptors are shared */
        sim_event(SIM_E_PASSED);
        sim_post(target, op->addr, (int32_t)op->len, 0);
        return finish(self, op, 0, 0);
    }
    int fd = fd_open(target->table, op->client);
    if (fd < 0)
        return finish(self, op, -ENFILE, 0);
    sim_event(SIM_E_PASSED);
    sim_post(target, op->addr, fd, 0);
    return finish(self, op, fd, 0);
}

bool sim_op_progress(struct sim_kernel *self, struct sim_op *op, bool is_inline) {
    switch (op->opcode) {
    case IORING_OP_ACCEPT:
        return progress_accept(self, op);
    case IORING_OP_RECV:
        return progress_recv(self, op, is_inline);
    case IORING_OP_SEND:
        return progress_send(self, op);
    case IORING_OP_URING_CMD:
        return progress_peername(self, op);
    case IORING_OP_MSG_RING:
        return progress_pass(self, op);
    default:
        sim_fail("operation", op->opcode, 0, __LINE__);
    }
}

/* ---- start
 * --------------------------------------------------------------------------------------- */

static struct sim_op *find_target(struct sim_kernel *self, uint64_t user_data) {
    for (uint32_t i = 0; i < self->op_count; i++) {
        if (self->ops[i].user_data == user_data)
            return &self->ops[i];
    }
    return NULL;
}

static void start_cancel(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    SIM_CHECK(sqe->flags == IOSQE_CQE_SKIP_SUCCESS && sqe->fd == -1, "cancel", sqe->flags, sqe->fd);
    struct sim_op *op = find_target(self, sqe->addr);
    sim_note("cancel: op, slot, found", (long)mx_op_kind(sqe->addr), (long)mx_op_slot(sqe->addr),
             op != NULL);
    if (op == NULL || op->has_result || op->is_cancelled) {
        sim_event(SIM_E_CANCEL_TOO_LATE);
        sim_post(self, sqe->user_data, -ENOENT, 0);
    } else if (sim_fault(SIM_F_CANCEL_ENOENT)) {
        sim_post(self, sqe->user_data, -ENOENT, 0);
    } else if (sim_fault(SIM_F_CANCEL_EALREADY)) {
        sim_post(self, sqe->user_data, -EALREADY, 0);
    } else {
        op->is_cancelled = true;
        op->ready_us = sim_fault(SIM_F_CANCEL_DELAYED) ? delay() : 0;
    }
}

static void start_close(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    int fd = sim.is_direct ? (int)sqe->file_index - 1 : sqe->fd;
    SIM_CHECK(fd >= 0 && fd < (int)self->table->size, "close of what descriptor", fd, 0);
    SIM_CHECK(self->table->fds[fd].client >= 0, "close of a closed descriptor", fd, 0);
    sim_note("close: worker, client, fd", self - sim.kernels, self->table->fds[fd].client, fd);
    SIM_CHECK(self->table->fds[fd].ops == 0, "close while requests name the descriptor", fd,
              self->table->fds[fd].ops);
    fd_close(self->table, fd);
}

/* The rules of each operation that names a connection. */
static void check_sqe(struct sim_kernel *self, const struct io_uring_sqe *sqe, int fd) {
    SIM_CHECK(fd >= 0 && fd < (int)self->table->size, "descriptor", sqe->opcode, fd);
    SIM_CHECK(self->table->fds[fd].client >= 0, "a request names a closed descriptor", sqe->opcode,
              fd);
    bool is_message = sqe->opcode == IORING_OP_MSG_RING;
    uint8_t flags = sim.is_direct && !is_message ? IOSQE_FIXED_FILE : 0;
    if (sqe->opcode == IORING_OP_RECV) {
        flags |= IOSQE_BUFFER_SELECT;
        bool is_known = sqe->ioprio == IORING_RECV_MULTISHOT || sqe->ioprio == 0;
        SIM_CHECK(is_known && sqe->buf_group == 1, "recv", fd, 0);
    }
    SIM_CHECK(sqe->flags == flags, "flags of an SQE", sqe->opcode, sqe->flags);
    for (uint32_t i = 0; i < self->op_count; i++) {
        const struct sim_op *op = &self->ops[i];
        SIM_CHECK(op->fd != fd || op->opcode != sqe->opcode, "two of a kind on a descriptor",
                  sqe->opcode, fd);
        SIM_CHECK(op->user_data != sqe->user_data, "user_data is in use", sqe->opcode, fd);
    }
}

static struct sim_op *add_op(struct sim_kernel *self, const struct io_uring_sqe *sqe, int fd) {
    SIM_CHECK(self->op_count < SIM_OPS_MAX, "too many operations", self->op_count, 0);
    struct sim_op *op = &self->ops[self->op_count++];
    *op = (struct sim_op){.user_data = sqe->user_data,
                          .addr = sqe->addr,
                          .len = sqe->len,
                          .fd = fd,
                          .opcode = sqe->opcode};
    if (fd >= 0) {
        op->client = self->table->fds[fd].client;
        self->table->fds[fd].ops++;
    }
    return op;
}

static struct sim_op *start_accept(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    int service = sqe->fd - SIM_LISTEN_FD;
    SIM_CHECK(service >= 0 && service < SIM_SLOTS, "accept on what", sqe->fd, 0);
    SIM_CHECK(find_target(self, sqe->user_data) == NULL, "two accepts on a listener", service, 0);
    for (uint32_t w = 0; w < sim.worker_count; w++) /* the connection may be handed to any */
        SIM_CHECK(service < SIM_SERVICES || sim.is_done[w] || sim.is_draining ||
                      sim.engine_listeners[w][service].service != NULL,
                  "accept at an address that not all workers know", service, w);
    struct sim_op *op = add_op(self, sqe, -1);
    op->client = (int16_t)service;
    return op;
}

static struct sim_op *start_pass(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    int fd = sim.is_direct ? (int)sqe->addr3 : (int)sqe->len;
    check_sqe(self, sqe, fd);
    struct sim_op *op = add_op(self, sqe, fd);
    op->done = (uint32_t)(sqe->fd - SIM_RING_FD);
    SIM_CHECK(op->done < sim.worker_count && &sim.kernels[op->done] != self, "ring", sqe->fd, 0);
    SIM_CHECK(!sim.is_direct || sqe->addr == IORING_MSG_SEND_FD, "message", sqe->addr, 0);
    op->addr = sqe->off;
    op->ready_us = sim_fault(SIM_F_PASS_DELAYED) ? delay() : 0;
    return op;
}

static struct sim_op *start_on_fd(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    check_sqe(self, sqe, sqe->fd);
    struct sim_op *op = add_op(self, sqe, sqe->fd);
    if (sqe->opcode == IORING_OP_SEND) {
        SIM_CHECK(sqe->len > 0, "empty send", sqe->fd, 0);
        SIM_CHECK(sqe->msg_flags == (MSG_WAITALL | MSG_NOSIGNAL), "send flags", sqe->msg_flags, 0);
        op->hash = hash_of((const char *)(uintptr_t)op->addr, op->len);
    } else if (sqe->opcode == IORING_OP_RECV) {
        op->ready_us = sim_fault(SIM_F_RECV_DELAYED) ? delay() : 0;
        op->is_once = sqe->ioprio == 0;
    } else {
        SIM_CHECK(sqe->opcode == IORING_OP_URING_CMD && sim.is_direct, "opcode", sqe->opcode, 0);
        op->addr = sqe->addr3;
        op->len = (uint32_t)sqe->splice_fd_in;
        op->ready_us = sim_fault(SIM_F_PEERNAME_DELAYED) ? delay() : 0;
    }
    return op;
}

void sim_op_start(struct sim_kernel *self, const struct io_uring_sqe *sqe) {
    struct sim_op *op = NULL;
    sim_note("sqe: op, slot, fd", (long)mx_op_kind(sqe->user_data),
             (long)mx_op_slot(sqe->user_data), sqe->fd);
    switch (sqe->opcode) {
    case IORING_OP_ASYNC_CANCEL:
        start_cancel(self, sqe);
        return;
    case IORING_OP_CLOSE:
        start_close(self, sqe);
        return;
    case IORING_OP_ACCEPT:
        op = start_accept(self, sqe);
        break;
    case IORING_OP_MSG_RING:
        op = start_pass(self, sqe);
        break;
    default:
        op = start_on_fd(self, sqe);
        break;
    }
    if (op->ready_us <= sim.now_us && sim_chance(800) && sim_op_progress(self, op, true))
        *op = self->ops[--self->op_count];
}
