#include "engine/cli/outside_talk.h"

#include "tls/library.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { COMMAND_MAX = 1000 };

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void mx_outside_talk_init(struct mx_outside_talk *self, struct mx_outside *outside,
                          const struct mx_ip *ip) {
    *self = (struct mx_outside_talk){.outside = outside, .ip = ip, .fd = -1};
    self->end_ms = now_ms() + (int64_t)outside->timeout_ms * MX_OUTSIDE_WAITS_MAX;
}

static bool fail(struct mx_outside_talk *self, const char *problem) {
    self->problem = problem;
    return false;
}

static bool fail_of(struct mx_outside_talk *self, int error) {
    return fail(self, strerrordesc_np(error));
}

/* ---- the socket ---- */

static bool wait_for(struct mx_outside_talk *self, short events) {
    struct pollfd row = {.fd = self->fd, .events = events};
    int64_t left_ms = self->end_ms - now_ms();
    if (left_ms > self->outside->timeout_ms)
        left_ms = self->outside->timeout_ms;
    int count = left_ms > 0 ? poll(&row, 1, (int)left_ms) : 0;
    if (count > 0)
        return true;
    self->is_silent = count == 0;
    return count == 0 ? fail(self, "no answer in time") : fail_of(self, errno);
}

static socklen_t put_address(const struct mx_ip *ip, uint16_t port, struct sockaddr_storage *to) {
    *to = (struct sockaddr_storage){.ss_family = ip->family == 4 ? AF_INET : AF_INET6};
    if (ip->family == 4) {
        struct sockaddr_in *four = (struct sockaddr_in *)to;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, ip->bytes, 4);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
    six->sin6_port = htons(port);
    memcpy(&six->sin6_addr, ip->bytes, 16);
    return sizeof *six;
}

static void note_own_address(struct mx_outside_talk *self) {
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof own;
    self->own_ip = (struct mx_ip){.family = 4};
    if (getsockname(self->fd, (struct sockaddr *)&own, &len) == 0 && own.ss_family == AF_INET6) {
        self->own_ip.family = 6;
        memcpy(self->own_ip.bytes, &((struct sockaddr_in6 *)&own)->sin6_addr, 16);
    } else {
        memcpy(self->own_ip.bytes, &((struct sockaddr_in *)&own)->sin_addr, 4);
    }
    self->own_text[mx_ip_text(&self->own_ip, self->own_text)] = '\0';
}

bool mx_outside_connect(struct mx_outside_talk *self) {
    struct sockaddr_storage address;
    socklen_t len = put_address(self->ip, self->outside->port, &address);
    int error = 0;
    socklen_t error_len = sizeof error;
    self->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0)
        return fail_of(self, errno);
    if (connect(self->fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
        return fail_of(self, errno);
    if (!wait_for(self, POLLOUT))
        return false;
    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
        error = errno;
    if (error != 0)
        return fail_of(self, error);
    note_own_address(self);
    return true;
}

static bool send_all(struct mx_outside_talk *self, struct mx_span text) {
    while (text.len > 0) {
        ssize_t done = send(self->fd, text.ptr, text.len, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            return fail_of(self, errno);
        if (done < 0 && !wait_for(self, POLLOUT))
            return false;
        if (done > 0)
            text = mx_span_skip(text, (size_t)done);
    }
    return true;
}

/* At least one octet, behind what is there. */
static bool receive(struct mx_outside_talk *self, char *to, size_t cap, size_t *len) {
    if (*len == cap)
        return fail(self, "it says too much");
    for (;;) {
        ssize_t got = recv(self->fd, to + *len, cap - *len, 0);
        if (got > 0) {
            *len += (size_t)got;
            return true;
        }
        if (got == 0)
            return fail(self, "it has closed the connection");
        if (errno != EAGAIN && errno != EINTR)
            return fail_of(self, errno);
        if (!wait_for(self, POLLIN))
            return false;
    }
}

/* ---- TLS ---- */

static bool fail_tls(struct mx_outside_talk *self) {
    return fail(self, mx_tls_error_text(&self->tls));
}

/* What a step has consumed goes. */
static void drop_consumed(struct mx_outside_talk *self, struct mx_span rest) {
    if (rest.len > 0)
        memmove(self->cipher_text, rest.ptr, rest.len);
    self->cipher_len = rest.len;
}

static bool shake_hands(struct mx_outside_talk *self) {
    for (;;) {
        struct mx_out out = {self->sealed, 0, sizeof self->sealed};
        struct mx_span in = {self->cipher_text, self->cipher_len};
        int err = mx_tls_handshake(&self->tls, &in, &out);
        drop_consumed(self, in);
        if (!send_all(self, (struct mx_span){out.ptr, out.len}))
            return false;
        if (err == 0)
            return true;
        if (err == MX_ETLS)
            return fail_tls(self);
        if (err == MX_EPARTIAL &&
            !receive(self, self->cipher_text, sizeof self->cipher_text, &self->cipher_len))
            return false;
    }
}

bool mx_outside_secure(struct mx_outside_talk *self, struct mx_tls_facts *facts) {
    const struct mx_tls_params params = {.has_tls12 = true, .has_tls13 = true};
    struct mx_tls_problem problem;
    char name[MX_DNS_NAME_MAX + 1];
    if (self->heard_len > 0) /* RFC 3207 4.2: nothing of before counts any more */
        return fail(self, "it says more before the handshake");
    memcpy(name, self->outside->name.ptr, self->outside->name.len);
    name[self->outside->name.len] = '\0';
    self->context = mx_tls_client_context_new(&params, &problem);
    if (self->context == NULL || mx_tls_client_init(&self->tls, self->context, name, NULL) < 0)
        return fail(self, "the TLS library gives nothing");
    self->is_secure = true;
    if (!shake_hands(self))
        return false;
    mx_tls_facts(&self->tls, facts);
    return true;
}

static bool receive_secure(struct mx_outside_talk *self) {
    char plain[MX_TLS_RECORD_MAX];
    for (;;) {
        struct mx_out out = {self->sealed, 0, sizeof self->sealed};
        struct mx_span in = {self->cipher_text, self->cipher_len};
        size_t len = 0;
        int err = mx_tls_open(&self->tls, &in, &out, plain, sizeof plain, &len);
        drop_consumed(self, in);
        if (!send_all(self, (struct mx_span){out.ptr, out.len}))
            return false;
        if (err == 0 && self->heard_len + len > sizeof self->heard)
            return fail(self, "it says too much");
        if (err == 0) {
            memcpy(self->heard + self->heard_len, plain, len);
            self->heard_len += len;
            return true;
        }
        if (err == MX_ETLS)
            return fail_tls(self);
        if (err == MX_EEND)
            return fail(self, "it has closed the connection");
        if (err == MX_EPARTIAL &&
            !receive(self, self->cipher_text, sizeof self->cipher_text, &self->cipher_len))
            return false;
    }
}

/* ---- commands and replies ---- */

static bool hear(struct mx_outside_talk *self) {
    return self->is_secure ? receive_secure(self)
                           : receive(self, self->heard, sizeof self->heard, &self->heard_len);
}

/* The next line without its end, which is dropped with the next call's begin: copied. */
static bool take_line(struct mx_outside_talk *self, char *line, size_t cap, size_t *len) {
    const char *lf;
    while ((lf = memchr(self->heard, '\n', self->heard_len)) == NULL) {
        if (!hear(self))
            return false;
    }
    size_t whole = (size_t)(lf - self->heard) + 1, shown = whole - 1;
    if (shown > 0 && self->heard[shown - 1] == '\r')
        shown--;
    *len = shown < cap ? shown : cap;
    memcpy(line, self->heard, *len);
    self->heard_len -= whole;
    memmove(self->heard, self->heard + whole, self->heard_len);
    return true;
}

static int code_of(const char *line, size_t len) {
    int code = 0;
    for (size_t i = 0; i < 3; i++) {
        if (len < 3 || line[i] < '0' || line[i] > '9')
            return 0;
        code = code * 10 + (line[i] - '0');
    }
    bool is_good = code >= 200 && code < 600 && (len == 3 || line[3] == ' ' || line[3] == '-');
    return is_good ? code : 0;
}

static void keep_reply(struct mx_outside_talk *self, const char *line, size_t len) {
    size_t shown = len > 4 ? len - 4 : 0;
    if (shown >= sizeof self->reply)
        shown = sizeof self->reply - 1;
    if (shown > 0)
        memcpy(self->reply, line + 4, shown);
    self->reply[shown] = '\0';
    struct mx_span word = {self->reply, strcspn(self->reply, " ")};
    self->offers_tls = self->offers_tls || mx_span_equal_nocase(word, MX_SPAN("STARTTLS"));
}

int mx_outside_reply(struct mx_outside_talk *self) {
    char line[COMMAND_MAX];
    size_t len = 0;
    self->offers_tls = false;
    for (int i = 0; i < MX_OUTSIDE_REPLY_LINES; i++) {
        if (!take_line(self, line, sizeof line, &len))
            return 0;
        int code = code_of(line, len);
        if (code == 0) {
            self->problem = "its answer is no SMTP";
            return 0;
        }
        keep_reply(self, line, len);
        if (len < 4 || line[3] != '-')
            return code;
    }
    self->problem = "its answer has too many lines";
    return 0;
}

int mx_outside_command(struct mx_outside_talk *self, const char *format, ...) {
    char text[COMMAND_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text - 2, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text - 2) {
        self->problem = "the command is too long";
        return 0;
    }
    memcpy(text + len, "\r\n", 2);
    struct mx_span plain = {text, (size_t)len + 2};
    struct mx_out out = {self->sealed, 0, sizeof self->sealed};
    if (self->is_secure && mx_tls_seal(&self->tls, plain, &out) < 0)
        return fail_tls(self);
    bool is_sent = send_all(self, self->is_secure ? (struct mx_span){out.ptr, out.len} : plain);
    return is_sent ? mx_outside_reply(self) : 0;
}

void mx_outside_talk_end(struct mx_outside_talk *self) {
    if (self->fd >= 0 && self->problem == NULL)
        mx_outside_command(self, "QUIT"); /* whatever it says */
    mx_tls_deinit(&self->tls);
    if (self->context != NULL)
        mx_tls_context_free(self->context);
    if (self->fd >= 0)
        close(self->fd);
}
