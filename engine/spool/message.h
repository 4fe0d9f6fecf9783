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

/* Opens messages one after the other. */
struct mx_spool_reader {
    const struct mx_spool_store *store;
    struct mx_spool_file message;                 /* the MSG record */
    struct mx_spool_file chunks;                  /* what comes before it */
    const struct mx_spool_segment *segment;       /* of the MSG record ... */
    const struct mx_spool_segment *chunk_segment; /* ... and the one that chunks has open */
    struct mx_spool_place *places;
    uint64_t offset; /* of the MSG record */
    struct mx_spool_record record;
    struct mx_span envelope; /* borrowed until the next call */
    uint64_t damaged_octets; /* that the last search met */
    const char *why;         /* after MX_ESYNTAX: what is wrong, a literal */
};

/* Allocates. The store is borrowed. -ENOMEM. */
MX_MUST_CHECK int mx_spool_reader_new(struct mx_spool_reader *self,
                                      const struct mx_spool_store *store);
void mx_spool_reader_free(struct mx_spool_reader *self);

/* The message whose MSG record stands there: record and envelope are set. MX_ESYNTAX: damaged;
 * -errno. */
MX_MUST_CHECK int mx_spool_reader_open(struct mx_spool_reader *self,
                                       const struct mx_spool_segment *segment, uint64_t offset);

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
