#include "engine/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct mx_listen *take_place(struct mx_listens *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->places[i].fds == NULL)
            return &self->places[i];
    }
    return self->count < MX_LISTENERS_MAX ? &self->places[self->count] : NULL;
}

static void free_fds(int *fds, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
}

static int new_fds(const struct mx_listens *self, const struct sockaddr_storage *addr,
                   const struct mx_conf_bind *bind, int backlog, int **fds) {
    *fds = calloc(self->worker_count, sizeof **fds);
    if (*fds == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        int fd = mx_socket_listen(addr, bind->addr_len, backlog);
        if (fd < 0) {
            free_fds(*fds, i);
            *fds = NULL;
            return fd;
        }
        (*fds)[i] = fd;
    }
    return 0;
}

int mx_listens_open(struct mx_listens *self, const struct mx_conf_bind *bind,
                    struct mx_service *service, bool is_ours, struct mx_listen **place) {
    struct sockaddr_storage addr = bind->addr; /* a port of 0 is the same one for all workers */
    int *fds = NULL;
    *place = take_place(self);
    if (*place == NULL)
        return -E2BIG;
    int err = is_ours ? 0 : mx_socket_probe(&addr, bind->addr_len);
    if (err == 0)
        err = new_fds(self, &addr, bind, (int)service->server->connection_backlog, &fds);
    if (err < 0)
        return err;
    **place = (struct mx_listen){.wanted = bind->addr,
                                 .wanted_len = bind->addr_len,
                                 .family = addr.ss_family,
                                 .service = service,
                                 .fds = fds};
    if (*place == &self->places[self->count])
        self->count++;
    return 0;
}

void mx_listens_close(struct mx_listens *self, struct mx_listen *place) {
    free_fds(place->fds, self->worker_count);
    *place = (struct mx_listen){0};
}

void mx_listens_close_all(struct mx_listens *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->places[i].fds != NULL)
            mx_listens_close(self, &self->places[i]);
    }
}

struct mx_listen *mx_listens_find(struct mx_listens *self, const struct mx_conf_bind *bind) {
    for (uint32_t i = 0; i < self->count; i++) {
        struct mx_listen *place = &self->places[i];
        if (place->fds != NULL && place->is_going && place->wanted_len == bind->addr_len &&
            memcmp(&place->wanted, &bind->addr, bind->addr_len) == 0)
            return place;
    }
    return NULL;
}

/* At the same place for both families. */
static in_port_t port_of(const struct sockaddr_storage *addr) {
    struct sockaddr_in in;
    memcpy(&in, addr, sizeof in);
    return in.sin_port;
}

bool mx_listens_is_going(const struct mx_listens *self, const struct mx_conf_bind *bind) {
    for (uint32_t i = 0; i < self->count; i++) {
        const struct mx_listen *place = &self->places[i];
        if (place->fds != NULL && place->is_going && place->family == bind->addr.ss_family &&
            port_of(&bind->addr) != 0 && port_of(&place->wanted) == port_of(&bind->addr))
            return true;
    }
    return false;
}

int mx_listens_shutdown(const struct mx_listens *self, const struct mx_listen *place) {
    int err = 0;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        if (shutdown(place->fds[i], SHUT_RDWR) < 0)
            err = -errno;
    }
    return err;
}

int mx_listens_set_backlog(const struct mx_listens *self, const struct mx_listen *place,
                           uint32_t backlog) {
    int err = 0;
    for (uint32_t i = 0; i < self->worker_count; i++) {
        if (listen(place->fds[i], (int)backlog) < 0)
            err = -errno;
    }
    return err;
}

void mx_listens_log(const struct mx_listen *place, struct mx_log *log, const char *event) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    char text[MX_SOCKET_TEXT_MAX];
    struct mx_log_line line;
    if (getsockname(place->fds[0], (struct sockaddr *)&addr, &len) < 0)
        return; /* it was bound a moment ago */
    mx_socket_text(&addr, text);
    mx_log_begin(&line, log, MX_SEVERITY_ALWAYS, event);
    mx_log_str(&line, "proto", place->service->server->is_lmtp ? "lmtp" : "smtp");
    mx_log_str(&line, "addr", text);
    mx_log_str(&line, "name", place->service->server->name);
    mx_log_end(&line);
}
