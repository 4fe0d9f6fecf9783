/* memo_keeper.h - a thread that writes what hooks remember to its file, now and then and at the
 * end.
 */
#pragma once
#include "engine/policy/memo_file.h"

struct mx_memo_keeper;

/* X(name, unit, help). Read by anyone. */
#define MX_MEMO_COUNTERS(X)                                                                        \
    X(loaded, "facts", "taken over from the file at the start")                                    \
    X(saves, "times", "the file was written, or found to be as it was")                            \
    X(save_failures, "times", "it could not be written")                                           \
    X(saved, "facts", "in the file that was written last")                                         \
    X(octets, "octets", "of that file")

struct mx_memo_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_MEMO_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};

/* Read the file at path (copied) into memo; *result says what was in it. 0; -ENOMEM; or another
 * -errno: the file cannot be read, and *self is NULL. */
MX_MUST_CHECK int mx_memo_keeper_new(struct mx_memo_keeper **self, struct mx_memo *memo,
                                     const char *path, struct mx_memo_result *result);

/* The thread, which writes every interval_ms; signals are blocked by the caller. 0 or -errno. */
MX_MUST_CHECK int mx_memo_keeper_start(struct mx_memo_keeper *self, uint32_t interval_ms);

/* End the thread and write the file once more; nobody uses the memo any more. 0, or why it could
 * not be written. NULL is allowed. */
MX_MUST_CHECK int mx_memo_keeper_end(struct mx_memo_keeper *self);
void mx_memo_keeper_free(struct mx_memo_keeper *self);

struct mx_memo_counters mx_memo_keeper_counters(const struct mx_memo_keeper *self);

/* Why the file could not be written the last time: 0, or -errno. */
int mx_memo_keeper_error(const struct mx_memo_keeper *self);
