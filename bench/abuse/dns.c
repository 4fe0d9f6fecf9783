#include "bench/abuse/dns.h"

#include "bench/abuse/clock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* QUEUE_MAX: a power of two */
enum { QUESTION_MAX = 512, HEADER = 12, QUEUE_MAX = 1 << 16 };

#define MAIL "MAIL FROM:<a@example.org>\r\n"

enum state { STATE_GONE, STATE_COMING, STATE_WAITING, STATE_DONE };

struct client {
    int fd;
    enum state state;
};

struct question {
    uint64_t due_ns;
    struct sockaddr_in from;
    size_t len;
    uint8_t octets[QUESTION_MAX];
};

static struct {
    struct sockaddr_in gateway;
    uint64_t delay_ns, period_ns;
    unsigned count;
    struct client clients[DNS_CLIENTS_MAX];
    unsigned next, waiting;
    uint64_t next_ns;
    uint32_t host; /* of the last client, behind 127.0.0.0 */
    int server, epoll;
    struct question *queue; /* a ring of QUEUE_MAX, in the order of due_ns */
    uint32_t head, tail;
    struct dns_totals totals;
    double waiting_sum;
    unsigned long slices;
} world;

/* ---- the name server ---- */

static void hear_question(uint64_t now_ns) {
    struct question *question = &world.queue[world.tail % QUEUE_MAX];
    socklen_t len = sizeof question->from;
    if (world.tail - world.head == QUEUE_MAX)
        return; /* lost, as on any network; the resolver asks again */
    ssize_t n = recvfrom(world.server, question->octets, sizeof question->octets, MSG_DONTWAIT,
                         (struct sockaddr *)&question->from, &len);
    if (n < HEADER)
        return;
    question->len = (size_t)n;
    question->due_ns = now_ns + world.delay_ns;
    world.tail++;
}

static void answer_question(uint64_t now_ns) {
    struct question *question = &world.queue[world.head % QUEUE_MAX];
    if (world.head == world.tail || question->due_ns > now_ns)
        return;
    question->octets[2] |= 0x84; /* an answer, with authority */
    question->octets[3] = 0x03;  /* NXDOMAIN */
    ssize_t n = sendto(world.server, question->octets, question->len, MSG_DONTWAIT,
                       (struct sockaddr *)&question->from, sizeof question->from);
    world.totals.answered += n == (ssize_t)question->len;
    world.head++;
}

/* ---- the clients ---- */

static void leave(struct client *self) {
    static const struct linger reset = {.l_onoff = 1};
    if (self->state == STATE_GONE)
        return;
    world.waiting -= self->state == STATE_WAITING;
    world.totals.failed += self->state != STATE_DONE;
    (void)setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(self->fd);
    self->state = STATE_GONE;
}

static void come(struct client *self) {
    static const int on = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = self};
    world.host = (world.host + 1) % 0xfffffe;
    source.sin_addr.s_addr = htonl((127U << 24) + 1 + world.host);
    world.totals.come++;
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bool is_good =
        self->fd >= 0 &&
        setsockopt(self->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
        bind(self->fd, (struct sockaddr *)&source, sizeof source) == 0 &&
        epoll_ctl(world.epoll, EPOLL_CTL_ADD, self->fd, &event) == 0 &&
        (connect(self->fd, (struct sockaddr *)&world.gateway, sizeof world.gateway) == 0 ||
         errno == EINPROGRESS);
    self->state = STATE_COMING;
    if (!is_good)
        leave(self);
}

/* Each reply is one line. */
static void hear(struct client *self) {
    char text[512];
    ssize_t n = recv(self->fd, text, sizeof text, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    bool is_good = n > 0 && text[0] == '2';
    if (is_good && self->state == STATE_COMING) {
        is_good = send(self->fd, MAIL, sizeof MAIL - 1, MSG_NOSIGNAL) == sizeof MAIL - 1;
        self->state = STATE_WAITING;
        world.waiting++;
    } else if (is_good && self->state == STATE_WAITING) {
        self->state = STATE_DONE;
        world.waiting--;
        world.totals.accepted++;
    }
    if (!is_good)
        leave(self);
}

int dns_new(const struct dns_params *params, const struct sockaddr_in *gateway, uint64_t now_ns) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)params->port)};
    static const int size = 8 << 20;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    world.gateway = *gateway;
    world.gateway.sin_port = htons((uint16_t)params->gateway_port);
    world.count = (unsigned)params->clients;
    world.delay_ns = (uint64_t)(params->delay_ms * 1e6);
    world.period_ns = (uint64_t)(NS_PER_S / params->per_second);
    world.next_ns = now_ns;
    world.host = (uint32_t)(now_ns >> 16) % 0xfffffe; /* not those of the process before */
    world.queue = calloc(QUEUE_MAX, sizeof *world.queue);
    world.epoll = epoll_create1(0);
    world.server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (world.queue == NULL || world.epoll < 0 || world.server < 0)
        return -errno;
    (void)setsockopt(world.server, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return bind(world.server, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
}

void dns_slice(uint64_t now_ns) {
    struct epoll_event event;
    hear_question(now_ns);
    answer_question(now_ns);
    if (epoll_wait(world.epoll, &event, 1, 0) == 1)
        hear(event.data.ptr);
    if (world.next_ns <= now_ns) {
        struct client *client = &world.clients[world.next];
        leave(client);
        come(client);
        world.next = (world.next + 1) % world.count;
        world.next_ns += world.period_ns;
    }
    world.waiting_sum += world.waiting;
    world.slices++;
}

struct dns_totals dns_totals(bool forget) {
    struct dns_totals totals = world.totals;
    totals.waiting = world.slices > 0 ? world.waiting_sum / (double)world.slices : 0;
    if (forget) {
        world.totals = (struct dns_totals){0};
        world.waiting_sum = 0;
        world.slices = 0;
    }
    return totals;
}
