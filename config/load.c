#include "config/load.h"

#include "config/env.h"
#include "config/options.h"
#include "config/report.h"
#include "config/text.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

void mx_loader_fail(struct mx_loader *self, const struct mx_yaml_node *node, const char *format,
                    ...) {
    char text[sizeof((struct mx_conf_problem *)NULL)->text];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mx_report_add(self->report, node->line, node->column, self->is_lenient, "%s",
                  len < 0 ? "" : text);
}

static void report_env(struct mx_loader *self, const struct mx_yaml_node *node, int err,
                       const char *name) {
    switch (err) {
    case -ENOENT:
        mx_report_add(self->report, node->line, node->column, self->is_check || self->is_lenient,
                      "the environment variable %s is not set", name);
        return;
    case -EILSEQ:
        mx_loader_fail(self, node, "the environment variable %s is not printable UTF-8", name);
        return;
    case MX_ELIMIT:
        mx_loader_fail(self, node, "longer than %d octets with its environment variables",
                       MX_ENV_VALUE_MAX);
        return;
    case MX_ESYNTAX:
        mx_loader_fail(self, node, "after ${ only env:NAME} is allowed");
        return;
    default:
        assert(err == -ENOMEM); /* the arena remembers it */
        return;
    }
}

static bool is_null(const struct mx_yaml_node *node) {
    return node->is_plain && node->kind == MX_YAML_SCALAR &&
           (node->text.len == 0 || mx_span_equal(node->text, MX_SPAN("~")) ||
            mx_span_equal_nocase(node->text, MX_SPAN("null")));
}

bool mx_loader_text(struct mx_loader *self, const struct mx_row *row,
                    const struct mx_yaml_node *node, struct mx_span *text) {
    char name[MX_ENV_NAME_MAX] = "";
    if (node->kind == MX_YAML_VOID)
        return false;
    if (node->kind != MX_YAML_SCALAR) {
        mx_loader_fail(self, node, "%s must be a single value, not a %s", row->key,
                       node->kind == MX_YAML_MAP ? "map" : "list");
        return false;
    }
    if (is_null(node)) {
        mx_loader_fail(self, node, "%s has no value", row->key);
        return false;
    }
    *text = node->text;
    int err = mx_env_expand(self->scratch, text, name);
    if (err < 0) {
        report_env(self, node, err, name);
        return false;
    }
    *text = mx_text_trim(*text);
    return true;
}

static void apply_scalar(struct mx_loader *self, const struct mx_row *row,
                         const struct mx_yaml_node *node, void *base) {
    struct mx_span text;
    int64_t value = 0;
    char message[320];
    if (!mx_loader_text(self, row, node, &text))
        return;
    int err = mx_value_parse(row, text, &value);
    if (err == 0)
        mx_value_set(row, base, value);
    else
        mx_loader_fail(self, node, "%s", mx_value_error(row, err, text, message, sizeof message));
}

static void set_text(struct mx_loader *self, const struct mx_row *row, struct mx_span text,
                     void *base) {
    char *copy = mx_arena_copy(self->conf->arena, text);
    assert(row->size == sizeof copy);
    for (size_t i = 0; copy && row->type == MX_TYPE_DOMAIN && i < text.len; i++)
        copy[i] = mx_ascii_lower(copy[i]);
    memcpy((char *)base + row->offset, &copy, sizeof copy);
}

static struct mx_span machine_name(char buf[MX_HOST_MAX + 1]) {
    buf[MX_HOST_MAX] = '\0';
    if (gethostname(buf, MX_HOST_MAX) < 0 || !mx_text_is_host(mx_span_of(buf)))
        return MX_SPAN("localhost");
    return mx_span_of(buf);
}

static struct mx_span resolve_hello(struct mx_span name, char buf[MX_HOST_MAX + 1]) {
    return mx_span_equal_nocase(name, MX_SPAN("auto")) ? machine_name(buf) : name;
}

int mx_conf_set_hello_name(struct mx_conf *conf, struct mx_conf_server *server, const char *name) {
    char machine[MX_HOST_MAX + 1];
    struct mx_span text = resolve_hello(mx_span_of(name), machine);
    if (!mx_text_is_host(text))
        return MX_ESYNTAX;
    const char *copy = mx_arena_copy(conf->arena, text);
    if (!copy)
        return -ENOMEM;
    server->hello_name = copy;
    return 0;
}

static void apply_host(struct mx_loader *self, const struct mx_row *row,
                       const struct mx_yaml_node *node, struct mx_span text, void *base) {
    char machine[MX_HOST_MAX + 1], quoted[64];
    if (row->type == MX_TYPE_HELLO)
        text = resolve_hello(text, machine);
    if (!mx_text_is_host(text)) {
        mx_loader_fail(self, node, "%s must be %sa host name, not '%s'", row->key,
                       row->type == MX_TYPE_HELLO ? "auto or " : "",
                       mx_text_quote(text, quoted, sizeof quoted));
        return;
    }
    set_text(self, row, text, base);
}

static void apply_text(struct mx_loader *self, const struct mx_row *row,
                       const struct mx_yaml_node *node, void *base) {
    struct mx_span text;
    if ((row->flags & MX_ROW_NULLABLE) && is_null(node) && node->text.len > 0)
        return;
    if (!mx_loader_text(self, row, node, &text))
        return;
    if (row->type == MX_TYPE_HELLO || row->type == MX_TYPE_DOMAIN) {
        apply_host(self, row, node, text, base);
        return;
    }
    bool is_path = row->type == MX_TYPE_PATH;
    if (!(is_path ? mx_text_is_utf8(text) : mx_text_is_printable(text)))
        mx_loader_fail(self, node, "%s must be printable %s", row->key,
                       is_path ? "UTF-8" : "ASCII");
    else if ((int64_t)text.len < row->min || (int64_t)text.len > row->max)
        mx_loader_fail(self, node, "%s must have %d to %d octets", row->key, (int)row->min,
                       (int)row->max);
    else
        set_text(self, row, text, base);
}

/* "; valid keys: a, b": cut when there is no room for all of them. */
static void list_keys(enum mx_section section, char *buf, size_t size) {
    static const char cut[] = ", ...";
    size_t len = 0;
    for (size_t i = 0; i < mx_schema_count; i++) {
        if (!(mx_schema[i].sections & section))
            continue;
        int put = snprintf(buf + len, size - len, "%s%s",
                           len ? ", " : "; valid keys: ", mx_schema[i].key);
        if (put < 0 || (size_t)put + sizeof cut > size - len) {
            memcpy(buf + len, cut, sizeof cut);
            return;
        }
        len += (size_t)put;
    }
}

static void refuse_key(struct mx_loader *self, enum mx_section section,
                       const struct mx_yaml_node *key) {
    char word[64], list[480] = "";
    const char *where = mx_schema_section_name(section);
    mx_text_quote(key->text, word, sizeof word);
    if (mx_schema_is_reserved(section, key->text)) {
        mx_loader_fail(self, key, "'%s' is not available in this version", word);
        return;
    }
    if ((section & MX_SECTION_SERVER) && (mx_schema_find(MX_SECTION_SERVER, key->text) ||
                                          mx_schema_is_reserved(MX_SECTION_SERVER, key->text))) {
        mx_loader_fail(self, key, "'%s' is not an option of %s", word, where);
        return;
    }
    const char *nearest = mx_schema_nearest(section, key->text);
    bool is_reserved = nearest && mx_schema_is_reserved(section, mx_span_of(nearest));
    if (!nearest || !(section & MX_SECTION_SERVER)) /* a server has many */
        list_keys(section, list, sizeof list);
    if (nearest)
        mx_loader_fail(self, key, "unknown key '%s' in %s; did you mean '%s'%s?%s", word, where,
                       nearest, is_reserved ? " (not in this version)" : "", list);
    else
        mx_loader_fail(self, key, "unknown key '%s' in %s%s", word, where, list);
}

/* Sort the pairs of a map by row. Of duplicates the first counts; they are no trifle anywhere. */
static void collect(struct mx_loader *self, enum mx_section section, const struct mx_yaml_node *map,
                    struct mx_origin *origin) {
    uint32_t first_line[MX_ROWS_MAX];
    for (const struct mx_yaml_node *key = map->child; key; key = key->next->next) {
        assert(key->next);
        if (key->kind != MX_YAML_SCALAR)
            continue;
        const struct mx_row *row = mx_schema_find(section, key->text);
        if (!row) {
            refuse_key(self, section, key);
            continue;
        }
        size_t index = mx_schema_index(row);
        if (origin->values[index]) {
            mx_report_add(self->report, key->line, key->column, false,
                          "duplicate key '%s', first in line %u", row->key, first_line[index]);
            continue;
        }
        origin->values[index] = key->next;
        first_line[index] = key->line;
    }
}

static void apply_rows(struct mx_loader *self, enum mx_section section, struct mx_origin *origin,
                       void *base);

static bool is_map(struct mx_loader *self, const char *name, const struct mx_yaml_node *node) {
    if (node->kind == MX_YAML_MAP)
        return true;
    if (node->kind == MX_YAML_VOID)
        return false;
    mx_loader_fail(self, node, "%s must be a map of keys and values", name);
    return false;
}

static void apply_section(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *node, struct mx_origin *origin, void *base) {
    if (is_null(node) || !is_map(self, row->key, node))
        return;
    collect(self, (enum mx_section)row->min, node, origin);
    apply_rows(self, (enum mx_section)row->min, origin, base);
}

/* Will false be stored in "enabled"? Asked before anything of the entry is judged; what is wrong
 * with the value itself is reported with the rest. */
static bool is_disabled(const struct mx_loader *self, enum mx_section section,
                        const struct mx_yaml_node *map) {
    const struct mx_row *row = mx_schema_find(section, MX_SPAN("enabled"));
    struct mx_conf_server server = {.enabled = true};
    struct mx_conf_report unheard = {0};
    struct mx_loader quiet = *self;
    quiet.report = &unheard;
    for (const struct mx_yaml_node *key = map->child; key; key = key->next->next) {
        if (key->kind == MX_YAML_SCALAR && mx_span_equal(key->text, mx_span_of(row->key))) {
            apply_scalar(&quiet, row, key->next, &server);
            break; /* the first of duplicates, as in collect() */
        }
    }
    mx_conf_report_free(&unheard);
    return !server.enabled;
}

static void apply_server(struct mx_loader *self, enum mx_section section,
                         const struct mx_yaml_node *node) {
    struct mx_conf_server *server = mx_conf_add_server(self->conf, section == MX_SECTION_LMTP);
    struct mx_origin *origins = mx_arena_grow(self->scratch, self->origins, self->origin_count,
                                              &self->origin_capacity, sizeof *origins);
    if (!server || !origins)
        return; /* out of memory: the arenas remember it */
    self->origins = origins;
    struct mx_origin *origin = &origins[self->origin_count++];
    *origin = (struct mx_origin){.map = node};
    self->is_lenient = is_disabled(self, section, node);
    collect(self, section, node, origin);
    apply_rows(self, section, origin, server);
    self->is_lenient = false;
}

static void apply_servers(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *list) {
    if (is_null(list) || list->kind == MX_YAML_VOID)
        return;
    if (list->kind != MX_YAML_LIST) {
        mx_loader_fail(self, list, "%s must be a list of maps", row->key);
        return;
    }
    for (const struct mx_yaml_node *item = list->child; item; item = item->next) {
        if (self->conf->server_count == MX_CONF_SERVERS_MAX) {
            mx_loader_fail(self, item, "more than %d servers", MX_CONF_SERVERS_MAX);
            return;
        }
        if (is_map(self, "a server", item))
            apply_server(self, (enum mx_section)row->min, item);
    }
}

/* origin: of the map that holds a section. */
static void apply_row(struct mx_loader *self, const struct mx_row *row,
                      const struct mx_yaml_node *node, struct mx_origin *origin, void *base) {
    switch (row->type) {
    case MX_TYPE_SECTION:
        apply_section(self, row, node, origin, base);
        return;
    case MX_TYPE_SERVERS:
        apply_servers(self, row, node);
        return;
    case MX_TYPE_BOOL:
    case MX_TYPE_NUMBER:
    case MX_TYPE_LENGTH:
    case MX_TYPE_SIZE:
    case MX_TYPE_DURATION:
    case MX_TYPE_WORD:
        apply_scalar(self, row, node, base);
        return;
    case MX_TYPE_TEXT:
    case MX_TYPE_PATH:
    case MX_TYPE_HELLO:
    case MX_TYPE_DOMAIN:
        apply_text(self, row, node, base);
        return;
    case MX_TYPE_DOMAINS:
    case MX_TYPE_BINDS:
    case MX_TYPE_NETWORKS:
    case MX_TYPE_ADDRESSES:
    case MX_TYPE_FEATURES:
    case MX_TYPE_MECHANISMS:
    case MX_TYPE_TEXTS:
    case MX_TYPE_SECRETS:
    case MX_TYPE_CIPHERS:
    case MX_TYPE_CERTIFICATES:
    case MX_TYPE_CHAIN:
        mx_loader_apply_list(self, row, node, base);
        return;
    case MX_TYPE_GROUP:
    case MX_TYPE_TABLE:
        mx_options_apply_row(self, row, node, base);
        return;
    case MX_TYPE_COUNT:
        break;
    }
    assert(false && "a type of the schema");
}

void mx_loader_apply_row(struct mx_loader *self, const struct mx_row *row,
                         const struct mx_yaml_node *node, void *base) {
    assert(row->type != MX_TYPE_SECTION && row->type != MX_TYPE_SERVERS);
    apply_row(self, row, node, NULL, base);
}

/* In the order of the schema, so that smtpservers come before lmtpservers. */
static void apply_rows(struct mx_loader *self, enum mx_section section, struct mx_origin *origin,
                       void *base) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        if ((mx_schema[i].sections & section) && origin->values[i])
            apply_row(self, &mx_schema[i], origin->values[i], origin, base);
    }
}

static void apply_defaults(struct mx_loader *self, enum mx_section section, void *base) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & section))
            continue;
        if (row->type == MX_TYPE_SECTION)
            apply_defaults(self, (enum mx_section)row->min, base);
        /* null and [] are the zeroed member */
        if (!row->value || row->value[0] == '[' || (row->flags & MX_ROW_NULLABLE))
            continue;
        struct mx_yaml_node node = {.kind = MX_YAML_SCALAR, .line = 1, .column = 1};
        node.text = mx_span_of(row->value);
        apply_row(self, row, &node, &self->file, base);
    }
}

int mx_loader_defaults(struct mx_conf *conf, enum mx_section section, void *base) {
    struct mx_conf_report report = {0};
    struct mx_loader self = {.conf = conf, .scratch = conf->arena, .report = &report};
    apply_defaults(&self, section, base);
    bool is_failed = ((struct mx_arena *)conf->arena)->is_failed;
    assert(report.error_count == 0);
    return is_failed ? -ENOMEM : 0;
}

static void apply_tree(struct mx_loader *self, const struct mx_yaml_node *root) {
    if (is_null(root) || !is_map(self, "the file", root))
        return;
    self->file.map = root;
    collect(self, MX_SECTION_TOP, root, &self->file);
    apply_rows(self, MX_SECTION_TOP, &self->file, self->conf);
    mx_loader_files(self);
    mx_check_all(self);
}

static int parse_into(struct mx_loader *self, struct mx_span text) {
    struct mx_yaml_node *root = NULL;
    uint32_t errors_before = self->report->error_count;
    int err = mx_yaml_parse(self->scratch, text, self->report, &root);
    if (err < 0)
        return err;
    if (root)
        apply_tree(self, root);
    if (self->scratch->is_failed || ((struct mx_arena *)self->conf->arena)->is_failed)
        return -ENOMEM;
    return self->report->error_count > errors_before ? MX_ECONFIG : 0;
}

int mx_loader_run(struct mx_span text, struct mx_span folder, bool is_check, struct mx_conf **conf,
                  struct mx_conf_report *report) {
    struct mx_loader self = {.conf = mx_conf_new(),
                             .scratch = mx_arena_new(),
                             .report = report,
                             .folder = folder,
                             .is_check = is_check};
    int err = -ENOMEM;
    *conf = NULL;
    if (self.conf && self.scratch)
        err = parse_into(&self, text);
    mx_arena_free(self.scratch);
    if (err < 0)
        mx_conf_free(self.conf);
    else
        *conf = self.conf;
    return err;
}
