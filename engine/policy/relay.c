#include "engine/policy/relay.h"

#include <errno.h>

static bool has_prefix(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned octets = bits / 8, rest = bits % 8;
    if (memcmp(a, b, octets) != 0)
        return false;
    return rest == 0 || (uint8_t)((a[octets] ^ b[octets]) >> (8 - rest)) == 0;
}

bool mx_relay_is_in(const struct mx_conf_networks *networks, const struct mx_ip *ip) {
    for (uint32_t i = 0; i < networks->count; i++) {
        const struct mx_conf_network *net = &networks->rows[i];
        if (net->ip.family == ip->family && has_prefix(net->ip.bytes, ip->bytes, net->prefix_len))
            return true;
    }
    return false;
}

struct mx_span mx_relay_domain(struct mx_span address) {
    for (size_t i = address.len; i > 0; i--) {
        if (address.ptr[i - 1] == '@')
            return mx_span_skip(address, i);
    }
    return (struct mx_span){0};
}

int mx_relay_check(const struct mx_conf *conf, const struct mx_conf_server *server,
                   const struct mx_ip *peer, struct mx_span recipient, struct mx_refusal *refusal) {
    if (mx_relay_is_local(conf, mx_relay_domain(recipient)))
        return 0;
    if (!server->is_lmtp && mx_relay_is_in(&server->authorized_addresses, peer))
        return 0;
    refusal->text = MX_SPAN("550 5.7.1 Requested action not taken: relaying denied");
    return -EACCES;
}
