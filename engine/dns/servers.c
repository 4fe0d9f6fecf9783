#include "engine/dns/servers.h"

#include <assert.h>
#include <errno.h>

enum {
    EDNS_OCTETS = 1232,           /* what fits any path without fragments (DNS flag day 2020) */
    RECEIVE_OCTETS = 1024 * 1024, /* of a socket: many answers may come at once */
    IN_CLASS = 1,
};

/* ---- life ---- */

static int error_of(int status) {
    return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

/* Error answers are passed on (NOCHECKRESP): else c-ares would not tell a server that fails from
 * one that is not there. */
static int new_channel(ares_channel *channel, const struct mx_conf_dns *conf) {
    struct ares_options options = {.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH |
                                            ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP,
                                   .timeout = (int)conf->timeout_ms,
                                   .tries = 1,
                                   .ednspsz = EDNS_OCTETS,
                                   .socket_receive_buffer_size = RECEIVE_OCTETS};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_RCVBUF | ARES_OPT_NOROTATE;
    return error_of(ares_init_options(channel, &options, mask));
}

static int new_server(struct mx_dns_servers *self, const struct mx_conf_dns *conf,
                      const struct ares_addr_port_node *found) {
    struct mx_dns_server *row = &self->rows[self->count];
    struct ares_addr_port_node node = *found;
    int err = new_channel(&row->channel, conf);
    if (err < 0)
        return err;
    row->servers = self;
    self->count++;
    node.next = NULL;
    return error_of(ares_set_servers_ports(row->channel, &node));
}

static struct ares_addr_port_node node_of(const struct mx_conf_bind *bind) {
    const struct sockaddr_storage *addr = &bind->addr;
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    struct ares_addr_port_node node = {.family = addr->ss_family};
    if (addr->ss_family == AF_INET)
        memcpy(&node.addr.addr4, &in->sin_addr, sizeof node.addr.addr4);
    else
        memcpy(&node.addr.addr6, &in6->sin6_addr, sizeof node.addr.addr6);
    node.udp_port = ntohs(addr->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
    node.tcp_port = node.udp_port;
    return node;
}

/* What c-ares finds by itself: /etc/resolv.conf, else 127.0.0.1. */
static int new_default_servers(struct mx_dns_servers *self, const struct mx_conf_dns *conf) {
    ares_channel channel;
    struct ares_addr_port_node *found = NULL;
    int err = new_channel(&channel, conf);
    if (err < 0)
        return err;
    err = error_of(ares_get_servers_ports(channel, &found));
    for (const struct ares_addr_port_node *at = found;
         at != NULL && err == 0 && self->count < MX_CONF_ADDRESSES_MAX; at = at->next)
        err = new_server(self, conf, at);
    ares_free_data(found);
    ares_destroy(channel);
    return err == 0 && self->count == 0 ? -EINVAL : err;
}

int mx_dns_servers_new(struct mx_dns_servers *self, const struct mx_conf_dns *conf) {
    int err = error_of(ares_library_init(ARES_LIB_INIT_ALL));
    self->has_library = err == 0;
    for (uint32_t i = 0; i < conf->servers.count && err == 0; i++) {
        struct ares_addr_port_node node = node_of(&conf->servers.rows[i]);
        err = new_server(self, conf, &node);
    }
    if (err == 0 && conf->servers.count == 0)
        err = new_default_servers(self, conf);
    self->tries_max = conf->attempts * self->count;
    return err;
}

void mx_dns_servers_free(struct mx_dns_servers *self) {
    self->is_ending = true;
    for (unsigned i = 0; i < self->count; i++)
        ares_destroy(self->rows[i].channel);
    if (self->has_library)
        ares_library_cleanup();
}

/* ---- one look-up ---- */

static void on_answer(void *context, int status, int timeouts, unsigned char *octets, int len);

/* The next server that has not failed; false: there is none, or it was tried often enough. */
static bool try_next(struct mx_dns_servers *self, struct mx_dns_flight *flight) {
    for (unsigned i = 1; i <= self->count && flight->tries < self->tries_max; i++) {
        unsigned next = (flight->server + i) % self->count;
        if (flight->failed & 1u << next)
            continue;
        flight->server = (uint8_t)next;
        flight->tries++;
        ares_query(self->rows[next].channel, flight->name, IN_CLASS, (int)flight->type, on_answer,
                   flight);
        return true;
    }
    return false;
}

static bool is_silence(int status) {
    return status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED || status == ARES_EOF;
}

/* Whoever is silent is not asked first any more. */
static void pass_over(struct mx_dns_servers *self, unsigned server) {
    if (self->first == server)
        self->first = (server + 1) % self->count;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): c-ares wants it so */
static void on_answer(void *context, int status, int timeouts, unsigned char *octets, int len) {
    struct mx_dns_flight *flight = context;
    struct mx_dns_servers *self = flight->servers;
    struct mx_span message = {NULL, 0};
    bool has_answer = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    (void)timeouts;
    if (self->is_ending) /* the askers may be gone */
        return;
    if (has_answer && octets != NULL) {
        message = (struct mx_span){(const char *)octets, (size_t)len};
        self->end(self->dns, flight, message, false);
        return;
    }
    if (is_silence(status))
        pass_over(self, flight->server);
    else
        flight->failed |= (uint8_t)(1u << flight->server);
    if (flight->is_late || !try_next(self, flight))
        self->end(self->dns, flight, message, flight->failed != 0);
}
_Static_assert((int)MX_CONF_ADDRESSES_MAX <= 8, "a bit in flight->failed for each server");

void mx_dns_servers_ask(struct mx_dns_servers *self, struct mx_dns_flight *flight) {
    flight->servers = self;
    flight->server = (uint8_t)((self->first + self->count - 1) % self->count);
    bool is_tried = try_next(self, flight);
    assert(is_tried); /* attempts is 1 at least */
}

/* ---- waiting ---- */

unsigned mx_dns_servers_watch(struct mx_dns_servers *self, struct pollfd *fds) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    unsigned count = 0;
    for (unsigned s = 0; s < self->count; s++) {
        int bits = ares_getsock(self->rows[s].channel, sockets, ARES_GETSOCK_MAXNUM);
        for (int i = 0; i < 2; i++) {
            short events = (short)((ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) |
                                   (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0));
            if (events == 0)
                break;
            assert(count < MX_DNS_FDS_MAX);
            fds[count++] = (struct pollfd){.fd = sockets[i], .events = events};
        }
    }
    return count;
}

int64_t mx_dns_servers_wait_ms(const struct mx_dns_servers *self, int64_t most_ms) {
    for (unsigned s = 0; s < self->count; s++) {
        struct timeval most = {most_ms / 1000, most_ms % 1000 * 1000}, room;
        const struct timeval *until = ares_timeout(self->rows[s].channel, &most, &room);
        most_ms = (int64_t)until->tv_sec * 1000 + (until->tv_usec + 999) / 1000;
    }
    return most_ms;
}

/* A channel ignores sockets that are not its own. */
void mx_dns_servers_process(struct mx_dns_servers *self, const struct pollfd *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        bool can_write = fds[i].revents & POLLOUT;
        bool can_read = fds[i].revents & ~POLLOUT;
        for (unsigned s = 0; s < self->count && (can_read || can_write); s++)
            ares_process_fd(self->rows[s].channel, can_read ? fds[i].fd : ARES_SOCKET_BAD,
                            can_write ? fds[i].fd : ARES_SOCKET_BAD);
    }
    for (unsigned s = 0; s < self->count; s++) /* what took too long */
        ares_process_fd(self->rows[s].channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
