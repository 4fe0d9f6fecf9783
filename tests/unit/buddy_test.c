/* buddy_test.c - the allocator against a map of who owns which octet: blocks never overlap, have
 * the size they say, and merge back into the largest blocks when all are given back.
 */
#include "engine/buddy.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

enum { BLOCKS = 3000, REGION = 2 * MX_BUDDY_MAX };

static struct mx_buddy buddy;
static struct {
    char *ptr;
    uint32_t octets;
} blocks[BLOCKS];
static unsigned count;
static size_t held;
static uint8_t owned[REGION / MX_BUDDY_MIN]; /* 1: handed out */

static void mark(const char *ptr, uint32_t octets, uint8_t from, uint8_t to) {
    size_t at = (size_t)(ptr - buddy.memory) / MX_BUDDY_MIN;
    cr_assert_eq((size_t)(ptr - buddy.memory) % octets, 0U, "not aligned to its size");
    cr_assert_leq(at * MX_BUDDY_MIN + octets, (size_t)REGION);
    for (size_t i = 0; i < octets / MX_BUDDY_MIN; i++) {
        cr_assert_eq(owned[at + i], from, "blocks overlap");
        owned[at + i] = to;
    }
}

static bool take(uint32_t octets) {
    uint32_t got = 0;
    char *ptr = mx_buddy_take(&buddy, octets, &got);
    if (ptr == NULL)
        return false;
    cr_assert_geq(got, octets);
    cr_assert(got == MX_BUDDY_MIN || got / 2 < octets, "%u for %u", got, octets);
    mark(ptr, got, 0, 1);
    memset(ptr, (int)(count & 0xFF), got);
    blocks[count].ptr = ptr;
    blocks[count++].octets = got;
    held += got;
    return true;
}

static void give(unsigned i) {
    mark(blocks[i].ptr, blocks[i].octets, 1, 0);
    held -= blocks[i].octets;
    mx_buddy_give(&buddy, blocks[i].ptr, blocks[i].octets);
    blocks[i] = blocks[--count];
}

static void begin(void) {
    cr_assert_eq(mx_buddy_init(&buddy, REGION - 1000), 0); /* rounded up */
    cr_assert_eq(buddy.octets, (size_t)REGION);
    memset(owned, 0, sizeof owned);
    count = 0;
    held = 0;
}

/* Everything is back: the whole region can be had in the largest blocks. */
static void check_merged(void) {
    while (count > 0)
        give(count - 1);
    cr_assert_eq(buddy.used, 0U);
    for (unsigned i = 0; i < REGION / MX_BUDDY_MAX; i++)
        cr_assert(take(MX_BUDDY_MAX), "block %u did not merge", i);
    cr_assert_not(take(1));
    while (count > 0)
        give(0);
}

Test(buddy, random_against_a_map) {
    struct rng seed = {3};
    begin();
    for (unsigned run = 0; run < 20; run++) {
        for (unsigned step = 0; step < 4000; step++) {
            unsigned order = rng_take(&seed, MX_BUDDY_ORDERS);
            uint32_t octets = 1 + rng_take(&seed, (uint64_t)MX_BUDDY_MIN << order);
            bool takes = rng_take(&seed, 100) < (run % 2 ? 40 : 60);
            if (takes && count < BLOCKS)
                take(octets);
            else if (count > 0)
                give(rng_take(&seed, count));
            cr_assert_eq(buddy.used, held);
            cr_assert_leq(held, buddy.used_peak);
            cr_assert_eq(mx_buddy_is_tight(&buddy), held > (size_t)REGION / 4 * 3);
        }
        check_merged();
    }
    mx_buddy_deinit(&buddy);
}

/* The smallest blocks: all of them can be had, then none, then all again. */
Test(buddy, exhaustion) {
    static char *all[REGION / MX_BUDDY_MIN];
    begin();
    for (unsigned round = 0; round < 3; round++) {
        uint32_t got = 0;
        for (unsigned i = 0; i < REGION / MX_BUDDY_MIN; i++) {
            all[i] = mx_buddy_take(&buddy, 1, &got);
            cr_assert_not_null(all[i], "block %u", i);
            mark(all[i], got, 0, 1);
        }
        uint64_t refused = buddy.refused;
        cr_assert_null(mx_buddy_take(&buddy, 1, &got));
        cr_assert_eq(buddy.refused, refused + 1);
        for (unsigned i = 0; i < REGION / MX_BUDDY_MIN; i++) {
            mark(all[i], MX_BUDDY_MIN, 1, 0);
            mx_buddy_give(&buddy, all[i], MX_BUDDY_MIN);
        }
        check_merged();
    }
    mx_buddy_give(&buddy, NULL, 0);
    cr_assert_eq(buddy.used, 0U);
    mx_buddy_deinit(&buddy);
}
