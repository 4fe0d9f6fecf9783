/* hook.h - the hooks that handlerchain can name, and the options of each as the engine sees them.
 *
 * One row a hook: MX_HOOK_LIST. config/hooks_*.c has its options (mx_hook_type_NAME), engine/policy
 * what it does (mx_hook_NAME).
 */
#pragma once
#include "proto/ip.h"
#include "proto/span.h"

/* X(KIND, name, class): the class is James's, without its package. */
#define MX_HOOK_LIST(X)                                                                            \
    X(VALID_RCPT, valid_rcpt, "ValidRcptHandler")                                                  \
    X(MAX_RCPT, max_rcpt, "MaxRcptHandler")                                                        \
    X(MAX_UNKNOWN, max_unknown, "MaxUnknownCmdHandler")                                            \
    X(ALLOWED_SENDERS, allowed_senders, "AllowedUnauthenticatedSender")                            \
    X(RELAY_ACCEPT, relay_accept, "AcceptRecipientIfRelayingIsAllowed")                            \
    X(SPAM_TRAP, spam_trap, "SpamTrapHandler")                                                     \
    X(GREYLIST, greylist, "JDBCGreylistHandler")                                                   \
    X(RATE_LIMIT, rate_limit, "RateLimit")                                                         \
    X(ENFORCE_TLS, enforce_tls, "EnforceMtaSts")                                                   \
    X(MAX_LIFESPAN, max_lifespan, "MaxConnectionLifespanHandler")                                  \
    X(HEADER_LIMITS, header_limits, "EnforceHeaderLimitationsMessageHook")                         \
    X(SET_HEADER, set_header, "SetMimeHeaderHandler")                                              \
    X(SET_ATTRIBUTE, set_attribute, "SetMailAttributeMessageHook")                                 \
    X(AUTH_COMMAND, auth_command, "AuthCmdHandler")                                                \
    X(AUTH_REQUIRED, auth_required, "AuthRequiredHook")                                            \
    X(AUTH_ACCOUNTS, auth_accounts, "ConfigurationAuthHook")                                       \
    X(MAIL_PRIORITY, mail_priority, "MailPriorityHandler")                                         \
    X(DSN_EHLO, dsn_ehlo, "DSNEhloHook")                                                           \
    X(DSN_MAIL, dsn_mail, "DSNMailParameterHook")                                                  \
    X(DSN_RCPT, dsn_rcpt, "DSNRcptParameterHook")                                                  \
    X(DSN_MESSAGE, dsn_message, "DSNMessageHook")                                                  \
    X(PRIORITY_EHLO, priority_ehlo, "SmtpMtPriorityEhloHook")                                      \
    X(PRIORITY_MAIL, priority_mail, "SmtpMtPriorityParameterHook")                                 \
    X(PRIORITY_MESSAGE, priority_message, "SmtpMtPriorityMessageHook")                             \
    X(FUTURE_EHLO, future_ehlo, "FutureReleaseEHLOHook")                                           \
    X(FUTURE_MAIL, future_mail, "FutureReleaseMailParameterHook")                                  \
    X(REQUIRE_TLS_EHLO, require_tls_ehlo, "SmtpRequireTlsEhloHook")                                \
    X(REQUIRE_TLS_MAIL, require_tls_mail, "SmtpRequireTlsParameterHook")                           \
    X(REQUIRE_TLS_MESSAGE, require_tls_message, "SmtpRequireTlsMessageHook")                       \
    X(UTF8_MAIL, utf8_mail, "SmtpUtf8MailHook")                                                    \
    X(UTF8_RCPT, utf8_rcpt, "SmtpUtf8RcptHook")                                                    \
    X(DNSRBL, dnsrbl, "DNSRBLHandler")                                                             \
    X(SPF, spf, "SPFHandler")                                                                      \
    X(RESOLVABLE_HELO, resolvable_helo, "ResolvableEhloHeloHandler")                               \
    X(REVERSE_HELO, reverse_helo, "ReverseEqualsEhloHeloHandler")                                  \
    X(VALID_SENDER_DOMAIN, valid_sender_domain, "ValidSenderDomainHandler")                        \
    X(VALID_RCPT_MX, valid_rcpt_mx, "ValidRcptMX")                                                 \
    X(URIRBL, urirbl, "URIRBLHandler")                                                             \
    X(DKIM, dkim, "DKIMHook")                                                                      \
    X(MILTER, milter, "Milter")                                                                    \
    X(RSPAMD, rspamd, "Rspamd")                                                                    \
    X(SPAMD, spamd, "SpamAssassinHandler")

#define MX_HOOK_KIND(kind, name, class) MX_HOOK_KIND_##kind,
enum mx_hook_kind { MX_HOOK_LIST(MX_HOOK_KIND) MX_HOOK_KIND_COUNT };
#undef MX_HOOK_KIND

/* The classes, in the order of enum mx_hook_kind. */
extern const char *const mx_hook_names[MX_HOOK_KIND_COUNT];

/* What a hook that waited in vain decides. */
enum mx_on_failure { MX_ON_FAILURE_ACCEPT, MX_ON_FAILURE_TEMPFAIL, MX_ON_FAILURE_REJECT };

struct mx_conf_hook { /* one item of handlerchain */
    enum mx_hook_kind kind;
    const void *options; /* struct mx_opt_...; NULL: it has none */
};

/* ---- values that are lists ---- */

struct mx_conf_texts {
    const struct mx_span *rows;
    uint32_t count;
};

struct mx_conf_secret {
    struct mx_span text;
    const char *file; /* it is the first line of; NULL: it stands in the configuration */
};

struct mx_conf_secrets {
    const struct mx_conf_secret *rows;
    uint32_t count;
};

struct mx_conf_network { /* one item of authorizedAddresses, RFC 4632 */
    struct mx_ip ip;
    uint8_t prefix_len; /* 0..32 or 0..128 */
};

struct mx_conf_networks {
    const struct mx_conf_network *rows;
    uint32_t count;
};

struct mx_conf_table { /* of a struct for each item */
    const void *rows;
    uint32_t count;
};

/* ---- options ---- */

/* The options of every hook that may wait begin with these. */
struct mx_opt_wait {
    uint32_t timeout_ms; /* timeout: for one answer, from question to verdict */
    enum mx_on_failure on_failure;
};

/* What makes an alias a valid recipient. */
enum mx_alias_check { MX_ALIAS_CHECK_EXISTS, MX_ALIAS_CHECK_ANY, MX_ALIAS_CHECK_ALL };

struct mx_opt_valid_rcpt {
    bool uses_aliases;               /* enableRecipientRewriteTable; true */
    enum mx_alias_check alias_check; /* recipientRewriteTableCheck */
};

struct mx_opt_max_rcpt {
    uint32_t max; /* maxRcpt; 1.. */
};

struct mx_opt_max_unknown {
    uint32_t max; /* maxUnknownCmdCount; 5 */
};

struct mx_conf_allowed_sender {
    const char *sender;           /* an address, or its domain behind "@" */
    struct mx_conf_networks from; /* fromIps; none: from anywhere */
};

struct mx_opt_allowed_senders {
    bool allows_null;             /* allowNullSender; false */
    struct mx_conf_table senders; /* struct mx_conf_allowed_sender, one at least */
};

struct mx_opt_spam_trap {
    struct mx_conf_texts traps; /* spamTrapRecip */
    uint32_t block_ms;          /* blockTime; 72 min */
};

struct mx_opt_max_lifespan {
    uint32_t duration_ms; /* duration */
};

struct mx_opt_header_limits {
    uint32_t max_fields; /* maxLines; 500 */
    uint32_t max_octets; /* maxSize; 64K */
};

struct mx_opt_set_header {
    const char *name, *value; /* headername, headervalue */
};

struct mx_opt_set_attribute {
    const char *name, *value;
};

struct mx_conf_account {
    const char *username;
    struct mx_conf_secrets passwords; /* any of these */
};

struct mx_opt_auth_accounts {
    struct mx_conf_table accounts; /* struct mx_conf_account */
};

struct mx_conf_priority {
    const char *domain;
    int32_t priority; /* -9..9 */
};

struct mx_opt_mail_priority {
    struct mx_conf_table entries; /* struct mx_conf_priority */
};

/* Where a hook remembers. */
enum mx_store { MX_STORE_MEMORY, MX_STORE_REDIS };

struct mx_opt_greylist {
    struct mx_opt_wait wait;
    enum mx_store store;
    uint64_t block_ms;                      /* tempBlockTime; 1 h */
    uint64_t unseen_ms;                     /* unseenLifeTime; 4 h */
    uint64_t known_ms;                      /* autoWhiteListLifeTime; 36 d */
    struct mx_conf_networks known_networks; /* whitelistedNetworks */
};

enum mx_rate_subject {
    MX_RATE_IP,
    MX_RATE_NETWORK,
    MX_RATE_SENDER,
    MX_RATE_DOMAIN,
    MX_RATE_USER,
};

struct mx_opt_rate_limit {
    struct mx_opt_wait wait;
    enum mx_store store;
    enum mx_rate_subject subject; /* per */
    uint32_t count;               /* recipients */
    uint32_t period_ms;
};

enum { MX_RBL_LISTS_MAX = 32, MX_URIRBL_LISTS_MAX = 4 };

struct mx_opt_dnsrbl {
    struct mx_opt_wait wait;
    struct mx_conf_texts whitelist, blacklist; /* rblservers; MX_RBL_LISTS_MAX of both */
    bool gets_detail;                          /* getDetail; false */
};

struct mx_opt_spf {
    struct mx_opt_wait wait;
    bool blocks_soft_fail;  /* blockSoftFail; false */
    bool blocks_perm_error; /* blockPermError; true */
};

struct mx_opt_only_wait {
    struct mx_opt_wait wait;
};

struct mx_opt_valid_rcpt_mx {
    struct mx_opt_wait wait;
    struct mx_conf_networks networks; /* invalidMXNetworks */
};

/* The options of those who have mail looked at by others begin with these. */
struct mx_opt_scan {
    struct mx_opt_wait wait;
    uint32_t max_connections;       /* maxConnections */
    uint64_t max_octets;            /* maxScanSize: longer messages are not shown */
    enum mx_on_failure on_oversize; /* onOversize: ... but treated so */
};

/* What becomes of a message that a milter wants kept apart. */
enum mx_milter_quarantine {
    MX_MILTER_QUARANTINE_NO, /* it is told that there is no such thing */
    MX_MILTER_QUARANTINE_TEMPFAIL,
    MX_MILTER_QUARANTINE_REJECT,
};

struct mx_opt_milter {
    struct mx_opt_scan scan;
    const char *address; /* as mx_endpoint_parse takes it */
    enum mx_milter_quarantine quarantine;
};

struct mx_opt_rspamd {
    struct mx_opt_scan scan;
    const char *address;
    bool tempfails_greylist; /* greylist; false */
};

struct mx_opt_spamd {
    struct mx_opt_scan scan;
    const char *host;           /* spamdHost; localhost, or unix:PATH */
    uint32_t port;              /* spamdPort; 783 */
    const char *rejection_hits; /* spamdRejectionHits; a decimal number; 0: nothing is refused */
    bool adds_headers;          /* headers; true */
};

struct mx_opt_urirbl {
    struct mx_opt_wait wait;
    struct mx_conf_texts servers; /* uriRblServers; 1..MX_URIRBL_LISTS_MAX */
    bool gets_detail;             /* getDetail; false */
};

struct mx_opt_dkim {
    struct mx_opt_wait wait;
    bool forces_crlf;              /* forceCRLF; true */
    bool is_required;              /* signatureRequired; true */
    bool allows_partial;           /* allowPartialBody; false */
    struct mx_conf_texts domains;  /* onlyForSenderDomain; none: all */
    struct mx_conf_texts entities; /* validatedEntities; none: both of them */
    struct mx_conf_texts tokens;   /* expectedDToken; none: any */
};
