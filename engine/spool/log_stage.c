/* log_stage.c - records and the staging buffers they are put together in. */
#include "engine/spool/log_impl.h"

#include <assert.h>

static struct mx_spool_buffer *filling(struct mx_spool_log *self) {
    assert(self->filling < MX_NO_BUFFER);
    return &self->buffers[self->filling];
}

static struct mx_spool_record *tail_record(struct mx_spool_log *self) {
    return (struct mx_spool_record *)(void *)(filling(self)->base + self->tail_at);
}

/* Content octets of the record at the tail. */
static uint32_t tail_octets(struct mx_spool_log *self) {
    return filling(self)->used - self->tail_at - (uint32_t)sizeof(struct mx_spool_record);
}

static void push(struct mx_spool_log *self, const void *ptr, size_t len) {
    struct mx_spool_buffer *buffer = filling(self);
    assert(len <= self->batch_octets - buffer->used);
    memcpy(buffer->base + buffer->used, ptr, len);
    buffer->used += (uint32_t)len;
}

/* ---- buffers ---- */

uint32_t mx_spool_stage_room(const struct mx_spool_log *self) {
    if (self->filling == MX_NO_BUFFER)
        return 0;
    return self->batch_octets - self->buffers[self->filling].used;
}

static uint32_t find_empty(const struct mx_spool_log *self) {
    for (uint32_t i = 0; i < MX_SPOOL_BUFFERS; i++) {
        if (self->buffers[i].state == MX_SPOOL_EMPTY)
            return i;
    }
    return MX_NO_BUFFER;
}

bool mx_spool_stage_has_spare(const struct mx_spool_log *self) {
    return find_empty(self) != MX_NO_BUFFER;
}

bool mx_spool_stage_fits(const struct mx_spool_log *self, uint64_t octets) {
    uint64_t need = octets + MX_SPOOL_GATHER_MAX + 2 * sizeof(struct mx_spool_record) +
                    2 * (uint64_t)MX_SPOOL_ALIGN;
    uint64_t room = mx_spool_stage_room(self);
    for (uint32_t i = 0; i < MX_SPOOL_BUFFERS && self->filling != MX_NO_BUFFER; i++) {
        if (self->buffers[i].state == MX_SPOOL_EMPTY) /* less its header, and a record's */
            room += self->batch_octets - MX_SPOOL_BLOCK;
    }
    return need <= room;
}

/* A buffer stands for one place on the disk from the beginning, since the records name each other's
 * places: the next segment begins where a whole batch might not fit any more. */
static void place(struct mx_spool_log *self) {
    uint64_t end = self->conf.segment_octets - MX_SPOOL_BLOCK;
    if (self->next_offset + self->batch_octets <= end)
        return;
    self->next_epoch++;
    self->next_offset = MX_SPOOL_BLOCK;
    self->next_seq = 0;
    self->next_rcpt_base = 0;
    self->seed = mx_spool_seed(self->conf.uuid, self->conf.core, self->next_epoch);
}

bool mx_spool_stage_begin(struct mx_spool_log *self) {
    self->filling = find_empty(self);
    if (self->filling == MX_NO_BUFFER)
        return false;
    place(self);
    struct mx_spool_buffer *buffer = filling(self);
    *buffer = (struct mx_spool_buffer){
        .base = buffer->base,
        .used = sizeof(struct mx_spool_batch),
        .epoch = self->next_epoch,
        .offset = self->next_offset,
        .seq = self->next_seq,
        .oldest_epoch = self->next_epoch,
        .commits = {MX_NO_MESSAGE, MX_NO_MESSAGE},
        .state = MX_SPOOL_FILLING,
    };
    return true;
}

void mx_spool_stage_advance(struct mx_spool_log *self) {
    struct mx_spool_buffer *buffer = filling(self);
    assert(self->tail == MX_NO_MESSAGE && buffer->record_count > 0);
    buffer->len = (uint32_t)mx_spool_round(buffer->used, MX_SPOOL_BLOCK);
    memset(buffer->base + buffer->used, 0, buffer->len - buffer->used);
    buffer->state = MX_SPOOL_CLOSED;
    self->queue[(self->queue_begin + self->queue_count++) % MX_SPOOL_BUFFERS] =
        (uint8_t)self->filling;
    self->next_offset += buffer->len;
    self->next_seq++;
    (void)mx_spool_stage_begin(self);
}

void mx_spool_stage_reset(struct mx_spool_log *self, struct mx_spool_list *refused) {
    assert(self->flying == 0);
    self->tail = MX_NO_MESSAGE;
    for (uint32_t i = 0; i < MX_SPOOL_BUFFERS; i++) {
        struct mx_spool_buffer *buffer = &self->buffers[i];
        buffer->state = MX_SPOOL_EMPTY;
        for (uint32_t m; (m = mx_spool_list_take(self, &buffer->commits)) != MX_NO_MESSAGE;) {
            self->messages[m].state = MX_SPOOL_REFUSED;
            mx_spool_list_put(self, refused, m);
        }
    }
    self->queue_count = 0;
}

/* ---- records ---- */

static void give_block(struct mx_spool_log *self, struct mx_spool_message *message) {
    if (message->block == UINT32_MAX)
        return;
    self->gather_next[message->block] = self->free_gather;
    self->free_gather = message->block;
    message->block = UINT32_MAX;
    message->block_len = 0;
}

static char *block_ptr(const struct mx_spool_log *self, const struct mx_spool_message *message) {
    return self->gather + (size_t)message->block * MX_SPOOL_GATHER_MAX;
}

/* Begin the message's next record, with what was gathered of it. Room must be there. */
static void begin_record(struct mx_spool_log *self, uint32_t index) {
    static const struct mx_spool_record blank;
    struct mx_spool_message *message = &self->messages[index];
    assert(self->tail == MX_NO_MESSAGE);
    self->tail = index;
    self->tail_at = filling(self)->used;
    push(self, &blank, sizeof blank);
    if (message->block != UINT32_MAX)
        push(self, block_ptr(self, message), message->block_len);
    give_block(self, message);
}

/* Header, padding and CRC of the record at the tail; the batch has one record more. */
static void close_record(struct mx_spool_log *self, struct mx_spool_record *record) {
    struct mx_spool_buffer *buffer = filling(self);
    const struct mx_spool_message *message = &self->messages[self->tail];
    record->magic = MX_SPOOL_RECORD_MAGIC;
    record->version = MX_SPOOL_VERSION;
    record->len_octets = buffer->used - self->tail_at;
    record->lsn = self->next_lsn++;
    record->message_lsn = message->lsn != 0 ? message->lsn : record->lsn;
    record->chunk = message->chunk_count;
    record->prev_epoch = message->chunk_epoch;
    record->prev_offset = message->chunk_offset;
    record->first_epoch = message->first_epoch != 0 ? message->first_epoch : buffer->epoch;
    record->origin_core = self->conf.core;
    uint32_t end = (uint32_t)mx_spool_round(buffer->used, MX_SPOOL_ALIGN);
    memset(buffer->base + buffer->used, 0, end - buffer->used);
    buffer->used = end;
    memcpy(tail_record(self), record, sizeof *record);
    struct mx_span all = {(const char *)tail_record(self), end - self->tail_at};
    record->crc = mx_crc32c(self->seed, all);
    tail_record(self)->crc = record->crc;
    if (buffer->record_count++ == 0)
        buffer->first_lsn = record->lsn;
    buffer->last_lsn = record->lsn;
    self->tail = MX_NO_MESSAGE;
}

static void close_chunk(struct mx_spool_log *self) {
    struct mx_spool_buffer *buffer = filling(self);
    struct mx_spool_message *message = &self->messages[self->tail];
    struct mx_spool_record record = {.type = MX_SPOOL_CHUNK, .content_octets = tail_octets(self)};
    uint64_t offset = buffer->offset + self->tail_at;
    close_record(self, &record);
    if (message->first_epoch == 0)
        message->first_epoch = buffer->epoch;
    message->lsn = record.message_lsn;
    message->chunk_epoch = buffer->epoch;
    message->chunk_lsn = record.lsn;
    message->chunk_offset = (uint32_t)offset;
    message->chunk_count++;
    self->counters.chunks++;
}

static void rewind_tail(struct mx_spool_log *self) {
    filling(self)->used = self->tail_at;
    self->tail = MX_NO_MESSAGE;
}

/* The first octets of the tail go into a gather block. False: none is free. */
static bool gather_tail(struct mx_spool_log *self) {
    struct mx_spool_message *message = &self->messages[self->tail];
    if (self->free_gather == UINT32_MAX)
        return false;
    message->block = self->free_gather;
    self->free_gather = self->gather_next[message->block];
    message->block_len = tail_octets(self);
    memcpy(block_ptr(self, message), (char *)tail_record(self) + sizeof(struct mx_spool_record),
           message->block_len);
    rewind_tail(self);
    return true;
}

void mx_spool_stage_settle(struct mx_spool_log *self) {
    if (self->tail == MX_NO_MESSAGE)
        return;
    uint32_t octets = tail_octets(self);
    if (octets == 0)
        rewind_tail(self);
    else if (octets >= MX_SPOOL_GATHER_MIN || !gather_tail(self))
        close_chunk(self);
}

void mx_spool_stage_drop(struct mx_spool_log *self, uint32_t index) {
    if (self->tail == index)
        rewind_tail(self);
    give_block(self, &self->messages[index]);
}

static uint32_t minimum(size_t a, size_t b) {
    return (uint32_t)(a < b ? a : b);
}

/* Make the message the owner of the tail, with room for at least one octet behind what it has. */
static void take_tail(struct mx_spool_log *self, uint32_t index) {
    mx_spool_stage_settle(self);
    size_t need = sizeof(struct mx_spool_record) + self->messages[index].block_len + 1;
    if (mx_spool_stage_room(self) < need)
        mx_spool_stage_advance(self);
    begin_record(self, index);
}

void mx_spool_stage_append(struct mx_spool_log *self, uint32_t index, struct mx_span content) {
    struct mx_spool_message *message = &self->messages[index];
    if (self->tail != index && message->block != UINT32_MAX &&
        message->block_len + content.len <= MX_SPOOL_GATHER_MAX) {
        memcpy(block_ptr(self, message) + message->block_len, content.ptr, content.len);
        message->block_len += (uint32_t)content.len;
        return;
    }
    while (content.len > 0) {
        if (self->tail != index)
            take_tail(self, index);
        uint32_t len = minimum(content.len, mx_spool_stage_room(self));
        push(self, content.ptr, len);
        content = mx_span_skip(content, len);
        if (content.len > 0) {
            close_chunk(self);
            mx_spool_stage_advance(self);
        }
    }
}

static void close_message(struct mx_spool_log *self, uint32_t index) {
    struct mx_spool_buffer *buffer = filling(self);
    struct mx_spool_message *message = &self->messages[index];
    const struct mx_session *session = message->origin.session;
    struct mx_spool_record record = {
        .type = MX_SPOOL_MSG,
        .flags = mx_spool_envelope_flags(session),
        .content_octets = tail_octets(self),
        .envelope_octets = message->envelope_octets,
        .total_octets = message->content_octets,
        .rcpt_base = self->next_rcpt_base,
        .rcpt_count = session->envelope.rcpt_count,
        .received_ns = message->received_ns,
    };
    (void)mx_spool_envelope_put(&message->origin, buffer->base + buffer->used);
    buffer->used += message->envelope_octets;
    close_record(self, &record);
    self->next_rcpt_base += record.rcpt_count;
    buffer->message_count++;
    buffer->rcpt_count += record.rcpt_count;
    buffer->content_octets += record.total_octets;
    if (record.first_epoch < buffer->oldest_epoch)
        buffer->oldest_epoch = record.first_epoch;
    message->state = MX_SPOOL_STAGED;
    mx_spool_list_put(self, &buffer->commits, index);
}

bool mx_spool_stage_commit(struct mx_spool_log *self, uint32_t index) {
    struct mx_spool_message *message = &self->messages[index];
    uint32_t envelope_octets = message->envelope_octets;
    bool is_owner = self->tail == index;
    size_t need = envelope_octets;
    if (!is_owner) /* and the record that is there now may get its padding */
        need += MX_SPOOL_ALIGN + sizeof(struct mx_spool_record) + message->block_len;
    if (mx_spool_stage_room(self) < need && !mx_spool_stage_has_spare(self))
        return false;
    if (!is_owner || mx_spool_stage_room(self) < need)
        mx_spool_stage_settle(self);
    if (self->tail != index) {
        need = sizeof(struct mx_spool_record) + message->block_len + envelope_octets;
        if (mx_spool_stage_room(self) < need)
            mx_spool_stage_advance(self);
        begin_record(self, index);
    }
    close_message(self, index);
    return true;
}
