#include "engine/totals.h"

#include "engine/thread.h"

#include <string.h>

/* A worker that slept less than this share of the time was the limit. */
static const double server_limit = 0.10;

/* Shares of a shorter time say nothing (ms). */
enum { MEASURED_MIN_MS = 200 };

void mx_totals_watch(struct mx_fleet *fleet) {
    for (uint32_t i = 0; i < fleet->worker_count; i++) {
        struct mx_worker *worker = &fleet->workers[i];
        bool has_begun = atomic_load_explicit(&worker->first_ms, memory_order_relaxed) != 0;
        bool is_running = !atomic_load_explicit(&worker->has_ended, memory_order_acquire);
        if (has_begun && is_running && worker->usage_begin.time_ms == 0)
            worker->usage_begin = mx_thread_usage(worker);
    }
}

static void add_counters(const struct mx_worker *worker, struct mx_totals *totals) {
#define READ(counter)                __atomic_load_n(&(counter), __ATOMIC_RELAXED)
#define ADD_PROTO(name, unit, help)  totals->proto.name += READ(worker->shared.counters.name);
#define ADD_ENGINE(name, unit, help) totals->engine.name += READ(worker->counters.name);
    MX_PROTO_COUNTERS(ADD_PROTO)
    MX_ENGINE_COUNTERS(ADD_ENGINE)
    totals->engine.log_dropped += READ(worker->log.dropped);
#undef ADD_PROTO
#undef ADD_ENGINE
#undef READ
}

void mx_totals_count(const struct mx_fleet *fleet, struct mx_totals *totals) {
    for (uint32_t i = 0; i < fleet->worker_count; i++)
        add_counters(&fleet->workers[i], totals);
}

/* Between its first connection and the last message of all. Behind that one it only slept. */
static void share_time(const struct mx_worker *worker, uint64_t last_ms, double *waited,
                       double *delayed) {
    const struct mx_thread_usage *begin = &worker->usage_begin, *end = &worker->usage_end;
    *waited = 1;
    *delayed = 0;
    if (begin->time_ms == 0 || last_ms < begin->time_ms + MEASURED_MIN_MS)
        return;
    double window_ns = (double)(last_ms - begin->time_ms) * 1e6;
    double busy = (double)(end->cpu_ns - begin->cpu_ns) / window_ns;
    double delay = (double)(end->delay_ns - begin->delay_ns) / window_ns;
    *delayed = delay < 1 ? delay : 1;
    *waited = busy + delay < 1 ? 1 - busy - delay : 0;
}

void mx_totals_sum(const struct mx_fleet *fleet, struct mx_totals *totals) {
    uint64_t first_ms = UINT64_MAX, last_ms = 0;
    totals->worker_count = fleet->worker_count;
    mx_totals_count(fleet, totals);
    for (uint32_t i = 0; i < fleet->worker_count; i++) {
        const struct mx_worker *worker = &fleet->workers[i];
        uint64_t begin_ms = worker->first_ms;
        totals->served[i] = worker->session_seq;
        if (begin_ms != 0 && begin_ms < first_ms)
            first_ms = begin_ms;
        if (worker->last_ms > last_ms)
            last_ms = worker->last_ms;
    }
    if (last_ms < first_ms) /* no message */
        last_ms = first_ms;
    totals->seconds = (double)(last_ms - first_ms) / 1e3;
    totals->is_measured = last_ms - first_ms >= (uint64_t)2 * MEASURED_MIN_MS;
    for (uint32_t i = 0; i < fleet->worker_count; i++)
        share_time(&fleet->workers[i], last_ms, &totals->waited[i], &totals->delayed[i]);
}

const char *mx_totals_verdict(const struct mx_totals *totals) {
    for (uint32_t i = 0; i < totals->worker_count; i++) {
        if (totals->is_measured && totals->waited[i] < server_limit)
            return "server-limited";
    }
    return "client-limited";
}
