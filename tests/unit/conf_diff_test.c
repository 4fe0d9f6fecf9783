/* conf_diff_test.c - what a reload would change, in words; which server goes on as which; what a
 * reload leaves as it is.
 */
#include "config/diff.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define SMTP        "smtpservers:\n"
#define LMTP        "lmtpservers:\n"
#define SERVER(rows)                                                                               \
    "  - handlerchain: []\n"                                                                       \
    "    " rows "\n"
#define AT(ports) SERVER("bind: [" ports "]")

static struct mx_conf *parse(const char *text) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL;
    int err = mx_conf_parse(text, strlen(text), false, &conf, &report);
    cr_assert_eq(err, 0, "%s: %s", text, report.count > 0 ? report.rows[0].text : "?");
    mx_conf_report_free(&report);
    return conf;
}

struct said {
    char text[8000];
    size_t len;
};

static void say(void *context, const char *text, bool needs_restart) {
    struct said *said = context;
    int len = snprintf(said->text + said->len, sizeof said->text - said->len, "%s%s\n",
                       needs_restart ? "! " : "", text);
    cr_assert_lt((size_t)len, sizeof said->text - said->len);
    said->len += (size_t)len;
}

static const char *diff(const char *before, const char *after) {
    static struct said said;
    struct mx_conf *old = parse(before), *new = parse(after);
    said.text[0] = '\0';
    said.len = 0;
    cr_assert_eq(mx_conf_diff(old, new, say, &said), 0);
    mx_conf_free(old);
    mx_conf_free(new);
    return said.text;
}

Test(conf_diff, words) {
    static const struct {
        const char *name, *before, *after, *wanted;
    } rows[] = {
        {"nothing",      "domains: b.x, a.x\n",                      "domains: [A.x, b.x, a.x]\n",   ""                                },
        {"a text",       "",                                         "defaultDomain: x.y\n",         "defaultDomain: null -> \"x.y\"\n"},
        {"a text goes",  "defaultDomain: x.y\n",                     "",                             "defaultDomain: \"x.y\" -> null\n"},
        {"in a section", "log: {level: info}\n",                     "log: {level: warn}\n",
         "log.level: info -> warn\n"                                                                                                   },
        {"restart",      "engine: {workers: 2, drainTimeout: 1s}\n", "engine: {drainTimeout: 2s}\n",
         "! engine.workers: 2 -> auto\nengine.drainTimeout: 1s -> 2s\n"                                                                },
        {"list",         "domains: [a.x, b.x, d.x]\n",               "domains: [b.x, c.x, e.x]\n",
         "domains: -a.x +c.x -d.x +e.x\n"                                                                                              },
        {"server",       SMTP SERVER("bind: 127.0.0.1:25"),
         SMTP SERVER("bind: ['127.0.0.1:25', '[::1]:25']\n    maxErrors: 3\n    smtpGreeting: hi\n"
                     "    disabledFeatures: CHUNKING\n    authorizedAddresses: 10.0.0.1"),
         "smtpservers 'smtpserver' (127.0.0.1:25): bind: +[::1]:25\n"
         "smtpservers 'smtpserver' (127.0.0.1:25): maxErrors: 100 -> 3\n"
         "smtpservers 'smtpserver' (127.0.0.1:25): smtpGreeting: null -> \"hi\"\n"
         "smtpservers 'smtpserver' (127.0.0.1:25): disabledFeatures: +CHUNKING\n"
         "smtpservers 'smtpserver' (127.0.0.1:25): authorizedAddresses: +10.0.0.1/32\n"                                                },
        {"servers",      SMTP SERVER("bind: 127.0.0.1:25"),
         LMTP SERVER("bind: 127.0.0.1:25\n    enabled: false"),
         "lmtpservers 'lmtpserver' (127.0.0.1:25): new server (not enabled)\n"
         "smtpservers 'smtpserver' (127.0.0.1:25): server removed\n"                                                                   },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const char *got = diff(rows[i].before, rows[i].after);
        cr_expect_str_eq(got, rows[i].wanted, "%s:\n%s", rows[i].name, got);
    }
}

/* Two texts that are the same for a long time, longer than a line of the log. */
Test(conf_diff, long_texts) {
    static char before[4000], after[4000];
    int len = snprintf(before, sizeof before, "spool: {directory: /%02000d}\n", 1);
    cr_assert_eq(len, snprintf(after, sizeof after, "spool: {directory: /%02000d}\n", 2));
    cr_expect_not_null(strstr(diff(before, after), "! spool.directory: \"/000"));
}

/* Of a long list twenty items are named, of long items as many as fit. */
Test(conf_diff, long_lists) {
    static const struct {
        const char *tail;
        int count, pad; /* domains; octets of three labels of each */
    } rows[] = {
        {" +d019.x.x.x and 80 more\n", 100, 1 },
        {" and 20 more\n",             30,  61},
    };
    char label[64];
    for (size_t i = 0; i < ROWS(rows); i++) {
        static char text[20000];
        memset(label, 'x', sizeof label);
        label[rows[i].pad] = '\0';
        int len = snprintf(text, sizeof text, "domains: [");
        for (int n = 0; n < rows[i].count; n++)
            len += snprintf(text + len, sizeof text - (size_t)len, "d%03d.%s.%s.%s, ", n, label,
                            label, label);
        snprintf(text + len, sizeof text - (size_t)len, "]\n");
        const char *got = diff("", text);
        cr_expect(strncmp(got, "domains: +d000.", 15) == 0, "%s", got);
        size_t tail = strlen(rows[i].tail), all = strlen(got);
        cr_expect_str_eq(got + (all > tail ? all - tail : 0), rows[i].tail, "%s", got);
    }
}

/* map: for each of the new servers the old one, '-' for none. */
Test(conf_diff, match) {
    static const struct {
        const char *name, *before, *after, *map;
    } rows[] = {
        {"address, in any order",  SMTP AT("'127.0.0.1:1'") AT("'127.0.0.1:2'"),
         SMTP AT("'127.0.0.1:2'") AT("'127.0.0.1:1'"),                                                                                         "10"},
        {"one address of several", SMTP AT("'127.0.0.1:1'") AT("'127.0.0.1:2', '127.0.0.1:3'"),
         SMTP AT("'127.0.0.1:3', '127.0.0.1:4'"),                                                                                              "1" },
        {"one becomes two",        SMTP AT("'127.0.0.1:1', '127.0.0.1:2'"),
         SMTP AT("'127.0.0.1:2'") AT("'127.0.0.1:1'"),                                                                                         "0-"},
        {"address, another kind",  SMTP AT("'127.0.0.1:1'"),                                     LMTP AT("'127.0.0.1:1'"),                     "0" },
        {"name",
         SMTP SERVER("bind: 127.0.0.1:1\n    name: a") SERVER("bind: 127.0.0.1:2\n    name: b"),
         SMTP SERVER("bind: 127.0.0.1:3\n    name: b") SERVER("bind: 127.0.0.1:4\n    name: c"),
         "10"                                                                                                                                      },
        {"kind, in order",         SMTP AT("'127.0.0.1:1'"),                                     SMTP AT("'127.0.0.1:2'") AT("'127.0.0.1:3'"),
         "0-"                                                                                                                                      },
        {"nothing",                SMTP AT("'127.0.0.1:1'"),                                     LMTP AT("'127.0.0.1:2'"),                     "-" },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mx_conf *old = parse(rows[i].before), *new = parse(rows[i].after);
        uint32_t map[MX_CONF_SERVERS_MAX];
        char got[8] = "";
        mx_conf_match(old, new, map);
        for (uint32_t n = 0; n < new->server_count; n++)
            got[n] = map[n] == MX_CONF_NO_SERVER ? '-' : (char)('0' + map[n]);
        cr_expect_str_eq(got, rows[i].map, "%s: %s", rows[i].name, got);
        mx_conf_free(old);
        mx_conf_free(new);
    }
}

Test(conf_diff, keep) {
    struct mx_conf *old = parse("engine: {workers: 2, user: me, drainTimeout: 1s}\n"
                                "spool: {durability: none, directory: /a}\n"
                                "log: {format: json, level: warn}\n");
    struct mx_conf *new = parse("engine: {user: you, drainTimeout: 2s}\nlog: {level: debug}\n");
    cr_assert_eq(mx_conf_keep(new, old), 0);
    mx_conf_free(old);
    cr_expect_eq(new->engine.workers, 2U);
    cr_expect_str_eq(new->engine.user, "me");
    cr_expect_str_eq(new->spool_directory, "/a");
    cr_expect_eq(new->durability, MX_DURABILITY_NONE);
    cr_expect_eq(new->log.format, MX_LOG_FORMAT_JSON);
    cr_expect_eq(new->engine.drain_timeout_ms, 2000U);
    cr_expect_eq(new->log.level, MX_LOG_DEBUG);
    mx_conf_free(new);
}
