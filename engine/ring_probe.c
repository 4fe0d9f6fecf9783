/* ring_probe.c - what can this kernel do? Found by trying, never by its version string:
 * distributions carry features back, containers take them away. */
#include "engine/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROBE_SLOTS = 8,
    PROBE_CQES = 64,
    PROBE_BUFFERS = 8,
    PROBE_BUFFER_OCTETS = 64,
    PROBE_WAIT_NS = 1000000000
};

struct probe {
    struct mx_ring ring;
    int listen_fd, client_fd;
    struct sockaddr_in addr;
    struct io_uring_buf_ring *buffers;
    char memory[PROBE_BUFFERS * PROBE_BUFFER_OCTETS];
    char page[8192] __attribute__((aligned(4096)));
};

static int sysctl_disabled(void) {
    char digit = '?';
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, &digit, 1);
    close(fd);
    return n == 1 && digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

const char *mx_ring_remedy(int err) {
    switch (err) {
    case -EPERM:
        return sysctl_disabled() > 0
                   ? "io_uring is switched off: set sysctl kernel.io_uring_disabled=0, or 1 and "
                     "run in "
                     "the group of kernel.io_uring_group"
                   : "io_uring is blocked, probably by a seccomp profile (Docker and containerd "
                     "block "
                     "it by default): allow io_uring_setup, io_uring_enter and io_uring_register";
    case -ENOSYS:
        return "this kernel has no io_uring, or a seccomp profile hides it: Linux 6.1 or newer is "
               "needed";
    case -ENOMEM:
        return "not enough lockable memory for the rings: raise RLIMIT_MEMLOCK (LimitMEMLOCK=)";
    case -EINVAL:
        return "this kernel's io_uring is too old: Linux 6.1 or newer is needed";
    case -EMFILE:
        return "too few file descriptors: raise RLIMIT_NOFILE (LimitNOFILE=)";
    default:
        return "io_uring could not be set up";
    }
}

/* Submit what is prepared and wait for one completion; its result, or -ETIME. */
static int await(struct mx_ring *ring) {
    const struct mx_ring_wait wait = {.events = 1, .timeout_ns = PROBE_WAIT_NS};
    if (mx_ring_ready(ring) == 0) {
        int err = mx_ring_turn(ring, &wait);
        if (err < 0)
            return err;
    }
    if (mx_ring_ready(ring) == 0)
        return -ETIME;
    int res = mx_ring_cqe(ring, 0)->res;
    mx_ring_consume(ring, 1);
    return res;
}

static int open_loopback(struct probe *self) {
    socklen_t len = sizeof self->addr;
    self->addr.sin_family = AF_INET;
    self->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    self->client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->listen_fd < 0 || self->client_fd < 0 ||
        bind(self->listen_fd, (struct sockaddr *)&self->addr, len) < 0 ||
        listen(self->listen_fd, 4) < 0 ||
        getsockname(self->listen_fd, (struct sockaddr *)&self->addr, &len) < 0 ||
        connect(self->client_fd, (struct sockaddr *)&self->addr, len) < 0)
        return -errno;
    return 0;
}

static int add_buffers(struct probe *self) {
    self->buffers = (struct io_uring_buf_ring *)(void *)self->page;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)self->buffers, .ring_entries = PROBE_BUFFERS, .bgid = 0};
    int err = self->ring.io->register_buffers(&self->ring, &reg);
    if (err < 0)
        return err;
    io_uring_buf_ring_init(self->buffers);
    for (int i = 0; i < PROBE_BUFFERS; i++)
        io_uring_buf_ring_add(self->buffers, self->memory + (size_t)i * PROBE_BUFFER_OCTETS,
                              PROBE_BUFFER_OCTETS, (unsigned short)i, PROBE_BUFFERS - 1, i);
    io_uring_buf_ring_advance(self->buffers, PROBE_BUFFERS);
    return 0;
}

static bool has_peername(struct probe *self, int fd) {
    struct sockaddr_in peer = {0}, self_addr = {0};
    socklen_t len = sizeof self_addr;
    mx_ring_peername(&self->ring, fd, (struct sockaddr *)&peer, sizeof peer, 1);
    if (await(&self->ring) < 0)
        return false;
    return getsockname(self->client_fd, (struct sockaddr *)&self_addr, &len) == 0 &&
           peer.sin_port == self_addr.sin_port;
}

/* One connection through multishot accept and multishot recv, on direct descriptors or not. */
static int try_connection(struct probe *self, uint32_t *features) {
    int err = open_loopback(self);
    if (err < 0)
        return err;
    mx_ring_accept(&self->ring, self->listen_fd, 1);
    int fd = await(&self->ring);
    if (fd < 0)
        return fd;
    if (self->ring.is_direct && has_peername(self, fd))
        *features |= MX_RING_PEERNAME;
    mx_ring_recv(&self->ring, fd, 0, 1);
    if (send(self->client_fd, "x", 1, MSG_NOSIGNAL) != 1)
        return -errno;
    int got = await(&self->ring);
    if (!self->ring.is_direct)
        close(fd);
    return got == 1 ? 0 : got < 0 ? got : -EIO;
}

static void close_loopback(struct probe *self) {
    if (self->listen_fd >= 0)
        close(self->listen_fd);
    if (self->client_fd >= 0)
        close(self->client_fd);
    self->listen_fd = self->client_fd = -1;
}

static bool has_op(const struct io_uring_probe *probe, int op) {
    return op <= probe->last_op && (probe->ops[op].flags & IO_URING_OP_SUPPORTED);
}

static void ask_opcodes(struct mx_ring *ring, uint32_t *features) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
    if (probe == NULL)
        return;
    if (has_op(probe, IORING_OP_MSG_RING))
        *features |= MX_RING_MSG;
    if (has_op(probe, IORING_OP_SEND_ZC))
        *features |= MX_RING_SEND_ZC;
    if (has_op(probe, MX_OP_RECV_ZC))
        *features |= MX_RING_RECV_ZC;
    io_uring_free_probe(probe);
    if (ring->uring.features & MX_FEAT_MIN_TIMEOUT)
        *features |= MX_RING_MIN_WAIT;
    if (ring->uring.features & MX_FEAT_NO_IOWAIT)
        *features |= MX_RING_NO_IOWAIT;
}

/* Can a direct descriptor be given to another ring? Needs two of them. */
static bool can_pass(struct probe *from) {
    struct mx_ring to;
    if (mx_ring_init(&to, MX_RING_DIRECT, PROBE_SLOTS, PROBE_CQES) < 0)
        return false;
    bool can = false;
    if (mx_ring_start(&to) == 0) {
        mx_ring_accept(&from->ring, from->listen_fd, 1);
        int fd = await(&from->ring);
        if (fd >= 0) {
            mx_ring_pass(&from->ring, mx_ring_fd(&to), fd, 2, 1);
            can = await(&from->ring) >= 0;
        }
    }
    mx_ring_deinit(&to);
    return can;
}

static void ask_pass(uint32_t *features) {
    struct probe probe;
    memset(&probe, 0, sizeof probe);
    probe.listen_fd = probe.client_fd = -1;
    if (mx_ring_init(&probe.ring, MX_RING_DIRECT, PROBE_SLOTS, PROBE_CQES) < 0)
        return;
    if (mx_ring_start(&probe.ring) == 0 && open_loopback(&probe) == 0 && can_pass(&probe))
        *features |= MX_RING_MSG_FD;
    close_loopback(&probe);
    mx_ring_deinit(&probe.ring);
}

static int try_ring(struct probe *self, uint32_t wanted, uint32_t *features) {
    self->listen_fd = self->client_fd = -1;
    int err = mx_ring_init(&self->ring, wanted, PROBE_SLOTS, PROBE_CQES);
    if (err < 0)
        return err;
    ask_opcodes(&self->ring, features);
    err = add_buffers(self);
    if (err == 0)
        err = mx_ring_start(&self->ring);
    if (err == 0)
        err = try_connection(self, features);
    close_loopback(self);
    mx_ring_deinit(&self->ring);
    return err;
}

int mx_ring_probe(uint32_t *features) {
    struct probe probe;
    memset(&probe, 0, sizeof probe);
    *features = 0;
    uint32_t found = 0;
    int err = try_ring(&probe, MX_RING_DIRECT | MX_RING_RESTRICT, &found);
    if (err == 0) {
        *features = found | MX_RING_BASE | MX_RING_DIRECT | MX_RING_RESTRICT;
    } else {
        memset(&probe, 0, sizeof probe);
        found = 0;
        err = try_ring(&probe, 0, &found);
        if (err < 0)
            return err;
        *features = found | MX_RING_BASE;
    }
    if ((*features & MX_RING_DIRECT) && (*features & MX_RING_MSG))
        ask_pass(features);
    return 0;
}
