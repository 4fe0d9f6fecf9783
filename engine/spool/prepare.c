#include "engine/spool/prepare.h"

#include "engine/spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static _Alignas(MX_SPOOL_BLOCK) const char zeros[PIECE];

/* Can it be written in blocks of ours? Before Linux 6.1 nobody says, and a first write would. */
static bool takes_blocks(int fd) {
    struct statx info = {0};
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) < 0)
        return false;
    return !(info.stx_mask & STATX_DIOALIGN) ||
           (info.stx_dio_offset_align > 0 && info.stx_dio_offset_align <= MX_SPOOL_BLOCK &&
            info.stx_dio_mem_align <= MX_SPOOL_BLOCK);
}

int mx_spool_prepare_open(int root_fd, uint32_t core, uint32_t number, bool *is_buffered) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, core, number, "");
    *is_buffered = false;
    int fd = openat(root_fd, name, O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (fd >= 0 && takes_blocks(fd))
        return fd;
    if (fd >= 0)
        close(fd);
    *is_buffered = true;
    fd = openat(root_fd, name, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Copy on write would make every batch a new extent, and a full disk possible at any write. What a
 * folder asks for in the way of compression has to go first. */
static int forbid_copy_on_write(int fd) {
    struct statfs fs;
    int flags = 0;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != BTRFS_SUPER_MAGIC)
        return 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return -EOPNOTSUPP;
    int asked = flags & (FS_COMPR_FL | FS_NOCOMP_FL);
    flags &= ~asked;
    if (asked != 0 && ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
        return -EOPNOTSUPP;
    flags |= FS_NOCOW_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -EOPNOTSUPP : 0;
}

static int put(int fd, const char *ptr, size_t len, uint64_t at) {
    while (len > 0) {
        ssize_t n = pwrite(fd, ptr, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        ptr += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Written, not only allocated: on an extent that was never written each sync of ours would also be
 * a journal commit of the file system. */
static int fill(int fd, uint64_t octets) {
    int err = forbid_copy_on_write(fd);
    if (err == 0)
        err = -posix_fallocate(fd, 0, (off_t)octets);
    (void)fcntl(fd, F_SETFL, O_DIRECT); /* where it cannot be, the page cache does */
    for (uint64_t at = 0; at < octets && err == 0; at += PIECE)
        err = put(fd, zeros, octets - at < PIECE ? octets - at : PIECE, at);
    if (err == 0 && fsync(fd) < 0)
        err = -errno;
    return err;
}

static int create_unnamed(int root_fd, const char *name, uint64_t octets) {
    int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = fill(fd, octets);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

static int open_folder(int root_fd, uint32_t core) {
    char name[16];
    int len = snprintf(name, sizeof name, "%u", core);
    int fd = len < 0 ? -1 : openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int sync_folder(int root_fd, uint32_t core) {
    int fd = open_folder(root_fd, core);
    if (fd < 0)
        return fd;
    int err = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return err;
}

int mx_spool_prepare_file(int root_fd, uint32_t core, uint32_t number, uint64_t octets) {
    char unnamed[MX_SPOOL_NAME_MAX], name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(unnamed, core, number, ".new");
    mx_spool_segment_name(name, core, number, "");
    if (unlinkat(root_fd, unnamed, 0) < 0 && errno != ENOENT) /* of a start that was cut short */
        return -errno;
    int err = create_unnamed(root_fd, unnamed, octets);
    if (err == 0 && renameat2(root_fd, unnamed, root_fd, name, RENAME_NOREPLACE) < 0)
        err = -errno;
    if (err < 0 && unlinkat(root_fd, unnamed, 0) < 0 && errno != ENOENT)
        return -errno;
    return err < 0 ? err : sync_folder(root_fd, core);
}

int mx_spool_prepare_free(int root_fd, uint32_t core, uint32_t number) {
    bool is_buffered;
    int fd = mx_spool_prepare_open(root_fd, core, number, &is_buffered);
    if (fd < 0)
        return fd;
    int err = put(fd, zeros, MX_SPOOL_BLOCK, 0);
    if (err == 0 && fdatasync(fd) < 0)
        err = -errno;
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

int mx_spool_prepare_remove(int root_fd, uint32_t core, uint32_t number) {
    char name[MX_SPOOL_NAME_MAX];
    mx_spool_segment_name(name, core, number, "");
    if (unlinkat(root_fd, name, 0) < 0)
        return -errno;
    return sync_folder(root_fd, core);
}
