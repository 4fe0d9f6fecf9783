/* session_test.c - what dialogues cannot show: the actions a session asks for, in their order among
 * the replies, when the driver's answers are errors, late or small. Tables of session_run.h. */
#include "tests/unit/session_run.h"

#include <signal.h>

/* ---- memory ---- */

Test(session, grow_refused) {
    static const struct row rows[] = {
        {"granted",        {0},                    MESSAGE,               "250 250 open 354 body commit 250"},
        {"sender",         {.grow_fails_from = 1}, MR,                    "452/4.3.1 503/5.5.0"             },
        {"Received",       {.grow_fails_from = 2}, MR "DATA\r\nNOOP\r\n", "250 250 452/4.3.1 250"           },
        {"Received, BDAT",
         {.grow_fails_from = 2},
         MR "BDAT 6\r\nNOOP\r\nNOOP\r\n",
         "250 250 452/4.3.1 250"                                                                            },
        {"Received, LAST",
         {.grow_fails_from = 2},
         MR "BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n",
         "250 250 452/4.3.1 250"                                                                            },
    };
    static const struct row without_trace[] = {
        {"recipient", {.grow_fails_from = 2}, MR "DATA\r\n", "250 452/4.5.3 503/5.5.0"},
    };
    struct mx_session_conf conf = base;
    play_rows(&conf, without_trace, ROWS(without_trace));
    conf.needs_trace = true;
    play_rows(&conf, rows, ROWS(rows));
}

/* A refusal is for one command: the next one asks again. */
Test(session, grow_asked_again) {
    struct run run;
    init(&run, &base, &(struct plan){.grow_fails_from = 1});
    feed(&run, "MAIL FROM:<a@x.org>\r\n", 100);
    run.plan.grow_fails_from = 0;
    feed(&run, MR, 100);
    cr_expect_str_eq(run.words, "452/4.3.1 250 250");
    cr_expect_eq(run.shared.counters.recipient_limit, 0U);
    finish(&run);
}

/* ---- errors of the sink ---- */

Test(session, open_fails) {
    static const struct row rows[] = {
        {"full",           {.open = -ENOSPC}, MR "DATA\r\nNOOP\r\n",           "250 250 open 452/4.3.1 250"},
        {"quota",          {.open = -EDQUOT}, MR "DATA\r\n",                   "250 250 open 452/4.3.1"    },
        {"other",          {.open = -EIO},    MR "DATA\r\nNOOP\r\n",           "250 250 open 451 250"      },
        {"RSET",           {.open = -EIO},    MR "DATA\r\nRSET\r\n",           "250 250 open 451 250"      },
        {"BDAT",           {.open = -ENOSPC}, MR "BDAT 6\r\nQUIT\r\nNOOP\r\n", "250 250 open 452/4.3.1 250"},
        {"BDAT LAST",
         {.open = -EIO},
         MR "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
         "250 250 open 451/4.0.0 250"                                                                      },
        {"BDAT, next one",
         {.open = -EIO},
         MR "BDAT 1\r\nxBDAT 1 LAST\r\nx",
         "250 250 open 451/4.0.0 503/5.5.0"                                                                },
    };
    static const struct row lmtp_rows[] = {
        {"before the dot",
         {.open = -ENOSPC},
         MRR "DATA\r\nNOOP\r\n",
         "250 250 250 open 452/4.3.1 250"      },
        {"BDAT LAST",
         {.open = -ENOSPC},
         MRR "BDAT 1 LAST\r\nx",
         "250 250 250 open 452/4.3.1 452/4.3.1"},
    };
    struct mx_session_conf conf = lmtp();
    play_rows(&base, rows, ROWS(rows));
    play_rows(&conf, lmtp_rows, ROWS(lmtp_rows));
}

/* Octet by octet: whether the reply is written before ABORT is asked for depends on the pieces. */
Test(session, body_fails) {
    static const struct row rows[] = {
        {"full",
         {.body = -ENOSPC},
         MESSAGE "NOOP\r\n",
         "250 250 open 354 body abort 452/4.3.1 250"                                                          },
        {"other",     {.body = -EIO},          MESSAGE "NOOP\r\n", "250 250 open 354 body abort 451/4.0.0 250"},
        {"later",
         {.body = -EIO, .body_fails_from = 2},
         MR "BDAT 1\r\nxBDAT 1 LAST\r\nx",
         "250 250 open body 250 body abort 451/4.0.0"                                                         },
        {"BDAT",
         {.body = -ENOSPC},
         MR "BDAT 1\r\nxBDAT 1 LAST\r\nx",
         "250 250 open body abort 452/4.3.1 503/5.5.0"                                                        },
        {"then good",
         {0},
         MESSAGE MESSAGE,
         "250 250 open 354 body commit 250 250 250 open 354 body commit 250"                                  },
    };
    static const struct row lmtp_rows[] = {
        {"LMTP",
         {.body = -ENOSPC},
         MRR "DATA\r\nx\r\n.\r\n",
         "250 250 250 open 354 body abort 452/4.3.1 452/4.3.1"},
    };
    struct mx_session_conf conf = lmtp();
    play_in(1, &base, rows, ROWS(rows));
    play_in(1, &conf, lmtp_rows, ROWS(lmtp_rows));
}

Test(session, commit_fails) {
    static const struct row rows[] = {
        {"full",   {.commit = -ENOSPC}, MESSAGE,               "250 250 open 354 body commit 452/4.3.1"},
        {"other",  {.commit = -EIO},    MESSAGE,               "250 250 open 354 body commit 451/4.0.0"},
        {"BDAT",   {.commit = -EIO},    MR "BDAT 1 LAST\r\nx", "250 250 open body commit 451/4.0.0"    },
        {"and on",
         {.commit = -EIO},
         MESSAGE "MAIL FROM:<>\r\n",
         "250 250 open 354 body commit 451/4.0.0 250"                                                  },
    };
    static const struct row lmtp_rows[] = {
        {"all",
         {.commit = -ENOSPC},
         MRR "DATA\r\n.\r\n",
         "250 250 250 open 354 commit 452/4.3.1 452/4.3.1"        },
        {"each its own",
         {.rcpts = {0, -ENOSPC, -EIO}},
         MRR "RCPT TO:<d@x.org>\r\nDATA\r\n.\r\n",
         "250 250 250 250 open 354 commit 250 452/4.3.1 451/4.0.0"},
        {"first refused",
         {.rcpts = {-EIO, 0}},
         MRR "BDAT 0 LAST\r\n",
         "250 250 250 open commit 451/4.0.0 250"                  },
    };
    struct mx_session_conf conf = lmtp();
    play_rows(&base, rows, ROWS(rows));
    play_rows(&conf, lmtp_rows, ROWS(lmtp_rows));
}

/* Whatever the sink says, it is not the client's fault: the client has to keep the message. */
Test(session, every_error_is_temporary) {
    static const int errors[] = {-EPERM, -EACCES, -EAGAIN,    -EIO,       -EROFS,    -ENOSPC,
                                 -EFBIG, -ENOMEM, -ETIMEDOUT, MX_ENOROOM, MX_ELIMIT, MX_ESYNTAX};
    for (size_t i = 0; i < ROWS(errors) * 4; i++) {
        int err = errors[i / 4];
        static const char *const names[] = {"open", "body", "commit", "recipient"};
        struct plan plan = {0};
        int *const answers[] = {&plan.open, &plan.body, &plan.commit, &plan.rcpts[0]};
        *answers[i % 4] = err;
        struct mx_session_conf conf = i % 4 == 3 ? lmtp() : base;
        struct run run;
        init(&run, &conf, &plan);
        feed(&run, MR "BDAT 1 LAST\r\nx", 1000);
        const char *last = strrchr(run.words, ' ');
        cr_expect(last != NULL && last[1] == '4', "%s: %d: %s", names[i % 4], err, run.words);
        finish(&run);
    }
}

/* ---- aborts ---- */

/* Octet by octet: how much of a message reaches the sink before it is too large depends on the
 * pieces. */
Test(session, abort_when_open) {
    static const struct row rows[] = {
        {"RSET",                     {0}, MR "BDAT 1\r\nxRSET\r\n",              "250 250 open body 250 250 abort"       },
        {"EHLO",                     {0}, MR "BDAT 1\r\nxEHLO a\r\n",            "250 250 open body 250 250 abort"       },
        {"refused EHLO",             {0}, MR "BDAT 1\r\nxEHLO\r\n",              "250 250 open body 250 501/5.5.4 abort" },
        {"refused RSET",             {0}, MR "BDAT 1\r\nxRSET x\r\n",            "250 250 open body 250 500/5.5.4"       },
        {"twice",                    {0}, MR "BDAT 1\r\nxRSET\r\nRSET\r\n",      "250 250 open body 250 250 abort 250"   },
        {"not open",                 {0}, MR "RSET\r\nEHLO a\r\n",               "250 250 250 250"                       },
        {"after a commit",           {0}, MESSAGE "RSET\r\n",                    "250 250 open 354 body commit 250 250"  },
        {"QUIT",                     {0}, MR "BDAT 1\r\nxQUIT\r\n",              "250 250 open body 250 221 close!"      },
        {"BDAT syntax",              {0}, MR "BDAT 1\r\nxBDAT\r\n",              "250 250 open body 250 501/5.5.4 close!"},
        {"bare LF",                  {0}, MR "DATA\r\nx\n",                      "250 250 open 354 body 500/5.0.0 close!"},
        {"QUIT, not open",           {0}, MR "QUIT\r\n",                         "250 250 221 close"                     },
        {"too large",
         {0},
         MR "DATA\r\n0123456789\r\n.\r\nNOOP\r\n",
         "250 250 open 354 body abort 552 250"                                                                           },
        {"too large, BDAT",
         {0},
         MR "BDAT 4\r\n0123BDAT 5 LAST\r\n01234NOOP\r\n",
         "250 250 open body 250 abort 552 250"                                                                           },
        {"too large from the start", {0}, MR "BDAT 9 LAST\r\n012345678NOOP\r\n", "250 250 552 250"                       },
    };
    struct mx_session_conf conf = base;
    conf.max_message_octets = 8;
    play_in(1, &conf, rows, ROWS(rows));
}

/* ---- the handler chain ---- */

Test(session, hooks) {
    static const struct row rows[] = {
        {"all",     {0},                                                         MESSAGE, "hook 250 hook 250 hook open 354 body commit 250"},
        {"BDAT",
         {0},
         MR "BDAT 1\r\nxBDAT 1 LAST\r\nx",
         "hook 250 hook 250 hook open body 250 body commit 250"                                                                            },
        {"no text",
         {.hook = -EACCES},
         "MAIL FROM:<a@x.org>\r\nRCPT TO:<b@x.org>\r\n",                                  "hook 451 503/5.5.0"                             },
        {"text",
         {.hook = -EACCES, .refusal = "550 5.7.1 no"},
         "MAIL FROM:<a@x.org>\r\nNOOP\r\n",                                               "hook 550/5.7.1 250"                             },
        {"end",
         {.hook = -EACCES, .refusal = "554 5.7.1 no", .hook_disconnects = true},
         "MAIL FROM:<a@x.org>\r\nNOOP\r\n",                                               "hook 554/5.7.1 close"                           },
    };
    static const struct row rcpt_rows[] = {
        {"RCPT",
         {.hook = -EACCES, .refusal = "550 5.7.1 no"},
         MR "DATA\r\n",
         "250 hook 550/5.7.1 503/5.5.0"},
    };
    static const struct row data_rows[] = {
        {"DATA",
         {.hook = -EACCES, .refusal = "550 5.7.1 no"},
         MR "DATA\r\nNOOP\r\n",
         "250 250 hook 550/5.7.1 250"          },
        {"BDAT",
         {.hook = -EACCES, .refusal = "550 5.7.1 no"},
         MR "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
         "250 250 hook 550/5.7.1 503/5.5.0 250"},
        {"BDAT, end",
         {.hook = -EACCES, .refusal = "554 5.7.1 no", .hook_disconnects = true},
         MR "BDAT 6\r\nNOOP\r\n",
         "250 250 hook 554/5.7.1 close"        },
    };
    struct mx_session_conf conf = base;
    conf.hooks = 1u << MX_HOOK_MAIL | 1u << MX_HOOK_RCPT | 1u << MX_HOOK_DATA;
    play_rows(&conf, rows, ROWS(rows));
    conf.hooks = 1u << MX_HOOK_RCPT;
    play_rows(&conf, rcpt_rows, ROWS(rcpt_rows));
    conf.hooks = 1u << MX_HOOK_DATA;
    play_rows(&conf, data_rows, ROWS(data_rows));
}

/* ---- small buffers ---- */

Test(session, replies_wait_for_room) {
    enum { RCPTS = 1000 };
    struct mx_session_conf conf = lmtp();
    struct run run;
    init(&run, &conf, &(struct plan){0});
    run.out.cap = MX_OUT_ROOM_MIN;
    unsigned outputs = 0, finals = 0;
    static char in_text[RCPTS * 24 + 100];
    size_t len = (size_t)snprintf(in_text, sizeof in_text, "MAIL FROM:<>\r\n");
    for (unsigned i = 0; i < RCPTS; i++)
        len += (size_t)snprintf(in_text + len, sizeof in_text - len, "RCPT TO:<%04u@x>\r\n", i);
    snprintf(in_text + len, sizeof in_text - len, "DATA\r\n.\r\n");
    struct mx_span in = mx_span_of(in_text);
    enum mx_action action;
    while ((action = mx_session_step(&run.session, &in, &run.out)) != MX_ACTION_INPUT) {
        if (action == MX_ACTION_OUTPUT) {
            size_t left = in.len;
            cr_assert_lt(mx_out_room(&run.out), (uint32_t)MX_OUT_ROOM_MIN);
            /* nothing happens until there is room */
            cr_assert_eq(mx_session_step(&run.session, &in, &run.out), MX_ACTION_OUTPUT);
            cr_assert_eq(in.len, left);
            outputs++;
        }
        for (const char *at = run.out.ptr, *end = at + run.out.len; at < end;) {
            char wanted[64];
            const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
            snprintf(wanted, sizeof wanted, "250 2.6.0 Message received <%04u@x>\r\n", finals);
            finals += strncmp(at, wanted, strlen(wanted)) == 0;
            at = next;
        }
        run.out.len = 0;
        if (action != MX_ACTION_OUTPUT)
            mx_session_resume(&run.session, actions[action].act(&run), &run.out);
    }
    for (const char *at = run.out.ptr, *end = at + run.out.len; at < end; at++)
        finals += *at == '\n';
    cr_expect_eq(finals, (unsigned)RCPTS, "%u", finals);
    cr_expect_gt(outputs, 20U);
    finish(&run);
}

/* ---- no 250 without a commit ---- */

Test(session, resume_decides) {
    static const char *const ways[] = {MR "DATA\r\nx\r\n.\r\nQUIT\r\n",
                                       MR "BDAT 1 LAST\r\nxQUIT\r\n"};
    for (size_t i = 0; i < ROWS(ways) * 4; i++) {
        bool is_good = i % 2 == 0;
        struct mx_session_conf conf = i % 4 < 2 ? base : lmtp();
        struct run run;
        init(&run, &conf, &(struct plan){0});
        struct mx_span in = mx_span_of(ways[i / 4]);
        enum mx_action action;
        while ((action = mx_session_step(&run.session, &in, &run.out)) != MX_ACTION_COMMIT)
            cr_assert(act(&run, action));
        take_replies(&run);
        cr_expect_null(strstr(run.replies, "2.6.0"));
        size_t left = in.len;
        cr_expect_eq(left, 6U); /* nothing is read behind the message */
        cr_expect_eq(run.out.len, 0U);
        run.is_open = false;
        mx_session_resume(&run.session, is_good ? 0 : -EIO, &run.out);
        /* counted before the replies: a client that does not read them changes nothing */
        cr_expect_eq(run.shared.counters.messages, (uint64_t)is_good);
        cr_expect_eq(run.shared.counters.recipients, (uint64_t)is_good);
        cr_expect_eq(run.shared.counters.body_octets > 0, is_good);
        cr_expect_eq(run.shared.counters.messages_refused, (uint64_t)!is_good);
        while (act(&run, mx_session_step(&run.session, &in, &run.out)))
            continue;
        cr_expect_eq(strstr(run.replies, "2.6.0") != NULL, is_good);
        cr_expect_not_null(strstr(run.words, is_good ? "250 221 close" : "451/4.0.0 221 close"));
        finish(&run);
    }
}

Test(session, step_on_a_parked_session_is_a_bug, .signal = SIGABRT) {
    struct run run;
    init(&run, &base, &(struct plan){0});
    struct mx_span in = mx_span_of("MAIL FROM:<a@x.org>\r\n");
    enum mx_action first = mx_session_step(&run.session, &in, &run.out);
    cr_assert_eq(first, MX_ACTION_GROW);
    enum mx_action second = mx_session_step(&run.session, &in, &run.out);
    (void)second;
}

Test(session, resume_without_a_question_is_a_bug, .signal = SIGABRT) {
    struct run run;
    init(&run, &base, &(struct plan){0});
    mx_session_resume(&run.session, 0, &run.out);
}
