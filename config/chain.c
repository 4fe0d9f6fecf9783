/* handlerchain: a list of hooks, each a name or a map of one name and its options. */
#include "config/chain.h"

#include "config/load.h"
#include "config/text.h"
#include "config/value.h"

#include <assert.h>

#define OPTION(member)                                                                             \
    offsetof(struct mx_conf_hook, member), sizeof(((struct mx_conf_hook *)0)->member)

static const struct mx_lookup words_check[] = {
    {"mappingExists",    MX_ALIAS_CHECK_EXISTS},
    {"anyMappingValid",  MX_ALIAS_CHECK_ANY   },
    {"allMappingsValid", MX_ALIAS_CHECK_ALL   },
    {NULL,               0                    }
};

/* clang-format off */
static const struct mx_row valid_rcpt_rows[] = {
    {"enableRecipientRewriteTable", 0, MX_TYPE_BOOL, MX_UNIT_NONE, MX_ROW_RELOAD, 0, 1, "true",
     "enableRecipientRewriteTable", NULL, OPTION(uses_aliases),
     "an alias is as good as a user"},
    {"recipientRewriteTableCheck", 0, MX_TYPE_WORD, MX_UNIT_NONE, MX_ROW_RELOAD, 0, 0,
     "mappingExists", "recipientRewriteTableCheck", words_check, OPTION(alias_check),
     "the alias need only be there, or one of its targets must be valid, or all; a target is valid "
     "when it is a user or in no local domain"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_types[MX_HOOK_KIND_COUNT] = {
    [MX_HOOK_KIND_VALID_RCPT] = {"ValidRcptHandler", valid_rcpt_rows,
                                 sizeof valid_rcpt_rows / sizeof *valid_rcpt_rows,
                                 "RCPT to a local domain that is neither a user nor an alias: `550 "
                                 "5.1.1 Unknown user`; built into LMTP when there are users"},
};

/* In James's chain, but always there. */
static const char *const core_names[] = {"CoreCmdHandlerLoader", "NoAuthCmdHandlerLoader",
                                         "MailetContainerCmdHandlerLoader"};

static const struct mx_hook_type *find_type(struct mx_span name) {
    for (size_t i = 0; i < MX_HOOK_KIND_COUNT; i++) {
        if (mx_span_equal(mx_span_of(mx_hook_types[i].name), name))
            return &mx_hook_types[i];
    }
    return NULL;
}

static void refuse_name(struct mx_loader *self, const struct mx_yaml_node *node) {
    char word[64];
    mx_text_quote(node->text, word, sizeof word);
    for (size_t i = 0; i < sizeof core_names / sizeof *core_names; i++) {
        if (mx_span_equal(mx_span_of(core_names[i]), node->text)) {
            mx_loader_fail(self, node, "the core handlers are always there: leave '%s' out", word);
            return;
        }
    }
    mx_loader_fail(self, node, "hook '%s' is not available in this version, which has %s", word,
                   mx_hook_types[MX_HOOK_KIND_VALID_RCPT].name);
}

static void set_defaults(const struct mx_hook_type *type, struct mx_conf_hook *hook) {
    *hook = (struct mx_conf_hook){.kind = (enum mx_hook_kind)(type - mx_hook_types)};
    for (size_t i = 0; i < type->row_count; i++) {
        int64_t value = 0;
        int err = mx_value_parse(&type->rows[i], mx_span_of(type->rows[i].value), &value);
        assert(err == 0);
        mx_value_set(&type->rows[i], hook, value);
    }
}

static const struct mx_row *find_row(const struct mx_hook_type *type, struct mx_span key) {
    for (size_t i = 0; i < type->row_count; i++) {
        if (mx_span_equal(mx_span_of(type->rows[i].key), key))
            return &type->rows[i];
    }
    return NULL;
}

static void refuse_option(struct mx_loader *self, const struct mx_hook_type *type,
                          const struct mx_yaml_node *key) {
    char word[64], list[200] = "";
    size_t len = 0;
    for (size_t i = 0; i < type->row_count; i++) {
        int put =
            snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", type->rows[i].key);
        assert(put > 0 && (size_t)put < sizeof list - len);
        len += (size_t)put;
    }
    mx_loader_fail(self, key, "unknown option '%s' of %s; valid options: %s",
                   mx_text_quote(key->text, word, sizeof word), type->name, list);
}

static void apply_option(struct mx_loader *self, const struct mx_row *row,
                         const struct mx_yaml_node *node, struct mx_conf_hook *hook) {
    struct mx_span text;
    int64_t value = 0;
    char message[320];
    if (!mx_loader_text(self, row, node, &text))
        return;
    int err = mx_value_parse(row, text, &value);
    if (err == 0)
        mx_value_set(row, hook, value);
    else
        mx_loader_fail(self, node, "%s", mx_value_error(row, err, text, message, sizeof message));
}

static void apply_options(struct mx_loader *self, const struct mx_hook_type *type,
                          const struct mx_yaml_node *map, struct mx_conf_hook *hook) {
    uint32_t seen = 0; /* bits of rows */
    bool is_nothing = map->kind == MX_YAML_SCALAR && map->text.len == 0;
    if (map->kind != MX_YAML_MAP) {
        if (!is_nothing && map->kind != MX_YAML_VOID)
            mx_loader_fail(self, map, "the options of %s must be a map", type->name);
        return;
    }
    for (const struct mx_yaml_node *key = map->child; key; key = key->next->next) {
        const struct mx_row *row = key->kind == MX_YAML_SCALAR ? find_row(type, key->text) : NULL;
        uint32_t bit = row ? 1u << (row - type->rows) : 0;
        if (!row && key->kind == MX_YAML_SCALAR)
            refuse_option(self, type, key);
        else if (seen & bit)
            mx_loader_fail(self, key, "duplicate option '%s'", row->key);
        else if (row)
            apply_option(self, row, key->next, hook);
        seen |= bit;
    }
}

/* False: it is no hook, and that is reported. */
static bool apply_hook(struct mx_loader *self, const struct mx_yaml_node *item,
                       struct mx_conf_hook *hook) {
    bool is_map = item->kind == MX_YAML_MAP;
    const struct mx_yaml_node *name = is_map ? item->child : item;
    if (!name || name->kind != MX_YAML_SCALAR || (is_map && item->count != 1)) {
        if (item->kind != MX_YAML_VOID)
            mx_loader_fail(self, item, "a hook is a name or a map of one name and its options");
        return false;
    }
    const struct mx_hook_type *type = find_type(name->text);
    if (!type) {
        refuse_name(self, name);
        return false;
    }
    set_defaults(type, hook);
    if (is_map)
        apply_options(self, type, name->next, hook);
    return true;
}

void mx_chain_apply(struct mx_loader *self, const struct mx_row *row,
                    const struct mx_yaml_node *node, struct mx_conf_server *server) {
    struct mx_conf_hook *hooks = NULL;
    uint32_t count = 0;
    if (node->kind == MX_YAML_VOID)
        return;
    if (node->kind != MX_YAML_LIST) {
        mx_loader_fail(self, node, "%s must be a list; [] means the core handlers only", row->key);
        return;
    }
    if (node->count > MX_CONF_HOOKS_MAX) {
        mx_loader_fail(self, node, "%s has more than %d hooks", row->key, MX_CONF_HOOKS_MAX);
        return;
    }
    if (node->count > 0)
        hooks = mx_arena_take(self->conf->arena, node->count * sizeof *hooks);
    for (const struct mx_yaml_node *item = node->child; item && hooks; item = item->next)
        count += apply_hook(self, item, &hooks[count]);
    server->hooks = hooks;
    server->hook_count = count;
}

void mx_chain_text(const struct mx_conf_hook *hook, char text[MX_CHAIN_TEXT_MAX]) {
    const struct mx_hook_type *type = &mx_hook_types[hook->kind];
    char value[MX_SIZE_TEXT_MAX];
    int len = snprintf(text, MX_CHAIN_TEXT_MAX, "%s: {", type->name);
    for (size_t i = 0; i < type->row_count; i++) {
        mx_value_text(&type->rows[i], mx_value_get(&type->rows[i], hook), value, sizeof value);
        len += snprintf(text + len, MX_CHAIN_TEXT_MAX - (size_t)len, "%s%s: %s", i > 0 ? ", " : "",
                        type->rows[i].key, value);
        assert(len > 0 && len + 2 < MX_CHAIN_TEXT_MAX);
    }
    memcpy(text + len, "}", 2);
}
