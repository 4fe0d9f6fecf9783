/* load_open_loop_test.c - what an open loop (--rate) records when the server stands still: the
 * whole generator on a simulated kernel and clock against a model that says each latency to the
 * nanosecond. No coordinated omission: every message that was due in the stall has waited.
 */
#include "bench/mxload/load.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, octets)   ((void)(ptr))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, octets) ((void)(ptr))
#endif

enum { PEERS_MAX = 64, EVENTS_MAX = 4096, MESSAGES_MAX = 4000, CQES = 4096, LINE_MAX_OCTETS = 256 };

#define MS 1000000ull

/* A reply on its way to the generator. */
struct event {
    uint64_t at_ns;
    uint32_t peer;
    char text[8];
};

/* The server's side of a connection. */
struct peer {
    uint64_t recv_data; /* user_data of the multishot receive */
    bool is_open, is_in_data;
    uint32_t line_len;
    char line[LINE_MAX_OCTETS];
};

/* The kernel and the server behind it. A reply is ready at once, that to a message after delay_ns;
 * what would be ready in a stall is ready at its end. */
static struct world {
    uint64_t now_ns, delay_ns, stall_from_ns, stall_to_ns;
    struct io_uring_buf_ring *buffers;
    uint32_t buffer_count, buffer_head;
    struct event events[EVENTS_MAX];
    uint32_t event_count;
    struct peer peers[PEERS_MAX];
} world;

static uint64_t world_clock(void) {
    return world.now_ns;
}

static uint64_t when_ready(uint64_t at_ns) {
    bool is_stalled = at_ns >= world.stall_from_ns && at_ns < world.stall_to_ns;
    return is_stalled ? world.stall_to_ns : at_ns;
}

static void reply(uint32_t peer, const char *text, uint64_t delay_ns) {
    cr_assert_lt(world.event_count, EVENTS_MAX);
    struct event *event = &world.events[world.event_count++];
    /* what is heard in a stall is looked at when it is over */
    event->at_ns = when_ready(when_ready(world.now_ns) + delay_ns);
    event->peer = peer;
    int len = snprintf(event->text, sizeof event->text, "%s%s", text, *text != '\0' ? "\r\n" : "");
    cr_assert(len >= 0 && len < (int)sizeof event->text);
}

static void hear_line(struct peer *self, uint32_t peer) {
    if (self->is_in_data) {
        if (strcmp(self->line, ".\r\n") == 0) {
            self->is_in_data = false;
            reply(peer, "250", world.delay_ns);
        }
        return;
    }
    self->is_in_data = strcmp(self->line, "DATA\r\n") == 0;
    reply(peer, self->is_in_data ? "354" : "250", 0);
    if (strcmp(self->line, "QUIT\r\n") == 0)
        reply(peer, "", 0); /* it closes */
}

static void hear(uint32_t peer, struct mx_span in) {
    struct peer *self = &world.peers[peer];
    for (size_t i = 0; i < in.len; i++) {
        cr_assert_lt(self->line_len + 1, (uint32_t)LINE_MAX_OCTETS);
        self->line[self->line_len++] = in.ptr[i];
        self->line[self->line_len] = '\0';
        if (in.ptr[i] == '\n') {
            hear_line(self, peer);
            self->line_len = 0;
        }
    }
}

/* ---- the kernel ---- */

static void complete(struct mx_ring *ring, uint64_t user_data, int32_t res, uint32_t flags) {
    struct io_uring_cq *cq = &ring->uring.cq;
    uint32_t tail = *cq->ktail;
    cr_assert_lt(tail - *cq->khead, cq->ring_entries);
    cq->cqes[tail & cq->ring_mask] =
        (struct io_uring_cqe){.user_data = user_data, .res = res, .flags = flags};
    __atomic_store_n(cq->ktail, tail + 1, __ATOMIC_RELEASE);
}

static void deliver(struct mx_ring *ring, const struct event *event) {
    struct peer *peer = &world.peers[event->peer];
    if (!peer->is_open)
        return; /* the generator has closed it */
    size_t len = strlen(event->text);
    if (len == 0) { /* the server closes */
        peer->is_open = false;
        complete(ring, peer->recv_data, 0, 0);
        return;
    }
    cr_assert_neq((uint16_t)world.buffer_head, world.buffers->tail, "a buffer is there");
    struct io_uring_buf *buffer =
        &world.buffers->bufs[world.buffer_head++ & (world.buffer_count - 1)];
    char *to = (char *)(uintptr_t)buffer->addr;
    ASAN_UNPOISON_MEMORY_REGION(to, buffer->len);
    memcpy(to, event->text, len);
    ASAN_POISON_MEMORY_REGION(to, buffer->len);
    complete(ring, peer->recv_data, (int32_t)len,
             IORING_CQE_F_MORE | IORING_CQE_F_BUFFER |
                 (uint32_t)buffer->bid << IORING_CQE_BUFFER_SHIFT);
}

static void submit(struct mx_ring *ring, const struct io_uring_sqe *sqe) {
    uint32_t slot = (uint32_t)sqe->user_data;
    switch (sqe->opcode) {
    case IORING_OP_CONNECT:
        cr_assert_lt(slot, (uint32_t)PEERS_MAX);
        world.peers[slot] = (struct peer){.is_open = true};
        complete(ring, sqe->user_data, 0, 0);
        reply(slot, "220", 0);
        break;
    case IORING_OP_RECV:
        world.peers[slot].recv_data = sqe->user_data;
        break;
    case IORING_OP_SEND:
        hear(slot, (struct mx_span){(const char *)(uintptr_t)sqe->addr, sqe->len});
        complete(ring, sqe->user_data, (int32_t)sqe->len, 0);
        break;
    case IORING_OP_ASYNC_CANCEL: /* a session is closed: only its receive can be there */
        slot = (uint32_t)sqe->addr;
        cr_assert_eq(sqe->addr, world.peers[slot].recv_data);
        world.peers[slot].is_open = false;
        complete(ring, sqe->addr, -ECANCELED, 0);
        break;
    case IORING_OP_CLOSE:
        close(sqe->fd);
        break;
    default:
        cr_assert(false, "operation %u", sqe->opcode);
    }
}

/* Time goes on to the next reply, or until the generator wants to wake up. */
static bool step(struct mx_ring *ring, uint64_t end_ns) {
    uint32_t next = 0;
    for (uint32_t i = 1; i < world.event_count; i++) {
        if (world.events[i].at_ns < world.events[next].at_ns)
            next = i;
    }
    if (world.event_count == 0 || world.events[next].at_ns > end_ns) {
        world.now_ns = end_ns;
        return false;
    }
    struct event event = world.events[next];
    /* those of the same time stay in their order */
    memmove(&world.events[next], &world.events[next + 1],
            (--world.event_count - next) * sizeof event);
    if (world.now_ns < event.at_ns)
        world.now_ns = event.at_ns;
    deliver(ring, &event);
    return true;
}

static int enter(struct mx_ring *ring, unsigned count, const struct mx_ring_wait *wait) {
    struct io_uring_sq *sq = &ring->uring.sq;
    for (unsigned i = 0; i < count; i++)
        submit(ring, &sq->sqes[(*sq->khead + i) & sq->ring_mask]);
    __atomic_store_n(sq->khead, *sq->khead + count, __ATOMIC_RELEASE);
    if (wait == NULL)
        return (int)count;
    uint64_t end_ns = world.now_ns + wait->timeout_ns;
    while (mx_ring_ready(ring) < wait->events && step(ring, end_ns)) {
    }
    return (int)count;
}

static int register_buffers(struct mx_ring *ring, struct io_uring_buf_reg *reg) {
    (void)ring;
    world.buffers = (struct io_uring_buf_ring *)(uintptr_t)reg->ring_addr;
    world.buffer_count = reg->ring_entries;
    return 0;
}

static const struct mx_ring_io io = {.enter = enter, .register_buffers = register_buffers};

/* ---- the model ---- */

/* Latencies of messages that are due every gap_ns from from_ns on, over so many sessions. Each
 * session takes MAIL, RCPT and DATA at once, and the message in delay_ns. */
static void expect(uint64_t *latencies, uint32_t count, uint64_t from_ns, uint64_t gap_ns,
                   uint32_t sessions) {
    static uint64_t free_ns[PEERS_MAX];
    memset(free_ns, 0, sizeof free_ns);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t due_ns = from_ns + i * gap_ns;
        uint32_t first = 0;
        for (uint32_t k = 1; k < sessions; k++)
            first = free_ns[k] < free_ns[first] ? k : first;
        uint64_t begin_ns = due_ns > free_ns[first] ? due_ns : free_ns[first];
        free_ns[first] = when_ready(when_ready(begin_ns) + world.delay_ns);
        latencies[i] = free_ns[first] - due_ns;
    }
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static const struct row {
    const char *name;
    uint32_t sessions, messages, rate;
    uint64_t delay_ns, stall_at_ns, stall_ns; /* after the schedule has begun */
    bool is_pipelined;
} rows[] = {
    {"1 ms",                     20, 1000, 500, 1 * MS,   0,         0,         false},
    {"10 ms, pipelined",         20, 1000, 500, 10 * MS,  0,         0,         true },
    {"100 ms",                   60, 1000, 500, 100 * MS, 0,         0,         false},
    {"a stall, sessions enough", 60, 1000, 25,  1 * MS,   3000 * MS, 2000 * MS, false},
    {"a stall, pipelined",       60, 1000, 25,  10 * MS,  3000 * MS, 2000 * MS, true },
    {"a stall, one session",     1,  1000, 100, 1 * MS,   3000 * MS, 2000 * MS, false},
    {"a stall, two sessions",    2,  1000, 100, 10 * MS,  3001 * MS, 2000 * MS, true },
    {"too slow for the rate",    4,  1000, 500, 10 * MS,  0,         0,         false},
};

static struct mx_load *begin(const struct row *row, struct mx_plan *plan, struct mx_mail_kit *kit) {
    static struct mx_shared shared;
    *plan = (struct mx_plan){
        .sender = "a@b.example",
        .recipient = "c@d.example",
        .hostname = "load.example",
        .size = {80, 80},
        .recipients = {1,  1},
        .messages = row->messages,
        .rate = row->rate,
        .sessions = row->sessions,
        .workers = 1,
        .timeout_s = 300,
        .keeps_open = true,
        .is_pipelined = row->is_pipelined,
        .address_len = sizeof(struct sockaddr_in),
        .address = {.ss_family = AF_INET},
    };
    cr_assert_eq(mx_mail_kit_new(kit, plan), 0);
    struct mx_load *load;
    cr_assert_eq(mx_load_new(&load, kit, &shared, 0, -1), 0);
    cr_assert_eq(mx_ring_memory_new(&load->ring, &io, NULL, CQES / 8, CQES), 0);
    load->ring.features |= MX_RING_CLIENT;
    load->clock_ns = world_clock;
    cr_assert_eq(mx_load_new_buffers(load), 0);
    return load;
}

static void check(const struct row *row, const struct mx_histogram *histogram,
                  uint64_t *latencies) {
    static const double percents[] = {1, 50, 90, 99, 99.9, 100};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < row->messages; i++)
        sum += latencies[i];
    qsort(latencies, row->messages, sizeof *latencies, compare);
    cr_expect_eq(histogram->count, (uint64_t)row->messages, "%s", row->name);
    /* that of each message, to the rounding of when it was due */
    cr_expect(fabs((double)histogram->sum_ns - (double)sum) < 2.0 * row->messages,
              "%s: sum %lu, wanted %lu", row->name, (unsigned long)histogram->sum_ns,
              (unsigned long)sum);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        uint32_t rank = (uint32_t)ceil(percents[i] / 100 * row->messages - 1e-9);
        double exact = (double)latencies[rank - 1];
        double got = (double)mx_histogram_percentile(histogram, percents[i]);
        cr_expect(fabs(got - exact) <= 0.01 * exact, "%s: p%g is %.0f, wanted %.0f", row->name,
                  percents[i], got, exact);
    }
}

Test(load_open_loop, every_wait_is_recorded) {
    static uint64_t latencies[MESSAGES_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct mx_plan plan;
        struct mx_mail_kit kit;
        world.now_ns = 1000000 * MS; /* some day */
        world.delay_ns = row->delay_ns;
        world.stall_from_ns = world.now_ns + row->stall_at_ns;
        world.stall_to_ns = world.stall_from_ns + row->stall_ns;
        world.event_count = world.buffer_head = 0;
        uint64_t from_ns = world.now_ns;
        struct mx_load *load = begin(row, &plan, &kit);
        mx_load_begin(load);
        for (uint32_t turns = 0; load->live_count > 0; turns++) {
            cr_assert_lt(turns, 100u * row->messages, "%s does not end", row->name);
            cr_assert_eq(mx_load_turn(load), 0, "%s", row->name);
        }
        cr_expect_eq(load->counts.accepted, (uint64_t)row->messages, "%s", row->name);
        cr_expect_eq(load->schedule_ns, from_ns, "%s: all sessions were ready at once", row->name);
        expect(latencies, row->messages, from_ns, 1000 * MS / row->rate, row->sessions);
        check(row, &load->phases[MX_PHASE_MESSAGE], latencies);
        mx_buf_deinit(&load->buf);
        mx_ring_memory_free(&load->ring);
        mx_load_free(load);
        mx_mail_kit_free(&kit);
    }
}
