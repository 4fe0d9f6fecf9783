/* format.h - the spool on disk, octet by octet. docs/DURABILITY.md tells it in words.
 *
 *     DIR/meta                 text: format version, UUID, number of the last start ("run")
 *     DIR/lock                 flock(2), held by the server
 *     DIR/<core>/seg.NNNNNN    segments: written by one worker each
 *     DIR/acks/<writer>.log    what became of the recipients: written by who delivers
 *
 * A segment: one header block, then batches of 4096-octet blocks without gaps, at the very end one
 * footer block once it is sealed. A batch: its header, records at multiples of 32, zeros. One batch
 * is one write. Everything is little endian. Every octet of a batch is covered: the batch header
 * and each record (with its padding) by a CRC-32C whose seed names spool, core and epoch, so that
 * what a recycled file held before does not count; the rest of the last block is zero.
 */
#pragma once
#include "proto/crc32c.h"

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the spool is little endian"
#endif

enum {
    MX_SPOOL_VERSION = 1,
    MX_SPOOL_BLOCK = 4096,       /* unit of batches, header and footer; octets */
    MX_SPOOL_COPY_AT = 2048,     /* header and footer stand twice in their block */
    MX_SPOOL_ALIGN = 32,         /* of records; octets */
    MX_SPOOL_BATCH_MAX = 1 << 20 /* octets of a batch, header and padding included */
};

/* Epoch: names a segment's content for ever, as run * MX_SPOOL_EPOCHS + number within the run. */
#define MX_SPOOL_EPOCHS UINT64_C(1000000000)
/* LSN: names a record of a core for ever, as run << MX_SPOOL_LSN_BITS | number within the run. A
 * message has the LSN of its first record. */
enum { MX_SPOOL_LSN_BITS = 40 };

#define MX_SPOOL_HEADER_MAGIC "MXSPOOL1"
#define MX_SPOOL_FOOTER_MAGIC "MXSEALED"
#define MX_SPOOL_BATCH_MAGIC  UINT32_C(0x3142584d) /* MXB1 */
#define MX_SPOOL_RECORD_MAGIC UINT32_C(0x3152584d) /* MXR1 */
#define MX_SPOOL_ACK_MAGIC    UINT32_C(0x3141584d) /* MXA1 */

/* First block of a segment in use; zeros: the file is free. */
struct mx_spool_header {
    char magic[8];
    uint32_t crc; /* of this struct with crc = 0; seed 0 */
    uint32_t version;
    uint8_t uuid[16]; /* of the spool */
    uint32_t core;
    uint32_t compactions; /* how often records that nobody waits for were left out */
    uint64_t epoch;
    uint64_t size_octets;     /* of the file, footer included */
    uint64_t base_lsn;        /* no record in it has a lower one */
    uint64_t prev_epoch;      /* the segment this core wrote before; 0: none */
    uint64_t prev_sealed_lsn; /* records of prev_epoch above it are void: they were refused */
    int64_t created_ns;       /* since 1970 */
};

/* Last block of a sealed segment, which is whole up to end_offset. */
struct mx_spool_footer {
    char magic[8];
    uint32_t crc; /* as above */
    uint32_t version;
    uint8_t uuid[16];
    uint32_t core;
    uint32_t message_count; /* MSG records */
    uint64_t epoch;
    uint64_t end_offset;     /* first octet behind the last batch */
    uint64_t last_lsn;       /* 0: no record */
    uint64_t oldest_epoch;   /* lowest epoch in which a message of this segment has chunks; its own
                              * when none has */
    uint64_t content_octets; /* of the messages that end here */
    int64_t sealed_ns;
    uint32_t rcpt_count; /* of all MSG records, those that were left out, too */
    uint32_t left_rcpts; /* compacted: of those that were not */
};

struct mx_spool_batch {
    uint32_t magic;
    uint32_t crc; /* of this struct with crc = 0; seed: mx_spool_seed */
    uint64_t epoch;
    uint64_t first_lsn;     /* of its first record; without records, the next one's */
    uint64_t committed_lsn; /* everything up to it was durable when this batch was put together */
    uint32_t seq;           /* 0, 1, ... within the segment */
    uint32_t record_count;
    uint32_t used_octets; /* this header and the records with their padding */
    uint32_t len_octets;  /* the same with the zeros behind: a multiple of MX_SPOOL_BLOCK */
    int64_t written_ns;
    uint64_t last_lsn; /* compacted: of its last record; 0: its LSNs follow one by one */
};

enum mx_spool_type {
    MX_SPOOL_CHUNK = 1, /* content of a message that goes on */
    MX_SPOOL_MSG = 2,   /* the end of a message, or all of it: the rest of the content, and the
                         * envelope. Without it there is no message */
};

enum mx_spool_flag {
    MX_SPOOL_8BIT = 1 << 1,    /* octets above 127 */
    MX_SPOOL_NUL = 1 << 2,     /* NUL octets */
    MX_SPOOL_BARE_CR = 1 << 3, /* a CR without LF */
    MX_SPOOL_BINARY = 1 << 4,  /* BODY=BINARYMIME */
    MX_SPOOL_UTF8 = 1 << 5,    /* SMTPUTF8 */
    MX_SPOOL_LMTP = 1 << 6,    /* came by LMTP */
    MX_SPOOL_TLS = 1 << 7,
    MX_SPOOL_AUTH = 1 << 8,
    MX_SPOOL_MOVED =
        1 << 9, /* copied here from another segment; origin_core and message_lsn stay */
};

/* Followed by content_octets of content, envelope_octets of envelope (struct mx_spool_tlv), and
 * zeros up to a multiple of MX_SPOOL_ALIGN. */
struct mx_spool_record {
    uint32_t magic;
    uint32_t crc; /* of the record and its padding, with crc = 0; seed: mx_spool_seed */
    uint8_t type; /* enum mx_spool_type */
    uint8_t version;
    uint16_t flags;      /* MSG: enum mx_spool_flag */
    uint32_t len_octets; /* header, content and envelope */
    uint64_t lsn;
    uint64_t message_lsn;
    uint32_t content_octets; /* in this record */
    uint32_t envelope_octets;
    uint64_t total_octets; /* MSG: content of the whole message */
    uint32_t chunk;        /* CHUNK: its number from 0; MSG: how many there are before it */
    uint32_t prev_offset;  /* the chunk before it: where its record begins in the file ... */
    uint64_t prev_epoch;   /* ... of this epoch; 0: there is none */
    uint64_t first_epoch;  /* of chunk 0, or its own */
    uint32_t rcpt_base;    /* MSG: recipients of this segment's MSG records before it */
    uint32_t rcpt_count;   /* MSG */
    int64_t received_ns;   /* MSG: since 1970 */
    uint32_t origin_core;  /* the core that message_lsn belongs to */
    uint32_t reserved;
};

/* The envelope: a row of these, unaligned, each followed by len octets. Unknown types are kept. */
struct mx_spool_tlv {
    uint16_t type; /* enum mx_spool_envelope */
    uint16_t reserved;
    uint32_t len;
};

/* Numbers are little endian, texts have no terminator. Those of a recipient follow its RCPT. */
enum mx_spool_envelope {
    MX_SPOOL_ENV_SENDER = 1,    /* MAIL FROM without brackets; empty: the null sender */
    MX_SPOOL_ENV_RCPT = 2,      /* RCPT TO without brackets; ordinal 0, 1, ... by position */
    MX_SPOOL_ENV_NOTIFY = 3,    /* of that recipient (RFC 3461) */
    MX_SPOOL_ENV_ORCPT = 4,     /* of that recipient */
    MX_SPOOL_ENV_LISTENER = 10, /* the server's name */
    MX_SPOOL_ENV_PEER = 11,     /* 16 octets: IPv6 or IPv4-mapped address */
    MX_SPOOL_ENV_HELO = 12,
    MX_SPOOL_ENV_SIZE = 13, /* u64, SIZE= */
    MX_SPOOL_ENV_BODY = 14, /* u8, enum mx_body_type */
    MX_SPOOL_ENV_RET = 15,
    MX_SPOOL_ENV_ENVID = 16,
    MX_SPOOL_ENV_SESSION = 17,    /* u32, session id of log and Received line */
    MX_SPOOL_ENV_PRIORITY = 18,   /* MT-PRIORITY, decimal text */
    MX_SPOOL_ENV_HOLD_UNTIL = 19, /* u64, seconds since 1970: not to be delivered before */
    MX_SPOOL_ENV_AUTH_USER = 20,
    MX_SPOOL_ENV_AUTH_MECHANISM = 21,
    MX_SPOOL_ENV_AUTH_PARAM = 22,  /* AUTH= of MAIL */
    MX_SPOOL_ENV_REQUIRE_TLS = 23, /* u8, 1: to be delivered under TLS only (RFC 8689) */
    MX_SPOOL_ENV_TLS_VERSION = 30,
    MX_SPOOL_ENV_TLS_CIPHER = 31,
    MX_SPOOL_ENV_TLS_SNI = 32,
    MX_SPOOL_ENV_TLS_SUBJECT = 33, /* of the client's certificate */
    MX_SPOOL_ENV_ATTRIBUTE = 40,   /* "name\0value", by a hook */
    MX_SPOOL_ENV_HEADER = 41,      /* u32 n, and text that stands in the place of the first n octets
                                    * of the content: hooks have changed the header when all of the
                                    * message was there */
};

/* What became of one recipient. acks/<writer>.log is a row of these; the first is the file's own
 * (state MX_SPOOL_ACK_FILE). The last one for a recipient counts, but what is final stays final. */
struct mx_spool_ack {
    uint32_t magic;
    uint32_t crc;   /* of this struct with crc = 0; seed: CRC of the UUID */
    uint64_t epoch; /* of the segment with the MSG record */
    uint64_t message_lsn;
    uint32_t core;     /* whose folder the segment is in */
    uint32_t rcpt;     /* rcpt_base + ordinal */
    uint8_t state;     /* enum mx_spool_ack_state */
    uint8_t status[3]; /* enhanced code, RFC 3463; zeros: none */
    uint32_t attempts;
    int64_t time_ns;
    int64_t next_ns; /* DEFERRED: when to try again */
    uint32_t origin_core;
    uint32_t reserved;
};

enum mx_spool_ack_state {
    MX_SPOOL_ACK_FILE = 1,
    MX_SPOOL_ACK_DEFERRED = 2, /* not final */
    MX_SPOOL_ACK_RETRY = 3,    /* not final: an operator wants it tried now */
    MX_SPOOL_ACK_DELIVERED = 4,
    MX_SPOOL_ACK_EXPORTED = 5,
    MX_SPOOL_ACK_DROPPED = 6,
    MX_SPOOL_ACK_FAILED = 7, /* final refusal by the next hop, or expired */
    MX_SPOOL_ACK_MOVED = 8,  /* final here: a copy in another segment goes on */
};

_Static_assert(sizeof(struct mx_spool_header) == 88, "on disk");
_Static_assert(sizeof(struct mx_spool_footer) == 96, "on disk");
_Static_assert(sizeof(struct mx_spool_batch) == 64, "on disk");
_Static_assert(sizeof(struct mx_spool_record) == 96, "on disk");
_Static_assert(sizeof(struct mx_spool_tlv) == 8, "on disk");
_Static_assert(sizeof(struct mx_spool_ack) == 64, "on disk");

/* Seed of all CRCs within a segment. */
static inline uint32_t mx_spool_seed(const uint8_t uuid[16], uint32_t core, uint64_t epoch) {
    uint32_t crc = mx_crc32c(0, (struct mx_span){(const char *)uuid, 16});
    crc = mx_crc32c(crc, (struct mx_span){(const char *)&core, sizeof core});
    return mx_crc32c(crc, (struct mx_span){(const char *)&epoch, sizeof epoch});
}

/* LSN of the batch's last record; it has one. */
static inline uint64_t mx_spool_batch_last(const struct mx_spool_batch *batch) {
    return batch->last_lsn != 0 ? batch->last_lsn : batch->first_lsn + batch->record_count - 1;
}

static inline uint64_t mx_spool_round(uint64_t octets, uint64_t unit) {
    return (octets + unit - 1) / unit * unit;
}
