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
    /* ... until a file could be written again, tried this often (ms) */
    MX_SPOOL_RETRY_MS = 5000,
    /* segments freed before the workers are looked at again */
    MX_SPOOL_FREES = 16,
};

struct mx_spool_keeper_conf {
    uint64_t segment_octets;
    uint64_t reserve_octets; /* of each disk that are left free */
    uint32_t lane_count;     /* one a worker */
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

/* The workers have ended and their logs are closed: end the thread, and give everything back. */
void mx_spool_keeper_free(struct mx_spool_keeper *self);
