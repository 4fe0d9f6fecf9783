#include "engine/policy/fulltext.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

static struct mx_fulltext_block *first_of(const struct mx_fulltext *self) {
    const char *at = (const char *)self - offsetof(struct mx_fulltext_block, data);
    return (struct mx_fulltext_block *)(uintptr_t)at;
}

int mx_fulltext_pool_init(struct mx_fulltext_pool *self, size_t octets) {
    *self = (struct mx_fulltext_pool){.octets = (octets + MX_FULLTEXT_BLOCK - 1) &
                                                -(size_t)MX_FULLTEXT_BLOCK};
    void *memory = mmap(NULL, self->octets, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    self->memory = memory;
    return 0;
}

void mx_fulltext_pool_deinit(struct mx_fulltext_pool *self) {
    if (self->memory != NULL)
        munmap(self->memory, self->octets);
    *self = (struct mx_fulltext_pool){0};
}

static struct mx_fulltext_block *take_block(struct mx_fulltext_pool *self) {
    struct mx_fulltext_block *block = self->free;
    if (block != NULL) {
        self->free = block->next;
    } else if (self->fresh < self->octets) {
        block = (void *)(self->memory + self->fresh);
        self->fresh += MX_FULLTEXT_BLOCK;
    } else {
        return NULL;
    }
    self->used += MX_FULLTEXT_BLOCK;
    *block = (struct mx_fulltext_block){.next = NULL};
    return block;
}

struct mx_fulltext *mx_fulltext_take(struct mx_fulltext_pool *pool) {
    struct mx_fulltext_block *block = take_block(pool);
    if (block == NULL) {
        pool->refused++;
        return NULL;
    }
    block->begin = sizeof(struct mx_fulltext);
    struct mx_fulltext *self = (void *)block->data;
    *self = (struct mx_fulltext){.pool = pool, .last = block, .holders = 1};
    return self;
}

int mx_fulltext_append(struct mx_fulltext *self, struct mx_span piece) {
    while (piece.len > 0) {
        struct mx_fulltext_block *block = self->last;
        size_t used = offsetof(struct mx_fulltext_block, data) + block->begin + block->len;
        size_t room = MX_FULLTEXT_BLOCK - used;
        if (room == 0) {
            struct mx_fulltext_block *next = take_block(self->pool);
            if (next == NULL) {
                self->pool->refused++;
                return -ENOMEM;
            }
            block->next = self->last = next;
            continue;
        }
        size_t len = piece.len < room ? piece.len : room;
        memcpy(block->data + block->begin + block->len, piece.ptr, len);
        block->len += (uint32_t)len;
        self->octets += len;
        piece = mx_span_skip(piece, len);
    }
    return 0;
}

void mx_fulltext_release(struct mx_fulltext *self) {
    if (self == NULL)
        return;
    assert(self->holders > 0);
    if (--self->holders > 0)
        return;
    struct mx_fulltext_pool *pool = self->pool;
    struct mx_fulltext_block *block = first_of(self);
    while (block != NULL) {
        struct mx_fulltext_block *next = block->next;
        block->next = pool->free;
        pool->free = block;
        pool->used -= MX_FULLTEXT_BLOCK;
        block = next;
    }
}

const struct mx_fulltext_block *mx_fulltext_next(const struct mx_fulltext *self,
                                                 const struct mx_fulltext_block *block) {
    return block == NULL ? first_of(self) : block->next;
}
