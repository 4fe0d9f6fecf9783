/* talk.c - one conversation: its connection, and what goes over it. */
#include "engine/scan/scan_impl.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct mx_scan_driver *driver_of(const struct mx_talk *talk) {
    static const struct mx_scan_driver *const drivers[MX_SCAN_KIND_COUNT] = {
        [MX_SCAN_MILTER] = &mx_scan_milter,
        [MX_SCAN_RSPAMD] = &mx_scan_rspamd,
        [MX_SCAN_SPAMD] = &mx_scan_spamd,
    };
    return drivers[talk->question->kind];
}

/* ---- content ---- */

void mx_fulltext_cursor_begin(struct mx_fulltext_cursor *self, const struct mx_fulltext *text,
                              uint64_t at) {
    const struct mx_fulltext_block *block = mx_fulltext_next(text, NULL);
    *self = (struct mx_fulltext_cursor){.left = text->octets - at};
    while (block != NULL && at >= block->len) {
        at -= block->len;
        block = mx_fulltext_next(text, block);
    }
    self->block = block;
    self->at = (uint32_t)at;
}

uint32_t mx_fulltext_cursor_read(struct mx_fulltext_cursor *self, char *to, uint32_t octets) {
    uint32_t done = 0;
    while (done < octets && self->block != NULL) {
        struct mx_span piece = mx_span_skip(mx_fulltext_piece(self->block), self->at);
        uint32_t len = piece.len < octets - done ? (uint32_t)piece.len : octets - done;
        if (len > 0)
            memcpy(to + done, piece.ptr, len);
        done += len;
        self->at += len;
        if (self->at == self->block->len) {
            self->block = self->block->next;
            self->at = 0;
        }
    }
    self->left -= done;
    return done;
}

/* ---- targets ---- */

static bool is_same(const struct mx_endpoint *a, const struct mx_endpoint *b) {
    return a->ip.family == b->ip.family && a->port == b->port &&
           memcmp(a->ip.bytes, b->ip.bytes, sizeof a->ip.bytes) == 0 &&
           memcmp(a->path, b->path, sizeof a->path) == 0;
}

/* NULL: there are too many. */
static struct mx_scan_target *find_target(struct mx_scan *self,
                                          const struct mx_endpoint *endpoint) {
    struct mx_scan_target *unused = NULL;
    for (unsigned i = 0; i < MX_SCAN_TARGETS_MAX; i++) {
        struct mx_scan_target *target = &self->targets[i];
        if (is_same(&target->endpoint, endpoint))
            return target;
        if (unused == NULL && target->open == 0 && target->waiting == 0)
            unused = target;
    }
    if (unused != NULL)
        unused->endpoint = *endpoint;
    return unused;
}

static void put_waiting(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_scan_target *target = talk->target;
    talk->state = MX_TALK_WAITING;
    talk->next_waiting = NULL;
    if (target->last != NULL)
        target->last->next_waiting = talk;
    else
        target->first = talk;
    target->last = talk;
    target->waiting++;
    mx_scan_count(&self->counters.waiting, 1);
}

static void take_waiting(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_scan_target *target = talk->target;
    struct mx_talk *before = NULL, *at = target->first;
    while (at != talk) {
        before = at;
        at = at->next_waiting;
    }
    if (before != NULL)
        before->next_waiting = talk->next_waiting;
    else
        target->first = talk->next_waiting;
    if (target->last == talk)
        target->last = before;
    target->waiting--;
    talk->state = MX_TALK_CLOSED;
    mx_scan_count(&self->counters.waiting, (uint64_t)-1);
}

/* ---- the connection ---- */

static socklen_t address_of(const struct mx_endpoint *endpoint, struct sockaddr_storage *address) {
    memset(address, 0, sizeof *address);
    if (endpoint->ip.family == 4) {
        struct sockaddr_in *in = (void *)address;
        in->sin_family = AF_INET;
        in->sin_port = htons(endpoint->port);
        memcpy(&in->sin_addr, endpoint->ip.bytes, sizeof in->sin_addr);
        return sizeof *in;
    }
    if (endpoint->ip.family == 6) {
        struct sockaddr_in6 *in6 = (void *)address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(endpoint->port);
        memcpy(&in6->sin6_addr, endpoint->ip.bytes, sizeof in6->sin6_addr);
        return sizeof *in6;
    }
    struct sockaddr_un *local = (void *)address;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, endpoint->path, sizeof endpoint->path);
    return sizeof *local;
}

static int open_socket(struct mx_talk *talk) {
    struct sockaddr_storage address;
    const int on = 1;
    socklen_t len = address_of(&talk->target->endpoint, &address);
    talk->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (talk->fd < 0)
        return -errno;
    if (address.ss_family != AF_UNIX &&
        setsockopt(talk->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -errno;
    return connect(talk->fd, (void *)&address, len) < 0 ? -errno : 0;
}

static int new_buffers(struct mx_talk *talk) {
    talk->out = malloc(MX_SCAN_OUT);
    talk->in = malloc(MX_SCAN_IN_FIRST);
    talk->in_cap = talk->in != NULL ? MX_SCAN_IN_FIRST : 0;
    return talk->out != NULL && talk->in != NULL ? 0 : -ENOMEM;
}

static void free_buffers(struct mx_talk *talk) {
    free(talk->out);
    free(talk->in);
    free(talk->header);
    talk->out = talk->in = talk->header = NULL;
    talk->out_begin = talk->out_end = talk->in_len = talk->in_cap = talk->header_octets = 0;
    talk->is_in_over = talk->is_out_over = false;
}

static void begin_connection(struct mx_scan *self, struct mx_talk *talk) {
    talk->target->open++;
    talk->state = MX_TALK_CONNECTING;
    mx_scan_count(&self->counters.open, 1);
    mx_scan_count(&self->counters.connects, 1);
    int err = new_buffers(talk);
    if (err == 0)
        err = open_socket(talk);
    if (err == 0 || err == -EINPROGRESS)
        return; /* it can be written to when it stands */
    mx_scan_count(&self->counters.connect_failed, 1);
    mx_talk_fail(self, talk, err);
}

void mx_talk_begin(struct mx_scan *self, struct mx_talk *talk) {
    assert(talk->state == MX_TALK_CLOSED && talk->question != NULL);
    talk->target = find_target(self, &talk->question->endpoint);
    if (talk->target == NULL) {
        mx_scan_answer(self, talk, -EBUSY);
        return;
    }
    if (talk->target->open >= talk->question->max_connections)
        put_waiting(self, talk);
    else
        begin_connection(self, talk);
}

void mx_talk_serve_waiting(struct mx_scan *self) {
    for (unsigned i = 0; i < MX_SCAN_TARGETS_MAX; i++) {
        struct mx_scan_target *target = &self->targets[i];
        while (target->first != NULL && target->open < target->first->question->max_connections) {
            struct mx_talk *talk = target->first;
            take_waiting(self, talk);
            begin_connection(self, talk);
        }
    }
}

void mx_talk_end(struct mx_scan *self, struct mx_talk *talk) {
    struct mx_scan_target *target = talk->target;
    if (talk->state == MX_TALK_WAITING)
        take_waiting(self, talk);
    if (talk->state != MX_TALK_CONNECTING && talk->state != MX_TALK_OPEN)
        return;
    if (talk->fd >= 0)
        close(talk->fd);
    talk->fd = -1;
    talk->state = MX_TALK_CLOSED;
    free_buffers(talk);
    target->open--;
    mx_scan_count(&self->counters.open, (uint64_t)-1);
}

void mx_talk_fail(struct mx_scan *self, struct mx_talk *talk, int error) {
    if (talk->question != NULL)
        mx_scan_answer(self, talk, error);
    mx_talk_end(self, talk);
}

/* ---- octets ---- */

/* 0; -EAGAIN: it would block; another error. */
static int flush(struct mx_scan *self, struct mx_talk *talk) {
    while (talk->out_begin < talk->out_end) {
        ssize_t sent = send(talk->fd, talk->out + talk->out_begin, talk->out_end - talk->out_begin,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        talk->out_begin += (uint32_t)sent;
        mx_scan_count(&self->counters.sent_octets, (uint64_t)sent);
    }
    talk->out_begin = talk->out_end = 0;
    return 0;
}

static int new_in_room(struct mx_talk *talk) {
    if (talk->in_len < talk->in_cap)
        return 0;
    if (talk->in_cap >= MX_SCAN_IN_MAX)
        return MX_ELIMIT;
    char *larger = realloc(talk->in, (size_t)talk->in_cap * 2);
    if (larger == NULL)
        return -ENOMEM;
    talk->in = larger;
    talk->in_cap *= 2;
    return 0;
}

/* 0: something came, or the end; -EAGAIN: nothing; another error. */
static int receive(struct mx_talk *talk) {
    int err = new_in_room(talk);
    if (err < 0)
        return err;
    ssize_t got;
    do {
        got = recv(talk->fd, talk->in + talk->in_len, talk->in_cap - talk->in_len, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    talk->in_len += (uint32_t)got;
    talk->is_in_over = got == 0;
    return 0;
}

/* ---- going on ---- */

static int begin_talking(struct mx_scan *self, struct mx_talk *talk) {
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err != 0) {
        mx_scan_count(&self->counters.connect_failed, 1);
        return -err;
    }
    talk->state = MX_TALK_OPEN;
    return driver_of(talk)->begin(self, talk);
}

/* Send what there is, as long as the other side takes it. */
static int speak(struct mx_scan *self, struct mx_talk *talk) {
    const struct mx_scan_driver *driver = driver_of(talk);
    while (!talk->is_out_over) {
        int err = flush(self, talk);
        if (err == -EPIPE || err == -ECONNRESET) {
            talk->is_out_over = true; /* it may have answered before */
            break;
        }
        if (err < 0)
            return err == -EAGAIN ? 0 : err;
        if (talk->question == NULL) /* fill has answered it: nothing had to be waited for */
            break;
        err = driver->fill(self, talk);
        if (err < 0 || talk->out_end == 0)
            return err;
    }
    return 0;
}

/* 0: something was heard; -EAGAIN: there is nothing to hear; another error. */
static int listen_to(struct mx_scan *self, struct mx_talk *talk) {
    int err = driver_of(talk)->read(self, talk);
    if (err != MX_EPARTIAL)
        return err;
    if (talk->is_in_over)
        return -ECONNRESET;
    err = receive(talk);
    return err;
}

/* Nothing is asked: the other side has nothing to say but that it goes. */
static void go_on_idle(struct mx_scan *self, struct mx_talk *talk, bool has_heard) {
    int err = has_heard ? -ECONNRESET : flush(self, talk);
    if (err < 0 && err != -EAGAIN)
        mx_talk_end(self, talk);
}

void mx_talk_go_on(struct mx_scan *self, struct mx_talk *talk, bool has_heard) {
    int err = 0;
    if (talk->question == NULL) {
        go_on_idle(self, talk, has_heard);
        return;
    }
    if (talk->state == MX_TALK_CONNECTING)
        err = begin_talking(self, talk);
    while (err == 0 && talk->question != NULL) {
        err = speak(self, talk);
        if (err == 0 && talk->question != NULL)
            err = listen_to(self, talk);
    }
    if (talk->question != NULL && err != -EAGAIN)
        mx_talk_fail(self, talk, err);
}
