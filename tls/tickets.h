/* tickets.h - the keys of session tickets (RFC 5077, RFC 8446 4.6.1), shared by all threads.
 *
 * A ticket holds the session's secrets, sealed with a key that only this server has; so any worker
 * can resume what another has begun. Keys live for half of the ticket's lifetime as the newest one
 * and as long again as an older one. Thread-safe.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_tls_tickets;

/* A new set. secret: 32 octets or more from a key file: then the keys are derived from it and from
 * the time, and tickets survive a restart and are good on every server that has the same file.
 * Empty: random keys, never written down, each forgotten when it is too old. lifetime_s: of a
 * ticket, 60..604800. now_s: seconds since the epoch. NULL: out of memory or random numbers. */
struct mx_tls_tickets *mx_tls_tickets_new(struct mx_span secret, uint32_t lifetime_s,
                                          int64_t now_s);
void mx_tls_tickets_free(struct mx_tls_tickets *self);

/* Exchange the keys when it is time; to be called at least once in a tenth of the lifetime. 0, or a
 * negative error: the keys stay as they are. */
MX_MUST_CHECK int mx_tls_tickets_turn(struct mx_tls_tickets *self, int64_t now_s);
