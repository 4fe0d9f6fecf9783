/* password.h - what stands behind the colon in a line of the users file: which hash, and is it one
 * that can be checked at a bounded cost?
 *
 * Nothing is computed here. Pure: no I/O, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum {
    MX_PASSWORD_MAX = 511,       /* octets of a password: what crypt(3) takes */
    MX_PASSWORD_LINE_MAX = 2048, /* octets of a line of the users file */

    /* What one check may cost: about half a second of one core of 2025, or that much memory. */
    MX_PASSWORD_ITERATIONS_MAX = 1000000, /* PBKDF2 and SCRAM */
    MX_PASSWORD_ROUNDS_MAX = 1000000,     /* $5$, $6$ */
    MX_PASSWORD_BCRYPT_COST_MAX = 14,
    MX_PASSWORD_MEMORY_MAX = 64 << 20, /* yescrypt, scrypt; octets */

    MX_PASSWORD_PBKDF2_ITERATIONS = 1000, /* James's defaults */
    MX_PASSWORD_PBKDF2_BITS = 512,
    MX_PASSWORD_PBKDF2_OCTETS_MAX = 512,
    MX_PASSWORD_SALT_MAX = 64,   /* octets of a SCRAM salt, decoded */
    MX_PASSWORD_KEY_OCTETS = 32, /* of StoredKey and ServerKey */
    /* RFC 7677 4: a server SHOULD announce at least so many. */
    MX_PASSWORD_SCRAM_ITERATIONS_MIN = 4096,
};

enum mx_password_kind {
    MX_PASSWORD_CRYPT,  /* crypt(3): yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-2, MD5 */
    MX_PASSWORD_PBKDF2, /* {PBKDF2-SHA512-ITERATIONS-BITS}BASE64, salted with the login */
    MX_PASSWORD_SCRAM,  /* {SCRAM-SHA-256}ITERATIONS:SALT:STOREDKEY:SERVERKEY */
    MX_PASSWORD_PLAIN,  /* {PLAIN}secret */
};

/* One entry, in its text's memory. */
struct mx_password {
    uint8_t kind;          /* enum mx_password_kind */
    uint32_t iterations;   /* PBKDF2, SCRAM */
    uint32_t key_octets;   /* PBKDF2: of the key */
    struct mx_span text;   /* CRYPT: all of it; PBKDF2: the key in base64; PLAIN: the secret */
    struct mx_span salt;   /* SCRAM: in base64 ... */
    struct mx_span stored; /* ... StoredKey ... */
    struct mx_span server; /* ... ServerKey (RFC 5802 3) */
    const char *weakness;  /* NULL, or a sentence for a warning */
};

/* Parse an entry. 0, or MX_ESYNTAX with *why a sentence that says what is wrong (static). */
MX_MUST_CHECK int mx_password_parse(struct mx_span entry, struct mx_password *self,
                                    const char **why);

/* Can SCRAM be served with it? A SCRAM or a PLAIN entry; the latter in ASCII, since RFC 4013
 * (SASLprep) is not applied. */
bool mx_password_can_scram(const struct mx_password *self);
