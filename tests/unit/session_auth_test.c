/* Goal: the AUTH exchange as a client sees it, SCRAM-SHA-256 above all, and what the driver is
 * asked for. Method: a small driver that knows one user, "user" with the password "pencil", by the
 * salt and the nonce of RFC 7677 section 3; whole exchanges, whole and octet by octet. What the
 * client says is written plainly and encoded here. */
#include "engine/policy/scram.h"
#include "proto/base64.h"
#include "proto/session.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define CLIENT      "rOprNGfwEbeRWgbNEkqO"
#define OURS        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE       CLIENT OURS
#define SALT        "W22ZaJ0SNY7soEsUEjb6gQ=="
#define FIRST       "n,,n=user,r=" CLIENT
#define SERVER      "r=" NONCE ",s=" SALT ",i=4096"
#define PROOF       "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define FINAL       "c=biws,r=" NONCE ",p=" PROOF
#define SIGNATURE   "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

struct server {
    struct mx_session_conf conf;
    struct mx_session_shared shared;
    struct mx_session session;
    struct mx_out out;
    char room[8192], replies[16384];
    size_t replies_len;
    int begin_error, auth_error; /* what the driver says instead */
    uint32_t asked, delay_ms;
    char name[256]; /* the last one that was asked about */
    bool is_closed;
};

static void start(struct server *self) {
    memset(self, 0, sizeof *self);
    self->conf = (struct mx_session_conf){
        .hello_name = MX_SPAN("mx.test"),
        .has_auth = true,
        .announce = MX_SESSION_ANNOUNCE_ALWAYS,
        .mechanisms = {MX_SASL_SCRAM_SHA_256, MX_SASL_PLAIN, MX_SASL_LOGIN},
        .mechanism_count = 3,
        .max_line_octets = 4000,
    };
    self->out = (struct mx_out){self->room, 0, sizeof self->room};
    mx_session_init(&self->session, &self->conf, &self->shared, 1);
    self->session.peer.family = 4;
}

static int auth_begin(struct server *self) {
    if (self->begin_error < 0)
        return self->begin_error;
    cr_assert_null(self->session.login);
    self->session.login = calloc(1, sizeof *self->session.login);
    cr_assert_not_null(self->session.login);
    self->session.login->auth = calloc(1, sizeof *self->session.login->auth);
    cr_assert_not_null(self->session.login->auth);
    return 0;
}

static struct mx_scram_keys pencil(void) {
    struct mx_scram_keys keys;
    char salt[16];
    size_t len = 0;
    int err = mx_base64_decode(MX_SPAN(SALT), salt, sizeof salt, &len);
    cr_assert_eq(err, 0);
    mx_scram_derive(MX_SPAN("pencil"), (struct mx_span){salt, len}, 4096, &keys);
    return keys;
}

static int auth(struct server *self) {
    struct mx_login *login = self->session.login;
    struct mx_auth *exchange = login->auth;
    self->asked |= 1u << exchange->ask;
    memset(self->name, 0, sizeof self->name);
    memcpy(self->name, login->name, login->name_len);
    if (self->auth_error < 0)
        return self->auth_error;
    if (exchange->ask == MX_AUTH_SALT) {
        memcpy(exchange->our_nonce, OURS, strlen(OURS));
        exchange->our_nonce_len = (uint8_t)strlen(OURS);
        memcpy(exchange->salt, SALT, strlen(SALT));
        exchange->salt_len = (uint8_t)strlen(SALT);
        exchange->iterations = 4096;
        return 0;
    }
    struct mx_scram_keys keys = pencil();
    if (exchange->ask == MX_AUTH_PASSWORD)
        return mx_span_equal((struct mx_span){exchange->password, exchange->password_len},
                             MX_SPAN("pencil"))
                   ? 0
                   : -EACCES;
    if (!mx_scram_is_proof(&keys, mx_auth_message(exchange), exchange->proof))
        return -EACCES;
    mx_scram_sign(&keys, mx_auth_message(exchange), exchange->signature);
    return 0;
}

static void release(struct server *self, bool is_end) {
    struct mx_login *login = self->session.login;
    if (login != NULL && (is_end || mx_session_is_done_with_auth(&self->session))) {
        free(login->auth);
        login->auth = NULL;
    }
    if (is_end || mx_session_is_done_with_login(&self->session)) {
        free(login);
        self->session.login = NULL;
    }
}

static bool act(struct server *self, enum mx_action action) {
    int result = 0;
    if (action == MX_ACTION_INPUT || action == MX_ACTION_CLOSE) {
        self->is_closed = action == MX_ACTION_CLOSE;
        return false;
    }
    if (action == MX_ACTION_AUTH_BEGIN)
        release(self, false); /* of an exchange before, in the same input */
    if (action == MX_ACTION_AUTH_BEGIN)
        result = auth_begin(self);
    else if (action == MX_ACTION_AUTH)
        result = auth(self);
    else if (action == MX_ACTION_DELAY)
        self->delay_ms += self->session.delay_ms;
    else
        cr_assert_fail("action %d", action);
    mx_session_resume(&self->session, result, &self->out);
    return true;
}

static void take_out(struct server *self) {
    cr_assert_lt(self->replies_len + self->out.len, sizeof self->replies);
    memcpy(self->replies + self->replies_len, self->out.ptr, self->out.len);
    self->replies_len += self->out.len;
    self->out.len = 0;
}

/* It is consumed: nobody reads it again. */
static void wipe(struct server *self, char *copy, const char *end) {
    struct mx_span secret = self->shared.secret;
    self->shared.secret = (struct mx_span){0};
    if (secret.len == 0)
        return;
    cr_assert(secret.ptr >= copy && secret.ptr + secret.len <= end);
    memset(copy + (secret.ptr - copy), '\0', secret.len);
}

static void feed(struct server *self, const char *text, size_t step) {
    size_t len = strlen(text), begin = 0;
    for (size_t end = 0; end < len && !self->is_closed;) {
        end = len - end < step ? len : end + step;
        char *copy = malloc(end - begin);
        cr_assert_not_null(copy);
        memcpy(copy, text + begin, end - begin);
        struct mx_span in = {copy, end - begin};
        enum mx_action action;
        do {
            action = mx_session_step(&self->session, &in, &self->out);
            wipe(self, copy, in.ptr);
        } while (act(self, action));
        take_out(self);
        release(self, false);
        begin = end - in.len;
        free(copy);
    }
}

static void stop(struct server *self) {
    release(self, true);
}

/* "@text@" becomes the text in base64. */
static char *encode(const char *plain, char *to, size_t size) {
    size_t len = 0;
    for (const char *at = plain; *at != '\0'; at++) {
        const char *end = *at == '@' ? strchr(at + 1, '@') : NULL;
        if (end != NULL) {
            len += mx_base64_encode((struct mx_span){at + 1, (size_t)(end - at - 1)}, to + len);
            at = end;
        } else {
            to[len++] = *at;
        }
        cr_assert_lt(len + 1000, size);
    }
    to[len] = '\0';
    return to;
}

static void play(const char *name, const char *in, const char *wanted) {
    static char sent[20000], expected[20000];
    encode(in, sent, sizeof sent);
    encode(wanted, expected, sizeof expected);
    for (size_t step = 1; step <= 4096; step *= 64) {
        struct server server;
        start(&server);
        feed(&server, sent, step);
        cr_expect(mx_span_equal((struct mx_span){server.replies, server.replies_len},
                                mx_span_of(expected)),
                  "%s, in pieces of %zu: %.*s", name, step, (int)server.replies_len,
                  server.replies);
        stop(&server);
    }
}

#define CANNOT "501 Could not decode parameters for AUTH SCRAM-SHA-256\r\n"
#define FAILED "535 Authentication Failed\r\n"
#define GOOD   "235 Authentication Successful\r\n"
#define AUTH   "AUTH SCRAM-SHA-256"

static const struct {
    const char *name, *in, *replies;
} exchanges[] = {
    {"RFC 7677 3",                          AUTH "\r\n@" FIRST "@\r\n@" FINAL "@\r\n\r\n",
     "334 \r\n334 @" SERVER "@\r\n334 @" SIGNATURE "@\r\n" GOOD                                                                        },
    {"initial response",                    AUTH " @" FIRST "@\r\n@" FINAL "@\r\n\r\n",
     "334 @" SERVER "@\r\n334 @" SIGNATURE "@\r\n" GOOD                                                                                },
    {"wrong proof",
     AUTH " @" FIRST "@\r\n@c=biws,r=" NONCE ",p=AHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=@\r\n",
     "334 @" SERVER "@\r\n" FAILED                                                                                                     },
    {"another nonce",                       AUTH " @" FIRST "@\r\n@c=biws,r=" NONCE "x,p=" PROOF "@\r\n",
     "334 @" SERVER "@\r\n" FAILED                                                                                                     },
    {"the client's half",                   AUTH " @" FIRST "@\r\n@c=biws,r=" CLIENT ",p=" PROOF "@\r\n",
     "334 @" SERVER "@\r\n" FAILED                                                                                                     },
    {"another header",                      AUTH " @" FIRST "@\r\n@c=eSws,r=" NONCE ",p=" PROOF "@\r\n",
     "334 @" SERVER "@\r\n" FAILED                                                                                                     },
    {"an extension changes what is proved",
     AUTH " @" FIRST "@\r\n@c=biws,r=" NONCE ",x=y,p=" PROOF "@\r\n",
     "334 @" SERVER "@\r\n" FAILED                                                                                                     },
    {"cancelled at the first",              AUTH "\r\n*\r\nNOOP\r\n",
     "334 \r\n501 5.7.1 Authentication aborted\r\n250 2.0.0 OK\r\n"                                                                    },
    {"cancelled at the proof",              AUTH " @" FIRST "@\r\n*\r\nNOOP\r\n",
     "334 @" SERVER "@\r\n501 5.7.1 Authentication aborted\r\n250 2.0.0 OK\r\n"                                                        },
    {"cancelled at the signature",          AUTH " @" FIRST "@\r\n@" FINAL "@\r\n*\r\nNOOP\r\n",
     "334 @" SERVER "@\r\n334 @" SIGNATURE
     "@\r\n501 5.7.1 Authentication aborted\r\n250 2.0.0 OK\r\n"                                                                       },
    {"something behind the signature",      AUTH " @" FIRST "@\r\n@" FINAL "@\r\n@x@\r\nNOOP\r\n",
     "334 @" SERVER "@\r\n334 @" SIGNATURE "@\r\n" CANNOT "250 2.0.0 OK\r\n"                                                           },
    {"no proof",                            AUTH " @" FIRST "@\r\n@c=biws,r=" NONCE "@\r\n",              "334 @" SERVER "@\r\n" CANNOT},
    {"short proof",                         AUTH " @" FIRST "@\r\n@c=biws,r=" NONCE ",p=AAAA@\r\n",
     "334 @" SERVER "@\r\n" CANNOT                                                                                                     },
    {"empty final",                         AUTH " @" FIRST "@\r\n\r\n",                                  "334 @" SERVER "@\r\n" CANNOT},
    {"order of the final",                  AUTH " @" FIRST "@\r\n@r=" NONCE ",c=biws,p=" PROOF "@\r\n",
     "334 @" SERVER "@\r\n" CANNOT                                                                                                     },
    {"for oneself",                         AUTH " @n,a=USER,n=user,r=abc@\r\n*\r\n",
     "334 @r=abc" OURS ",s=" SALT ",i=4096@\r\n501 5.7.1 Authentication aborted\r\n"                                                   },
    {"for somebody else",                   AUTH " @n,a=root,n=user,r=abc@\r\n",                          FAILED                       },
    {"client could bind",                   AUTH " @y,,n=user,r=abc@\r\n*\r\n",
     "334 @r=abc" OURS ",s=" SALT ",i=4096@\r\n501 5.7.1 Authentication aborted\r\n"                                                   },
    {"again after a failure",
     AUTH " @n,a=root,n=user,r=abc@\r\n" AUTH " @" FIRST "@\r\n@" FINAL "@\r\n\r\nAUTH\r\n",
     FAILED "334 @" SERVER "@\r\n334 @" SIGNATURE "@\r\n" GOOD
            "503 5.5.0 User has previously authenticated.  Further authentication is not "
            "required!\r\n"                                                                                                            },
};

Test(session_auth, exchanges) {
    for (size_t i = 0; i < ROWS(exchanges); i++)
        play(exchanges[i].name, exchanges[i].in, exchanges[i].replies);
}

Test(session_auth, malformed_first_messages) {
    static const char *const firsts[] = {
        "",
        "n",
        "n,",
        "n,,",
        "p=tls-unique,,n=user,r=abc",
        "x,,n=user,r=abc",
        "nn,,n=user,r=abc",
        ",,n=user,r=abc",
        "n,user,n=user,r=abc",
        "n,a=,n=user,r=abc",
        "n,,m=x,n=user,r=abc",
        "n,,r=abc,n=user",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,n=,r=abc",
        "n,,n=us=er,r=abc",
        "n,,n=us=2cer,r=abc",
        "n,,n=us=3,r=abc",
        "n,,n=user,r=a b",
        "n,,n=user,r=\x7f",
        "n,,n=user,r=gr\xc3\xbcn",
    };
    for (size_t i = 0; i < ROWS(firsts); i++) {
        char in[400];
        snprintf(in, sizeof in, AUTH "\r\n@%s@\r\nNOOP\r\n", firsts[i]);
        play(firsts[i], in, "334 \r\n" CANNOT "250 2.0.0 OK\r\n");
    }
}

Test(session_auth, names_are_decoded) {
    static const struct {
        const char *in, *name;
    } rows[] = {
        {AUTH " @n,,n=a=2Cb=3Dc,r=x@\r\n",   "a,b=c"      },
        {AUTH " @n,,n==3D=3D,r=x,y=z@\r\n",  "=="         },
        {AUTH " @n,,n=gr\xc3\xbcn,r=x@\r\n", "gr\xc3\xbcn"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct server server;
        char sent[2000];
        start(&server);
        feed(&server, encode(rows[i].in, sent, sizeof sent), 4096);
        cr_expect_str_eq(server.name, rows[i].name, "%s", server.name);
        stop(&server);
    }
}

/* Both at their longest, then one octet more. */
Test(session_auth, longest_names_and_nonces) {
    char name[MX_SASL_LOGIN_MAX + 2], nonce[MX_SASL_NONCE_MAX + 2], in[2000], sent[4000];
    for (unsigned more = 0; more < 4; more++) {
        struct server server;
        memset(name, 'u', sizeof name);
        memset(nonce, 'n', sizeof nonce);
        name[MX_SASL_LOGIN_MAX + (more & 1)] = '\0';
        nonce[MX_SASL_NONCE_MAX + (more >> 1)] = '\0';
        snprintf(in, sizeof in, AUTH " @n,,n=%s,r=%s@\r\n", name, nonce);
        start(&server);
        feed(&server, encode(in, sent, sizeof sent), 4096);
        cr_expect_eq(strncmp(server.replies, more == 0 ? "334 " : "501 ", 4), 0, "%u: %.20s", more,
                     server.replies);
        stop(&server);
    }
}

static const struct {
    const char *name;
    int begin_error, auth_error;
    const char *reply;
    uint16_t failures;
} troubles[] = {
    {"no memory",              -ENOMEM, 0,       "454 4.7.0 Temporary authentication failure\r\n", 0},
    {"too many wait",          0,       -EBUSY,  "454 4.7.0 Temporary authentication failure\r\n", 0},
    {"no memory for the hash", 0,       -ENOMEM, "454 4.7.0 Temporary authentication failure\r\n", 0},
    {"broken",                 0,       -EIO,    "451 Unable to process request\r\n",              0},
    {"wrong",                  0,       -EACCES, FAILED,                                           1},
    {"right",                  0,       0,       GOOD,                                             0},
};

Test(session_auth, what_the_driver_says) {
    for (size_t i = 0; i < ROWS(troubles); i++) {
        struct server server;
        char sent[2000], wanted[200];
        start(&server);
        server.begin_error = troubles[i].begin_error;
        server.auth_error = troubles[i].auth_error;
        encode("AUTH LOGIN @user@\r\n", sent, sizeof sent);
        feed(&server, sent, 4096);
        if (troubles[i].begin_error == 0)
            feed(&server, encode("@pencil@\r\n", sent, sizeof sent), 4096);
        feed(&server, "NOOP\r\n", 4096);
        snprintf(wanted, sizeof wanted, "%s%s250 2.0.0 OK\r\n",
                 troubles[i].begin_error == 0 ? "334 UGFzc3dvcmQ6\r\n" : "", troubles[i].reply);
        server.replies[server.replies_len] = '\0';
        cr_expect_str_eq(server.replies, wanted, "%s: %s", troubles[i].name, server.replies);
        cr_expect_eq(server.session.auth_failures, troubles[i].failures, "%s", troubles[i].name);
        cr_expect_eq(server.session.login != NULL, i == ROWS(troubles) - 1, "%s", troubles[i].name);
        stop(&server);
    }
}

Test(session_auth, the_login_stays) {
    struct server server;
    start(&server);
    feed(&server, "AUTH PLAIN AFVzZXIAcGVuY2ls\r\nRSET\r\nEHLO c.test\r\n", 4096);
    cr_assert(server.session.is_authenticated);
    cr_expect(mx_span_equal(mx_login_name(server.session.login), MX_SPAN("User")));
    cr_expect_null(server.session.login->auth);
    cr_expect_eq(server.session.login->mechanism, MX_SASL_PLAIN);
    cr_expect_eq(server.shared.counters.logins, 1);
    stop(&server);
}

Test(session_auth, failures_are_delayed_and_counted) {
    struct server server;
    start(&server);
    server.conf.auth_failure_delay_ms = 250;
    server.conf.max_auth_failures = 3;
    for (int i = 0; i < 3; i++)
        feed(&server, "AUTH PLAIN AFVzZXIAcGVuY2lM\r\n", 4096);
    server.replies[server.replies_len] = '\0';
    cr_expect_str_eq(server.replies, FAILED FAILED FAILED "421 4.7.0 mx.test Too many failed "
                                                          "logins\r\n");
    cr_expect(server.is_closed);
    cr_expect_eq(server.delay_ms, 750);
    cr_expect_eq(server.shared.counters.logins_failed, 3);
    cr_expect_eq(server.shared.counters.auth_limit, 1);
    stop(&server);
}

/* The server drains: the exchange is not waited for. */
Test(session_auth, drains_amid_an_exchange) {
    struct server server;
    start(&server);
    feed(&server, "AUTH LOGIN\r\n", 4096);
    server.session.is_draining = true;
    feed(&server, "x\r\n", 4096);
    server.replies[server.replies_len] = '\0';
    cr_expect_str_eq(server.replies, "334 VXNlcm5hbWU6\r\n421 4.3.2 mx.test Shutting down\r\n");
    cr_expect(server.is_closed);
    stop(&server);
}

Test(session_auth, under_tls_only) {
    struct server server;
    start(&server);
    server.conf.needs_tls_for_auth = true;
    cr_expect_not(mx_session_announces_auth(&server.session));
    feed(&server, "AUTH PLAIN AFVzZXIAcGVuY2ls\r\n", 4096);
    server.session.is_tls = true;
    cr_expect(mx_session_announces_auth(&server.session));
    feed(&server, "AUTH PLAIN AFVzZXIAcGVuY2ls\r\n", 4096);
    server.replies[server.replies_len] = '\0';
    cr_expect_str_eq(
        server.replies,
        "538 5.7.11 Encryption required for requested authentication mechanism\r\n" GOOD);
    stop(&server);
}
