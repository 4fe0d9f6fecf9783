/* list.c - which segments there are, and what their headers and footers say. */
#include "engine/spool/block.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- one segment ---- */

static int open_file(const struct mx_spool_store *self, const struct mx_spool_segment *segment,
                     struct mx_spool_file *file) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, segment->core, segment->number, "");
    return mx_spool_file_open(file, self->dirs[segment->dir].fd, name);
}

static bool is_ours(const struct mx_spool_store *self, const uint8_t uuid[16]) {
    return memcmp(self->uuid, uuid, sizeof self->uuid) == 0;
}

static void set_trouble(struct mx_spool_segment *segment, const char *trouble) {
    segment->state = MX_SPOOL_SEGMENT_DAMAGED;
    segment->trouble = trouble;
}

static void read_header(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    struct mx_spool_header header;
    const char *block;
    enum mx_spool_block_state state = MX_SPOOL_BLOCK_DAMAGED;
    if (mx_spool_file_map(&self->file, 0, MX_SPOOL_BLOCK, &block) == 0)
        state = mx_spool_header_read(block, &header, NULL);
    switch (state) {
    case MX_SPOOL_BLOCK_ZERO:
        segment->state = MX_SPOOL_SEGMENT_FREE;
        return;
    case MX_SPOOL_BLOCK_UNKNOWN:
        set_trouble(segment, "written by another version of mxring");
        return;
    case MX_SPOOL_BLOCK_DAMAGED:
        set_trouble(segment, "its header is damaged");
        segment->epoch = mx_spool_scan_epoch(&self->file, self->uuid, segment->core);
        return;
    case MX_SPOOL_BLOCK_VALID:
        break;
    }
    if (!is_ours(self, header.uuid) || header.core != segment->core) {
        set_trouble(segment, "it belongs to another spool or core");
        return;
    }
    segment->state = MX_SPOOL_SEGMENT_OPEN;
    segment->epoch = header.epoch;
    segment->base_lsn = header.base_lsn;
    segment->prev_epoch = header.prev_epoch;
    segment->prev_sealed_lsn = header.prev_sealed_lsn;
    segment->created_ns = header.created_ns;
    segment->compactions = header.compactions;
}

/* A recycled file may still have the footer of an older epoch. */
static void read_footer(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    struct mx_spool_footer footer;
    const char *block;
    uint64_t at = segment->file_octets - MX_SPOOL_BLOCK;
    if (segment->file_octets < UINT64_C(2) * MX_SPOOL_BLOCK ||
        mx_spool_file_map(&self->file, at, MX_SPOOL_BLOCK, &block) < 0 ||
        mx_spool_footer_read(block, &footer, NULL) != MX_SPOOL_BLOCK_VALID ||
        !is_ours(self, footer.uuid) || footer.core != segment->core ||
        footer.epoch != segment->epoch || footer.end_offset > at ||
        footer.end_offset < MX_SPOOL_BLOCK || footer.end_offset % MX_SPOOL_BLOCK != 0)
        return;
    if (segment->state == MX_SPOOL_SEGMENT_OPEN)
        segment->state = MX_SPOOL_SEGMENT_SEALED;
    segment->end_offset = footer.end_offset;
    segment->last_lsn = footer.last_lsn;
    segment->cut_lsn = footer.last_lsn;
    segment->acked_lsn = footer.last_lsn;
    segment->oldest_epoch = footer.oldest_epoch;
    segment->content_octets = footer.content_octets;
    segment->message_count = footer.message_count;
    segment->rcpt_count = footer.rcpt_count;
    segment->left_rcpts = footer.left_rcpts;
}

int mx_spool_list_read(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    *segment = mx_spool_segment_freed(segment, 0);
    int err = open_file(self, segment, &self->file);
    if (err < 0)
        return err;
    segment->file_octets = self->file.size_octets;
    if (segment->file_octets < MX_SPOOL_BLOCK)
        return 0;
    read_header(self, segment);
    if (segment->epoch != 0)
        read_footer(self, segment);
    /* nothing but the footer tells how many recipients it had: without it, it is never freed */
    if (segment->state == MX_SPOOL_SEGMENT_OPEN && segment->compactions > 0)
        set_trouble(segment, "its footer is damaged");
    segment->oldest_epoch = segment->oldest_epoch != 0 ? segment->oldest_epoch : segment->epoch;
    return 0;
}

int mx_spool_store_file(struct mx_spool_store *self, struct mx_spool_segment *segment,
                        struct mx_spool_file *file) {
    for (;;) {
        int err = open_file(self, segment, file);
        /* compacting always makes it smaller */
        bool is_same = segment->epoch == 0 || file->size_octets == segment->file_octets;
        if (err < 0 || is_same || !self->is_read_only)
            return err;
        struct mx_spool_segment now = *segment;
        if (mx_spool_list_read(self, &now) < 0 || now.epoch != segment->epoch ||
            now.state != MX_SPOOL_SEGMENT_SEALED || now.file_octets == segment->file_octets)
            return open_file(self, segment, file);
        *segment = now; /* compacted meanwhile; once more, should it have been again */
    }
}

/* ---- all of them ---- */

/* Called for each segment file; a negative result ends the search. */
typedef int found_fn(struct mx_spool_store *self, const struct mx_spool_segment *name, void *to);

/* Is it the name of a segment with this ending? */
static bool has_ending(const char *name, const char *ending, uint32_t *number) {
    char segment[MX_SPOOL_NAME_MAX];
    size_t len = strlen(name), tail = strlen(ending);
    if (len < tail || len - tail >= sizeof segment || strcmp(name + len - tail, ending) != 0)
        return false;
    memcpy(segment, name, len - tail);
    segment[len - tail] = '\0';
    return mx_spool_segment_parse(segment, number);
}

static int each_file(struct mx_spool_store *self, const struct mx_spool_segment *place,
                     const char *ending, found_fn *found, void *to) {
    char folder[16];
    int len = snprintf(folder, sizeof folder, "%u", place->core);
    assert(len > 0 && (size_t)len < sizeof folder);
    int fd = openat(self->dirs[place->dir].fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = -errno;
        close(fd);
        return err;
    }
    int err = 0;
    struct mx_spool_segment name = *place;
    errno = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is ours alone */
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
        if (has_ending(entry->d_name, ending, &name.number))
            err = found(self, &name, to);
    }
    if (err == 0 && errno != 0)
        err = -errno;
    closedir(dir);
    return err;
}

static int each_folder(struct mx_spool_store *self, uint32_t index, const char *ending,
                       found_fn *found, void *to) {
    int fd = openat(self->dirs[index].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    int err = 0;
    errno = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is ours alone */
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
        uint64_t core;
        if (!mx_spool_number_parse(entry->d_name, MX_SPOOL_CORE_MAX, &core))
            continue;
        struct mx_spool_segment place = {.dir = index, .core = (uint32_t)core};
        err = each_file(self, &place, ending, found, to);
    }
    if (err == 0 && errno != 0)
        err = -errno;
    closedir(dir);
    return err;
}

static int each(struct mx_spool_store *self, const char *ending, found_fn *found, void *to) {
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < MX_SPOOL_DIRS; i++) {
        if (self->dirs[i].fd >= 0)
            err = each_folder(self, i, ending, found, to);
    }
    return err;
}

static int new_segment(struct mx_spool_store *self, const struct mx_spool_segment *name, void *to) {
    (void)to;
    if (self->count == self->capacity) {
        uint32_t capacity = self->capacity > 0 ? 2 * self->capacity : 64;
        void *more = realloc(self->segments, capacity * sizeof *self->segments);
        if (more == NULL)
            return -ENOMEM;
        self->segments = more;
        self->capacity = capacity;
    }
    struct mx_spool_segment *segment = &self->segments[self->count];
    *segment = *name;
    int err = mx_spool_list_read(self, segment);
    if (err < 0) { /* a keeper removes files; what else cannot be opened is reported, and left */
        if (err != -ENOENT)
            set_trouble(segment, "the file cannot be opened");
        self->count += err != -ENOENT;
        return 0;
    }
    self->count++;
    return 0;
}

static int compare(const void *a, const void *b) {
    const struct mx_spool_segment *x = a, *y = b;
    if (x->core != y->core)
        return x->core < y->core ? -1 : 1;
    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    if (x->dir != y->dir)
        return x->dir < y->dir ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Of two files with one epoch, a copy that somebody made, the first counts. */
static void drop_twins(struct mx_spool_store *self) {
    for (uint32_t i = 1; i < self->count; i++) {
        struct mx_spool_segment *segment = &self->segments[i];
        const struct mx_spool_segment *before = segment - 1;
        if (segment->epoch == 0 || segment->epoch != before->epoch || segment->core != before->core)
            continue;
        set_trouble(segment, "another file has the same epoch");
        segment->end_offset = MX_SPOOL_BLOCK;
        segment->message_count = segment->rcpt_count = 0;
        segment->last_lsn = segment->cut_lsn = 0;
    }
}

/* Does this header say where the segment ends? Answers are given in order, so what a core had not
 * acknowledged when it began a segment is void in all that it wrote before in this run. The one
 * before is not always the last one: its header may have failed to reach the disk. Of another run
 * only the segment that it names: when it began, others may have been out of reach. */
static bool says_end(const struct mx_spool_segment *after, uint64_t epoch, uint64_t base_lsn) {
    bool is_run = after->base_lsn >> MX_SPOOL_LSN_BITS == base_lsn >> MX_SPOOL_LSN_BITS;
    return after->prev_epoch == epoch || (is_run && after->epoch > epoch);
}

static void cut(struct mx_spool_segment *segment, const struct mx_spool_segment *after) {
    if (segment->epoch == 0 || after->prev_epoch == 0 ||
        !says_end(after, segment->epoch, segment->base_lsn))
        return;
    if (after->prev_epoch == segment->epoch && after->prev_sealed_lsn > segment->acked_lsn)
        segment->acked_lsn = after->prev_sealed_lsn;
    if (after->prev_sealed_lsn >= segment->cut_lsn)
        return;
    segment->cut_lsn = after->prev_sealed_lsn;
    if (segment->state == MX_SPOOL_SEGMENT_SEALED && segment->compactions == 0) {
        /* its footer says more than was acknowledged: it is not believed */
        segment->state = MX_SPOOL_SEGMENT_OPEN;
        segment->end_offset = 0;
    }
}

/* Later segments of a core tell of later ends: the next one says the least. */
static void cut_all(struct mx_spool_store *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        const struct mx_spool_segment *after = &self->segments[i];
        struct mx_spool_segment *named = mx_spool_store_find(self, after->core, after->prev_epoch);
        if (named != NULL)
            cut(named, after);
        if (i > 0 && self->segments[i - 1].core == after->core)
            cut(&self->segments[i - 1], after);
    }
}

void mx_spool_list_sort(struct mx_spool_store *self) {
    if (self->count > 0)
        qsort(self->segments, self->count, sizeof *self->segments, compare);
}

int mx_spool_list_new(struct mx_spool_store *self) {
    int err = each(self, "", new_segment, NULL);
    if (err < 0)
        return err;
    mx_spool_list_sort(self);
    drop_twins(self);
    cut_all(self);
    return 0;
}

static int remove_file(struct mx_spool_store *self, const struct mx_spool_segment *segment,
                       void *to) {
    char name[MX_SPOOL_NAME_MAX];
    (void)to;
    mx_spool_segment_name(name, segment->core, segment->number, ".new");
    return unlinkat(self->dirs[segment->dir].fd, name, 0) == 0 ? 0 : -errno;
}

int mx_spool_list_remove_unfinished(struct mx_spool_store *self) {
    return each(self, ".new", remove_file, NULL);
}

/* ---- questions to all headers ---- */

static int find_uuid(struct mx_spool_store *self, const struct mx_spool_segment *name, void *to) {
    struct mx_spool_header header;
    const char *block;
    int err = open_file(self, name, &self->file);
    if (err < 0)
        return 0;
    if (mx_spool_file_map(&self->file, 0, MX_SPOOL_BLOCK, &block) < 0)
        return 0;
    enum mx_spool_block_state state = mx_spool_header_read(block, &header, NULL);
    if (state == MX_SPOOL_BLOCK_VALID) {
        memcpy(to, header.uuid, sizeof header.uuid);
        return -EEXIST;
    }
    /* something is there that might be mail */
    if (state != MX_SPOOL_BLOCK_ZERO)
        self->count = 1;
    return 0;
}

int mx_spool_list_uuid(struct mx_spool_store *self, uint8_t uuid[16]) {
    int err = each(self, "", find_uuid, uuid);
    bool has_content = self->count > 0;
    self->count = 0;
    if (err == -EEXIST)
        return 0;
    if (err < 0)
        return err;
    return has_content ? -ENOENT : -ENODATA;
}

static int find_cut(struct mx_spool_store *self, const struct mx_spool_segment *name, void *to) {
    struct mx_spool_segment *segment = to, after = *name;
    struct mx_spool_header header;
    const char *block;
    int err = open_file(self, name, &self->file);
    if (err < 0 || mx_spool_file_map(&self->file, 0, MX_SPOOL_BLOCK, &block) < 0 ||
        mx_spool_header_read(block, &header, NULL) != MX_SPOOL_BLOCK_VALID ||
        !is_ours(self, header.uuid) || header.core != name->core)
        return 0;
    after.epoch = header.epoch;
    after.base_lsn = header.base_lsn;
    after.prev_epoch = header.prev_epoch;
    after.prev_sealed_lsn = header.prev_sealed_lsn;
    cut(segment, &after);
    return 0;
}

void mx_spool_list_cut(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    for (uint32_t i = 0; i < MX_SPOOL_DIRS; i++) {
        struct mx_spool_segment place = {.dir = i, .core = segment->core};
        if (self->dirs[i].fd >= 0 && each_file(self, &place, "", find_cut, segment) < 0) {
            /* then what is known already counts */
        }
    }
}
