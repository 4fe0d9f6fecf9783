/* dkim.h - the DKIM signatures of one mail: header and body hashed as they pass, then compared.
 *
 * Bounded: the first MX_DKIM_CHECKS_MAX signatures, whatever the size of the mail. No allocation
 * but in mx_dkim_verify, which is for helper threads.
 */
#pragma once
#include "engine/policy/header.h"
#include "proto/dkim.h"
#include "proto/dns.h"

#include <nettle/sha2.h>

enum {
    MX_DKIM_CHECKS_MAX = 5,    /* signatures of a mail that are looked at */
    MX_DKIM_FIELDS_MAX = 1024, /* of a header that is signed */
};

enum mx_dkim_state {
    MX_DKIM_OPEN, /* the key is to be asked for, and then the signature to be verified */
    MX_DKIM_PASSED,
    MX_DKIM_FAILED,     /* why says why */
    MX_DKIM_CANNOT_SAY, /* nobody has the key at the moment */
};

struct mx_dkim_check { /* one signature */
    uint8_t state;     /* enum mx_dkim_state */
    uint8_t algorithm; /* enum mx_dkim_algorithm */
    uint8_t body;      /* number of its hash */
    bool is_user_of_domain, is_partial_allowed;
    uint8_t selector_len, name_len;
    uint16_t signature_len;
    const char *why;
    char name[MX_DNS_NAME_MAX + 1]; /* of the key: SELECTOR._domainkey.DOMAIN */
    uint8_t signature[MX_DKIM_SIGNATURE_MAX];
    uint8_t body_hash[MX_DKIM_HASH]; /* as the signature says */
    uint8_t hash[MX_DKIM_HASH];      /* of the header, which the signature is of */
};

struct mx_dkim_hashed_body {
    struct mx_dkim_body form;
    struct sha256_ctx hash;
};

struct mx_dkim_mail {
    uint8_t count, body_count;
    bool has_more; /* signatures beyond those */
    struct mx_dkim_check checks[MX_DKIM_CHECKS_MAX];
    struct mx_dkim_hashed_body bodies[MX_DKIM_CHECKS_MAX];
};

struct mx_dkim_how {
    bool forces_crlf;    /* LF alone ends a line */
    bool allows_partial; /* l= may leave out the end of the body */
    bool has_own_trace;  /* the first Received field is not part of what was sent */
    uint64_t now_s;      /* since 1970 */
};

/* The header is whole. *self was zeroed. */
void mx_dkim_begin(struct mx_dkim_mail *self, const struct mx_header *header,
                   const struct mx_dkim_how *how);
/* A piece of the body. */
void mx_dkim_content(struct mx_dkim_mail *self, struct mx_span piece);
/* The body is over: those whose hash is another one have failed. */
void mx_dkim_end(struct mx_dkim_mail *self);

static inline struct mx_span mx_dkim_domain(const struct mx_dkim_check *self) {
    size_t at = self->selector_len + sizeof "._domainkey." - 1;
    return (struct mx_span){self->name + at, self->name_len - at};
}

/* The answer for the name of the key is here. NULL: *key is to be verified with; else the check is
 * decided (why). */
const char *mx_dkim_take_key(struct mx_dkim_check *self, const struct mx_dns_answer *answer,
                             struct mx_dkim_key *key);

/* Is it the signature of the hash? Takes up to a millisecond, and allocates. */
bool mx_dkim_verify(const struct mx_dkim_key *key, const uint8_t hash[MX_DKIM_HASH],
                    const uint8_t *signature, size_t signature_len);
