/* verify.h - is every octet of a spool as it was written?
 *
 * Looks at all that counts: headers and footers with both copies, every batch up to its length, the
 * envelopes, the chains of large messages, the ack logs. In a segment without footer everything up
 * to the last whole batch is looked at; what is behind it is told as a tail, and is no damage.
 * While a server runs, batches may be missing that it has not answered for yet: they belong to the
 * tail.
 *
 * Blocks. Writes nothing.
 */
#pragma once
#include "engine/spool/acks.h"
#include "engine/spool/message.h"

struct mx_spool_finding {
    bool is_tail;     /* no damage */
    uint32_t dir;     /* 0, 1 */
    const char *path; /* relative to it */
    uint64_t offset, octets;
    const char *text;
};
typedef void mx_spool_finding_fn(void *context, const struct mx_spool_finding *finding);

struct mx_spool_verify {
    struct mx_spool_store *store;
    struct mx_spool_reader reader;
    struct mx_spool_file file;
    mx_spool_finding_fn *found;
    void *context;
    struct mx_spool_acks acks;
    /* the segment being looked at: in the list, and as it was when its file was opened */
    struct mx_spool_segment *listed;
    struct mx_spool_segment segment;
    char path[MX_SPOOL_NAME_MAX];
    bool is_gone;
    uint32_t damaged; /* findings in it */
    /* in all */
    uint64_t segments, messages, octets, findings;
};

/* The store is read-only, and borrowed. -ENOMEM. */
MX_MUST_CHECK int mx_spool_verify_new(struct mx_spool_verify *self, struct mx_spool_store *store,
                                      mx_spool_finding_fn *found, void *context);
void mx_spool_verify_free(struct mx_spool_verify *self);

void mx_spool_verify_segment(struct mx_spool_verify *self, struct mx_spool_segment *segment);

/* The ack logs. -errno: the folder cannot be read. */
MX_MUST_CHECK int mx_spool_verify_acks(struct mx_spool_verify *self);
