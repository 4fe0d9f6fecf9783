/* cache.h - answers of the DNS that are kept for a while: a bounded number of octets, the one that
 * was not asked for longest goes first. Used by the resolver's thread alone.
 */
#pragma once
#include "proto/dns.h"

struct mx_dns_cache;

/* A name and a type, as a key. The name is in lower case. */
struct mx_dns_key {
    uint64_t hash; /* mx_dns_cache_hash */
    struct mx_span name;
    enum mx_dns_type type;
};

struct mx_dns_cache_use {
    uint64_t octets, entries, evicted;
};

/* octets: 0 (nothing is kept) or more; keys are hashed with a random seed, so that nobody can
 * choose names that are slow. NULL: out of memory. */
struct mx_dns_cache *mx_dns_cache_new(size_t octets);
void mx_dns_cache_free(struct mx_dns_cache *self);

uint64_t mx_dns_cache_hash(const struct mx_dns_cache *self, struct mx_span name);

/* Is there an answer that still counts? It is borrowed until the next put. A name that does not
 * exist has no records of any type (RFC 2308 5). */
bool mx_dns_cache_find(struct mx_dns_cache *self, const struct mx_dns_key *key, uint64_t now_ms,
                       struct mx_dns_answer *answer);

/* Keep an answer until then; what was known before is replaced. One that is too large for the cache
 * is not kept; for want of memory neither. */
void mx_dns_cache_put(struct mx_dns_cache *self, const struct mx_dns_key *key,
                      const struct mx_dns_answer *answer, uint64_t until_ms);

struct mx_dns_cache_use mx_dns_cache_use(const struct mx_dns_cache *self);
