#include "engine/spool/meta.h"

#include "engine/spool/disk.h"
#include "engine/spool/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char meta_name[] = "meta", second_name[] = "second";

void mx_spool_uuid_format(const uint8_t uuid[16], char text[MX_SPOOL_UUID_TEXT]) {
    static const char hex[] = "0123456789abcdef";
    char *to = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[uuid[i] >> 4];
        *to++ = hex[uuid[i] & 15];
    }
    *to = '\0';
}

static int hex_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_uuid(struct mx_span text, uint8_t uuid[16]) {
    char again[MX_SPOOL_UUID_TEXT];
    size_t digits = 0;
    if (text.len != MX_SPOOL_UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < text.len && digits < 32; i++) {
        int value = hex_of(text.ptr[i]);
        if (value < 0)
            continue;
        uuid[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : uuid[digits / 2] | value);
        digits++;
    }
    if (digits != 32)
        return false;
    mx_spool_uuid_format(uuid, again); /* hyphens stand in one place only */
    return memcmp(again, text.ptr, text.len) == 0;
}

/* The rest of the next line, which begins with this word and a space. */
static bool take_line(struct mx_span *text, const char *word, struct mx_span *value) {
    size_t len = strlen(word);
    const char *end = text->len > 0 ? memchr(text->ptr, '\n', text->len) : NULL;
    if (end == NULL || (size_t)(end - text->ptr) <= len || memcmp(text->ptr, word, len) != 0 ||
        text->ptr[len] != ' ')
        return false;
    *value = (struct mx_span){text->ptr + len + 1, (size_t)(end - text->ptr) - len - 1};
    *text = mx_span_skip(*text, (size_t)(end - text->ptr) + 1);
    return true;
}

static bool parse_number(struct mx_span text, uint64_t max, uint64_t *number) {
    char digits[24];
    if (text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    return strlen(digits) == text.len && mx_spool_number_parse(digits, max, number);
}

int mx_spool_meta_parse(struct mx_spool_meta *self, struct mx_span text) {
    struct mx_span value;
    uint64_t version, run;
    if (!take_line(&text, "mxring-spool", &value) || !parse_number(value, UINT32_MAX, &version))
        return MX_ESYNTAX;
    if (version != MX_SPOOL_VERSION)
        return -EPROTONOSUPPORT;
    if (!take_line(&text, "uuid", &value) || !parse_uuid(value, self->uuid) ||
        !take_line(&text, "run", &value) || !parse_number(value, MX_SPOOL_RUN_MAX, &run) ||
        text.len != 0)
        return MX_ESYNTAX;
    self->run = (uint32_t)run;
    return 0;
}

static int read_text(int dir, const char *name, char *text, size_t cap, size_t *len) {
    *len = 0;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = mx_disk_read(fd, text, cap, 0, len);
    close(fd);
    return err;
}

int mx_spool_meta_read(struct mx_spool_meta *self, int dir) {
    char text[MX_SPOOL_META_MAX];
    size_t len;
    int err = read_text(dir, meta_name, text, sizeof text, &len);
    return err < 0 ? err : mx_spool_meta_parse(self, (struct mx_span){text, len});
}

int mx_spool_meta_write(const struct mx_spool_meta *self, int dir) {
    char uuid[MX_SPOOL_UUID_TEXT], text[128];
    mx_spool_uuid_format(self->uuid, uuid);
    int len = snprintf(text, sizeof text, "mxring-spool %d\nuuid %s\nrun %u\n", MX_SPOOL_VERSION,
                       uuid, self->run);
    assert(len > 0 && (size_t)len < sizeof text);
    return mx_disk_replace(dir, meta_name, (struct mx_span){text, (size_t)len});
}

int mx_spool_second_read(int dir, char path[MX_SPOOL_PATH_MAX]) {
    size_t len;
    int err = read_text(dir, second_name, path, MX_SPOOL_PATH_MAX, &len);
    if (err < 0)
        return err;
    if (len < 2 || path[len - 1] != '\n' || path[0] != '/' || memchr(path, '\0', len) != NULL)
        return MX_ESYNTAX;
    path[len - 1] = '\0';
    return 0;
}

int mx_spool_second_write(int dir, const char *path) {
    char before[MX_SPOOL_PATH_MAX], real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return -errno;
    if (mx_spool_second_read(dir, before) == 0 && strcmp(before, real) == 0)
        return 0;
    size_t len = strlen(real);
    if (len + 1 >= sizeof before)
        return -ENAMETOOLONG;
    memcpy(before, real, len);
    before[len] = '\n';
    return mx_disk_replace(dir, second_name, (struct mx_span){before, len + 1});
}
