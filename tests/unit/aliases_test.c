/* aliases_test.c - the aliases file: every line is an alias, a comment, or an error with its place;
 * what an address stands for in the end, loops and floods included. Small texts with the whole
 * output that mxring check would print; a large text.
 */
#include "config/aliases.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static const struct mx_span domains[] = {MX_SPAN("a.x"), MX_SPAN("example.com")};
static const struct mx_conf conf = {.domains = domains, .domain_count = ROWS(domains)};

static struct mx_aliases *parse(const char *text, const char *wanted) {
    struct mx_conf_report report = {0};
    struct mx_aliases *aliases = NULL;
    char *printed = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&printed, &len);
    cr_assert_not_null(stream);
    int err = mx_aliases_parse(mx_span_of(text), "a", &conf, &report, &aliases);
    cr_expect_eq(err, report.error_count > 0 ? MX_ECONFIG : 0, "%d for:\n%s", err, text);
    cr_expect_eq(err == 0, aliases != NULL);
    mx_conf_report_print(&report, "f", stream);
    fclose(stream);
    cr_expect_str_eq(printed, wanted, "%s", printed);
    free(printed);
    mx_conf_report_free(&report);
    return aliases;
}

/* Of all that is told: so many, then it is enough. */
struct told {
    char text[4000];
    size_t len;
    unsigned most, count;
};

static bool tell(void *context, struct mx_span target) {
    struct told *told = context;
    int len = snprintf(told->text + told->len, sizeof told->text - told->len, "%s%.*s",
                       told->count > 0 ? " " : "", (int)target.len, target.ptr);
    cr_assert_lt((size_t)len, sizeof told->text - told->len);
    told->len += (size_t)len;
    return ++told->count != told->most;
}

static void expect_follow(const struct mx_aliases *aliases, const char *address, uint32_t limit,
                          const char *wanted) {
    struct told told = {.most = 0};
    int err = mx_aliases_follow(aliases, mx_span_of(address), limit, tell, &told);
    if (err < 0) {
        cr_expect_eq(err, MX_ELIMIT);
        snprintf(told.text + told.len, sizeof told.text - told.len, "%s...",
                 told.len > 0 ? " " : "");
    }
    cr_expect_str_eq(told.text, wanted, "%s, %u: %s", address, limit, told.text);
}

static const char good[] = "# who is who\n"
                           "\n"
                           "ali@example.com: alice@example.com\n"
                           "  Team@EXAMPLE.com :bob@example.com,  Ali@example.com , x@y.z\r\n"
                           "\"a b:c,d\"@example.com: \"e,f\"@y.z\n"
                           "lit@[127.0.0.1]: you@[10.0.0.1], me@[10.0.0.2],they@y.z\n"
                           "copy@example.com: copy@example.com, bob@example.com\n"
                           "one@example.com: two@example.com\n"
                           "two@example.com: three@example.com\n"
                           "three@example.com: four@example.com\n"
                           "ping@example.com: pong@example.com\n"
                           "pong@example.com: ping@example.com\n"
                           "half@example.com: bob@example.com, ping@example.com, x@y.z\n"
                           "@a.x: @example.com\n"
                           "own@a.x: z@y.z\n"
                           "j\xc3\xb6@example.com: j@y.z";

static const char good_says[] =
    "a:6:1: warning: '127.0.0.1' is none of our domains: its aliases are not used\n";

Test(aliases, follow) {
    static const struct {
        const char *address;
        uint32_t limit;
        const char *wanted;
    } rows[] = {
        {"ali@example.com",         10, "alice@example.com"                      },
        {"ALI@Example.Com",         10, "alice@example.com"                      },
        {"team@example.com",        10, "bob@example.com alice@example.com x@y.z"},
        {"\"A b:C,d\"@example.com", 10, "\"e,f\"@y.z"                            },
        {"lit@127.0.0.1",           10, "you@10.0.0.1 me@10.0.0.2 they@y.z"      },
        {"copy@example.com",        10, "copy@example.com bob@example.com"       },
        {"j\xc3\xb6@example.com",   10, "j@y.z"                                  },
        {"bob@example.com",         10, ""                                       },
        {"ali@a.x",                 10, "alice@example.com"                      },
        {"nobody@a.x",              10, "nobody@example.com"                     },
        {"own@a.x",                 10, "z@y.z"                                  },
        {"ali",                     10, ""                                       },
        {"",                        10, ""                                       },
        {"@a.x",                    10, ""                                       },
 /* in a row */
        {"one@example.com",         3,  "four@example.com"                       },
        {"one@example.com",         2,  "..."                                    },
        {"one@example.com",         0,  "two@example.com"                        },
        {"one@a.x",                 4,  "four@example.com"                       },
        {"one@a.x",                 3,  "..."                                    },
        {"team@example.com",        0,  "bob@example.com ali@example.com x@y.z"  },
        {"copy@example.com",        0,  "copy@example.com bob@example.com"       },
        {"ping@example.com",        50, "..."                                    },
        {"half@example.com",        10, "bob@example.com ..."                    },
    };
    struct mx_aliases *aliases = parse(good, good_says);
    cr_assert_not_null(aliases);
    cr_expect_eq(mx_aliases_count(aliases), 14U, "%u", mx_aliases_count(aliases));
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_span address = mx_span_of(rows[i].address);
        expect_follow(aliases, rows[i].address, rows[i].limit, rows[i].wanted);
        cr_expect_eq(mx_aliases_has(aliases, address), rows[i].wanted[0] != '\0', "%s",
                     rows[i].address);
    }
    struct told told = {.most = 2};
    cr_expect_eq(mx_aliases_follow(aliases, MX_SPAN("team@example.com"), 10, tell, &told), 0);
    cr_expect_str_eq(told.text, "bob@example.com alice@example.com", "enough is enough");
    mx_aliases_free(aliases);
}

Test(aliases, lead_to) {
    static const struct {
        const char *from, *to;
        bool is_so;
    } rows[] = {
        {"ali@example.com",    "alice@example.com",  true },
        {"ALI@example.com",    "Alice@Example.com",  true },
        {"team@example.com",   "alice@example.com",  true },
        {"team@example.com",   "eve@example.com",    false},
        {"alice@example.com",  "ali@example.com",    false},
        {"nobody@example.com", "NOBODY@example.com", true },
        {"ping@example.com",   "pong@example.com",   false},
        {"half@example.com",   "bob@example.com",    true },
        {"half@example.com",   "x@y.z",              false},
        {"ali@example.com",    "",                   false},
    };
    struct mx_aliases *aliases = parse(good, good_says);
    for (size_t i = 0; i < ROWS(rows); i++)
        cr_expect_eq(
            mx_aliases_lead_to(aliases, 10, mx_span_of(rows[i].from), mx_span_of(rows[i].to)),
            rows[i].is_so, "%s %s", rows[i].from, rows[i].to);
    cr_expect(mx_aliases_lead_to(NULL, 10, MX_SPAN("a@b.c"), MX_SPAN("A@b.c")));
    cr_expect_not(mx_aliases_lead_to(NULL, 10, MX_SPAN("a@b.c"), MX_SPAN("b@b.c")));
    cr_expect_not(mx_aliases_has(NULL, MX_SPAN("a@b.c")));
    mx_aliases_free(aliases);
}

Test(aliases, errors) {
    struct mx_aliases *aliases =
        parse("ali\n"
              "ali@example.com\n"
              " ali@@example.com: bob@example.com\n"
              "@: @example.com\n"
              "@b_d.x: @example.com\n"
              "a@example.com:\n"
              "b@example.com: bob@example.com, eve, @a.x,bob@b_d.x\n"
              "@a.x: bob@example.com\n"
              "@b.x: @a.x, @example.com\n"
              "c@example.com: bob@example.com\n"
              "C@EXAMPLE.com: bob@example.com\n"
              "d@c.x: bob@example.com\n"
              "e@c.x: bob@example.com\n"
              "f@example.com: , bob@example.com\n",
              "a:1:1: a line must be alias@domain: target or @alias.domain: @domain\n"
              "a:2:1: a line must be alias@domain: target or @alias.domain: @domain\n"
              "a:3:2: 'ali@@example.com' is neither an address nor @domain\n"
              "a:4:1: '@' is neither an address nor @domain\n"
              "a:5:1: '@b_d.x' is neither an address nor @domain\n"
              "a:6:15: it stands for nothing\n"
              "a:7:33: 'eve' is no address user@domain\n"
              "a:7:38: '@a.x' is no address user@domain\n"
              "a:7:43: 'bob@b_d.x' is no address user@domain\n"
              "a:8:7: 'bob@example.com' is no @domain: a domain stands for one other domain\n"
              "a:9:1: warning: 'b.x' is none of our domains: its aliases are not used\n"
              "a:9:25: a domain stands for one other domain\n"
              "a:11:1: 'c@example.com' is already in line 10\n"
              "a:12:1: warning: 'c.x' is none of our domains: its aliases are not used\n"
              "a:13:1: warning: 'c.x' is none of our domains: its aliases are not used\n"
              "a:14:16: '' is no address user@domain\n");
    cr_expect_null(aliases);
}

static bool count_one(void *context, struct mx_span target) {
    unsigned *count = context;
    ++*count;
    return target.len > 0;
}

/* A tree of a hundred branches at each step: it ends all the same. */
Test(aliases, floods) {
    static char text[200000];
    size_t len = 0;
    for (int depth = 0; depth < 9; depth++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "t%d@example.com: t%d@example.com",
                                depth, depth + 1);
        for (int i = 0; i < 99; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, ",t%d@example.com", depth + 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "\n");
    }
    struct mx_aliases *aliases = parse(text, "");
    unsigned count = 0;
    cr_expect_eq(mx_aliases_follow(aliases, MX_SPAN("t7@example.com"), 10, count_one, &count),
                 MX_ELIMIT);
    cr_expect(count > 0 && count <= MX_ALIAS_LOOKUPS_MAX, "%u", count);
    mx_aliases_free(aliases);
}

Test(aliases, many_errors_and_foreign_domains) {
    static char text[20000];
    size_t len = 0;
    for (int i = 0; i < 15; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "a@d%d.x: bob@example.com\n", i);
    struct mx_conf_report report = {0};
    struct mx_aliases *aliases = NULL;
    cr_assert_eq(mx_aliases_parse((struct mx_span){text, len}, "a", &conf, &report, &aliases), 0);
    cr_expect_eq(report.warning_count, 11U);
    cr_expect_str_eq(report.rows[10].text, "so are 5 more before this line");
    cr_expect_eq(report.rows[10].line, 15U);
    mx_aliases_free(aliases);
    mx_conf_report_free(&report);
    for (int i = 0; i < 200; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "x\n");
    cr_expect_eq(mx_aliases_parse((struct mx_span){text, len}, "a", &conf, &report, &aliases),
                 MX_ECONFIG);
    cr_expect_eq(report.error_count, 101U);
    mx_conf_report_free(&report);
}

Test(aliases, a_large_file) {
    enum { COUNT = 20000 };
    char *text = malloc((size_t)COUNT * 64), *end = text;
    cr_assert_not_null(text);
    for (int i = 0; i < COUNT; i++)
        end += snprintf(end, 64, "alias%d@example.com: user%d@example.com\n", i, i);
    struct mx_conf_report report = {0};
    struct mx_aliases *aliases = NULL;
    struct mx_span all = {text, (size_t)(end - text)};
    cr_assert_eq(mx_aliases_parse(all, "a", &conf, &report, &aliases), 0);
    free(text); /* it has its own */
    for (int i = 0; i < COUNT; i += 7) {
        char from[64], to[64];
        snprintf(from, sizeof from, "ALIAS%d@example.com", i);
        snprintf(to, sizeof to, "user%d@example.com", i);
        cr_assert(mx_aliases_lead_to(aliases, 10, mx_span_of(from), mx_span_of(to)));
    }
    cr_expect_not(mx_aliases_has(aliases, MX_SPAN("alias20000@example.com")));
    mx_aliases_free(aliases);
    mx_conf_report_free(&report);
}
