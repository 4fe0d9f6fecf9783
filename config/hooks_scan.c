/* hooks_scan.c - options of the hooks that have mail looked at by others. */
#include "config/hook_type.h"
#include "config/load.h"
#include "config/text.h"
#include "proto/decimal.h"
#include "proto/endpoint.h"

#define RELOAD MX_ROW_RELOAD

static const struct mx_lookup words_greylist[] = {
    {"accept",   false},
    {"tempfail", true },
    {NULL,       0    },
};

static const struct mx_lookup words_quarantine[] = {
    {"no",       MX_MILTER_QUARANTINE_NO      },
    {"tempfail", MX_MILTER_QUARANTINE_TEMPFAIL},
    {"reject",   MX_MILTER_QUARANTINE_REJECT  },
    {NULL,       0                            },
};

/* clang-format off */
/* The rows of struct mx_opt_scan. */
#define SCAN_ROWS(timeout_text, failure_text, connections_text, size_text)                   \
    MX_WAIT_ROWS(struct mx_opt_scan, timeout_text, failure_text),                                  \
    {"maxConnections", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, 65536, connections_text, NULL,  \
     NULL, MX_OPTION(struct mx_opt_scan, max_connections),                                                  \
     "to this address at a time; who wants one more waits, up to timeout"},                        \
    {"maxScanSize", 0, MX_TYPE_SIZE, MX_UNIT_OCTET, RELOAD, 1024, INT64_C(64) << 30, size_text,    \
     NULL, NULL, MX_OPTION(struct mx_opt_scan, max_octets), "longer messages are not shown"},               \
    {"onOversize", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "accept", NULL,                    \
     mx_words_on_failure, MX_OPTION(struct mx_opt_scan, on_oversize), "what becomes of those"}

static void check_endpoint(struct mx_loader *loader, const struct mx_yaml_node *node,
                           const char *key, const char *text, int err) {
    char quoted[80];
    if (err < 0)
        mx_loader_fail(loader, node, "%s: '%s' %s", key,
                       mx_text_quote(mx_span_of(text), quoted, sizeof quoted),
                       mx_endpoint_error(err));
}

/* address is the first option behind struct mx_opt_scan of both. */
static void check_address(struct mx_loader *loader, const struct mx_yaml_node *node,
                          const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_milter *self = options;
    struct mx_endpoint endpoint;
    (void)server;
    if (self->address != NULL) /* else it was said already */
        check_endpoint(loader, node, "address", self->address,
                       mx_endpoint_parse(mx_span_of(self->address), &endpoint));
}
_Static_assert(offsetof(struct mx_opt_milter, address) == offsetof(struct mx_opt_rspamd, address),
               "see check_address");

static void check_spamd(struct mx_loader *loader, const struct mx_yaml_node *node,
                        const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_spamd *self = options;
    struct mx_endpoint endpoint;
    int32_t hits = 0;
    char quoted[80];
    (void)server;
    if (self->host == NULL || self->rejection_hits == NULL)
        return;
    check_endpoint(loader, node, "spamdHost", self->host,
                   mx_endpoint_parse_host(mx_span_of(self->host), self->port, &endpoint));
    if (mx_decimal_parse(mx_span_of(self->rejection_hits), &hits) < 0)
        mx_loader_fail(
            loader, node, "spamdRejectionHits: '%s' is not a number of hits, as 10 or 7.5",
            mx_text_quote(mx_span_of(self->rejection_hits), quoted, sizeof quoted));
}

static const struct mx_row milter_rows[] = {
    SCAN_ROWS("30s", "tempfail", "100", "64M"),
    {"address", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, MX_ENDPOINT_TEXT_MAX, NULL, NULL, NULL,
     MX_OPTION(struct mx_opt_milter, address),
     "where it listens: `ADDRESS:PORT`, `[IPv6]:PORT` or `unix:/PATH`"},
    {"quarantine", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "no", NULL, words_quarantine,
     MX_OPTION(struct mx_opt_milter, quarantine),
     "what becomes of a message that it wants kept apart; no: that is not offered to it. "
     "clamav-milter does not work without the offer, whatever it is set to"},
};
static const struct mx_row rspamd_rows[] = {
    SCAN_ROWS("30s", "tempfail", "32", "64M"),
    {"address", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, MX_ENDPOINT_TEXT_MAX, "127.0.0.1:11333",
     NULL, NULL, MX_OPTION(struct mx_opt_rspamd, address),
     "where its normal worker (not the proxy, not the controller) listens, as for Milter"},
    {"greylist", 0, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "accept", NULL, words_greylist,
     MX_OPTION(struct mx_opt_rspamd, tempfails_greylist),
     "what its action of that name means; its own greylisting, when it is on, says `soft reject`"},
};
static const struct mx_row spamd_rows[] = {
    SCAN_ROWS("30s", "accept", "32", "512K"),
    {"spamdHost", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, MX_ENDPOINT_TEXT_MAX, "localhost",
     "spamdHost", NULL, MX_OPTION(struct mx_opt_spamd, host),
     "where spamd listens: a numeric address, or `unix:/PATH`"},
    {"spamdPort", 0, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, 65535, "783", "spamdPort", NULL,
     MX_OPTION(struct mx_opt_spamd, port), "and its port"},
    {"spamdRejectionHits", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 16, "0", "spamdRejectionHits",
     NULL, MX_OPTION(struct mx_opt_spamd, rejection_hits),
     "from so many hits on a message is refused; 0: none is"},
    {"headers", 0, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", NULL, NULL,
     MX_OPTION(struct mx_opt_spamd, adds_headers),
     "X-Spam-Flag and X-Spam-Status are put into the message, and those that came with it go"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_milter = {MX_ROWS_OF(milter_rows, struct mx_opt_milter),
                                                 check_address};
const struct mx_hook_type mx_hook_type_rspamd = {MX_ROWS_OF(rspamd_rows, struct mx_opt_rspamd),
                                                 check_address};
const struct mx_hook_type mx_hook_type_spamd = {MX_ROWS_OF(spamd_rows, struct mx_opt_spamd),
                                                check_spamd};
