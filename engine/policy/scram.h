/* scram.h - the cryptography of SCRAM-SHA-256. RFC 5802 3, RFC 7677. Pure: no I/O, no clock, no
 * allocation.
 */
#pragma once
#include "engine/policy/digest.h"

struct mx_scram_keys {
    uint8_t stored[MX_DIGEST_SHA256]; /* StoredKey: the client's proof is checked with it */
    uint8_t server[MX_DIGEST_SHA256]; /* ServerKey: the server's signature is made with it */
};

/* The keys of a password. Costs `iterations` times 0.12 us. */
void mx_scram_derive(struct mx_span password, struct mx_span salt, uint32_t iterations,
                     struct mx_scram_keys *keys);

/* Does the ClientProof belong to this StoredKey and AuthMessage? */
bool mx_scram_is_proof(const struct mx_scram_keys *keys, struct mx_span auth_message,
                       const uint8_t proof[MX_DIGEST_SHA256]);

/* ServerSignature. */
void mx_scram_sign(const struct mx_scram_keys *keys, struct mx_span auth_message,
                   uint8_t signature[MX_DIGEST_SHA256]);
