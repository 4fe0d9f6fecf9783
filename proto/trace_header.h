/* trace_header.h - the Received: line. RFC 5321 4.4, RFC 3848 (protocol names), RFC 6531 4.3.
 *
 * Pure: the time is an argument.
 */
#pragma once
#include "proto/ip.h"
#include "proto/span.h"

struct mx_trace_header {
    struct mx_span helo_verb; /* "HELO", "EHLO", "LHLO"; empty when none was given */
    struct mx_span helo_name; /* its argument */
    struct mx_ip peer;
    struct mx_span by;       /* our helloName */
    struct mx_span software; /* inside the parentheses behind it: "mxring" or James's text */
    struct mx_span tls;      /* "TLSv1.3 with cipher X" or empty */
    struct mx_span rcpt;     /* the only recipient, or empty */
    bool has_priority;       /* " (PRIORITY n)", RFC 6710 */
    int8_t priority;
    uint32_t session_id; /* printed as 8 hex digits */
    bool is_lmtp, is_tls, is_auth, is_utf8;
    int64_t time_s; /* seconds since the epoch; printed in UTC */
};

enum {
    MX_TRACE_HEADER_MAX = 1400, /* octets; long names are cut so that this is never passed */
    MX_TRACE_RCPT_MAX = 380,    /* octets of the longest recipient that is named */
};

/* Write the header field with its final CRLF to text. Returns its length in octets. Every line is
 * at most 998 octets; bytes of the client that are not printable ASCII become '?' (UTF-8 but for
 * the controls U+0080..U+009F stays when is_utf8), and so do "(", ")" and "\" inside a comment. No
 * line can be forged by the content. A time outside of the years 1970..9999 is moved to the nearest
 * end. "for" is left out without rcpt and when that is too long (an address is never cut), the HELO
 * comment without helo_verb, the TLS line without tls. */
size_t mx_trace_header_put(const struct mx_trace_header *self, char text[MX_TRACE_HEADER_MAX]);
