/* ip.h - a peer's IP address as plain bytes, without socket headers.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/span.h"

struct mx_ip {
    uint8_t family; /* 0 unknown, 4, 6. A v4-mapped IPv6 address is stored as 4. */
    uint8_t bytes[16];
};

enum { MX_IP_TEXT_MAX = 46 }; /* longest text, octets, with room for a NUL */

/* The address in 16 octets of network order: family 6, or 4 when it is v4-mapped. */
struct mx_ip mx_ip_of_v6(const uint8_t bytes[16]);

/* Write the usual text form (RFC 5952 for IPv6; "unknown" for family 0) to text, NUL-terminated.
 * Returns its length in octets. */
size_t mx_ip_text(const struct mx_ip *self, char text[MX_IP_TEXT_MAX]);

/* The address literal of RFC 5321 4.1.3 without brackets: "192.0.2.1", "IPv6:2001:db8::1". */
size_t mx_ip_literal(const struct mx_ip *self, char text[MX_IP_TEXT_MAX + 5]);

/* Parse a dotted quad or any RFC 4291 text form (no zone, no prefix length). False: not an address.
 */
bool mx_ip_parse(struct mx_span text, struct mx_ip *ip);
