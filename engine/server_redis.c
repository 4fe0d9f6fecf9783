/* server_redis.c - what gateways remember together: its threads started, watched, summed up. */
#include "engine/redis/redis.h"
#include "engine/server.h"

#include <errno.h>

int mx_server_start_redis(struct mx_server *self) {
    if (self->accepts_all || self->conf->redis.server == NULL)
        return 0;
    int err = mx_redis_new(&self->fleet.redis, &self->conf->redis);
    if (err == -EINVAL)
        return mx_server_fail(self, MX_EXIT_CONFIG, "redis", err);
    if (err == 0)
        err = mx_redis_start(self->fleet.redis, self->features);
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "redis", err) : 0;
}

void mx_server_watch_redis(struct mx_server *self) {
    struct mx_log_line line;
    char reason[MX_REDIS_REASON];
    if (self->fleet.redis == NULL)
        return;
    bool is_gone = mx_redis_counters(self->fleet.redis).unanswered >= MX_REDIS_SILENT;
    if (is_gone == self->is_redis_gone)
        return;
    self->is_redis_gone = is_gone;
    mx_log_begin(&line, &self->log, is_gone ? MX_SEVERITY_WARN : MX_SEVERITY_INFO, "redis");
    mx_log_str(&line, "state",
               is_gone ? "gone: hooks that ask go by their onFailure" : "answers again");
    mx_log_str(&line, "server", self->conf->redis.server);
    if (is_gone && mx_redis_reason(self->fleet.redis, reason) > 0)
        mx_log_str(&line, "reason", reason);
    mx_log_end(&line);
}

void mx_server_log_redis(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_log_line line;
    if (self->fleet.redis == NULL)
        return;
    struct mx_redis_counters sums = mx_redis_counters(self->fleet.redis);
    mx_log_begin(&line, &self->log, severity, "redis");
#define PUT(name, unit, help) mx_log_u64(&line, #name, sums.name);
    MX_REDIS_COUNTERS(PUT)
#undef PUT
    mx_log_end(&line);
}
