/* verb_test.c - every verb is found in any case, and nothing else is: each verb with each octet
 * replaced by all 256 values, cut short, and made longer.
 */
#include "proto/verb.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <signal.h>

static const struct {
    const char *name;
    enum mx_verb verb;
    unsigned protocols;
} cases[] = {
    {"MAIL",     MX_VERB_MAIL,     MX_IN_BOTH},
    {"RCPT",     MX_VERB_RCPT,     MX_IN_BOTH},
    {"DATA",     MX_VERB_DATA,     MX_IN_BOTH},
    {"BDAT",     MX_VERB_BDAT,     MX_IN_BOTH},
    {"EHLO",     MX_VERB_EHLO,     MX_IN_SMTP},
    {"HELO",     MX_VERB_HELO,     MX_IN_SMTP},
    {"LHLO",     MX_VERB_LHLO,     MX_IN_LMTP},
    {"QUIT",     MX_VERB_QUIT,     MX_IN_BOTH},
    {"RSET",     MX_VERB_RSET,     MX_IN_BOTH},
    {"NOOP",     MX_VERB_NOOP,     MX_IN_BOTH},
    {"VRFY",     MX_VERB_VRFY,     MX_IN_BOTH},
    {"EXPN",     MX_VERB_EXPN,     MX_IN_BOTH},
    {"HELP",     MX_VERB_HELP,     MX_IN_SMTP},
    {"AUTH",     MX_VERB_AUTH,     MX_IN_SMTP},
    {"STARTTLS", MX_VERB_STARTTLS, MX_IN_BOTH},
};
enum { CASES = sizeof cases / sizeof *cases, NAME_MAX_LEN = 8 };

static enum mx_verb find(const char *name, size_t len) {
    return mx_verb_find(guard_copy((struct mx_span){name, len}));
}

Test(verb, rows_are_complete) {
    cr_assert_eq((int)CASES, (int)MX_VERB_UNKNOWN);
    for (size_t i = 0; i < CASES; i++) {
        cr_expect_eq(find(cases[i].name, strlen(cases[i].name)), cases[i].verb, "%s",
                     cases[i].name);
        cr_expect_str_eq(mx_verb_name(cases[i].verb), cases[i].name);
        cr_expect_eq(mx_verb_protocols(cases[i].verb), cases[i].protocols, "%s", cases[i].name);
    }
    cr_expect_str_eq(mx_verb_name(MX_VERB_UNKNOWN), "UNKNOWN");
    cr_expect_eq(mx_verb_protocols(MX_VERB_UNKNOWN), 0);
}

Test(verb, any_case) {
    for (size_t i = 0; i < CASES; i++) {
        size_t len = strlen(cases[i].name);
        for (unsigned mask = 0; mask < 1u << len; mask++) {
            char name[NAME_MAX_LEN + 1] = {0};
            for (unsigned k = 0; k < len; k++)
                name[k] = (char)(cases[i].name[k] | (mask >> k & 1 ? 0x20 : 0));
            cr_expect_eq(find(name, len), cases[i].verb, "%s", name);
        }
    }
}

Test(verb, nothing_else) {
    for (size_t i = 0; i < CASES; i++) {
        size_t len = strlen(cases[i].name);
        for (int k = 0; k < (int)len * 256; k++) {
            char name[NAME_MAX_LEN + 1];
            memcpy(name, cases[i].name, len + 1);
            name[k / 256] = (char)(k % 256);
            enum mx_verb want = MX_VERB_UNKNOWN;
            for (size_t j = 0; j < CASES; j++) {
                if (mx_span_equal_nocase((struct mx_span){name, len}, mx_span_of(cases[j].name)))
                    want = cases[j].verb;
            }
            cr_expect_eq(find(name, len), want, "%s, octet %d set to %d", cases[i].name, k / 256,
                         k % 256);
        }
        char longer[NAME_MAX_LEN + 2];
        memcpy(longer, cases[i].name, len);
        memcpy(longer + len, "X", 2);
        cr_expect_eq(find(longer, len + 1), MX_VERB_UNKNOWN, "%s", longer);
        for (size_t shorter = 0; shorter < len; shorter++)
            cr_expect_eq(find(cases[i].name, shorter), MX_VERB_UNKNOWN);
    }
    cr_expect_eq(find("UNKNOWN", 7), MX_VERB_UNKNOWN);
}

Test(verb, name_of_no_verb_is_a_bug, .signal = SIGABRT) {
    cr_expect_null(mx_verb_name(MX_VERB_COUNT));
}

Test(verb, protocols_of_no_verb_is_a_bug, .signal = SIGABRT) {
    cr_expect_eq(mx_verb_protocols(MX_VERB_COUNT), 0);
}
