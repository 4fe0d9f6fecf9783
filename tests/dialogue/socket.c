/* socket.c - the driver that starts the real server and speaks to it over loopback. */
#include "tests/dialogue/dialogue.h"
#include "tests/dialogue/tls_end.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 5, START_WAIT_MS = 20000 }; /* a server with sanitizers starts slowly */

struct socket_driver {
    struct mx_driver driver; /* first: the driver is the object */
    const char *program;
    char key[PATH_MAX + 8]; /* mode and configuration of the server that runs */
    pid_t pid;              /* 0: none runs */
    int log_fd;             /* what it writes to stderr; -1 when none runs */
    uint16_t port;
    int fds[MX_LINKS_MAX];
    struct mx_tls_end *ends[MX_LINKS_MAX]; /* NULL: in clear */
};

static struct socket_driver *self_of(struct mx_driver *driver) {
    return (struct socket_driver *)driver;
}

static void sleep_ms(uint32_t ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        continue;
}

static int temporary_file(char path[PATH_MAX]) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/dialogue-XXXXXX", folder != NULL ? folder : "/tmp");
    return mkostemp(path, O_CLOEXEC);
}

/* ---- the server ---- */

static void read_log(const struct socket_driver *self, struct mx_text *log) {
    char part[4096];
    off_t at = 0;
    for (ssize_t len; (len = pread(self->log_fd, part, sizeof part, at)) > 0; at += len)
        mx_text_put(log, part, (size_t)len);
    mx_text_put(log, "", 0);
}

static bool fail_with_log(const struct socket_driver *self, struct mx_failure *failure,
                          const char *what) {
    struct mx_text log = {0};
    read_log(self, &log);
    size_t from = log.len > 1500 ? log.len - 1500 : 0;
    mx_fail(failure, 0, "%s. Its log ends in:\n%s", what, log.ptr + from);
    free(log.ptr);
    return false;
}

/* The port of the line "event=listening proto=smtp addr=127.0.0.1:2525"; 0: it is not there yet. */
static uint16_t find_port(const struct socket_driver *self, const char *proto) {
    struct mx_text log = {0};
    read_log(self, &log);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "event=listening proto=%s addr=127.0.0.1:", proto);
    unsigned long port = 0;
    const char *found = strstr(log.ptr, wanted);
    if (found != NULL && strchr(found, '\n') != NULL)
        port = strtoul(found + strlen(wanted), NULL, 10);
    free(log.ptr);
    return (uint16_t)port;
}

static void run_server(const struct socket_driver *self, const char *config, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (dup2(self->log_fd, STDERR_FILENO) >= 0)
        execl(self->program, self->program, "serve", "-c", config, (char *)NULL);
    fprintf(stderr, "cannot run %s: %s\n", self->program, strerror(errno));
    _exit(1);
}

/* Has it ended within this time? *status as waitpid gives it. */
static bool has_ended(struct socket_driver *self, uint32_t timeout_ms, int *status) {
    for (uint32_t waited = 0;; waited += POLL_MS) {
        if (waitpid(self->pid, status, WNOHANG) == self->pid) {
            self->pid = 0;
            return true;
        }
        if (waited >= timeout_ms)
            return false;
        sleep_ms(POLL_MS);
    }
}

static bool wait_for_port(struct socket_driver *self, const char *proto,
                          struct mx_failure *failure) {
    for (uint32_t waited = 0; waited < START_WAIT_MS; waited += POLL_MS) {
        int status;
        self->port = find_port(self, proto);
        if (self->port != 0)
            return true;
        if (has_ended(self, 0, &status))
            return fail_with_log(self, failure, "the server has ended at once");
        sleep_ms(POLL_MS);
    }
    return fail_with_log(self, failure, "the server does not listen");
}

static bool start(struct socket_driver *self, const struct mx_dialogue *dialogue,
                  struct mx_failure *failure) {
    char log_path[PATH_MAX], base_path[PATH_MAX] = "";
    const char *config = dialogue->config;
    self->log_fd = temporary_file(log_path);
    if (self->log_fd < 0)
        return mx_fail(failure, 0, "no log file: %s", strerror(errno));
    unlink(log_path);
    if (config[0] == '\0') {
        const char *base = mx_dialogue_base(dialogue->is_lmtp);
        int fd = temporary_file(base_path);
        bool is_written = fd >= 0 && write(fd, base, strlen(base)) == (ssize_t)strlen(base);
        if (fd >= 0)
            close(fd);
        if (!is_written)
            return mx_fail(failure, 0, "no configuration file: %s", strerror(errno));
        config = base_path;
    }
    pid_t parent = getpid();
    self->pid = fork();
    if (self->pid == 0)
        run_server(self, config, parent);
    bool is_good = self->pid > 0 ? wait_for_port(self, dialogue->is_lmtp ? "lmtp" : "smtp", failure)
                                 : mx_fail(failure, 0, "fork: %s", strerror(errno));
    if (base_path[0] != '\0')
        unlink(base_path);
    return is_good;
}

bool mx_socket_stop(struct mx_driver *driver, struct mx_failure *failure) {
    struct socket_driver *self = self_of(driver);
    bool is_good = true;
    self->key[0] = '\0';
    if (self->pid > 0) {
        int status = 0;
        kill(self->pid, SIGTERM);
        if (!has_ended(self, MX_WAIT_MS, &status)) {
            is_good = fail_with_log(self, failure, "the server does not end on SIGTERM");
            kill(self->pid, SIGKILL);
            has_ended(self, MX_WAIT_MS, &status);
        } else if (status != 0) {
            char what[100];
            snprintf(what, sizeof what, "the server ended with %s %d",
                     WIFEXITED(status) ? "exit status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            is_good = fail_with_log(self, failure, what);
        }
    }
    if (self->log_fd >= 0)
        close(self->log_fd);
    self->log_fd = -1;
    self->pid = 0;
    return is_good;
}

static bool begin(struct mx_driver *driver, const struct mx_dialogue *dialogue,
                  struct mx_failure *failure) {
    struct socket_driver *self = self_of(driver);
    char key[sizeof self->key];
    snprintf(key, sizeof key, "%s %s", dialogue->is_lmtp ? "lmtp" : "smtp", dialogue->config);
    if (self->pid > 0 && strcmp(key, self->key) == 0)
        return true;
    if (!mx_socket_stop(driver, failure) || !start(self, dialogue, failure))
        return false;
    memcpy(self->key, key, sizeof key);
    return true;
}

static void end(struct mx_driver *driver) {
    (void)driver; /* the server stays for the next file */
}

/* ---- connections ---- */

static bool bind_to(int fd, const char *from) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    return inet_pton(AF_INET, from, &address.sin_addr) == 1 &&
           bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static bool connect_link(struct mx_driver *driver, unsigned link, const char *from,
                         struct mx_failure *failure) {
    struct socket_driver *self = self_of(driver);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return mx_fail(failure, 0, "socket: %s", strerror(errno));
    self->fds[link] = fd;
    struct timeval timeout = {.tv_sec = MX_WAIT_MS / 1000};
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (from != NULL && !bind_to(fd, from))
        return mx_fail(failure, 0, "cannot send from %s: %s", from, strerror(errno));
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(self->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ||
           mx_fail(failure, 0, "connect: %s", strerror(errno));
}

static void disconnect(struct mx_driver *driver, unsigned link, bool is_half) {
    int *fd = &self_of(driver)->fds[link];
    if (*fd < 0)
        return;
    if (is_half) {
        shutdown(*fd, SHUT_WR);
        return;
    }
    mx_tls_end_free(self_of(driver)->ends[link]);
    self_of(driver)->ends[link] = NULL;
    close(*fd);
    *fd = -1;
}

static bool start_tls(struct mx_driver *driver, unsigned link, struct mx_failure *failure) {
    struct socket_driver *self = self_of(driver);
    self->ends[link] = mx_tls_end_new(self->fds[link]);
    return self->ends[link] != NULL || mx_fail(failure, 0, "the client's handshake fails");
}

static bool send_octets(struct mx_driver *driver, unsigned link, struct mx_span octets,
                        struct mx_failure *failure) {
    int fd = self_of(driver)->fds[link];
    struct mx_tls_end *end = self_of(driver)->ends[link];
    if (end != NULL)
        return mx_tls_end_send(end, octets) || mx_fail(failure, 0, "send inside TLS");
    while (octets.len > 0) {
        ssize_t len = send(fd, octets.ptr, octets.len, MSG_NOSIGNAL);
        /* the server may close before all is written: what it said decides */
        if (len < 0 && (errno == EPIPE || errno == ECONNRESET))
            return true;
        if (len < 0)
            return mx_fail(failure, 0, "send: %s", strerror(errno));
        octets = mx_span_skip(octets, (size_t)len);
    }
    return true;
}

static enum mx_read read_octets(struct mx_driver *driver, unsigned link, struct mx_text *to,
                                uint32_t timeout_ms) {
    struct pollfd poll_fd = {.fd = self_of(driver)->fds[link], .events = POLLIN};
    struct mx_tls_end *end = self_of(driver)->ends[link];
    if (end != NULL)
        return mx_tls_end_read(end, to, timeout_ms);
    if (poll(&poll_fd, 1, (int)timeout_ms) <= 0)
        return MX_READ_NOTHING;
    char part[4096];
    ssize_t len = recv(poll_fd.fd, part, sizeof part, MSG_DONTWAIT);
    if (len <= 0)
        return MX_READ_CLOSED;
    mx_text_put(to, part, (size_t)len);
    return MX_READ_MORE;
}

static void wait_ms(struct mx_driver *driver, uint32_t ms) {
    (void)driver;
    sleep_ms(ms);
}

static const struct mx_text *stored(struct mx_driver *driver, size_t *count) {
    (void)driver, (void)count;
    return NULL;
}

struct mx_driver *mx_socket_new(const char *program) {
    struct socket_driver *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->driver = (struct mx_driver){
        .name = "socket",
        .begin = begin,
        .connect = connect_link,
        .disconnect = disconnect,
        .send = send_octets,
        .start_tls = start_tls,
        .read = read_octets,
        .wait = wait_ms,
        .stored = stored,
        .end = end,
    };
    self->program = program;
    self->log_fd = -1;
    for (unsigned i = 0; i < MX_LINKS_MAX; i++)
        self->fds[i] = -1;
    return &self->driver;
}

void mx_socket_free(struct mx_driver *driver) {
    free(driver);
}
