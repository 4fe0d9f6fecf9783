/* iptable_test.c - counts per address against a plain array, a shard that is full, and the gaps
 * that removed entries leave.
 */
#include "engine/iptable.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

enum { ADDRESSES = 3000, SERVICES = 3 };

static uint32_t counts[SERVICES][ADDRESSES];

static struct mx_ip address(uint32_t i) {
    struct mx_ip ip = {.family = i % 2 ? 6 : 4};
    ip.bytes[0] = 10;
    ip.bytes[1] = (uint8_t)(i >> 16);
    ip.bytes[2] = (uint8_t)(i >> 8);
    ip.bytes[3] = (uint8_t)i;
    return ip;
}

static void enter(struct mx_iptable *table, uint32_t service, uint32_t i, uint32_t limit) {
    struct mx_ip ip = address(i);
    int err = mx_iptable_enter(table, service, &ip, limit);
    int expected = counts[service][i] >= limit ? MX_ELIMIT : 0;
    cr_assert_eq(err, expected, "service %u, address %u holds %u of %u", service, i,
                 counts[service][i], limit);
    counts[service][i] += err == 0;
}

static void leave(struct mx_iptable *table, uint32_t service, uint32_t i) {
    struct mx_ip ip = address(i);
    mx_iptable_leave(table, service, &ip);
    counts[service][i]--;
}

Test(iptable, random_against_a_model) {
    struct rng seed = {9};
    struct mx_iptable *table = mx_iptable_new(SERVICES * ADDRESSES);
    cr_assert_not_null(table);
    for (unsigned step = 0; step < 400000; step++) {
        uint32_t service = rng_take(&seed, SERVICES);
        uint32_t range = step % 2 ? ADDRESSES : 20; /* some come often */
        uint32_t i = rng_take(&seed, range);
        bool grows = (step / 50000) % 2 == 0;
        if (rng_take(&seed, 10) < (grows ? 6U : 3U))
            enter(table, service, i, 1 + rng_take(&seed, 4));
        else if (counts[service][i] > 0)
            leave(table, service, i);
    }
    for (uint32_t service = 0; service < SERVICES; service++) {
        for (uint32_t i = 0; i < ADDRESSES; i++) {
            while (counts[service][i] > 0)
                leave(table, service, i);
            enter(table, service, i, 1); /* nothing is left of it */
            leave(table, service, i);
        }
    }
    mx_iptable_free(table);
}

/* More addresses than the table has room for: the rest is refused, and nothing else breaks. */
Test(iptable, full) {
    static bool is_in[100000];
    struct mx_iptable *table = mx_iptable_new(1);
    cr_assert_not_null(table);
    for (unsigned round = 0; round < 3; round++) {
        uint32_t entered = 0, refused = 0;
        for (uint32_t i = 0; i < 100000; i++) {
            struct mx_ip ip = address(i);
            is_in[i] = mx_iptable_enter(table, 0, &ip, 5) == 0;
            entered += is_in[i];
            refused += !is_in[i];
        }
        cr_assert_gt(entered, 0U);
        cr_assert_gt(refused, 0U);
        for (uint32_t i = 0; i < 100000; i++) {
            struct mx_ip ip = address(i);
            if (!is_in[i])
                continue;
            cr_assert_eq(mx_iptable_enter(table, 0, &ip, 2), 0, "a known one in a full shard");
            cr_assert_eq(mx_iptable_enter(table, 0, &ip, 2), MX_ELIMIT);
            mx_iptable_leave(table, 0, &ip);
        }
        for (uint32_t i = 0; i < 100000; i++) {
            struct mx_ip ip = address(i);
            if (is_in[i])
                mx_iptable_leave(table, 0, &ip);
        }
    }
    mx_iptable_free(table);
}
