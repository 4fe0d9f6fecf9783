/* handlerchain: a list of hooks, each a name or a map of one name and its options. */
#include "config/chain.h"

#include "config/load.h"
#include "config/options.h"
#include "config/text.h"

#include <assert.h>

#define NAME_OF(kind, name, class) [MX_HOOK_KIND_##kind] = (class),
const char *const mx_hook_names[MX_HOOK_KIND_COUNT] = {MX_HOOK_LIST(NAME_OF)};
#undef NAME_OF

#define TYPE_OF(kind, name, class) [MX_HOOK_KIND_##kind] = &mx_hook_type_##name,
const struct mx_hook_type *const mx_hook_types[MX_HOOK_KIND_COUNT] = {MX_HOOK_LIST(TYPE_OF)};
#undef TYPE_OF

/* Classes of James that are no hooks here, and why. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"CoreCmdHandlerLoader",            "the core handlers are always there: leave it out"         },
    {"NoAuthCmdHandlerLoader",          "the core handlers are always there: leave it out; "
                               "coreHandlers: noAuth takes AUTH away"},
    {"MailetContainerCmdHandlerLoader", "the core handlers are always there: leave it out"         },
    {"POP3BeforeSMTPHandler",           "there is no POP3 server here whose logins could tell it "
                              "who may relay"                         },
    {"UsersRepositoryAuthHook",         "users are checked without it: leave it out"               },
};

static void refuse_name(struct mx_loader *self, const struct mx_yaml_node *node) {
    char word[64];
    mx_text_quote(node->text, word, sizeof word);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (mx_span_equal(mx_span_of(refused[i].name), node->text)) {
            mx_loader_fail(self, node, "'%s': %s", word, refused[i].why);
            return;
        }
    }
    const char *nearest = mx_lookup_nearest(node->text, mx_hook_names, MX_HOOK_KIND_COUNT);
    if (nearest && mx_lookup_distance(node->text, mx_span_of(nearest)) <= 3)
        mx_loader_fail(self, node, "unknown hook '%s'; did you mean '%s'?", word, nearest);
    else
        mx_loader_fail(self, node, "hook '%s' is not available in this version", word);
}

/* False: there is none of this name. */
static bool find_kind(struct mx_span name, enum mx_hook_kind *kind) {
    for (size_t i = 0; i < MX_HOOK_KIND_COUNT; i++) {
        *kind = (enum mx_hook_kind)i;
        if (mx_span_equal(mx_span_of(mx_hook_names[i]), name))
            return true;
    }
    return false;
}

static void apply_options(struct mx_loader *self, const struct mx_yaml_node *name, bool is_map,
                          struct mx_conf_hook *hook) {
    const struct mx_rows *rows = &mx_hook_types[hook->kind]->options;
    const struct mx_yaml_node nothing = {
        .kind = MX_YAML_SCALAR, .line = name->line, .column = name->column};
    void *base = rows->size > 0 ? mx_arena_take(self->conf->arena, rows->size) : NULL;
    if (rows->size > 0 && !base)
        return; /* the arena remembers it */
    hook->options = base;
    mx_options_defaults(self, rows, base);
    mx_options_apply(self, rows, mx_hook_names[hook->kind], is_map ? name->next : &nothing, base);
}

/* False: it is no hook, and that is reported. */
static bool apply_hook(struct mx_loader *self, const struct mx_row *row,
                       const struct mx_yaml_node *item, struct mx_conf_hook *hook) {
    bool is_map = item->kind == MX_YAML_MAP;
    const struct mx_yaml_node *name = is_map ? item->child : item;
    if (!name || name->kind != MX_YAML_SCALAR || (is_map && item->count != 1)) {
        if (item->kind != MX_YAML_VOID)
            mx_loader_fail(self, item, "a hook is a name or a map of one name and its options");
        return false;
    }
    if (!find_kind(name->text, &hook->kind)) {
        refuse_name(self, name);
        return false;
    }
    uint32_t nodes = 2 * (uint32_t)mx_hook_types[hook->kind]->options.count + 2;
    if (!mx_loader_count(self, row, item, nodes))
        return false;
    apply_options(self, name, is_map, hook);
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
        count += apply_hook(self, row, item, &hooks[count]);
    server->hooks = hooks;
    server->hook_count = count;
}

void mx_chain_check(struct mx_loader *self, const struct mx_yaml_node *node,
                    const struct mx_conf_server *server) {
    /* one after the other with the items, where each has become a hook */
    bool is_item = node->kind == MX_YAML_LIST && node->count == server->hook_count;
    const struct mx_yaml_node *item = is_item ? node->child : NULL;
    for (uint32_t i = 0; i < server->hook_count; i++) {
        const struct mx_conf_hook *hook = &server->hooks[i];
        const struct mx_hook_type *type = mx_hook_types[hook->kind];
        if (type->check)
            type->check(self, item ? item : node, server, hook->options);
        item = item ? item->next : NULL;
    }
}

void mx_chain_print(FILE *stream, const struct mx_conf_hook *hook, bool hides_secrets) {
    fprintf(stream, "%s: ", mx_hook_names[hook->kind]);
    mx_options_print(stream, &mx_hook_types[hook->kind]->options, hook->options, hides_secrets);
}
