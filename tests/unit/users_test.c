/* Goal: the users file: every line is a user, a comment, or an error with its number; look-ups by
 * any case of letters; SCRAM only when all can have it. Method: small texts with the whole output
 * that mxring check would print; files with wrong properties; a large text. */
#include "config/users.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define KEY32       "FRF+F2O1ycVxMoH8sXyGhZ/2OMzMbNv8c0jf9YAFmIw="
#define SCRAM       "{SCRAM-SHA-256}4096:AAECAwQFBgcICQoLDA0ODw==:" KEY32 ":" KEY32
#define BCRYPT      "$2b$05$WXEQefDWlQitKed887QI2uxG2bcKb8pSOKwqitMTgHQ7beOqp6VwW"

static struct mx_conf_report report;

static struct mx_users *parse(const char *text, const char *wanted) {
    struct mx_users *users = NULL;
    char *printed = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&printed, &len);
    cr_assert_not_null(stream);
    int err = mx_users_parse(mx_span_of(text), "u", &report, &users);
    cr_expect_eq(err, report.error_count > 0 ? MX_ECONFIG : 0, "%d for:\n%s", err, text);
    cr_expect_eq(err == 0, users != NULL);
    mx_conf_report_print(&report, "f", stream);
    fclose(stream);
    cr_expect_str_eq(printed, wanted, "%s", printed);
    free(printed);
    mx_conf_report_free(&report);
    return users;
}

static void expect_entry(const struct mx_users *users, const char *login, const char *wanted) {
    struct mx_span entry = {0};
    bool is_there = mx_users_find(users, mx_span_of(login), &entry);
    cr_expect_eq(is_there, wanted != NULL, "%s", login);
    if (is_there && wanted != NULL)
        cr_expect(mx_span_equal(entry, mx_span_of(wanted)), "%s: '%.*s'", login, (int)entry.len,
                  entry.ptr);
}

Test(users, lines) {
    struct mx_users *users = parse("# people\n"
                                   "\n"
                                   "bob@example.com:{PLAIN}secret\n"
                                   "  \t\n"
                                   "Alice@EXAMPLE.com:{PLAIN}wo:nd#er \r\n"
                                   "\"a b:c\\\"d\"@x.org:{PLAIN}quoted\n"
                                   "a\\:b@x.org:{PLAIN}escaped\n"
                                   "lit@[127.0.0.1]:{PLAIN}literal\n"
                                   "j\xc3\xb6rg@example.com:" SCRAM "\n"
                                   "last@example.com:" BCRYPT,
                                   "");
    cr_assert_not_null(users);
    cr_expect_eq(mx_users_count(users), 7);
    expect_entry(users, "bob@example.com", "{PLAIN}secret");
    expect_entry(users, "BoB@eXample.COM", "{PLAIN}secret");
    expect_entry(users, "alice@example.com", "{PLAIN}wo:nd#er ");
    expect_entry(users, "\"a b:c\\\"d\"@x.org", "{PLAIN}quoted");
    expect_entry(users, "a\\:b@x.org", "{PLAIN}escaped");
    expect_entry(users, "lit@127.0.0.1", "{PLAIN}literal");
    expect_entry(users, "lit@[127.0.0.1]", NULL);
    expect_entry(users, "j\xc3\xb6rg@example.com", SCRAM);
    expect_entry(users, "last@example.com", BCRYPT);
    static const char *const nobody[] = {"",     "bob",   "bob@example.co", "bob@example.com:",
                                         "bob@", "\"a b", "# people",       "bob@example.com ",
                                         "\r\n"};
    for (size_t i = 0; i < ROWS(nobody); i++)
        expect_entry(users, nobody[i], NULL);
    cr_expect(mx_span_equal(mx_users_first(users), MX_SPAN("{PLAIN}secret")));
    cr_expect_not(mx_users_can_scram(users), "last has bcrypt");
    mx_users_free(users);
}

Test(users, errors) {
    struct mx_users *users =
        parse("bob\n"
              "bob@example.com\n"
              "bob:{PLAIN}x\n"
              ":{PLAIN}x\n"
              " bob@example.com:{PLAIN}x\n"
              "bob@example.com:{PLAIN}\n"
              "bob@example.com:{PLAIN}x\n"
              "Bob@Example.com:{PLAIN}y\n"
              "\"bob@example.com:{PLAIN}y\n"
              "x@-bad:{PLAIN}y\n",
              "u:1:1: a line must be user@domain:HASH\n"
              "u:2:1: a line must be user@domain:HASH\n"
              "u:3:1: the name before the colon must be an address of at most 255 octets\n"
              "u:4:1: the name before the colon must be an address of at most 255 octets\n"
              "u:5:1: the name before the colon must be an address of at most 255 octets\n"
              "u:6:1: 'bob@example.com': behind {PLAIN} there must be a secret of at most 511 "
              "octets\n"
              "u:8:1: 'bob@example.com' is already in line 7\n"
              "u:9:1: a line must be user@domain:HASH\n"
              "u:10:1: the name before the colon must be an address of at most 255 octets\n");
    cr_expect_null(users);
}

Test(users, no_users) {
    struct mx_users *users = parse("", "");
    cr_assert_not_null(users);
    expect_entry(users, "bob@example.com", NULL);
    cr_expect_eq(mx_users_first(users).len, 0);
    cr_expect_not(mx_users_can_scram(users));
    mx_users_free(users);
    /* as when no file is configured */
    expect_entry(NULL, "bob@example.com", NULL);
    cr_expect_eq(mx_users_count(NULL), 0);
    cr_expect_not(mx_users_can_scram(NULL));
    cr_expect_eq(mx_users_first(NULL).len, 0);
    mx_users_free(NULL);
}

Test(users, scram_when_all_can) {
    struct mx_users *users = parse("a@x.org:" SCRAM "\nb@x.org:{PLAIN}y\n", "");
    cr_expect(mx_users_can_scram(users));
    mx_users_free(users);
    users = parse("a@x.org:" SCRAM "\nb@x.org:{PLAIN}\xc3\xbc\n", "");
    cr_expect_not(mx_users_can_scram(users), "no SASLprep");
    mx_users_free(users);
}

Test(users, floods_of_problems_end) {
    char text[40 * 400] = "", wanted[12000] = "";
    size_t len = 0, wanted_len = 0;
    for (unsigned i = 1; i <= 400; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "user%u\n", i);
        if (i <= 100)
            wanted_len += (size_t)snprintf(wanted + wanted_len, sizeof wanted - wanted_len,
                                           "u:%u:1: a line must be user@domain:HASH\n", i);
    }
    snprintf(wanted + wanted_len, sizeof wanted - wanted_len,
             "u:100:1: so many errors: what follows is not looked at\n");
    cr_expect_null(parse(text, wanted));
    len = wanted_len = 0;
    for (unsigned i = 1; i <= 30; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "u%u@x.org:$1$BbuQ9/2J$dqJxR1WhEDapIfqH3i98Y/\n", i);
        if (i <= 10)
            wanted_len += (size_t)snprintf(wanted + wanted_len, sizeof wanted - wanted_len,
                                           "u:%u:1: warning: 'u%u@x.org': an MD5 hash is guessed "
                                           "quickly by whoever gets this file\n",
                                           i, i);
    }
    snprintf(wanted + wanted_len, sizeof wanted - wanted_len,
             "u:30:1: warning: weak hashes in 20 more lines before this one\n");
    mx_users_free(parse(text, wanted));
}

Test(users, longest_names_and_lines) {
    char text[MX_LOGIN_MAX + 3000] = "";
    struct mx_users *users = NULL;
    memset(text, 'x', MX_LOGIN_MAX);
    memcpy(text + MX_LOGIN_MAX - 6, "@x.org:{PLAIN}y", sizeof "@x.org:{PLAIN}y");
    int err = mx_users_parse(mx_span_of(text), "u", &report, &users);
    cr_assert_eq(err, 0);
    cr_expect(mx_users_find(users, (struct mx_span){text, MX_LOGIN_MAX}, NULL));
    cr_expect_not(mx_users_find(users, (struct mx_span){text, MX_LOGIN_MAX + 1}, NULL));
    mx_users_free(users);
    memset(text, 'x', MX_LOGIN_MAX + 1);
    memcpy(text + MX_LOGIN_MAX - 5, "@x.org:{PLAIN}y", sizeof "@x.org:{PLAIN}y");
    err = mx_users_parse(mx_span_of(text), "u", &report, &users);
    cr_expect_eq(err, MX_ECONFIG);
    memset(text, 'x', sizeof text - 1);
    err = mx_users_parse(mx_span_of(text), "u", &report, &users);
    cr_expect_eq(err, MX_ECONFIG);
    mx_conf_report_free(&report);
}

Test(users, many) {
    enum { COUNT = 20000 };
    char *text = malloc((size_t)COUNT * 64), login[64];
    size_t len = 0;
    struct mx_users *users = NULL;
    for (unsigned i = 0; i < COUNT; i++)
        len += (size_t)snprintf(text + len, 64, "user%u@d%u.example:{PLAIN}p%u\n", i, i % 7, i);
    int err = mx_users_parse((struct mx_span){text, len}, "u", &report, &users);
    cr_assert_eq(err, 0);
    cr_expect_eq(mx_users_count(users), COUNT);
    for (unsigned i = 0; i < COUNT + 100; i++) {
        struct mx_span entry = {0};
        size_t login_len = (size_t)snprintf(login, sizeof login, "User%u@d%u.example", i, i % 7);
        bool is_there = mx_users_find(users, (struct mx_span){login, login_len}, &entry);
        cr_assert_eq(is_there, i < COUNT);
        if (is_there)
            cr_assert_eq(strtoul(entry.ptr + strlen("{PLAIN}p"), NULL, 10), i);
    }
    mx_users_free(users);
    free(text);
}

/* ---- files ---- */

static void in_a_folder(void) {
    char folder[] = "/tmp/users-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void out_of_it(void) {
    char folder[256];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    const char *const names[] = {"users", "conf.yaml", "folder", "fifo"};
    for (size_t i = 0; i < ROWS(names); i++)
        remove(names[i]);
    cr_assert_eq(chdir("/"), 0);
    cr_expect_eq(rmdir(folder), 0);
}

static void write_file(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(chmod(path, mode), 0);
}

Test(users, files, .init = in_a_folder, .fini = out_of_it) {
    struct mx_users *users = NULL;
    cr_expect_eq(mx_users_load("users", &report, &users), -ENOENT);
    cr_expect_eq(mkdir("folder", 0700), 0);
    cr_expect_eq(mx_users_load("folder", &report, &users), -EINVAL);
    cr_expect_eq(mkfifo("fifo", 0600), 0);
    cr_expect_eq(mx_users_load("fifo", &report, &users), -EINVAL);
    cr_expect_null(users);
    cr_expect_eq(report.count, 0);
    write_file("users", "a@x.org:{PLAIN}b\n", 0600);
    cr_expect_eq(mx_users_load("users", &report, &users), 0);
    expect_entry(users, "a@x.org", "{PLAIN}b");
    mx_users_free(users);
    cr_expect_eq(report.count, 0);
    write_file("users", "", 0644);
    cr_expect_eq(mx_users_load("users", &report, &users), 0);
    cr_expect_eq(report.warning_count, 1);
    cr_expect_str_eq(report.rows[0].text, "everybody on this machine may read it; chmod o-r");
    mx_users_free(users);
    mx_conf_report_free(&report);
}

/* The path is relative to the configuration, not to where the program runs. */
Test(users, named_by_a_configuration, .init = in_a_folder, .fini = out_of_it) {
    struct mx_conf *conf = NULL;
    char path[300], wanted[400], folder[256];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    snprintf(path, sizeof path, "%s/conf.yaml", folder);
    write_file("conf.yaml", "users: users\n", 0600);
    write_file("users", "a@x.org:{PLAIN}b\n", 0600);
    cr_assert_eq(chdir("/"), 0);
    int err = mx_conf_load(path, false, &conf, &report);
    cr_assert_eq(err, 0);
    expect_entry(conf->users, "a@x.org", "{PLAIN}b");
    mx_conf_free(conf);
    cr_assert_eq(chdir(folder), 0);
    write_file("users", "a\n", 0600);
    err = mx_conf_load(path, false, &conf, &report);
    cr_expect_eq(err, MX_ECONFIG);
    snprintf(wanted, sizeof wanted, "%s/users", folder);
    cr_assert_eq(report.count, 1);
    cr_expect_str_eq(report.files[report.rows[0].file - 1], wanted);
    mx_conf_report_free(&report);
    cr_expect_eq(remove("users"), 0);
    err = mx_conf_load(path, false, &conf, &report);
    cr_expect_eq(err, MX_ECONFIG);
    snprintf(wanted, sizeof wanted, "users: cannot read '%s/users': No such file or directory",
             folder);
    if (report.rows != NULL) {
        cr_expect_str_eq(report.rows[0].text, wanted);
        cr_expect_eq(report.rows[0].column, 8);
    }
    cr_expect_eq(report.count, 1);
    mx_conf_report_free(&report);
}
