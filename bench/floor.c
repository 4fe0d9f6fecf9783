/* floor.c - the least that an SMTP server can do on this kernel: fixed replies, nothing stored.
 * What another server costs above it is what that server's work costs; bench/pair compares the two.
 *
 * It does what mxring does to the kernel (one ring and one listening socket a thread, multishot
 * accept and receive, one send for the replies to one read, SEND + CANCEL + CLOSE behind QUIT) and
 * next to nothing else. It is no mail server:
 * - A command is its first letter: D is DATA, E is EHLO, Q is QUIT, the rest gets a 250. No state,
 *   no syntax, no limit of a line, no addresses, no BDAT.
 * - A line ends with LF; only CRLF "." CRLF ends DATA, wherever reads cut it. Nothing is unstuffed:
 *   memchr runs from dot to dot, so that content full of dots costs more.
 * - No timeouts. What is beyond the table of connections is closed without a word.
 * It listens on 127.0.0.1 only; see usage().
 */
#include "engine/buf.h"
#include "engine/ring.h"
#include "proto/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MAX = 16, CONNECTIONS_MAX = 16384, BACKLOG = 4096 };
enum { BUFFER_GROUP = 1, BUFFERS = 512, BUFFER_OCTETS = 16384, CQ_ENTRIES = 8192 };
/* Of the replies to one read: 73 commands. A client that pipelines more is sent away. */
enum { REPLIES_OCTETS = 1024 };
/* How long a full table or a batch may delay the end, and a batch without --min-wait the reply. */
enum { PATIENCE_NS = 100000000, BATCH_NS = 1000000 };
enum { NO_CPU = CPU_SETSIZE, MIN_WAIT_MAX_US = 1000000 };
enum { END_OF_DATA = 5 }; /* octets of CRLF "." CRLF */

struct conn {
    uint8_t matched; /* octets of END_OF_DATA that the content so far ends with */
    char verb;       /* first letter of a line that is cut; 0 = at the begin of a line */
    bool in_data;
    bool is_over; /* QUIT, the peer's end, too many replies: nothing is read any more */
    bool is_receiving;
    bool is_cancelled;
    bool is_sending; /* the other half of replies is lent to the kernel */
    uint8_t filling; /* half of replies */
    uint16_t reply_len;
    char replies[2][REPLIES_OCTETS];
};

struct worker {
    pthread_t thread;
    struct mx_ring ring;
    struct mx_buf buffers;
    struct conn *conns; /* [slot_count], by descriptor */
    unsigned slot_count;
    int listener;
    unsigned cpu; /* NO_CPU = not pinned */
    bool is_accepting;
    int err;
    uint64_t messages, connections;
};

static struct {
    unsigned port, threads, cpu, wait_for, min_wait_us;
} options = {.port = 2525, .threads = 1, .cpu = NO_CPU, .wait_for = 1};

static struct worker workers[THREADS_MAX];
static atomic_bool is_stopping;

/* ---- the protocol ---- */

static uint8_t match_one(uint8_t matched, char c) {
    switch (c) {
    case '\r':
        return matched == 3 ? 4 : 1;
    case '\n':
        return matched == 1 ? 2 : matched == 4 ? END_OF_DATA : 0;
    case '.':
        return matched == 2 ? 3 : 0;
    default:
        return 0;
    }
}

/* Move *in behind the end of data: true. Or to its end: false. */
static bool take_data(uint8_t *matched, struct mx_span *in) {
    const char *at = in->ptr, *end = in->ptr + in->len;
    while (at<end && * matched> 0 && *matched < END_OF_DATA)
        *matched = match_one(*matched, *at++);
    const char *begin = at, *dot;
    while (*matched == 0 && (dot = memchr(at, '.', (size_t)(end - at))) != NULL) {
        at = dot + 1;
        if (dot - begin >= 2 && end - dot >= 3 && memcmp(dot - 2, "\r\n.\r\n", END_OF_DATA) == 0) {
            at = dot + 3;
            *matched = END_OF_DATA;
        }
    }
    bool is_end = *matched == END_OF_DATA;
    if (!is_end) { /* what the last octets begin; begin > in->ptr may be the end already */
        at = end - begin >= END_OF_DATA ? end - (END_OF_DATA - 1) : begin;
        while (at < end)
            *matched = match_one(*matched, *at++);
    }
    *in = mx_span_skip(*in, (size_t)(at - in->ptr));
    return is_end;
}

static void reply(struct conn *self, struct mx_span text) {
    if (self->reply_len + text.len > REPLIES_OCTETS) {
        if (!self->is_over)
            fputs("floor: a client pipelines too much\n", stderr);
        self->is_over = true;
        return;
    }
    memcpy(self->replies[self->filling] + self->reply_len, text.ptr, text.len);
    self->reply_len += (uint16_t)text.len;
}

static void run_verb(struct conn *self, char verb) {
    switch (verb | 0x20) {
    case 'd':
        reply(self, MX_SPAN("354 Go ahead\r\n"));
        self->in_data = true;
        self->matched = 2;
        break;
    case 'e':
        reply(self, MX_SPAN("250-floor\r\n250 PIPELINING\r\n"));
        break;
    case 'q':
        reply(self, MX_SPAN("221 2.0.0 Bye\r\n"));
        self->is_over = true;
        break;
    default:
        reply(self, MX_SPAN("250 2.1.0 Ok\r\n"));
        break;
    }
}

static void take_input(struct worker *self, struct conn *c, struct mx_span in) {
    while (in.len > 0 && !c->is_over) {
        if (c->in_data) {
            if (!take_data(&c->matched, &in))
                return;
            c->in_data = false;
            self->messages++;
            reply(c, MX_SPAN("250 2.0.0 Ok\r\n"));
            continue;
        }
        char verb = c->verb != 0 ? c->verb : *in.ptr;
        const char *lf = memchr(in.ptr, '\n', in.len);
        c->verb = lf == NULL ? verb : 0;
        if (lf == NULL)
            return;
        in = mx_span_skip(in, (size_t)(lf + 1 - in.ptr));
        run_verb(c, verb);
    }
}

/* ---- the ring ---- */

static void accept_more(struct worker *self) {
    mx_ring_accept(&self->ring, self->listener, mx_op_pack(MX_OP_ACCEPT, 0, 0));
    self->is_accepting = true;
}

static void close_slot(struct worker *self, uint32_t slot) {
    mx_ring_close(&self->ring, (int)slot, mx_op_pack(MX_OP_CLOSE, 0, slot));
    if (!self->is_accepting && !is_stopping)
        accept_more(self);
}

/* Ask the kernel for what the connection needs next. */
static void drive(struct worker *self, uint32_t slot) {
    struct conn *c = &self->conns[slot];
    const uint64_t receive = mx_op_pack(MX_OP_RECV, 0, slot);
    if (c->reply_len > 0 && !c->is_sending) {
        mx_ring_send(&self->ring, (int)slot, c->replies[c->filling], c->reply_len,
                     mx_op_pack(MX_OP_SEND, 0, slot));
        c->is_sending = true;
        c->filling ^= 1;
        c->reply_len = 0;
    }
    if (!c->is_over && !c->is_receiving) {
        mx_ring_recv(&self->ring, (int)slot, BUFFER_GROUP, receive);
        c->is_receiving = true;
    } else if (c->is_over && c->is_receiving && !c->is_cancelled) {
        mx_ring_cancel(&self->ring, receive, mx_op_pack(MX_OP_CANCEL_RECV, 0, slot));
        c->is_cancelled = true;
    } else if (c->is_over && !c->is_receiving && !c->is_sending) {
        close_slot(self, slot); /* nothing names the slot any more */
    }
}

static void on_accept(struct worker *self, const struct io_uring_cqe *cqe) {
    bool is_full = cqe->res == -ENFILE || cqe->res == -EMFILE;
    self->is_accepting = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (!self->is_accepting && !is_full && !is_stopping)
        accept_more(self);
    if (cqe->res < 0)
        return;
    uint32_t slot = (uint32_t)cqe->res;
    if (slot >= self->slot_count) {
        close_slot(self, slot);
        return;
    }
    struct conn *c = &self->conns[slot];
    memset(c, 0, offsetof(struct conn, replies));
    self->connections++;
    reply(c, MX_SPAN("220 floor ESMTP\r\n"));
    drive(self, slot);
}

static void on_recv(struct worker *self, const struct io_uring_cqe *cqe) {
    uint32_t slot = mx_op_slot(cqe->user_data);
    struct conn *c = &self->conns[slot];
    c->is_receiving = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (cqe->res > 0) {
        uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        struct mx_span in = {mx_buf_take(&self->buffers, id), (size_t)cqe->res};
        take_input(self, c, in);
        mx_buf_recycle(&self->buffers, id);
        mx_buf_publish(&self->buffers);
    } else if (cqe->res != -ENOBUFS) {
        c->is_over = true;
    }
    drive(self, slot);
}

/* Of the rest, CANCEL and CLOSE, only failures are heard: nothing was to be cancelled. */
static void on_completion(struct worker *self, const struct io_uring_cqe *cqe) {
    enum mx_op kind = mx_op_kind(cqe->user_data);
    if (kind == MX_OP_RECV) {
        on_recv(self, cqe);
    } else if (kind == MX_OP_SEND) {
        uint32_t slot = mx_op_slot(cqe->user_data);
        self->conns[slot].is_sending = false; /* a failure is seen by the receive, too */
        drive(self, slot);
    } else if (kind == MX_OP_ACCEPT) {
        on_accept(self, cqe);
    }
}

/* The end comes as a completion of the accept; when there is none, or a batch is waited for, a look
 * at is_stopping now and then. */
static struct mx_ring_wait next_wait(const struct worker *self) {
    struct mx_ring_wait wait = {.events = options.wait_for, .min_wait_us = options.min_wait_us};
    bool has_min_wait = options.min_wait_us > 0 && (self->ring.features & MX_RING_MIN_WAIT);
    if (wait.events > 1)
        wait.timeout_ns = has_min_wait ? PATIENCE_NS : BATCH_NS;
    else
        wait.timeout_ns = self->is_accepting ? UINT64_MAX : PATIENCE_NS;
    return wait;
}

static int loop(struct worker *self) {
    accept_more(self);
    while (!is_stopping) {
        const struct mx_ring_wait wait = next_wait(self);
        int err = mx_ring_turn(&self->ring, &wait);
        if (err < 0)
            return err;
        unsigned count = mx_ring_ready(&self->ring);
        for (unsigned i = 0; i < count; i++)
            on_completion(self, mx_ring_cqe(&self->ring, i));
        mx_ring_consume(&self->ring, count);
    }
    return 0;
}

static void *run(void *argument) {
    struct worker *self = argument;
    if (self->cpu != NO_CPU) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(self->cpu, &set);
        self->err = -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    if (self->err == 0)
        self->err = mx_ring_start(&self->ring);
    if (self->err == 0)
        self->err = loop(self);
    if (self->err < 0)
        kill(getpid(), SIGTERM); /* wakes main */
    return NULL;
}

/* ---- life ---- */

static struct conn *conns_new(unsigned count) {
    return count > 0 ? calloc(count, sizeof(struct conn)) : NULL;
}

static void conns_free(struct conn *conns) {
    free(conns);
}

/* The first listener takes options.port, or one that the kernel picks; the others the same. */
static int open_listener(int *listener) {
    int on = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    if (s < 0)
        return -errno;
    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (options.threads > 1 && setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(s, (struct sockaddr *)&address, len) < 0 || listen(s, BACKLOG) < 0 ||
        getsockname(s, (struct sockaddr *)&address, &len) < 0) {
        int err = -errno;
        close(s);
        return err;
    }
    options.port = ntohs(address.sin_port);
    *listener = s;
    return 0;
}

static int worker_init(struct worker *self, unsigned index, uint32_t features, unsigned slots) {
    *self = (struct worker){.listener = -1, .slot_count = slots};
    self->cpu = options.cpu != NO_CPU ? options.cpu + index : NO_CPU;
    self->conns = conns_new(slots);
    if (self->conns == NULL)
        return -ENOMEM;
    int err = open_listener(&self->listener);
    if (err == 0)
        err = mx_ring_init(&self->ring, features, slots, CQ_ENTRIES);
    if (err == 0)
        err = mx_buf_init(&self->buffers, &self->ring, BUFFER_GROUP, BUFFERS, BUFFER_OCTETS);
    return err;
}

static void worker_deinit(struct worker *self) {
    mx_ring_deinit(&self->ring);
    mx_buf_deinit(&self->buffers);
    conns_free(self->conns);
    if (self->listener > 0)
        close(self->listener);
}

/* Slots of one ring: as many as RLIMIT_NOFILE allows. */
static unsigned raise_limit(void) {
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    return limit.rlim_cur < CONNECTIONS_MAX ? (unsigned)limit.rlim_cur : CONNECTIONS_MAX;
}

static double cpu_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return 1e6 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int set_up(void) {
    uint32_t features = 0;
    int err = mx_ring_probe(&features);
    if (err < 0) {
        fprintf(stderr, "floor: %s\n", mx_ring_remedy(err));
        return err;
    }
    unsigned slots = raise_limit();
    if (slots == 0)
        err = -EMFILE;
    for (unsigned i = 0; i < options.threads && err == 0; i++)
        err = worker_init(&workers[i], i, features, slots);
    if (err < 0)
        fprintf(stderr, "floor: 127.0.0.1:%u: %s\n", options.port, strerrordesc_np(-err));
    return err;
}

/* Run until a signal or a failure. */
static int serve(const sigset_t *signals) {
    uint64_t messages = 0, connections = 0;
    unsigned started = 0;
    int err = 0, number;
    double before = cpu_us();
    while (started < options.threads && err == 0) {
        struct worker *worker = &workers[started];
        err = -pthread_create(&worker->thread, NULL, run, worker);
        started += err == 0;
    }
    if (err == 0) {
        fprintf(stderr, "floor: listening on 127.0.0.1:%u\n", options.port);
        while (sigwait(signals, &number) != 0)
            ;
    }
    is_stopping = true;
    for (unsigned i = 0; i < started; i++)
        shutdown(workers[i].listener, SHUT_RDWR); /* its accept completes */
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        messages += workers[i].messages;
        connections += workers[i].connections;
        err = err < 0 ? err : workers[i].err;
    }
    if (err < 0)
        fprintf(stderr, "floor: %s\n", strerrordesc_np(-err));
    printf("{\"messages\": %lu, \"connections\": %lu, \"cpu_us_per_message\": %.3f}\n", messages,
           connections, messages > 0 ? (cpu_us() - before) / (double)messages : 0);
    return err;
}

static int usage(FILE *to) {
    fputs("usage: bench-floor [OPTION VALUE]... - an SMTP server that does as little as possible\n"
          "  --port P      on 127.0.0.1 (2525); 0: the kernel picks one, stderr names it\n"
          "  --threads N   each with its ring (1, at most 16)\n"
          "  --cpu C       pins them to C, C+1, ... (not pinned)\n"
          "  --wait-for N  completions that a thread sleeps for (1), but no longer than 1 ms\n"
          "  --min-wait T  or after T us for one only (Linux 6.12; with --wait-for)\n"
          "SIGTERM or SIGINT ends it with one JSON line: messages, connections,\n"
          "cpu_us_per_message.\n",
          to);
    return to == stderr ? 64 : 0;
}

static bool parse_number(const char *text, unsigned max, unsigned *to) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *to = (unsigned)value;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= max;
}

static bool parse(int argc, char **argv) {
    static const struct {
        const char *name;
        unsigned min, max;
        unsigned *to;
    } numbers[] = {
        {"--port",     0, UINT16_MAX,                &options.port       },
        {"--threads",  1, THREADS_MAX,               &options.threads    },
        {"--cpu",      0, CPU_SETSIZE - THREADS_MAX, &options.cpu        },
        {"--wait-for", 1, CQ_ENTRIES / 2,            &options.wait_for   },
        {"--min-wait", 0, MIN_WAIT_MAX_US,           &options.min_wait_us},
    };
    for (int at = 1; at < argc; at += 2) {
        bool is_good = false;
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers && at + 1 < argc; i++)
            if (strcmp(argv[at], numbers[i].name) == 0)
                is_good = parse_number(argv[at + 1], numbers[i].max, numbers[i].to) &&
                          *numbers[i].to >= numbers[i].min;
        if (!is_good)
            return false;
    }
    return true;
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
    for (unsigned i = 0; i < options.threads; i++)
        worker_deinit(&workers[i]);
    return err == 0 ? 0 : 71;
}
