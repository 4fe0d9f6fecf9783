/* Goal: STARTTLS as RFC 3207 has it: what was said before counts for nothing, what stands behind it
 * is never read, and it happens once.
 * Method: rows of input with the replies and actions they must cause, whole and octet by octet; and
 * every cut of injected commands behind the line. */
#include "tests/unit/session_run.h"

#define EHLO     "EHLO c.test\r\n"
#define STARTTLS "STARTTLS\r\n"

static struct mx_session_conf offering(enum mx_proto proto) {
    struct mx_session_conf conf = base;
    conf.proto = proto;
    conf.has_starttls = true;
    conf.needs_helo = true;
    return conf;
}

Test(session_tls, commands) {
    struct mx_session_conf conf = offering(MX_PROTO_SMTP);
    static const struct row rows[] = {
        {"alone",                 {0},                 STARTTLS,         "tls 220"      },
        {"no argument",           {0},                 "STARTTLS x\r\n", "501/5.5.4"    },
        {"one space is nothing",  {0},                 "STARTTLS \r\n",  "tls 220"      },
        {"lower case",            {0},                 "starttls\r\n",   "tls 220"      },
        {"longer",                {0},                 "STARTTLSX\r\n",  "500/5.5.1"    },
        {"no room",               {.tls = -EBUSY},     STARTTLS,         "tls 454/4.7.0"},
        {"input behind the line", {.tls = MX_ESYNTAX}, STARTTLS,         "tls 451 close"},
    };
    play_rows(&conf, rows, ROWS(rows));
    conf = offering(MX_PROTO_LMTP);
    play_rows(&conf, rows, 1);
    static const struct row none[] = {
        {"not offered", {0}, STARTTLS, "500/5.5.1"},
    };
    conf.has_starttls = false;
    conf.proto = MX_PROTO_SMTP;
    play_rows(&conf, none, ROWS(none));
}

/* What is said inside must stand alone: these are played octet by octet, since in one piece they
 * are the attack. */
Test(session_tls, everything_begins_anew) {
    struct mx_session_conf conf = offering(MX_PROTO_SMTP);
    static const struct row rows[] = {
        {"HELO is forgotten",
         {0},
         EHLO STARTTLS "MAIL FROM:<a@x.org>\r\n",
         "250 tls 220 503/5.5.0"                                                                  },
        {"the sender is forgotten",
         {0},
         EHLO "MAIL FROM:<a@x.org>\r\n" STARTTLS EHLO "RCPT TO:<b@x.org>\r\n",
         "250 250 tls 220 250 503/5.5.0"                                                          },
        {"only once",                 {0}, STARTTLS STARTTLS,                  "tls 220 500/5.5.1"},
        {"454 keeps the transaction",
         {.tls = -EBUSY},
         EHLO "MAIL FROM:<a@x.org>\r\n" STARTTLS "RCPT TO:<b@x.org>\r\n",
         "250 250 tls 454/4.7.0 250"                                                              },
    };
    play_in(1, &conf, rows, ROWS(rows));
}

Test(session_tls, keyword_of_ehlo) {
    struct run run;
    struct mx_session_conf conf = offering(MX_PROTO_SMTP);
    init(&run, &conf, &(struct plan){0});
    feed(&run, EHLO, 1 << 20);
    cr_expect_not_null(strstr(run.replies, "\r\n250 STARTTLS\r\n"), "%s", run.replies);
    feed(&run, STARTTLS, 1 << 20);
    run.replies_len = 0;
    memset(run.replies, 0, sizeof run.replies);
    feed(&run, EHLO, 1 << 20);
    cr_expect_not_null(strstr(run.replies, "250-PIPELINING\r\n"), "%s", run.replies);
    cr_expect_null(strstr(run.replies, "STARTTLS"), "%s", run.replies);
    finish(&run);
}

/* CVE-2011-0411 and its heirs: what stands behind the line in the same packet would be read as if
 * it had come inside. */
Test(session_tls, injected_commands_are_never_run) {
    static const char attack[] = STARTTLS "EHLO evil.test\r\nMAIL FROM:<evil@x.org>\r\nRSET\r\n";
    static const char *const heads[] = {"", EHLO,
                                        EHLO "MAIL FROM:<a@x.org>\r\nRCPT TO:<b@x.org>\r\n"};
    struct mx_session_conf conf = offering(MX_PROTO_SMTP);
    for (size_t h = 0; h < ROWS(heads); h++) {
        for (size_t len = sizeof STARTTLS; len < sizeof attack; len++) {
            struct run run;
            char text[512];
            init(&run, &conf, &(struct plan){0});
            feed(&run, heads[h], 1 << 20);
            snprintf(text, sizeof text, "%.*s", (int)len, attack);
            feed(&run, text, 1 << 20);
            cr_expect(run.is_closed && !run.session.is_tls, "%zu octets are carried over", len);
            cr_expect_eq(run.shared.counters.tls_injections, 1U);
            cr_expect_null(strstr(run.replies, "220 2.0.0"), "%s", run.replies);
            cr_expect_null(strstr(run.replies, "evil"), "%s", run.replies);
            const char *last = strstr(run.replies, "451 ");
            cr_assert_not_null(last);
            cr_expect_str_eq(last, "451 Unable to process request\r\n");
            finish(&run);
        }
    }
}

Test(session_tls, trace_and_auth_know_of_it) {
    static const struct mx_session_tls tls = {.version = MX_SPAN("TLSv1.3"),
                                              .cipher = MX_SPAN("TLS_AES_128_GCM_SHA256")};
    struct mx_session_conf conf = offering(MX_PROTO_SMTP);
    conf.has_auth = conf.needs_tls_for_auth = true;
    conf.announce = MX_SESSION_ANNOUNCE_ALWAYS;
    conf.mechanisms[0] = MX_SASL_PLAIN;
    conf.mechanism_count = 1;
    struct run run;
    init(&run, &conf, &(struct plan){0});
    feed(&run, EHLO "AUTH PLAIN\r\n", 1 << 20);
    cr_expect_str_eq(run.words, "250 538/5.7.1");
    cr_expect_null(strstr(run.replies, "AUTH"));
    feed(&run, STARTTLS, 1 << 20);
    run.session.tls = &tls;
    feed(&run, EHLO, 1 << 20);
    cr_expect_not_null(strstr(run.replies, "250-AUTH PLAIN\r\n"), "%s", run.replies);
    finish(&run);
}
