/* load.c - the ring of one worker: connections, octets, time. */
#include "bench/mxload/load.h"

#include "bench/mxload/secure.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In user_data: what for, and which session. A session is used again only when the kernel has
 * nothing of it. */
enum op { OP_CONNECT, OP_RECV, OP_SEND, OP_IGNORED };

enum {
    RECV_OCTETS = 2048,
    RECV_BUFFERS_MIN = 64,
    RECV_BUFFERS_MAX = 4096,
    CQ_ENTRIES_MIN = 1024,
    CQ_ENTRIES_MAX = 32768,
    BUFFER_GROUP = 1,
    /* A send of this size goes into the socket's buffer at once, and so completes at once. */
    SEND_AT_ONCE = 16384,
};

static uint64_t pack(enum op op, uint32_t slot) {
    return (uint64_t)op << 32 | slot;
}

static uint64_t data_of(const struct mx_load *self, const struct mx_client *client, enum op op) {
    return pack(op, (uint32_t)(client - self->clients));
}

uint64_t mx_load_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void read_clock(struct mx_load *self) {
    self->now_ns = self->clock_ns();
    self->now_ms = self->now_ns / 1000000u;
}

/* ---- connections ---- */

/* Returns the descriptor or -errno. */
static int open_socket(const struct mx_load *self, uint32_t slot) {
    const struct sockaddr *to = (const struct sockaddr *)&self->plan->address;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1, err = 0;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err = -errno;
    const uint32_t *window = &self->plan->window;
    if (err == 0 && *window > 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, window, sizeof *window) < 0 ||
         setsockopt(fd, SOL_SOCKET, SO_SNDBUF, window, sizeof *window) < 0))
        err = -errno;
    if (err == 0 && self->sources != NULL) {
        const struct sockaddr_in *from = &self->sources[slot];
        /* the port is chosen by connect: it only has to be free towards this server */
        if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
            bind(fd, (const struct sockaddr *)from, sizeof *from) < 0)
            err = -errno;
    }
    if (err == 0)
        return fd;
    close(fd);
    return err;
}

void mx_load_open(struct mx_load *self, struct mx_client *client) {
    assert(client->fd < 0);
    client->stage = MX_STAGE_CONNECT;
    client->deadline_ms = self->now_ms + (uint64_t)(self->plan->timeout_s * 1e3);
    mx_timer_set(&self->wheel, &client->timer, client->deadline_ms);
    int fd = open_socket(self, (uint32_t)(client - self->clients));
    if (fd < 0) {
        mx_client_lost(self, client, fd);
        return;
    }
    client->fd = fd;
    client->has_connect = true;
    client->said_ns = self->clock_ns();
    mx_ring_connect(&self->ring, fd, (const struct sockaddr *)&self->plan->address,
                    self->plan->address_len, data_of(self, client, OP_CONNECT));
}

/* Only what stays as it is for ever: the kernel may send it again when the session is long gone. */
static bool is_zerocopy(const struct mx_load *self, const struct mx_client *client,
                        struct mx_span part) {
    return self->has_zerocopy && part.len > MX_MAIL_INLINE &&
           mx_mail_is_constant(self->kit, &client->id, part);
}

static void send_next(struct mx_load *self, struct mx_client *client) {
    struct mx_span part = client->parts[client->part_next];
    client->has_send = true;
    client->is_zerocopy = is_zerocopy(self, client, part);
    if (client->is_zerocopy) {
        self->zerocopies.sent++;
        mx_ring_send_zc(&self->ring, client->fd, part.ptr, (uint32_t)part.len,
                        data_of(self, client, OP_SEND));
        return;
    }
    mx_ring_send(&self->ring, client->fd, part.ptr, (uint32_t)part.len,
                 data_of(self, client, OP_SEND));
    if (client->part_next + 1 == client->part_count && part.len <= SEND_AT_ONCE)
        self->sends_prepared++;
}

void mx_load_send_octets(struct mx_load *self, struct mx_client *client, struct mx_span octets) {
    mx_ring_send(&self->ring, client->fd, octets.ptr, (uint32_t)octets.len,
                 data_of(self, client, OP_SEND));
    if (!mx_secure_has_parts(client) && octets.len <= SEND_AT_ONCE)
        self->sends_prepared++;
}

void mx_load_send(struct mx_load *self, struct mx_client *client) {
    assert(client->part_count > 0);
    client->part_next = 0;
    if (client->is_secure) {
        mx_secure_send(self, client);
        return;
    }
    assert(!client->has_send);
    send_next(self, client);
}

static void arm(struct mx_load *self, struct mx_client *client) {
    client->has_recv = true;
    mx_ring_recv(&self->ring, client->fd, BUFFER_GROUP, data_of(self, client, OP_RECV));
}

static void cancel(struct mx_load *self, const struct mx_client *client, enum op op) {
    mx_ring_cancel(&self->ring, data_of(self, client, op), pack(OP_IGNORED, 0));
}

void mx_load_close(struct mx_load *self, struct mx_client *client) {
    if (client->stage == MX_STAGE_CLOSING)
        return;
    client->stage = MX_STAGE_CLOSING;
    if (client->has_recv)
        cancel(self, client, OP_RECV);
    if (client->has_send)
        cancel(self, client, OP_SEND);
    if (client->has_connect)
        cancel(self, client, OP_CONNECT);
}

/* Behind every call into client.c: what it has closed, and the kernel has given back, is gone. */
static void settle(struct mx_load *self, struct mx_client *client) {
    while (client->stage == MX_STAGE_CLOSING && !client->has_recv && !client->has_send &&
           !client->has_connect) {
        if (client->fd >= 0)
            mx_ring_close(&self->ring, client->fd, pack(OP_IGNORED, 0));
        mx_secure_end(self, client);
        client->fd = -1;
        mx_client_closed(self, client);
    }
}

void mx_load_wake(struct mx_load *self, struct mx_client *client, uint64_t in_ms) {
    mx_timer_set(&self->wheel, &client->timer, self->now_ms + in_ms);
}

/* ---- completions ---- */

static void on_connect(struct mx_load *self, struct mx_client *client,
                       const struct io_uring_cqe *cqe) {
    client->has_connect = false;
    if (client->stage == MX_STAGE_CLOSING)
        return;
    if (cqe->res < 0) {
        mx_client_lost(self, client, cqe->res);
        return;
    }
    arm(self, client);
    mx_client_connected(self, client);
}

static void on_recv(struct mx_load *self, struct mx_client *client,
                    const struct io_uring_cqe *cqe) {
    bool is_last = !(cqe->flags & IORING_CQE_F_MORE);
    client->has_recv = !is_last;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        const char *octets = mx_buf_take(&self->buf, id);
        struct mx_span in = {octets, cqe->res > 0 ? (size_t)cqe->res : 0};
        if (in.len > 0 && client->is_secure && client->stage != MX_STAGE_CLOSING)
            mx_secure_heard(self, client, in);
        else if (in.len > 0 && client->stage != MX_STAGE_CLOSING)
            mx_client_heard(self, client, in);
        mx_buf_recycle(&self->buf, id);
    }
    if (client->stage == MX_STAGE_CLOSING || !is_last)
        return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS)
        arm(self, client); /* buffers are given back before it is submitted */
    else
        mx_client_lost(self, client, cqe->res);
}

/* The kernel does not look at a body any more. It says whether that had a point: on a loopback
 * device, say, it copies what nobody asked it to copy. */
static void on_notice(struct mx_load *self, const struct io_uring_cqe *cqe) {
    struct mx_zerocopies *counts = &self->zerocopies;
    counts->noticed++;
    counts->copied += ((uint32_t)cqe->res & MX_NOTIF_COPIED) != 0;
    if (self->plan->zerocopy == MX_ZEROCOPY_AUTO && counts->noticed == MX_LOAD_ZEROCOPY_TRIAL &&
        2 * counts->copied > counts->noticed)
        self->has_zerocopy = false;
}

/* The first completion of a body without a copy. */
static void on_zerocopy(struct mx_load *self, const struct io_uring_cqe *cqe) {
    if (cqe->flags & IORING_CQE_F_MORE)
        self->zerocopies.octets += cqe->res > 0 ? (uint64_t)cqe->res : 0;
    else
        self->zerocopies.failed++; /* no second completion comes */
}

static void on_send(struct mx_load *self, struct mx_client *client,
                    const struct io_uring_cqe *cqe) {
    if (cqe->flags & IORING_CQE_F_NOTIF) {
        on_notice(self, cqe); /* of a message that may be over, in a session that may be another */
        return;
    }
    client->has_send = false;
    bool has_failed = client->is_zerocopy && (cqe->res == -EINVAL || cqe->res == -EOPNOTSUPP);
    if (client->is_zerocopy)
        on_zerocopy(self, cqe);
    if (client->stage == MX_STAGE_CLOSING)
        return;
    if (client->is_secure) {
        mx_secure_sent(self, client, cqe->res);
        return;
    }
    if (has_failed) { /* Linux 6.1, or a socket that cannot */
        self->has_zerocopy = false;
        send_next(self, client); /* the same, with a copy */
        return;
    }
    /* An error here is one of the connection: its reader hears what the server still said. */
    if (cqe->res < 0 || ++client->part_next == client->part_count)
        return;
    send_next(self, client);
    client->said_ns = self->clock_ns();
}

static void handle(struct mx_load *self, const struct io_uring_cqe *cqe) {
    static void (*const done[])(struct mx_load *, struct mx_client *,
                                const struct io_uring_cqe *) = {
        [OP_CONNECT] = on_connect, [OP_RECV] = on_recv, [OP_SEND] = on_send};
    uint32_t op = (uint32_t)(cqe->user_data >> 32);
    if (op == OP_IGNORED)
        return;
    struct mx_client *client = &self->clients[(uint32_t)cqe->user_data];
    done[op](self, client, cqe);
    settle(self, client);
}

/* ---- a turn ---- */

static void fire_timers(struct mx_load *self) {
    if (self->now_ms - self->fired_ms < MX_TIMER_TICK_MS / 4)
        return;
    self->fired_ms = self->now_ms;
    struct mx_timer *timer;
    while ((timer = mx_timer_expire(&self->wheel, self->now_ms)) != NULL) {
        char *at = (char *)timer - offsetof(struct mx_client, timer);
        struct mx_client *client = (struct mx_client *)(void *)at;
        mx_client_expired(self, client);
        settle(self, client);
    }
}

/* Sessions that wait for a message to be due get theirs; at the end they all leave. */
static void wake_idle(struct mx_load *self) {
    bool is_over = mx_schedule_is_over(self);
    while (self->idle_count > 0 && (is_over || mx_schedule_due_ns(self) <= self->now_ns)) {
        struct mx_client *client = &self->clients[self->idle[--self->idle_count]];
        client->is_idle_listed = false;
        if (client->stage != MX_STAGE_IDLE)
            continue;
        mx_client_go(self, client);
        settle(self, client);
        if (client->is_idle_listed)
            break; /* not due after all */
    }
}

/* Once, when no message will be taken any more. */
static void end_pauses(struct mx_load *self) {
    for (uint32_t i = 0; i < self->client_count; i++) {
        struct mx_client *client = &self->clients[i];
        if (client->stage != MX_STAGE_PAUSE && client->stage != MX_STAGE_RETRY)
            continue;
        mx_timer_clear(&self->wheel, &client->timer);
        mx_client_go(self, client);
        settle(self, client);
    }
}

static uint64_t sleep_ns(const struct mx_load *self) {
    uint64_t most_ns = (uint64_t)MX_LOAD_SLEEP_MAX_MS * 1000000u;
    uint64_t due_ns = self->idle_count > 0 ? mx_schedule_due_ns(self) : UINT64_MAX;
    uint64_t now_ns = due_ns != UINT64_MAX ? self->clock_ns() : 0;
    if (due_ns <= now_ns)
        return 1;
    return due_ns - now_ns < most_ns ? due_ns - now_ns : most_ns;
}

void mx_load_publish(struct mx_load *self) {
    const struct mx_counts *counts = &self->counts;
    uint64_t bad = counts->refused_4xx + counts->refused_5xx + counts->unknown;
    atomic_store_explicit(&self->seen_started, counts->started, memory_order_relaxed);
    atomic_store_explicit(&self->seen_done, counts->accepted + bad, memory_order_relaxed);
    atomic_store_explicit(&self->seen_bad, bad, memory_order_relaxed);
}

/* --spin: this turn did nothing since the clock was read before it. */
static void count_idle(struct mx_load *self, uint64_t before_ns) {
    if (self->plan->is_spinning && mx_ring_ready(&self->ring) == 0)
        self->idle_ns += self->now_ns - before_ns;
}

int mx_load_turn(struct mx_load *self) {
    /* A send completes with its submission: whoever waits for one event only would not sleep. */
    uint32_t events = 1 + self->sends_prepared;
    if (events > CQ_ENTRIES_MIN / 2)
        events = CQ_ENTRIES_MIN / 2;
    self->sends_prepared = 0;
    struct mx_ring_wait wait = {.events = events, .timeout_ns = sleep_ns(self)};
    if (self->plan->is_spinning)
        wait.events = 0;
    uint64_t before_ns = self->now_ns;
    int err = mx_ring_turn(&self->ring, &wait);
    if (err < 0)
        return err;
    read_clock(self);
    count_idle(self, before_ns);
    unsigned count = mx_ring_ready(&self->ring);
    for (unsigned i = 0; i < count; i++)
        handle(self, mx_ring_cqe(&self->ring, i));
    mx_ring_consume(&self->ring, count);
    fire_timers(self);
    if (self->idle_count > 0)
        wake_idle(self);
    mx_buf_publish(&self->buf);
    mx_load_publish(self);
    if (!self->was_over && mx_schedule_is_over(self)) {
        self->was_over = true;
        end_pauses(self);
    }
    return 0;
}

void mx_load_begin(struct mx_load *self) {
    read_clock(self);
    self->start_ns = self->now_ns;
    double most_s = self->plan->duration_s;
    self->end_ns = most_s > 0 ? self->now_ns + (uint64_t)(most_s * 1e9) : UINT64_MAX;
    mx_timer_init(&self->wheel, self->now_ms);
    self->live_count = self->client_count;
    self->unready_count = self->plan->keeps_open ? self->client_count : 1;
    if (!self->plan->keeps_open)
        mx_schedule_ready(self);
    bool is_ramp = self->plan->ramp_s > 0 && self->plan->rate <= 0;
    for (uint32_t i = 0; i < self->client_count; i++) {
        struct mx_client *client = &self->clients[i];
        if (is_ramp && i > 0) {
            client->stage = MX_STAGE_RETRY;
            mx_load_wake(self, client,
                         (uint64_t)(1e3 * self->plan->ramp_s * i / self->client_count));
        } else {
            mx_client_go(self, client);
            settle(self, client);
        }
    }
}

/* ---- the ring ---- */

static uint32_t power_of_two(uint64_t least, uint32_t min, uint32_t max) {
    uint32_t power = min;
    while (power < least && power < max)
        power *= 2;
    return power;
}

int mx_load_new_buffers(struct mx_load *self) {
    uint64_t wanted = 2 * (uint64_t)self->client_count;
    return mx_buf_init(&self->buf, &self->ring, BUFFER_GROUP,
                       power_of_two(wanted, RECV_BUFFERS_MIN, RECV_BUFFERS_MAX), RECV_OCTETS);
}

int mx_load_attach(struct mx_load *self, uint32_t features) {
    uint64_t wanted = 8 * (uint64_t)self->client_count;
    self->has_zerocopy = self->plan->zerocopy != MX_ZEROCOPY_OFF && self->shared->tls == NULL &&
                         (features & MX_RING_SEND_ZC) != 0;
    int err = mx_ring_init(&self->ring, (features & ~(uint32_t)MX_RING_DIRECT) | MX_RING_CLIENT, 0,
                           power_of_two(wanted, CQ_ENTRIES_MIN, CQ_ENTRIES_MAX));
    return err == 0 ? mx_load_new_buffers(self) : err;
}
