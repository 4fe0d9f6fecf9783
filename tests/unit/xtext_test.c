/* xtext_test.c - xtext is decoded, or it is none. Each text ends at an unreadable page, and the
 * room for the result does, too. */
#include "proto/xtext.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

static const struct {
    const char *name, *in;
    int err;
    const char *out;
} cases[] = {
    {"nothing",         "",                    0,          ""                 },
    {"as it is",        "bob@example.com",     0,          "bob@example.com"  },
    {"brackets",        "<>",                  0,          "<>"               },
    {"encoded",         "e+3Dmc2@example.com", 0,          "e=mc2@example.com"},
    {"plus",            "a+2Bb",               0,          "a+b"              },
    {"blank, 8-bit",    "+20+C3+A4",           0,          " \xc3\xa4"        },
    {"encoded letter",  "+41",                 0,          "A"                },
    {"lower case",      "+2b",                 MX_ESYNTAX, NULL               },
    {"no digit",        "+G0",                 MX_ESYNTAX, NULL               },
    {"second no digit", "+0G",                 MX_ESYNTAX, NULL               },
    {"cut",             "a+2",                 MX_ESYNTAX, NULL               },
    {"plus at the end", "a+",                  MX_ESYNTAX, NULL               },
    {"equals sign",     "a=b",                 MX_ESYNTAX, NULL               },
    {"blank",           "a b",                 MX_ESYNTAX, NULL               },
    {"control",         "a\x7f",               MX_ESYNTAX, NULL               },
    {"8-bit as it is",  "\xc3\xa4",            MX_ESYNTAX, NULL               },
};

Test(xtext, decode) {
    static struct guard rooms;
    rooms = guard_map();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_span in = guard_copy(mx_span_of(cases[i].in));
        size_t full = cases[i].out != NULL ? strlen(cases[i].out) : in.len, len;
        int err = mx_xtext_decode(in, rooms.end - full, full, &len);
        cr_expect_eq(err, cases[i].err, "%s: %d", cases[i].name, err);
        if (cases[i].out == NULL)
            continue;
        struct mx_span out = {rooms.end - full, len};
        cr_expect(mx_span_equal(out, mx_span_of(cases[i].out)), "%s", cases[i].name);
        if (full > 0)
            cr_expect_eq(mx_xtext_decode(in, rooms.end - full + 1, full - 1, &len), MX_ENOROOM,
                         "%s", cases[i].name);
    }
}
