#include "config/options.h"

#include "config/text.h"
#include "config/value.h"

#include <assert.h>

static const struct mx_rows *const inners[MX_INNER_COUNT] = {
#define ROWS_OF_INNER(inner, name) [MX_INNER_##inner] = &mx_inner_##name,
    MX_INNER_LIST(ROWS_OF_INNER)
#undef ROWS_OF_INNER
};

const struct mx_rows *mx_options_inner(const struct mx_row *row) {
    assert(row->type == MX_TYPE_GROUP || row->type == MX_TYPE_TABLE);
    return inners[row->min];
}

/* ---- defaults ---- */

/* null and [] are the zeroed member. */
static bool has_default(const struct mx_row *row) {
    return row->value && row->value[0] != '[' && !(row->flags & MX_ROW_NULLABLE);
}

void mx_options_defaults(struct mx_loader *self, const struct mx_rows *rows, void *base) {
    for (size_t i = 0; i < rows->count; i++) {
        const struct mx_row *row = &rows->rows[i];
        struct mx_yaml_node node = {.kind = MX_YAML_SCALAR, .line = 1, .column = 1};
        if (row->type == MX_TYPE_GROUP)
            mx_options_defaults(self, mx_options_inner(row), base);
        if (row->type == MX_TYPE_GROUP || !has_default(row))
            continue;
        node.text = mx_span_of(row->value);
        mx_loader_apply_row(self, row, &node, base);
    }
}

/* ---- from a file ---- */

static const struct mx_row *find_row(const struct mx_rows *rows, struct mx_span key) {
    for (size_t i = 0; i < rows->count; i++) {
        if (mx_span_equal(mx_span_of(rows->rows[i].key), key))
            return &rows->rows[i];
    }
    return NULL;
}

static void refuse_option(struct mx_loader *self, const struct mx_rows *rows, const char *owner,
                          const struct mx_yaml_node *key) {
    char word[64], list[400] = "";
    size_t len = 0;
    mx_text_quote(key->text, word, sizeof word);
    for (size_t i = 0; i < rows->count; i++) {
        int put =
            snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", rows->rows[i].key);
        assert(put > 0 && (size_t)put < sizeof list - len);
        len += (size_t)put;
    }
    if (rows->count == 0)
        mx_loader_fail(self, key, "%s has no options, so '%s' is none", owner, word);
    else
        mx_loader_fail(self, key, "unknown option '%s' of %s; valid options: %s", word, owner,
                       list);
}

/* MX_ROW_NULLABLE cannot be missing, nor can what has a default. */
static bool is_mandatory(const struct mx_row *row) {
    return row->value == NULL && row->type != MX_TYPE_GROUP;
}

static void require(struct mx_loader *self, const struct mx_rows *rows, const char *owner,
                    const struct mx_yaml_node *node, uint32_t seen) {
    for (size_t i = 0; i < rows->count; i++) {
        if (is_mandatory(&rows->rows[i]) && !(seen & 1u << i))
            mx_loader_fail(self, node, "%s needs %s", owner, rows->rows[i].key);
    }
}

static uint32_t apply_pairs(struct mx_loader *self, const struct mx_rows *rows, const char *owner,
                            const struct mx_yaml_node *map, void *base) {
    uint32_t seen = 0;
    assert(rows->count <= 32);
    for (const struct mx_yaml_node *key = map->child; key; key = key->next->next) {
        const struct mx_row *row = key->kind == MX_YAML_SCALAR ? find_row(rows, key->text) : NULL;
        uint32_t bit = row ? 1u << (row - rows->rows) : 0;
        if (!row && key->kind == MX_YAML_SCALAR)
            refuse_option(self, rows, owner, key);
        else if (seen & bit)
            mx_loader_fail(self, key, "duplicate option '%s'", row->key);
        else if (row)
            mx_loader_apply_row(self, row, key->next, base);
        seen |= bit;
    }
    return seen;
}

void mx_options_apply(struct mx_loader *self, const struct mx_rows *rows, const char *owner,
                      const struct mx_yaml_node *map, void *base) {
    bool is_nothing = map->kind == MX_YAML_SCALAR && map->text.len == 0;
    if (map->kind == MX_YAML_MAP)
        require(self, rows, owner, map, apply_pairs(self, rows, owner, map, base));
    else if (is_nothing)
        require(self, rows, owner, map, 0);
    else if (map->kind != MX_YAML_VOID)
        mx_loader_fail(self, map, "the options of %s must be a map", owner);
}

static void apply_table(struct mx_loader *self, const struct mx_row *row,
                        const struct mx_yaml_node *list, void *base) {
    const struct mx_rows *inner = mx_options_inner(row);
    struct mx_conf_table table = {0};
    assert(row->size == sizeof table);
    if (list->kind != MX_YAML_LIST) {
        if (list->kind != MX_YAML_VOID)
            mx_loader_fail(self, list, "%s must be a list of maps", row->key);
        return;
    }
    if (list->count == 0 && row->value == NULL) {
        mx_loader_fail(self, list, "%s needs at least one entry", row->key);
        return;
    }
    char *rows = mx_arena_take(self->conf->arena, (list->count + (size_t)1) * inner->size);
    table.rows = rows;
    for (const struct mx_yaml_node *item = list->child; item && rows; item = item->next) {
        void *to = rows + inner->size * table.count++;
        if (!mx_loader_count(self, row, item, (uint32_t)(2 * inner->count)))
            return;
        mx_options_defaults(self, inner, to);
        mx_options_apply(self, inner, row->key, item, to);
    }
    memcpy((char *)base + row->offset, &table, sizeof table);
}

void mx_options_apply_row(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *node, void *base) {
    if (row->type == MX_TYPE_TABLE)
        apply_table(self, row, node, base);
    else
        mx_options_apply(self, mx_options_inner(row), row->key, node, base);
}

/* ---- to a file ---- */

static void print_quoted(FILE *stream, struct mx_span text) {
    putc('"', stream);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            putc('\\', stream);
        putc(text.ptr[i], stream);
    }
    putc('"', stream);
}

static void print_text(FILE *stream, const struct mx_row *row, const void *base) {
    const char *text = NULL;
    assert(row->size == sizeof text);
    memcpy(&text, (const char *)base + row->offset, sizeof text);
    if (text)
        print_quoted(stream, mx_span_of(text));
    else
        fputs("null", stream);
}

static void print_texts(FILE *stream, const struct mx_row *row, const void *base) {
    struct mx_conf_texts texts;
    assert(row->size == sizeof texts);
    memcpy(&texts, (const char *)base + row->offset, sizeof texts);
    putc('[', stream);
    for (uint32_t i = 0; i < texts.count; i++) {
        fputs(i > 0 ? ", " : "", stream);
        print_quoted(stream, texts.rows[i]);
    }
    putc(']', stream);
}

static void print_secrets(FILE *stream, const struct mx_row *row, const void *base,
                          bool hides_secrets) {
    struct mx_conf_secrets secrets;
    assert(row->size == sizeof secrets);
    memcpy(&secrets, (const char *)base + row->offset, sizeof secrets);
    putc('[', stream);
    for (uint32_t i = 0; i < secrets.count; i++) {
        const struct mx_conf_secret *secret = &secrets.rows[i];
        fputs(i > 0 ? ", " : "", stream);
        if (secret->file && hides_secrets)
            fprintf(stream, "\"file:%s\"", secret->file);
        else
            print_quoted(stream, hides_secrets ? MX_SPAN("(hidden)") : secret->text);
    }
    putc(']', stream);
}

static void print_networks(FILE *stream, const struct mx_row *row, const void *base) {
    char text[MX_NETWORK_TEXT_MAX];
    struct mx_conf_networks networks;
    assert(row->size == sizeof networks);
    memcpy(&networks, (const char *)base + row->offset, sizeof networks);
    putc('[', stream);
    for (uint32_t i = 0; i < networks.count; i++) {
        mx_size_network_text(&networks.rows[i], text);
        fprintf(stream, "%s\"%s\"", i > 0 ? ", " : "", text);
    }
    putc(']', stream);
}

static void print_table(FILE *stream, const struct mx_row *row, const void *base,
                        bool hides_secrets) {
    const struct mx_rows *inner = mx_options_inner(row);
    struct mx_conf_table table;
    memcpy(&table, (const char *)base + row->offset, sizeof table);
    putc('[', stream);
    for (uint32_t i = 0; i < table.count; i++) {
        fputs(i > 0 ? ", " : "", stream);
        mx_options_print(stream, inner, (const char *)table.rows + inner->size * i, hides_secrets);
    }
    putc(']', stream);
}

void mx_options_print_value(FILE *stream, const struct mx_row *row, const void *base,
                            bool hides_secrets) {
    char text[MX_SIZE_TEXT_MAX];
    if (mx_value_is_scalar(row)) {
        mx_value_text(row, mx_value_get(row, base), text, sizeof text);
        fputs(text, stream);
    } else if (row->type == MX_TYPE_GROUP) {
        mx_options_print(stream, mx_options_inner(row), base, hides_secrets);
    } else if (row->type == MX_TYPE_TABLE) {
        print_table(stream, row, base, hides_secrets);
    } else if (row->type == MX_TYPE_NETWORKS) {
        print_networks(stream, row, base);
    } else if (row->type == MX_TYPE_TEXTS) {
        print_texts(stream, row, base);
    } else if (row->type == MX_TYPE_SECRETS) {
        print_secrets(stream, row, base, hides_secrets);
    } else {
        print_text(stream, row, base);
    }
}

void mx_options_print(FILE *stream, const struct mx_rows *rows, const void *base,
                      bool hides_secrets) {
    putc('{', stream);
    for (size_t i = 0; i < rows->count; i++) {
        fprintf(stream, "%s%s: ", i > 0 ? ", " : "", rows->rows[i].key);
        mx_options_print_value(stream, &rows->rows[i], base, hides_secrets);
    }
    putc('}', stream);
}
