/* envelope.h - one mail transaction: sender, recipients, parameters.
 *
 * All text lives in one flat block that the driver provides and may move (offsets, no pointers), so
 * that proto allocates nothing. RFC 5321 3.3, 4.1.1.2, 4.1.1.3.
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum mx_body_type { MX_BODY_NONE, MX_BODY_7BIT, MX_BODY_8BITMIME, MX_BODY_BINARYMIME };

enum mx_ret { MX_RET_NONE, MX_RET_FULL, MX_RET_HDRS };

/* Bits; RFC 3461 4.1. */
enum mx_notify {
    MX_NOTIFY_NEVER = 1,
    MX_NOTIFY_SUCCESS = 2,
    MX_NOTIFY_FAILURE = 4,
    MX_NOTIFY_DELAY = 8,
};

/* What MAIL rarely says. In the block, when it says any of it. */
struct mx_extras {
    int64_t hold_until_s; /* HOLDFOR, HOLDUNTIL: since the epoch; 0: neither */
    uint16_t envid_len;   /* private */
    uint8_t ret;          /* enum mx_ret */
    int8_t priority;      /* MT-PRIORITY, when has_priority */
    bool has_priority;
    bool requires_tls; /* REQUIRETLS */
};

struct mx_envelope {
    char *base;    /* the block; NULL with cap 0 until the driver gives one. Borrowed. */
    uint32_t cap;  /* its size, octets */
    uint32_t used; /* octets in use */
    uint32_t sender_len;
    uint32_t rcpts_at;  /* offset of the first recipient record */
    uint32_t rcpts_end; /* offset behind the last one */
    uint32_t rcpt_count;
    uint64_t declared_size; /* SIZE= of MAIL, octets; 0 = not given (RFC 1870) */
    bool has_sender;        /* MAIL was accepted; the null sender has sender_len 0 */
    bool is_smtputf8;       /* SMTPUTF8 was given (RFC 6531) */
    uint8_t body_type;      /* enum mx_body_type (RFC 6152, RFC 3030) */
    bool has_extras;        /* private: they stand behind AUTH= */
    uint16_t auth_len;      /* private: octets of AUTH=, behind the sender */
};

/* One recipient in the block. Only mx_envelope_* know the layout. */
struct mx_rcpt {
    struct mx_span
        address; /* "local@domain", domain in lower case. Borrowed, until the block moves */
    struct mx_span orcpt; /* "type;address", decoded; empty: not given (RFC 3461). Likewise */
    uint8_t notify;       /* bits of enum mx_notify; 0: not given */
    int result;           /* of the delivery: 0, -errno or MX_E*; set by a sink that knows */
};

/* A cursor over the recipients: start with rcpts_at. False: no more. */
bool mx_envelope_rcpt_next(const struct mx_envelope *self, uint32_t *cursor, struct mx_rcpt *rcpt);

/* Set the delivery result of the recipient that mx_envelope_rcpt_next returned for this cursor
 * value before the call advanced it. */
void mx_envelope_rcpt_result(struct mx_envelope *self, uint32_t cursor, int result);

static inline struct mx_span mx_envelope_sender(const struct mx_envelope *self) {
    return (struct mx_span){self->base, self->sender_len};
}

/* AUTH= of MAIL, decoded: "<>" or an address; empty when there was none. RFC 4954 5. */
struct mx_span mx_envelope_auth(const struct mx_envelope *self);

/* What MAIL rarely says. False: nothing of it; then *extras is zeros. */
bool mx_envelope_extras(const struct mx_envelope *self, struct mx_extras *extras);
/* ENVID=, decoded; empty: not given. */
struct mx_span mx_envelope_envid(const struct mx_envelope *self);

/* Octets needed in the block for an address of these parts, and for a text. */
uint32_t mx_envelope_need(struct mx_span local, struct mx_span domain);
uint32_t mx_envelope_need_text(struct mx_span text);

/* Store the sender / append a recipient: local, "@", domain in lower case (no "@" when the domain
 * is empty). MX_ENOROOM: the block is too small; let the driver provide mx_envelope_need() more.
 * The sender comes first, then AUTH=, before any recipient; storing it sets has_sender. */
MX_MUST_CHECK int mx_envelope_set_sender(struct mx_envelope *self, struct mx_span local,
                                         struct mx_span domain);
MX_MUST_CHECK int mx_envelope_set_auth(struct mx_envelope *self, struct mx_span auth);
/* Behind AUTH=, before any recipient; needs mx_envelope_need_extras. */
MX_MUST_CHECK int mx_envelope_set_extras(struct mx_envelope *self, const struct mx_extras *extras,
                                         struct mx_span envid);
uint32_t mx_envelope_need_extras(struct mx_span envid);
/* What RCPT says beside the address; needs mx_envelope_need_text(orcpt) more. */
MX_MUST_CHECK int mx_envelope_add_rcpt_with(struct mx_envelope *self, struct mx_span local,
                                            struct mx_span domain, uint8_t notify,
                                            struct mx_span orcpt);
MX_MUST_CHECK int mx_envelope_add_rcpt(struct mx_envelope *self, struct mx_span local,
                                       struct mx_span domain);

/* Take back the last recipient added (a hook refused it). */
void mx_envelope_drop_rcpt(struct mx_envelope *self, uint32_t record_at);

/* Reserve room behind the recipients for other text of the transaction (the Received line). Counted
 * in `used`. Valid until the next add, drop or scratch, which re-use the room. NULL: no room. */
char *mx_envelope_scratch(struct mx_envelope *self, uint32_t len);

/* Forget everything but the block. */
void mx_envelope_reset(struct mx_envelope *self);
