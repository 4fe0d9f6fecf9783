#include "engine/spool/spool.h"

#include "engine/spool/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mx_spool {
    const struct mx_conf *conf;
    struct mx_log log; /* of recovery and the keeper; straight to stderr */
    struct mx_spool_store store;
    bool has_store;
    struct mx_spool_keeper *keeper;
    enum mx_spool_sync sync;
};

static void report(void *context, const struct mx_spool_event *event) {
    struct mx_spool *self = context;
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, event->severity, event->event);
    if (event->path != NULL)
        mx_log_str(&line, "path", event->path);
    mx_log_str(&line, "reason", event->text);
    mx_log_end(&line);
}

static enum mx_spool_sync pick_sync(const struct mx_spool *self) {
    if (self->conf->durability == MX_DURABILITY_WRITE)
        return MX_SPOOL_SYNC_NONE;
    switch (self->conf->sync_mode) {
    case MX_SYNC_DSYNC:
        return MX_SPOOL_SYNC_DSYNC;
    case MX_SYNC_FDATASYNC:
        return MX_SPOOL_SYNC_FDATASYNC;
    case MX_SYNC_AUTO:
        break;
    }
    return mx_spool_keeper_is_direct(self->keeper) ? MX_SPOOL_SYNC_DSYNC : MX_SPOOL_SYNC_FDATASYNC;
}

static int set_up(struct mx_spool *self, uint32_t worker_count) {
    const struct mx_conf *conf = self->conf;
    const struct mx_spool_store_conf store = {
        .directory = conf->spool_directory,
        .second = conf->spool_second,
        .core_count = worker_count,
        .segment_octets = conf->spool_segment_octets,
        .report = report,
        .context = self,
    };
    const struct mx_spool_keeper_conf keeper = {
        .segment_octets = conf->spool_segment_octets,
        .reserve_octets = conf->spool_reserve_octets,
        .lane_count = worker_count,
        .compact_below = conf->spool_compact_below,
        .compact_after_ms = conf->spool_compact_after_ms,
    };
    int err = mx_log_init(&self->log, 0, (enum mx_log_severity)conf->log.level,
                          conf->log.format == MX_LOG_FORMAT_JSON);
    if (err == 0)
        err = mx_spool_store_open(&self->store, &store);
    if (err < 0)
        return err;
    self->has_store = true;
    err = mx_spool_keeper_new(&self->keeper, &self->store, &keeper, &self->log);
    if (err == 0)
        self->sync = pick_sync(self);
    return err;
}

int mx_spool_new(struct mx_spool **self, const struct mx_conf *conf, uint32_t worker_count) {
    struct mx_spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL)
        return -ENOMEM;
    spool->conf = conf;
    int err = set_up(spool, worker_count);
    if (err < 0)
        mx_spool_free(spool);
    else
        *self = spool;
    return err;
}

const char *mx_spool_sync_name(const struct mx_spool *self) {
    static const char *const names[] = {
        [MX_SPOOL_SYNC_DSYNC] = "dsync",
        [MX_SPOOL_SYNC_FDATASYNC] = "fdatasync",
        [MX_SPOOL_SYNC_NONE] = "none",
    };
    return names[self->sync];
}

int mx_spool_new_log(struct mx_spool *self, uint32_t index, uint32_t message_count,
                     struct mx_ring *ring, struct mx_spool_log **log) {
    struct mx_spool_log_conf conf = {
        .core = index,
        .run = self->store.run,
        .sync = self->sync,
        .segment_octets = self->conf->spool_segment_octets,
        .message_count = message_count,
    };
    memcpy(conf.uuid, self->store.uuid, sizeof conf.uuid);
    mx_spool_store_last(&self->store, index, &conf.prev_epoch, &conf.prev_sealed_lsn);
    return mx_spool_log_new(log, &conf, mx_spool_keeper_lane(self->keeper, index), ring);
}

const struct mx_spool_keeper_counters *mx_spool_counters(const struct mx_spool *self) {
    return mx_spool_keeper_counters(self->keeper);
}

int mx_spool_start(struct mx_spool *self) {
    return mx_spool_keeper_start(self->keeper);
}

void mx_spool_free(struct mx_spool *self) {
    if (self == NULL)
        return;
    mx_spool_keeper_free(self->keeper);
    if (self->has_store)
        mx_spool_store_close(&self->store);
    mx_log_deinit(&self->log);
    free(self);
}
