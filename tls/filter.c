#include "tls/filter.h"

#include "tls/tls_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfio.h>

/* Most octets a client's side of a handshake may have: its certificates are the bulk of it. */
enum { HANDSHAKE_MAX = 65536 };

/* Output that found no room: at most our own certificates, or a record. */
enum { SPILL_FIRST = 512, SPILL_MAX = 262144 };

/* A record that is only half there, and what may have come before it. */
enum { EMPTY_MAX = MX_TLS_RECORD_MAX + 512 + MX_TLS_EMPTY_MAX };

/* ---- the library's side ---- */

static int on_read(WOLFSSL *ssl, char *to, int octets, void *argument) {
    struct mx_tls *self = argument;
    (void)ssl;
    if (self->in == NULL || self->in->len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t len = (size_t)octets < self->in->len ? (size_t)octets : self->in->len;
    uint32_t most = self->state == MX_TLS_HANDSHAKE ? HANDSHAKE_MAX : EMPTY_MAX;
    if (self->taken + len > most) {
        self->is_flooded = true;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    memcpy(to, self->in->ptr, len);
    *self->in = mx_span_skip(*self->in, len);
    self->taken += (uint32_t)len;
    return (int)len;
}

/* Keep what does not fit: old versions cannot go on behind a write that was cut. */
static bool new_spill(struct mx_tls *self, struct mx_span rest) {
    if (rest.len > SPILL_MAX - self->spill_len)
        return false;
    uint32_t need = self->spill_len + (uint32_t)rest.len;
    if (need > self->spill_cap) {
        uint32_t cap = need < SPILL_FIRST ? SPILL_FIRST : need;
        char *larger = realloc(self->spill, cap);
        if (larger == NULL)
            return false;
        self->spill = larger;
        self->spill_cap = cap;
    }
    memcpy(self->spill + self->spill_len, rest.ptr, rest.len);
    self->spill_len = need;
    return true;
}

static void free_spill(struct mx_tls *self) {
    free(self->spill);
    self->spill = NULL;
    self->spill_len = self->spill_cap = 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's signature */
static int on_write(WOLFSSL *ssl, char *from, int octets, void *argument) {
    struct mx_tls *self = argument;
    struct mx_span rest = {from, (size_t)octets};
    (void)ssl;
    if (self->out != NULL && self->spill_len == 0) {
        uint32_t room = mx_out_room(self->out);
        struct mx_span fits = {from, rest.len < room ? rest.len : room};
        mx_out_put(self->out, fits);
        rest = mx_span_skip(rest, fits.len);
    }
    if (rest.len > 0 && !new_spill(self, rest))
        return WOLFSSL_CBIO_ERR_GENERAL;
    return octets;
}

/* 0, or MX_ENOROOM: some is left. */
static int drain_spill(struct mx_tls *self, struct mx_out *out) {
    uint32_t room = mx_out_room(out);
    if (self->spill_len == 0)
        return 0;
    uint32_t len = self->spill_len < room ? self->spill_len : room;
    mx_out_put(out, (struct mx_span){self->spill, len});
    if (len < self->spill_len) {
        self->spill_len -= len;
        memmove(self->spill, self->spill + len, self->spill_len);
        return MX_ENOROOM;
    }
    free_spill(self);
    return 0;
}

static bool names_match(const char *pattern, struct mx_span name) {
    struct mx_span want = mx_span_of(pattern);
    if (want.len > 2 && want.ptr[0] == '*') { /* one label, RFC 6125 6.4.3 */
        const char *dot = memchr(name.ptr, '.', name.len);
        want = mx_span_skip(want, 1);
        name = dot != NULL && dot > name.ptr ? mx_span_skip(name, (size_t)(dot - name.ptr))
                                             : (struct mx_span){0};
    }
    return mx_span_equal_nocase(want, name);
}

static const struct mx_tls_identity *find_identity(const struct mx_tls_context *context,
                                                   struct mx_span name) {
    for (uint32_t i = 0; i < context->identity_count; i++) {
        const struct mx_tls_identity *identity = &context->identities[i];
        for (uint32_t n = 0; n < identity->name_count; n++) {
            if (names_match(identity->names[n], name))
                return identity;
        }
    }
    return &context->identities[0]; /* many ask for an alias, or for nothing: that is no error */
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's signature */
static int on_server_name(WOLFSSL *ssl, int *alert, void *argument) {
    const struct mx_tls_context *context = argument;
    struct mx_tls *self = wolfSSL_GetIOReadCtx(ssl);
    (void)alert;
    void *ptr = NULL;
    unsigned short len = wolfSSL_SNI_GetRequest(ssl, WOLFSSL_SNI_HOST_NAME, &ptr);
    if (ptr == NULL || len == 0 || len > MX_TLS_NAME_MAX)
        return 0;
    struct mx_span name = {ptr, len};
    self->sni_len = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        char c = name.ptr[i];
        self->sni[i] = c > 0x20 && c < 0x7f ? mx_ascii_lower(c) : '?';
    }
    const struct mx_tls_identity *identity = find_identity(context, name);
    if (wolfSSL_set_SSL_CTX(ssl, identity->ctx) == NULL)
        return fatal_return;
    return 0;
}

void mx_tls_filter_install(WOLFSSL_CTX *ctx, struct mx_tls_context *context) {
    wolfSSL_CTX_SetIORecv(ctx, on_read);
    wolfSSL_CTX_SetIOSend(ctx, on_write);
    if (context->is_client)
        return;
    wolfSSL_CTX_set_servername_callback(ctx, on_server_name);
    wolfSSL_CTX_set_servername_arg(ctx, context);
}

/* ---- a session ---- */

/* The curves of our policy. What a context is told of curves, or of groups, does not
 * restrict a server: it takes what the client likes. Nor does this before 5.8.2, where it is in the
 * way of clients. */
static bool use_curves(WOLFSSL *ssl) {
    bool is_set = true;
#if LIBWOLFSSL_VERSION_HEX >= 0x05008002
    static const word16 curves[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1,
                                    WOLFSSL_ECC_SECP384R1};
    for (size_t i = 0; i < sizeof curves / sizeof *curves && is_set; i++)
        is_set = wolfSSL_UseSupportedCurve(ssl, curves[i]) == WOLFSSL_SUCCESS;
#endif
    (void)ssl;
    return is_set;
}

int mx_tls_init(struct mx_tls *self, struct mx_tls_context *context) {
    memset(self, 0, offsetof(struct mx_tls, sni));
    self->ssl = wolfSSL_new(context->identities[0].ctx);
    if (self->ssl == NULL)
        return -ENOMEM;
    if (!use_curves(self->ssl)) {
        wolfSSL_free(self->ssl);
        self->ssl = NULL;
        return -ENOMEM;
    }
    self->context = mx_tls_context_hold(context);
    wolfSSL_SetIOReadCtx(self->ssl, self);
    wolfSSL_SetIOWriteCtx(self->ssl, self);
    return 0;
}

void mx_tls_deinit(struct mx_tls *self) {
    if (self->ssl == NULL)
        return;
    wolfSSL_free(self->ssl);
    self->ssl = NULL;
    free_spill(self);
    mx_tls_context_free(self->context);
}

/* What a call of the library that gave `result` has come to. */
static int finish(struct mx_tls *self, int result) {
    int error = wolfSSL_get_error(self->ssl, result);
    self->in = NULL;
    self->out = NULL;
    if (result > 0)
        return 0;
    if (error == WOLFSSL_ERROR_WANT_READ && !self->is_flooded)
        return MX_EPARTIAL;
    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        return MX_EEND;
    self->error = error;
    self->state = MX_TLS_ENDED;
    wolfSSL_ERR_clear_error(); /* the library keeps a list of them for each thread */
    return MX_ETLS;
}

static void begin(struct mx_tls *self, struct mx_span *in, struct mx_out *out) {
    self->in = in;
    self->out = out;
}

int mx_tls_handshake(struct mx_tls *self, struct mx_span *in, struct mx_out *out) {
    assert(self->state == MX_TLS_HANDSHAKE);
    if (drain_spill(self, out) < 0)
        return MX_ENOROOM;
    begin(self, in, out);
    int result = self->context->is_client ? wolfSSL_connect(self->ssl) : wolfSSL_accept(self->ssl);
    int err = finish(self, result);
    if (err == MX_EEND) { /* a close_notify before the end of the handshake */
        self->state = MX_TLS_ENDED;
        return MX_ETLS;
    }
    if (err == 0) {
        self->state = MX_TLS_OPEN;
        self->taken = 0;
    }
    return err == MX_EPARTIAL && self->spill_len > 0 ? MX_ENOROOM : err;
}

int mx_tls_open(struct mx_tls *self, struct mx_span *in, struct mx_out *out, char *plain,
                size_t cap, size_t *len) {
    assert(self->state != MX_TLS_HANDSHAKE && cap >= MX_TLS_RECORD_MAX);
    *len = 0;
    if (self->state == MX_TLS_ENDED)
        return MX_EEND;
    if (drain_spill(self, out) < 0)
        return MX_ENOROOM;
    begin(self, in, out);
    int got = wolfSSL_read(self->ssl, plain, MX_TLS_RECORD_MAX);
    int err = finish(self, got);
    if (err == 0) {
        *len = (size_t)got;
        self->taken = 0;
    }
    return err == MX_EPARTIAL && self->spill_len > 0 ? MX_ENOROOM : err;
}

int mx_tls_seal(struct mx_tls *self, struct mx_span plain, struct mx_out *out) {
    assert(self->state != MX_TLS_HANDSHAKE);
    assert(plain.len <= UINT32_MAX / 2 &&
           mx_out_room(out) >= mx_tls_sealed_max(self, (uint32_t)plain.len));
    int err = drain_spill(self, out);
    if (self->state == MX_TLS_ENDED || err < 0)
        return MX_ETLS;
    if (plain.len == 0)
        return 0;
    begin(self, NULL, out);
    err = finish(self, wolfSSL_write(self->ssl, plain.ptr, (int)plain.len));
    if (err == 0)
        return 0;
    self->state = MX_TLS_ENDED;
    return MX_ETLS;
}

void mx_tls_end(struct mx_tls *self, struct mx_out *out) {
    assert(mx_out_room(out) >= mx_tls_sealed_max(self, 0));
    int err = drain_spill(self, out);
    if (err == 0 && self->state == MX_TLS_OPEN) {
        begin(self, NULL, out);
        wolfSSL_shutdown(self->ssl); /* "not done": the peer's is not waited for */
        self->in = NULL;
        self->out = NULL;
    }
    self->state = MX_TLS_ENDED;
}

/* ---- facts ---- */

static void put_text(char *to, size_t cap, const char *from) {
    size_t len = 0;
    for (; from != NULL && from[len] != '\0' && len < cap - 1; len++)
        to[len] = from[len] >= 0x20 && from[len] < 0x7f ? from[len] : '?';
    to[len] = '\0';
}

static void put_subject(WOLFSSL *ssl, char *to, size_t cap) {
    char text[MX_TLS_NAME_MAX + 1] = "";
    WOLFSSL_X509 *certificate = wolfSSL_get_peer_certificate(ssl);
    if (certificate != NULL) {
        WOLFSSL_X509_NAME *name = wolfSSL_X509_get_subject_name(certificate);
        wolfSSL_X509_NAME_oneline(name, text, sizeof text);
    }
    put_text(to, cap, text);
#if LIBWOLFSSL_VERSION_HEX >= 0x05003000
    wolfSSL_X509_free(certificate); /* a reference; NULL is fine */
#endif
}

void mx_tls_facts(const struct mx_tls *self, struct mx_tls_facts *facts) {
    assert(self->state == MX_TLS_OPEN);
    put_text(facts->version, sizeof facts->version, wolfSSL_get_version(self->ssl));
    put_text(facts->cipher, sizeof facts->cipher,
             mx_tls_cipher_name(wolfSSL_get_cipher(self->ssl)));
    put_subject(self->ssl, facts->client_subject, sizeof facts->client_subject);
    facts->is_resumed = wolfSSL_session_reused(self->ssl) != 0;
}

const char *mx_tls_error_text(const struct mx_tls *self) {
    if (self->is_flooded)
        return "more octets than a handshake or a record may have";
    if (self->error == 0)
        return "ended before the handshake was complete";
    return wolfSSL_ERR_reason_error_string((unsigned long)self->error);
}
