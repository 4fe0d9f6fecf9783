/* What one row cannot know: mandatory keys, servers that are in each other's way, open relays. */
#include "config/chain.h"
#include "config/load.h"
#include "config/redis.h"
#include "config/report.h"
#include "config/size.h"

#include <assert.h>
#include <stdlib.h>

struct bound {
    const struct mx_conf_bind *bind;
    const struct mx_yaml_node *node;
};

const struct mx_yaml_node *mx_check_place(const struct mx_origin *origin, enum mx_section section,
                                          const char *key) {
    const struct mx_row *row = mx_schema_find(section, mx_span_of(key));
    assert(row);
    const struct mx_yaml_node *node = origin->values[mx_schema_index(row)];
    return node ? node : origin->map;
}

static bool is_written(const struct mx_origin *origin, enum mx_section section, const char *key) {
    return mx_check_place(origin, section, key) != origin->map;
}

void mx_check_warn(struct mx_loader *self, const struct mx_yaml_node *node, const char *text) {
    mx_report_add(self->report, node->line, node->column, true, "%s", text);
}

typedef unsigned __int128 address;

static address first_address(const struct mx_conf_network *network) {
    address sum = 0;
    for (size_t i = 0; i < (network->ip.family == 4 ? 4U : 16U); i++)
        sum = sum << 8 | network->ip.bytes[i];
    return sum;
}

static int compare_networks(const void *a, const void *b) {
    const struct mx_conf_network *left = a, *right = b;
    if (left->ip.family != right->ip.family)
        return left->ip.family < right->ip.family ? -1 : 1;
    address x = first_address(left), y = first_address(right);
    return (x > y) - (x < y);
}

/* Do the networks of one family hold every address of it? Sorted by first address. */
static bool covers_all(const struct mx_conf_network *rows, uint32_t count, uint8_t family) {
    const unsigned width = family == 4 ? 32 : 128;
    address next = 0; /* the least address not yet covered */
    for (uint32_t i = 0; i < count; i++) {
        const struct mx_conf_network *row = &rows[i];
        if (row->ip.family != family)
            continue;
        if (row->prefix_len == 0)
            return true;
        address first = first_address(row);
        address len = (address)1 << (width - row->prefix_len);
        if (first > next)
            return false;
        address last = first + (len - 1);
        if (last == (~(address)0 >> (128 - width)))
            return true;
        if (last >= next)
            next = last + 1;
    }
    return false;
}

/* Where no client on the Internet comes from: RFC 6890; IPv6 all but 2000::/3, RFC 4291 2.4. */
static const struct mx_conf_network not_public[] = {
    {{.family = 4, .bytes = {0}},        8 },
    {{.family = 4, .bytes = {10}},       8 },
    {{.family = 4, .bytes = {127}},      8 },
    {{.family = 4, .bytes = {169, 254}}, 16},
    {{.family = 4, .bytes = {172, 16}},  12},
    {{.family = 4, .bytes = {192, 168}}, 16},
    {{.family = 4, .bytes = {224}},      3 },
    {{.family = 6, .bytes = {0}},        3 },
    {{.family = 6, .bytes = {0x40}},     2 },
    {{.family = 6, .bytes = {0x80}},     1 },
};

enum { NOT_PUBLIC = sizeof not_public / sizeof *not_public };

/* Wider than any one owner's network, and not one of those that are private as a whole. */
static bool is_open(const struct mx_conf_network *network) {
    const uint8_t *bytes = network->ip.bytes;
    if (network->ip.family == 4)
        return network->prefix_len < 8;
    bool is_unique_local = network->prefix_len >= 7 && (bytes[0] & 0xfe) == 0xfc;
    bool is_link_local = network->prefix_len >= 10 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    return network->prefix_len < 16 && !is_unique_local && !is_link_local;
}

static void report_relay(struct mx_loader *self, const struct mx_yaml_node *node,
                         const char *what) {
    if (self->conf->engine.allow_open_relay)
        mx_report_add(self->report, node->line, node->column, true,
                      "authorizedAddresses: %s may relay: this is an open relay", what);
    else
        mx_loader_fail(self, node,
                       "authorizedAddresses: %s may relay: an open relay does not start without "
                       "engine: {allowOpenRelay: true}",
                       what);
}

/* The networks that are open by themselves. Returns how many. */
static uint32_t report_open_networks(struct mx_loader *self,
                                     const struct mx_conf_networks *networks,
                                     const struct mx_yaml_node *node) {
    uint32_t count = 0;
    /* one after the other with the items, where each row has one */
    const struct mx_yaml_node *item =
        node->kind == MX_YAML_LIST && node->count == networks->count ? node->child : NULL;
    for (uint32_t i = 0; i < networks->count; i++) {
        char text[MX_NETWORK_TEXT_MAX], what[MX_NETWORK_TEXT_MAX + 40];
        const struct mx_conf_network *network = &networks->rows[i];
        if (is_open(network)) {
            mx_size_network_text(network, text);
            int len = snprintf(what, sizeof what, "%s, wider than /%d,", text,
                               network->ip.family == 4 ? 8 : 16);
            assert(len > 0 && (size_t)len < sizeof what);
            report_relay(self, item ? item : node, what);
            count++;
        }
        item = item ? item->next : NULL;
    }
    return count;
}

/* May anybody say in a PROXY header who he is? */
static bool believes_anybody(const struct mx_conf_server *server) {
    bool is_anybody = server->proxy_from.count == 0;
    for (uint32_t i = 0; i < server->proxy_from.count; i++)
        is_anybody = is_anybody || is_open(&server->proxy_from.rows[i]);
    return server->proxy_required && is_anybody;
}

static void check_relay(struct mx_loader *self, const struct mx_conf_server *server,
                        const struct mx_origin *origin) {
    const struct mx_conf_networks *networks = &server->authorized_addresses;
    const struct mx_yaml_node *node =
        mx_check_place(origin, MX_SECTION_SMTP, "authorizedAddresses");
    if (networks->count == 0 || report_open_networks(self, networks, node) > 0)
        return;
    if (believes_anybody(server)) {
        report_relay(self, node,
                     "whoever claims one of these in a PROXY header (proxyFrom does not say who "
                     "may)");
        return;
    }
    /* so that the world in pieces is seen for what it is */
    uint32_t count = networks->count + NOT_PUBLIC;
    struct mx_conf_network *sorted = mx_arena_take(self->scratch, count * sizeof *sorted);
    if (!sorted)
        return; /* the arena remembers it */
    memcpy(sorted, networks->rows, networks->count * sizeof *sorted);
    memcpy(sorted + networks->count, not_public, sizeof not_public);
    qsort(sorted, count, sizeof *sorted, compare_networks);
    if (covers_all(sorted, count, 4) || covers_all(sorted, count, 6))
        report_relay(self, node, "all of the Internet, in pieces,");
}

static void check_limits(struct mx_loader *self, const struct mx_conf_server *server,
                         const struct mx_origin *origin, enum mx_section section) {
    uint32_t all = server->connection_limit, per_ip = server->connection_limit_per_ip;
    if (all > 0 && per_ip > all)
        mx_check_warn(self, mx_check_place(origin, section, "connectionLimitPerIP"),
                      "connectionLimitPerIP is above connectionLimit and has no effect");
    if (self->conf->engine.max_connections > 0 && all > self->conf->engine.max_connections)
        mx_check_warn(self, mx_check_place(origin, section, "connectionLimit"),
                      "connectionLimit is above engine.maxConnections and has no effect");
}

static void check_proxy(struct mx_loader *self, const struct mx_conf_server *server,
                        const struct mx_origin *origin, enum mx_section section) {
    const struct {
        const char *key;
        bool is_set; /* to something else than the default, which a dump holds, too */
    } useless[] = {
        {"proxyFrom",          server->proxy_from.count > 0},
        {"proxyCountsClients", server->proxy_counts_clients},
        {"proxyFirst",         !server->proxy_first        },
    };
    for (size_t i = 0; !server->proxy_required && i < sizeof useless / sizeof *useless; i++) {
        const struct mx_yaml_node *node = mx_check_place(origin, section, useless[i].key);
        if (useless[i].is_set)
            mx_report_add(self->report, node->line, node->column, true,
                          "%s has no effect without proxyRequired", useless[i].key);
    }
    if (server->proxy_required && server->proxy_from.count == 0)
        mx_check_warn(self, mx_check_place(origin, section, "proxyRequired"),
                      "whoever reaches this port may claim any client address: name the proxies in "
                      "proxyFrom");
    if (server->proxy_required && server->connection_limit_per_ip > 0 &&
        !server->proxy_counts_clients)
        mx_check_warn(
            self, mx_check_place(origin, section, "connectionLimitPerIP"),
            "connectionLimitPerIP counts the proxies; with proxyCountsClients: true their clients");
}

static void check_server(struct mx_loader *self, struct mx_conf_server *server,
                         const struct mx_origin *origin) {
    enum mx_section section = server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP;
    if (!is_written(origin, section, "handlerchain"))
        mx_loader_fail(self, origin->map,
                       "handlerchain is missing; handlerchain: [] means the core handlers only");
    check_relay(self, server, origin);
    check_limits(self, server, origin, section);
    check_proxy(self, server, origin, section);
    mx_chain_check(self, mx_check_place(origin, section, "handlerchain"), server);
    mx_check_safety(self, server, origin);
    mx_check_tls(self, server, origin);
    if (!server->is_lmtp)
        mx_check_auth(self, server, origin);
}

static int compare_bounds(const void *a, const void *b) {
    const struct bound *left = a, *right = b;
    int order = memcmp(&left->bind->addr, &right->bind->addr, sizeof left->bind->addr);
    if (order)
        return order;
    if (left->node->line != right->node->line)
        return left->node->line < right->node->line ? -1 : 1;
    return (left->node->column > right->node->column) - (left->node->column < right->node->column);
}

static bool has_port(const struct mx_conf_bind *bind) {
    struct sockaddr_in addr; /* sin_port and sin6_port are at the same place */
    memcpy(&addr, &bind->addr, sizeof addr);
    return addr.sin_port != 0;
}

/* The node of bind number i: an item when they were written as a list. */
static const struct mx_yaml_node *bind_node(const struct mx_yaml_node *node, uint32_t bind_count,
                                            uint32_t i) {
    if (node->kind != MX_YAML_LIST || node->count != bind_count)
        return node;
    for (node = node->child; i > 0; i--)
        node = node->next;
    return node;
}

/* Every address of its family? Such a bind takes the port from all others. */
static bool is_wildcard(const struct mx_conf_bind *bind) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &bind->addr, sizeof v4);
    memcpy(&v6, &bind->addr, sizeof v6);
    return bind->addr.ss_family == AF_INET ? v4.sin_addr.s_addr == INADDR_ANY
                                           : IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

static bool has_same_port(const struct mx_conf_bind *a, const struct mx_conf_bind *b) {
    struct sockaddr_in left, right;
    memcpy(&left, &a->addr, sizeof left);
    memcpy(&right, &b->addr, sizeof right);
    return left.sin_family == right.sin_family && left.sin_port == right.sin_port;
}

/* Sorted by family, port, address: a wildcard is the first of its port. IPv6 sockets take no IPv4
 * (IPV6_V6ONLY), so the families do not meet. */
static void check_conflicts(struct mx_loader *self, const struct bound *rows, uint32_t count) {
    const struct bound *wildcard = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct bound *row = &rows[i];
        if (wildcard && !has_same_port(wildcard->bind, row->bind))
            wildcard = NULL;
        if (i > 0 && memcmp(&row->bind->addr, &row[-1].bind->addr, sizeof row->bind->addr) == 0)
            mx_loader_fail(self, row->node, "bind '%s' is already used in line %u", row->bind->text,
                           row[-1].node->line);
        else if (wildcard)
            mx_loader_fail(self, row->node, "bind '%s' is part of '%s' in line %u", row->bind->text,
                           wildcard->bind->text, wildcard->node->line);
        else if (is_wildcard(row->bind))
            wildcard = row;
    }
}

static void check_binds(struct mx_loader *self) {
    const struct mx_conf *conf = self->conf;
    struct bound *rows =
        mx_arena_take(self->scratch, (size_t)conf->server_count * MX_CONF_BINDS_MAX * sizeof *rows);
    uint32_t count = 0, total = 0;
    for (uint32_t s = 0; rows && s < conf->server_count; s++) {
        const struct mx_conf_server *server = &conf->servers[s];
        const struct mx_yaml_node *node = mx_check_place(
            &self->origins[s], server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP, "bind");
        for (uint32_t i = 0; server->enabled && i < server->bind_count; i++) {
            const struct mx_yaml_node *item = bind_node(node, server->bind_count, i);
            if (++total == MX_CONF_LISTENERS_MAX + 1)
                mx_loader_fail(self, item, "more than %d listening addresses in all servers",
                               MX_CONF_LISTENERS_MAX);
            if (has_port(&server->binds[i]))
                rows[count++] = (struct bound){&server->binds[i], item};
        }
    }
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_bounds);
    check_conflicts(self, rows, count);
}

void mx_check_all(struct mx_loader *self) {
    uint32_t count = self->conf->server_count;
    const struct mx_yaml_node *user = mx_check_place(&self->file, MX_SECTION_ENGINE, "user");
    self->conf->user_line = user->line;
    self->conf->user_column = user->column;
    const struct mx_yaml_node *key =
        mx_check_place(&self->file, MX_SECTION_ENGINE, "tlsTicketKeyFile");
    self->conf->ticket_key_line = key->line;
    self->conf->ticket_key_column = key->column;
    if (self->scratch->is_failed || self->origin_count != count)
        return; /* out of memory: reported by the caller */
    for (uint32_t i = 0; i < count; i++) {
        if (self->conf->servers[i].enabled)
            check_server(self, &self->conf->servers[i], &self->origins[i]);
    }
    mx_check_redis(self);
    check_binds(self);
}
