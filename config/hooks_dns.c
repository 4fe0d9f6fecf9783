/* hooks_dns.c - options of the hooks that ask the DNS. */
#include "config/hook_type.h"
#include "config/load.h"
#include "config/text.h"
#include "proto/dns.h"

#define RELOAD  MX_ROW_RELOAD
#define NOWHERE 0, 0

/* Lists stand behind a reversed address: 64 octets for IPv6. */
enum { LIST_MAX = MX_DNS_NAME_MAX - 64 };

static void check_lists(struct mx_loader *loader, const struct mx_yaml_node *node,
                        const struct mx_conf_texts *lists, const char *what) {
    char quoted[80];
    for (uint32_t i = 0; i < lists->count; i++) {
        if (!mx_dns_is_name(lists->rows[i]))
            mx_loader_fail(loader, node, "%s: '%s' is not a domain name", what,
                           mx_text_quote(lists->rows[i], quoted, sizeof quoted));
    }
}

/* ---- DNSRBLHandler ---- */

static void check_dnsrbl(struct mx_loader *loader, const struct mx_yaml_node *node,
                         const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_dnsrbl *self = options;
    uint32_t count = self->whitelist.count + self->blacklist.count;
    (void)server;
    check_lists(loader, node, &self->whitelist, "rblservers.whitelist");
    check_lists(loader, node, &self->blacklist, "rblservers.blacklist");
    if (count == 0)
        mx_loader_fail(loader, node,
                       "DNSRBLHandler needs rblservers: {whitelist: ..., blacklist: "
                       "...}, one of them at least");
    if (count > MX_RBL_LISTS_MAX)
        mx_loader_fail(loader, node, "rblservers: more than %d lists", MX_RBL_LISTS_MAX);
}

/* clang-format off */
static const struct mx_row rblservers_rows[] = {
    {"whitelist", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, LIST_MAX, "[]",
     "rblservers.whitelist", NULL, MX_OPTION(struct mx_opt_dnsrbl, whitelist),
     "lists of the welcome: whoever is on one is not looked for on the others"},
    {"blacklist", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, LIST_MAX, "[]",
     "rblservers.blacklist", NULL, MX_OPTION(struct mx_opt_dnsrbl, blacklist), "block lists"},
};
static const struct mx_row dnsrbl_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_dnsrbl, "10s", "accept"),
    {"rblservers", 0, MX_TYPE_GROUP, MX_UNIT_NONE, RELOAD, MX_INNER_RBLSERVERS, 0, NULL,
     "rblservers", NULL, NOWHERE, "the lists"},
    {"getDetail", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "getDetail", NULL,
     MX_OPTION(struct mx_opt_dnsrbl, gets_detail), "the list's own text is the reply"},
};
/* clang-format on */

const struct mx_rows mx_inner_rblservers = MX_ROWS_OF(rblservers_rows, struct mx_opt_dnsrbl);
const struct mx_hook_type mx_hook_type_dnsrbl = {MX_ROWS_OF(dnsrbl_rows, struct mx_opt_dnsrbl),
                                                 check_dnsrbl};

/* ---- SPFHandler ---- */

/* clang-format off */
static const struct mx_row spf_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_spf, "20s", "tempfail"),
    {"blockSoftFail", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "blockSoftFail", NULL,
     MX_OPTION(struct mx_opt_spf, blocks_soft_fail), "softfail is refused, too"},
    {"blockPermError", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "blockPermError", NULL,
     MX_OPTION(struct mx_opt_spf, blocks_perm_error),
     "a record that cannot be understood is refused"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_spf = {MX_ROWS_OF(spf_rows, struct mx_opt_spf), NULL};

/* ---- hooks that only wait ---- */

/* clang-format off */
static const struct mx_row resolvable_helo_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_only_wait, "10s", "tempfail"),
};
static const struct mx_row reverse_helo_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_only_wait, "10s", "tempfail"),
};
static const struct mx_row valid_sender_domain_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_only_wait, "10s", "tempfail"),
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_resolvable_helo = {
    MX_ROWS_OF(resolvable_helo_rows, struct mx_opt_only_wait), NULL};
const struct mx_hook_type mx_hook_type_reverse_helo = {
    MX_ROWS_OF(reverse_helo_rows, struct mx_opt_only_wait), NULL};
const struct mx_hook_type mx_hook_type_valid_sender_domain = {
    MX_ROWS_OF(valid_sender_domain_rows, struct mx_opt_only_wait), NULL};

/* ---- ValidRcptMX ---- */

/* clang-format off */
static const struct mx_row valid_rcpt_mx_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_valid_rcpt_mx, "10s", "accept"),
    {"invalidMXNetworks", 0, MX_TYPE_NETWORKS, MX_UNIT_NONE, RELOAD, 0, 0, NULL,
     "invalidMXNetworks", NULL, MX_OPTION(struct mx_opt_valid_rcpt_mx, networks),
     "networks that no mail host of a foreign domain can be in"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_valid_rcpt_mx = {
    MX_ROWS_OF(valid_rcpt_mx_rows, struct mx_opt_valid_rcpt_mx), NULL};

/* ---- URIRBLHandler ---- */

static void check_urirbl(struct mx_loader *loader, const struct mx_yaml_node *node,
                         const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_urirbl *self = options;
    (void)server;
    check_lists(loader, node, &self->servers, "uriRblServers");
    if (self->servers.count == 0)
        mx_loader_fail(loader, node, "URIRBLHandler needs at least one of uriRblServers");
    if (self->servers.count > MX_URIRBL_LISTS_MAX)
        mx_loader_fail(loader, node, "uriRblServers: more than %d lists", MX_URIRBL_LISTS_MAX);
}

/* clang-format off */
static const struct mx_row urirbl_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_urirbl, "10s", "accept"),
    {"uriRblServers", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, LIST_MAX, NULL,
     "uriRblServers.server", NULL, MX_OPTION(struct mx_opt_urirbl, servers),
     "lists of domains that stand in unwanted mail"},
    {"getDetail", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "getDetail", NULL,
     MX_OPTION(struct mx_opt_urirbl, gets_detail), "the list's own text is added to the reply"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_urirbl = {MX_ROWS_OF(urirbl_rows, struct mx_opt_urirbl),
                                                 check_urirbl};

/* ---- DKIMHook ---- */

static void check_dkim(struct mx_loader *loader, const struct mx_yaml_node *node,
                       const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_dkim *self = options;
    char quoted[80];
    (void)server;
    check_lists(loader, node, &self->domains, "onlyForSenderDomain");
    check_lists(loader, node, &self->tokens, "expectedDToken");
    for (uint32_t i = 0; i < self->entities.count; i++) {
        struct mx_span entity = self->entities.rows[i];
        if (!mx_span_equal(entity, MX_SPAN("envelope")) &&
            !mx_span_equal(entity, MX_SPAN("headers")))
            mx_loader_fail(loader, node, "validatedEntities: '%s' is neither envelope nor headers",
                           mx_text_quote(entity, quoted, sizeof quoted));
    }
}

/* clang-format off */
static const struct mx_row dkim_rows[] = {
    MX_WAIT_ROWS(struct mx_opt_dkim, "20s", "tempfail"),
    {"forceCRLF", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "forceCRLF", NULL,
     MX_OPTION(struct mx_opt_dkim, forces_crlf), "a LF alone counts as a line end"},
    {"signatureRequired", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "signatureRequired",
     NULL, MX_OPTION(struct mx_opt_dkim, is_required), "mail without any signature is refused"},
    {"allowPartialBody", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", NULL, NULL,
     MX_OPTION(struct mx_opt_dkim, allows_partial),
     "a signature may be of the begin of the body only (l=): anybody can put something behind it"},
    {"onlyForSenderDomain", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, MX_DNS_NAME_MAX, "[]",
     "onlyForSenderDomain", NULL, MX_OPTION(struct mx_opt_dkim, domains),
     "only mail from senders in these domains is looked at; none: all mail"},
    {"validatedEntities", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, 16, "[]",
     "validatedEntities", NULL, MX_OPTION(struct mx_opt_dkim, entities),
     "where senders of onlyForSenderDomain are: `envelope`, `headers` (From); none: both"},
    {"expectedDToken", 0, MX_TYPE_TEXTS, MX_UNIT_NONE, RELOAD, 1, MX_DNS_NAME_MAX, "[]",
     "expectedDToken", NULL, MX_OPTION(struct mx_opt_dkim, tokens),
     "the signature must be by one of these domains (d=); none: by anybody"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_dkim = {MX_ROWS_OF(dkim_rows, struct mx_opt_dkim),
                                               check_dkim};
