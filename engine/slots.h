/* slots.h - how many connections a server can have, and how many slots are kept to refuse more.
 * Pure: arithmetic only. */
#pragma once
#include "proto/err.h"

#include <stdint.h>

struct mx_slots {
    uint32_t connections; /* that are served at the same time */
    uint32_t reserve;     /* slots beyond them, so that the refused get their 421 */
    const char *bound;    /* what allows fewer connections than are wanted; NULL: nothing does */
};

/* wanted: engine.maxConnections, 0: as many as there can be. backlog: what one multishot accept of
 * each listener may bring at once; few slots are rather for those who are served. descriptors:
 * RLIMIT_NOFILE without those that are no connections. connections + reserve is never more than
 * descriptors, nor than a ring's table of direct descriptors can hold. -EMFILE: not one is left. */
MX_MUST_CHECK int mx_slots_share(uint64_t wanted, uint64_t backlog, uint64_t descriptors,
                                 struct mx_slots *slots);
