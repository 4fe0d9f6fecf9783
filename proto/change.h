/* change.h - what a scanner wants changed in the header of a message: a row of changes in flat
 * memory, made on one thread and applied on another.
 *
 * What comes in is somebody's text; what comes out is a header field as it may stand in a message
 * (RFC 5322 2.2): CRLF at its end, folded lines begin with a blank, no NUL, no bare CR.
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum mx_change_kind {
    MX_CHANGE_ADD,     /* behind the last field */
    MX_CHANGE_INSERT,  /* in front of field number index (0..) */
    MX_CHANGE_REPLACE, /* field number index (1..) of that name; there is none: behind the last */
    MX_CHANGE_REMOVE,  /* field number index (1..) of that name */
    MX_CHANGE_SET, /* the first of that name, or behind the last field; others of that name go */
    MX_CHANGE_REMOVE_ALL, /* of that name */
    MX_CHANGE_COUNT,
};

struct mx_change {
    enum mx_change_kind kind;
    uint32_t index;
    struct mx_span name;
    struct mx_span whole; /* the field with its line end; empty: REMOVE, REMOVE_ALL */
};

/* Where they lie. The memory is the owner's. */
struct mx_changes {
    char *ptr;
    uint32_t len, cap; /* octets */
};

/* Append one. Of value, line ends at the end and octets that cannot stand there are left out; with
 * a blank in front when it has none. MX_ESYNTAX: the name is none of a field; MX_ENOROOM. */
MX_MUST_CHECK int mx_changes_put(struct mx_changes *self, enum mx_change_kind kind, uint32_t index,
                                 struct mx_span name, struct mx_span value);

/* One after the other, *at from 0. False: there are no more. Borrowed. */
bool mx_changes_next(const struct mx_changes *self, uint32_t *at, struct mx_change *change);
