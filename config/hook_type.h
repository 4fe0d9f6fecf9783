/* hook_type.h - what config/ knows of a hook: its name and its options. Private to config/. */
#pragma once
#include "config/conf.h"
#include "config/schema.h"

struct mx_loader;
struct mx_yaml_node;

/* Options as rows of a struct; offsets are into it. */
struct mx_rows {
    const struct mx_row *rows;
    size_t count;
    size_t size; /* of the struct, octets */
};

/* Maps within options: MX_TYPE_GROUP has the same struct, MX_TYPE_TABLE one for each item. */
#define MX_INNER_LIST(X)                                                                           \
    X(ALLOWED_SENDERS, allowed_senders)                                                            \
    X(ACCOUNTS, accounts)                                                                          \
    X(PRIORITIES, priorities)                                                                      \
    X(RBLSERVERS, rblservers)

#define MX_INNER_ENUM(inner, name) MX_INNER_##inner,
enum mx_inner { MX_INNER_LIST(MX_INNER_ENUM) MX_INNER_COUNT };
#undef MX_INNER_ENUM
#define MX_INNER_DECLARE(inner, name) extern const struct mx_rows mx_inner_##name;
MX_INNER_LIST(MX_INNER_DECLARE)
#undef MX_INNER_DECLARE

struct mx_hook_type {
    struct mx_rows options;
    /* A look at the whole; problems are added at the node. NULL: there is nothing to look at. */
    void (*check)(struct mx_loader *loader, const struct mx_yaml_node *node,
                  const struct mx_conf_server *server, const void *options);
};

/* The member of an options struct that a row is about. */
#define MX_OPTION(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define MX_ROWS_OF(table, type)                                                                    \
    { (table), sizeof(table) / sizeof *(table), sizeof(type) }

/* The rows of struct mx_opt_wait, with this hook's defaults. */
#define MX_WAIT_ROWS(type, timeout_text, failure_text)                                             \
    {"timeout",                                                                                    \
     0,                                                                                            \
     MX_TYPE_DURATION,                                                                             \
     MX_UNIT_SECOND,                                                                               \
     MX_ROW_RELOAD,                                                                                \
     250,                                                                                          \
     600000,                                                                                       \
     timeout_text,                                                                                 \
     NULL,                                                                                         \
     NULL,                                                                                         \
     MX_OPTION(type, wait.timeout_ms),                                                             \
     "how long it may wait for an answer"},                                                        \
    {                                                                                              \
        "onFailure", 0, MX_TYPE_WORD, MX_UNIT_NONE, MX_ROW_RELOAD, 0, 0, failure_text, NULL,       \
            mx_words_on_failure, MX_OPTION(type, wait.on_failure),                                 \
            "what it decides when none came in time"                                               \
    }
extern const struct mx_lookup mx_words_on_failure[];

#define MX_HOOK_TYPE_DECLARE(kind, name, class)                                                    \
    extern const struct mx_hook_type mx_hook_type_##name;
MX_HOOK_LIST(MX_HOOK_TYPE_DECLARE)
#undef MX_HOOK_TYPE_DECLARE
