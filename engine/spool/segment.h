/* segment.h - what is known of a segment file, and how it is called. */
#pragma once
#include "engine/spool/format.h"
#include "proto/err.h"

enum mx_spool_segment_state {
    MX_SPOOL_SEGMENT_FREE,    /* its header block is zeros */
    MX_SPOOL_SEGMENT_SEALED,  /* it has a footer */
    MX_SPOOL_SEGMENT_OPEN,    /* being written, or not recovered yet: only in a read-only store */
    MX_SPOOL_SEGMENT_DAMAGED, /* what was acknowledged is missing, or it cannot be sealed: is read,
                               * never written, never freed */
};

#define MX_SPOOL_NO_CUT UINT64_MAX

struct mx_spool_segment {
    uint32_t dir; /* 0: spool.directory, 1: spool.secondDirectory */
    uint32_t core, number;
    enum mx_spool_segment_state state;
    const char *trouble;      /* DAMAGED: why, a literal */
    uint64_t file_octets;     /* as it is */
    uint64_t epoch;           /* 0: FREE, or nobody knows */
    uint64_t end_offset;      /* first octet behind the last batch that counts; 0: not known yet */
    uint64_t base_lsn;        /* no record in it has a lower one */
    uint64_t last_lsn;        /* of the last record that counts; 0: there is none */
    uint64_t cut_lsn;         /* records above it are void; MX_SPOOL_NO_CUT: none */
    uint64_t acked_lsn;       /* up to here records are known to have been acknowledged; 0: none */
    uint64_t prev_epoch;      /* as in its header: what it says ... */
    uint64_t prev_sealed_lsn; /* ... of the segment before */
    uint64_t oldest_epoch;    /* a message that ends here has chunks from this epoch on */
    uint64_t content_octets;  /* of the messages that end here */
    uint32_t message_count;   /* MSG records that count */
    uint32_t rcpt_count;      /* numbers of their recipients are below it */
    uint32_t compactions;     /* how often records were left out: the rest has moved in the file */
    uint32_t left_rcpts;      /* ... and the messages that stayed have so many recipients */
    int64_t created_ns;
    int64_t written_ns; /* OPEN: of its last batch; 0: there is none */
    /* the keeper: when it is looked at next whether it can be compacted (0: not known yet), how
     * often that was in vain, and how many recipients were final then */
    uint64_t look_ms;
    uint32_t looks, looked_final;
};

/* How many recipients the messages in it have: not those that were left out. */
static inline uint32_t mx_spool_segment_rcpts(const struct mx_spool_segment *segment) {
    return segment->compactions > 0 ? segment->left_rcpts : segment->rcpt_count;
}

/* Compaction has left no record in it. */
static inline bool mx_spool_segment_is_empty(const struct mx_spool_segment *segment) {
    return segment->compactions > 0 && segment->end_offset == MX_SPOOL_BLOCK;
}

/* The same file, with nothing in it. */
static inline struct mx_spool_segment mx_spool_segment_freed(const struct mx_spool_segment *segment,
                                                             uint64_t file_octets) {
    return (struct mx_spool_segment){
        .dir = segment->dir,
        .core = segment->core,
        .number = segment->number,
        .state = MX_SPOOL_SEGMENT_FREE,
        .cut_lsn = MX_SPOOL_NO_CUT,
        .file_octets = file_octets,
    };
}

enum { MX_SPOOL_NAME_MAX = 48, MX_SPOOL_NUMBER_MAX = 999999999, MX_SPOOL_CORE_MAX = 65535 };

/* "<core>/seg.<number>" and an ending ("", ".damaged"), relative to the directory. */
void mx_spool_segment_name(char name[MX_SPOOL_NAME_MAX], uint32_t core, uint32_t number,
                           const char *ending);

/* Is it the name of a segment within its folder? */
bool mx_spool_segment_parse(const char *name, uint32_t *number);

/* A decimal number up to max, without sign or needless zeros. */
bool mx_spool_number_parse(const char *text, uint64_t max, uint64_t *number);
