/* servers.h - the name servers, by c-ares: one channel for each, so that we know what each of them
 * has answered. Used by the resolver's thread alone.
 *
 * A look-up begins at the server that answered last. One that fails is asked again elsewhere; one
 * that is silent, too, and then again in turn, dns.attempts times.
 */
#pragma once
#include "engine/dns/flights.h"

#include <ares.h>
#include <poll.h>

enum { MX_DNS_FDS_MAX = 2 * MX_CONF_ADDRESSES_MAX }; /* UDP and TCP of each */

/* A look-up has ended: with a message, or in silence (empty), or because each server has failed
 * (empty, has_failed). */
typedef void mx_dns_end_fn(struct mx_dns *dns, struct mx_dns_flight *flight, struct mx_span message,
                           bool has_failed);

struct mx_dns_server {
    struct mx_dns_servers *servers;
    ares_channel channel;
};

struct mx_dns_servers {
    struct mx_dns_server rows[MX_CONF_ADDRESSES_MAX];
    unsigned count, first; /* who is asked first */
    unsigned tries_max;
    mx_dns_end_fn *end;
    struct mx_dns *dns; /* for end */
    bool is_ending, has_library;
};

/* Those of dns.servers, or of /etc/resolv.conf. 0; -ENOMEM; or -EINVAL: c-ares takes neither. Free
 * in any case. */
MX_MUST_CHECK int mx_dns_servers_new(struct mx_dns_servers *self, const struct mx_conf_dns *conf);
void mx_dns_servers_free(struct mx_dns_servers *self);

/* Begin; end may be called before this returns. */
void mx_dns_servers_ask(struct mx_dns_servers *self, struct mx_dns_flight *flight);

/* What to wait for: fill fds (MX_DNS_FDS_MAX at most) and say how many. */
unsigned mx_dns_servers_watch(struct mx_dns_servers *self, struct pollfd *fds);
/* ... and how long, at most most_ms. */
int64_t mx_dns_servers_wait_ms(const struct mx_dns_servers *self, int64_t most_ms);
/* Behind poll: what has come, and what took too long. */
void mx_dns_servers_process(struct mx_dns_servers *self, const struct pollfd *fds, unsigned count);
