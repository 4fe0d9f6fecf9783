/* totals.h - what happened in a run, summed over the workers, and who was the limit. */
#pragma once
#include "engine/limits.h"
#include "engine/metrics.h"
#include "engine/worker.h"
#include "proto/counters.h"

struct mx_totals {
    struct mx_proto_counters proto;
    struct mx_engine_counters engine;
    double seconds;     /* first connection to last message */
    double cpu_seconds; /* user + system of the process while it served */
    uint32_t worker_count;
    bool is_measured;               /* it served long enough for the two shares to mean something */
    double waited[MX_WORKERS_MAX];  /* share of that time each worker slept */
    double delayed[MX_WORKERS_MAX]; /* share it was ready to run but had no CPU */
    uint32_t served[MX_WORKERS_MAX]; /* connections of each worker */
};

/* Note what the threads have used when their first connection has come. Main thread, now and then
 * while they run. */
void mx_totals_watch(struct mx_fleet *fleet);

/* Add the counters of the workers. At any time: some may be a moment older than others. */
void mx_totals_count(const struct mx_fleet *fleet, struct mx_totals *totals);

/* Sum up after the workers have ended. cpu_seconds is the caller's. */
void mx_totals_sum(const struct mx_fleet *fleet, struct mx_totals *totals);

/* "server-limited" when a worker hardly ever slept, else "client-limited": the clients gave it less
 * than it could do. */
const char *mx_totals_verdict(const struct mx_totals *totals);
