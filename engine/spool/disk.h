/* disk.h - small things done to files so that they last: all of them return when the disk has them.
 *
 * Blocks. For tools and background threads, never for a worker.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

/* All of it at offset. -errno; -EIO when the file takes no more. */
MX_MUST_CHECK int mx_disk_write(int fd, struct mx_span octets, uint64_t offset);

/* Up to cap octets from offset on; *len says how many there were. -errno. */
MX_MUST_CHECK int mx_disk_read(int fd, char *to, size_t cap, uint64_t offset, size_t *len);

/* fsync of a folder, so that the names in it last. -errno. */
MX_MUST_CHECK int mx_disk_sync_folder(int folder);

/* Make the folder if it is not there (mode 0700), with those above it, and open it. *fd is given.
 * With parent >= 0 path is relative to it and one name. A new folder belongs to whom the one above
 * it belongs, should we be root. -errno; -ENOTDIR: something else is there. */
MX_MUST_CHECK int mx_disk_make_folder(int parent, const char *path, int *fd);

/* Put this text in the place of a file, at once or not at all. -errno. */
MX_MUST_CHECK int mx_disk_replace(int folder, const char *name, struct mx_span text);

/* root may have made a file for a server that is not root: give it to the folder's owner. -errno.
 */
MX_MUST_CHECK int mx_disk_adopt(int folder, int fd);
