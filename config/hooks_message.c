/* hooks_message.c - options of the hooks that look at connections, messages and their headers. */
#include "config/hook_type.h"
#include "config/load.h"

#define RELOAD MX_ROW_RELOAD
#define MS_MAX 2147483647

/* Have no options. */
const struct mx_hook_type mx_hook_type_relay_accept, mx_hook_type_auth_command,
    mx_hook_type_auth_required;
const struct mx_hook_type mx_hook_type_dsn_ehlo, mx_hook_type_dsn_mail, mx_hook_type_dsn_rcpt,
    mx_hook_type_dsn_message;
const struct mx_hook_type mx_hook_type_priority_ehlo, mx_hook_type_priority_mail,
    mx_hook_type_priority_message;
const struct mx_hook_type mx_hook_type_future_ehlo, mx_hook_type_future_mail;
const struct mx_hook_type mx_hook_type_require_tls_ehlo, mx_hook_type_require_tls_mail,
    mx_hook_type_require_tls_message;
const struct mx_hook_type mx_hook_type_utf8_mail, mx_hook_type_utf8_rcpt;

/* ---- EnforceMtaSts ---- */

/* Without TLS nobody could send. */
static void check_enforce_tls(struct mx_loader *loader, const struct mx_yaml_node *node,
                              const struct mx_conf_server *server, const void *options) {
    (void)options;
    if (!mx_conf_tls_is_on(&server->tls))
        mx_loader_fail(loader, node,
                       "EnforceMtaSts needs tls with startTLS or socketTLS: without it nobody can "
                       "send");
}
const struct mx_hook_type mx_hook_type_enforce_tls = {.check = check_enforce_tls};

/* ---- SpamTrapHandler, MaxConnectionLifespanHandler ---- */

/* clang-format off */
static const struct mx_row spam_trap_rows[] = {
    {"spamTrapRecip", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 3, 320, NULL, "spamTrapRecip", NULL,
     MX_OPTION(struct mx_opt_spam_trap, traps), "addresses that nobody writes to in good faith"},
    {"blockTime", 0, MX_TYPE_DURATION, MX_UNIT_MILLISECOND, RELOAD, 1, MS_MAX, "72m", "blockTime",
     NULL, MX_OPTION(struct mx_opt_spam_trap, block_ms),
     "how long the client's address is refused"},
};
static const struct mx_row max_lifespan_rows[] = {
    {"duration", 0, MX_TYPE_DURATION, MX_UNIT_MILLISECOND, RELOAD, 1, MS_MAX, NULL, "duration",
     NULL, MX_OPTION(struct mx_opt_max_lifespan, duration_ms), "from the connection's begin on"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_spam_trap = {
    MX_ROWS_OF(spam_trap_rows, struct mx_opt_spam_trap), NULL};
const struct mx_hook_type mx_hook_type_max_lifespan = {
    MX_ROWS_OF(max_lifespan_rows, struct mx_opt_max_lifespan), NULL};

/* ---- headers and attributes ---- */

static bool is_field_name(const char *name) {
    for (; *name > ' ' && *name < 0x7f && *name != ':'; name++)
        continue;
    return *name == '\0';
}

static void check_set_header(struct mx_loader *loader, const struct mx_yaml_node *node,
                             const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_set_header *self = options;
    (void)server;
    if (self->name && !is_field_name(self->name))
        mx_loader_fail(loader, node, "headername must be the name of a header field, not '%s'",
                       self->name);
}

/* clang-format off */
static const struct mx_row header_limits_rows[] = {
    {"maxLines", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, 1000000, "500", "maxLines", NULL,
     MX_OPTION(struct mx_opt_header_limits, max_fields), "header fields of a message"},
    {"maxSize", 0, MX_TYPE_SIZE, MX_UNIT_OCTET, RELOAD, 1, 80 << 10, "64K", "maxSize", NULL,
     MX_OPTION(struct mx_opt_header_limits, max_octets),
     "octets of their names and values, and four more for each"},
};
static const struct mx_row set_header_rows[] = {
    {"headername", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 76, NULL, "headername", NULL,
     MX_OPTION(struct mx_opt_set_header, name), "name of the field"},
    {"headervalue", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 0, 998, NULL, "headervalue", NULL,
     MX_OPTION(struct mx_opt_set_header, value), "its value"},
};
static const struct mx_row set_attribute_rows[] = {
    {"name", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 998, NULL, "name", NULL,
     MX_OPTION(struct mx_opt_set_attribute, name), "name of the attribute"},
    {"value", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 0, 998, NULL, "value", NULL,
     MX_OPTION(struct mx_opt_set_attribute, value), "its value"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_header_limits = {
    MX_ROWS_OF(header_limits_rows, struct mx_opt_header_limits), NULL};
const struct mx_hook_type mx_hook_type_set_header = {
    MX_ROWS_OF(set_header_rows, struct mx_opt_set_header), check_set_header};
const struct mx_hook_type mx_hook_type_set_attribute = {
    MX_ROWS_OF(set_attribute_rows, struct mx_opt_set_attribute), NULL};

/* ---- ConfigurationAuthHook ---- */

static void check_accounts(struct mx_loader *loader, const struct mx_yaml_node *node,
                           const struct mx_conf_server *server, const void *options) {
    (void)options;
    if (server->is_lmtp)
        mx_loader_fail(loader, node, "ConfigurationAuthHook is for smtpservers: LMTP has no AUTH");
}

/* clang-format off */
static const struct mx_row account_rows[] = {
    {"username", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 255, NULL, "username", NULL,
     MX_OPTION(struct mx_conf_account, username), "name to log in by, any case"},
    {"passwords", 0, MX_TYPE_SECRETS, MX_UNIT_NONE, RELOAD, 1, 511, NULL, "passwords", NULL,
     MX_OPTION(struct mx_conf_account, passwords),
     "any of these; `file:PATH` is the first line of that file"},
};
static const struct mx_row accounts_rows[] = {
    {"accounts", 0, MX_TYPE_TABLE, MX_UNIT_NONE, RELOAD, MX_INNER_ACCOUNTS, 0, NULL, "accounts",
     NULL, MX_OPTION(struct mx_opt_auth_accounts, accounts), "at least one"},
};
/* clang-format on */

const struct mx_rows mx_inner_accounts = MX_ROWS_OF(account_rows, struct mx_conf_account);
const struct mx_hook_type mx_hook_type_auth_accounts = {
    MX_ROWS_OF(accounts_rows, struct mx_opt_auth_accounts), check_accounts};

/* ---- MailPriorityHandler ---- */

/* A number may not be negative, a word may. */
static const struct mx_lookup words_priority[] = {
    {"-9", -9},
    {"-8", -8},
    {"-7", -7},
    {"-6", -6},
    {"-5", -5},
    {"-4", -4},
    {"-3", -3},
    {"-2", -2},
    {"-1", -1},
    {"0",  0 },
    {"1",  1 },
    {"2",  2 },
    {"3",  3 },
    {"4",  4 },
    {"5",  5 },
    {"6",  6 },
    {"7",  7 },
    {"8",  8 },
    {"9",  9 },
    {NULL, 0 },
};

/* clang-format off */
static const struct mx_row priority_rows[] = {
    {"domain", 0, MX_TYPE_DOMAIN, MX_UNIT_NONE, RELOAD, 1, 253, NULL, "domain", NULL,
     MX_OPTION(struct mx_conf_priority, domain), "of recipients"},
    {"priority", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "0", "priority", words_priority,
     MX_OPTION(struct mx_conf_priority, priority), "the higher the sooner"},
};
static const struct mx_row mail_priority_rows[] = {
    {"priorityEntries", 0, MX_TYPE_TABLE, MX_UNIT_NONE, RELOAD, MX_INNER_PRIORITIES, 0, "[]",
     "priorityEntries", NULL, MX_OPTION(struct mx_opt_mail_priority, entries), "domains"},
};
/* clang-format on */

const struct mx_rows mx_inner_priorities = MX_ROWS_OF(priority_rows, struct mx_conf_priority);
const struct mx_hook_type mx_hook_type_mail_priority = {
    MX_ROWS_OF(mail_priority_rows, struct mx_opt_mail_priority), NULL};
