#include "engine/dns/ask.h"

#include "engine/dns/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct mx_dns_asker {
    struct mx_dns_servers servers; /* first: flights point at it */
    const struct mx_conf_dns *conf;
    struct mx_dns_flight flight; /* the one look-up */
    bool has_ended, has_failed;
    size_t len;
    char message[MX_DNS_MESSAGE_MAX];
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_end(struct mx_dns *dns, struct mx_dns_flight *flight, struct mx_span message,
                   bool has_failed) {
    struct mx_dns_asker *self = (struct mx_dns_asker *)flight->servers;
    (void)dns;
    self->has_ended = true;
    self->has_failed = has_failed;
    self->len = message.len < sizeof self->message ? message.len : sizeof self->message;
    if (self->len > 0)
        memcpy(self->message, message.ptr, self->len);
}
_Static_assert(offsetof(struct mx_dns_asker, servers) == 0, "flights point at it");

int mx_dns_asker_new(struct mx_dns_asker **result, const struct mx_conf_dns *conf) {
    struct mx_dns_asker *self = calloc(1, sizeof *self);
    *result = NULL;
    if (self == NULL)
        return -ENOMEM;
    self->conf = conf;
    self->servers.end = on_end;
    int err = mx_dns_servers_new(&self->servers, conf);
    if (err == 0)
        *result = self;
    else
        mx_dns_asker_free(self);
    return err;
}

void mx_dns_asker_free(struct mx_dns_asker *self) {
    if (self == NULL)
        return;
    mx_dns_servers_free(&self->servers);
    free(self);
}

static void wait_for_end(struct mx_dns_asker *self) {
    int64_t end_ms = now_ms() + self->conf->deadline_ms, left_ms;
    while (!self->has_ended && (left_ms = end_ms - now_ms()) > 0) {
        struct pollfd fds[MX_DNS_FDS_MAX];
        unsigned count = mx_dns_servers_watch(&self->servers, fds);
        int64_t wait_ms = mx_dns_servers_wait_ms(&self->servers, left_ms);
        if (poll(fds, count, (int)wait_ms) < 0 && errno != EINTR)
            return;
        mx_dns_servers_process(&self->servers, fds, count);
    }
}

void mx_dns_asker_ask(struct mx_dns_asker *self, enum mx_dns_type type, struct mx_span name,
                      struct mx_span room, struct mx_dns_answer *answer) {
    *answer = (struct mx_dns_answer){.status = MX_DNS_BUSY};
    if (!mx_dns_is_name(name))
        return;
    self->flight = (struct mx_dns_flight){.type = type, .name_len = (uint8_t)name.len};
    memcpy(self->flight.name, name.ptr, name.len);
    self->has_ended = self->has_failed = false;
    self->len = 0;
    mx_dns_servers_ask(&self->servers, &self->flight);
    wait_for_end(self);
    answer->status = MX_DNS_TIMEOUT;
    if (self->has_ended && self->len == 0)
        answer->status = self->has_failed ? MX_DNS_SERVFAIL : MX_DNS_TIMEOUT;
    if (self->len == 0)
        return;
    struct mx_span message = {self->message, self->len};
    int err = mx_dns_parse(message, name, type, (char *)(uintptr_t)room.ptr, room.len, answer);
    if (err < 0)
        *answer = (struct mx_dns_answer){.status = err == MX_ENOROOM ? MX_DNS_TOO_LARGE
                                                                     : MX_DNS_SERVFAIL};
}
