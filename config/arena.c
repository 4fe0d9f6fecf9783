#include "config/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK_OCTETS = 16 * 1024 };

struct mx_arena_chunk {
    struct mx_arena_chunk *next;
    alignas(max_align_t) char bytes[];
};

struct mx_arena *mx_arena_new(void) {
    return calloc(1, sizeof(struct mx_arena));
}

void mx_arena_free(struct mx_arena *self) {
    if (!self)
        return;
    for (struct mx_arena_chunk *chunk = self->chunks; chunk;) {
        struct mx_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(self);
}

static bool chunk_new(struct mx_arena *self, size_t len) {
    size_t room = len > CHUNK_OCTETS ? len : CHUNK_OCTETS;
    struct mx_arena_chunk *chunk =
        room > SIZE_MAX / 2 ? NULL : calloc(1, sizeof(struct mx_arena_chunk) + room);
    if (!chunk)
        return false;
    chunk->next = self->chunks;
    self->chunks = chunk;
    self->used = 0;
    self->room = room;
    return true;
}

void *mx_arena_take(struct mx_arena *self, size_t len) {
    const size_t align = alignof(max_align_t);
    len = len > SIZE_MAX / 2 ? len : (len + align - 1) / align * align;
    if (self->is_failed)
        return NULL;
    if (self->room - self->used < len && !chunk_new(self, len)) {
        self->is_failed = true;
        return NULL;
    }
    void *bytes = self->chunks ? self->chunks->bytes + self->used : NULL;
    self->used += len;
    return bytes;
}

char *mx_arena_copy(struct mx_arena *self, struct mx_span text) {
    char *copy = mx_arena_take(self, text.len + 1);
    if (copy && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

void *mx_arena_grow(struct mx_arena *self, void *rows, uint32_t count, uint32_t *capacity,
                    size_t item_len) {
    if (count < *capacity)
        return rows;
    uint32_t wanted = *capacity ? *capacity * 2 : 8;
    void *bigger = mx_arena_take(self, wanted * item_len);
    if (!bigger)
        return NULL;
    if (count > 0)
        memcpy(bigger, rows, count * item_len);
    *capacity = wanted;
    return bigger;
}
