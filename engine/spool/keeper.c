#include "engine/spool/keeper.h"

#include "engine/spool/acks.h"
#include "engine/spool/prepare.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct keeper_lane {
    struct mx_spool_lane shared;
    uint64_t pin_epoch;  /* messages that are not answered may have chunks from this epoch on */
    uint64_t last_epoch; /* of the segment that came last; all up to it are listed, or freed */
    uint64_t failures_ms[MX_SPOOL_FAILURES]; /* when the last segments were given up */
    uint32_t failure_count;
};

struct mx_spool_keeper {
    struct mx_spool_store *store;
    struct mx_spool_keeper_conf conf;
    struct mx_log *log;
    struct keeper_lane *lanes;
    sem_t wake;
    pthread_t thread;
    bool has_thread;
    _Atomic bool is_stopping;
    struct mx_spool_acks acks;
    bool is_buffered;
    uint64_t retry_ms; /* when a file is tried after errors; 0: there were none */
    bool has_failed[MX_SPOOL_DIRS], is_full[MX_SPOOL_DIRS];
    uint64_t full_until_ms[MX_SPOOL_DIRS]; /* no file could be made: a quota, no inodes */
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void say(struct mx_spool_keeper *self, enum mx_log_severity severity, const char *event,
                const char *path, const char *reason) {
    struct mx_log_line line;
    mx_log_begin(&line, self->log, severity, event);
    mx_log_str(&line, "path", path);
    mx_log_str(&line, "reason", reason);
    mx_log_end(&line);
}

static const char *dir_path(const struct mx_spool_keeper *self, uint32_t dir) {
    return self->store->dirs[dir].path;
}

static bool has_dir(const struct mx_spool_keeper *self, uint32_t dir) {
    return self->store->dirs[dir].fd >= 0;
}

static bool is_usable(const struct mx_spool_keeper *self, uint32_t dir) {
    return has_dir(self, dir) && !self->has_failed[dir];
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
    self->is_full[dir] =
        free < reserve + self->conf.segment_octets || now_ms() < self->full_until_ms[dir];
    if (self->is_full[dir] && !was_full)
        say(self, MX_SEVERITY_WARN, "spool_full", dir_path(self, dir),
            "spool.reserve or a quota is reached: mail is refused when the segments are used up");
    if (!self->is_full[dir] && was_full)
        say(self, MX_SEVERITY_INFO, "spool_has_space", dir_path(self, dir), "segments are made");
    return self->is_full[dir] ? 0 : free - reserve;
}

/* Segments of a core that only wait to be opened. */
static uint64_t recycled_octets(const struct mx_spool_keeper *self, uint32_t core) {
    uint64_t octets = 0;
    for (uint32_t i = 0; i < self->store->count; i++) {
        const struct mx_spool_segment *row = &self->store->segments[i];
        if (row->core == core && row->state == MX_SPOOL_SEGMENT_FREE && is_usable(self, row->dir))
            octets += self->conf.segment_octets;
    }
    return octets;
}

static void publish_space(struct mx_spool_keeper *self) {
    uint64_t octets = 0;
    uint32_t failed = 0;
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        octets += is_usable(self, dir) ? free_octets(self, dir) : 0;
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
    }
}

/* ---- segments ---- */

static void dir_failed(struct mx_spool_keeper *self, uint32_t dir, int err) {
    say(self, MX_SEVERITY_ERROR, "spool_error", dir_path(self, dir), strerrordesc_np(-err));
    self->has_failed[dir] = true;
    self->retry_ms = now_ms() + MX_SPOOL_RETRY_MS;
}

static struct mx_spool_segment *find(struct mx_spool_keeper *self, uint32_t dir, uint32_t core,
                                     uint32_t number) {
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

static void drop_row(struct mx_spool_store *store, struct mx_spool_segment *row) {
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
        self->full_until_ms[dir] = now_ms() + MX_SPOOL_RETRY_MS;
        return NULL;
    }
    if (err < 0) {
        dir_failed(self, dir, err);
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
    return find(self, dir, core, number);
}

/* The disk is full, and files wait that belong to another core: one of them goes. */
static bool take_from_others(struct mx_spool_keeper *self, uint32_t dir, uint32_t core) {
    for (uint32_t i = 0; i < self->store->count; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        if (row->state != MX_SPOOL_SEGMENT_FREE || row->dir != dir || row->core == core)
            continue;
        int err = mx_spool_prepare_remove(self->store->dirs[dir].fd, row->core, row->number);
        if (err < 0)
            dir_failed(self, dir, err);
        else
            drop_row(self->store, row);
        return err == 0;
    }
    return false;
}

/* One more segment for a lane. False: there is no space, or an error. */
static bool feed(struct mx_spool_keeper *self, struct mx_spool_lane *lane) {
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        if (!is_usable(self, dir))
            continue;
        struct mx_spool_segment *row = find_free(self, dir, lane->core);
        if (row == NULL)
            row = make(self, dir, lane->core);
        bool is_starving = row == NULL && mx_spool_lane_offered(lane) == 0;
        if (is_starving && is_usable(self, dir) && take_from_others(self, dir, lane->core))
            row = make(self, dir, lane->core);
        if (row == NULL)
            continue;
        bool is_buffered;
        int fd =
            mx_spool_prepare_open(self->store->dirs[dir].fd, row->core, row->number, &is_buffered);
        if (fd < 0) {
            dir_failed(self, dir, fd);
            continue;
        }
        if (is_buffered && !self->is_buffered)
            say(self, MX_SEVERITY_WARN, "spool_buffered", dir_path(self, dir),
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

/* ---- what the workers are through with ---- */

static void count_failure(struct mx_spool_keeper *self, struct keeper_lane *lane, uint32_t dir) {
    uint64_t now = now_ms();
    lane->failures_ms[lane->failure_count++ % MX_SPOOL_FAILURES] = now;
    uint64_t first = lane->failures_ms[lane->failure_count % MX_SPOOL_FAILURES];
    self->retry_ms = now + MX_SPOOL_RETRY_MS;
    if (lane->failure_count < MX_SPOOL_FAILURES || now - first >= MX_SPOOL_FAILURES_MS)
        return;
    atomic_store(&lane->shared.is_stopped, true);
    say(self, MX_SEVERITY_ERROR, "spool_stopped", dir_path(self, dir),
        "too many errors: mail is refused until a file can be written again");
}

static void retire(struct mx_spool_keeper *self, struct keeper_lane *lane,
                   const struct mx_spool_retired *retired) {
    struct mx_spool_segment *row = find(self, retired->dir, lane->shared.core, retired->number);
    char name[MX_SPOOL_NAME_MAX];
    assert(row != NULL);
    mx_spool_segment_name(name, row->core, row->number, "");
    if (close(retired->fd) < 0)
        say(self, MX_SEVERITY_WARN, "spool_close", name, strerrordesc_np(errno));
    if (retired->is_unused) {
        row->state = MX_SPOOL_SEGMENT_FREE;
        return;
    }
    lane->pin_epoch = retired->oldest_open_epoch;
    lane->last_epoch = retired->epoch;
    /* without a footer it is not freed in this run: recovery will find out how far it goes */
    row->state = retired->is_sealed ? MX_SPOOL_SEGMENT_SEALED : MX_SPOOL_SEGMENT_OPEN;
    row->epoch = retired->epoch;
    row->end_offset = retired->end_offset;
    row->last_lsn = row->cut_lsn = retired->last_lsn;
    row->prev_epoch = retired->prev_epoch;
    row->oldest_epoch = retired->oldest_epoch;
    row->content_octets = retired->content_octets;
    row->message_count = retired->message_count;
    row->rcpt_count = retired->rcpt_count;
    mx_spool_list_sort(self->store);
    if (retired->error == 0)
        return;
    say(self, MX_SEVERITY_ERROR, "spool_error", name, strerrordesc_np(-retired->error));
    bool is_known = self->has_failed[retired->dir];
    if (is_usable(self, !retired->dir)) /* the other one takes over */
        self->has_failed[retired->dir] = true;
    if (!is_known)
        count_failure(self, lane, retired->dir);
}

static void take_retired(struct mx_spool_keeper *self) {
    for (uint32_t i = 0; i < self->conf.lane_count; i++) {
        struct mx_spool_retired retired;
        while (mx_spool_lane_take_retired(&self->lanes[i].shared, &retired))
            retire(self, &self->lanes[i], &retired);
    }
}

static void feed_all(struct mx_spool_keeper *self, uint32_t wanted) {
    bool is_hungry = true;
    while (is_hungry && !atomic_load(&self->is_stopping)) {
        is_hungry = false; /* one each in turn */
        take_retired(self);
        for (uint32_t i = 0; i < self->conf.lane_count; i++) {
            struct mx_spool_lane *lane = &self->lanes[i].shared;
            if (mx_spool_lane_offered(lane) < wanted)
                is_hungry |= feed(self, lane);
        }
        publish_space(self);
    }
}

/* ---- freeing ---- */

/* What acks may speak of: segments that are listed, and those of this run, listed or still written.
 */
static bool is_live(void *context, uint32_t core, uint64_t epoch) {
    const struct mx_spool_keeper *self = context;
    bool is_written = core < self->conf.lane_count && epoch / MX_SPOOL_EPOCHS == self->store->run &&
                      epoch > self->lanes[core].last_epoch;
    return is_written || mx_spool_store_find(self->store, core, epoch) != NULL;
}

/* A message may end in a segment that has not come back yet. */
static bool is_pinned(const struct mx_spool_keeper *self, const struct mx_spool_segment *row) {
    return row->core < self->conf.lane_count && row->epoch >= self->lanes[row->core].pin_epoch;
}

static int free_segment(struct mx_spool_keeper *self, struct mx_spool_segment *row) {
    int root = self->store->dirs[row->dir].fd;
    uint64_t epoch = row->epoch;
    int err = mx_spool_prepare_free(root, row->core, row->number);
    if (err < 0)
        return err;
    mx_spool_acks_forget(&self->acks, row->core, epoch);
    if (row->file_octets == self->conf.segment_octets && row->core < self->conf.lane_count) {
        *row = (struct mx_spool_segment){
            .dir = row->dir,
            .core = row->core,
            .number = row->number,
            .state = MX_SPOOL_SEGMENT_FREE,
            .file_octets = row->file_octets,
            .cut_lsn = MX_SPOOL_NO_CUT,
        };
        mx_spool_list_sort(self->store);
        return 0;
    }
    err = mx_spool_prepare_remove(root, row->core, row->number);
    drop_row(self->store, row);
    return err;
}

/* Segments whose recipients are all final, and say so durably: what is read of an ack log that its
 * writer has not synced yet may be lost, so it is synced first. True: there may be more. */
static bool free_final(struct mx_spool_keeper *self) {
    int err = mx_spool_acks_poll(&self->acks);
    if (err < 0 && err != -ENOENT)
        say(self, MX_SEVERITY_WARN, "spool_acks", dir_path(self, 0), strerrordesc_np(-err));
    bool is_synced = false;
    uint32_t freed = 0;
    for (uint32_t i = 0; i < self->store->count && freed < MX_SPOOL_FREES; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        bool is_final = row->state == MX_SPOOL_SEGMENT_SEALED &&
                        mx_spool_acks_final(&self->acks, row->core, row->epoch) >= row->rcpt_count;
        if (!is_final || is_pinned(self, row) || mx_spool_store_is_needed(self->store, row))
            continue;
        err = is_synced ? 0 : mx_spool_acks_sync(&self->acks);
        if (err < 0) {
            dir_failed(self, 0, err);
            return false;
        }
        is_synced = true;
        uint32_t dir = row->dir;
        err = free_segment(self, row);
        if (err < 0) {
            dir_failed(self, dir, err);
            return false;
        }
        freed++;
        i = UINT32_MAX; /* the list has another order now */
    }
    return freed == MX_SPOOL_FREES;
}

/* ---- errors pass ---- */

/* Write a file as a segment would be. */
static int try_dir(struct mx_spool_keeper *self, uint32_t dir) {
    int root = self->store->dirs[dir].fd;
    int err = mx_spool_prepare_file(root, 0, MX_SPOOL_NUMBER_MAX, MX_SPOOL_BLOCK);
    if (err == 0 || err == -EEXIST)
        err = mx_spool_prepare_remove(root, 0, MX_SPOOL_NUMBER_MAX);
    return err;
}

static void retry(struct mx_spool_keeper *self) {
    if (self->retry_ms == 0 || now_ms() < self->retry_ms)
        return;
    self->retry_ms = 0;
    bool is_any_good = false;
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        if (!has_dir(self, dir))
            continue;
        int err = try_dir(self, dir);
        bool is_good = err == 0 || err == -ENOSPC || err == -EDQUOT;
        if (!is_good)
            self->retry_ms = now_ms() + MX_SPOOL_RETRY_MS;
        if (is_good && self->has_failed[dir])
            say(self, MX_SEVERITY_INFO, "spool_recovered", dir_path(self, dir), "it is used again");
        self->has_failed[dir] = !is_good;
        is_any_good |= is_good;
    }
    for (uint32_t i = 0; i < self->conf.lane_count && is_any_good; i++) {
        if (!atomic_exchange(&self->lanes[i].shared.is_stopped, false))
            continue;
        self->lanes[i].failure_count = 0;
        say(self, MX_SEVERITY_INFO, "spool_resumed", dir_path(self, 0), "mail is taken again");
    }
}

/* ---- the thread ---- */

/* True: there is more to do. */
static bool turn(struct mx_spool_keeper *self) {
    take_retired(self);
    retry(self);
    publish_space(self);
    feed_all(self, MX_SPOOL_READY_WANTED);
    bool has_more = free_final(self);
    publish_space(self);
    return has_more;
}

static void *main_of(void *argument) {
    struct mx_spool_keeper *self = argument;
    while (!atomic_load(&self->is_stopping)) {
        if (turn(self))
            continue;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += MX_SPOOL_KEEPER_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        while (sem_clockwait(&self->wake, CLOCK_MONOTONIC, &until) < 0 && errno == EINTR)
            ;
    }
    return NULL;
}

int mx_spool_keeper_new(struct mx_spool_keeper **self, struct mx_spool_store *store,
                        const struct mx_spool_keeper_conf *conf, struct mx_log *log) {
    assert(conf->lane_count > 0);
    struct mx_spool_keeper *keeper = calloc(1, sizeof *keeper);
    struct keeper_lane *lanes = aligned_alloc(64, conf->lane_count * sizeof *lanes);
    if (keeper == NULL || lanes == NULL) {
        free(keeper);
        free(lanes);
        return -ENOMEM;
    }
    memset(lanes, 0, conf->lane_count * sizeof *lanes);
    keeper->store = store;
    keeper->conf = *conf;
    keeper->log = log;
    keeper->lanes = lanes;
    *self = keeper;
    if (sem_init(&keeper->wake, 0, 0) < 0)
        return -errno;
    int err = mx_spool_acks_new(&keeper->acks, store, is_live, NULL, keeper);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < conf->lane_count; i++) {
        lanes[i].shared.core = i;
        lanes[i].shared.wake = &keeper->wake;
        lanes[i].pin_epoch = lanes[i].last_epoch = store->run * MX_SPOOL_EPOCHS;
    }
    feed_all(keeper, 1);
    publish_space(keeper);
    return 0;
}

int mx_spool_keeper_start(struct mx_spool_keeper *self) {
    int err = pthread_create(&self->thread, NULL, main_of, self);
    if (err != 0)
        return -err;
    self->has_thread = true;
    pthread_setname_np(self->thread, "mxring-keeper");
    return 0;
}

struct mx_spool_lane *mx_spool_keeper_lane(struct mx_spool_keeper *self, uint32_t index) {
    assert(index < self->conf.lane_count);
    return &self->lanes[index].shared;
}

bool mx_spool_keeper_is_direct(const struct mx_spool_keeper *self) {
    return !self->is_buffered;
}

void mx_spool_keeper_free(struct mx_spool_keeper *self) {
    if (self == NULL)
        return;
    atomic_store(&self->is_stopping, true);
    if (self->has_thread) {
        sem_post(&self->wake);
        pthread_join(self->thread, NULL);
    }
    take_retired(self);
    for (uint32_t i = 0; i < self->conf.lane_count; i++) {
        struct mx_spool_lane *lane = &self->lanes[i].shared;
        while (mx_spool_lane_ready(lane) > 0)
            close(mx_spool_lane_take(lane).fd);
    }
    mx_spool_acks_free(&self->acks);
    sem_destroy(&self->wake);
    free(self->lanes);
    free(self);
}
