#include "engine/sockets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static int set_on(int fd, int level, int option) {
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

static int open_bound(const struct sockaddr_storage *addr, socklen_t len, bool is_shared) {
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (err == 0 && addr->ss_family == AF_INET6)
        err = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (err == 0 && is_shared)
        err = set_on(fd, SOL_SOCKET, SO_REUSEPORT);
    if (err == 0 && bind(fd, (const struct sockaddr *)addr, len) < 0)
        err = -errno;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

int mx_socket_probe(struct sockaddr_storage *addr, socklen_t len) {
    int fd = open_bound(addr, len, false);
    if (fd < 0)
        return fd;
    /* two sockets of other processes may share the port without listening: only listen tells */
    int err = listen(fd, 1) < 0 ? -errno : 0;
    if (err == 0 && getsockname(fd, (struct sockaddr *)addr, &len) < 0)
        err = -errno;
    close(fd);
    return err;
}

int mx_socket_listen(const struct sockaddr_storage *addr, socklen_t len, int backlog) {
    int fd = open_bound(addr, len, true);
    if (fd < 0)
        return fd;
    int err = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
    if (err == 0 && listen(fd, backlog) < 0)
        err = -errno;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

void mx_socket_text(const struct sockaddr_storage *addr, char text[MX_SOCKET_TEXT_MAX]) {
    char ip[INET6_ADDRSTRLEN] = "?";
    int len;
    if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        len = snprintf(text, MX_SOCKET_TEXT_MAX, "[%s]:%u", ip, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        len = snprintf(text, MX_SOCKET_TEXT_MAX, "%s:%u", ip, ntohs(in->sin_port));
    }
    assert(len > 0 && len < MX_SOCKET_TEXT_MAX);
}
