#include "engine/spool/scan.h"

#include "engine/spool/block.h"

#include <assert.h>

/* ---- where does it end? ---- */

struct pass {
    struct mx_spool_file *file;
    struct mx_spool_wanted wanted;
    uint64_t offset; /* of the next batch */
};

static void begin(struct pass *self, struct mx_spool_file *file, const uint8_t uuid[16],
                  const struct mx_spool_segment *segment) {
    *self = (struct pass){
        .file = file,
        .wanted = {.seed = mx_spool_seed(uuid, segment->core, segment->epoch),
                   .epoch = segment->epoch,
                   .last_lsn = segment->base_lsn > 0 ? segment->base_lsn - 1 : 0,
                   .end = file->size_octets},
        .offset = MX_SPOOL_BLOCK,
    };
}

static void pass_over(struct pass *self, const struct mx_spool_batch *batch) {
    self->offset += batch->len_octets;
    self->wanted.seq = batch->seq + 1;
    self->wanted.seq_max = self->wanted.seq;
    if (batch->record_count > 0)
        self->wanted.last_lsn = mx_spool_batch_last(batch);
}

/* The next batch, right here or behind a hole, which *hole then tells of (else its octets are 0).
 * False: there is none; the hole goes to the end. */
static bool next(struct pass *self, struct mx_spool_batch *batch, struct mx_spool_damage *hole) {
    if (mx_spool_batch_at(self->file, self->offset, &self->wanted, batch, hole) == 0) {
        *hole = (struct mx_spool_damage){0};
        return true;
    }
    uint64_t begin_at = self->offset;
    self->offset += MX_SPOOL_BLOCK;
    self->wanted.seq++;
    bool is_found = mx_spool_batch_find(self->file, &self->offset, &self->wanted, batch);
    hole->octets = self->offset - begin_at;
    hole->offset = begin_at;
    return is_found;
}

static uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* First look: what was acknowledged, are there holes, and where does the last batch end? */
static void look(struct mx_spool_scan *self, struct pass *pass, uint64_t acked_lsn) {
    struct mx_spool_batch batch;
    struct mx_spool_damage hole;
    self->acked_lsn = acked_lsn;
    self->last_end = pass->offset;
    while (next(pass, &batch, &hole)) {
        self->acked_lsn = higher(self->acked_lsn, batch.committed_lsn);
        self->holes += hole.octets > 0;
        self->batches++;
        self->written_ns = batch.written_ns;
        pass_over(pass, &batch);
        self->last_end = pass->offset;
    }
}

static bool is_void(const struct mx_spool_batch *batch, uint64_t cut_lsn) {
    return batch->record_count > 0 && batch->first_lsn > cut_lsn;
}

/* Second look: where the log ends, now that this is known. */
static uint64_t find_end(struct mx_spool_scan *self, struct pass *pass, uint64_t cut_lsn) {
    self->batches = 0;
    for (;; self->batches++) {
        struct mx_spool_batch batch;
        struct mx_spool_damage hole;
        uint64_t offset = pass->offset;
        bool is_acked = pass->wanted.last_lsn < self->acked_lsn;
        if (!is_acked && (offset == self->last_end ||
                          mx_spool_batch_at(pass->file, offset, &pass->wanted, &batch, &hole) < 0))
            return offset;
        bool is_found = next(pass, &batch, &hole);
        if ((hole.octets > 0 || !is_found) && !self->is_damaged) { /* or the file is cut short */
            self->is_damaged = true;
            self->hole = hole;
        }
        if (is_found && is_void(&batch, cut_lsn))
            return pass->offset;
        if (!is_found) /* the next segment tells of more, which may be anywhere */
            return pass->wanted.end;
        self->written_ns = batch.written_ns;
        pass_over(pass, &batch);
    }
}

/* Zeros, and whole batches of an older epoch, are what lies behind a log that was not torn. */
static bool has_traces(struct pass *pass, uint64_t offset, const uint8_t uuid[16], uint32_t core) {
    const char *at, *why;
    struct mx_spool_batch batch;
    if (offset + MX_SPOOL_BLOCK > pass->wanted.end ||
        mx_spool_file_map(pass->file, offset, MX_SPOOL_BLOCK, &at) < 0 ||
        mx_spool_is_zero(at, MX_SPOOL_BLOCK))
        return false;
    memcpy(&batch, at, sizeof batch);
    return batch.epoch >= pass->wanted.epoch ||
           mx_spool_batch_peek(at, mx_spool_seed(uuid, core, batch.epoch), &batch, &why) < 0;
}

/* ---- what is in it? ---- */

static void count(struct mx_spool_file *file, const uint8_t uuid[16],
                  struct mx_spool_segment *segment) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    segment->last_lsn = segment->content_octets = 0;
    segment->message_count = segment->rcpt_count = 0;
    segment->oldest_epoch = segment->epoch;
    mx_spool_walk_begin(&walk, file, uuid, segment, false);
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        segment->last_lsn = record.lsn;
        if (record.type != MX_SPOOL_MSG)
            continue;
        segment->message_count++;
        segment->content_octets += record.total_octets;
        if (record.rcpt_base + record.rcpt_count > segment->rcpt_count)
            segment->rcpt_count = record.rcpt_base + record.rcpt_count;
        if (record.first_epoch < segment->oldest_epoch)
            segment->oldest_epoch = record.first_epoch;
    }
}

void mx_spool_scan(struct mx_spool_scan *self, struct mx_spool_file *file, const uint8_t uuid[16],
                   struct mx_spool_segment *segment) {
    struct pass pass;
    *self = (struct mx_spool_scan){0};
    segment->file_octets = file->size_octets;
    segment->end_offset = MX_SPOOL_BLOCK;
    if (segment->epoch == 0)
        return;
    begin(&pass, file, uuid, segment);
    look(self, &pass, segment->acked_lsn);
    if (self->acked_lsn > segment->cut_lsn)
        self->acked_lsn = segment->cut_lsn;
    segment->end_offset = self->last_end;
    if (self->holes > 0 || pass.wanted.last_lsn < self->acked_lsn ||
        pass.wanted.last_lsn > segment->cut_lsn) {
        begin(&pass, file, uuid, segment);
        segment->end_offset = find_end(self, &pass, segment->cut_lsn);
    }
    self->has_tail = self->last_end > segment->end_offset ||
                     has_traces(&pass, segment->end_offset, uuid, segment->core);
    segment->acked_lsn = self->acked_lsn;
    segment->written_ns = self->written_ns;
    count(file, uuid, segment);
}

/* ---- a damaged header ---- */

uint64_t mx_spool_scan_epoch(struct mx_spool_file *file, const uint8_t uuid[16], uint32_t core) {
    const char *at, *why;
    struct mx_spool_footer footer;
    struct mx_spool_batch batch;
    uint64_t epoch = 0;
    for (uint64_t offset = MX_SPOOL_BLOCK; offset + MX_SPOOL_BLOCK <= file->size_octets;
         offset += MX_SPOOL_BLOCK) {
        if (mx_spool_file_map(file, offset, MX_SPOOL_BLOCK, &at) < 0)
            continue;
        memcpy(&batch, at, sizeof batch);
        if (batch.magic == MX_SPOOL_BATCH_MAGIC && batch.epoch > epoch &&
            mx_spool_batch_peek(at, mx_spool_seed(uuid, core, batch.epoch), &batch, &why) == 0)
            epoch = batch.epoch;
        bool is_last = offset + UINT64_C(2) * MX_SPOOL_BLOCK > file->size_octets;
        if (is_last && mx_spool_footer_read(at, &footer, NULL) == MX_SPOOL_BLOCK_VALID &&
            memcmp(footer.uuid, uuid, sizeof footer.uuid) == 0 && footer.core == core)
            epoch = higher(epoch, footer.epoch);
    }
    return epoch;
}
