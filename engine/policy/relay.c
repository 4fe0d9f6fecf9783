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

int mx_relay_check(const struct mx_conf *conf, const struct mx_session *session,
                   struct mx_span recipient, struct mx_refusal *refusal) {
    if (mx_relay_is_local(conf, mx_relay_domain(recipient)) || mx_relay_is_allowed(session))
        return 0;
    refusal->text = mx_session_announces_auth(session)
                        ? MX_SPAN("530 5.7.1 Authentication Required")
                        : MX_SPAN("550 5.7.1 Requested action not taken: relaying denied");
    return -EACCES;
}

int mx_relay_check_sender(const struct mx_conf_server *server, const struct mx_session *session,
                          struct mx_refusal *refusal) {
    bool is_required = server->auth.is_required && server->core_handlers == MX_CORE_HANDLERS_CORE;
    if (!is_required || mx_relay_is_allowed(session))
        return 0;
    refusal->text = MX_SPAN("530 5.7.1 Authentication Required");
    return -EACCES;
}
