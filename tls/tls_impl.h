/* tls_impl.h - what the files of tls/ share. Nobody else includes this. */
#pragma once
#include "tls/context.h"
#include "tls/filter.h"

#include <stdatomic.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

/* One certificate with its key, as the library has it. */
struct mx_tls_identity {
    struct WOLFSSL_CTX *ctx;
    char **names; /* lower case; "*.example.com" stands for one label */
    uint32_t name_count;
};

struct mx_tls_context {
    _Atomic uint32_t refs;
    uint32_t identity_count;
    struct mx_tls_identity *identities; /* the first is the default */
    struct mx_tls_tickets *tickets;     /* NULL: none */
    uint8_t realm[8];                   /* of its tickets: others' are refused */
    bool is_client;                     /* its sessions are a client's (client.h) */
};

/* What the calling thread has allocated or freed since mx_tls_memory_used() was `since` does not
 * count (library.c). */
void mx_tls_memory_forget(int64_t since);

/* Fill with random octets of the system. 0 or -errno. */
MX_MUST_CHECK int mx_tls_random(void *to, size_t octets);

/* Sessions of this context take their seed from getrandom(2), not from a device file (library.c).
 */
MX_MUST_CHECK int mx_tls_seed_from_getrandom(struct WOLFSSL_CTX *ctx);

/* Shake hands once with a client of our own that trusts everybody. 0, or an error of the library:
 * what it says of a key is not to be relied on before 5.6 (rehearsal.c). */
MX_MUST_CHECK int mx_tls_rehearse(struct WOLFSSL_CTX *ctx, bool has_tls12, bool has_tls13);

/* The registry's name for the library's; old versions tell the latter (context.c). */
const char *mx_tls_cipher_name(const char *name);

/* Protocols, curves, cipher suites; the certificate with its key (context.c). 0 or MX_ETLS. */
MX_MUST_CHECK int mx_tls_set_policy(struct WOLFSSL_CTX *ctx, const struct mx_tls_params *params,
                                    struct mx_tls_problem *problem);
MX_MUST_CHECK int mx_tls_set_certificate(struct WOLFSSL_CTX *ctx,
                                         const struct mx_tls_certificate *certificate,
                                         struct mx_tls_problem *problem);

/* The library reads and writes through the filter (filter.c). */
void mx_tls_filter_install(struct WOLFSSL_CTX *ctx, struct mx_tls_context *context);

/* The callback of the library for tickets; its argument is the context (tickets.c). */
void mx_tls_tickets_install(struct WOLFSSL_CTX *ctx, struct mx_tls_context *context,
                            uint32_t lifetime_s);
