#include "engine/dns/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    OCTETS_FOR_A_BUCKET = 256,
    ANY_TYPE = 0,       /* of a name that does not exist */
    ENTRY_SHARE = 8,    /* no entry takes more than this part of the cache */
    MALLOC_OCTETS = 16, /* what the allocator adds */
};

struct entry {
    struct entry *next; /* in its bucket */
    struct entry *newer, *older;
    uint64_t hash, until_ms;
    uint32_t records_len;
    uint16_t count;
    uint8_t status, name_len;
    uint16_t type;
    char octets[]; /* the name, then the records */
};

struct mx_dns_cache {
    size_t capacity, octets;
    uint64_t entries, evicted;
    uint64_t seed[2];
    struct entry *newest, *oldest;
    struct entry **buckets;
    size_t mask; /* buckets - 1 */
};

struct mx_dns_cache *mx_dns_cache_new(size_t octets) {
    struct mx_dns_cache *self = calloc(1, sizeof *self);
    size_t count = 1;
    while (count < octets / OCTETS_FOR_A_BUCKET)
        count *= 2;
    if (self == NULL)
        return NULL;
    self->buckets = calloc(count, sizeof(struct entry *));
    if (self->buckets == NULL) {
        free(self);
        return NULL;
    }
    self->mask = count - 1;
    self->capacity = octets;
    if (getrandom(self->seed, sizeof self->seed, GRND_NONBLOCK) < 0)
        self->seed[0] = (uintptr_t)self; /* very early at boot: better than a constant */
    return self;
}

static size_t octets_of(const struct entry *entry) {
    return sizeof *entry + entry->name_len + entry->records_len + MALLOC_OCTETS;
}

/* ---- the lists ---- */

static void unlink_use(struct mx_dns_cache *self, struct entry *entry) {
    struct entry **newer = entry->older != NULL ? &entry->older->newer : &self->oldest;
    struct entry **older = entry->newer != NULL ? &entry->newer->older : &self->newest;
    *newer = entry->newer;
    *older = entry->older;
}

static void link_newest(struct mx_dns_cache *self, struct entry *entry) {
    entry->newer = NULL;
    entry->older = self->newest;
    if (self->newest != NULL)
        self->newest->newer = entry;
    else
        self->oldest = entry;
    self->newest = entry;
}

static void free_entry(struct mx_dns_cache *self, struct entry *entry) {
    struct entry **at = &self->buckets[entry->hash & self->mask];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    unlink_use(self, entry);
    self->octets -= octets_of(entry);
    self->entries--;
    free(entry);
}

void mx_dns_cache_free(struct mx_dns_cache *self) {
    if (self == NULL)
        return;
    while (self->oldest != NULL)
        free_entry(self, self->oldest);
    free(self->buckets);
    free(self);
}

/* ---- look-ups ---- */

uint64_t mx_dns_cache_hash(const struct mx_dns_cache *self, struct mx_span name) {
    uint64_t h = self->seed[0], word;
    for (size_t at = 0; at < name.len; at += sizeof word) {
        size_t len = name.len - at < sizeof word ? name.len - at : sizeof word;
        word = 0;
        memcpy(&word, name.ptr + at, len);
        __uint128_t product = (__uint128_t)(h ^ word) * (0x9E3779B97F4A7C15u ^ self->seed[1] << 1);
        h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ (h << 7 | h >> 57);
    }
    h = (h ^ name.len) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

static struct entry *find(const struct mx_dns_cache *self, const struct mx_dns_key *key,
                          unsigned type) {
    struct entry *entry = self->buckets[key->hash & self->mask];
    while (entry != NULL &&
           (entry->hash != key->hash || entry->type != type ||
            !mx_span_equal(key->name, (struct mx_span){entry->octets, entry->name_len})))
        entry = entry->next;
    return entry;
}

static struct entry *find_current(struct mx_dns_cache *self, const struct mx_dns_key *key,
                                  unsigned type, uint64_t now_ms) {
    struct entry *entry = find(self, key, type);
    if (entry == NULL || now_ms < entry->until_ms)
        return entry;
    free_entry(self, entry);
    return NULL;
}

bool mx_dns_cache_find(struct mx_dns_cache *self, const struct mx_dns_key *key, uint64_t now_ms,
                       struct mx_dns_answer *answer) {
    struct entry *entry = find_current(self, key, (unsigned)key->type, now_ms);
    if (entry == NULL)
        entry = find_current(self, key, ANY_TYPE, now_ms);
    if (entry == NULL)
        return false;
    unlink_use(self, entry);
    link_newest(self, entry);
    *answer = (struct mx_dns_answer){
        .status = entry->status,
        .count = entry->count,
        .ttl_s = (uint32_t)((entry->until_ms - now_ms) / 1000),
        .records = {entry->octets + entry->name_len, entry->records_len},
    };
    return true;
}

/* ---- keeping ---- */

static struct entry *entry_new(const struct mx_dns_key *key, const struct mx_dns_answer *answer) {
    struct entry *entry = malloc(sizeof *entry + key->name.len + answer->records.len);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.hash = key->hash,
                            .records_len = (uint32_t)answer->records.len,
                            .count = answer->count,
                            .status = answer->status,
                            .name_len = (uint8_t)key->name.len,
                            .type = (uint16_t)key->type};
    memcpy(entry->octets, key->name.ptr, key->name.len);
    if (answer->records.len > 0)
        memcpy(entry->octets + key->name.len, answer->records.ptr, answer->records.len);
    return entry;
}

void mx_dns_cache_put(struct mx_dns_cache *self, const struct mx_dns_key *key,
                      const struct mx_dns_answer *answer, uint64_t until_ms) {
    unsigned type = answer->status == MX_DNS_NXDOMAIN ? ANY_TYPE : (unsigned)key->type;
    size_t octets =
        sizeof(struct entry) + key->name.len + answer->records.len + (size_t)MALLOC_OCTETS;
    struct entry *before = find(self, key, type);
    assert(key->name.len <= MX_DNS_NAME_MAX);
    if (before != NULL)
        free_entry(self, before);
    if (octets > self->capacity / ENTRY_SHARE)
        return;
    while (self->octets + octets > self->capacity) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the oldest is another one behind it */
        free_entry(self, self->oldest);
        self->evicted++;
    }
    struct entry *entry = entry_new(key, answer);
    if (entry == NULL)
        return;
    entry->type = (uint16_t)type;
    entry->until_ms = until_ms;
    entry->next = self->buckets[key->hash & self->mask];
    self->buckets[key->hash & self->mask] = entry;
    link_newest(self, entry);
    self->octets += octets;
    self->entries++;
}

struct mx_dns_cache_use mx_dns_cache_use(const struct mx_dns_cache *self) {
    return (struct mx_dns_cache_use){self->octets, self->entries, self->evicted};
}
