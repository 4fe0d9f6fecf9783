#include "config/diff.h"

#include "config/aliases.h"
#include "config/arena.h"
#include "config/chain.h"
#include "config/item.h"
#include "config/users.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Of a list that has changed, so many items are named. */
enum { ITEMS_NAMED = 20, TEXT_MAX = 2000, VALUE_MAX = 600 };

struct diff {
    mx_diff_fn *tell;
    void *context;
    char place[400];   /* "engine", "smtpservers 'mx' (0.0.0.0:25)"; empty at the top */
    const char *inner; /* a section of that server; NULL: none */
};

/* ---- one value ---- */

static const char *text_of(const struct mx_row *row, const void *base) {
    const char *text = NULL;
    assert(row->size == sizeof text);
    memcpy(&text, (const char *)base + row->offset, sizeof text);
    return text;
}

static void value_text(const struct mx_row *row, const void *base, char text[VALUE_MAX]) {
    if (mx_value_is_scalar(row)) {
        mx_value_text(row, mx_value_get(row, base), text, VALUE_MAX);
        return;
    }
    const char *value = text_of(row, base);
    if (value && (row->flags & MX_ROW_SECRET))
        value = "(hidden)";
    int len =
        value ? snprintf(text, VALUE_MAX, "\"%s\"", value) : snprintf(text, VALUE_MAX, "null");
    assert(len > 0); /* cut when it is a very long path */
}

static void say(struct diff *self, const struct mx_row *row, const char *change) {
    char text[TEXT_MAX + 500];
    bool is_server = row->sections & MX_SECTION_IN_SERVER;
    const char *dot = self->place[0] == '\0' ? "" : is_server ? ": " : ".";
    int len = snprintf(text, sizeof text, "%s%s%s%s%s: %s", self->place, dot,
                       self->inner ? self->inner : "", self->inner ? "." : "", row->key, change);
    assert(len > 0 && (size_t)len < sizeof text);
    self->tell(self->context, text, !(row->flags & MX_ROW_RELOAD));
}

static bool is_same(const struct mx_row *row, const void *old, const void *new) {
    if (mx_value_is_scalar(row))
        return mx_value_get(row, old) == mx_value_get(row, new);
    const char *before = text_of(row, old), *after = text_of(row, new);
    return before && after ? strcmp(before, after) == 0 : before == after;
}

static void compare_value(struct diff *self, const struct mx_row *row, const void *old,
                          const void *new) {
    char before[VALUE_MAX], after[VALUE_MAX], change[TEXT_MAX];
    if (is_same(row, old, new))
        return;
    value_text(row, old, before);
    value_text(row, new, after);
    int len = snprintf(change, sizeof change, "%s -> %s", before, after);
    assert(len > 0 && (size_t)len < sizeof change);
    say(self, row, change);
}

/* ---- one list ---- */

struct item {
    struct mx_span key;   /* what is compared */
    struct mx_span shown; /* without secrets */
};

struct items {
    struct item *rows;
    char *texts; /* of items that are borrowed from nobody else */
    uint32_t count;
};

static int compare_texts(struct mx_span left, struct mx_span right) {
    size_t len = left.len < right.len ? left.len : right.len;
    int order = len > 0 ? memcmp(left.ptr, right.ptr, len) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static int compare_keys(const void *a, const void *b) {
    const struct item *left = a, *right = b;
    return compare_texts(left->key, right->key);
}

static int collect_items(const struct mx_row *row, const void *base, struct items *items) {
    items->texts = malloc((items->count + (size_t)1) * MX_ITEM_TEXT_MAX);
    if (!items->texts)
        return -ENOMEM;
    for (uint32_t i = 0; i < items->count; i++) {
        struct item *item = &items->rows[i];
        item->key = mx_item_text(row, base, i, items->texts + (size_t)i * MX_ITEM_TEXT_MAX);
        item->shown = row->type == MX_TYPE_SECRETS ? MX_SPAN("(hidden)") : item->key;
    }
    return 0;
}

/* Each hook twice, one text behind the other: with its secrets, and without. */
static int collect_hooks(const struct mx_conf_server *server, struct items *items) {
    size_t len = 0;
    FILE *stream = open_memstream(&items->texts, &len);
    if (!stream)
        return -ENOMEM;
    for (uint32_t i = 0; i < items->count; i++) {
        struct item *item = &items->rows[i];
        long begin = ftell(stream);
        mx_chain_print(stream, &server->hooks[i], false);
        long middle = ftell(stream);
        mx_chain_print(stream, &server->hooks[i], true);
        item->key.len = (size_t)(middle - begin);
        item->shown.len = (size_t)(ftell(stream) - middle);
    }
    if (fclose(stream) != 0)
        return -ENOMEM;
    const char *at = items->texts;
    for (uint32_t i = 0; i < items->count; i++) {
        items->rows[i].key.ptr = at;
        items->rows[i].shown.ptr = at + items->rows[i].key.len;
        at = items->rows[i].shown.ptr + items->rows[i].shown.len;
    }
    return 0;
}

static int collect(const struct mx_row *row, const void *base, struct items *items) {
    *items = (struct items){.count = mx_item_count(row, base)};
    items->rows = calloc(items->count + (size_t)1, sizeof *items->rows);
    if (!items->rows)
        return -ENOMEM;
    int err =
        row->type == MX_TYPE_CHAIN ? collect_hooks(base, items) : collect_items(row, base, items);
    if (err == 0)
        qsort(items->rows, items->count, sizeof *items->rows, compare_keys);
    return err;
}

static void free_items(struct items *items) {
    free(items->rows);
    free(items->texts);
}

struct list_change {
    char text[TEXT_MAX];
    size_t len;
    uint32_t named, unnamed;
};

static void name(struct list_change *self, char sign, struct mx_span item) {
    size_t room = sizeof self->text - 64 - self->len; /* for the number of the others */
    if (self->named == ITEMS_NAMED || item.len + 3 > room) {
        self->unnamed++;
        return;
    }
    int len = snprintf(self->text + self->len, room, "%s%c%.*s", self->named ? " " : "", sign,
                       (int)item.len, item.ptr);
    assert(len > 0 && (size_t)len < room);
    self->len += (size_t)len;
    self->named++;
}

/* Both are sorted. */
static void compare_items(struct list_change *change, const struct items *old,
                          const struct items *new) {
    uint32_t i = 0, j = 0;
    while (i < old->count || j < new->count) {
        int order = i == old->count   ? 1
                    : j == new->count ? -1
                                      : compare_texts(old->rows[i].key, new->rows[j].key);
        if (order < 0)
            name(change, '-', old->rows[i].shown);
        if (order > 0)
            name(change, '+', new->rows[j].shown);
        i += order <= 0;
        j += order >= 0;
    }
}

static int compare_list(struct diff *self, const struct mx_row *row, const void *old,
                        const void *new) {
    struct items before = {0}, after = {0};
    struct list_change change = {0};
    int err = collect(row, old, &before);
    if (err == 0)
        err = collect(row, new, &after);
    if (err == 0)
        compare_items(&change, &before, &after);
    if (change.unnamed > 0) {
        int len = snprintf(change.text + change.len, sizeof change.text - change.len,
                           "%sand %u more", change.named ? " " : "", change.unnamed);
        assert(len > 0);
    }
    if (change.named + change.unnamed > 0)
        say(self, row, change.text);
    free_items(&before);
    free_items(&after);
    return err;
}

/* ---- all rows of a section ---- */

static int compare_rows(struct diff *self, enum mx_section section, const void *old,
                        const void *new) {
    int err = 0;
    for (size_t i = 0; i < mx_schema_count && err == 0; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & section) || row->type == MX_TYPE_SECTION ||
            row->type == MX_TYPE_SERVERS)
            continue;
        bool is_value =
            mx_value_is_scalar(row) || (row->type >= MX_TYPE_TEXT && row->type <= MX_TYPE_DOMAIN);
        if (is_value)
            compare_value(self, row, old, new);
        else
            err = compare_list(self, row, old, new);
    }
    return err;
}

/* Who is in the file is not told, only how many. */
static void compare_counts(struct diff *self, const char *key, uint32_t before, uint32_t after) {
    char text[100];
    if (before != after &&
        snprintf(text, sizeof text, "%s: %u entries -> %u", key, before, after) > 0)
        self->tell(self->context, text, false);
}

static int compare_sections(struct diff *self, const struct mx_conf *old,
                            const struct mx_conf *new) {
    int err = compare_rows(self, MX_SECTION_TOP, old, new);
    compare_counts(self, "users", mx_users_count(old->users), mx_users_count(new->users));
    compare_counts(self, "aliases", mx_aliases_count(old->aliases), mx_aliases_count(new->aliases));
    for (size_t i = 0; i < mx_schema_count && err == 0; i++) {
        if (mx_schema[i].type != MX_TYPE_SECTION || !(mx_schema[i].sections & MX_SECTION_TOP))
            continue;
        int len = snprintf(self->place, sizeof self->place, "%s", mx_schema[i].key);
        assert(len > 0 && (size_t)len < sizeof self->place);
        err = compare_rows(self, (enum mx_section)mx_schema[i].min, old, new);
    }
    return err;
}

/* ---- servers ---- */

static bool has_common_bind(const struct mx_conf_server *a, const struct mx_conf_server *b) {
    for (uint32_t i = 0; i < a->bind_count; i++) {
        for (uint32_t j = 0; j < b->bind_count; j++) {
            if (memcmp(&a->binds[i].addr, &b->binds[j].addr, sizeof a->binds[i].addr) == 0)
                return true;
        }
    }
    return false;
}

static bool has_name(const struct mx_conf_server *a, const struct mx_conf_server *b) {
    return a->is_lmtp == b->is_lmtp && strcmp(a->name, b->name) == 0;
}

static uint32_t count_named(const struct mx_conf *conf, const struct mx_conf_server *server) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->server_count; i++)
        count += has_name(&conf->servers[i], server);
    return count;
}

struct matcher {
    const struct mx_conf *old, *new;
    uint32_t *map;
    bool is_taken[MX_CONF_SERVERS_MAX]; /* of the old ones */
};

typedef bool match_fn(const struct matcher *self, const struct mx_conf_server *old,
                      const struct mx_conf_server *new);

static bool by_bind(const struct matcher *self, const struct mx_conf_server *old,
                    const struct mx_conf_server *new) {
    (void)self;
    return has_common_bind(old, new);
}

static bool by_name(const struct matcher *self, const struct mx_conf_server *old,
                    const struct mx_conf_server *new) {
    return has_name(old, new) && count_named(self->old, old) == 1 &&
           count_named(self->new, new) == 1;
}

static bool by_kind(const struct matcher *self, const struct mx_conf_server *old,
                    const struct mx_conf_server *new) {
    (void)self;
    return old->is_lmtp == new->is_lmtp;
}

static void match(struct matcher *self, match_fn *is_match) {
    for (uint32_t n = 0; n < self->new->server_count; n++) {
        for (uint32_t o = 0; o < self->old->server_count; o++) {
            if (self->map[n] != MX_CONF_NO_SERVER || self->is_taken[o] ||
                !is_match(self, &self->old->servers[o], &self->new->servers[n]))
                continue;
            self->map[n] = o;
            self->is_taken[o] = true;
        }
    }
}

void mx_conf_match(const struct mx_conf *old, const struct mx_conf *new,
                   uint32_t map[MX_CONF_SERVERS_MAX]) {
    struct matcher self = {.old = old, .new = new, .map = map};
    for (uint32_t i = 0; i < MX_CONF_SERVERS_MAX; i++)
        map[i] = MX_CONF_NO_SERVER;
    match(&self, by_bind);
    match(&self, by_name);
    match(&self, by_kind);
}

static enum mx_section section_of(const struct mx_conf_server *server) {
    assert(server);
    return server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP;
}

static void set_place(struct diff *self, const struct mx_conf_server *server) {
    int len = snprintf(self->place, sizeof self->place, "%s '%s' (%s%s)",
                       mx_schema_section_name(section_of(server)), server->name,
                       server->bind_count > 0 ? server->binds[0].text : "nowhere",
                       server->bind_count > 1 ? ", ..." : "");
    assert(len > 0 && (size_t)len < sizeof self->place);
}

static void tell_server(struct diff *self, const struct mx_conf_server *server, const char *what) {
    char text[TEXT_MAX];
    set_place(self, server);
    int len = snprintf(text, sizeof text, "%s: %s%s", self->place, what,
                       server->enabled ? "" : " (not enabled)");
    assert(len > 0 && (size_t)len < sizeof text);
    self->tell(self->context, text, false);
}

static int compare_server(struct diff *self, const struct mx_conf_server *old,
                          const struct mx_conf_server *new) {
    enum mx_section section = section_of(new);
    set_place(self, old);
    int err = compare_rows(self, section, old, new);
    for (size_t i = 0; i < mx_schema_count && err == 0; i++) {
        if (mx_schema[i].type != MX_TYPE_SECTION || !(mx_schema[i].sections & section))
            continue;
        self->inner = mx_schema[i].key;
        err = compare_rows(self, (enum mx_section)mx_schema[i].min, old, new);
        self->inner = NULL;
    }
    return err;
}

static int compare_servers(struct diff *self, const struct mx_conf *old,
                           const struct mx_conf *new) {
    uint32_t map[MX_CONF_SERVERS_MAX];
    bool is_kept[MX_CONF_SERVERS_MAX] = {false};
    int err = 0;
    mx_conf_match(old, new, map);
    for (uint32_t i = 0; i < new->server_count &&err == 0; i++) {
        const struct mx_conf_server *server = &new->servers[i];
        const struct mx_conf_server *before =
            map[i] != MX_CONF_NO_SERVER ? &old->servers[map[i]] : NULL;
        if (!before || before->is_lmtp != server->is_lmtp) {
            tell_server(self, server, "new server");
            continue;
        }
        is_kept[map[i]] = true;
        err = compare_server(self, before, server);
    }
    for (uint32_t i = 0; i < old->server_count && err == 0; i++) {
        if (!is_kept[i])
            tell_server(self, &old->servers[i], "server removed");
    }
    return err;
}

int mx_conf_diff(const struct mx_conf *old, const struct mx_conf *new, mx_diff_fn *tell,
                 void *context) {
    struct diff self = {.tell = tell, .context = context};
    int err = compare_sections(&self, old, new);
    return err == 0 ? compare_servers(&self, old, new) : err;
}

/* ---- what stays ---- */

int mx_conf_keep(struct mx_conf *new, const struct mx_conf *old) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        const struct mx_row *row = &mx_schema[i];
        if ((row->flags & MX_ROW_RELOAD) || (row->sections & MX_SECTION_IN_SERVER) ||
            row->size == 0)
            continue;
        char *to = (char *)new + row->offset;
        memcpy(to, (const char *)old + row->offset, row->size);
        const char *text =
            row->type >= MX_TYPE_TEXT && row->type <= MX_TYPE_DOMAIN ? text_of(row, old) : NULL;
        if (!text)
            continue;
        text = mx_arena_copy(new->arena, mx_span_of(text)); /* the old arena may go first */
        if (!text)
            return -ENOMEM;
        memcpy(to, &text, sizeof text);
    }
    return 0;
}
