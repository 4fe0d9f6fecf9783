/* What one row cannot know: mandatory keys, servers that are in each other's way, open relays. */
#include "config/load.h"
#include "config/report.h"
#include "config/size.h"

#include <assert.h>
#include <stdlib.h>

struct bound {
    const struct mx_conf_bind *bind;
    const struct mx_yaml_node *node;
};

/* Where the key's value stands; the server's map when it was not written. */
static const struct mx_yaml_node *place(const struct mx_origin *origin, enum mx_section section,
                                        const char *key) {
    const struct mx_row *row = mx_schema_find(section, mx_span_of(key));
    assert(row);
    const struct mx_yaml_node *node = origin->values[mx_schema_index(row)];
    return node ? node : origin->map;
}

static bool is_written(const struct mx_origin *origin, enum mx_section section, const char *key) {
    return place(origin, section, key) != origin->map;
}

static void warn(struct mx_loader *self, const struct mx_yaml_node *node, const char *text) {
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

/* Do the networks of one family hold every address of it? Sorted by first address; so that
 * 0.0.0.0/1 with 128.0.0.0/1 is seen for what it is. */
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

static void check_relay(struct mx_loader *self, const struct mx_conf_server *server,
                        const struct mx_origin *origin) {
    const struct mx_conf_networks *networks = &server->authorized_addresses;
    if (networks->count == 0)
        return;
    struct mx_conf_network *sorted = mx_arena_take(self->scratch, networks->count * sizeof *sorted);
    if (!sorted)
        return; /* the arena remembers it */
    memcpy(sorted, networks->rows, networks->count * sizeof *sorted);
    qsort(sorted, networks->count, sizeof *sorted, compare_networks);
    if (!covers_all(sorted, networks->count, 4) && !covers_all(sorted, networks->count, 6))
        return;
    const struct mx_yaml_node *node = place(origin, MX_SECTION_SMTP, "authorizedAddresses");
    if (self->conf->engine.allow_open_relay)
        warn(self, node, "authorizedAddresses let everybody relay: this is an open relay");
    else
        mx_loader_fail(self, node,
                       "authorizedAddresses let everybody relay: an open relay does not start "
                       "without engine: {allowOpenRelay: true}");
}

static void check_limits(struct mx_loader *self, const struct mx_conf_server *server,
                         const struct mx_origin *origin, enum mx_section section) {
    uint32_t all = server->connection_limit, per_ip = server->connection_limit_per_ip;
    if (all > 0 && per_ip > all)
        warn(self, place(origin, section, "connectionLimitPerIP"),
             "connectionLimitPerIP is above connectionLimit and has no effect");
    if (all > self->conf->engine.max_connections)
        warn(self, place(origin, section, "connectionLimit"),
             "connectionLimit is above engine.maxConnections and has no effect");
}

static void check_server(struct mx_loader *self, const struct mx_conf_server *server,
                         const struct mx_origin *origin) {
    enum mx_section section = server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP;
    if (!is_written(origin, section, "handlerchain"))
        mx_loader_fail(self, origin->map,
                       "handlerchain is missing; handlerchain: [] means the core handlers only");
    if (server->verify_identity != MX_VERIFY_IDENTITY_DISABLED)
        mx_loader_fail(self, place(origin, section, "verifyIdentity"),
                       "verifyIdentity other than disabled is not available in this version");
    check_relay(self, server, origin);
    check_limits(self, server, origin, section);
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

static void check_binds(struct mx_loader *self) {
    const struct mx_conf *conf = self->conf;
    struct bound *rows =
        mx_arena_take(self->scratch, (size_t)conf->server_count * MX_CONF_BINDS_MAX * sizeof *rows);
    uint32_t count = 0;
    for (uint32_t s = 0; rows && s < conf->server_count; s++) {
        const struct mx_conf_server *server = &conf->servers[s];
        const struct mx_yaml_node *node =
            place(&self->origins[s], server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP, "bind");
        for (uint32_t i = 0; server->enabled && i < server->bind_count; i++) {
            if (has_port(&server->binds[i]))
                rows[count++] =
                    (struct bound){&server->binds[i], bind_node(node, server->bind_count, i)};
        }
    }
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_bounds);
    for (uint32_t i = 1; i < count; i++) {
        const struct bound *row = &rows[i];
        if (memcmp(&row->bind->addr, &row[-1].bind->addr, sizeof row->bind->addr) == 0)
            mx_loader_fail(self, row->node, "bind '%s' is already used in line %u", row->bind->text,
                           row[-1].node->line);
    }
}

void mx_check_all(struct mx_loader *self) {
    uint32_t count = self->conf->server_count;
    if (self->scratch->is_failed || self->origin_count != count)
        return; /* out of memory: reported by the caller */
    for (uint32_t i = 0; i < count; i++) {
        if (self->conf->servers[i].enabled)
            check_server(self, &self->conf->servers[i], &self->origins[i]);
    }
    check_binds(self);
}
