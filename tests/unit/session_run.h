/* session_run.h - plays rows of a table against one mx_session and writes down what happens.
 *
 * A run is written down as words: replies by their code ("250", refusals with their enhanced code:
 * "452/4.3.1"), actions by their name (but for GROW). "close!" means that a message is open, which
 * the driver has to forget. "body" words that follow one another count as one.
 */
#pragma once
#include "proto/session.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define MR          "MAIL FROM:<a@x.org>\r\nRCPT TO:<b@x.org>\r\n"
#define MRR         MR "RCPT TO:<c@x.org>\r\n"
#define MESSAGE     MR "DATA\r\nhello\r\n.\r\n"

/* What the driver answers. All zero: everything works. */
struct plan {
    int hook, open, body, commit, tls; /* results */
    unsigned grow_fails_from;          /* this GROW and later ones are refused; 0 = none */
    unsigned body_fails_from;          /* this BODY and later ones get the result; 0 = all */
    int rcpts[4];                      /* results of the recipients, set before COMMIT */
    const char *refusal;               /* of the hook; NULL: it says nothing */
    bool hook_disconnects;
};

struct run {
    struct plan plan;
    struct mx_session session;
    struct mx_session_shared shared;
    struct mx_out out;
    char room[2 * MX_OUT_ROOM_MIN];
    char words[8192], replies[8192];
    size_t words_len, replies_len;
    unsigned grow_count, body_count, abort_count, delay_ms;
    bool is_open, is_closed;
};

static const struct mx_session_conf base = {
    .proto = MX_PROTO_SMTP,
    .hello_name = {"mx.test",     7 },
    .default_domain = {"example.org", 11},
    .max_line_octets = 8192,
};

static inline void put_word(struct run *run, const char *word) {
    if (strcmp(word, "body") == 0 && run->words_len >= 4 &&
        memcmp(run->words + run->words_len - 4, "body", 4) == 0)
        return;
    int len = snprintf(run->words + run->words_len, sizeof run->words - run->words_len, "%s%s",
                       run->words_len > 0 ? " " : "", word);
    cr_assert_lt((size_t)len, sizeof run->words - run->words_len);
    run->words_len += (size_t)len;
}

/* The code of each last line of a reply. */
static inline void take_replies(struct run *run) {
    const char *line = run->out.ptr, *end = line + run->out.len;
    cr_assert_lt(run->replies_len + run->out.len, sizeof run->replies);
    memcpy(run->replies + run->replies_len, line, run->out.len);
    run->replies_len += run->out.len;
    run->out.len = 0;
    while (line < end) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        cr_assert(lf != NULL && lf - line >= 5 && lf[-1] == '\r');
        char word[16] = {0};
        bool has_enhanced = lf - line > 10 && isdigit((unsigned char)line[4]) && line[5] == '.';
        memcpy(word, line, has_enhanced && *line >= '4' ? 9 : 3);
        word[3] = word[4] != '\0' ? '/' : '\0';
        if (line[3] == ' ')
            put_word(run, word);
        line = lf + 1;
    }
}

static inline int do_grow(struct run *run) {
    struct mx_envelope *envelope = &run->session.envelope;
    if (++run->grow_count >= run->plan.grow_fails_from && run->plan.grow_fails_from > 0)
        return -ENOMEM;
    char *block = malloc(run->session.grow_octets);
    cr_assert_not_null(block);
    if (envelope->used > 0)
        memcpy(block, envelope->base, envelope->used);
    free(envelope->base);
    envelope->base = block;
    envelope->cap = run->session.grow_octets;
    return 0;
}

static inline int do_hook(struct run *run) {
    if (run->plan.refusal != NULL)
        run->session.shared->refusal.text = mx_span_of(run->plan.refusal);
    run->session.shared->refusal.is_disconnect = run->plan.hook_disconnects;
    return run->plan.hook;
}

static inline int do_open(struct run *run) {
    cr_assert_not(run->is_open);
    run->is_open = run->plan.open == 0;
    return run->plan.open;
}

static inline int do_body(struct run *run) {
    cr_assert(run->is_open && run->shared.slice_count > 0);
    return ++run->body_count >= run->plan.body_fails_from ? run->plan.body : 0;
}

static inline int do_commit(struct run *run) {
    struct mx_envelope *envelope = &run->session.envelope;
    struct mx_rcpt rcpt;
    uint32_t cursor = envelope->rcpts_at, at = cursor;
    cr_assert(run->is_open);
    run->is_open = false;
    for (unsigned i = 0; i < 4 && mx_envelope_rcpt_next(envelope, &cursor, &rcpt); i++) {
        mx_envelope_rcpt_result(envelope, at, run->plan.rcpts[i]);
        at = cursor;
    }
    return run->plan.commit;
}

static inline int do_abort(struct run *run) {
    cr_assert(run->is_open);
    run->is_open = false;
    run->abort_count++;
    return 0;
}

static inline int do_client(struct run *run) {
    cr_assert_neq(run->session.peer.family, 0);
    return 0;
}

static inline int do_tls(struct run *run) {
    cr_assert_not(run->session.is_tls);
    return run->plan.tls;
}

static inline int do_delay(struct run *run) {
    run->delay_ms += run->session.delay_ms;
    return 0;
}

static const struct {
    const char *name;
    int (*act)(struct run *run);
} actions[] = {
    [MX_ACTION_GROW] = {NULL,     do_grow  },
      [MX_ACTION_HOOK] = {"hook",   do_hook  },
    [MX_ACTION_OPEN] = {"open",   do_open  },
      [MX_ACTION_BODY] = {"body",   do_body  },
    [MX_ACTION_COMMIT] = {"commit", do_commit},
      [MX_ACTION_ABORT] = {"abort",  do_abort },
    [MX_ACTION_CLIENT] = {"client", do_client},
      [MX_ACTION_TLS] = {"tls",    do_tls   },
    [MX_ACTION_DELAY] = {"delay",  do_delay },
      [MX_ACTION_CLOSE] = {"close",  NULL     },
};

/* True: go on stepping. */
static inline bool act(struct run *run, enum mx_action action) {
    take_replies(run);
    if (action == MX_ACTION_INPUT)
        return false;
    if (action == MX_ACTION_OUTPUT)
        return true;
    if (action == MX_ACTION_CLOSE) {
        put_word(run, run->is_open ? "close!" : "close");
        cr_assert_eq(run->is_open, run->session.is_open);
        run->is_closed = true;
        return false;
    }
    cr_assert_not_null(actions[action].act);
    if (actions[action].name != NULL)
        put_word(run, actions[action].name);
    int result = actions[action].act(run);
    mx_session_resume(&run->session, result, &run->out);
    return true;
}

static inline void init(struct run *run, const struct mx_session_conf *conf,
                        const struct plan *plan) {
    memset(run, 0, sizeof *run);
    run->plan = *plan;
    run->out = (struct mx_out){run->room, 0, sizeof run->room};
    run->shared.now_s = 1700000000;
    mx_session_init(&run->session, conf, &run->shared, 1);
}

/* Octets of the stream that the session has not consumed come again, with more behind them. */
static inline void feed(struct run *run, const char *text, size_t step) {
    size_t len = strlen(text), begin = 0;
    for (size_t end = 0; end < len && !run->is_closed;) {
        end = len - end < step ? len : end + step;
        char *copy = malloc(end - begin);
        cr_assert_not_null(copy);
        memcpy(copy, text + begin, end - begin);
        struct mx_span in = {copy, end - begin};
        while (act(run, mx_session_step(&run->session, &in, &run->out)))
            continue;
        begin = end - in.len;
        free(copy);
    }
}

static inline void finish(struct run *run) {
    free(run->session.envelope.base);
}

struct row {
    const char *name;
    struct plan plan;
    const char *in, *words;
};

static inline void play_row(size_t step, const struct mx_session_conf *conf,
                            const struct row *row) {
    struct run run;
    init(&run, conf, &row->plan);
    feed(&run, row->in, step);
    cr_expect_str_eq(run.words, row->words, "%s, in pieces of %zu: %s, not %s", row->name, step,
                     run.words, row->words);
    cr_expect_leq(run.abort_count, 1U, "%s", row->name);
    finish(&run);
}

/* Play each row in pieces of at most this many octets. */
static inline void play_in(size_t step, const struct mx_session_conf *conf, const struct row *rows,
                           size_t count) {
    for (size_t i = 0; i < count; i++)
        play_row(step, conf, &rows[i]);
}

/* The cuts do not matter. */
static inline void play_rows(const struct mx_session_conf *conf, const struct row *rows,
                             size_t count) {
    play_in(1 << 20, conf, rows, count);
    play_in(1, conf, rows, count);
}

static inline struct mx_session_conf lmtp(void) {
    struct mx_session_conf conf = base;
    conf.proto = MX_PROTO_LMTP;
    return conf;
}
