/* prepare.h - segment files made of zeros ahead of time, opened for writing, freed.
 *
 * Blocking; for the keeper and the start. Errors are -errno. root_fd is the spool's directory.
 */
#pragma once
#include "proto/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Make a segment's file: zeros that are on the medium, a multiple of MX_SPOOL_BLOCK. The folder of
 * the core must be there. It gets its name last; an error leaves nothing behind. -EEXIST: the
 * number is taken. -EOPNOTSUPP: btrfs that insists on copy on write, where overwriting in place
 * does not exist. */
MX_MUST_CHECK int mx_spool_prepare_file(int root_fd, uint32_t core, uint32_t number,
                                        uint64_t octets);

/* Open it for writing past the page cache where the file system can, else (*is_buffered) through
 * it. A descriptor, or -errno. */
MX_MUST_CHECK int mx_spool_prepare_open(int root_fd, uint32_t core, uint32_t number,
                                        bool *is_buffered);

/* Make its header block zero, durably: the file is free. */
MX_MUST_CHECK int mx_spool_prepare_free(int root_fd, uint32_t core, uint32_t number);

/* Remove it, durably. */
MX_MUST_CHECK int mx_spool_prepare_remove(int root_fd, uint32_t core, uint32_t number);
