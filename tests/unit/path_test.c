/* path_test.c - what is a path and what is an address. Tables, each text ending at an unreadable
 * page; every beginning of every text is parsed too, and what parses must parse again to the same.
 */
#include "proto/path.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

/* inner NULL: refused. */
static const struct {
    const char *name, *in;
    bool brackets_required;
    const char *inner, *rest;
} splits[] = {
    {"plain",                          "<a@x.org>",                  true,  "a@x.org",           ""                 },
    {"space before",                   " <a@x.org>",                 true,  "a@x.org",           ""                 },
    {"spaces before",                  "   <a@x.org>",               true,  "a@x.org",           ""                 },
    {"null path",                      "<>",                         true,  "",                  ""                 },
    {"parameters",                     "<a@x.org> SIZE=1 BODY=7BIT", true,  "a@x.org",           " SIZE=1 BODY=7BIT"},
    {"space behind",                   "<a@x.org> ",                 true,  "a@x.org",           " "                },
    {"space inside",                   "<a b@x.org>",                true,  "a b@x.org",         ""                 },
    {"brackets behind",                "<a@x.org> AUTH=<>",          true,  "a@x.org",           " AUTH=<>"         },
    {"quoted bracket",                 "<\"a>b\"@x.org> A",          true,  "\"a>b\"@x.org",     " A"               },
    {"quoted bracket and space",       "<\"a> b\"@x.org>",           true,  "\"a> b\"@x.org",    ""                 },
    {"quoted quote",                   "<\"a\\\">b\"@x.org>",        true,  "\"a\\\">b\"@x.org", ""                 },
    {"quoted backslash",               "<\"a\\\\\"@x.org>",          true,  "\"a\\\\\"@x.org",   ""                 },
    {"quote inside an atom",           "<a\"b@x.org>",               true,  "a\"b@x.org",        ""                 },
    {"escaped quote",                  "<\\\"b@x.org>",              true,  "\\\"b@x.org",       ""                 },
    {"source route",                   "<@a,@b:c@d>",                true,  "@a,@b:c@d",         ""                 },
    {"without brackets, not allowed",  "a@x.org",                    true,  NULL,                NULL               },
    {"without brackets",               "a@x.org",                    false, "a@x.org",           ""                 },
    {"without brackets, parameters",   " a@x.org SIZE=1",            false, "a@x.org",           " SIZE=1"          },
    {"without brackets, with is fine", "<a@x.org> A",                false, "a@x.org",           " A"               },
    {"nothing",                        "",                           true,  NULL,                NULL               },
    {"nothing, brackets not required", "",                           false, NULL,                NULL               },
    {"spaces",                         "  ",                         false, NULL,                NULL               },
    {"tab before",                     "\t<a@x.org>",                true,  NULL,                NULL               },
    {"no end",                         "<a@x.org",                   true,  NULL,                NULL               },
    {"no end, brackets not required",  "<a@x.org",                   false, NULL,                NULL               },
    {"bracket alone",                  "<",                          true,  NULL,                NULL               },
    {"garbage behind",                 "<a@x.org>SIZE=1",            true,  NULL,                NULL               },
    {"tab behind",                     "<a@x.org>\tSIZE=1",          true,  NULL,                NULL               },
    {"bracket behind",                 "<a@x.org>>",                 true,  NULL,                NULL               },
    {"escaped bracket outside quotes", "<a\\>b@x.org>",              true,  NULL,                NULL               },
    {"open quote",                     "<\"a@x.org>",                true,  NULL,                NULL               },
    {"open quote at the end",          "<\"",                        true,  NULL,                NULL               },
    {"quote ends in a backslash",      "<\"a\\",                     true,  NULL,                NULL               },
    {"no end behind quotes",           "<\"a\"",                     true,  NULL,                NULL               },
    {"text before",                    "x <a@x.org>",                true,  NULL,                NULL               },
};

static bool is_text(struct mx_span span, const char *text) {
    return mx_span_equal(span, mx_span_of(text));
}

Test(path, split) {
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        struct mx_span inner = {0}, rest = {0}, in = guard_copy(mx_span_of(splits[i].in));
        int err = mx_path_split(in, splits[i].brackets_required, &inner, &rest);
        cr_expect_eq(err, splits[i].inner ? 0 : MX_ESYNTAX, "%s", splits[i].name);
        if (err < 0 || splits[i].inner == NULL)
            continue;
        cr_expect(is_text(inner, splits[i].inner), "%s: %.*s", splits[i].name, (int)inner.len,
                  inner.ptr);
        cr_expect(is_text(rest, splits[i].rest), "%s: %.*s", splits[i].name, (int)rest.len,
                  rest.ptr);
    }
}

Test(path, split_of_beginnings) {
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        for (size_t len = 0; len <= strlen(splits[i].in); len++) {
            struct mx_span inner, rest, in = guard_copy((struct mx_span){splits[i].in, len});
            if (mx_path_split(in, false, &inner, &rest) < 0)
                continue;
            cr_expect(inner.ptr >= in.ptr && rest.ptr + rest.len == in.ptr + in.len, "%s, %zu",
                      splits[i].name, len);
            cr_expect(rest.len == 0 || *rest.ptr == ' ', "%s, %zu", splits[i].name, len);
        }
    }
}

enum { LITERAL = 1, UTF8 = 2 };

static const struct {
    const char *in, *local, *domain;
    int flags;
} accepted[] = {
    {"",                                           "",                              "",                          0      },
    {"@",                                          "",                              "",                          0      },
    {"a@x.org",                                    "a",                             "x.org",                     0      },
    {"bob",                                        "bob",                           "",                          0      },
    {"postmaster",                                 "postmaster",                    "",                          0      },
    {"BOB@EXAMPLE.COM",                            "BOB",                           "EXAMPLE.COM",               0      },
    {"Smith@bar.com",                              "Smith",                         "bar.com",                   0      },
    {"a.b.c@x.org",                                "a.b.c",                         "x.org",                     0      },
    {"user+tag@x.org",                             "user+tag",                      "x.org",                     0      },
    {"!#$%&'*+-/=?^_`{|}~@x.org",                  "!#$%&'*+-/=?^_`{|}~",           "x.org",                     0      },
    {"0123@x.org",                                 "0123",                          "x.org",                     0      },
    {"-a-@x.org",                                  "-a-",                           "x.org",                     0      },
    {"a@localhost",                                "a",                             "localhost",                 0      },
    {"a@b-c.d--e.f",                               "a",                             "b-c.d--e.f",                0      },
    {"a@1x.2y.org",                                "a",                             "1x.2y.org",                 0      },
    {"a@1.2.org",                                  "a",                             "1.2.org",                   0      },
    {"a@1.2.3.4",                                  "a",                             "1.2.3.4",                   0      },
    {"a@[1.2.3.4]",                                "a",                             "1.2.3.4",                   LITERAL},
    {"a@[255.255.255.255]",                        "a",                             "255.255.255.255",           LITERAL},
    {"a\\@b@x.org",                                "a\\@b",                         "x.org",                     0      },
    {"a\\ b@x.org",                                "a\\ b",                         "x.org",                     0      },
    {"\\.a@x.org",                                 "\\.a",                          "x.org",                     0      },
    {"a\\.\\.b@x.org",                             "a\\.\\.b",                      "x.org",                     0      },
    {"a.\\\\@x.org",                               "a.\\\\",                        "x.org",                     0      },
    {"\\\"a\\\"@x.org",                            "\\\"a\\\"",                     "x.org",                     0      },
    {"\\a",                                        "\\a",                           "",                          0      },
    {"\"a b\"@x.org",                              "\"a b\"",                       "x.org",                     0      },
    {"\"a@b\"@x.org",                              "\"a@b\"",                       "x.org",                     0      },
    {"\"<a>,;:()[].\"@x.org",                      "\"<a>,;:()[].\"",               "x.org",                     0      },
    {"\" \"@x.org",                                "\" \"",                         "x.org",                     0      },
    {"\"..\"@x.org",                               "\"..\"",                        "x.org",                     0      },
    {"\"\\\"\"@x.org",                             "\"\\\"\"",                      "x.org",                     0      },
    {"\"\\\\\"@x.org",                             "\"\\\\\"",                      "x.org",                     0      },
    {"\"\\,\\ \"@x.org",                           "\"\\,\\ \"",                    "x.org",                     0      },
    {"\"a\"",                                      "\"a\"",                         "",                          0      },
    {"j\xc3\xb6rg@x.org",                          "j\xc3\xb6rg",                   "x.org",                     UTF8   },
    {"a@b\xc3\xbc"
     "cher.example",                          "a",
     "b\xc3\xbc"
     "cher.example",                                                                                             UTF8   },
    {"\"\xe7\x94\xa8 \xe6\x88\xb7\"@x.org",        "\"\xe7\x94\xa8 \xe6\x88\xb7\"", "x.org",                     UTF8   },
    {"\xf0\x9f\x93\xa7@\xe4\xbe\x8b.\xe5\xad\x90", "\xf0\x9f\x93\xa7",              "\xe4\xbe\x8b.\xe5\xad\x90",
     UTF8                                                                                                               },
    {"\xf4\x8f\xbf\xbf@x",                         "\xf4\x8f\xbf\xbf",              "x",                         UTF8   },
    {"a@\xed\x9f\xbf",                             "a",                             "\xed\x9f\xbf",              UTF8   },
};

static const char *const refused[] = {
    /* paths of other kinds, and no address at all */
    "@a:b@c",
    "@a,@b:u@c",
    "a b@x.org",
    " a@x.org",
    "a@x.org ",
    "<a@x.org>",
    "a@b@x.org",
    "@x.org",
    "@@",
    "a@",
    "a@@x.org",
    /* dots */
    ".a@x.org",
    "a.@x.org",
    "a..b@x.org",
    ".@x.org",
    ".",
    "a.",
    "a@x..org",
    "a@.org",
    "a@x.org.",
    "a@.",
    /* specials */
    "a(b@x.org",
    "a)b@x.org",
    "a<b@x.org",
    "a>b@x.org",
    "a[b@x.org",
    "a]b@x.org",
    "a,b@x.org",
    "a;b@x.org",
    "a:b@x.org",
    "a\"b@x.org",
    "a\"b\"@x.org",
    /* control characters */
    "a\tb@x.org",
    "a\rb@x.org",
    "a\nb@x.org",
    "a\177b@x.org",
    "a\x01@x.org",
    "a@x\r.org",
    "a@x\x7f.org",
    /* backslash */
    "a\\,b@x.org",
    "a\\<b@x.org",
    "a\\>b@x.org",
    "a\\\x01@x.org",
    "a\\\x7f@x.org",
    "a\\",
    "a\\@x.org\\",
    "a@x\\.org",
    "a\\\xc3\xb6@x.org",
    /* quoted strings */
    "\"\"@x.org",
    "\"\"",
    "\"",
    "\"a",
    "\"a@x.org",
    "\"a\\\"@x.org",
    "\"a\"b@x.org",
    "\"a\".b@x.org",
    "\"a\"\"b\"@x.org",
    "b.\"a\"@x.org",
    "\"a\tb\"@x.org",
    "\"a\rb\"@x.org",
    "\"a\\\r\"@x.org",
    "\"a\\\x7f\"@x.org",
    "\"a\x7f\"@x.org",
    "\"\\\xc3\xb6\"@x.org",
    "\"a\\",
    "\"a\"@",
    "\"a\" @x.org",
    /* domains */
    "a@x_y.org",
    "a@-x.org",
    "a@x-.org",
    "a@x.-",
    "a@-",
    "a@1.2",
    "a@1",
    "a@x.1",
    "a@x.1org",
    "a@1.2.3.256",
    "a@1.2.3.4.5",
    "a@x,y.org",
    "a@x y.org",
    "a@\"x\".org",
    "a@x/y",
    /* literals */
    "a@[::1]",
    "a@[IPv6:::1]",
    "a@[::ffff:1.2.3.4]",
    "a@[]",
    "a@[",
    "a@]",
    "a@[1.2.3.4",
    "a@1.2.3.4]",
    "a@[1.2.3.4]x",
    "a@[1.2.3]",
    "a@[x.org]",
    "a@[1.2.3.4].org",
    "a@[[1.2.3.4]]",
    "a@[ 1.2.3.4]",
    "a@[1.2.3.04]",
    /* malformed UTF-8: alone, cut short, overlong, surrogate, above U+10FFFF */
    "a\x80@x",
    "a\xff@x",
    "a\xc3@x",
    "a\xe7\x94@x",
    "a\xf0\x9f\x93@x",
    "a\xc0\xaf@x",
    "a\xc1\xbf@x",
    "a\xe0\x9f\xbf@x",
    "a\xf0\x8f\xbf\xbf@x",
    "a\xed\xa0\x80@x",
    "a\xed\xbf\xbf@x",
    "a\xf4\x90\x80\x80@x",
    "a\xf5\x80\x80\x80@x",
    "\"\xc3\"@x",
    "\"\xed\xa0\x80\"@x",
    "a@\xc3",
    "a@\xc3.x",
    "a@\xed\xa0\x80",
    "a@x\x80",
};

static void expect_accepted(const char *in, const char *local, const char *domain, int flags) {
    struct mx_path path;
    struct mx_span text = guard_copy(mx_span_of(in));
    cr_expect_eq(mx_path_parse(text, false, &path), flags & UTF8 ? MX_ESYNTAX : 0, "%s", in);
    cr_assert_eq(mx_path_parse(text, true, &path), 0, "%s", in);
    cr_expect(is_text(path.local, local), "%s: %.*s", in, (int)path.local.len, path.local.ptr);
    cr_expect(is_text(path.domain, domain), "%s: %.*s", in, (int)path.domain.len, path.domain.ptr);
    cr_expect_eq(path.is_literal, flags & LITERAL, "%s", in);
    cr_expect_eq(path.is_utf8, (flags & UTF8) != 0, "%s", in);
}

Test(path, accepted) {
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        expect_accepted(accepted[i].in, accepted[i].local, accepted[i].domain, accepted[i].flags);
}

Test(path, refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct mx_span text = guard_copy(mx_span_of(refused[i]));
        struct mx_path path = {.is_literal = true};
        cr_expect_eq(mx_path_parse(text, false, &path), MX_ESYNTAX, "%s", refused[i]);
        cr_expect_eq(mx_path_parse(text, true, &path), MX_ESYNTAX, "%s, UTF-8", refused[i]);
        cr_expect(path.is_literal && path.local.len == 0, "%s changed the result", refused[i]);
    }
}

/* A NUL is no text either; tables of C strings cannot hold it. */
Test(path, nul) {
    static const struct mx_span texts[] = {
        {"a\0b@x.org",     9 },
        {"\"a\0b\"@x.org", 11},
        {"a@x\0.org",      8 },
        {"a\\\0@x.org",    9 },
        {"\"\\\0\"@x.org", 10},
        {"\0",             1 },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mx_path path;
        cr_expect_eq(mx_path_parse(texts[i], true, &path), MX_ESYNTAX, "%zu", i);
    }
}

static void expect_same_again(const struct mx_path *path, const char *name) {
    char again[256];
    size_t len = path->local.len;
    memcpy(again, path->local.ptr, len);
    if (path->domain.len > 0) {
        again[len++] = '@';
        memcpy(again + len, path->domain.ptr, path->domain.len);
        len += path->domain.len;
    }
    struct mx_path second;
    cr_assert_eq(mx_path_parse((struct mx_span){again, len}, true, &second), 0, "%s", name);
    cr_expect(mx_span_equal(second.local, path->local), "%s", name);
    cr_expect(mx_span_equal(second.domain, path->domain), "%s", name);
    cr_expect_eq(second.is_utf8, path->is_utf8, "%s", name);
}

static void try_beginnings(const char *text) {
    for (size_t len = 0; len <= strlen(text); len++) {
        struct mx_path path;
        if (mx_path_parse(guard_copy((struct mx_span){text, len}), true, &path) == 0)
            expect_same_again(&path, text);
    }
}

Test(path, beginnings) {
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        try_beginnings(accepted[i].in);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        try_beginnings(refused[i]);
}

/* "a@", then labels of these many octets. */
static int parse_labels(const size_t *label_lens, size_t count) {
    char text[512] = "a@";
    size_t len = 2;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text[len++] = '.';
        memset(text + len, 'x', label_lens[i]);
        len += label_lens[i];
    }
    struct mx_path path;
    return mx_path_parse(guard_copy((struct mx_span){text, len}), false, &path);
}

Test(path, lengths) {
    cr_expect_eq(parse_labels((size_t[]){63, 3}, 2), 0);
    cr_expect_eq(parse_labels((size_t[]){64, 3}, 2), MX_ESYNTAX);
    cr_expect_eq(parse_labels((size_t[]){3, 64}, 2), MX_ESYNTAX);
    cr_expect_eq(parse_labels((size_t[]){63, 63, 63, 61}, 4), 0, "253 octets");
    cr_expect_eq(parse_labels((size_t[]){63, 63, 63, 62}, 4), MX_ESYNTAX, "254 octets");
    static char text[10004];
    memset(text, 'x', 10000);
    memcpy(text + 10000, "@y", 3);
    struct mx_path path;
    cr_expect_eq(mx_path_parse(guard_copy((struct mx_span){text, 10002}), false, &path), 0);
    cr_expect_eq(path.local.len, 10000, "a local part of any length");
}

Test(path, empty_text_without_pointer) {
    struct mx_path path;
    struct mx_span inner, rest;
    cr_expect_eq(mx_path_parse((struct mx_span){NULL, 0}, false, &path), 0);
    cr_expect_eq(path.local.len + path.domain.len, 0);
    cr_expect_eq(mx_path_split((struct mx_span){NULL, 0}, false, &inner, &rest), MX_ESYNTAX);
}
