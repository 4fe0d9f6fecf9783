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

/* ---- JDBCGreylistHandler, RateLimit ---- */

#define YEAR_MS INT64_C(31536000000)

static const struct mx_lookup words_store[] = {
    {"memory", MX_STORE_MEMORY},
    {"redis",  MX_STORE_REDIS },
    {NULL,     0              },
};

static void check_store(struct mx_loader *loader, const struct mx_yaml_node *node,
                        enum mx_store store) {
    if (store == MX_STORE_REDIS && loader->conf->redis.server == NULL)
        mx_loader_fail(loader, node, "store: redis needs redis: {server: ADDRESS}");
}

/* Who comes again in time must not be forgotten before. */
static void check_greylist(struct mx_loader *loader, const struct mx_yaml_node *node,
                           const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_greylist *self = options;
    (void)server;
    check_store(loader, node, self->store);
    if (self->unseen_ms <= self->block_ms)
        mx_loader_fail(loader, node,
                       "unseenLifeTime must be longer than tempBlockTime: nobody "
                       "would ever be known");
}

static void check_rate_limit(struct mx_loader *loader, const struct mx_yaml_node *node,
                             const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_rate_limit *self = options;
    (void)server;
    check_store(loader, node, self->store);
}

static const struct mx_lookup words_per[] = {
    {"ip",              MX_RATE_IP     },
    {"network",         MX_RATE_NETWORK},
    {"sender",          MX_RATE_SENDER },
    {"recipientDomain", MX_RATE_DOMAIN },
    {"user",            MX_RATE_USER   },
    {NULL,              0              },
};

/* clang-format off */
static const struct mx_row greylist_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_greylist, "1s", "accept"),
    {"store", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "memory", NULL, words_store,
     MX_OPTION(struct mx_opt_greylist, store),
     "where it is remembered: by this process, or in Redis by all gateways that share it (`redis`)"},
    {"tempBlockTime", 0, MX_TYPE_DURATION, MX_UNIT_MILLISECOND, RELOAD, 1, YEAR_MS, "1h",
     "tempBlockTime", NULL, MX_OPTION(struct mx_opt_greylist, block_ms),
     "how long a client that is new has to wait"},
    {"unseenLifeTime", 0, MX_TYPE_DURATION, MX_UNIT_MILLISECOND, RELOAD, 1, YEAR_MS, "4h",
     "unseenLifeTime", NULL, MX_OPTION(struct mx_opt_greylist, unseen_ms),
     "how long it may take to come again"},
    {"autoWhiteListLifeTime", 0, MX_TYPE_DURATION, MX_UNIT_MILLISECOND, RELOAD, 1, YEAR_MS, "36d",
     "autoWhiteListLifeTime", NULL, MX_OPTION(struct mx_opt_greylist, known_ms),
     "how long one is known, from its last mail on"},
    {"whitelistedNetworks", 0, MX_TYPE_NETWORKS, MX_UNIT_NONE, RELOAD, 0, 0, "[]",
     "whitelistedNetworks", NULL, MX_OPTION(struct mx_opt_greylist, known_networks),
     "clients that are not asked to come again"},
};
static const struct mx_row rate_limit_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_rate_limit, "1s", "accept"),
    {"store", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "memory", NULL, words_store,
     MX_OPTION(struct mx_opt_rate_limit, store),
     "where the buckets are: in this process, or in Redis for all gateways that share it (`redis`)"},
    {"per", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "ip", NULL, words_per,
     MX_OPTION(struct mx_opt_rate_limit, subject), "who has a bucket of its own"},
    {"count", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, 10000000, NULL, NULL, NULL,
     MX_OPTION(struct mx_opt_rate_limit, count), "recipients"},
    {"period", 0, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 1000, 86400000, "1h", NULL, NULL,
     MX_OPTION(struct mx_opt_rate_limit, period_ms), "the time in which an empty bucket fills"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_greylist = {
    MX_ROWS_OF(greylist_rows, struct mx_opt_greylist), check_greylist};
const struct mx_hook_type mx_hook_type_rate_limit = {
    MX_ROWS_OF(rate_limit_rows, struct mx_opt_rate_limit), check_rate_limit};
