#include "engine/buf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
/* A buffer lent to the kernel is poisoned: a late read of it is reported as use after poison. */
#define LEND(ptr, octets)    ASAN_POISON_MEMORY_REGION(ptr, octets)
#define RECEIVE(ptr, octets) ASAN_UNPOISON_MEMORY_REGION(ptr, octets)
#else
#define LEND(ptr, octets)    ((void)(ptr))
#define RECEIVE(ptr, octets) ((void)(ptr))
#endif

static void *map(size_t octets) {
    void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t ring_octets(const struct mx_buf *self) {
    return self->count * sizeof(struct io_uring_buf);
}

static void put(struct mx_buf *self, uint16_t id) {
    char *ptr = self->memory + (size_t)id * self->octets;
    struct io_uring_buf *entry = &self->ring->bufs[self->tail & (self->count - 1)];
    entry->addr = (uint64_t)(uintptr_t)ptr;
    entry->len = self->octets;
    entry->bid = id;
    self->tail++;
    LEND(ptr, self->octets);
}

int mx_buf_init(struct mx_buf *self, struct mx_ring *ring, uint16_t group, uint32_t count,
                uint32_t octets) {
    assert(count >= 1 && (count & (count - 1)) == 0 && count <= 32768);
    *self = (struct mx_buf){.count = count, .octets = octets, .group = group};
    self->ring = map(ring_octets(self));
    self->memory = map((size_t)count * octets);
    if (self->ring == NULL || self->memory == NULL) {
        mx_buf_deinit(self);
        return -ENOMEM;
    }
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)self->ring, .ring_entries = count, .bgid = group};
    int err = ring->io->register_buffers(ring, &reg);
    if (err < 0) {
        mx_buf_deinit(self);
        return err;
    }
    for (uint32_t id = 0; id < count; id++)
        put(self, (uint16_t)id);
    self->recycled = count;
    mx_buf_publish(self);
    return 0;
}

void mx_buf_deinit(struct mx_buf *self) {
    if (self->memory != NULL) {
        RECEIVE(self->memory, (size_t)self->count * self->octets);
        munmap(self->memory, (size_t)self->count * self->octets);
    }
    if (self->ring != NULL)
        munmap(self->ring, ring_octets(self));
    self->memory = NULL;
    self->ring = NULL;
}

char *mx_buf_take(struct mx_buf *self, uint16_t id) {
    assert(id < self->count && self->free_count > 0);
    self->free_count--;
    char *ptr = self->memory + (size_t)id * self->octets;
    RECEIVE(ptr, self->octets);
    return ptr;
}

void mx_buf_recycle(struct mx_buf *self, uint16_t id) {
    put(self, id);
    self->recycled++;
}

void mx_buf_publish(struct mx_buf *self) {
    if (self->recycled == 0)
        return;
    self->free_count += self->recycled;
    self->recycled = 0;
    assert(self->free_count <= self->count);
    __atomic_store_n(&self->ring->tail, self->tail, __ATOMIC_RELEASE);
}
