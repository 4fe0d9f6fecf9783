#include "engine/buddy.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct mx_buddy_block {
    struct mx_buddy_block *next, **prev;
};

/* map[i]: 0 = inside a block or handed out, else 1 + order of the free block beginning there */
static size_t index_of(const struct mx_buddy *self, const void *ptr) {
    return (size_t)((const char *)ptr - self->memory) / MX_BUDDY_MIN;
}

static uint32_t size_of(unsigned order) {
    return (uint32_t)MX_BUDDY_MIN << order;
}

static unsigned order_for(uint32_t octets) {
    assert(octets >= 1 && octets <= MX_BUDDY_MAX);
    return octets <= MX_BUDDY_MIN ? 0 : 32u - (unsigned)__builtin_clz((octets - 1) / MX_BUDDY_MIN);
}

uint32_t mx_buddy_size(uint32_t octets) {
    return size_of(order_for(octets));
}

int mx_buddy_init(struct mx_buddy *self, size_t octets) {
    memset(self, 0, sizeof *self);
    self->octets = (octets + MX_BUDDY_MAX - 1) / MX_BUDDY_MAX * MX_BUDDY_MAX;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, self->octets, PROT_READ | PROT_WRITE, flags, -1, 0);
    void *map = mmap(NULL, self->octets / MX_BUDDY_MIN, PROT_READ | PROT_WRITE, flags, -1, 0);
    self->memory = memory == MAP_FAILED ? NULL : memory;
    self->map = map == MAP_FAILED ? NULL : map;
    if (self->memory == NULL || self->map == NULL) {
        mx_buddy_deinit(self);
        return -ENOMEM;
    }
    return 0;
}

void mx_buddy_deinit(struct mx_buddy *self) {
    if (self->memory != NULL)
        munmap(self->memory, self->octets);
    if (self->map != NULL)
        munmap(self->map, self->octets / MX_BUDDY_MIN);
    self->memory = NULL;
    self->map = NULL;
}

static void link_free(struct mx_buddy *self, void *ptr, unsigned order) {
    struct mx_buddy_block *block = ptr;
    block->next = self->free[order];
    block->prev = &self->free[order];
    if (block->next != NULL)
        block->next->prev = &block->next;
    self->free[order] = block;
    self->map[index_of(self, ptr)] = (uint8_t)(1 + order);
}

static void unlink_free(struct mx_buddy *self, struct mx_buddy_block *block) {
    *block->prev = block->next;
    if (block->next != NULL)
        block->next->prev = block->prev;
    self->map[index_of(self, block)] = 0;
}

/* Put a block into the free lists, merged with its free buddies. */
static void merge(struct mx_buddy *self, char *ptr, unsigned order) {
    size_t at = index_of(self, ptr);
    while (order + 1 < MX_BUDDY_ORDERS) {
        size_t buddy = at ^ ((size_t)1 << order);
        if (self->map[buddy] != 1 + order)
            break;
        unlink_free(self, (struct mx_buddy_block *)(void *)(self->memory + buddy * MX_BUDDY_MIN));
        at &= ~((size_t)1 << order);
        order++;
    }
    link_free(self, self->memory + at * MX_BUDDY_MIN, order);
}

static void flush_stacks(struct mx_buddy *self) {
    for (unsigned order = 0; order < MX_BUDDY_ORDERS; order++) {
        while (self->stacked[order] > 0)
            merge(self, self->stack[order][--self->stacked[order]], order);
    }
}

static char *split(struct mx_buddy *self, unsigned order) {
    unsigned from = order;
    while (from < MX_BUDDY_ORDERS && self->free[from] == NULL)
        from++;
    char *ptr;
    if (from < MX_BUDDY_ORDERS) {
        ptr = (char *)self->free[from];
        unlink_free(self, self->free[from]);
    } else if (self->fresh < self->octets) {
        from = MX_BUDDY_ORDERS - 1;
        ptr = self->memory + self->fresh;
        self->fresh += MX_BUDDY_MAX;
    } else {
        return NULL;
    }
    while (from > order) { /* keep the lower half, free the upper one */
        from--;
        link_free(self, ptr + size_of(from), from);
    }
    return ptr;
}

char *mx_buddy_take(struct mx_buddy *self, uint32_t octets, uint32_t *got) {
    unsigned order = order_for(octets);
    char *ptr;
    if (self->stacked[order] > 0) {
        ptr = self->stack[order][--self->stacked[order]];
    } else {
        ptr = split(self, order);
        if (ptr == NULL) { /* what lies in the stacks may merge to something large enough */
            flush_stacks(self);
            ptr = split(self, order);
        }
        if (ptr == NULL) {
            self->refused++;
            return NULL;
        }
    }
    *got = size_of(order);
    self->used += *got;
    if (self->used > self->used_peak)
        self->used_peak = self->used;
    return ptr;
}

void mx_buddy_give(struct mx_buddy *self, char *ptr, uint32_t octets) {
    if (ptr == NULL)
        return;
    unsigned order = order_for(octets);
    assert(size_of(order) == octets && self->used >= octets);
    self->used -= octets;
    if (self->stacked[order] < MX_BUDDY_STACK)
        self->stack[order][self->stacked[order]++] = ptr;
    else
        merge(self, ptr, order);
}
