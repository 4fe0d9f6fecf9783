#include "engine/spool/verify.h"

#include "engine/spool/block.h"
#include "engine/spool/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int mx_spool_verify_new(struct mx_spool_verify *self, struct mx_spool_store *store,
                        mx_spool_finding_fn *found, void *context) {
    *self = (struct mx_spool_verify){
        .store = store, .found = found, .context = context, .file = {.fd = -1}};
    int err = mx_spool_reader_new(&self->reader, store);
    if (err == 0)
        err = mx_spool_acks_new(&self->acks, store, NULL, NULL, NULL);
    if (err == 0)
        err = mx_spool_file_new(&self->file);
    if (err < 0)
        mx_spool_verify_free(self);
    return err;
}

void mx_spool_verify_free(struct mx_spool_verify *self) {
    mx_spool_reader_free(&self->reader);
    mx_spool_acks_free(&self->acks);
    mx_spool_file_free(&self->file);
}

/* A running server may have freed the file meanwhile, and used it again. */
static bool is_current(struct mx_spool_verify *self) {
    if (self->is_gone || !self->store->is_running)
        return !self->is_gone;
    self->is_gone = self->file.fd < 0 || !mx_spool_store_is_current(&self->file, &self->segment);
    return !self->is_gone;
}

static void tell(struct mx_spool_verify *self, uint64_t offset, uint64_t octets, const char *text) {
    if (!is_current(self))
        return;
    struct mx_spool_finding finding = {
        .dir = self->segment.dir,
        .path = self->path,
        .offset = offset,
        .octets = octets,
        .text = text,
    };
    self->damaged++;
    self->findings++;
    self->found(self->context, &finding);
}

static void tell_damage(void *context, const struct mx_spool_damage *damage) {
    tell(context, damage->offset, damage->octets, damage->why);
}

/* ---- header and footer ---- */

static void check_blocks(struct mx_spool_verify *self) {
    const struct mx_spool_segment *segment = &self->segment;
    struct mx_spool_header header;
    struct mx_spool_footer footer;
    const char *block;
    bool is_marred = false;
    if (segment->trouble != NULL && segment->state == MX_SPOOL_SEGMENT_DAMAGED)
        tell(self, 0, 0, segment->trouble);
    else if (mx_spool_file_map(&self->file, 0, MX_SPOOL_BLOCK, &block) < 0)
        tell(self, 0, MX_SPOOL_BLOCK, "the disk cannot read this");
    else if (mx_spool_header_read(block, &header, &is_marred) == MX_SPOOL_BLOCK_VALID && is_marred)
        tell(self, 0, MX_SPOOL_BLOCK, "a copy of the header");
    if (segment->state != MX_SPOOL_SEGMENT_SEALED)
        return;
    uint64_t at = segment->file_octets - MX_SPOOL_BLOCK;
    if (mx_spool_file_map(&self->file, at, MX_SPOOL_BLOCK, &block) < 0)
        tell(self, at, MX_SPOOL_BLOCK, "the disk cannot read this");
    else if (mx_spool_footer_read(block, &footer, &is_marred) == MX_SPOOL_BLOCK_VALID && is_marred)
        tell(self, at, MX_SPOOL_BLOCK, "a copy of the footer");
}

/* ---- records ---- */

struct counts {
    uint64_t last_lsn, oldest_epoch, content_octets;
    uint32_t message_count, rcpt_count, left_rcpts;
};

/* Nobody waits for the message any more: parts of it may have been left out. */
static bool is_done(struct mx_spool_verify *self, const struct mx_spool_record *record) {
    return mx_spool_acks_poll(&self->acks) == 0 &&
           mx_spool_acks_count(&self->acks, &self->segment, record->rcpt_base, record->rcpt_count,
                               MX_SPOOL_RCPT_FINAL) == record->rcpt_count;
}

static void check_parts(struct mx_spool_verify *self, const struct mx_spool_record *record,
                        uint64_t offset) {
    int err = mx_spool_reader_open(&self->reader, self->listed, record->lsn, offset);
    if (err == 0)
        err = mx_spool_reader_content(&self->reader, NULL, NULL);
    bool is_left_out = err == -ENOENT || (err == MX_ESYNTAX && self->reader.is_left_out);
    if (err == 0 || (is_left_out && is_done(self, record)))
        return;
    tell(self, offset, record->len_octets,
         err == MX_ESYNTAX ? self->reader.why : "the message cannot be read");
}

static void check_message(struct mx_spool_verify *self, const struct mx_spool_record *record,
                          uint64_t offset, struct counts *counts) {
    const char *at;
    uint64_t envelope_at = offset + sizeof *record + record->content_octets;
    if (mx_spool_file_map(&self->file, envelope_at, record->envelope_octets, &at) < 0 ||
        !mx_spool_envelope_is_sound((struct mx_span){at, record->envelope_octets},
                                    record->rcpt_count))
        tell(self, offset, record->len_octets, "the envelope");
    bool may_skip = self->segment.compactions > 0 && record->rcpt_base > counts->rcpt_count;
    if (self->damaged == 0 && record->rcpt_base != counts->rcpt_count && !may_skip)
        tell(self, offset, record->len_octets, "numbers of the recipients");
    if (record->rcpt_base + record->rcpt_count > counts->rcpt_count)
        counts->rcpt_count = record->rcpt_base + record->rcpt_count;
    if (record->first_epoch < counts->oldest_epoch)
        counts->oldest_epoch = record->first_epoch;
    counts->message_count++;
    counts->left_rcpts += record->rcpt_count;
    counts->content_octets += record->total_octets;
    if (record->chunk > 0 || record->total_octets != record->content_octets)
        check_parts(self, record, offset);
}

static void check_counts(struct mx_spool_verify *self, const struct counts *counts) {
    const struct mx_spool_segment *segment = &self->segment;
    if (segment->state != MX_SPOOL_SEGMENT_SEALED || self->damaged > 0)
        return;
    /* of a compacted one the footer also speaks of what was left out */
    bool is_last =
        segment->compactions > 0
            ? counts->last_lsn <= segment->last_lsn && counts->rcpt_count <= segment->rcpt_count &&
                  counts->left_rcpts == segment->left_rcpts
            : counts->last_lsn == segment->last_lsn && counts->rcpt_count == segment->rcpt_count;
    if (!is_last || counts->oldest_epoch != segment->oldest_epoch ||
        counts->content_octets != segment->content_octets ||
        counts->message_count != segment->message_count)
        tell(self, segment->file_octets - MX_SPOOL_BLOCK, MX_SPOOL_BLOCK,
             "the footer tells something else than the records");
}

static void check_records(struct mx_spool_verify *self, const struct mx_spool_segment *extent) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    struct counts counts = {.oldest_epoch = self->segment.epoch};
    mx_spool_walk_begin(&walk, &self->file, self->store->uuid, extent, false);
    walk.damaged = tell_damage;
    walk.context = self;
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        if (record.lsn > self->segment.cut_lsn || offset >= self->segment.end_offset)
            continue; /* void, but as it was written */
        counts.last_lsn = record.lsn;
        if (record.type == MX_SPOOL_MSG)
            check_message(self, &record, offset, &counts);
    }
    if (!is_current(self))
        return;
    check_counts(self, &counts);
    self->messages += counts.message_count;
    self->octets += extent->end_offset;
}

static void tell_tail(struct mx_spool_verify *self, uint64_t offset) {
    struct mx_spool_finding finding = {
        .is_tail = true,
        .dir = self->segment.dir,
        .path = self->path,
        .offset = offset,
        .octets = self->segment.file_octets - offset,
        .text = "behind the last batch that counts, ignored",
    };
    self->found(self->context, &finding);
}

void mx_spool_verify_segment(struct mx_spool_verify *self, struct mx_spool_segment *segment) {
    self->listed = segment;
    self->segment = *segment;
    self->is_gone = false;
    self->damaged = 0;
    bool is_sealed = segment->state == MX_SPOOL_SEGMENT_SEALED;
    mx_spool_segment_name(self->path, segment->core, segment->number, "");
    if (segment->state == MX_SPOOL_SEGMENT_FREE)
        return;
    self->segments++;
    if (self->store->is_running && !is_sealed && mx_spool_store_refresh(self->store, segment) < 0)
        return;
    int err = mx_spool_store_file(self->store, segment, &self->file);
    self->segment = *segment;
    if (err < 0) {
        tell(self, 0, 0, "the file cannot be opened");
        return;
    }
    check_blocks(self);
    if (segment->epoch == 0)
        return;
    struct mx_spool_segment extent = *segment;
    struct mx_spool_scan scan = {.has_tail = false};
    if (segment->state != MX_SPOOL_SEGMENT_SEALED) {
        mx_spool_scan(&scan, &self->file, self->store->uuid, &extent);
        extent.cut_lsn = MX_SPOOL_NO_CUT;
    }
    check_records(self, &extent);
    if (scan.has_tail && is_current(self))
        tell_tail(self, extent.end_offset);
}

/* ---- ack logs ---- */

struct log_check {
    struct mx_spool_verify *verify;
    char path[MX_SPOOL_NAME_MAX];
    uint32_t seed;
};

static void tell_log(const struct log_check *self, uint64_t offset, uint64_t octets, bool is_tail) {
    struct mx_spool_finding finding = {
        .is_tail = is_tail,
        .path = self->path,
        .offset = offset,
        .octets = octets,
        .text = is_tail ? "behind the last whole record, ignored" : "CRC of the record",
    };
    self->verify->findings += !is_tail;
    self->verify->found(self->verify->context, &finding);
}

static int check_log(struct log_check *self, int fd) {
    struct mx_spool_ack acks[256];
    uint64_t good = 0, at = 0;
    size_t len;
    do {
        int err = mx_disk_read(fd, (char *)acks, sizeof acks, at, &len);
        if (err < 0)
            return err;
        for (size_t i = 0; i < len / sizeof *acks; i++) {
            uint64_t offset = at + i * sizeof *acks;
            if (!mx_spool_ack_is_sound(&acks[i], self->seed))
                continue;
            if (good < offset)
                tell_log(self, good, offset - good, false);
            good = offset + sizeof *acks;
        }
        at += len;
    } while (len == sizeof acks);
    if (good < at)
        tell_log(self, good, at - good, true);
    return 0;
}

static int check_log_name(void *context, int folder, const char *name) {
    struct log_check *self = context;
    int len = snprintf(self->path, sizeof self->path, "acks/%s", name);
    assert(len > 0 && (size_t)len < sizeof self->path);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int err = check_log(self, fd);
    close(fd);
    return err;
}

int mx_spool_verify_acks(struct mx_spool_verify *self) {
    struct mx_span uuid = {(const char *)self->store->uuid, sizeof self->store->uuid};
    struct log_check check = {.verify = self, .seed = mx_crc32c(0, uuid)};
    return mx_spool_acks_each(self->store, check_log_name, &check);
}
