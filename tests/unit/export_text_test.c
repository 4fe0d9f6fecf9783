/* export_text_test.c - line ends and quoting of exported mail, whole and cut at every octet and in
 * random pieces, against a naive reference that sees the whole text.
 */
#include "engine/cli/export_text.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { TEXT_MAX = 600 };

static const struct {
    const char *name, *in, *maildir, *mbox;
} cases[] = {
    {"nothing",          "",                "",            ""            },
    {"line",             "a\r\n",           "a\n",         "a\n"         },
    {"no end",           "a",               "a\n",         "a\n"         },
    {"empty lines",      "\r\n\r\n",        "\n\n",        "\n\n"        },
    {"bare CR",          "a\rb\r\n",        "a\rb\n",      "a\rb\n"      },
    {"CR at the end",    "a\r",             "a\r\n",       "a\r\n"       },
    {"two CR",           "a\r\r\n",         "a\r\n",       "a\r\n"       },
    {"bare LF",          "a\nb\r\n",        "a\nb\n",      "a\nb\n"      },
    {"From",             "From x\r\n",      "From x\n",    ">From x\n"   },
    {"From later",       "a\r\nFrom x\r\n", "a\nFrom x\n", "a\n>From x\n"},
    {"quoted already",   ">>From x\r\n",    ">>From x\n",  ">>>From x\n" },
    {"inside a line",    "a From x\r\n",    "a From x\n",  "a From x\n"  },
    {"half",             "From\r\n",        "From\n",      "From\n"      },
    {"half, the end",    "Fro",             "Fro\n",       "Fro\n"       },
    {"quotes, the end",  ">>",              ">>\n",        ">>\n"        },
    {"almost",           "Fro m\r\n",       "Fro m\n",     "Fro m\n"     },
    {"not at the begin", ">F>From \r\n",    ">F>From \n",  ">F>From \n"  },
    {"behind a bare LF", "a\nFrom \r\n",    "a\nFrom \n",  "a\n>From \n" },
    {"behind a bare CR", "a\rFrom \r\n",    "a\rFrom \n",  "a\rFrom \n"  },
};

/* In pieces of the lengths that next gives. */
static char *filter(struct mx_span text, bool is_mbox, struct rng *rng, size_t *len) {
    char *out = NULL;
    FILE *to = open_memstream(&out, len);
    cr_assert_not_null(to);
    struct mx_export_text self = {.to = to, .is_mbox = is_mbox};
    while (text.len > 0) {
        size_t n = rng == NULL ? text.len : 1 + rng_take(rng, 4);
        n = n < text.len ? n : text.len;
        char *piece = malloc(n); /* of its own, so that a sanitizer sees its end */
        memcpy(piece, text.ptr, n);
        mx_export_text_put(&self, (struct mx_span){piece, n});
        free(piece);
        text = mx_span_skip(text, n);
    }
    mx_export_text_end(&self);
    cr_assert_eq(fclose(to), 0);
    return out;
}

static void expect(const char *name, struct mx_span in, bool is_mbox, struct mx_span wanted,
                   struct rng *rng) {
    size_t len;
    char *out = filter(in, is_mbox, rng, &len);
    cr_expect(mx_span_equal((struct mx_span){out, len}, wanted), "%s: '%.*s'", name, (int)len, out);
    free(out);
}

Test(export_text, table) {
    struct rng rng = {17};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_span in = mx_span_of(cases[i].in);
        for (int run = 0; run < 60; run++) {
            struct rng *cuts = run == 0 ? NULL : &rng;
            expect(cases[i].name, in, false, mx_span_of(cases[i].maildir), cuts);
            expect(cases[i].name, in, true, mx_span_of(cases[i].mbox), cuts);
        }
    }
}

/* Line by line, with everything at hand. */
static size_t naive(struct mx_span in, bool is_mbox, char *out) {
    size_t len = 0;
    while (in.len > 0) {
        const char *lf = memchr(in.ptr, '\n', in.len);
        size_t line = lf != NULL ? (size_t)(lf - in.ptr) : in.len, quotes = 0;
        while (quotes < line && in.ptr[quotes] == '>')
            quotes++;
        if (is_mbox && line - quotes >= 5 && memcmp(in.ptr + quotes, "From ", 5) == 0)
            out[len++] = '>';
        size_t kept = lf != NULL && line > 0 && in.ptr[line - 1] == '\r' ? line - 1 : line;
        memcpy(out + len, in.ptr, kept);
        len += kept;
        out[len++] = '\n';
        in = mx_span_skip(in, lf != NULL ? line + 1 : line);
    }
    return len;
}

Test(export_text, random_texts) {
    static const char *const words[] = {"\r\n", "\n", "\r", ">", "From ",
                                        "F",    "ro", "m ", "x", "From"};
    struct rng rng = {271};
    for (int run = 0; run < 20000; run++) {
        char in[TEXT_MAX], out[2 * TEXT_MAX];
        size_t len = 0;
        for (uint32_t n = rng_take(&rng, 30); n > 0; n--) {
            const char *word = words[rng_take(&rng, sizeof words / sizeof *words)];
            memcpy(in + len, word, strlen(word));
            len += strlen(word);
        }
        struct mx_span text = {in, len};
        bool is_mbox = run % 2 == 0;
        size_t wanted = naive(text, is_mbox, out);
        expect("random", text, is_mbox, (struct mx_span){out, wanted}, run % 3 ? &rng : NULL);
    }
}
