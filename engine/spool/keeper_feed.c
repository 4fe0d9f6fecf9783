/* keeper_feed.c - space on the disks, and segments made of it for the workers. */
#include "engine/spool/keeper_impl.h"
#include "engine/spool/prepare.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

uint64_t mx_spool_keeper_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void mx_spool_keeper_say(struct mx_spool_keeper *self, enum mx_log_severity severity,
                         const char *event, const char *path, const char *reason) {
    struct mx_log_line line;
    mx_log_begin(&line, self->log, severity, event);
    mx_log_str(&line, "path", path);
    mx_log_str(&line, "reason", reason);
    mx_log_end(&line);
}

const char *mx_spool_keeper_dir_path(const struct mx_spool_keeper *self, uint32_t dir) {
    return self->store->dirs[dir].path;
}

bool mx_spool_keeper_has_dir(const struct mx_spool_keeper *self, uint32_t dir) {
    return self->store->dirs[dir].fd >= 0;
}

bool mx_spool_keeper_is_usable(const struct mx_spool_keeper *self, uint32_t dir) {
    return mx_spool_keeper_has_dir(self, dir) && !self->has_failed[dir];
}

/* ---- space ---- */

/* Octets that may still be taken from a disk. Once the reserve is touched, half of it more must be
 * free before segments are made again: else each freed block would be a new beginning and end. */
static uint64_t free_octets(struct mx_spool_keeper *self, uint32_t dir) {
    struct statvfs fs;
    if (fstatvfs(self->store->dirs[dir].fd, &fs) < 0)
        return 0;
    uint64_t free = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t reserve = self->conf.reserve_octets;
    bool was_full = self->is_full[dir];
    if (was_full)
        reserve += reserve / 2;
    self->is_full[dir] = free < reserve + self->conf.segment_octets ||
                         mx_spool_keeper_now_ms() < self->full_until_ms[dir];
    if (self->is_full[dir] && !was_full)
        mx_spool_keeper_say(
            self, MX_SEVERITY_WARN, "spool_full", mx_spool_keeper_dir_path(self, dir),
            "spool.reserve or a quota is reached: mail is refused when the segments are used up");
    if (!self->is_full[dir] && was_full)
        mx_spool_keeper_say(self, MX_SEVERITY_INFO, "spool_has_space",
                            mx_spool_keeper_dir_path(self, dir), "segments are made");
    return self->is_full[dir] ? 0 : free - reserve;
}

/* Segments of a core that only wait to be opened. */
static uint64_t recycled_octets(const struct mx_spool_keeper *self, uint32_t core) {
    uint64_t octets = 0;
    for (uint32_t i = 0; i < self->store->count; i++) {
        const struct mx_spool_segment *row = &self->store->segments[i];
        if (row->core == core && row->state == MX_SPOOL_SEGMENT_FREE &&
            mx_spool_keeper_is_usable(self, row->dir))
            octets += self->conf.segment_octets;
    }
    return octets;
}

void mx_spool_keeper_publish_space(struct mx_spool_keeper *self) {
    uint64_t octets = 0;
    uint32_t failed = 0;
    bool is_broken = true;
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        is_broken &= !mx_spool_keeper_is_usable(self, dir);
        octets += mx_spool_keeper_is_usable(self, dir) ? free_octets(self, dir) : 0;
        failed |= self->has_failed[dir] ? 1u << dir : 0;
    }
    assert(self->conf.lane_count > 0);
    uint64_t share = octets / self->conf.lane_count;
    if (share < self->conf.segment_octets) /* whoever comes first gets it */
        share = octets >= self->conf.segment_octets ? self->conf.segment_octets : 0;
    for (uint32_t i = 0; i < self->conf.lane_count; i++) {
        struct mx_spool_lane *lane = &self->lanes[i].shared;
        atomic_store(&lane->unallocated_octets, share + recycled_octets(self, i));
        atomic_store(&lane->failed_dirs, failed);
        atomic_store(&lane->is_broken, is_broken);
    }
}

/* ---- segments ---- */

void mx_spool_keeper_dir_failed(struct mx_spool_keeper *self, uint32_t dir, int err) {
    mx_spool_keeper_say(self, MX_SEVERITY_ERROR, "spool_error", mx_spool_keeper_dir_path(self, dir),
                        strerrordesc_np(-err));
    self->has_failed[dir] = true;
    self->retry_ms = mx_spool_keeper_now_ms() + MX_SPOOL_RETRY_MS;
}

struct mx_spool_segment *mx_spool_keeper_find(struct mx_spool_keeper *self, uint32_t dir,
                                              uint32_t core, uint32_t number) {
    for (uint32_t i = 0; i < self->store->count; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        if (row->dir == dir && row->core == core && row->number == number)
            return row;
    }
    return NULL;
}

static struct mx_spool_segment *find_free(struct mx_spool_keeper *self, uint32_t dir,
                                          uint32_t core) {
    for (uint32_t i = 0; i < self->store->count; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        if (row->state == MX_SPOOL_SEGMENT_FREE && row->core == core && row->dir == dir &&
            row->file_octets == self->conf.segment_octets)
            return row;
    }
    return NULL;
}

static uint32_t next_number(const struct mx_spool_keeper *self, uint32_t core) {
    uint32_t number = 0;
    for (uint32_t i = 0; i < self->store->count; i++) {
        const struct mx_spool_segment *row = &self->store->segments[i];
        if (row->core == core && row->number >= number)
            number = row->number + 1;
    }
    return number;
}

/* One more row of the list. NULL: out of memory. */
static struct mx_spool_segment *new_row(struct mx_spool_store *store) {
    if (store->count == store->capacity) {
        uint32_t capacity = store->capacity > 0 ? 2 * store->capacity : 64;
        void *more = realloc(store->segments, capacity * sizeof *store->segments);
        if (more == NULL)
            return NULL;
        store->segments = more;
        store->capacity = capacity;
    }
    return &store->segments[store->count++];
}

void mx_spool_keeper_drop_row(struct mx_spool_store *store, struct mx_spool_segment *row) {
    *row = store->segments[--store->count];
    mx_spool_list_sort(store);
}

/* A new file of zeros. NULL: there is no space, or an error, which is reported. */
static struct mx_spool_segment *make(struct mx_spool_keeper *self, uint32_t dir, uint32_t core) {
    if (free_octets(self, dir) < self->conf.segment_octets)
        return NULL;
    uint32_t number = next_number(self, core);
    int err = number > MX_SPOOL_NUMBER_MAX
                  ? -EOVERFLOW
                  : mx_spool_prepare_file(self->store->dirs[dir].fd, core, number,
                                          self->conf.segment_octets);
    struct mx_spool_segment *row = err == 0 ? new_row(self->store) : NULL;
    if (err == 0 && row == NULL)
        err = -ENOMEM;
    if (err == -ENOSPC || err == -EDQUOT) {
        self->full_until_ms[dir] = mx_spool_keeper_now_ms() + MX_SPOOL_RETRY_MS;
        return NULL;
    }
    if (err < 0) {
        mx_spool_keeper_dir_failed(self, dir, err);
        return NULL;
    }
    assert(row != NULL);
    *row = (struct mx_spool_segment){
        .dir = dir,
        .core = core,
        .number = number,
        .state = MX_SPOOL_SEGMENT_FREE,
        .file_octets = self->conf.segment_octets,
        .cut_lsn = MX_SPOOL_NO_CUT,
    };
    mx_spool_list_sort(self->store);
    return mx_spool_keeper_find(self, dir, core, number);
}

/* The disk is full, and files wait that belong to another core: one of them goes. */
static bool take_from_others(struct mx_spool_keeper *self, uint32_t dir, uint32_t core) {
    for (uint32_t i = 0; i < self->store->count; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        if (row->state != MX_SPOOL_SEGMENT_FREE || row->dir != dir || row->core == core)
            continue;
        int err = mx_spool_prepare_remove(self->store->dirs[dir].fd, row->core, row->number);
        if (err < 0)
            mx_spool_keeper_dir_failed(self, dir, err);
        else
            mx_spool_keeper_drop_row(self->store, row);
        return err == 0;
    }
    return false;
}

bool mx_spool_keeper_feed(struct mx_spool_keeper *self, struct mx_spool_lane *lane) {
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        if (!mx_spool_keeper_is_usable(self, dir))
            continue;
        struct mx_spool_segment *row = find_free(self, dir, lane->core);
        if (row == NULL)
            row = make(self, dir, lane->core);
        bool is_starving = row == NULL && mx_spool_lane_offered(lane) == 0;
        if (is_starving && mx_spool_keeper_is_usable(self, dir) &&
            take_from_others(self, dir, lane->core))
            row = make(self, dir, lane->core);
        if (row == NULL)
            continue;
        bool is_buffered;
        int fd =
            mx_spool_prepare_open(self->store->dirs[dir].fd, row->core, row->number, &is_buffered);
        if (fd < 0) {
            mx_spool_keeper_dir_failed(self, dir, fd);
            continue;
        }
        if (is_buffered && !self->is_buffered)
            mx_spool_keeper_say(self, MX_SEVERITY_WARN, "spool_buffered",
                                mx_spool_keeper_dir_path(self, dir),
                                "no O_DIRECT here: written through the page cache");
        self->is_buffered |= is_buffered;
        row->state = MX_SPOOL_SEGMENT_OPEN;
        mx_spool_lane_offer(lane, &(struct mx_spool_ready){.fd = fd,
                                                           .dir = dir,
                                                           .number = row->number,
                                                           .size_octets = row->file_octets});
        return true;
    }
    return false;
}
