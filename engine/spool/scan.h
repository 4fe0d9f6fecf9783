/* scan.h - how far does a segment count that has no footer? What recovery knows of it, and what
 * readers of a spool that is running, or was killed, must know.
 *
 * The writer sends several batches at once and answers for them in order. So the first hole is
 * where the log ends, unless somebody says that more was acknowledged: a later batch by its
 * committed_lsn, or the segment behind this one by its prev_sealed_lsn.
 */
#pragma once
#include "engine/spool/walk.h"

struct mx_spool_scan {
    bool is_damaged; /* acknowledged records are missing; the first hole is: */
    struct mx_spool_damage hole;
    uint64_t acked_lsn; /* what is known to have been acknowledged */
    uint32_t holes;     /* followed by a whole batch of this epoch */
    bool has_tail;      /* there are traces of a batch at end_offset, or one somewhere behind it */
    uint64_t last_end;  /* of the last whole batch, whether it counts or not */
    uint32_t batches;   /* up to end_offset */
    int64_t written_ns; /* of the last of them; 0: there is none */
};

/* Read a segment without footer and complete what is known of it: file_octets, end_offset,
 * last_lsn, acked_lsn, counts, oldest_epoch; the state stays. The file is open; in: core, epoch,
 * base_lsn, and what other headers say of it: cut_lsn, acked_lsn. What cannot be read counts as
 * damaged. */
void mx_spool_scan(struct mx_spool_scan *self, struct mx_spool_file *file, const uint8_t uuid[16],
                   struct mx_spool_segment *segment);

/* The header is damaged: which epoch is in the file? The highest that a batch or the footer tells,
 * since what a recycled file held before is older. 0: nothing is to be found. */
uint64_t mx_spool_scan_epoch(struct mx_spool_file *file, const uint8_t uuid[16], uint32_t core);
