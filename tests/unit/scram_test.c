/* Goal: the cryptography of SCRAM-SHA-256.
 * Method: the exchange of RFC 7677 section 3, changed in single bits. */
#include "engine/policy/scram.h"
#include "proto/base64.h"

#include <criterion/criterion.h>

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static const struct mx_span auth_message =
    MX_SPAN("n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
            "c=biws,r=" NONCE);

static void decode(struct mx_span text, void *octets, size_t len) {
    size_t got = 0;
    int err = mx_base64_decode(text, octets, len, &got);
    cr_assert_eq(err, 0);
    cr_assert_eq(got, len);
}

static struct mx_scram_keys keys_of(struct mx_span password, uint32_t iterations) {
    struct mx_scram_keys keys;
    char salt[16];
    decode(MX_SPAN("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt);
    mx_scram_derive(password, (struct mx_span){salt, sizeof salt}, iterations, &keys);
    return keys;
}

Test(scram, rfc_7677_exchange) {
    struct mx_scram_keys keys = keys_of(MX_SPAN("pencil"), 4096);
    uint8_t proof[MX_DIGEST_SHA256], wanted[MX_DIGEST_SHA256], signature[MX_DIGEST_SHA256];
    decode(MX_SPAN("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), proof, sizeof proof);
    decode(MX_SPAN("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), wanted, sizeof wanted);
    cr_expect(mx_scram_is_proof(&keys, auth_message, proof));
    mx_scram_sign(&keys, auth_message, signature);
    cr_expect_arr_eq(signature, wanted, sizeof wanted);
    for (size_t bit = 0; bit < 8 * sizeof proof; bit++) {
        proof[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect_not(mx_scram_is_proof(&keys, auth_message, proof), "bit %zu", bit);
        proof[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    struct mx_span shorter = {auth_message.ptr, auth_message.len - 1};
    cr_expect_not(mx_scram_is_proof(&keys, shorter, proof));
}

Test(scram, other_passwords_have_other_keys) {
    struct mx_scram_keys right = keys_of(MX_SPAN("pencil"), 4096);
    struct mx_scram_keys others[] = {keys_of(MX_SPAN("pencil"), 4095),
                                     keys_of(MX_SPAN("Pencil"), 4096),
                                     keys_of(MX_SPAN("pencil "), 4096)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_expect_not(mx_digest_equal(others[i].stored, right.stored, sizeof right.stored));
        cr_expect_not(mx_digest_equal(others[i].server, right.server, sizeof right.server));
    }
}
