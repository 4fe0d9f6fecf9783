/* conf_hooks_dns_test.c - options of the hooks that ask the DNS: what is taken, and the text of
 * what is not.
 */
#include "config/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static struct mx_conf *parse(const char *hook, struct mx_conf_report *report) {
    struct mx_conf *conf = NULL;
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "smtpservers:\n- bind: 127.0.0.1:1\n  handlerchain:\n  - %s\n", hook);
    int err = mx_conf_parse(text, (size_t)len, false, &conf, report);
    cr_assert(err == 0 || err == MX_ECONFIG);
    return conf;
}

Test(conf_hooks_dns, dnsrbl) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf =
        parse("DNSRBLHandler: {rblservers: {whitelist: w.test, blacklist: [a.test, "
              "b.test]}, timeout: 3, onFailure: reject}",
              &report);
    cr_assert_not_null(conf);
    cr_assert_eq(conf->servers[0].hooks[0].kind, MX_HOOK_KIND_DNSRBL);
    const struct mx_opt_dnsrbl *options = conf->servers[0].hooks[0].options;
    cr_expect_eq(options->wait.timeout_ms, 3000);
    cr_expect_eq(options->wait.on_failure, MX_ON_FAILURE_REJECT);
    cr_assert(options->whitelist.count == 1 && options->blacklist.count == 2);
    cr_expect(mx_span_equal(options->blacklist.rows[1], MX_SPAN("b.test")));
    cr_expect(!options->gets_detail);
    mx_conf_report_free(&report);
    mx_conf_free(conf);
}

Test(conf_hooks_dns, defaults) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = parse("SPFHandler", &report);
    cr_assert_not_null(conf);
    const struct mx_opt_spf *options = conf->servers[0].hooks[0].options;
    cr_expect(!options->blocks_soft_fail && options->blocks_perm_error);
    cr_expect_eq(options->wait.timeout_ms, 20000);
    cr_expect_eq(options->wait.on_failure, MX_ON_FAILURE_TEMPFAIL);
    mx_conf_report_free(&report);
    mx_conf_free(conf);
}

static const struct {
    const char *hook, *problem;
} mistakes[] = {
    {"DNSRBLHandler",
     "DNSRBLHandler needs rblservers: {whitelist: ..., blacklist: ...}, one of them "
     "at least"                                                                                        },
    {"DNSRBLHandler: {rblservers: {}}",
     "DNSRBLHandler needs rblservers: {whitelist: ..., blacklist: "
     "...}, one of them at least"                                                                      },
    {"DNSRBLHandler: {rblservers: {blacklist: 'a..b'}}",
     "rblservers.blacklist: 'a..b' is not a domain name"                                               },
    {"DNSRBLHandler: {rblservers: {whitelist: '.a'}}",
     "rblservers.whitelist: '.a' is not a domain name"                                                 },
    {"SPFHandler: {timeout: 0}",                                  NULL                                 },
    {"SPFHandler: {onFailure: perhaps}",                          NULL                                 },
    {"SPFHandler: {checkAuthNetworks: true}",                     NULL                                 },
    {"ValidRcptMX",                                               "ValidRcptMX needs invalidMXNetworks"},
    {"URIRBLHandler",                                             "URIRBLHandler needs uriRblServers"  },
    {"URIRBLHandler: {uriRblServers: [a.b, c.d, e.f, g.h, i.j]}",
     "uriRblServers: more than 4 lists"                                                                },
};

Test(conf_hooks_dns, mistakes) {
    for (size_t i = 0; i < ROWS(mistakes); i++) {
        struct mx_conf_report report = {0};
        struct mx_conf *conf = parse(mistakes[i].hook, &report);
        bool is_found = mistakes[i].problem == NULL && report.error_count > 0;
        cr_expect_null(conf, "%s", mistakes[i].hook);
        for (uint32_t p = 0; p < report.count && !is_found; p++)
            is_found = mistakes[i].problem && strcmp(report.rows[p].text, mistakes[i].problem) == 0;
        cr_expect(is_found, "%s: %s", mistakes[i].hook,
                  report.count > 0 ? report.rows[0].text : "nothing");
        mx_conf_report_free(&report);
        mx_conf_free(conf);
    }
}
