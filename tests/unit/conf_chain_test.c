/* conf_chain_test.c - handlerchain: hooks with their options, each mistake with its place. The
 * users file it needs is an empty one in /tmp.
 */
#include "config/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define VALID       "    - ValidRcptHandler:\n        "

static struct mx_conf_report report;

/* The chain begins in line 5, column 5. */
static struct mx_conf *parse(const char *chain) {
    char users[] = "/tmp/mxring-users-XXXXXX", text[2000];
    struct mx_conf *conf = NULL;
    int fd = mkstemp(users);
    cr_assert_geq(fd, 0);
    close(fd);
    mx_conf_report_free(&report);
    snprintf(text, sizeof text,
             "users: %s\n"
             "smtpservers:\n"
             "- bind: 127.0.0.1:1\n"
             "  handlerchain:\n"
             "%s",
             users, chain);
    int err = mx_conf_parse(text, strlen(text), false, &conf, &report);
    cr_assert_eq(err, report.error_count > 0 ? MX_ECONFIG : 0);
    unlink(users);
    return conf;
}

Test(conf_chain, hooks) {
    static const struct {
        const char *chain;
        uint32_t count;
        bool uses_aliases;
        enum mx_alias_check check;
    } rows[] = {
        {"    []\n",                                                                      0, false, 0                    },
        {"    - ValidRcptHandler\n",                                                      1, true,  MX_ALIAS_CHECK_EXISTS},
        {"    - ValidRcptHandler:\n",                                                     1, true,  MX_ALIAS_CHECK_EXISTS},
        {"    - ValidRcptHandler: {}\n",                                                  1, true,  MX_ALIAS_CHECK_EXISTS},
        {"    [ValidRcptHandler: {enableRecipientRewriteTable: no}, ValidRcptHandler]\n", 2, false,
         0                                                                                                               },
        {VALID "recipientRewriteTableCheck: AnyMappingValid\n",                           1, true,  MX_ALIAS_CHECK_ANY   },
        {VALID "recipientRewriteTableCheck: allMappingsValid\n"
               "        enableRecipientRewriteTable: yes\n",                     1, true,  MX_ALIAS_CHECK_ALL   },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_conf *conf = parse(rows[i].chain);
        cr_assert_not_null(conf, "%s: %s", rows[i].chain,
                           report.count > 0 ? report.rows[0].text : "?");
        const struct mx_conf_server *server = &conf->servers[0];
        cr_assert_eq(server->hook_count, rows[i].count, "%s", rows[i].chain);
        if (rows[i].count > 0) {
            cr_expect_eq(server->hooks[0].kind, MX_HOOK_KIND_VALID_RCPT);
            const struct mx_opt_valid_rcpt *options = server->hooks[0].options;
            cr_expect_eq(options->uses_aliases, rows[i].uses_aliases, "%s", rows[i].chain);
            cr_expect_eq(options->alias_check, rows[i].check, "%s", rows[i].chain);
        }
        mx_conf_free(conf);
    }
    mx_conf_report_free(&report);
}

Test(conf_chain, mistakes) {
    static const struct {
        const char *chain, *wanted;
        uint32_t line, column;
    } rows[] = {
        {"    ValidRcptHandler\n",                                                             "handlerchain must be a list; [] means the core handlers only",
         5,                                                                                                                                                       5 },
        {"    - MaxRcptHandlr: {maxRcpt: 3}\n",
         "unknown hook 'MaxRcptHandlr'; did you mean 'MaxRcptHandler'?",                                                                                       5, 7 },
        {"    - DKIMHok\n",                                                                    "unknown hook 'DKIMHok'; did you mean 'DKIMHook'?",             5, 7 },
        {"    - CoreCmdHandlerLoader\n",
         "'CoreCmdHandlerLoader': the core handlers are always there: leave it out",                                                                           5, 7 },
        {"    - POP3BeforeSMTPHandler: {expireTime: 1h}\n",
         "'POP3BeforeSMTPHandler': there is no POP3 server here whose logins could tell it who may "
         "relay",                                                                                                                                              5, 7 },
        {"    - MaxRcptHandler\n",                                                             "MaxRcptHandler needs maxRcpt",                                 5, 7 },
        {"    - MaxRcptHandler: {}\n",                                                         "MaxRcptHandler needs maxRcpt",                                 5, 23},
        {"    - MaxRcptHandler: {maxRcpt: 0}\n",                                               "maxRcpt must be between 1 and 4294967295",                     5, 33},
        {"    - AllowedUnauthenticatedSender\n",
         "AllowedUnauthenticatedSender needs allowedSenders",                                                                                                  5, 7 },
        {"    - AllowedUnauthenticatedSender: {allowedSenders: []}\n",
         "allowedSenders needs at least one entry",                                                                                                            5, 54},
        {"    - AllowedUnauthenticatedSender: {allowedSenders: {sender: a@b}}\n",
         "allowedSenders must be a list of maps",                                                                                                              5, 54},
        {"    - AllowedUnauthenticatedSender: {allowedSenders: [a@b]}\n",
         "the options of allowedSenders must be a map",                                                                                                        5, 55},
        {"    - AllowedUnauthenticatedSender: {allowedSenders: [{fromIps: 10.*}]}\n",
         "allowedSenders needs sender",                                                                                                                        5, 55},
        {"    - AllowedUnauthenticatedSender: {allowedSenders: [{sender: a@b, from: x}]}\n",
         "unknown option 'from' of allowedSenders; valid options: sender, fromIps",                                                                            5, 69},
        {"    - [ValidRcptHandler]\n",                                                         "a hook is a name or a map of one name and its options",        5,
         7                                                                                                                                                          },
        {"    - {ValidRcptHandler: {}, Foo: {}}\n",
         "a hook is a name or a map of one name and its options",                                                                                              5, 7 },
        {"    - {}\n",                                                                         "a hook is a name or a map of one name and its options",        5, 7 },
        {"    - ValidRcptHandler: x\n",                                                        "the options of ValidRcptHandler must be a map",                5, 25},
        {VALID "oops: 1\n",
         "unknown option 'oops' of ValidRcptHandler; valid options: enableRecipientRewriteTable, "
         "recipientRewriteTableCheck",                                                                                                                         6, 9 },
        {VALID "enableRecipientRewriteTable: yes\n        enableRecipientRewriteTable: yes\n",
         "duplicate option 'enableRecipientRewriteTable'",                                                                                                     7, 9 },
        {VALID "enableRecipientRewriteTable: maybe\n",
         "enableRecipientRewriteTable must be true or false, not 'maybe'",                                                                                     6, 38},
 /* case 87 */
        {VALID "recipientRewriteTableCheck: foo\n",
         "recipientRewriteTableCheck must be one of mappingExists, anyMappingValid, "
         "allMappingsValid, not 'foo'",                                                                                                                        6, 37},
        {VALID "recipientRewriteTableCheck: [mappingExists]\n",
         "recipientRewriteTableCheck must be a single value, not a list",                                                                                      6, 37},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_conf *conf = parse(rows[i].chain);
        cr_expect_null(conf, "%s", rows[i].chain);
        cr_assert_eq(report.count, 1U, "%s: %u", rows[i].chain, report.count);
        cr_expect_str_eq(report.rows[0].text, rows[i].wanted);
        cr_expect(report.rows[0].line == rows[i].line && report.rows[0].column == rows[i].column,
                  "%s: %u:%u", rows[i].chain, report.rows[0].line, report.rows[0].column);
    }
    mx_conf_report_free(&report);
}
