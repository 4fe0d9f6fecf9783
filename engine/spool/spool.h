/* spool.h - the spool of a server: the store that was recovered, the keeper, and the workers' logs.
 * Main thread only.
 */
#pragma once
#include "config/conf.h"
#include "engine/log.h"
#include "engine/spool/keeper.h"
#include "engine/spool/log.h"

struct mx_spool;

/* Lock, recover and prepare conf's spool for so many workers. What is found and done is logged, and
 * why it cannot be used. 0 or -errno. */
MX_MUST_CHECK int mx_spool_new(struct mx_spool **self, const struct mx_conf *conf,
                               uint32_t worker_count);

/* The log of a worker; given: mx_spool_log_free. Its ring must not be started yet. */
MX_MUST_CHECK int mx_spool_new_log(struct mx_spool *self, uint32_t index, uint32_t message_count,
                                   struct mx_ring *ring, struct mx_spool_log **log);

/* Start the keeper's thread. */
MX_MUST_CHECK int mx_spool_start(struct mx_spool *self);

/* Of the keeper, which goes on counting. */
const struct mx_spool_keeper_counters *mx_spool_counters(const struct mx_spool *self);

/* "fsync" or "write", and how. For the log. */
const char *mx_spool_sync_name(const struct mx_spool *self);

/* All logs are closed. No effect on NULL. */
void mx_spool_free(struct mx_spool *self);
