/* Goal: what no row can say alone: open relays, addresses in each other's way, duplicates, what
 * this version cannot serve; and that every problem of a file is printed, in order.
 * Method: small files with the whole output that mxring check would print. */
#include "config/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define S           "smtpservers:\n  - handlerchain: []\n    "

static struct mx_conf_report report;

static void expect_problems(const char *text, bool is_check, const char *wanted) {
    struct mx_conf *conf = NULL;
    char *printed = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&printed, &len);
    cr_assert_not_null(stream);
    int err = mx_conf_parse(text, strlen(text), is_check, &conf, &report);
    cr_expect_eq(err, report.error_count ? MX_ECONFIG : 0, "%d for:\n%s", err, text);
    mx_conf_report_print(&report, "f", stream);
    fclose(stream);
    cr_expect_str_eq(printed, wanted, "%s", printed);
    free(printed);
    mx_conf_free(conf);
    mx_conf_report_free(&report);
}

Test(conf_check, all_problems_are_printed_in_order) {
    static const char text[] = "fixture: x\n"
                               "lmtpservers: [{maxErrors: -1}]\n"
                               "smtpservers: [{enabled: no, nam: b}]\n"
                               "log: {level: x, queue: 5000}\n";
    static const char wanted[] =
        "f:1:1: 'fixture' is not available in this version\n"
        "f:2:15: handlerchain is missing; handlerchain: [] means the core handlers only\n"
        "f:2:27: maxErrors must be between 0 and 2147483647\n"
        "f:3:29: warning: unknown key 'nam' in smtpservers; did you mean 'name'?\n"
        "f:4:14: level must be one of error, warn, info, debug, not 'x'\n"
        "f:4:24: queue must be a power of two\n";
    expect_problems(text, false, wanted);
}

Test(conf_check, limits_that_have_no_effect) {
    expect_problems("engine: {maxConnections: 10}\n" S "connectionLimit: 20\n"
                    "    connectionLimitPerIP: 30\n",
                    false,
                    "f:4:22: warning: connectionLimit is above engine.maxConnections and has no "
                    "effect\n"
                    "f:5:27: warning: connectionLimitPerIP is above connectionLimit and has no "
                    "effect\n");
    expect_problems("engine: {maxConnections: 0}\n" S "connectionLimit: 20\n", false, "");
}

Test(conf_check, private_networks_on_a_public_listener) {
    static const char why[] =
        " is private, and this server can be reached from elsewhere: behind a gateway, balancer or "
        "container network that hides where clients come from, everybody may relay (proxyRequired "
        "keeps their addresses)\n";
    static const struct {
        const char *rest, *where, *network; /* where: NULL: no warning */
    } rows[] = {
        {"authorizedAddresses: 10.1.0.0/16",                                                        "f:4:26", "10.1.0.0/16"   },
        {"authorizedAddresses: [192.0.2.0/24, 192.168.0.0/16]",                                     "f:4:41", "192.168.0.0/16"},
        {"authorizedAddresses: 172.31.0.1\n    bind: ['127.0.0.1:25', '[::]:25']",                  "f:4:26",
         "172.31.0.1/32"                                                                                                      },
        {"authorizedAddresses: 100.64.0.0/10\n    bind: 192.0.2.1:25",                              "f:4:26", "100.64.0.0/10" },
        {"authorizedAddresses: fd00::/8\n    bind: '[2001:db8::1]:25'",                             "f:4:26", "fd00::/8"      },
        {"authorizedAddresses: 169.254.1.0/24",                                                     "f:4:26", "169.254.1.0/24"},
        {"authorizedAddresses: [127.0.0.0/8, '::1', 192.0.2.0/24, 172.32.0.0/16]",                  NULL,     NULL            },
        {"authorizedAddresses: 10.0.0.0/8\n    bind: 10.0.0.1:25",                                  NULL,     NULL            },
        {"authorizedAddresses: 10.0.0.0/8\n    bind: ['127.0.0.1:25', '[::1]:25', '[fe80::1]:25']",
         NULL,                                                                                                NULL            },
        {"authorizedAddresses: 10.0.0.0/8\n    proxyRequired: true\n    proxyFrom: 10.0.0.7",       NULL,
         NULL                                                                                                                 },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[512], wanted[512] = "";
        snprintf(text, sizeof text, "spool: {durability: none}\n" S "%s\n", rows[i].rest);
        if (rows[i].where)
            snprintf(wanted, sizeof wanted, "%s: warning: authorizedAddresses: %s%s", rows[i].where,
                     rows[i].network, why);
        expect_problems(text, true, wanted);
        expect_problems(text, false, "");
    }
}

Test(conf_check, hidden_features) {
    static const char text[] = "spool: {durability: none}\nlmtpservers:\n  - handlerchain: []\n"
                               "    disabledFeatures: [CHUNKING, 8BITMIME, LIMITS, PIPELINING]\n";
    expect_problems(text, true,
                    "f:4:23: warning: disabledFeatures: PIPELINING is not shown, and can be used "
                    "all the same\n"
                    "f:4:23: warning: disabledFeatures: 8BITMIME is not shown, and can be used all "
                    "the same\n");
    expect_problems(text, false, "");
}

Test(conf_check, proxies) {
    expect_problems(S "proxyFrom: 127.*\n    proxyFirst: false\n    proxyCountsClients: true\n",
                    false,
                    "f:3:16: warning: proxyFrom has no effect without proxyRequired\n"
                    "f:4:17: warning: proxyFirst has no effect without proxyRequired\n"
                    "f:5:25: warning: proxyCountsClients has no effect without proxyRequired\n");
    expect_problems(S "proxyRequired: true\n    connectionLimitPerIP: 3\n", false,
                    "f:3:20: warning: whoever reaches this port may claim any client address: name "
                    "the proxies in proxyFrom\n"
                    "f:4:27: warning: connectionLimitPerIP counts the proxies; with "
                    "proxyCountsClients: true their clients\n");
    expect_problems(
        S "proxyRequired: true\n    proxyFrom: [127.*, '::1']\n    connectionLimitPerIP: 3\n"
          "    proxyCountsClients: true\n",
        false, "");
    expect_problems(S "proxyRequired: true\n    proxyFrom: 127.*\n    authorizedAddresses: 10.*\n",
                    false, "");
}

/* Who may say who he is may relay. */
Test(conf_check, proxies_that_anybody_can_be) {
#define ANYBODY                                                                                    \
    "authorizedAddresses: whoever claims one of these in a PROXY header (proxyFrom does not say "  \
    "who may) may relay: "
    static const char *const froms[] = {"", "    proxyFrom: 0.0.0.0/0\n"};
    for (size_t i = 0; i < ROWS(froms); i++) {
        char text[300], wanted[400];
        const char *warning = i == 0 ? "f:4:20: warning: whoever reaches this port may claim any "
                                       "client address: name the proxies in proxyFrom\n"
                                     : "";
        snprintf(text, sizeof text, S "authorizedAddresses: 10.*\n    proxyRequired: true\n%s",
                 froms[i]);
        snprintf(wanted, sizeof wanted,
                 "f:3:26: " ANYBODY
                 "an open relay does not start without engine: {allowOpenRelay: true}\n%s",
                 warning);
        expect_problems(text, false, wanted);
    }
    expect_problems("engine: {allowOpenRelay: true}\n" S
                    "authorizedAddresses: 10.*\n    proxyRequired: true\n",
                    false,
                    "f:4:26: warning: " ANYBODY "this is an open relay\n"
                    "f:5:20: warning: whoever reaches this port may claim any client address: "
                    "name the proxies in proxyFrom\n");
}

/* All /8 from 1 to 223 that are public, but not the one given. */
static char *all_but(char *text, size_t size, int hole) {
    size_t len = 0;
    for (int i = 1; i < 224; i++) {
        if (i != 10 && i != 127 && i != hole)
            len += (size_t)snprintf(text + len, size - len, "%d.*,", i);
    }
    return text;
}

/* Errors at these columns of line 3, warnings when an open relay is wanted. NULL ends what. */
static void expect_relay(const char *networks, const char *const what[], const unsigned columns[]) {
    char text[4000], errors[1000] = "", warnings[1000] = "";
    size_t error_len = 0, warning_len = 0;
    for (size_t i = 0; what[i]; i++) {
        error_len += (size_t)snprintf(errors + error_len, sizeof errors - error_len,
                                      "f:3:%u: authorizedAddresses: %s may relay: an open relay "
                                      "does not start without engine: {allowOpenRelay: true}\n",
                                      columns[i], what[i]);
        warning_len +=
            (size_t)snprintf(warnings + warning_len, sizeof warnings - warning_len,
                             "f:3:%u: warning: authorizedAddresses: %s may relay: this is an open "
                             "relay\n",
                             columns[i], what[i]);
    }
    snprintf(text, sizeof text, S "authorizedAddresses: %s\n", networks);
    expect_problems(text, false, errors);
    snprintf(text, sizeof text, S "authorizedAddresses: %s\nengine: {allowOpenRelay: true}\n",
             networks);
    expect_problems(text, false, warnings);
}

Test(conf_check, open_relay) {
    static const struct {
        const char *networks;
        const char *what[4]; /* up to NULL */
        unsigned columns[3];
    } cases[] = {
        {"0.0.0.0/0",                             {"0.0.0.0/0, wider than /8,"},  {26}},
        {"'*'",                                   {"0.0.0.0/0, wider than /8,"},  {26}},
        {"'::/0'",                                {"::/0, wider than /16,"},      {26}},
        {"10.0.0.0/8 1.2.3.4/0.0.0.0",            {"0.0.0.0/0, wider than /8,"},  {26}},
        {"['::1', 10.0.0.0/7]",                   {"10.0.0.0/7, wider than /8,"}, {34}},
        {"0.0.0.0/1",                             {"0.0.0.0/1, wider than /8,"},  {26}},
        {"'2000::/3'",                            {"2000::/3, wider than /16,"},  {26}},
        {"'2001::/15'",                           {"2000::/15, wider than /16,"}, {26}},
        {"'fc00::/6'",                            {"fc00::/6, wider than /16,"},  {26}},
        {"'fe80::/9'",                            {"fe80::/9, wider than /16,"},  {26}},
        {"'ff00::/8'",                            {"ff00::/8, wider than /16,"},  {26}},
        {"'::ffff:0:0/96'",                       {"0.0.0.0/0, wider than /8,"},  {26}},
        {"[0.0.0.0/1, 128.0.0.0/2, 192.0.0.0/3]",
         {"0.0.0.0/1, wider than /8,", "128.0.0.0/2, wider than /8,",
          "192.0.0.0/3, wider than /8,"},
         {27, 38, 51}                                                                 },
    };
    char most[2000];
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_relay(cases[i].networks, cases[i].what, cases[i].columns);
    expect_relay(all_but(most, sizeof most, 0),
                 (const char *const[]){"all of the Internet, in pieces,", NULL},
                 (const unsigned[]){26});
}

Test(conf_check, no_open_relay) {
    static const char *const networks[] = {
        "127.*",
        "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16",
        "'fc00::/7, fe80::/10, 2001:db8::/16'",
        "'fd00::/8'",
        "'fe80::/12'",
        "1.0.0.0/8, 2.0.0.0/8",
        "[]",
    };
    char most[2000];
    for (size_t i = 0; i < ROWS(networks); i++)
        expect_relay(networks[i], (const char *const[]){NULL}, NULL);
    expect_relay(all_but(most, sizeof most, 200), (const char *const[]){NULL}, NULL);
}

/* What is stored for "enabled" decides, and a duplicate is an error also where little else is. */
Test(conf_check, duplicates_and_enabled) {
    expect_problems("smtpservers: [{enabled: true, maxErrors: x, handlerchain: [],\n"
                    "  enabled: false}]\n",
                    false,
                    "f:1:42: maxErrors must be a whole number, not 'x'\n"
                    "f:2:3: duplicate key 'enabled', first in line 1\n");
    expect_problems("smtpservers: [{enabled: false, maxErrors: x, maxErrors: 1,\n"
                    "  enabled: true}]\n",
                    false,
                    "f:1:43: warning: maxErrors must be a whole number, not 'x'\n"
                    "f:1:46: duplicate key 'maxErrors', first in line 1\n"
                    "f:2:3: duplicate key 'enabled', first in line 1\n");
    expect_problems("smtpservers: [{enabled: maybe, maxErrors: x, handlerchain: []}]\n", false,
                    "f:1:25: enabled must be true or false, not 'maybe'\n"
                    "f:1:43: maxErrors must be a whole number, not 'x'\n");
}

Test(conf_check, first_document_is_checked_whatever_follows) {
    expect_problems("log: {level: loud}\ndomains: [a_b]\n---\nlog: {}\n", false,
                    "f:1:14: level must be one of error, warn, info, debug, not 'loud'\n"
                    "f:2:11: domains: 'a_b' is not a domain name\n"
                    "f:3:1: only one YAML document is allowed in the file\n");
}

Test(conf_check, errors_take_the_places_of_warnings) {
    char *text = NULL;
    size_t len = 0;
    struct mx_conf *conf = NULL;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    fputs("smtpservers:\n  - enabled: no\n", stream);
    for (int i = 0; i < 1500; i++)
        fprintf(stream, "    key%d: 1\n", i);
    fputs("lmtpservers:\n  - handlerchain: []\n", stream);
    for (int i = 0; i < 10; i++)
        fprintf(stream, "    key%d: 1\n", i);
    fclose(stream);
    cr_expect_eq(mx_conf_parse(text, len, false, &conf, &report), MX_ECONFIG);
    cr_expect_eq(report.error_count, 10U);
    cr_expect_eq(report.warning_count, 990U);
    cr_assert_eq(report.count, 1000U);
    for (uint32_t i = 0; i < report.count; i++)
        cr_expect_eq(report.rows[i].is_warning, i < 990, "row %u", i);
    mx_conf_report_free(&report);
    free(text);
}

Test(conf_check, listening_addresses_of_all_servers) {
    for (int extra = 0; extra < 2; extra++) {
        char *text = NULL;
        size_t len = 0;
        struct mx_conf *conf = NULL;
        FILE *stream = open_memstream(&text, &len);
        cr_assert_not_null(stream);
        fputs("smtpservers:\n- {enabled: no, bind: '127.0.0.1:0 127.0.0.2:0'}\n", stream);
        for (int i = 0; i < 51 + extra; i++)
            fputs("- {handlerchain: [], bind: '[::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0'}\n",
                  stream);
        fclose(stream);
        cr_expect_eq(mx_conf_parse(text, len, false, &conf, &report), extra ? MX_ECONFIG : 0);
        cr_assert_eq(report.count, (uint32_t)extra);
        if (extra)
            cr_expect_str_eq(report.rows[0].text,
                             "more than 255 listening addresses in all servers");
        cr_expect(!extra || (report.rows[0].line == 54 && report.rows[0].column == 28));
        mx_conf_free(conf);
        mx_conf_report_free(&report);
        free(text);
    }
}

#define USERS_FILE "/tmp/conf-check-users"

static void write_users(void) {
    FILE *file = fopen(USERS_FILE, "w");
    cr_assert_not_null(file);
    fputs("bob@example.com:{PLAIN}secret\n"
          "eve@example.com:$2b$05$WXEQefDWlQitKed887QI2uxG2bcKb8pSOKwqitMTgHQ7beOqp6VwW\n",
          file);
    fclose(file);
    cr_assert_eq(chmod(USERS_FILE, 0600), 0);
}

static void remove_users(void) {
    cr_expect_eq(remove(USERS_FILE), 0);
}

#define A   "spool: {durability: none}\n" S
#define TLS "tls: {privateKey: k, certificates: c, "

Test(conf_check, logging_in, .init = write_users, .fini = remove_users) {
    static const char clear[] =
        "f:5:11: warning: auth: passwords may be sent in clear; requireSSL: "
        "true asks for TLS first\n";
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {A "auth: {announce: always}\n",                                                            "f:4:11: warning: auth has no effect without users\n"     },
        {A "auth: {required: true}\n",                                                              "f:4:11: auth.required: nobody can log in without users\n"},
        {"users: " USERS_FILE "\n" A "auth: {announce: always, requireSSL: true}\n",
         "f:5:42: warning: requireSSL: nobody can log in without tls, which is off\n"                                                                         },
        {"users: " USERS_FILE "\n" A TLS
         "startTLS: true}\n    auth: {announce: always, requireSSL: true}\n",              ""                                                        },
        {"users: " USERS_FILE "\n" A TLS "socketTLS: true}\n    auth: {announce: always}\n",        ""                                                        },
        {"users: " USERS_FILE "\n" A "auth: {announce: always}\n",                                  clear                                                     },
        {"users: " USERS_FILE "\n" A "auth: {announce: always, saslMechanisms: [SCRAM-SHA-256]}\n",
         "f:5:11: warning: auth: no mechanism is left, nobody can log in\n"                                                                                   },
        {"users: " USERS_FILE "\n" A "auth: {requireSSL: yes, announce: always, saslMechanisms: "
         "[PLAIN, SCRAM-SHA-256, plain]}\n",                                               "f:5:24: warning: requireSSL: nobody can log in without tls, which is off\n"
         "f:5:63: warning: saslMechanisms: SCRAM-SHA-256 is left out, since not every user has an "
         "entry that can serve it\n"                                                                     },
        {"users: " USERS_FILE "\n" A "auth: {requireSSL: true}\n",
         "f:5:11: warning: auth: AUTH is not announced, and can be used all the same; "
         "coreHandlers: noAuth switches it off\n"
         "f:5:24: warning: requireSSL: nobody can log in without tls, which is off\n"                                                                         },
        {"users: " USERS_FILE "\n" A "coreHandlers: noAuth\n    auth: {announce: always}\n",
         "f:6:11: warning: auth has no effect with coreHandlers: noAuth\n"                                                                                    },
        {"users: " USERS_FILE "\n" A "coreHandlers: noAuth\n",                                      ""                                                        },
        {A "auth: {announce: never, required: false, failureDelay: 0}\n",                           ""                                                        },
        {A "auth: {announce: sometimes}\n",
         "f:4:22: announce must be one of never, always, forUnauthorizedAddresses, not "
         "'sometimes'\n"                                                                                                                                      },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        expect_problems(rows[i].text, true, rows[i].wanted);
    }
}

Test(conf_check, mechanisms_of_later_versions) {
    expect_problems(
        S "auth: {saslMechanisms: [XOAUTH2, oauthbearer, FOO]}\n", false,
        "f:3:29: saslMechanisms: XOAUTH2 is not available in this version, which cannot "
        "check tokens; there are LOGIN, PLAIN, SCRAM-SHA-256\n"
        "f:3:38: saslMechanisms: oauthbearer is not available in this version, which "
        "cannot check tokens; there are LOGIN, PLAIN, SCRAM-SHA-256\n"
        "f:3:51: saslMechanisms may hold LOGIN, PLAIN, SCRAM-SHA-256, not 'FOO'\n");
}
