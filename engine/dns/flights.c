#include "engine/dns/flights.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int mx_dns_flights_new(struct mx_dns_flights *self, uint32_t count) {
    uint32_t buckets = 1;
    while (buckets < count)
        buckets *= 2;
    self->places = calloc(count, sizeof *self->places);
    self->buckets = calloc(buckets, sizeof(struct mx_dns_flight *));
    self->mask = buckets - 1;
    if (self->places == NULL || self->buckets == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        self->places[i].next_same = self->free;
        self->free = &self->places[i];
    }
    return 0;
}

void mx_dns_flights_free(struct mx_dns_flights *self) {
    free(self->places);
    free(self->buckets);
}

struct mx_dns_flight *mx_dns_flights_find(const struct mx_dns_flights *self,
                                          const struct mx_dns_key *key) {
    struct mx_dns_flight *flight = self->buckets[key->hash & self->mask];
    while (flight != NULL &&
           (flight->is_late || flight->hash != key->hash || flight->type != key->type ||
            !mx_span_equal(key->name, (struct mx_span){flight->name, flight->name_len})))
        flight = flight->next_same;
    return flight;
}

struct mx_dns_flight *mx_dns_flights_begin(struct mx_dns_flights *self,
                                           const struct mx_dns_key *key, uint64_t deadline_ms) {
    struct mx_dns_flight *flight = self->free;
    if (flight == NULL)
        return NULL;
    assert(self->newest == NULL || self->newest->deadline_ms <= deadline_ms);
    self->free = flight->next_same;
    *flight = (struct mx_dns_flight){.next_same = self->buckets[key->hash & self->mask],
                                     .older = self->newest,
                                     .hash = key->hash,
                                     .deadline_ms = deadline_ms,
                                     .type = key->type,
                                     .name_len = (uint8_t)key->name.len};
    memcpy(flight->name, key->name.ptr, key->name.len);
    self->buckets[key->hash & self->mask] = flight;
    if (self->newest != NULL)
        self->newest->newer = flight;
    else
        self->oldest = flight;
    self->newest = flight;
    self->count++;
    return flight;
}

void mx_dns_flights_give_up(struct mx_dns_flights *self, struct mx_dns_flight *flight) {
    struct mx_dns_flight **newer = flight->older != NULL ? &flight->older->newer : &self->oldest;
    struct mx_dns_flight **older = flight->newer != NULL ? &flight->newer->older : &self->newest;
    assert(!flight->is_late);
    *newer = flight->newer;
    *older = flight->older;
    flight->is_late = true;
}

void mx_dns_flights_end(struct mx_dns_flights *self, struct mx_dns_flight *flight) {
    struct mx_dns_flight **at = &self->buckets[flight->hash & self->mask];
    assert(flight->waiters == NULL);
    if (!flight->is_late)
        mx_dns_flights_give_up(self, flight);
    while (*at != flight)
        at = &(*at)->next_same;
    *at = flight->next_same;
    flight->next_same = self->free;
    self->free = flight;
    self->count--;
}
