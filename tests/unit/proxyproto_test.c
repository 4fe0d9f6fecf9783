/* proxyproto_test.c - PROXY headers. Each one stands in front of "HELO" and ends at an unreadable
 * page; it is then cut at every octet: a good one is partial until it is whole, a bad one is
 * partial or bad, and once bad stays bad.
 */
#include "proto/crc32c.h"
#include "proto/proxyproto.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

#define SIG     "\r\n\r\n\0\r\nQUIT\n"
#define V4      "\x09\x09\x09\x09\x7f\0\0\1\x1f\x90\0\x19"
#define V6(end) "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" end V6_TARGET
#define V6_TARGET                                                                                  \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                                                   \
    "\x1f\x90\0\x19"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\x09\x09\x09\x09" V6_TARGET
#define X(text)                                                                                    \
    { text, sizeof(text) - 1 }

/* client: NULL = it is no header, "" = it names nobody. */
static const struct {
    const char *name;
    struct mx_span in;
    const char *client;
    uint16_t port;
} cases[] = {
    {"v1 TCP4",               X("PROXY TCP4 9.9.9.9 127.0.0.1 8080 25\r\n"),              "9.9.9.9",     8080 },
    {"v1 TCP6",               X("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n"),                "2001:db8::1", 65535},
    {"v1 TCP6 mapped",        X("PROXY TCP6 ::ffff:9.9.9.9 ::1 1 2\r\n"),                 "9.9.9.9",     1    },
    {"v1 longest",
     X("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",                                                          65535},
    {"v1 UNKNOWN",            X("PROXY UNKNOWN\r\n"),                                     "",            0    },
    {"v1 UNKNOWN and more",   X("PROXY UNKNOWN ffff::1 x y z\r\n"),                       "",            0    },
    {"v1 UNKNOWN of 107",
     X("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "",                                                                                                 0    },
    {"v1 of 108",
     X("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r\n"),
     NULL,                                                                                               0    },
    {"v1 without an end",
     X("PROXY UNKNOWN                                                                  "
       "                                                                              "),
     NULL,                                                                                               0    },
    {"v1 bare LF",            X("PROXY TCP4 9.9.9.9 127.0.0.1 8080 25\n"),                NULL,          0    },
    {"v1 nothing",            X("PROXY \r\n"),                                            NULL,          0    },
    {"v1 LF at once",         X("PROXY \n"),                                              NULL,          0    },
    {"v1 lower case",         X("proxy TCP4 9.9.9.9 127.0.0.1 8080 25\r\n"),              NULL,          0    },
    {"v1 lower case family",  X("PROXY tcp4 9.9.9.9 127.0.0.1 8080 25\r\n"),              NULL,          0    },
    {"v1 TCP5",               X("PROXY TCP5 9.9.9.9 127.0.0.1 8080 25\r\n"),              NULL,          0    },
    {"v1 UNKNOWNS",           X("PROXY UNKNOWNS\r\n"),                                    NULL,          0    },
    {"v1 other family",       X("PROXY TCP4 2001:db8::1 ::1 8080 25\r\n"),                NULL,          0    },
    {"v1 other family too",   X("PROXY TCP6 9.9.9.9 127.0.0.1 8080 25\r\n"),              NULL,          0    },
    {"v1 mixed families",     X("PROXY TCP4 9.9.9.9 ::1 8080 25\r\n"),                    NULL,          0    },
    {"v1 no address",         X("PROXY TCP4 9.9.9 127.0.0.1 8080 25\r\n"),                NULL,          0    },
    {"v1 256",                X("PROXY TCP4 256.1.1.1 127.0.0.1 8080 25\r\n"),            NULL,          0    },
    {"v1 leading zero",       X("PROXY TCP4 010.1.1.1 127.0.0.1 8080 25\r\n"),            NULL,          0    },
    {"v1 port 65536",         X("PROXY TCP4 9.9.9.9 127.0.0.1 65536 25\r\n"),             NULL,          0    },
    {"v1 port 100000",        X("PROXY TCP4 9.9.9.9 127.0.0.1 100000 25\r\n"),            NULL,          0    },
    {"v1 port -1",            X("PROXY TCP4 9.9.9.9 127.0.0.1 -1 25\r\n"),                NULL,          0    },
    {"v1 no second port",     X("PROXY TCP4 9.9.9.9 127.0.0.1 8080\r\n"),                 NULL,          0    },
    {"v1 no ports",           X("PROXY TCP4 9.9.9.9 127.0.0.1\r\n"),                      NULL,          0    },
    {"v1 two spaces",         X("PROXY TCP4 9.9.9.9  127.0.0.1 8080 25\r\n"),             NULL,          0    },
    {"v1 two spaces first",   X("PROXY  TCP4 9.9.9.9 127.0.0.1 8080 25\r\n"),             NULL,          0    },
    {"v1 space at the end",   X("PROXY TCP4 9.9.9.9 127.0.0.1 8080 25 \r\n"),             NULL,          0    },
    {"v1 one word more",      X("PROXY TCP4 9.9.9.9 127.0.0.1 8080 25 26\r\n"),           NULL,          0    },
    {"v1 tab",                X("PROXY TCP4\t9.9.9.9 127.0.0.1 8080 25\r\n"),             NULL,          0    },
    {"v1 NUL",                X("PROXY TCP4 9.9.9.9\0 127.0.0.1 8080 25\r\n"),            NULL,          0    },
    {"v1 CR inside",          X("PROXY TCP4 9.9.9.9 127.0.0.1 8080 25\r\r\n"),            NULL,          0    },
    {"no header",             X("EHLO c.test\r\n"),                                       NULL,          0    },
    {"PROXIES",               X("PROXIES\r\n"),                                           NULL,          0    },
    {"empty line",            X("\r\nQUIT\r\n"),                                          NULL,          0    },
    {"TLS",                   X("\x16\x03\x01\x02"),                                      NULL,          0    },

    {"v2 TCP4",               X(SIG "\x21\x11\0\x0c" V4),                                 "9.9.9.9",     8080 },
    {"v2 TCP6",               X(SIG "\x21\x21\0\x24" V6("\x01")),                         "2001:db8::1", 8080 },
    {"v2 TCP6 mapped",        X(SIG "\x21\x21\0\x24" MAPPED),                             "9.9.9.9",     8080 },
    {"v2 TLVs",               X(SIG "\x21\x11\0\x16" V4 "\x01\0\x02h2\xea\0\x02xy"),      "9.9.9.9",     8080 },
    {"v2 TLV of nothing",     X(SIG "\x21\x11\0\x0f" V4 "\x04\0\0"),                      "9.9.9.9",     8080 },
    {"v2 TLV too long",
     X(SIG "\x21\x11\0\x10" V4 "\x04\0\x02"
           "x"),
     NULL,                                                                                               0    },
    {"v2 TLV far too long",   X(SIG "\x21\x11\0\x0f" V4 "\x04\xff\xff"),                  NULL,          0    },
    {"v2 half a TLV head",    X(SIG "\x21\x11\0\x0e" V4 "\x04\0"),                        NULL,          0    },
    {"v2 CRC of 3 octets",
     X(SIG "\x21\x11\0\x12" V4 "\x03\0\x03"
           "xyz"),
     NULL,                                                                                               0    },
    {"v2 CRC wrong",          X(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0"),            NULL,          0    },
    {"v2 UDP4",               X(SIG "\x21\x12\0\x0c" V4),                                 "",            0    },
    {"v2 UDP6",               X(SIG "\x21\x22\0\x24" V6("\x01")),                         "",            0    },
    {"v2 UNSPEC",             X(SIG "\x21\0\0\0"),                                        "",            0    },
    {"v2 UNSPEC with a TLV",  X(SIG "\x21\0\0\x04\x04\0\x01 "),                           "",            0    },
    {"v2 UNSPEC, a bad TLV",  X(SIG "\x21\0\0\x04\x04\0\x02 "),                           NULL,          0    },
    {"v2 LOCAL",              X(SIG "\x20\0\0\0"),                                        "",            0    },
    {"v2 LOCAL TCP4",         X(SIG "\x20\x11\0\x0c" V4),                                 "",            0    },
    {"v2 LOCAL, odd family",  X(SIG "\x20\x77\0\x02??"),                                  "",            0    },
    {"v2 too short for TCP4", X(SIG "\x21\x11\0\x0b" V4),                                 NULL,          0    },
    {"v2 nothing for TCP4",   X(SIG "\x21\x11\0\0"),                                      NULL,          0    },
    {"v2 too short for TCP6", X(SIG "\x21\x21\0\x23" V6("\x01")),                         NULL,          0    },
    {"v2 too short for UNIX", X(SIG "\x21\x31\0\xd7" V4),                                 NULL,          0    },
    {"v2 family 4",           X(SIG "\x21\x41\0\x0c" V4),                                 NULL,          0    },
    {"v2 protocol 3",         X(SIG "\x21\x13\0\x0c" V4),                                 NULL,          0    },
    {"v2 TCP without family", X(SIG "\x21\x01\0\x0c" V4),                                 NULL,          0    },
    {"v2 command 2",          X(SIG "\x22\x11\0\x0c" V4),                                 NULL,          0    },
    {"version 1 in v2",       X(SIG "\x11\x11\0\x0c" V4),                                 NULL,          0    },
    {"version 3",             X(SIG "\x31\x11\0\x0c" V4),                                 NULL,          0    },
    {"v2 wrong at its end",   X("\r\n\r\n\0\r\nQUIT\r"),                                  NULL,          0    },
};
enum { CASES = sizeof cases / sizeof *cases };

static void check_whole(size_t i, int err, const struct mx_proxyproto *header) {
    char text[MX_IP_TEXT_MAX] = "";
    if (cases[i].client == NULL) {
        cr_expect_eq(err, MX_ESYNTAX, "%s: %d", cases[i].name, err);
        return;
    }
    cr_expect_eq(err, 0, "%s: %d", cases[i].name, err);
    if (header->client.family != 0)
        mx_ip_text(&header->client, text);
    cr_expect_str_eq(text, cases[i].client, "%s: %s", cases[i].name, text);
    cr_expect_eq(header->port, cases[i].port, "%s: %u", cases[i].name, header->port);
}

/* Something stands behind it already. */
Test(proxyproto, whole) {
    for (size_t i = 0; i < CASES; i++) {
        char text[512];
        size_t len = cases[i].in.len;
        memcpy(text, cases[i].in.ptr, len);
        memcpy(text + len, "HELO", 4);
        struct mx_span in = guard_copy((struct mx_span){text, len + 4});
        const char *begin = in.ptr;
        struct mx_proxyproto header;
        int err = mx_proxyproto_take(&header, &in);
        check_whole(i, err, &header);
        cr_expect_eq(in.ptr, err == 0 ? begin + len : begin, "%s", cases[i].name);
        cr_expect_eq(in.ptr + in.len, begin + len + 4, "%s", cases[i].name);
    }
}

Test(proxyproto, cut_at_every_octet) {
    for (size_t i = 0; i < CASES; i++) {
        bool is_bad = false;
        for (size_t len = 0; len <= cases[i].in.len; len++) {
            struct mx_span in = guard_copy((struct mx_span){cases[i].in.ptr, len});
            const char *begin = in.ptr;
            struct mx_proxyproto header;
            int err = mx_proxyproto_take(&header, &in);
            bool is_whole = len == cases[i].in.len;
            if (cases[i].client != NULL && !is_whole)
                cr_expect_eq(err, MX_EPARTIAL, "%s, %zu octets: %d", cases[i].name, len, err);
            if (cases[i].client == NULL)
                cr_expect(err == MX_ESYNTAX || (err == MX_EPARTIAL && !is_bad && !is_whole),
                          "%s, %zu octets: %d", cases[i].name, len, err);
            if (is_whole)
                check_whole(i, err, &header);
            cr_expect(err == 0 || (in.ptr == begin && in.len == len), "%s", cases[i].name);
            is_bad = is_bad || err == MX_ESYNTAX;
        }
    }
}

/* The checksum of the whole, with itself as zeros; one changed bit anywhere makes it wrong. */
Test(proxyproto, checksum) {
    char text[] = SIG "\x21\x11\0\x17" V4 "\x04\0\x01"
                      "x"
                      "\x03\0\x04\0\0\0\0";
    size_t len = sizeof text - 1;
    uint32_t crc = mx_crc32c(0, (struct mx_span){text, len});
    for (int i = 0; i < 4; i++)
        text[len - 4 + (size_t)i] = (char)(crc >> (24 - 8 * i));
    for (size_t bit = 0; bit <= 8 * len; bit++) {
        struct mx_proxyproto header;
        char *copy = guard_room(len);
        memcpy(copy, text, len);
        if (bit < 8 * len)
            copy[bit / 8] ^= (char)(1 << bit % 8);
        struct mx_span in = {copy, len};
        int err = mx_proxyproto_take(&header, &in);
        bool is_local = bit == 96;                /* the command: nothing of LOCAL is looked at */
        bool has_no_crc = bit / 8 == 16 + 12 + 4; /* the type of the TLV */
        bool is_longer = bit / 8 == 14 || bit / 8 == 15;
        if (bit == 8 * len || is_local || has_no_crc)
            cr_expect_eq(err, 0, "bit %zu: %d", bit, err);
        else
            cr_expect(err == MX_ESYNTAX || (is_longer && (err == MX_EPARTIAL || err == MX_ELIMIT)),
                      "bit %zu: %d", bit, err);
    }
}

/* Headers of every length around the limit, filled by one TLV. */
Test(proxyproto, limit) {
    static char text[MX_PROXYPROTO_HEADER_MAX + 16];
    for (size_t len = 64; len <= sizeof text; len += len < 4080 ? 500 : 1) {
        memcpy(text, SIG "\x21\x11\0\0" V4 "\x04", 29);
        text[14] = (char)((len - 16) >> 8);
        text[15] = (char)(len - 16);
        text[29] = (char)((len - 31) >> 8);
        text[30] = (char)(len - 31);
        struct mx_proxyproto header;
        struct mx_span in = {text, len};
        int err = mx_proxyproto_take(&header, &in);
        cr_expect_eq(err, len <= MX_PROXYPROTO_HEADER_MAX ? 0 : MX_ELIMIT, "%zu: %d", len, err);
        in = (struct mx_span){text, 16};
        err = mx_proxyproto_take(&header, &in);
        cr_expect_eq(err, len <= MX_PROXYPROTO_HEADER_MAX ? MX_EPARTIAL : MX_ELIMIT, "%zu", len);
    }
}
