/* Goal: the section tls: of a server: its defaults, its lists in the order written, what does not
 * go together, and that every value comes back from the dump.
 * Method: small files, with the whole output that mxring check would print. */
#include "config/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define S           "smtpservers:\n  - handlerchain: []\n    tls: "
#define FILES       "privateKey: k.pem, certificates: c.pem"

static struct mx_conf_report report;

static char *problems_of(const char *text, struct mx_conf **conf) {
    char *printed = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&printed, &len);
    cr_assert_not_null(stream);
    *conf = NULL;
    int err = mx_conf_parse(text, strlen(text), false, conf, &report);
    cr_expect_eq(err, report.error_count ? MX_ECONFIG : 0, "%d for:\n%s", err, text);
    mx_conf_report_print(&report, "f", stream);
    fclose(stream);
    mx_conf_report_free(&report);
    return printed;
}

static struct mx_conf *parse(const char *text) {
    struct mx_conf *conf;
    char *printed = problems_of(text, &conf);
    cr_expect_str_empty(printed, "%s", printed);
    cr_assert_not_null(conf);
    free(printed);
    return conf;
}

Test(conf_tls, defaults) {
    struct mx_conf *conf = parse("smtpservers:\n  - handlerchain: []\n"
                                 "lmtpservers:\n  - handlerchain: []\n    bind: 127.0.0.1:2424\n");
    for (uint32_t i = 0; i < 2; i++) {
        const struct mx_conf_tls *tls = &conf->servers[i].tls;
        cr_expect_not(mx_conf_tls_is_on(tls));
        cr_expect_eq(tls->protocols, (uint32_t)(MX_TLS_PROTOCOL_1_2 | MX_TLS_PROTOCOL_1_3));
        cr_expect_eq(tls->ciphers.count, 0U);
        cr_expect_eq(tls->client_auth, MX_CLIENT_AUTH_NONE);
        cr_expect_eq(tls->session_timeout_ms, 86400000U);
        cr_expect_eq(tls->handshake_timeout_ms, 10000U);
    }
    cr_expect_eq(conf->engine.tls_memory_octets, 256U << 20);
    mx_conf_free(conf);
}

Test(conf_tls, values) {
    struct mx_conf *conf = parse(
        S "\n      startTLS: true\n      privateKey: k.pem\n      certificates: c.pem\n"
          "      secret: file:pass\n"
          "      supportedProtocols: [TLSv1.3]\n"
          "      supportedCipherSuites: [ECDHE-RSA-AES256-GCM-SHA384, TLS_AES_128_GCM_SHA256,\n"
          "        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"
          "      clientAuth: required\n      truststore: ca.pem\n"
          "      enableOCSPCRLChecks: true\n      revocationLists: ca.crl\n"
          "      more:\n"
          "      - {names: [A.example.com, '*.example.org'], privateKey: k2, certificates: c2}\n"
          "      - {privateKey: k3, certificates: 'c\"3', secret: hush}\n");
    const struct mx_conf_tls *tls = &conf->servers[0].tls;
    cr_expect(tls->has_starttls && !tls->is_implicit);
    cr_expect_eq(tls->protocols, (uint32_t)MX_TLS_PROTOCOL_1_3);
    cr_assert_eq(tls->ciphers.count, 2U);
    cr_expect_str_eq(mx_conf_cipher_name(tls->ciphers.rows[0]),
                     "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
    cr_expect_str_eq(mx_conf_cipher_name(tls->ciphers.rows[1]), "TLS_AES_128_GCM_SHA256");
    cr_expect_eq(tls->client_auth, MX_CLIENT_AUTH_REQUIRED);
    cr_expect_str_eq(tls->revocations_path, "ca.crl");
    cr_assert_eq(tls->more.count, 2U);
    const struct mx_conf_certificate *more = tls->more.rows;
    cr_assert_eq(more[0].name_count, 2U);
    cr_expect(mx_span_equal(more[0].names[0], MX_SPAN("a.example.com")));
    cr_expect(mx_span_equal(more[0].names[1], MX_SPAN("*.example.org")));
    cr_expect_str_eq(more[0].key_path, "k2");
    cr_expect_eq(more[1].name_count, 0U);
    cr_expect_str_eq(more[1].chain_path, "c\"3");
    cr_expect_str_eq(more[1].secret, "hush");
    cr_expect_eq(more[1].line, 17U);
    mx_conf_free(conf);
}

static const struct {
    const char *text, *wanted;
} cases[] = {
    {S "{startTLS: true}\n",                                                                    "f:3:10: tls: privateKey and certificates are needed\n"                             },
    {S "{startTLS: true, socketTLS: true, " FILES "}\n",
     "f:3:21: startTLS is only supported when using plain sockets\n"                                                                                                                },
    {S "{" FILES "}\n",                                                                         "f:3:10: warning: tls is off: neither socketTLS nor startTLS is true; the "
                        "rest has no effect\n"                                                                                                               },
    {S "{socketTLS: false, startTLS: false}\n",                                                 ""                                                                                  },
    {S "{socketTLS: true, " FILES ", supportedProtocols: []}\n",
     "f:3:88: supportedProtocols: none is left\n"                                                                                                                                   },
    {S "{socketTLS: true, " FILES ", clientAuth: wanted}\n",
     "f:3:80: clientAuth needs truststore: who may have signed the certificates\n"                                                                                                  },
    {S "{socketTLS: true, " FILES ", truststore: t}\n",
     "f:3:10: warning: tls: without clientAuth, truststore has no effect\n"                                                                                                         },
    {S "{socketTLS: true, " FILES ", clientAuth: wanted, truststore: t, revocationLists: r}\n",
     "f:3:120: revocationLists needs enableOCSPCRLChecks: true\n"                                                                                                                   },
    {S "{socketTLS: true, " FILES
       ", clientAuth: wanted, truststore: t, enableOCSPCRLChecks: true}\n",                "f:3:124: enableOCSPCRLChecks needs revocationLists: no worker asks other servers\n"},
    {S "{socketTLS: true, " FILES ", clientAuth: wanted, truststore: t, sessionTimeout: 1h}\n",
     "f:3:119: warning: sessionTimeout: with clientAuth no session is resumed, so that each "
     "certificate is checked\n"                                                                                                                                                     },
    {S "{socketTLS: true, " FILES ", supportedCipherSuites: [TLS_RSA_WITH_NULL_SHA]}\n",
     "f:3:92: supportedCipherSuites: 'TLS_RSA_WITH_NULL_SHA' is not a suite with forward secrecy; "
     "docs/TLS.md lists them\n"                                                                                                                                                     },
    {S "{socketTLS: true, " FILES ", more: [{privateKey: k}]}\n",
     "f:3:75: more: certificates is missing\n"                                                                                                                                      },
    {S "{socketTLS: true, " FILES ", more: [k]}\n",
     "f:3:75: more: an item is a map with privateKey and certificates\n"                                                                                                            },
    {S "{socketTLS: true, " FILES ", more: [{" FILES ", key: x}]}\n",
     "f:3:116: unknown key 'key' in more; valid keys: names, privateKey, certificates, secret\n"                                                                                    },
    {S "{socketTLS: true, " FILES ", more: [{" FILES ", names: [a.c, 'a b']}]}\n",
     "f:3:129: names: 'a b' is not a host name, or one of more than 100\n"                                                                                                          },
    {S "{socketTLS: true, " FILES ", more: [{" FILES ", privateKey: x}]}\n",
     "f:3:116: duplicate key 'privateKey'\n"                                                                                                                                        },
};

#define SUITES S "{socketTLS: true, " FILES ", supportedProtocols: "

static const struct {
    const char *text, *wanted;
} suites[] = {
    {SUITES "[TLSv1.2], supportedCipherSuites: [TLS_AES_128_GCM_SHA256]}\n",
     "f:3:122: supportedCipherSuites: none is of the supportedProtocols\n"                   },
    {SUITES "[TLSv1.2, TLSv1.3], supportedCipherSuites: [TLS_AES_128_GCM_SHA256]}\n",
     "f:3:131: warning: supportedCipherSuites: none is of TLSv1.2, which cannot be used so\n"},
    {SUITES "[TLSv1.2, TLSv1.3], supportedCipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}\n",
     "f:3:131: warning: supportedCipherSuites: none is of TLSv1.3, which cannot be used so\n"},
    {SUITES "[TLSv1.3], supportedCipherSuites: [TLS_AES_128_GCM_SHA256]}\n",               ""},
};

Test(conf_tls, suites_of_no_protocol) {
    for (size_t i = 0; i < ROWS(suites); i++) {
        struct mx_conf *conf;
        char *printed = problems_of(suites[i].text, &conf);
        cr_expect_str_eq(printed, suites[i].wanted, "%s%s", suites[i].text, printed);
        free(printed);
        mx_conf_free(conf);
    }
}

Test(conf_tls, problems) {
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct mx_conf *conf;
        char *printed = problems_of(cases[i].text, &conf);
        cr_expect_str_eq(printed, cases[i].wanted, "%s%s", cases[i].text, printed);
        free(printed);
        mx_conf_free(conf);
    }
}

static char *dump(const struct mx_conf *conf) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    cr_expect_eq(mx_conf_dump(conf, stream), 0);
    fclose(stream);
    return text;
}

Test(conf_tls, dump_is_read_again) {
    struct mx_conf *conf =
        parse(S "{socketTLS: true, " FILES ", secret: hush, supportedProtocols: TLSv1.3, "
                "supportedCipherSuites: TLS_AES_256_GCM_SHA384,"
                " more: [{names: x.org, privateKey: 'k\\\"', certificates: c, secret: hush}]}\n");
    char *first = dump(conf);
    mx_conf_free(conf);
    cr_expect_null(strstr(first, "hush"), "a secret in the dump:\n%s", first);
    cr_expect_not_null(strstr(first, "TLS_AES_256_GCM_SHA384"));
    free(problems_of(first, &conf)); /* that options have no effect is said */
    cr_assert_not_null(conf);
    char *second = dump(conf);
    cr_expect_str_eq(first, second);
    cr_expect_str_eq(conf->servers[0].tls.more.rows[0].key_path, "k\\\"");
    mx_conf_free(conf);
    free(first);
    free(second);
}
