/* from_test.c - From and Sender fields of a header. Each header is scanned whole, cut in two at
 * every octet and octet by octet, ending at an unreadable page; each list of addresses is taken
 * apart.
 */
#include "proto/from.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct header {
    const char *name, *in;
    bool has_from, has_sender, is_over;
    const char *text;
};

static const struct header headers[] = {
    {"nothing",               "",                                         0, 0, 0, ""               },
    {"no header",             "\r\nFrom: a@b\r\n",                        0, 0, 1, ""               },
    {"no header, LF",         "\nFrom: a@b\n",                            0, 0, 1, ""               },
    {"another field",         "To: a@b\r\n\r\n",                          0, 0, 1, ""               },
    {"from",                  "From: a@b\r\n\r\n",                        1, 0, 1, " a@b"           },
    {"from, LF",              "From: a@b\n\n",                            1, 0, 1, " a@b"           },
    {"from, no end",          "From: a@b",                                1, 0, 0, " a@b"           },
    {"nothing in it",         "From:\r\n\r\n",                            1, 0, 1, ""               },
    {"any case",              "fROM:a@b\r\n",                             1, 0, 0, "a@b"            },
    {"blanks behind a name",  "From \t :a@b\r\n",                         1, 0, 0, "a@b"            },
    {"a blank before a name", "X: y\r\n From: a@b\r\n",                   0, 0, 0, ""               },
    {"first line continues",  " From: a@b\r\n\r\n",                       0, 0, 1, ""               },
    {"folded",                "From: a\r\n\t<a@b>,\r\n c@d\r\nTo: x\r\n", 1, 0, 0, " a\t<a@b>, c@d,"},
    {"longer name",           "Fromm: a@b\r\nFro: a@b\r\nFr\r\n",         0, 0, 0, ""               },
    {"no colon",              "From a@b Mon\r\nFrom\r\nFrom \r\n",        0, 0, 0, ""               },
    {"sender",                "Sender: a@b\r\n",                          0, 1, 0, " a@b"           },
    {"other with s",          "Subject: x\r\nSender-X: a\r\nS: b\r\n",    0, 0, 0, ""               },
    {"sender, then from",     "Sender: a@b\r\nFrom: c@d\r\n",             1, 1, 0, " c@d"           },
    {"from, then sender",     "From: c@d\r\nSender: a@b\r\n e@f\r\n",     1, 1, 0, " c@d,"          },
    {"two from",              "From: a@b\r\nX: y\r\nFrom: c@d\r\n",       1, 0, 0, " a@b, c@d"      },
    {"two sender",            "Sender: a@b\r\nSender: c@d\r\n",           0, 1, 0, " a@b, c@d"      },
    {"behind the header",     "X: y\r\n\r\nFrom: a@b\r\n",                0, 0, 1, ""               },
    {"CR begins a line",      "\rFrom: a@b\r\nFrom: c@d\r\n",             1, 0, 0, " c@d"           },
    {"CR within",             "From: a\r@b\r\r\n",                        1, 0, 0, " a@b"           },
    {"NUL and 8-bit",         "\x80: y\r\nFrom: \xc3\xa4@b\r\n",          1, 0, 0, " \xc3\xa4@b"    },
};

static struct mx_from *from_new(bool keeps_text) {
    struct mx_from *self = calloc(1, sizeof *self + (keeps_text ? MX_FROM_TEXT_MAX : 0));
    cr_assert_not_null(self);
    self->keeps_text = keeps_text;
    return self;
}

static void scan(struct mx_from *self, struct mx_span text, size_t begin, size_t end) {
    mx_from_scan(self, guard_copy((struct mx_span){text.ptr + begin, end - begin}));
}

static void expect_header(const struct header *row, const struct mx_from *self) {
    cr_expect_eq(self->has_from, row->has_from, "%s", row->name);
    cr_expect_eq(self->has_sender, row->has_sender, "%s", row->name);
    cr_expect_eq(self->is_over, row->is_over, "%s", row->name);
    cr_expect(mx_span_equal(mx_from_text(self), mx_span_of(row->text)), "%s: '%.*s'", row->name,
              (int)self->text_len, self->text);
    cr_expect_not(self->is_cut, "%s", row->name);
}

Test(from, scan) {
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct mx_span in = mx_span_of(headers[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            struct mx_from *self = from_new(true);
            scan(self, in, 0, cut);
            scan(self, in, cut, in.len);
            expect_header(&headers[i], self);
            free(self);
        }
        struct mx_from *self = from_new(true);
        for (size_t at = 0; at < in.len; at++)
            scan(self, in, at, at + 1);
        expect_header(&headers[i], self);
        free(self);
    }
}

/* Without text the first From or Sender is enough. */
Test(from, scan_without_text) {
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct mx_from *self = from_new(false);
        const struct header *row = &headers[i];
        scan(self, mx_span_of(row->in), 0, strlen(row->in));
        cr_expect_eq(self->has_from || self->has_sender, row->has_from || row->has_sender, "%s",
                     row->name);
        cr_expect_eq(self->is_over, row->is_over || row->has_from || row->has_sender, "%s",
                     row->name);
        cr_expect_eq(self->text_len, 0U, "%s", row->name);
        free(self);
    }
}

Test(from, long_values_are_cut) {
    for (size_t len = MX_FROM_TEXT_MAX - 1; len <= MX_FROM_TEXT_MAX + 1; len++) {
        struct mx_from *self = from_new(true);
        mx_from_scan(self, MX_SPAN("Sender:"));
        for (size_t i = 0; i < len; i++)
            mx_from_scan(self, MX_SPAN("x"));
        cr_expect_eq(self->is_cut, len > MX_FROM_TEXT_MAX);
        cr_expect_eq(self->text_len, len < MX_FROM_TEXT_MAX ? len : MX_FROM_TEXT_MAX);
        mx_from_scan(self, MX_SPAN("\r\nFrom:a@b"));
        cr_expect_not(self->is_cut);
        cr_expect(mx_span_equal(mx_from_text(self), MX_SPAN("a@b")));
        free(self);
    }
}

/* Notation: (address) one that was taken, ! a mistake, which ends the list. */
static const struct {
    const char *name, *in, *found;
} lists[] = {
    {"nothing",              "",                                    ""                           },
    {"blanks and commas",    " , ,\t;",                             ""                           },
    {"a comment",            "(nobody (at all) \\) )",              ""                           },
    {"address",              "a@b.c",                               "(a@b.c)"                    },
    {"two",                  "a@b.c, d@e.f",                        "(a@b.c)(d@e.f)"             },
    {"empty ones between",   ",a@b.c,,d@e.f,",                      "(a@b.c)(d@e.f)"             },
    {"brackets",             "<a@b.c>",                             "(a@b.c)"                    },
    {"name",                 "Any Body <a@b.c>",                    "(a@b.c)"                    },
    {"name in quotes",       "\"Body, Any <x@y>; \\\" \" <a@b.c>",  "(a@b.c)"                    },
    {"name with dots",       "Any B. Body <a@b.c>",                 "(a@b.c)"                    },
    {"name is an address",   "x@y.z <a@b.c>",                       "(a@b.c)"                    },
    {"name is 8-bit",        "M\xfcller <a@b.c>",                   "(a@b.c)"                    },
    {"encoded name",         "=?utf-8?q?a=40b?= <a@b.c>",           "(a@b.c)"                    },
    {"comments",             "(x) a (y) @ (z) b (<q@r>, ) . c (w)", "(a@b.c)"                    },
    {"comment in brackets",  "<(x)a@b.c(y)> (z)",                   "(a@b.c)"                    },
    {"case stays",           "A@B.c",                               "(A@B.c)"                    },
    {"group",                "us: a@b.c, D <d@e.f>;, g@h.i",        "(a@b.c)(d@e.f)(g@h.i)"      },
    {"empty group",          "undisclosed:;",                       ""                           },
    {"route",                "<@x.y,@z.w:a@b.c>",                   "(a@b.c)"                    },
    {"quoted local part",    "\"a b\"@c.d, \"e,@<\"@f.g",           "(\"a b\"@c.d)(\"e,@<\"@f.g)"},
    {"literal",              "a@[192.0.2.1]",                       "(a@192.0.2.1)"              },
    {"utf-8",                "\xc3\xa4@b.c",                        "(\xc3\xa4@b.c)"             },
    {"no domain",            "a@b.c, bob",                          "(a@b.c)!"                   },
    {"two words",            "any body@b.c",                        "!"                          },
    {"two words, comment",   "any(x)body@b.c",                      "!"                          },
    {"two addresses",        "<a@b.c> <d@e.f>",                     "!"                          },
    {"behind the brackets",  "<a@b.c> x",                           "!"                          },
    {"brackets in brackets", "<<a@b.c>>",                           "!"                          },
    {"empty brackets",       "a@b.c <>",                            "!"                          },
    {"brackets not closed",  "<a@b.c",                              "!"                          },
    {"brackets not opened",  "a@b.c>",                              "!"                          },
    {"bracket alone",        ">",                                   "!"                          },
    {"quotes not closed",    "\"a@b.c",                             "!"                          },
    {"comment not closed",   "a@b.c (d",                            "!"                          },
    {"comment alone, open",  "(d",                                  "!"                          },
    {"literal not closed",   "a@[192.0.2.1",                        "!"                          },
    {"no local part",        "@b.c",                                "!"                          },
    {"two ats",              "a@b@c.d",                             "!"                          },
    {"comma in brackets",    "<a@b.c, d@e.f>",                      "!"                          },
    {"control octet",        "a\001@b.c",                           "!"                          },
};

Test(from, take) {
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct mx_span list = guard_copy(mx_span_of(lists[i].in)), address;
        char found[256] = "", room[MX_FROM_ADDRESS_MAX];
        int err;
        while ((err = mx_from_take(&list, room, &address)) == 0) {
            size_t used = strlen(found);
            snprintf(found + used, sizeof found - used, "(%.*s)", (int)address.len, address.ptr);
        }
        if (err == MX_ESYNTAX)
            strncat(found, "!", sizeof found - strlen(found) - 1);
        else
            cr_expect_eq(err, MX_EPARTIAL, "%s", lists[i].name);
        cr_expect_str_eq(found, lists[i].found, "%s: %s", lists[i].name, found);
    }
}

/* A name before the brackets may be of any length, an address may not. */
Test(from, take_long) {
    char text[2 * MX_FROM_ADDRESS_MAX + 16], room[MX_FROM_ADDRESS_MAX];
    struct mx_span address, list = {text, MX_FROM_ADDRESS_MAX};
    memset(text, 'x', sizeof text);
    memcpy(text + MX_FROM_ADDRESS_MAX - 4, "@b.c", 4);
    cr_expect_eq(mx_from_take(&list, room, &address), 0);
    cr_expect_eq(address.len, MX_FROM_ADDRESS_MAX);
    list = (struct mx_span){text, MX_FROM_ADDRESS_MAX + 1};
    cr_expect_eq(mx_from_take(&list, room, &address), MX_ESYNTAX);
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 7, "<a@b.c>", 7);
    list = (struct mx_span){text, sizeof text};
    cr_expect_eq(mx_from_take(&list, room, &address), 0);
    cr_expect(mx_span_equal(address, MX_SPAN("a@b.c")));
}
