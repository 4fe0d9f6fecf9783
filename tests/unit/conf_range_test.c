/* Goal: every row with a range takes its ends and refuses what is beyond, with the range in the
 * text. Method: one table of all such keys written by hand; a value stands alone in a small file.
 */
#include "config/conf.h"
#include "config/schema.h"

#include <criterion/criterion.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static struct mx_conf_report report;

struct range_case {
    const char *key; /* its section is told by the head */
    const char *head;
    const char *min, *max, *below, *above; /* below NULL: nothing is */
    const char *range;                     /* of the message */
};

#define E "engine:\n  "
#define G "log:\n  "
#define P "spool:\n  "
#define D "dns:\n  "
#define R "redis:\n  "
#define S "smtpservers:\n- handlerchain: []\n  "
#define A "smtpservers:\n- handlerchain: []\n  auth:\n    "

#define T "smtpservers:\n- handlerchain: []\n  tls:\n    "

#define MOST "0 and 2147483647"

static const struct range_case cases[] = {
    {"aliasLimit",           "", "0",     "50",         "-1",      "51",                   "0 and 50"                  },
    {"workers",              E,  "1",     "1024",       "0",       "1025",                 "1 and 1024, or auto"       },
    {"batchWait",            E,  "1us",   "10ms",       "0",       "10001",                "1us and 10ms, or off, auto"},
    {"maxConnections",       E,  "0",     "1000000",    "-1",      "1000001",              "0 and 1000000"             },
    {"recvBuffers",          E,  "16",    "32768",      "8",       "65536",                "16 and 32768"              },
    {"recvBufferSize",       E,  "4K",    "64K",        "4095",    "65537",                "4K and 64K"                },
    {"sessionMemory",        E,  "4M",    "64G",        "4194303", "65G",                  "4M and 64G"                },
    {"policyMemory",         E,  "1M",    "64G",        "1023K",   "65G",                  "1M and 64G"                },
    {"scanMemory",           E,  "1M",    "64G",        "1023K",   "65G",                  "1M and 64G"                },
    {"scanConversations",    E,  "1",     "65536",      "0",       "65537",                "1 and 65536"               },
    {"policySave",           E,  "0",     "1d",         "-1",      "86401",                "0 and 86400s"              },
    {"maxUnsent",            E,  "4096",  "1M",         "4095",    "1025K",                "4K and 1M"                 },
    {"drainTimeout",         E,  "0",     "1h",         "-1",      "3601",                 "0 and 3600s"               },
    {"helperThreads",        E,  "1",     "64",         "0",       "65",                   "1 and 64, or auto"         },
    {"helperQueue",          E,  "1",     "65536",      "0",       "65537",                "1 and 65536"               },
    {"tlsMemory",            E,  "4M",    "64G",        "4194303", "65G",                  "4M and 64G"                },
    {"queue",                G,  "4K",    "64M",        "2K",      "128M",                 "4K and 64M"                },
    {"segmentSize",          P,  "4M",    "1G",         "2M",      "2G",                   "4M and 1G"                 },
    {"reserve",              P,  "0",     "1024G",      "-1",      "1025G",                "0 and 1024G"               },
    {"compactBelow",         P,  "0%",    "50%",        "-1",      "51%",                  "0% and 50%"                },
    {"compactAfter",         P,  "0",     "1d",         "-1",      "86401",                "0 and 86400s"              },
    {"timeout",              D,  "100ms", "60",         "99ms",    "61",                   "100ms and 60s"             },
    {"attempts",             D,  "1",     "10",         "0",       "11",                   "1 and 10"                  },
    {"deadline",             D,  "100ms", "5m",         "99ms",    "301",                  "100ms and 300s"            },
    {"maxLookups",           D,  "1",     "32768",      "0",       "32769",                "1 and 32768"               },
    {"maxQuestions",         D,  "1",     "1000000",    "0",       "1000001",              "1 and 1000000"             },
    {"cacheSize",            D,  "0",     "16G",        "-1",      "17G",                  "0 and 16G"                 },
    {"minTtl",               D,  "0",     "24h",        "-1",      "86401",                "0 and 86400s"              },
    {"maxTtl",               D,  "0",     "24h",        "-1",      "86401",                "0 and 86400s"              },
    {"maxNegativeTtl",       D,  "0",     "24h",        "-1",      "86401",                "0 and 86400s"              },
    {"failureTtl",           D,  "0",     "5m",         "-1",      "301",                  "0 and 300s"                },
    {"database",             R,  "0",     "65535",      "-1",      "65536",                "0 and 65535"               },
    {"timeout",              R,  "10ms",  "60",         "9ms",     "61",                   "10ms and 60s"              },
    {"connections",          R,  "1",     "64",         "0",       "65",                   "1 and 64"                  },
    {"maxQuestions",         R,  "1",     "65536",      "0",       "65537",                "1 and 65536"               },
    {"connectionBacklog",    S,  "1",     "65535",      "0",       "65536",                "1 and 65535"               },
    {"connectionTimeout",    S,  "0",     "24h",        "-1",      "86401",                "0 and 86400s"              },
    {"dataTimeout",          S,  "0",     "1d",         "-1",      "86400001ms",           "0 and 86400s"              },
    {"minDataRate",          S,  "0",     "50000000",   "-1",      "50000001",             "0 and 50000000"            },
    {"connectionLimit",      S,  "0",     "2147483647", "-1",      "2147483648",           MOST                        },
    {"connectionLimitPerIP", S,  "0",     "2147483647", "-1",      "2147483648",           MOST                        },
    {"maxMessageSize",       S,  "0",     "1024G",      "-1",      "1025G",                "0 and 1024G, or unlimited" },
    {"maxLineLength",        S,  "1000",  "1048576",    "999",     "1048577",              "1000 and 1048576, or 0"    },
    {"maxDataLineLength",    S,  "0",     "2147483647", "-1",      "2G",                   MOST                        },
    {"maxRecipients",        S,  "0",     "2147483647", "-1",      "2147483648",           MOST                        },
    {"maxErrors",            S,  "0",     "2147483647", "-1",      "99999999999999999999", MOST                        },
    {"maxTransactions",      S,  "0",     "2147483647", "-1",      "2147483648",           MOST                        },
    {"maxAuthFailures",      S,  "0",     "65534",      "-1",      "65535",                "0 and 65534"               },
    {"failureDelay",         A,  "0",     "60",         "-1",      "61s",                  "0 and 60s"                 },
    {"sessionTimeout",       T,  "60",    "7d",         "59",      "604801",               "60s and 604800s, or 0"     },
    {"handshakeTimeout",     T,  "1",     "10m",        "999ms",   "601",                  "1s and 600s"               },
};

static int parse_value(const struct range_case *row, const char *value) {
    char text[400];
    struct mx_conf *conf = NULL;
    mx_conf_report_free(&report);
    snprintf(text, sizeof text, "%s%s: %s\n", row->head, row->key, value);
    int err = mx_conf_parse(text, strlen(text), false, &conf, &report);
    mx_conf_free(conf);
    return err;
}

static void expect_refused(const struct range_case *row, const char *value) {
    char wanted[200];
    uint32_t line = 1, column = (uint32_t)strlen(row->key) + 3;
    for (const char *c = row->head; *c != '\0'; c++) {
        line += *c == '\n';
        column += *c == ' ' && strchr(c, '\n') == NULL;
    }
    snprintf(wanted, sizeof wanted, "%s must be between %s", row->key, row->range);
    cr_expect_eq(parse_value(row, value), MX_ECONFIG, "%s: %s", row->key, value);
    cr_assert_eq(report.count, 1U, "%s: %s", row->key, value);
    cr_expect_str_eq(report.rows[0].text, wanted, "%s", report.rows[0].text);
    cr_expect(report.rows[0].line == line && report.rows[0].column == column, "%s: at %u:%u",
              row->key, report.rows[0].line, report.rows[0].column);
}

Test(conf_range, ends_are_taken_and_what_is_beyond_is_not) {
    for (size_t i = 0; i < ROWS(cases); i++) {
        cr_expect_eq(parse_value(&cases[i], cases[i].min), 0, "%s min", cases[i].key);
        cr_expect_eq(parse_value(&cases[i], cases[i].max), 0, "%s max", cases[i].key);
        expect_refused(&cases[i], cases[i].below);
        expect_refused(&cases[i], cases[i].above);
    }
    mx_conf_report_free(&report);
}

Test(conf_range, table_has_every_row_with_a_range) {
    size_t count = 0;
    for (size_t i = 0; i < mx_schema_count; i++)
        count += mx_schema[i].type >= MX_TYPE_NUMBER && mx_schema[i].type <= MX_TYPE_DURATION;
    cr_expect_eq(count, ROWS(cases));
}

Test(conf_range, zero_below_the_range_is_no_limit) {
    static const char text[] = S "maxLineLength: 0\n  tls: {sessionTimeout: 0}\n";
    struct mx_conf *conf = NULL;
    cr_expect_eq(mx_conf_parse(text, strlen(text), false, &conf, &report), 0);
    cr_assert_not_null(conf);
    cr_expect_eq(conf->servers[0].max_line_octets, 0U);
    cr_expect_eq(conf->servers[0].tls.session_timeout_ms, 0U); /* no session is resumed */
    mx_conf_free(conf);
    for (size_t i = 0; i < mx_schema_count; i++)
        cr_expect(!(mx_schema[i].flags & MX_ROW_ZERO) ||
                      !strcmp(mx_schema[i].key, "maxLineLength") ||
                      !strcmp(mx_schema[i].key, "sessionTimeout"),
                  "%s: say here what 0 means", mx_schema[i].key);
    mx_conf_report_free(&report);
}

Test(conf_range, powers_of_two) {
    static const struct range_case rows[] = {
        {"recvBuffers", E, "", "", "", "", ""},
        {"queue",       G, "", "", "", "", ""}
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        cr_expect_eq(parse_value(&rows[i], "16384"), 0, "%s", rows[i].key);
        cr_expect_eq(parse_value(&rows[i], "16385"), MX_ECONFIG, "%s", rows[i].key);
    }
    mx_conf_report_free(&report);
}

Test(conf_range, lengths_of_texts) {
    static const struct {
        const char *key, *head;
        size_t max;
    } texts[] = {
        {"smtpGreeting", S,            500 },
        {"name",         S,            64  },
        {"directory",    "spool:\n  ", 4000}
    };
    char value[5000];
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct range_case row = {.key = texts[i].key, .head = texts[i].head};
        char text[5200];
        for (size_t extra = 0; extra < 2; extra++) {
            struct mx_conf *conf = NULL;
            memset(value, 'x', texts[i].max + extra);
            value[texts[i].max + extra] = '\0';
            int len = snprintf(text, sizeof text, "%s%s: %s\n", row.head, row.key, value);
            int err = mx_conf_parse(text, (size_t)len, false, &conf, &report);
            cr_expect_eq(err, extra ? MX_ECONFIG : 0, "%s: %zu octets", row.key, strlen(value));
            mx_conf_free(conf);
        }
    }
    mx_conf_report_free(&report);
}

Test(conf_range, names) {
    char label[70], name[300];
    static const struct {
        const char *name, *in;
        bool is_valid;
    } hosts[] = {
        {"one label",         "mx",            true },
        {"digits first",      "3com.example",  true },
        {"hyphen",            "a-b.example",   true },
        {"hyphen last",       "a-.example",    false},
        {"last label number", "a.1",           false},
        {"underscore",        "a_b.example",   false},
        {"double dot",        "a..example",    false},
        {"literal",           "'[192.0.2.1]'", false},
    };
    const struct range_case row = {.key = "helloName", .head = S};
    for (size_t i = 0; i < ROWS(hosts); i++)
        cr_expect_eq(parse_value(&row, hosts[i].in), hosts[i].is_valid ? 0 : MX_ECONFIG, "%s",
                     hosts[i].name);
    for (size_t len = 63; len <= 64; len++) {
        snprintf(label, sizeof label, "%.*s", (int)len,
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        cr_expect_eq(parse_value(&row, label), len == 63 ? 0 : MX_ECONFIG, "%zu octets", len);
    }
    for (size_t tail = 61; tail <= 62; tail++) {
        label[63] = '\0';
        snprintf(name, sizeof name, "%.63s.%.63s.%.63s.%.*s", label, label, label, (int)tail,
                 label);
        cr_expect_eq(parse_value(&row, name), tail == 61 ? 0 : MX_ECONFIG, "%zu octets",
                     strlen(name));
    }
    mx_conf_report_free(&report);
}
