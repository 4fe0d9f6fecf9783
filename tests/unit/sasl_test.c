/* Goal: what PLAIN may look like, and that nothing outside of a message is read.
 * Method: a table; each message at a page nobody can touch. SCRAM's messages: session_auth_test.c
 * and the fuzz target. */
#include "proto/sasl.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

#define ROWS(table)   (sizeof(table) / sizeof *(table))
#define TEXT(literal) literal, sizeof(literal) - 1

static const struct {
    const char *text;
    size_t len;
    int err;
    const char *authz, *login, *password;
} rows[] = {
    {TEXT("\0bob\0secret"),    0,          "",    "bob", "secret"},
    {TEXT("amy\0bob\0secret"), 0,          "amy", "bob", "secret"},
    {TEXT("bob\0secret"),      0,          "",    "bob", "secret"},
    {TEXT("\0bob\0secret\0"),  0,          "",    "bob", "secret"},
    {TEXT("bob\0secret\0"),    0,          "",    "bob", "secret"},
    {TEXT("a\0bob\0"),         0,          "",    "a",   "bob"   },
    {TEXT("\0bob\0 s \t"),     0,          "",    "bob", " s \t" },
    {TEXT("bob\0\0"),          0,          "",    "bob", ""      },
    {TEXT(""),                 MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("\0"),               MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("\0\0"),             MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("bob"),              MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("bob\0"),            MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("\0\0secret"),       MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("\0secret"),         MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("a\0b\0c\0d"),       MX_ESYNTAX, NULL,  NULL,  NULL    },
    {TEXT("a\0b\0c\0\0"),      MX_ESYNTAX, NULL,  NULL,  NULL    },
};

Test(sasl, plain) {
    struct guard guard = guard_map();
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_sasl_plain plain;
        struct mx_span text = guard_put(&guard, (struct mx_span){rows[i].text, rows[i].len}, true);
        int err = mx_sasl_plain(text, &plain);
        cr_expect_eq(err, rows[i].err, "row %zu", i);
        if (err < 0 || rows[i].err < 0)
            continue;
        cr_expect(mx_span_equal(plain.authz, mx_span_of(rows[i].authz)), "row %zu", i);
        cr_expect(mx_span_equal(plain.login, mx_span_of(rows[i].login)), "row %zu", i);
        cr_expect(mx_span_equal(plain.password, mx_span_of(rows[i].password)), "row %zu", i);
    }
}

Test(sasl, longest_login) {
    char text[300] = {0};
    struct mx_sasl_plain plain;
    memset(text + 1, 'u', MX_SASL_LOGIN_MAX);
    text[MX_SASL_LOGIN_MAX + 2] = 'p';
    cr_expect_eq(mx_sasl_plain((struct mx_span){text, MX_SASL_LOGIN_MAX + 3}, &plain), 0);
    memset(text + 1, 'u', MX_SASL_LOGIN_MAX + 1);
    text[MX_SASL_LOGIN_MAX + 2] = '\0';
    text[MX_SASL_LOGIN_MAX + 3] = 'p';
    cr_expect_eq(mx_sasl_plain((struct mx_span){text, MX_SASL_LOGIN_MAX + 4}, &plain), MX_ESYNTAX);
}

Test(sasl, names) {
    for (unsigned i = 0; i < MX_SASL_COUNT; i++) {
        enum mx_sasl_mechanism found = MX_SASL_COUNT;
        cr_expect(mx_sasl_find(mx_sasl_name((enum mx_sasl_mechanism)i), &found));
        cr_expect_eq(found, i);
    }
    enum mx_sasl_mechanism found = MX_SASL_COUNT;
    cr_expect(mx_sasl_find(MX_SPAN("scram-Sha-256"), &found) && found == MX_SASL_SCRAM_SHA_256);
    cr_expect_not(mx_sasl_find(MX_SPAN("SCRAM-SHA-256-PLUS"), &found));
    cr_expect_not(mx_sasl_find(MX_SPAN(""), &found));
}
