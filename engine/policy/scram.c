#include "engine/policy/scram.h"

static struct mx_span digest_span(const uint8_t digest[MX_DIGEST_SHA256]) {
    return (struct mx_span){(const char *)digest, MX_DIGEST_SHA256};
}

void mx_scram_derive(struct mx_span password, struct mx_span salt, uint32_t iterations,
                     struct mx_scram_keys *keys) {
    uint8_t salted[MX_DIGEST_SHA256], client[MX_DIGEST_SHA256];
    mx_digest_pbkdf2_sha256(password, salt, iterations, salted, sizeof salted);
    mx_digest_hmac_sha256(digest_span(salted), MX_SPAN("Client Key"), client);
    mx_digest_sha256(digest_span(client), keys->stored);
    mx_digest_hmac_sha256(digest_span(salted), MX_SPAN("Server Key"), keys->server);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client, sizeof client);
}

bool mx_scram_is_proof(const struct mx_scram_keys *keys, struct mx_span auth_message,
                       const uint8_t proof[MX_DIGEST_SHA256]) {
    uint8_t client[MX_DIGEST_SHA256], stored[MX_DIGEST_SHA256];
    mx_digest_hmac_sha256(digest_span(keys->stored), auth_message, client);
    for (size_t i = 0; i < sizeof client; i++)
        client[i] ^= proof[i];
    mx_digest_sha256(digest_span(client), stored);
    bool is_proof = mx_digest_equal(stored, keys->stored, sizeof stored);
    explicit_bzero(client, sizeof client);
    return is_proof;
}

void mx_scram_sign(const struct mx_scram_keys *keys, struct mx_span auth_message,
                   uint8_t signature[MX_DIGEST_SHA256]) {
    mx_digest_hmac_sha256(digest_span(keys->server), auth_message, signature);
}
