/* yaml.h - YAML text as a tree of nodes with positions. Private to config/.
 *
 * Only what a configuration needs: one document of maps, lists and scalars. Anchors, aliases, tags
 * and % directives are refused with a text that says so, hence no text can expand. So is a second
 * document: nothing of it is read, and the first is the tree.
 */
#pragma once
#include "config/arena.h"
#include "config/conf.h"

enum {
    MX_YAML_OCTETS_MAX = 16 << 20, /* of the text */
    MX_YAML_NODES_MAX = 1 << 19,   /* keys, values, maps and lists together */
    MX_YAML_DEPTH_MAX = 16,        /* maps and lists inside each other */
};

enum mx_yaml_kind {
    MX_YAML_SCALAR,
    MX_YAML_LIST,
    MX_YAML_MAP,
    MX_YAML_VOID, /* something refused and already reported: say nothing more about it */
};

struct mx_yaml_node {
    enum mx_yaml_kind kind;
    bool is_plain;              /* a scalar without quotes */
    uint32_t line, column;      /* 1-based, columns in characters */
    uint32_t count;             /* items of a list, pairs of a map */
    struct mx_span text;        /* of a scalar */
    struct mx_yaml_node *child; /* first item; in a map key and value take turns */
    struct mx_yaml_node *next;  /* sibling */
};

/* Parse text into nodes of the arena. 0: *root is the tree, NULL when the text holds nothing;
 * things refused were added to *report and are MX_YAML_VOID, the rest can still be checked.
 * MX_ECONFIG: no tree, see *report. -ENOMEM. */
MX_MUST_CHECK int mx_yaml_parse(struct mx_arena *arena, struct mx_span text,
                                struct mx_conf_report *report, struct mx_yaml_node **root);
