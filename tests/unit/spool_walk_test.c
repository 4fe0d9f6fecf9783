/* spool_walk_test.c - walking over segments: a light walk gives what a full one gives, and reads
 * less; a damaged segment gives exactly the records that are whole, whatever is flipped or
 * overwritten.
 */
#include "engine/spool/walk.h"
#include "tests/unit/guard.h"
#include "tests/unit/spool_world.h"

enum { RECORDS_MAX = 400 };

TestSuite(spool_walk, .init = set_up, .fini = tear_down);

struct records {
    uint64_t lsns[RECORDS_MAX];
    uint64_t offsets[RECORDS_MAX], ends[RECORDS_MAX];
    uint32_t count;
};

static struct mx_spool_file file;

static void walk_over(const struct maker *maker, bool is_light, struct records *records) {
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    struct mx_spool_segment segment = {.core = maker->core,
                                       .epoch = maker->epoch,
                                       .base_lsn = 1,
                                       .end_offset = maker->offset,
                                       .cut_lsn = MX_SPOOL_NO_CUT};
    char name[MX_SPOOL_NAME_MAX];
    int folder = open(root, O_RDONLY | O_DIRECTORY);
    mx_spool_segment_name(name, maker->core, 0, "");
    cr_assert_eq(mx_spool_file_open(&file, folder, name), 0);
    close(folder);
    mx_spool_walk_begin(&walk, &file, maker_uuid, &segment, is_light);
    records->count = 0;
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        cr_assert_lt(records->count, (uint32_t)RECORDS_MAX);
        records->lsns[records->count] = record.lsn;
        records->offsets[records->count] = offset;
        records->ends[records->count++] = offset + mx_spool_record_size(&record);
    }
}

static struct maker copy_of(const struct maker *maker) {
    struct maker copy = *maker;
    copy.image = malloc(copy.size);
    cr_assert_not_null(copy.image);
    memcpy(copy.image, maker->image, copy.size);
    return copy;
}

/* Batches of up to 12 records of up to 3000 octets. */
static void make_some(struct maker *maker, uint32_t batches, struct rng *rng) {
    static char text[3000];
    memset(text, 'x', sizeof text);
    maker_begin(maker, 0, 0, MAKER_EPOCH(1, 1), 1);
    for (uint32_t i = 0; i < batches; i++) {
        for (uint32_t n = rng_take(rng, 12) + 1; n > 0; n--) {
            struct maker_record like = {
                .content = {text, rng_take(rng, 3000)}
            };
            (void)maker_record(maker, &like);
        }
        maker_flush(maker);
    }
}

/* Anything is written over any places: what is left whole is found, and nothing else. A light walk
 * may give more, as it does not look at all CRCs, but those always. */
Test(spool_walk, exactly_what_is_whole) {
    struct rng rng = {271828};
    static struct records whole, full, light;
    cr_assert_eq(mx_spool_file_new(&file), 0);
    for (int run = 0; run < 150; run++) {
        struct maker maker;
        make_some(&maker, 6, &rng);
        struct maker copy = copy_of(&maker);
        maker_store(&copy, root, 0);
        walk_over(&maker, false, &whole);
        walk_over(&maker, true, &light);
        cr_assert_eq(light.count, whole.count);
        cr_assert_arr_eq(light.offsets, whole.offsets, whole.count * sizeof *whole.offsets);
        bool is_lost[RECORDS_MAX] = {false};
        copy = copy_of(&maker);
        for (uint32_t n = rng_take(&rng, 6); n > 0; n--) {
            uint64_t at =
                MX_SPOOL_BLOCK + rng_take(&rng, (uint32_t)(maker.offset - MX_SPOOL_BLOCK));
            uint64_t len = rng_take(&rng, 4) == 0 ? 1 + rng_take(&rng, 9000) : 1;
            len = len < maker.offset - at ? len : maker.offset - at;
            for (uint64_t i = at; i < at + len; i++)
                copy.image[i] = (char)(maker.image[i] ^ 0x55);
            for (uint32_t i = 0; i < whole.count; i++)
                is_lost[i] = is_lost[i] || (at < whole.ends[i] && at + len > whole.offsets[i]);
        }
        /* two that overlap may undo each other: what counts is the result */
        for (uint32_t i = 0; i < whole.count; i++) {
            size_t len = whole.ends[i] - whole.offsets[i];
            if (memcmp(copy.image + whole.offsets[i], maker.image + whole.offsets[i], len) == 0)
                is_lost[i] = false;
        }
        maker_store(&copy, root, 0);
        walk_over(&maker, false, &full);
        walk_over(&maker, true, &light);
        uint32_t at = 0, at_light = 0;
        for (uint32_t i = 0; i < whole.count; i++) {
            bool is_there = at < full.count && full.lsns[at] == whole.lsns[i];
            cr_expect_eq(is_there, !is_lost[i], "run %d: LSN %lu", run,
                         (unsigned long)whole.lsns[i]);
            at += is_there;
            bool is_light = at_light < light.count && light.lsns[at_light] == whole.lsns[i];
            cr_expect(is_light || is_lost[i], "run %d: LSN %lu", run, (unsigned long)whole.lsns[i]);
            at_light += is_light;
        }
        cr_expect_eq(at, full.count);
        cr_expect_eq(at_light, light.count);
        free(maker.image);
    }
    mx_spool_file_free(&file);
}

/* Content that looks like batches and records, of the same segment even, is content. */
Test(spool_walk, content_is_content) {
    static struct records records;
    struct maker inner, maker;
    struct rng rng = {5};
    cr_assert_eq(mx_spool_file_new(&file), 0);
    make_some(&inner, 3, &rng);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 1), 1);
    /* so that the inner batches begin at blocks */
    static char
        gap[MX_SPOOL_BLOCK - sizeof(struct mx_spool_batch) - sizeof(struct mx_spool_record)];
    struct maker_record like = {.type = MX_SPOOL_CHUNK};
    maker_put(&maker, "", 0);
    char *text = malloc(sizeof gap + inner.offset);
    cr_assert_not_null(text);
    memcpy(text, gap, sizeof gap);
    memcpy(text + sizeof gap, inner.image + MX_SPOOL_BLOCK, inner.offset - MX_SPOOL_BLOCK);
    like.content = (struct mx_span){text, sizeof gap + inner.offset - MX_SPOOL_BLOCK};
    (void)maker_record(&maker, &like);
    maker_flush(&maker);
    maker_message(&maker, "y\r\n");
    maker_flush(&maker);
    struct maker copy = copy_of(&maker);
    maker_store(&copy, root, 0);
    for (int is_light = 0; is_light < 2; is_light++) {
        walk_over(&maker, is_light != 0, &records);
        cr_expect_eq(records.count, 2);
    }
    free(text);
    free(inner.image);
    free(maker.image);
    mx_spool_file_free(&file);
}

/* A record in a hole that is whole, but whose LSN belongs behind the next batch. */
Test(spool_walk, order_in_holes) {
    static struct records records;
    struct maker maker;
    cr_assert_eq(mx_spool_file_new(&file), 0);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 1), 1);
    maker_message(&maker, "x");
    maker.next_lsn = 101;
    maker_message(&maker, "x");
    maker_flush(&maker);
    maker.next_lsn = maker.first_lsn = 2;
    maker_message(&maker, "x");
    maker_message(&maker, "x");
    maker_flush(&maker);
    maker.image[MX_SPOOL_BLOCK] ^= 1;
    struct maker copy = copy_of(&maker);
    maker_store(&copy, root, 0);
    walk_over(&maker, false, &records);
    cr_assert_eq(records.count, 3);
    cr_expect_eq(records.lsns[0], 1);
    cr_expect_eq(records.lsns[1], 2);
    cr_expect_eq(records.lsns[2], 3);
    free(maker.image);
    mx_spool_file_free(&file);
}

Test(spool_walk, light_walks_skip_content) {
    enum { BIG = 1 << 20, MESSAGES = 12 };
    static struct records full, light;
    struct maker maker;
    char *text = calloc(1, BIG - 4096);
    cr_assert_not_null(text);
    cr_assert_eq(mx_spool_file_new(&file), 0);
    struct maker_record like = {
        .content = {text, BIG - 4096}
    };
    maker_begin(&maker, (MESSAGES + 2) * (uint64_t)BIG, 0, MAKER_EPOCH(1, 1), 1);
    for (int i = 0; i < MESSAGES; i++) {
        (void)maker_record(&maker, &like);
        maker_flush(&maker);
    }
    uint64_t octets = maker.offset;
    maker_store(&maker, root, 0);
    maker.offset = octets;
    walk_over(&maker, false, &full);
    uint64_t reads = file.reads;
    walk_over(&maker, true, &light);
    cr_expect_eq(full.count, MESSAGES);
    cr_expect_eq(light.count, MESSAGES);
    cr_expect_leq(file.reads - reads, MESSAGES + 2u);
    free(text);
    mx_spool_file_free(&file);
}

Test(spool_walk, names) {
    static const struct {
        const char *name;
        bool is_good;
        uint32_t number;
    } cases[] = {
        {"seg.000000",         true,  0        },
        {"seg.000017",         true,  17       },
        {"seg.999999",         true,  999999   },
        {"seg.1000000",        true,  1000000  },
        {"seg.999999999",      true,  999999999},
        {"seg.0000017",        false, 0        },
        {"seg.00017",          false, 0        },
        {"seg.",               false, 0        },
        {"seg.00001x",         false, 0        },
        {"seg.-00017",         false, 0        },
        {"seg.000017.damaged", false, 0        },
        {"seg.9999999999",     false, 0        },
        {"xeg.000017",         false, 0        },
        {"seg.4294967296",     false, 0        },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t number = 0;
        cr_expect_eq(mx_spool_segment_parse(cases[i].name, &number), cases[i].is_good, "%s",
                     cases[i].name);
        cr_expect_eq(number, cases[i].number);
        char again[MX_SPOOL_NAME_MAX];
        mx_spool_segment_name(again, 0, number, "");
        if (cases[i].is_good)
            cr_expect_str_eq(again + 2, cases[i].name);
    }
}
