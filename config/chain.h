/* chain.h - handlerchain: the list of hooks of a server. Private to config/. */
#pragma once
#include "config/hook_type.h"

struct mx_loader;
struct mx_yaml_node;

/* In the order of enum mx_hook_kind. */
extern const struct mx_hook_type *const mx_hook_types[MX_HOOK_KIND_COUNT];

/* Put the value of handlerchain into the server; problems are reported. */
void mx_chain_apply(struct mx_loader *self, const struct mx_row *row,
                    const struct mx_yaml_node *node, struct mx_conf_server *server);

/* Once the server is whole: what a hook wants of it. Problems are reported. */
void mx_chain_check(struct mx_loader *self, const struct mx_yaml_node *node,
                    const struct mx_conf_server *server);

/* "Name: {option: value, ...}" in one line, readable again; with secrets, unless they are hidden:
 * only for comparison is it without. */
void mx_chain_print(FILE *stream, const struct mx_conf_hook *hook, bool hides_secrets);
