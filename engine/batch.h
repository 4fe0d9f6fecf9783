/* batch.h - batchWait: does it pay to sleep until several completions are there?
 *
 * With many connections at work whose completions come one by one, waiting a little for several
 * saves wake-ups; how much one costs differs between machines by a factor of four, and a timer for
 * the wait is not free either. So `auto` measures: every so often one short window runs the other
 * way, and its CPU time per receive is compared with that of the window before it. Pure arithmetic:
 * no clock, no system call.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mx_batch {
    bool is_auto;
    uint32_t wait_us;     /* how long a wait is; 0: batchWait is off */
    uint64_t window_ms;   /* begin of the window */
    uint32_t window;      /* its number */
    uint32_t active;      /* connections with input in it */
    uint32_t active_last; /* ... in the one before */
    uint64_t receives;    /* completions with data up to its begin */
    uint64_t cpu_ns;      /* CPU time of the thread up to its begin */
    uint64_t cost_ps;     /* CPU per receive of the window before, in the usual way; 0: not known */
    uint32_t gain;        /* CPU without waiting over CPU with it, smoothed; MX_BATCH_EVEN = 1 */
    uint32_t probe_every; /* windows between two probes */
    uint32_t probe_in;    /* ... left to the next one */
    bool is_waiting;      /* the usual way */
    bool is_probe;        /* this window runs the other way */
};

enum { MX_BATCH_EVEN = 1024 };

/* setting: as engine.batch_wait_us (config/conf.h): 0 = off, -1 = auto, else microseconds. */
void mx_batch_init(struct mx_batch *self, int32_t setting, uint64_t now_ms);

/* Input on a connection whose last input came in window *last. */
static inline void mx_batch_note(struct mx_batch *self, uint32_t *last) {
    if (*last != self->window) {
        *last = self->window;
        self->active++;
    }
}

/* Is the window over? Then mx_batch_roll wants to be called. */
bool mx_batch_is_over(const struct mx_batch *self, uint64_t now_ms);

/* A window ends: receives and cpu_ns count from the begin of the thread. */
void mx_batch_roll(struct mx_batch *self, uint64_t now_ms, uint64_t receives, uint64_t cpu_ns);

/* How many completions to wait for; 1: do not wait for more (else at most self->wait_us). */
uint32_t mx_batch_events(const struct mx_batch *self);
