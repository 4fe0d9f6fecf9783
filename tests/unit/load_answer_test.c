/* load_answer_test.c - replies as a client reads them: each row whole, octet by octet and cut in
 * two everywhere.
 */
#include "bench/mxload/answer.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct {
    const char *name, *in, *heard; /* "code text|" of each reply, or the error */
} rows[] = {
    {"one line",          "250 ok\r\n",                          "250 250 ok|"                   },
    {"no text",           "354\r\n",                             "354 354|"                      },
    {"code and space",    "354 \r\n",                            "354 354 |"                     },
    {"bare LF",           "250 ok\n",                            "250 250 ok|"                   },
    {"several lines",     "250-a\r\n250-SIZE 1\r\n250 b\r\n",    "250 250 b|"                    },
    {"pipelined",         "250 a\r\n550 b\r\n354 c\r\n",         "250 250 a|550 550 b|354 354 c|"},
    {"lines then single", "250-a\r\n250 b\r\n421 4.3.2 end\r\n", "250 250 b|421 421 4.3.2 end|"  },
    {"not complete",      "250 a\r\n25",                         "250 250 a|"                    },
    {"no code",           "hello\r\n",                           "syntax"                        },
    {"too low",           "150 x\r\n",                           "syntax"                        },
    {"too high",          "600 x\r\n",                           "syntax"                        },
    {"empty line",        "\r\n",                                "syntax"                        },
    {"two digits",        "25\r\n",                              "syntax"                        },
    {"no separator",      "250ok\r\n",                           "syntax"                        },
};

/* What is heard of the octets, given in pieces of [0, cut) and then `step` each. */
static void hear(struct mx_span in, size_t cut, size_t step, char out[512]) {
    struct mx_answer answer = {0};
    size_t len = 0;
    out[0] = '\0';
    while (in.len > 0) {
        size_t n = cut > 0 ? cut : step;
        struct mx_span piece = {in.ptr, n < in.len ? n : in.len}, text;
        in = mx_span_skip(in, piece.len);
        cut = 0;
        int code;
        while ((code = mx_answer_take(&answer, &piece, &text)) > 0)
            len +=
                (size_t)snprintf(out + len, 512 - len, "%d %.*s|", code, (int)text.len, text.ptr);
        if (code != MX_EPARTIAL) {
            snprintf(out + len, 512 - len, "%s", code == MX_ESYNTAX ? "syntax" : "limit");
            return;
        }
        cr_assert_eq(piece.len, 0U);
    }
}

Test(load_answer, cuts_do_not_matter) {
    char heard[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mx_span in = mx_span_of(rows[i].in);
        for (size_t cut = 0; cut < in.len; cut++) {
            hear(in, cut, cut == 0 ? 1 : in.len, heard);
            cr_expect_str_eq(heard, rows[i].heard, "%s, cut at %zu", rows[i].name, cut);
        }
        hear(in, 0, in.len, heard);
        cr_expect_str_eq(heard, rows[i].heard, "%s", rows[i].name);
    }
}

Test(load_answer, long_lines) {
    static char line[MX_ANSWER_LINE_MAX + 2];
    memset(line, 'x', sizeof line);
    memcpy(line, "250 ", 4);
    for (size_t step = 1; step < 4000; step = step * 5 + 1) {
        struct mx_answer answer = {0};
        struct mx_span text, end = MX_SPAN("\r\n");
        for (size_t at = 0; at + step <= 60000; at += step) {
            struct mx_span in = {line + at, step};
            cr_assert_eq(mx_answer_take(&answer, &in, &text), MX_EPARTIAL);
        }
        cr_expect_eq(mx_answer_take(&answer, &end, &text), 250);
        cr_expect_eq(text.len, (size_t)MX_ANSWER_TEXT);
    }
    struct mx_answer answer = {0};
    struct mx_span text, in = {line, sizeof line};
    cr_expect_eq(mx_answer_take(&answer, &in, &text), MX_ELIMIT, "a line without an end");
}
