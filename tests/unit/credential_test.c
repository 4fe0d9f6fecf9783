/* Goal: the right password is accepted for every kind of entry, nothing else is.
 * Method: entries made by others: libxcrypt by way of Python's crypt, Python's hashlib, RFC 7677.
 */
#include "engine/policy/credential.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <errno.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static const struct {
    const char *password, *entry;
} rows[] = {
    {"secret",         "$y$j9T$/IgOJ02FUBDtw4M5irrm70$hPXhEz.C0seM1vaj9588fw6GYAx33VWSfNrm4obfAA." },
    {"secret",         "$gy$j9T$d8I6M.MrRebG27kAiJVMU.$9nmA4e9j5UDP.oftXfdu6IJYyZhOpp5lEPiOqRO06BC"},
    {"secret",         "$2b$05$WXEQefDWlQitKed887QI2uxG2bcKb8pSOKwqitMTgHQ7beOqp6VwW"              },
    {"U*U",            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"              },
    {"Hello world!",   "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTL"
                     "iBFdcbYEdFCoEOfaS35inz1"                                 },
    {"Hello world!",   "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"                 },
    {"secret",         "$1$BbuQ9/2J$dqJxR1WhEDapIfqH3i98Y/"                                        },
    {"secret",         "{PBKDF2-SHA512}xw2MotJNPFnB2TqUd9lUC9+"
               "LtnjYa6LohBKU24reLwclIDu4FXCcXPxcobnvc1VXYNYYCTsLUhWs3yxgHSuVwQ=="   },
    {"secret",         "{PBKDF2-SHA512-7-128}tROL4LjsbD0TjmOj341Tow=="                             },
    {"pencil",
     "{SCRAM-SHA-256}4096:W22ZaJ0SNY7soEsUEjb6gQ==:WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="                                                },
    {"gr\xc3\xbcn #:", "{PLAIN}gr\xc3\xbcn #:"                                                     },
};

static int check(const char *entry, struct mx_span password) {
    static struct crypt_data scratch;
    struct mx_password parsed;
    const char *why = NULL;
    int err = mx_password_parse(mx_span_of(entry), &parsed, &why);
    cr_assert_eq(err, 0, "%s: %s", entry, why != NULL ? why : "");
    return mx_credential_check(&parsed, MX_SPAN("BOB@example.com"), password, &scratch);
}

Test(credential, right_and_wrong) {
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_span right = mx_span_of(rows[i].password);
        char wrong[64];
        cr_expect_eq(check(rows[i].entry, right), 0, "%s", rows[i].entry);
        memcpy(wrong, right.ptr, right.len);
        wrong[right.len] = '!';
        cr_expect_eq(check(rows[i].entry, (struct mx_span){wrong, right.len + 1}), -EACCES, "%s",
                     rows[i].entry);
        wrong[right.len] = '\0'; /* what crypt(3) would not see */
        cr_expect_eq(check(rows[i].entry, (struct mx_span){wrong, right.len + 1}), -EACCES, "%s",
                     rows[i].entry);
        cr_expect_eq(check(rows[i].entry, (struct mx_span){wrong, right.len - 1}), -EACCES, "%s",
                     rows[i].entry);
        wrong[0] ^= 0x20;
        cr_expect_eq(check(rows[i].entry, (struct mx_span){wrong, right.len}), -EACCES, "%s",
                     rows[i].entry);
        cr_expect_eq(check(rows[i].entry, (struct mx_span){0}), -EACCES, "%s", rows[i].entry);
    }
}

Test(credential, the_entry_is_no_password) {
    for (size_t i = 0; i < ROWS(rows); i++)
        cr_expect_eq(check(rows[i].entry, mx_span_of(rows[i].entry)), -EACCES, "%s", rows[i].entry);
}

Test(credential, longest_password) {
    char entry[7 + MX_PASSWORD_MAX + 1] = "{PLAIN}", password[MX_PASSWORD_MAX + 1];
    memset(entry + 7, 'x', MX_PASSWORD_MAX);
    memset(password, 'x', sizeof password);
    cr_expect_eq(check(entry, (struct mx_span){password, MX_PASSWORD_MAX}), 0);
    cr_expect_eq(check(entry, (struct mx_span){password, MX_PASSWORD_MAX + 1}), -EACCES);
    cr_expect_eq(check(rows[0].entry, (struct mx_span){password, MX_PASSWORD_MAX}), -EACCES);
}

Test(credential, salted_with_the_login) {
    static struct crypt_data scratch;
    struct mx_password entry;
    const char *why;
    int err = mx_password_parse(
        MX_SPAN("{PBKDF2-SHA512}xw2MotJNPFnB2TqUd9lUC9+"
                "LtnjYa6LohBKU24reLwclIDu4FXCcXPxcobnvc1VXYNYYCTsLUhWs3yxgHSuVwQ=="),
        &entry, &why);
    cr_assert_eq(err, 0);
    cr_expect_eq(
        mx_credential_check(&entry, MX_SPAN("bob@example.com"), MX_SPAN("secret"), &scratch), 0);
    cr_expect_eq(
        mx_credential_check(&entry, MX_SPAN("bob@example.org"), MX_SPAN("secret"), &scratch),
        -EACCES);
}
