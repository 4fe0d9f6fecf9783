/* digest.h - the few cryptographic functions that logins need, from nettle. Pure: no I/O, no clock,
 * no allocation.
 */
#pragma once
#include "proto/span.h"

enum { MX_DIGEST_SHA256 = 32 }; /* octets */

void mx_digest_sha256(struct mx_span text, uint8_t out[MX_DIGEST_SHA256]);

/* RFC 2104. */
void mx_digest_hmac_sha256(struct mx_span key, struct mx_span text, uint8_t out[MX_DIGEST_SHA256]);

/* RFC 8018 5.2 with HMAC-SHA-256 and HMAC-SHA-512; len octets of key, iterations >= 1. */
void mx_digest_pbkdf2_sha256(struct mx_span password, struct mx_span salt, uint32_t iterations,
                             uint8_t *key, size_t len);
void mx_digest_pbkdf2_sha512(struct mx_span password, struct mx_span salt, uint32_t iterations,
                             uint8_t *key, size_t len);

/* In a time that depends on len alone. */
bool mx_digest_equal(const void *a, const void *b, size_t len);
