/* ledger.h - one line for each message: RUN SEQ FATE TEXT
 *
 * FATE is the code of the reply that decided, or unknown (no reply came); TEXT is that reply, or
 * what happened. Several ledgers may append to the same file. Nothing is lost silently: the first
 * error of a write is kept.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_ledger {
    int fd; /* borrowed; -1: there is none */
    int error;
    size_t len;
    char *lines;
};

/* fd: opened for appending, or -1. -ENOMEM. */
MX_MUST_CHECK int mx_ledger_new(struct mx_ledger *self, int fd);
void mx_ledger_free(struct mx_ledger *self);

/* code 0: unknown. when_ns stands as @NS in front of the text; 0: nothing does. May write, and so
 * block for a moment, once in many lines. */
void mx_ledger_put(struct mx_ledger *self, const char *run, uint64_t seq, int code,
                   uint64_t when_ns, struct mx_span text);

/* Write what is left. 0, or the first error of any write (-errno). */
MX_MUST_CHECK int mx_ledger_flush(struct mx_ledger *self);
