/* load.h - from the tree of a file to struct mx_conf, row by row. Private to config/. */
#pragma once
#include "config/schema.h"
#include "config/yaml.h"

/* Where the values of one map stood: for messages. Indexed like mx_schema; NULL: not written. */
struct mx_origin {
    const struct mx_yaml_node *map;
    const struct mx_yaml_node *values[MX_ROWS_MAX];
};

/* All lists together. With MX_YAML_OCTETS_MAX and MX_YAML_NODES_MAX this is what makes every
 * configuration that loads dump to a text that loads: beside the lists a dump has less than 2 MiB
 * and 2^16 nodes. */
enum { MX_LOADER_ITEMS_MAX = 1 << 18, MX_LOADER_ITEM_OCTETS_MAX = 14 << 20 };

struct mx_loader {
    struct mx_conf *conf;
    struct mx_arena *scratch; /* the tree, origins, expanded texts: gone after loading */
    struct mx_conf_report *report;
    struct mx_span folder;     /* of the file, with the last "/"; empty: the current one */
    bool is_check;             /* an unset variable is a warning */
    bool is_lenient;           /* inside a server that is not enabled: every problem is a warning */
    struct mx_origin file;     /* of everything but servers: the indices do not meet */
    struct mx_origin *origins; /* one for each of conf->servers */
    uint32_t origin_count, origin_capacity;
    uint32_t item_count, item_octets; /* of lists, so far; octets as in a dump */
};

/* Add a problem at the node's place. */
void mx_loader_fail(struct mx_loader *self, const struct mx_yaml_node *node, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

/* The text of a scalar: variables replaced, blanks at both ends gone. False: nothing to use, and
 * already reported. *text may be empty only when the file has quotes. */
bool mx_loader_text(struct mx_loader *self, const struct mx_row *row,
                    const struct mx_yaml_node *node, struct mx_span *text);

/* Put the value of a list type (domains, binds, networks, features, handlerchain) into base, the
 * struct mx_conf or struct mx_conf_server. Problems are reported, the member then stays as it is
 * or takes the good items. */
void mx_loader_apply_list(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *node, void *base);

/* Put one value into base, of any type but SECTION and SERVERS. Problems are reported. */
void mx_loader_apply_row(struct mx_loader *self, const struct mx_row *row,
                         const struct mx_yaml_node *node, void *base);

/* A secret, or the first line of the file it names (file:PATH). False: it cannot be read or is no
 * UTF-8 of min..max octets, and that is reported without showing it. */
MX_MUST_CHECK bool mx_loader_secret(struct mx_loader *self, const struct mx_row *row,
                                    const struct mx_yaml_node *node, struct mx_span word,
                                    struct mx_conf_secret *secret);

/* Count what stands in lists and options, so that a dump loads: so many nodes more, beside those of
 * the lists themselves. False: there are too many, and that is reported. */
MX_MUST_CHECK bool mx_loader_count(struct mx_loader *self, const struct mx_row *row,
                                   const struct mx_yaml_node *node, uint32_t nodes);
/* Make a certificate's text anew from its other members. False: no memory, which the arena
 * remembers. */
bool mx_conf_certificate_write(struct mx_arena *arena, struct mx_conf_certificate *self);

/* tls.more, for mx_loader_apply_list (certificates.c). */
void mx_loader_apply_certificates(struct mx_loader *self, const struct mx_row *row,
                                  const struct mx_yaml_node *node, void *base);

/* Give every member of the section, and of those inside it, its default. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_loader_defaults(struct mx_conf *conf, enum mx_section section, void *base);

/* Parse and check a configuration; as mx_conf_parse, for a file in this folder. */
MX_MUST_CHECK int mx_loader_run(struct mx_span text, struct mx_span folder, bool is_check,
                                struct mx_conf **conf, struct mx_conf_report *report);

/* Read the files that the configuration names, as far as they belong to it. Problems are reported.
 */
void mx_loader_files(struct mx_loader *self);

/* Checks that look at more than one row. Problems are reported. */
void mx_check_all(struct mx_loader *self);

/* For the files that such checks are in (check*.c). place: where the key's value stands; the map it
 * is not written in otherwise. */
const struct mx_yaml_node *mx_check_place(const struct mx_origin *origin, enum mx_section section,
                                          const char *key);
void mx_check_warn(struct mx_loader *self, const struct mx_yaml_node *node, const char *text);
void mx_check_tls(struct mx_loader *self, struct mx_conf_server *server,
                  const struct mx_origin *origin);
void mx_check_auth(struct mx_loader *self, const struct mx_conf_server *server,
                   const struct mx_origin *origin);
void mx_check_safety(struct mx_loader *self, const struct mx_conf_server *server,
                     const struct mx_origin *origin);
