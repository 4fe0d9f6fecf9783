/* change_test.c - changes of a header: what comes in, and what may stand in a message. */
#include "proto/change.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

#define ROWS(table)   (sizeof(table) / sizeof *(table))
#define TEXT(literal) ((struct mx_span){(literal), sizeof(literal) - 1})

Test(change, values) {
    static const struct {
        struct mx_span value;
        const char *whole;
    } rows[] = {
        {TEXT("b"),               "A: b\r\n"            },
        {TEXT(" b"),              "A: b\r\n"            },
        {TEXT("\tb"),             "A:\tb\r\n"           },
        {TEXT(""),                "A: \r\n"             },
        {TEXT("b\n"),             "A: b\r\n"            },
        {TEXT("b\r\n\r\n"),       "A: b\r\n"            },
        {TEXT("b\n c"),           "A: b\r\n c\r\n"      },
        {TEXT("b\r\n\tc"),        "A: b\r\n\tc\r\n"     },
        {TEXT("b\nBcc: x"),       "A: b\r\n\tBcc: x\r\n"},
        {TEXT("b\n\n\r\n\nevil"), "A: b\r\n\tevil\r\n"  },
        {TEXT("b\n\r\n c"),       "A: b\r\n c\r\n"      },
        {TEXT("b\rc\0d"),         "A: bcd\r\n"          },
        {TEXT("\n"),              "A: \r\n"             },
        {TEXT("\nb"),             "A: \r\n\tb\r\n"      },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char room[128];
        struct mx_changes changes = {.ptr = room, .cap = sizeof room};
        struct mx_change change;
        uint32_t at = 0;
        cr_expect_eq(mx_changes_put(&changes, MX_CHANGE_ADD, 0, TEXT("A"), rows[i].value), 0);
        cr_assert(mx_changes_next(&changes, &at, &change));
        cr_expect(mx_span_equal(change.whole, mx_span_of(rows[i].whole)), "%zu: '%.*s'", i,
                  (int)change.whole.len, change.whole.ptr);
        cr_expect(mx_span_equal(change.name, TEXT("A")));
        cr_expect(!mx_changes_next(&changes, &at, &change));
    }
}

Test(change, names) {
    static const struct mx_span bad[] = {TEXT(""),     TEXT("a b"),  TEXT("a:"),  TEXT("a\n"),
                                         TEXT("a\0b"), TEXT("\xe4"), TEXT("\x7f")};
    char room[2048], longest[998];
    struct mx_changes changes = {.ptr = room, .cap = sizeof room};
    memset(longest, 'a', sizeof longest);
    for (size_t i = 0; i < ROWS(bad); i++)
        cr_expect_eq(mx_changes_put(&changes, MX_CHANGE_SET, 0, bad[i], TEXT("b")), MX_ESYNTAX,
                     "%zu", i);
    cr_expect_eq(
        mx_changes_put(&changes, MX_CHANGE_REMOVE, 1, (struct mx_span){longest, 998}, TEXT("")),
        MX_ESYNTAX);
    cr_expect_eq(changes.len, 0U);
    cr_expect_eq(
        mx_changes_put(&changes, MX_CHANGE_REMOVE, 1, (struct mx_span){longest, 997}, TEXT("")), 0);
}

Test(change, one_after_the_other) {
    char room[256];
    struct mx_changes changes = {.ptr = room, .cap = sizeof room};
    struct mx_change change;
    uint32_t at = 0;
    cr_expect_eq(mx_changes_put(&changes, MX_CHANGE_INSERT, 3, TEXT("A"), TEXT("b")), 0);
    cr_expect_eq(mx_changes_put(&changes, MX_CHANGE_REMOVE, 2, TEXT("Bc"), TEXT("ignored")), 0);
    cr_expect_eq(mx_changes_put(&changes, MX_CHANGE_REPLACE, 1, TEXT("D"), TEXT("e")), 0);
    cr_assert(mx_changes_next(&changes, &at, &change));
    cr_expect(change.kind == MX_CHANGE_INSERT && change.index == 3);
    cr_assert(mx_changes_next(&changes, &at, &change));
    cr_expect(change.kind == MX_CHANGE_REMOVE && change.index == 2 && change.whole.len == 0);
    cr_expect(mx_span_equal(change.name, TEXT("Bc")));
    cr_assert(mx_changes_next(&changes, &at, &change));
    cr_expect(change.kind == MX_CHANGE_REPLACE);
    cr_expect(mx_span_equal(change.whole, TEXT("D: e\r\n")));
    cr_expect(!mx_changes_next(&changes, &at, &change));
}

/* It fits or it does not: nothing is written in part. */
Test(change, room) {
    struct guard guard = guard_map();
    uint32_t need = 0;
    for (uint32_t cap = 0; cap < 64; cap++) {
        struct mx_changes changes = {.ptr = guard.end - cap, .cap = cap};
        int err = mx_changes_put(&changes, MX_CHANGE_ADD, 0, TEXT("Name"), TEXT("a\nb"));
        cr_expect(err == 0 || (err == MX_ENOROOM && changes.len == 0));
        need = err == 0 && need == 0 ? cap : need;
        cr_expect(need == 0 || err == 0);
        cr_expect(err < 0 || changes.len == need);
    }
    cr_expect_gt(need, 0U);
}
