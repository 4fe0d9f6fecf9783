#include "engine/iptable.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

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
    uint64_t seed;
    uint32_t shard_size; /* entries, a power of two */
    struct shard shards[SHARDS];
};

struct mx_iptable *mx_iptable_new(uint32_t capacity) {
    struct mx_iptable *self = aligned_alloc(64, (sizeof *self + 63) / 64 * 64);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    if (getrandom(&self->seed, sizeof self->seed, GRND_NONBLOCK) < 0)
        self->seed = (uintptr_t)self; /* very early at boot: better than a constant */
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

/* A seed of this process: nobody can choose addresses that all fall into one shard. */
static uint32_t hash(const struct mx_iptable *self, uint32_t service, const struct mx_ip *ip) {
    uint64_t words[2];
    memcpy(words, ip->bytes, sizeof words);
    uint64_t h = self->seed ^ service;
    for (unsigned i = 0; i < 2; i++) {
        h = (h ^ words[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
        h *= 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    return (uint32_t)h;
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
    uint32_t h = hash(self, service, ip);
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
        uint32_t home = (hash(self, entry->service, &entry->ip) / SHARDS) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            shard->entries[gap] = *entry;
            entry->count = 0;
            gap = at;
        }
    }
}

void mx_iptable_leave(struct mx_iptable *self, uint32_t service, const struct mx_ip *ip) {
    uint32_t h = hash(self, service, ip);
    struct shard *shard = &self->shards[h % SHARDS];
    lock(shard);
    struct entry *entry = find(self, shard, h, service, ip);
    assert(entry != NULL && entry->count > 0);
    if (--entry->count == 0)
        close_gap(self, shard, (uint32_t)(entry - shard->entries));
    unlock(shard);
}
