/* acks.h - what became of the recipients: the logs of those who deliver, read as they grow, and
 * appended to.
 *
 * Who reads keeps a bit a recipient. A record that is lost means that a message is delivered again,
 * never that one is lost.
 *
 * Blocks. For tools and background threads, never for a worker.
 */
#pragma once
#include "engine/spool/store.h"

enum {
    MX_SPOOL_WRITER_MAX = 32,    /* octets of a writer's name: a-z, 0-9 and hyphens */
    MX_SPOOL_RCPTS_MAX = 1 << 26 /* recipients of a segment: its octets would not do for more */
};

enum mx_spool_rcpt_state {
    MX_SPOOL_RCPT_QUEUED,
    MX_SPOOL_RCPT_DEFERRED,
    MX_SPOOL_RCPT_FINAL,
};

/* Is it one of those that stay as they are? */
static inline bool mx_spool_ack_is_final(const struct mx_spool_ack *ack) {
    return ack->state >= MX_SPOOL_ACK_DELIVERED;
}

/* "deferred", ... for any state of an ack. */
const char *mx_spool_ack_name(uint8_t state);

/* ---- reading ---- */

/* Is this segment still there? What is said of others is skipped. */
typedef bool mx_spool_live_fn(void *context, uint32_t core, uint64_t epoch);
/* Called for each record of a segment that is there, in the order of its log. */
typedef void mx_spool_ack_fn(void *context, const struct mx_spool_ack *ack);

struct mx_spool_ack_log;
struct mx_spool_ack_map; /* of one segment */

struct mx_spool_acks {
    const struct mx_spool_store *store;
    mx_spool_live_fn *is_live;
    mx_spool_ack_fn *seen; /* or NULL */
    void *context;
    uint32_t seed;
    struct mx_spool_ack_log *logs;
    uint32_t log_count;
    struct mx_spool_ack_map *maps; /* a hash table */
    uint32_t map_count, map_slots;
    uint64_t records, damaged; /* read so far, all logs */
    char *buffer;
};

/* is_live NULL: as the store knows (mx_spool_store_is_gone). The store is borrowed. -ENOMEM. */
MX_MUST_CHECK int mx_spool_acks_new(struct mx_spool_acks *self, const struct mx_spool_store *store,
                                    mx_spool_live_fn *is_live, mx_spool_ack_fn *seen,
                                    void *context);
void mx_spool_acks_free(struct mx_spool_acks *self);

/* Read what is new in all logs, from the beginning those that are new or were replaced. -errno. */
MX_MUST_CHECK int mx_spool_acks_poll(struct mx_spool_acks *self);

/* What has been read is on the disk when it returns, whether its writers have synced it or not.
 * -errno. */
MX_MUST_CHECK int mx_spool_acks_sync(const struct mx_spool_acks *self);

enum mx_spool_rcpt_state mx_spool_acks_state(const struct mx_spool_acks *self, uint32_t core,
                                             uint64_t epoch, uint32_t rcpt);
/* How many of the recipients first..first + count - 1 have this state? */
uint32_t mx_spool_acks_count(const struct mx_spool_acks *self,
                             const struct mx_spool_segment *segment, uint32_t first, uint32_t count,
                             enum mx_spool_rcpt_state state);
/* How many recipients of a segment are final. */
uint32_t mx_spool_acks_final(const struct mx_spool_acks *self, uint32_t core, uint64_t epoch);

/* The segment is gone: forget what is known of it. */
void mx_spool_acks_forget(struct mx_spool_acks *self, uint32_t core, uint64_t epoch);

/* Octets that are kept in memory. */
uint64_t mx_spool_acks_memory(const struct mx_spool_acks *self);

/* Calls found with the folder and the name of each log; a negative result ends it. -errno. */
typedef int mx_spool_log_name_fn(void *context, int folder, const char *name);
MX_MUST_CHECK int mx_spool_acks_each(const struct mx_spool_store *store,
                                     mx_spool_log_name_fn *found, void *context);

/* ---- writing ---- */

/* Holds the lock of the log while it is open. */
struct mx_spool_ack_writer {
    int folder, fd;
    char name[MX_SPOOL_WRITER_MAX + 8];
    uint8_t uuid[16];
    uint32_t seed;
    uint64_t octets;     /* of the file */
    uint64_t cut_octets; /* torn ones that were cut off when it was opened */
    bool is_rewritten;   /* by open: most of it was about segments that are gone */
};

/* Open or begin the log of a writer: cuts a torn end, leaves out what is about segments that are
 * gone (see mx_spool_acks_new) when that is most of a log that is not small. -EWOULDBLOCK: another
 * process writes it; -errno. */
MX_MUST_CHECK int mx_spool_ack_writer_open(struct mx_spool_ack_writer *self,
                                           const struct mx_spool_store *store, const char *writer,
                                           mx_spool_live_fn *is_live, void *context);

/* Append; magic and crc are set here. They last after mx_spool_ack_writer_sync. -errno: none of
 * them is there, or a torn one, which the next open cuts off. */
MX_MUST_CHECK int mx_spool_ack_writer_put(struct mx_spool_ack_writer *self,
                                          struct mx_spool_ack *acks, uint32_t count);
MX_MUST_CHECK int mx_spool_ack_writer_sync(struct mx_spool_ack_writer *self);
void mx_spool_ack_writer_close(struct mx_spool_ack_writer *self);

/* Is it a whole record of this spool? */
bool mx_spool_ack_is_sound(const struct mx_spool_ack *ack, uint32_t seed);
