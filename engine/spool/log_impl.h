/* log_impl.h - what log*.c share. Nobody else includes this.
 *
 * log.c        messages: open, write, commit, abort
 * log_stage.c  records and staging buffers
 * log_write.c  batches on their way to the disk, segments, answers
 */
#pragma once
#include "engine/spool/log.h"

#define MX_NO_MESSAGE UINT32_MAX
enum { MX_NO_BUFFER = MX_SPOOL_BUFFERS };

enum mx_spool_message_state {
    MX_SPOOL_FREE,
    MX_SPOOL_OPEN,
    MX_SPOOL_WAITING, /* a commit that waits for room in staging */
    MX_SPOOL_STAGED,  /* a commit whose record is in a buffer */
    MX_SPOOL_REFUSED, /* a commit that has failed; answered when the cut is durable */
};

struct mx_spool_message {
    uint64_t owner;        /* who waits for the answer ... */
    uint64_t lsn;          /* of its first record; 0: none is closed yet */
    uint64_t first_epoch;  /* of its first chunk; 0: no chunk */
    uint64_t chunk_epoch;  /* of its last chunk ... */
    uint64_t chunk_lsn;    /* ... and its LSN */
    uint32_t chunk_offset; /* ... and where its record begins in the file */
    uint32_t chunk_count;
    uint64_t content_octets; /* so far */
    uint64_t reserved_octets;
    uint32_t next;  /* free list, or list of commits of a buffer, or of those that wait */
    uint32_t block; /* gather block; UINT32_MAX: none */
    uint32_t block_len;
    int error;     /* the message has failed */
    uint8_t state; /* enum mx_spool_message_state */
    bool is_alone; /* ... nobody does any more */
    struct mx_spool_origin origin;
    int64_t received_ns;
    uint32_t envelope_octets;
};

struct mx_spool_list {
    uint32_t first, last; /* MX_NO_MESSAGE: empty */
};

enum mx_spool_buffer_state {
    MX_SPOOL_EMPTY,
    MX_SPOOL_FILLING,
    MX_SPOOL_CLOSED,  /* waits to be written */
    MX_SPOOL_WRITING, /* lent to the kernel */
    MX_SPOOL_WRITTEN, /* not synced yet */
    MX_SPOOL_DURABLE, /* waits for the batches before it */
    MX_SPOOL_FAILED,
};

/* A staging buffer: one batch. */
struct mx_spool_buffer {
    char *base;
    uint32_t used; /* octets, header included */
    uint32_t record_count;
    uint32_t len; /* of the batch, rounded; set when it is closed */
    uint32_t seq;
    uint64_t epoch, offset; /* where it will be written */
    uint64_t first_lsn, last_lsn;
    struct mx_spool_list commits;
    uint64_t sync; /* number of the fdatasync that covers it */
    uint32_t message_count, rcpt_count;
    uint64_t content_octets, oldest_epoch;
    uint8_t state; /* enum mx_spool_buffer_state */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): grouped by purpose */
struct mx_spool_log {
    struct mx_spool_log_conf conf;
    struct mx_spool_lane *lane;
    struct mx_ring *ring;
    struct mx_spool_counters counters;
    mx_spool_done_fn *done;
    mx_spool_room_fn *room;
    void *context;

    char *memory; /* buffers, then the header's and the footer's block; registered as buffer 0 */
    size_t memory_octets;
    bool is_registered;
    uint32_t batch_octets; /* size of a buffer */
    struct mx_spool_buffer buffers[MX_SPOOL_BUFFERS];
    uint8_t queue[MX_SPOOL_BUFFERS]; /* closed or on their way, oldest first */
    uint32_t queue_begin, queue_count;
    uint32_t flying;  /* of them, those that have been submitted */
    uint32_t filling; /* buffer; MX_NO_BUFFER: none is free */

    /* where the buffer being filled will go */
    uint64_t next_epoch, next_offset, next_lsn;
    uint32_t next_seq, next_rcpt_base;
    uint32_t seed; /* of next_epoch */

    /* the record at the end of the buffer being filled */
    uint32_t tail; /* message that owns it; MX_NO_MESSAGE: there is none */
    uint32_t tail_at;

    /* the segment being written */
    struct mx_spool_ready segment;
    bool has_segment;
    uint64_t epoch; /* 0: none yet */
    struct mx_spool_retired counts;
    uint64_t prev_epoch, prev_sealed_lsn;
    bool is_header_flying, is_header_durable, is_footer_flying;
    struct mx_spool_retired leaving; /* its footer is on its way */

    uint64_t committed_lsn;
    int poison;                   /* why the segment is given up; 0: it is sound */
    struct mx_spool_list refused; /* answered when the next header is durable */

    uint64_t sync_started, sync_done; /* numbers of fdatasyncs */
    bool is_sync_flying;
    uint32_t written_count; /* buffers in MX_SPOOL_WRITTEN */

    struct mx_spool_message *messages;
    uint32_t free_message, used_messages;
    struct mx_spool_list waiting;
    uint64_t reserved_octets; /* of all messages */
    bool is_room_wanted;

    char *gather;
    uint32_t *gather_next;
    uint32_t free_gather;
};

/* Lists (log.c). */
void mx_spool_list_put(struct mx_spool_log *self, struct mx_spool_list *list, uint32_t message);
uint32_t mx_spool_list_take(struct mx_spool_log *self, struct mx_spool_list *list);

/* A message is over: give everything back (log.c). */
void mx_spool_message_free(struct mx_spool_log *self, uint32_t index);
/* Answer a commit, and free the message (log.c). */
void mx_spool_message_answer(struct mx_spool_log *self, uint32_t index, int result);
/* Stage the commits that wait for room (log.c). */
void mx_spool_log_retry(struct mx_spool_log *self);

/* Octets that fit behind what is in the buffer being filled (log_stage.c). */
uint32_t mx_spool_stage_room(const struct mx_spool_log *self);
/* Is there room for so much content, for certain? */
bool mx_spool_stage_fits(const struct mx_spool_log *self, uint64_t octets);
/* Is there a free buffer beside the one being filled? */
bool mx_spool_stage_has_spare(const struct mx_spool_log *self);
/* Take the first buffer, or the next one, for filling. False: none is free. */
bool mx_spool_stage_begin(struct mx_spool_log *self);
/* The buffer is full: put it into the queue and begin the next one. */
void mx_spool_stage_advance(struct mx_spool_log *self);
/* Content at the end of a message's record: copies, taking over the tail. Room must be there. */
void mx_spool_stage_append(struct mx_spool_log *self, uint32_t index, struct mx_span content);
/* The message's content so far no longer stands at the tail: gathered aside, or closed as a chunk.
 */
void mx_spool_stage_settle(struct mx_spool_log *self);
/* Close the record of a whole message with its envelope. False: no room, nothing has changed. */
bool mx_spool_stage_commit(struct mx_spool_log *self, uint32_t index);
/* Drop the message's unfinished record. */
void mx_spool_stage_drop(struct mx_spool_log *self, uint32_t index);
/* Forget every buffer that is not on its way; commits in them go to *refused. */
void mx_spool_stage_reset(struct mx_spool_log *self, struct mx_spool_list *refused);

/* Octets of the envelope of a message; with to != NULL it is written there (log_envelope.c). */
uint32_t mx_spool_envelope_put(const struct mx_spool_origin *origin, char *to);
/* Bits of enum mx_spool_flag. */
uint16_t mx_spool_envelope_flags(const struct mx_session *session);
