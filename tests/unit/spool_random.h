/* spool_random.h - for tests: a spool of several segments with random messages, many of them in
 * parts, some of which never end.
 */
#pragma once
#include "tests/unit/guard.h"
#include "tests/unit/spool_world.h"

enum { MAILS_MAX = 400, SEGMENTS = 5, CHAINS = 6 };

struct mail {
    uint64_t lsn, epoch; /* of its MSG record, and the segment with it; 0: not whole */
    uint32_t len, rcpts, rcpt_base, done;
    /* while it is made */
    uint32_t sent, chunks, prev_offset;
    uint64_t prev_epoch, first_epoch, message_lsn;
};

/* Messages that have begun, or UINT32_MAX. */
static uint32_t chains[CHAINS];
static struct mail mails[MAILS_MAX];
static uint32_t mail_count;
static struct rng rng;

static inline char octet(uint32_t mail, uint32_t i) {
    return (char)((mail * 2654435761u + i * 40503u + (i >> 8)) >> 7);
}

static inline struct mx_span piece_of(uint32_t mail, uint32_t len) {
    static char text[8192];
    assert(len <= sizeof text);
    for (uint32_t i = 0; i < len; i++)
        text[i] = octet(mail, mails[mail].sent + i);
    return (struct mx_span){text, len};
}

/* A message that is whole, or its last part. */
static inline void finish(struct maker *maker, uint32_t number) {
    struct mail *mail = &mails[number];
    struct maker_record like = {
        .content = piece_of(number, mail->len - mail->sent),
        .rcpt_count = mail->rcpts,
        .message_lsn = mail->message_lsn,
        .chunk = mail->chunks,
        .prev_epoch = mail->prev_epoch,
        .prev_offset = mail->prev_offset,
        .first_epoch = mail->first_epoch,
        .total_octets = mail->len,
    };
    mail->epoch = maker->epoch;
    mail->rcpt_base = maker->rcpt_base;
    (void)maker_record(maker, &like);
    mail->lsn = mail->message_lsn != 0 ? mail->message_lsn : maker->last_lsn;
}

static inline void put_chunk(struct maker *maker, uint32_t number) {
    struct mail *mail = &mails[number];
    uint32_t len = 1 + rng_take(&rng, mail->len - mail->sent);
    struct maker_record like = {
        .type = MX_SPOOL_CHUNK,
        .content = piece_of(number, len),
        .message_lsn = mail->message_lsn,
        .chunk = mail->chunks++,
        .prev_epoch = mail->prev_epoch,
        .prev_offset = mail->prev_offset,
        .first_epoch = mail->first_epoch,
    };
    mail->prev_offset = maker_record(maker, &like);
    mail->prev_epoch = maker->epoch;
    mail->first_epoch = mail->first_epoch != 0 ? mail->first_epoch : maker->epoch;
    mail->message_lsn = mail->message_lsn != 0 ? mail->message_lsn : maker->last_lsn;
    mail->sent += len;
}

static inline uint32_t new_mail(void) {
    cr_assert_lt(mail_count, (uint32_t)MAILS_MAX);
    mails[mail_count] =
        (struct mail){.len = 1 + rng_take(&rng, 3000), .rcpts = 1 + rng_take(&rng, 3)};
    return mail_count++;
}

static inline void act(struct maker *maker) {
    uint32_t *chain = &chains[rng_take(&rng, CHAINS)];
    switch (rng_take(&rng, 6)) {
    case 0:
        maker_flush(maker);
        break;
    case 1:
    case 2:
        finish(maker, new_mail());
        break;
    case 3:
        if (*chain != UINT32_MAX) {
            finish(maker, *chain);
            *chain = UINT32_MAX;
            break;
        }
        *chain = new_mail();
        /* fall through */
    default:
        if (*chain != UINT32_MAX && mails[*chain].sent < mails[*chain].len)
            put_chunk(maker, *chain);
    }
}

/* The segment in which all messages end that have begun; before is its predecessor. */
static inline void make_end(const struct maker *before) {
    struct maker maker;
    maker_begin(&maker, 0, 0, before->epoch + 1, before->next_lsn);
    maker_prev(&maker, before->epoch, before->last_lsn);
    for (uint32_t i = 0; i < CHAINS; i++) {
        if (chains[i] != UINT32_MAX)
            finish(&maker, chains[i]);
    }
    finish(&maker, new_mail());
    maker_flush(&maker);
    maker_seal(&maker, false);
    maker_store(&maker, root, SEGMENTS + 1);
}

/* Its last segment. */
static inline struct maker make_spool(uint64_t seed) {
    struct maker maker;
    uint64_t lsn = MAKER_LSN(1, 1), prev_lsn = 0;
    rng = (struct rng){seed * 2 + 1};
    memset(chains, 0xff, sizeof chains);
    memset(mails, 0, sizeof mails);
    mail_count = 0;
    maker_meta(root, 1);
    for (uint32_t n = 1; n <= SEGMENTS; n++) {
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, n), lsn);
        if (n > 1)
            maker_prev(&maker, MAKER_EPOCH(1, n - 1), prev_lsn);
        for (uint32_t i = 0; i < 60; i++)
            act(&maker);
        finish(&maker, new_mail());
        maker_flush(&maker);
        lsn = maker.next_lsn;
        prev_lsn = maker.last_lsn;
        maker_seal(&maker, rng_take(&rng, 2) == 0);
        maker_store(&maker, root, n);
    }
    return maker;
}
