/* server_hooks.c - what the hooks of a server did, all workers together. */
#include "engine/server.h"

static void add(struct mx_hook_counters *sum, const struct mx_hook_counters *one) {
    uint64_t longest_ms = __atomic_load_n(&one->waited_max_ms, __ATOMIC_RELAXED);
    for (unsigned v = 0; v < MX_VERDICT_COUNT; v++)
        sum->verdicts[v] += __atomic_load_n(&one->verdicts[v], __ATOMIC_RELAXED);
    sum->timeouts += __atomic_load_n(&one->timeouts, __ATOMIC_RELAXED);
    sum->waited_ms += __atomic_load_n(&one->waited_ms, __ATOMIC_RELAXED);
    if (longest_ms > sum->waited_max_ms)
        sum->waited_max_ms = longest_ms;
}

static void log_hook(struct mx_server *self, enum mx_log_severity severity, const char *name,
                     const struct mx_hook_counters *sum) {
    struct mx_log_line line;
    uint64_t asked = 0;
    for (unsigned v = 0; v < MX_VERDICT_COUNT; v++)
        asked += sum->verdicts[v];
    if (asked == 0)
        return;
    mx_log_begin(&line, &self->log, severity, "hook");
    mx_log_str(&line, "name", name);
    for (unsigned v = 0; v < MX_VERDICT_COUNT; v++)
        mx_log_u64(&line, mx_hook_verdict_name((enum mx_verdict)v), sum->verdicts[v]);
    mx_log_u64(&line, "timeouts", sum->timeouts);
    mx_log_u64(&line, "waitedMs", sum->waited_ms);
    mx_log_u64(&line, "waitedMaxMs", sum->waited_max_ms);
    mx_log_end(&line);
}

void mx_server_log_hooks(struct mx_server *self, enum mx_log_severity severity) {
    for (unsigned kind = 0; kind <= MX_HOOK_KIND_COUNT; kind++) {
        struct mx_hook_counters sum = {.timeouts = 0};
        for (uint32_t i = 0; i < self->fleet.worker_count; i++)
            add(&sum, &self->fleet.workers[i].policy.counters[kind]);
        log_hook(self, severity, kind < MX_HOOK_KIND_COUNT ? mx_hook_names[kind] : "core", &sum);
    }
}
