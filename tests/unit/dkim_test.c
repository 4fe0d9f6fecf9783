/* dkim_test.c - DKIM-Signature fields, key records and canonical forms, in tables; forms also with
 * the text cut at every octet.
 */
#include "proto/dkim.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { NOW_S = 1600000000 };

/* ---- canonical forms ---- */

struct gathered {
    size_t len;
    char text[2048];
};

static void gather(void *context, struct mx_span piece) {
    struct gathered *self = context;
    cr_assert_leq(self->len + piece.len, sizeof self->text);
    memcpy(self->text + self->len, piece.ptr, piece.len);
    self->len += piece.len;
}

static bool is_text(const struct gathered *self, const char *wanted) {
    return mx_span_equal((struct mx_span){self->text, self->len}, mx_span_of(wanted));
}

static const struct body_case {
    const char *name, *in, *simple, *relaxed, *forced; /* forced: simple with forces_crlf */
} bodies[] = {
    {"RFC 6376 3.4.5",                 " C \r\nD \t E\r\n\r\n\r\n",                                " C \r\nD \t E\r\n",                                                                          " C\r\nD E\r\n",      NULL         },
    {"nothing",                        "",                                                         "\r\n",                                                                                       "",                   NULL         },
    {"empty lines only",               "\r\n\r\n\r\n",                                             "\r\n",                                                                                       "",                   NULL         },
    {"white lines only",               " \r\n\t\r\n",                                              " \r\n\t\r\n",                                                                                "",                   NULL         },
    {"no line end",                    "a",                                                        "a\r\n",                                                                                      "a\r\n",              NULL         },
    {"no line end behind white space", "a \t",                                                     "a \t\r\n",                                                                                   "a\r\n",              NULL         },
    {"empty lines between",            "a\r\n\r\n\r\nb\r\n",                                       "a\r\n\r\n\r\nb\r\n",                                                                         "a\r\n\r\n\r\nb\r\n", NULL         },
    {"empty line first",               "\r\na\r\n",                                                "\r\na\r\n",                                                                                  "\r\na\r\n",          NULL         },
    {"white space first",              "\t a  b\t\tc \r\n",                                        "\t a  b\t\tc \r\n",                                                                          " a b c\r\n",         NULL         },
    {"CR alone",                       "a\rb\r\r\nc\r",                                            "a\rb\r\r\nc\r\r\n",                                                                          "a\rb\r\r\nc\r\r\n",  NULL         },
    {"CR behind white space",          "a \r \r\n",                                                "a \r \r\n",                                                                                  "a \r\r\n",           NULL         },
    {"LF alone",                       "a\nb\n\n",                                                 "a\nb\n\n\r\n",                                                                               "a\nb\n\n\r\n",       "a\r\nb\r\n" },
    {"LF behind white space",          "a \nb\r\n",                                                "a \nb\r\n",                                                                                  "a \nb\r\n",          "a \r\nb\r\n"},
    {"a hundred empty lines",
     "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n",
     "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n",                                                                                                                     NULL         },
};

/* Cut at two places. */
static bool has_form(struct mx_span text, size_t cut, size_t second, struct mx_dkim_body body,
                     const char *wanted) {
    struct gathered got = {.len = 0};
    struct mx_dkim_out out = {gather, &got};
    mx_dkim_body_put(&body, guard_copy((struct mx_span){text.ptr, cut}), &out);
    mx_dkim_body_put(&body, (struct mx_span){text.ptr + cut, second - cut}, &out);
    mx_dkim_body_put(&body, mx_span_skip(text, second), &out);
    mx_dkim_body_end(&body, &out);
    return is_text(&got, wanted) && body.octets == strlen(wanted);
}

static void check_body(const struct body_case *row, struct mx_dkim_body form, const char *wanted) {
    struct mx_span text = mx_span_of(row->in);
    for (size_t cut = 0; cut <= text.len; cut++) {
        size_t second = cut;
        while (second <= text.len && has_form(text, cut, second, form, wanted))
            second++;
        cr_expect_eq(second, text.len + 1, "%s, cut at %zu and %zu", row->name, cut, second);
    }
}

Test(dkim, bodies) {
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const struct body_case *row = &bodies[i];
        const char *forced = row->forced != NULL ? row->forced : row->simple;
        check_body(row, (struct mx_dkim_body){.limit = UINT64_MAX}, row->simple);
        check_body(row, (struct mx_dkim_body){.limit = UINT64_MAX, .is_relaxed = true},
                   row->relaxed);
        check_body(row, (struct mx_dkim_body){.limit = UINT64_MAX, .forces_crlf = true}, forced);
    }
}

Test(dkim, body_within_a_limit) {
    static const char text[] = "ab \r\n\r\nc\r\n", wanted[] = "ab\r\n\r\nc\r\n";
    for (size_t limit = 0; limit < sizeof text + 3; limit++) {
        struct mx_dkim_body body = {.is_relaxed = true, .limit = limit};
        struct gathered got = {.len = 0};
        struct mx_dkim_out out = {gather, &got};
        mx_dkim_body_put(&body, mx_span_of(text), &out);
        mx_dkim_body_end(&body, &out);
        size_t len = limit < sizeof wanted - 1 ? limit : sizeof wanted - 1;
        cr_expect(mx_span_equal((struct mx_span){got.text, got.len}, (struct mx_span){wanted, len}),
                  "%zu", limit);
        cr_expect_eq(body.octets, sizeof wanted - 1, "what is left out counts, too");
    }
}

Test(dkim, fields) {
    static const struct {
        const char *in, *simple, *relaxed;
    } rows[] = {
        {"A: X\r\n",             "A: X\r\n",             "a:X\r\n"           }, /* RFC 6376 3.4.5 */
        {"B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"         },
        {"Empty:\r\n",           "Empty:\r\n",           "empty:\r\n"        },
        {"Blank: \t \r\n",       "Blank: \t \r\n",       "blank:\r\n"        },
        {"Colons:a:b : c\r\n",   "Colons:a:b : c\r\n",   "colons:a:b : c\r\n"},
        {"No-End: x",            "No-End: x\r\n",        "no-end:x\r\n"      },
        {"Lf: x\n y\n",          "Lf: x\r\n y\r\n",      "lf:x y\r\n"        },
        {"Cr: x\ry \r\n",        "Cr: x\ry \r\n",        "cr:x\ry\r\n"       },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int is_relaxed = 0; is_relaxed < 2; is_relaxed++) {
            struct gathered got = {.len = 0};
            struct mx_dkim_out out = {gather, &got};
            mx_dkim_put_field(guard_copy(mx_span_of(rows[i].in)), is_relaxed, &out);
            cr_expect(is_text(&got, is_relaxed ? rows[i].relaxed : rows[i].simple), "%s: '%.*s'",
                      rows[i].in, (int)got.len, got.text);
        }
    }
}

Test(dkim, own_field) {
    static const struct {
        const char *in, *simple, *relaxed;
    } rows[] = {
        {"D: a=x; b=abc; c=d\r\n",                   "D: a=x; b=; c=d",       "d:a=x; b=; c=d"  },
        {"D: a=x;\r\n b= ab\r\n c \r\n ; bh=yz\r\n", "D: a=x;\r\n b=; bh=yz", "d:a=x; b=; bh=yz"},
        {"D: bh=b; b = Q=\r\n",                      "D: bh=b; b =",          "d:bh=b; b ="     },
        {"D: b=x",                                   "D: b=",                 "d:b="            },
        {"D: b=x;\r\n",                              "D: b=;",                "d:b=;"           },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int is_relaxed = 0; is_relaxed < 2; is_relaxed++) {
            struct gathered got = {.len = 0};
            struct mx_dkim_out out = {gather, &got};
            mx_dkim_put_signature(guard_copy(mx_span_of(rows[i].in)), is_relaxed, &out);
            cr_expect(is_text(&got, is_relaxed ? rows[i].relaxed : rows[i].simple), "%s: '%.*s'",
                      rows[i].in, (int)got.len, got.text);
        }
    }
}

/* ---- signatures ---- */

#define HASH "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define SIGN "a=rsa-sha256; v=1; b=AQID; bh=" HASH "; d=a.test; s=k; h=from"
#define LONG "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

Test(dkim, signatures) {
    static const struct {
        const char *value, *why; /* NULL: it is sound */
    } rows[] = {
        {SIGN,                                                                                       NULL                            },
        {SIGN ";",                                                                                   NULL                            },
        {SIGN " ; \r\n",                                                                             NULL                            },
        {" \r\n\t" SIGN "; c=relaxed; i=@a.test; q=dns/txt; t=1; x=99999999999; l=5; z=x|y",         NULL                            },
        {SIGN "; i=user@sub.A.test",                                                                 NULL                            },
        {SIGN "; i=\"a@b\"@a.test",                                                                  NULL                            },
        {SIGN "; q=other : dns/txt; c=Simple/Relaxed; unknown=~!",                                   NULL                            },
        {SIGN "; x=99999999999999999999999999999999",                                                NULL                            },
        {SIGN "; t=1600003600",                                                                      NULL                            },
        {"",                                                                                         "a tag is missing"              },
        {"v=1",                                                                                      "a tag is missing"              },
        {SIGN ";;",                                                                                  "tags are malformed"            },
        {SIGN "; =",                                                                                 "tags are malformed"            },
        {SIGN "; 1=x",                                                                               "tags are malformed"            },
        {SIGN "; t",                                                                                 "tags are malformed"            },
        {SIGN "; n=\x01",                                                                            "tags are malformed"            },
        {SIGN "; v=1",                                                                               "a tag stands twice"            },
        {SIGN "; y=1; y=1",                                                                          "a tag stands twice"            },
        {SIGN "; V=2",                                                                               NULL                            }, /* names of tags have their case */
        {SIGN "; t=",                                                                                "a tag is empty"                },
        {SIGN "; t=-1",                                                                              "t= is no number"               },
        {SIGN "; l=1k",                                                                              "l= is no number"               },
        {SIGN "; x=z",                                                                               "x= is no number"               },
        {SIGN "; t=2; x=2",                                                                          "x= is not behind t="           },
        {SIGN "; x=1599999999",                                                                      "signature has expired"         },
        {SIGN "; t=1600003601",                                                                      "signed in the future"          },
        {SIGN "; c=nofws",                                                                           "unknown canonicalization"      },
        {SIGN "; c=simple/x",                                                                        "unknown canonicalization"      },
        {SIGN "; q=http",                                                                            "unknown way to ask for the key"},
        {SIGN "; i=a.test",                                                                          "i= is no address"              },
        {SIGN "; i=@b.test",                                                                         "i= is not of the domain"       },
        {SIGN "; i=@xa.test",                                                                        "i= is not of the domain"       },
        {SIGN "; i=@test",                                                                           "i= is not of the domain"       },
        {SIGN "; i=@a.test@b.test",                                                                  "i= is not of the domain"       },
        {"v=2; a=rsa-sha256; b=AQID; bh=" HASH "; d=a.test; s=k; h=from",                            "unknown version"               },
        {"v=1; a=rsa-sha1; b=AQID; bh=" HASH "; d=a.test; s=k; h=from",                              "rsa-sha1 is not secure"        },
        {"v=1; a=dsa; b=AQID; bh=" HASH "; d=a.test; s=k; h=from",                                   "unknown algorithm"             },
        {"v=1; a=ed25519-sha256; b=AQID; bh=" HASH "; d=a.test; s=k; h=from",
         "signature is none of Ed25519"                                                                                              },
        {"v=1; a=rsa-sha256; b=A!ID; bh=" HASH "; d=a.test; s=k; h=from",
         "signature is not base64"                                                                                                   },
        {"v=1; a=rsa-sha256; b=AQID; bh=AQID; d=a.test; s=k; h=from",                                "body hash is none"             },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH HASH "; d=a.test; s=k; h=from",                       "body hash is none"             },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=a test; s=k; h=from",                            "domain is none"                },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=a.test; s=k.; h=from",                           "selector is none"              },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=" LONG "." LONG "." LONG "; s=" LONG "; h=from",
         "selector and domain are too long"                                                                                          },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=a.test; s=k; h=to",                              "From is not signed"            },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=a.test; s=k; h=from::to",
         "list of fields is malformed"                                                                                               },
        {"v=1; a=rsa-sha256; b=AQID; bh=" HASH "; d=a.test; s=k; h=from:t o",
         "list of fields is malformed"                                                                                               },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mx_dkim_signature signature;
        const char *why =
            mx_dkim_read_signature(&signature, guard_copy(mx_span_of(rows[i].value)), NOW_S);
        bool is_same =
            why == NULL || rows[i].why == NULL ? why == rows[i].why : strcmp(why, rows[i].why) == 0;
        cr_expect(is_same, "%s: %s", rows[i].value, why);
    }
}

Test(dkim, a_signature) {
    struct mx_dkim_signature self;
    cr_assert_null(mx_dkim_read_signature(
        &self,
        mx_span_of("v=1; a=RSA-SHA256; b=A Q\r\n\tI D ; bh=" HASH "; d=a.test; s=k.l;\r\n"
                   " h=From : to:FROM; c=relaxed/simple; i=x@A.Test; t=12; x=99999999999; l=7"),
        NOW_S));
    cr_expect(self.is_relaxed_header && !self.is_relaxed_body && self.is_user_of_domain);
    cr_expect(self.has_limit && self.limit == 7 && self.made_s == 12);
    cr_expect_eq(self.until_s, 99999999999U);
    cr_expect_eq(self.from_count, 2U);
    cr_expect_eq(self.signature_len, 3U);
    cr_expect_arr_eq(self.signature, "\1\2\3", 3);
    cr_expect_arr_eq(self.body_hash, "01234567890123456789012345678901", 32);
    cr_expect(mx_span_equal(self.selector, MX_SPAN("k.l")));
}

Test(dkim, many_tags_and_names) {
    char text[4096];
    int len = snprintf(text, sizeof text, "%s", SIGN);
    struct mx_dkim_signature self;
    for (unsigned i = 7; i < MX_DKIM_TAGS_MAX; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "; y%u=1", i);
    cr_expect_null(mx_dkim_read_signature(&self, mx_span_of(text), NOW_S));
    snprintf(text + len, sizeof text - (size_t)len, "; more=1");
    cr_expect_str_eq(mx_dkim_read_signature(&self, mx_span_of(text), NOW_S), "too many tags");
    len = snprintf(text, sizeof text, "%s", SIGN);
    for (unsigned i = 1; i < MX_DKIM_NAMES_MAX; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, ":a");
    cr_expect_null(mx_dkim_read_signature(&self, mx_span_of(text), NOW_S));
    snprintf(text + len, sizeof text - (size_t)len, ":a");
    cr_expect_str_eq(mx_dkim_read_signature(&self, mx_span_of(text), NOW_S),
                     "too many fields are listed");
}

/* ---- keys ---- */

#define POINT "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_1024                                                                                   \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"     \
    "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZy"     \
    "VYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
/* ... without what stands around it */
#define RSA_BARE                                                                                   \
    "MIGJAoGBAOQeU5CgFPNZGIazlXo2k/eJ1jpaTTxrmqF1HrDLlt04pvaMtCJj8nXoliLRC/H9vJjMI1vdb3XLcW60"     \
    "AIN/PBD8EL97/y4GwJH7LPUvGP48vqUe+owqszesbiGy1PlCO8c70/OjFnJVgvMF87YR4Lcincb7aSvI5MgpP6X8"     \
    "rjDdAgMBAAE="

Test(dkim, keys) {
    enum { R = MX_DKIM_RSA_SHA256, E = MX_DKIM_ED25519_SHA256 };
    static const struct {
        const char *record, *why;
        int algorithm;
    } rows[] = {
        {"v=DKIM1; k=ed25519; p=" POINT,                                NULL,                               E},
        {"k=ed25519;t=y:s;s=email;h=sha1:sha256;n=notes; p=" POINT ";", NULL,                               E},
        {"p=" RSA_1024,                                                 NULL,                               R},
        {"v=DKIM1; k=rsa; s=*; p=" RSA_BARE,                            NULL,                               R},
        {"v=DKIM1; k=rsa; p=" POINT,                                    "key is none of RSA",               R},
        {"v=DKIM1; p=",                                                 "key is revoked",                   R},
        {"v=DKIM1; n=x",                                                "key record has no key",            R},
        {"",                                                            "key record has no key",            R},
        {"v=spf1 -all",                                                 "key record is of another version", R},
        {"p=" RSA_1024 "; v=DKIM1",                                     "key record is of another version", R},
        {"v=DKIM1; p=" RSA_1024,                                        "key is of another kind",           E},
        {"v=DKIM1; k=ed25519; p=" POINT,                                "key is of another kind",           R},
        {"v=DKIM1; k=ed25519; p=AQID",                                  "key is none of Ed25519",           E},
        {"v=DKIM1; h=sha1; p=" RSA_1024,                                "key is not for SHA-256",           R},
        {"v=DKIM1; s=tlsrpt; p=" RSA_1024,                              "key is not for mail",              R},
        {"v=DKIM1; p=" RSA_1024 "; p=" RSA_1024,                        "key record has a tag twice",       R},
        {"v=DKIM1; p",                                                  "key record is malformed",          R},
        {"v=DKIM1; p=?",                                                "key is not base64, or too long",   R},
        {"v=DKIM1; p=MAA=",                                             "key is none of RSA",               R},
        {"v=DKIM1; p=MAYCAQMCAQM=",                                     "key is shorter than 1024 bits",    R},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mx_dkim_key key;
        const char *why = mx_dkim_read_key(&key, guard_copy(mx_span_of(rows[i].record)),
                                           (enum mx_dkim_algorithm)rows[i].algorithm);
        bool is_same =
            why == NULL || rows[i].why == NULL ? why == rows[i].why : strcmp(why, rows[i].why) == 0;
        cr_expect(is_same, "%s: %s", rows[i].record, why);
        if (why == NULL && rows[i].algorithm == R) {
            cr_expect_eq(key.modulus.len, 128U);
            cr_expect_arr_eq(key.exponent.ptr, "\1\0\1", 3);
        }
        cr_expect_eq(key.is_testing && key.is_strict, i == 1, "flags");
    }
}

/* Each octet of the DER changed, and each place where it is cut: it is read, or refused. */
Test(dkim, keys_in_pieces) {
    char record[] = "v=DKIM1; p=" RSA_1024;
    static const char others[] = "A/0=";
    struct mx_dkim_key key;
    for (size_t i = 0; i + 1 < sizeof record; i++) {
        char was = record[i];
        for (size_t k = 0; k < sizeof others; k++) {
            record[i] = others[k];
            const char *why = mx_dkim_read_key(&key, mx_span_of(record), MX_DKIM_RSA_SHA256);
            cr_expect(why != NULL || (key.modulus.len >= 128 && key.exponent.len >= 1), "%zu", i);
        }
        record[i] = was;
        struct mx_span cut = guard_copy((struct mx_span){record, i});
        cr_expect_not_null(mx_dkim_read_key(&key, cut, MX_DKIM_RSA_SHA256), "cut at %zu", i);
    }
}
