#include "engine/spool/message.h"

#include "engine/spool/block.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACES_MAX = 65536 }; /* chunks whose places are known at a time */

/* ---- ids ---- */

void mx_spool_id_format(const struct mx_spool_id *self, char text[MX_SPOOL_ID_TEXT]) {
    int len = snprintf(text, MX_SPOOL_ID_TEXT, "%08x-%x-%llx", self->node, self->core,
                       (unsigned long long)self->lsn);
    assert(len > 0 && len < MX_SPOOL_ID_TEXT);
}

/* The digits up to the end or the first hyphen, where *text then is. */
static bool take_hex(const char **text, uint64_t max, uint64_t *number) {
    const char *at = *text;
    *number = 0;
    for (; *at != '\0' && *at != '-'; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        if (!is_digit && (*at < 'a' || *at > 'f'))
            return false;
        uint64_t digit = (uint64_t)(is_digit ? *at - '0' : *at - 'a' + 10);
        if (*number > (max - digit) >> 4)
            return false;
        *number = *number << 4 | digit;
    }
    bool is_empty = at == *text;
    *text = at;
    return !is_empty;
}

bool mx_spool_id_parse(struct mx_spool_id *self, const char *text) {
    char again[MX_SPOOL_ID_TEXT];
    const char *at = text;
    uint64_t node, core, lsn;
    if (!take_hex(&at, UINT32_MAX, &node) || *at++ != '-' || !take_hex(&at, UINT32_MAX, &core) ||
        *at++ != '-' || !take_hex(&at, UINT64_MAX, &lsn) || *at != '\0')
        return false;
    *self = (struct mx_spool_id){(uint32_t)node, (uint32_t)core, lsn};
    mx_spool_id_format(self, again); /* one way to write it */
    return strcmp(again, text) == 0;
}

/* ---- records ---- */

int mx_spool_reader_new(struct mx_spool_reader *self, struct mx_spool_store *store) {
    *self = (struct mx_spool_reader){
        .store = store, .message.file = {.fd = -1}, .chunks.file = {.fd = -1}};
    int err = mx_spool_file_new(&self->message.file);
    if (err == 0)
        err = mx_spool_file_new(&self->chunks.file);
    if (err == 0) {
        self->places = calloc(PLACES_MAX, sizeof *self->places);
        err = self->places != NULL ? 0 : -ENOMEM;
    }
    if (err < 0)
        mx_spool_reader_free(self);
    return err;
}

void mx_spool_reader_free(struct mx_spool_reader *self) {
    mx_spool_file_free(&self->message.file);
    mx_spool_file_free(&self->chunks.file);
    free(self->places);
    self->places = NULL;
}

static int refuse(struct mx_spool_reader *self, const char *why) {
    self->why = why;
    return MX_ESYNTAX;
}

/* Open the file of a segment, unless it is open already as the list tells of it. */
static int open_segment(struct mx_spool_reader *self, struct mx_spool_opened *opened,
                        struct mx_spool_segment *segment) {
    bool is_open = opened->segment == segment && opened->file.fd >= 0 &&
                   opened->is.dir == segment->dir && opened->is.core == segment->core &&
                   opened->is.epoch == segment->epoch &&
                   opened->is.compactions == segment->compactions;
    if (is_open) {
        if (opened->is.end_offset != segment->end_offset) /* it grows */
            mx_spool_file_drop(&opened->file);
        opened->is = *segment;
        return 0;
    }
    opened->segment = NULL;
    int err = mx_spool_store_file(self->store, segment, &opened->file);
    if (err < 0)
        return err;
    opened->segment = segment;
    opened->is = *segment;
    return 0;
}

/* Records may be elsewhere in it than others say. */
static bool has_moved(const struct mx_spool_opened *opened) {
    return opened->is.compactions > 0 || opened->is.state == MX_SPOOL_SEGMENT_DAMAGED;
}

/* Read a record, all of it and with its CRC, or the header alone (content NULL). */
static int read_record(struct mx_spool_reader *self, struct mx_spool_opened *opened,
                       uint64_t offset, struct mx_spool_record *record, const char **content) {
    const struct mx_spool_segment *segment = &opened->is;
    const char *at;
    if (offset % MX_SPOOL_ALIGN != 0 || offset < MX_SPOOL_BLOCK || offset >= segment->end_offset)
        return refuse(self, "it points to no record");
    int err = mx_spool_file_map(&opened->file, offset, sizeof *record, &at);
    if (err == 0)
        err = mx_spool_record_peek(at, segment->end_offset - offset, record, &self->why);
    if (err < 0)
        return err == MX_EPARTIAL ? refuse(self, "the file is too short") : err;
    if (record->lsn > segment->cut_lsn)
        return refuse(self, "the record was refused");
    uint32_t size = mx_spool_record_size(record);
    if (size > MX_SPOOL_BATCH_MAX)
        return refuse(self, "record longer than a batch");
    if (content == NULL)
        return 0;
    err = mx_spool_file_map(&opened->file, offset, size, &at);
    if (err < 0)
        return err == MX_EPARTIAL ? refuse(self, "the file is too short") : err;
    uint32_t seed = mx_spool_seed(self->store->uuid, segment->core, segment->epoch);
    if (!mx_spool_record_is_sound((struct mx_span){at, size}, seed))
        return refuse(self, "CRC of the record");
    *content = at + sizeof *record;
    return 0;
}

/* The MSG record of this LSN, which is not where it was. */
static int search_lsn(struct mx_spool_reader *self, uint64_t lsn) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    mx_spool_walk_begin(&walk, &self->message.file, self->store->uuid, &self->message.is, true);
    walk.from_lsn = lsn;
    while (mx_spool_walk_next(&walk, &record, &offset) && record.lsn <= lsn) {
        if (record.lsn != lsn)
            continue;
        self->offset = offset;
        return 0;
    }
    return walk.damaged_octets > 0 ? refuse(self, "a part of its segment is damaged") : -ENOENT;
}

int mx_spool_reader_open(struct mx_spool_reader *self, struct mx_spool_segment *segment,
                         uint64_t lsn, uint64_t offset) {
    const char *content = NULL;
    int err = open_segment(self, &self->message, segment);
    if (err < 0)
        return err;
    self->segment = segment;
    self->offset = offset;
    self->is_left_out = false;
    err = read_record(self, &self->message, offset, &self->record, &content);
    if (err == 0 && self->record.lsn != lsn)
        err = refuse(self, "it is another record");
    if (err == MX_ESYNTAX && self->message.is.compactions > 0) {
        err = search_lsn(self, lsn);
        if (err == 0)
            err = read_record(self, &self->message, self->offset, &self->record, &content);
    }
    if (err < 0)
        return err;
    assert(content != NULL);
    self->envelope =
        (struct mx_span){content + self->record.content_octets, self->record.envelope_octets};
    if (self->record.type != MX_SPOOL_MSG)
        return refuse(self, "it is no message");
    if (!mx_spool_envelope_is_sound(self->envelope, self->record.rcpt_count))
        return refuse(self, "its envelope");
    return 0;
}

/* ---- chains ---- */

/* Where are chunks of this epoch? In the folder of the message, unless it was moved alone. */
static struct mx_spool_segment *segment_of(const struct mx_spool_reader *self, uint64_t epoch) {
    struct mx_spool_segment *segment =
        mx_spool_store_find(self->store, self->message.is.core, epoch);
    if (segment == NULL && (self->record.flags & MX_SPOOL_MOVED) != 0)
        segment = mx_spool_store_find(self->store, self->record.origin_core, epoch);
    return segment;
}

static int open_chunks(struct mx_spool_reader *self, uint64_t epoch) {
    struct mx_spool_segment *segment = segment_of(self, epoch);
    if (segment == NULL)
        return refuse(self, "the segment with a part of it is missing");
    int err = open_segment(self, &self->chunks, segment);
    return err == -ENOENT ? refuse(self, "the segment with a part of it is gone") : err;
}

static bool is_part(const struct mx_spool_reader *self, const struct mx_spool_record *record) {
    return record->type == MX_SPOOL_CHUNK && record->message_lsn == self->record.message_lsn &&
           record->origin_core == self->record.origin_core;
}

/* The chunk with this number at this place, as above. */
static int read_chunk(struct mx_spool_reader *self, const struct mx_spool_place *place,
                      uint32_t number, struct mx_spool_record *record, const char **content) {
    int err = open_chunks(self, place->epoch);
    if (err == 0)
        err = read_record(self, &self->chunks, place->offset, record, content);
    if (err == 0 && (!is_part(self, record) || record->chunk != number))
        return refuse(self, "a part of it is another message's");
    return err;
}

static struct mx_spool_place *place_of(struct mx_spool_reader *self, uint32_t number) {
    bool is_kept = number >= self->first_place && number - self->first_place < PLACES_MAX;
    return is_kept ? &self->places[number - self->first_place] : NULL;
}

/* In a compacted segment only the order of the chunks is as it was: note the places of all that
 * are in it, up to this one, which is wanted. */
static int search_chunk(struct mx_spool_reader *self, uint32_t number,
                        struct mx_spool_place *place) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    mx_spool_walk_begin(&walk, &self->chunks.file, self->store->uuid, &self->chunks.is, true);
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        if (!is_part(self, &record) || record.chunk > number)
            continue;
        struct mx_spool_place here = {self->chunks.is.epoch, (uint32_t)offset};
        struct mx_spool_place *kept = place_of(self, record.chunk);
        if (kept != NULL)
            *kept = here;
        if (record.chunk == number) {
            *place = here;
            return 0;
        }
    }
    self->is_left_out = self->chunks.is.compactions > 0 && walk.damaged_octets == 0;
    return refuse(self, self->is_left_out ? "a part of it was left out: nobody waited for it"
                                          : "a part of it is damaged");
}

/* The chunk with this number, which should be at this place; where it was found. */
static int find_chunk(struct mx_spool_reader *self, struct mx_spool_place *place, uint32_t number,
                      struct mx_spool_record *record, const char **content) {
    int err = read_chunk(self, place, number, record, content);
    bool may_be_elsewhere = err == MX_ESYNTAX && self->chunks.segment != NULL &&
                            self->chunks.is.epoch == place->epoch && has_moved(&self->chunks);
    if (!may_be_elsewhere)
        return err;
    err = search_chunk(self, number, place);
    return err == 0 ? read_chunk(self, place, number, record, content) : err;
}

/* Places of the chunks first..first + PLACES_MAX - 1: each names the one before it, so the way to
 * them is from the end. */
static int find_places(struct mx_spool_reader *self, uint32_t first) {
    struct mx_spool_place place = {self->record.prev_epoch, self->record.prev_offset};
    uint32_t count = self->record.chunk - first;
    self->first_place = first;
    memset(self->places, 0, (count < PLACES_MAX ? count : PLACES_MAX) * sizeof *self->places);
    for (uint32_t number = self->record.chunk; number-- > first;) {
        struct mx_spool_record record = {0};
        struct mx_spool_place *kept = place_of(self, number);
        if (kept != NULL && kept->epoch == place.epoch) /* seen by a search already */
            place = *kept;
        int err = find_chunk(self, &place, number, &record, NULL);
        if (err < 0)
            return err;
        if (kept != NULL)
            *kept = place;
        place = (struct mx_spool_place){record.prev_epoch, record.prev_offset};
    }
    return 0;
}

static int give(mx_spool_content_fn *take, void *context, const char *content, uint32_t octets) {
    return take != NULL && octets > 0 ? take(context, (struct mx_span){content, octets}) : 0;
}

static int give_chunks(struct mx_spool_reader *self, mx_spool_content_fn *take, void *context,
                       uint64_t *octets) {
    uint32_t first = 0;
    for (uint32_t number = 0; number < self->record.chunk; number++) {
        struct mx_spool_record record = {0};
        const char *content = NULL;
        int err = 0;
        if (number % PLACES_MAX == 0) {
            first = number;
            err = find_places(self, first);
        }
        if (err == 0)
            err = find_chunk(self, &self->places[number - first], number, &record, &content);
        if (err == 0)
            err = give(take, context, content, record.content_octets);
        if (err < 0)
            return err;
        *octets += record.content_octets;
    }
    return 0;
}

/* Content whose front is replaced. */
struct cut {
    mx_spool_content_fn *take;
    void *context;
    uint64_t skip; /* octets still to be left out */
};

static int take_rest(void *context, struct mx_span piece) {
    struct cut *cut = context;
    size_t len = cut->skip < piece.len ? (size_t)cut->skip : piece.len;
    cut->skip -= len;
    piece = mx_span_skip(piece, len);
    return piece.len > 0 ? cut->take(cut->context, piece) : 0;
}

/* The header that stands in the place of a stored one. False: there is none. */
static bool find_header(const struct mx_spool_reader *self, struct mx_span *header,
                        uint32_t *replaces) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(self->envelope);
    struct mx_spool_item item;
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type != MX_SPOOL_ENV_HEADER || item.value.len < sizeof *replaces)
            continue;
        memcpy(replaces, item.value.ptr, sizeof *replaces);
        *header = mx_span_skip(item.value, sizeof *replaces);
        return true;
    }
    return false;
}

static int give_stored(struct mx_spool_reader *self, mx_spool_content_fn *take, void *context) {
    struct mx_spool_record record;
    const char *content;
    uint64_t octets = self->record.content_octets;
    assert(self->segment != NULL);
    /* a chunk has an octet at least: a message that says otherwise is not read for ever */
    if (self->record.chunk > self->record.total_octets)
        return refuse(self, "it has more parts than octets");
    int err = give_chunks(self, take, context, &octets);
    if (err < 0)
        return err;
    if (octets != self->record.total_octets)
        return refuse(self, "its length");
    err = read_record(self, &self->message, self->offset, &record, &content);
    return err < 0 ? err : give(take, context, content, record.content_octets);
}

int mx_spool_reader_content(struct mx_spool_reader *self, mx_spool_content_fn *take,
                            void *context) {
    struct cut cut = {take, context, 0};
    struct mx_span header;
    uint32_t replaces;
    if (!find_header(self, &header, &replaces))
        return give_stored(self, take, context);
    if (replaces > self->record.total_octets)
        return refuse(self, "its header");
    cut.skip = replaces;
    int err = take != NULL && header.len > 0 ? take(context, header) : 0;
    return err < 0 ? err : give_stored(self, take != NULL ? take_rest : NULL, &cut);
}

/* ---- by id ---- */

static bool is_wanted(const struct mx_spool_record *record, const struct mx_spool_id *id) {
    return record->type == MX_SPOOL_MSG && record->message_lsn == id->lsn &&
           record->origin_core == id->core;
}

/* Is its MSG record in this segment? */
static int search(struct mx_spool_reader *self, struct mx_spool_segment *segment,
                  const struct mx_spool_id *id, bool is_moved) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    int err = open_segment(self, &self->chunks, segment);
    if (err < 0)
        return err;
    mx_spool_walk_begin(&walk, &self->chunks.file, self->store->uuid, &self->chunks.is, true);
    walk.from_lsn = is_moved ? 0 : id->lsn;
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        if (is_wanted(&record, id) && ((record.flags & MX_SPOOL_MOVED) != 0) == is_moved)
            return mx_spool_reader_open(self, segment, record.lsn, offset);
    }
    self->damaged_octets += walk.damaged_octets;
    return -ENOENT;
}

int mx_spool_reader_find(struct mx_spool_reader *self, const struct mx_spool_id *id,
                         bool is_moved) {
    struct mx_spool_store *store = self->store;
    self->damaged_octets = 0;
    if (id->node != store->node)
        return -ENOENT;
    for (uint32_t i = 0; i < store->count; i++) {
        struct mx_spool_segment *segment = &store->segments[i];
        if (segment->message_count == 0 ||
            (!is_moved && (segment->core != id->core || segment->last_lsn < id->lsn)))
            continue;
        int err = search(self, segment, id, is_moved);
        if (err != -ENOENT)
            return err;
    }
    return -ENOENT;
}
