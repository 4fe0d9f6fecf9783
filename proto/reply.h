/* reply.h - pieces of reply lines. RFC 5321 4.2, 4.5.3.1.5 (512 octets a line).
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/out.h"
#include "proto/span.h"

/* Append client text, at most max_octets of it: octets that are not printable ASCII become '?', so
 * that no client can forge a line. With keeps_utf8 octets above 0x7f stay (RFC 6531 3.7.4.2). */
void mx_reply_echo(struct mx_out *out, struct mx_span text, size_t max_octets, bool keeps_utf8);

/* Append a decimal number. */
void mx_reply_number(struct mx_out *out, uint64_t number);
