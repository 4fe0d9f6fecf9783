#include "engine/spool/compact.h"

#include "engine/spool/block.h"
#include "engine/spool/disk.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STEP = 1 << 20, CHAINS_MIN = 256 };

/* ---- the file system ---- */

static int do_write(void *context, int fd, struct mx_span octets, uint64_t offset) {
    (void)context;
    return mx_disk_write(fd, octets, offset);
}

static int do_sync(void *context, int fd) {
    (void)context;
    return fsync(fd) == 0 ? 0 : -errno;
}

static int do_rename(void *context, int root, const char *from, const char *to) {
    (void)context;
    return renameat(root, from, root, to) == 0 ? 0 : -errno;
}

static int do_sync_folder(void *context, int folder) {
    (void)context;
    return mx_disk_sync_folder(folder);
}

static const struct mx_spool_compact_io real = {do_write, do_sync, do_rename, do_sync_folder};

int mx_spool_compact_new(struct mx_spool_compact *self, struct mx_spool_store *store,
                         const struct mx_spool_compact_io *io) {
    *self = (struct mx_spool_compact){
        .store = store, .io = io != NULL ? io : &real, .file = {.fd = -1}, .fd = -1};
    void *batch = NULL;
    int err = posix_memalign(&batch, MX_SPOOL_BLOCK, MX_SPOOL_BATCH_MAX) == 0 ? 0 : -ENOMEM;
    self->batch = batch;
    if (err == 0)
        err = mx_spool_file_new(&self->file);
    if (err < 0)
        mx_spool_compact_free(self);
    return err;
}

void mx_spool_compact_free(struct mx_spool_compact *self) {
    mx_spool_file_free(&self->file);
    free(self->batch);
    free(self->chains);
    self->batch = NULL;
    self->chains = NULL;
}

/* ---- reading ---- */

typedef int take_fn(struct mx_spool_compact *self, const struct mx_spool_segment *segment,
                    const struct mx_spool_record *record, uint64_t offset);

/* Every record of a segment, each with its CRC. */
static int read_all(struct mx_spool_compact *self, struct mx_spool_segment *segment,
                    take_fn *take) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset, next_step = STEP;
    if (mx_spool_store_file(self->store, segment, &self->file) < 0)
        return MX_ESYNTAX;
    self->read_octets += self->file.size_octets;
    mx_spool_walk_begin(&walk, &self->file, self->store->uuid, segment, false);
    int err = 0;
    while (err == 0 && mx_spool_walk_next(&walk, &record, &offset)) {
        err = take(self, segment, &record, offset);
        if (err == 0 && offset >= next_step) {
            next_step = offset + STEP;
            err = self->go_on(self->context) ? 0 : -ECANCELED;
        }
    }
    return err == 0 && walk.damaged_octets > 0 ? MX_ESYNTAX : err;
}

/* ---- which chunks are waited for ---- */

static int compare(const void *a, const void *b) {
    const struct mx_spool_chain *x = a, *y = b;
    if (x->lsn != y->lsn)
        return x->lsn < y->lsn ? -1 : 1;
    return x->core < y->core ? -1 : x->core > y->core;
}

static int new_chain(struct mx_spool_compact *self, const struct mx_spool_record *record,
                     bool is_waited) {
    if (self->chain_count == self->chain_capacity) {
        uint32_t capacity = self->chain_capacity > 0 ? 2 * self->chain_capacity : CHAINS_MIN;
        void *more = realloc(self->chains, capacity * sizeof *self->chains);
        if (more == NULL)
            return -ENOMEM;
        self->chains = more;
        self->chain_capacity = capacity;
    }
    self->chains[self->chain_count++] =
        (struct mx_spool_chain){record->message_lsn, record->origin_core, is_waited};
    return 0;
}

/* A message that ends here, with chunks in the segment or before it. */
static int take_chain(struct mx_spool_compact *self, const struct mx_spool_segment *segment,
                      const struct mx_spool_record *record, uint64_t offset) {
    (void)offset;
    if (record->type != MX_SPOOL_MSG || record->chunk == 0 || record->first_epoch > self->is.epoch)
        return 0;
    bool is_waited = self->is_waited(self->context, segment, record);
    return is_waited || self->keeps_open ? new_chain(self, record, is_waited) : 0;
}

/* The next segment of the core behind this epoch in which messages end that have chunks in ours. */
static bool next_end(const struct mx_spool_compact *self, uint64_t epoch,
                     struct mx_spool_segment *found) {
    for (uint32_t i = 0; i < self->store->count; i++) {
        const struct mx_spool_segment *row = &self->store->segments[i];
        bool is_behind = row->core == self->is.core && row->epoch > epoch;
        if (is_behind && row->message_count > 0 && row->oldest_epoch <= self->is.epoch) {
            *found = *row;
            return true;
        }
    }
    return false;
}

static int find_chains(struct mx_spool_compact *self, struct mx_spool_segment *segment) {
    struct mx_spool_segment later;
    self->chain_count = 0;
    int err = read_all(self, segment, take_chain);
    for (uint64_t epoch = segment->epoch; err == 0 && next_end(self, epoch, &later);
         epoch = later.epoch)
        err = later.state == MX_SPOOL_SEGMENT_SEALED ? read_all(self, &later, take_chain)
                                                     : MX_ESYNTAX;
    if (self->chain_count > 0)
        qsort(self->chains, self->chain_count, sizeof *self->chains, compare);
    return err;
}

static bool is_kept(const struct mx_spool_compact *self, const struct mx_spool_segment *segment,
                    const struct mx_spool_record *record) {
    if (record->type == MX_SPOOL_MSG)
        return self->is_waited(self->context, segment, record);
    const struct mx_spool_chain key = {.lsn = record->message_lsn, .core = record->origin_core};
    const struct mx_spool_chain *chain = NULL;
    if (self->chain_count > 0)
        chain = bsearch(&key, self->chains, self->chain_count, sizeof *self->chains, compare);
    return chain != NULL ? chain->is_waited : self->keeps_open;
}

/* ---- writing ---- */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int put(struct mx_spool_compact *self, const char *octets, uint32_t len, uint64_t offset) {
    return self->io->write(self->context, self->fd, (struct mx_span){octets, len}, offset);
}

static void begin_batch(struct mx_spool_compact *self) {
    self->used = sizeof(struct mx_spool_batch);
    self->record_count = 0;
}

static int flush(struct mx_spool_compact *self) {
    struct mx_spool_segment *is = &self->is;
    if (self->record_count == 0)
        return 0;
    struct mx_spool_batch batch = {
        .magic = MX_SPOOL_BATCH_MAGIC,
        .epoch = is->epoch,
        .first_lsn = self->first_lsn,
        .committed_lsn = is->last_lsn,
        .seq = self->seq++,
        .record_count = self->record_count,
        .used_octets = self->used,
        .len_octets = (uint32_t)mx_spool_round(self->used, MX_SPOOL_BLOCK),
        .written_ns = now_ns(),
        .last_lsn = self->last_lsn,
    };
    uint32_t seed = mx_spool_seed(self->store->uuid, is->core, is->epoch);
    batch.crc = mx_crc32c(seed, (struct mx_span){(const char *)&batch, sizeof batch});
    memcpy(self->batch, &batch, sizeof batch);
    memset(self->batch + self->used, 0, batch.len_octets - self->used);
    int err = put(self, self->batch, batch.len_octets, is->end_offset);
    is->end_offset += batch.len_octets;
    begin_batch(self);
    return err;
}

static void count(struct mx_spool_segment *is, const struct mx_spool_record *record) {
    if (record->type != MX_SPOOL_MSG)
        return;
    is->message_count++;
    is->left_rcpts += record->rcpt_count;
    is->content_octets += record->total_octets;
    if (record->first_epoch < is->oldest_epoch)
        is->oldest_epoch = record->first_epoch;
}

static int take_record(struct mx_spool_compact *self, const struct mx_spool_segment *segment,
                       const struct mx_spool_record *record, uint64_t offset) {
    uint32_t size = mx_spool_record_size(record);
    const char *at;
    if (!is_kept(self, segment, record))
        return 0;
    int err = self->used + size > MX_SPOOL_BATCH_MAX ? flush(self) : 0;
    if (err < 0)
        return err;
    uint64_t end = self->is.end_offset + mx_spool_round(self->used + size, MX_SPOOL_BLOCK);
    if (end + MX_SPOOL_BLOCK > self->most_octets)
        return -EFBIG;
    if (mx_spool_file_map(&self->file, offset, size, &at) < 0)
        return MX_ESYNTAX;
    memcpy(self->batch + self->used, at, size);
    self->used += size;
    if (self->record_count++ == 0)
        self->first_lsn = record->lsn;
    self->last_lsn = record->lsn;
    count(&self->is, record);
    return 0;
}

static int put_footer(struct mx_spool_compact *self) {
    _Alignas(MX_SPOOL_BLOCK) char block[MX_SPOOL_BLOCK];
    struct mx_spool_segment *is = &self->is;
    struct mx_spool_footer footer = {
        .core = is->core,
        .message_count = is->message_count,
        .epoch = is->epoch,
        .end_offset = is->end_offset,
        .last_lsn = is->last_lsn,
        .oldest_epoch = is->oldest_epoch,
        .content_octets = is->content_octets,
        .sealed_ns = now_ns(),
        .rcpt_count = is->rcpt_count,
        .left_rcpts = is->left_rcpts,
    };
    memcpy(footer.uuid, self->store->uuid, sizeof footer.uuid);
    mx_spool_footer_write(block, &footer);
    is->file_octets = is->end_offset + MX_SPOOL_BLOCK;
    return put(self, block, sizeof block, is->end_offset);
}

/* What it says of the segment before it goes on to count. */
static int put_header(struct mx_spool_compact *self) {
    _Alignas(MX_SPOOL_BLOCK) char block[MX_SPOOL_BLOCK];
    const struct mx_spool_segment *is = &self->is;
    struct mx_spool_header header = {
        .core = is->core,
        .compactions = is->compactions,
        .epoch = is->epoch,
        .size_octets = is->file_octets,
        .base_lsn = is->base_lsn,
        .prev_epoch = is->prev_epoch,
        .prev_sealed_lsn = is->prev_sealed_lsn,
        .created_ns = is->created_ns,
    };
    memcpy(header.uuid, self->store->uuid, sizeof header.uuid);
    mx_spool_header_write(block, &header);
    return put(self, block, sizeof block, 0);
}

static int write_file(struct mx_spool_compact *self, struct mx_spool_segment *segment) {
    begin_batch(self);
    self->seq = 0;
    int err = read_all(self, segment, take_record);
    if (err == 0)
        err = flush(self);
    if (err == 0)
        err = put_footer(self);
    if (err == 0)
        err = put_header(self);
    return err == 0 ? self->io->sync(self->context, self->fd) : err;
}

/* ---- all of it ---- */

static int open_folder(const struct mx_spool_compact *self) {
    char name[16];
    int len = snprintf(name, sizeof name, "%u", self->is.core);
    assert(len > 0 && (size_t)len < sizeof name);
    int fd = openat(self->store->dirs[self->is.dir].fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* From the rename on it is there, although a crash may still take that back. */
static int replace(struct mx_spool_compact *self, int root, const char *from,
                   struct mx_spool_segment *segment) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, segment->core, segment->number, "");
    int folder = open_folder(self);
    if (folder < 0)
        return folder;
    int err = self->io->rename(self->context, root, from, name);
    if (err == 0) {
        *segment = self->is;
        err = self->io->sync_folder(self->context, folder);
    }
    close(folder);
    return err;
}

static int make_file(struct mx_spool_compact *self, struct mx_spool_segment *segment) {
    char name[MX_SPOOL_NAME_MAX];
    int root = self->store->dirs[segment->dir].fd;
    mx_spool_segment_name(name, segment->core, segment->number, ".new");
    if (unlinkat(root, name, 0) < 0 && errno != ENOENT)
        return -errno;
    self->fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->fd < 0)
        return -errno;
    int err = write_file(self, segment);
    if (close(self->fd) < 0 && err == 0)
        err = -errno;
    self->fd = -1;
    if (err == 0)
        err = replace(self, root, name, segment);
    if (err < 0 && unlinkat(root, name, 0) < 0 && errno != ENOENT)
        return -errno;
    return err;
}

int mx_spool_compact(struct mx_spool_compact *self, struct mx_spool_segment *segment,
                     uint64_t most_octets) {
    struct mx_spool_segment now = *segment;
    self->read_octets = 0;
    int err = mx_spool_list_read(self->store, &now);
    mx_spool_file_close(&self->store->file); /* an open file would keep its space */
    if (err < 0 || now.state != MX_SPOOL_SEGMENT_SEALED || now.epoch != segment->epoch ||
        now.last_lsn != segment->last_lsn || now.compactions == UINT32_MAX)
        return MX_ESYNTAX;
    uint64_t smaller =
        now.file_octets - MX_SPOOL_BLOCK; /* else readers would take it for the old */
    self->most_octets = most_octets < smaller ? most_octets : smaller;
    self->is = now;
    self->is.compactions++;
    self->is.end_offset = MX_SPOOL_BLOCK;
    self->is.oldest_epoch = now.epoch;
    self->is.content_octets = 0;
    self->is.message_count = self->is.left_rcpts = 0;
    err = find_chains(self, &now);
    if (err == 0)
        err = make_file(self, &now);
    mx_spool_file_close(&self->file);
    if (now.compactions != segment->compactions)
        *segment = now;
    return err;
}
