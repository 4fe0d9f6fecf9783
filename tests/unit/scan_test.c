/* scan_test.c - the line scanner. Goal: every variant finds exactly the LFs, writes no end behind
 * cap and reads nothing outside of the span. Method: a table, then random input against a loop over
 * memchr, with input and output at the edge of mapped memory.
 */
#include "proto/scan.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

enum { RANDOM_INPUTS = 300000, RANDOM_LEN_MAX = 400, ENDS_MAX = 1024 };

static struct guard text_area, ends_area;

static size_t lines_by_memchr(struct mx_span in, uint32_t *ends, size_t cap) {
    size_t n = 0, at = 0;
    while (n < cap && at < in.len) {
        const char *lf = memchr(in.ptr + at, '\n', in.len - at);
        if (lf == NULL)
            break;
        at = (size_t)(lf - in.ptr) + 1;
        ends[n++] = (uint32_t)at;
    }
    return n;
}

/* NULL if this CPU has not got it; MX_ISA_COUNT is the function that chooses by itself. */
static mx_scan_lines_fn *variant(int isa) {
    return isa < MX_ISA_COUNT ? mx_scan_lines_variant((enum mx_isa)isa) : mx_scan_lines;
}

/* All variants, with the text at the end and at the begin of memory. */
static void check(const char *name, struct mx_span text, size_t cap) {
    uint32_t want[ENDS_MAX];
    size_t want_count = lines_by_memchr(text, want, cap);
    uint32_t *ends = (uint32_t *)(void *)ends_area.end - cap;
    for (int i = 0; i < 2 * (MX_ISA_COUNT + 1); i++) {
        mx_scan_lines_fn *scan = variant(i / 2);
        if (scan == NULL)
            continue;
        memset(ends, 0xee, cap * sizeof *ends);
        size_t count = scan(guard_put(&text_area, text, i % 2 == 0), ends, cap);
        if (count != want_count || memcmp(ends, want, count * sizeof *ends) != 0)
            cr_assert(false, "%s, %s, cap %zu: %zu ends instead of %zu, or others", name,
                      mx_isa_name((enum mx_isa)(i / 2)), cap, count, want_count);
    }
}

static void map_areas(void) {
    text_area = guard_map();
    ends_area = guard_map();
}

TestSuite(scan, .init = map_areas);

#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }
#define X16 "xxxxxxxxxxxxxxxx"
#define X63 X16 X16 X16 "xxxxxxxxxxxxxxx"

static const struct {
    const char *name;
    struct mx_span in;
    size_t count;
    uint32_t ends[8];
} cases[] = {
    {"empty",                  TEXT(""),                            0, {0}               },
    {"no LF",                  TEXT("abc\r"),                       0, {0}               },
    {"LF alone",               TEXT("\n"),                          1, {1}               },
    {"CRLF and LF",            TEXT("a\r\nb\nc"),                   2, {3, 5}            },
    {"first octet of a block", TEXT(X63 "x\n"),                     1, {65}              },
    {"last octet of a block",  TEXT(X63 "\n"),                      1, {64}              },
    {"NUL is text",            TEXT("\0\n\0"),                      1, {2}               },
    {"0x8a is not LF",         TEXT("\x8a\n"),                      1, {2}               },
    {"six in a block",         TEXT("\n\n\n\n\n\n" X63),            6, {1, 2, 3, 4, 5, 6}},
    {"both sides of an edge",  TEXT(X63 "\n\n" X63 "\n\n" X16 X16), 4, {64, 65, 129, 130}},
};

Test(scan, table) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t ends[8];
        size_t count = mx_scan_lines_variant(MX_ISA_SCALAR)(cases[i].in, ends, 8);
        cr_expect_eq(count, cases[i].count, "%s: %zu", cases[i].name, count);
        cr_expect_arr_eq(ends, cases[i].ends, count * sizeof *ends, "%s", cases[i].name);
        for (size_t cap = 0; cap <= 8; cap++)
            check(cases[i].name, cases[i].in, cap);
    }
}

Test(scan, all_lengths_all_line_ends) {
    static char text[300];
    for (size_t len = 0; len <= sizeof text; len++) {
        memset(text, '\n', sizeof text);
        check("only LF", (struct mx_span){text, len}, ENDS_MAX);
        check("only LF, few ends", (struct mx_span){text, len}, len / 2);
        memset(text, 'x', sizeof text);
        check("no LF", (struct mx_span){text, len}, 1);
        text[len > 0 ? len - 1 : 0] = '\n';
        check("LF at the end", (struct mx_span){text, len}, 70);
    }
}

Test(scan, random_equals_memchr) {
    struct rng rng = {20};
    char text[RANDOM_LEN_MAX];
    for (int i = 0; i < RANDOM_INPUTS; i++) {
        size_t len = rng_take(&rng, RANDOM_LEN_MAX + 1);
        uint32_t sparseness = 1 + rng_take(&rng, 1u << rng_take(&rng, 8));
        for (size_t k = 0; k < len; k++)
            text[k] = rng_take(&rng, sparseness) == 0 ? '\n' : (char)rng_take(&rng, 256);
        check("random", (struct mx_span){text, len}, rng_take(&rng, 2) ? 450 : rng_take(&rng, 90));
    }
}

Test(scan, variants_of_this_cpu) {
    cr_expect_not_null(mx_scan_lines_variant(MX_ISA_SCALAR));
    cr_expect_not_null(mx_scan_lines_variant(mx_isa_best()));
    cr_expect_null(mx_scan_lines_variant(MX_ISA_COUNT));
    cr_expect_str_eq(mx_isa_name(MX_ISA_SCALAR), "scalar");
#ifdef __x86_64__
    cr_expect_not_null(mx_scan_lines_variant(MX_ISA_SSE2));
#endif
}
