/* auth.h - who is logged in, and an AUTH exchange under way. The memory belongs to the driver.
 *
 * RFC 4954, RFC 4616, RFC 5802, RFC 7677. Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/sasl.h"

enum {
    MX_AUTH_TEXT_MAX = 2048,        /* octets of SCRAM's messages that the proof is about */
    MX_AUTH_CLIENT_FIRST_MAX = 800, /* ... of the first one */
    MX_AUTH_SERVER_FIRST_MAX = 300, /* ... and of ours */
    MX_AUTH_SALT_TEXT_MAX = 88,     /* octets of a salt in base64 */
    MX_AUTH_NONCE_MAX = 32,         /* octets of our part of a SCRAM nonce */
    MX_AUTH_PARAM_MAX = 512,        /* octets of an address in AUTH= of MAIL */
};

/* What the driver is asked for at MX_ACTION_AUTH. */
enum mx_auth_ask {
    MX_AUTH_PASSWORD, /* do login and password belong together? */
    MX_AUTH_SALT,     /* set our_nonce, salt and iterations for the login; also for one that is not
                       * there, so that nobody learns whether it is */
    MX_AUTH_PROOF,    /* does the proof belong to login, salt, iterations and text? Then set
                       * signature */
};

/* One exchange. Given zeroed by the driver, wiped and taken back when it is over. Secrets. */
struct mx_auth {
    uint8_t mechanism; /* enum mx_sasl_mechanism */
    uint8_t ask;       /* enum mx_auth_ask */
    uint8_t step;      /* private to proto/session_auth.c */
    uint16_t password_len;
    uint16_t text_len;
    uint16_t header_len; /* octets of the text before what the proof is about: the gs2-header */
    uint16_t nonce_at, nonce_len; /* the whole nonce within the text */
    uint8_t salt_len, our_nonce_len;
    uint32_t iterations;
    uint8_t proof[MX_SASL_DIGEST], signature[MX_SASL_DIGEST];
    char our_nonce[MX_AUTH_NONCE_MAX]; /* printable ASCII without commas */
    char salt[MX_AUTH_SALT_TEXT_MAX];  /* in base64 */
    char password[MX_SASL_PASSWORD_MAX];
    char text[MX_AUTH_TEXT_MAX];
};

/* A name, and the exchange that shall prove it while there is one. */
struct mx_login {
    struct mx_auth *auth;
    uint8_t mechanism; /* enum mx_sasl_mechanism it was proved by */
    uint8_t name_len;
    char name[MX_SASL_LOGIN_MAX]; /* as the client wrote it */
};

static inline struct mx_span mx_login_name(const struct mx_login *self) {
    return (struct mx_span){self->name, self->name_len};
}

/* RFC 5802 3: AuthMessage. */
static inline struct mx_span mx_auth_message(const struct mx_auth *self) {
    return (struct mx_span){self->text + self->header_len,
                            (size_t)(self->text_len - self->header_len)};
}
