/* context.h - what the sessions of one server have in common: certificates, keys, policy, tickets.
 *
 * Built and checked as a whole on the main thread, immutable afterwards, shared by all workers and
 * counted: sessions hold theirs, so that another one can take its place at any time.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_tls_context;
struct mx_tls_tickets;

/* A certificate with its key. All texts are PEM (RFC 7468). */
struct mx_tls_certificate {
    const struct mx_span *names; /* SNI names it answers to, any case; empty: those of the
                                  * certificate itself */
    uint32_t name_count;
    struct mx_span chain; /* the certificate, then those that lead to the root */
    struct mx_span key;
    struct mx_span secret; /* password of the key; empty: it is not encrypted */
};

enum mx_tls_client_auth {
    MX_TLS_CLIENT_NONE,    /* no certificate is asked for */
    MX_TLS_CLIENT_WANTED,  /* asked for; a session without one goes on, a wrong one does not */
    MX_TLS_CLIENT_REQUIRED /* no session without one that leads to the trust store */
};

enum { MX_TLS_CERTIFICATES_MAX = 1000 };

struct mx_tls_params {
    const struct mx_tls_certificate *certificates; /* the first one is the default */
    uint32_t certificate_count;                    /* 1..MX_TLS_CERTIFICATES_MAX */
    bool has_tls12, has_tls13;                     /* one at least */
    const char *const *ciphers; /* names of RFC 8447's registry, those we like best first */
    uint32_t cipher_count;      /* 0: the default, AEAD with forward secrecy only */
    enum mx_tls_client_auth client_auth;
    struct mx_span trust;       /* PEM, for client certificates */
    struct mx_span revocations; /* PEM or DER CRLs of all issuers in trust; empty: not checked */
    struct mx_tls_tickets *tickets; /* NULL: no resumption; outlives the context */
    uint32_t ticket_lifetime_s;
    struct mx_span realm; /* tickets of another realm are refused */
};

/* Why a context could not be made. */
struct mx_tls_problem {
    uint32_t certificate; /* which one of params; certificate_count: none of them */
    enum mx_tls_culprit {
        MX_TLS_CULPRIT_CHAIN,
        MX_TLS_CULPRIT_KEY,
        MX_TLS_CULPRIT_CIPHERS,
        MX_TLS_CULPRIT_TRUST,
        MX_TLS_CULPRIT_REVOCATIONS,
        MX_TLS_CULPRIT_LIBRARY,
    } culprit;
    char text[256];
};

/* A new one, held once. NULL: *problem says why. Nothing of params is needed afterwards but
 * tickets. */
struct mx_tls_context *mx_tls_context_new(const struct mx_tls_params *params,
                                          struct mx_tls_problem *problem);

/* One holder more, or less; the last one frees it. */
struct mx_tls_context *mx_tls_context_hold(struct mx_tls_context *self);
void mx_tls_context_free(struct mx_tls_context *self);

/* Is it a cipher suite that can be asked for, by its name in RFC 8447's registry? */
bool mx_tls_cipher_is_known(struct mx_span name);
