/* xtext.h - octets in parameters of MAIL and RCPT that could not stand there as they are. RFC
 * 3461 4.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

/* Decode: octets '!' to '~' but for '+' and '=' are themselves, "+XX" is an octet in upper-case
 * hexadecimal. 0 and *len; MX_ESYNTAX: not xtext; MX_ENOROOM: longer than cap. */
MX_MUST_CHECK int mx_xtext_decode(struct mx_span text, char *to, size_t cap, size_t *len);
