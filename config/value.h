/* value.h - the scalar types of the schema: text to number, number to text, number to member.
 *
 * Only for rows of the types BOOL, NUMBER, LENGTH, SIZE, DURATION and WORD. Pure: no I/O.
 * Private to config/.
 */
#pragma once
#include "config/schema.h"
#include "config/size.h"
#include "proto/err.h"

#include <stdio.h>

/* Is the row of a type that this module handles? */
bool mx_value_is_scalar(const struct mx_row *row);

/* Parse text as the row says. 0 and *value as stored; MX_ESYNTAX: not of the type; -ERANGE: outside
 * min..max and not the 0 of MX_ROW_ZERO; -EDOM: not a power of two, or a fraction of a millisecond.
 * *value is set on 0 only. */
MX_MUST_CHECK int mx_value_parse(const struct mx_row *row, struct mx_span text, int64_t *value);

/* Why mx_value_parse refused: a whole sentence into buf. Returns buf. */
const char *mx_value_error(const struct mx_row *row, int err, struct mx_span text, char *buf,
                           size_t size);

/* Write a value as a file would have it. size: at least MX_SIZE_TEXT_MAX. */
void mx_value_text(const struct mx_row *row, int64_t value, char *buf, size_t size);

/* The same without words: for a row of the types NUMBER to DURATION. */
void mx_value_number_text(const struct mx_row *row, int64_t value, char text[MX_SIZE_TEXT_MAX]);

/* Read and write the row's member. base: the struct mx_conf or struct mx_conf_server. */
int64_t mx_value_get(const struct mx_row *row, const void *base);
void mx_value_set(const struct mx_row *row, void *base, int64_t value);
