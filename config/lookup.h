/* lookup.h - {text, value} tables for enumerations, and the name nearest to a misspelt one.
 *
 * Pure: no I/O, no allocation. Private to config/.
 */
#pragma once
#include "proto/span.h"

/* A table ends with text NULL. Several texts may share a value: the first is the canonical one. */
struct mx_lookup {
    const char *text;
    int64_t value;
};

/* The cipher suites of tls.supportedCipherSuites, IANA's name first (certificates.c). */
extern const struct mx_lookup mx_conf_ciphers_words[];

/* Find text (ASCII case folded). False: not in the table, or the table is NULL. */
bool mx_lookup_value(const struct mx_lookup *self, struct mx_span text, int64_t *value);

/* The canonical text of a value; NULL: none, or the table is NULL. */
const char *mx_lookup_text(const struct mx_lookup *self, int64_t value);

/* Write the canonical texts to buf, "a, b, c"; cut when there is no room. Returns buf. */
const char *mx_lookup_list(const struct mx_lookup *self, char *buf, size_t size);

/* Edit distance (insert, delete, replace one character), ASCII case folded. Only the first 64
 * octets of each count. */
uint32_t mx_lookup_distance(struct mx_span a, struct mx_span b);

/* The name with the least distance to word, when that is at most the larger of 2 and half of the
 * word's length; else NULL. The first of equally near ones. */
const char *mx_lookup_nearest(struct mx_span word, const char *const *names, size_t count);
