/* log.h - one logfmt (or JSON) line per event. Workers write into their own bounded queue and never
 * wait; the main thread drains the queues to stderr. A line that finds no room is dropped and
 * counted.
 *
 * Keys are literals; values are escaped here, so that no client text can forge a line.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

#include <stdbool.h>
#include <stdint.h>

/* ALWAYS: written at every log.level, for what others read out of the log (event=listening). */
enum mx_log_severity {
    MX_SEVERITY_ERROR,
    MX_SEVERITY_WARN,
    MX_SEVERITY_INFO,
    MX_SEVERITY_DEBUG,
    MX_SEVERITY_ALWAYS
};

enum { MX_LOG_LINE_MAX = 2048 }; /* octets; longer lines are cut */

/* A single-producer single-consumer queue of finished lines. */
struct mx_log {
    char *ring;
    uint32_t capacity; /* power of two, octets */
    uint32_t severity; /* least important severity that is written */
    bool is_json;
    bool is_direct;              /* written to stderr at once (main thread, tests) */
    uint64_t dropped;            /* lines; written by the producer */
    _Atomic uint32_t head, tail; /* consumer, producer */
};

/* A line under construction. */
struct mx_log_line {
    struct mx_log *log; /* NULL: not wanted, every call is a no-op */
    uint32_t len;
    char text[MX_LOG_LINE_MAX];
};

/* capacity 0: lines go to stderr at once (is_direct). -ENOMEM. */
MX_MUST_CHECK int mx_log_init(struct mx_log *self, uint32_t capacity, enum mx_log_severity severity,
                              bool is_json);
void mx_log_deinit(struct mx_log *self);

static inline bool mx_log_wants(const struct mx_log *self, enum mx_log_severity severity) {
    return severity == MX_SEVERITY_ALWAYS || (uint32_t)severity <= self->severity;
}

/* begin, any number of key/value calls, end. event is a literal. */
void mx_log_begin(struct mx_log_line *line, struct mx_log *log, enum mx_log_severity severity,
                  const char *event);
void mx_log_text(struct mx_log_line *line, const char *key, struct mx_span value);
void mx_log_str(struct mx_log_line *line, const char *key, const char *value);
void mx_log_u64(struct mx_log_line *line, const char *key, uint64_t value);
void mx_log_end(struct mx_log_line *line);

/* event and one text, the usual case. */
void mx_log_event(struct mx_log *log, enum mx_log_severity severity, const char *event,
                  const char *key, const char *value);

/* Write everything queued to fd. Returns the number of octets written. Called by one thread only.
 */
size_t mx_log_drain(struct mx_log *self, int fd);
