/* session_end_test.c - how the server ends a session, configured faults, and the counters. Tables
 * of session_run.h. */
#include "tests/unit/session_run.h"

/* ---- the server's ends ---- */

Test(session_end, farewells) {
    static const struct {
        enum mx_farewell why;
        const char *line;
    } rows[] = {
        {MX_FAREWELL_TIMEOUT,     "421 4.4.2 mx.test Timeout\r\n"                      },
        {MX_FAREWELL_SLOW,        "421 4.4.2 mx.test Data rate too low\r\n"            },
        {MX_FAREWELL_CONNECTIONS, "421 4.7.0 mx.test Too many connections\r\n"         },
        {MX_FAREWELL_SHUTDOWN,    "421 4.3.2 mx.test Shutting down\r\n"                },
        {MX_FAREWELL_MEMORY,      "421 4.3.1 mx.test Insufficient system resources\r\n"},
    };
    static const char *const before[] = {"", MR, MR "DATA\r\nx", MR "BDAT 5\r\nx", "QUIT\r\n"};
    for (size_t i = 0; i < ROWS(rows) * ROWS(before); i++) {
        const char *text = before[i % ROWS(before)];
        bool is_closed = strcmp(text, "QUIT\r\n") == 0;
        struct run run;
        init(&run, &base, &(struct plan){0});
        feed(&run, text, 100);
        run.replies_len = 0;
        mx_session_farewell(&run.session, rows[i / ROWS(before)].why, &run.out);
        run.out.ptr[run.out.len] = '\0';
        cr_expect_str_eq(run.out.ptr, is_closed ? "" : rows[i / ROWS(before)].line);
        run.out.len = 0;
        struct mx_span in = MX_SPAN("NOOP\r\n");
        cr_expect_eq(mx_session_step(&run.session, &in, &run.out), MX_ACTION_CLOSE);
        cr_expect_eq(in.len, 0U);
        cr_expect_eq(run.out.len, 0U);
        cr_expect_eq(run.session.is_open, run.is_open);
        finish(&run);
    }
}

/* Also while a hook or a delay is awaited. */
Test(session_end, farewell_while_parked) {
    struct mx_session_conf conf = base;
    conf.hooks = 1u << MX_HOOK_MAIL;
    struct run run;
    init(&run, &conf, &(struct plan){0});
    struct mx_span in = mx_span_of("MAIL FROM:<a@x.org>\r\n");
    enum mx_action action;
    while ((action = mx_session_step(&run.session, &in, &run.out)) != MX_ACTION_HOOK)
        cr_assert(act(&run, action));
    mx_session_farewell(&run.session, MX_FAREWELL_TIMEOUT, &run.out);
    cr_expect_not(act(&run, mx_session_step(&run.session, &in, &run.out)));
    cr_expect_str_eq(run.words, "421/4.4.2 close");
    finish(&run);
}

Test(session_end, draining) {
    static const struct {
        const char *name, *before, *after, *words;
    } rows[] = {
        {"idle",         "",                    "NOOP\r\n",           "421/4.3.2 close"                             },
        {"no input yet", "",                    "\r\n",               "421/4.3.2 close"                             },
        {"transaction",  MR,                    "DATA\r\nx\r\n.\r\n",
         "250 250 open 354 body commit 250 421/4.3.2 close"                                                         },
        {"given up",     MR,                    "RSET\r\n",           "250 250 250 421/4.3.2 close"                 },
        {"in DATA",      MR "DATA\r\nx",        "\r\n.\r\n",
         "250 250 open 354 body commit 250 421/4.3.2 close"                                                         },
        {"in a chunk",   MR "BDAT 2 LAST\r\nx", "x",                  "250 250 open body commit 250 421/4.3.2 close"},
        {"between",      MR "BDAT 1\r\nx",      "BDAT 1 LAST\r\nx",
         "250 250 open body 250 body commit 250 421/4.3.2 close"                                                    },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct run run;
        init(&run, &base, &(struct plan){0});
        feed(&run, rows[i].before, 1);
        run.session.is_draining = true;
        feed(&run, rows[i].after, 1);
        cr_expect_str_eq(run.words, rows[i].words, "%s: %s", rows[i].name, run.words);
        finish(&run);
    }
}

/* minDataRate sees what arrives of a chunk that is refused; it is of no message. */
Test(session_end, octets_of_a_refused_chunk) {
    struct run run;
    init(&run, &base, &(struct plan){0});
    feed(&run, "BDAT 10\r\nxxxx", 100);
    cr_expect_eq(run.session.received_octets, 4U);
    feed(&run, "xxxxxx", 1);
    cr_expect_eq(run.session.received_octets, 0U);
    cr_expect_str_eq(run.words, "503/5.5.0");
    finish(&run);
}

/* ---- faults ---- */

struct place {
    unsigned place;
    const char *before, *in; /* sent before, and what the fault is put at */
    const char *good;        /* words of in without a fault */
};

static const struct place places[] = {
    {MX_VERB_MAIL,    "",                 "MAIL FROM:<>\r\n", "250"       },
    {MX_VERB_RCPT,    "MAIL FROM:<>\r\n", "RCPT TO:<b>\r\n",  "250"       },
    {MX_VERB_DATA,    MR,                 "DATA\r\n",         "open 354"  },
    {MX_VERB_BDAT,    MR,                 "BDAT 0\r\n",       "open 250"  },
    {MX_VERB_EHLO,    "",                 "EHLO a\r\n",       "250"       },
    {MX_VERB_HELO,    "",                 "HELO a\r\n",       "250"       },
    {MX_VERB_QUIT,    "",                 "QUIT\r\n",         "221 close" },
    {MX_VERB_RSET,    "",                 "RSET\r\n",         "250"       },
    {MX_VERB_NOOP,    "",                 "NOOP\r\n",         "250"       },
    {MX_VERB_VRFY,    "",                 "VRFY a\r\n",       "502/5.3.3" },
    {MX_VERB_EXPN,    "",                 "EXPN a\r\n",       "502/5.3.3" },
    {MX_VERB_HELP,    "",                 "HELP\r\n",         "502/5.3.3" },
    {MX_VERB_UNKNOWN, "",                 "FOO\r\n",          "500/5.5.1" },
    {MX_FAULT_DOT,    MR "DATA\r\nx\r\n", ".\r\n",            "commit 250"},
    {MX_FAULT_DOT,    MR "BDAT 1\r\nx",   "BDAT 0 LAST\r\n",  "commit 250"},
};

/* The words of a fault, as octet by octet input gives them. */
static const char *fault_words(enum mx_fault_kind kind, const struct place *place) {
    bool is_dot = place->place == MX_FAULT_DOT;
    switch (kind) {
    case MX_FAULT_NONE:
        return place->good;
    case MX_FAULT_SOFT:
        return "450/4.3.0";
    case MX_FAULT_HARD:
        return "500/5.3.0";
    case MX_FAULT_DISCONNECT:
        return is_dot ? "close!" : "close";
    case MX_FAULT_DISCONNECT_421:
        return is_dot ? "421/4.3.0 close!" : "421/4.3.0 close";
    }
    abort();
}

/* The words without the abort, whose place among them does not matter. */
static void drop_abort(char *words) {
    char *at = strstr(words, "abort");
    if (at == NULL)
        return;
    size_t len = at[5] == ' ' ? 6 : 5;
    if (at[5] == '\0' && at > words)
        at--, len++;
    memmove(at, at + len, strlen(at + len) + 1);
}

/* A refused command ends nothing. */
static void expect_to_go_on(struct run *run, const struct place *place) {
    run->words_len = 0;
    feed(run, place->place == MX_VERB_NOOP ? "RSET\r\n" : "NOOP\r\n", 1000);
    drop_abort(run->words);
    cr_expect_str_eq(run->words, "250", "behind place %u: %s", place->place, run->words);
}

static void expect_fault(enum mx_fault_kind kind, const struct place *place, uint32_t delay_ms,
                         bool is_lmtp) {
    struct mx_fault faults[MX_FAULT_PLACES] = {0};
    faults[place->place] = (struct mx_fault){(uint8_t)kind, delay_ms};
    struct mx_session_conf conf = is_lmtp ? lmtp() : base;
    conf.faults = faults;
    struct run run;
    init(&run, &conf, &(struct plan){0});
    feed(&run, place->before, 1000);
    run.words_len = 0;
    run.words[0] = '\0';
    feed(&run, place->in, 1000);
    bool is_refused = kind == MX_FAULT_SOFT || kind == MX_FAULT_HARD;
    bool needs_abort = is_refused && place->place == MX_FAULT_DOT;
    cr_expect_eq(run.abort_count, needs_abort ? 1U : 0U, "place %u, kind %d", place->place, kind);
    drop_abort(run.words);
    const char *words = run.words;
    cr_expect_eq(run.delay_ms, delay_ms, "place %u, kind %d", place->place, kind);
    if (delay_ms > 0) {
        cr_expect_eq(strncmp(words, "delay ", 6), 0, "%s", words);
        words += strncmp(words, "delay ", 6) == 0 ? 6 : 0;
    }
    cr_expect_str_eq(words, fault_words(kind, place), "place %u (%s), kind %d, %u ms: %s",
                     place->place, place->in, kind, delay_ms, words);
    if (is_refused)
        expect_to_go_on(&run, place);
    finish(&run);
}

Test(session_end, faults) {
    for (unsigned kind = MX_FAULT_NONE; kind <= MX_FAULT_DISCONNECT_421; kind++) {
        for (size_t i = 0; i < ROWS(places) * 2; i++) {
            uint32_t delay_ms = i % 2 == 0 ? 0 : 50;
            const struct place *place = &places[i / 2];
            expect_fault((enum mx_fault_kind)kind, place, delay_ms, false);
        }
        static const struct place lhlo = {MX_VERB_LHLO, "", "LHLO a\r\n", "250"};
        expect_fault((enum mx_fault_kind)kind, &lhlo, 0, true);
        expect_fault((enum mx_fault_kind)kind, &places[13], 7, true);
    }
}

/* LMTP: the fault at the end of data is answered for each recipient, and ends the transaction. */
Test(session_end, fault_at_the_dot) {
    static const struct row rows[] = {
        {"LMTP",
         {0},
         MRR "DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n",
         "250 250 250 open 354 body abort 450/4.3.0 450/4.3.0 250"},
    };
    struct mx_fault faults[MX_FAULT_PLACES] = {
        [MX_FAULT_DOT] = {MX_FAULT_SOFT, 0}
    };
    struct mx_session_conf conf = lmtp();
    conf.faults = faults;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct run run;
        init(&run, &conf, &rows[i].plan);
        feed(&run, rows[i].in, 1);
        char wanted[200];
        snprintf(wanted, sizeof wanted, "%s", rows[i].words);
        drop_abort(wanted);
        cr_expect_eq(run.abort_count, 1U);
        drop_abort(run.words);
        cr_expect_str_eq(run.words, wanted, "%s: %s", rows[i].name, run.words);
        cr_expect_eq(run.shared.counters.messages_refused, UINT64_C(1));
        finish(&run);
    }
}

/* A refusal at BDAT is one of the message: the octets are read first, LMTP tells each recipient,
 * and what would be refused without it gets its own refusal. */
Test(session_end, fault_at_bdat) {
    static const struct row rows[] = {
        {"LAST",      {0}, MR "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",                "250 250 450/4.3.0 250"           },
        {"not LAST",
         {0},
         MR "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n",
         "250 250 450/4.3.0 503/5.5.0 250"                                                                        },
        {"empty",     {0}, MR "BDAT 0 LAST\r\nMAIL FROM:<>\r\n",                "250 250 450/4.3.0 250"           },
        {"no sender", {0}, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",                   "503/5.5.0 250"                   },
        {"no rcpt",   {0}, "MAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nRCPT TO:<b>\r\n", "250 503/5.5.0 250"               },
        {"malformed", {0}, MR "BDAT x\r\nNOOP\r\n",                             "250 250 501/5.5.4 close"         },
        {"DATA",      {0}, MESSAGE,                                             "250 250 open 354 body commit 250"},
    };
    static const struct row lmtp_rows[] = {
        {"LAST",     {0}, MRR "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "250 250 250 450/4.3.0 450/4.3.0 250"},
        {"not LAST", {0}, MRR "BDAT 6\r\nQUIT\r\nNOOP\r\n",      "250 250 250 450/4.3.0 250"          },
    };
    struct mx_fault faults[MX_FAULT_PLACES] = {
        [MX_VERB_BDAT] = {MX_FAULT_SOFT, 0}
    };
    struct mx_session_conf conf = base, lmtp_conf = lmtp();
    conf.faults = lmtp_conf.faults = faults;
    play_rows(&conf, rows, ROWS(rows));
    play_rows(&lmtp_conf, lmtp_rows, ROWS(lmtp_rows));
    struct run run;
    init(&run, &lmtp_conf, &(struct plan){0});
    feed(&run, MRR "BDAT 6 LAST\r\nQUIT\r", 1);
    cr_expect_str_eq(run.words, "250 250 250", "the reply comes before the octets: %s", run.words);
    feed(&run, "\n", 1);
    cr_expect_eq(run.shared.counters.messages_refused, UINT64_C(1));
    finish(&run);
}

Test(session_end, fault_of_the_greeting) {
    static const char *const words[] = {"220", "450/4.3.0", "500/5.3.0", "", "421/4.3.0"};
    for (unsigned i = 0; i < ROWS(words) * 2; i++) {
        enum mx_fault_kind kind = (enum mx_fault_kind)(i / 2);
        struct mx_fault faults[MX_FAULT_PLACES] = {
            [MX_FAULT_CONNECT] = {(uint8_t)kind, i % 2 * 30}
        };
        struct mx_session_conf conf = base;
        conf.faults = faults;
        struct run run;
        init(&run, &conf, &(struct plan){0});
        enum mx_action action = mx_session_greet(&run.session, &run.out);
        cr_expect_eq(action == MX_ACTION_DELAY, i % 2 == 1);
        if (action == MX_ACTION_DELAY) {
            cr_expect_eq(run.session.delay_ms, 30U);
            cr_expect_eq(run.out.len, 0U);
            mx_session_resume(&run.session, 0, &run.out);
            action = mx_session_greet(&run.session, &run.out);
        }
        take_replies(&run);
        cr_expect_eq(action, kind == MX_FAULT_NONE ? MX_ACTION_INPUT : MX_ACTION_CLOSE);
        cr_expect_str_eq(run.words, words[kind]);
        run.words_len = 0;
        feed(&run, "NOOP\r\n", 100);
        cr_expect_str_eq(run.words, kind == MX_FAULT_NONE ? "250" : "close");
        finish(&run);
    }
}

/* ---- errors ---- */

/* A refused message is one error, however many recipients are told so. */
Test(session_end, one_message_is_one_error) {
#define REFUSED MRR "RCPT TO:<d@x.org>\r\nBDAT 1 LAST\r\nx"
    static const struct row rows[] = {
        {"all",
         {.commit = -EIO},
         REFUSED "NOOP\r\n" REFUSED "NOOP\r\n",
         "250 250 250 250 open body commit 451/4.0.0 451/4.0.0 451/4.0.0 250 "
         "250 250 250 250 open body commit 451/4.0.0 451/4.0.0 451/4.0.0 421/4.7.0 close"},
        {"two of three",
         {.rcpts = {-EIO, 0, -EIO}},
         REFUSED REFUSED "NOOP\r\n",
         "250 250 250 250 open body commit 451/4.0.0 250 451/4.0.0 "
         "250 250 250 250 open body commit 451/4.0.0 250 451/4.0.0 421/4.7.0 close"      },
        {"none",
         {0},
         REFUSED REFUSED "NOOP\r\n",
         "250 250 250 250 open body commit 250 250 250 "
         "250 250 250 250 open body commit 250 250 250 250"                              },
    };
    struct mx_session_conf conf = lmtp();
    conf.max_errors = 2;
    play_rows(&conf, rows, ROWS(rows));
    struct run run;
    init(&run, &conf, &rows[0].plan);
    feed(&run, REFUSED, 1);
    cr_expect_eq(run.shared.counters.replies_4xx, UINT64_C(3), "each reply is counted");
    cr_expect_eq(run.session.error_count, 1U);
    finish(&run);
#undef REFUSED
}

/* ---- counters ---- */

#define COUNTER(name) offsetof(struct mx_proto_counters, name)

static uint64_t counter(const struct run *run, size_t offset) {
    uint64_t value;
    memcpy(&value, (const char *)&run->shared.counters + offset, sizeof value);
    return value;
}

Test(session_end, counters) {
    static const struct {
        const char *name, *in;
        size_t counter;
        uint64_t value;
    } rows[] = {
        {"messages",            MESSAGE MESSAGE,                                            COUNTER(messages),          2},
        {"recipients",          MRR "DATA\r\n.\r\n" MESSAGE,                                COUNTER(recipients),        3},
        {"refused mail",        MR "RSET\r\n",                                              COUNTER(recipients),        0},
        {"octets",              MR "DATA\r\n..a\r\n.\r\n",                                  COUNTER(body_octets),       4},
        {"octets, BDAT",        MR "BDAT 2\r\nabBDAT 1 LAST\r\nc",                          COUNTER(body_octets),       3},
        {"commands",            "NOOP\r\nFOO\r\n\r\n",                                      COUNTER(commands),          3},
        {"4xx",                 MRR "RCPT TO:<d>\r\n",                                      COUNTER(replies_4xx),       1},
        {"5xx",                 "FOO\r\nDATA\r\nVRFY a\r\n",                                COUNTER(replies_5xx),       3},
        {"unknown",             "FOO\r\n\r\nNOOP\r\n",                                      COUNTER(unknown_commands),  2},
        {"line",                "NOOP 0123456789012345678901234567890\r\n",                 COUNTER(line_limit),        1},
        {"data line",           MR "DATA\r\n0123456789a\r\n0123456789a\r\n.\r\n",           COUNTER(data_line_limit),
         1                                                                                                               },
        {"size at MAIL",        "MAIL FROM:<> SIZE=99\r\n",                                 COUNTER(size_limit),        1},
        {"size in DATA",        MR "DATA\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\n.\r\n",
         COUNTER(size_limit),                                                                                           1},
        {"size in BDAT",        MR "BDAT 21 LAST\r\n012345678901234567890",                 COUNTER(size_limit),        1},
        {"size, refused",       MR "BDAT 21 LAST\r\n012345678901234567890",                 COUNTER(messages_refused),  1},
        {"size, no message",    MR "BDAT 21 LAST\r\n012345678901234567890",                 COUNTER(messages),          0},
        {"recipient limit",     MRR "RCPT TO:<d>\r\n",                                      COUNTER(recipient_limit),   1},
        {"error limit",         "A\r\nB\r\nC\r\nD\r\nE\r\n",                                COUNTER(error_limit),       1},
        {"error limit not yet", "A\r\nB\r\nC\r\n",                                          COUNTER(error_limit),       0},
        {"transactions",        MESSAGE MESSAGE "MAIL FROM:<>\r\n",                         COUNTER(transaction_limit), 1},
        {"bare LF command",     "NOOP\nNOOP\r\n",                                           COUNTER(bare_lf_commands),  1},
        {"bare LF data",        MR "DATA\r\nx\n",                                           COUNTER(bare_lf_data),      1},
        {"bare LF, refused",    MR "DATA\r\nx\n",                                           COUNTER(messages_refused),  1},
        {"bare LF, too large",  MR "DATA\r\n0123456789\r\n0123456789\r\nx\n",
         COUNTER(messages_refused),                                                                                     1},
        {"bare CR data",        MR "DATA\r\nx\ry\r\n.\r\n",                                 COUNTER(bare_cr_data),      1},
        {"no bare CR",          MR "DATA\r\nx\r\n.\r\n",                                    COUNTER(bare_cr_data),      0},
        {"8-bit",               MR "DATA\r\n\xff\r\n.\r\n" MESSAGE,                         COUNTER(eightbit_data),     1},
        {"8-bit, BDAT",         MR "BDAT 3 LAST\r\n\xff\r.",                                COUNTER(eightbit_data),     0},
        {"chunks",              MR "BDAT 1\r\nxBDAT 0\r\nBDAT 1 LAST\r\nx",                 COUNTER(bdat_chunks),       3},
        {"refused chunk",       "BDAT 1\r\nx",                                              COUNTER(bdat_chunks),       0},
    };
    struct mx_session_conf conf = base;
    conf.max_line_octets = 32;
    conf.max_data_line_octets = 10;
    conf.max_message_octets = 20;
    conf.max_recipients = 2;
    conf.max_transactions = 2;
    conf.max_errors = 5;
    for (size_t i = 0; i < ROWS(rows) * 2; i++) {
        struct run run;
        init(&run, &conf, &(struct plan){0});
        struct mx_session_conf wide = conf;
        if (rows[i / 2].counter == COUNTER(data_line_limit))
            wide.max_message_octets = 0;
        if (rows[i / 2].counter == COUNTER(size_limit) || strncmp(rows[i / 2].name, "size", 4) == 0)
            wide.max_data_line_octets = 0;
        run.session.conf = &wide;
        feed(&run, rows[i / 2].in, i % 2 == 0 ? 1 : 1000);
        cr_expect_eq(counter(&run, rows[i / 2].counter), rows[i / 2].value, "%s: %lu",
                     rows[i / 2].name, (unsigned long)counter(&run, rows[i / 2].counter));
        finish(&run);
    }
}

/* LMTP: a message is accepted when one recipient gets a 250; those who do not are not counted. */
Test(session_end, counters_of_recipients) {
    static const struct {
        const char *name;
        int rcpts[4];
        uint64_t messages, refused, recipients;
    } rows[] = {
        {"all",  {0, 0},       1, 0, 2},
        {"one",  {-EIO, 0},    1, 0, 1},
        {"none", {-EIO, -EIO}, 0, 1, 0},
    };
    struct mx_session_conf conf = lmtp();
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct plan plan = {
            .rcpts = {rows[i].rcpts[0], rows[i].rcpts[1]}
        };
        struct run run;
        init(&run, &conf, &plan);
        feed(&run, MRR "DATA\r\n.\r\n", 1000);
        cr_expect_eq(run.shared.counters.messages, rows[i].messages, "%s", rows[i].name);
        cr_expect_eq(run.shared.counters.messages_refused, rows[i].refused, "%s", rows[i].name);
        cr_expect_eq(run.shared.counters.recipients, rows[i].recipients, "%s", rows[i].name);
        finish(&run);
    }
}
