#include "engine/spool/block.h"

/* Header and footer begin alike, and end in the same check. */
struct head {
    char magic[8];
    uint32_t crc;
    uint32_t version;
};

_Static_assert(offsetof(struct mx_spool_header, version) == offsetof(struct head, version), "");
_Static_assert(offsetof(struct mx_spool_footer, version) == offsetof(struct head, version), "");

/* CRC of len octets with the four at crc_at taken as zeros. */
static uint32_t crc_without(uint32_t seed, struct mx_span octets, size_t crc_at) {
    static const char zeros[sizeof(uint32_t)];
    uint32_t crc = mx_crc32c(seed, (struct mx_span){octets.ptr, crc_at});
    crc = mx_crc32c(crc, (struct mx_span){zeros, sizeof zeros});
    return mx_crc32c(crc, mx_span_skip(octets, crc_at + sizeof zeros));
}

bool mx_spool_is_zero(const char *ptr, size_t len) {
    return len == 0 || (ptr[0] == 0 && memcmp(ptr, ptr + 1, len - 1) == 0);
}

/* ---- header and footer ---- */

static bool is_copy(const char *at, const char *magic, size_t len) {
    struct head head;
    memcpy(&head, at, sizeof head);
    return memcmp(head.magic, magic, sizeof head.magic) == 0 && head.version == MX_SPOOL_VERSION &&
           head.crc == crc_without(0, (struct mx_span){at, len}, offsetof(struct head, crc));
}

static bool is_clean(const char *block, size_t len) {
    return memcmp(block, block + MX_SPOOL_COPY_AT, len) == 0 &&
           mx_spool_is_zero(block + len, MX_SPOOL_COPY_AT - len) &&
           mx_spool_is_zero(block + MX_SPOOL_COPY_AT + len, MX_SPOOL_COPY_AT - len);
}

/* Both copies say so, whatever else another version has in them. */
static bool is_of_another_version(const char *block, const char *magic) {
    struct head a, b;
    memcpy(&a, block, sizeof a);
    memcpy(&b, block + MX_SPOOL_COPY_AT, sizeof b);
    return memcmp(a.magic, magic, sizeof a.magic) == 0 &&
           memcmp(b.magic, magic, sizeof b.magic) == 0 && a.version == b.version &&
           a.version != MX_SPOOL_VERSION;
}

static enum mx_spool_block_state read_copy(const char *block, const char *magic, void *to,
                                           size_t len, bool *is_marred) {
    const char *at = block;
    if (mx_spool_is_zero(block, MX_SPOOL_BLOCK))
        return MX_SPOOL_BLOCK_ZERO;
    if (is_of_another_version(block, magic))
        return MX_SPOOL_BLOCK_UNKNOWN;
    if (!is_copy(at, magic, len))
        at = block + MX_SPOOL_COPY_AT;
    if (!is_copy(at, magic, len))
        return MX_SPOOL_BLOCK_DAMAGED;
    memcpy(to, at, len);
    if (is_marred != NULL)
        *is_marred = !is_clean(block, len);
    return MX_SPOOL_BLOCK_VALID;
}

enum mx_spool_block_state mx_spool_header_read(const char *block, struct mx_spool_header *header,
                                               bool *is_marred) {
    return read_copy(block, MX_SPOOL_HEADER_MAGIC, header, sizeof *header, is_marred);
}

enum mx_spool_block_state mx_spool_footer_read(const char *block, struct mx_spool_footer *footer,
                                               bool *is_marred) {
    return read_copy(block, MX_SPOOL_FOOTER_MAGIC, footer, sizeof *footer, is_marred);
}

static void write_copies(char *block, const void *from, size_t len) {
    memset(block, 0, MX_SPOOL_BLOCK);
    memcpy(block, from, len);
    memcpy(block + MX_SPOOL_COPY_AT, from, len);
}

void mx_spool_header_write(char *block, struct mx_spool_header *header) {
    memcpy(header->magic, MX_SPOOL_HEADER_MAGIC, sizeof header->magic);
    header->version = MX_SPOOL_VERSION;
    header->crc = 0;
    header->crc = mx_crc32c(0, (struct mx_span){(const char *)header, sizeof *header});
    write_copies(block, header, sizeof *header);
}

void mx_spool_footer_write(char *block, struct mx_spool_footer *footer) {
    memcpy(footer->magic, MX_SPOOL_FOOTER_MAGIC, sizeof footer->magic);
    footer->version = MX_SPOOL_VERSION;
    footer->crc = 0;
    footer->crc = mx_crc32c(0, (struct mx_span){(const char *)footer, sizeof *footer});
    write_copies(block, footer, sizeof *footer);
}

/* ---- batches and records ---- */

static int refuse(const char **why, const char *text) {
    *why = text;
    return MX_ESYNTAX;
}

int mx_spool_batch_peek(const char *at, uint32_t seed, struct mx_spool_batch *batch,
                        const char **why) {
    memcpy(batch, at, sizeof *batch);
    struct mx_span octets = {at, sizeof *batch};
    if (batch->magic != MX_SPOOL_BATCH_MAGIC)
        return refuse(why, "no batch header");
    if (batch->crc != crc_without(seed, octets, offsetof(struct mx_spool_batch, crc)))
        return refuse(why, "CRC of the batch header");
    if (batch->used_octets < sizeof *batch || batch->used_octets % MX_SPOOL_ALIGN != 0 ||
        batch->used_octets > MX_SPOOL_BATCH_MAX ||
        batch->len_octets != mx_spool_round(batch->used_octets, MX_SPOOL_BLOCK))
        return refuse(why, "lengths of the batch");
    return 0;
}

int mx_spool_batch_check(struct mx_span octets, uint32_t seed, const struct mx_spool_batch *batch,
                         const char **why, uint32_t *where) {
    uint32_t at = sizeof *batch;
    uint64_t lsn = batch->first_lsn;
    for (uint32_t i = 0; i < batch->record_count; i++, lsn++) {
        struct mx_spool_record record;
        *where = at;
        int err = mx_spool_record_peek(octets.ptr + at, batch->used_octets - at, &record, why);
        if (err < 0)
            return err;
        struct mx_span span = {octets.ptr + at, mx_spool_record_size(&record)};
        if (!mx_spool_record_is_sound(span, seed))
            return refuse(why, "CRC of the record");
        bool may_skip = batch->last_lsn != 0 && i > 0;
        if (may_skip ? record.lsn < lsn : record.lsn != lsn)
            return refuse(why, "LSN of the record");
        lsn = record.lsn;
        at += (uint32_t)span.len;
    }
    *where = at;
    if (batch->record_count > 0 && mx_spool_batch_last(batch) != lsn - 1)
        return refuse(why, "LSN of the last record");
    if (at != batch->used_octets)
        return refuse(why, "octets behind the last record");
    if (!mx_spool_is_zero(octets.ptr + at, batch->len_octets - at))
        return refuse(why, "padding of the batch");
    return 0;
}

static bool can_be(const struct mx_spool_record *record) {
    uint64_t parts = sizeof *record + (uint64_t)record->content_octets + record->envelope_octets;
    if (record->version != MX_SPOOL_VERSION || record->len_octets != parts)
        return false;
    switch (record->type) {
    case MX_SPOOL_CHUNK:
        return record->envelope_octets == 0;
    case MX_SPOOL_MSG:
        return record->total_octets >= record->content_octets &&
               record->rcpt_count <= record->envelope_octets / sizeof(struct mx_spool_tlv) &&
               record->rcpt_base <= UINT32_MAX - record->rcpt_count;
    default:
        return false;
    }
}

int mx_spool_record_peek(const char *at, uint64_t room, struct mx_spool_record *record,
                         const char **why) {
    if (room < sizeof *record)
        return refuse(why, "no room for a record");
    memcpy(record, at, sizeof *record);
    if (record->magic != MX_SPOOL_RECORD_MAGIC)
        return refuse(why, "no record header");
    if (!can_be(record))
        return refuse(why, "lengths of the record");
    if (record->len_octets > room || mx_spool_record_size(record) > room)
        return refuse(why, "record longer than its batch");
    return 0;
}

bool mx_spool_record_is_sound(struct mx_span octets, uint32_t seed) {
    uint32_t crc;
    memcpy(&crc, octets.ptr + offsetof(struct mx_spool_record, crc), sizeof crc);
    return crc == crc_without(seed, octets, offsetof(struct mx_spool_record, crc));
}
