/* relay.h - may this client send to this recipient? Relaying for nobody but the authorised.
 *
 * Pure look-ups in the configuration: never blocks.
 */
#pragma once
#include "config/conf.h"
#include "proto/session.h"

/* Is the domain (any case) one of ours? */
static inline bool mx_relay_is_local(const struct mx_conf *conf, struct mx_span domain) {
    return mx_conf_is_local(conf, domain);
}

/* Is the address inside one of the networks (RFC 4632)? */
bool mx_relay_is_in(const struct mx_conf_networks *networks, const struct mx_ip *ip);

/* May this client relay: is it logged in, or in authorizedAddresses? */
static inline bool mx_relay_is_allowed(const struct mx_session *session) {
    return session->is_authenticated || session->is_authorized;
}

/* The check at RCPT. 0, or -EACCES with *refusal set (static text). */
MX_MUST_CHECK int mx_relay_check(const struct mx_conf *conf, const struct mx_session *session,
                                 struct mx_span recipient, struct mx_refusal *refusal);

/* The check at MAIL (auth.required): is it a client that may relay? 0, or -EACCES with *refusal
 * set.
 */
MX_MUST_CHECK int mx_relay_check_sender(const struct mx_conf_server *server,
                                        const struct mx_session *session,
                                        struct mx_refusal *refusal);

/* The domain of an address: behind the last '@', since a quoted local part may hold others. */
struct mx_span mx_relay_domain(struct mx_span address);
