#include "engine/cli/export.h"

#include "engine/cli/export_text.h"
#include "engine/spool/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- one copy ---- */

/* No octet of an address may end a line or hide. */
static void put_address(FILE *to, const char *before, struct mx_span address, const char *behind) {
    fputs(before, to);
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.ptr[i];
        fputc(c < 0x20 || c == 0x7f ? '?' : c, to);
    }
    fputs(behind, to);
}

static void put_separator(FILE *to, const struct mx_export_copy *copy) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(copy->reader->record.received_ns / 1000000000);
    struct tm tm = {.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
    if (gmtime_r(&seconds, &tm) == NULL)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
    bool is_word = copy->sender.len > 0;
    for (size_t i = 0; i < copy->sender.len; i++)
        is_word = is_word && (unsigned char)copy->sender.ptr[i] > 0x20;
    put_address(to, "From ", is_word ? copy->sender : MX_SPAN("MAILER-DAEMON"), " ");
    fprintf(to, "%s %s %2d %02d:%02d:%02d %d\n", days[tm.tm_wday], months[tm.tm_mon], tm.tm_mday,
            tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

static int take_text(void *context, struct mx_span piece) {
    struct mx_export_text *text = context;
    mx_export_text_put(text, piece);
    return ferror(text->to) ? -EIO : 0;
}

static int take_raw(void *context, struct mx_span piece) {
    return fwrite(piece.ptr, 1, piece.len, context) == piece.len ? 0 : -EIO;
}

static int put_copy(const struct mx_export *self, FILE *to, struct mx_export_copy *copy) {
    if (self->is_raw)
        return mx_spool_reader_content(copy->reader, take_raw, to);
    if (self->is_mbox)
        put_separator(to, copy);
    put_address(to, "Return-Path: <", copy->sender, ">\n");
    put_address(to, "Delivered-To: ", copy->rcpt, "\n");
    struct mx_export_text text = {.to = to, .is_mbox = self->is_mbox};
    int err = mx_spool_reader_content(copy->reader, take_text, &text);
    mx_export_text_end(&text);
    if (self->is_mbox)
        fputc('\n', to);
    if (err == 0 && ferror(to))
        err = -EIO;
    return err;
}

/* ---- acknowledging ---- */

static int write_acks(struct mx_export *self) {
    if (self->log == NULL || self->count == 0)
        return 0;
    int err = mx_spool_ack_writer_put(self->log, self->acks, self->count);
    return err == 0 ? mx_spool_ack_writer_sync(self->log) : err;
}

/* ---- Maildir ---- */

static int open_maildir(struct mx_export *self) {
    int cur = -1;
    int err = mx_disk_make_folder(-1, self->path, &self->folder);
    if (err == 0)
        err = mx_disk_make_folder(self->folder, "tmp", &self->tmp);
    if (err == 0)
        err = mx_disk_make_folder(self->folder, "new", &self->new);
    if (err == 0)
        err = mx_disk_make_folder(self->folder, "cur", &cur);
    if (cur >= 0)
        close(cur);
    return err;
}

/* All files of a batch are made durable by one call, then get their names. */
static int finish_batch(struct mx_export *self) {
    if (self->count == 0)
        return 0;
    int err = syncfs(self->folder) == 0 ? 0 : -errno;
    for (uint32_t i = 0; err == 0 && i < self->count; i++) {
        if (renameat(self->tmp, self->names[i], self->new, self->names[i]) < 0)
            err = -errno;
    }
    if (err == 0)
        err = mx_disk_sync_folder(self->new);
    if (err == 0)
        err = write_acks(self);
    if (err < 0)
        return err;
    self->count = 0;
    self->octets = 0;
    return 0;
}

static int add_file(struct mx_export *self, struct mx_export_copy *copy) {
    char *name = self->names[self->count];
    int len = snprintf(name, MX_EXPORT_NAME_MAX, "%lld.%s-%u.mxring",
                       (long long)(copy->reader->record.received_ns / 1000000000), copy->id,
                       copy->ordinal);
    assert(len > 0 && len < MX_EXPORT_NAME_MAX);
    int fd = openat(self->tmp, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file == NULL) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    int err = put_copy(self, file, copy);
    if (fclose(file) != 0 && err == 0)
        err = -errno;
    if (err < 0) {
        if (unlinkat(self->tmp, name, 0) < 0)
            return -errno;
        return err;
    }
    self->acks[self->count++] = copy->ack;
    self->octets += copy->reader->record.total_octets;
    bool is_full = self->count == MX_EXPORT_BATCH || self->octets >= MX_EXPORT_BATCH_OCTETS;
    return is_full ? finish_batch(self) : 0;
}

/* ---- mbox ---- */

/* A file without a name, beside the mbox. */
static FILE *open_later(const struct mx_export *self) {
    char path[sizeof self->part + 8];
    int len = snprintf(path, sizeof path, "%s.acks", self->part);
    assert(len > 0 && (size_t)len < sizeof path);
    FILE *file = fopen(path, "w+be");
    if (file != NULL && unlink(path) < 0) {
        int err = errno;
        if (fclose(file) != 0)
            err = errno;
        errno = err;
        return NULL;
    }
    return file;
}

static int open_mbox(struct mx_export *self) {
    if (access(self->path, F_OK) == 0)
        return -EEXIST;
    int len = snprintf(self->part, sizeof self->part, "%s.part", self->path);
    if (len < 0 || (size_t)len >= sizeof self->part)
        return -ENAMETOOLONG;
    int fd = open(self->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    self->mbox = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (self->mbox == NULL) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        self->part[0] = '\0';
        return err;
    }
    self->later = open_later(self);
    return self->later != NULL ? 0 : -errno;
}

static int add_to_mbox(struct mx_export *self, struct mx_export_copy *copy) {
    off_t begin = ftello(self->mbox);
    if (begin < 0)
        return -errno;
    int err = put_copy(self, self->mbox, copy);
    if (err == MX_ESYNTAX) { /* nothing of it stays */
        if (fflush(self->mbox) != 0 || ftruncate(fileno(self->mbox), begin) < 0 ||
            fseeko(self->mbox, begin, SEEK_SET) < 0)
            return -errno;
        return err;
    }
    if (err == 0 && fwrite(&copy->ack, sizeof copy->ack, 1, self->later) != 1)
        err = -EIO;
    return err;
}

static int sync_folder_of(const char *path) {
    char copy[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof copy)
        return -ENAMETOOLONG;
    memcpy(copy, path, len + 1);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = mx_disk_sync_folder(fd);
    close(fd);
    return err;
}

static int acknowledge_later(struct mx_export *self) {
    if (fflush(self->later) != 0 || fseeko(self->later, 0, SEEK_SET) < 0)
        return -errno;
    do {
        self->count = (uint32_t)fread(self->acks, sizeof *self->acks, MX_EXPORT_BATCH, self->later);
        if (ferror(self->later))
            return -EIO;
        int err = write_acks(self);
        if (err < 0)
            return err;
    } while (self->count == MX_EXPORT_BATCH);
    self->count = 0;
    return 0;
}

static int finish_mbox(struct mx_export *self) {
    if (fflush(self->mbox) != 0 || fsync(fileno(self->mbox)) < 0)
        return -errno;
    if (renameat2(AT_FDCWD, self->part, AT_FDCWD, self->path, RENAME_NOREPLACE) < 0)
        return -errno;
    self->part[0] = '\0';
    int err = sync_folder_of(self->path);
    return err == 0 ? acknowledge_later(self) : err;
}

/* ---- both ---- */

int mx_export_open(struct mx_export *self) {
    self->folder = self->tmp = self->new = -1;
    int err = self->is_mbox ? open_mbox(self) : open_maildir(self);
    if (err < 0)
        mx_export_close(self);
    return err;
}

int mx_export_add(struct mx_export *self, struct mx_export_copy *copy) {
    int err = self->is_mbox ? add_to_mbox(self, copy) : add_file(self, copy);
    if (err == 0) {
        self->copies++;
        self->copied_octets += copy->reader->record.total_octets;
    }
    return err;
}

int mx_export_finish(struct mx_export *self) {
    return self->is_mbox ? finish_mbox(self) : finish_batch(self);
}

static void close_stream(FILE **stream) {
    if (*stream != NULL && fclose(*stream) != 0) {
        /* what counts was flushed, and that was looked at */
    }
    *stream = NULL;
}

void mx_export_close(struct mx_export *self) {
    for (uint32_t i = 0; !self->is_mbox && i < self->count; i++) {
        if (unlinkat(self->tmp, self->names[i], 0) < 0) {
            /* it has its final name already, or is overwritten the next time */
        }
    }
    if (self->part[0] != '\0' && unlink(self->part) < 0) {
        /* it is overwritten the next time */
    }
    close_stream(&self->mbox);
    close_stream(&self->later);
    int *const fds[] = {&self->folder, &self->tmp, &self->new};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    self->count = 0;
}
