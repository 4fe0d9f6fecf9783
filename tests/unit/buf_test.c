/* buf_test.c - the provided-buffer ring, read as the kernel reads it: entries in order up to the
 * tail, each buffer once, again only after it was recycled and published; the 16-bit tail wraps.
 */
#include "engine/buf.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <errno.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(ptr, octets) ((void)(ptr))
#endif

enum { COUNT = 16, OCTETS = 4096, GROUP = 1 };

static struct io_uring_buf_reg registered;
static int register_result;

static int record_registration(struct mx_ring *ring, struct io_uring_buf_reg *reg) {
    (void)ring;
    registered = *reg;
    return register_result;
}

static const struct mx_ring_io io = {.register_buffers = record_registration};
static struct mx_ring ring = {.io = &io};
static struct mx_buf buf;
static uint16_t head;

/* What the kernel would pick; false: it would answer ENOBUFS. */
static bool pick(uint16_t *id) {
    struct io_uring_buf_ring *entries = (struct io_uring_buf_ring *)(uintptr_t)registered.ring_addr;
    if (head == __atomic_load_n(&entries->tail, __ATOMIC_ACQUIRE))
        return false;
    const struct io_uring_buf *entry = &entries->bufs[head++ & (COUNT - 1)];
    cr_assert_lt(entry->bid, COUNT);
    cr_assert_eq(entry->len, (uint32_t)OCTETS);
    char *ptr = (char *)(uintptr_t)entry->addr;
    ASAN_UNPOISON_MEMORY_REGION(ptr, OCTETS);
    memset(ptr, entry->bid, OCTETS);
    *id = entry->bid;
    return true;
}

Test(buf, random_take_and_recycle) {
    struct rng seed = {5};
    uint16_t held[COUNT], id = 0;
    unsigned held_count = 0, waiting = 0; /* waiting: recycled, not published */
    cr_assert_eq(mx_buf_init(&buf, &ring, GROUP, COUNT, OCTETS), 0);
    cr_assert_eq(registered.ring_entries, (uint32_t)COUNT);
    cr_assert_eq(registered.bgid, GROUP);
    for (unsigned step = 0; step < 300000; step++) {
        uint64_t what = rng_take(&seed, 3);
        if (what == 0) {
            bool is_there = pick(&id);
            cr_assert_eq(is_there, held_count + waiting < COUNT);
            if (!is_there)
                continue;
            for (unsigned i = 0; i < held_count; i++)
                cr_assert_neq(held[i], id, "picked twice");
            const char *ptr = mx_buf_take(&buf, id);
            cr_assert(ptr[0] == (char)id && ptr[OCTETS - 1] == (char)id);
            held[held_count++] = id;
        } else if (what == 1 && held_count > 0) {
            unsigned i = rng_take(&seed, held_count);
            mx_buf_recycle(&buf, held[i]);
            held[i] = held[--held_count];
            waiting++;
        } else if (what == 2) {
            mx_buf_publish(&buf);
            waiting = 0;
        }
        cr_assert_eq(buf.free_count, COUNT - held_count - waiting);
        cr_assert_eq(buf.recycled, waiting);
    }
    cr_assert_gt(buf.tail + 0U, 0U);
    mx_buf_deinit(&buf);
}

Test(buf, a_kernel_that_refuses) {
    register_result = -EINVAL;
    cr_assert_eq(mx_buf_init(&buf, &ring, GROUP, COUNT, OCTETS), -EINVAL);
    cr_assert_null(buf.ring);
    cr_assert_null(buf.memory);
    mx_buf_deinit(&buf);
}
