/* server_totals.c - what a server has done: summed up, and written to the log. */
#include "engine/server.h"

static double seconds_of(const struct timeval *tv) {
    return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

void mx_server_sum_up(const struct mx_server *self, struct mx_totals *totals) {
    const struct rusage *begin = &self->usage_begin;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    totals->cpu_seconds = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime) -
                          seconds_of(&begin->ru_utime) - seconds_of(&begin->ru_stime);
    mx_totals_sum(&self->fleet, totals);
}

/* What one counter may need in a line: its name and number. */
enum { COUNTER_ROOM = 64 };

struct report {
    struct mx_log *log;
    struct mx_log_line line;
    enum mx_log_severity severity;
};

static void begin(struct report *self) {
    mx_log_begin(&self->line, self->log, self->severity, "totals");
}

/* A line that is full is followed by another. */
static void put(struct report *self, const char *name, uint64_t value) {
    if (value == 0)
        return;
    if (self->line.len + COUNTER_ROOM > MX_LOG_LINE_MAX - COUNTER_ROOM) {
        mx_log_end(&self->line);
        begin(self);
    }
    mx_log_u64(&self->line, name, value);
}

static void log_counters(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_totals totals = {0};
    struct report report = {.log = &self->log, .severity = severity};
    mx_totals_count(&self->fleet, &totals);
    begin(&report);
#define PUT_PROTO(name, unit, help)  put(&report, #name, totals.proto.name);
#define PUT_ENGINE(name, unit, help) put(&report, #name, totals.engine.name);
    MX_PROTO_COUNTERS(PUT_PROTO)
    MX_ENGINE_COUNTERS(PUT_ENGINE)
#undef PUT_PROTO
#undef PUT_ENGINE
    put(&report, "certificate_end", (uint64_t)mx_server_tls_end_s(self));
    mx_log_end(&report.line);
}

void mx_server_log_totals(struct mx_server *self, enum mx_log_severity severity) {
    log_counters(self, severity);
    mx_server_log_spool(self, severity);
    mx_server_log_dns(self, severity);
    mx_server_log_scan(self, severity);
    mx_server_log_redis(self, severity);
    mx_server_log_memo(self, severity);
    mx_server_log_hooks(self, severity);
}
