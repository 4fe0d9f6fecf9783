/* endpoint.h - where a service listens: an address with a port, or a socket in the file system.
 *
 *     unix:/run/x.sock   127.0.0.1:11332   [::1]:11332   localhost:11332
 *
 * Names are not looked up: who uses one may not wait. "inet:" in front, as other mail servers write
 * it, is allowed. Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"

enum { MX_ENDPOINT_PATH_MAX = 107, MX_ENDPOINT_TEXT_MAX = 120 };

struct mx_endpoint {
    struct mx_ip ip; /* family 0: the path */
    uint16_t port;
    char path[MX_ENDPOINT_PATH_MAX + 1]; /* zeros behind its end */
};

/* 0; MX_ESYNTAX: it is none; -ERANGE: the port; -ENAMETOOLONG: the path; -EDESTADDRREQ: there is no
 * port; -EADDRNOTAVAIL: a name, not an address. */
MX_MUST_CHECK int mx_endpoint_parse(struct mx_span text, struct mx_endpoint *endpoint);

/* The same of a host and a port that stand apart; "unix:PATH" is a host, too. */
MX_MUST_CHECK int mx_endpoint_parse_host(struct mx_span host, uint32_t port,
                                         struct mx_endpoint *endpoint);

/* What mx_endpoint_parse has refused, in words. */
const char *mx_endpoint_error(int err);
