/* flights.h - look-ups under way: one for all who ask the same. Used by the resolver's thread
 * alone; a fixed number of places.
 */
#pragma once
#include "engine/dns/cache.h"
#include "engine/dns/dns.h"

struct mx_dns_servers;

struct mx_dns_flight {
    struct mx_dns_flight *next_same;     /* in its bucket, or in the list of free places */
    struct mx_dns_flight *older, *newer; /* by begin, until answered or late */
    struct mx_dns_question *waiters;     /* linked by next */
    struct mx_dns_servers *servers;
    uint64_t hash, deadline_ms;
    enum mx_dns_type type;
    uint8_t server, failed, tries; /* asked now; bits of those that failed; so often so far */
    bool is_late;                  /* its waiters were answered; nobody joins */
    uint8_t name_len;
    char name[MX_DNS_NAME_MAX + 1];
};

struct mx_dns_flights {
    struct mx_dns_flight *places, *free;
    struct mx_dns_flight **buckets;
    struct mx_dns_flight *oldest, *newest;
    uint32_t mask, count;
};

/* -ENOMEM. */
MX_MUST_CHECK int mx_dns_flights_new(struct mx_dns_flights *self, uint32_t count);
void mx_dns_flights_free(struct mx_dns_flights *self);

/* The look-up of this key that is under way and not late; NULL: none. */
struct mx_dns_flight *mx_dns_flights_find(const struct mx_dns_flights *self,
                                          const struct mx_dns_key *key);

/* Begin one; deadlines never go backwards. NULL: all places are in use. */
struct mx_dns_flight *mx_dns_flights_begin(struct mx_dns_flights *self,
                                           const struct mx_dns_key *key, uint64_t deadline_ms);

/* The oldest that is not late. NULL: none. */
static inline struct mx_dns_flight *mx_dns_flights_oldest(const struct mx_dns_flights *self) {
    return self->oldest;
}

/* Its deadline is over: from here on it only waits for the servers. */
void mx_dns_flights_give_up(struct mx_dns_flights *self, struct mx_dns_flight *flight);

/* It has ended: its place is free. */
void mx_dns_flights_end(struct mx_dns_flights *self, struct mx_dns_flight *flight);
