/* discard.c - the sink of benchmarks: whatever it gets is gone. The session counts what passed. */
#include "engine/sink/sink.h"

static int discard_open(struct mx_sink *self, struct mx_sink_message *message) {
    (void)self, (void)message;
    return 0;
}

static int discard_write(struct mx_sink *self, struct mx_sink_message *message,
                         const struct mx_span *slices, uint32_t count) {
    (void)self, (void)message, (void)slices, (void)count;
    return 0;
}

static int discard_commit(struct mx_sink *self, struct mx_sink_message *message) {
    (void)self, (void)message;
    return 0;
}

static void discard_abort(struct mx_sink *self, struct mx_sink_message *message) {
    (void)self, (void)message;
}

const struct mx_sink_class mx_sink_discard = {
    .name = "discard",
    .keeps_content = false,
    .open = discard_open,
    .write = discard_write,
    .commit = discard_commit,
    .abort = discard_abort,
};
