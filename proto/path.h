/* path.h - mailbox addresses and HELO names: grammar only, nothing is looked up.
 *
 * RFC 5321 4.1.2 (paths), 4.1.3 (literals), RFC 6531 3.3 (internationalized addresses).
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

/* An address, borrowed from the text it was parsed from. */
struct mx_path {
    struct mx_span local; /* local part as written, quotes and escapes included; empty: null path */
    struct mx_span domain; /* without the brackets of an IPv4 literal; empty: none was written */
    bool is_literal;       /* the domain was written as [a.b.c.d] */
    bool is_utf8;          /* an octet above 0x7f occurs */
};

/* Split the path off the argument text behind "FROM:" or "TO:".
 * Leading spaces are skipped. With '<': *inner is the text between the brackets (a '>' inside a
 * quoted string does not end it), *rest what follows, which must be empty or start with a space.
 * Without '<': allowed only when !brackets_required; *inner ends at the first space.
 * MX_ESYNTAX: missing bracket, something other than a space behind '>', or no text at all. */
MX_MUST_CHECK int mx_path_split(struct mx_span text, bool brackets_required, struct mx_span *inner,
                                struct mx_span *rest);

/* Parse the text between the brackets. "" and "@" are the null path (local and domain empty).
 * A path without '@' has an empty domain (the caller adds the default domain).
 * Local part: dot-atom of printable ASCII without <>()[]\.,;:@" and space, no leading, trailing or
 * double dot, backslash escapes of one printable octet except "\,", "\<" and "\>"; or a quoted
 * string that is not empty. Domain: labels of letters, digits, '-' (not first or last), 1..63
 * octets, 253 in all, last label not starting with a digit unless the whole is an IPv4 address; or
 * [a.b.c.d]. IPv6 literals and source routes are refused. With allow_utf8, well-formed UTF-8 (RFC
 * 3629) above 0x7f is allowed in both parts (U-labels count octets). MX_ESYNTAX otherwise. */
MX_MUST_CHECK int mx_path_parse(struct mx_span text, bool allow_utf8, struct mx_path *path);

/* Is this a HELO argument as James accepts it (spec: HELO / EHLO)? Surrounding [] are stripped
 * first. HELO: IPv4, IPv6 or a host name: labels of letters, digits, '-', '_', not starting or
 * ending with
 * '-' or '_', at most 63 octets, last label not starting with a digit, at most 253 in all, one
 * trailing dot allowed. EHLO also: "IPv6:" prefix in any case, "IPv6:<v6>:<v4>", purely
 * alphanumeric text of any length, labels starting with digits. */
bool mx_helo_is_valid(struct mx_span name, bool is_ehlo);
