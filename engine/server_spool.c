/* server_spool.c - the spool of a server: opened, given to the workers, summed up. */
#include "engine/server.h"

bool mx_server_keeps_mail(const struct mx_server *self) {
    return !self->accepts_all && self->conf->durability != MX_DURABILITY_NONE;
}

int mx_server_open_spool(struct mx_server *self) {
    if (!mx_server_keeps_mail(self))
        return 0;
    int err = mx_spool_new(&self->spool, self->conf, self->fleet.worker_count);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_DISK, self->conf->spool_directory, err);
    for (uint32_t i = 0; i < self->fleet.worker_count && err == 0; i++) {
        struct mx_worker *worker = &self->fleet.workers[i];
        uint32_t message_count = worker->conn_capacity + MX_SPOOL_ORPHANS;
        err = mx_spool_new_log(self->spool, i, message_count, &worker->ring, &worker->spool);
        worker->sinks[0].store = worker->spool;
    }
    if (err == 0)
        err = mx_spool_start(self->spool);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_SYSTEM, "spool", err);
    struct mx_log_line line;
    bool is_durable = self->conf->durability == MX_DURABILITY_FSYNC;
    mx_log_begin(&line, &self->log, MX_SEVERITY_INFO, "durability");
    mx_log_str(&line, "durability", is_durable ? "fsync" : "write");
    mx_log_str(&line, "directory", self->conf->spool_directory);
    mx_log_str(&line, "sync", mx_spool_sync_name(self->spool));
    mx_log_end(&line);
    return 0;
}

void mx_server_log_spool(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_spool_counters sums = {0};
    struct mx_log_line line;
    if (self->spool == NULL)
        return;
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        const struct mx_spool_log *log = self->fleet.workers[i].spool;
        if (log == NULL)
            continue;
        const struct mx_spool_counters *row = mx_spool_log_counters(log);
#define ADD(name, unit, help) sums.name += __atomic_load_n(&row->name, __ATOMIC_RELAXED);
        MX_SPOOL_COUNTERS(ADD)
#undef ADD
    }
    mx_log_begin(&line, &self->log, severity, "spool");
#define PUT(name, unit, help) mx_log_u64(&line, #name, sums.name);
    MX_SPOOL_COUNTERS(PUT)
#undef PUT
    const struct mx_spool_keeper_counters *keeper = mx_spool_counters(self->spool);
#define PUT(name, unit, help) mx_log_u64(&line, #name, keeper->name);
    MX_SPOOL_KEEPER_COUNTERS(PUT)
#undef PUT
    mx_log_end(&line);
}
