#include "engine/spool/log_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- lists ---- */

void mx_spool_list_put(struct mx_spool_log *self, struct mx_spool_list *list, uint32_t message) {
    self->messages[message].next = MX_NO_MESSAGE;
    if (list->first == MX_NO_MESSAGE)
        list->first = message;
    else
        self->messages[list->last].next = message;
    list->last = message;
}

uint32_t mx_spool_list_take(struct mx_spool_log *self, struct mx_spool_list *list) {
    uint32_t message = list->first;
    if (message != MX_NO_MESSAGE)
        list->first = self->messages[message].next;
    return message;
}

/* ---- messages ---- */

static uint32_t take_message(struct mx_spool_log *self) {
    uint32_t index = self->free_message;
    if (index != MX_NO_MESSAGE)
        self->free_message = self->messages[index].next;
    else if (self->used_messages < self->conf.message_count)
        index = self->used_messages++;
    return index;
}

void mx_spool_message_free(struct mx_spool_log *self, uint32_t index) {
    struct mx_spool_message *message = &self->messages[index];
    mx_spool_stage_drop(self, index);
    self->reserved_octets -= message->reserved_octets;
    message->state = MX_SPOOL_FREE;
    message->next = self->free_message;
    self->free_message = index;
}

void mx_spool_message_answer(struct mx_spool_log *self, uint32_t index, int result) {
    struct mx_spool_message *message = &self->messages[index];
    uint64_t owner = message->owner;
    bool is_alone = message->is_alone;
    mx_spool_message_free(self, index);
    if (!is_alone)
        self->done(self->context, owner, result);
}

/* ---- space ---- */

static uint64_t free_octets(struct mx_spool_log *self) {
    /* the next one begins where a whole batch might not fit any more */
    uint64_t segment =
        self->conf.segment_octets - 2 * (uint64_t)MX_SPOOL_BLOCK - self->batch_octets;
    uint64_t octets = mx_spool_lane_ready(self->lane) * segment;
    octets += atomic_load_explicit(&self->lane->unallocated_octets, memory_order_relaxed);
    if (self->has_segment && self->next_epoch == self->epoch)
        octets += self->conf.segment_octets - MX_SPOOL_BLOCK - self->next_offset;
    return octets;
}

/* Content, and a sixteenth of it for headers, envelope and padding. */
static uint64_t octets_on_disk(uint64_t octets) {
    return octets + octets / 16 + MX_SPOOL_BLOCK;
}

int mx_spool_log_has_space(struct mx_spool_log *self, uint64_t octets) {
    if (atomic_load_explicit(&self->lane->is_stopped, memory_order_relaxed))
        return -EIO;
    uint64_t want = octets_on_disk(octets > 0 ? octets : MX_SPOOL_RESERVE_STEP);
    uint64_t free = free_octets(self);
    if (self->reserved_octets > free || want > free - self->reserved_octets) {
        int err = mx_spool_lane_no_space(self->lane);
        self->counters.full += err == -ENOSPC;
        return err;
    }
    return 0;
}

static int reserve(struct mx_spool_log *self, struct mx_spool_message *message, uint64_t octets) {
    int err = mx_spool_log_has_space(self, octets);
    if (err < 0)
        return err;
    message->reserved_octets += octets_on_disk(octets);
    self->reserved_octets += octets_on_disk(octets);
    return 0;
}

/* ---- the way of a message ---- */

int mx_spool_log_open(struct mx_spool_log *self, uint64_t owner, uint64_t octets, uint64_t *token) {
    uint32_t index = take_message(self);
    if (index == MX_NO_MESSAGE)
        return -EBUSY;
    struct mx_spool_message *message = &self->messages[index];
    *message = (struct mx_spool_message){
        .owner = owner, .block = UINT32_MAX, .state = MX_SPOOL_OPEN, .next = MX_NO_MESSAGE};
    /* of a large message some, and more as it comes: a few that never come would shut out others */
    uint64_t most = free_octets(self) / MX_SPOOL_RESERVE_SHARE;
    octets = octets > most ? most : octets;
    int err =
        reserve(self, message, octets > MX_SPOOL_RESERVE_STEP ? octets : MX_SPOOL_RESERVE_STEP);
    if (err < 0)
        mx_spool_message_free(self, index);
    *token = index;
    return err;
}

bool mx_spool_log_is_ready(struct mx_spool_log *self) {
    bool is_ready = self->waiting.first == MX_NO_MESSAGE && self->filling != MX_NO_BUFFER &&
                    (mx_spool_stage_room(self) >= MX_SPOOL_ROOM || mx_spool_stage_has_spare(self));
    self->is_room_wanted |= !is_ready;
    return is_ready;
}

int mx_spool_log_write(struct mx_spool_log *self, uint64_t token, const struct mx_span *slices,
                       uint32_t count) {
    uint32_t index = (uint32_t)token;
    struct mx_spool_message *message = &self->messages[index];
    assert(message->state == MX_SPOOL_OPEN);
    uint64_t octets = 0;
    for (uint32_t i = 0; i < count; i++)
        octets += slices[i].len;
    uint64_t need = octets_on_disk(message->content_octets + octets);
    if (message->error == 0 && need > message->reserved_octets)
        message->error = reserve(self, message, octets + MX_SPOOL_RESERVE_STEP);
    if (message->error == 0 && !mx_spool_stage_fits(self, octets))
        message->error = -ENOBUFS; /* is_ready was not asked */
    if (message->error < 0)
        return message->error;
    for (uint32_t i = 0; i < count; i++)
        mx_spool_stage_append(self, index, slices[i]);
    message->content_octets += octets;
    return 0;
}

/* Header and envelope of a message stand in one batch, with what was gathered of its content. */
uint32_t mx_spool_log_envelope_max(const struct mx_spool_log *self) {
    return self->batch_octets - MX_SPOOL_GATHER_MAX - MX_SPOOL_BLOCK;
}

int mx_spool_log_commit(struct mx_spool_log *self, uint64_t token,
                        const struct mx_spool_origin *origin, int64_t now_ns) {
    uint32_t index = (uint32_t)token;
    struct mx_spool_message *message = &self->messages[index];
    assert(message->state == MX_SPOOL_OPEN);
    message->origin = *origin;
    message->received_ns = now_ns;
    message->envelope_octets = mx_spool_envelope_put(origin, NULL);
    int err = message->error;
    if (err == 0 && message->envelope_octets > mx_spool_log_envelope_max(self))
        err = -ENOSPC;
    if (err < 0) {
        mx_spool_message_free(self, index);
        return err;
    }
    if (self->waiting.first != MX_NO_MESSAGE || !mx_spool_stage_commit(self, index)) {
        message->state = MX_SPOOL_WAITING;
        mx_spool_list_put(self, &self->waiting, index);
        self->counters.commit_waits++;
    }
    return MX_EPENDING;
}

void mx_spool_log_abort(struct mx_spool_log *self, uint64_t token) {
    struct mx_spool_message *message = &self->messages[token];
    switch ((enum mx_spool_message_state)message->state) {
    case MX_SPOOL_OPEN:
        mx_spool_message_free(self, (uint32_t)token);
        break;
    case MX_SPOOL_WAITING: /* its session is going away */
        message->error = -ECANCELED;
        message->is_alone = true;
        break;
    case MX_SPOOL_STAGED:
    case MX_SPOOL_REFUSED:
        message->is_alone = true;
        break;
    case MX_SPOOL_FREE:
        assert(!"aborted twice");
    }
}

void mx_spool_log_retry(struct mx_spool_log *self) {
    while (self->waiting.first != MX_NO_MESSAGE) {
        uint32_t index = mx_spool_list_take(self, &self->waiting);
        int err = self->messages[index].error;
        if (err < 0) {
            mx_spool_message_answer(self, index, err);
        } else if (!mx_spool_stage_commit(self, index)) {
            self->messages[index].next = self->waiting.first; /* still the first one */
            if (self->waiting.first == MX_NO_MESSAGE)
                self->waiting.last = index;
            self->waiting.first = index;
            return;
        }
    }
}

/* ---- life ---- */

static void *map(size_t octets) {
    void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t gather_next_octets(void) {
    return (size_t)MX_SPOOL_GATHER_COUNT * sizeof(uint32_t);
}

static size_t gather_octets(void) {
    return (size_t)MX_SPOOL_GATHER_COUNT * MX_SPOOL_GATHER_MAX;
}

/* Staging stays where it is for good: huge pages where there are any, and pinned for the ring. */
static int new_memory(struct mx_spool_log *self) {
    self->memory_octets =
        (size_t)self->batch_octets * MX_SPOOL_BUFFERS + (size_t)2 * MX_SPOOL_BLOCK;
    self->memory = map(self->memory_octets);
    self->gather = map(gather_octets());
    self->gather_next = map(gather_next_octets());
    self->messages = map(self->conf.message_count * sizeof *self->messages);
    if (self->memory == NULL || self->gather == NULL || self->gather_next == NULL ||
        self->messages == NULL)
        return -ENOMEM;
    (void)madvise(self->memory, self->memory_octets, MADV_HUGEPAGE); /* 4 KiB pages do as well */
    for (uint32_t i = 0; i < MX_SPOOL_BUFFERS; i++)
        self->buffers[i] = (struct mx_spool_buffer){
            .base = self->memory + (size_t)i * self->batch_octets,
            .commits = {MX_NO_MESSAGE, MX_NO_MESSAGE},
        };
    for (uint32_t i = 0; i < MX_SPOOL_GATHER_COUNT; i++)
        self->gather_next[i] = i + 1 < MX_SPOOL_GATHER_COUNT ? i + 1 : UINT32_MAX;
    return 0;
}

static uint32_t batch_octets(uint64_t segment_octets) {
    uint64_t octets = segment_octets / 8;
    return octets < MX_SPOOL_BATCH_MAX ? (uint32_t)octets : MX_SPOOL_BATCH_MAX;
}

int mx_spool_log_new(struct mx_spool_log **self, const struct mx_spool_log_conf *conf,
                     struct mx_spool_lane *lane, struct mx_ring *ring) {
    assert(conf->segment_octets >= MX_SPOOL_SEGMENT_MIN);
    struct mx_spool_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return -ENOMEM;
    log->conf = *conf;
    log->lane = lane;
    log->ring = ring;
    log->batch_octets = batch_octets(conf->segment_octets);
    log->filling = MX_NO_BUFFER;
    log->tail = log->free_message = MX_NO_MESSAGE;
    log->waiting.first = log->refused.first = MX_NO_MESSAGE;
    log->prev_epoch = conf->prev_epoch;
    log->prev_sealed_lsn = conf->prev_sealed_lsn;
    log->next_epoch = conf->run * MX_SPOOL_EPOCHS;
    log->next_offset = conf->segment_octets; /* the first buffer begins a segment */
    log->next_lsn = ((uint64_t)conf->run << MX_SPOOL_LSN_BITS) + 1;
    int err = new_memory(log);
    if (err < 0) {
        mx_spool_log_free(log);
        return err;
    }
    /* without a registration (RLIMIT_MEMLOCK) each write pins its pages: dearer, not wrong */
    log->is_registered = mx_ring_register_memory(ring, log->memory, log->memory_octets) == 0;
    bool has_buffer = mx_spool_stage_begin(log);
    assert(has_buffer);
    *self = log;
    return 0;
}

void mx_spool_log_bind(struct mx_spool_log *self, mx_spool_done_fn *done, mx_spool_room_fn *room,
                       void *context) {
    self->done = done;
    self->room = room;
    self->context = context;
}

const struct mx_spool_counters *mx_spool_log_counters(const struct mx_spool_log *self) {
    return &self->counters;
}

static void unmap(void *ptr, size_t octets) {
    if (ptr != NULL)
        munmap(ptr, octets);
}

void mx_spool_log_free(struct mx_spool_log *self) {
    if (self == NULL)
        return;
    unmap(self->memory, self->memory_octets);
    unmap(self->gather, gather_octets());
    unmap(self->gather_next, gather_next_octets());
    unmap(self->messages, self->conf.message_count * sizeof *self->messages);
    free(self);
}
