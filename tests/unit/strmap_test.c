/* Goal: what was put is found, what was not put is not, whatever the keys are.
 * Method: 100,000 keys of all lengths; the caller's comparison decides, as users do it. */
#include "config/strmap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

enum { KEYS = 100000 };

static size_t key_of(uint32_t number, char *key, size_t size) {
    return (size_t)snprintf(key, size, "%u%.*s", number, (int)(number % 40),
                            "@example.com-and-some-more-octets-behind");
}

static bool has(const struct mx_strmap *map, uint32_t number, uint32_t *steps) {
    char key[64];
    size_t len = key_of(number, key, sizeof key);
    struct mx_strmap_walk walk =
        mx_strmap_walk(map, mx_strmap_hash(map, (struct mx_span){key, len}));
    uint32_t value = 0;
    while (mx_strmap_next(map, &walk, &value)) {
        ++*steps;
        if (value == number)
            return true;
    }
    return false;
}

Test(strmap, finds_what_was_put) {
    struct mx_strmap map;
    uint32_t steps = 0, found = 0;
    int err = mx_strmap_new(&map, KEYS);
    cr_assert_eq(err, 0);
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[64];
        size_t len = key_of(i, key, sizeof key);
        mx_strmap_put(&map, mx_strmap_hash(&map, (struct mx_span){key, len}), i);
    }
    cr_expect_eq(map.count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        found += has(&map, i, &steps);
    cr_expect_eq(found, KEYS);
    /* the tags tell almost all rows apart */
    cr_expect_leq(steps, KEYS + 100, "%u", steps);
    for (uint32_t i = KEYS; i < 2 * KEYS; i++)
        found += has(&map, i, &steps);
    cr_expect_eq(found, KEYS);
    mx_strmap_free(&map);
}

Test(strmap, empty) {
    struct mx_strmap map;
    uint32_t steps = 0;
    int err = mx_strmap_new(&map, 0);
    cr_assert_eq(err, 0);
    cr_expect_not(has(&map, 1, &steps));
    mx_strmap_free(&map);
    mx_strmap_free(&map);
}

Test(strmap, more_rows_than_a_map_can_have) {
    struct mx_strmap map;
    int err = mx_strmap_new(&map, (1U << 30) + 1);
    cr_expect_eq(err, -EFBIG);
    err = mx_strmap_new(&map, UINT32_MAX);
    cr_expect_eq(err, -EFBIG);
    mx_strmap_free(&map);
}

Test(strmap, too_many_rows_are_a_bug, .signal = SIGABRT) {
    struct mx_strmap map;
    int err = mx_strmap_new(&map, 4);
    for (uint32_t i = 0; err == 0 && i < 1000; i++)
        mx_strmap_put(&map, i * UINT64_C(0x9e3779b97f4a7c15), i);
}

Test(strmap, each_map_has_its_own_seed) {
    struct mx_strmap a, b;
    int err = mx_strmap_new(&a, 1);
    cr_assert_eq(err, 0);
    err = mx_strmap_new(&b, 1);
    cr_assert_eq(err, 0);
    cr_expect_neq(mx_strmap_hash(&a, MX_SPAN("x")), mx_strmap_hash(&b, MX_SPAN("x")));
    mx_strmap_free(&a);
    mx_strmap_free(&b);
}
