/* counters.h - counters of one worker's log: written by it alone, read by anyone with relaxed
 * loads.
 *
 * X(name, unit, help).
 */
#pragma once
#include <stdint.h>

#define MX_SPOOL_COUNTERS(X)                                                                       \
    X(batches, "batches", "written by the spool")                                                  \
    X(written, "octets", "written by the spool, headers and padding included")                     \
    X(syncs, "requests", "fdatasync by the spool")                                                 \
    X(segments, "segments", "begun by the spool")                                                  \
    X(chunks, "records", "pieces of messages that were not written in one record")                 \
    X(commit_waits, "messages", "whole, but waited for room in the staging buffers")               \
    X(full, "messages", "refused with 452 for want of space")                                      \
    X(errors, "segments", "given up after a write or sync error")

struct mx_spool_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_SPOOL_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};
