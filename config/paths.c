/* The files that a configuration names. */
#include "config/arena.h"
#include "config/chain.h"
#include "config/conf.h"
#include "config/load.h"
#include "config/options.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* One path of a configuration: where its pointer lies. */
typedef int path_fn(void *context, const char **member);

static int visit_row(const struct mx_row *row, void *base, path_fn *visit, void *context) {
    const char **member = (const char **)((char *)base + row->offset);
    return *member != NULL ? visit(context, member) : 0;
}

static int visit_list(const struct mx_row *row, const char *base, path_fn *visit, void *context);

/* flags: what the row of a path must have. Lists of secrets are read by every load. */
static int visit_rows(unsigned sections, unsigned flags, void *base, path_fn *visit,
                      void *context) {
    int err = 0;
    for (size_t i = 0; i < mx_schema_count && err == 0; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & sections))
            continue;
        if (row->type == MX_TYPE_SECRETS)
            err = visit_list(row, base, visit, context);
        else if ((row->flags & flags) == flags)
            err = visit_row(row, base, visit, context);
    }
    return err;
}

static int visit_options(const struct mx_rows *rows, char *base, path_fn *visit, void *context);

static int visit_secret(char *secret, path_fn *visit, void *context) {
    const char **file = (const char **)(secret + offsetof(struct mx_conf_secret, file));
    return *file != NULL ? visit(context, file) : 0;
}

/* A list, whose rows are the arena's and may be changed. */
static int visit_list(const struct mx_row *row, const char *base, path_fn *visit, void *context) {
    struct {
        char *rows;
        uint32_t count;
    } list;
    int err = 0;
    assert(row->size == sizeof list);
    memcpy(&list, base + row->offset, sizeof list);
    const struct mx_rows *inner = row->type == MX_TYPE_TABLE ? mx_options_inner(row) : NULL;
    size_t size = inner != NULL ? inner->size : sizeof(struct mx_conf_secret);
    for (uint32_t i = 0; i < list.count && err == 0; i++) {
        char *item = list.rows + size * i;
        err = inner != NULL ? visit_options(inner, item, visit, context)
                            : visit_secret(item, visit, context);
    }
    return err;
}

static int visit_options(const struct mx_rows *rows, char *base, path_fn *visit, void *context) {
    int err = 0;
    for (size_t i = 0; i < rows->count && err == 0; i++) {
        const struct mx_row *row = &rows->rows[i];
        if (row->type == MX_TYPE_GROUP)
            err = visit_options(mx_options_inner(row), base, visit, context);
        else if (row->type == MX_TYPE_TABLE || row->type == MX_TYPE_SECRETS)
            err = visit_list(row, base, visit, context);
        else if (row->flags & MX_ROW_BESIDE)
            err = visit_row(row, base, visit, context);
    }
    return err;
}

static int visit_hooks(const struct mx_conf_server *server, path_fn *visit, void *context) {
    int err = 0;
    for (uint32_t i = 0; i < server->hook_count && err == 0; i++) {
        const struct mx_conf_hook *hook = &server->hooks[i];
        char *options;
        memcpy(&options, &hook->options, sizeof options);
        if (options != NULL)
            err = visit_options(&mx_hook_types[hook->kind]->options, options, visit, context);
    }
    return err;
}

/* Of a key: the password itself, or file:PATH. */
static int visit_key_secret(struct mx_conf *conf, const char **secret, path_fn *visit,
                            void *context) {
    static const char prefix[] = "file:";
    size_t prefix_len = sizeof prefix - 1;
    if (*secret == NULL || strncmp(*secret, prefix, prefix_len) != 0)
        return 0;
    const char *was = *secret + prefix_len, *path = was;
    int err = visit(context, &path);
    if (err < 0 || path == was)
        return err;
    char *text = mx_arena_take(conf->arena, prefix_len + strlen(path) + 1);
    if (text == NULL)
        return -ENOMEM;
    memcpy(text, prefix, prefix_len);
    memcpy(text + prefix_len, path, strlen(path) + 1);
    *secret = text;
    return 0;
}

/* The rows are the arena's and may be changed; whoever does not change them writes nothing. */
static int visit_certificate(struct mx_conf *conf, const struct mx_conf_certificate *row,
                             path_fn *visit, void *context) {
    struct mx_conf_certificate copy = *row;
    int err = visit(context, &copy.key_path);
    if (err == 0)
        err = visit(context, &copy.chain_path);
    if (err == 0)
        err = visit_key_secret(conf, &copy.secret, visit, context);
    bool is_same = copy.key_path == row->key_path && copy.chain_path == row->chain_path &&
                   copy.secret == row->secret;
    if (err < 0 || is_same)
        return err;
    if (!mx_conf_certificate_write(conf->arena, &copy))
        return -ENOMEM;
    memcpy((void *)(uintptr_t)row, &copy, sizeof copy);
    return 0;
}

static int visit_tls(struct mx_conf *conf, struct mx_conf_tls *tls, path_fn *visit, void *context) {
    const char *secret = tls->secret;
    int err = visit_key_secret(conf, &secret, visit, context);
    if (secret != tls->secret)
        tls->secret = secret;
    for (uint32_t i = 0; i < tls->more.count && err == 0; i++)
        err = visit_certificate(conf, &tls->more.rows[i], visit, context);
    return err;
}

static int visit_all(struct mx_conf *conf, unsigned flags, path_fn *visit, void *context) {
    int err = visit_rows(~(unsigned)MX_SECTION_IN_SERVER, flags, conf, visit, context);
    for (uint32_t i = 0; i < conf->server_count && err == 0; i++) {
        struct mx_conf_server *server = &conf->servers[i];
        unsigned others = server->is_lmtp ? MX_SECTION_SMTP : MX_SECTION_LMTP;
        err = visit_rows(MX_SECTION_IN_SERVER & ~others, flags, server, visit, context);
        if (err == 0)
            err = visit_hooks(server, visit, context);
        if (err == 0)
            err = visit_tls(conf, &server->tls, visit, context);
    }
    return err;
}

struct mx_span mx_conf_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    return (struct mx_span){path, slash ? (size_t)(slash - path) + 1 : 0};
}

struct teller {
    struct mx_span folder;
    mx_conf_file_fn *tell;
    void *context;
};

static int tell_file(void *context, const char **member) {
    const struct teller *self = context;
    size_t len = strlen(*member);
    char path[2 * PATH_MAX];
    if (**member == '/' || self->folder.len == 0) {
        self->tell(self->context, *member);
    } else if (self->folder.len + len < sizeof path) { /* else nobody can open it */
        memcpy(path, self->folder.ptr, self->folder.len);
        memcpy(path + self->folder.len, *member, len + 1);
        self->tell(self->context, path);
    }
    return 0;
}

void mx_conf_each_file(const struct mx_conf *conf, mx_conf_file_fn *tell, void *context) {
    struct mx_conf copy = *conf; /* whose members are not changed */
    struct teller teller = {{0}, tell, context};
    if (conf->path != NULL) {
        teller.folder = mx_conf_folder(conf->path);
        tell(context, conf->path);
    }
    int err = visit_all(&copy, MX_ROW_BESIDE | MX_ROW_RELOAD, tell_file, &teller);
    assert(err == 0);
}

struct absolute {
    struct mx_arena *arena;
    const char *folder;
};

static int make_absolute(void *context, const char **member) {
    const struct absolute *self = context;
    size_t folder_len = strlen(self->folder), len = strlen(*member);
    if (**member == '/' || folder_len + 1 + len >= PATH_MAX)
        return 0;
    char *path = mx_arena_take(self->arena, folder_len + 1 + len + 1);
    if (path == NULL)
        return -ENOMEM;
    memcpy(path, self->folder, folder_len);
    path[folder_len] = '/';
    memcpy(path + folder_len + 1, *member, len);
    *member = path;
    return 0;
}

int mx_conf_make_absolute(struct mx_conf *conf) {
    struct absolute self = {.arena = conf->arena};
    if (conf->path == NULL)
        return 0;
    struct mx_span folder = mx_conf_folder(conf->path);
    const char *name = folder.len > 0 ? mx_arena_copy(conf->arena, folder) : ".";
    char *real = name != NULL ? realpath(name, NULL) : NULL;
    if (real == NULL)
        return name != NULL ? -errno : -ENOMEM;
    self.folder = strcmp(real, "/") == 0 ? "" : real;
    int err = visit_all(conf, MX_ROW_BESIDE, make_absolute, &self);
    free(real);
    return err;
}
