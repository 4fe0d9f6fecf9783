/* ip_test.c - IP addresses and their texts: a table, then random addresses and damaged texts
 * against inet_ntop and inet_pton. Two differences are wanted: a v4-mapped address is stored as
 * IPv4, and ::/96 is written in hex (inet_ntop writes a dotted quad).
 */
#include "proto/ip.h"
#include "tests/unit/guard_page.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>

static const struct {
    const char *in, *text; /* text NULL: not an address */
    int family;
} cases[] = {
    {"0.0.0.0",                                 "0.0.0.0",              4},
    {"127.0.0.1",                               "127.0.0.1",            4},
    {"192.0.2.10",                              "192.0.2.10",           4},
    {"255.255.255.255",                         "255.255.255.255",      4},
    {"::",                                      "::",                   6},
    {"::1",                                     "::1",                  6},
    {"1::",                                     "1::",                  6},
    {"2001:db8::1",                             "2001:db8::1",          6},
    {"2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1",          6},
    {"2001:db8:0:1:1:1:1:1",                    "2001:db8:0:1:1:1:1:1", 6}, /* RFC 5952 4.2.2 */
    {"2001:db8:0:0:1:0:0:1",                    "2001:db8::1:0:0:1",    6}, /* RFC 5952 4.2.3 */
    {"2001:0:0:1:0:0:0:1",                      "2001:0:0:1::1",        6}, /* RFC 5952 4.2.3 */
    {"2001:db8::0:1",                           "2001:db8::1",          6},
    {"1:2:3:4:5:6:7::",                         "1:2:3:4:5:6:7:0",      6},
    {"::2:3:4:5:6:7:8",                         "0:2:3:4:5:6:7:8",      6},
    {"1:0:0:4:5:6:0:0",                         "1::4:5:6:0:0",         6},
    {"1:2:3:4:5:6:0:0",                         "1:2:3:4:5:6::",        6},
    {"64:ff9b::192.0.2.33",                     "64:ff9b::c000:221",    6},
    {"1:2:3:4:5:6:1.2.3.4",                     "1:2:3:4:5:6:102:304",  6},
    {"::ffff:192.0.2.1",                        "192.0.2.1",            4},
    {"::FFFF:c000:201",                         "192.0.2.1",            4},
    {"::1.2.3.4",                               "::102:304",            6},
    {"",                                        NULL,                   0},
    {"1",                                       NULL,                   0},
    {"1.2",                                     NULL,                   0},
    {"1.2.3",                                   NULL,                   0},
    {"1.2.3.",                                  NULL,                   0},
    {".1.2.3",                                  NULL,                   0},
    {"1..2.3",                                  NULL,                   0},
    {"1.2.3.4.",                                NULL,                   0},
    {"1.2.3.4.5",                               NULL,                   0},
    {"1.2.3.256",                               NULL,                   0},
    {"1.2.3.1000",                              NULL,                   0},
    {"1.2.3.04",                                NULL,                   0},
    {"00.2.3.4",                                NULL,                   0},
    {"1.2.3.4 ",                                NULL,                   0},
    {" 1.2.3.4",                                NULL,                   0},
    {"1.2.3.a",                                 NULL,                   0},
    {"127.0.0.1/24",                            NULL,                   0},
    {":",                                       NULL,                   0},
    {":::",                                     NULL,                   0},
    {":1",                                      NULL,                   0},
    {"1:",                                      NULL,                   0},
    {"1:2:3:4:5:6:7",                           NULL,                   0},
    {"1:2:3:4:5:6:7:8:9",                       NULL,                   0},
    {"1:2:3:4:5:6:7:8:",                        NULL,                   0},
    {"1:2:3:4:5:6:7:8::",                       NULL,                   0},
    {"::1:2:3:4:5:6:7:8",                       NULL,                   0},
    {"1::2::3",                                 NULL,                   0},
    {"1:::2",                                   NULL,                   0},
    {"12345::",                                 NULL,                   0},
    {"g::",                                     NULL,                   0},
    {"fe80::1%eth0",                            NULL,                   0},
    {"::/0",                                    NULL,                   0},
    {"[::1]",                                   NULL,                   0},
    {"::1.2.3",                                 NULL,                   0},
    {"::1.2.3.4:5",                             NULL,                   0},
    {"::1.2.3.256",                             NULL,                   0},
    {"::a.2.3.4",                               NULL,                   0},
    {"1:2:3:4:5:6:7:1.2.3.4",                   NULL,                   0},
    {"::.1.2.3",                                NULL,                   0},
    {"::\xff",                                  NULL,                   0},
};

Test(ip, table) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_ip ip = {.family = 99};
        bool is_ip = mx_ip_parse(guard_copy(mx_span_of(cases[i].in)), &ip);
        cr_expect_eq(is_ip, cases[i].text != NULL, "%s", cases[i].in);
        if (!is_ip) {
            cr_expect_eq(ip.family, 99, "%s", cases[i].in);
            continue;
        }
        cr_expect_eq(ip.family, cases[i].family, "%s", cases[i].in);
        char *text = guard_room(MX_IP_TEXT_MAX);
        size_t len = mx_ip_text(&ip, text);
        cr_expect_str_eq(text, cases[i].text, "%s: %s", cases[i].in, text);
        cr_expect_eq(len, strlen(text), "%s", cases[i].in);
    }
}

Test(ip, literal) {
    char *text = guard_room(MX_IP_TEXT_MAX + 5);
    struct mx_ip v6 = {
        .family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}
    };
    struct mx_ip v4 = {
        .family = 4, .bytes = {192, 0, 2, 1}
    };
    struct mx_ip unknown = {0};
    cr_expect_eq(mx_ip_literal(&v6, text), 16);
    cr_expect_str_eq(text, "IPv6:2001:db8::1");
    cr_expect_eq(mx_ip_literal(&v4, text), 9);
    cr_expect_str_eq(text, "192.0.2.1");
    cr_expect_eq(mx_ip_literal(&unknown, text), 7);
    cr_expect_str_eq(text, "unknown");
    cr_expect_eq(mx_ip_text(&unknown, text), 7);
    cr_expect_str_eq(text, "unknown");
}

Test(ip, mapped_stored_as_v6) {
    struct mx_ip ip = {
        .family = 6, .bytes = {[10] = 0xff, 0xff, 255, 255, 255, 255}
    };
    char text[MX_IP_TEXT_MAX];
    cr_expect_eq(mx_ip_text(&ip, text), 22);
    cr_expect_str_eq(text, "::ffff:255.255.255.255");
}

/* Random octets, zero more often than not so that runs of zeros of all lengths occur. */
static void fill(uint8_t *bytes, size_t len, unsigned *seed) {
    for (size_t i = 0; i < len; i += 2) {
        unsigned group = rand_r(seed) % 3 ? 0 : (unsigned)rand_r(seed) >> rand_r(seed) % 16;
        bytes[i] = (uint8_t)(group >> 8);
        bytes[i + 1] = (uint8_t)group;
    }
}

static void expect_same_parse(const char *text) {
    struct mx_ip ip;
    uint8_t v4[4], v6[16];
    bool is_v4 = inet_pton(AF_INET, text, v4) == 1, is_v6 = inet_pton(AF_INET6, text, v6) == 1;
    bool is_mapped = is_v6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)v6);
    bool is_ip = mx_ip_parse(guard_copy(mx_span_of(text)), &ip);
    cr_assert_eq(is_ip, is_v4 || is_v6, "%s", text);
    if (!is_ip)
        return;
    if (is_v6 && !is_mapped) {
        cr_assert_eq(ip.family, 6, "%s", text);
        cr_assert_eq(memcmp(ip.bytes, v6, 16), 0, "%s", text);
    } else {
        cr_assert_eq(ip.family, 4, "%s", text);
        cr_assert_eq(memcmp(ip.bytes, is_v4 ? v4 : v6 + 12, 4), 0, "%s", text);
    }
}

Test(ip, random_addresses_as_inet_ntop) {
    unsigned seed = 1;
    for (int round = 0; round < 50000; round++) {
        struct mx_ip ip = {.family = round % 4 ? 6 : 4};
        fill(ip.bytes, ip.family == 6 ? 16 : 4, &seed);
        char ours[MX_IP_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
        mx_ip_text(&ip, ours);
        inet_ntop(ip.family == 6 ? AF_INET6 : AF_INET, ip.bytes, theirs, sizeof theirs);
        if (strchr(ours, '.') != NULL || strchr(theirs, '.') == NULL)
            cr_assert_str_eq(ours, theirs);
        expect_same_parse(ours);
        expect_same_parse(theirs);
    }
}

Test(ip, damaged_texts_as_inet_pton) {
    static const char octets[] = "0123456789abcdefABCDEF::::....gx/%[ ";
    unsigned seed = 2;
    for (int round = 0; round < 100000; round++) {
        struct mx_ip ip = {.family = round % 3 ? 6 : 4};
        fill(ip.bytes, 16, &seed);
        char text[MX_IP_TEXT_MAX + 8];
        size_t len = mx_ip_text(&ip, text);
        if (round % 5 == 0 && len < 30 && ip.family == 6)
            memcpy(text + len, ":1.2.3.4", 9), len += 8;
        for (int damage = rand_r(&seed) % 3; damage > 0; damage--) {
            char *at = text + (size_t)rand_r(&seed) % len;
            char octet = octets[(size_t)rand_r(&seed) % (sizeof octets - 1)];
            if (rand_r(&seed) % 2)
                *at = octet;
            else
                memmove(at, at + 1, strlen(at));
            len = strlen(text);
            if (len == 0)
                break;
        }
        expect_same_parse(text);
    }
}
