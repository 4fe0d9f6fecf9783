/* line_test.c - the line taker gives the same lines whatever the cuts of the stream.
 *
 * Each case is a stream and the events it must give; it is fed whole, cut in two at every octet,
 * and octet by octet, each time ending at an unreadable page.
 */
#include "proto/line.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

/* Events: "text|" a line, "text~" a line that ended in a bare LF, "!" too long. */
static const struct {
    const char *name;
    uint32_t limit;
    const char *in, *events;
} cases[] = {
    {"nothing",                         8, "",                                     ""         },
    {"no end",                          8, "NOOP",                                 ""         },
    {"CR only",                         8, "NOOP\r",                               ""         },
    {"plain",                           8, "NOOP\r\n",                             "NOOP|"    },
    {"bare LF",                         8, "NOOP\n",                               "NOOP~"    },
    {"empty",                           8, "\r\n",                                 "|"        },
    {"empty, bare LF",                  8, "\n",                                   "~"        },
    {"empty lines",                     8, "\r\n\n\r\n",                           "|~|"      },
    {"several",                         8, "a\r\nbc\r\ndef\r\n",                   "a|bc|def|"},
    {"rest",                            8, "a\r\nb",                               "a|"       },
    {"CR inside",                       8, "a\rb\r\n",                             "a\rb|"    },
    {"CR CR LF",                        8, "a\r\r\n",                              "a\r|"     },
    {"at the limit",                    4, "abcd\r\n",                             "abcd|"    },
    {"at the limit, bare LF",           4, "abcd\n",                               "abcd~"    },
    {"over the limit",                  4, "abcde\r\n",                            "!"        },
    {"over the limit, bare LF",         4, "abcde\n",                              "!"        },
    {"over the limit by a CR",          4, "abcd\r\r\n",                           "!"        },
    {"at the limit with a CR",          4, "abc\r\r\n",                            "abc\r|"   },
    {"over the limit, no end",          4, "abcde",                                "!"        },
    {"undecided",                       4, "abcd\r",                               ""         },
    {"undecided turns out too long",    4, "abcd\rx",                              "!"        },
    {"over the limit, no end but a CR", 4, "abcde\r",                              "!"        },
    {"over the limit by a CR, no end",  4, "abcd\r\r",                             "!"        },
    {"far over the limit",              4, "abcdefghijklmnopqrstuvwxyz\r\nab\r\n", "!ab|"     },
    {"too long twice",                  4, "abcdefgh\r\nijklmnop\r\nab\r\n",       "!!ab|"    },
    {"too long between",                4, "ab\r\nabcdefgh\ncd\n",                 "ab|!cd~"  },
    {"limit 1",                         1, "a\r\nbb\r\n\r\nc\n",                   "a|!|c~"   },
    {"8-bit",                           8, "\xff\x80\r\n",                         "\xff\x80|"},
};

struct feed {
    struct mx_line line;
    struct mx_span stream;
    size_t taken, given; /* offsets in the stream */
    char events[256];
    size_t events_len;
};

static void note(struct feed *feed, const char *text, size_t len, char end) {
    cr_assert(feed->events_len + len + 2 < sizeof feed->events);
    memcpy(feed->events + feed->events_len, text, len);
    feed->events_len += len;
    feed->events[feed->events_len++] = end;
    feed->events[feed->events_len] = '\0';
}

/* Show the stream up to offset `given` to the line taker. */
static void give(struct feed *feed, size_t given) {
    feed->given = given;
    for (;;) {
        struct mx_span in =
            guard_copy((struct mx_span){feed->stream.ptr + feed->taken, given - feed->taken});
        const char *begin = in.ptr, *end = in.ptr + in.len;
        struct mx_span line;
        bool bare_lf;
        int err = mx_line_take(&feed->line, &in, &line, &bare_lf);
        cr_assert(in.ptr + in.len == end, "the end moved");
        feed->taken += (size_t)(in.ptr - begin);
        if (err == MX_EPARTIAL)
            return;
        if (err == MX_ELIMIT)
            note(feed, "", 0, '!');
        else
            note(feed, line.ptr, line.len, bare_lf ? '~' : '|');
    }
}

static struct feed feed_of(const char *in, uint32_t limit) {
    struct feed feed = {.stream = mx_span_of(in)};
    mx_line_init(&feed.line, limit);
    return feed;
}

Test(line, cuts_do_not_matter) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].in);
        for (size_t cut = 0; cut <= len; cut++) {
            struct feed feed = feed_of(cases[i].in, cases[i].limit);
            give(&feed, cut);
            give(&feed, len);
            cr_expect_str_eq(feed.events, cases[i].events, "%s, cut at %zu: %s", cases[i].name, cut,
                             feed.events);
        }
        struct feed feed = feed_of(cases[i].in, cases[i].limit);
        for (size_t at = 0; at <= len; at++)
            give(&feed, at);
        cr_expect_str_eq(feed.events, cases[i].events, "%s, octet by octet: %s", cases[i].name,
                         feed.events);
    }
}

/* The limit is told as soon as it is certain, and the rest is not kept. */
Test(line, limit_is_told_early) {
    struct feed feed = feed_of("abcdefgh", 4);
    give(&feed, 4);
    cr_expect_str_eq(feed.events, "");
    give(&feed, 5);
    cr_expect_str_eq(feed.events, "!");
    cr_expect_eq(feed.taken, 5);
    give(&feed, 8);
    cr_expect_str_eq(feed.events, "!");
    cr_expect_eq(feed.taken, 8, "dropped octets stay in the buffer");
    cr_expect_eq(feed.line.scanned, 0);
}

/* What was scanned is not scanned again: an LF that appears there (which no driver does) stays
 * unseen. */
Test(line, nothing_is_scanned_twice) {
    char text[] = "abcdefgh\r\n";
    struct mx_line self;
    struct mx_span line, in = {text, 6};
    bool bare_lf;
    mx_line_init(&self, 100);
    cr_assert_eq(mx_line_take(&self, &in, &line, &bare_lf), MX_EPARTIAL);
    cr_expect_eq(in.len, 6);
    text[3] = '\n';
    in.len = 8;
    cr_expect_eq(mx_line_take(&self, &in, &line, &bare_lf), MX_EPARTIAL);
    in.len = 10;
    cr_assert_eq(mx_line_take(&self, &in, &line, &bare_lf), 0);
    cr_expect_eq(line.len, 8);
    cr_expect_eq(line.ptr, text);
    cr_expect_not(bare_lf);
}

Test(line, empty_input_without_pointer) {
    struct mx_line self;
    struct mx_span line, in = {NULL, 0};
    bool bare_lf;
    mx_line_init(&self, 100);
    cr_expect_eq(mx_line_take(&self, &in, &line, &bare_lf), MX_EPARTIAL);
    self.is_discarding = true;
    cr_expect_eq(mx_line_take(&self, &in, &line, &bare_lf), MX_EPARTIAL);
}

Test(line, longest_limit) {
    enum { LEN = 16000 };
    static char text[LEN + 3];
    memset(text, 'x', LEN);
    memcpy(text + LEN, "\r\n", 3);
    struct mx_line self;
    struct mx_span line, in = guard_copy((struct mx_span){text, LEN + 2});
    bool bare_lf;
    mx_line_init(&self, MX_LINE_MAX);
    cr_assert_eq(mx_line_take(&self, &in, &line, &bare_lf), 0);
    cr_expect_eq(line.len, LEN);
    cr_expect_eq(in.len, 0);
}

static void take_from(struct mx_line self, size_t len) {
    struct mx_span line, in = {"NOOP\r\n", len};
    bool bare_lf;
    cr_expect_eq(mx_line_take(&self, &in, &line, &bare_lf), 0);
}

Test(line, limit_zero_is_a_bug, .signal = SIGABRT) {
    take_from((struct mx_line){.limit = 0}, 6);
}

Test(line, limit_over_the_bound_is_a_bug, .signal = SIGABRT) {
    take_from((struct mx_line){.limit = MX_LINE_MAX + 1}, 6);
}

Test(line, shrinking_input_is_a_bug, .signal = SIGABRT) {
    take_from((struct mx_line){.limit = 100, .scanned = 4}, 3);
}
