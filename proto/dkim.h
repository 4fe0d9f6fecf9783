/* dkim.h - DKIM signatures: what stands in a DKIM-Signature field, what in a key record, and the
 * canonical forms that are hashed. No hashing here.
 *
 * RFC 6376, 8301 (rsa-sha1 is not taken, keys of 1024..4096 bits), 8463 (Ed25519). Pure: no I/O, no
 * clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum {
    MX_DKIM_HASH = 32,           /* octets of SHA-256 */
    MX_DKIM_SIGNATURE_MAX = 512, /* ... of a signature: RSA with 4096 bits */
    MX_DKIM_TAGS_MAX = 32,       /* in a field or record */
    MX_DKIM_NAMES_MAX = 256,     /* in h= */
    MX_DKIM_KEY_MAX = 640,       /* octets of a key in DER */
    MX_DKIM_SKEW_S = 3600,       /* a clock of a signer may be ahead by */
};

/* ---- tag lists (3.2) ---- */

struct mx_dkim_tag {
    struct mx_span name, value; /* without white space around them */
};

/* Take the next tag off the front. 0; MX_EPARTIAL: there is none left; MX_ESYNTAX. */
MX_MUST_CHECK int mx_dkim_next_tag(struct mx_span *list, struct mx_dkim_tag *tag);

/* Copy a text without its white space. *len octets; MX_ENOROOM. */
MX_MUST_CHECK int mx_dkim_strip(struct mx_span text, char *room, size_t cap, size_t *len);

/* The next item of a list with colons, without white space around it. False: there is none left.
 * Start with *rest = the list; rest->ptr is NULL at the end. */
bool mx_dkim_next_item(struct mx_span *rest, struct mx_span *item);

/* ---- signatures (3.5) ---- */

enum mx_dkim_algorithm { MX_DKIM_RSA_SHA256, MX_DKIM_ED25519_SHA256 };

struct mx_dkim_signature { /* spans are borrowed from the field */
    enum mx_dkim_algorithm algorithm;
    bool is_relaxed_header, is_relaxed_body;
    bool has_limit;
    uint64_t limit;           /* l=, octets of the canonical body; UINT64_MAX when there is none */
    uint64_t made_s, until_s; /* t=, x=, seconds since 1970; 0: not said */
    struct mx_span domain, selector; /* d=, s=: together a name that can be asked */
    struct mx_span user;             /* i= */
    bool is_user_of_domain;          /* ... is of d= itself, not of a domain below */
    struct mx_span names;            /* h= */
    uint32_t from_count;             /* ... how often From is named */
    uint32_t signature_len;
    uint8_t signature[MX_DKIM_SIGNATURE_MAX];
    uint8_t body_hash[MX_DKIM_HASH];
};

/* Read the value of a field. NULL: it is one that may be checked; else why not, a few words. */
const char *mx_dkim_read_signature(struct mx_dkim_signature *self, struct mx_span value,
                                   uint64_t now_s);

/* ---- keys (3.6.1) ---- */

struct mx_dkim_key {
    enum mx_dkim_algorithm algorithm;
    bool is_testing;              /* t=y */
    bool is_strict;               /* t=s: i= must be of d= itself */
    struct mx_span modulus;       /* RSA, 128..512 octets without leading zeros ... */
    struct mx_span exponent;      /* ... 1..8 octets, odd and more than 1 */
    struct mx_span point;         /* Ed25519, 32 octets */
    char octets[MX_DKIM_KEY_MAX]; /* where these lie */
};

/* Read a TXT record. NULL: a key that may be used for this algorithm; else why not. */
const char *mx_dkim_read_key(struct mx_dkim_key *self, struct mx_span record,
                             enum mx_dkim_algorithm algorithm);

/* ---- canonical forms (3.4) ---- */

/* Takes a piece of the canonical form. */
typedef void mx_dkim_put_fn(void *context, struct mx_span piece);

struct mx_dkim_out {
    mx_dkim_put_fn *put;
    void *context;
};

/* A body on its way. Starts as {0} but for the first three. */
struct mx_dkim_body {
    bool is_relaxed;
    bool forces_crlf;                    /* LF alone ends a line, too */
    uint64_t limit;                      /* octets of the canonical form that are put */
    bool has_cr, has_space, has_content; /* private: seen, and not put yet */
    uint64_t line_ends;                  /* private: likewise */
    uint64_t octets;                     /* of the canonical form, whatever the limit */
};

void mx_dkim_body_put(struct mx_dkim_body *self, struct mx_span piece,
                      const struct mx_dkim_out *out);
void mx_dkim_body_end(struct mx_dkim_body *self, const struct mx_dkim_out *out);

/* A header field (whole, with its line end) and, in canonical form, CRLF behind it. */
void mx_dkim_put_field(struct mx_span field, bool is_relaxed, const struct mx_dkim_out *out);

/* The field of the signature itself: the value of b= is left out, and the last line end. */
void mx_dkim_put_signature(struct mx_span field, bool is_relaxed, const struct mx_dkim_out *out);
