/* memo_file.h - what hooks remember, in a file: for the next start.
 *
 * The file is written anew and put in the place of the old one; each of its blocks has a checksum.
 * A file that is damaged gives what is sound in it. Times in it are those of the wall clock.
 * Blocks: never on a worker.
 */
#pragma once
#include "engine/policy/memo.h"

/* One moment, by two clocks. */
struct mx_memo_moment {
    uint64_t now_ms;  /* as hooks tell it: monotonic */
    uint64_t wall_ms; /* since 1970 */
};

struct mx_memo_result {
    uint64_t facts;  /* written, or taken */
    uint64_t octets; /* of the file */
    bool is_damaged; /* read: there was more in it once */
    uint32_t crc;    /* of what was written: the same when nothing has changed */
};

/* Write the file, unless *before (crc of the last time) shows that nothing has changed. 0 or
 * -errno: then the old file is still there. */
MX_MUST_CHECK int mx_memo_save(struct mx_memo *self, const char *path,
                               const struct mx_memo_moment *moment, uint32_t before,
                               struct mx_memo_result *result);

/* Take over its facts and its secret, before any key is made; what is over by now is left out. 0,
 * also when there is no file; -errno: it cannot be read. */
MX_MUST_CHECK int mx_memo_load(struct mx_memo *self, const char *path,
                               const struct mx_memo_moment *moment, struct mx_memo_result *result);
