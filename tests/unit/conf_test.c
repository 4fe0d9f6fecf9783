/* Goal: what a valid file means: defaults, ranges of every row, variables, dump, the C interface.
 * Method: small texts through mx_conf_parse; expected values are written here by hand, not taken
 * from the schema. Errors are in conf_error_test.c. */
#include "config/conf.h"
#include "config/docs.h"
#include "proto/session.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define K           UINT64_C(1024)

static struct mx_conf_report report;

static struct mx_conf *parse(const char *text) {
    struct mx_conf *conf = NULL;
    int err = mx_conf_parse(text, strlen(text), false, &conf, &report);
    if (err < 0)
        mx_conf_report_print(&report, "test", stderr);
    cr_assert_eq(err, 0, "error %d for:\n%.2000s", err, text);
    cr_assert_not_null(conf);
    return conf;
}

static char *dump(const struct mx_conf *conf) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    cr_assert_eq(mx_conf_dump(conf, stream), 0);
    cr_assert_eq(fclose(stream), 0);
    return text;
}

static void expect_fixpoint(const char *name, const char *text) {
    struct mx_conf *conf = parse(text);
    char *first = dump(conf);
    struct mx_conf *again = parse(first);
    char *second = dump(again);
    cr_expect(strcmp(first, second) == 0, "%s", name);
    free(first);
    free(second);
    mx_conf_free(conf);
    mx_conf_free(again);
}

static void expect_default_server(const struct mx_conf_server *s, const char *name) {
    cr_expect(s->enabled);
    cr_expect_eq(s->bind_count, 1U);
    cr_expect_str_eq(s->name, name);
    cr_expect_eq(s->connection_backlog, 200U);
    cr_expect_eq(s->connection_timeout_ms, 300000U);
    cr_expect_eq(s->data_timeout_ms, 600000U);
    cr_expect_eq(s->min_data_rate, 100U);
    cr_expect_eq(s->connection_limit, 0U);
    cr_expect_eq(s->connection_limit_per_ip, 0U);
    cr_expect_null(s->greeting);
    cr_expect_eq(s->max_message_octets, 100 * K * K);
    cr_expect_eq(s->max_line_octets, 8192U);
    cr_expect_eq(s->max_data_line_octets, 0U);
    cr_expect_eq(s->max_recipients, 1000U);
    cr_expect_eq(s->max_errors, 100U);
    cr_expect_eq(s->max_transactions, 0U);
    cr_expect_not(s->bare_lf_commands_refused);
    cr_expect_not(s->has_james_texts);
    cr_expect_not(s->smtp_utf8);
    cr_expect(s->graceful_shutdown);
    cr_expect_eq(s->hidden_features, 0U);
    cr_expect_eq(s->authorized_addresses.count, 0U);
    cr_expect_eq(s->verify_identity,
                 s->is_lmtp ? MX_VERIFY_IDENTITY_DISABLED : MX_VERIFY_IDENTITY_STRICT);
    cr_expect_eq(s->core_handlers, MX_CORE_HANDLERS_CORE);
    cr_expect_gt(strlen(s->hello_name), 0U);
}

Test(conf, defaults_of_the_process) {
    static const char *const texts[] = {
        "",    "\n# nothing\n", "---\n",
        "~\n", "\xef\xbb\xbf",  "engine:\nlog:\nspool:\nsmtpservers:\n"};
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct mx_conf *conf = parse(texts[i]);
        const struct mx_conf_engine *engine = &conf->engine;
        cr_expect_eq(engine->workers, 0U);
        cr_expect_eq(engine->batch_wait_us, MX_BATCH_WAIT_AUTO);
        cr_expect_not(engine->allow_open_relay);
        cr_expect_eq(engine->max_connections, 65536U);
        cr_expect_eq(engine->recv_buffers, 512U);
        cr_expect_eq(engine->recv_buffer_octets, 16 * K);
        cr_expect_eq(engine->session_memory_octets, 64 * K * K);
        cr_expect_eq(engine->max_unsent_octets, 64 * K);
        cr_expect_eq(engine->drain_timeout_ms, 30000U);
        cr_expect(engine->use_direct);
        cr_expect(engine->use_hand_over);
        cr_expect_eq(conf->log.level, MX_LOG_INFO);
        cr_expect_eq(conf->log.format, MX_LOG_FORMAT_LOGFMT);
        cr_expect_eq(conf->log.queue_octets, 256 * K);
        cr_expect_eq(conf->domain_count, 0U);
        cr_expect_null(conf->default_domain);
        cr_expect_eq(conf->server_count, 0U);
        cr_expect_eq(conf->durability, MX_DURABILITY_FSYNC);
        cr_expect_str_eq(conf->spool_directory, "/var/spool/mxring");
        cr_expect_null(conf->spool_second);
        cr_expect_eq(conf->spool_segment_octets, UINT64_C(64) << 20);
        cr_expect_eq(conf->spool_reserve_octets, UINT64_C(512) << 20);
        cr_expect_eq(conf->spool_compact_below, 10);
        cr_expect_eq(conf->spool_compact_after_ms, 900000);
        cr_expect_eq(conf->sync_mode, MX_SYNC_AUTO);
        mx_conf_free(conf);
    }
}

Test(conf, defaults_of_servers) {
    struct mx_conf *conf = parse("lmtpservers: [{handlerchain: []}]\n"
                                 "smtpservers: [{handlerchain: []}]\n");
    struct sockaddr_in addr;
    cr_assert_eq(conf->server_count, 2U);
    cr_expect_not(conf->servers[0].is_lmtp, "smtpservers come first");
    cr_expect(conf->servers[1].is_lmtp);
    expect_default_server(&conf->servers[0], "smtpserver");
    expect_default_server(&conf->servers[1], "lmtpserver");
    cr_expect(conf->servers[0].helo_ehlo_enforcement);
    cr_expect(conf->servers[0].address_brackets_enforcement);
    cr_expect_str_eq(conf->servers[0].binds[0].text, "0.0.0.0:25");
    cr_expect_str_eq(conf->servers[1].binds[0].text, "0.0.0.0:24");
    memcpy(&addr, &conf->servers[1].binds[0].addr, sizeof addr);
    cr_expect_eq(ntohs(addr.sin_port), 24);
    mx_conf_free(conf);
}

Test(conf, hello_name) {
    char host[HOST_NAME_MAX + 1] = "";
    cr_assert_eq(gethostname(host, sizeof host - 1), 0);
    struct mx_conf *conf =
        parse("smtpservers:\n  - {helloName: AUTO, handlerchain: []}\n"
              "  - {helloName: mx.Example.com, handlerchain: [], bind: \"[::1]:0\"}\n");
    const char *name = conf->servers[0].hello_name;
    cr_expect(strcmp(name, host) == 0 || strcmp(name, "localhost") == 0, "%s", name);
    cr_expect_str_eq(conf->servers[1].hello_name, "mx.Example.com");
    mx_conf_free(conf);
}

static const char rich[] =
    "engine: {workers: 3, batchWait: 150us, allowOpenRelay: yes, maxConnections: 10,\n"
    "         recvBuffers: 16, recvBufferSize: 4096, sessionMemory: 5000K, maxUnsent: 5000B,\n"
    "         drainTimeout: 1500ms, directDescriptors: off, handOver: no}\n"
    "log: {level: DEBUG, format: json, queue: 4K}\n"
    "domains: [Example.org, a.example, EXAMPLE.org]\n"
    "defaultDomain: Example.ORG\n"
    "spool: {durability: write, directory: \"/var/spool/\\\"mx\\\\\\u00e9\"}\n"
    "smtpservers:\n"
    "  - enabled: On\n"
    "    bind: ['127.0.0.1:2525', '[::1]:2525', 'localhost:0']\n"
    "    name: in one\n"
    "    connectionBacklog: 1\n"
    "    connectionTimeout: 5\n"
    "    dataTimeout: 2 minutes\n"
    "    minDataRate: 0\n"
    "    connectionLimit: 7\n"
    "    connectionLimitPerIP: 3\n"
    "    helloName: mx1.example.org\n"
    "    maxMessageSize: 3\n"
    "    maxLineLength: 1000\n"
    "    maxDataLineLength: 10M\n"
    "    maxRecipients: 1\n"
    "    maxErrors: 2\n"
    "    maxTransactions: 3\n"
    "    heloEhloEnforcement: false\n"
    "    addressBracketsEnforcement: false\n"
    "    bareLfCommands: refuse\n"
    "    compatTexts: james\n"
    "    smtpUtf8: true\n"
    "    gracefulShutdown: false\n"
    "    smtpGreeting: 'say \"hello\" \\ # to: me'\n"
    "    disabledFeatures: CHUNKING, LIMITS\n"
    "    authorizedAddresses: [127.*, 10.1.2.3/255.0.0.0, '2001:db8::5/32', '*']\n"
    "    verifyIdentity: false\n"
    "    coreHandlers: noauth\n"
    "    handlerchain: []\n"
    "  - {enabled: false, bind: '127.0.0.1:2525'}\n"
    "lmtpservers:\n"
    "  - {bind: '127.0.0.1:2424,[::1]:2424', maxMessageSize: unlimited, lmtpGreeting: hi,\n"
    "     handlerchain: []}\n";

Test(conf, every_key) {
    struct mx_conf *conf = parse(rich);
    const struct mx_conf_server *s = &conf->servers[0];
    cr_assert_eq(conf->server_count, 3U);
    cr_expect_eq(conf->engine.workers, 3U);
    cr_expect_eq(conf->engine.batch_wait_us, 150);
    cr_expect(conf->engine.allow_open_relay);
    cr_expect_eq(conf->engine.recv_buffer_octets, 4096U);
    cr_expect_eq(conf->engine.session_memory_octets, 5000 * K);
    cr_expect_eq(conf->engine.max_unsent_octets, 5000U);
    cr_expect_eq(conf->engine.drain_timeout_ms, 1500U);
    cr_expect_not(conf->engine.use_direct);
    cr_expect_not(conf->engine.use_hand_over);
    cr_expect_eq(conf->log.level, MX_LOG_DEBUG);
    cr_expect_eq(conf->log.format, MX_LOG_FORMAT_JSON);
    cr_assert_eq(conf->domain_count, 2U);
    cr_expect(mx_span_equal(conf->domains[0], MX_SPAN("a.example")));
    cr_expect(mx_span_equal(conf->domains[1], MX_SPAN("example.org")));
    cr_expect_str_eq(conf->default_domain, "example.org");
    cr_expect_eq(conf->durability, MX_DURABILITY_WRITE);
    cr_expect_str_eq(conf->spool_directory, "/var/spool/\"mx\\\xc3\xa9");
    cr_expect_eq(s->bind_count, 3U);
    cr_expect_eq(s->binds[0].addr.ss_family, AF_INET);
    cr_expect_eq(s->binds[1].addr.ss_family, AF_INET6);
    cr_expect_eq(s->binds[1].addr_len, sizeof(struct sockaddr_in6));
    cr_expect_str_eq(s->name, "in one");
    cr_expect_eq(s->connection_timeout_ms, 5000U, "bare number: seconds");
    cr_expect_eq(s->data_timeout_ms, 120000U);
    cr_expect_eq(s->max_message_octets, 3 * K, "bare number: K");
    cr_expect_eq(s->max_data_line_octets, 10 * K * K);
    cr_expect(s->bare_lf_commands_refused);
    cr_expect(s->has_james_texts);
    cr_expect(s->smtp_utf8);
    cr_expect_not(s->graceful_shutdown);
    cr_expect_str_eq(s->greeting, "say \"hello\" \\ # to: me");
    cr_expect_eq(s->hidden_features, (uint32_t)(MX_FEATURE_CHUNKING | MX_FEATURE_LIMITS));
    cr_expect_eq(s->authorized_addresses.count, 4U);
    cr_expect_eq(s->core_handlers, MX_CORE_HANDLERS_NO_AUTH);
    cr_expect_not(conf->servers[1].enabled);
    cr_expect_eq(conf->servers[2].bind_count, 2U);
    cr_expect_eq(conf->servers[2].max_message_octets, 0U);
    cr_expect_str_eq(conf->servers[2].greeting, "hi");
    cr_expect_eq(report.count, 1U, "the open relay is a warning");
    mx_conf_free(conf);
}

Test(conf, dump_is_a_fixpoint) {
    expect_fixpoint("empty", "");
    expect_fixpoint("rich", rich);
    expect_fixpoint("example", mx_conf_example);
    expect_fixpoint("words", "engine: {batchWait: off, workers: 1024}\n");
    expect_fixpoint("disabled with an identity check",
                    "smtpservers: [{enabled: no, verifyIdentity: strict}]\n");
}

/* Lists in one string are one node each, but one node an item in the dump. */
Test(conf, largest_file_dumps_to_one_that_loads, .timeout = 120) {
    enum { ITEMS = 1 << 18, DOMAINS = 100000 };
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    fputs("domains: ", stream);
    for (unsigned i = 0; i < DOMAINS; i++)
        fprintf(stream, "%x.1234567890123456.example,", i);
    fputs("\nsmtpservers:\n- handlerchain: []\n  authorizedAddresses: ", stream);
    for (unsigned i = 0; i < ITEMS - DOMAINS; i++)
        fprintf(stream, "fd00:aaaa:bbbb:cccc:dddd:eeee:1%03x:1%03x,", i >> 12, i & 0xfff);
    for (int i = 1; i < MX_CONF_SERVERS_MAX; i++) {
        fputs("\n- enabled: no\n  bind: ", stream);
        for (int b = 0; b < MX_CONF_BINDS_MAX; b++)
            fprintf(stream, "127.0.0.1:%d,", b);
    }
    fclose(stream);
    expect_fixpoint("largest", text);
    free(text);
}

Test(conf, example_is_valid_without_warnings) {
    struct mx_conf *conf = NULL;
    cr_expect_eq(mx_conf_parse(mx_conf_example, strlen(mx_conf_example), true, &conf, &report), 0);
    cr_expect_eq(report.count, 0U, "nor for check, which warns of what cannot be served");
    mx_conf_free(conf);
}

Test(conf, variables) {
    cr_assert_eq(setenv("MX_TEST_PORT", "2525", 1), 0);
    cr_assert_eq(setenv("MX_TEST_NETS", "10.0.0.0/8, 127.*", 1), 0);
    cr_assert_eq(setenv("MX_TEST_NO", " no ", 1), 0);
    struct mx_conf *conf = parse("smtpservers:\n"
                                 "  - bind: 127.0.0.1:${env:MX_TEST_PORT}\n"
                                 "    name: a${env:MX_TEST_PORT}b${env:MX_TEST_PORT}$c\n"
                                 "    authorizedAddresses: ${env:MX_TEST_NETS}\n"
                                 "    handlerchain: []\n"
                                 "  - {enabled: \"${env:MX_TEST_NO}\", connectionLimit: x}\n");
    cr_expect_str_eq(conf->servers[0].binds[0].text, "127.0.0.1:2525");
    cr_expect_str_eq(conf->servers[0].name, "a2525b2525$c");
    cr_expect_eq(conf->servers[0].authorized_addresses.count, 2U);
    cr_expect_not(conf->servers[1].enabled);
    mx_conf_free(conf);
}

Test(conf, unset_variable_is_a_warning_for_check_only) {
    static const char text[] = "engine:\n  workers: ${env:MX_TEST_UNSET}\n";
    struct mx_conf *conf = NULL;
    cr_assert_eq(unsetenv("MX_TEST_UNSET"), 0);
    cr_expect_eq(mx_conf_parse(text, strlen(text), true, &conf, &report), 0);
    cr_assert_not_null(conf);
    cr_expect_eq(conf->engine.workers, 0U, "the default stands in");
    cr_assert_eq(report.count, 1U);
    cr_expect(report.rows[0].is_warning);
    cr_expect_str_eq(report.rows[0].text, "the environment variable MX_TEST_UNSET is not set");
    mx_conf_free(conf);
    cr_expect_eq(mx_conf_parse(text, strlen(text), false, &conf, &report), MX_ECONFIG);
    cr_expect_null(conf);
    cr_expect_eq(report.error_count, 1U);
    mx_conf_report_free(&report);
}

Test(conf, disabled_server_only_warns) {
    struct mx_conf *conf = parse("smtpservers:\n"
                                 "  - {enabled: false, bogus: 1, maxErrors: x, tls: {},\n"
                                 "     handlerchain: [Foo], bind: [],\n"
                                 "     authorizedAddresses: '*', name: '${env:MX_TEST_UNSET}'}\n");
    cr_expect_eq(report.error_count, 0U);
    cr_expect_eq(report.count, 5U);
    for (uint32_t i = 0; i < report.count; i++)
        cr_expect(report.rows[i].is_warning, "%s", report.rows[i].text);
    cr_expect_eq(conf->servers[0].max_errors, 100U);
    cr_expect_str_eq(conf->servers[0].binds[0].text, "0.0.0.0:25");
    mx_conf_free(conf);
    mx_conf_report_free(&report);
}

Test(conf, binds) {
    static const struct {
        const char *name, *in;
        int err;
    } cases[] = {
        {"IPv4",                  "127.0.0.1:25",            0            },
        {"IPv6",                  "[2001:db8::1]:65535",     0            },
        {"any port",              "0.0.0.0:0",               0            },
        {"localhost",             "LOCALHOST:25",            0            },
        {"no port",               "127.0.0.1",               -EDESTADDRREQ},
        {"empty port",            "127.0.0.1:",              -EDESTADDRREQ},
        {"IPv6 no port",          "[::1]",                   -EDESTADDRREQ},
        {"bare IPv6",             "::1",                     -EDESTADDRREQ},
        {"name no port",          "localhost",               -EDESTADDRREQ},
        {"IPv6 without brackets", "2001:db8:0:0:0:0:0:0:25", MX_ESYNTAX   },
        {"host name",             "example.com:25",          MX_ESYNTAX   },
        {"port only",             ":25",                     MX_ESYNTAX   },
        {"star",                  "*:25",                    MX_ESYNTAX   },
        {"empty",                 "",                        -EDESTADDRREQ},
        {"bracket open",          "[::1:25",                 MX_ESYNTAX   },
        {"bracket without colon", "[::1]25",                 MX_ESYNTAX   },
        {"IPv4 in brackets",      "[127.0.0.1]:25",          MX_ESYNTAX   },
        {"zone",                  "[fe80::1%eth0]:25",       MX_ESYNTAX   },
        {"port too large",        "127.0.0.1:65536",         -ERANGE      },
        {"port negative",         "127.0.0.1:-1",            -ERANGE      },
        {"port name",             "127.0.0.1:smtp",          -ERANGE      },
    };
    struct mx_conf *conf = mx_conf_new();
    cr_assert_not_null(conf);
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct mx_conf_bind bind;
        int err = mx_conf_parse_bind(conf, cases[i].in, &bind);
        cr_expect_eq(err, cases[i].err, "%s: %d", cases[i].name, err);
        if (err == 0)
            cr_expect_str_eq(bind.text, cases[i].in);
    }
    mx_conf_free(conf);
}

Test(conf, hello_name_of_a_program) {
    struct mx_conf *conf = mx_conf_new();
    cr_assert_not_null(conf);
    struct mx_conf_server *server = mx_conf_add_server(conf, false);
    cr_assert_not_null(server);
    const char *machine = server->hello_name;
    cr_expect_eq(mx_conf_set_hello_name(conf, server, "mx.Example.com"), 0);
    cr_expect_str_eq(server->hello_name, "mx.Example.com");
    static const char *const wrong[] = {"", "a b", "a_b", "192.0.2.1", "a..b", "-a"};
    for (size_t i = 0; i < ROWS(wrong); i++)
        cr_expect_eq(mx_conf_set_hello_name(conf, server, wrong[i]), MX_ESYNTAX, "%s", wrong[i]);
    cr_expect_str_eq(server->hello_name, "mx.Example.com", "kept");
    cr_expect_eq(mx_conf_set_hello_name(conf, server, "AUTO"), 0);
    cr_expect_str_eq(server->hello_name, machine);
    mx_conf_free(conf);
}

Test(conf, servers_of_a_program) {
    struct mx_conf *conf = mx_conf_new();
    cr_assert_not_null(conf);
    struct mx_conf_server *first = mx_conf_add_server(conf, false);
    cr_assert_not_null(first);
    first->max_errors = 0;
    for (int i = 1; i < MX_CONF_SERVERS_MAX; i++)
        cr_assert_not_null(mx_conf_add_server(conf, i % 2 == 0));
    cr_expect_null(mx_conf_add_server(conf, false));
    cr_expect_eq(conf->servers, first, "pointers to servers stay valid");
    cr_expect_eq(conf->servers[0].max_errors, 0U);
    cr_expect_eq(conf->server_count, (uint32_t)MX_CONF_SERVERS_MAX);
    char *text = dump(conf);
    cr_expect_gt(strlen(text), 100000U);
    free(text);
    mx_conf_free(conf);
    mx_conf_free(NULL);
}

Test(conf, files) {
    struct mx_conf *conf = NULL;
    char path[] = "/tmp/mx_conf_test_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_expect_eq(mx_conf_load("/nonexistent/file", false, &conf, &report), -ENOENT);
    cr_expect_eq(mx_conf_load("/", false, &conf, &report), -EISDIR);
    cr_expect_eq(report.count, 0U);
    cr_assert_eq(write(fd, rich, sizeof rich - 1), (ssize_t)sizeof rich - 1);
    cr_expect_eq(mx_conf_load(path, false, &conf, &report), 0);
    cr_assert_not_null(conf);
    cr_expect_eq(conf->server_count, 3U);
    mx_conf_free(conf);
    mx_conf_report_free(&report);
    cr_assert_eq(ftruncate(fd, (16 << 20) + 1), 0);
    cr_expect_eq(mx_conf_load(path, false, &conf, &report), MX_ECONFIG);
    cr_assert_eq(report.count, 1U);
    cr_expect_str_eq(report.rows[0].text, "larger than 16 MiB");
    mx_conf_report_free(&report);
    close(fd);
    unlink(path);
}

static char *read_reference(void) {
    static char text[256 * 1024];
    char path[PATH_MAX];
    const char *top = getenv("MX_SOURCE_DIR"); /* set by ctest */
    snprintf(path, sizeof path, "%s/docs/CONFIGURATION.md", top != NULL ? top : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

Test(conf, reference_is_up_to_date) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    cr_assert_eq(mx_conf_print_reference(stream), 0);
    fclose(stream);
    cr_expect(strcmp(text, read_reference()) == 0,
              "run: mxring check --reference > docs/CONFIGURATION.md");
    free(text);
}

/* dns.servers: an address takes port 53 unless one is written. */
static const struct {
    const char *written, *dumped;
} servers[] = {
    {"192.0.2.1",                                                               "\"192.0.2.1:53\""    },
    {"192.0.2.1:5353",                                                          "\"192.0.2.1:5353\""  },
    {"'::1'",                                                                   "\"[::1]:53\""        },
    {"'[2001:db8::1]'",                                                         "\"[2001:db8::1]:53\""},
    {"'[2001:db8::1]:54'",                                                      "\"[2001:db8::1]:54\""},
    {"ns.example",                                                              NULL                  },
    {"192.0.2.1:65536",                                                         NULL                  },
    {"'2001:db8::1:x'",                                                         NULL                  },
    {"1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1", NULL                  },
};

Test(conf, name_servers) {
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct mx_conf_report problems = {0};
        struct mx_conf *conf = NULL;
        char text[200], *dump = NULL;
        size_t dump_len = 0;
        int len = snprintf(text, sizeof text, "dns: {servers: [%s]}\n", servers[i].written);
        int err = mx_conf_parse(text, (size_t)len, false, &conf, &problems);
        cr_expect(err == (servers[i].dumped ? 0 : MX_ECONFIG), "%s", text);
        FILE *stream = open_memstream(&dump, &dump_len);
        cr_assert(conf == NULL || mx_conf_dump(conf, stream) == 0);
        fclose(stream);
        cr_expect(!servers[i].dumped || strstr(dump, servers[i].dumped), "%s: %s", text, dump);
        free(dump);
        mx_conf_report_free(&problems);
        mx_conf_free(conf);
    }
}
