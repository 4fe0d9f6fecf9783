/* fulltext_test.c - messages in memory: gathered in any pieces, read back, shared, bounded. */
#include "engine/policy/fulltext.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

static void check_same(const struct mx_fulltext *text, const char *wanted, size_t len) {
    size_t at = 0;
    for (const struct mx_fulltext_block *block = NULL;
         (block = mx_fulltext_next(text, block)) != NULL;) {
        struct mx_span piece = mx_fulltext_piece(block);
        cr_assert_leq(at + piece.len, len);
        cr_assert(memcmp(piece.ptr, wanted + at, piece.len) == 0);
        at += piece.len;
    }
    cr_expect_eq(at, len);
    cr_expect_eq(text->octets, len);
}

Test(fulltext, pieces) {
    enum { LEN = 5 * MX_FULLTEXT_BLOCK / 2 };
    struct mx_fulltext_pool pool;
    char *octets = malloc(LEN);
    cr_assert_not_null(octets);
    for (size_t i = 0; i < LEN; i++)
        octets[i] = (char)(i * 31 + i / 997);
    cr_assert_eq(mx_fulltext_pool_init(&pool, (size_t)3 * MX_FULLTEXT_BLOCK), 0);
    for (size_t step = 777; step <= LEN; step = step * 3 + 1) {
        struct mx_fulltext *text = mx_fulltext_take(&pool);
        cr_assert_not_null(text);
        for (size_t at = 0; at < LEN; at += step) {
            struct mx_span piece = {octets + at, LEN - at < step ? LEN - at : step};
            cr_assert_eq(mx_fulltext_append(text, piece), 0);
        }
        check_same(text, octets, LEN);
        mx_fulltext_release(text);
        cr_expect_eq(pool.used, 0U);
    }
    cr_expect_eq(pool.refused, 0U);
    mx_fulltext_pool_deinit(&pool);
    free(octets);
}

Test(fulltext, bounds) {
    static char octets[MX_FULLTEXT_BLOCK];
    struct mx_fulltext_pool pool;
    cr_assert_eq(mx_fulltext_pool_init(&pool, 1), 0);
    struct mx_fulltext *text = mx_fulltext_take(&pool);
    cr_assert_not_null(text);
    cr_expect_null(mx_fulltext_take(&pool), "there is one block");
    cr_expect_eq(mx_fulltext_append(text, (struct mx_span){octets, sizeof octets}), -ENOMEM);
    cr_expect_eq(pool.refused, 2U);
    mx_fulltext_release(text);
    text = mx_fulltext_take(&pool);
    cr_expect_not_null(text);
    check_same(text, octets, 0);
    mx_fulltext_release(text);
    mx_fulltext_release(NULL);
    mx_fulltext_pool_deinit(&pool);
}

Test(fulltext, stays_while_it_is_held) {
    struct mx_fulltext_pool pool;
    cr_assert_eq(mx_fulltext_pool_init(&pool, MX_FULLTEXT_BLOCK), 0);
    struct mx_fulltext *text = mx_fulltext_take(&pool);
    cr_assert_not_null(text);
    cr_expect_eq(mx_fulltext_append(text, MX_SPAN("abc")), 0);
    mx_fulltext_hold(text);
    mx_fulltext_release(text);
    cr_expect_null(mx_fulltext_take(&pool));
    check_same(text, "abc", 3);
    mx_fulltext_release(text);
    cr_expect_eq(pool.used, 0U);
    mx_fulltext_pool_deinit(&pool);
}
