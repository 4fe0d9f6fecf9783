/* sasl_fuzz.c - properties of what a client says within AUTH.
 *
 * The text is taken as each kind of message, plainly and from base64. Parts lie inside the text
 * (ASan sees what is read outside). A login has 1..255 octets, none of them NUL. A first message
 * that parses is its header and the rest; written anew from its parts it parses to the same. What a
 * proof is about is the text before its last comma. Base64 that is decoded encodes to the text
 * again, but for padding and unused bits.
 */
#include "proto/base64.h"
#include "proto/sasl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static bool is_inside(struct mx_span part, struct mx_span whole) {
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_plain(struct mx_span text) {
    struct mx_sasl_plain plain;
    if (mx_sasl_plain(text, &plain) < 0)
        return;
    must(is_inside(plain.authz, text) && is_inside(plain.login, text));
    must(is_inside(plain.password, text));
    must(plain.login.len > 0 && plain.login.len <= MX_SASL_LOGIN_MAX);
    must(memchr(plain.login.ptr, '\0', plain.login.len) == NULL);
    must(plain.password.len == 0 || memchr(plain.password.ptr, '\0', plain.password.len) == NULL);
    must(plain.authz.len + plain.login.len + plain.password.len + 3 >= text.len);
}

static size_t put_name(char *to, const char *name, size_t len) {
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != ',' && name[i] != '=') {
            to[at++] = name[i];
            continue;
        }
        memcpy(to + at, name[i] == ',' ? "=2C" : "=3D", 3);
        at += 3;
    }
    return at;
}

static void check_first(struct mx_span text) {
    struct mx_sasl_first first, again;
    char copy[3 * MX_SASL_LOGIN_MAX * 2 + MX_SASL_NONCE_MAX + 20] = "n,";
    size_t len = 2;
    if (mx_sasl_first(text, &first) < 0)
        return;
    must(first.header.ptr == text.ptr && first.header.len + first.bare.len == text.len);
    must(is_inside(first.nonce, first.bare) && first.nonce.len > 0);
    must(first.nonce.len <= MX_SASL_NONCE_MAX &&
         memchr(first.nonce.ptr, ',', first.nonce.len) == NULL);
    must(first.login_len > 0 && memchr(first.login, '\0', first.login_len) == NULL);
    if (first.authz_len > 0) {
        memcpy(copy + len, "a=", 2);
        len += 2 + put_name(copy + len + 2, first.authz, first.authz_len);
    }
    memcpy(copy + len, ",n=", 3);
    len += 3 + put_name(copy + len + 3, first.login, first.login_len);
    memcpy(copy + len, ",r=", 3);
    memcpy(copy + len + 3, first.nonce.ptr, first.nonce.len);
    len += 3 + first.nonce.len;
    must(mx_sasl_first((struct mx_span){copy, len}, &again) == 0);
    must(again.login_len == first.login_len && again.authz_len == first.authz_len);
    must(memcmp(again.login, first.login, first.login_len) == 0);
    must(memcmp(again.authz, first.authz, first.authz_len) == 0);
    must(mx_span_equal(again.nonce, first.nonce));
}

static void check_final(struct mx_span text) {
    struct mx_sasl_final final;
    if (mx_sasl_final(text, &final) < 0)
        return;
    must(final.without_proof.ptr == text.ptr && text.ptr[final.without_proof.len] == ',');
    must(memchr(text.ptr + final.without_proof.len + 1, ',',
                text.len - final.without_proof.len - 1) == NULL);
    must(is_inside(final.binding, final.without_proof));
    must(is_inside(final.nonce, final.without_proof));
}

static void check_all(struct mx_span text) {
    check_plain(text);
    check_first(text);
    check_final(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t max = 4096;
    struct mx_span text = {(const char *)data, size};
    size_t len = 0;
    check_all(text);
    char *octets = malloc(max), *back = malloc(MX_BASE64_LEN(max));
    must(octets != NULL && back != NULL);
    if (mx_base64_decode(text, octets, max, &len) == 0) {
        char *exact = malloc(len > 0 ? len : 1);
        must(exact != NULL);
        memcpy(exact, octets, len);
        check_all((struct mx_span){exact, len});
        must(len <= MX_BASE64_OCTETS(size));
        size_t back_len = mx_base64_encode((struct mx_span){exact, len}, back);
        must(back_len >= size && back_len < size + 3);
        must(memcmp(back, text.ptr, size - size % 4) == 0 || size % 4 == 0);
        free(exact);
    }
    free(octets);
    free(back);
    return 0;
}
