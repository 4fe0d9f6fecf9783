#include "engine/iptable.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 64 };

struct entry {
    struct mx_ip ip; /* family 0: empty */
    uint32_t service;
    uint32_t count;
};

struct shard {
    atomic_flag lock;
    struct entry *entries;
} __attribute__((aligned(64)));

struct mx_iptable {
    uint32_t shard_size; /* entries, a power of two */
    struct shard shards[SHARDS];
};

struct mx_iptable *mx_iptable_new(uint32_t capacity) {
    struct mx_iptable *self = aligned_alloc(64, (sizeof *self + 63) / 64 * 64);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    self->shard_size = 16;
    while (self->shard_size * SHARDS < capacity * 2)
        self->shard_size *= 2;
    for (unsigned i = 0; i < SHARDS; i++) {
        self->shards[i].entries = calloc(self->shard_size, sizeof(struct entry));
        if (self->shards[i].entries == NULL) {
            mx_iptable_free(self);
            return NULL;
        }
    }
    return self;
}

void mx_iptable_free(struct mx_iptable *self) {
    if (self == NULL)
        return;
    for (unsigned i = 0; i < SHARDS; i++)
        free(self->shards[i].entries);
    free(self);
}

/* FNV-1a; a flood of chosen addresses fills its shard and is refused, others are not touched. */
static uint32_t hash(uint32_t service, const struct mx_ip *ip) {
    uint32_t h = 2166136261u ^ service;
    for (unsigned i = 0; i < sizeof ip->bytes; i++)
        h = (h ^ ip->bytes[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool is_same(const struct entry *entry, uint32_t service, const struct mx_ip *ip) {
    return entry->service == service && entry->ip.family == ip->family &&
           memcmp(entry->ip.bytes, ip->bytes, sizeof ip->bytes) == 0;
}

/* The entry of this address, or the empty one where it belongs; NULL: the shard is full. */
static struct entry *find(const struct mx_iptable *self, struct shard *shard, uint32_t h,
                          uint32_t service, const struct mx_ip *ip) {
    uint32_t mask = self->shard_size - 1;
    for (uint32_t i = 0; i < self->shard_size; i++) {
        struct entry *entry = &shard->entries[(h / SHARDS + i) & mask];
        if (entry->count == 0 || is_same(entry, service, ip))
            return entry;
    }
    return NULL;
}

static void lock(struct shard *shard) {
    while (atomic_flag_test_and_set_explicit(&shard->lock, memory_order_acquire))
        ;
}

static void unlock(struct shard *shard) {
    atomic_flag_clear_explicit(&shard->lock, memory_order_release);
}

int mx_iptable_enter(struct mx_iptable *self, uint32_t service, const struct mx_ip *ip,
                     uint32_t limit) {
    uint32_t h = hash(service, ip);
    struct shard *shard = &self->shards[h % SHARDS];
    lock(shard);
    struct entry *entry = find(self, shard, h, service, ip);
    bool is_over = entry == NULL || (entry->count > 0 && entry->count >= limit);
    if (!is_over) {
        if (entry->count == 0) {
            entry->ip = *ip;
            entry->service = service;
        }
        entry->count++;
    }
    unlock(shard);
    return is_over ? MX_ELIMIT : 0;
}

/* Close the gap that a removed entry leaves in its probe sequence. */
static void close_gap(const struct mx_iptable *self, struct shard *shard, uint32_t gap) {
    uint32_t mask = self->shard_size - 1;
    for (uint32_t at = (gap + 1) & mask; shard->entries[at].count > 0; at = (at + 1) & mask) {
        struct entry *entry = &shard->entries[at];
        uint32_t home = (hash(entry->service, &entry->ip) / SHARDS) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            shard->entries[gap] = *entry;
            entry->count = 0;
            gap = at;
        }
    }
}

void mx_iptable_leave(struct mx_iptable *self, uint32_t service, const struct mx_ip *ip) {
    uint32_t h = hash(service, ip);
    struct shard *shard = &self->shards[h % SHARDS];
    lock(shard);
    struct entry *entry = find(self, shard, h, service, ip);
    assert(entry != NULL && entry->count > 0);
    if (--entry->count == 0)
        close_gap(self, shard, (uint32_t)(entry - shard->entries));
    unlock(shard);
}
