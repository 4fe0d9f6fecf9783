#include "engine/policy/digest.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha2.h>

static const uint8_t *octets(struct mx_span text) {
    return (const uint8_t *)text.ptr;
}

void mx_digest_sha256(struct mx_span text, uint8_t out[MX_DIGEST_SHA256]) {
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, text.len, octets(text));
    sha256_digest(&context, MX_DIGEST_SHA256, out);
    explicit_bzero(&context, sizeof context);
}

void mx_digest_hmac_sha256(struct mx_span key, struct mx_span text, uint8_t out[MX_DIGEST_SHA256]) {
    struct hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, key.len, octets(key));
    hmac_sha256_update(&context, text.len, octets(text));
    hmac_sha256_digest(&context, MX_DIGEST_SHA256, out);
    explicit_bzero(&context, sizeof context);
}

void mx_digest_pbkdf2_sha256(struct mx_span password, struct mx_span salt, uint32_t iterations,
                             uint8_t *key, size_t len) {
    pbkdf2_hmac_sha256(password.len, octets(password), iterations, salt.len, octets(salt), len,
                       key);
}

void mx_digest_pbkdf2_sha512(struct mx_span password, struct mx_span salt, uint32_t iterations,
                             uint8_t *key, size_t len) {
    pbkdf2_hmac_sha512(password.len, octets(password), iterations, salt.len, octets(salt), len,
                       key);
}

bool mx_digest_equal(const void *a, const void *b, size_t len) {
    return memeql_sec(a, b, len);
}
