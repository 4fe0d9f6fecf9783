/* run.c - one worker's thread, from its memory to what it has used. */
#include "bench/mxload/load.h"
#include "bench/mxload/secure.h"
#include "tls/library.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the thread ---- */

/* Worker 0 gets the last CPU that we may use: others begin at the first. */
static void pin(uint32_t index) {
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    uint32_t left = (uint32_t)CPU_COUNT(&all) - 1 - index % (uint32_t)CPU_COUNT(&all);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || left-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0) {
            /* slower, not wrong */
        }
        return;
    }
}

/* How long this thread was ready to run and did not. */
static uint64_t delay_ns(void) {
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    char text[128] = "";
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *second = n > 0 ? strchr(text, ' ') : NULL;
    return second != NULL ? strtoull(second, NULL, 10) : 0;
}

/* What the thread has used since begin, when the last message is answered: what comes then, QUIT
 * and waiting for the server to close, is no load. */
static void take_usage(struct mx_load *self) {
    self->wall_ns = self->now_ns - self->start_ns;
    self->cpu_ns = self->ring.io->cpu_ns(&self->ring) - self->cpu_before_ns;
    self->cpu_ns -= self->idle_ns < self->cpu_ns ? self->idle_ns : self->cpu_ns;
    self->delay_ns = delay_ns() - self->delay_before_ns;
    self->has_usage = true;
    atomic_store(&self->has_answers, true);
}

static bool is_answered(const struct mx_load *self) {
    const struct mx_counts *counts = &self->counts;
    return counts->started ==
           counts->accepted + counts->refused_4xx + counts->refused_5xx + counts->unknown;
}

/* When all sessions are gone: the kernel gives back what it was lent, or the time is up. */
static bool waits_for_notices(struct mx_load *self) {
    if (mx_load_lent(self) == 0)
        return false;
    if (self->notices_end_ms == 0)
        self->notices_end_ms = self->now_ms + MX_LOAD_NOTICE_MS;
    return self->now_ms < self->notices_end_ms;
}

int mx_load_run(struct mx_load *self) {
    pin(self->index);
    self->delay_before_ns = delay_ns();
    self->cpu_before_ns = self->ring.io->cpu_ns(&self->ring);
    self->error = mx_ring_start(&self->ring);
    if (self->error == 0)
        mx_load_begin(self);
    const atomic_bool *is_interrupted = &self->shared->is_interrupted;
    while (self->error == 0 && (self->live_count > 0 || waits_for_notices(self)) &&
           !atomic_load_explicit(is_interrupted, memory_order_relaxed)) {
        self->error = mx_load_turn(self);
        if (self->was_over && !self->has_usage && is_answered(self))
            take_usage(self);
    }
    self->now_ns = self->clock_ns();
    for (uint32_t i = 0; i < self->client_count; i++)
        mx_client_abandon(self, &self->clients[i]);
    if (!self->has_usage)
        take_usage(self);
    mx_load_publish(self);
    int err = mx_ledger_flush(&self->ledger);
    if (self->error == 0)
        self->error = err;
    if (self->shared->tls != NULL)
        mx_tls_thread_end();
    atomic_store(&self->has_ended, true);
    return self->error;
}

/* ---- life ---- */

/* The part of `total` that worker `index` of `count` has. */
static uint64_t share(uint64_t total, uint32_t index, uint32_t count) {
    return total == UINT64_MAX ? total : total / count + (index < total % count);
}

static int new_sources(struct mx_load *self) {
    uint32_t count = self->plan->sources;
    if (count == 0)
        return 0;
    self->sources = calloc(self->client_count, sizeof *self->sources);
    if (self->sources == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < self->client_count; i++) {
        uint32_t number = (i * self->plan->workers + self->index) % count;
        self->sources[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number)};
    }
    return 0;
}

static int new_clients(struct mx_load *self) {
    size_t octets = (size_t)self->kit->commands_octets + self->kit->message_octets;
    uint32_t count = self->client_count;
    self->clients = calloc(count, sizeof *self->clients);
    self->idle = calloc(count, sizeof *self->idle);
    self->drafts = malloc(count * octets);
    if (self->clients == NULL || self->idle == NULL || self->drafts == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        self->clients[i].fd = -1;
        mx_mail_draft_init(&self->clients[i].draft, self->drafts + i * octets);
    }
    int err = mx_secure_new(self);
    return err == 0 ? new_sources(self) : err;
}

int mx_load_new(struct mx_load **out, const struct mx_mail_kit *kit, struct mx_shared *shared,
                uint32_t index, int ledger_fd) {
    struct mx_load *self = *out = calloc(1, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    const struct mx_plan *plan = self->plan = kit->plan;
    self->kit = kit;
    self->shared = shared;
    self->clock_ns = mx_load_clock_ns;
    self->index = index;
    self->client_count = (uint32_t)share(plan->sessions, index, plan->workers);
    self->quota = share(plan->messages, index, plan->workers);
    self->random = plan->seed + index;
    int err = mx_ledger_new(&self->ledger, ledger_fd);
    if (err == 0)
        err = new_clients(self);
    if (err < 0) {
        mx_load_free(self);
        *out = NULL;
    }
    return err;
}

void mx_load_free(struct mx_load *self) {
    if (self == NULL)
        return;
    mx_ring_deinit(&self->ring);
    mx_buf_deinit(&self->buf);
    for (uint32_t i = 0; self->clients != NULL && i < self->client_count; i++) {
        if (self->clients[i].fd >= 0)
            close(self->clients[i].fd);
    }
    mx_ledger_free(&self->ledger);
    mx_secure_free(self);
    free(self->clients);
    free(self->idle);
    free(self->drafts);
    free(self->sources);
    free(self);
}
