/* envelope.h - what is known of a stored message beside its content: a row of typed values.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "engine/spool/format.h"
#include "proto/err.h"

struct mx_spool_item {
    uint16_t type;        /* enum mx_spool_envelope, or what a newer version has added */
    struct mx_span value; /* borrowed from the record */
    uint32_t rcpt;        /* RCPT, NOTIFY, ORCPT: of which recipient, 0..; else UINT32_MAX */
};

struct mx_spool_envelope_cursor {
    struct mx_span rest;
    uint32_t rcpt_count; /* so far */
};

static inline struct mx_spool_envelope_cursor mx_spool_envelope_begin(struct mx_span envelope) {
    return (struct mx_spool_envelope_cursor){.rest = envelope};
}

/* The next value: 0; MX_EPARTIAL: there is no more; MX_ESYNTAX: what follows is no envelope. */
MX_MUST_CHECK int mx_spool_envelope_next(struct mx_spool_envelope_cursor *self,
                                         struct mx_spool_item *item);

/* Is it one, with so many recipients and a sender? */
bool mx_spool_envelope_is_sound(struct mx_span envelope, uint32_t rcpt_count);

/* A number, little endian, of 1 to 8 octets. False: it has another length. */
bool mx_spool_item_number(const struct mx_spool_item *item, uint64_t *number);
