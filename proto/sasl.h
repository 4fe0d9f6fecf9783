/* sasl.h - what the client says within an AUTH exchange, decoded from base64. Nothing is checked
 * against anybody here.
 *
 * RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM-SHA-256); LOGIN has no messages of its own.
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum mx_sasl_mechanism {
    MX_SASL_LOGIN,
    MX_SASL_PLAIN,
    MX_SASL_SCRAM_SHA_256,
    MX_SASL_COUNT,
};

enum {
    MX_SASL_LOGIN_MAX = 255,    /* octets of a user's name */
    MX_SASL_PASSWORD_MAX = 511, /* octets of a password that can be right */
    MX_SASL_NONCE_MAX = 128,    /* octets of the client's part of a SCRAM nonce */
    MX_SASL_DIGEST = 32,        /* octets of proof and signature */
};

/* As EHLO shows it. */
struct mx_span mx_sasl_name(enum mx_sasl_mechanism mechanism);

/* Any case. False: no such mechanism. */
bool mx_sasl_find(struct mx_span name, enum mx_sasl_mechanism *mechanism);

/* PLAIN: "authz NUL login NUL password" as RFC 4616 has it, or without the first field, and either
 * with a NUL at the end, as James accepts. */
struct mx_sasl_plain {
    struct mx_span authz; /* whom to act as; empty: the same */
    struct mx_span login; /* never empty */
    struct mx_span password;
};
MX_MUST_CHECK int mx_sasl_plain(struct mx_span text, struct mx_sasl_plain *plain);

/* SCRAM, client-first-message: "n,a=authz,n=login,r=nonce,extensions". Channel binding is not
 * offered, so "p=" is refused; so is a mandatory extension ("m="). */
struct mx_sasl_first {
    struct mx_span header; /* gs2-header, as far as "n=" */
    struct mx_span bare;   /* client-first-message-bare: the rest */
    struct mx_span nonce;  /* 1..MX_SASL_NONCE_MAX octets */
    char login[MX_SASL_LOGIN_MAX];
    size_t login_len;
    char authz[MX_SASL_LOGIN_MAX];
    size_t authz_len; /* 0: none */
};
MX_MUST_CHECK int mx_sasl_first(struct mx_span text, struct mx_sasl_first *first);

/* client-final-message: "c=header in base64,r=nonce,extensions,p=proof in base64". */
struct mx_sasl_final {
    struct mx_span without_proof; /* what the proof is about */
    struct mx_span binding;       /* in base64: must be that of the header */
    struct mx_span nonce;
    uint8_t proof[MX_SASL_DIGEST];
};
MX_MUST_CHECK int mx_sasl_final(struct mx_span text, struct mx_sasl_final *final);
