/* helo_test.c - which HELO and EHLO arguments are names. A table with both answers; every text ends
 * at an unreadable page, and every beginning of it is looked at too.
 */
#include "proto/path.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

static const struct {
    const char *name;
    bool is_helo, is_ehlo; /* valid behind HELO, behind EHLO */
} cases[] = {
    {"good",                             true,  true },
    {"localhost",                        true,  true },
    {"c.test",                           true,  true },
    {"mail.example.com",                 true,  true },
    {"MAIL.Example.COM",                 true,  true },
    {"example.com.",                     true,  true },
    {"a",                                true,  true },
    {"a1",                               true,  true },
    {"1a.example.com",                   true,  true },
    {"1.2.example.com",                  true,  true },
    {"a-b.c--d.e",                       true,  true },
    {"a_b.example.com",                  true,  true },
    {"a.b_c",                            true,  true },
    {"127.0.0.1",                        true,  true },
    {"[127.0.0.1]",                      true,  true },
    {"fe80::1",                          true,  true },
    {"[fe80::1]",                        true,  true },
    {"::",                               true,  true },
    {"::ffff:1.2.3.4",                   true,  true },
    {"[abc.def]",                        true,  true },
    {"[abc]",                            true,  true },
 /* EHLO only */
    {"IPv6:2a01::1",                     false, true },
    {"[IPv6:2a01::1]",                   false, true },
    {"ipv6:2a01::1",                     false, true },
    {"[ipv6:2a01::1]",                   false, true },
    {"IPV6:::1",                         false, true },
    {"[IPv6:2001:db8::1:192.0.2.1]",     false, true },
    {"[IPv6:1:2:3:4:5:6:7:8:192.0.2.1]", false, true },
    {"IPv6:fe80:0:0:0:1:2:3:4:10.0.0.1", false, true },
    {"IPv6:::ffff:1.2.3.4",              false, true },
    {"123.example.1",                    false, true },
    {"mx-ll.2s1n",                       false, true },
    {"1",                                false, true },
    {"123",                              false, true },
    {"1.2.3",                            false, true },
    {"1.2.3.256",                        false, true },
    {"4a",                               false, true },
 /* RFC 1123 names have no '_'; the trailing dot belongs to the other form */
    {"a_b.2s1n",                         false, false},
    {"mx.2s1n.",                         false, false},
    {"1.2.3.4.",                         false, false},
    {"123.example.com",                  true,  true },
 /* neither */
    {"",                                 false, false},
    {"[]",                               false, false},
    {"[",                                false, false},
    {"]",                                false, false},
    {"[[a]]",                            false, false},
    {"[a",                               false, false},
    {"a]",                               false, false},
    {".",                                false, false},
    {"..",                               false, false},
    {".a",                               false, false},
    {"a..",                              false, false},
    {"bad value",                        false, false},
    {" a",                               false, false},
    {"a ",                               false, false},
    {"localhost)",                       false, false},
    {"127.0.0.1/24",                     false, false},
    {"sub..bad",                         false, false},
    {"-example.com",                     false, false},
    {"example-.com",                     false, false},
    {"-a.b",                             false, false},
    {"a-.b",                             false, false},
    {"a.-b",                             false, false},
    {"a.b-",                             false, false},
    {"-",                                false, false},
    {"_a.b",                             false, false},
    {"a_.b",                             false, false},
    {"_",                                false, false},
    {"example.com!",                     false, false},
    {"a,b",                              false, false},
    {"a@b",                              false, false},
    {"a:b",                              false, false},
    {"b\xc3\xbc"
     "cher.example",                false, false},
    {"a\tb",                             false, false},
    {"a\r",                              false, false},
    {"<a>",                              false, false},
    {"fe80::1%eth0",                     false, false},
    {"IPv6:",                            false, false},
    {"IPv6:1.2.3.4",                     false, false},
    {"IPv6:abc",                         false, false},
    {"IPv6:fe80::1:",                    false, false},
    {"IPv6:fe80::1::1.2.3.4",            false, false},
    {"IPv6:1:2:3:4:5:6:7:8:1.2.3.256",   false, false},
    {"IPv6::1.2.3.4",                    false, false},
    {"IPv6:1:2:3:4:5:6:7:8:9",           false, false},
    {"IPv7:fe80::1",                     false, false},
    {"IPv6fe80::1",                      false, false},
    {"IPv6:[fe80::1]",                   false, false},
};

Test(helo, table) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_span name = guard_copy(mx_span_of(cases[i].name));
        cr_expect_eq(mx_helo_is_valid(name, false), cases[i].is_helo, "HELO %s", cases[i].name);
        cr_expect_eq(mx_helo_is_valid(name, true), cases[i].is_ehlo, "EHLO %s", cases[i].name);
    }
}

Test(helo, beginnings) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t len = 0; len < strlen(cases[i].name); len++) {
            struct mx_span name = guard_copy((struct mx_span){cases[i].name, len});
            if (mx_helo_is_valid(name, false))
                cr_expect(mx_helo_is_valid(name, true), "%.*s", (int)len, name.ptr);
        }
    }
}

static bool is_valid(const char *format, size_t count, const char *end, bool is_ehlo) {
    static char text[20000];
    size_t len = 0;
    for (size_t i = 0; i < count; i++, len += strlen(format))
        memcpy(text + len, format, strlen(format));
    memcpy(text + len, end, strlen(end));
    return mx_helo_is_valid(guard_copy((struct mx_span){text, len + strlen(end)}), is_ehlo);
}

Test(helo, lengths) {
    cr_expect(is_valid("a", 63, ".b", false));
    cr_expect_not(is_valid("a", 64, ".b", false));
    cr_expect_not(is_valid("a", 64, ".b", true));
    cr_expect(is_valid("a.", 126, "b", false), "253 octets");
    cr_expect(is_valid("a.", 126, "b.", false), "253 octets and a dot");
    cr_expect_not(is_valid("a.", 126, "bc", false), "254 octets");
    cr_expect_not(is_valid("a.", 126, "bc", true), "254 octets");
    cr_expect_not(is_valid("a", 64, "", false));
    cr_expect(is_valid("a", 64, "", true), "alphanumeric names may be long");
    cr_expect(is_valid("a", 10000, "", true));
    cr_expect_not(is_valid("a", 10000, "-a", true));
}
