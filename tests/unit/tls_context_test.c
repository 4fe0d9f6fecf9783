/* What a context accepts, what it refuses and by which name; certificates as a file has them;
 * clients' certificates. */
#include "tests/unit/tls_client.h"
#include "tls/inspect.h"

static struct client client;
static struct server server;
static struct setting setting;

static void begin(void) {
    cr_assert_eq(mx_tls_library_init(), 0);
    make_setting(&setting);
}

TestSuite(tls_context, .init = begin);

static void expect_problem(const char *name, enum mx_tls_culprit culprit, uint32_t certificate,
                           const char *text) {
    struct mx_tls_problem problem = {0};
    struct mx_tls_context *context = mx_tls_context_new(&setting.params, &problem);
    cr_expect_null(context, "%s", name);
    cr_expect_eq(problem.culprit, culprit, "%s: %u %s", name, problem.culprit, problem.text);
    cr_expect_eq(problem.certificate, certificate, "%s: %u", name, problem.certificate);
    cr_expect_not_null(strstr(problem.text, text), "%s: %s", name, problem.text);
    mx_tls_context_free(context);
    make_setting(&setting);
}

Test(tls_context, problems_have_a_place) {
    static const char *const odd[] = {"TLS_RSA_WITH_AES_128_CBC_SHA"};
    setting.certificates[1].key = setting.certificates[0].key;
    expect_problem("another's key", MX_TLS_CULPRIT_KEY, 1, "does not belong");
    struct file client_key;
    setting.certificates[0].key = read_file("client.key", &client_key);
    expect_problem("another's key of the same kind", MX_TLS_CULPRIT_KEY, 0, "does not belong");
    setting.certificates[0].key =
        MX_SPAN("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    expect_problem("no key", MX_TLS_CULPRIT_KEY, 0, "no private key");
    setting.certificates[0].chain = MX_SPAN("nothing");
    expect_problem("no chain", MX_TLS_CULPRIT_CHAIN, 0, "no certificate");
    struct file encrypted;
    setting.certificates[0].key = read_file("encrypted.key", &encrypted);
    expect_problem("no secret", MX_TLS_CULPRIT_KEY, 0, "without a secret");
    setting.certificates[0].key = read_file("encrypted.key", &encrypted);
    setting.certificates[0].secret = MX_SPAN("wrong");
    expect_problem("wrong secret", MX_TLS_CULPRIT_KEY, 0, "secret is a wrong one");
    setting.params.ciphers = odd;
    setting.params.cipher_count = 1;
    expect_problem("odd cipher", MX_TLS_CULPRIT_CIPHERS, 0,
                   "a cipher suite that is not offered (TLS_RSA_WITH_AES_128_CBC_SHA)");
    static const char *const ecdsa[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
    setting.params.ciphers = ecdsa;
    setting.params.cipher_count = 1;
    setting.params.has_tls13 = false;
    expect_problem("not of RSA", MX_TLS_CULPRIT_CIPHERS, 1, "no cipher suite fits");
    /* the first of another chain, with a key of the same kind */
    struct file chain;
    setting.certificates[0].chain = read_file("wrong-order.pem", &chain);
    expect_problem("wrong order", MX_TLS_CULPRIT_KEY, 0, "does not belong");
    setting.params.client_auth = MX_TLS_CLIENT_REQUIRED;
    setting.params.trust = MX_SPAN("x");
    expect_problem("no trust", MX_TLS_CULPRIT_TRUST, 0, "no certificates");
    setting.params.client_auth = MX_TLS_CLIENT_REQUIRED;
    setting.params.trust = read_file("ca.pem", &setting.trust);
    setting.params.revocations = MX_SPAN("x");
    expect_problem("no list", MX_TLS_CULPRIT_REVOCATIONS, 0, "no revocation list");
}

Test(tls_context, a_secret_opens_its_key) {
    struct file encrypted;
    setting.certificates[0].key = read_file("encrypted.key", &encrypted);
    setting.certificates[0].secret = MX_SPAN("open-sesame");
    mx_tls_context_free(make_context(&setting));
}

static bool can_connect(struct mx_tls_context *context, int version, const char *suite) {
    client_new(&client, version, suite);
    client_connect(&client, "mx.test", NULL);
    memset(&server, 0, sizeof server);
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    bool is_open = shake_hands(&client, &server);
    mx_tls_deinit(&server.tls);
    client_free(&client);
    return is_open;
}

Test(tls_context, protocols_and_suites) {
    static const char *const chosen[] = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    struct mx_tls_context *context = make_context(&setting);
    cr_expect(can_connect(context, 12, NULL));
    cr_expect(can_connect(context, 13, NULL));
#ifndef NO_AES_CBC
    cr_expect_not(can_connect(context, 12, "ECDHE-ECDSA-AES128-SHA256"), "CBC");
#endif
    mx_tls_context_free(context);
    setting.params.has_tls12 = false;
    context = make_context(&setting);
    cr_expect_not(can_connect(context, 12, NULL));
    cr_expect(can_connect(context, 13, NULL));
    mx_tls_context_free(context);
    setting.params.has_tls12 = true;
    setting.params.has_tls13 = false;
    context = make_context(&setting);
    cr_expect(can_connect(context, 12, NULL));
    cr_expect_not(can_connect(context, 13, NULL));
    mx_tls_context_free(context);
    setting.params.has_tls13 = true;
    setting.params.ciphers = chosen;
    setting.params.cipher_count = 2;
    context = make_context(&setting);
    cr_expect(can_connect(context, 12, "ECDHE-ECDSA-AES256-GCM-SHA384"));
    cr_expect_not(can_connect(context, 12, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    cr_expect(can_connect(context, 13, "TLS13-CHACHA20-POLY1305-SHA256"));
    cr_expect_not(can_connect(context, 13, "TLS13-AES128-GCM-SHA256"));
    mx_tls_context_free(context);
}

/* A client that has but one curve. Old versions of the library cannot refuse any. */
Test(tls_context, curves) {
    const bool has_policy = LIBWOLFSSL_VERSION_HEX >= 0x05008002;
    static const struct {
        const char *name;
        word16 curve;
        bool want;
    } cases[] = {
        {"X25519", WOLFSSL_ECC_X25519,    true },
        {"P-256",  WOLFSSL_ECC_SECP256R1, true },
        {"P-384",  WOLFSSL_ECC_SECP384R1, true },
        {"P-521",  WOLFSSL_ECC_SECP521R1, false},
    };
    struct mx_tls_context *context = make_context(&setting);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int version = 12; version <= 13; version++) {
            client_new(&client, version, NULL);
            cr_assert_eq(wolfSSL_CTX_UseSupportedCurve(client.ctx, cases[i].curve),
                         WOLFSSL_SUCCESS);
            /* RSA, since the curve of an ECDSA certificate has to be one of the client's, too */
            client_connect(&client, "rsa.test", NULL);
            memset(&server, 0, sizeof server);
            cr_assert_eq(mx_tls_init(&server.tls, context), 0);
            cr_expect_eq(shake_hands(&client, &server), cases[i].want || !has_policy, "%s %d: %d",
                         cases[i].name, version, client.error);
            mx_tls_deinit(&server.tls);
            client_free(&client);
        }
    }
    mx_tls_context_free(context);
}

/* ---- clients' certificates ---- */

/* NULL: no certificate is presented. */
static bool present(struct mx_tls_context *context, int version, const char *name,
                    struct mx_tls_facts *facts) {
    client_new(&client, version, NULL);
    if (name != NULL)
        client_use_certificate(&client, name);
    client_connect(&client, "mx.test", NULL);
    memset(&server, 0, sizeof server);
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    bool is_open = shake_hands(&client, &server);
    if (is_open)
        mx_tls_facts(&server.tls, facts);
    mx_tls_deinit(&server.tls);
    client_free(&client);
    return is_open;
}

Test(tls_context, client_certificates) {
    static const struct {
        enum mx_tls_client_auth mode;
        bool has_list;
        const char *name;
        bool want;
        const char *subject;
    } cases[] = {
        {MX_TLS_CLIENT_REQUIRED, false, "client",   true,  "/O=mxring tests/CN=client.test" },
        {MX_TLS_CLIENT_REQUIRED, false, "revoked",  true,  "/O=mxring tests/CN=revoked.test"},
        {MX_TLS_CLIENT_REQUIRED, false, "stranger", false, ""                               },
        {MX_TLS_CLIENT_REQUIRED, false, NULL,       false, ""                               },
        {MX_TLS_CLIENT_REQUIRED, true,  "client",   true,  "/O=mxring tests/CN=client.test" },
        {MX_TLS_CLIENT_REQUIRED, true,  "revoked",  false, ""                               },
        {MX_TLS_CLIENT_WANTED,   false, "client",   true,  "/O=mxring tests/CN=client.test" },
        {MX_TLS_CLIENT_WANTED,   false, "stranger", false, ""                               },
        {MX_TLS_CLIENT_WANTED,   false, NULL,       true,  ""                               },
        {MX_TLS_CLIENT_NONE,     false, "client",   true,  ""                               },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_setting(&setting);
        setting.params.client_auth = cases[i].mode;
        setting.params.trust = read_file("ca.pem", &setting.trust);
        if (cases[i].has_list)
            setting.params.revocations = read_file("ca.crl", &setting.revocations);
        struct mx_tls_context *context = make_context(&setting);
        for (int version = 12; version <= 13; version++) {
            struct mx_tls_facts facts = {0};
            bool is_open = present(context, version, cases[i].name, &facts);
            cr_expect_eq(is_open, cases[i].want, "row %zu, TLS 1.%d", i, version - 10);
            cr_expect_str_eq(facts.client_subject, cases[i].subject, "row %zu: %s", i,
                             facts.client_subject);
        }
        mx_tls_context_free(context);
    }
}

/* ---- files ---- */

Test(tls_context, chains) {
    static const struct {
        const char *name;
        uint32_t count, misplaced;
        const char *subject;
    } cases[] = {
        {"ecdsa.pem",       2, 0, "/CN=mx.test"                    },
        {"rsa.pem",         1, 0, "/CN=rsa.test"                   },
        {"expired.pem",     1, 0, "/CN=expired.test"               },
        {"wrong-order.pem", 2, 2, "/O=mxring tests/CN=Intermediate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct file file;
        struct mx_tls_chain chain;
        cr_assert_eq(mx_tls_inspect_chain(read_file(cases[i].name, &file), &chain), 0);
        cr_expect_eq(chain.count, cases[i].count);
        cr_expect_eq(chain.misplaced, cases[i].misplaced, "%s", cases[i].name);
        cr_expect_str_eq(chain.subject, cases[i].subject);
        cr_expect_lt(chain.not_before_s, chain.not_after_s);
        cr_expect_eq(chain.chain_not_after_s == INT64_MAX, chain.count == 1);
        if (strcmp(cases[i].name, "expired.pem") == 0) {
            cr_expect_eq(chain.not_before_s, 1577836800, "2020-01-01");
            cr_expect_eq(chain.not_after_s, 1609459200, "2021-01-01");
        } else {
            cr_expect_gt(chain.not_after_s, INT64_C(4102444800), "in the next century");
        }
    }
    struct mx_tls_chain chain;
    cr_expect_eq(mx_tls_inspect_chain(MX_SPAN(""), &chain), MX_ESYNTAX);
    cr_expect_eq(mx_tls_inspect_chain(MX_SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n"
                                              "-----END CERTIFICATE-----\n"),
                                      &chain),
                 MX_ESYNTAX);
}

struct names {
    char text[256];
};

static void add_name(void *argument, const char *name) {
    struct names *names = argument;
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, "%s ", name);
}

Test(tls_context, names_of_a_certificate) {
    struct file file;
    struct names names = {""};
    cr_expect_eq(mx_tls_inspect_names(read_file("ecdsa.pem", &file), add_name, &names), 0);
    cr_expect(strcmp(names.text, "mx.test localhost ") == 0 ||
                  strcmp(names.text, "localhost mx.test ") == 0,
              "%s", names.text);
    names.text[0] = '\0';
    cr_expect_eq(mx_tls_inspect_names(read_file("expired.pem", &file), add_name, &names), 0);
    cr_expect_str_eq(names.text, "expired.test ", "the common name when there is no other");
    cr_expect_eq(mx_tls_inspect_names(MX_SPAN("x"), add_name, &names), MX_ESYNTAX);
}

Test(tls_context, pem_blocks) {
    struct mx_span text = MX_SPAN(
                       "a-----BEGIN X-----1-----END X-----b-----BEGIN Y-----2-----END Y-----"
                       "-----BEGIN X-----3-----END X----------BEGIN X-----"),
                   block;
    cr_expect(mx_tls_pem_next(&text, MX_SPAN("X"), &block));
    cr_expect(mx_span_equal(block, MX_SPAN("-----BEGIN X-----1-----END X-----")));
    cr_expect(mx_tls_pem_next(&text, MX_SPAN("X"), &block));
    cr_expect(mx_span_equal(block, MX_SPAN("-----BEGIN X-----3-----END X-----")));
    cr_expect_not(mx_tls_pem_next(&text, MX_SPAN("X"), &block));
    cr_expect_not(mx_tls_pem_next(&(struct mx_span){0}, MX_SPAN("X"), &block));
}

Test(tls_context, names_of_suites) {
    cr_expect(mx_tls_cipher_is_known(MX_SPAN("TLS_AES_256_GCM_SHA384")));
    cr_expect(mx_tls_cipher_is_known(MX_SPAN("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA")));
    cr_expect_not(mx_tls_cipher_is_known(MX_SPAN("TLS_RSA_WITH_AES_128_GCM_SHA256")));
    cr_expect_not(mx_tls_cipher_is_known(MX_SPAN("")));
    struct mx_tls_library library = mx_tls_library_info();
    cr_expect_gt(strlen(library.version), 4);
}
