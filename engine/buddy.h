/* buddy.h - the session memory of one worker: replies, unfinished lines, envelopes.
 *
 * A buddy allocator over one fixed region: blocks of 512 octets << order. The region is reserved at
 * start and touched as it is used; it never grows. Freed blocks are kept in small stacks first, so
 * that the usual take and give is a few instructions and stays in the cache.
 */
#pragma once
#include "proto/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MX_BUDDY_MIN = 512,   /* smallest block, octets */
    MX_BUDDY_ORDERS = 13, /* largest block: 512 << 12 = 2 MiB */
    MX_BUDDY_MAX = MX_BUDDY_MIN << (MX_BUDDY_ORDERS - 1),
    MX_BUDDY_STACK = 32, /* freed blocks kept at hand for each order */
};

struct mx_buddy_block;

struct mx_buddy {
    char *memory;
    size_t octets; /* of the region; a multiple of MX_BUDDY_MAX */
    size_t fresh;  /* offset from which on nothing was ever used */
    size_t used;   /* octets handed out */
    size_t used_peak;
    uint64_t refused; /* requests that found no block */
    uint8_t *map;     /* one octet a smallest block: order of the free block that begins there */
    struct mx_buddy_block *free[MX_BUDDY_ORDERS];
    void *stack[MX_BUDDY_ORDERS][MX_BUDDY_STACK];
    uint8_t stacked[MX_BUDDY_ORDERS];
};

/* Reserve the region. octets is rounded up to a multiple of MX_BUDDY_MAX. -ENOMEM. */
MX_MUST_CHECK int mx_buddy_init(struct mx_buddy *self, size_t octets);
void mx_buddy_deinit(struct mx_buddy *self);

/* How large a block for so many octets (1..MX_BUDDY_MAX) is. */
uint32_t mx_buddy_size(uint32_t octets);

/* A block of at least `octets` (1..MX_BUDDY_MAX); *got is its true size. NULL: none is left.
 * Contents are undefined. */
char *mx_buddy_take(struct mx_buddy *self, uint32_t octets, uint32_t *got);

/* Give a block back; octets is the size that mx_buddy_take said. NULL is ignored. */
void mx_buddy_give(struct mx_buddy *self, char *ptr, uint32_t octets);

/* Less than a quarter is left: whoever only wants more than it has is refused. */
static inline bool mx_buddy_is_tight(const struct mx_buddy *self) {
    return self->used > self->octets - self->octets / 4;
}
