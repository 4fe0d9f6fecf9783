/* text.h - what a piece of text may be: host name, printable, safe to write into YAML.
 *
 * Pure: no I/O, no allocation. Private to config/.
 */
#pragma once
#include "proto/span.h"

enum { MX_HOST_MAX = 253 }; /* octets of a host name, RFC 1035 2.3.4 without the dots at the ends */

/* Without blanks, tabs and line ends at both ends. */
struct mx_span mx_text_trim(struct mx_span text);

/* A host name of RFC 1123 2.1: labels of letters, digits and hyphens, 1..63 octets each, 1..253 in
 * all; not an IPv4 address (the last label is not a number). */
bool mx_text_is_host(struct mx_span text);

/* Only ASCII 0x20..0x7e. */
bool mx_text_is_printable(struct mx_span text);

/* Valid UTF-8 without controls, line and paragraph separators, byte order marks. */
bool mx_text_is_utf8(struct mx_span text);

/* Take the next piece between commas, blanks, tabs and line ends off *text; false: none left. */
bool mx_text_take_word(struct mx_span *text, struct mx_span *word);

/* Copy text for an error message: controls and octets above 0x7e become '?', long text is cut.
 * Returns buf. */
const char *mx_text_quote(struct mx_span text, char *buf, size_t size);
