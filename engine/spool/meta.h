/* meta.h - DIR/meta: which spool this is, and how often a server has started on it.
 *
 *     mxring-spool 1
 *     uuid 6b0f1c52-93d4-4f0e-a1c7-0123456789ab
 *     run 17
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

struct mx_spool_meta {
    uint8_t uuid[16];
    uint32_t run; /* 1.. */
};

enum {
    MX_SPOOL_META_MAX = 4096,   /* octets of the file */
    MX_SPOOL_UUID_TEXT = 37,    /* octets of a UUID as text, with the NUL */
    MX_SPOOL_RUN_MAX = 0xffffff /* LSNs have 24 bits for it */
};

void mx_spool_uuid_format(const uint8_t uuid[16], char text[MX_SPOOL_UUID_TEXT]);

/* Pure. 0; MX_ESYNTAX; -EPROTONOSUPPORT: a spool of another version. */
MX_MUST_CHECK int mx_spool_meta_parse(struct mx_spool_meta *self, struct mx_span text);

/* The file of a directory. As above, or -errno (-ENOENT: there is none). */
MX_MUST_CHECK int mx_spool_meta_read(struct mx_spool_meta *self, int dir);

/* Durable when it returns. -errno. */
MX_MUST_CHECK int mx_spool_meta_write(const struct mx_spool_meta *self, int dir);

/* DIR/second: where the second directory is, so that tools find it. The path, and a line feed. */
enum { MX_SPOOL_PATH_MAX = 4096 }; /* octets, with the NUL */

/* -ENOENT: there is none; MX_ESYNTAX; -errno. */
MX_MUST_CHECK int mx_spool_second_read(int dir, char path[MX_SPOOL_PATH_MAX]);
/* path may be relative; what is written is not. Durable when it returns. -errno. */
MX_MUST_CHECK int mx_spool_second_write(int dir, const char *path);
