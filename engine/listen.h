/* listen.h - the listening addresses of the process. Each has one socket for every worker, and the
 * same place in every worker's table of listeners. Main thread only; a worker learns of a place
 * before it starts, or by a reload (reload.h).
 */
#pragma once
#include "engine/limits.h"
#include "engine/log.h"
#include "engine/rules.h"
#include "engine/sockets.h"

struct mx_listen {
    struct sockaddr_storage wanted; /* as configured: the port may be 0 */
    socklen_t wanted_len;
    sa_family_t family;
    struct mx_service *service; /* who is reached there; changed by a reload */
    int *fds;                   /* of each worker; NULL: the place is free */
    bool is_new, is_going;      /* a reload adds or removes it */
};

struct mx_listens {
    struct mx_listen places[MX_LISTENERS_MAX];
    uint32_t count; /* places that were ever in use */
    uint32_t worker_count;
};

/* Open the sockets of an address at a free place, *place. is_ours: one of our own sockets, which is
 * about to go, may be in its way. 0 or -errno (-E2BIG: all places are in use); then nothing is
 * open. */
MX_MUST_CHECK int mx_listens_open(struct mx_listens *self, const struct mx_conf_bind *bind,
                                  struct mx_service *service, bool is_ours,
                                  struct mx_listen **place);
void mx_listens_close(struct mx_listens *self, struct mx_listen *place);
void mx_listens_close_all(struct mx_listens *self);

/* A place that is going and has this address, as it was configured; NULL: there is none. */
struct mx_listen *mx_listens_find(struct mx_listens *self, const struct mx_conf_bind *bind);

/* Is one of our sockets that are going in the way of this address? */
bool mx_listens_is_going(const struct mx_listens *self, const struct mx_conf_bind *bind);

/* Nobody is let in any more; who waits in the queue is reset by the kernel, or was accepted. 0 or
 * -errno. */
MX_MUST_CHECK int mx_listens_shutdown(const struct mx_listens *self, const struct mx_listen *place);

/* Change how many may wait to be accepted there. 0 or -errno. */
MX_MUST_CHECK int mx_listens_set_backlog(const struct mx_listens *self,
                                         const struct mx_listen *place, uint32_t backlog);

/* One line: "listening", or "listening-ended". */
void mx_listens_log(const struct mx_listen *place, struct mx_log *log, const char *event);
