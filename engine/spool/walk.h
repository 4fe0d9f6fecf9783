/* walk.h - the records of a segment one after the other.
 *
 * What is damaged is skipped: the walk goes on with the next batch that is whole, and between them
 * takes every record whose own CRC is right, since they were acknowledged. Memory: one buffer.
 */
#pragma once
#include "engine/spool/file.h"
#include "engine/spool/segment.h"

struct mx_spool_damage {
    uint64_t offset, octets; /* in the file */
    const char *why;         /* a literal */
};
typedef void mx_spool_damage_fn(void *context, const struct mx_spool_damage *damage);

struct mx_spool_walk {
    struct mx_spool_file *file;
    mx_spool_damage_fn *damaged; /* or NULL */
    void *context;
    bool is_light;
    uint32_t seed, seq; /* seq: of the next batch */
    uint64_t epoch, end, cut_lsn;
    uint64_t from_lsn; /* light: batches that are all below it are passed over */
    uint64_t batch_at; /* where the next batch should begin */
    uint64_t at, until;
    uint64_t last_lsn, bound_lsn;
    bool is_salvage;
    bool is_checked;         /* of the last record the CRC was looked at */
    uint64_t damaged_octets; /* so far */
};

/* What a batch must be to count where it stands. */
struct mx_spool_wanted {
    uint32_t seed;
    uint32_t seq, seq_max;
    uint64_t epoch, last_lsn; /* records come behind it */
    uint64_t end;             /* the batch ends before */
    bool is_light;            /* its header alone is looked at */
};

/* Is there such a batch? 0, or MX_ESYNTAX and *damage (whose octets are 0). */
MX_MUST_CHECK int mx_spool_batch_at(struct mx_spool_file *file, uint64_t offset,
                                    const struct mx_spool_wanted *wanted,
                                    struct mx_spool_batch *batch, struct mx_spool_damage *damage);

/* The next such batch from *offset on, which is moved to it. False: there is none. *offset is then
 * the end. */
bool mx_spool_batch_find(struct mx_spool_file *file, uint64_t *offset,
                         const struct mx_spool_wanted *wanted, struct mx_spool_batch *batch);

/* Begin at the first batch. The file is open, and belongs to the walk while it lasts. Of a segment
 * the epoch, end_offset, base_lsn and cut_lsn count. is_light: CRCs are only looked at where the
 * octets have been read anyway, and content is skipped. */
void mx_spool_walk_begin(struct mx_spool_walk *self, struct mx_spool_file *file,
                         const uint8_t uuid[16], const struct mx_spool_segment *segment,
                         bool is_light);

/* The next record that counts, and its place in the file. False: there is no more. */
bool mx_spool_walk_next(struct mx_spool_walk *self, struct mx_spool_record *record,
                        uint64_t *offset);
