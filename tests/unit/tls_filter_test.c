/* The filter against a client in memory: any cut of the octets, both protocols, any room for the
 * output; what comes before, within and behind a handshake that should not. */
#include "tests/unit/tls_client.h"

#include <pthread.h>

static struct client client;
static struct server server;
static struct setting setting;

static void begin(void) {
    cr_assert_eq(mx_tls_library_init(), 0);
    make_setting(&setting);
}

TestSuite(tls_filter, .init = begin);

static void talk(const char *name) {
    static char large[100000], plain[sizeof large];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 31 % 251);
    client_say(&client, large, sizeof large);
    size_t len = serve(&server, &client, plain, sizeof plain);
    cr_expect_eq(len, sizeof large, "%s: %zu octets", name, len);
    cr_expect_eq(memcmp(large, plain, sizeof large), 0, "%s", name);
    struct mx_out out = {server.out, 0, sizeof server.out};
    cr_expect_eq(mx_tls_seal(&server.tls, (struct mx_span){large, sizeof large}, &out), 0);
    cr_expect_leq(out.len, mx_tls_sealed_max(&server.tls, sizeof large));
    deliver(&client, &out);
    len = client_hear(&client, plain, sizeof plain);
    cr_expect_eq(len, sizeof large, "%s: client hears %zu", name, len);
    cr_expect_eq(memcmp(large, plain, sizeof large), 0, "%s", name);
}

static const struct {
    const char *name;
    int version;
    const char *suite, *sni;
    const char *want_version, *want_cipher;
} rows[] = {
    {"TLS 1.3",        13, NULL,                             "mx.test",     "TLSv1.3", "TLS_AES_"},
    {"TLS 1.3 ChaCha", 13, "TLS13-CHACHA20-POLY1305-SHA256", "mx.test",     "TLSv1.3",
     "TLS_CHACHA20_POLY1305_SHA256"                                                              },
    {"TLS 1.3 RSA",    13, NULL,                             "a.wild.test", "TLSv1.3", "TLS_AES_"},
    {"TLS 1.2",        12, "ECDHE-ECDSA-AES128-GCM-SHA256",  "mx.test",     "TLSv1.2",
     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"                                                   },
    {"TLS 1.2 RSA",    12, "ECDHE-RSA-AES256-GCM-SHA384",    "rsa.test",    "TLSv1.2",
     "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"                                                     },
    {"no name",        0,  NULL,                             NULL,          "TLSv1.3", "TLS_AES_"},
    {"unknown name",   0,  NULL,                             "x.example",   "TLSv1.3", "TLS_AES_"},
};

Test(tls_filter, every_cut_and_every_room) {
    static const size_t cuts[] = {0, 1, 5, 13, 364};
    static const uint32_t rooms[] = {0, 1, 40, 517};
    struct mx_tls_context *context = make_context(&setting);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            client_new(&client, rows[i].version, rows[i].suite);
            client_connect(&client, rows[i].sni, NULL);
            server.cut = cuts[c];
            server.narrow = rooms[c % 4];
            cr_assert_eq(mx_tls_init(&server.tls, context), 0);
            cr_expect(shake_hands(&client, &server), "%s %zu: %s, client %d, server %d",
                      rows[i].name, c, mx_tls_error_text(&server.tls), client.error, server.error);
            struct mx_tls_facts facts;
            mx_tls_facts(&server.tls, &facts);
            cr_expect_str_eq(facts.version, rows[i].want_version);
            cr_expect_eq(strncmp(facts.cipher, rows[i].want_cipher, strlen(rows[i].want_cipher)), 0,
                         "%s: %s", rows[i].name, facts.cipher);
            cr_expect_str_eq(facts.client_subject, "");
            cr_expect_not(facts.is_resumed);
            const char *sni = rows[i].sni != NULL ? rows[i].sni : "";
            cr_expect_eq(server.tls.sni_len, strlen(sni));
            cr_expect_eq(memcmp(server.tls.sni, sni, strlen(sni)), 0);
            talk(rows[i].name);
            mx_tls_deinit(&server.tls);
            client_free(&client);
        }
    }
    mx_tls_context_free(context);
}

/* The name decides about the certificate. */
Test(tls_filter, names) {
    static const struct {
        const char *sni, *want;
    } cases[] = {
        {"mx.test",       "mx.test" },
        {"MX.Test",       "mx.test" },
        {"rsa.test",      "rsa.test"},
        {"x.wild.test",   "rsa.test"},
        {"a.x.wild.test", "mx.test" },
        {"wild.test",     "mx.test" },
        {"other.example", "mx.test" },
        {NULL,            "mx.test" },
    };
    struct mx_tls_context *context = make_context(&setting);
    for (int version = 12; version <= 13; version++) {
        client_new(&client, version, NULL);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            client_connect(&client, cases[i].sni, NULL);
            cr_assert_eq(mx_tls_init(&server.tls, context), 0);
            cr_expect(shake_hands(&client, &server));
            WOLFSSL_X509 *peer = wolfSSL_get_peer_certificate(client.ssl);
            cr_assert_not_null(peer);
            cr_expect_str_eq(wolfSSL_X509_get_subjectCN(peer), cases[i].want, "%s %d",
                             cases[i].sni != NULL ? cases[i].sni : "none", version);
            wolfSSL_X509_free(peer);
            mx_tls_deinit(&server.tls);
        }
        client_free(&client);
    }
    mx_tls_context_free(context);
}

static int hear_error(void) {
    char byte;
    int result = wolfSSL_read(client.ssl, &byte, 1);
    return wolfSSL_get_error(client.ssl, result);
}

static void connect_pair(struct mx_tls_context *context, int version, const char *suite) {
    client_new(&client, version, suite);
    client_connect(&client, "mx.test", NULL);
    memset(&server, 0, sizeof server);
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    cr_assert(shake_hands(&client, &server));
}

/* Suites as we name them, and as the client's library does. */
static const struct {
    const char *name, *library;
    int version;
} suites[] = {
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE-ECDSA-AES256-SHA384",     12},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256",     12},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",    "ECDHE-ECDSA-AES128-SHA",        12},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", 12},
    {"TLS_AES_128_GCM_SHA256",                  "TLS13-AES128-GCM-SHA256",       13},
};

enum { SUITES = sizeof suites / sizeof *suites };

/* The room that is asked for is enough, whatever the suite, also for the last word behind it. */
Test(tls_filter, what_is_sealed_has_room) {
    static char text[3 * MX_TLS_RECORD_MAX];
    const char *chosen[SUITES];
    for (size_t i = 0; i < SUITES; i++)
        chosen[i] = suites[i].name;
    setting.params.ciphers = chosen;
    setting.params.cipher_count = SUITES;
    struct mx_tls_context *context = make_context(&setting);
    for (size_t i = 0; i < SUITES; i++) {
        for (uint32_t len = 1; len <= sizeof text; len += len < 40 ? 1 : 8183) {
            struct mx_tls_facts facts;
            connect_pair(context, suites[i].version, suites[i].library);
            mx_tls_facts(&server.tls, &facts);
            cr_assert_str_eq(facts.cipher, suites[i].name);
            uint32_t room = mx_tls_sealed_max(&server.tls, len);
            struct mx_out out = {server.out, 0, room + MX_TLS_RECORD_EXTRA};
            cr_assert_eq(mx_tls_seal(&server.tls, (struct mx_span){text, len}, &out), 0);
            cr_expect_leq(out.len, room, "%s: %u octets", suites[i].name, len);
            uint32_t sealed = out.len;
            mx_tls_end(&server.tls, &out);
            cr_expect_leq(out.len - sealed, MX_TLS_RECORD_EXTRA, "%s", suites[i].name);
            cr_expect_eq(server.tls.spill_len, 0, "%s: %u octets", suites[i].name, len);
            mx_tls_deinit(&server.tls);
            client_free(&client);
        }
    }
    mx_tls_context_free(context);
}

Test(tls_filter, both_sides_can_end) {
    struct mx_tls_context *context = make_context(&setting);
    char plain[64];
    for (int version = 12; version <= 13; version++) {
        connect_pair(context, version, NULL); /* the client ends */
        client_say(&client, "QUIT\r\n", 6);
        wolfSSL_shutdown(client.ssl);
        cr_expect_eq(serve(&server, &client, plain, sizeof plain), 6);
        cr_expect_eq(server.error, MX_EEND);
        struct mx_out out = {server.out, 0, sizeof server.out};
        cr_expect_eq(mx_tls_seal(&server.tls, MX_SPAN("221\r\n"), &out), 0, "one may still talk");
        mx_tls_end(&server.tls, &out);
        cr_expect_eq(server.tls.state, MX_TLS_ENDED);
        mx_tls_deinit(&server.tls);
        client_free(&client);

        connect_pair(context, version, NULL); /* we end: it is said once, and then nothing */
        out = (struct mx_out){server.out, 0, sizeof server.out};
        mx_tls_end(&server.tls, &out);
        uint32_t len = out.len;
        cr_expect_gt(len, 0);
        cr_expect_leq(len, MX_TLS_RECORD_EXTRA);
        mx_tls_end(&server.tls, &out);
        cr_expect_eq(out.len, len);
        cr_expect_eq(mx_tls_seal(&server.tls, MX_SPAN("x"), &out), MX_ETLS);
        deliver(&client, &out);
        cr_expect_eq(hear_error(), WOLFSSL_ERROR_ZERO_RETURN);
        mx_tls_deinit(&server.tls);
        client_free(&client);
    }
    mx_tls_context_free(context);
}

/* Plain text where a handshake should be, and records that were touched. */
Test(tls_filter, what_is_no_tls_fails_with_an_alert) {
    struct mx_tls_context *context = make_context(&setting);
    static const char *const openings[] = {
        "MAIL FROM:<a@b.c>\r\n", "EHLO x\r\n", "\x16\x03\x01\xff\xff\x01\x00",
        "\x80\x2e\x01\x03\x01-------------------------------------------------------",
        "\r\n\r\n\r\n"};
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        struct mx_span in = {openings[i], i == 2 ? 7 : strlen(openings[i])};
        struct mx_out out = {server.out, 0, sizeof server.out};
        cr_assert_eq(mx_tls_init(&server.tls, context), 0);
        cr_expect_eq(mx_tls_handshake(&server.tls, &in, &out), MX_ETLS, "%zu", i);
        cr_expect_eq(server.tls.state, MX_TLS_ENDED);
        cr_expect_not_null(mx_tls_error_text(&server.tls));
        for (uint32_t o = 0; o + 5 <= out.len; o += 5 + (uint8_t)out.ptr[o + 4])
            cr_expect_eq(out.ptr[o], 21, "only alerts");
        mx_tls_deinit(&server.tls);
    }
    connect_pair(context, 13, NULL);
    client_say(&client, "NOOP\r\n", 6);
    client.to_server.octets[client.to_server.end - 1] ^= 1;
    char plain[64];
    cr_expect_eq(serve(&server, &client, plain, sizeof plain), 0);
    cr_expect_eq(server.error, MX_ETLS);
    mx_tls_deinit(&server.tls);
    client_free(&client);
    mx_tls_context_free(context);
}

/* A handshake that never ends, and records without content. */
Test(tls_filter, floods_end) {
    struct mx_tls_context *context = make_context(&setting);
    static char record[5 + 16384];
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    struct mx_out out = {server.out, 0, sizeof server.out};
    int err = MX_EPARTIAL;
    size_t sent = 0;
    /* fragments of one huge ClientHello */
    memcpy(record, "\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03", 11);
    while (err == MX_EPARTIAL && sent < 1000000) {
        struct mx_span in = {record, sizeof record};
        err = mx_tls_handshake(&server.tls, &in, &out);
        sent += sizeof record - in.len;
        memcpy(record + 5, "\0\0\0\0\0\0", 6);
    }
    cr_expect_eq(err, MX_ETLS);
    cr_expect_leq(sent, 65536 + 5);
    mx_tls_deinit(&server.tls);
    mx_tls_context_free(context);
}

#if defined(WOLFSSL_TLS13)
Test(tls_filter, key_updates_are_bounded) {
    struct mx_tls_context *context = make_context(&setting);
    char plain[64];
    connect_pair(context, 13, NULL);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(wolfSSL_update_keys(client.ssl), WOLFSSL_SUCCESS);
        client_say(&client, "x", 1);
        cr_expect_eq(serve(&server, &client, plain, sizeof plain), 1, "with content between them");
        client_hear(&client, plain, sizeof plain);
    }
    size_t sent = 0;
    do {
        wolfSSL_update_keys(client.ssl);
        sent += client.to_server.end;
        serve(&server, &client, plain, sizeof plain);
        client_hear(&client, plain, sizeof plain);
    } while (server.error == MX_EPARTIAL && sent < 1000000);
    cr_expect_eq(server.error, MX_ETLS);
    cr_expect_leq(sent, MX_TLS_RECORD_MAX + 512 + MX_TLS_EMPTY_MAX + 64);
    mx_tls_deinit(&server.tls);
    client_free(&client);
    mx_tls_context_free(context);
}
#endif

/* What it costs is bounded for each thread, and no session outlives its refusal. */
Test(tls_filter, memory_is_bounded) {
    struct mx_tls_context *context = make_context(&setting);
    int64_t before = mx_tls_memory_used();
    static struct mx_tls many[64];
    mx_tls_memory_bound((uint64_t)before + 200000);
    int count = 0, err = 0;
    while (count < 64 && (err = mx_tls_init(&many[count], context)) == 0)
        count++;
    cr_expect_eq(err, -12, "-ENOMEM");
    cr_expect_gt(count, 1);
    cr_expect_leq(mx_tls_memory_used(), before + 200000);
    for (int i = 0; i < count; i++)
        mx_tls_deinit(&many[i]);
    cr_expect_eq(mx_tls_memory_used(), before);
    mx_tls_memory_bound(0);
    mx_tls_context_free(context);
}

static void *end_session(void *used) {
    mx_tls_deinit(&server.tls);
    *(int64_t *)used = mx_tls_memory_used();
    return NULL;
}

/* A worker may be the last to hold what the main thread has made; it has no more room for sessions
 * afterwards than before. */
Test(tls_filter, memory_of_contexts_does_not_count) {
    struct mx_tls_context *context = make_context(&setting);
    int64_t used = -1, before = mx_tls_memory_used();
    pthread_t worker;
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    int64_t session = mx_tls_memory_used() - before;
    cr_expect_gt(session, 0);
    mx_tls_context_free(context);
    cr_assert_eq(pthread_create(&worker, NULL, end_session, &used), 0);
    cr_assert_eq(pthread_join(worker, NULL), 0);
    cr_expect_eq(used, -session, "%lld", (long long)used);
}

/* Sessions go on with what they began with; the last one frees it. */
Test(tls_filter, a_context_outlives_its_exchange) {
    struct mx_tls_context *context = make_context(&setting);
    connect_pair(context, 13, NULL);
    mx_tls_context_free(context);
    talk("old context");
    mx_tls_deinit(&server.tls);
    client_free(&client);
}
