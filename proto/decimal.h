/* decimal.h - scores of spam filters: decimal fractions, as thousandths.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_DECIMAL_TEXT_MAX = 13 }; /* "-2147483.648", and a NUL */

/* "5", "-0.25", "+1002.0": further digits are cut off. 0; MX_ESYNTAX: it is none; -ERANGE: beyond
 * two million. */
MX_MUST_CHECK int mx_decimal_parse(struct mx_span text, int32_t *thousandths);

/* With one decimal at least, at most three; NUL-terminated. Its length. */
size_t mx_decimal_text(int32_t thousandths, char text[MX_DECIMAL_TEXT_MAX]);
