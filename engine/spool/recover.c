/* recover.c - what the server does with the segments it finds when it starts. Nothing that is wrong
 * with the data ends it.
 *
 * A segment without footer gets one where it ends, and is not written again. One that has lost what
 * was acknowledged stays as it is: its good records are read, but it is never freed. Then segments
 * without messages are freed, unless another one needs them.
 */
#include "engine/spool/block.h"
#include "engine/spool/disk.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- one file ---- */

static int open_file(const struct mx_spool_store *self, const struct mx_spool_segment *segment) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, segment->core, segment->number, "");
    int fd = openat(self->dirs[segment->dir].fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : -errno;
}

static int close_file(int fd, int err) {
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int mx_spool_store_seal(const struct mx_spool_store *self, struct mx_spool_segment *segment) {
    _Alignas(MX_SPOOL_BLOCK) char block[MX_SPOOL_BLOCK];
    struct mx_spool_footer footer = {
        .core = segment->core,
        .message_count = segment->message_count,
        .epoch = segment->epoch,
        .end_offset = segment->end_offset,
        .last_lsn = segment->last_lsn,
        .oldest_epoch = segment->oldest_epoch,
        .content_octets = segment->content_octets,
        .sealed_ns = now_ns(),
        .rcpt_count = segment->rcpt_count,
    };
    uint64_t octets = segment->end_offset + MX_SPOOL_BLOCK;
    memcpy(footer.uuid, self->uuid, sizeof footer.uuid);
    mx_spool_footer_write(block, &footer);
    int fd = open_file(self, segment);
    if (fd < 0)
        return fd;
    int err = mx_disk_write(fd, (struct mx_span){block, sizeof block}, segment->end_offset);
    if (err == 0 && ftruncate(fd, (off_t)octets) < 0)
        err = -errno;
    if (err == 0 && fsync(fd) < 0)
        err = -errno;
    err = close_file(fd, err);
    if (err < 0)
        return err;
    segment->state = MX_SPOOL_SEGMENT_SEALED;
    segment->file_octets = octets;
    segment->cut_lsn = segment->acked_lsn = segment->last_lsn;
    return 0;
}

static int remove_file(const struct mx_spool_store *self, const struct mx_spool_segment *segment,
                       const char *ending) {
    char name[MX_SPOOL_NAME_MAX], folder[16];
    mx_spool_segment_name(name, segment->core, segment->number, ending);
    if (unlinkat(self->dirs[segment->dir].fd, name, 0) < 0)
        return -errno;
    int len = snprintf(folder, sizeof folder, "%u", segment->core);
    assert(len > 0 && (size_t)len < sizeof folder);
    int fd = openat(self->dirs[segment->dir].fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return close_file(fd, mx_disk_sync_folder(fd));
}

static int zero_header(const struct mx_spool_store *self, const struct mx_spool_segment *segment) {
    static const char zeros[MX_SPOOL_BLOCK];
    int fd = open_file(self, segment);
    if (fd < 0)
        return fd;
    int err = mx_disk_write(fd, (struct mx_span){zeros, sizeof zeros}, 0);
    if (err == 0 && fdatasync(fd) < 0)
        err = -errno;
    return close_file(fd, err);
}

int mx_spool_store_erase(const struct mx_spool_store *self, struct mx_spool_segment *segment,
                         uint64_t octets) {
    bool is_kept = octets == 0 || segment->file_octets == octets;
    int err = is_kept ? zero_header(self, segment) : remove_file(self, segment, "");
    if (err < 0)
        return err;
    *segment = mx_spool_segment_freed(segment, is_kept ? segment->file_octets : 0);
    return 0;
}

/* ---- damage ---- */

/* The list beside a damaged segment, for whoever looks into it. */
struct list {
    char text[16384];
    size_t len;
    uint32_t count;
};

static void add_hole(void *context, const struct mx_spool_damage *damage) {
    struct list *list = context;
    size_t room = sizeof list->text - list->len;
    list->count++;
    int len = snprintf(list->text + list->len, room, "hole %llu octets at %llu: %s\n",
                       (unsigned long long)damage->octets, (unsigned long long)damage->offset,
                       damage->why);
    if (len > 0 && (size_t)len < room)
        list->len += (size_t)len;
    else
        list->text[list->len] = '\0';
}

static void list_damage(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    static struct list list;
    char name[MX_SPOOL_NAME_MAX];
    int len =
        snprintf(list.text, sizeof list.text,
                 "mxring-spool-damage 1\nepoch %llu: %s\n"
                 "kept as it is, never used again; %u messages can be read\n",
                 (unsigned long long)segment->epoch, segment->trouble, segment->message_count);
    assert(len > 0 && (size_t)len < sizeof list.text);
    list.len = (size_t)len;
    list.count = 0;
    if (segment->epoch != 0 && mx_spool_store_file(self, segment, &self->file) == 0) {
        struct mx_spool_walk walk;
        struct mx_spool_record record;
        uint64_t offset;
        mx_spool_walk_begin(&walk, &self->file, self->uuid, segment, false);
        walk.damaged = add_hole;
        walk.context = &list;
        while (mx_spool_walk_next(&walk, &record, &offset)) {
        }
    }
    mx_spool_segment_name(name, segment->core, segment->number, "");
    mx_spool_say(self, MX_SEVERITY_ERROR, "spool_damaged", segment->dir, name,
                 "%s; %u messages can be read, %u holes: listed in %s.damaged", segment->trouble,
                 segment->message_count, list.count, name);
    mx_spool_segment_name(name, segment->core, segment->number, ".damaged");
    int err =
        mx_disk_replace(self->dirs[segment->dir].fd, name, (struct mx_span){list.text, list.len});
    if (err < 0)
        mx_spool_say(self, MX_SEVERITY_WARN, "spool_error", segment->dir, name, "%s",
                     strerrordesc_np(-err));
}

/* ---- all of them ---- */

static void set_damaged(struct mx_spool_segment *segment, const char *why) {
    if (segment->state != MX_SPOOL_SEGMENT_DAMAGED)
        segment->trouble = why;
    segment->state = MX_SPOOL_SEGMENT_DAMAGED;
}

/* How far does it go? */
static void measure(struct mx_spool_store *self, struct mx_spool_segment *segment,
                    struct mx_spool_scan *scan) {
    *scan = (struct mx_spool_scan){0};
    if (segment->end_offset != 0 || segment->epoch == 0)
        return;
    if (mx_spool_store_file(self, segment, &self->file) < 0) {
        segment->end_offset = MX_SPOOL_BLOCK;
        set_damaged(segment, "the file cannot be opened");
        return;
    }
    mx_spool_scan(scan, &self->file, self->uuid, segment);
    if (scan->is_damaged)
        set_damaged(segment, "acknowledged records are missing");
}

static void seal(struct mx_spool_store *self, struct mx_spool_segment *segment,
                 const struct mx_spool_scan *scan) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, segment->core, segment->number, "");
    uint64_t end = segment->end_offset;
    int err = mx_spool_store_seal(self, segment);
    if (err < 0) {
        set_damaged(segment, "it cannot be sealed");
        mx_spool_say(self, MX_SEVERITY_ERROR, "spool_error", segment->dir, name,
                     "it cannot be sealed: %s", strerrordesc_np(-err));
        return;
    }
    mx_spool_say(self, MX_SEVERITY_INFO, "spool_recovered", segment->dir, name,
                 "%u messages in %u batches up to octet %llu%s", segment->message_count,
                 scan->batches, (unsigned long long)end,
                 scan->has_tail ? "; a torn tail was cut off" : "");
}

/* Something wrong is told each time the server starts, until somebody has dealt with it. */
static void settle(struct mx_spool_store *self, struct mx_spool_segment *segment) {
    struct mx_spool_scan scan;
    measure(self, segment, &scan);
    if (segment->state == MX_SPOOL_SEGMENT_OPEN && segment->last_lsn > 0)
        seal(self, segment, &scan);
    if (segment->state == MX_SPOOL_SEGMENT_DAMAGED) {
        list_damage(self, segment);
        return;
    }
    int err = remove_file(self, segment, ".damaged");
    if (err < 0 && err != -ENOENT) {
        char name[MX_SPOOL_NAME_MAX];
        mx_spool_segment_name(name, segment->core, segment->number, ".damaged");
        mx_spool_say(self, MX_SEVERITY_WARN, "spool_error", segment->dir, name, "%s",
                     strerrordesc_np(-err));
    }
}

/* In the order of the epochs: one that is freed no longer needs the next one. Epochs stay in the
 * list for the moment, since it is sorted by them. */
static void free_empty(struct mx_spool_store *self, struct mx_spool_segment *segment,
                       const struct mx_spool_store_conf *conf) {
    char name[MX_SPOOL_NAME_MAX];
    bool is_free = segment->state == MX_SPOOL_SEGMENT_FREE;
    bool has_worker = conf->core_count == 0 || segment->core < conf->core_count;
    bool is_usable = has_worker && segment->file_octets > UINT64_C(2) * MX_SPOOL_BLOCK;
    uint64_t octets = is_usable ? conf->segment_octets : UINT64_MAX;
    if (segment->state == MX_SPOOL_SEGMENT_DAMAGED || segment->message_count > 0)
        return;
    if (is_free && (octets == 0 || segment->file_octets == octets))
        return;
    if (!is_free && mx_spool_store_is_needed(self, segment)) {
        struct mx_spool_scan scan = {0};
        if (segment->state == MX_SPOOL_SEGMENT_OPEN)
            seal(self, segment, &scan);
        return;
    }
    struct mx_spool_segment freed = *segment;
    int err = mx_spool_store_erase(self, &freed, octets);
    if (err == 0) {
        segment->state = MX_SPOOL_SEGMENT_FREE;
        segment->file_octets = freed.file_octets;
        return;
    }
    mx_spool_segment_name(name, segment->core, segment->number, "");
    mx_spool_say(self, MX_SEVERITY_WARN, "spool_error", segment->dir, name,
                 "it cannot be freed: %s", strerrordesc_np(-err));
}

static void forget_freed(struct mx_spool_store *self) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        struct mx_spool_segment segment = self->segments[i];
        if (segment.state != MX_SPOOL_SEGMENT_FREE)
            self->segments[kept++] = segment;
        else if (segment.file_octets > 0)
            self->segments[kept++] = mx_spool_segment_freed(&segment, segment.file_octets);
    }
    self->count = kept;
    mx_spool_list_sort(self);
}

void mx_spool_recover(struct mx_spool_store *self, const struct mx_spool_store_conf *conf) {
    for (uint32_t i = 0; i < self->count; i++)
        settle(self, &self->segments[i]);
    for (uint32_t i = 0; i < self->count; i++)
        free_empty(self, &self->segments[i], conf);
    forget_freed(self);
}
