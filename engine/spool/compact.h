/* compact.h - a segment without what nobody waits for any more: a few messages that are stuck do
 * not hold its space.
 *
 * Its records that are still waited for are copied octet for octet into a new file, which then
 * takes its name, at once or not at all. Core, epoch, LSNs and numbers of recipients stay, so that
 * message ids and what ack logs say go on to hold; only places in the file do not, and who follows
 * a chain of chunks looks for them. Who has the old file open goes on to read that.
 *
 * Blocks. For the keeper.
 */
#pragma once
#include "engine/spool/store.h"
#include "proto/span.h"

/* Does anybody wait for this message? When not, that must be durable. */
typedef bool mx_spool_waited_fn(void *context, const struct mx_spool_segment *segment,
                                const struct mx_spool_record *record);
/* Called about every megabyte. False: it is given up. */
typedef bool mx_spool_go_on_fn(void *context);

/* What is asked of the file system; in tests a simulated one. Each 0 or -errno. */
struct mx_spool_compact_io {
    int (*write)(void *context, int fd, struct mx_span octets, uint64_t offset);
    int (*sync)(void *context, int fd);
    int (*rename)(void *context, int root, const char *from, const char *to);
    int (*sync_folder)(void *context, int folder);
};

struct mx_spool_chain {
    uint64_t lsn;
    uint32_t core;
    bool is_waited;
};

struct mx_spool_compact {
    struct mx_spool_store *store;
    const struct mx_spool_compact_io *io;
    mx_spool_waited_fn *is_waited;
    mx_spool_go_on_fn *go_on;
    void *context;
    bool keeps_open; /* chunks of messages that have not ended, as far as is listed, stay */
    struct mx_spool_file file;     /* that is read */
    uint64_t read_octets;          /* since it was begun */
    struct mx_spool_chain *chains; /* messages that have ended and may have chunks here */
    uint32_t chain_count, chain_capacity;
    /* the new file */
    int fd;
    struct mx_spool_segment is;
    char *batch; /* MX_SPOOL_BATCH_MAX octets, the batch that is filled */
    uint32_t used, seq, record_count;
    uint64_t first_lsn, last_lsn;
    uint64_t most_octets;
};

/* Allocates. The store is borrowed. io NULL: the file system's. -ENOMEM. */
MX_MUST_CHECK int mx_spool_compact_new(struct mx_spool_compact *self, struct mx_spool_store *store,
                                       const struct mx_spool_compact_io *io);
void mx_spool_compact_free(struct mx_spool_compact *self);

/* Compact a sealed segment, if its file is smaller afterwards, and at most most_octets. is_waited,
 * go_on and context are set by the caller; and keeps_open, which must be true when a message may
 * have chunks in the segment that ends behind the segments of the list, or will. *segment tells of
 * what has its name now, also after an error; the store's list does not.
 *
 * 0; -EFBIG: it would be larger; MX_ESYNTAX: something is damaged, or cannot be read, and all
 * stays; -ECANCELED: go_on said so; else -errno of what could not be written. */
MX_MUST_CHECK int mx_spool_compact(struct mx_spool_compact *self, struct mx_spool_segment *segment,
                                   uint64_t most_octets);
