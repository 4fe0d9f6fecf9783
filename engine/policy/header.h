/* header.h - the header of a message that is coming in: gathered, looked at, changed, and then
 * written in front of the rest. RFC 5322 2.2.
 *
 * In session memory; the content behind it is never copied.
 */
#pragma once
#include "engine/buddy.h"
#include "proto/err.h"
#include "proto/span.h"

struct mx_header {
    struct mx_buddy *buddy;
    char *ptr; /* all fields, and the empty line when there is one */
    uint32_t len, cap;
    uint32_t line_octets; /* of the line that is not over */
    bool is_over;         /* the empty line was seen */
    bool is_changed;      /* by one of the functions below */
};

/* One field. name without the colon; value: what stands behind the colon, folded, without the last
 * line end; whole: all of it, with its line end. Borrowed until the header changes. */
struct mx_header_field {
    struct mx_span name, value, whole;
};

void mx_header_init(struct mx_header *self, struct mx_buddy *buddy);
void mx_header_free(struct mx_header *self);

/* Take what belongs to the header off the front of *content; when is_over, the rest is body. 0;
 * MX_ELIMIT: it is longer than MX_HEADER_MAX; -ENOMEM. */
MX_MUST_CHECK int mx_header_take(struct mx_header *self, struct mx_span *content);

/* The fields one after the other: start with *at = 0. False: there are no more. Lines that are no
 * field are skipped. */
bool mx_header_next(const struct mx_header *self, uint32_t *at, struct mx_header_field *field);

/* The first field of that name (any case), from *at on; *at is behind it then. */
bool mx_header_find(const struct mx_header *self, struct mx_span name, uint32_t *at,
                    struct mx_header_field *field);

/* Replace the first field of that name and remove the others; put it at the end when there is
 * none. Name and value must be printable. 0, MX_ELIMIT or -ENOMEM: then nothing has changed. */
MX_MUST_CHECK int mx_header_set(struct mx_header *self, struct mx_span name, struct mx_span value);

/* Put a whole field (with CRLF at its end) in front of all others. As mx_header_set. */
MX_MUST_CHECK int mx_header_put_first(struct mx_header *self, struct mx_span whole);

/* Put a whole field in front of number `at` (0..) of the fields there are, or behind the last one.
 * As mx_header_set. */
MX_MUST_CHECK int mx_header_insert(struct mx_header *self, uint32_t at, struct mx_span whole);

/* Put a whole field in the place of field number `nth` (1..) of that name; empty: remove it.
 * -ENOENT: there are not so many. Else as mx_header_set. */
MX_MUST_CHECK int mx_header_replace(struct mx_header *self, struct mx_span name, uint32_t nth,
                                    struct mx_span whole);
