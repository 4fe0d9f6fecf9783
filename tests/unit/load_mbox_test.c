/* load_mbox_test.c - where a message of an mbox begins and ends, however the reads cut it, and what
 * is quoted in it.
 */
#include "bench/mxload/eml.h"
#include "bench/mxload/mbox.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* texts: the messages, with a bar behind each; "!" for MX_ESYNTAX. */
static const struct {
    const char *name, *in, *texts;
} rows[] = {
    {"empty",                 "",                                                   ""                          },
    {"one",                   "From a b\nA: b\n\nc\n\n",                            "A: b\n\nc\n|"              },
    {"two",                   "From a b\nA: b\n\nc\n\nFrom x\nd\n\n",               "A: b\n\nc\n|d\n|"          },
    {"CRLF",                  "From a\r\nA: b\r\n\r\nc\r\n\r\nFrom x\r\nd\r\n\r\n", "A: b\r\n\r\nc\r\n|d\r\n|"  },
    {"no empty line",         "From a\nb\nFrom c\n",                                "b\nFrom c\n|"              },
    {"no empty line at end",  "From a\nb\n",                                        "b\n|"                      },
    {"no line end at end",    "From a\nb",                                          "b|"                        },
    {"empty message",         "From a\n\nFrom b\n\n",                               "||"                        },
    {"empty line at the end", "From a\nA: b\n\n\n",                                 "A: b\n\n|"                 },
    {"From_ line only",       "From a\n",                                           "|"                         },
    {"From with more",        "From a\nb\n\nFromage\n\nFrom: c\n",                  "b\n\nFromage\n\nFrom: c\n|"},
    {"quotes stay",           "From a\nb\n\n>From c\n",                             "b\n\n>From c\n|"           },
    {"only half a line",      "From a",                                             "!"                         },
    {"a message",             "Subject: x\n\nFrom a\n",                             "!"                         },
    {"empty line first",      "\nFrom a\n",                                         "!"                         },
};

struct feed {
    struct mx_span in;
    size_t step;
    int fd;
};

static void *feed(void *argument) {
    struct feed *self = argument;
    for (struct mx_span rest = self->in; rest.len > 0;) {
        size_t n = self->step < rest.len ? self->step : rest.len;
        cr_assert_eq(write(self->fd, rest.ptr, n), (ssize_t)n);
        rest = mx_span_skip(rest, n);
    }
    close(self->fd);
    return NULL;
}

static void hear(const char *in, size_t step, char *heard, size_t cap) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct feed self = {mx_span_of(in), step, ends[1]};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, feed, &self), 0);
    struct mx_mbox mbox;
    struct mx_span text;
    mx_mbox_init(&mbox, ends[0]);
    int result;
    size_t len = 0;
    heard[0] = '\0';
    while ((result = mx_mbox_new_message(&mbox, &text)) > 0)
        len += (size_t)snprintf(heard + len, cap - len, "%.*s|", (int)text.len, text.ptr);
    if (result == MX_ESYNTAX)
        snprintf(heard + len, cap - len, "!");
    else
        cr_expect_eq(result, 0);
    mx_mbox_free(&mbox);
    pthread_join(thread, NULL);
    close(ends[0]);
}

Test(load_mbox, messages) {
    char heard[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t step = 1; step < 100; step = 3 * step + 1) {
            hear(rows[i].in, step, heard, sizeof heard);
            cr_expect_str_eq(heard, rows[i].texts, "%s, %zu", rows[i].name, step);
        }
    }
}

Test(load_mbox, quotes) {
    static const struct {
        const char *in, *rd, *o;
    } texts[] = {
        {"",                      "",                      ""                     },
        {">From a\n",             "From a\n",              "From a\n"             },
        {">>From a\n>>>From b",   ">From a\n>>From b",     ">>From a\n>>>From b"  },
        {"x\n>From a\r\n>F\n>\n", "x\nFrom a\r\n>F\n>\n",  "x\nFrom a\r\n>F\n>\n" },
        {"x >From a\n>Fromage\n", "x >From a\n>Fromage\n", "x >From a\n>Fromage\n"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int is_single = 0; is_single < 2; is_single++) {
            size_t len = mx_mbox_unquote(mx_span_of(texts[i].in), is_single, out);
            const char *wanted = is_single ? texts[i].o : texts[i].rd;
            cr_expect(mx_span_equal((struct mx_span){out, len}, mx_span_of(wanted)), "%s: %.*s",
                      texts[i].in, (int)len, out);
        }
    }
}

/* Random messages: what was put in comes out, through a buffer that has to move and to grow. */
Test(load_mbox, large_messages) {
    enum { COUNT = 40 };
    static char octets[16 << 20];
    static size_t lens[COUNT];
    struct rng rng = {9};
    size_t len = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        memcpy(octets + len, "From x\n", 7);
        len += 7;
        lens[i] = i % 4 == 0 ? 700000 + rng_take(&rng, 700000) : rng_take(&rng, 300);
        for (size_t k = 0; k < lens[i]; k++)
            octets[len++] = k + 1 == lens[i] || rng_take(&rng, 3) == 0 ? '\n' : 'a';
        octets[len++] = '\n';
    }
    FILE *file = tmpfile();
    cr_assert_eq(fwrite(octets, 1, len, file), len);
    rewind(file);
    struct mx_mbox mbox;
    struct mx_span text;
    mx_mbox_init(&mbox, fileno(file));
    size_t at = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert_eq(mx_mbox_new_message(&mbox, &text), 1);
        cr_assert_eq(text.len, lens[i], "%u", i);
        cr_expect(memcmp(text.ptr, octets + at + 7, lens[i]) == 0, "%u", i);
        at += 7 + lens[i] + 1;
    }
    cr_expect_eq(mx_mbox_new_message(&mbox, &text), 0);
    mx_mbox_free(&mbox);
    (void)fclose(file);
}

static void store(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* What is sent: unquoted, CRLF, dots doubled for DATA only. */
Test(load_mbox, messages_to_send) {
    char path[] = "/tmp/load_mbox_test.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    store(path, "From a\nA: b\n.C: d\n\n>From c\n.\n>>From d\n\nFrom e\nno headers\n\n");
    for (int is_stuffed = 0; is_stuffed < 2; is_stuffed++) {
        struct mx_eml *emls;
        cr_assert_eq(mx_eml_new_mbox(path, is_stuffed, &emls), 2);
        const char *wanted = is_stuffed ? "A: b\r\n..C: d\r\n\r\nFrom c\r\n..\r\n>From d\r\n"
                                        : "A: b\r\n.C: d\r\n\r\nFrom c\r\n.\r\n>From d\r\n";
        cr_expect(mx_span_equal(emls[0].text, mx_span_of(wanted)), "%.*s", (int)emls[0].text.len,
                  emls[0].text.ptr);
        cr_expect(mx_span_equal(emls[0].headers, MX_SPAN("A: b\r\n.C: d\r\n")));
        cr_expect_eq(emls[0].content_octets, strlen(wanted) - (is_stuffed ? 2 : 0));
        cr_expect(mx_span_equal(emls[1].text, MX_SPAN("no headers\r\n\r\n")));
        mx_eml_free(emls, 2);
    }
    struct mx_eml *none;
    store(path, "");
    cr_expect_eq(mx_eml_new_mbox(path, true, &none), -ENOENT);
    store(path, "Subject: x\n\n");
    cr_expect_eq(mx_eml_new_mbox(path, true, &none), MX_ESYNTAX);
    unlink(path);
    cr_expect_eq(mx_eml_new_mbox(path, true, &none), -ENOENT);
    cr_expect_null(none);
}
