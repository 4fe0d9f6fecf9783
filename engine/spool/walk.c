#include "engine/spool/walk.h"

#include "engine/spool/block.h"

#include <assert.h>

static int refuse(struct mx_spool_damage *damage, uint64_t offset, const char *why) {
    *damage = (struct mx_spool_damage){.offset = offset, .why = why};
    return MX_ESYNTAX;
}

static const char *read_error(int err) {
    return err == MX_EPARTIAL ? "the file ends here" : "the disk cannot read this";
}

/* ---- batches ---- */

int mx_spool_batch_at(struct mx_spool_file *file, uint64_t offset,
                      const struct mx_spool_wanted *wanted, struct mx_spool_batch *batch,
                      struct mx_spool_damage *damage) {
    const char *at, *why;
    if (offset + sizeof *batch > wanted->end)
        return refuse(damage, offset, "the segment ends here");
    int err = mx_spool_file_map(file, offset, sizeof *batch, &at);
    if (err < 0)
        return refuse(damage, offset, read_error(err));
    err = mx_spool_batch_peek(at, wanted->seed, batch, &why);
    if (err < 0)
        return refuse(damage, offset, why);
    if (batch->epoch != wanted->epoch)
        return refuse(damage, offset, "epoch of the batch");
    if (batch->seq < wanted->seq || batch->seq > wanted->seq_max)
        return refuse(damage, offset, "number of the batch");
    if (batch->record_count > 0 && batch->first_lsn <= wanted->last_lsn)
        return refuse(damage, offset, "LSN of the batch");
    if (batch->len_octets > wanted->end - offset)
        return refuse(damage, offset, "batch longer than the segment");
    if (wanted->is_light)
        return 0;
    err = mx_spool_file_map(file, offset, batch->len_octets, &at);
    if (err < 0)
        return refuse(damage, offset, read_error(err));
    uint32_t where = 0;
    struct mx_span octets = {at, batch->len_octets};
    err = mx_spool_batch_check(octets, wanted->seed, batch, &why, &where);
    return err < 0 ? refuse(damage, offset + where, why) : 0;
}

bool mx_spool_batch_find(struct mx_spool_file *file, uint64_t *offset,
                         const struct mx_spool_wanted *wanted, struct mx_spool_batch *batch) {
    struct mx_spool_wanted now = *wanted;
    struct mx_spool_damage damage;
    /* a batch has at least a block: so many may be missing */
    for (now.seq_max = now.seq; *offset + MX_SPOOL_BLOCK <= now.end; *offset += MX_SPOOL_BLOCK) {
        if (mx_spool_batch_at(file, *offset, &now, batch, &damage) == 0)
            return true;
        now.seq_max++;
    }
    *offset = now.end;
    return false;
}

/* ---- the walk ---- */

void mx_spool_walk_begin(struct mx_spool_walk *self, struct mx_spool_file *file,
                         const uint8_t uuid[16], const struct mx_spool_segment *segment,
                         bool is_light) {
    *self = (struct mx_spool_walk){
        .file = file,
        .is_light = is_light,
        .seed = mx_spool_seed(uuid, segment->core, segment->epoch),
        .epoch = segment->epoch,
        .end = segment->end_offset,
        .cut_lsn = segment->cut_lsn,
        .batch_at = MX_SPOOL_BLOCK,
        .last_lsn = segment->base_lsn > 0 ? segment->base_lsn - 1 : 0,
    };
}

static void report(struct mx_spool_walk *self, uint64_t offset, uint64_t until, const char *why) {
    struct mx_spool_damage damage = {offset, until - offset, why};
    self->damaged_octets += damage.octets;
    if (self->damaged != NULL)
        self->damaged(self->context, &damage);
}

static void enter_records(struct mx_spool_walk *self, const struct mx_spool_batch *batch,
                          uint64_t offset) {
    self->at = offset + sizeof *batch;
    self->until = offset + batch->used_octets;
    self->batch_at = offset + batch->len_octets;
    self->seq = batch->seq + 1;
    self->is_salvage = false;
    if (self->is_light && batch->record_count > 0 && mx_spool_batch_last(batch) < self->from_lsn)
        self->at = self->until;
}

/* Records that are whole although what is around them is not. */
static void enter_salvage(struct mx_spool_walk *self, uint64_t offset, uint64_t until,
                          uint64_t bound_lsn) {
    self->at = offset;
    self->until = until;
    self->batch_at = until;
    self->bound_lsn = bound_lsn;
    self->is_salvage = true;
}

/* False: the segment is over. */
static bool next_batch(struct mx_spool_walk *self) {
    struct mx_spool_batch batch;
    struct mx_spool_damage damage;
    uint64_t offset = self->batch_at;
    struct mx_spool_wanted wanted = {
        .seed = self->seed,
        .seq = self->seq,
        .seq_max = self->seq,
        .epoch = self->epoch,
        .last_lsn = self->last_lsn,
        .end = self->end,
        .is_light = self->is_light,
    };
    if (offset >= self->end)
        return false;
    if (mx_spool_batch_at(self->file, offset, &wanted, &batch, &damage) == 0) {
        enter_records(self, &batch, offset);
        return true;
    }
    /* the batch behind the hole is looked at again when the hole is done */
    uint64_t next = offset + MX_SPOOL_BLOCK;
    wanted.seq++;
    bool has_next = mx_spool_batch_find(self->file, &next, &wanted, &batch);
    report(self, offset, next, damage.why);
    enter_salvage(self, offset, next, has_next ? batch.first_lsn : MX_SPOOL_NO_CUT);
    self->seq = has_next ? batch.seq : self->seq;
    return true;
}

/* Light: the header alone says how long the record is; what is in the buffer is checked. */
static bool take_record(struct mx_spool_walk *self, struct mx_spool_record *record,
                        const char **why) {
    const char *at;
    int err = mx_spool_file_map(self->file, self->at, sizeof *record, &at);
    if (err < 0) {
        *why = read_error(err);
        return false;
    }
    if (mx_spool_record_peek(at, self->until - self->at, record, why) < 0)
        return false;
    *why = "LSN of the record";
    if (record->lsn <= self->last_lsn)
        return false;
    uint32_t size = mx_spool_record_size(record);
    *why = "CRC of the record";
    self->is_checked = !self->is_light || mx_spool_file_has(self->file, self->at, size);
    return !self->is_light || !self->is_checked ||
           mx_spool_record_is_sound((struct mx_span){at, size}, self->seed);
}

/* Is there a whole record at this place of a hole? self->at moves behind it, or to the next place
 * where one may be: not again into a block that cannot be read. */
static bool salvage_record(struct mx_spool_walk *self, struct mx_spool_record *record) {
    const char *at, *why;
    uint64_t offset = self->at, room = self->until - offset;
    self->at += MX_SPOOL_ALIGN;
    if (room < sizeof *record)
        return false;
    if (mx_spool_file_map(self->file, offset, sizeof *record, &at) < 0) {
        self->at = mx_spool_round(offset + 1, MX_SPOOL_BLOCK);
        return false;
    }
    if (mx_spool_record_peek(at, room, record, &why) < 0)
        return false;
    uint32_t size = mx_spool_record_size(record);
    if (size > MX_SPOOL_BATCH_MAX || record->lsn <= self->last_lsn ||
        record->lsn >= self->bound_lsn || mx_spool_file_map(self->file, offset, size, &at) < 0 ||
        !mx_spool_record_is_sound((struct mx_span){at, size}, self->seed))
        return false;
    self->at = offset + size;
    self->is_checked = true;
    return true;
}

/* The record at self->at, if it is one; self->at moves on. */
static bool step(struct mx_spool_walk *self, struct mx_spool_record *record, uint64_t *offset) {
    const char *why = NULL;
    *offset = self->at;
    if (self->is_salvage)
        return salvage_record(self, record);
    if (take_record(self, record, &why)) {
        self->at += mx_spool_record_size(record);
        return true;
    }
    /* only a light walk meets this: the rest of the batch is searched for whole records */
    report(self, self->at, self->batch_at, why);
    enter_salvage(self, self->at, self->batch_at, MX_SPOOL_NO_CUT);
    return false;
}

bool mx_spool_walk_next(struct mx_spool_walk *self, struct mx_spool_record *record,
                        uint64_t *offset) {
    for (;;) {
        while (self->at >= self->until) {
            if (!next_batch(self))
                return false;
        }
        if (!step(self, record, offset))
            continue;
        if (record->lsn > self->cut_lsn) {
            self->at = self->until = self->batch_at = self->end;
            return false;
        }
        self->last_lsn = record->lsn;
        return true;
    }
}
