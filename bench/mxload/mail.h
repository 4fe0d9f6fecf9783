/* mail.h - what the generator says: commands, and messages that carry their own proof.
 *
 * Each message begins with the headers
 *   X-Mxload-Hash: crc32c BODY HEAD
 *   X-Mxload-Run: 16 hexadecimal digits, new for each run
 *   X-Mxload-Seq: 12 decimal digits, from 0, never twice in a run
 * BODY and HEAD are hashes of 8 hexadecimal digits, over octets as a mailbox would show them, with
 * CRLF line ends and without dot stuffing: BODY over all that is behind the empty line, HEAD over
 * the headers behind this one, without the empty line. What a server puts in front of them (a trace
 * of the way, RFC 5321 4.4) is in neither. Generated bodies of 39 octets or more end in a line with
 * run and sequence, so no two of them are alike.
 */
#pragma once
#include "bench/mxload/plan.h"
#include "proto/span.h"

enum {
    MX_MAIL_PARTS = 3,
    MX_MAIL_AUTH = 3,       /* steps of AUTH, at most */
    MX_MAIL_INLINE = 32768, /* bodies up to this are copied, and go out in one write */
};

struct mx_eml;

/* What all sessions have in common; read only while they run. */
struct mx_mail_kit {
    const struct mx_plan *plan;
    char sender[MX_PLAN_ADDRESS_MAX * 2], recipient[MX_PLAN_ADDRESS_MAX * 2];
    char hostname[MX_PLAN_ADDRESS_MAX + 1];
    char *head; /* template; of real mail only the three headers above, without the empty line */
    uint32_t head_len;
    uint32_t seq_at[2], seq_count; /* where the numbers are in it */
    uint32_t hash_at, hash_end;    /* 0: no hash; hash_end: behind that header's line */
    char *filler;                  /* lines; as long as the longest body */
    uint32_t crc, crc_len;         /* hash of the first crc_len octets of it */
    struct mx_eml *emls;           /* NULL: filler */
    uint32_t eml_count;
    char *commands; /* the texts below */
    struct mx_span hello, helo, mail, rcpt, group;
    struct mx_span auth[MX_MAIL_AUTH];        /* what is said in turn; empty spans: nothing */
    uint32_t commands_octets, message_octets; /* room of a session */
};

#define MX_MAIL_NOT_BUILT UINT32_MAX

/* One session's room for what it says; the kernel borrows it while a send is under way. */
struct mx_mail_draft {
    char *memory;      /* commands, then the message */
    uint32_t prefix;   /* octets of commands in front of the message; where it begins */
    uint32_t built_at; /* where filler is in place, and how much of it; MX_MAIL_NOT_BUILT: none */
    uint32_t built;
};

/* Which message. */
struct mx_mail_id {
    uint64_t seq;
    uint32_t size;       /* octets of the body; ignored with real mail */
    uint32_t recipients; /* 1..MX_PLAN_RECIPIENTS_MAX */
};

/* 0 or -errno (-ENOENT: no message is found, -EFBIG: too many), MX_ESYNTAX: --mbox is none. The
 * plan is borrowed. */
MX_MUST_CHECK int mx_mail_kit_new(struct mx_mail_kit *self, const struct mx_plan *plan);
void mx_mail_kit_free(struct mx_mail_kit *self);

/* memory: commands_octets + message_octets of the kit, given for the life of the session. */
static inline void mx_mail_draft_init(struct mx_mail_draft *self, char *memory) {
    self->memory = memory;
    self->prefix = 0;
    self->built_at = MX_MAIL_NOT_BUILT;
}

/* Whether a part of a message is memory that all sessions share and nobody ever writes to again. */
bool mx_mail_is_constant(const struct mx_mail_kit *self, const struct mx_mail_id *id,
                         struct mx_span part);

/* RCPT TO of recipient number index. */
struct mx_span mx_mail_rcpt(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                            const struct mx_mail_id *id, uint32_t index);

/* MAIL, all RCPT and DATA. With --bdat without DATA, and then mx_mail_message puts its text behind
 * it and returns both together. */
struct mx_span mx_mail_group(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                             const struct mx_mail_id *id);

/* The message, to be sent in this order; with --bdat with its command, else with the final dot.
 * Returns how many parts there are, *octets is what counts as its length. */
unsigned mx_mail_message(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                         const struct mx_mail_id *id, struct mx_span parts[MX_MAIL_PARTS],
                         uint64_t *octets);
