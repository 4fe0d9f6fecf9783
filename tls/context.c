#include "tls/context.h"

#include "tls/inspect.h"
#include "tls/library.h"
#include "tls/tls_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/sha256.h>

/* ---- problems ---- */

/* "text (detail)"; detail may be NULL. */
static int refuse(struct mx_tls_problem *problem, enum mx_tls_culprit culprit, const char *text,
                  const char *detail) {
    problem->culprit = culprit;
    int len =
        snprintf(problem->text, sizeof problem->text, "%s%s%s%s", text, detail != NULL ? " (" : "",
                 detail != NULL ? detail : "", detail != NULL ? ")" : "");
    assert(len > 0);
    return MX_ETLS;
}

static const char *reason(int error) {
    return wolfSSL_ERR_reason_error_string((unsigned long)error);
}

/* ---- cipher suites ---- */

/* In the order of our preference: AES-GCM has instructions of its own, ChaCha20 is for those who
 * lack them. No suite here without forward secrecy; CBC only when it is asked for by name. */
static const struct suite {
    const char *name;    /* of RFC 8447's registry */
    const char *library; /* the library's */
    enum { DEFAULT, DEFAULT_WHEN_FIXED, ON_REQUEST } kind;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256",                        "TLS13-AES128-GCM-SHA256",        DEFAULT   },
    {"TLS_AES_256_GCM_SHA384",                        "TLS13-AES256-GCM-SHA384",        DEFAULT   },
    {"TLS_CHACHA20_POLY1305_SHA256",                  "TLS13-CHACHA20-POLY1305-SHA256", DEFAULT   },
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",       "ECDHE-ECDSA-AES128-GCM-SHA256",  DEFAULT   },
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",         "ECDHE-RSA-AES128-GCM-SHA256",    DEFAULT   },
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",       "ECDHE-ECDSA-AES256-GCM-SHA384",  DEFAULT   },
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",         "ECDHE-RSA-AES256-GCM-SHA384",    DEFAULT   },
 /* CVE-2026-5778: TLS 1.2 records of this kind, before 5.9.1 */
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
     DEFAULT_WHEN_FIXED                                                                           },
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",   "ECDHE-RSA-CHACHA20-POLY1305",
     DEFAULT_WHEN_FIXED                                                                           },
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",       "ECDHE-ECDSA-AES128-SHA256",      ON_REQUEST},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",         "ECDHE-RSA-AES128-SHA256",        ON_REQUEST},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",       "ECDHE-ECDSA-AES256-SHA384",      ON_REQUEST},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",         "ECDHE-RSA-AES256-SHA384",        ON_REQUEST},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",          "ECDHE-ECDSA-AES128-SHA",         ON_REQUEST},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",            "ECDHE-RSA-AES128-SHA",           ON_REQUEST},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",          "ECDHE-ECDSA-AES256-SHA",         ON_REQUEST},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",            "ECDHE-RSA-AES256-SHA",           ON_REQUEST},
};

enum { SUITES = sizeof suites / sizeof *suites, LIST_MAX = 64 * SUITES };

static const struct suite *find_suite(struct mx_span name) {
    for (size_t i = 0; i < SUITES; i++) {
        if (mx_span_equal(mx_span_of(suites[i].name), name))
            return &suites[i];
    }
    return NULL;
}

bool mx_tls_cipher_is_known(struct mx_span name) {
    return find_suite(name) != NULL;
}

const char *mx_tls_cipher_name(const char *name) {
    for (size_t i = 0; i < SUITES && name != NULL; i++) {
        if (strcmp(suites[i].library, name) == 0)
            return suites[i].name;
    }
    return name;
}

static void append(char *list, const char *name) {
    size_t len = strlen(list);
    int added = snprintf(list + len, LIST_MAX - len, "%s%s", len > 0 ? ":" : "", name);
    assert(added > 0 && len + (size_t)added < LIST_MAX);
}

static int set_ciphers(WOLFSSL_CTX *ctx, const struct mx_tls_params *params,
                       struct mx_tls_problem *problem) {
    char list[LIST_MAX] = "";
    bool is_fixed = LIBWOLFSSL_VERSION_HEX >= 0x05009001;
    for (size_t i = 0; params->cipher_count == 0 && i < SUITES; i++) {
        if (suites[i].kind == DEFAULT || (suites[i].kind == DEFAULT_WHEN_FIXED && is_fixed))
            append(list, suites[i].library);
    }
    for (uint32_t i = 0; i < params->cipher_count && i < SUITES; i++) {
        const struct suite *suite = find_suite(mx_span_of(params->ciphers[i]));
        if (suite == NULL)
            return refuse(problem, MX_TLS_CULPRIT_CIPHERS, "a cipher suite that is not offered",
                          params->ciphers[i]);
        append(list, suite->library);
    }
    if (wolfSSL_CTX_set_cipher_list(ctx, list) != WOLFSSL_SUCCESS)
        return refuse(problem, MX_TLS_CULPRIT_CIPHERS,
                      "the library has none of the cipher suites for these protocols", NULL);
    return 0;
}

/* ---- one certificate ---- */

static WOLFSSL_METHOD *method_of(const struct mx_tls_params *params) {
    if (params->has_tls12 && params->has_tls13)
        return wolfSSLv23_server_method();
    return params->has_tls13 ? wolfTLSv1_3_server_method() : wolfTLSv1_2_server_method();
}

int mx_tls_set_policy(WOLFSSL_CTX *ctx, const struct mx_tls_params *params,
                      struct mx_tls_problem *problem) {
    bool is_set =
        wolfSSL_CTX_SetMinVersion(ctx, params->has_tls12 ? WOLFSSL_TLSV1_2 : WOLFSSL_TLSV1_3) ==
        WOLFSSL_SUCCESS;
    if (!is_set || mx_tls_seed_from_getrandom(ctx) < 0)
        return refuse(problem, MX_TLS_CULPRIT_LIBRARY, "the library refuses the policy", NULL);
    /* one table for the process behind a lock; tickets do it better */
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    return set_ciphers(ctx, params, problem);
}

static int give_secret(char *to, int size, int writes, void *argument) {
    const struct mx_span *secret = argument;
    (void)writes;
    if (size < 0 || secret->len == 0 || secret->len > (size_t)size)
        return 0;
    memcpy(to, secret->ptr, secret->len);
    return (int)secret->len;
}

/* A wrong secret may make of an old kind of PEM what looks like a key. */
static int refuse_key(const struct mx_tls_certificate *certificate,
                      struct mx_tls_problem *problem) {
    return refuse(problem, MX_TLS_CULPRIT_KEY,
                  certificate->secret.len > 0
                      ? "the key does not belong to the certificate, or the secret is a wrong one"
                      : "the key does not belong to the certificate",
                  NULL);
}

int mx_tls_set_certificate(WOLFSSL_CTX *ctx, const struct mx_tls_certificate *certificate,
                           struct mx_tls_problem *problem) {
    struct mx_span secret = certificate->secret;
    wolfSSL_CTX_set_default_passwd_cb(ctx, give_secret);
    wolfSSL_CTX_set_default_passwd_cb_userdata(ctx, &secret);
    int chain = wolfSSL_CTX_use_certificate_chain_buffer(
        ctx, (const unsigned char *)certificate->chain.ptr, (long)certificate->chain.len);
    int key =
        chain != WOLFSSL_SUCCESS
            ? 0
            : wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)certificate->key.ptr,
                                                (long)certificate->key.len, WOLFSSL_FILETYPE_PEM);
    wolfSSL_CTX_set_default_passwd_cb(ctx, NULL);
    wolfSSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    wolfSSL_ERR_clear_error();
    if (chain != WOLFSSL_SUCCESS)
        return refuse(problem, MX_TLS_CULPRIT_CHAIN, "no certificate that can be used",
                      reason(chain));
    if (key != WOLFSSL_SUCCESS)
        return refuse(problem, MX_TLS_CULPRIT_KEY,
                      certificate->secret.len > 0
                          ? "no private key that can be used, or the secret is a wrong one"
                          : "no private key that can be used without a secret",
                      reason(key));
    return wolfSSL_CTX_check_private_key(ctx) == WOLFSSL_SUCCESS ? 0
                                                                 : refuse_key(certificate, problem);
}

/* Debian's 5.5.4 does not compare an ECDSA key with its certificate: a handshake does. */
static int rehearse(WOLFSSL_CTX *ctx, const struct mx_tls_params *params,
                    const struct mx_tls_certificate *certificate, struct mx_tls_problem *problem) {
    int err = mx_tls_rehearse(ctx, params->has_tls12, params->has_tls13);
    if (err == 0)
        return 0;
    /* the latter is what the library says for it when it plays OpenSSL */
    if (err == MATCH_SUITE_ERROR || err == WOLFSSL_ERROR_SYSCALL)
        return refuse(problem, MX_TLS_CULPRIT_CIPHERS,
                      "no cipher suite fits the certificate and the protocols", NULL);
    if (err == VERIFY_SIGN_ERROR || err == SIG_VERIFY_E)
        return refuse_key(certificate, problem);
    return refuse(problem, MX_TLS_CULPRIT_CHAIN, "a handshake with this certificate fails",
                  reason(err));
}

/* Every PEM block with that label, or the whole text as DER when there is none. */
static int load_revocations(WOLFSSL_CTX *ctx, struct mx_span text) {
    struct mx_span rest = text, block;
    int count = 0, result = WOLFSSL_SUCCESS;
    while (result == WOLFSSL_SUCCESS && mx_tls_pem_next(&rest, MX_SPAN("X509 CRL"), &block)) {
        result = wolfSSL_CTX_LoadCRLBuffer(ctx, (const unsigned char *)block.ptr, (long)block.len,
                                           WOLFSSL_FILETYPE_PEM);
        count++;
    }
    if (count > 0)
        return result;
    return wolfSSL_CTX_LoadCRLBuffer(ctx, (const unsigned char *)text.ptr, (long)text.len,
                                     WOLFSSL_FILETYPE_ASN1);
}

static int set_client_auth(WOLFSSL_CTX *ctx, const struct mx_tls_params *params,
                           struct mx_tls_problem *problem) {
    int mode = WOLFSSL_VERIFY_PEER;
    if (params->client_auth == MX_TLS_CLIENT_NONE) {
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
        return 0;
    }
    if (params->client_auth == MX_TLS_CLIENT_REQUIRED)
        mode |= WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    wolfSSL_CTX_set_verify(ctx, mode, NULL);
    int result = wolfSSL_CTX_load_verify_buffer(ctx, (const unsigned char *)params->trust.ptr,
                                                (long)params->trust.len, WOLFSSL_FILETYPE_PEM);
    if (result != WOLFSSL_SUCCESS)
        return refuse(problem, MX_TLS_CULPRIT_TRUST, "no certificates that can be used",
                      reason(result));
    if (params->revocations.len == 0)
        return 0;
    result = wolfSSL_CTX_EnableCRL(ctx, WOLFSSL_CRL_CHECKALL);
    if (result == WOLFSSL_SUCCESS)
        result = load_revocations(ctx, params->revocations);
    if (result == WOLFSSL_SUCCESS)
        return 0;
    return refuse(problem, MX_TLS_CULPRIT_REVOCATIONS,
                  "no revocation list of an issuer in the trust store", reason(result));
}

/* ---- names ---- */

struct name_list {
    struct mx_tls_identity *identity;
    bool is_failed;
};

static void new_name(void *argument, const char *name) {
    struct name_list *list = argument;
    struct mx_tls_identity *identity = list->identity;
    char **rows = realloc(identity->names, (identity->name_count + 1) * sizeof *rows);
    if (rows != NULL)
        identity->names = rows;
    char *text = rows != NULL ? strdup(name) : NULL;
    list->is_failed = list->is_failed || text == NULL;
    if (text != NULL)
        identity->names[identity->name_count++] = text;
}

static int new_names(struct mx_tls_identity *identity, const struct mx_tls_certificate *certificate,
                     struct mx_tls_problem *problem) {
    struct name_list list = {.identity = identity};
    char name[MX_TLS_NAME_MAX + 1];
    for (uint32_t i = 0; i < certificate->name_count; i++) {
        struct mx_span span = certificate->names[i];
        assert(span.len < sizeof name);
        memcpy(name, span.ptr, span.len);
        name[span.len] = '\0';
        new_name(&list, name);
    }
    if (certificate->name_count == 0 &&
        mx_tls_inspect_names(certificate->chain, new_name, &list) < 0)
        return refuse(problem, MX_TLS_CULPRIT_CHAIN, "the certificate cannot be read", NULL);
    if (list.is_failed)
        return refuse(problem, MX_TLS_CULPRIT_LIBRARY, "out of memory", NULL);
    return 0;
}

static int new_identity(struct mx_tls_context *self, struct mx_tls_identity *identity,
                        const struct mx_tls_params *params,
                        const struct mx_tls_certificate *certificate,
                        struct mx_tls_problem *problem) {
    identity->ctx = wolfSSL_CTX_new(method_of(params));
    if (identity->ctx == NULL)
        return refuse(problem, MX_TLS_CULPRIT_LIBRARY, "out of memory", NULL);
    int err = mx_tls_set_policy(identity->ctx, params, problem);
    if (err == 0)
        err = mx_tls_set_certificate(identity->ctx, certificate, problem);
    if (err == 0)
        err = set_client_auth(identity->ctx, params, problem);
    if (err == 0)
        err = rehearse(identity->ctx, params, certificate, problem);
    if (err == 0)
        err = new_names(identity, certificate, problem);
    if (err < 0)
        return err;
    mx_tls_filter_install(identity->ctx, self);
    /* A resumed session would skip the check of the client's certificate. */
    if (params->tickets != NULL && params->client_auth == MX_TLS_CLIENT_NONE) {
        mx_tls_tickets_install(identity->ctx, self, params->ticket_lifetime_s);
        return 0;
    }
#ifdef WOLFSSL_TLS13
    wolfSSL_CTX_no_ticket_TLSv13(identity->ctx);
#endif
    wolfSSL_CTX_NoTicketTLSv12(identity->ctx);
    return 0;
}

/* ---- the context ---- */

static struct mx_tls_context *new_context(const struct mx_tls_params *params,
                                          struct mx_tls_problem *problem) {
    assert(params->certificate_count > 0 && (params->has_tls12 || params->has_tls13));
    struct mx_tls_context *self = calloc(1, sizeof *self);
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    problem->certificate = params->certificate_count;
    if (self != NULL) {
        atomic_init(&self->refs, 1);
        self->identities = calloc(params->certificate_count, sizeof *self->identities);
    }
    if (self == NULL || self->identities == NULL ||
        wc_Sha256Hash((const byte *)params->realm.ptr, (word32)params->realm.len, digest) != 0) {
        refuse(problem, MX_TLS_CULPRIT_LIBRARY, "out of memory", NULL);
        mx_tls_context_free(self);
        return NULL;
    }
    memcpy(self->realm, digest, sizeof self->realm);
    self->tickets = params->tickets;
    for (uint32_t i = 0; i < params->certificate_count; i++) {
        self->identity_count = i + 1;
        problem->certificate = i;
        if (new_identity(self, &self->identities[i], params, &params->certificates[i], problem) <
            0) {
            mx_tls_context_free(self);
            return NULL;
        }
    }
    return self;
}

struct mx_tls_context *mx_tls_context_new(const struct mx_tls_params *params,
                                          struct mx_tls_problem *problem) {
    int64_t used = mx_tls_memory_used();
    struct mx_tls_context *self = new_context(params, problem);
    mx_tls_memory_forget(used);
    return self;
}

struct mx_tls_context *mx_tls_context_hold(struct mx_tls_context *self) {
    atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

void mx_tls_context_free(struct mx_tls_context *self) {
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) > 1)
        return;
    int64_t used = mx_tls_memory_used();
    for (uint32_t i = 0; i < self->identity_count; i++) {
        struct mx_tls_identity *identity = &self->identities[i];
        wolfSSL_CTX_free(identity->ctx);
        for (uint32_t n = 0; n < identity->name_count; n++)
            free(identity->names[n]);
        free(identity->names);
    }
    mx_tls_memory_forget(used);
    free(self->identities);
    free(self);
}
