#include "engine/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* ---- the kernel ---- */

static int kernel_enter(struct mx_ring *self, unsigned count, const struct mx_ring_wait *wait) {
    unsigned flags = self->enter_flags;
    int fd = self->uring.enter_ring_fd;
    if (wait == NULL)
        return io_uring_enter2((unsigned)fd, count, 0, flags, NULL, 0);
    struct __kernel_timespec ts = {(int64_t)(wait->timeout_ns / 1000000000u),
                                   (int64_t)(wait->timeout_ns % 1000000000u)};
    struct mx_getevents_arg arg = {.sigmask_sz = _NSIG / 8};
    if (wait->timeout_ns != UINT64_MAX)
        arg.ts = (uint64_t)(uintptr_t)&ts;
    if (wait->events > 1 && (self->features & MX_RING_MIN_WAIT))
        arg.min_wait_usec = wait->min_wait_us;
    flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    return io_uring_enter2((unsigned)fd, count, wait->events, flags, (sigset_t *)&arg, sizeof arg);
}

static int kernel_register_buffers(struct mx_ring *self, struct io_uring_buf_reg *reg) {
    return io_uring_register_buf_ring(&self->uring, reg, 0);
}

static uint64_t kernel_monotonic_ms(struct mx_ring *self) {
    (void)self;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static int64_t kernel_wall_s(struct mx_ring *self) {
    (void)self;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

static uint64_t kernel_cpu_ns(struct mx_ring *self) {
    (void)self;
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static int kernel_getpeername(struct mx_ring *self, int fd, struct sockaddr *addr, socklen_t *len) {
    (void)self;
    return getpeername(fd, addr, len) < 0 ? -errno : 0;
}

const struct mx_ring_io mx_ring_kernel = {
    .enter = kernel_enter,
    .register_buffers = kernel_register_buffers,
    .monotonic_ms = kernel_monotonic_ms,
    .wall_s = kernel_wall_s,
    .cpu_ns = kernel_cpu_ns,
    .getpeername = kernel_getpeername,
};

/* ---- life ---- */

/* liburing fills the index array when it submits; we submit ourselves, so it is filled once. */
static void fill_sq_array(struct io_uring_sq *sq) {
    for (unsigned i = 0; i < sq->ring_entries; i++)
        sq->array[i] = i;
}

int mx_ring_init(struct mx_ring *self, uint32_t features, unsigned slots, unsigned cq_entries) {
    *self = (struct mx_ring){.features = features};
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
        .cq_entries = cq_entries,
    };
    int err = io_uring_queue_init_params(cq_entries / 8, &self->uring, &params);
    if (err < 0)
        return err;
    fill_sq_array(&self->uring.sq);
    self->is_direct = (features & MX_RING_DIRECT) && slots > 0;
    if (self->is_direct) {
        err = io_uring_register_files_sparse(&self->uring, slots);
        if (err < 0) {
            io_uring_queue_exit(&self->uring);
            return err;
        }
    }
    self->io = &mx_ring_kernel;
    return 0;
}

/* The shared liburing 2.3 does not export its functions for these two. */
static int register_raw(struct mx_ring *self, unsigned op, void *rows, unsigned count) {
    long err = syscall(__NR_io_uring_register, self->uring.ring_fd, op, rows, count);
    return err < 0 ? -errno : 0;
}

/* The operations a worker uses, and nothing else: an intruder on it opens no file and no socket. */
static const uint8_t worker_ops[] = {
    IORING_OP_ACCEPT,   IORING_OP_RECV,      IORING_OP_SEND,        IORING_OP_ASYNC_CANCEL,
    IORING_OP_CLOSE,    IORING_OP_WRITE,     IORING_OP_WRITE_FIXED, IORING_OP_FSYNC,
    IORING_OP_MSG_RING, IORING_OP_URING_CMD,
};
static const uint8_t client_ops[] = {
    IORING_OP_CONNECT, IORING_OP_RECV,         IORING_OP_SEND,
    IORING_OP_SEND_ZC, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
};

static int restrict_ring(struct mx_ring *self) {
    enum { OPS_MAX = sizeof worker_ops };
    static_assert(sizeof client_ops <= OPS_MAX, "room for the longer table");
    bool is_client = self->features & MX_RING_CLIENT;
    const uint8_t *ops = is_client ? client_ops : worker_ops;
    unsigned count = is_client ? sizeof client_ops : sizeof worker_ops;
    struct io_uring_restriction rows[OPS_MAX + 2];
    memset(rows, 0, sizeof rows);
    for (unsigned i = 0; i < count; i++) {
        rows[i].opcode = IORING_RESTRICTION_SQE_OP;
        rows[i].sqe_op = ops[i];
    }
    rows[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rows[count].sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    rows[count + 1].opcode = IORING_RESTRICTION_REGISTER_OP;
    rows[count + 1].register_op = IORING_UNREGISTER_RING_FDS; /* liburing's queue_exit */
    return register_raw(self, IORING_REGISTER_RESTRICTIONS, rows, count + 2);
}

int mx_ring_start(struct mx_ring *self) {
    if (self->features & MX_RING_RESTRICT) {
        int err = restrict_ring(self);
        if (err < 0)
            return err;
    }
    if (io_uring_register_ring_fd(&self->uring) == 1)
        self->enter_flags |= IORING_ENTER_REGISTERED_RING;
    if (self->features & MX_RING_NO_IOWAIT)
        self->enter_flags |= MX_ENTER_NO_IOWAIT;
    return register_raw(self, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

void mx_ring_deinit(struct mx_ring *self) {
    if (self->io != NULL)
        io_uring_queue_exit(&self->uring);
    self->io = NULL;
}

/* ---- a ring in plain memory ---- */

struct memory_ring {
    unsigned sq_head, sq_tail, cq_head, cq_tail, sq_flags, cq_overflow;
};

int mx_ring_memory_new(struct mx_ring *self, const struct mx_ring_io *io, void *context,
                       unsigned sq_entries, unsigned cq_entries) {
    *self = (struct mx_ring){.io = io, .context = context, .features = MX_RING_BASE};
    struct memory_ring *m = calloc(1, sizeof *m);
    struct io_uring_sqe *sqes = calloc(sq_entries, sizeof *sqes);
    struct io_uring_cqe *cqes = calloc(cq_entries, sizeof *cqes);
    if (m == NULL || sqes == NULL || cqes == NULL) {
        free(m);
        free(sqes);
        free(cqes);
        return -ENOMEM;
    }
    struct io_uring *r = &self->uring;
    r->ring_fd = r->enter_ring_fd = -1;
    r->sq.ring_ptr = m;
    r->sq.khead = &m->sq_head;
    r->sq.ktail = &m->sq_tail;
    r->sq.kflags = &m->sq_flags;
    r->sq.sqes = sqes;
    r->sq.ring_entries = sq_entries;
    r->sq.ring_mask = sq_entries - 1;
    r->cq.khead = &m->cq_head;
    r->cq.ktail = &m->cq_tail;
    r->cq.koverflow = &m->cq_overflow;
    r->cq.cqes = cqes;
    r->cq.ring_entries = cq_entries;
    r->cq.ring_mask = cq_entries - 1;
    return 0;
}

void mx_ring_memory_free(struct mx_ring *self) {
    free(self->uring.sq.ring_ptr);
    free(self->uring.sq.sqes);
    free(self->uring.cq.cqes);
    memset(self, 0, sizeof *self);
}

/* ---- submission ---- */

static unsigned unsubmitted(const struct mx_ring *self) {
    const struct io_uring_sq *sq = &self->uring.sq;
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

static int enter(struct mx_ring *self, const struct mx_ring_wait *wait) {
    struct io_uring_sq *sq = &self->uring.sq;
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    /* the kernel may take fewer than it is given: always count from its own head */
    unsigned count = unsubmitted(self);
    self->enter_count++;
    int taken = self->io->enter(self, count, wait);
    if (taken > 0)
        self->submit_count += (unsigned)taken;
    return taken;
}

static bool is_fatal(int err) {
    switch (err) {
    case -ETIME:
    case -EINTR:
    case -EAGAIN:
    case -EBUSY: /* completions wait in the kernel's overflow list: those that are there go first */
        return false;
    default:
        return err < 0;
    }
}

int mx_ring_turn(struct mx_ring *self, const struct mx_ring_wait *wait) {
    int err = enter(self, wait);
    return is_fatal(err) ? err : 0;
}

int mx_ring_flush(struct mx_ring *self) {
    int err = 0;
    while (unsubmitted(self) > 0 && !is_fatal(err))
        err = enter(self, NULL);
    return is_fatal(err) ? err : 0;
}

static struct io_uring_sqe *take_sqe(struct mx_ring *self) {
    struct io_uring_sq *sq = &self->uring.sq;
    if (unsubmitted(self) == sq->ring_entries) {
        int err = mx_ring_flush(self);
        assert(err == 0);
    }
    struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

static struct io_uring_sqe *take_fd_sqe(struct mx_ring *self, uint8_t opcode, int fd,
                                        uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->flags = self->is_direct ? IOSQE_FIXED_FILE : 0;
    sqe->user_data = user_data;
    return sqe;
}

void mx_ring_accept(struct mx_ring *self, int listen_fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->fd = listen_fd;
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->user_data = user_data;
    if (self->is_direct)
        sqe->file_index = IORING_FILE_INDEX_ALLOC;
    else
        sqe->accept_flags = SOCK_CLOEXEC;
}

void mx_ring_connect(struct mx_ring *self, int fd, const struct sockaddr *addr, socklen_t len,
                     uint64_t user_data) {
    assert(self->features & MX_RING_CLIENT);
    struct io_uring_sqe *sqe = take_fd_sqe(self, IORING_OP_CONNECT, fd, user_data);
    sqe->addr = (uint64_t)(uintptr_t)addr;
    sqe->off = len;
}

static struct io_uring_sqe *take_recv_sqe(struct mx_ring *self, int fd, uint16_t buffer_group,
                                          uint64_t user_data) {
    struct io_uring_sqe *sqe = take_fd_sqe(self, IORING_OP_RECV, fd, user_data);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffer_group;
    return sqe;
}

void mx_ring_recv(struct mx_ring *self, int fd, uint16_t buffer_group, uint64_t user_data) {
    take_recv_sqe(self, fd, buffer_group, user_data)->ioprio = IORING_RECV_MULTISHOT;
}

void mx_ring_recv_once(struct mx_ring *self, int fd, uint16_t buffer_group, uint64_t user_data) {
    (void)take_recv_sqe(self, fd, buffer_group, user_data);
}

void mx_ring_send(struct mx_ring *self, int fd, const char *ptr, uint32_t len, uint64_t user_data) {
    struct io_uring_sqe *sqe = take_fd_sqe(self, IORING_OP_SEND, fd, user_data);
    sqe->addr = (uint64_t)(uintptr_t)ptr;
    sqe->len = len;
    sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
}

void mx_ring_send_zc(struct mx_ring *self, int fd, const char *ptr, uint32_t len,
                     uint64_t user_data) {
    assert(self->features & MX_RING_CLIENT);
    struct io_uring_sqe *sqe = take_fd_sqe(self, IORING_OP_SEND_ZC, fd, user_data);
    sqe->addr = (uint64_t)(uintptr_t)ptr;
    sqe->len = len;
    sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    sqe->ioprio = MX_SEND_ZC_REPORT;
}

void mx_ring_cancel(struct mx_ring *self, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = target;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = user_data;
}

void mx_ring_close(struct mx_ring *self, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_CLOSE;
    if (self->is_direct)
        sqe->file_index = (uint32_t)fd + 1;
    else
        sqe->fd = fd;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = user_data;
}

void mx_ring_peername(struct mx_ring *self, int fd, struct sockaddr *addr, socklen_t len,
                      uint64_t user_data) {
    struct io_uring_sqe *sqe = take_fd_sqe(self, IORING_OP_URING_CMD, fd, user_data);
    sqe->off = MX_SOCKET_OP_GETSOCKOPT; /* cmd_op */
    sqe->addr = SOL_SOCKET | (uint64_t)SO_PEERNAME << 32;
    sqe->splice_fd_in = (int32_t)len;       /* optlen */
    sqe->addr3 = (uint64_t)(uintptr_t)addr; /* optval */
}

void mx_ring_message(struct mx_ring *self, int ring_fd, uint32_t value, uint64_t target_data,
                     uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_MSG_RING;
    sqe->fd = ring_fd;
    sqe->len = value;
    sqe->off = target_data;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = user_data;
}

void mx_ring_pass(struct mx_ring *self, int ring_fd, int fd, uint64_t target_data,
                  uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_MSG_RING;
    sqe->fd = ring_fd;
    sqe->off = target_data;
    sqe->user_data = user_data;
    if (self->is_direct) {
        sqe->addr = IORING_MSG_SEND_FD;
        sqe->addr3 = (uint32_t)fd;
        sqe->file_index = IORING_FILE_INDEX_ALLOC;
    } else {
        sqe->len = (uint32_t)fd; /* threads share the descriptor table */
    }
}

void mx_ring_write(struct mx_ring *self, const struct mx_ring_write *write) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = write->is_registered ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;
    sqe->fd = write->fd;
    sqe->addr = (uint64_t)(uintptr_t)write->ptr;
    sqe->len = write->len;
    sqe->off = write->offset;
    sqe->rw_flags = write->is_durable ? RWF_DSYNC : 0;
    sqe->user_data = write->user_data;
}

void mx_ring_sync(struct mx_ring *self, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = take_sqe(self);
    sqe->opcode = IORING_OP_FSYNC;
    sqe->fd = fd;
    sqe->fsync_flags = IORING_FSYNC_DATASYNC;
    sqe->user_data = user_data;
}

int mx_ring_register_memory(struct mx_ring *self, const char *ptr, size_t len) {
    struct iovec row = {(void *)(uintptr_t)ptr, len};
    if (self->uring.ring_fd < 0)
        return -ENOSYS; /* a ring in plain memory */
    return register_raw(self, IORING_REGISTER_BUFFERS, &row, 1);
}
