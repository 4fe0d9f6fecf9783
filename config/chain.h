/* chain.h - the hooks that handlerchain can name, and their options. Private to config/. */
#pragma once
#include "config/conf.h"
#include "config/schema.h"

/* Octets of a hook with all its options as a file has it, with room for a NUL. */
enum { MX_CHAIN_TEXT_MAX = 256 };

struct mx_loader;
struct mx_yaml_node;

struct mx_hook_type {
    const char *name;
    const struct mx_row *rows; /* options: scalars of struct mx_conf_hook */
    size_t row_count;
    const char *meaning;
};

extern const struct mx_hook_type mx_hook_types[MX_HOOK_KIND_COUNT];

/* Put the value of handlerchain into the server; problems are reported. */
void mx_chain_apply(struct mx_loader *self, const struct mx_row *row,
                    const struct mx_yaml_node *node, struct mx_conf_server *server);

/* "Name: {option: value, ...}" */
void mx_chain_text(const struct mx_conf_hook *hook, char text[MX_CHAIN_TEXT_MAX]);
