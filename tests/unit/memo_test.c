/* memo_test.c - facts that are remembered for a while: found again, forgotten in time, bounded. */
#include "engine/policy/memo.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct look {
    uint64_t keep_ms;
    bool was_new;
    uint64_t count;
};

static uint64_t count_up(void *context, struct mx_memo_fact *fact, bool is_new) {
    struct look *self = context;
    self->was_new = is_new;
    self->count = ++fact->first;
    return self->keep_ms;
}

static struct look look(struct mx_memo *memo, uint32_t space, const char *text, uint64_t now_ms,
                        uint64_t keep_ms) {
    struct look self = {.keep_ms = keep_ms};
    mx_memo_update(memo, mx_memo_key(memo, space, mx_span_of(text)), now_ms, count_up, &self);
    return self;
}

Test(memo, remembers_and_forgets) {
    struct mx_memo *memo = mx_memo_new(1 << 16);
    cr_assert_not_null(memo);
    cr_expect(look(memo, 1, "a", 1000, 500).was_new);
    cr_expect_eq(look(memo, 1, "a", 1499, 500).count, 2U, "remembered, and from now on again");
    cr_expect_eq(look(memo, 1, "a", 1998, 500).count, 3U);
    cr_expect(look(memo, 2, "a", 1998, 500).was_new, "another space");
    cr_expect(look(memo, 1, "b", 1998, 500).was_new, "another text");
    cr_expect(look(memo, 1, "a", 2498, 500).was_new, "its time is over");
    cr_expect_eq(look(memo, 1, "a", 2499, 0).count, 2U, "forgotten now");
    cr_expect(look(memo, 1, "a", 2499, 500).was_new);
    mx_memo_free(memo);
}

/* Nobody can compute what falls together with what. */
Test(memo, keys_are_secret) {
    struct mx_memo *one = mx_memo_new(1 << 16), *other = mx_memo_new(1 << 16);
    struct mx_memo_key a = mx_memo_key(one, 1, MX_SPAN("a"));
    struct mx_memo_key b = mx_memo_key(other, 1, MX_SPAN("a"));
    cr_expect_neq(a.words[0], b.words[0]);
    mx_memo_free(one);
    mx_memo_free(other);
}

/* Far more facts than there is room for: the newest are there, and nothing else happens. */
Test(memo, is_bounded) {
    enum { FACTS = 100000, LAST = 16 };
    struct mx_memo *memo = mx_memo_new(1 << 16);
    char text[32];
    uint32_t known = 0;
    for (unsigned i = 0; i < FACTS; i++) {
        snprintf(text, sizeof text, "%u", i);
        cr_assert(look(memo, 1, text, 1 + i, 1000000).was_new, "%u", i);
    }
    for (unsigned i = FACTS - LAST; i < FACTS; i++) {
        snprintf(text, sizeof text, "%u", i);
        known += !look(memo, 1, text, FACTS, 1000000).was_new;
    }
    cr_expect_geq(known, LAST - 2U, "the oldest of a bucket goes: %u", known);
    mx_memo_free(memo);
}
