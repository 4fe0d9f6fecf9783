/* log_write.c - batches on their way to the disk, the segments they go to, and the answers. */
#include "engine/spool/block.h"
#include "engine/spool/log_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* What a completion is about; below it, the number of a buffer. */
enum { ON_HEADER = MX_SPOOL_BUFFERS, ON_FOOTER, ON_SYNC };

static uint64_t op(uint32_t what) {
    return mx_op_pack(MX_OP_SPOOL, 0, what);
}

static uint32_t depth(const struct mx_spool_log *self) {
    return self->conf.sync == MX_SPOOL_SYNC_NONE ? MX_SPOOL_DEPTH_UNSYNCED : MX_SPOOL_DEPTH;
}

static char *header_block(const struct mx_spool_log *self) {
    return self->memory + (size_t)self->batch_octets * MX_SPOOL_BUFFERS;
}

static char *footer_block(const struct mx_spool_log *self) {
    return header_block(self) + MX_SPOOL_BLOCK;
}

static uint32_t queued_index(const struct mx_spool_log *self, uint32_t i) {
    return self->queue[(self->queue_begin + i) % MX_SPOOL_BUFFERS];
}

static struct mx_spool_buffer *queued(struct mx_spool_log *self, uint32_t i) {
    return &self->buffers[queued_index(self, i)];
}

static int64_t now_ns(const struct mx_spool_log *self) {
    return self->ring->io->wall_s(self->ring) * INT64_C(1000000000);
}

static void write_block(struct mx_spool_log *self, int fd, const char *block, uint64_t offset,
                        uint32_t what) {
    mx_ring_write(self->ring, &(struct mx_ring_write){.fd = fd,
                                                      .ptr = block,
                                                      .len = MX_SPOOL_BLOCK,
                                                      .offset = offset,
                                                      .is_registered = self->is_registered,
                                                      .is_durable = true,
                                                      .user_data = op(what)});
}

/* ---- header and footer ---- */

/* Of what will be the segment's first record, which may stand in the buffer being filled already.
 */
static uint64_t base_lsn(struct mx_spool_log *self) {
    if (self->queue_count > 0)
        return queued(self, 0)->first_lsn;
    const struct mx_spool_buffer *buffer = &self->buffers[self->filling];
    return buffer->record_count > 0 ? buffer->first_lsn : self->next_lsn;
}

static void put_header(struct mx_spool_log *self) {
    struct mx_spool_header header = {
        .core = self->conf.core,
        .epoch = self->epoch,
        .size_octets = self->segment.size_octets,
        .base_lsn = base_lsn(self),
        .prev_epoch = self->prev_epoch,
        .prev_sealed_lsn = self->prev_sealed_lsn,
        .created_ns = now_ns(self),
    };
    memcpy(header.uuid, self->conf.uuid, sizeof header.uuid);
    mx_spool_header_write(header_block(self), &header);
}

static void put_footer(const struct mx_spool_log *self, const struct mx_spool_retired *counts,
                       char *block) {
    struct mx_spool_footer footer = {
        .core = self->conf.core,
        .message_count = counts->message_count,
        .epoch = counts->epoch,
        .end_offset = counts->end_offset,
        .last_lsn = counts->last_lsn,
        .oldest_epoch = counts->oldest_epoch,
        .content_octets = counts->content_octets,
        .sealed_ns = now_ns(self),
        .rcpt_count = counts->rcpt_count,
    };
    memcpy(footer.uuid, self->conf.uuid, sizeof footer.uuid);
    mx_spool_footer_write(block, &footer);
}

/* ---- segments ---- */

/* Chunks of a message that is not answered yet pin the segments they are in: until the segment in
 * which it ends has come to the keeper, which then sees how far back that one goes. */
static uint64_t oldest_open_epoch(const struct mx_spool_log *self) {
    uint64_t oldest = self->epoch + 1;
    for (uint32_t i = 0; i < self->used_messages; i++) {
        const struct mx_spool_message *message = &self->messages[i];
        bool has_chunks = message->state != MX_SPOOL_FREE && message->first_epoch != 0;
        if (has_chunks && message->first_epoch < oldest)
            oldest = message->first_epoch;
    }
    return oldest;
}

static void leave_segment(struct mx_spool_log *self) {
    self->leaving = self->counts;
    self->leaving.oldest_open_epoch = oldest_open_epoch(self);
    self->has_segment = false;
    self->prev_epoch = self->epoch;
    self->prev_sealed_lsn = self->committed_lsn;
    if (self->leaving.error < 0) { /* nothing is written to it any more */
        mx_spool_lane_retire(self->lane, &self->leaving);
        return;
    }
    self->is_footer_flying = true;
    put_footer(self, &self->leaving, footer_block(self));
    write_block(self, self->leaving.fd, footer_block(self),
                self->segment.size_octets - MX_SPOOL_BLOCK, ON_FOOTER);
}

/* The next one that is ready, but not on a disk that fails while there is another. */
static bool take_segment(struct mx_spool_log *self) {
    while (mx_spool_lane_ready(self->lane) > 0 && mx_spool_lane_can_retire(self->lane)) {
        uint32_t failed = atomic_load_explicit(&self->lane->failed_dirs, memory_order_relaxed);
        self->segment = mx_spool_lane_take(self->lane);
        if (!(failed & (1u << self->segment.dir)))
            return true;
        mx_spool_lane_retire(self->lane, &(struct mx_spool_retired){.fd = self->segment.fd,
                                                                    .dir = self->segment.dir,
                                                                    .number = self->segment.number,
                                                                    .is_unused = true});
    }
    return false;
}

static void enter_segment(struct mx_spool_log *self) {
    assert(self->segment.size_octets == self->conf.segment_octets);
    self->has_segment = true;
    self->epoch = self->queue_count > 0 ? queued(self, 0)->epoch : self->next_epoch;
    self->counts = (struct mx_spool_retired){
        .fd = self->segment.fd,
        .dir = self->segment.dir,
        .number = self->segment.number,
        .epoch = self->epoch,
        .prev_epoch = self->prev_epoch,
        .end_offset = MX_SPOOL_BLOCK,
        .oldest_epoch = self->epoch,
    };
    put_header(self);
    self->is_header_flying = true;
    self->is_header_durable = false;
    write_block(self, self->segment.fd, header_block(self), 0, ON_HEADER);
    self->counters.segments++;
}

/* The batch at the head belongs to the next segment. It is only entered when nothing is on its way
 * to the one before: so its header can say up to where that one counts. */
static bool rotate(struct mx_spool_log *self) {
    bool is_busy = self->flying > 0 || self->is_header_flying || self->is_footer_flying ||
                   self->is_sync_flying;
    if (is_busy || !mx_spool_lane_can_retire(self->lane))
        return false;
    if (self->has_segment)
        leave_segment(self);
    if (!take_segment(self))
        return false;
    enter_segment(self);
    return true;
}

/* ---- batches ---- */

static void write_batch(struct mx_spool_log *self, struct mx_spool_buffer *buffer) {
    struct mx_spool_batch batch = {
        .magic = MX_SPOOL_BATCH_MAGIC,
        .epoch = buffer->epoch,
        .first_lsn = buffer->first_lsn,
        .committed_lsn = self->committed_lsn,
        .seq = buffer->seq,
        .record_count = buffer->record_count,
        .used_octets = buffer->used,
        .len_octets = buffer->len,
        .written_ns = now_ns(self),
    };
    uint32_t seed = mx_spool_seed(self->conf.uuid, self->conf.core, buffer->epoch);
    batch.crc = mx_crc32c(seed, (struct mx_span){(const char *)&batch, sizeof batch});
    memcpy(buffer->base, &batch, sizeof batch);
    buffer->state = MX_SPOOL_WRITING;
    uint32_t index = (uint32_t)(buffer - self->buffers);
    mx_ring_write(self->ring,
                  &(struct mx_ring_write){.fd = self->segment.fd,
                                          .ptr = buffer->base,
                                          .len = buffer->len,
                                          .offset = buffer->offset,
                                          .is_registered = self->is_registered,
                                          .is_durable = self->conf.sync == MX_SPOOL_SYNC_DSYNC,
                                          .user_data = op(index)});
    self->flying++;
    self->counters.batches++;
    self->counters.written += buffer->len;
}

static void submit(struct mx_spool_log *self) {
    while (self->flying < self->queue_count && self->flying < depth(self) && self->poison == 0) {
        struct mx_spool_buffer *buffer = queued(self, self->flying);
        bool is_here = self->has_segment && buffer->epoch == self->epoch;
        if (!is_here && !rotate(self))
            return;
        write_batch(self, buffer);
    }
    if (self->refused.first != MX_NO_MESSAGE && !self->has_segment && self->poison == 0)
        (void)rotate(self); /* the cut must be durable before a refusal is told */
}

static void start_sync(struct mx_spool_log *self) {
    if (self->written_count == 0 || self->is_sync_flying || self->poison != 0)
        return;
    self->sync_started++;
    for (uint32_t i = 0; i < self->flying; i++) {
        struct mx_spool_buffer *buffer = queued(self, i);
        if (buffer->state == MX_SPOOL_WRITTEN && buffer->sync == 0)
            buffer->sync = self->sync_started;
    }
    self->is_sync_flying = true;
    mx_ring_sync(self->ring, self->segment.fd, op(ON_SYNC));
    self->counters.syncs++;
}

/* ---- answers ---- */

static void answer_all(struct mx_spool_log *self, struct mx_spool_list *list, int result) {
    struct mx_spool_list answered = *list; /* answering may bring new commits */
    list->first = MX_NO_MESSAGE;
    for (uint32_t m; (m = mx_spool_list_take(self, &answered)) != MX_NO_MESSAGE;)
        mx_spool_message_answer(self, m, result);
}

static void release_batch(struct mx_spool_log *self, struct mx_spool_buffer *buffer) {
    self->queue_begin = (self->queue_begin + 1) % MX_SPOOL_BUFFERS;
    self->queue_count--;
    self->flying--;
    self->committed_lsn = buffer->last_lsn;
    self->counts.last_lsn = buffer->last_lsn;
    self->counts.end_offset = buffer->offset + buffer->len;
    self->counts.message_count += buffer->message_count;
    self->counts.rcpt_count += buffer->rcpt_count;
    self->counts.content_octets += buffer->content_octets;
    if (buffer->oldest_epoch < self->counts.oldest_epoch)
        self->counts.oldest_epoch = buffer->oldest_epoch;
    struct mx_spool_list commits = buffer->commits;
    buffer->commits.first = MX_NO_MESSAGE;
    buffer->state = MX_SPOOL_EMPTY;
    if (self->filling == MX_NO_BUFFER)
        (void)mx_spool_stage_begin(self);
    answer_all(self, &commits, 0);
}

/* In order: recovery cuts at the first batch that is not whole. */
static void release(struct mx_spool_log *self) {
    while (self->is_header_durable && self->flying > 0 &&
           queued(self, 0)->state == MX_SPOOL_DURABLE)
        release_batch(self, queued(self, 0));
}

/* ---- errors ---- */

/* Forget what is staged, and refuse its messages: their records have places in a segment that does
 * not go on. */
static void drop_staged(struct mx_spool_log *self, int err, struct mx_spool_list *refused) {
    if (self->tail != MX_NO_MESSAGE)
        self->messages[self->tail].error = err;
    mx_spool_stage_reset(self, refused);
    for (uint32_t i = 0; i < self->used_messages; i++) {
        struct mx_spool_message *message = &self->messages[i];
        bool is_receiving = message->state == MX_SPOOL_OPEN || message->state == MX_SPOOL_WAITING;
        if (is_receiving && message->chunk_lsn > self->committed_lsn)
            message->error = err;
        if (message->state == MX_SPOOL_REFUSED && message->error == 0)
            message->error = err;
    }
    self->next_offset = self->conf.segment_octets; /* the next buffer begins a segment */
    bool has_buffer = mx_spool_stage_begin(self);
    assert(has_buffer);
}

/* All that was on its way to the bad segment is back: give it up. */
static void give_up_segment(struct mx_spool_log *self) {
    int err = self->poison;
    self->poison = 0;
    self->flying = 0;
    self->written_count = 0;
    self->counts.error = err;
    self->counters.errors++;
    drop_staged(self, err, &self->refused);
    leave_segment(self);
}

static bool is_in_flight(const struct mx_spool_log *self) {
    bool is_flying = self->is_header_flying || self->is_footer_flying || self->is_sync_flying;
    for (uint32_t i = 0; i < self->flying && !is_flying; i++)
        is_flying = self->buffers[queued_index(self, i)].state == MX_SPOOL_WRITING;
    return is_flying;
}

static void refuse(struct mx_spool_log *self, struct mx_spool_list *refused) {
    struct mx_spool_list list = *refused;
    refused->first = MX_NO_MESSAGE;
    for (uint32_t m; (m = mx_spool_list_take(self, &list)) != MX_NO_MESSAGE;)
        mx_spool_message_answer(self, m, self->messages[m].error);
}

/* There is no segment to go on with, and will not be one soon. */
static int dead_end(struct mx_spool_log *self) {
    bool needs_segment = self->refused.first != MX_NO_MESSAGE ||
                         (self->queue_count > 0 && queued(self, 0)->epoch != self->epoch);
    if (!needs_segment || mx_spool_lane_ready(self->lane) > 0)
        return 0;
    if (atomic_load_explicit(&self->lane->is_stopped, memory_order_relaxed))
        return -EIO;
    bool is_full = atomic_load_explicit(&self->lane->unallocated_octets, memory_order_acquire) == 0;
    bool is_over = is_full && mx_spool_lane_ready(self->lane) == 0;
    return is_over ? mx_spool_lane_no_space(self->lane) : 0;
}

/* ---- the turn ---- */

/* Commits are written as soon as the disk has room for one more batch. */
static void close_filling(struct mx_spool_log *self) {
    bool is_held_up = self->filling == MX_NO_BUFFER || self->flying >= depth(self) ||
                      self->queue_count > self->flying;
    if (is_held_up || self->buffers[self->filling].commits.first == MX_NO_MESSAGE)
        return;
    mx_spool_stage_settle(self);
    mx_spool_stage_advance(self);
}

static void go_on(struct mx_spool_log *self) {
    if (self->poison != 0 && !is_in_flight(self) && mx_spool_lane_can_retire(self->lane))
        give_up_segment(self);
    int err = is_in_flight(self) || self->flying > 0 ? 0 : dead_end(self);
    if (err < 0) {
        struct mx_spool_list never_written = {MX_NO_MESSAGE, MX_NO_MESSAGE};
        drop_staged(self, err, &never_written);
        refuse(self, &never_written);
        /* There is no header that would make the cut, so that these may turn out to be stored:
         * their clients are told nothing. */
        answer_all(self, &self->refused, -ECONNABORTED);
    }
    mx_spool_log_retry(self);
    close_filling(self);
    submit(self);
    start_sync(self);
}

void mx_spool_log_turn(struct mx_spool_log *self) {
    go_on(self);
    if (!self->is_room_wanted)
        return;
    self->is_room_wanted = false;
    if (!mx_spool_log_is_ready(self))
        return;
    self->room(self->context);
    go_on(self); /* with what came in now */
}

static void on_batch(struct mx_spool_log *self, struct mx_spool_buffer *buffer, int result) {
    assert(buffer->state == MX_SPOOL_WRITING);
    if (result != (int)buffer->len) {
        buffer->state = MX_SPOOL_FAILED;
        self->poison = result < 0 ? result : -EIO;
        return;
    }
    bool needs_sync = self->conf.sync == MX_SPOOL_SYNC_FDATASYNC;
    buffer->state = needs_sync ? MX_SPOOL_WRITTEN : MX_SPOOL_DURABLE;
    self->written_count += needs_sync;
}

static void on_sync(struct mx_spool_log *self, int result) {
    self->is_sync_flying = false;
    self->sync_done = self->sync_started;
    if (result < 0)
        self->poison = result;
    for (uint32_t i = 0; i < self->flying && result >= 0; i++) {
        struct mx_spool_buffer *buffer = queued(self, i);
        if (buffer->state != MX_SPOOL_WRITTEN || buffer->sync != self->sync_done)
            continue;
        buffer->state = MX_SPOOL_DURABLE;
        self->written_count--;
    }
}

void mx_spool_log_on_cqe(struct mx_spool_log *self, const struct io_uring_cqe *cqe) {
    uint32_t what = mx_op_slot(cqe->user_data);
    bool is_whole = cqe->res == MX_SPOOL_BLOCK;
    int err = cqe->res < 0 ? cqe->res : -EIO;
    if (what < MX_SPOOL_BUFFERS) {
        on_batch(self, &self->buffers[what], cqe->res);
    } else if (what == ON_HEADER) {
        self->is_header_flying = false;
        self->is_header_durable = is_whole;
        if (is_whole)
            refuse(self, &self->refused);
        else
            self->poison = err;
    } else if (what == ON_FOOTER) {
        self->is_footer_flying = false;
        self->leaving.is_sealed = is_whole;
        self->leaving.error = is_whole ? 0 : err;
        mx_spool_lane_retire(self->lane, &self->leaving);
    } else {
        on_sync(self, cqe->res);
    }
    release(self);
}

static bool has_commits(const struct mx_spool_log *self) {
    return self->filling != MX_NO_BUFFER &&
           self->buffers[self->filling].commits.first != MX_NO_MESSAGE;
}

bool mx_spool_log_is_waiting(const struct mx_spool_log *self) {
    bool has_work = self->queue_count > 0 || self->refused.first != MX_NO_MESSAGE ||
                    self->waiting.first != MX_NO_MESSAGE || has_commits(self);
    return has_work && !is_in_flight(self);
}

bool mx_spool_log_is_idle(const struct mx_spool_log *self) {
    return !has_commits(self) && self->queue_count == 0 && self->waiting.first == MX_NO_MESSAGE &&
           !self->is_header_flying && !self->is_footer_flying && !self->is_sync_flying &&
           self->poison == 0;
}

/* ---- the end ---- */

/* What is behind the last batch is given back; the footer says that the segment is whole. */
static int seal(struct mx_spool_log *self) {
    char *block = footer_block(self);
    put_footer(self, &self->counts, block);
    uint64_t end = self->counts.end_offset;
    int fd = self->counts.fd;
    if (ftruncate(fd, (off_t)(end + MX_SPOOL_BLOCK)) < 0)
        return -errno;
    ssize_t written = pwrite(fd, block, MX_SPOOL_BLOCK, (off_t)end);
    if (written != MX_SPOOL_BLOCK)
        return written < 0 ? -errno : -EIO;
    return fdatasync(fd) < 0 ? -errno : 0;
}

void mx_spool_log_close(struct mx_spool_log *self) {
    if (!self->has_segment)
        return;
    /* else recovery will find out how far it goes */
    bool is_clean = mx_spool_log_is_idle(self);
    self->counts.error = is_clean ? seal(self) : 0;
    self->counts.is_sealed = is_clean && self->counts.error == 0;
    self->has_segment = false;
    mx_spool_lane_retire(self->lane, &self->counts);
}
