#include "config/strmap.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { ROWS_MAX = 1 << 30 };

struct mx_strmap_slot {
    uint32_t tag; /* part of the hash; 0: empty */
    uint32_t value;
};

int mx_strmap_new(struct mx_strmap *self, uint32_t rows) {
    *self = (struct mx_strmap){0};
    if (rows > ROWS_MAX)
        return -EFBIG;
    if (getrandom(&self->seed, sizeof self->seed, 0) != sizeof self->seed)
        return -errno;
    uint64_t count = 64;
    while (count < (uint64_t)rows * 2)
        count *= 2;
    size_t octets = (size_t)count * sizeof *self->slots;
    void *slots = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        return -ENOMEM;
    if (madvise(slots, octets, MADV_HUGEPAGE) < 0) {
        /* a kernel without huge pages: slower, not wrong */
    }
    self->slots = slots;
    self->octets = octets;
    self->mask = (uint32_t)(count - 1);
    return 0;
}

void mx_strmap_free(struct mx_strmap *self) {
    if (self->slots != NULL)
        munmap(self->slots, self->octets);
    *self = (struct mx_strmap){0};
}

/* The two halves of the product: every bit of both factors has an influence. */
static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t mx_strmap_hash(const struct mx_strmap *self, struct mx_span key) {
    const uint64_t odd[] = {UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db)};
    uint64_t hash = self->seed ^ fold(key.len ^ odd[0], odd[1]);
    while (key.len > 0) {
        uint64_t word = 0;
        size_t len = key.len < sizeof word ? key.len : sizeof word;
        memcpy(&word, key.ptr, len);
        hash = fold(hash ^ odd[0], word ^ odd[1]);
        key = mx_span_skip(key, len);
    }
    return fold(hash ^ odd[1], odd[0]);
}

struct mx_strmap_walk mx_strmap_walk(const struct mx_strmap *self, uint64_t hash) {
    return (struct mx_strmap_walk){(uint32_t)hash & self->mask, (uint32_t)(hash >> 32) | 1};
}

void mx_strmap_put(struct mx_strmap *self, uint64_t hash, uint32_t value) {
    struct mx_strmap_walk walk = mx_strmap_walk(self, hash);
    assert(self->count <= self->mask / 2);
    while (self->slots[walk.slot].tag != 0)
        walk.slot = (walk.slot + 1) & self->mask;
    self->slots[walk.slot] = (struct mx_strmap_slot){walk.tag, value};
    self->count++;
}

bool mx_strmap_next(const struct mx_strmap *self, struct mx_strmap_walk *walk, uint32_t *value) {
    for (;;) {
        const struct mx_strmap_slot *slot = &self->slots[walk->slot];
        if (slot->tag == 0)
            return false;
        walk->slot = (walk->slot + 1) & self->mask;
        if (slot->tag == walk->tag) {
            *value = slot->value;
            return true;
        }
    }
}
