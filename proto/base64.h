/* base64.h - RFC 4648 section 4, for SASL and for what users files hold.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

/* Octets of the text for `len` octets, padding included. */
#define MX_BASE64_LEN(len)    (((len) + 2) / 3 * 4)
/* Most octets that a text of `len` octets stands for. */
#define MX_BASE64_OCTETS(len) (((len) + 3) / 4 * 3)

/* Write MX_BASE64_LEN(in.len) octets to out. Returns how many. */
size_t mx_base64_encode(struct mx_span in, char *out);

/* Decode the whole text to out, which may be the text's own memory. *len is the number of octets.
 * Padding may be left out, as James allows; when it is there, it must be right. The unused bits of
 * the last character are not looked at. MX_ESYNTAX: an octet that is not of the alphabet, a length
 * that no octets have, wrong padding. MX_ENOROOM: more than max octets. */
MX_MUST_CHECK int mx_base64_decode(struct mx_span text, char *out, size_t max, size_t *len);
