#include "tests/dialogue/tls_end.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

struct mx_tls_end {
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    int fd;
};

struct mx_tls_end *mx_tls_end_new(int fd) {
    struct mx_tls_end *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->fd = fd;
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        abort();
    self->ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    assert(self->ctx != NULL);
    wolfSSL_CTX_set_verify(self->ctx, WOLFSSL_VERIFY_NONE, NULL);
    self->ssl = wolfSSL_new(self->ctx);
    assert(self->ssl != NULL);
    wolfSSL_set_fd(self->ssl, fd);
    if (wolfSSL_connect(self->ssl) == WOLFSSL_SUCCESS &&
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
        return self;
    mx_tls_end_free(self);
    return NULL;
}

void mx_tls_end_free(struct mx_tls_end *self) {
    if (self == NULL)
        return;
    wolfSSL_shutdown(self->ssl);
    wolfSSL_free(self->ssl);
    wolfSSL_CTX_free(self->ctx);
    free(self);
}

bool mx_tls_end_send(struct mx_tls_end *self, struct mx_span octets) {
    struct pollfd poll_fd = {.fd = self->fd, .events = POLLOUT};
    for (int len = 0; octets.len > 0; octets = mx_span_skip(octets, (size_t)len)) {
        while ((len = wolfSSL_write(self->ssl, octets.ptr, (int)octets.len)) <= 0) {
            if (wolfSSL_get_error(self->ssl, len) != WOLFSSL_ERROR_WANT_WRITE ||
                poll(&poll_fd, 1, MX_WAIT_MS) <= 0)
                return false;
        }
    }
    return true;
}

enum mx_read mx_tls_end_read(struct mx_tls_end *self, struct mx_text *to, uint32_t timeout_ms) {
    struct pollfd poll_fd = {.fd = self->fd, .events = POLLIN};
    char part[4096];
    int len;
    do { /* what came may not have been for us */
        if (wolfSSL_pending(self->ssl) == 0 && poll(&poll_fd, 1, (int)timeout_ms) <= 0)
            return MX_READ_NOTHING;
        len = wolfSSL_read(self->ssl, part, sizeof part);
    } while (len <= 0 && wolfSSL_get_error(self->ssl, len) == WOLFSSL_ERROR_WANT_READ);
    if (len <= 0)
        return MX_READ_CLOSED;
    mx_text_put(to, part, (size_t)len);
    return MX_READ_MORE;
}
