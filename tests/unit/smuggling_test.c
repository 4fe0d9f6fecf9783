/* smuggling_test.c - no way to end the data but CRLF.CRLF, and no second message hidden in a first.
 *
 * Each sequence that some server or other takes for the end of data stands between the first
 * message and a whole second transaction; every text is fed whole and cut in two at every octet,
 * through DATA and through BDAT. What is stored is also compared with a naive reading of the
 * stream (recorder.h).
 */
#include "tests/unit/recorder.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define HELLO  "EHLO client.example\r\n"
#define SENDER "MAIL FROM:<attacker@one.example>\r\nRCPT TO:<bob@example.com>\r\n"
#define SECOND                                                                                     \
    "MAIL FROM:<admin@example.com>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nhidden\r\n.\r\n"
#define BODY "Subject: first\r\n\r\nbody"

static const struct mx_session_conf smtp = {
    .proto = MX_PROTO_SMTP,
    .hello_name = MX_SPAN("mx.example"),
    .needs_helo = true,
    .needs_brackets = true,
    .max_line_octets = 8192,
};

/* What must come of a text. */
enum fate {
    CONTENT, /* the sequence and all behind it is content of the one message */
    CLOSES,  /* a bare LF: 500, closed, nothing stored */
    ENDS,    /* the end of data: the second message is a message of its own */
};

static const struct {
    const char *name;
    struct mx_span text;
    enum fate fate;
} endings[] = {
    {"CRLF.CRLF",            MX_SPAN("\r\n.\r\n"),                 ENDS   },
    {"LF.LF",                MX_SPAN("\n.\n"),                     CLOSES },
    {"CRLF.LF",              MX_SPAN("\r\n.\n"),                   CLOSES },
    {"LF.CRLF",              MX_SPAN("\n.\r\n"),                   CLOSES },
    {"LF.CR",                MX_SPAN("\n.\r"),                     CLOSES },
    {"CR.LF",                MX_SPAN("\r.\n"),                     CLOSES },
    {"CRLFCRLF.LF",          MX_SPAN("\r\n\r\n.\n"),               CLOSES },
    {"LFLF.LF",              MX_SPAN("\n\n.\n"),                   CLOSES },
    {"LFCR.LFCR",            MX_SPAN("\n\r.\n\r"),                 CLOSES },
    {"CRLF.LFCR",            MX_SPAN("\r\n.\n\r"),                 CLOSES },
    {"CRLF . LF LF",         MX_SPAN("\r\n.\n\n"),                 CLOSES },
    {"CRLF NUL . LF",        MX_SPAN("\r\n\0.\n"),                 CLOSES },
    {"CRLF . NUL LF",        MX_SPAN("\r\n.\0\n"),                 CLOSES },
    {"CR NUL LF . CRLF",     MX_SPAN("\r\0\n.\r\n"),               CLOSES },
    {"LF alone",             MX_SPAN("\n"),                        CLOSES },
    {"CR.CR",                MX_SPAN("\r.\r"),                     CONTENT},
    {"CR.CRLF",              MX_SPAN("\r.\r\n"),                   CONTENT},
    {"CRLF.CR",              MX_SPAN("\r\n.\r"),                   CONTENT},
    {"CRLF . CR CRLF",       MX_SPAN("\r\n.\r\r\n"),               CONTENT},
    {"CRLF . CR CR CRLF",    MX_SPAN("\r\n.\r\r\r\n"),             CONTENT},
    {"CR CRLF",              MX_SPAN("\r\r\n"),                    CONTENT},
    {"CR CR . CRLF",         MX_SPAN("\r\r.\r\n"),                 CONTENT},
    {"CRLF CR . CRLF",       MX_SPAN("\r\n\r.\r\n"),               CONTENT},
    {"CRLF CR . CR",         MX_SPAN("\r\n\r.\r"),                 CONTENT},
    {"CRLF NUL . CRLF",      MX_SPAN("\r\n\0.\r\n"),               CONTENT},
    {"CRLF . NUL CRLF",      MX_SPAN("\r\n.\0\r\n"),               CONTENT},
    {"CRLF . CR NUL CRLF",   MX_SPAN("\r\n.\r\0\r\n"),             CONTENT},
    {"CRLF . . CRLF",        MX_SPAN("\r\n..\r\n"),                CONTENT},
    {"CRLF . space CRLF",    MX_SPAN("\r\n. \r\n"),                CONTENT},
    {"CRLF . tab CRLF",      MX_SPAN("\r\n.\t\r\n"),               CONTENT},
    {"CRLF space . CRLF",    MX_SPAN("\r\n .\r\n"),                CONTENT},
    {"CRLF . VT CRLF",       MX_SPAN("\r\n.\v\r\n"),               CONTENT},
    {"CRLF . FF CRLF",       MX_SPAN("\r\n.\f\r\n"),               CONTENT},
    {"CRLF . DEL CRLF",      MX_SPAN("\r\n.\x7f\r\n"),             CONTENT},
    {"VT . VT",              MX_SPAN("\v.\v"),                     CONTENT},
    {"NEL (8 bit) around",   MX_SPAN("\x85.\x85"),                 CONTENT},
    {"NEL (UTF-8) around",   MX_SPAN("\xc2\x85.\xc2\x85"),         CONTENT},
    {"LS (UTF-8) around",    MX_SPAN("\xe2\x80\xa8.\xe2\x80\xa8"), CONTENT},
    {"fullwidth dot",        MX_SPAN("\r\n\xef\xbc\x8e\r\n"),      CONTENT},
    {"dot with the 8th bit", MX_SPAN("\r\n\xae\r\n"),              CONTENT},
    {"CR LF with 8th bits",  MX_SPAN("\x8d\x8a.\x8d\x8a"),         CONTENT},
    {"backslash n",          MX_SPAN("\\r\\n.\\r\\n"),             CONTENT},
    {"nothing",              MX_SPAN(""),                          CONTENT},
};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* A text under construction. */
struct text {
    char octets[4096];
    size_t len;
};

static void append(struct text *self, struct mx_span part) {
    cr_assert(part.len <= sizeof self->octets - self->len);
    if (part.len > 0)
        memcpy(self->octets + self->len, part.ptr, part.len);
    self->len += part.len;
}

/* Feed the text in two pieces; cut 0: whole. */
static void feed(struct recorder *self, const struct mx_session_conf *conf, const struct text *text,
                 size_t cut) {
    static const struct recorder_plan all_works;
    recorder_init(self, conf, &all_works);
    recorder_greet(self);
    if (cut > 0)
        recorder_feed(self, (struct mx_span){text->octets, cut});
    recorder_feed(self, (struct mx_span){text->octets + cut, text->len - cut});
    recorder_end(self);
}

static bool said(const struct recorder *self, const char *what) {
    return memmem(self->replies, self->replies_len, what, strlen(what)) != NULL;
}

static bool stored(const struct recorder *self, struct mx_span what) {
    return what.len == 0 || memmem(self->ledger, self->ledger_len, what.ptr, what.len) != NULL;
}

/* ---- DATA ---- */

static void expect_fate(const struct recorder *self, size_t row, size_t cut, const char *how) {
    const char *name = endings[row].name;
    switch (endings[row].fate) {
    case CONTENT:
        cr_expect_eq(self->committed, 1, "%s, %s, cut %zu: %u messages", name, how, cut,
                     self->committed);
        /* the follow-up is part of the one message, and nobody answered it */
        cr_expect(stored(self, MX_SPAN("MAIL FROM:<admin@example.com>\r\n")), "%s, %s, cut %zu",
                  name, how, cut);
        cr_expect(!said(self, "admin@example.com"), "%s, %s, cut %zu", name, how, cut);
        cr_expect(!self->is_closed, "%s, %s, cut %zu", name, how, cut);
        break;
    case CLOSES:
        cr_expect_eq(self->committed, 0, "%s, %s, cut %zu: %u messages", name, how, cut,
                     self->committed);
        cr_expect_eq(self->aborted, 1, "%s, %s, cut %zu", name, how, cut);
        cr_expect(self->is_closed, "%s, %s, cut %zu", name, how, cut);
        cr_expect(said(self, "354 Ok Send data ending with <CRLF>.<CRLF>\r\n"
                             "500 5.0.0 line delimiter must be CRLF\r\n"),
                  "%s, %s, cut %zu", name, how, cut);
        cr_expect(!said(self, "admin@example.com"), "%s, %s, cut %zu", name, how, cut);
        break;
    case ENDS:
        cr_expect_eq(self->committed, 2, "%s, %s, cut %zu: %u messages", name, how, cut,
                     self->committed);
        break;
    }
}

static void try_data(size_t row, struct mx_span body, const struct mx_session_conf *conf,
                     const char *how) {
    static struct recorder rec;
    struct text text = {.len = 0};
    append(&text, conf->proto == MX_PROTO_LMTP ? MX_SPAN("LHLO c\r\n") : MX_SPAN(HELLO));
    append(&text, MX_SPAN(SENDER "DATA\r\n"));
    append(&text, body);
    append(&text, endings[row].text);
    append(&text, MX_SPAN(SECOND));
    for (size_t cut = 0; cut < text.len; cut++) {
        feed(&rec, conf, &text, cut);
        expect_fate(&rec, row, cut, how);
    }
}

Test(smuggling, data_ends_with_crlf_dot_crlf_only) {
    for (size_t i = 0; i < ENDINGS; i++)
        try_data(i, MX_SPAN(BODY), &smtp, "in the middle");
}

/* The first octets of the data: a line begins here without a CRLF in front of it. */
Test(smuggling, at_the_begin_of_the_data) {
    for (size_t i = 0; i < ENDINGS; i++)
        try_data(i, MX_SPAN(""), &smtp, "at the begin");
}

Test(smuggling, behind_a_half_seen_end) {
    static const struct mx_span bodies[] = {MX_SPAN("x\r"), MX_SPAN("x\r\n."), MX_SPAN("."),
                                            MX_SPAN("x\r\n.\r")};
    static struct recorder rec;
    for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++) {
        for (size_t i = 0; i < ENDINGS; i++) {
            struct text text = {.len = 0};
            append(&text, MX_SPAN(HELLO SENDER "DATA\r\n"));
            append(&text, bodies[b]);
            append(&text, endings[i].text);
            append(&text, MX_SPAN(SECOND));
            feed(&rec, &smtp, &text, 0);
            uint32_t committed = rec.committed, replies_len = (uint32_t)rec.replies_len;
            /* the naive reading in recorder.h is the measure of what is stored; here, that the
             * cuts do not matter */
            for (size_t cut = 1; cut < text.len; cut++) {
                feed(&rec, &smtp, &text, cut);
                cr_expect_eq(rec.committed, committed, "body %zu, %s, cut %zu", b, endings[i].name,
                             cut);
                cr_expect_eq(rec.replies_len, replies_len, "body %zu, %s, cut %zu", b,
                             endings[i].name, cut);
            }
        }
    }
}

Test(smuggling, lmtp) {
    struct mx_session_conf conf = smtp;
    conf.proto = MX_PROTO_LMTP;
    for (size_t i = 0; i < ENDINGS; i++)
        try_data(i, MX_SPAN(BODY), &conf, "LMTP");
}

/* A sink that takes everything still has one end of data. */
Test(smuggling, sink) {
    struct mx_session_conf conf = smtp;
    conf.accepts_all = true;
    for (size_t i = 0; i < ENDINGS; i++)
        try_data(i, MX_SPAN(BODY), &conf, "sink");
}

/* Content that will be refused is still content. */
Test(smuggling, in_a_message_that_is_too_large) {
    static struct recorder rec;
    struct mx_session_conf conf = smtp;
    conf.max_message_octets = 10;
    for (size_t i = 0; i < ENDINGS; i++) {
        if (endings[i].fate == ENDS)
            continue;
        struct text text = {.len = 0};
        append(&text, MX_SPAN(HELLO SENDER "DATA\r\n" BODY BODY));
        append(&text, endings[i].text);
        append(&text, MX_SPAN(SECOND));
        for (size_t cut = 0; cut < text.len; cut++) {
            feed(&rec, &conf, &text, cut);
            cr_expect_eq(rec.committed, 0, "%s, cut %zu", endings[i].name, cut);
            cr_expect(!said(&rec, "admin@example.com"), "%s, cut %zu", endings[i].name, cut);
        }
    }
}

/* ---- BDAT (RFC 3030) ---- */

static void put_chunk(struct text *to, struct mx_span chunk, const char *last) {
    char line[64];
    int len = snprintf(line, sizeof line, "BDAT %zu%s\r\n", chunk.len, last);
    append(to, (struct mx_span){line, (size_t)len});
    append(to, chunk);
}

/* Inside a chunk nothing ends anything. */
Test(smuggling, bdat_content_is_opaque) {
    static struct recorder rec;
    for (size_t i = 0; i < ENDINGS; i++) {
        struct text text = {.len = 0}, chunk = {.len = 0};
        append(&chunk, MX_SPAN(BODY));
        append(&chunk, endings[i].text);
        append(&chunk, MX_SPAN(SECOND "BDAT 3 LAST\r\nQUIT\r\n"));
        append(&text, MX_SPAN(HELLO SENDER));
        put_chunk(&text, (struct mx_span){chunk.octets, chunk.len}, " LAST");
        append(&text, MX_SPAN("NOOP\r\n"));
        for (size_t cut = 0; cut < text.len; cut++) {
            feed(&rec, &smtp, &text, cut);
            cr_expect_eq(rec.committed, 1, "%s, cut %zu", endings[i].name, cut);
            cr_expect(stored(&rec, (struct mx_span){chunk.octets, chunk.len}), "%s, cut %zu",
                      endings[i].name, cut);
            cr_expect(!said(&rec, "admin@example.com") && !rec.is_closed, "%s, cut %zu",
                      endings[i].name, cut);
        }
    }
}

/* The sequence may also lie across the border of two chunks. */
Test(smuggling, bdat_border_of_chunks) {
    static struct recorder rec;
    for (size_t i = 0; i < ENDINGS; i++) {
        for (size_t at = 0; at <= endings[i].text.len; at++) {
            struct text text = {.len = 0};
            struct mx_span all = endings[i].text;
            append(&text, MX_SPAN(HELLO SENDER));
            put_chunk(&text, (struct mx_span){all.ptr, at}, "");
            put_chunk(&text, mx_span_skip(all, at), "");
            put_chunk(&text, MX_SPAN(SECOND), " LAST");
            for (size_t cut = 0; cut < text.len; cut++) {
                feed(&rec, &smtp, &text, cut);
                cr_expect_eq(rec.committed, 1, "%s, border %zu, cut %zu", endings[i].name, at, cut);
                cr_expect(!said(&rec, "admin@example.com"), "%s, border %zu, cut %zu",
                          endings[i].name, at, cut);
            }
        }
    }
}

/* Octets of a chunk that is refused are not commands either. */
Test(smuggling, bdat_refused_chunks_are_skipped) {
    static const struct {
        const char *name, *before;
    } cases[] = {
        {"no sender",       HELLO                                },
        {"no recipient",    HELLO "MAIL FROM:<a@one.example>\r\n"},
        {"before the HELO", ""                                   },
        {"after a RSET",    HELLO SENDER "BDAT 2\r\nabRSET\r\n"  },
        {"after a message", HELLO SENDER "BDAT 2 LAST\r\nab"     },
    };
    static struct recorder rec;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text = {.len = 0};
        append(&text, mx_span_of(cases[i].before));
        put_chunk(&text, MX_SPAN("\r\nEHLO hidden.example\r\n" SENDER SECOND), " LAST");
        append(&text, MX_SPAN("NOOP\r\n"));
        uint32_t before = i == 4;
        for (size_t cut = 0; cut < text.len; cut++) {
            feed(&rec, &smtp, &text, cut);
            cr_expect_eq(rec.committed, before, "%s, cut %zu: %u", cases[i].name, cut,
                         rec.committed);
            cr_expect(!said(&rec, "admin@example.com") && !said(&rec, "hidden.example"),
                      "%s, cut %zu", cases[i].name, cut);
            cr_expect(said(&rec, "503 5.5.0 "), "%s, cut %zu", cases[i].name, cut);
        }
    }
}

/* Nobody knows how many octets follow: the connection closes, and nothing behind it is read. */
Test(smuggling, bdat_malformed_closes) {
    static const char *const lines[] = {
        "BDAT",
        "BDAT ",
        "BDAT x",
        "BDAT -1",
        "BDAT +1",
        "BDAT 0x10",
        "BDAT 1 LAST 2",
        "BDAT 1 LOST",
        "BDAT 1,2",
        "BDAT 1.0",
        "BDAT 1 LAST=1",
        "BDAT =1",
        "BDAT LAST",
        "BDAT LAST 1",
        "BDAT 1LAST",
        "BDAT 99999999999999999999999999",
        "BDAT 18446744073709551616",
    };
    static struct recorder rec;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct text text = {.len = 0};
        append(&text, MX_SPAN(HELLO SENDER));
        append(&text, mx_span_of(lines[i]));
        append(&text, MX_SPAN("\r\nRSET\r\n" SECOND));
        for (size_t cut = 0; cut < text.len; cut++) {
            feed(&rec, &smtp, &text, cut);
            cr_expect(rec.is_closed && rec.committed == 0, "%s, cut %zu", lines[i], cut);
            cr_expect(said(&rec, "501 5.5.4 Usage: BDAT <size> [LAST]\r\n"), "%s, cut %zu",
                      lines[i], cut);
            cr_expect(!said(&rec, "admin@example.com"), "%s, cut %zu", lines[i], cut);
        }
    }
}

/* How many of the cuts leave the session open or store something. */
static size_t count_open(const struct mx_session_conf *conf, const struct text *text) {
    static struct recorder rec;
    size_t open_count = 0;
    for (size_t cut = 0; cut < text->len; cut++) {
        feed(&rec, conf, text, cut);
        open_count += !rec.is_closed || rec.committed > 0 || said(&rec, "admin@example.com");
    }
    return open_count;
}

/* A BDAT line that is refused unread leaves as many unknown octets behind. */
Test(smuggling, bdat_in_a_bare_lf_line_closes) {
    struct mx_session_conf conf = smtp;
    conf.refuses_bare_lf_commands = true;
    struct text text = {.len = 0};
    append(&text, MX_SPAN(HELLO SENDER "BDAT 100 LAST\n"
                                       "RSET\r\n" SECOND));
    cr_expect_eq(count_open(&conf, &text), 0);
}

/* How much of a long line is seen at once depends on the cuts; what becomes of it may not. */
Test(smuggling, bdat_in_an_overlong_line_closes) {
    static const struct {
        const char *before, *after; /* 120 spaces between */
        uint32_t hidden_features;
        bool closes;
    } lines[] = {
        {"BDAT 100", "LAST",     0,                   true },
        {"bdat",     "100",      0,                   true },
        {"",         "BDAT 100", 0,                   true },
        {"\t\r",     "BDAT 100", 0,                   true },
        {"",         "NOOP",     0,                   true },
        {"NOOP",     "BDAT 100", 0,                   false},
        {"BDA",      "T 100",    0,                   false},
        {"BDAT 100", "LAST",     MX_FEATURE_CHUNKING, false},
    };
    struct mx_session_conf conf = smtp;
    conf.max_line_octets = 100;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        conf.hidden_features = lines[i].hidden_features;
        struct text text = {.len = 0};
        append(&text, MX_SPAN(HELLO SENDER));
        append(&text, mx_span_of(lines[i].before));
        for (int n = 0; n < 120; n++)
            append(&text, MX_SPAN(" "));
        append(&text, mx_span_of(lines[i].after));
        append(&text, MX_SPAN("\r\nRSET\r\n" SECOND));
        size_t open_count = count_open(&conf, &text);
        cr_expect_eq(open_count, lines[i].closes ? 0 : text.len, "%s...%s: open at %zu of %zu cuts",
                     lines[i].before, lines[i].after, open_count, text.len);
    }
}

/* "BDAT\t6" is no command, but a client that takes it for one sends a chunk. */
Test(smuggling, bdat_without_a_space_closes) {
    static const struct {
        struct mx_span line;
        uint32_t hidden_features;
        bool closes;
    } lines[] = {
        {MX_SPAN("BDAT\t100 LAST"),    0,                   true },
        {MX_SPAN("bDaT\t100"),         0,                   true },
        {MX_SPAN(" \tBDAT\t100 LAST"), 0,                   true },
        {MX_SPAN("BDAT\r100"),         0,                   true },
        {MX_SPAN("BDAT\0"
                 "100"),
         0,                                                 true },
        {MX_SPAN("BDAT\x1f"
                 "100"),
         0,                                                 true },
        {MX_SPAN("BDAT100"),           0,                   false},
        {MX_SPAN("XBDAT\t100"),        0,                   false},
        {MX_SPAN("BDAT\t100 LAST"),    MX_FEATURE_CHUNKING, false},
    };
    struct mx_session_conf conf = smtp;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        conf.hidden_features = lines[i].hidden_features;
        struct text text = {.len = 0};
        append(&text, MX_SPAN(HELLO SENDER));
        append(&text, lines[i].line);
        append(&text, MX_SPAN("\r\nRSET\r\n" SECOND));
        size_t open_count = count_open(&conf, &text);
        cr_expect_eq(open_count, lines[i].closes ? 0 : text.len, "%s: open at %zu of %zu cuts",
                     lines[i].line.ptr, open_count, text.len);
    }
}

/* A refused DATA is followed by commands, never by content; the client sees it before it sends. */
Test(smuggling, refused_data_is_no_data) {
    static struct recorder rec;
    struct text text = {.len = 0};
    append(&text, MX_SPAN(HELLO "MAIL FROM:<a@one.example>\r\nDATA\r\nRCPT TO:<bob@example.com>\r\n"
                                "DATA\r\nbody\r\n.\r\n"));
    for (size_t cut = 0; cut < text.len; cut++) {
        feed(&rec, &smtp, &text, cut);
        cr_expect_eq(rec.committed, 1, "cut %zu", cut);
        cr_expect(said(&rec, "503 5.5.0 No recipients specified\r\n"), "cut %zu", cut);
    }
}
