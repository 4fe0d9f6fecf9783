/* param_test.c - ESMTP parameters and numbers. Each text is parsed ending at an unreadable page;
 * the parameters found are written down again in one notation and compared.
 */
#include "proto/param.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

/* Notation: (KEY) or (KEY:VALUE) a parameter. */
static const struct {
    const char *name, *in, *found;
} cases[] = {
    {"nothing",                         "",                       ""                        },
    {"spaces",                          "   ",                    ""                        },
    {"key",                             " SMTPUTF8",              "(SMTPUTF8)"              },
    {"key and value",                   " SIZE=12",               "(SIZE:12)"               },
    {"no leading space",                "SIZE=12",                "(SIZE:12)"               },
    {"two",                             " SIZE=12 BODY=8BITMIME", "(SIZE:12)(BODY:8BITMIME)"},
    {"spaces around",                   "   A=1   B   C=  ",      "(A:1)(B)(C:)"            },
    {"empty value",                     " A= ",                   "(A:)"                    },
    {"second equals sign",              " AUTH=a=b",              "(AUTH:a=b)"              },
    {"equals sign first",               " =x",                    "(=x)"                    },
    {"equals sign first, then a value", " =x=y",                  "(=x:y)"                  },
    {"equals sign alone",               " = ",                    "(=)"                     },
    {"two equals signs",                " ==",                    "(=:)"                    },
    {"tab is no separator",             " A\tB=1",                "(A\tB:1)"                },
    {"8-bit",                           " A=\xc3\xa4",            "(A:\xc3\xa4)"            },
    {"angle brackets",                  " AUTH=<>",               "(AUTH:<>)"               },
};

Test(param, take) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_span in = guard_copy(mx_span_of(cases[i].in));
        const char *end = in.ptr + in.len;
        struct mx_param param;
        char found[256] = "";
        while (mx_param_take(&in, &param)) {
            size_t used = strlen(found);
            cr_expect_gt(param.key.len, 0, "%s", cases[i].name);
            snprintf(found + used, sizeof found - used, "(%.*s%s%.*s)", (int)param.key.len,
                     param.key.ptr, param.has_value ? ":" : "", (int)param.value.len,
                     param.value.ptr);
        }
        cr_expect_str_eq(found, cases[i].found, "%s: %s", cases[i].name, found);
        cr_expect_eq(in.len, 0, "%s", cases[i].name);
        cr_expect_eq(in.ptr, end, "%s", cases[i].name);
        cr_expect_not(mx_param_take(&in, &param), "%s", cases[i].name);
    }
}

Test(param, is) {
    struct mx_span in = MX_SPAN("sIzE=1");
    struct mx_param param;
    cr_assert(mx_param_take(&in, &param));
    cr_expect(mx_param_is(&param, MX_SPAN("SIZE")));
    cr_expect_not(mx_param_is(&param, MX_SPAN("SIZES")));
    cr_expect_not(mx_param_is(&param, MX_SPAN("SIZ")));
}

static const struct {
    const char *name, *in;
    bool is_number;
    uint64_t number;
} numbers[] = {
    {"empty",                "",                      false, 0                             },
    {"zero",                 "0",                     true,  0                             },
    {"plain",                "1025",                  true,  1025                          },
    {"leading zeros",        "00000000000000001025",  true,  1025                          },
    {"20 digits",            "10000000000000000000",  true,  UINT64_C(10000000000000000000)},
    {"largest",              "18446744073709551615",  true,  UINT64_MAX                    },
    {"over the largest",     "18446744073709551616",  false, 0                             },
    {"far over the largest", "99999999999999999999",  false, 0                             },
    {"21 digits",            "000000000000000000001", false, 0                             },
    {"minus",                "-1",                    false, 0                             },
    {"plus",                 "+1",                    false, 0                             },
    {"space",                " 1",                    false, 0                             },
    {"letter",               "1k",                    false, 0                             },
    {"slash",                "1/",                    false, 0                             },
    {"colon",                "1:",                    false, 0                             },
    {"8-bit",                "1\xb1",                 false, 0                             },
};

Test(param, u64) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t number = 4711;
        bool is_number = mx_param_u64(guard_copy(mx_span_of(numbers[i].in)), &number);
        cr_expect_eq(is_number, numbers[i].is_number, "%s", numbers[i].name);
        cr_expect_eq(number, is_number ? numbers[i].number : 4711, "%s: %" PRIu64, numbers[i].name,
                     number);
    }
}
