/* world.c - what a run is made of: random numbers, memory, the trace, faults. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct sim sim;
uint64_t sim_fault_counts[SIM_FAULT_COUNT], sim_event_counts[SIM_EVENT_COUNT];
struct mx_engine_counters sim_engine_totals;
struct mx_proto_counters sim_proto_totals;

enum { ARENA_OCTETS = 1 << 30 };
static char *arena;
static size_t arena_used;

/* splitmix64 */
uint32_t sim_next(void) {
    uint64_t z = sim.random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static uint16_t pick_rate(void) {
    uint32_t r = sim_below(10);
    if (r < 4)
        return 0;
    return r < 8 ? (uint16_t)(2 + sim_below(20)) : r < 9 ? 100 : 300;
}

void sim_begin(uint64_t seed) {
    bool is_verbose = sim.is_verbose;
    struct mx_conf *conf = sim.conf;
    struct mx_worker *workers = sim.workers;
    /* what is large is reset where it is used */
    memset(sim.listeners, 0, sizeof sim.listeners);
    memset(sim.clients, 0, sim.client_count * sizeof *sim.clients);
    memset(sim.messages, 0, sim.message_count * sizeof *sim.messages);
    memset(&sim, 0, offsetof(struct sim, kernels));
    sim.clients_done = sim.client_count = sim.message_count = 0;
    sim.conf = conf;
    sim.workers = workers;
    sim.is_verbose = is_verbose;
    sim.seed = seed;
    sim.random = seed * 0xD1342543DE82EF95u + 1;
    sim.now_us = 5000000;
    sim.wall_s = 1700000000;
    arena_used = 0;
    bool is_calm = sim_below(8) == 0;
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++) {
        uint16_t rate = pick_rate();
        sim.rate[i] = is_calm ? 0 : rate;
    }
}

bool sim_fault(enum sim_fault fault) {
    if (sim.rate[fault] == 0 || !sim_chance(sim.rate[fault]))
        return false;
    sim_fault_counts[fault]++;
    return true;
}

void *sim_alloc(size_t octets) {
    if (arena == NULL) {
        arena = mmap(NULL, ARENA_OCTETS, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena == MAP_FAILED)
            abort();
    }
    octets = (octets + 15) & ~(size_t)15;
    SIM_CHECK(octets <= ARENA_OCTETS - arena_used, "the run needs too much memory", octets, 0);
    char *ptr = arena + arena_used;
    arena_used += octets;
    memset(ptr, 0, octets);
    return ptr;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

void sim_put(struct sim_bytes *self, const void *ptr, size_t len) {
    if (len > self->cap - self->end) {
        uint32_t kept = sim_len(self);
        uint32_t cap = kept + (uint32_t)len;
        struct sim_bytes larger = {.end = kept, .cap = cap < 128 ? 256 : cap * 2};
        if (larger.cap <= self->cap) { /* there is room when it begins at the begin */
            memmove(self->ptr, self->ptr + self->begin, kept);
            larger.cap = self->cap;
            larger.ptr = self->ptr;
        } else {
            larger.ptr = sim_alloc(larger.cap);
            if (kept > 0)
                memcpy(larger.ptr, self->ptr + self->begin, kept);
        }
        *self = larger;
    }
    if (len > 0)
        memcpy(self->ptr + self->end, ptr, len);
    self->end += (uint32_t)len;
}

void sim_put_text(struct sim_bytes *self, const char *text) {
    sim_put(self, text, strlen(text));
}

void sim_drop(struct sim_bytes *self, uint32_t len) {
    self->begin += len;
    if (self->begin == self->end)
        self->begin = self->end = 0;
}

/* ---- the trace --------------------------------------------------------------------------------
 */

static void print_note(const struct sim_note *note) {
    fprintf(stderr, "%12lu.%06lu  %s  %ld %ld %ld\n", (unsigned long)(note->us / 1000000),
            (unsigned long)(note->us % 1000000), note->what, note->a, note->b, note->c);
}

void sim_note(const char *what, long a, long b, long c) {
    struct sim_note *note = &sim.notes[sim.note_count++ % SIM_TRACE];
    *note = (struct sim_note){sim.now_us, what, a, b, c};
    if (sim.is_verbose)
        print_note(note);
}

void sim_print_trace(void) {
    uint32_t first = sim.note_count > SIM_TRACE ? sim.note_count - SIM_TRACE : 0;
    for (uint32_t i = first; i < sim.note_count && !sim.is_verbose; i++)
        print_note(&sim.notes[i % SIM_TRACE]);
    fprintf(stderr, "sim_test: the failed run: sim_test 1 %lu\n", (unsigned long)sim.seed);
}

void sim_fail(const char *what, long a, long b, long line) {
    sim_print_trace();
    fprintf(stderr, "sim_test: FAILED at line %ld: %s (%ld, %ld)\n", line, what, a, b);
    exit(1);
}
