/* keeper.h - the thread that keeps segments ready for the workers, takes back the full ones, and
 * frees those whose mail is gone. All blocking file work of a running spool is here.
 *
 * It is the only one that changes the list of segments while the server runs.
 */
#pragma once
#include "engine/log.h"
#include "engine/spool/lane.h"
#include "engine/spool/store.h"

enum {
    /* segments prepared ahead of each worker: at full speed one lasts a tenth of a second */
    MX_SPOOL_READY_WANTED = 4,
    /* how often the keeper looks when nobody wakes it (ms) */
    MX_SPOOL_KEEPER_MS = 500,
    /* so many segments given up within this time, and no mail is taken any more (ms) ... */
    MX_SPOOL_FAILURES = 3,
    MX_SPOOL_FAILURES_MS = 60000,
    /* ... until a file could be written again, tried this often (ms); when that does not help,
     * after twice as long each time, up to MX_SPOOL_FAILURES_MS */
    MX_SPOOL_RETRY_MS = 5000,
    /* segments freed before the workers are looked at again */
    MX_SPOOL_FREES = 16,
    /* a segment is compacted when that makes so many octets free */
    MX_SPOOL_COMPACT_GAIN = 1 << 20,
    /* octets read for it in a second, on average; when space is wanted as many as it takes */
    MX_SPOOL_COMPACT_RATE = 64 << 20,
    /* when space is wanted, what may stay of a segment (percent) */
    MX_SPOOL_COMPACT_WANTED = 50,
    /* looks in vain, each after twice the time */
    MX_SPOOL_LOOKS_MAX = 8,
};

/* Of the keeper, written by it alone. X(name, unit, help). */
#define MX_SPOOL_KEEPER_COUNTERS(X)                                                                \
    X(compact_looks, "segments", "looked through by the spool, since few of them was waited for")  \
    X(compact_read, "octets", "read for that")                                                     \
    X(compacted, "segments", "compacted")                                                          \
    X(compact_freed, "octets", "that they are smaller now")

struct mx_spool_keeper_counters {
#define MX_COUNTER_FIELD(name, unit, help) _Atomic uint64_t name;
    MX_SPOOL_KEEPER_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};

struct mx_spool_keeper_conf {
    uint64_t segment_octets;
    uint64_t reserve_octets; /* of each disk that are left free */
    uint32_t lane_count;     /* one a worker */
    uint32_t compact_below;  /* percent of a segment that may still be waited for; 0: never */
    uint32_t compact_after_ms;
};

struct mx_spool_keeper;

/* Lanes for all workers, with one segment ready each as far as there is space. store and log
 * outlive it. */
MX_MUST_CHECK int mx_spool_keeper_new(struct mx_spool_keeper **self, struct mx_spool_store *store,
                                      const struct mx_spool_keeper_conf *conf, struct mx_log *log);
MX_MUST_CHECK int mx_spool_keeper_start(struct mx_spool_keeper *self);
struct mx_spool_lane *mx_spool_keeper_lane(struct mx_spool_keeper *self, uint32_t index);
/* Are segments written past the page cache? */
bool mx_spool_keeper_is_direct(const struct mx_spool_keeper *self);

const struct mx_spool_keeper_counters *mx_spool_keeper_counters(const struct mx_spool_keeper *self);

/* The workers have ended and their logs are closed: end the thread, and give everything back. */
void mx_spool_keeper_free(struct mx_spool_keeper *self);
