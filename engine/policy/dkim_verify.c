/* Signatures under keys (RFC 8017 8.2.2, RFC 8032 5.1.7), by nettle. */
#include "engine/policy/dkim.h"

#include <nettle/bignum.h>
#include <nettle/eddsa.h>
#include <nettle/rsa.h>

_Static_assert(ED25519_KEY_SIZE == 32 && ED25519_SIGNATURE_SIZE == 64, "RFC 8032");

static bool verify_rsa(const struct mx_dkim_key *key, const uint8_t hash[MX_DKIM_HASH],
                       const uint8_t *signature, size_t signature_len) {
    struct rsa_public_key rsa;
    mpz_t number;
    rsa_public_key_init(&rsa);
    nettle_mpz_set_str_256_u(rsa.n, key->modulus.len, (const uint8_t *)key->modulus.ptr);
    nettle_mpz_set_str_256_u(rsa.e, key->exponent.len, (const uint8_t *)key->exponent.ptr);
    nettle_mpz_init_set_str_256_u(number, signature_len, signature);
    bool is_valid = signature_len == key->modulus.len && rsa_public_key_prepare(&rsa) == 1 &&
                    rsa_sha256_verify_digest(&rsa, hash, number) == 1;
    mpz_clear(number);
    rsa_public_key_clear(&rsa);
    return is_valid;
}

bool mx_dkim_verify(const struct mx_dkim_key *key, const uint8_t hash[MX_DKIM_HASH],
                    const uint8_t *signature, size_t signature_len) {
    if (key->algorithm == MX_DKIM_RSA_SHA256)
        return verify_rsa(key, hash, signature, signature_len);
    return signature_len == ED25519_SIGNATURE_SIZE &&
           ed25519_sha512_verify((const uint8_t *)key->point.ptr, MX_DKIM_HASH, hash, signature) ==
               1;
}
