/* proxyproto.h - the header that a proxy puts before a connection to say who its client is: the
 * PROXY protocol, version 1 (a line of text) and version 2 (binary), haproxy's proxy-protocol.txt.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"
#include "proto/span.h"

enum {
    MX_PROXYPROTO_LINE_MAX = 107,    /* octets of version 1, CRLF included; section 2.1 */
    MX_PROXYPROTO_HEADER_MAX = 4096, /* octets of version 2 that are accepted, TLVs included */
};

struct mx_proxyproto {
    struct mx_ip client; /* family 0: the header names none (UNKNOWN, LOCAL, UNIX, UDP) */
    uint16_t port;       /* of the client; 0 without an address */
};

/* Take the header off the front of *in.
 * 0: *self is set and *in is moved behind it. MX_EPARTIAL: call again with a longer *in; at most
 * MX_PROXYPROTO_HEADER_MAX octets are ever needed. MX_ESYNTAX: this is no header, or a malformed
 * one (a bad TLV and a CRC-32C that is wrong, too), seen with the first octet that is wrong.
 * MX_ELIMIT: longer than MX_PROXYPROTO_HEADER_MAX. */
MX_MUST_CHECK int mx_proxyproto_take(struct mx_proxyproto *self, struct mx_span *in);
