#include "engine/spool/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int mx_disk_write(int fd, struct mx_span octets, uint64_t offset) {
    while (octets.len > 0) {
        ssize_t n = pwrite(fd, octets.ptr, octets.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        octets = mx_span_skip(octets, (size_t)n);
        offset += (uint64_t)n;
    }
    return 0;
}

int mx_disk_read(int fd, char *to, size_t cap, uint64_t offset, size_t *len) {
    *len = 0;
    while (*len < cap) {
        ssize_t n = pread(fd, to + *len, cap - *len, (off_t)(offset + *len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return 0;
}

int mx_disk_sync_folder(int folder) {
    if (fsync(folder) == 0 || errno == EINVAL) /* some file systems have nothing to sync there */
        return 0;
    return -errno;
}

int mx_disk_adopt(int folder, int fd) {
    struct stat st;
    if (geteuid() != 0)
        return 0;
    if (fstat(folder, &st) < 0)
        return -errno;
    return fchown(fd, st.st_uid, st.st_gid) == 0 ? 0 : -errno;
}

/* One folder; *is_new says whether it was not there. */
static int make_one(int parent, const char *name, bool *is_new) {
    *is_new = mkdirat(parent, name, 0700) == 0;
    return *is_new || errno == EEXIST ? 0 : -errno;
}

/* The name of a new folder lasts when the one above it is synced. */
static int settle(int parent, int fd) {
    int above = parent >= 0 ? parent : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0)
        return errno == EACCES ? 0 : -errno;
    int err = parent >= 0 ? mx_disk_adopt(parent, fd) : 0;
    if (err == 0)
        err = mx_disk_sync_folder(above);
    if (parent < 0)
        close(above);
    return err;
}

static int settle_path(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = settle(-1, fd);
    close(fd);
    return err;
}

/* Those above path; what is there already is left alone. */
static int make_parents(const char *path) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        bool is_new;
        memcpy(part, path, i);
        part[i] = '\0';
        int err = make_one(AT_FDCWD, part, &is_new);
        if (err == 0 && is_new)
            err = settle_path(part);
        if (err < 0 && err != -EROFS && err != -EACCES) /* these are met again, if they matter */
            return err;
    }
    return 0;
}

int mx_disk_make_folder(int parent, const char *path, int *fd) {
    bool is_new = false;
    *fd = -1;
    int err = parent >= 0 ? 0 : make_parents(path);
    if (err == 0)
        err = make_one(parent >= 0 ? parent : AT_FDCWD, path, &is_new);
    if (err < 0)
        return err;
    int folder = openat(parent >= 0 ? parent : AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    err = is_new ? settle(parent, folder) : 0;
    if (err < 0)
        close(folder);
    else
        *fd = folder;
    return err;
}

static int write_new(int folder, const char *name, struct mx_span text) {
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int err = mx_disk_write(fd, text, 0);
    if (err == 0)
        err = mx_disk_adopt(folder, fd);
    if (err == 0 && fsync(fd) < 0)
        err = -errno;
    if (close(fd) < 0 && err == 0)
        err = -errno;
    return err;
}

int mx_disk_replace(int folder, const char *name, struct mx_span text) {
    char other[NAME_MAX + 1];
    int len = snprintf(other, sizeof other, "%s.tmp", name);
    assert(len > 0 && (size_t)len < sizeof other);
    int err = write_new(folder, other, text);
    if (err == 0 && renameat(folder, other, folder, name) < 0)
        err = -errno;
    if (err == 0)
        return mx_disk_sync_folder(folder);
    if (unlinkat(folder, other, 0) < 0 && errno != ENOENT) {
        /* it is overwritten the next time */
    }
    return err;
}
