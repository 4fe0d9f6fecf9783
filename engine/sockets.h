/* sockets.h - listening sockets; opened by the main thread before the workers start. */
#pragma once
#include "proto/err.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { MX_SOCKET_TEXT_MAX = 64 };

/* Is the address free? One bind without SO_REUSEPORT, which would hide another process. A port of 0
 * is replaced by the one the kernel picks. 0 or -errno. */
MX_MUST_CHECK int mx_socket_probe(struct sockaddr_storage *addr, socklen_t len);

/* A listening TCP socket: SO_REUSEPORT, TCP_NODELAY (inherited by what is accepted). The
 * descriptor, or -errno. */
MX_MUST_CHECK int mx_socket_listen(const struct sockaddr_storage *addr, socklen_t len, int backlog);

/* "127.0.0.1:25", "[::1]:25" */
void mx_socket_text(const struct sockaddr_storage *addr, char text[MX_SOCKET_TEXT_MAX]);
