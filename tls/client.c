#include "tls/client.h"

#include "proto/crc32c.h"
#include "tls/tls_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <wolfssl/ssl.h>

static WOLFSSL_METHOD *method_of(const struct mx_tls_params *params) {
    if (params->has_tls12 && params->has_tls13)
        return wolfSSLv23_client_method();
    return params->has_tls13 ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method();
}

static struct mx_tls_context *fail(struct mx_tls_context *self, struct mx_tls_problem *problem,
                                   const char *text) {
    if (text != NULL) {
        problem->culprit = MX_TLS_CULPRIT_LIBRARY;
        (void)snprintf(problem->text, sizeof problem->text, "%s", text);
    }
    mx_tls_context_free(self);
    return NULL;
}

struct mx_tls_context *mx_tls_client_context_new(const struct mx_tls_params *params,
                                                 struct mx_tls_problem *problem) {
    assert(params->certificate_count <= 1 && (params->has_tls12 || params->has_tls13));
    struct mx_tls_context *self = calloc(1, sizeof *self);
    problem->certificate = 0;
    if (self == NULL)
        return fail(self, problem, "out of memory");
    atomic_init(&self->refs, 1);
    self->is_client = true;
    self->identities = calloc(1, sizeof *self->identities);
    if (self->identities == NULL)
        return fail(self, problem, "out of memory");
    self->identity_count = 1;
    WOLFSSL_CTX *ctx = self->identities[0].ctx = wolfSSL_CTX_new(method_of(params));
    if (ctx == NULL)
        return fail(self, problem, "out of memory");
    int err = mx_tls_set_policy(ctx, params, problem);
    if (err == 0 && params->certificate_count > 0)
        err = mx_tls_set_certificate(ctx, &params->certificates[0], problem);
    if (err < 0)
        return fail(self, problem, NULL);
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    if (wolfSSL_CTX_UseSessionTicket(ctx) != WOLFSSL_SUCCESS)
        return fail(self, problem, "no session tickets");
    mx_tls_filter_install(ctx, self);
    return self;
}

/* A hash of the ticket that it has now. */
static uint32_t hash_ticket(WOLFSSL *ssl) {
    unsigned char ticket[4096];
    word32 len = sizeof ticket;
    if (wolfSSL_get_SessionTicket(ssl, ticket, &len) != WOLFSSL_SUCCESS)
        len = 0;
    return mx_crc32c(0, (struct mx_span){(const char *)ticket, len});
}

int mx_tls_client_init(struct mx_tls *self, struct mx_tls_context *context, const char *name,
                       const struct mx_tls_resumption *resumption) {
    assert(context->is_client);
    int err = mx_tls_init(self, context);
    if (err < 0)
        return err;
    bool is_set = name == NULL || wolfSSL_UseSNI(self->ssl, WOLFSSL_SNI_HOST_NAME, name,
                                                 (unsigned short)strlen(name)) == WOLFSSL_SUCCESS;
    /* A session that is too old to be resumed is no error: the handshake is a full one then. */
    if (is_set && resumption != NULL)
        wolfSSL_set_session(self->ssl, (WOLFSSL_SESSION *)(uintptr_t)resumption);
    if (is_set) {
        self->ticket = hash_ticket(self->ssl);
        return 0;
    }
    mx_tls_deinit(self);
    return -ENOMEM;
}

struct mx_tls_resumption *mx_tls_resumption_new(const struct mx_tls *self) {
    if (self->ssl == NULL || self->state == MX_TLS_HANDSHAKE || self->error != 0)
        return NULL;
    /* Without a new ticket (Postfix gives none) the library would join the old one to the new
     * secret, and the server would refuse that. */
    if (wolfSSL_session_reused(self->ssl) && hash_ticket(self->ssl) == self->ticket)
        return NULL;
    return (struct mx_tls_resumption *)(void *)wolfSSL_get1_session(self->ssl);
}

void mx_tls_resumption_free(struct mx_tls_resumption *self) {
    if (self != NULL)
        wolfSSL_SESSION_free((WOLFSSL_SESSION *)(void *)self);
}
