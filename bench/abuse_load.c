/* abuse_load.c - well-behaved and abusive clients in one thread, so that nothing competes on their
 * CPU. bench/abuse.py runs it in pairs of windows, with and without abuse. See usage().
 *
 * The well-behaved send MAIL, RCPT and DATA together, 4 KB behind the 354, and again. Messages are
 * due at a fixed rate; latency is the time from due to the final reply, also when no connection was
 * idle and the message had to wait. Abuse is done in slices of a few system calls between two looks
 * at the well-behaved. What this costs them is measured as the generator's own delay: how much
 * later than due a message begins though there is an idle connection.
 */
#include "bench/abuse/clock.h"
#include "bench/abuse/dns.h"
#include "bench/abuse/samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GOOD_MAX = 1000, ABUSERS_MAX = 16000, SECONDS_MAX = 600, RATE_MAX = 1000000 };
enum { EVENTS = 8, SOURCES = 16, TEXT_MAX = 16384, BODY_LINES = 55 };
/* Every other client that does not read begins with more EHLOs than anybody keeps the replies of.
 */
enum { PRIME_EHLOS = 2000, UNREAD_MSS = 536, UNREAD_RCVBUF = 2048 };
enum { SETUP_MAX_S = 10, REST_MAX_S = 10, ALARM_S = 30 };
enum { QUIET_NS = 100000000, QUIET_SERVER_NS = 10000000, LATE_NS = 50000000 };
#define ENVELOPE  "MAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
#define BODY_LINE "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"
struct kind {
    const char *name;
    const char *opening; /* said once */
    const char *unit;    /* said again and again, so many together, ... */
    unsigned units;
    unsigned rate; /* ... so many times a second by all of the kind */
    bool is_reset; /* instead of saying anything: close with a reset, come again */
    bool is_unread;
};

/* clang-format off */
static const struct kind kinds[] = {
    {"lines",    "",                    "xxxxxxxx", 512, 2000, false, false}, /* 8 MB/s of a line */
    {"commands", "EHLO x\r\n",          "NOOP\r\n",  20, 1000, false, false}, /* 20,000/s */
    {"dribble",  "",                    "x",          1, 1000, false, false}, /* 1 octet/s each */
    {"bodies",   "EHLO x\r\n" ENVELOPE, BODY_LINE,  216, 1000, false, false}, /* 16 MB/s */
    {"resets",   "EHLO x\r\n",          "",           0,  500, true,  false}, /* 500 clients/s */
    {"unread",   "",                    "NOOP\r\n",  20, 1000, false, true},  /* 20,000/s */
};
/* clang-format on */
enum { KINDS = sizeof kinds / sizeof *kinds };

struct good {
    int fd;
    unsigned left;   /* replies still to come before the next step */
    unsigned column; /* in the line that comes */
    bool is_final;   /* that line is the last of its reply */
    bool has_body;
    uint64_t due_ns;
};

struct abuser {
    int fd;       /* -1: none */
    bool is_open; /* the opening was said */
};

struct crowd {
    const struct kind *kind;
    size_t count, next;
    double period_ns;
    uint64_t next_ns;
    size_t chunk_len;
    char chunk[TEXT_MAX];
    struct abuser members[ABUSERS_MAX];
};

static struct {
    struct sockaddr_in address;
    const char *kind;
    double rate, seconds, warmup, connections, abusers, seed, server;
    struct dns_params dns;
} options = {
    .kind = "none",
    .seconds = 2,
    .warmup = 0.2,
    .connections = 32,
    .abusers = 1000,
    .seed = 1,
    .dns = {.per_second = 2500, .delay_ms = 50}
};

static struct {
    struct good good[GOOD_MAX];
    struct good *idle[GOOD_MAX]; /* a stack */
    unsigned good_count, idle_count;
    uint64_t idle_ns; /* since when it has not been empty */
    int good_epoll, abuse_epoll;
    uint64_t start_ns, begin_ns, end_ns;   /* warm-up from, window from, to */
    unsigned long due_count, window_count; /* messages begun, ended in the window */
    struct crowd crowds[KINDS];
    unsigned crowd_count;
    bool is_dns;
    unsigned long abuse_ops, blocked, reconnects;
    uint64_t random;
    struct samples latency, own_delay;
} load;

static char body[TEXT_MAX], prime[TEXT_MAX], scratch[65536];
static size_t body_len;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "abuse_load: %s (errno %s)\n", what, strerrorname_np(errno));
    _exit(1);
}

/* CPU time of the server; 0 without --server. */
static uint64_t server_ns(void) {
    clockid_t id = 0;
    if (options.server > 0 && clock_getcpuclockid((pid_t)options.server, &id) != 0)
        die("--server: no such process");
    return options.server > 0 ? clock_ns(id) : 0;
}

/* 0.5 .. 1.5: xorshift. */
static double jitter(void) {
    load.random ^= load.random << 13;
    load.random ^= load.random >> 7;
    load.random ^= load.random << 17;
    return 0.5 + (double)(load.random >> 11) * 0x1p-53;
}

/* As often as it fits. */
static size_t repeat(char to[TEXT_MAX], const char *unit, unsigned count) {
    size_t len = strlen(unit), at = 0;
    for (; count > 0 && at + len <= TEXT_MAX; count--, at += len)
        memcpy(to + at, unit, len);
    return at;
}

/* Count the replies in what has come, or comes. */
static void good_hear(struct good *self) {
    ssize_t n = recv(self->fd, scratch, sizeof scratch, 0);
    if (n <= 0)
        die("a well-behaved client lost its connection");
    for (ssize_t i = 0; i < n; i++) {
        if (self->column == 0 && scratch[i] != '2' && scratch[i] != '3') {
            fprintf(stderr, "abuse_load: reply: %.*s", (int)(n - i), scratch + i);
            die("a well-behaved client was refused");
        }
        if (self->column == 3)
            self->is_final = scratch[i] == ' ';
        self->column++;
        if (scratch[i] == '\n') {
            self->column = 0;
            self->left -= self->is_final && self->left > 0;
        }
    }
}

static void good_say(struct good *self, const char *text, size_t len, unsigned replies) {
    self->left = replies;
    if (send(self->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
        die("a well-behaved client cannot send");
}

static void good_connect(struct good *self) {
    static const int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = self};
    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (self->fd < 0 || setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        connect(self->fd, (struct sockaddr *)&options.address, sizeof options.address) ||
        epoll_ctl(load.good_epoll, EPOLL_CTL_ADD, self->fd, &event))
        die("a well-behaved client cannot connect");
    for (self->left = 1; self->left > 0;)
        good_hear(self);
    for (good_say(self, "EHLO good.example\r\n", 19, 1); self->left > 0;)
        good_hear(self);
    load.idle[load.idle_count++] = self;
}

/* Begin every message that is due while there is an idle connection. Returns the time. */
static uint64_t good_begin(void) {
    uint64_t now = now_ns();
    while (load.idle_count > 0) {
        double after_ns = (double)load.due_count / options.rate * NS_PER_S;
        uint64_t due = options.rate > 0 ? load.start_ns + (uint64_t)after_ns : now;
        if (due > now || due >= load.end_ns)
            break;
        if (due >= load.begin_ns)
            samples_add(&load.own_delay, now - (due > load.idle_ns ? due : load.idle_ns));
        struct good *good = load.idle[--load.idle_count];
        good->due_ns = due;
        good_say(good, ENVELOPE, sizeof ENVELOPE - 1, 3);
        load.due_count++;
        now = now_ns();
    }
    return now;
}

static void good_on_input(struct good *self) {
    good_hear(self);
    if (self->left > 0)
        return;
    self->has_body = !self->has_body;
    if (self->has_body) {
        good_say(self, body, body_len, 1);
        return;
    }
    uint64_t now = now_ns();
    if (self->due_ns >= load.begin_ns)
        samples_add(&load.latency, now - self->due_ns);
    load.window_count += now >= load.begin_ns && now < load.end_ns;
    if (load.idle_count == 0)
        load.idle_ns = now;
    load.idle[load.idle_count++] = self;
}

/* One look at them: what has come, what is due. Returns the time. */
static uint64_t good_look(void) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(load.good_epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        good_begin();
        good_on_input(events[i].data.ptr);
    }
    return good_begin();
}

static void abuser_close(struct abuser *self) {
    static const struct linger reset = {.l_onoff = 1};
    if (self->fd < 0)
        return;
    (void)setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(self->fd);
    *self = (struct abuser){.fd = -1};
}

static void abuser_connect(struct crowd *crowd, struct abuser *self) {
    static const int on = 1, mss = UNREAD_MSS, size = UNREAD_RCVBUF;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = self};
    uint32_t host = (uint32_t)(self - crowd->members) % SOURCES;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + host);
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (self->fd < 0 || setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        setsockopt(self->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) ||
        bind(self->fd, (struct sockaddr *)&source, sizeof source))
        die("no socket for an abuser");
    if (crowd->kind->is_unread) {
        (void)setsockopt(self->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
        (void)setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    } else if (epoll_ctl(load.abuse_epoll, EPOLL_CTL_ADD, self->fd, &event))
        die("epoll_ctl");
    if (connect(self->fd, (struct sockaddr *)&options.address, sizeof options.address) &&
        errno != EINPROGRESS)
        abuser_close(self);
}

/* Connect, say the opening; what does not succeed is for the next turn. */
static void abuser_open(struct crowd *crowd, struct abuser *self) {
    const char *text = crowd->kind->opening;
    if (crowd->kind->is_unread && (self - crowd->members) % 2 == 1)
        text = prime;
    if (self->fd < 0)
        abuser_connect(crowd, self);
    if (self->fd < 0 || self->is_open)
        return;
    self->is_open = send(self->fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
    if (!self->is_open && errno != EAGAIN)
        abuser_close(self);
}

/* Take in what one of them was told. */
static void abuser_hear(void) {
    struct epoll_event event;
    if (epoll_wait(load.abuse_epoll, &event, 1, 0) != 1)
        return;
    struct abuser *self = event.data.ptr;
    ssize_t n = recv(self->fd, scratch, sizeof scratch, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        abuser_close(self);
}

/* One operation of the next one in the crowd. */
static void crowd_act(struct crowd *self) {
    struct abuser *abuser = &self->members[self->next];
    if (self->kind->is_reset && abuser->is_open) {
        abuser_close(abuser);
        return; /* the other half of the operation is the next slice */
    }
    self->next = (self->next + 1) % self->count;
    self->next_ns += (uint64_t)(self->period_ns * jitter());
    load.abuse_ops++;
    if (!abuser->is_open) {
        load.reconnects += abuser->fd < 0 && !self->kind->is_reset;
        abuser_open(self, abuser);
        if (self->kind->is_reset && self->next % 2 == 1)
            abuser_close(abuser); /* at once, the others in their next turn */
        return;
    }
    ssize_t n = send(abuser->fd, self->chunk, self->chunk_len, MSG_NOSIGNAL);
    load.blocked += n < 0 && errno == EAGAIN;
    if (n < 0 && errno != EAGAIN)
        abuser_close(abuser);
}

/* One slice of abuse. */
static void abuse(uint64_t now) {
    if (load.is_dns) {
        dns_slice(now);
        return;
    }
    abuser_hear();
    for (struct crowd *crowd = load.crowds; crowd < load.crowds + load.crowd_count; crowd++) {
        if (crowd->next_ns > now)
            continue;
        if (crowd->next_ns + LATE_NS < now)
            crowd->next_ns = now; /* what is so late is left out */
        crowd_act(crowd);
        return;
    }
}

/* When all kinds come together, with half of each: 20,000 commands a second. */
static void crowd_add(const struct kind *kind, bool is_all) {
    struct crowd *self = &load.crowds[load.crowd_count++];
    self->kind = kind;
    self->count = (size_t)options.abusers / (is_all ? KINDS : 1);
    self->period_ns = (double)NS_PER_S / kind->rate * (is_all ? 2 : 1);
    self->chunk_len = repeat(self->chunk, kind->unit, kind->units);
    for (size_t i = 0; i < self->count; i++)
        self->members[i].fd = -1;
}

/* All connect and say their openings; then the server comes to rest. */
static void crowds_set_up(void) {
    uint64_t deadline = now_ns() + (uint64_t)SETUP_MAX_S * NS_PER_S, since, server;
    for (struct crowd *crowd = load.crowds; crowd < load.crowds + load.crowd_count;) {
        size_t missing = 0;
        for (size_t i = 0; i < crowd->count; i++, abuser_hear()) {
            abuser_open(crowd, &crowd->members[i]);
            missing += !crowd->members[i].is_open;
        }
        crowd += missing == 0;
        if (now_ns() > deadline)
            die("the abusers do not get through");
    }
    do {
        since = now_ns();
        server = server_ns();
        while (load.crowd_count > 0 && now_ns() - since < QUIET_NS)
            abuser_hear();
    } while (server_ns() - server > QUIET_SERVER_NS && now_ns() < deadline);
}

/* Until then; is_rest: at most, until every message is through. */
static void run_until(uint64_t until_ns, bool is_rest) {
    for (;;) {
        uint64_t now = good_look();
        if (now >= until_ns || (is_rest && load.idle_count == load.good_count))
            return;
        abuse(now);
    }
}

static void set_up(void) {
    struct rlimit files;
    bool is_all = strcmp(options.kind, "all") == 0;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    load.random = ((uint64_t)options.seed + 1) * 0x9e3779b97f4a7c15;
    body_len = repeat(body, BODY_LINE, BODY_LINES) + 3;
    memcpy(body + body_len - 3, ".\r\n", 3);
    (void)repeat(prime, "EHLO x\r\n", PRIME_EHLOS);
    load.good_epoll = epoll_create1(0);
    load.abuse_epoll = epoll_create1(0);
    while (load.good_count < (unsigned)options.connections)
        good_connect(&load.good[load.good_count++]);
    for (unsigned i = 0; i < KINDS; i++)
        if (is_all || strcmp(options.kind, kinds[i].name) == 0)
            crowd_add(&kinds[i], is_all);
    load.is_dns = strcmp(options.kind, "dns") == 0;
    if (load.crowd_count == 0 && !load.is_dns && strcmp(options.kind, "none") != 0)
        die("no such --kind");
    options.dns.clients = options.abusers;
    errno = load.is_dns ? -dns_new(&options.dns, &options.address, now_ns()) : 0;
    if (errno != 0)
        die("the name server");
    crowds_set_up();
}

/* Prints the line; returns the exit status. */
static int report(double server_ns_used, double own_ns_used, const struct dns_totals *dns) {
    unsigned errors = load.good_count - load.idle_count; /* messages that are not through */
    printf("{\"kind\": \"%s\", \"messages\": %zu, \"per_s\": %.0f", options.kind,
           load.latency.count, (double)load.window_count / options.seconds);
    printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
           samples_quantile_us(&load.latency, 0.5), samples_quantile_us(&load.latency, 0.99),
           samples_quantile_us(&load.latency, 0.999), samples_quantile_us(&load.latency, 1));
    printf(", \"own_delay_p99_us\": %.1f, \"own_cpu\": %.3f, \"server_cpu\": %.3f",
           samples_quantile_us(&load.own_delay, 0.99), own_ns_used / options.seconds / NS_PER_S,
           server_ns_used / options.seconds / NS_PER_S);
    if (load.is_dns)
        printf(", \"accepted\": %lu, \"failed\": %lu, \"answered\": %lu, \"waiting\": %.0f",
               dns->accepted, dns->failed, dns->answered, dns->waiting);
    printf(", \"abuse_ops\": %lu, \"blocked\": %lu, \"reconnects\": %lu, \"errors\": %u}\n",
           load.is_dns ? dns->come : load.abuse_ops, load.blocked, load.reconnects, errors);
    return fflush(stdout) != 0 || errors > 0;
}

static int usage(void) {
    fputs(
        "usage: abuse_load ADDR:PORT [OPTION VALUE]... - one JSON line\n"
        "  --rate R         messages/s of the well-behaved; 0 (default): as fast as possible\n"
        "  --connections N  of the well-behaved (32)\n"
        "  --seconds S, --warmup S  length of the window (2), of the time before it (0.2)\n"
        "  --kind K         none (default), lines, commands, dribble, bodies, resets, unread,\n"
        "                   all; with --abusers N (1000), --seed N of their times (1)\n"
        "  --kind dns       clients that wait for a block list: --dns-gateway PORT they go to,\n"
        "                   --dns-port PORT of the name server to be, --dns-rate N of them come a\n"
        "                   second (2500), --dns-delay MS of answers (50)\n"
        "  --server PID     of which the CPU time is reported, too\n"
        "Exits 1 when a well-behaved client gets anything but 2xx and 3xx, or too little.\n",
        stderr);
    return 64;
}

static bool parse_number(const char *text, double max, double *to) {
    char *end;
    *to = strtod(text, &end);
    return end != text && *end == '\0' && *to >= 0 && *to <= max;
}

static bool parse(int argc, char **argv) {
    static const struct {
        const char *name;
        double max;
        double *to;
    } numbers[] = {
        {"--rate",        RATE_MAX,    &options.rate            },
        {"--seconds",     SECONDS_MAX, &options.seconds         },
        {"--warmup",      SECONDS_MAX, &options.warmup          },
        {"--connections", GOOD_MAX,    &options.connections     },
        {"--abusers",     ABUSERS_MAX, &options.abusers         },
        {"--server",      INT32_MAX,   &options.server          },
        {"--seed",        INT32_MAX,   &options.seed            },
        {"--dns-port",    UINT16_MAX,  &options.dns.port        },
        {"--dns-gateway", UINT16_MAX,  &options.dns.gateway_port},
        {"--dns-rate",    100000,      &options.dns.per_second  },
        {"--dns-delay",   60000,       &options.dns.delay_ms    },
    };
    char *colon = argc > 1 ? strrchr(argv[1], ':') : NULL;
    double port;
    if (colon == NULL || argc % 2 != 0 || !parse_number(colon + 1, UINT16_MAX, &port))
        return false;
    *colon = '\0';
    options.address.sin_family = AF_INET;
    options.address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, argv[1], &options.address.sin_addr) != 1)
        return false;
    for (int at = 2; at < argc; at += 2) {
        bool is_known = strcmp(argv[at], "--kind") == 0;
        options.kind = is_known ? argv[at + 1] : options.kind;
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            if (strcmp(argv[at], numbers[i].name) == 0)
                is_known = parse_number(argv[at + 1], numbers[i].max, numbers[i].to);
        if (!is_known)
            return false;
    }
    return options.seconds > 0 && options.rate * options.seconds < SAMPLES_MAX &&
           options.connections >= 1 && options.abusers >= KINDS;
}

int main(int argc, char **argv) {
    if (!parse(argc, argv))
        return usage();
    alarm((unsigned)(options.warmup + options.seconds) + ALARM_S); /* whatever happens */
    set_up();
    load.start_ns = load.idle_ns = now_ns();
    load.begin_ns = load.start_ns + (uint64_t)(options.warmup * NS_PER_S);
    load.end_ns = load.begin_ns + (uint64_t)(options.seconds * NS_PER_S);
    for (unsigned i = 0; i < load.crowd_count; i++)
        load.crowds[i].next_ns = load.start_ns + (uint64_t)(load.crowds[i].period_ns * jitter());
    run_until(load.begin_ns, false);
    uint64_t server = server_ns(), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    load.abuse_ops = load.blocked = load.reconnects = 0;
    (void)dns_totals(true);
    run_until(load.end_ns, false);
    struct dns_totals dns = dns_totals(false);
    server = server_ns() - server;
    own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    run_until(load.end_ns + (uint64_t)REST_MAX_S * NS_PER_S, true);
    return report((double)server, (double)own, &dns);
}
