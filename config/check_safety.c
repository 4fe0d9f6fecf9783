/* What is legal and yet not what the file's author may think: who is trusted, and what is hidden
 * without being off. Said by mxring check only. */
#include "config/load.h"
#include "config/report.h"
#include "config/size.h"
#include "proto/session.h"

static bool has_prefix(const struct mx_conf_network *network, const struct mx_ip *ip) {
    unsigned octets = network->prefix_len / 8, rest = network->prefix_len % 8;
    if (network->ip.family != ip->family || memcmp(network->ip.bytes, ip->bytes, octets) != 0)
        return false;
    return rest == 0 ||
           (uint8_t)((network->ip.bytes[octets] ^ ip->bytes[octets]) >> (8 - rest)) == 0;
}

/* Addresses that many networks have: whoever comes through a gateway has one. RFC 1918, 6598, 3927,
 * 4193, 4291. */
static const struct mx_conf_network private_ranges[] = {
    {{.family = 4, .bytes = {10}},         8 },
    {{.family = 4, .bytes = {100, 64}},    10},
    {{.family = 4, .bytes = {169, 254}},   16},
    {{.family = 4, .bytes = {172, 16}},    12},
    {{.family = 4, .bytes = {192, 168}},   16},
    {{.family = 6, .bytes = {0xfc}},       7 },
    {{.family = 6, .bytes = {0xfe, 0x80}}, 10},
};

static bool is_private(const struct mx_ip *ip) {
    for (size_t i = 0; i < sizeof private_ranges / sizeof *private_ranges; i++) {
        if (has_prefix(&private_ranges[i], ip))
            return true;
    }
    return false;
}

static bool is_private_network(const struct mx_conf_network *network) {
    return is_private(&network->ip) && network->prefix_len >= (network->ip.family == 4 ? 8 : 7);
}

static bool is_loopback(const struct mx_ip *ip) {
    static const struct mx_conf_network loopback[] = {
        {{.family = 4, .bytes = {127}},      8  },
        {{.family = 6, .bytes = {[15] = 1}}, 128},
    };
    return has_prefix(&loopback[0], ip) || has_prefix(&loopback[1], ip);
}

static struct mx_ip ip_of(const struct mx_conf_bind *bind) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct mx_ip ip = {.family = bind->addr.ss_family == AF_INET ? 4 : 6};
    memcpy(&v4, &bind->addr, sizeof v4);
    memcpy(&v6, &bind->addr, sizeof v6);
    if (ip.family == 4)
        memcpy(ip.bytes, &v4.sin_addr, 4);
    else
        memcpy(ip.bytes, &v6.sin6_addr, 16);
    return ip;
}

/* Can it be reached from elsewhere? */
static bool is_public(const struct mx_conf_server *server) {
    for (uint32_t i = 0; i < server->bind_count; i++) {
        struct mx_ip ip = ip_of(&server->binds[i]);
        if (!is_private(&ip) && !is_loopback(&ip))
            return true;
    }
    return false;
}

static void check_trust(struct mx_loader *self, const struct mx_conf_server *server,
                        const struct mx_origin *origin) {
    const struct mx_conf_networks *networks = &server->authorized_addresses;
    const struct mx_yaml_node *node =
        mx_check_place(origin, MX_SECTION_SMTP, "authorizedAddresses");
    const struct mx_yaml_node *item =
        node->kind == MX_YAML_LIST && node->count == networks->count ? node->child : NULL;
    if (server->proxy_required || !is_public(server))
        return;
    for (uint32_t i = 0; i < networks->count; i++) {
        char text[MX_NETWORK_TEXT_MAX];
        const struct mx_yaml_node *place = item ? item : node;
        item = item ? item->next : NULL;
        if (!is_private_network(&networks->rows[i]))
            continue;
        mx_size_network_text(&networks->rows[i], text);
        mx_report_add(
            self->report, place->line, place->column, true,
            "authorizedAddresses: %s is private, and this server can be reached from "
            "elsewhere: behind a gateway, balancer or container network that hides where "
            "clients come from, everybody may relay (proxyRequired keeps their addresses)",
            text);
    }
}

/* Features whose EHLO line can be hidden, and nothing else. */
static void check_hidden(struct mx_loader *self, const struct mx_conf_server *server,
                         const struct mx_origin *origin, enum mx_section section) {
    static const struct {
        enum mx_feature feature;
        const char *name;
    } rows[] = {
        {MX_FEATURE_PIPELINING,          "PIPELINING"         },
        {MX_FEATURE_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES"},
        {MX_FEATURE_8BITMIME,            "8BITMIME"           },
    };
    const struct mx_yaml_node *node = mx_check_place(origin, section, "disabledFeatures");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (server->hidden_features & rows[i].feature)
            mx_report_add(self->report, node->line, node->column, true,
                          "disabledFeatures: %s is not shown, and can be used all the same",
                          rows[i].name);
    }
}

void mx_check_safety(struct mx_loader *self, const struct mx_conf_server *server,
                     const struct mx_origin *origin) {
    if (!self->is_check)
        return;
    check_hidden(self, server, origin, server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP);
    if (!server->is_lmtp)
        check_trust(self, server, origin);
}
