/* sink.h - where messages go. One sink per worker and kind; all calls come from that worker's
 * thread.
 *
 * A sink knows results, not SMTP codes. It never blocks: a commit that takes time answers
 * MX_EPENDING and calls self->done later.
 */
#pragma once
#include "proto/envelope.h"
#include "proto/err.h"
#include "proto/span.h"

struct mx_sink;

/* Names one open message towards the sink; opaque to it, except that it gives it back to done. */
struct mx_sink_message {
    uint64_t owner; /* the engine's: slot and generation of the connection */
    uint64_t token; /* the sink's own */
};

/* The engine's answer to a pending commit: 0 or a negative error; per-recipient results may be set
 * in the envelope before. A message whose connection is gone is ignored. */
typedef void mx_sink_done_fn(void *context, uint64_t owner, int result);

/* The engine's: the sink can take content again; connections that wait are looked at. */
typedef void mx_sink_ready_fn(void *context);

struct mx_sink_class {
    const char *name;
    bool keeps_content; /* needs the Received line; false: content is only counted */
    /* A message begins. 0, -ENOSPC (452), another error (451). */
    int (*open)(struct mx_sink *self, struct mx_sink_message *message,
                const struct mx_envelope *envelope);
    /* May mx_sink_write be called now? Asked before each receive buffer's worth of content; false
     * pauses the connection until ready is called. NULL: always. */
    bool (*is_ready)(struct mx_sink *self);
    /* Store content; the slices are borrowed for the call. 0 or an error: the message has failed.
     */
    int (*write)(struct mx_sink *self, struct mx_sink_message *message,
                 const struct mx_span *slices, uint32_t count);
    /* Make it durable. 0, an error (the message is forgotten), or MX_EPENDING. The envelope stays
     * valid until done. */
    int (*commit)(struct mx_sink *self, struct mx_sink_message *message,
                  struct mx_envelope *envelope);
    /* Forget an open message. Also called for a pending commit whose connection is gone: then done
     * must not be called, and whether the message is kept is unknown to the client anyway. */
    void (*abort)(struct mx_sink *self, struct mx_sink_message *message);
    /* End of a loop turn: work may be submitted in one go. NULL: nothing to do. */
    void (*turn)(struct mx_sink *self);
};

struct mx_sink {
    const struct mx_sink_class *class;
    mx_sink_done_fn *done;
    mx_sink_ready_fn *ready;
    void *context; /* for done and ready */
};

/* Counts (the session does) and throws away. */
extern const struct mx_sink_class mx_sink_discard;
