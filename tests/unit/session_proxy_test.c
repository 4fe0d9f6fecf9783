/* session_proxy_test.c - a session that begins with a PROXY header. Tables of session_run.h; the
 * headers themselves are tested by proxyproto_test.c.
 */
#include "tests/unit/session_run.h"

#define V1 "PROXY TCP4 9.9.9.9 127.0.0.1 8080 25\r\n"

static struct mx_session_conf proxied(void) {
    struct mx_session_conf conf = base;
    conf.needs_proxy = true;
    return conf;
}

Test(session_proxy, rows) {
    static const struct row rows[] = {
        {"header",          {0}, V1,                                  "client"                            },
        {"header and HELO", {0}, V1 "HELO c.test\r\nQUIT\r\n",        "client 250 221 close"              },
        {"a whole mail",    {0}, V1 MR "DATA\r\n.\r\n",               "client 250 250 open 354 commit 250"},
        {"no header",       {0}, "HELO c.test\r\n",                   "close"                             },
        {"empty line",      {0}, "\r\nHELO c.test\r\n",               "close"                             },
        {"bad header",      {0}, "PROXY TCP4 x y 1 2\r\nHELO c.test", "close"                             },
        {"PROXY UNKNOWN",   {0}, "PROXY UNKNOWN\r\nHELO c.test\r\n",  "451 close"                         },
        {"a second header", {0}, V1 V1 "NOOP\r\n",                    "client 500/5.5.1 250"              },
        {"nothing more",    {0}, "PROXY TCP4 9.9.9.9 127.0.0.1 80",   ""                                  },
    };
    struct mx_session_conf conf = proxied();
    play_rows(&conf, rows, ROWS(rows));
}

/* The address is the driver's to use when it is asked. */
Test(session_proxy, peer) {
    struct mx_session_conf conf = proxied();
    struct run run;
    init(&run, &conf, &(struct plan){0});
    run.session.peer = (struct mx_ip){
        .family = 4, .bytes = {127, 0, 0, 1}
    };
    feed(&run, V1 "EHLO c.test\r\n", 3);
    cr_expect_not_null(strstr(run.replies, "250-mx.test Hello c.test [9.9.9.9]\r\n"));
    cr_expect_eq(run.shared.counters.proxy_headers, 1U);
    cr_expect_eq(run.shared.counters.proxy_headers_bad, 0U);
    cr_expect_eq(run.shared.counters.commands, 1U);
    finish(&run);
}

/* The driver may refuse the client instead of resuming, and drain before the header is whole. */
Test(session_proxy, ends) {
    struct mx_session_conf conf = proxied();
    for (int i = 0; i < 2; i++) {
        struct run run;
        init(&run, &conf, &(struct plan){0});
        struct mx_span in = mx_span_of(V1);
        if (i == 0) {
            cr_assert_eq(mx_session_step(&run.session, &in, &run.out), MX_ACTION_CLIENT);
            mx_session_farewell(&run.session, MX_FAREWELL_CONNECTIONS, &run.out);
        } else {
            run.session.is_draining = true;
        }
        cr_expect_not(act(&run, mx_session_step(&run.session, &in, &run.out)));
        cr_expect_str_eq(run.words, i == 0 ? "421/4.7.0 close" : "421/4.3.2 close");
        finish(&run);
    }
}
