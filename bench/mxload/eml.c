#include "bench/mxload/eml.h"

#include "proto/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

static int new_text(struct mx_eml *self, const char *path, bool is_stuffed) {
    char *content = NULL;
    size_t len = 0;
    int err = new_content(path, &content, &len);
    char *text = err == 0 ? malloc(2 * len + 4) : NULL;
    char *stuffed = text != NULL ? malloc(4 * len + 8) : NULL;
    if (err == 0 && stuffed == NULL)
        err = -ENOMEM;
    if (err == 0) {
        char *body = NULL, *end = convert((struct mx_span){content, len}, text, &body);
        self->crc = mx_crc32c(0, (struct mx_span){body, (size_t)(end - body)});
        struct mx_span whole = {text, (size_t)(end - text)};
        self->content_octets = whole.len;
        if (!is_stuffed)
            memcpy(stuffed, text, whole.len);
        self->text = (struct mx_span){stuffed, is_stuffed ? stuff(whole, stuffed) : whole.len};
    } else {
        free(stuffed);
    }
    free(text);
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
        int err = new_text(&emls[i], name, is_stuffed);
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
    int err = *emls != NULL ? new_text(*emls, path, is_stuffed) : -ENOMEM;
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

void mx_eml_free(struct mx_eml *emls, int count) {
    for (int i = 0; i < count; i++)
        free((void *)(uintptr_t)emls[i].text.ptr);
    free(emls);
}
