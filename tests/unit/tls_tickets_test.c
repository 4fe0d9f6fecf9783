/* Resumption: on any context with the same keys, for as long as a ticket lives, in any chain, and
 * never in another realm or after a change of an octet. */
#include "tests/unit/tls_client.h"

#include <wolfssl/version.h>

/* The client of the old library sends an alert when its ticket is refused in TLS 1.2; others do
 * not, see tests/e2e/. */
enum { FIRST_VERSION = LIBWOLFSSL_VERSION_HEX < 0x05006000 ? 13 : 12 };

static struct client client;
static struct server server;
static struct setting setting;

static void begin(void) {
    cr_assert_eq(mx_tls_library_init(), 0);
    make_setting(&setting);
}

TestSuite(tls_tickets, .init = begin);

/* One connection; *session is replaced by what it gave. True: it was resumed. */
static bool visit(struct mx_tls_context *context, WOLFSSL_SESSION **session) {
    char plain[64];
    client_connect(&client, "mx.test", *session);
    memset(&server, 0, sizeof server);
    cr_assert_eq(mx_tls_init(&server.tls, context), 0);
    cr_assert(shake_hands(&client, &server), "%s", mx_tls_error_text(&server.tls));
    struct mx_out out = {server.out, 0, sizeof server.out};
    cr_assert_eq(mx_tls_seal(&server.tls, MX_SPAN("220\r\n"), &out), 0);
    deliver(&client, &out);
    cr_assert_eq(client_hear(&client, plain, sizeof plain), 5);
    client_say(&client, "QUIT\r\n", 6);
    cr_assert_eq(serve(&server, &client, plain, sizeof plain), 6);
    struct mx_tls_facts facts;
    mx_tls_facts(&server.tls, &facts);
    cr_assert_eq(facts.is_resumed, wolfSSL_session_reused(client.ssl) != 0);
    wolfSSL_SESSION_free(*session);
    *session = wolfSSL_get1_session(client.ssl);
    mx_tls_deinit(&server.tls);
    return facts.is_resumed;
}

static void forget(WOLFSSL_SESSION **session) {
    wolfSSL_SESSION_free(*session);
    *session = NULL;
}

Test(tls_tickets, another_context_resumes) {
    struct mx_tls_tickets *tickets = mx_tls_tickets_new((struct mx_span){0}, 3600, 1000000);
    cr_assert_not_null(tickets);
    setting.params.tickets = tickets;
    struct mx_tls_context *a = make_context(&setting), *b = make_context(&setting);
    setting.params.realm = MX_SPAN("another");
    struct mx_tls_context *other = make_context(&setting);
    for (int version = FIRST_VERSION; version <= 13; version++) {
        WOLFSSL_SESSION *session = NULL;
        client_new(&client, version, NULL);
        cr_expect_not(visit(a, &session));
        cr_expect(visit(b, &session), "TLS 1.%d", version - 10);
        cr_expect(visit(a, &session));
        cr_expect_not(visit(other, &session), "another realm");
        forget(&session);
        client_free(&client);
    }
    mx_tls_context_free(a);
    mx_tls_context_free(b);
    mx_tls_context_free(other);
    mx_tls_tickets_free(tickets);
}

/* The lifetime is 3600 s: keys change each 1800 s. */
Test(tls_tickets, keys_change_and_old_ones_end) {
    struct mx_tls_tickets *tickets = mx_tls_tickets_new((struct mx_span){0}, 3600, 1800000);
    setting.params.tickets = tickets;
    struct mx_tls_context *context = make_context(&setting);
    for (int version = FIRST_VERSION; version <= 13; version++) {
        WOLFSSL_SESSION *session = NULL;
        client_new(&client, version, NULL);
        int64_t now_s = 1800000 + version * 100000;
        cr_assert_eq(mx_tls_tickets_turn(tickets, now_s), 0);
        cr_expect_not(visit(context, &session));
        cr_assert_eq(mx_tls_tickets_turn(tickets, now_s + 1800), 0);
        cr_assert_eq(mx_tls_tickets_turn(tickets, now_s + 1800), 0, "the same again");
        cr_expect(visit(context, &session), "one change, TLS 1.%d", version - 10);
        forget(&session);
        cr_expect_not(visit(context, &session));
        for (int64_t i = 2; i <= 5; i++)
            cr_assert_eq(mx_tls_tickets_turn(tickets, now_s + i * 1800), 0);
        cr_expect_not(visit(context, &session), "too old, TLS 1.%d", version - 10);
        if (version == 13) /* the library's client keeps the refused one in TLS 1.2 */
            cr_expect(visit(context, &session), "a new one");
        cr_assert_eq(mx_tls_tickets_turn(tickets, now_s + 86400), 0);
        cr_expect_not(visit(context, &session), "a jump of the clock");
        forget(&session);
        client_free(&client);
    }
    mx_tls_context_free(context);
    mx_tls_tickets_free(tickets);
}

/* With a key file the keys are those of any other process with the same file. */
Test(tls_tickets, a_secret_outlives_a_restart) {
    static const char secret[] = "0123456789abcdef0123456789abcdef",
                      wrong[] = "0123456789abcdef0123456789abcdeF";
    struct mx_span spans[] = {MX_SPAN(secret), MX_SPAN(secret), MX_SPAN(wrong)};
    spans[0].len = spans[1].len = spans[2].len = 32;
    WOLFSSL_SESSION *session = NULL;
    client_new(&client, 13, NULL);
    for (int i = 0; i < 3; i++) {
        struct mx_tls_tickets *tickets = mx_tls_tickets_new(spans[i], 3600, 1000000 + i * 1800);
        setting.params.tickets = tickets;
        struct mx_tls_context *context = make_context(&setting);
        cr_expect_eq(visit(context, &session), i == 1, "%d", i);
        mx_tls_context_free(context);
        mx_tls_tickets_free(tickets);
    }
    forget(&session);
    client_free(&client);
}

/* The library counts a chain of resumptions in one octet; whoever goes on for ever gets a full
 * handshake now and then, and never a failure. */
Test(tls_tickets, chains_of_any_length) {
    struct mx_tls_tickets *tickets = mx_tls_tickets_new((struct mx_span){0}, 3600, 1000000);
    setting.params.tickets = tickets;
    struct mx_tls_context *context = make_context(&setting);
    for (int version = 12; version <= 13; version++) {
        WOLFSSL_SESSION *session = NULL;
        int resumed = 0;
        client_new(&client, version, NULL);
        for (int i = 0; i < 520; i++)
            resumed += visit(context, &session);
        cr_expect_geq(resumed, 500, "TLS 1.%d: %d", version - 10, resumed);
        forget(&session);
        client_free(&client);
    }
    mx_tls_context_free(context);
    mx_tls_tickets_free(tickets);
}

/* A required client certificate is asked for each time. */
Test(tls_tickets, none_with_client_certificates) {
    struct mx_tls_tickets *tickets = mx_tls_tickets_new((struct mx_span){0}, 3600, 1000000);
    setting.params.tickets = tickets;
    setting.params.client_auth = MX_TLS_CLIENT_REQUIRED;
    setting.params.trust = read_file("ca.pem", &setting.trust);
    struct mx_tls_context *context = make_context(&setting);
    for (int version = 12; version <= 13; version++) {
        WOLFSSL_SESSION *session = NULL;
        client_new(&client, version, NULL);
        client_use_certificate(&client, "client");
        for (int i = 0; i < 3; i++) {
            cr_expect_not(visit(context, &session));
            if (session != NULL && !wolfSSL_SESSION_is_resumable(session))
                forget(&session); /* there was no ticket */
        }
        forget(&session);
        client_free(&client);
    }
    mx_tls_context_free(context);
    mx_tls_tickets_free(tickets);
}
