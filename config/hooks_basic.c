/* hooks_basic.c - options of the hooks that count, and that look at sender and recipient. */
#include "config/hook_type.h"
#include "config/load.h"

const struct mx_lookup mx_words_on_failure[] = {
    {"accept",   MX_ON_FAILURE_ACCEPT  },
    {"tempfail", MX_ON_FAILURE_TEMPFAIL},
    {"reject",   MX_ON_FAILURE_REJECT  },
    {NULL,       0                     }
};

static const struct mx_lookup words_check[] = {
    {"mappingExists",    MX_ALIAS_CHECK_EXISTS},
    {"anyMappingValid",  MX_ALIAS_CHECK_ANY   },
    {"allMappingsValid", MX_ALIAS_CHECK_ALL   },
    {NULL,               0                    }
};

#define RELOAD    MX_ROW_RELOAD
#define COUNT_MAX 4294967295

/* ---- ValidRcptHandler ---- */

/* Without users everybody would be refused. */
static void check_valid_rcpt(struct mx_loader *loader, const struct mx_yaml_node *node,
                             const struct mx_conf_server *server, const void *options) {
    (void)server, (void)options;
    if (!loader->conf->users_path)
        mx_loader_fail(loader, node, "ValidRcptHandler needs users: FILE");
}

/* clang-format off */
static const struct mx_row valid_rcpt_rows[] = {
    {"enableRecipientRewriteTable", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true",
     "enableRecipientRewriteTable", NULL, MX_OPTION(struct mx_opt_valid_rcpt, uses_aliases),
     "an alias is as good as a user"},
    {"recipientRewriteTableCheck", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0,
     "mappingExists", "recipientRewriteTableCheck", words_check,
     MX_OPTION(struct mx_opt_valid_rcpt, alias_check),
     "the alias need only be there, or one of its targets must be valid, or all; a target is valid "
     "when it is a user or in no local domain"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_valid_rcpt = {
    MX_ROWS_OF(valid_rcpt_rows, struct mx_opt_valid_rcpt), check_valid_rcpt};

/* ---- MaxRcptHandler, MaxUnknownCmdHandler ---- */

/* clang-format off */
static const struct mx_row max_rcpt_rows[] = {
    {"maxRcpt", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, COUNT_MAX, NULL, "maxRcpt", NULL,
     MX_OPTION(struct mx_opt_max_rcpt, max), "recipients of a message"},
};
static const struct mx_row max_unknown_rows[] = {
    {"maxUnknownCmdCount", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, 65534, "5",
     "maxUnknownCmdCount", NULL, MX_OPTION(struct mx_opt_max_unknown, max),
     "unknown commands that are borne between two messages"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_max_rcpt = {
    MX_ROWS_OF(max_rcpt_rows, struct mx_opt_max_rcpt), NULL};
const struct mx_hook_type mx_hook_type_max_unknown = {
    MX_ROWS_OF(max_unknown_rows, struct mx_opt_max_unknown), NULL};

/* ---- AllowedUnauthenticatedSender ---- */

/* clang-format off */
static const struct mx_row allowed_sender_rows[] = {
    {"sender", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 3, 320, NULL, "allowedSender", NULL,
     MX_OPTION(struct mx_conf_allowed_sender, sender), "an address"},
    {"fromIps", 0, MX_TYPE_NETWORKS, MX_UNIT_NONE, RELOAD, 0, 0, "[]", "fromIps", NULL,
     MX_OPTION(struct mx_conf_allowed_sender, from),
     "networks it may come from; none: from all of authorizedAddresses"},
};
static const struct mx_row allowed_senders_rows[] = {
    {"allowNullSender", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "allowNullSender",
     NULL, MX_OPTION(struct mx_opt_allowed_senders, allows_null),
     "bounces (`<>`) are allowed, too"},
    {"allowedSenders", 0, MX_TYPE_TABLE, MX_UNIT_NONE, RELOAD, MX_INNER_ALLOWED_SENDERS, 0, NULL,
     "allowedSenders", NULL, MX_OPTION(struct mx_opt_allowed_senders, senders),
     "who is allowed, at least one"},
};
/* clang-format on */

const struct mx_rows mx_inner_allowed_senders =
    MX_ROWS_OF(allowed_sender_rows, struct mx_conf_allowed_sender);
const struct mx_hook_type mx_hook_type_allowed_senders = {
    MX_ROWS_OF(allowed_senders_rows, struct mx_opt_allowed_senders), NULL};
