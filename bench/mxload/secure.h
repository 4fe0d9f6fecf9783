/* secure.h - TLS of a session: what it says is sealed on its way to the kernel, what it hears is
 * opened on its way from there.
 *
 * Sealed octets wait in a block of fixed size, one a session; while the kernel sends from its
 * front, more may be sealed behind. Only one send is under way.
 */
#pragma once
#include "bench/mxload/load.h"

/* All that sessions need, and once a process before threads start: 0, -errno or MX_ETLS, and what
 * is wrong was said on stderr. *context: with --tls or --starttls, else NULL. */
MX_MUST_CHECK int mx_secure_context_new(const struct mx_plan *plan,
                                        struct mx_tls_context **context);

/* The memory of a worker's sessions, when there is TLS. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_secure_new(struct mx_load *self);
void mx_secure_free(struct mx_load *self);

/* Begin the handshake on an open connection. The stage is TLS, or it was dropped. */
void mx_secure_begin(struct mx_load *self, struct mx_client *client);

/* Octets of the connection. */
void mx_secure_heard(struct mx_load *self, struct mx_client *client, struct mx_span in);

/* Seal the parts that are set, as far as there is room, and send. */
void mx_secure_send(struct mx_load *self, struct mx_client *client);

/* A send is complete: octets or -errno. */
void mx_secure_sent(struct mx_load *self, struct mx_client *client, int result);

/* The connection is gone. */
void mx_secure_end(struct mx_load *self, struct mx_client *client);

/* Not all of what it says is sealed yet. */
static inline bool mx_secure_has_parts(const struct mx_client *client) {
    return client->part_next < client->part_count;
}
