/* dkim_fuzz.c - properties of what is read of a signed mail.
 *
 * The input is a mail; its first octet says where the rest is cut. The canonical form of a body
 * does not depend on cuts, is its own canonical form, and has as many octets as were counted; a
 * signature that is read has a name that can be asked, and a key that is read has numbers of sound
 * sizes; the relaxed form of a field is its own relaxed form.
 */
#include "proto/dkim.h"
#include "proto/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 17 };

struct gathered {
    size_t len;
    char text[ROOM];
};
static struct gathered first, second;

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static void gather(void *context, struct mx_span piece) {
    struct gathered *self = context;
    must(self->len + piece.len <= ROOM);
    memcpy(self->text + self->len, piece.ptr, piece.len);
    self->len += piece.len;
}

static struct mx_span text_of(const struct gathered *self) {
    return (struct mx_span){self->text, self->len};
}

static void put_body(struct mx_span text, size_t step, struct mx_dkim_body body,
                     struct gathered *to) {
    struct mx_dkim_out out = {gather, to};
    to->len = 0;
    while (text.len > 0) {
        size_t len = step < text.len ? step : text.len;
        mx_dkim_body_put(&body, (struct mx_span){text.ptr, len}, &out);
        text = mx_span_skip(text, len);
    }
    mx_dkim_body_end(&body, &out);
    must(body.octets == to->len);
}

static void check_body(struct mx_span text, size_t step) {
    for (unsigned bits = 0; bits < 4; bits++) {
        struct mx_dkim_body body = {
            .is_relaxed = bits & 1, .forces_crlf = bits & 2, .limit = UINT64_MAX};
        put_body(text, text.len + 1, body, &first);
        put_body(text, step, body, &second);
        must(mx_span_equal(text_of(&first), text_of(&second)));
        put_body(text_of(&first), step, body, &second);
        must(mx_span_equal(text_of(&first), text_of(&second)));
    }
}

static void check_field(struct mx_span text) {
    struct mx_dkim_out to_first = {gather, &first}, to_second = {gather, &second};
    first.len = second.len = 0;
    mx_dkim_put_field(text, true, &to_first);
    mx_dkim_put_field(text_of(&first), true, &to_second);
    must(mx_span_equal(text_of(&first), text_of(&second)));
    first.len = second.len = 0;
    if (text.len == 0 || memchr(text.ptr, ':', text.len) == NULL)
        return; /* no field: nobody hands it in */
    mx_dkim_put_signature(text, true, &to_first);
    mx_dkim_put_signature(text, false, &to_second);
    must(first.len <= second.len);
}

static void check_signature(struct mx_span text) {
    struct mx_dkim_signature signature;
    if (mx_dkim_read_signature(&signature, text, 1600000000) != NULL)
        return;
    must(mx_dns_is_name(signature.domain) && mx_dns_is_name(signature.selector));
    must(signature.domain.len + signature.selector.len + 12 <= MX_DNS_NAME_MAX);
    must(signature.from_count > 0 && signature.signature_len > 0);
    must(signature.signature_len <= MX_DKIM_SIGNATURE_MAX);
}

static void check_key(struct mx_span text, enum mx_dkim_algorithm algorithm) {
    struct mx_dkim_key key;
    if (mx_dkim_read_key(&key, text, algorithm) != NULL)
        return;
    if (algorithm == MX_DKIM_ED25519_SHA256) {
        must(key.point.len == 32);
        return;
    }
    must(key.modulus.len >= 128 && key.modulus.len <= 512 && key.modulus.ptr[0] != 0);
    must(key.exponent.len >= 1 && key.exponent.len <= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_span text = {(const char *)data, size};
    if (size == 0 || size > 1 << 14)
        return 0;
    size_t step = data[0] % 32 + 1u;
    check_body(text, step);
    check_field(text);
    check_signature(text);
    check_key(text, MX_DKIM_RSA_SHA256);
    check_key(text, MX_DKIM_ED25519_SHA256);
    return 0;
}
