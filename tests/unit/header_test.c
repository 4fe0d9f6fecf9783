/* header_test.c - a message's header: gathered in any cut, read field by field, changed in place.
 */
#include "engine/limits.h"
#include "engine/policy/header.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static struct mx_buddy buddy;

static void begin(struct mx_header *header) {
    cr_assert_eq(mx_buddy_init(&buddy, MX_BUDDY_MAX), 0);
    mx_header_init(header, &buddy);
}

static void end(struct mx_header *header) {
    mx_header_free(header);
    cr_expect_eq(buddy.used, 0U, "all memory is given back");
    mx_buddy_deinit(&buddy);
}

/* In pieces of that many octets, each in a block of its own. Returns how much was taken. */
static size_t take(struct mx_header *header, const char *text, size_t step) {
    size_t len = strlen(text), taken = 0;
    while (taken < len && !header->is_over) {
        size_t piece = len - taken < step ? len - taken : step;
        char *copy = malloc(piece);
        cr_assert_not_null(copy);
        memcpy(copy, text + taken, piece);
        struct mx_span content = {copy, piece};
        cr_assert_eq(mx_header_take(header, &content), 0);
        taken += piece - content.len;
        free(copy);
    }
    return taken;
}

Test(header, where_it_ends) {
    static const struct {
        const char *name, *text;
        size_t len;
        bool is_over;
    } rows[] = {
        {"usual",         "A: b\r\nC: d\r\n\r\nbody\r\n\r\n", 14, true },
        {"empty",         "\r\nbody",                         2,  true },
        {"bare LF",       "A: b\n\nbody",                     6,  true },
        {"mixed",         "A: b\r\n\nbody",                   7,  true },
        {"none",          "A: b\r\nC: d\r\n",                 12, false},
        {"cut line",      "A: b",                             4,  false},
        {"a blank",       "A: b\r\n \r\nC: d",                13, false},
        {"CR in a line",  "A: \r\r\n\r\nx",                   8,  true },
        {"two CR a line", "A: b\r\n\r\r\nx",                  10, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (size_t step = 1; step < 20; step++) {
            struct mx_header header;
            begin(&header);
            size_t taken = take(&header, rows[i].text, step);
            cr_expect_eq(taken, rows[i].len, "%s by %zu: %zu", rows[i].name, step, taken);
            cr_expect_eq(header.is_over, rows[i].is_over, "%s by %zu", rows[i].name, step);
            cr_expect_eq(header.len, rows[i].len, "%s", rows[i].name);
            cr_expect(memcmp(header.ptr, rows[i].text, header.len) == 0, "%s", rows[i].name);
            end(&header);
        }
    }
}

Test(header, fields) {
    static const char text[] = "A: b\r\nno field\r\nLong : one\r\n\ttwo\r\n three\r\nE:\r\n\r\n";
    static const struct {
        const char *name, *value;
    } wanted[] = {
        {"A",    " b"                     },
        {"Long", " one\r\n\ttwo\r\n three"},
        {"E",    ""                       },
    };
    struct mx_header header;
    struct mx_header_field field;
    uint32_t at = 0;
    begin(&header);
    take(&header, text, 7);
    for (size_t i = 0; i < ROWS(wanted); i++) {
        cr_assert(mx_header_next(&header, &at, &field));
        cr_expect(mx_span_equal(field.name, mx_span_of(wanted[i].name)), "%s", wanted[i].name);
        cr_expect(mx_span_equal(field.value, mx_span_of(wanted[i].value)), "%s", wanted[i].name);
    }
    cr_expect_not(mx_header_next(&header, &at, &field));
    at = 0;
    cr_expect(mx_header_find(&header, MX_SPAN("lOnG"), &at, &field));
    cr_expect_not(mx_header_find(&header, MX_SPAN("A"), &at, &field), "it stands before");
    end(&header);
}

Test(header, changes) {
    static const struct {
        const char *name, *before, *after;
    } rows[] = {
        {"new",            "A: b\r\n\r\n",                         "A: b\r\nX: value\r\n\r\n"        },
        {"new, bare LF",   "A: b\n\n",                             "A: b\nX: value\r\n\n"            },
        {"alone",          "\r\n",                                 "X: value\r\n\r\n"                },
        {"nothing",        "",                                     "X: value\r\n"                    },
        {"no empty line",  "A: b\r\n",                             "A: b\r\nX: value\r\n"            },
        {"cut line",       "A: b",                                 "A: b\r\nX: value\r\n"            },
        {"replaced",       "x: y\r\nA: b\r\n\r\n",                 "X: value\r\nA: b\r\n\r\n"        },
        {"folded",         "A: b\r\nX: y\r\n z\r\nC: d\r\n\r\n",   "A: b\r\nX: value\r\nC: d\r\n\r\n"},
        {"all the others", "X: 1\r\nA: b\r\nX: 2\r\nX: 3\r\n\r\n", "X: value\r\nA: b\r\n\r\n"        },
        {"longer name",    "Xx: y\r\n\r\n",                        "Xx: y\r\nX: value\r\n\r\n"       },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_header header;
        begin(&header);
        take(&header, rows[i].before, 100);
        cr_assert_eq(mx_header_set(&header, MX_SPAN("X"), MX_SPAN("value")), 0);
        cr_expect(
            mx_span_equal((struct mx_span){header.ptr, header.len}, mx_span_of(rows[i].after)),
            "%s: '%.*s'", rows[i].name, (int)header.len, header.ptr);
        cr_assert_eq(mx_header_put_first(&header, MX_SPAN("First: 1\r\n")), 0);
        cr_expect(header.len > 10 && memcmp(header.ptr, "First: 1\r\n", 10) == 0);
        end(&header);
    }
}

/* At the bound, and one octet beyond; then nothing has changed. */
Test(header, limit) {
    struct mx_header header;
    char *text = calloc(1, MX_HEADER_MAX + 1);
    cr_assert_not_null(text);
    memset(text, 'a', MX_HEADER_MAX);
    begin(&header);
    struct mx_span content = {text, MX_HEADER_MAX};
    cr_expect_eq(mx_header_take(&header, &content), 0);
    content = (struct mx_span){"b", 1};
    cr_expect_eq(mx_header_take(&header, &content), MX_ELIMIT);
    cr_expect_eq(mx_header_set(&header, MX_SPAN("X"), MX_SPAN("")), MX_ELIMIT);
    cr_expect_eq(mx_header_put_first(&header, MX_SPAN("X:\r\n")), MX_ELIMIT);
    cr_expect_eq(header.len, (uint32_t)MX_HEADER_MAX);
    end(&header);
    free(text);
}

Test(header, no_memory) {
    struct mx_header header;
    uint32_t got;
    begin(&header);
    char *all = mx_buddy_take(&buddy, MX_BUDDY_MAX, &got);
    struct mx_span content = {"A: b\r\n", 6};
    cr_expect_eq(mx_header_take(&header, &content), -ENOMEM);
    cr_expect_eq(content.len, 6U, "nothing is taken");
    mx_buddy_give(&buddy, all, got);
    end(&header);
}

Test(header, inserted_and_replaced) {
    static const char before[] = "A: 1\r\nB: 2\r\n b\r\nA: 3\r\n\r\nbody";
    static const struct {
        const char *what, *name;
        uint32_t at;
        const char *whole;
        int result;
        const char *after;
    } rows[] = {
        {"insert",  "",  0,          "X: y\r\n",           0,       "X: y\r\nA: 1\r\nB: 2\r\n b\r\nA: 3\r\n\r\n"},
        {"insert",  "",  2,          "X: y\r\n",           0,       "A: 1\r\nB: 2\r\n b\r\nX: y\r\nA: 3\r\n\r\n"},
        {"insert",  "",  3,          "X: y\r\n",           0,       "A: 1\r\nB: 2\r\n b\r\nA: 3\r\nX: y\r\n\r\n"},
        {"insert",  "",  UINT32_MAX, "X: y\r\n",           0,       "A: 1\r\nB: 2\r\n b\r\nA: 3\r\nX: y\r\n\r\n"},
        {"replace", "b", 1,          "B: z\r\n",           0,       "A: 1\r\nB: z\r\nA: 3\r\n\r\n"              },
        {"replace", "A", 2,          "A: long\r\n er\r\n", 0,
         "A: 1\r\nB: 2\r\n b\r\nA: long\r\n er\r\n\r\n"                                                         },
        {"replace", "a", 1,          "",                   0,       "B: 2\r\n b\r\nA: 3\r\n\r\n"                },
        {"replace", "A", 3,          "A: 4\r\n",           -ENOENT, "A: 1\r\nB: 2\r\n b\r\nA: 3\r\n\r\n"        },
        {"replace", "C", 1,          "",                   -ENOENT, "A: 1\r\nB: 2\r\n b\r\nA: 3\r\n\r\n"        },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_header header;
        begin(&header);
        take(&header, before, 100);
        cr_expect(!header.is_changed);
        struct mx_span name = mx_span_of(rows[i].name), whole = mx_span_of(rows[i].whole);
        int err = rows[i].what[0] == 'i' ? mx_header_insert(&header, rows[i].at, whole)
                                         : mx_header_replace(&header, name, rows[i].at, whole);
        cr_expect_eq(err, rows[i].result, "%zu: %d", i, err);
        cr_expect_eq(header.is_changed, err == 0, "%zu", i);
        cr_expect(
            mx_span_equal((struct mx_span){header.ptr, header.len}, mx_span_of(rows[i].after)),
            "%zu: '%.*s'", i, (int)header.len, header.ptr);
        end(&header);
    }
}

/* A header that has no empty line, and a last line that has no end. */
Test(header, inserted_at_a_cut_end) {
    struct mx_header header;
    begin(&header);
    take(&header, "A: 1\r\nB: 2", 100);
    cr_assert_eq(mx_header_insert(&header, 9, MX_SPAN("C: 3\r\n")), 0);
    cr_expect(mx_span_equal((struct mx_span){header.ptr, header.len},
                            MX_SPAN("A: 1\r\nB: 2\r\nC: 3\r\n")));
    end(&header);
}
