/* block.h - the parts of a segment as octets: is this a header, a footer, a whole batch, a record?
 *
 * Pure: no I/O, no clock, no allocation. Whatever is read from a disk goes through here first.
 */
#pragma once
#include "engine/spool/format.h"
#include "proto/err.h"

enum mx_spool_block_state {
    MX_SPOOL_BLOCK_VALID,
    MX_SPOOL_BLOCK_ZERO,    /* nothing but zeros */
    MX_SPOOL_BLOCK_DAMAGED, /* neither copy is valid */
    MX_SPOOL_BLOCK_UNKNOWN, /* both copies name another version */
};

/* What is in a block of MX_SPOOL_BLOCK octets. *header is set when it is VALID. is_marred (may be
 * NULL): the other copy is not the same, or there are octets around the copies. */
enum mx_spool_block_state mx_spool_header_read(const char *block, struct mx_spool_header *header,
                                               bool *is_marred);
enum mx_spool_block_state mx_spool_footer_read(const char *block, struct mx_spool_footer *footer,
                                               bool *is_marred);

/* Fill a block with two copies of it; magic, crc and version are set here. */
void mx_spool_header_write(char *block, struct mx_spool_header *header);
void mx_spool_footer_write(char *block, struct mx_spool_footer *footer);

bool mx_spool_is_zero(const char *ptr, size_t len);

/* Is there the header of a batch of this seed at at, with lengths that can be? 0, or MX_ESYNTAX and
 * *why (a literal). */
MX_MUST_CHECK int mx_spool_batch_peek(const char *at, uint32_t seed, struct mx_spool_batch *batch,
                                      const char **why);

/* Are the records of the batch whole, and are there only zeros behind them? octets: all of it,
 * batch->len_octets long. 0, or MX_ESYNTAX, *why (a literal) and *where in the octets. */
MX_MUST_CHECK int mx_spool_batch_check(struct mx_span octets, uint32_t seed,
                                       const struct mx_spool_batch *batch, const char **why,
                                       uint32_t *where);

/* Is there the header of a record that ends within room octets, padding included? 0, or MX_ESYNTAX
 * and *why (a literal). Its CRC is not looked at. */
MX_MUST_CHECK int mx_spool_record_peek(const char *at, uint64_t room,
                                       struct mx_spool_record *record, const char **why);

/* With padding. */
static inline uint32_t mx_spool_record_size(const struct mx_spool_record *record) {
    return (uint32_t)mx_spool_round(record->len_octets, MX_SPOOL_ALIGN);
}

/* Is the CRC of the record right? octets: mx_spool_record_size() of them. */
bool mx_spool_record_is_sound(struct mx_span octets, uint32_t seed);
