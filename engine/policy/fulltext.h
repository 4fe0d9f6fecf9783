/* fulltext.h - a whole message in memory, for hooks that have it looked at elsewhere.
 *
 * Gathered by a worker in blocks of its own pool, which is reserved at start and touched as it is
 * used; afterwards constant, and read by whoever has a job that holds it. Taken, held and released
 * on the worker's thread only.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_FULLTEXT_BLOCK = 16384 }; /* octets, with its head */

struct mx_fulltext_block {
    struct mx_fulltext_block *next;
    uint32_t begin, len; /* of the octets, in data */
    char data[];
};

/* Lies in its first block. */
struct mx_fulltext {
    struct mx_fulltext_pool *pool;
    struct mx_fulltext_block *last;
    uint64_t octets;
    uint32_t header_octets; /* at the front: with the empty line, when there is one */
    uint32_t holders;
};

struct mx_fulltext_pool {
    char *memory;
    size_t octets, fresh; /* of the region; offset from which on nothing was ever used */
    struct mx_fulltext_block *free;
    uint64_t used, refused; /* octets handed out; messages that found no room */
};

/* Reserve the region: octets, rounded up to whole blocks; 1.. -ENOMEM. */
MX_MUST_CHECK int mx_fulltext_pool_init(struct mx_fulltext_pool *self, size_t octets);
void mx_fulltext_pool_deinit(struct mx_fulltext_pool *self);

/* An empty one, with one holder. NULL: no room, counted. */
struct mx_fulltext *mx_fulltext_take(struct mx_fulltext_pool *pool);
/* Append. -ENOMEM: no room, counted; it is incomplete then. */
MX_MUST_CHECK int mx_fulltext_append(struct mx_fulltext *self, struct mx_span piece);

static inline void mx_fulltext_hold(struct mx_fulltext *self) {
    self->holders++;
}
/* One holder less; the last one gives its blocks back. NULL is allowed. */
void mx_fulltext_release(struct mx_fulltext *self);

/* The octets piece by piece: start with NULL; NULL: there are no more. A piece may be empty. */
const struct mx_fulltext_block *mx_fulltext_next(const struct mx_fulltext *self,
                                                 const struct mx_fulltext_block *block);
static inline struct mx_span mx_fulltext_piece(const struct mx_fulltext_block *block) {
    return (struct mx_span){block->data + block->begin, block->len};
}
