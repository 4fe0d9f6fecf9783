/* sink.h - where messages go. One sink per worker and kind; all calls come from that worker's
 * thread.
 *
 * A sink knows results, not SMTP codes. It never blocks: a commit that takes time answers
 * MX_EPENDING and calls self->done later.
 */
#pragma once
#include "proto/session.h"

struct mx_sink;

/* Names one open message towards the sink; owner is opaque to it: it gives it back to done. */
struct mx_sink_message {
    uint64_t owner; /* the engine's: slot and generation of the connection */
    uint64_t token; /* the sink's own */
    /* envelope, peer and all else that is known. Borrowed: valid until the commit is answered or
     * the message is aborted */
    struct mx_session *session;
    const char *server_name; /* outlives the message */
    /* attributes by hooks: lengths (4 octets), each with "name\0value" behind it. Borrowed likewise
     */
    struct mx_span attributes;
    /* At commit: what stands at the front of the message in the place of so many octets that were
     * written. Empty: the message is as written. Borrowed likewise */
    struct mx_span header;
    uint32_t header_replaces;
};

/* The engine's answer to a pending commit: 0 or a negative error (-ECONNABORTED: nobody can tell
 * what becomes of it, so the connection is closed without a reply); per-recipient results may be
 * set in the envelope before. A message whose connection is gone is ignored. */
typedef void mx_sink_done_fn(void *context, uint64_t owner, int result);

/* The engine's: the sink can take messages and content again; connections that wait go on. */
typedef void mx_sink_ready_fn(void *context);

struct mx_sink_class {
    const char *name;
    bool keeps_content; /* needs the Received line; false: content is only counted */
    /* Is there space for a message of so many octets (0: unknown)? Asked at MAIL; reserves nothing.
     * 0, -ENOSPC (452), another error (451). NULL: always. */
    int (*has_space)(struct mx_sink *self, uint64_t octets);
    /* How many octets may an envelope have? It is not let grow beyond, so that recipients are
     * refused and not messages. NULL: as many as session memory has. */
    uint32_t (*envelope_max)(struct mx_sink *self);
    /* May a message be opened, and MX_SINK_WINDOW octets of content be written? Asked before both;
     * false pauses the connection until ready is called. NULL: always. */
    bool (*is_ready)(struct mx_sink *self);
    /* A message begins. 0, -ENOSPC (452), another error (451). */
    int (*open)(struct mx_sink *self, struct mx_sink_message *message);
    /* Store content; the slices are borrowed for the call. 0 or an error: the message has failed.
     */
    int (*write)(struct mx_sink *self, struct mx_sink_message *message,
                 const struct mx_span *slices, uint32_t count);
    /* Make it durable. 0, an error (the message is forgotten), or MX_EPENDING. */
    int (*commit)(struct mx_sink *self, struct mx_sink_message *message);
    /* Forget an open message. Also called for a pending commit whose connection is gone: then done
     * must not be called, and whether the message is kept is unknown to the client anyway. */
    void (*abort)(struct mx_sink *self, struct mx_sink_message *message);
    /* End of a loop turn: work may be submitted in one go. NULL: nothing to do. */
    void (*turn)(struct mx_sink *self);
};

/* Content octets between two questions of is_ready. */
enum { MX_SINK_WINDOW = 65536 };

struct mx_sink {
    const struct mx_sink_class *class;
    void *store; /* the sink's own */
    mx_sink_done_fn *done;
    mx_sink_ready_fn *ready;
    void *context; /* for done and ready */
};

/* Keeps them in the worker's log; store is its struct mx_spool_log. */
extern const struct mx_sink_class mx_sink_spool;

/* Counts (the session does) and throws away. */
extern const struct mx_sink_class mx_sink_discard;
