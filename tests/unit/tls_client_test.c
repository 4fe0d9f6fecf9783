/* The client's side of tls/: both sides are filters here, with two buffers between them. */
#include "tests/unit/tls_client.h"
#include "tls/client.h"

static struct setting setting;
static struct mx_tls ours, theirs;
static char to_server[65536], to_client[65536];

static void begin(void) {
    cr_assert_eq(mx_tls_library_init(), 0);
    make_setting(&setting);
}

TestSuite(tls_client, .init = begin);

static struct mx_tls_context *client_context(bool has_tls12, bool has_tls13, bool has_certificate) {
    static struct file chain, key;
    struct mx_tls_certificate certificate = {.chain = read_file("client.pem", &chain),
                                             .key = read_file("client.key", &key)};
    struct mx_tls_params params = {.certificates = &certificate,
                                   .certificate_count = has_certificate,
                                   .has_tls12 = has_tls12,
                                   .has_tls13 = has_tls13};
    struct mx_tls_problem problem = {0};
    struct mx_tls_context *context = mx_tls_client_context_new(&params, &problem);
    cr_assert_not_null(context, "%s", problem.text);
    return context;
}

/* One step of a side; what it says is put to `to`. Returns the plain text it gave. */
static size_t step(struct mx_tls *self, struct mx_span *in, char *to, size_t *to_len, char *plain) {
    struct mx_out out = {to, (uint32_t)*to_len, 65536};
    size_t len = 0;
    int err = 0;
    while (err == 0 && len == 0) {
        err = self->state == MX_TLS_HANDSHAKE
                  ? mx_tls_handshake(self, in, &out)
                  : mx_tls_open(self, in, &out, plain, MX_TLS_RECORD_MAX, &len);
    }
    *to_len = out.len;
    return len;
}

static void say_quit(struct mx_tls_resumption **resumption, struct mx_tls_facts *facts) {
    static char plain[MX_TLS_RECORD_MAX];
    struct mx_tls_facts other;
    size_t here = 0;
    mx_tls_facts(&theirs, facts);
    mx_tls_facts(&ours, &other);
    cr_expect_str_eq(facts->version, other.version);
    cr_expect_str_eq(facts->cipher, other.cipher);
    bool are_same = facts->is_resumed == other.is_resumed;
    cr_expect(are_same);
    struct mx_out out = {to_server, 0, sizeof to_server};
    cr_assert_eq(mx_tls_seal(&ours, MX_SPAN("QUIT\r\n"), &out), 0);
    struct mx_span in = {to_server, out.len};
    cr_expect_eq(step(&theirs, &in, to_client, &here, plain), 6U);
    struct mx_tls_resumption *fresh = mx_tls_resumption_new(&ours);
    if (fresh == NULL) { /* no new ticket, as in TLS 1.2: the old one is good again */
        cr_expect(are_same && facts->is_resumed && strcmp(facts->version, "TLSv1.2") == 0);
        return;
    }
    mx_tls_resumption_free(*resumption);
    *resumption = fresh;
}

/* The server greets, behind what it has said. */
static size_t greet(size_t len) {
    struct mx_out out = {to_client, (uint32_t)len, sizeof to_client};
    cr_assert_eq(mx_tls_seal(&theirs, MX_SPAN("220 x\r\n"), &out), 0);
    return out.len;
}

/* Both sides, until the client has heard a line. Returns its length. */
static size_t talk(void) {
    static char plain[MX_TLS_RECORD_MAX];
    size_t there = 0, here = 0, heard = 0;
    bool was_open = false;
    for (int i = 0; i < 10 && heard == 0; i++) {
        struct mx_span in = {to_client, here};
        heard = step(&ours, &in, to_server, &there, plain);
        here = 0;
        in = (struct mx_span){to_server, there};
        step(&theirs, &in, to_client, &here, plain);
        there = 0;
        if (theirs.state == MX_TLS_OPEN && !was_open)
            here = greet(here);
        was_open = theirs.state == MX_TLS_OPEN;
    }
    return heard;
}

/* The handshake, a line each way, and what can be resumed. True: both were open. */
static bool visit(struct mx_tls_context *server, struct mx_tls_context *client, const char *name,
                  struct mx_tls_resumption **resumption, struct mx_tls_facts *facts) {
    cr_assert_eq(mx_tls_init(&theirs, server), 0);
    cr_assert_eq(mx_tls_client_init(&ours, client, name, *resumption), 0);
    size_t heard = talk();
    bool is_open = heard == 7 && ours.state == MX_TLS_OPEN && theirs.state == MX_TLS_OPEN;
    if (is_open)
        say_quit(resumption, facts);
    else
        cr_expect_null(mx_tls_resumption_new(&theirs), "nothing can be resumed");
    mx_tls_deinit(&ours);
    mx_tls_deinit(&theirs);
    return is_open;
}

Test(tls_client, full_and_resumed) {
    struct mx_tls_facts facts;
    setting.params.tickets = mx_tls_tickets_new((struct mx_span){0}, 3600, 1000000);
    struct mx_tls_context *server = make_context(&setting);
    for (int version = 12; version <= 14; version++) { /* 14: both */
        struct mx_tls_resumption *resumption = NULL;
        struct mx_tls_context *client = client_context(version != 13, version != 12, false);
        cr_expect(visit(server, client, "rsa.test", &resumption, &facts), "%d", version);
        cr_expect_not(facts.is_resumed);
        cr_expect_str_eq(facts.version, version == 12 ? "TLSv1.2" : "TLSv1.3");
        cr_expect_str_eq(facts.cipher,
                         version == 12 ? "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
                                       : "TLS_AES_128_GCM_SHA256",
                         "the name chooses the certificate");
        for (int i = 0; i < 3; i++) {
            cr_assert_not_null(resumption);
            cr_expect(visit(server, client, "rsa.test", &resumption, &facts), "%d", version);
            cr_expect(facts.is_resumed, "%d %d", version, i);
        }
        mx_tls_resumption_free(resumption);
        mx_tls_context_free(client);
    }
    mx_tls_context_free(server);
    mx_tls_tickets_free(setting.params.tickets);
}

Test(tls_client, a_certificate_of_its_own) {
    struct mx_tls_facts facts;
    struct mx_tls_resumption *resumption = NULL;
    struct file trust;
    setting.params.client_auth = MX_TLS_CLIENT_REQUIRED;
    setting.params.trust = read_file("ca.pem", &trust);
    struct mx_tls_context *server = make_context(&setting);
    for (int version = 12; version <= 13; version++) {
        struct mx_tls_context *with = client_context(version == 12, version == 13, true);
        struct mx_tls_context *without = client_context(version == 12, version == 13, false);
        cr_expect(visit(server, with, NULL, &resumption, &facts), "%d", version);
        cr_expect_not_null(strstr(facts.client_subject, "CN="), "%s", facts.client_subject);
        mx_tls_resumption_free(resumption);
        resumption = NULL;
        cr_expect_not(visit(server, without, NULL, &resumption, &facts), "%d", version);
        mx_tls_context_free(with);
        mx_tls_context_free(without);
    }
    mx_tls_context_free(server);
}

Test(tls_client, a_key_that_does_not_fit) {
    struct file chain, key;
    struct mx_tls_certificate certificate = {.chain = read_file("client.pem", &chain),
                                             .key = read_file("rsa.key", &key)};
    struct mx_tls_params params = {
        .certificates = &certificate, .certificate_count = 1, .has_tls12 = true};
    struct mx_tls_problem problem = {0};
    cr_expect_null(mx_tls_client_context_new(&params, &problem));
    cr_expect_eq(problem.culprit, MX_TLS_CULPRIT_KEY);
    cr_expect_not_null(strstr(problem.text, "does not belong"), "%s", problem.text);
}
