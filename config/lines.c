#include "config/lines.h"

#include "config/text.h"
#include "proto/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

static int map_text(struct mx_lines *self, size_t octets) {
    void *text = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return -ENOMEM;
    if (madvise(text, octets, MADV_DONTDUMP) < 0 || madvise(text, octets, MADV_HUGEPAGE) < 0) {
        /* a kernel without huge pages: slower, not wrong */
    }
    *self = (struct mx_lines){.text = text, .mapped = octets};
    return 0;
}

void mx_lines_free(struct mx_lines *self) {
    if (self->text == NULL)
        return;
    explicit_bzero(self->text, self->len);
    munmap(self->text, self->mapped);
    *self = (struct mx_lines){0};
}

int mx_lines_copy(struct mx_lines *self, struct mx_span text) {
    int err = map_text(self, text.len + 1);
    if (err < 0)
        return err;
    if (text.len > 0)
        memcpy(self->text, text.ptr, text.len);
    self->len = text.len;
    return 0;
}

/* Up to one octet more than the file had: then it has grown, and may be half written. */
static int read_text(struct mx_lines *self, int fd) {
    while (self->len < self->mapped) {
        ssize_t got = read(fd, self->text + self->len, self->mapped - self->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        self->len += (size_t)got;
    }
    return -ESTALE;
}

static int load_from(struct mx_lines *self, int fd, mode_t *mode) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *mode = st.st_mode;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > MX_LINES_OCTETS_MAX)
        return -EFBIG;
    int err = map_text(self, (size_t)st.st_size + 1);
    if (err == 0)
        err = read_text(self, fd);
    if (err < 0)
        mx_lines_free(self);
    return err;
}

int mx_lines_load(struct mx_lines *self, const char *path, mode_t *mode) {
    *self = (struct mx_lines){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = load_from(self, fd, mode);
    close(fd);
    return err;
}

/* ---- lines ---- */

static uint32_t count(struct mx_span text) {
    uint32_t lines = 1;
    while (text.len > 0) {
        const char *lf = memchr(text.ptr, '\n', text.len);
        if (lf == NULL)
            break;
        text = mx_span_skip(text, (size_t)(lf - text.ptr) + 1);
        lines++;
    }
    return lines;
}

uint32_t mx_lines_count(const struct mx_lines *self) {
    return count((struct mx_span){self->text, self->len});
}

uint32_t mx_lines_number(const struct mx_lines *self, size_t at) {
    return count((struct mx_span){self->text, at});
}

struct mx_span mx_lines_at(const struct mx_lines *self, size_t at) {
    const char *lf = memchr(self->text + at, '\n', self->len - at);
    size_t len = lf != NULL ? (size_t)(lf - self->text) - at : self->len - at;
    struct mx_span line = {self->text + at, len};
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

size_t mx_lines_address(struct mx_span text, char *to) {
    struct mx_path path;
    if (mx_path_parse(text, true, &path) < 0 || path.local.len == 0 || path.domain.len == 0)
        return 0;
    size_t len = 0;
    for (size_t i = 0; i < path.local.len; i++)
        to[len++] = mx_ascii_lower(path.local.ptr[i]);
    to[len++] = '@';
    for (size_t i = 0; i < path.domain.len; i++)
        to[len++] = mx_ascii_lower(path.domain.ptr[i]);
    return len;
}

/* ---- reading ---- */

void mx_lines_complain(struct mx_lines_reader *self, size_t column, bool is_warning,
                       const char *format, ...) {
    char text[320];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    self->errors += !is_warning;
    mx_report_add_in(self->report, self->file, self->line, (uint32_t)column + 1, is_warning, "%s",
                     len < 0 ? "" : text);
}

int mx_lines_each(const struct mx_lines *self, struct mx_lines_reader *reader, mx_lines_fn *read,
                  void *context) {
    size_t at = 0;
    while (at < self->len && reader->errors < MX_LINES_ERRORS_MAX) {
        const char *lf = memchr(self->text + at, '\n', self->len - at);
        struct mx_span line = mx_lines_at(self, at);
        reader->line++;
        if (line.len > 0 && line.ptr[0] != '#' && mx_text_trim(line).len > 0)
            read(context, at, line);
        at = lf != NULL ? (size_t)(lf - self->text) + 1 : self->len;
    }
    if (reader->errors == MX_LINES_ERRORS_MAX)
        mx_lines_complain(reader, 0, false, "so many errors: what follows is not looked at");
    return reader->errors > 0 ? MX_ECONFIG : 0;
}
