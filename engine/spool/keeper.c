#include "engine/spool/keeper_impl.h"
#include "engine/spool/prepare.h"
#include "engine/spool/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- what the workers are through with ---- */

/* Each attempt costs a segment or two, which are only freed by the next start. */
static void wait_longer(struct mx_spool_keeper *self, uint64_t now) {
    bool is_again = self->resumed_ms != 0 && now - self->resumed_ms < MX_SPOOL_FAILURES_MS;
    self->wait_ms = is_again ? 2 * self->wait_ms : MX_SPOOL_RETRY_MS;
    if (self->wait_ms > MX_SPOOL_FAILURES_MS)
        self->wait_ms = MX_SPOOL_FAILURES_MS;
    self->retry_ms = now + self->wait_ms;
}

static void count_failure(struct mx_spool_keeper *self, struct keeper_lane *lane, uint32_t dir) {
    uint64_t now = mx_spool_keeper_now_ms();
    lane->failures_ms[lane->failure_count++ % MX_SPOOL_FAILURES] = now;
    uint64_t first = lane->failures_ms[lane->failure_count % MX_SPOOL_FAILURES];
    if (self->retry_ms < now + MX_SPOOL_RETRY_MS)
        self->retry_ms = now + MX_SPOOL_RETRY_MS;
    bool is_stopped = atomic_load(&lane->shared.is_stopped);
    if (is_stopped || lane->failure_count < MX_SPOOL_FAILURES ||
        now - first >= MX_SPOOL_FAILURES_MS)
        return;
    wait_longer(self, now);
    atomic_store(&lane->shared.is_stopped, true);
    mx_spool_keeper_say(self, MX_SEVERITY_ERROR, "spool_stopped",
                        mx_spool_keeper_dir_path(self, dir),
                        "too many errors: mail is refused until a file can be written again");
}

static void retire(struct mx_spool_keeper *self, struct keeper_lane *lane,
                   const struct mx_spool_retired *retired) {
    struct mx_spool_segment *row =
        mx_spool_keeper_find(self, retired->dir, lane->shared.core, retired->number);
    char name[MX_SPOOL_NAME_MAX];
    assert(row != NULL);
    mx_spool_segment_name(name, row->core, row->number, "");
    if (close(retired->fd) < 0)
        mx_spool_keeper_say(self, MX_SEVERITY_WARN, "spool_close", name, strerrordesc_np(errno));
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
    row->compactions = row->left_rcpts = 0;
    row->look_ms = row->looks = row->looked_final = 0;
    mx_spool_list_sort(self->store);
    if (retired->error == 0)
        return;
    mx_spool_keeper_say(self, MX_SEVERITY_ERROR, "spool_error", name,
                        strerrordesc_np(-retired->error));
    bool is_known = self->has_failed[retired->dir];
    if (mx_spool_keeper_is_usable(self, !retired->dir)) /* the other one takes over */
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
                is_hungry |= mx_spool_keeper_feed(self, lane);
        }
        mx_spool_keeper_publish_space(self);
    }
}

bool mx_spool_keeper_serve(struct mx_spool_keeper *self) {
    feed_all(self, MX_SPOOL_READY_WANTED);
    return !atomic_load(&self->is_stopping);
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

/* It may end in a segment that has not come back yet. */
bool mx_spool_keeper_is_pinned(const struct mx_spool_keeper *self,
                               const struct mx_spool_segment *row) {
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
    mx_spool_keeper_drop_row(self->store, row);
    return err;
}

/* Segments whose recipients are all final, and say so durably: what is read of an ack log that its
 * writer has not synced yet may be lost, so it is synced first. True: there may be more. */
static bool free_final(struct mx_spool_keeper *self) {
    int err = mx_spool_acks_poll(&self->acks);
    if (err < 0 && err != -ENOENT)
        mx_spool_keeper_say(self, MX_SEVERITY_WARN, "spool_acks", mx_spool_keeper_dir_path(self, 0),
                            strerrordesc_np(-err));
    bool is_synced = false;
    uint32_t freed = 0;
    for (uint32_t i = 0; i < self->store->count && freed < MX_SPOOL_FREES; i++) {
        struct mx_spool_segment *row = &self->store->segments[i];
        bool is_final = row->state == MX_SPOOL_SEGMENT_SEALED &&
                        mx_spool_acks_final(&self->acks, row->core, row->epoch) >= row->rcpt_count;
        bool is_pinned = !mx_spool_segment_is_empty(row) && mx_spool_keeper_is_pinned(self, row);
        if (!is_final || is_pinned || mx_spool_store_is_needed(self->store, row))
            continue;
        err = is_synced ? 0 : mx_spool_acks_sync(&self->acks);
        if (err < 0) {
            mx_spool_keeper_dir_failed(self, 0, err);
            return false;
        }
        is_synced = true;
        uint32_t dir = row->dir;
        err = free_segment(self, row);
        if (err < 0) {
            mx_spool_keeper_dir_failed(self, dir, err);
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
    if (self->retry_ms == 0 || mx_spool_keeper_now_ms() < self->retry_ms)
        return;
    self->retry_ms = 0;
    bool is_any_good = false;
    for (uint32_t dir = 0; dir < MX_SPOOL_DIRS; dir++) {
        if (!mx_spool_keeper_has_dir(self, dir))
            continue;
        int err = try_dir(self, dir);
        bool is_good = err == 0 || err == -ENOSPC || err == -EDQUOT;
        if (!is_good)
            self->retry_ms = mx_spool_keeper_now_ms() + MX_SPOOL_RETRY_MS;
        if (is_good && self->has_failed[dir])
            mx_spool_keeper_say(self, MX_SEVERITY_INFO, "spool_recovered",
                                mx_spool_keeper_dir_path(self, dir), "it is used again");
        self->has_failed[dir] = !is_good;
        is_any_good |= is_good;
    }
    for (uint32_t i = 0; i < self->conf.lane_count && is_any_good; i++) {
        if (!atomic_exchange(&self->lanes[i].shared.is_stopped, false))
            continue;
        self->resumed_ms = mx_spool_keeper_now_ms(); /* what failed before still counts */
        mx_spool_keeper_say(self, MX_SEVERITY_INFO, "spool_resumed",
                            mx_spool_keeper_dir_path(self, 0), "mail is taken again");
    }
}

/* ---- the thread ---- */

/* True: there is more to do. */
static bool turn(struct mx_spool_keeper *self) {
    take_retired(self);
    retry(self);
    mx_spool_keeper_publish_space(self);
    feed_all(self, MX_SPOOL_READY_WANTED);
    bool has_more = free_final(self);
    if (!has_more && !atomic_load(&self->is_stopping))
        has_more = mx_spool_keeper_compact(self);
    mx_spool_keeper_publish_space(self);
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
    if (err == 0)
        err = mx_spool_compact_new(&keeper->compact, store, NULL);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < conf->lane_count; i++) {
        lanes[i].shared.core = i;
        lanes[i].shared.wake = &keeper->wake;
        lanes[i].pin_epoch = lanes[i].last_epoch = store->run * MX_SPOOL_EPOCHS;
    }
    feed_all(keeper, 1);
    mx_spool_keeper_publish_space(keeper);
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

const struct mx_spool_keeper_counters *
mx_spool_keeper_counters(const struct mx_spool_keeper *self) {
    return &self->counters;
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
    mx_spool_compact_free(&self->compact);
    sem_destroy(&self->wake);
    free(self->lanes);
    free(self);
}
