/* ring.h - the only writer of SQEs, and the border to the kernel.
 *
 * Everything a worker asks of the operating system while it runs goes through struct mx_ring_io, so
 * that the tests can put a simulated kernel under the same engine. No call here blocks but
 * mx_ring_turn; none allocates after init.
 */
#pragma once
#include "engine/op.h"
#include "engine/ring_compat.h"
#include "proto/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct mx_ring;

/* How long a turn may sleep. */
struct mx_ring_wait {
    uint32_t events;      /* completions to wait for; 0 = take what is there and do not sleep */
    uint32_t min_wait_us; /* > 0: after this time one completion is enough (kernel 6.12) */
    uint64_t timeout_ns;  /* UINT64_MAX = none */
};

/* The border: the kernel (mx_ring_kernel) or a simulation. */
struct mx_ring_io {
    /* Submit `count` SQEs and wait; wait NULL: only submit, completions do not come in. Returns how
     * many were taken, or -errno (-ETIME, -EINTR, -EBUSY, -EAGAIN are no failures). */
    int (*enter)(struct mx_ring *self, unsigned count, const struct mx_ring_wait *wait);
    /* Register the provided-buffer ring. */
    int (*register_buffers)(struct mx_ring *self, struct io_uring_buf_reg *reg);
    /* Monotonic and wall clock; coarse (a few ms) is enough. */
    uint64_t (*monotonic_ms)(struct mx_ring *self);
    int64_t (*wall_s)(struct mx_ring *self);
    /* CPU time of the calling thread. A system call. */
    uint64_t (*cpu_ns)(struct mx_ring *self);
    /* Address of the peer of a normal descriptor. */
    int (*getpeername)(struct mx_ring *self, int fd, struct sockaddr *addr, socklen_t *len);
};

extern const struct mx_ring_io mx_ring_kernel;

/* What this kernel can do, found by trying. */
enum mx_ring_feature {
    MX_RING_BASE = 1 << 0,      /* multishot accept and recv, provided buffers, DEFER_TASKRUN */
    MX_RING_DIRECT = 1 << 1,    /* direct descriptors allocated by accept */
    MX_RING_PEERNAME = 1 << 2,  /* SO_PEERNAME as socket command on a direct descriptor */
    MX_RING_MIN_WAIT = 1 << 3,  /* wait for a batch with a time limit */
    MX_RING_NO_IOWAIT = 1 << 4, /* sleeping does not count as iowait */
    MX_RING_MSG = 1 << 5,       /* messages between rings */
    MX_RING_MSG_FD = 1 << 6,    /* passing a direct descriptor to another ring */
    MX_RING_RESTRICT = 1 << 7,  /* restrictions on a disabled ring */
    MX_RING_SEND_ZC = 1 << 8,   /* zero-copy send; reported only */
    MX_RING_RECV_ZC = 1 << 9,   /* zero-copy receive opcode; reported only */
    /* Never found, but asked for: the ring is a client's, and may connect instead of accept. */
    MX_RING_CLIENT = 1 << 10,
};

struct mx_ring {
    struct io_uring uring;
    const struct mx_ring_io *io;
    void *context;     /* of a simulated io */
    uint32_t features; /* bits of enum mx_ring_feature that are used */
    bool is_direct;    /* descriptors are slots of the ring's own table */
    unsigned enter_flags;
    uint64_t enter_count;  /* system calls made */
    uint64_t submit_count; /* SQEs handed to the kernel */
};

/* Try the kernel once: *features gets the bits. On failure a negative errno of io_uring_setup; then
 * mx_ring_remedy() says what to do about it. Makes a small ring and a loopback connection, and
 * closes them again. */
MX_MUST_CHECK int mx_ring_probe(uint32_t *features);

/* One sentence for the operator: why io_uring is not usable and what to change. */
const char *mx_ring_remedy(int err);

/* A disabled ring of the kernel with `slots` direct descriptors (when features has MX_RING_DIRECT
 * and slots > 0); cq_entries: power of two, the submission queue has an eighth of it. The thread
 * that will use it then calls mx_ring_start. */
MX_MUST_CHECK int mx_ring_init(struct mx_ring *self, uint32_t features, unsigned slots,
                               unsigned cq_entries);

/* Restrict the ring to those operations below that a worker uses (with MX_RING_CLIENT: connect,
 * recv, send with and without a copy, cancel and close), and enable it for the calling thread. */
MX_MUST_CHECK int mx_ring_start(struct mx_ring *self);

/* A ring in plain memory for a simulated io. Free with mx_ring_memory_free. */
MX_MUST_CHECK int mx_ring_memory_new(struct mx_ring *self, const struct mx_ring_io *io,
                                     void *context, unsigned sq_entries, unsigned cq_entries);
void mx_ring_memory_free(struct mx_ring *self);

/* No effect on a ring that is zeroed or whose init failed. */
void mx_ring_deinit(struct mx_ring *self);

/* Operations. fd is a direct slot or a descriptor, as self->is_direct says. user_data from
 * mx_op_pack; buffers are lent to the kernel until the completion. */
void mx_ring_accept(struct mx_ring *self, int listen_fd, uint64_t user_data);
/* A ring with MX_RING_CLIENT only. addr is lent to the kernel until the completion. */
void mx_ring_connect(struct mx_ring *self, int fd, const struct sockaddr *addr, socklen_t len,
                     uint64_t user_data);
void mx_ring_recv(struct mx_ring *self, int fd, uint16_t buffer_group, uint64_t user_data);
/* The same, but one buffer's worth and no more. */
void mx_ring_recv_once(struct mx_ring *self, int fd, uint16_t buffer_group, uint64_t user_data);
void mx_ring_send(struct mx_ring *self, int fd, const char *ptr, uint32_t len, uint64_t user_data);
/* The same without a copy, when the kernel can. Completes once, or twice: then the first completion
 * has IORING_CQE_F_MORE, the second IORING_CQE_F_NOTIF, and the buffer is lent until the second
 * one, whose result says whether the octets were copied all the same (MX_NOTIF_COPIED). A ring with
 * MX_RING_CLIENT only. */
void mx_ring_send_zc(struct mx_ring *self, int fd, const char *ptr, uint32_t len,
                     uint64_t user_data);
/* Completes only when it finds nothing to cancel. */
void mx_ring_cancel(struct mx_ring *self, uint64_t target, uint64_t user_data);
/* Completes only when it fails. */
void mx_ring_close(struct mx_ring *self, int fd, uint64_t user_data);
/* len: exactly the size of the address family's struct. Direct descriptors only. */
void mx_ring_peername(struct mx_ring *self, int fd, struct sockaddr *addr, socklen_t len,
                      uint64_t user_data);
/* Post {user_data = target_data, res = value} to another ring. Completes only when it fails. */
void mx_ring_message(struct mx_ring *self, int ring_fd, uint32_t value, uint64_t target_data,
                     uint64_t user_data);
/* Give a connection to another ring; it completes there with target_data and the new descriptor,
 * and here with user_data. A direct slot stays open here until it is closed. */
void mx_ring_pass(struct mx_ring *self, int ring_fd, int fd, uint64_t target_data,
                  uint64_t user_data);

/* A write to a file. Completes with the octets written, or -errno. */
struct mx_ring_write {
    int fd;          /* a descriptor, never a direct slot */
    const char *ptr; /* lent to the kernel until the completion */
    uint32_t len;
    uint64_t offset;
    bool is_registered; /* ptr is in the memory of mx_ring_register_memory */
    bool is_durable;    /* RWF_DSYNC: it is on the medium when it completes */
    uint64_t user_data;
};
void mx_ring_write(struct mx_ring *self, const struct mx_ring_write *write);
/* fdatasync: all writes to the file that have completed are on the medium when it completes. */
void mx_ring_sync(struct mx_ring *self, int fd, uint64_t user_data);

/* Pin memory for writes; before mx_ring_start, once. 0 or -errno: writes work without it. */
MX_MUST_CHECK int mx_ring_register_memory(struct mx_ring *self, const char *ptr, size_t len);

/* Submit what was prepared and wait. 0, or -errno that is fatal. */
MX_MUST_CHECK int mx_ring_turn(struct mx_ring *self, const struct mx_ring_wait *wait);

/* Submit what was prepared, all of it, and do not wait. 0, or -errno that is fatal. */
MX_MUST_CHECK int mx_ring_flush(struct mx_ring *self);

/* The completions that are there: read with mx_ring_cqe(self, i) for i < count, then consume all.
 */
static inline unsigned mx_ring_ready(const struct mx_ring *self) {
    const struct io_uring_cq *cq = &self->uring.cq;
    return __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE) - *cq->khead;
}
static inline const struct io_uring_cqe *mx_ring_cqe(const struct mx_ring *self, unsigned i) {
    const struct io_uring_cq *cq = &self->uring.cq;
    return &cq->cqes[(*cq->khead + i) & cq->ring_mask];
}
static inline void mx_ring_consume(struct mx_ring *self, unsigned count) {
    struct io_uring_cq *cq = &self->uring.cq;
    __atomic_store_n(cq->khead, *cq->khead + count, __ATOMIC_RELEASE);
}

/* Descriptor number that other rings use as ring_fd. */
static inline int mx_ring_fd(const struct mx_ring *self) {
    return self->uring.ring_fd;
}
