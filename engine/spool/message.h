/* message.h - one stored message: found by its id, its envelope, and its content from however many
 * records it is in. Memory is bounded, whatever the size of the message.
 *
 * Blocks. For tools and background threads, never for a worker.
 */
#pragma once
#include "engine/spool/envelope.h"
#include "engine/spool/store.h"

/* <node>-<core>-<LSN>, in hexadecimal: stays the same wherever the message is moved to. */
struct mx_spool_id {
    uint32_t node;
    uint32_t core;
    uint64_t lsn;
};

enum { MX_SPOOL_ID_TEXT = 36 }; /* octets, with the NUL */

void mx_spool_id_format(const struct mx_spool_id *self, char text[MX_SPOOL_ID_TEXT]);
/* Only what mx_spool_id_format writes. */
bool mx_spool_id_parse(struct mx_spool_id *self, const char *text);

static inline struct mx_spool_id mx_spool_id_of(const struct mx_spool_store *store,
                                                const struct mx_spool_record *record) {
    return (struct mx_spool_id){store->node, record->origin_core, record->message_lsn};
}

/* Where a chunk's record begins. */
struct mx_spool_place {
    uint64_t epoch;
    uint32_t offset;
};

/* A segment's file, and what was known of it when it was opened: a running server may put a
 * compacted one in its place, of which the store's list then tells. */
struct mx_spool_opened {
    struct mx_spool_file file;
    const struct mx_spool_segment *segment; /* of the store; NULL: none is open */
    struct mx_spool_segment is;
};

/* Opens messages one after the other. */
struct mx_spool_reader {
    struct mx_spool_store *store;
    struct mx_spool_opened message; /* the MSG record */
    struct mx_spool_opened chunks;  /* what comes before it */
    struct mx_spool_place *places;  /* of the chunks from first_place on; epoch 0: not known */
    uint32_t first_place;
    const struct mx_spool_segment *segment; /* of the MSG record, in the store ... */
    uint64_t offset;                        /* ... and where the record is */
    struct mx_spool_record record;
    struct mx_span envelope; /* borrowed until the next call */
    uint64_t damaged_octets; /* that the last search met */
    const char *why;         /* after MX_ESYNTAX: what is wrong, a literal */
    bool is_left_out;        /* ... a part of it was left out when its segment was compacted, which
                              * is so when nobody waited for it any more */
};

/* Allocates. The store is borrowed. -ENOMEM. */
MX_MUST_CHECK int mx_spool_reader_new(struct mx_spool_reader *self, struct mx_spool_store *store);
void mx_spool_reader_free(struct mx_spool_reader *self);

/* The message whose MSG record has this LSN, and stands there unless the segment was compacted
 * meanwhile: record and envelope are set. MX_ESYNTAX: damaged; -ENOENT: it was left out; -errno. */
MX_MUST_CHECK int mx_spool_reader_open(struct mx_spool_reader *self,
                                       struct mx_spool_segment *segment, uint64_t lsn,
                                       uint64_t offset);

/* Find and open a message where it was written first, or (is_moved) where it was moved to. -ENOENT:
 * it is not there (any more), or, when damaged_octets says so, it may be in a damaged part. */
MX_MUST_CHECK int mx_spool_reader_find(struct mx_spool_reader *self, const struct mx_spool_id *id,
                                       bool is_moved);

/* Takes the content piece by piece, in order; borrowed for the call. A negative result ends it. */
typedef int mx_spool_content_fn(void *context, struct mx_span piece);

/* The content of the open message. MX_ESYNTAX: a part is damaged or missing (those before it have
 * been given); -errno; what take returned. take NULL: is all of it there? */
MX_MUST_CHECK int mx_spool_reader_content(struct mx_spool_reader *self, mx_spool_content_fn *take,
                                          void *context);
