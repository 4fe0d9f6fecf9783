/* trace_header_test.c - the Received line: whole texts from a table, dates against gmtime_r, and
 * random content, which may neither pass the stated sizes nor change the line structure.
 */
#include "proto/trace_header.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DATE "          Thu, 06 Aug 2026 09:08:07 +0000 (UTC)\r\n"

static struct mx_trace_header basic(void) {
    return (struct mx_trace_header){
        .helo_verb = MX_SPAN("EHLO"),
        .helo_name = MX_SPAN("c.test"),
        .peer = {.family = 4, .bytes = {127, 0, 0, 1}},
        .by = MX_SPAN("mx.test"),
        .software = MX_SPAN("mxring"),
        .session_id = 0x12ab,
        .time_s = 1786007287,
    };
}

/* In a buffer of just the promised size that ends at an unreadable page, NUL-terminated. */
static const char *text_of(const struct mx_trace_header *header) {
    static char copy[MX_TRACE_HEADER_MAX + 1];
    char *text = guard_room(MX_TRACE_HEADER_MAX);
    memset(text, '\n', MX_TRACE_HEADER_MAX);
    size_t len = mx_trace_header_put(header, text);
    cr_assert_leq(len, (size_t)MX_TRACE_HEADER_MAX);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

Test(trace_header, one_recipient) {
    struct mx_trace_header header = basic();
    header.rcpt = MX_SPAN("bob@example.com");
    cr_expect_str_eq(text_of(&header), "Received: from 127.0.0.1 (EHLO c.test) ([127.0.0.1])\r\n"
                                       "          by mx.test (mxring) with ESMTP ID 000012ab\r\n"
                                       "          for <bob@example.com>;\r\n" DATE);
}

Test(trace_header, several_recipients) {
    struct mx_trace_header header = basic();
    cr_expect_str_eq(text_of(&header),
                     "Received: from 127.0.0.1 (EHLO c.test) ([127.0.0.1])\r\n"
                     "          by mx.test (mxring) with ESMTP ID 000012ab;\r\n" DATE);
}

Test(trace_header, everything) {
    struct mx_trace_header header = basic();
    header.helo_verb = MX_SPAN("LHLO");
    header.helo_name = MX_SPAN("[IPv6:2001:db8::1]");
    header.peer = (struct mx_ip){
        .family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}
    };
    header.tls = MX_SPAN("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384");
    header.software = MX_SPAN("JAMES Protocols Server ");
    header.rcpt = MX_SPAN("\"a b\"@example.com");
    header.session_id = UINT32_MAX;
    header.is_lmtp = header.is_tls = true;
    cr_expect_str_eq(text_of(&header),
                     "Received: from 2001:db8::1 (LHLO [IPv6:2001:db8::1]) ([2001:db8::1])\r\n"
                     "          (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
                     "          by mx.test (JAMES Protocols Server ) with LMTPS ID ffffffff\r\n"
                     "          for <\"a b\"@example.com>;\r\n" DATE);
}

Test(trace_header, no_helo_no_peer) {
    struct mx_trace_header header = basic();
    header.helo_verb = header.helo_name = (struct mx_span){0};
    header.peer.family = 0;
    cr_expect_str_eq(text_of(&header),
                     "Received: from unknown ([unknown])\r\n"
                     "          by mx.test (mxring) with SMTP ID 000012ab;\r\n" DATE);
}

Test(trace_header, protocol_names) {
    enum { LMTP = 1, TLS = 2, AUTH = 4, UTF8 = 8 };
    static const struct {
        const char *verb;
        int flags;
        const char *name;
    } cases[] = {
        {"HELO", 0,                        "SMTP"      },
        {"HELO", TLS,                      "SMTP"      },
        {"HELO", TLS | AUTH,               "SMTP"      },
        {"",     TLS,                      "SMTP"      },
        {"EHLO", 0,                        "ESMTP"     },
        {"EHLO", TLS,                      "ESMTPS"    },
        {"EHLO", AUTH,                     "ESMTPA"    },
        {"EHLO", TLS | AUTH,               "ESMTPSA"   },
        {"EHLO", UTF8,                     "UTF8SMTP"  },
        {"EHLO", UTF8 | TLS,               "UTF8SMTPS" },
        {"EHLO", UTF8 | AUTH,              "UTF8SMTPA" },
        {"EHLO", UTF8 | TLS | AUTH,        "UTF8SMTPSA"},
        {"LHLO", 0,                        "LMTP"      },
        {"LHLO", LMTP,                     "LMTP"      },
        {"",     LMTP,                     "LMTP"      },
        {"LHLO", LMTP | TLS,               "LMTPS"     },
        {"LHLO", LMTP | AUTH,              "LMTPA"     },
        {"LHLO", LMTP | TLS | AUTH,        "LMTPSA"    },
        {"LHLO", LMTP | UTF8,              "UTF8LMTP"  },
        {"LHLO", LMTP | UTF8 | TLS | AUTH, "UTF8LMTPSA"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_trace_header header = basic();
        char want[32];
        header.helo_verb = mx_span_of(cases[i].verb);
        header.is_lmtp = cases[i].flags & LMTP;
        header.is_tls = cases[i].flags & TLS;
        header.is_auth = cases[i].flags & AUTH;
        header.is_utf8 = cases[i].flags & UTF8;
        snprintf(want, sizeof want, ") with %s ID ", cases[i].name);
        cr_expect_not_null(strstr(text_of(&header), want), "%s, %d: %s", cases[i].verb,
                           cases[i].flags, cases[i].name);
    }
}

Test(trace_header, foreign_octets) {
    static const struct {
        const char *name;
        bool is_utf8;
        struct mx_span helo;
        const char *want;
    } cases[] = {
        {"line end",                  false, MX_SPAN("a\r\nX: y"),     "(EHLO a??X: y)"      },
        {"NUL, tab and DEL",          false, MX_SPAN("a\0b\tc\x7f"),   "(EHLO a?b?c?)"       },
        {"end of the comment",        false, MX_SPAN("a) (b\\"),       "(EHLO a? ?b?)"       },
        {"UTF-8, not wanted",         false, MX_SPAN("\xc3\xb6.org"),  "(EHLO ??.org)"       },
        {"UTF-8",                     true,  MX_SPAN("\xc3\xb6.org"),  "(EHLO \xc3\xb6.org)" },
        {"malformed UTF-8",           true,  MX_SPAN("a\xc3.org\xff"), "(EHLO a?.org?)"      },
        {"UTF-8 control",             true,  MX_SPAN("a\xc2\x85.org"), "(EHLO a??.org)"      },
        {"first behind the controls", true,  MX_SPAN("a\xc2\xa0.org"), "(EHLO a\xc2\xa0.org)"},
        {"empty name",                false, MX_SPAN(""),              "(EHLO )"             },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_trace_header header = basic();
        header.helo_name = cases[i].helo;
        header.is_utf8 = cases[i].is_utf8;
        cr_expect_not_null(strstr(text_of(&header), cases[i].want), "%s: %s", cases[i].name,
                           text_of(&header));
    }
    struct mx_trace_header header = basic();
    header.rcpt = MX_SPAN("\"a)\\\"\r\n(\"@x.org");
    cr_expect_not_null(strstr(text_of(&header), "for <\"a)\\\"?\?(\"@x.org>;\r\n"));
}

static void expect_date(int64_t time_s, int64_t shown_s) {
    struct mx_trace_header header = basic();
    header.time_s = time_s;
    const char *text = text_of(&header);
    time_t seconds = shown_s;
    struct tm tm;
    char want[64];
    cr_assert_not_null(gmtime_r(&seconds, &tm));
    strftime(want, sizeof want, "          %a, %d %b %Y %H:%M:%S +0000 (UTC)\r\n", &tm);
    cr_assert_str_eq(text + strlen(text) - strlen(want), want, "%lld", (long long)time_s);
}

Test(trace_header, dates) {
    const int64_t year_2200_s = INT64_C(7289654399), last_s = INT64_C(253402300799);
    unsigned seed = 3;
    for (int i = 0; i < 20000; i++) {
        int64_t time_s = ((int64_t)rand_r(&seed) << 31 | rand_r(&seed)) % (year_2200_s + 1);
        expect_date(time_s, time_s);
    }
    /* Every last and first second of a day, which holds all leap days and ends of years. */
    for (int64_t day_s = 0; day_s <= year_2200_s; day_s += 86400) {
        expect_date(day_s, day_s);
        expect_date(day_s + 86399, day_s + 86399);
    }
    expect_date(last_s, last_s);
    expect_date(last_s + 1, last_s);
    expect_date(INT64_MAX, last_s);
    expect_date(-1, 0);
    expect_date(INT64_MIN, 0);
}

static struct mx_span random_text(char *room, size_t max, unsigned *seed) {
    static const char *const parts[] = {
        "a",    ".", "\r\n", "\n", "\xc3\xb6", "\xe7\x94\xa8", "\xf0\x9f\x93\xa7",
        "\xff", ")", ">",    ";",  " ",        "\xc2\x80"};
    size_t len = 0, want = (size_t)rand_r(seed) % max;
    while (len < want) {
        const char *part = parts[(size_t)rand_r(seed) % (sizeof parts / sizeof *parts)];
        memcpy(room + len, part, strlen(part));
        len += strlen(part);
    }
    return (struct mx_span){room, len};
}

/* The number of lines; each is bounded, ends in CRLF, and holds no other control character. */
static int count_lines(const char *text) {
    int count = 0;
    while (*text != '\0') {
        const char *end = strstr(text, "\r\n");
        cr_assert_not_null(end, "no CRLF at the end");
        cr_assert_leq(end - text, 998);
        for (const char *at = text; at < end; at++)
            cr_assert((uint8_t)*at >= ' ' && *at != 0x7f, "octet %02x", (uint8_t)*at);
        cr_assert(count == 0 || strncmp(text, "          ", 10) == 0, "%s", text);
        text = end + 2;
        count++;
    }
    return count;
}

Test(trace_header, random_content) {
    enum { LONG = 2000 };
    static char rooms[6][LONG + 4];
    unsigned seed = 5;
    for (int round = 0; round < 5000; round++) {
        size_t max = round % 2 ? LONG : 30;
        struct mx_trace_header header = {
            .helo_verb = random_text(rooms[0], max, &seed),
            .helo_name = random_text(rooms[1], max, &seed),
            .peer = {.family = 6, .bytes = {[0 ... 15] = 0xff}},
            .by = random_text(rooms[2], max, &seed),
            .software = random_text(rooms[3], max, &seed),
            .tls = random_text(rooms[4], max, &seed),
            .rcpt = random_text(rooms[5], max, &seed),
            .session_id = (uint32_t)round,
            .is_lmtp = round & 1,
            .is_tls = true,
            .is_auth = true,
            .is_utf8 = round & 2,
            .time_s = INT64_MAX,
        };
        bool has_for = header.rcpt.len > 0 && header.rcpt.len <= MX_TRACE_RCPT_MAX;
        int lines = 3 + (header.tls.len > 0) + has_for;
        cr_assert_eq(count_lines(text_of(&header)), lines);
    }
}

/* Everything as long as can be; a UTF-8 sequence at the place of the cut is left out whole. */
Test(trace_header, long_names_are_cut) {
    static char name[4000];
    for (size_t i = 0; i < sizeof name; i += 4)
        memcpy(name + i, "\xf0\x9f\x93\xa7", 4);
    struct mx_span all = {name, sizeof name};
    struct mx_trace_header header = basic();
    header.helo_name = header.by = header.software = header.tls = header.rcpt = all;
    header.is_utf8 = true;
    const char *text = text_of(&header);
    cr_expect_eq(count_lines(text), 4);
    cr_expect_null(strchr(text, '\xff'));
    const char *end = strstr(text, ") ([127.0.0.1])\r\n");
    cr_assert_not_null(end);
    cr_expect_eq(end - (strstr(text, "EHLO ") + 5), 252, "255 octets hold 63 sequences");
}

/* Half an address is another address: a recipient is named whole or not at all. */
Test(trace_header, a_long_recipient_is_left_out) {
    static char name[MX_TRACE_RCPT_MAX + 1];
    memset(name, 'b', sizeof name);
    struct mx_trace_header header = basic();
    header.rcpt = (struct mx_span){name, MX_TRACE_RCPT_MAX};
    char want[MX_TRACE_RCPT_MAX + 100];
    snprintf(want, sizeof want, "000012ab\r\n          for <%.*s>;\r\n" DATE, MX_TRACE_RCPT_MAX,
             name);
    cr_expect_not_null(strstr(text_of(&header), want));
    header.rcpt.len++;
    cr_expect_str_eq(text_of(&header),
                     "Received: from 127.0.0.1 (EHLO c.test) ([127.0.0.1])\r\n"
                     "          by mx.test (mxring) with ESMTP ID 000012ab;\r\n" DATE);
}

/* Texts are read up to their end only. */
Test(trace_header, reads_no_further) {
    struct mx_trace_header header = basic();
    char text[MX_TRACE_HEADER_MAX];
    header.is_utf8 = true;
    for (size_t len = 0; len <= 4; len++) {
        header.helo_name = guard_copy((struct mx_span){"\xf0\x9f\x93\xa7", len});
        cr_expect_gt(mx_trace_header_put(&header, text), 0);
        header.rcpt = header.helo_name;
        cr_expect_gt(mx_trace_header_put(&header, text), 0);
    }
}
