/* inspect.h - what a file of certificates says, before anybody relies on it. RFC 5280, RFC 7468. */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum {
    MX_TLS_CHAIN_MAX = 10,  /* certificates of one file that are looked at */
    MX_TLS_NAMES_MAX = 256, /* names of one certificate */
};

struct mx_tls_chain {
    uint32_t count;            /* certificates in the file, MX_TLS_CHAIN_MAX at most */
    int64_t not_before_s;      /* the first one's; seconds since the epoch */
    int64_t not_after_s;       /* the first one's */
    int64_t chain_not_after_s; /* the earliest of the others; INT64_MAX: there are none */
    uint32_t misplaced; /* position of the first that did not issue the one before it; 0: none */
    char subject[256];  /* the first one's, printable */
};

/* Read a chain, the server's own certificate first. 0; MX_ESYNTAX: no certificate in it, or one
 * that cannot be read; -ENOMEM. */
MX_MUST_CHECK int mx_tls_inspect_chain(struct mx_span pem, struct mx_tls_chain *chain);

/* Call visit for each DNS name of the first certificate, as it is written there. The same errors.
 */
MX_MUST_CHECK int mx_tls_inspect_names(struct mx_span pem,
                                       void (*visit)(void *argument, const char *name),
                                       void *argument);

/* The next PEM block "-----BEGIN <label>-----" of *text, with its frame; *text moves behind it.
 * False: there is no other. */
bool mx_tls_pem_next(struct mx_span *text, struct mx_span label, struct mx_span *block);
