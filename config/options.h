/* options.h - maps of options that are no section of the schema: those of hooks, and the maps in
 * them. Private to config/.
 */
#pragma once
#include "config/hook_type.h"
#include "config/load.h"

/* The rows of a row of type MX_TYPE_GROUP or MX_TYPE_TABLE. */
const struct mx_rows *mx_options_inner(const struct mx_row *row);

/* Give every member its default; those that must be written stay zero. */
void mx_options_defaults(struct mx_loader *self, const struct mx_rows *rows, void *base);

/* Put the values of a map into base. Problems are reported, also options that must be there and are
 * not. owner: whose options they are, for messages. */
void mx_options_apply(struct mx_loader *self, const struct mx_rows *rows, const char *owner,
                      const struct mx_yaml_node *map, void *base);

/* Put a list of maps (MX_TYPE_TABLE) or one map (MX_TYPE_GROUP) into base. */
void mx_options_apply_row(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *node, void *base);

/* "{option: value, ...}" in one line, readable again unless secrets are hidden in it; those of
 * files then show as file:PATH. */
void mx_options_print(FILE *stream, const struct mx_rows *rows, const void *base,
                      bool hides_secrets);

/* One value of them, likewise. */
void mx_options_print_value(FILE *stream, const struct mx_row *row, const void *base,
                            bool hides_secrets);
