/* iptable.h - how many connections each address holds, over all workers (connectionLimitPerIP).
 *
 * A fixed table in shards; each shard has a spin lock that is held for a few dozen instructions.
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"

struct mx_iptable;

/* Room for `capacity` different (service, address) pairs at a time. NULL: out of memory. */
struct mx_iptable *mx_iptable_new(uint32_t capacity);
void mx_iptable_free(struct mx_iptable *self);

/* Count one more connection of this address at this service. 0, or MX_ELIMIT when it holds `limit`
 * already (nothing is counted then; also when the table is full). */
MX_MUST_CHECK int mx_iptable_enter(struct mx_iptable *self, uint32_t service,
                                   const struct mx_ip *ip, uint32_t limit);

/* Undo one successful enter. */
void mx_iptable_leave(struct mx_iptable *self, uint32_t service, const struct mx_ip *ip);
