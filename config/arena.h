/* arena.h - memory that is given back all at once. Private to config/.
 *
 * Failure is sticky: after one failed take every take fails and is_failed stays set, so a builder
 * may check once at its end.
 */
#pragma once
#include "proto/span.h"

struct mx_arena_chunk;

struct mx_arena {
    struct mx_arena_chunk *chunks; /* newest first */
    size_t used, room;             /* octets, of the newest chunk */
    bool is_failed;                /* out of memory */
};

/* An empty arena; NULL: out of memory. */
struct mx_arena *mx_arena_new(void);

/* Free the arena and everything taken from it. NULL is allowed. */
void mx_arena_free(struct mx_arena *self);

/* len zeroed octets, aligned for any type; NULL: out of memory. Owned by the arena. */
void *mx_arena_take(struct mx_arena *self, size_t len);

/* A NUL-terminated copy; NULL: out of memory. */
char *mx_arena_copy(struct mx_arena *self, struct mx_span text);

/* Room for one item more in an array of the arena that holds count items of item_len octets each.
 * Returns the array, perhaps a new one (the old one stays until the arena goes), and updates
 * *capacity; NULL: out of memory. Start with rows NULL, capacity 0. */
void *mx_arena_grow(struct mx_arena *self, void *rows, uint32_t count, uint32_t *capacity,
                    size_t item_len);
