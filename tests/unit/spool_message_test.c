/* spool_message_test.c - one message out of a spool: ids, envelopes, content in one record or in
 * many, over several segments, moved ones; what is damaged or missing is said, never given as
 * whole.
 */
#include "engine/spool/message.h"
#include "tests/unit/spool_world.h"

TestSuite(spool_message, .init = set_up, .fini = tear_down);

/* ---- ids ---- */

Test(spool_message, ids) {
    static const struct {
        const char *text;
        bool is_good;
        struct mx_spool_id id;
    } cases[] = {
        {"00c0ffee-0-1",                 true,  {0xc0ffee, 0, 1}            },
        {"ffffffff-ffffffff-1",          true,  {UINT32_MAX, UINT32_MAX, 1} },
        {"12345678-a-ffffffffffffffff",  true,  {0x12345678, 10, UINT64_MAX}},
        {"00c0ffee-0-0",                 true,  {0xc0ffee, 0, 0}            },
        {"",                             false, {0}                         },
        {"c0ffee-0-1",                   false, {0}                         },
        {"00C0FFEE-0-1",                 false, {0}                         },
        {"000c0ffee-0-1",                false, {0}                         },
        {"00c0ffee-00-1",                false, {0}                         },
        {"00c0ffee-0-01",                false, {0}                         },
        {"00c0ffee-0-1 ",                false, {0}                         },
        {" 00c0ffee-0-1",                false, {0}                         },
        {"00c0ffee-0",                   false, {0}                         },
        {"00c0ffee--1",                  false, {0}                         },
        {"00c0ffee-0-",                  false, {0}                         },
        {"00c0ffee-0-1-",                false, {0}                         },
        {"00c0ffee-0-1-2",               false, {0}                         },
        {"00c0ffee-0x1-2",               false, {0}                         },
        {"00c0ffee-+1-2",                false, {0}                         },
        {"00c0ffee-100000000-1",         false, {0}                         },
        {"00c0ffee-0-10000000000000000", false, {0}                         },
        {"100c0ffee-0-1",                false, {0}                         },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_spool_id id;
        char text[MX_SPOOL_ID_TEXT];
        cr_expect_eq(mx_spool_id_parse(&id, cases[i].text), cases[i].is_good, "%s", cases[i].text);
        if (!cases[i].is_good)
            continue;
        cr_expect_eq(id.node, cases[i].id.node);
        cr_expect_eq(id.core, cases[i].id.core);
        cr_expect_eq(id.lsn, cases[i].id.lsn);
        mx_spool_id_format(&id, text);
        cr_expect_str_eq(text, cases[i].text);
    }
}

/* ---- envelopes ---- */

Test(spool_message, envelope) {
    struct maker maker;
    struct maker_record like = {.content = MX_SPAN("x"), .rcpt_count = 3, .sender = ""};
    maker_begin(&maker, 0, 0, 1, 1);
    uint32_t at = maker_record(&maker, &like);
    struct mx_spool_record record;
    memcpy(&record, maker.image + at, sizeof record);
    struct mx_span envelope = {maker.image + at + sizeof record + 1, record.envelope_octets};
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    uint64_t number;
    cr_assert_eq(mx_spool_envelope_next(&cursor, &item), 0);
    cr_expect_eq(item.type, MX_SPOOL_ENV_SENDER);
    cr_expect_eq(item.value.len, 0);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(mx_spool_envelope_next(&cursor, &item), 0);
        cr_expect_eq(item.type, MX_SPOOL_ENV_RCPT);
        cr_expect_eq(item.rcpt, i);
        cr_expect_eq(item.value.ptr[4], (char)('0' + i));
    }
    cr_assert_eq(mx_spool_envelope_next(&cursor, &item), 0);
    cr_expect_not(mx_spool_item_number(&item, &number));
    cr_assert_eq(mx_spool_envelope_next(&cursor, &item), 0);
    cr_expect_eq(item.rcpt, UINT32_MAX);
    cr_assert(mx_spool_item_number(&item, &number));
    cr_expect_eq(number, 12345);
    cr_expect_eq(mx_spool_envelope_next(&cursor, &item), MX_EPARTIAL);
    for (uint32_t rcpts = 0; rcpts < 6; rcpts++)
        cr_expect_eq(mx_spool_envelope_is_sound(envelope, rcpts), rcpts == 3);
    /* cut anywhere it is shorter, or none at all */
    for (size_t len = 0; len < envelope.len; len++) {
        struct mx_span cut = {envelope.ptr, len};
        bool is_sound = mx_spool_envelope_is_sound(cut, 3);
        bool is_at_edge = len == envelope.len - 16 || len == envelope.len - 16 - 8 - 14;
        cr_expect_eq(is_sound, is_at_edge, "%zu of %zu", len, envelope.len);
    }
    free(maker.image);
}

Test(spool_message, no_envelopes) {
    static const struct {
        const char *name;
        struct mx_span octets;
    } cases[] = {
        {"no sender",                 MX_SPAN("\2\0\0\0\1\0\0\0x")        },
        {"longer than there is",      MX_SPAN("\1\0\0\0\2\0\0\0x")        },
        {"very long",                 MX_SPAN("\1\0\0\0\377\377\377\377x")},
        {"half a head",               MX_SPAN("\1\0\0\0\1\0\0")           },
        {"NOTIFY before a recipient",
         MX_SPAN("\1\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0x\2\0\0\0\1\0\0\0x")    },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_not(mx_spool_envelope_is_sound(cases[i].octets, 1), "%s", cases[i].name);
    cr_expect(mx_spool_envelope_is_sound(MX_SPAN("\1\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0x"), 1));
    cr_expect(mx_spool_envelope_is_sound(MX_SPAN("\1\0\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0"), 0));
}

/* ---- content ---- */

enum { TEXT_MAX = 1 << 20 };

static char text[TEXT_MAX];
static size_t text_len;

static int collect(void *context, struct mx_span piece) {
    (void)context;
    cr_assert_leq(piece.len, TEXT_MAX - text_len);
    memcpy(text + text_len, piece.ptr, piece.len);
    text_len += piece.len;
    return 0;
}

static int content_of(struct mx_spool_reader *reader) {
    text_len = 0;
    return mx_spool_reader_content(reader, collect, NULL);
}

/* A message in parts, with others between them: part i of it is full of 'a' + i % 26, 100 + i
 * octets; a new segment after each `every` records. Returns how many segments there are. */
static uint32_t make_parts(uint32_t parts, uint32_t every, size_t octets) {
    static char part[1 << 16];
    struct maker maker;
    uint64_t lsn = MAKER_LSN(1, 1), first_lsn = 0, total = 0;
    uint32_t number = 0, at = 0;
    uint64_t at_epoch = 0, first_epoch = 0;
    for (uint32_t i = 0; i < parts; i++) {
        bool is_last = i == parts - 1;
        if (i % every == 0) {
            maker_begin(&maker, 1 << 20, 0, MAKER_EPOCH(1, 1 + number), lsn);
            if (number > 0)
                maker_prev(&maker, MAKER_EPOCH(1, number), lsn - 1);
        }
        memset(part, 'a' + (int)(i % 26), octets + i);
        total += octets + i;
        struct maker_record like = {
            .type = is_last ? MX_SPOOL_MSG : MX_SPOOL_CHUNK,
            .content = {part, octets + i},
            .message_lsn = first_lsn,
            .chunk = i,
            .prev_offset = at,
            .prev_epoch = at_epoch,
            .first_epoch = first_epoch,
            .total_octets = total,
        };
        maker_message(&maker, "another\r\n");
        at = maker_record(&maker, &like);
        at_epoch = maker.epoch;
        first_epoch = first_epoch != 0 ? first_epoch : maker.epoch;
        first_lsn = first_lsn != 0 ? first_lsn : maker.last_lsn;
        maker_flush(&maker);
        lsn = maker.next_lsn;
        if (i % every == every - 1 || is_last) {
            maker_seal(&maker, true);
            maker_store(&maker, root, number++);
        }
    }
    return number;
}

static bool is_text_of(uint32_t parts, size_t octets) {
    size_t at = 0;
    for (uint32_t i = 0; i < parts; i++) {
        for (size_t j = 0; j < octets + i; j++, at++) {
            if (at >= text_len || text[at] != (char)('a' + (int)(i % 26)))
                return false;
        }
    }
    return at == text_len;
}

Test(spool_message, parts) {
    static const struct {
        uint32_t parts, every;
        size_t octets;
    } cases[] = {
        {1,   1,  0    },
        {1,   1,  100  },
        {2,   2,  100  },
        {2,   1,  100  },
        {10,  3,  50   },
        {90,  7,  1    },
        {9,   2,  20000},
        {200, 40, 5000 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_spool_store store;
        struct mx_spool_reader reader;
        uint32_t number = make_parts(cases[i].parts, cases[i].every, cases[i].octets);
        maker_meta(root, 1);
        look_at(&store);
        cr_assert_eq(store.count, number);
        cr_assert_eq(mx_spool_reader_new(&reader, &store), 0);
        struct mx_spool_id id = {store.node, 0, MAKER_LSN(1, 2)};
        cr_assert_eq(mx_spool_reader_find(&reader, &id, false), 0);
        cr_expect_eq(reader.record.chunk, cases[i].parts - 1);
        cr_assert_eq(content_of(&reader), 0, "%s", reader.why);
        cr_expect(is_text_of(cases[i].parts, cases[i].octets), "case %zu", i);
        cr_expect_eq(mx_spool_reader_content(&reader, NULL, NULL), 0);
        id.lsn = MAKER_LSN(1, 1);
        cr_assert_eq(mx_spool_reader_find(&reader, &id, false), 0);
        cr_assert_eq(content_of(&reader), 0);
        cr_expect_eq(text_len, 9);
        id.lsn = MAKER_LSN(1, 2 * cases[i].parts + 1);
        cr_expect_eq(mx_spool_reader_find(&reader, &id, false), -ENOENT);
        cr_expect_eq(mx_spool_reader_find(&reader, &id, true), -ENOENT);
        id = (struct mx_spool_id){store.node + 1, 0, MAKER_LSN(1, 2)};
        cr_expect_eq(mx_spool_reader_find(&reader, &id, false), -ENOENT);
        mx_spool_reader_free(&reader);
        mx_spool_store_close(&store);
        tear_down();
        set_up();
    }
}

/* Something is wrong with the second of three parts. */
Test(spool_message, broken_chains) {
    enum fault { NONE, GONE, CRC, NUMBER, OWNER, CORE, OFFSET, LENGTH, COUNT, FAULTS };
    for (int fault = NONE; fault < FAULTS; fault++) {
        struct mx_spool_store store;
        struct mx_spool_reader reader;
        struct maker maker;
        maker_meta(root, 1);
        struct maker_record part = {.type = MX_SPOOL_CHUNK, .content = MX_SPAN("12345")};
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
        part.prev_offset = maker_record(&maker, &part);
        maker_flush(&maker);
        maker_seal(&maker, true);
        maker_store(&maker, root, 0);
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 2));
        part.chunk = fault == NUMBER ? 2 : 1;
        part.message_lsn = fault == OWNER ? MAKER_LSN(1, 2) : MAKER_LSN(1, 1);
        part.first_epoch = part.prev_epoch = MAKER_EPOCH(1, 1);
        if (fault == CORE) {
            part.flags = MX_SPOOL_MOVED;
            part.origin_core = 7;
        }
        uint32_t at = maker_record(&maker, &part);
        maker_flush(&maker);
        if (fault == CRC)
            maker.image[at + sizeof(struct mx_spool_record)] ^= 1;
        maker_seal(&maker, true);
        if (fault == GONE)
            free(maker.image);
        else
            maker_store(&maker, root, 1);
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 3), MAKER_LSN(1, 3));
        part = (struct maker_record){.content = MX_SPAN("67890"),
                                     .message_lsn = MAKER_LSN(1, 1),
                                     .chunk = fault == COUNT ? 40 : 2,
                                     .prev_epoch = MAKER_EPOCH(1, 2),
                                     .first_epoch = MAKER_EPOCH(1, 1),
                                     .prev_offset = fault == OFFSET ? at + 32 : at,
                                     .total_octets = fault == LENGTH ? 16 : 15};
        at = maker_record(&maker, &part);
        maker_flush(&maker);
        maker_seal(&maker, true);
        maker_store(&maker, root, 2);
        look_at(&store);
        cr_assert_eq(mx_spool_reader_new(&reader, &store), 0);
        struct mx_spool_segment *segment = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 3));
        uint64_t lsn = MAKER_LSN(1, 3);
        cr_assert_eq(mx_spool_reader_open(&reader, segment, lsn, at), 0);
        cr_expect_eq(content_of(&reader), fault == NONE ? 0 : MX_ESYNTAX, "fault %d", fault);
        if (fault == NONE)
            cr_expect_arr_eq(text, "123451234567890", 15);
        cr_expect_eq(mx_spool_reader_open(&reader, segment, lsn, at + 32), MX_ESYNTAX);
        cr_expect_eq(mx_spool_reader_open(&reader, segment, lsn, 0), MX_ESYNTAX);
        cr_expect_eq(mx_spool_reader_open(&reader, segment, lsn, UINT32_MAX), MX_ESYNTAX);
        mx_spool_reader_free(&reader);
        mx_spool_store_close(&store);
        tear_down();
        set_up();
    }
}

static int refuse_piece(void *context, struct mx_span piece) {
    (void)context;
    (void)piece;
    return -ENOSPC;
}

/* A copy that went to another core's folder; its first part stayed. */
Test(spool_message, moved) {
    struct mx_spool_store store;
    struct mx_spool_reader reader;
    struct maker maker;
    maker_meta(root, 1);
    struct maker_record part = {.type = MX_SPOOL_CHUNK, .content = MX_SPAN("stayed, ")};
    maker_begin(&maker, 0, 3, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    uint32_t at = maker_record(&maker, &part);
    part = (struct maker_record){.content = MX_SPAN("moved\r\n"),
                                 .message_lsn = MAKER_LSN(1, 1),
                                 .chunk = 1,
                                 .prev_epoch = MAKER_EPOCH(1, 1),
                                 .first_epoch = MAKER_EPOCH(1, 1),
                                 .prev_offset = at,
                                 .total_octets = 15};
    (void)maker_record(&maker, &part);
    maker_flush(&maker);
    maker_seal(&maker, true);
    maker_store(&maker, root, 0);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 9), MAKER_LSN(1, 50));
    part.flags = MX_SPOOL_MOVED;
    part.origin_core = 3;
    (void)maker_record(&maker, &part);
    maker_flush(&maker);
    maker_seal(&maker, true);
    maker_store(&maker, root, 0);
    look_at(&store);
    cr_assert_eq(mx_spool_reader_new(&reader, &store), 0);
    struct mx_spool_id id = {store.node, 3, MAKER_LSN(1, 1)};
    for (int is_moved = 0; is_moved < 2; is_moved++) {
        cr_assert_eq(mx_spool_reader_find(&reader, &id, is_moved != 0), 0);
        cr_expect_eq(reader.segment->core, is_moved ? 0 : 3);
        cr_assert_eq(content_of(&reader), 0);
        cr_expect_arr_eq(text, "stayed, moved\r\n", 15);
        cr_expect_eq(mx_spool_reader_content(&reader, refuse_piece, NULL), -ENOSPC);
    }
    id.core = 0;
    cr_expect_eq(mx_spool_reader_find(&reader, &id, false), -ENOENT);
    mx_spool_reader_free(&reader);
    mx_spool_store_close(&store);
}
