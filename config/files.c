/* The files that a configuration names and that belong to it. */
#include "config/aliases.h"
#include "config/lines.h"
#include "config/load.h"
#include "config/report.h"
#include "config/text.h"
#include "config/users.h"

#include <errno.h>

/* A path as the file's author means it: relative to the file. NULL: out of memory. */
static const char *resolve(struct mx_loader *self, const char *path) {
    if (path[0] == '/' || self->folder.len == 0)
        return path;
    size_t len = strlen(path);
    char *whole = mx_arena_take(self->scratch, self->folder.len + len + 1);
    if (!whole)
        return NULL; /* the arena remembers it */
    memcpy(whole, self->folder.ptr, self->folder.len);
    memcpy(whole + self->folder.len, path, len);
    return whole;
}

static const struct mx_yaml_node *place(const struct mx_loader *self, const char *key) {
    const struct mx_row *row = mx_schema_find(MX_SECTION_TOP, mx_span_of(key));
    const struct mx_yaml_node *node = self->file.values[mx_schema_index(row)];
    return node ? node : self->file.map;
}

static const char *reason(int err) {
    switch (err) {
    case -EINVAL:
        return "not a regular file";
    case -EFBIG:
        return "larger than 2 GiB, or more than 2^30 lines";
    case -ESTALE:
        return "it grew while it was read";
    default:
        return strerrordesc_np(-err);
    }
}

static void complain(struct mx_loader *self, const char *key, const char *path, int err) {
    if (err < 0 && err != MX_ECONFIG)
        mx_loader_fail(self, place(self, key), "%s: cannot read '%s': %s", key, path, reason(err));
}

/* The first line of a file. False: reported. */
static bool read_secret(struct mx_loader *self, const struct mx_row *row,
                        const struct mx_yaml_node *node, struct mx_conf_secret *secret) {
    struct mx_lines lines = {0};
    mode_t mode = 0;
    const char *path = resolve(self, secret->file);
    int err = path ? mx_lines_load(&lines, path, &mode) : -ENOMEM;
    if (err < 0) {
        mx_loader_fail(self, node, "%s: cannot read '%s': %s", row->key, secret->file, reason(err));
        return false;
    }
    secret->text = mx_lines_at(&lines, 0);
    const char *copy = mx_arena_copy(self->conf->arena, secret->text);
    secret->text.ptr = copy;
    explicit_bzero(lines.text, lines.len);
    mx_lines_free(&lines);
    return copy != NULL;
}

bool mx_loader_secret(struct mx_loader *self, const struct mx_row *row,
                      const struct mx_yaml_node *node, struct mx_span word,
                      struct mx_conf_secret *secret) {
    static const struct mx_span prefix = MX_SPAN("file:");
    bool is_file = word.len > prefix.len && memcmp(word.ptr, prefix.ptr, prefix.len) == 0;
    const char *copy =
        mx_arena_copy(self->conf->arena, is_file ? mx_span_skip(word, prefix.len) : word);
    if (!copy)
        return false; /* the arena remembers it */
    *secret = (struct mx_conf_secret){.text = mx_span_of(copy), .file = is_file ? copy : NULL};
    if (is_file && !read_secret(self, row, node, secret))
        return false;
    bool is_good = (int64_t)secret->text.len >= row->min && (int64_t)secret->text.len <= row->max &&
                   mx_text_is_utf8(secret->text);
    if (!is_good)
        mx_loader_fail(self, node, "%s must be UTF-8 of %d to %d octets", row->key, (int)row->min,
                       (int)row->max);
    return is_good;
}

void mx_loader_files(struct mx_loader *self) {
    struct mx_conf *conf = self->conf;
    const char *users = conf->users_path ? resolve(self, conf->users_path) : NULL;
    const char *aliases = conf->aliases_path ? resolve(self, conf->aliases_path) : NULL;
    if (users)
        complain(self, "users", users, mx_users_load(users, self->report, &conf->users));
    if (aliases)
        complain(self, "aliases", aliases,
                 mx_aliases_load(aliases, conf, self->report, &conf->aliases));
}
