/* client.h - TLS sessions of a client, through the same filter as a server's (filter.h): for the
 * load generator and for tests. The server is not asked who it is: its certificate is not checked.
 */
#pragma once
#include "tls/context.h"
#include "tls/filter.h"

/* Of params the protocols and cipher suites count, and one certificate, when there is any: ours,
 * for servers that ask for it. NULL: *problem says why. The rest as for mx_tls_context_new. */
struct mx_tls_context *mx_tls_client_context_new(const struct mx_tls_params *params,
                                                 struct mx_tls_problem *problem);

/* What an earlier session has left, to resume it. */
struct mx_tls_resumption;

/* A session of the context, which it holds. name: for SNI, or NULL; resumption: of the same
 * context, borrowed for the call, or NULL. Then mx_tls_handshake with no input begins it. 0 or
 * -ENOMEM. */
MX_MUST_CHECK int mx_tls_client_init(struct mx_tls *self, struct mx_tls_context *context,
                                     const char *name, const struct mx_tls_resumption *resumption);

/* What can be resumed of a session that did not fail: at its end, since servers send it behind the
 * handshake. The caller's; NULL: nothing new, what it has resumed itself is still good. */
struct mx_tls_resumption *mx_tls_resumption_new(const struct mx_tls *self);
/* NULL is ignored. */
void mx_tls_resumption_free(struct mx_tls_resumption *self);
