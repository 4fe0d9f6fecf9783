/* file.h - reading files of the spool through one buffer: past the page cache where that is
 * possible (the server writes past it, too), and little more than what is asked for when the reader
 * jumps.
 *
 * Blocks. For tools and background threads, never for a worker.
 */
#pragma once
#include "engine/spool/format.h"
#include "proto/err.h"

enum {
    /* octets read at once for a reader that goes on about where it was, and for one that jumps
     * farther than MX_SPOOL_READ_JUMP: less than a request to the disk is worth */
    MX_SPOOL_READ_FAR = 1 << 20,
    MX_SPOOL_READ_NEAR = 16 << 10,
    MX_SPOOL_READ_JUMP = 256 << 10,
    MX_SPOOL_READ_BUFFER = (1 << 20) + 2 * MX_SPOOL_BLOCK,
};

struct mx_spool_file {
    char *buffer; /* MX_SPOOL_READ_BUFFER octets, aligned to blocks */
    int fd;       /* -1: no file is open */
    bool is_direct;
    uint64_t size_octets; /* of the file, when it was opened */
    uint64_t at;          /* where in the file the buffer begins; a multiple of a block */
    uint32_t len;         /* octets in the buffer */
    uint64_t reads;       /* system calls; for tests */
};

/* Allocates the buffer. -ENOMEM. */
MX_MUST_CHECK int mx_spool_file_new(struct mx_spool_file *self);
void mx_spool_file_free(struct mx_spool_file *self);

/* Open another file for reading, relative to a folder; the one before is closed. -errno. */
MX_MUST_CHECK int mx_spool_file_open(struct mx_spool_file *self, int folder, const char *name);
void mx_spool_file_close(struct mx_spool_file *self);

/* len octets (up to MX_SPOOL_READ_BUFFER - 2 blocks) of the file from offset on; borrowed until the
 * next call. MX_EPARTIAL: the file ends before; else -errno (-EIO: the disk cannot read them). */
MX_MUST_CHECK int mx_spool_file_map(struct mx_spool_file *self, uint64_t offset, uint32_t len,
                                    const char **ptr);

/* Are they in the buffer already? */
static inline bool mx_spool_file_has(const struct mx_spool_file *self, uint64_t offset,
                                     uint32_t len) {
    return offset >= self->at && offset + len <= self->at + self->len;
}

/* Forget what is in the buffer: the file may have changed. */
static inline void mx_spool_file_drop(struct mx_spool_file *self) {
    self->len = 0;
}
