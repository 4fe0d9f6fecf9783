#include "tls/tickets.h"

#include "tls/tls_impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hmac.h>

enum {
    KEYS = 3, /* the newest first; the last may already be half expired */
    NONCE_LEN = CHACHA20_POLY1305_AEAD_IV_SIZE,
    TAG_LEN = CHACHA20_POLY1305_AEAD_AUTHTAG_SIZE,
    /* A client may resume with the ticket that the last resumption gave, and so on. The library
     * counts such a chain in one octet and fails at its end; a full handshake begins a new one. */
    CHAIN_MAX = 200,
    CHAIN_AT = NONCE_LEN, /* where the 16 octets of the IV hold the length of the chain */
};

struct ticket_key {
    uint8_t name[WOLFSSL_TICKET_NAME_SZ];
    uint8_t secret[CHACHA20_POLY1305_AEAD_KEYSIZE];
};

struct mx_tls_tickets {
    pthread_mutex_t lock;
    struct ticket_key keys[KEYS];
    uint32_t key_count;
    int64_t epoch; /* of keys[0]: time divided by period_s */
    int64_t period_s;
    bool is_derived;
    uint8_t secret[32]; /* of the file */
};

static int make_key(const struct mx_tls_tickets *self, int64_t epoch, struct ticket_key *key) {
    if (!self->is_derived)
        return mx_tls_random(key, sizeof *key);
    char info[48];
    int len = snprintf(info, sizeof info, "mxring ticket %lld %lld", (long long)self->period_s,
                       (long long)epoch);
    assert(len > 0 && (size_t)len < sizeof info);
    int err = wc_HKDF(WC_SHA256, self->secret, sizeof self->secret, NULL, 0, (const byte *)info,
                      (word32)len, (byte *)key, sizeof *key);
    return err == 0 ? 0 : MX_ETLS;
}

int mx_tls_tickets_turn(struct mx_tls_tickets *self, int64_t now_s) {
    int64_t epoch = now_s / self->period_s;
    if (epoch == self->epoch && self->key_count > 0)
        return 0;
    struct ticket_key fresh[KEYS];
    bool is_next = self->key_count > 0 && epoch == self->epoch + 1;
    /* Derived keys of earlier times are known, too; random ones are not. */
    uint32_t count = self->is_derived ? KEYS : 1;
    for (uint32_t i = 0; i < count; i++) {
        int err = make_key(self, epoch - i, &fresh[i]);
        if (err < 0)
            return err;
    }
    pthread_mutex_lock(&self->lock);
    if (is_next && !self->is_derived) {
        memmove(&self->keys[1], &self->keys[0], (KEYS - 1) * sizeof *self->keys);
        count = self->key_count < KEYS ? self->key_count + 1 : KEYS;
        self->keys[0] = fresh[0];
    } else { /* a jump of the clock: what was sealed before is too old, or from the future */
        memcpy(self->keys, fresh, count * sizeof *fresh);
    }
    self->key_count = count;
    self->epoch = epoch;
    pthread_mutex_unlock(&self->lock);
    explicit_bzero(fresh, sizeof fresh);
    return 0;
}

struct mx_tls_tickets *mx_tls_tickets_new(struct mx_span secret, uint32_t lifetime_s,
                                          int64_t now_s) {
    struct mx_tls_tickets *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    assert(lifetime_s >= 60 && (secret.len == 0 || secret.len >= 32));
    self->period_s = lifetime_s / 2;
    self->is_derived = secret.len > 0;
    int err = pthread_mutex_init(&self->lock, NULL);
    if (err == 0 && self->is_derived)
        err = wc_Sha256Hash((const byte *)secret.ptr, (word32)secret.len, self->secret);
    if (err == 0)
        err = mx_tls_tickets_turn(self, now_s);
    if (err == 0)
        return self;
    mx_tls_tickets_free(self);
    return NULL;
}

void mx_tls_tickets_free(struct mx_tls_tickets *self) {
    if (self == NULL)
        return;
    pthread_mutex_destroy(&self->lock);
    explicit_bzero(self, sizeof *self);
    free(self);
}

/* The newest key, or that with this name. */
static bool find_key(struct mx_tls_tickets *self, const uint8_t *name, struct ticket_key *key) {
    bool is_found = false;
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < self->key_count && !is_found; i++) {
        is_found = name == NULL || memcmp(self->keys[i].name, name, sizeof key->name) == 0;
        if (is_found)
            *key = self->keys[i];
    }
    pthread_mutex_unlock(&self->lock);
    return is_found;
}

/* What is authenticated beside the content: the key's name, the length of the chain, the realm. */
struct ticket_aad {
    uint8_t name[WOLFSSL_TICKET_NAME_SZ];
    uint8_t chain[WOLFSSL_TICKET_IV_SZ - NONCE_LEN];
    uint8_t realm[8];
};

static struct ticket_aad aad_of(const struct mx_tls_context *context, const uint8_t *name,
                                const uint8_t *iv) {
    struct ticket_aad aad;
    memcpy(aad.name, name, sizeof aad.name);
    memcpy(aad.chain, iv + NONCE_LEN, sizeof aad.chain);
    memcpy(aad.realm, context->realm, sizeof aad.realm);
    return aad;
}

/* A ticket as the library lays it out. */
struct ticket {
    uint8_t *name, *iv, *mac, *text;
    word32 len; /* of text */
};

static int seal(const struct mx_tls_context *context, const struct mx_tls *filter,
                const struct ticket *ticket) {
    struct ticket_key key;
    if (!find_key(context->tickets, NULL, &key) || mx_tls_random(ticket->iv, NONCE_LEN) < 0)
        return WOLFSSL_TICKET_RET_REJECT;
    memset(ticket->iv + NONCE_LEN, 0, WOLFSSL_TICKET_IV_SZ - NONCE_LEN);
    ticket->iv[CHAIN_AT] = (uint8_t)(filter->chain + 1);
    memcpy(ticket->name, key.name, sizeof key.name);
    struct ticket_aad aad = aad_of(context, ticket->name, ticket->iv);
    memset(ticket->mac, 0, WOLFSSL_TICKET_MAC_SZ);
    int err = wc_ChaCha20Poly1305_Encrypt(key.secret, ticket->iv, (const byte *)&aad, sizeof aad,
                                          ticket->text, ticket->len, ticket->text, ticket->mac);
    explicit_bzero(&key, sizeof key);
    return err == 0 ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_REJECT;
}

static int open_ticket(const struct mx_tls_context *context, struct mx_tls *filter,
                       const struct ticket *ticket) {
    struct ticket_key key;
    uint8_t chain = ticket->iv[CHAIN_AT];
    if (chain > CHAIN_MAX || !find_key(context->tickets, ticket->name, &key))
        return WOLFSSL_TICKET_RET_REJECT;
    struct ticket_aad aad = aad_of(context, ticket->name, ticket->iv);
    int err = wc_ChaCha20Poly1305_Decrypt(key.secret, ticket->iv, (const byte *)&aad, sizeof aad,
                                          ticket->text, ticket->len, ticket->mac, ticket->text);
    explicit_bzero(&key, sizeof key);
    if (err != 0)
        return WOLFSSL_TICKET_RET_REJECT;
    filter->chain = chain;
    /* "OK, and make a new one" is for TLS 1.2 alone, and broken in old versions; TLS 1.3 always
     * does */
    return WOLFSSL_TICKET_RET_OK;
}

/* NOLINTBEGIN(readability-function-size,readability-non-const-parameter): the library's signature
 */
static int on_ticket(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                     unsigned char iv[WOLFSSL_TICKET_IV_SZ],
                     unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seals, unsigned char *text,
                     int in_len, int *out_len, void *argument) {
    const struct mx_tls_context *context = argument;
    struct mx_tls *filter = wolfSSL_GetIOReadCtx(ssl);
    assert(filter != NULL && in_len >= 0);
    const struct ticket ticket = {name, iv, mac, text, (word32)in_len};
    *out_len = in_len;
    return seals ? seal(context, filter, &ticket) : open_ticket(context, filter, &ticket);
}
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */

void mx_tls_tickets_install(WOLFSSL_CTX *ctx, struct mx_tls_context *context, uint32_t lifetime_s) {
    wolfSSL_CTX_set_TicketEncCb(ctx, on_ticket);
    wolfSSL_CTX_set_TicketEncCtx(ctx, context);
    wolfSSL_CTX_set_TicketHint(ctx, (int)lifetime_s);
    wolfSSL_CTX_set_timeout(ctx, lifetime_s);
#ifdef WOLFSSL_TLS13
    wolfSSL_CTX_set_num_tickets(ctx, 1);
#endif
}
