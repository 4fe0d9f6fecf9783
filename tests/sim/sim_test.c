/* sim_test.c - sim_test RUNS SEED [--verbose]: the engine on a simulated kernel.
 *
 * Run i uses seed SEED + i. A failure prints the last events and the call that repeats it. From 300
 * runs on every kind of fault must have struck at least once.
 */
#include "tests/sim/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

enum { COVERAGE_RUNS = 300, RUN_SECONDS_MAX = 30, TURNS_MAX = 3000000 };
#define SETTLE_US  400000000u  /* linger, close timeout and the slowest sink, some times */
#define STALLED_US 4000000000u /* nothing at all has moved for so long */

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t sink_next_us(uint32_t worker) {
    return min_u64(sim_sink_next_us(&sim.sinks[worker][0]),
                   sim_sink_next_us(&sim.sinks[worker][1]));
}

static bool is_runnable(uint32_t index) {
    struct sim_kernel *kernel = &sim.kernels[index];
    if (!kernel->is_asleep)
        return true;
    sim_kernel_progress(kernel);
    return mx_ring_ready(kernel->ring) > 0 || sim.now_us >= kernel->sleep_until_us ||
           sink_next_us(index) <= sim.now_us;
}

static bool turn_worker(uint32_t index) {
    struct mx_worker *worker = &sim.workers[index];
    if (sim.is_done[index] || !is_runnable(index))
        return false;
    SIM_CHECK(++sim.turns < TURNS_MAX, "too many turns", sim.turns, 0);
    bool is_sink_due = sink_next_us(index) <= sim.now_us;
    uint64_t before_ms = worker->now_ms;
    int err = mx_worker_turn(worker);
    SIM_CHECK(err == 0, "mx_worker_turn", err, 0);
    /* It planned its sleep before it read the clock and fired timers: what came of that is another
     * turn, as it is for the thread. */
    const struct io_uring_sq *sq = &worker->ring.uring.sq;
    if (is_sink_due || worker->now_ms != before_ms || sq->sqe_tail != *sq->khead)
        sim.kernels[index].is_asleep = false;
    sim.now_us += 1 + sim_below(20);
    if (mx_worker_is_done(worker)) {
        err = mx_worker_end(worker);
        SIM_CHECK(err == 0, "mx_worker_end", err, 0);
        sim.is_done[index] = true;
        sim_note("done: worker", index, 0, 0);
    }
    return true;
}

static void begin_drain(void) {
    sim.is_draining = true;
    sim.drain_us = SIM_NEVER;
    sim.shutdown_us = sim.now_us + sim_below(50000);
    /* the engine's clock shows whole milliseconds */
    sim.drain_end_us = (sim.now_us / 1000 + sim.conf->engine.drain_timeout_ms) * 1000;
    for (uint32_t i = 0; i < sim.worker_count; i++)
        sim_post(&sim.kernels[i], mx_op_pack(MX_OP_MESSAGE, 0, MX_MESSAGE_DRAIN), 0, 0);
}

static void jump_clock(void) {
    sim_fault_counts[SIM_F_CLOCK_JUMP]++;
    sim.jump_us = SIM_NEVER;
    sim.now_us += 1000000ull * (1 + sim_below(36000));
    sim.progress_us = sim.now_us;
    if (sim.is_draining && sim.drain_end_us < sim.now_us)
        sim.drain_end_us = sim.now_us; /* nobody could end in time */
    for (uint32_t i = 0; i < sim.client_count; i++)
        sim.clients[i].may_vanish = true;
    sim_note("the clock jumps", 0, 0, 0);
}

static bool act_clients(void) {
    bool is_busy = false;
    for (uint32_t i = 0; i < sim.client_count; i++) {
        if (sim.clients[i].next_us <= sim.now_us) {
            sim_client_act(&sim.clients[i]);
            is_busy = true;
        }
    }
    return is_busy;
}

static uint64_t next_event_us(void) {
    uint64_t next = min_u64(min_u64(sim.drain_us, sim.jump_us), sim.reload.next_us);
    if (sim.shutdown_us > sim.now_us)
        next = min_u64(next, sim.shutdown_us);
    next = min_u64(next, sim_helper_next_us());
    for (uint32_t i = 0; i < sim.client_count; i++)
        next = min_u64(next, sim.clients[i].next_us);
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        if (sim.is_done[i])
            continue;
        next = min_u64(next, sim_kernel_next_us(&sim.kernels[i]));
        next = min_u64(next, sink_next_us(i));
        next = min_u64(next, sim.kernels[i].sleep_until_us);
    }
    return next;
}

/* Everybody who can do something does it once; time goes on when there is nobody. */
static void step(void) {
    if (sim.now_us >= sim.jump_us)
        jump_clock();
    if (sim.now_us >= sim.drain_us) {
        sim_fault_counts[SIM_F_DRAIN_AMID]++;
        begin_drain();
    }
    sim_reload_act();
    sim_helper_act();
    bool is_busy = act_clients();
    uint32_t first = sim_below(sim.worker_count);
    for (uint32_t i = 0; i < sim.worker_count; i++)
        is_busy = turn_worker((first + i) % sim.worker_count) || is_busy;
    if (is_busy)
        return;
    uint64_t next = next_event_us();
    SIM_CHECK(next != SIM_NEVER, "deadlock: clients wait and nothing is under way",
              sim.clients_done, sim.client_count);
    SIM_CHECK(sim.now_us < sim.progress_us + STALLED_US, "stalled", sim.clients_done,
              sim.client_count);
    sim.now_us = next > sim.now_us ? next : sim.now_us + 1;
}

static bool all_done(void) {
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        if (!sim.is_done[i])
            return false;
    }
    return true;
}

static uint32_t load(void) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < sim.worker_count; i++)
        sum += sim.workers[i].load;
    return sum;
}

static bool is_backlog_empty(void) {
    for (uint32_t i = 0; i < sim.worker_count * SIM_SLOTS; i++) {
        const struct sim_listener *listener = &sim.listeners[i / SIM_SLOTS][i % SIM_SLOTS];
        if (listener->begin < listener->end)
            return false;
    }
    return true;
}

/* The process ends: what it never accepted is refused, what it still holds is closed by force. */
static void end_process(void) {
    for (uint32_t i = 0; i < sim.client_count; i++) {
        struct sim_client *c = &sim.clients[i];
        for (uint32_t n = 0; n < 100000 && c->state != SIM_C_DONE && c->was_accepted; n++) {
            sim.now_us += 2000;
            sim_client_act(c);
        }
        SIM_CHECK(c->state == SIM_C_DONE || !c->was_accepted, "a client waits for ever", i, 0);
    }
}

static void run(uint64_t seed) {
    sim_begin(seed);
    sim_setup();
    while (sim.clients_done < sim.client_count && !all_done())
        step();
    if (!sim.is_draining) { /* nobody is there any more: nothing may be left of them */
        uint64_t deadline = sim.now_us + SETTLE_US;
        while (load() > 0 || !is_backlog_empty()) {
            uint64_t before = sim.now_us;
            step();
            if (sim.now_us - before > SETTLE_US) /* the clock has jumped */
                deadline = sim.now_us + SETTLE_US;
            SIM_CHECK(sim.now_us < deadline, "connections of clients that are gone", load(), 0);
        }
        SIM_CHECK(sim.fleet.connections == 0, "fleet.connections", sim.fleet.connections, 0);
        begin_drain();
    }
    while (!all_done()) {
        step();
        SIM_CHECK(sim.now_us < sim.drain_end_us + SETTLE_US, "the drain does not end", load(), 0);
    }
    end_process();
    sim_teardown();
}

/* ---- reports
 * ------------------------------------------------------------------------------------- */

static unsigned print_count(const char *name, uint64_t count) {
    printf("%s=%lu%s ", name, (unsigned long)count, count == 0 ? "(!)" : "");
    return count == 0;
}

/* Prints all counts; returns how many are zero. */
static unsigned print_coverage(void) {
    static const char *const names[] = {
#define SIM_NAME(name) #name,
        SIM_FAULTS(SIM_NAME) SIM_EVENTS(SIM_NAME)
#undef SIM_NAME
    };
    unsigned zeros = 0;
    printf("coverage: ");
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        zeros += print_count(names[i], sim_fault_counts[i]);
    for (unsigned i = 0; i < SIM_EVENT_COUNT; i++)
        zeros += print_count(names[SIM_FAULT_COUNT + i], sim_event_counts[i]);
    printf("\nengine: ");
    /* the simulation has no certificates */
#define PRINT_ENGINE(name, unit, help)                                                             \
    if (strcmp(#name, "stale") != 0 && strcmp(#name, "log_dropped") != 0 &&                        \
        strcmp(#name, "log_suppressed") != 0 && strncmp(#name, "tls_", 4) != 0)                    \
        zeros += print_count(#name, sim_engine_totals.name);
    MX_ENGINE_COUNTERS(PRINT_ENGINE)
#undef PRINT_ENGINE
    printf("\nprotocol: messages=%lu refused=%lu recipients=%lu octets=%lu\n",
           (unsigned long)sim_proto_totals.messages,
           (unsigned long)sim_proto_totals.messages_refused,
           (unsigned long)sim_proto_totals.recipients, (unsigned long)sim_proto_totals.body_octets);
    return zeros;
}

/* An assertion of the engine, or a run that hangs: the process ends here, so what is not safe in a
 * handler is worth the risk. */
static void on_signal(int number) {
    sim_print_trace(); /* NOLINT(bugprone-signal-handler) */
    const char *what = number == SIGALRM ? "the run hangs" : "aborted";
    fprintf(stderr, "sim_test: %s\n", what); /* NOLINT(bugprone-signal-handler) */
    signal(number, SIG_DFL);
    if (number == SIGALRM)
        _exit(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    bool is_verbose = argc == 4 && strcmp(argv[3], "--verbose") == 0;
    if (argc != 3 && !is_verbose) {
        fprintf(stderr, "usage: sim_test RUNS SEED [--verbose]\n");
        return 2;
    }
    uint64_t runs = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
    sim.is_verbose = is_verbose;
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(sim_print_trace);
#endif
    double begin = seconds();
    for (uint64_t i = 0; i < runs; i++) {
        alarm(RUN_SECONDS_MAX);
        run(seed + i);
    }
    alarm(0);
    unsigned zeros = print_coverage();
    double took = seconds() - begin;
    printf("sim_test: %lu runs from seed %lu in %.1f s, %.0f a second\n", (unsigned long)runs,
           (unsigned long)seed, took, (double)runs / took);
    mx_conf_free(sim.conf);
    free(sim.workers);
    if (runs >= COVERAGE_RUNS && zeros > 0) {
        fprintf(stderr, "sim_test: FAILED: %u kinds were never hit, marked with (!)\n", zeros);
        return 1;
    }
    return 0;
}
