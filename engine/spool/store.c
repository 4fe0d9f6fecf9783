#include "engine/spool/block.h"
#include "engine/spool/disk.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 20, LOCK_WAIT_MS = 100, SCANS_MAX = 5 };

void mx_spool_say(struct mx_spool_store *self, enum mx_log_severity severity, const char *event,
                  uint32_t dir, const char *path, const char *text, ...) {
    char where[4096], what[512];
    if (self->report == NULL)
        return;
    va_list list;
    va_start(list, text);
    int len = vsnprintf(what, sizeof what, text, list);
    va_end(list);
    assert(len >= 0);
    len = snprintf(where, sizeof where, "%s%s%s", self->dirs[dir].path, *path != '\0' ? "/" : "",
                   path);
    assert(len >= 0);
    struct mx_spool_event line = {severity, event, where, what};
    self->report(self->context, &line);
}

static int fail(struct mx_spool_store *self, uint32_t dir, const char *path, int err) {
    mx_spool_say(self, MX_SEVERITY_ERROR, "spool_error", dir, path, "%s", strerrordesc_np(-err));
    return err;
}

/* ---- directories ---- */

static int init(struct mx_spool_store *self, const struct mx_spool_store_conf *conf) {
    *self = (struct mx_spool_store){
        .dirs = {{conf->directory, -1, -1}, {conf->second, -1, -1}},
        .report = conf->report,
        .context = conf->context,
    };
    return mx_spool_file_new(&self->file);
}

static void free_segments(struct mx_spool_store *self) {
    free(self->segments);
    self->segments = NULL;
    self->count = self->capacity = 0;
}

void mx_spool_store_close(struct mx_spool_store *self) {
    for (uint32_t i = 0; i < MX_SPOOL_DIRS; i++) {
        if (self->dirs[i].fd >= 0)
            close(self->dirs[i].fd);
        if (self->dirs[i].lock_fd >= 0)
            close(self->dirs[i].lock_fd);
        self->dirs[i].fd = self->dirs[i].lock_fd = -1;
    }
    mx_spool_file_free(&self->file);
    free_segments(self);
}

static void wait_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* A server that is just ending, or a tool that looks whether there is one, lets go soon. */
static int lock(struct mx_spool_dir *dir) {
    int fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int err = mx_disk_adopt(dir->fd, fd);
    for (int i = 0; err == 0; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            break;
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            err = -errno;
        else
            wait_ms(LOCK_WAIT_MS);
    }
    if (err < 0)
        close(fd);
    else
        dir->lock_fd = fd;
    return err;
}

static int open_dir(struct mx_spool_store *self, uint32_t index) {
    struct mx_spool_dir *dir = &self->dirs[index];
    int err = mx_disk_make_folder(-1, dir->path, &dir->fd);
    if (err < 0)
        return fail(self, index, "", err);
    err = lock(dir);
    if (err == -EWOULDBLOCK)
        mx_spool_say(self, MX_SEVERITY_ERROR, "spool_error", index, "lock",
                     "another mxring is using this spool");
    else if (err < 0)
        err = fail(self, index, "lock", err);
    return err;
}

/* Without the second directory mail is taken, too; what lies there waits. */
static int open_dirs(struct mx_spool_store *self) {
    int err = open_dir(self, 0);
    if (err < 0 || self->dirs[1].path == NULL)
        return err;
    err = open_dir(self, 1);
    if (err == -EWOULDBLOCK)
        return err;
    if (err < 0 && self->dirs[1].fd >= 0) {
        close(self->dirs[1].fd);
        self->dirs[1].fd = -1;
    }
    self->is_partial = err < 0;
    return 0;
}

/* Tools must find it; and mail that is left in one that is not configured any more is told of. */
static int note_second(struct mx_spool_store *self) {
    if (self->dirs[1].fd >= 0) {
        int err = mx_spool_second_write(self->dirs[0].fd, self->dirs[1].path);
        return err < 0 ? fail(self, 0, "second", err) : 0;
    }
    if (self->dirs[1].path != NULL || mx_spool_second_read(self->dirs[0].fd, self->second) < 0)
        return 0;
    self->is_partial = true;
    mx_spool_say(self, MX_SEVERITY_WARN, "spool_second_unused", 0, "second",
                 "mail in %s waits until it is the secondDirectory again; without any, remove this "
                 "file",
                 self->second);
    return 0;
}

/* cores, and whoever says what became of the mail */
static int make_folders(struct mx_spool_store *self, uint32_t core_count) {
    for (uint32_t i = 0; i < MX_SPOOL_DIRS; i++) {
        for (uint32_t core = 0; self->dirs[i].fd >= 0 && core <= core_count; core++) {
            char name[16] = "acks";
            int fd, len = core < core_count ? snprintf(name, sizeof name, "%u", core) : 0;
            assert(len >= 0 && (size_t)len < sizeof name);
            if (core == core_count && i > 0)
                break; /* acks are in the first directory only */
            int err = mx_disk_make_folder(self->dirs[i].fd, name, &fd);
            if (err < 0)
                return fail(self, i, name, err);
            close(fd);
        }
    }
    return 0;
}

/* ---- meta ---- */

/* Neither directory says which spool this is: its segments do, or it is new. */
static int make_meta(struct mx_spool_store *self, struct mx_spool_meta *meta, bool is_missing) {
    int err = mx_spool_list_uuid(self, meta->uuid);
    meta->run = 0;
    if (err == 0 || err == -ENOENT || !is_missing)
        mx_spool_say(self, MX_SEVERITY_ERROR, "spool_meta_lost", 0, "meta", "%s; %s",
                     is_missing ? "it is missing" : "it is damaged",
                     err == 0 ? "made again from the segments"
                              : "no segment tells its UUID, a new one is taken");
    if (err == 0)
        return 0;
    if (err != -ENOENT && err != -ENODATA)
        return fail(self, 0, "", err);
    if (getrandom(meta->uuid, sizeof meta->uuid, 0) != (ssize_t)sizeof meta->uuid)
        return fail(self, 0, "meta", -EIO);
    return 0;
}

static int read_meta(struct mx_spool_store *self, struct mx_spool_meta *meta) {
    struct mx_spool_meta metas[MX_SPOOL_DIRS];
    int errs[MX_SPOOL_DIRS] = {-ENOENT, -ENOENT};
    for (uint32_t i = 0; i < MX_SPOOL_DIRS; i++) {
        if (self->dirs[i].fd >= 0)
            errs[i] = mx_spool_meta_read(&metas[i], self->dirs[i].fd);
        if (errs[i] == -EPROTONOSUPPORT) {
            mx_spool_say(self, MX_SEVERITY_ERROR, "spool_error", i, "meta",
                         "this is a spool of another version of mxring");
            return errs[i];
        }
        if (errs[i] < 0 && errs[i] != -ENOENT && errs[i] != MX_ESYNTAX)
            return fail(self, i, "meta", errs[i]);
    }
    if (errs[0] < 0 && errs[1] < 0)
        return errs[0] == -ENOENT && self->is_read_only && mx_spool_list_uuid(self, meta->uuid) < 0
                   ? -ENOENT
                   : make_meta(self, meta, errs[0] == -ENOENT);
    if (errs[0] == 0 && errs[1] == 0 && memcmp(metas[0].uuid, metas[1].uuid, 16) != 0) {
        mx_spool_say(self, MX_SEVERITY_ERROR, "spool_error", 1, "meta",
                     "this directory belongs to another spool than %s", self->dirs[0].path);
        return -EXDEV;
    }
    *meta = metas[errs[0] == 0 ? 0 : 1];
    if (errs[0] == 0 && errs[1] == 0 && metas[1].run > meta->run)
        meta->run = metas[1].run;
    if (errs[0] < 0)
        mx_spool_say(self, MX_SEVERITY_ERROR, "spool_meta_lost", 0, "meta",
                     "taken from the second directory");
    return 0;
}

/* Epochs and LSNs of the next run must be new, whatever became of meta. */
static uint32_t highest_run(const struct mx_spool_store *self, uint32_t run) {
    for (uint32_t i = 0; i < self->count; i++) {
        const struct mx_spool_segment *segment = &self->segments[i];
        uint64_t by_epoch = segment->epoch / MX_SPOOL_EPOCHS;
        uint64_t by_lsn = segment->base_lsn >> MX_SPOOL_LSN_BITS;
        uint64_t highest = by_epoch > by_lsn ? by_epoch : by_lsn;
        if (highest > run && highest < MX_SPOOL_RUN_MAX)
            run = (uint32_t)highest;
    }
    return run;
}

static int begin_run(struct mx_spool_store *self, struct mx_spool_meta *meta) {
    meta->run = highest_run(self, meta->run) + 1;
    if (meta->run > MX_SPOOL_RUN_MAX)
        return fail(self, 0, "meta", -EOVERFLOW);
    for (uint32_t i = 0; i < MX_SPOOL_DIRS; i++) {
        int err = self->dirs[i].fd >= 0 ? mx_spool_meta_write(meta, self->dirs[i].fd) : 0;
        if (err < 0)
            return fail(self, i, "meta", err);
    }
    return 0;
}

/* ---- open ---- */

static int open_all(struct mx_spool_store *self, const struct mx_spool_store_conf *conf) {
    struct mx_spool_meta meta = {0};
    int err = open_dirs(self);
    if (err == 0)
        err = read_meta(self, &meta);
    if (err < 0)
        return err;
    memcpy(self->uuid, meta.uuid, sizeof self->uuid);
    self->node = mx_spool_node(self->uuid);
    err = mx_spool_list_new(self);
    if (err < 0)
        return fail(self, 0, "", err);
    err = begin_run(self, &meta);
    if (err < 0)
        return err;
    self->run = meta.run;
    err = make_folders(self, conf->core_count);
    if (err == 0)
        err = note_second(self);
    if (err == 0) {
        err = mx_spool_list_remove_unfinished(self);
        err = err < 0 ? fail(self, 0, "seg.*.new", err) : 0;
    }
    if (err == 0)
        mx_spool_recover(self, conf);
    return err;
}

int mx_spool_store_open(struct mx_spool_store *self, const struct mx_spool_store_conf *conf) {
    int err = init(self, conf);
    if (err == 0)
        err = open_all(self, conf);
    if (err < 0)
        mx_spool_store_close(self);
    return err;
}

/* ---- look ---- */

/* The lock is only asked for, for as long as it takes to give it back. */
static bool has_server(const struct mx_spool_dir *dir) {
    int fd = openat(dir->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    close(fd);
    return !is_free;
}

/* A running server writes on while the file is read: a hole is one when it is still there. */
static void scan(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    struct mx_spool_scan scan;
    uint64_t hole = 0, acked_lsn = segment->acked_lsn;
    for (int i = 0; i < SCANS_MAX; i++) {
        segment->acked_lsn = acked_lsn;
        mx_spool_file_drop(&self->file);
        mx_spool_scan(&scan, &self->file, self->uuid, segment);
        if (!scan.is_damaged || !self->is_running || scan.hole.offset == hole)
            break;
        hole = scan.hole.offset;
        wait_ms(LOCK_WAIT_MS);
    }
    if (scan.is_damaged && segment->state == MX_SPOOL_SEGMENT_OPEN) {
        segment->state = MX_SPOOL_SEGMENT_DAMAGED;
        segment->trouble = "acknowledged records are missing";
    }
}

static int look_at_dir(struct mx_spool_store *self, uint32_t index) {
    struct mx_spool_dir *dir = &self->dirs[index];
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd >= 0)
        return 0;
    return errno == ENOENT && index == 0 ? -ENOENT : fail(self, index, "", -errno);
}

static int look_at_dirs(struct mx_spool_store *self) {
    int err = look_at_dir(self, 0);
    if (err < 0)
        return err;
    if (self->dirs[1].path == NULL) {
        err = mx_spool_second_read(self->dirs[0].fd, self->second);
        if (err < 0 && err != -ENOENT)
            return fail(self, 0, "second", err == MX_ESYNTAX ? -EBADMSG : err);
        self->dirs[1].path = err == 0 ? self->second : NULL;
    }
    self->is_partial = self->dirs[1].path != NULL && look_at_dir(self, 1) < 0;
    return 0;
}

static int look(struct mx_spool_store *self) {
    struct mx_spool_meta meta = {0};
    int err = look_at_dirs(self);
    if (err == 0)
        err = read_meta(self, &meta);
    if (err < 0)
        return err;
    memcpy(self->uuid, meta.uuid, sizeof self->uuid);
    self->node = mx_spool_node(self->uuid);
    self->run = meta.run;
    self->is_running = has_server(&self->dirs[0]);
    err = mx_spool_list_new(self);
    if (err < 0)
        return fail(self, 0, "", err);
    for (uint32_t i = 0; i < self->count; i++) {
        struct mx_spool_segment *segment = &self->segments[i];
        if (segment->end_offset == 0 && segment->epoch != 0 &&
            mx_spool_store_file(self, segment, &self->file) == 0 && segment->end_offset == 0)
            scan(self, segment);
    }
    return 0;
}

int mx_spool_store_look(struct mx_spool_store *self, const struct mx_spool_store_conf *conf) {
    int err = init(self, conf);
    self->is_read_only = true;
    if (err == 0)
        err = look(self);
    if (err < 0)
        mx_spool_store_close(self);
    return err;
}

int mx_spool_store_refresh(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    struct mx_spool_segment now = *segment;
    assert(self->is_read_only);
    int err = mx_spool_list_read(self, &now);
    if (err < 0)
        return err;
    if (now.epoch != segment->epoch)
        return -ESTALE;
    mx_spool_list_cut(self, &now);
    err = now.end_offset == 0 ? mx_spool_store_file(self, &now, &self->file) : 0;
    if (err < 0)
        return err;
    if (now.end_offset == 0)
        scan(self, &now);
    *segment = now;
    return 0;
}

bool mx_spool_store_is_current(const struct mx_spool_file *file,
                               const struct mx_spool_segment *segment) {
    _Alignas(MX_SPOOL_BLOCK) char block[MX_SPOOL_BLOCK];
    struct mx_spool_header header;
    size_t len;
    if (file->fd < 0)
        return false;
    if (mx_disk_read(file->fd, block, sizeof block, 0, &len) < 0 || len != sizeof block)
        return segment->state == MX_SPOOL_SEGMENT_DAMAGED;
    switch (mx_spool_header_read(block, &header, NULL)) {
    case MX_SPOOL_BLOCK_VALID:
        return header.epoch == segment->epoch;
    case MX_SPOOL_BLOCK_DAMAGED:
        return segment->state == MX_SPOOL_SEGMENT_DAMAGED;
    case MX_SPOOL_BLOCK_ZERO:
    case MX_SPOOL_BLOCK_UNKNOWN:
        break;
    }
    return false;
}

/* ---- questions ---- */

/* Index of the first segment that is not below it; self->count: there is none. */
static uint32_t lower_bound(const struct mx_spool_store *self, uint32_t core, uint64_t epoch) {
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct mx_spool_segment *segment = &self->segments[middle];
        if (segment->core < core || (segment->core == core && segment->epoch < epoch))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct mx_spool_segment *mx_spool_store_find(const struct mx_spool_store *self, uint32_t core,
                                             uint64_t epoch) {
    uint32_t i = lower_bound(self, core, epoch);
    if (epoch == 0 || i == self->count || self->segments[i].core != core ||
        self->segments[i].epoch != epoch)
        return NULL;
    return &self->segments[i];
}

void mx_spool_store_last(const struct mx_spool_store *self, uint32_t core, uint64_t *prev_epoch,
                         uint64_t *prev_sealed_lsn) {
    uint32_t end = lower_bound(self, core + 1, 0);
    *prev_epoch = *prev_sealed_lsn = 0;
    if (end == 0 || self->segments[end - 1].core != core || self->segments[end - 1].epoch == 0)
        return;
    const struct mx_spool_segment *segment = &self->segments[end - 1];
    *prev_epoch = segment->epoch;
    *prev_sealed_lsn = segment->last_lsn;
    if (segment->last_lsn == 0 && segment->base_lsn > 0)
        *prev_sealed_lsn = segment->base_lsn - 1;
}

bool mx_spool_store_is_gone(const struct mx_spool_store *self, uint32_t core, uint64_t epoch) {
    uint32_t end = lower_bound(self, core + 1, 0);
    bool has_newer =
        end > 0 && self->segments[end - 1].core == core && self->segments[end - 1].epoch >= epoch;
    bool is_older_run = epoch < self->run * MX_SPOOL_EPOCHS;
    return !self->is_partial && (has_newer || is_older_run) &&
           mx_spool_store_find(self, core, epoch) == NULL;
}

bool mx_spool_store_is_needed(const struct mx_spool_store *self,
                              const struct mx_spool_segment *segment) {
    if (self->is_partial) /* who knows what is in the directory that is missing */
        return true;
    for (uint32_t i = lower_bound(self, segment->core, segment->epoch); i > 0; i--) {
        const struct mx_spool_segment *before = &self->segments[i - 1];
        if (before->core != segment->core || before->epoch == 0 ||
            before->state == MX_SPOOL_SEGMENT_SEALED)
            break;
        if (before->state != MX_SPOOL_SEGMENT_FREE)
            return true;
    }
    for (uint32_t i = lower_bound(self, segment->core, segment->epoch + 1); i < self->count; i++) {
        const struct mx_spool_segment *after = &self->segments[i];
        if (after->core != segment->core)
            break;
        if (after->message_count > 0 && after->oldest_epoch <= segment->epoch)
            return true;
    }
    return false;
}
