/* guard.h - for tests of code that reads spans: memory between two pages that nobody can touch, and
 * a small random generator. An octet read or written too far ends the test by SIGSEGV.
 */
#pragma once
#include "proto/span.h"

#include <assert.h>
#include <sys/mman.h>

enum { GUARD_PAGE = 4096, GUARD_LEN = 4 * GUARD_PAGE };

struct guard {
    char *begin, *end; /* GUARD_LEN octets */
};

static inline struct guard guard_map(void) {
    char *at =
        mmap(NULL, GUARD_LEN + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(at != MAP_FAILED);
    struct guard self = {at + GUARD_PAGE, at + GUARD_PAGE + GUARD_LEN};
    int err = mprotect(self.begin, GUARD_LEN, PROT_READ | PROT_WRITE);
    assert(err == 0);
    return self;
}

/* Copy text so that it ends where the memory ends, or begins where it begins. */
static inline struct mx_span guard_put(const struct guard *self, struct mx_span text,
                                       bool is_at_end) {
    assert(text.len <= GUARD_LEN);
    char *to = is_at_end ? self->end - text.len : self->begin;
    if (text.len > 0)
        memcpy(to, text.ptr, text.len);
    return (struct mx_span){to, text.len};
}

/* xorshift64*: the seed may be any number but 0. */
struct rng {
    uint64_t state;
};

/* 0..below-1 */
static inline uint32_t rng_take(struct rng *self, uint32_t below) {
    self->state ^= self->state >> 12;
    self->state ^= self->state << 25;
    self->state ^= self->state >> 27;
    return (uint32_t)((self->state * UINT64_C(2685821657736338717)) >> 33) % below;
}
