/* server_tls.h - what the whole process has of TLS: the library, the keys of tickets, and a look at
 * the certificates now and then. Main thread.
 */
#pragma once
#include "engine/rules.h"

struct mx_server;

struct mx_server_tls {
    struct mx_tls_tickets *tickets;
    int64_t watched_s; /* when the certificates were looked at */
};

/* The library, and ticket keys. Before the rules are made. 0 or an exit code; logged. */
MX_MUST_CHECK int mx_server_tls_init(struct mx_server *self);
void mx_server_tls_deinit(struct mx_server *self);

/* Read the certificates of the rules. 0 or MX_ECONFIG; logged with their places in the file. */
MX_MUST_CHECK int mx_server_tls_load(struct mx_server *self, struct mx_rules *rules);

/* When the certificate that ends first will end, seconds since 1970; 0: there is none. */
int64_t mx_server_tls_end_s(const struct mx_server *self);

/* Now and then: keys turn, certificates are watched. */
void mx_server_tls_turn(struct mx_server *self);
