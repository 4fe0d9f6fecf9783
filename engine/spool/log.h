/* log.h - a worker's own log: gathers messages in staging buffers, writes them in batches on the
 * worker's ring, and answers when they are durable.
 *
 * Content is copied once, from the receive buffer to the end of the batch being filled, where the
 * message that writes owns the unfinished record. When another message wants to write, a short
 * beginning moves to a gather block and is copied again later; a longer one is closed as a chunk.
 * Batches are as large as what came in while the disk was busy: there is no timer.
 *
 * Answers come in the order of the batches, since recovery cuts a log at the first one that is
 * torn. After an error the segment is given up, everything staged is refused, and the next
 * segment's header says up to where the old one counts.
 *
 * All functions but init, close and deinit run on the worker's thread. None allocates or blocks.
 */
#pragma once
#include "engine/ring.h"
#include "engine/spool/counters.h"
#include "engine/spool/format.h"
#include "engine/spool/lane.h"
#include "proto/session.h"

enum {
    MX_SPOOL_BUFFERS = 6, /* staging buffers of a worker ... */
    MX_SPOOL_DEPTH = 4,   /* ... of which so many may be on their way to the disk */
    /* ... and so many when nothing is synced: a write is over so soon that more of them only make
     * batches smaller */
    MX_SPOOL_DEPTH_UNSYNCED = 2,
    /* a record with less content than this is copied aside rather than closed as a chunk (octets)
     */
    MX_SPOOL_GATHER_MIN = 8192,
    MX_SPOOL_GATHER_MAX = 32768, /* size of a gather block (octets) */
    MX_SPOOL_GATHER_COUNT = 512, /* gather blocks of a worker; without one, chunks get short */
    /* room in staging that content of one receive buffer and its gather block may need (octets) */
    MX_SPOOL_ROOM = 160 * 1024,
    /* space that a message without SIZE reserves, and grows by (octets) */
    MX_SPOOL_RESERVE_STEP = 64 * 1024,
    /* ... and one with SIZE reserves at most this part of what is free, and grows */
    MX_SPOOL_RESERVE_SHARE = 64,
    /* messages beside those of the connections: commits whose client is gone */
    MX_SPOOL_ORPHANS = 32768,
};
#define MX_SPOOL_SEGMENT_MIN (UINT64_C(4) << 20)

enum mx_spool_sync {
    MX_SPOOL_SYNC_DSYNC,     /* each batch is written with RWF_DSYNC */
    MX_SPOOL_SYNC_FDATASYNC, /* one fdatasync behind all batches written so far */
    MX_SPOOL_SYNC_NONE,      /* durability: write */
};

struct mx_spool_log_conf {
    uint8_t uuid[16];
    uint32_t core;
    uint32_t run; /* of this start; 1.. */
    enum mx_spool_sync sync;
    uint64_t segment_octets;  /* MX_SPOOL_SEGMENT_MIN.. */
    uint32_t message_count;   /* that can be open at a time */
    uint64_t prev_epoch;      /* the last segment of the run before; 0: none */
    uint64_t prev_sealed_lsn; /* ... counts up to here */
};

/* What is told about the message beside its content. Borrowed until the commit is answered. */
struct mx_spool_origin {
    const struct mx_session *session;
    const char *server_name;
    struct mx_span attributes; /* lengths (4 octets), each with "name\0value" behind it */
    struct mx_span header; /* stands in the place of the first header_replaces octets; empty: none
                            * does */
    uint32_t header_replaces;
};

struct mx_spool_log;

/* The answer to a commit: 0, or a negative error and the message is not kept. -ECONNABORTED: nobody
 * can tell yet, so nothing may be told; the connection has to be closed. */
typedef void mx_spool_done_fn(void *context, uint64_t owner, int result);
/* There is room again after mx_spool_log_is_ready was false. */
typedef void mx_spool_room_fn(void *context);

/* Allocates. *ring must be initialised and not started: the staging buffers are registered with it.
 * Before any call of the worker, done, room and context are set by mx_spool_log_bind. */
MX_MUST_CHECK int mx_spool_log_new(struct mx_spool_log **self, const struct mx_spool_log_conf *conf,
                                   struct mx_spool_lane *lane, struct mx_ring *ring);
void mx_spool_log_bind(struct mx_spool_log *self, mx_spool_done_fn *done, mx_spool_room_fn *room,
                       void *context);

/* Is there space on the disk for a message of so many octets (0: unknown)? 0, -ENOSPC, or -EIO when
 * the disk has failed too often. Reserves nothing. */
MX_MUST_CHECK int mx_spool_log_has_space(struct mx_spool_log *self, uint64_t octets);

/* A message begins: *token names it until its commit is answered or it is aborted. Errors as above;
 * -EBUSY: too many messages. */
MX_MUST_CHECK int mx_spool_log_open(struct mx_spool_log *self, uint64_t owner, uint64_t octets,
                                    uint64_t *token);

/* May content of one receive buffer be written, or a message be opened? Otherwise room is called
 * when it may. */
bool mx_spool_log_is_ready(struct mx_spool_log *self);

/* Append content; slices are borrowed for the call. -ENOSPC, -EIO: the message has failed. */
MX_MUST_CHECK int mx_spool_log_write(struct mx_spool_log *self, uint64_t token,
                                     const struct mx_span *slices, uint32_t count);

/* The message is whole. MX_EPENDING: done is called. A negative error: it is forgotten; -ENOSPC
 * also for an envelope of more octets than mx_spool_log_envelope_max. */
MX_MUST_CHECK int mx_spool_log_commit(struct mx_spool_log *self, uint64_t token,
                                      const struct mx_spool_origin *origin, int64_t now_ns);

/* Octets that an envelope may have on the disk: a batch (1 MiB, or an eighth of a segment) less
 * 36K.
 */
uint32_t mx_spool_log_envelope_max(const struct mx_spool_log *self);

/* Forget a message. A commit on its way goes on, but is not answered. */
void mx_spool_log_abort(struct mx_spool_log *self, uint64_t token);

/* End of a loop turn: submit what is staged. */
void mx_spool_log_turn(struct mx_spool_log *self);

/* Completions of MX_OP_SPOOL. */
void mx_spool_log_on_cqe(struct mx_spool_log *self, const struct io_uring_cqe *cqe);

/* Something is staged that waits for the keeper: look again soon. */
bool mx_spool_log_is_waiting(const struct mx_spool_log *self);

/* Nothing is staged or on its way to the disk. (Refusals may wait for a segment that does not come:
 * when no connection is left, nobody wants to hear them.) */
bool mx_spool_log_is_idle(const struct mx_spool_log *self);

const struct mx_spool_counters *mx_spool_log_counters(const struct mx_spool_log *self);

/* The main thread, when the worker has ended: retire the current segment. */
void mx_spool_log_close(struct mx_spool_log *self);
void mx_spool_log_free(struct mx_spool_log *self);
