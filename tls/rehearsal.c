/* A handshake of a context with a client of our own, in memory. */
#include "tls/tls_impl.h"

#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

enum { FLIGHT_MAX = 64 << 10, TURNS_MAX = 16 };

/* Octets under way in one direction. */
struct pipe {
    char *octets;
    int len;
};

struct end {
    WOLFSSL *ssl;
    struct pipe *in, *out;
    bool is_done;
    int error;
};

static int on_read(WOLFSSL *ssl, char *to, int size, void *context) {
    struct pipe *in = ((struct end *)context)->in;
    int len = size < in->len ? size : in->len;
    (void)ssl;
    if (len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(to, in->octets, (size_t)len);
    memmove(in->octets, in->octets + len, (size_t)(in->len - len));
    in->len -= len;
    return len;
}

static int on_write(WOLFSSL *ssl, char *from, int len, void *context) {
    struct pipe *out = ((struct end *)context)->out;
    (void)ssl;
    if (len > FLIGHT_MAX - out->len)
        return WOLFSSL_CBIO_ERR_GENERAL;
    memcpy(out->octets + out->len, from, (size_t)len);
    out->len += len;
    return len;
}

static bool new_end(struct end *self, WOLFSSL_CTX *ctx, struct pipe *in, struct pipe *out) {
    *self = (struct end){.ssl = wolfSSL_new(ctx), .in = in, .out = out};
    if (self->ssl == NULL)
        return false;
    wolfSSL_SSLSetIORecv(self->ssl, on_read);
    wolfSSL_SSLSetIOSend(self->ssl, on_write);
    wolfSSL_SetIOReadCtx(self->ssl, self);
    wolfSSL_SetIOWriteCtx(self->ssl, self);
    wolfSSL_set_verify(self->ssl, WOLFSSL_VERIFY_NONE, NULL);
    return true;
}

static void step(struct end *self, int result) {
    int error = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(self->ssl, result);
    self->is_done = result == WOLFSSL_SUCCESS;
    if (error != WOLFSSL_ERROR_WANT_READ && error != WOLFSSL_ERROR_WANT_WRITE)
        self->error = error;
}

/* 0 or an error of the library; the server's when both have one, since the client's follows. */
static int shake_hands(struct end *server, struct end *client) {
    for (int i = 0; i < TURNS_MAX && !(server->is_done && client->is_done); i++) {
        if (!client->is_done)
            step(client, wolfSSL_connect(client->ssl));
        if (client->error != 0)
            return client->error;
        if (!server->is_done)
            step(server, wolfSSL_accept(server->ssl));
        if (server->error != 0)
            return server->error;
    }
    return server->is_done && client->is_done ? 0 : WOLFSSL_FATAL_ERROR;
}

static int rehearse_with_new_client(WOLFSSL_CTX *ctx, WOLFSSL_METHOD *method) {
    WOLFSSL_CTX *other = wolfSSL_CTX_new(method);
    char *octets = malloc(2 * (size_t)FLIGHT_MAX);
    struct pipe up = {octets, 0}, down = {octets != NULL ? octets + FLIGHT_MAX : NULL, 0};
    struct end server = {0}, client = {0};
    int err = MEMORY_E;
    if (other != NULL && octets != NULL && mx_tls_seed_from_getrandom(other) == 0 &&
        new_end(&server, ctx, &up, &down) && new_end(&client, other, &down, &up))
        err = shake_hands(&server, &client);
    wolfSSL_free(client.ssl);
    wolfSSL_free(server.ssl);
    wolfSSL_CTX_free(other);
    free(octets);
    wolfSSL_ERR_clear_error();
    return err;
}

/* One version after the other: 5.5.4's client of both does not speak to a server of one. The first
 * error says more: in TLS 1.2 much else is looked at before the signature. */
int mx_tls_rehearse(WOLFSSL_CTX *ctx, bool has_tls12, bool has_tls13) {
    int err13 =
        has_tls13 ? rehearse_with_new_client(ctx, wolfTLSv1_3_client_method()) : VERSION_ERROR;
    if (err13 == 0 || !has_tls12)
        return err13;
    int err12 = rehearse_with_new_client(ctx, wolfTLSv1_2_client_method());
    return err12 == 0 || !has_tls13 ? err12 : err13;
}
