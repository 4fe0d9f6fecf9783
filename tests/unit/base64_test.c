/* Goal: RFC 4648 both ways, and every wrong text is refused.
 * Method: the RFC's vectors; all lengths with random octets there and back, at a page nobody can
 * touch; a table of wrong texts. */
#include "proto/base64.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static const struct {
    const char *octets, *text;
} vectors[] = {
    {"",       ""        },
    {"f",      "Zg=="    },
    {"fo",     "Zm8="    },
    {"foo",    "Zm9v"    },
    {"foob",   "Zm9vYg=="},
    {"fooba",  "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

Test(base64, rfc_4648_vectors) {
    for (size_t i = 0; i < ROWS(vectors); i++) {
        char out[32];
        size_t len = 99, unpadded = strlen(vectors[i].text);
        struct mx_span octets = mx_span_of(vectors[i].octets), text = mx_span_of(vectors[i].text);
        cr_expect_eq(mx_base64_encode(octets, out), text.len);
        cr_expect_eq(memcmp(out, text.ptr, text.len), 0, "%s", text.ptr);
        cr_expect_eq(mx_base64_decode(text, out, sizeof out, &len), 0);
        cr_expect(mx_span_equal((struct mx_span){out, len}, octets), "%s", text.ptr);
        while (unpadded > 0 && text.ptr[unpadded - 1] == '=')
            unpadded--;
        cr_expect_eq(mx_base64_decode((struct mx_span){text.ptr, unpadded}, out, octets.len, &len),
                     0);
        cr_expect(mx_span_equal((struct mx_span){out, len}, octets), "without padding");
    }
}

Test(base64, wrong_texts) {
    static const char *const wrong[] = {
        "Z",    "Zg=",   "Z===",     "=",     "==",       "====",  "Zg==Zg==", "Zm9=v",
        "Zm9 ", " Zm9v", "Zm9v\r\n", "Zm-_",  "Zm9v====", "Zm9v=", "Zm9vYg=",  "\xc3\xa9\x80\x7f",
        "Zg=a", "Zm9vZ", "*",        "Zm8==",
    };
    for (size_t i = 0; i < ROWS(wrong); i++) {
        char out[32];
        size_t len = 99;
        cr_expect_eq(mx_base64_decode(mx_span_of(wrong[i]), out, sizeof out, &len), MX_ESYNTAX,
                     "'%s'", wrong[i]);
        cr_expect_eq(len, 99);
    }
}

Test(base64, room) {
    char out[6];
    size_t len = 0;
    cr_expect_eq(mx_base64_decode(MX_SPAN("Zm9vYmFy"), out, 6, &len), 0);
    cr_expect_eq(mx_base64_decode(MX_SPAN("Zm9vYmFy"), out, 5, &len), MX_ENOROOM);
    cr_expect_eq(mx_base64_decode(MX_SPAN("Zm9vYmE="), out, 5, &len), 0);
    cr_expect_eq(mx_base64_decode(MX_SPAN("Zm9vYmE"), out, 4, &len), MX_ENOROOM);
}

Test(base64, there_and_back) {
    struct guard in = guard_map(), out = guard_map();
    struct rng rng = {4711};
    for (size_t len = 0; len < 600; len++) {
        char octets[600];
        size_t back = 0;
        for (size_t i = 0; i < len; i++)
            octets[i] = (char)rng_take(&rng, 256);
        struct mx_span span = guard_put(&in, (struct mx_span){octets, len}, true);
        char *text = out.end - MX_BASE64_LEN(len);
        size_t text_len = mx_base64_encode(span, text);
        cr_assert_eq(text_len, MX_BASE64_LEN(len));
        cr_assert_leq(len, MX_BASE64_OCTETS(text_len));
        /* decoded in its own memory */
        int err = mx_base64_decode((struct mx_span){text, text_len}, text, len, &back);
        cr_assert_eq(err, 0);
        cr_assert(mx_span_equal((struct mx_span){text, back}, (struct mx_span){octets, len}));
    }
}
