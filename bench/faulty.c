/* faulty.c - an SMTP server whose fault is known: late by exactly so much, standing still, without
 * a CPU, with a slow disk. bench/latency and bench/verdict see whether mxload says the truth about
 * it.
 *
 * One thread, epoll, 127.0.0.1 only; nothing of a mail is looked at but DATA and its end. It is no
 * mail server. SIGTERM, SIGINT or --seconds end it with one JSON line: how late it really was.
 */
#include "proto/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 4096,
    READ_OCTETS = 65536,
    REPLIES_OCTETS = 1024,
    EVENTS = 256,
    LATE_MAX = 65536, /* messages whose reply is still to come */
    DISK_BLOCK = 65536,
    WATCHER = CONNECTIONS_MAX, /* epoll's name of the listening socket */
};
#define MS         1000000ull
#define SPIN_NS    (2 * MS) /* so long before something is due nobody sleeps any more */
#define SECONDS_NS (1000 * MS)

static struct options {
    unsigned port, seconds, cpu_us, spins;
    double delay_ms, stall_at_s, stall_s, disk_ms;
    const char *disk; /* file that each turn with messages is written to, synchronously */
} options = {.seconds = 120};

struct conn {
    int fd; /* 0: none */
    bool in_data, is_over;
    uint8_t matched; /* octets of CRLF . CRLF at the end of what was read */
    char verb[5];    /* first octets of the line so far */
    uint8_t verb_len;
    size_t reply_len;
    char replies[REPLIES_OCTETS];
};

/* A reply that waits for its time; all wait equally long, so they are in order. */
struct late {
    uint64_t due_ns, heard_ns;
    uint32_t conn;
};

static alignas(DISK_BLOCK) char block[DISK_BLOCK]; /* what is written to the disk */

static struct server {
    int listener, epoll, disk;
    uint64_t start_ns, stall_from_ns, stall_to_ns;
    struct conn conns[CONNECTIONS_MAX];
    struct late late[LATE_MAX];
    uint32_t late_begin, late_end; /* of the ring */
    uint32_t waiting[LATE_MAX];    /* connections whose message is to be written */
    uint32_t waiting_count;
    uint64_t messages, commits, late_ns, first_ns;
} server = {.disk = -1};

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECONDS_NS + (uint64_t)now.tv_nsec;
}

static void burn(void) {
    uint64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + (uint64_t)options.cpu_us * 1000;
    while (options.cpu_us > 0 && now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {
    }
}

/* ---- connections ---- */

static void drop(struct conn *self) {
    close(self->fd);
    self->fd = 0;
    self->is_over = false;
}

static void flush(struct conn *self) {
    if (self->fd == 0)
        return; /* the client did not wait for it */
    if (self->reply_len > 0 &&
        send(self->fd, self->replies, self->reply_len, MSG_NOSIGNAL) != (ssize_t)self->reply_len)
        self->is_over = true; /* it does not read, or has gone */
    self->reply_len = 0;
    if (self->is_over)
        drop(self);
}

static void reply(struct conn *self, struct mx_span text) {
    if (self->reply_len + text.len > sizeof self->replies)
        flush(self);
    memcpy(self->replies + self->reply_len, text.ptr, text.len);
    self->reply_len += text.len;
}

static void end_message(struct conn *self) {
    uint32_t index = (uint32_t)(self - server.conns);
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    self->in_data = false;
    server.messages++;
    if (server.first_ns == 0)
        server.first_ns = now;
    if (server.disk >= 0) {
        server.waiting[server.waiting_count++] = index;
    } else if (options.delay_ms > 0 && server.late_end - server.late_begin < LATE_MAX) {
        server.late[server.late_end++ % LATE_MAX] =
            (struct late){now + (uint64_t)(options.delay_ms * 1e6), now, index};
    } else {
        reply(self, MX_SPAN("250 ok\r\n"));
    }
}

static void end_line(struct conn *self) {
    burn();
    if (memcmp(self->verb, "DATA", 4) == 0) {
        self->in_data = true;
        self->matched = 2; /* of the line end before the dot */
        reply(self, MX_SPAN("354 go\r\n"));
    } else if (memcmp(self->verb, "QUIT", 4) == 0) {
        self->is_over = true;
        reply(self, MX_SPAN("221 bye\r\n"));
    } else {
        reply(self, MX_SPAN("250 ok\r\n"));
    }
    memset(self->verb, 0, sizeof self->verb);
    self->verb_len = 0;
}

static void hear_data(struct conn *self, char c) {
    static const char end[] = "\r\n.\r\n";
    if (c == end[self->matched])
        self->matched++;
    else
        self->matched = c == '\r';
    if (self->matched == 5) {
        burn();
        end_message(self);
    }
}

/* How many of the octets of a message cannot be the begin of its end: up to the next CR. */
static size_t skip_data(const struct conn *self, struct mx_span in) {
    if (!self->in_data || self->matched > 0)
        return 0;
    const char *cr = memchr(in.ptr, '\r', in.len);
    return cr != NULL ? (size_t)(cr - in.ptr) : in.len - 1;
}

static void hear(struct conn *self, struct mx_span in) {
    for (size_t i = 0; i < in.len; i++) {
        i += skip_data(self, mx_span_skip(in, i));
        char c = in.ptr[i];
        if (self->in_data)
            hear_data(self, c);
        else if (c == '\n')
            end_line(self);
        else if (self->verb_len < 4)
            self->verb[self->verb_len++] = mx_ascii_upper(c);
    }
}

static void read_some(struct conn *self) {
    static char octets[READ_OCTETS];
    ssize_t n = recv(self->fd, octets, sizeof octets, 0);
    if (n > 0)
        hear(self, (struct mx_span){octets, (size_t)n});
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        self->is_over = true;
    flush(self);
}

static void accept_some(void) {
    int fd;
    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        uint32_t index = 0;
        while (index < CONNECTIONS_MAX && server.conns[index].fd != 0)
            index++;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        int on = 1;
        if (index == CONNECTIONS_MAX ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
            epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
            close(fd);
            continue;
        }
        server.conns[index] = (struct conn){.fd = fd};
        reply(&server.conns[index], MX_SPAN("220 faulty\r\n"));
        flush(&server.conns[index]);
    }
}

/* ---- faults ---- */

static bool has_late(void) {
    return server.late_begin != server.late_end;
}

/* What is due is said. */
static void say_late(void) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    while (has_late() && server.late[server.late_begin % LATE_MAX].due_ns <= now) {
        const struct late *late = &server.late[server.late_begin++ % LATE_MAX];
        struct conn *conn = &server.conns[late->conn];
        if (conn->fd != 0) {
            reply(conn, MX_SPAN("250 ok\r\n"));
            flush(conn);
        }
        now = now_ns(CLOCK_MONOTONIC);
        server.late_ns += now - late->heard_ns;
    }
}

/* One write for all messages of a turn, as a spool does, past the page cache. 0 or -errno. */
static int write_disk(void) {
    if (server.waiting_count == 0)
        return 0;
    /* a slower disk than this machine may have: it takes several writes */
    uint64_t end_ns = now_ns(CLOCK_MONOTONIC) + (uint64_t)(options.disk_ms * 1e6);
    do {
        if (pwrite(server.disk, block, DISK_BLOCK, 0) != DISK_BLOCK)
            return errno != 0 ? -errno : -EIO;
    } while (now_ns(CLOCK_MONOTONIC) < end_ns);
    server.commits++;
    for (uint32_t i = 0; i < server.waiting_count; i++) {
        struct conn *conn = &server.conns[server.waiting[i]];
        if (conn->fd != 0) {
            reply(conn, MX_SPAN("250 ok\r\n"));
            flush(conn);
        }
    }
    server.waiting_count = 0;
    return 0;
}

/* Once: nothing is read or said for a while, though everything goes on to arrive. */
static void stall(void) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (options.stall_s <= 0 || server.stall_to_ns > 0 || server.first_ns == 0 ||
        now < server.first_ns + (uint64_t)(options.stall_at_s * 1e9))
        return;
    server.stall_from_ns = now;
    uint64_t end = now + (uint64_t)(options.stall_s * 1e9);
    struct timespec until = {(time_t)(end / SECONDS_NS), (long)(end % SECONDS_NS)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    server.stall_to_ns = now_ns(CLOCK_MONOTONIC);
}

/* ---- the server ---- */

static int wait_ms(void) {
    if (options.spins > 0)
        return 0;
    if (!has_late())
        return options.stall_s > 0 && server.stall_to_ns == 0 ? 1 : 100;
    uint64_t now = now_ns(CLOCK_MONOTONIC), due = server.late[server.late_begin % LATE_MAX].due_ns;
    return due > now + SPIN_NS ? (int)((due - now - SPIN_NS) / MS) : 0;
}

static int turn(void) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server.epoll, events, EVENTS, wait_ms());
    if (count < 0 && errno != EINTR)
        return -errno;
    stall();
    for (int i = 0; i < count; i++) {
        struct conn *conn = &server.conns[events[i].data.u32 % CONNECTIONS_MAX];
        if (events[i].data.u32 == WATCHER)
            accept_some();
        else if (conn->fd != 0)
            read_some(conn);
        say_late();
    }
    say_late();
    return write_disk();
}

static int serve(const sigset_t *signals) {
    static const struct timespec at_once;
    uint64_t end_ns = now_ns(CLOCK_MONOTONIC) + options.seconds * SECONDS_NS;
    int err = 0;
    while (err == 0 && now_ns(CLOCK_MONOTONIC) < end_ns) {
        err = turn();
        if (sigtimedwait(signals, NULL, &at_once) > 0)
            break;
    }
    return err;
}

/* How long the thread was ready and others had its CPU. */
static uint64_t delayed_ns(void) {
    char text[128] = "";
    int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    const char *second = n > 0 ? strchr(text, ' ') : NULL;
    return second != NULL ? strtoull(second, NULL, 10) : 0;
}

static void print(void) {
    uint64_t answered = server.messages - (server.late_end - server.late_begin);
    printf("{\"messages\": %lu, \"commits\": %lu, \"late_ms\": %.6f, \"first_ns\": %lu, "
           "\"stall_from_ns\": %lu, \"stall_to_ns\": %lu, \"cpu_s\": %.3f, \"delayed_s\": %.4f, "
           "\"seconds\": %.3f}\n",
           (unsigned long)server.messages, (unsigned long)server.commits,
           answered > 0 ? 1e-6 * (double)server.late_ns / (double)answered : 0,
           (unsigned long)server.first_ns, (unsigned long)server.stall_from_ns,
           (unsigned long)server.stall_to_ns, 1e-9 * (double)now_ns(CLOCK_PROCESS_CPUTIME_ID),
           1e-9 * (double)delayed_ns(), 1e-9 * (double)(now_ns(CLOCK_MONOTONIC) - server.start_ns));
}

static int open_disk(void) {
    server.disk = open(options.disk, O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT | O_DSYNC, 0600);
    if (server.disk < 0)
        return -errno;
    memset(block, 'x', DISK_BLOCK);
    return 0;
}

static int set_up(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int on = 1;
    server.start_ns = now_ns(CLOCK_MONOTONIC);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = WATCHER};
    if (server.listener < 0 || server.epoll < 0 ||
        setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(server.listener, (struct sockaddr *)&at, len) < 0 ||
        listen(server.listener, CONNECTIONS_MAX) < 0 ||
        getsockname(server.listener, (struct sockaddr *)&at, &len) < 0 ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &event) < 0)
        return -errno;
    int err = options.disk != NULL ? open_disk() : 0;
    if (err == 0) {
        printf("listening %u\n", (unsigned)ntohs(at.sin_port));
        (void)fflush(stdout);
    }
    return err;
}

/* ---- the command line ---- */

static int usage(FILE *to) {
    fputs("usage: bench-faulty [OPTION VALUE]... - an SMTP server with a fault that is known\n"
          "  --port P        on 127.0.0.1 (0: the kernel picks one; stdout names it)\n"
          "  --seconds N     ends after so long (120)\n"
          "  --delay-ms X    the reply to a message comes so much later\n"
          "  --stall-at S    seconds after the first message it stands still, once,\n"
          "  --stall-s S     for so long\n"
          "  --spin 1        it never sleeps, and so is never late by waking up\n"
          "  --cpu-us N      microseconds of CPU that each command and each message takes\n"
          "  --disk FILE     messages are answered when a write to this file is on the disk\n"
          "  --disk-ms X     which is slow: it is written to for at least so long\n",
          to);
    return to == stderr ? 64 : 0;
}

static bool parse_number(const char *text, double max, double *to) {
    char *end;
    *to = strtod(text, &end);
    return *text >= '0' && *text <= '9' && *end == '\0' && *to <= max;
}

static bool parse(int argc, char **argv) {
    const struct {
        const char *name;
        double max;
        unsigned *whole;
        double *real;
    } numbers[] = {
        {"--port",     65535,   &options.port,    NULL               },
        {"--spin",     1,       &options.spins,   NULL               },
        {"--seconds",  3600,    &options.seconds, NULL               },
        {"--cpu-us",   1000000, &options.cpu_us,  NULL               },
        {"--delay-ms", 60000,   NULL,             &options.delay_ms  },
        {"--disk-ms",  10000,   NULL,             &options.disk_ms   },
        {"--stall-at", 3600,    NULL,             &options.stall_at_s},
        {"--stall-s",  60,      NULL,             &options.stall_s   },
    };
    for (int at = 1; at + 1 < argc; at += 2) {
        bool is_good = strcmp(argv[at], "--disk") == 0;
        if (is_good)
            options.disk = argv[at + 1];
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            double value;
            if (strcmp(argv[at], numbers[i].name) != 0)
                continue;
            is_good = parse_number(argv[at + 1], numbers[i].max, &value);
            if (is_good && numbers[i].whole != NULL)
                *numbers[i].whole = (unsigned)value;
            else if (is_good)
                *numbers[i].real = value;
        }
        if (!is_good)
            return false;
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (!parse(argc, argv))
        return usage(stderr);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int err = set_up();
    if (err == 0)
        err = serve(&signals);
    if (err < 0)
        fprintf(stderr, "faulty: %s\n", strerrordesc_np(-err));
    print();
    return err == 0 ? 0 : 71;
}
