/* filter.h - one TLS session of a server as a filter between two memories: octets of the connection
 * in, plain text out, and back. RFC 8446, RFC 5246. A client's session, begun by client.h, is used
 * the same way.
 *
 * It knows no socket: the driver gives what it received and a buffer for what is to be sent. What
 * the library wants to send is appended to *out, as much as fits; it is never lost, MX_ENOROOM says
 * that there is more. Partial records are kept inside, so *in is always consumed as far as can be.
 */
#pragma once
#include "proto/err.h"
#include "proto/out.h"

struct mx_tls_context;

enum {
    /* room in *out that is enough for most handshakes' answers; more is asked for with MX_ENOROOM
     */
    MX_TLS_OUT_FIRST = 4096,
    /* most plain text of one record, RFC 8446 5.1 */
    MX_TLS_RECORD_MAX = 16384,
    /* octets a record may have beyond its plain text: header, IV, tag, type; with CBC and SHA-384
     * header, IV, MAC, padding: 5 + 16 + 48 + 16 */
    MX_TLS_RECORD_EXTRA = 96,
    /* octets of records without content that a client may send in a row behind the handshake: each
     * may cost a derivation of keys */
    MX_TLS_EMPTY_MAX = 4096,
    MX_TLS_NAME_MAX = 255,
};

enum mx_tls_state {
    MX_TLS_HANDSHAKE,
    MX_TLS_OPEN,
    MX_TLS_ENDED, /* our close_notify is written, or it has failed: nothing goes in or out */
};

/* In the caller's memory, and not moved while it is in use. Private but for `state`. */
struct mx_tls {
    void *ssl; /* of the library */
    struct mx_tls_context *context;
    struct mx_span *in; /* while a call lasts */
    struct mx_out *out;
    char *spill; /* what did not fit into *out */
    uint32_t spill_len, spill_cap;
    uint32_t taken;  /* octets consumed in the handshake, or since the last plain text */
    int error;       /* the library's, behind MX_ETLS */
    uint8_t state;   /* public: enum mx_tls_state */
    uint8_t chain;   /* resumptions behind this session, see tickets.c */
    uint32_t ticket; /* a client's: a hash of what it resumes, see client.c */
    bool is_flooded; /* the client has sent more than a handshake may have */
    uint8_t sni_len;
    char sni[MX_TLS_NAME_MAX]; /* the name the client asked for, printable ASCII */
};

/* What there is to say about a session that is open. Texts are printable and end with NUL. */
struct mx_tls_facts {
    char version[16];                         /* "TLSv1.3" */
    char cipher[64];                          /* as the registry of RFC 8447 has it */
    char client_subject[MX_TLS_NAME_MAX + 1]; /* of the client's certificate, verified; "" = none */
    bool is_resumed;
};

/* A session on the newest state of the context, which it holds. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_tls_init(struct mx_tls *self, struct mx_tls_context *context);
/* No effect on a zeroed one. */
void mx_tls_deinit(struct mx_tls *self);

/* Go on with the handshake. 0: it is open now; MX_EPARTIAL: more input; MX_ENOROOM: *out is full,
 * call again with room; MX_ETLS: it has failed, an alert may stand in *out: send it and close. */
MX_MUST_CHECK int mx_tls_handshake(struct mx_tls *self, struct mx_span *in, struct mx_out *out);

/* Take the plain text of one record; cap >= MX_TLS_RECORD_MAX. 0: *len octets (more than 0) are in
 * plain; MX_EPARTIAL: nothing more is complete; MX_EEND: the client has said that it ends its side;
 * MX_ENOROOM, MX_ETLS as above. */
MX_MUST_CHECK int mx_tls_open(struct mx_tls *self, struct mx_span *in, struct mx_out *out,
                              char *plain, size_t cap, size_t *len);

/* Room that sealing so much plain text needs in *out. */
static inline uint32_t mx_tls_sealed_max(const struct mx_tls *self, uint32_t len) {
    return self->spill_len + len + (len / MX_TLS_RECORD_MAX + 1) * MX_TLS_RECORD_EXTRA;
}

/* Seal plain text and append it; *out has mx_tls_sealed_max(plain.len) octets of room. 0 or
 * MX_ETLS.
 */
MX_MUST_CHECK int mx_tls_seal(struct mx_tls *self, struct mx_span plain, struct mx_out *out);

/* Append our close_notify once; nothing is sealed afterwards. Needs mx_tls_sealed_max(0). */
void mx_tls_end(struct mx_tls *self, struct mx_out *out);

/* Of a session in MX_TLS_OPEN. */
void mx_tls_facts(const struct mx_tls *self, struct mx_tls_facts *facts);

/* Why it failed, for the log. */
const char *mx_tls_error_text(const struct mx_tls *self);
