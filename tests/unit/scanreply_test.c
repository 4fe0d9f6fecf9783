/* scanreply_test.c - answers of rspamd and spamd: whole, cut at every octet, and with every octet
 * changed, behind a page that nobody can touch. Scores, too.
 */
#include "proto/decimal.h"
#include "proto/scanreply.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <errno.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static const struct {
    const char *in;
    bool is_over;
    int result;
    uint32_t status;
    const char *body;
} https[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",                      false, 0,           200, "{}" },
    {"HTTP/1.0 500 a b\nContent-length:\t2 \nX: y\n\n{}more",               false, 0,           500, "{}" },
    {"HTTP/1.1 200\r\n\r\nabc",                                             true,  0,           200, "abc"},
    {"HTTP/1.1 200\r\n\r\nabc",                                             false, MX_EPARTIAL, 200, NULL },
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",                        false, 0,           200, ""   },
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",                      true,  MX_ESYNTAX,  200, NULL },
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",                            true,  MX_ESYNTAX,  200, NULL },
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", false, MX_ESYNTAX,  200,
     NULL                                                                                                 },
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",                       false, MX_ESYNTAX,  200, NULL },
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",              false, MX_ESYNTAX,  200, NULL },
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",      false, MX_ESYNTAX,  200,
     NULL                                                                                                 },
    {"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",                                 false, MX_ESYNTAX,  200, NULL },
    {"HTTP/2 200 OK\r\n\r\n",                                               true,  MX_ESYNTAX,  0,   NULL },
    {"HTTP/1.1 OK\r\n\r\n",                                                 true,  MX_ESYNTAX,  0,   NULL },
    {"220 mail ESMTP\r\n",                                                  false, MX_ESYNTAX,  0,   NULL },
    {"",                                                                    false, MX_EPARTIAL, 0,   NULL },
    {"",                                                                    true,  MX_ESYNTAX,  0,   NULL },
};

Test(scanreply, http) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < ROWS(https); i++) {
        struct mx_http_reply reply;
        struct mx_span in = guard_put(&guard, mx_span_of(https[i].in), true);
        cr_expect_eq(mx_http_read(in, https[i].is_over, &reply), https[i].result, "%s",
                     https[i].in);
        if (https[i].result != 0)
            continue;
        cr_expect_eq(reply.status, https[i].status, "%s", https[i].in);
        cr_expect(mx_span_equal(reply.body, mx_span_of(https[i].body)), "%s", https[i].in);
    }
}

static const struct {
    const char *in;
    int result;
    struct mx_spamd_reply reply;
} spamds[] = {
    {"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1000.0 / 5.0\r\n\r\n",                     0,           {0, true, 1000000, 5000}},
    {"SPAMD/1.1 0 EX_OK\r\nContent-length: 2\r\nSpam: False ; -0.1 / 5.0\r\n\r\n",
     0,                                                                                         {0, false, -100, 5000}  },
    {"SPAMD/1.5 0 EX_OK\nspam:Yes;7.25/5\n\nrest",                                 0,           {0, true, 7250, 5000}   },
    {"SPAMD/1.0 76 Bad header line\r\n",                                           0,           {76, false, 0, 0}       },
    {"SPAMD/1.1 0 EX_OK\r\n\r\n",                                                  MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 1 / 5\r\n\r\n",                           MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5\r\n\r\n",                          MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1\r\n\r\n",                                MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\nSpam: False ; 1 / 5\r\n\r\n",     MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam\r\n\r\n",                                          MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 EX_OK\r\n\r\n",                                                    MX_ESYNTAX,  {0}                     },
    {"SPAMD/2.0 0 EX_OK\r\n\r\n",                                                  MX_ESYNTAX,  {0}                     },
    {"HTTP/1.1 400 no\r\n\r\n",                                                    MX_ESYNTAX,  {0}                     },
    {"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\n",                                MX_EPARTIAL, {0}                     },
    {"",                                                                           MX_EPARTIAL, {0}                     },
};

Test(scanreply, spamd) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < ROWS(spamds); i++) {
        struct mx_spamd_reply reply;
        const struct mx_spamd_reply *wanted = &spamds[i].reply;
        struct mx_span in = guard_put(&guard, mx_span_of(spamds[i].in), true);
        cr_expect_eq(mx_spamd_read(in, &reply), spamds[i].result, "%s", spamds[i].in);
        if (spamds[i].result != 0)
            continue;
        cr_expect(reply.code == wanted->code && reply.is_spam == wanted->is_spam &&
                      reply.score == wanted->score && reply.required == wanted->required,
                  "%s", spamds[i].in);
    }
}

/* Cut anywhere, a good answer is only begun (or whole, when what is left out is not needed). */
Test(scanreply, cut_and_changed) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < 2; i++) {
        struct mx_span http = mx_span_of(https[i].in), spamd = mx_span_of(spamds[i].in);
        struct mx_http_reply http_reply;
        struct mx_spamd_reply spamd_reply;
        size_t needed = i == 0 ? http.len : http.len - 4;
        for (size_t len = 0; len < needed; len++) {
            struct mx_span in = guard_put(&guard, (struct mx_span){http.ptr, len}, true);
            cr_expect_eq(mx_http_read(in, false, &http_reply), MX_EPARTIAL, "%zu", len);
            cr_expect_eq(mx_http_read(in, true, &http_reply), MX_ESYNTAX, "%zu", len);
        }
        for (size_t len = 0; len < spamd.len; len++) {
            struct mx_span in = guard_put(&guard, (struct mx_span){spamd.ptr, len}, true);
            cr_expect_eq(mx_spamd_read(in, &spamd_reply), MX_EPARTIAL, "%zu", len);
        }
        for (size_t at = 0; at < http.len + spamd.len; at++) {
            for (unsigned octet = 0; octet < 256; octet++) {
                bool is_http = at < http.len;
                struct mx_span in = guard_put(&guard, is_http ? http : spamd, true);
                size_t place = is_http ? at : at - http.len;
                guard.end[(ptrdiff_t)place - (ptrdiff_t)in.len] = (char)octet;
                int err =
                    is_http ? mx_http_read(in, true, &http_reply) : mx_spamd_read(in, &spamd_reply);
                cr_expect(err == 0 || err == MX_ESYNTAX || err == MX_EPARTIAL);
            }
        }
    }
}

/* A head without end is given up. */
Test(scanreply, endless) {
    static char text[MX_SCANREPLY_HEAD_MAX + 1];
    struct mx_http_reply http;
    struct mx_spamd_reply spamd;
    memset(text, 'x', sizeof text);
    cr_expect_eq(mx_http_read((struct mx_span){text, sizeof text - 1}, false, &http), MX_EPARTIAL);
    cr_expect_eq(mx_http_read((struct mx_span){text, sizeof text}, false, &http), MX_ESYNTAX);
    cr_expect_eq(mx_spamd_read((struct mx_span){text, sizeof text}, &spamd), MX_ESYNTAX);
}

Test(scanreply, decimals) {
    static const struct {
        const char *text;
        int result;
        int32_t number;
        const char *back;
    } rows[] = {
        {"5",          0,          5000,        "5.0"       },
        {"-0.25",      0,          -250,        "-0.25"     },
        {"+1002.0",    0,          1002000,     "1002.0"    },
        {"0.0019",     0,          1,           "0.001"     },
        {"0",          0,          0,           "0.0"       },
        {"2000000",    0,          2000000000,  "2000000.0" },
        {"-2000000.9", 0,          -2000000900, "-2000000.9"},
        {"2000001",    -ERANGE,    0,           ""          },
        {"",           MX_ESYNTAX, 0,           ""          },
        {"-",          MX_ESYNTAX, 0,           ""          },
        {".5",         MX_ESYNTAX, 0,           ""          },
        {"5.",         MX_ESYNTAX, 0,           ""          },
        {"5 ",         MX_ESYNTAX, 0,           ""          },
        {"1e3",        MX_ESYNTAX, 0,           ""          },
        {"nan",        MX_ESYNTAX, 0,           ""          },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[MX_DECIMAL_TEXT_MAX];
        int32_t number = 0;
        cr_expect_eq(mx_decimal_parse(mx_span_of(rows[i].text), &number), rows[i].result, "%s",
                     rows[i].text);
        cr_expect_eq(number, rows[i].number, "%s", rows[i].text);
        if (rows[i].result != 0)
            continue;
        cr_expect_eq(mx_decimal_text(number, text), strlen(rows[i].back));
        cr_expect_str_eq(text, rows[i].back);
    }
    char text[MX_DECIMAL_TEXT_MAX];
    cr_expect_eq(mx_decimal_text(INT32_MIN, text), (size_t)12);
    cr_expect_str_eq(text, "-2147483.648");
}
