/* hooks_scan.c - options of the hooks that have mail looked at by others. */
#include "config/hook_type.h"
#include "config/load.h"
#include "config/text.h"
#include "proto/endpoint.h"

#define RELOAD MX_ROW_RELOAD

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

static void check_milter(struct mx_loader *loader, const struct mx_yaml_node *node,
                         const struct mx_conf_server *server, const void *options) {
    const struct mx_opt_milter *self = options;
    struct mx_endpoint endpoint;
    char quoted[80];
    (void)server;
    if (self->address == NULL)
        return; /* was said already */
    int err = mx_endpoint_parse(mx_span_of(self->address), &endpoint);
    if (err < 0)
        mx_loader_fail(loader, node, "address: '%s' %s",
                       mx_text_quote(mx_span_of(self->address), quoted, sizeof quoted),
                       mx_endpoint_error(err));
}

static const struct mx_row milter_rows[] = {
    SCAN_ROWS("30s", "tempfail", "100", "64M"),
    {"address", 0, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, MX_ENDPOINT_TEXT_MAX, NULL, NULL, NULL,
     MX_OPTION(struct mx_opt_milter, address),
     "where it listens: `ADDRESS:PORT`, `[IPv6]:PORT` or `unix:/PATH`"},
};
/* clang-format on */

const struct mx_hook_type mx_hook_type_milter = {MX_ROWS_OF(milter_rows, struct mx_opt_milter),
                                                 check_milter};
