/* spool_maker.h - for tests: segments put together by hand, so that every field can be what a test
 * wants. The real writer is engine/spool/log.c.
 */
#pragma once
#include "engine/spool/block.h"
#include "engine/spool/meta.h"
#include "engine/spool/segment.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKER_SEGMENT = 1 << 18, MAKER_ROOT_MAX = 64 };

static const uint8_t maker_uuid[16] = {0x6b, 0x0f, 0x1c, 0x52, 0x93, 0xd4, 0x4f, 0x0e,
                                       0xa1, 0xc7, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};

#define MAKER_EPOCH(run, n) ((run)*MX_SPOOL_EPOCHS + (n))
#define MAKER_LSN(run, n)   ((UINT64_C(1) * (run)) << MX_SPOOL_LSN_BITS | (n))

/* A segment in memory, and where the next things go. */
struct maker {
    char *image;
    uint64_t size, offset; /* of the file; of the batch being made */
    uint32_t core;
    uint64_t epoch, next_lsn, committed_lsn;
    uint32_t seed, seq, used, records; /* used: octets of the batch */
    uint32_t rcpt_base, messages;
    uint64_t content_octets, oldest_epoch, first_lsn, last_lsn;
};

/* What a record shall be; the rest is filled in. */
struct maker_record {
    enum mx_spool_type type; /* 0: MSG */
    struct mx_span content;
    const char *sender;
    uint32_t rcpt_count; /* MSG, 0: 1; addresses are rcpt<ordinal>@example.com */
    /* one of several */
    uint64_t message_lsn;
    uint32_t chunk, prev_offset;
    uint64_t prev_epoch, first_epoch, total_octets;
    uint16_t flags;
    uint32_t origin_core;
};

/* A folder that is gone when the test ends. */
static inline void maker_root(char root[MAKER_ROOT_MAX]) {
    const char *in = getenv("TMPDIR");
    int len = snprintf(root, MAKER_ROOT_MAX, "%s/mxspool-XXXXXX", in != NULL ? in : "/tmp");
    assert(len > 0 && len < MAKER_ROOT_MAX && mkdtemp(root) != NULL);
}

static inline void maker_remove(const char *path) {
    DIR *dir = opendir(path);
    assert(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int len = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        assert(len > 0 && (size_t)len < sizeof inner);
        if (unlink(inner) < 0)
            maker_remove(inner);
    }
    closedir(dir);
    int err = rmdir(path);
    assert(err == 0);
}

static inline void maker_meta(const char *root, uint32_t run) {
    struct mx_spool_meta meta = {.run = run};
    memcpy(meta.uuid, maker_uuid, sizeof meta.uuid);
    int fd = open(root, O_RDONLY | O_DIRECTORY);
    assert(fd >= 0);
    int err = mx_spool_meta_write(&meta, fd);
    assert(err == 0);
    close(fd);
}

static inline void maker_batch(struct maker *self) {
    self->used = sizeof(struct mx_spool_batch);
    self->records = 0;
    self->first_lsn = self->next_lsn;
}

/* A segment of zeros with a header; size 0: MAKER_SEGMENT. */
static inline void maker_begin(struct maker *self, uint64_t size, uint32_t core, uint64_t epoch,
                               uint64_t base_lsn) {
    *self = (struct maker){.size = size > 0 ? size : MAKER_SEGMENT,
                           .offset = MX_SPOOL_BLOCK,
                           .core = core,
                           .epoch = epoch,
                           .next_lsn = base_lsn,
                           .oldest_epoch = epoch,
                           .seed = mx_spool_seed(maker_uuid, core, epoch)};
    self->image = calloc(1, self->size);
    assert(self->image != NULL);
    struct mx_spool_header header = {
        .core = core, .epoch = epoch, .size_octets = self->size, .base_lsn = base_lsn};
    memcpy(header.uuid, maker_uuid, sizeof header.uuid);
    mx_spool_header_write(self->image, &header);
    maker_batch(self);
}

static inline void maker_prev(struct maker *self, uint64_t prev_epoch, uint64_t prev_sealed_lsn) {
    struct mx_spool_header header;
    memcpy(&header, self->image, sizeof header);
    header.prev_epoch = prev_epoch;
    header.prev_sealed_lsn = prev_sealed_lsn;
    mx_spool_header_write(self->image, &header);
}

static inline char *maker_at(struct maker *self) {
    return self->image + self->offset + self->used;
}

static inline void maker_put(struct maker *self, const void *ptr, size_t len) {
    assert(self->offset + self->used + len <= self->size - MX_SPOOL_BLOCK);
    if (len > 0)
        memcpy(maker_at(self), ptr, len);
    self->used += (uint32_t)len;
}

static inline void maker_tlv(struct maker *self, uint16_t type, struct mx_span value) {
    struct mx_spool_tlv tlv = {.type = type, .len = (uint32_t)value.len};
    maker_put(self, &tlv, sizeof tlv);
    maker_put(self, value.ptr, value.len);
}

static inline uint32_t maker_envelope(struct maker *self, const struct maker_record *like) {
    uint32_t begin = self->used;
    uint64_t size = 12345;
    maker_tlv(self, MX_SPOOL_ENV_SENDER, mx_span_of(like->sender ? like->sender : "a@example.org"));
    for (uint32_t i = 0; i < (like->rcpt_count ? like->rcpt_count : 1); i++) {
        char address[40];
        int len = snprintf(address, sizeof address, "rcpt%u@example.com", i);
        maker_tlv(self, MX_SPOOL_ENV_RCPT, (struct mx_span){address, (size_t)len});
    }
    maker_tlv(self, MX_SPOOL_ENV_HELO, MX_SPAN("client.example"));
    maker_tlv(self, MX_SPOOL_ENV_SIZE, (struct mx_span){(const char *)&size, sizeof size});
    return self->used - begin;
}

/* The CRC of a record that stands at at. */
static inline void maker_sign(char *at, uint32_t seed) {
    struct mx_spool_record record;
    memcpy(&record, at, sizeof record);
    record.crc = 0;
    memcpy(at, &record, sizeof record);
    record.crc = mx_crc32c(seed, (struct mx_span){at, mx_spool_record_size(&record)});
    memcpy(at, &record, sizeof record);
}

/* Add a record to the batch; returns where it begins in the file. */
static inline uint32_t maker_record(struct maker *self, const struct maker_record *like) {
    uint32_t begin = self->used;
    bool is_message = like->type != MX_SPOOL_CHUNK;
    struct mx_spool_record record = {
        .magic = MX_SPOOL_RECORD_MAGIC,
        .type = is_message ? MX_SPOOL_MSG : MX_SPOOL_CHUNK,
        .version = MX_SPOOL_VERSION,
        .flags = like->flags,
        .lsn = self->next_lsn++,
        .content_octets = (uint32_t)like->content.len,
        .chunk = like->chunk,
        .prev_offset = like->prev_offset,
        .prev_epoch = like->prev_epoch,
        .first_epoch = like->first_epoch ? like->first_epoch : self->epoch,
        .origin_core = like->flags & MX_SPOOL_MOVED ? like->origin_core : self->core,
    };
    record.message_lsn = like->message_lsn ? like->message_lsn : record.lsn;
    maker_put(self, &record, sizeof record);
    maker_put(self, like->content.ptr, like->content.len);
    if (is_message) {
        record.total_octets = like->total_octets ? like->total_octets : like->content.len;
        record.rcpt_base = self->rcpt_base;
        record.rcpt_count = like->rcpt_count ? like->rcpt_count : 1;
        record.received_ns = INT64_C(1800000000000000000) + (int64_t)(record.lsn & 0xffffffff);
        record.envelope_octets = maker_envelope(self, like);
        self->rcpt_base += record.rcpt_count;
        self->messages++;
        self->content_octets += record.total_octets;
        if (record.first_epoch < self->oldest_epoch)
            self->oldest_epoch = record.first_epoch;
    }
    record.len_octets = self->used - begin;
    self->used = (uint32_t)mx_spool_round(self->used, MX_SPOOL_ALIGN);
    self->records++;
    self->last_lsn = record.lsn;
    memcpy(self->image + self->offset + begin, &record, sizeof record);
    maker_sign(self->image + self->offset + begin, self->seed);
    return (uint32_t)self->offset + begin;
}

/* A message of this text, alone in its record. */
static inline uint64_t maker_message(struct maker *self, const char *text) {
    struct maker_record like = {.content = mx_span_of(text)};
    (void)maker_record(self, &like);
    return self->last_lsn;
}

/* Header and zeros of the batch; the next one begins. committed_lsn is what is said in it. */
static inline void maker_flush(struct maker *self) {
    struct mx_spool_batch batch = {
        .magic = MX_SPOOL_BATCH_MAGIC,
        .epoch = self->epoch,
        .first_lsn = self->first_lsn,
        .committed_lsn = self->committed_lsn,
        .seq = self->seq++,
        .record_count = self->records,
        .used_octets = self->used,
        .len_octets = (uint32_t)mx_spool_round(self->used, MX_SPOOL_BLOCK),
        .written_ns = INT64_C(1800000000000000000),
    };
    batch.crc = mx_crc32c(self->seed, (struct mx_span){(const char *)&batch, sizeof batch});
    memcpy(self->image + self->offset, &batch, sizeof batch);
    self->offset += batch.len_octets;
    maker_batch(self);
}

/* A footer; is_cut: the file ends behind it, as after recovery. */
static inline void maker_seal(struct maker *self, bool is_cut) {
    struct mx_spool_footer footer = {
        .core = self->core,
        .message_count = self->messages,
        .epoch = self->epoch,
        .end_offset = self->offset,
        .last_lsn = self->last_lsn,
        .oldest_epoch = self->oldest_epoch,
        .content_octets = self->content_octets,
        .rcpt_count = self->rcpt_base,
    };
    memcpy(footer.uuid, maker_uuid, sizeof footer.uuid);
    if (is_cut)
        self->size = self->offset + MX_SPOOL_BLOCK;
    mx_spool_footer_write(self->image + self->size - MX_SPOOL_BLOCK, &footer);
}

static inline void maker_path(char path[256], const char *root, uint32_t core, uint32_t number,
                              const char *ending) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, core, number, ending);
    int len = snprintf(path, 256, "%s/%s", root, name);
    assert(len > 0 && len < 256);
}

/* Put the image into its file, and free it. */
static inline void maker_store(struct maker *self, const char *root, uint32_t number) {
    char path[256], folder[256];
    int len = snprintf(folder, sizeof folder, "%s/%u", root, self->core);
    assert(len > 0 && (size_t)len < sizeof folder);
    if (mkdir(folder, 0700) < 0)
        assert(access(folder, W_OK) == 0);
    maker_path(path, root, self->core, number, "");
    FILE *file = fopen(path, "wb");
    assert(file != NULL);
    size_t put = fwrite(self->image, 1, self->size, file);
    assert(put == self->size && fclose(file) == 0);
    free(self->image);
    self->image = NULL;
}
