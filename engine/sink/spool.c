/* spool.c - the sink that keeps mail: the worker's log, which says when it is on the disk. */
#include "engine/sink/sink.h"
#include "engine/spool/log.h"

#include <errno.h>

static struct mx_spool_log *log_of(struct mx_sink *self) {
    return self->store;
}

static int spool_has_space(struct mx_sink *self, uint64_t octets) {
    return mx_spool_log_has_space(log_of(self), octets);
}

static uint32_t spool_envelope_max(struct mx_sink *self) {
    return mx_spool_log_envelope_max(log_of(self));
}

static bool spool_is_ready(struct mx_sink *self) {
    return mx_spool_log_is_ready(log_of(self));
}

static int spool_open(struct mx_sink *self, struct mx_sink_message *message) {
    uint64_t octets = message->session->envelope.declared_size;
    return mx_spool_log_open(log_of(self), message->owner, octets, &message->token);
}

static int spool_write(struct mx_sink *self, struct mx_sink_message *message,
                       const struct mx_span *slices, uint32_t count) {
    return mx_spool_log_write(log_of(self), message->token, slices, count);
}

static int spool_commit(struct mx_sink *self, struct mx_sink_message *message) {
    struct mx_spool_origin origin = {
        .session = message->session,
        .server_name = message->server_name,
        .attributes = message->attributes,
        .header = message->header,
        .header_replaces = message->header_replaces,
    };
    int64_t now_ns = message->session->shared->now_s * INT64_C(1000000000);
    return mx_spool_log_commit(log_of(self), message->token, &origin, now_ns);
}

static void spool_abort(struct mx_sink *self, struct mx_sink_message *message) {
    mx_spool_log_abort(log_of(self), message->token);
}

static void spool_turn(struct mx_sink *self) {
    mx_spool_log_turn(log_of(self));
}

const struct mx_sink_class mx_sink_spool = {
    .name = "spool",
    .keeps_content = true,
    .has_space = spool_has_space,
    .envelope_max = spool_envelope_max,
    .is_ready = spool_is_ready,
    .open = spool_open,
    .write = spool_write,
    .commit = spool_commit,
    .abort = spool_abort,
    .turn = spool_turn,
};
