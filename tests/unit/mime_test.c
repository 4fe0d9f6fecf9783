/* mime_test.c - what a reader sees of the parts of a message: in a table, the text cut at every two
 * octets.
 */
#include "proto/mime.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

struct gathered {
    size_t len;
    char text[1024];
};

static void gather(void *context, struct mx_span piece) {
    struct gathered *self = context;
    cr_assert_leq(self->len + piece.len, sizeof self->text);
    memcpy(self->text + self->len, piece.ptr, piece.len);
    self->len += piece.len;
}

static const struct mime_case {
    const char *name, *in, *out;
    enum mx_mime_encoding encoding;
} cases[] = {
    {"nothing",                            "",                                                        "",                        MX_MIME_AS_IT_IS},
    {"as it is",                           "a=41\r\n-b\r\n- -\r\n",                                   "a=41\r\n-b\r\n- -\r\n",   MX_MIME_AS_IT_IS},
    {"base64",                             "aHR0cDov\r\nL2EuYg==\r\n",                                "http://a.b",              MX_MIME_BASE64  },
    {"base64 in odd lines",                "aH\r\nR 0 cDo\tv\r\nL2!EuYg",                             "http://a.b",              MX_MIME_BASE64  },
    {"base64 that begins anew",            "YQ==\r\nYg==\r\n",                                        "ab",                      MX_MIME_BASE64  },
    {"quoted",                             "a=3Db =\r\n=2E=2e\r\n",                                   "a=b ..\r\n",              MX_MIME_QUOTED  },
    {"a soft end with blanks",             "a= \t\r\nb",                                              "ab",                      MX_MIME_QUOTED  },
    {"no codes",                           "a=zb=4zc==41",                                            "a=zb=4zc=A",              MX_MIME_QUOTED  },
    {"parts",
     "--x\r\nContent-Type: text/plain\r\ncontent-transfer-encoding : Base64 ; a=b\r\n\r\n"
     "aHR0\r\ncDovL2EuYg==\r\n--x\r\nContent-Transfer-Encoding:\r\n\tquoted-printable\r\n\r\n"
     "=41\r\n--x--\r\n",                                                                              "-x\r\nContent-Type: text/plain\r\ncontent-transfer-encoding : Base64 ; a=b\r\n\r\n"
     "http://a.b-x\r\nContent-Transfer-Encoding:\r\n\tquoted-printable\r\n\r\nA\r\n-x--\r\n",            MX_MIME_AS_IT_IS},
    {"a part without encoding behind one", "--x\r\nContent-Type: a/b\r\n\r\n=41\r\n",
     "-x\r\nContent-Type: a/b\r\n\r\n=41\r\n",                                                                                   MX_MIME_QUOTED  },
    {"a signature is no border",           "=41\r\n-- \r\nJoe =42\r\n--\r\nat: =43\r\n\r\n=43",
     "A\r\n- \r\nJoe B\r\n-\r\nat: =43\r\n\r\n=43",                                                                              MX_MIME_QUOTED  },
    {"a part without a header",            "YQ\r\n--x\r\n\r\nYQ==",                                   "a-x\r\n\r\nYQ==",         MX_MIME_BASE64  },
    {"a CR that is no line end",           "YQ==\r\n--x\r\n\rYg==",                                   "a-x\r\nb",                MX_MIME_BASE64  },
    {"base64 goes on",                     "YQ==\r\n--x\r\nYg==\r\n",                                 "a-x\r\nb",                MX_MIME_BASE64  },
    {"a message in a message",
     "--x\r\nContent-Type: Message/RFC822; a\r\n\r\nSubject: s\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\naHR0cDovL2EuYg==\r\n",                                 "-x\r\nContent-Type: Message/RFC822; a\r\n\r\nSubject: s\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\nhttp://a.b", MX_MIME_AS_IT_IS},
    {"line ends without CR",               "--x\nContent-Transfer-Encoding: base64\n\nYWI=\n--x--\n",
     "-x\nContent-Transfer-Encoding: base64\n\nab-x--\n",                                                                        MX_MIME_AS_IT_IS},
};

Test(mime, what_a_reader_sees) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mime_case *row = &cases[i];
        struct mx_span text = mx_span_of(row->in);
        size_t wrong = 0;
        for (size_t cut = 0; cut <= text.len * (text.len + 1); cut++) {
            size_t first = cut / (text.len + 1), second = cut % (text.len + 1);
            if (second < first)
                continue;
            struct mx_mime mime = {.encoding = (uint8_t)row->encoding};
            struct gathered got = {.len = 0};
            struct mx_mime_out out = {gather, &got};
            mx_mime_put(&mime, guard_copy((struct mx_span){text.ptr, first}), &out);
            mx_mime_put(&mime, (struct mx_span){text.ptr + first, second - first}, &out);
            mx_mime_put(&mime, mx_span_skip(text, second), &out);
            wrong += !mx_span_equal((struct mx_span){got.text, got.len}, mx_span_of(row->out));
        }
        cr_expect_eq(wrong, 0U, "%s: %zu cuts", row->name, wrong);
    }
}

Test(mime, encodings) {
    static const struct {
        const char *value;
        enum mx_mime_encoding encoding;
    } rows[] = {
        {" BASE64",                   MX_MIME_BASE64  },
        {"base64;x=y",                MX_MIME_BASE64  },
        {"base64 (comment)",          MX_MIME_BASE64  },
        {"\r\n quoted-Printable\r\n", MX_MIME_QUOTED  },
        {"7bit",                      MX_MIME_AS_IT_IS},
        {"base64x",                   MX_MIME_AS_IT_IS},
        {"",                          MX_MIME_AS_IT_IS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(mx_mime_encoding_of(mx_span_of(rows[i].value)), rows[i].encoding, "%s",
                     rows[i].value);
}
