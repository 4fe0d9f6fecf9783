/* dot_test.c - the DATA scanner. Goal: only CRLF.CRLF ends the data, the content comes out as it
 * was before dot-stuffing, and all variants do exactly the same. Method: every call of every test
 * goes through scan_all(), which runs all variants on it and compares slices, position, state and
 * flags; the outcome is compared with tables and with naive(), which knows the whole text and
 * nothing of states. The input always ends or begins at memory that cannot be read.
 */
#include "proto/dot.h"
#include "proto/scan.h"
#include "tests/unit/dot_naive.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

enum { RANDOM_INPUTS = 300000, SLICES_MAX = 256 };

static struct guard area;

static void map_area(void) {
    area = guard_map();
}

TestSuite(dot, .init = map_area);

/* ---- the scanner under test: all variants at once ---- */

static bool same_dot(const struct mx_dot *a, const struct mx_dot *b) {
    return a->at == b->at && a->has_bare_cr == b->has_bare_cr && a->has_nul == b->has_nul &&
           a->has_8bit == b->has_8bit;
}

/* An mx_dot_scan_fn: the scalar reference, after a check that all others agree with it. */
static enum mx_dot_result scan_all(struct mx_dot *dot, struct mx_span *in, struct mx_span *slices,
                                   size_t *count) {
    const struct mx_dot dot_before = *dot;
    const struct mx_span in_before = *in;
    const size_t cap = *count;
    enum mx_dot_result result = mx_dot_scan_variant(MX_ISA_SCALAR)(dot, in, slices, count);
    for (int isa = 1; isa <= MX_ISA_COUNT; isa++) {
        mx_dot_scan_fn *scan = isa < MX_ISA_COUNT ? mx_dot_scan_variant(isa) : mx_dot_scan;
        if (scan == NULL)
            continue;
        struct mx_dot other_dot = dot_before;
        struct mx_span other_in = in_before, other_slices[SLICES_MAX];
        size_t other_count = cap;
        enum mx_dot_result other = scan(&other_dot, &other_in, other_slices, &other_count);
        bool is_same = other == result && other_count == *count && other_in.ptr == in->ptr &&
                       other_in.len == in->len && same_dot(&other_dot, dot);
        for (size_t i = 0; i < other_count && is_same; i++)
            is_same = slices[i].ptr == other_slices[i].ptr && slices[i].len == other_slices[i].len;
        if (!is_same)
            cr_assert(false, "%s differs: result %d/%d, slices %zu/%zu, left %zu/%zu, at %d/%d",
                      mx_isa_name((enum mx_isa)isa), other, result, other_count, *count,
                      other_in.len, in->len, other_dot.at, dot->at);
    }
    return result;
}

static void take_slices(struct outcome *self, const struct mx_span *slices, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (slices[i].len == 0)
            cr_assert(false, "empty slice");
        if (i > 0 && slices[i - 1].ptr + slices[i - 1].len == slices[i].ptr)
            cr_assert(false, "adjacent content in two slices");
        if (slices[i].len > TEXT_MAX - self->len)
            cr_assert(false, "more content than input");
        memcpy(self->content + self->len, slices[i].ptr, slices[i].len);
        self->len += slices[i].len;
    }
}

/* Scan one buffer; caps NULL: room for all slices, else 4..8 at random. */
static void scan_piece(struct outcome *self, struct mx_dot *dot, struct mx_span piece,
                       struct rng *caps) {
    struct mx_span in = piece, slices[SLICES_MAX];
    do {
        size_t count = caps != NULL ? MX_DOT_SLICES_MIN + rng_take(caps, 5) : SLICES_MAX;
        size_t left = in.len;
        self->result = scan_all(dot, &in, slices, &count);
        if (in.ptr + in.len != piece.ptr + piece.len || in.len > left)
            cr_assert(false, "the input moved to nowhere");
        if (self->result == MX_DOT_FULL && (count == 0 || in.len == left || in.len == 0))
            cr_assert(false, "full without progress");
        if (self->result == MX_DOT_MORE && in.len != 0)
            cr_assert(false, "more wanted, but %zu octets left", in.len);
        take_slices(self, slices, count);
    } while (self->result == MX_DOT_FULL);
    self->consumed += piece.len - in.len;
}

/* Scan text in pieces that end at cuts (ascending) and at its end. */
static void scan_text(struct outcome *self, struct mx_span text, const size_t *cuts,
                      size_t cut_count, struct rng *caps) {
    struct mx_dot dot;
    mx_dot_init(&dot);
    self->len = self->consumed = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= cut_count; i++) {
        size_t end = i < cut_count ? cuts[i] : text.len;
        struct mx_span piece = {text.ptr + begin, end - begin};
        scan_piece(self, &dot, guard_put(&area, piece, (text.len + i) % 2 == 0), caps);
        if (self->result != MX_DOT_MORE)
            break;
        begin = end;
    }
    self->has_bare_cr = dot.has_bare_cr;
    self->has_nul = dot.has_nul;
    self->has_8bit = dot.has_8bit;
}

/* ---- comparing ---- */

static bool same_outcome(const struct outcome *a, const struct outcome *b) {
    return a->result == b->result && a->consumed == b->consumed && a->len == b->len &&
           memcmp(a->content, b->content, a->len) == 0 && a->has_bare_cr == b->has_bare_cr &&
           a->has_nul == b->has_nul && a->has_8bit == b->has_8bit;
}

static void must_equal(const char *name, struct mx_span text, const struct outcome *got,
                       const struct outcome *want) {
    if (same_outcome(got, want))
        return;
    char shown[4 * TEXT_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (size_t)snprintf(shown + n, sizeof shown - n, "%02x ", (unsigned char)text.ptr[i]);
    shown[n] = 0;
    cr_assert(false,
              "%s: result %d/%d consumed %zu/%zu content %zu/%zu cr %d/%d nul %d/%d 8bit %d/%d: %s",
              name, got->result, want->result, got->consumed, want->consumed, got->len, want->len,
              got->has_bare_cr, want->has_bare_cr, got->has_nul, want->has_nul, got->has_8bit,
              want->has_8bit, shown);
}

/* Whole, cut at every octet, octet by octet. */
static void check_all_cuts(const char *name, struct mx_span text, const struct outcome *want) {
    static size_t every[TEXT_MAX];
    struct outcome got;
    scan_text(&got, text, NULL, 0, NULL);
    must_equal(name, text, &got, want);
    for (size_t cut = 0; cut <= text.len; cut++) {
        scan_text(&got, text, &cut, 1, NULL);
        must_equal(name, text, &got, want);
        every[cut] = cut;
    }
    scan_text(&got, text, every, text.len, NULL);
    must_equal(name, text, &got, want);
}

#define T(literal)                                                                                 \
    { literal, sizeof(literal) - 1 }
#define X16     "xxxxxxxxxxxxxxxx"
#define X64     X62 "xx"
#define X62     X16 X16 X16 "xxxxxxxxxxxxxx"
#define MORE    MX_DOT_MORE
#define END     MX_DOT_END
#define BARE_LF MX_DOT_BARE_LF
enum { CR = 1, NUL = 2, HIGH = 4, ALL = 7 };

static const struct {
    const char *name;
    struct mx_span in;
    enum mx_dot_result result;
    struct mx_span content;
    size_t consumed; /* octets */
    unsigned flags;
} cases[] = {
    {"nothing",              T(""),                     MORE,    T(""),               0,   0   },
    {"empty message",        T(".\r\n"),                END,     T(""),               3,   0   },
    {"one line",             T("a\r\n.\r\n"),           END,     T("a\r\n"),          6,   0   },
    {"empty lines",          T("\r\n\r\n.\r\n"),        END,     T("\r\n\r\n"),       7,   0   },
    {"pipelined text",       T("a\r\n.\r\nX\r\n.\r\n"), END,     T("a\r\n"),          6,   0   },
    {"no flags behind",      T("a\r\n.\r\n\0\x80\rx"),  END,     T("a\r\n"),          6,   0   },
    {"stuffed dot",          T("..\r\n.\r\n"),          END,     T(".\r\n"),          7,   0   },
    {"dot of another line",  T(".a\r\n..b\r\n.\r\n"),   END,     T("a\r\n.b\r\n"),    12,  0   },
    {"only one dot goes",    T("...\r\n.\r\n"),         END,     T("..\r\n"),         8,   0   },
    {"dots inside",          T("a.\r\nb..c\r\n.\r\n"),  END,     T("a.\r\nb..c\r\n"), 13,  0   },
    {"dot space",            T(". \r\n.\r\n"),          END,     T(" \r\n"),          7,   0   },
    {"bare CR",              T("a\rb\r\n.\r\n"),        END,     T("a\rb\r\n"),       8,   CR  },
    {"CR CR LF ends a line", T("a\r\r\n.\r\n"),         END,     T("a\r\r\n"),        7,   CR  },
    {"dot CR CR LF",         T(".\r\r\n.\r\n"),         END,     T("\r\r\n"),         7,   CR  },
    {"dot CR x",             T(".\rx\r\n.\r\n"),        END,     T("\rx\r\n"),        8,   CR  },
    {"dot CR dot",           T(".\r.\r\n.\r\n"),        END,     T("\r.\r\n"),        8,   CR  },
    {"dot dot CR x",         T("..\rx"),                MORE,    T(".\rx"),           4,   CR  },
    {"CR at the end",        T("a\r"),                  MORE,    T("a\r"),            2,   0   },
    {"dot at the end",       T("a\r\n."),               MORE,    T("a\r\n"),          4,   0   },
    {"dot CR at the end",    T("a\r\n.\r"),             MORE,    T("a\r\n"),          5,   0   },
    {"NUL",                  T("a\0b\r\n.\r\n"),        END,     T("a\0b\r\n"),       8,   NUL },
    {"8 bit",                T("\xff\r\n.\r\n"),        END,     T("\xff\r\n"),       6,   HIGH},
    {"DEL is 7 bit",         T("\x7f\r\n.\r\n"),        END,     T("\x7f\r\n"),       6,   0   },
    {"lowest of 8 bit",      T("\x80\r\n.\r\n"),        END,     T("\x80\r\n"),       6,   HIGH},
    {"NUL behind a dot",     T(".\0\r\n.\r\n"),         END,     T("\0\r\n"),         7,   NUL },
    {"bare LF",              T("ab\nc"),                BARE_LF, T("ab"),             3,   0   },
    {"bare LF first",        T("\n"),                   BARE_LF, T(""),               1,   0   },
    {"LF behind CRLF",       T("a\r\n\n"),              BARE_LF, T("a\r\n"),          4,   0   },
    {"dot LF",               T("a\r\n.\n"),             BARE_LF, T("a\r\n"),          5,   0   },
    {"behind a bare LF",     T("a\n\0\x80"),            BARE_LF, T("a"),              2,   0   },
    {"0x8a, 0x8d are text",  T("\x8d\x8a."),            MORE,    T("\x8d\x8a."),      3,   HIGH},
    {"end over an edge",     T(X62 "\r\n.\r\n"),        END,     T(X62 "\r\n"),       67,  0   },
    {"dot before the edge",  T(X64 X62 "x\r\n.\r\nx"),  END,     T(X64 X62 "x\r\n"),  132, 0   },
    {"LF behind the edge",   T(X62 "x\r\n.\r\n"),       END,     T(X62 "x\r\n"),      68,  0   },
    {"stuffed at the edge",  T(X62 "\r\n..\r\n"),       MORE,    T(X62 "\r\n.\r\n"),  68,  0   },
    {"all flags",            T("\r\0\x80\r\n.\r\n\n"),  END,     T("\r\0\x80\r\n"),   8,   ALL },
};

Test(dot, table) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome want = {.result = cases[i].result,
                               .consumed = cases[i].consumed,
                               .len = cases[i].content.len,
                               .has_bare_cr = (cases[i].flags & CR) != 0,
                               .has_nul = (cases[i].flags & NUL) != 0,
                               .has_8bit = (cases[i].flags & HIGH) != 0};
        memcpy(want.content, cases[i].content.ptr, want.len);
        check_all_cuts(cases[i].name, cases[i].in, &want);
        struct outcome defined;
        naive(&defined, cases[i].in);
        must_equal(cases[i].name, cases[i].in, &defined, &want);
    }
}

/* What other servers have taken for an end of data. Each stands inside a message. */
static const struct {
    const char *name;
    struct mx_span in;
} smuggling[] = {
    {"LF . LF",              T("\n.\n")            },
    {"LF . CRLF",            T("\n.\r\n")          },
    {"CRLF . LF",            T("\r\n.\n")          },
    {"CR . CR",              T("\r.\r")            },
    {"CR . CRLF",            T("\r.\r\n")          },
    {"CRLF . CR",            T("\r\n.\r")          },
    {"CR . LF",              T("\r.\n")            },
    {"LF . CR",              T("\n.\r")            },
    {"CRLF . CR CR LF",      T("\r\n.\r\r\n")      },
    {"LF CR . CRLF",         T("\n\r.\r\n")        },
    {"CRLF CR . CRLF",       T("\r\n\r.\r\n")      },
    {"CRLF LF . CRLF",       T("\r\n\n.\r\n")      },
    {"CRLF . LF CR",         T("\r\n.\n\r")        },
    {"CR NUL LF . CRLF",     T("\r\0\n.\r\n")      },
    {"CRLF NUL . CRLF",      T("\r\n\0.\r\n")      },
    {"CRLF . NUL CRLF",      T("\r\n.\0\r\n")      },
    {"CRLF . CR NUL LF",     T("\r\n.\r\0\n")      },
    {"CRLF . CRLF, 8th bit", T("\r\n\xae\r\n")     },
    {"CRLF . 8-bit CRLF",    T("\r\n.\x8d\x8a")    },
    {"CRLF space . CRLF",    T("\r\n .\r\n")       },
    {"CRLF . space CRLF",    T("\r\n. \r\n")       },
    {"CRLF .. CRLF",         T("\r\n..\r\n")       },
    {"dot CRLF inside",      T("x.\r\n")           },
    {"VT for LF",            T("\r\v.\r\v")        },
    {"NEL",                  T("\xc2\x85.\xc2\x85")},
};

Test(dot, smuggled_ends_are_none) {
    for (size_t i = 0; i < sizeof smuggling / sizeof *smuggling; i++) {
        char text[64] = "body";
        size_t len = 4;
        memcpy(text + len, smuggling[i].in.ptr, smuggling[i].in.len);
        len += smuggling[i].in.len;
        memcpy(text + len, "MAIL FROM:<a@b>", 15);
        struct mx_span whole = {text, len + 15};
        struct outcome want;
        naive(&want, whole);
        cr_expect(want.result == MORE || want.result == BARE_LF, "%s", smuggling[i].name);
        check_all_cuts(smuggling[i].name, whole, &want);
    }
    struct outcome real;
    scan_text(&real, MX_SPAN("body\r\n.\r\nMAIL FROM:<a@b>"), NULL, 0, NULL);
    cr_expect_eq(real.result, END, "the real one must be found by the same means");
}

static void check_texts_of(unsigned octets, size_t place) {
    static const char alphabet[] = {'\r', '\n', '.', 'a'};
    char text[80];
    memset(text, 'b', sizeof text);
    for (unsigned code = 0; code < 1u << (2 * octets); code++) {
        for (unsigned i = 0; i < octets; i++)
            text[place + i] = alphabet[code >> (2 * i) & 3];
        struct outcome got, want;
        struct mx_span whole = {text, place + octets};
        naive(&want, whole);
        scan_text(&got, whole, NULL, 0, NULL);
        must_equal("short text", whole, &got, &want);
    }
}

/* All texts of up to 7 octets of the alphabet, alone and over the edge of a block. */
Test(dot, all_short_texts) {
    static const size_t places[] = {0, 58, 61};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (unsigned octets = 0; octets <= 7; octets++)
            check_texts_of(octets, places[i]);
    }
}

/* ---- random ---- */

struct alphabet {
    uint32_t count;
    struct mx_span tokens[16];
};

static const struct alphabet alphabets[] = {
    {6,  {T("\r"), T("\n"), T("."), T("a"), T("\0"), T("\x80")}                                 },
    {10,
     {T("\r\n"), T("."), T("\r\n."), T("\r"), T("a"), T("\r\n..\r\n"), T(".\r"), T("\0"), T("\xff"),
      T("bc")}                                                                                  },
    {8,  {T("\r\n"), T("\r\n.."), T("it"), T(X16), T(X62), T("\r\n.x"), T("\r\n\r\n"), T("a.b")}},
    {9,
     {T("\r\n."), T(X16), T("text"), T("\r\n"), T("\r"), T(X62), T("\xc3\xa4"), T("\0"),
      T("\r\r\n.\r")}                                                                           },
};

static struct mx_span random_text(struct rng *rng, char *text, size_t cap) {
    const struct alphabet *set = &alphabets[rng_take(rng, sizeof alphabets / sizeof *alphabets)];
    size_t len = 0;
    for (uint32_t tokens = rng_take(rng, 1u << (2 + rng_take(rng, 5))); tokens > 0; tokens--) {
        struct mx_span token = set->tokens[rng_take(rng, set->count)];
        if (token.len > cap - len)
            break;
        memcpy(text + len, token.ptr, token.len);
        len += token.len;
    }
    if (cap - len >= 8 && rng_take(rng, 4) == 0) {
        memcpy(text + len, "\r\n.\r\n\0\xee\r", 8);
        len += rng_take(rng, 9);
    }
    return (struct mx_span){text, len};
}

Test(dot, random_equals_definition) {
    struct rng rng = {5321};
    char text[1024];
    for (int i = 0; i < RANDOM_INPUTS; i++) {
        struct mx_span whole = random_text(&rng, text, sizeof text);
        size_t cuts[6], cut_count = rng_take(&rng, 7), at = 0;
        for (size_t k = 0; k < cut_count; k++) {
            size_t left = whole.len - at;
            uint32_t step_max = (uint32_t)left + 1;
            if (rng_take(&rng, 2) == 0 && step_max > 5)
                step_max = 5;
            at += rng_take(&rng, step_max);
            cuts[k] = at;
        }
        struct outcome got, want;
        naive(&want, whole);
        scan_text(&got, whole, cuts, cut_count, rng_take(&rng, 4) == 0 ? NULL : &rng);
        must_equal("random", whole, &got, &want);
    }
}

Test(dot, every_length_at_both_edges_of_memory) {
    static char text[400];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len <= sizeof text; len++) {
        for (int is_at_end = 0; is_at_end <= 1; is_at_end++) {
            struct mx_span in = guard_put(&area, (struct mx_span){text, len}, is_at_end);
            const char *begin = in.ptr;
            struct mx_span slices[MX_DOT_SLICES_MIN];
            size_t count = MX_DOT_SLICES_MIN;
            struct mx_dot dot;
            mx_dot_init(&dot);
            if (scan_all(&dot, &in, slices, &count) != MX_DOT_MORE || in.len != 0)
                cr_assert(false, "length %zu", len);
            bool is_whole = count == 1 && slices[0].ptr == begin && slices[0].len == len;
            if (len == 0 ? count != 0 : !is_whole)
                cr_assert(false, "length %zu: plain content must be one slice", len);
        }
    }
}

/* ---- the interface ---- */

Test(dot, null_and_empty_input) {
    struct mx_span in = {NULL, 0}, slices[MX_DOT_SLICES_MIN];
    size_t count = MX_DOT_SLICES_MIN;
    struct mx_dot dot = {.at = MX_DOT_DOTCR, .has_nul = true};
    cr_expect_eq(scan_all(&dot, &in, slices, &count), MX_DOT_MORE);
    cr_expect_eq(count, 0);
    cr_expect_eq(dot.at, MX_DOT_DOTCR);
    cr_expect(dot.has_nul, "flags are never cleared");
}

Test(dot, held_cr_is_a_static_slice) {
    struct mx_dot dot;
    mx_dot_init(&dot);
    struct mx_span in = guard_put(&area, MX_SPAN(".\r"), true), slices[MX_DOT_SLICES_MIN];
    size_t count = MX_DOT_SLICES_MIN;
    cr_expect_eq(scan_all(&dot, &in, slices, &count), MX_DOT_MORE);
    cr_expect_eq(count, 0);
    in = guard_put(&area, MX_SPAN("xy"), true);
    count = MX_DOT_SLICES_MIN;
    cr_expect_eq(scan_all(&dot, &in, slices, &count), MX_DOT_MORE);
    cr_assert_eq(count, 2);
    cr_expect(mx_span_equal(slices[0], MX_SPAN("\r")));
    cr_expect(mx_span_equal(slices[1], MX_SPAN("xy")));
}

/* The slices are full when a dot begins a line: all that can follow it. */
Test(dot, full_at_a_leading_dot) {
    static const struct {
        const char *name;
        struct mx_span rest;
        enum mx_dot_result result;
        size_t left; /* octets */
    } rows[] = {
        {"nothing", T(""),       MORE,        0},
        {"CR",      T("\r"),     MORE,        0},
        {"CRLF",    T("\r\nxx"), END,         2},
        {"LF",      T("\nxx"),   BARE_LF,     2},
        {"dot",     T(".\r\n"),  MX_DOT_FULL, 3},
        {"text",    T("x"),      MX_DOT_FULL, 1},
        {"CR CR",   T("\r\r\n"), MX_DOT_FULL, 3},
        {"CR text", T("\rx"),    MX_DOT_FULL, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32] = "a\r\n.b\r\n.c\r\n.d\r\n.";
        size_t len = strlen(text), count = MX_DOT_SLICES_MIN;
        memcpy(text + len, rows[i].rest.ptr, rows[i].rest.len);
        struct mx_span whole = {text, len + rows[i].rest.len}, slices[MX_DOT_SLICES_MIN];
        struct mx_span in = guard_put(&area, whole, true);
        struct mx_dot dot;
        mx_dot_init(&dot);
        cr_expect_eq(scan_all(&dot, &in, slices, &count), rows[i].result, "%s", rows[i].name);
        cr_expect_eq(in.len, rows[i].left, "%s", rows[i].name);
        cr_expect_eq(count, MX_DOT_SLICES_MIN, "%s", rows[i].name);
        struct outcome got, want;
        struct rng caps = {1};
        naive(&want, whole);
        scan_text(&got, whole, NULL, 0, &caps);
        must_equal(rows[i].name, whole, &got, &want);
    }
}

Test(dot, next_message_needs_no_init) {
    struct mx_dot dot;
    mx_dot_init(&dot);
    struct mx_span in = MX_SPAN("a\r\n.\r\n..b\r\n.\r\n"), slices[MX_DOT_SLICES_MIN];
    size_t count = MX_DOT_SLICES_MIN;
    cr_assert_eq(scan_all(&dot, &in, slices, &count), MX_DOT_END);
    count = MX_DOT_SLICES_MIN;
    cr_expect_eq(scan_all(&dot, &in, slices, &count), MX_DOT_END);
    cr_assert_eq(count, 1);
    cr_expect(mx_span_equal(slices[0], MX_SPAN(".b\r\n")));
    cr_expect_eq(in.len, 0);
}

Test(dot, too_few_slices_is_a_bug, .signal = SIGABRT) {
    struct mx_span in = MX_SPAN("a"), slices[MX_DOT_SLICES_MIN];
    size_t count = MX_DOT_SLICES_MIN - 1;
    struct mx_dot dot;
    mx_dot_init(&dot);
    mx_dot_scan(&dot, &in, slices, &count);
}

Test(dot, variants_of_this_cpu) {
    cr_expect_not_null(mx_dot_scan_variant(MX_ISA_SCALAR));
    cr_expect_not_null(mx_dot_scan_variant((int)mx_isa_best()));
    cr_expect_null(mx_dot_scan_variant(MX_ISA_COUNT));
    cr_expect_null(mx_dot_scan_variant(-1));
}
