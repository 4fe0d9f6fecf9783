/* keeper_impl.h - what keeper*.c share. Nobody else includes this.
 *
 * keeper.c          what the workers are through with, freeing, errors that pass, the thread
 * keeper_feed.c     space, and segments for the workers
 * keeper_compact.c  which segments are compacted, and when
 */
#pragma once
#include "engine/spool/acks.h"
#include "engine/spool/compact.h"
#include "engine/spool/keeper.h"

#include <pthread.h>

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
    struct mx_spool_compact compact;
    uint64_t compact_ms; /* the next one not before */
    struct mx_spool_keeper_counters counters;
    bool is_buffered;
    uint64_t retry_ms;   /* when a file is tried after errors; 0: there were none */
    uint64_t wait_ms;    /* how long mail was not taken for then ... */
    uint64_t resumed_ms; /* ... and when it was again; 0: never */
    bool has_failed[MX_SPOOL_DIRS], is_full[MX_SPOOL_DIRS];
    uint64_t full_until_ms[MX_SPOOL_DIRS]; /* no file could be made: a quota, no inodes */
};

uint64_t mx_spool_keeper_now_ms(void);
void mx_spool_keeper_say(struct mx_spool_keeper *self, enum mx_log_severity severity,
                         const char *event, const char *path, const char *reason);

/* The directories: configured and there; their paths; not failing; now failing with err. */
bool mx_spool_keeper_has_dir(const struct mx_spool_keeper *self, uint32_t dir);
const char *mx_spool_keeper_dir_path(const struct mx_spool_keeper *self, uint32_t dir);
bool mx_spool_keeper_is_usable(const struct mx_spool_keeper *self, uint32_t dir);
void mx_spool_keeper_dir_failed(struct mx_spool_keeper *self, uint32_t dir, int err);

/* The row of a file; NULL: there is none. */
struct mx_spool_segment *mx_spool_keeper_find(struct mx_spool_keeper *self, uint32_t dir,
                                              uint32_t core, uint32_t number);
/* Forget a row; the others change their places. */
void mx_spool_keeper_drop_row(struct mx_spool_store *store, struct mx_spool_segment *row);

/* One more segment for a lane. False: there is no space, or an error. */
MX_MUST_CHECK bool mx_spool_keeper_feed(struct mx_spool_keeper *self, struct mx_spool_lane *lane);
/* Take back what is full, and give every lane what it wants. False: the server is stopping. */
MX_MUST_CHECK bool mx_spool_keeper_serve(struct mx_spool_keeper *self);
/* May a message that is not answered yet have chunks in this segment? */
bool mx_spool_keeper_is_pinned(const struct mx_spool_keeper *self,
                               const struct mx_spool_segment *row);
/* Compact one segment, if that is worth it now. True: there may be more to do at once. */
MX_MUST_CHECK bool mx_spool_keeper_compact(struct mx_spool_keeper *self);
/* Tell the workers what there is, and which directories fail. */
void mx_spool_keeper_publish_space(struct mx_spool_keeper *self);
