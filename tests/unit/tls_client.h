/* tls_client.h - a TLS client in memory, and a filter that it talks to: nothing but two buffers
 * between them, cut as the test likes. */
#pragma once
/* clang-format off */
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>
/* clang-format on */

#include "tls/context.h"
#include "tls/filter.h"
#include "tls/library.h"
#include "tls/tickets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- files ---- */

struct file {
    char text[16384];
    size_t len;
};

static inline struct mx_span read_file(const char *name, struct file *file) {
    char path[4096];
    const char *top = getenv("MX_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/tls/%s", top != NULL ? top : ".", name);
    FILE *stream = fopen(path, "rb");
    cr_assert_not_null(stream, "%s", path);
    file->len = fread(file->text, 1, sizeof file->text, stream);
    fclose(stream);
    return (struct mx_span){file->text, file->len};
}

/* ---- parameters ---- */

struct setting {
    struct mx_tls_params params;
    struct mx_tls_certificate certificates[2];
    struct file chain[2], key[2], trust, revocations;
};

/* The ECDSA certificate as the default, the RSA one by its own names. */
static inline void make_setting(struct setting *self) {
    memset(self, 0, sizeof *self);
    static const char *const chains[] = {"ecdsa.pem", "rsa.pem"};
    static const char *const keys[] = {"ecdsa.key", "rsa.key"};
    for (int i = 0; i < 2; i++) {
        self->certificates[i].chain = read_file(chains[i], &self->chain[i]);
        self->certificates[i].key = read_file(keys[i], &self->key[i]);
    }
    self->params = (struct mx_tls_params){
        .certificates = self->certificates,
        .certificate_count = 2,
        .has_tls12 = true,
        .has_tls13 = true,
        .ticket_lifetime_s = 86400,
        .realm = MX_SPAN("test"),
    };
}

static inline struct mx_tls_context *make_context(const struct setting *setting) {
    struct mx_tls_problem problem = {0};
    struct mx_tls_context *context = mx_tls_context_new(&setting->params, &problem);
    cr_assert_not_null(context, "%s", problem.text);
    return context;
}

/* ---- the client ---- */

struct wire {
    char octets[262144];
    size_t begin, end;
};

struct client {
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    struct wire to_client, to_server;
    int error;
};

static inline int client_read(WOLFSSL *ssl, char *to, int octets, void *argument) {
    struct client *self = argument;
    (void)ssl;
    size_t len = self->to_client.end - self->to_client.begin;
    if (len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    if (len > (size_t)octets)
        len = (size_t)octets;
    memcpy(to, self->to_client.octets + self->to_client.begin, len);
    self->to_client.begin += len;
    if (self->to_client.begin == self->to_client.end)
        self->to_client.begin = self->to_client.end = 0;
    return (int)len;
}

static inline int client_write(WOLFSSL *ssl, char *from, int octets, void *argument) {
    struct client *self = argument;
    (void)ssl;
    cr_assert_leq(self->to_server.end + (size_t)octets, sizeof self->to_server.octets);
    memcpy(self->to_server.octets + self->to_server.end, from, (size_t)octets);
    self->to_server.end += (size_t)octets;
    return octets;
}

/* version: 12, 13 or 0 for both; the suite NULL: the library's own list. */
static inline void client_new(struct client *self, int version, const char *suite) {
    WOLFSSL_METHOD *method = version == 12   ? wolfTLSv1_2_client_method()
                             : version == 13 ? wolfTLSv1_3_client_method()
                                             : wolfSSLv23_client_method();
    memset(self, 0, sizeof *self);
    self->ctx = wolfSSL_CTX_new(method);
    cr_assert_not_null(self->ctx);
    struct file ca;
    read_file("ca.pem", &ca);
    cr_assert_eq(wolfSSL_CTX_load_verify_buffer(self->ctx, (unsigned char *)ca.text, (long)ca.len,
                                                WOLFSSL_FILETYPE_PEM),
                 WOLFSSL_SUCCESS);
    struct file intermediate; /* for the RSA certificate, which comes without it */
    read_file("intermediate.pem", &intermediate);
    cr_assert_eq(wolfSSL_CTX_load_verify_buffer(self->ctx, (unsigned char *)intermediate.text,
                                                (long)intermediate.len, WOLFSSL_FILETYPE_PEM),
                 WOLFSSL_SUCCESS);
    wolfSSL_CTX_SetIORecv(self->ctx, client_read);
    wolfSSL_CTX_SetIOSend(self->ctx, client_write);
    wolfSSL_CTX_UseSessionTicket(self->ctx);
    if (suite != NULL)
        cr_assert_eq(wolfSSL_CTX_set_cipher_list(self->ctx, suite), WOLFSSL_SUCCESS);
}

static inline void client_use_certificate(struct client *self, const char *name) {
    char path[64];
    struct file file;
    snprintf(path, sizeof path, "%s.pem", name);
    read_file(path, &file);
    cr_assert_eq(wolfSSL_CTX_use_certificate_chain_buffer(self->ctx, (unsigned char *)file.text,
                                                          (long)file.len),
                 WOLFSSL_SUCCESS);
    snprintf(path, sizeof path, "%s.key", name);
    read_file(path, &file);
    cr_assert_eq(wolfSSL_CTX_use_PrivateKey_buffer(self->ctx, (unsigned char *)file.text,
                                                   (long)file.len, WOLFSSL_FILETYPE_PEM),
                 WOLFSSL_SUCCESS);
}

/* A new connection of the client; session may be one to resume. */
static inline void client_connect(struct client *self, const char *name, WOLFSSL_SESSION *session) {
    wolfSSL_free(self->ssl);
    self->to_client.begin = self->to_client.end = 0;
    self->to_server.begin = self->to_server.end = 0;
    self->error = 0;
    self->ssl = wolfSSL_new(self->ctx);
    cr_assert_not_null(self->ssl);
    wolfSSL_SetIOReadCtx(self->ssl, self);
    wolfSSL_SetIOWriteCtx(self->ssl, self);
    if (name != NULL)
        cr_assert_eq(
            wolfSSL_UseSNI(self->ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name)),
            WOLFSSL_SUCCESS);
    if (session != NULL)
        cr_assert_eq(wolfSSL_set_session(self->ssl, session), WOLFSSL_SUCCESS);
}

static inline void client_free(struct client *self) {
    wolfSSL_free(self->ssl);
    wolfSSL_CTX_free(self->ctx);
}

/* True: its side of the handshake is complete. */
static inline bool client_handshake(struct client *self) {
    int result = wolfSSL_connect(self->ssl);
    int error = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(self->ssl, result);
    if (error != 0 && error != WOLFSSL_ERROR_WANT_READ)
        self->error = error;
    return error == 0;
}

/* ---- the server ---- */

struct server {
    struct mx_tls tls;
    char out[131072];
    size_t cut;      /* the filter gets so many octets at a time; 0: all there are */
    uint32_t narrow; /* room it gets for its output at a time; 0: all of it */
    int error;       /* of the last call */
};

/* What the filter said goes to the client. */
static inline void deliver(struct client *client, struct mx_out *out) {
    struct wire *wire = &client->to_client;
    cr_assert_leq(wire->end + out->len, sizeof wire->octets);
    memcpy(wire->octets + wire->end, out->ptr, out->len);
    wire->end += out->len;
    out->len = 0;
}

/* One call of the filter. Returns how much plain text it gave. */
static inline size_t serve_once(struct server *self, struct client *client, struct mx_span *in,
                                char *plain, size_t cap) {
    static char record[MX_TLS_RECORD_MAX];
    struct mx_out out = {self->out, 0, self->narrow > 0 ? self->narrow : sizeof self->out};
    size_t len = 0;
    self->error = self->tls.state == MX_TLS_HANDSHAKE
                      ? mx_tls_handshake(&self->tls, in, &out)
                      : mx_tls_open(&self->tls, in, &out, record, sizeof record, &len);
    deliver(client, &out);
    cr_assert_leq(len, cap);
    if (len > 0)
        memcpy(plain, record, len);
    return len;
}

/* Give the filter what the client has sent, and go on until it needs more. What it decrypts is put
 * to plain (of size cap). Returns its length. */
static inline size_t serve(struct server *self, struct client *client, char *plain, size_t cap) {
    struct wire *wire = &client->to_server;
    size_t total = 0;
    do {
        size_t left = wire->end - wire->begin;
        size_t take = self->cut > 0 && self->cut < left ? self->cut : left;
        struct mx_span in = {wire->octets + wire->begin, take};
        do
            total += serve_once(self, client, &in, plain + total, cap - total);
        while (self->error == 0 || self->error == MX_ENOROOM);
        cr_assert(self->error != MX_EPARTIAL || in.len == 0, "it wants more and has not taken all");
        wire->begin += take;
    } while (wire->begin < wire->end && self->error == MX_EPARTIAL);
    wire->begin = wire->end = 0;
    return total;
}

/* Both sides until the client is done and the server is open, or one of them fails. True: open. */
static inline bool shake_hands(struct client *client, struct server *server) {
    char plain[16];
    bool is_done = false;
    for (int i = 0; i < 10 && client->error == 0; i++) {
        is_done = client_handshake(client);
        cr_assert_eq(serve(server, client, plain, sizeof plain), 0);
        if (server->error == MX_ETLS || server->error == MX_EEND) {
            client_handshake(client); /* it reads the alert */
            return false;
        }
        if (is_done && server->tls.state == MX_TLS_OPEN)
            return true;
    }
    return false;
}

static inline void client_say(struct client *client, const char *text, size_t len) {
    cr_assert_eq(wolfSSL_write(client->ssl, text, (int)len), (int)len);
}

/* What has come for the client. */
static inline size_t client_hear(struct client *client, char *to, size_t cap) {
    size_t total = 0;
    int got;
    while (total < cap && (got = wolfSSL_read(client->ssl, to + total, (int)(cap - total))) > 0)
        total += (size_t)got;
    return total;
}
