#include "bench/mxload/eml.h"

#include "bench/mxload/mbox.h"
#include "proto/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file with each LF, CR LF or CR as CRLF, one at its end, and an empty line behind the headers.
 * Returns the end of what was written; *body is where the body begins. At most 2 octets for each
 * of the file, and 4. */
static char *convert(struct mx_span in, char *to, char **body) {
    bool is_line_begin = true, has_body = false;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '\r' && i + 1 < in.len && in.ptr[i + 1] == '\n')
            continue;
        if (c != '\n' && c != '\r') {
            *to++ = c;
            is_line_begin = false;
            continue;
        }
        *to++ = '\r';
        *to++ = '\n';
        if (is_line_begin && !has_body) {
            has_body = true;
            *body = to;
        }
        is_line_begin = true;
    }
    for (int i = !is_line_begin + !has_body; i > 0; i--) {
        *to++ = '\r';
        *to++ = '\n';
    }
    if (!has_body)
        *body = to;
    return to;
}

static size_t stuff(struct mx_span in, char *to) {
    char *begin = to;
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] == '.' && (i == 0 || in.ptr[i - 1] == '\n'))
            *to++ = '.';
        *to++ = in.ptr[i];
    }
    return (size_t)(to - begin);
}

/* The file's octets; 0 or -errno. */
static int new_content(const char *path, char **content, size_t *len) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    int err = fseek(file, 0, SEEK_END) < 0 ? -errno : 0;
    long end = err == 0 ? ftell(file) : 0;
    if (err == 0 && (end < 0 || (uint64_t)end > MX_EML_OCTETS_MAX / 8))
        err = -EFBIG;
    *content = err == 0 ? malloc((size_t)end + 1) : NULL;
    if (err == 0 && *content == NULL)
        err = -ENOMEM;
    if (err == 0 && fseek(file, 0, SEEK_SET) < 0)
        err = -errno;
    *len = err == 0 ? fread(*content, 1, (size_t)end, file) : 0;
    if (fclose(file) != 0 && err == 0)
        err = -EIO;
    return err;
}

/* Make the message of a file's octets; *self owns what it points to. */
static int new_text(struct mx_eml *self, struct mx_span content, bool is_stuffed) {
    char *text = malloc(2 * content.len + 4);
    if (text == NULL)
        return -ENOMEM;
    char *body = NULL, *end = convert(content, text, &body);
    struct mx_span whole = {text, (size_t)(end - text)};
    size_t headers_len = (size_t)(body - text) - 2;
    char *to = malloc(2 * whole.len + headers_len);
    if (to != NULL) {
        self->crc = mx_crc32c(0, (struct mx_span){body, (size_t)(end - body)});
        self->content_octets = whole.len;
        if (!is_stuffed)
            memcpy(to, text, whole.len);
        self->text = (struct mx_span){to, is_stuffed ? stuff(whole, to) : whole.len};
        self->headers = (struct mx_span){to + self->text.len, headers_len};
        memcpy(to + self->text.len, text, headers_len);
    }
    free(text);
    return to != NULL ? 0 : -ENOMEM;
}

static int new_text_of_file(struct mx_eml *self, const char *path, bool is_stuffed) {
    char *content = NULL;
    size_t len = 0;
    int err = new_content(path, &content, &len);
    if (err == 0)
        err = new_text(self, (struct mx_span){content, len}, is_stuffed);
    free(content);
    return err;
}

static int is_eml(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".eml") == 0;
}

static int new_texts(const char *path, bool is_stuffed, struct dirent **names, int count,
                     struct mx_eml *emls) {
    uint64_t octets = 0;
    for (int i = 0; i < count; i++) {
        char name[4096 + sizeof names[i]->d_name + 2];
        if (snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name) < 0)
            return -EINVAL;
        int err = new_text_of_file(&emls[i], name, is_stuffed);
        if (err < 0)
            return err;
        octets += emls[i].text.len;
        if (octets > 4 * MX_EML_OCTETS_MAX)
            return -EFBIG;
    }
    return count;
}

static int new_single(const char *path, bool is_stuffed, struct mx_eml **emls) {
    *emls = calloc(1, sizeof **emls);
    int err = *emls != NULL ? new_text_of_file(*emls, path, is_stuffed) : -ENOMEM;
    if (err == 0)
        return 1;
    free(*emls);
    *emls = NULL;
    return err;
}

int mx_eml_new(const char *path, bool is_stuffed, struct mx_eml **emls) {
    struct stat about;
    if (stat(path, &about) < 0)
        return -errno;
    if (!S_ISDIR(about.st_mode))
        return new_single(path, is_stuffed, emls);
    struct dirent **names;
    int count = scandir(path, &names, is_eml, alphasort);
    if (count < 0)
        return -errno;
    int result = count == 0 ? -ENOENT : count > MX_EML_COUNT_MAX ? -EFBIG : count;
    *emls = result > 0 ? calloc((size_t)count, sizeof **emls) : NULL;
    if (result > 0 && *emls == NULL)
        result = -ENOMEM;
    if (result > 0)
        result = new_texts(path, is_stuffed, names, count, *emls);
    if (result < 0) {
        mx_eml_free(*emls, *emls != NULL ? count : 0);
        *emls = NULL;
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return result;
}

/* ---- an mbox ---- */

struct collection {
    struct mx_eml *emls;
    uint32_t count, cap;
    uint64_t octets;
    bool is_stuffed;
};

static int new_row(struct collection *self) {
    if (self->count == MX_EML_COUNT_MAX)
        return -EFBIG;
    if (self->count < self->cap)
        return 0;
    uint32_t cap = 2 * self->cap + 64;
    struct mx_eml *emls = realloc(self->emls, cap * sizeof *emls);
    if (emls == NULL)
        return -ENOMEM;
    self->emls = emls;
    self->cap = cap;
    return 0;
}

/* text: of the mbox; changed. */
static int new_message(struct collection *self, struct mx_span text) {
    int err = new_row(self);
    if (err < 0)
        return err;
    char *octets = (char *)(uintptr_t)text.ptr;
    text.len = mx_mbox_unquote(text, false, octets);
    struct mx_eml *eml = &self->emls[self->count];
    err = new_text(eml, text, self->is_stuffed);
    if (err < 0)
        return err;
    self->count++;
    self->octets += eml->text.len;
    return self->octets > 4 * MX_EML_OCTETS_MAX ? -EFBIG : 0;
}

int mx_eml_new_mbox(const char *path, bool is_stuffed, struct mx_eml **emls) {
    struct collection all = {.is_stuffed = is_stuffed};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct mx_mbox mbox;
    mx_mbox_init(&mbox, fd);
    struct mx_span text;
    int result;
    while ((result = mx_mbox_new_message(&mbox, &text)) > 0) {
        result = text.len > MX_EML_OCTETS_MAX / 8 ? -EFBIG : new_message(&all, text);
        if (result < 0)
            break;
    }
    mx_mbox_free(&mbox);
    close(fd);
    if (result == 0 && all.count == 0)
        result = -ENOENT;
    if (result < 0) {
        mx_eml_free(all.emls, (int)all.count);
        all = (struct collection){0};
    }
    *emls = all.emls;
    return result < 0 ? result : (int)all.count;
}

void mx_eml_free(struct mx_eml *emls, int count) {
    for (int i = 0; i < count; i++)
        free((void *)(uintptr_t)emls[i].text.ptr);
    free(emls);
}
