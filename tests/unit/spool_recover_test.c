/* spool_recover_test.c - recovery: whatever the disk has made of a spool, the server starts, what
 * was acknowledged is kept, what was torn or refused is void, and nothing is freed that somebody
 * needs.
 */
#include "tests/unit/spool_world.h"

TestSuite(spool_recover, .init = set_up, .fini = tear_down);

/* ---- ends ---- */

Test(spool_recover, killed_and_recovered) {
    struct mx_spool_store store;
    struct maker maker;
    uint64_t prev_epoch, prev_sealed_lsn;
    maker_meta(root, 1);
    make_batches(&maker, 3);
    uint64_t end = maker.offset;
    maker_store(&maker, root, 0);
    for (int i = 0; i < 3; i++) { /* looked at, recovered, recovered already */
        if (i == 0)
            look_at(&store);
        else
            open_store(&store);
        cr_assert_eq(store.count, 1);
        struct mx_spool_segment *segment = &store.segments[0];
        cr_expect_eq(segment->state, i == 0 ? MX_SPOOL_SEGMENT_OPEN : MX_SPOOL_SEGMENT_SEALED);
        cr_expect_eq(segment->end_offset, end);
        cr_expect_eq(segment->message_count, 6);
        cr_expect_eq(segment->rcpt_count, 6);
        cr_expect_eq(segment->last_lsn, MAKER_LSN(1, 6));
        cr_expect_eq(segment->oldest_epoch, MAKER_EPOCH(1, 1));
        cr_expect_eq(size_of(0, 0), i == 0 ? (uint64_t)MAKER_SEGMENT : end + MX_SPOOL_BLOCK);
        expect_messages(&store, MAKER_EPOCH(1, 1), "1 2 3 4 5 6");
        mx_spool_store_last(&store, 0, &prev_epoch, &prev_sealed_lsn);
        cr_expect_eq(prev_epoch, MAKER_EPOCH(1, 1));
        cr_expect_eq(prev_sealed_lsn, MAKER_LSN(1, 6));
        cr_expect_not(was_alarm());
        cr_expect_eq(was_told("spool_recovered"), i == 1);
        mx_spool_store_close(&store);
    }
}

/* The last batch is on the disk up to some sector, or with one missing; older octets behind. */
Test(spool_recover, torn_at_every_sector) {
    enum { SECTOR = 512 };
    struct maker maker;
    static char text[9000];
    memset(text, 'x', sizeof text - 1);
    make_batches(&maker, 2);
    uint64_t torn = maker.offset;
    maker_message(&maker, text);
    maker_message(&maker, "y\r\n");
    maker_flush(&maker);
    uint64_t end = maker.offset;
    for (uint64_t at = torn; at < end; at += SECTOR) {
        for (int is_hole = 0; is_hole < 2; is_hole++) {
            struct mx_spool_store store;
            struct maker copy = maker;
            copy.image = malloc(copy.size);
            memcpy(copy.image, maker.image, copy.size);
            memset(copy.image + at, 0xa5, is_hole ? SECTOR : end - at);
            maker_meta(root, 1);
            maker_store(&copy, root, 0);
            look_at(&store);
            cr_expect_eq(store.segments[0].end_offset, torn, "sector at %lu", (unsigned long)at);
            mx_spool_store_close(&store);
            open_store(&store);
            cr_expect_eq(store.segments[0].end_offset, torn, "sector at %lu", (unsigned long)at);
            cr_expect_eq(size_of(0, 0), torn + MX_SPOOL_BLOCK);
            expect_messages(&store, MAKER_EPOCH(1, 1), "1 2 3 4");
            cr_expect_not(was_alarm());
            mx_spool_store_close(&store);
        }
    }
    free(maker.image);
}

/* Four batches were on their way, and any of them may have arrived; or acknowledged ones were lost.
 * A letter a batch: . whole, x damaged. committed: what the last batch says, in batches. */
Test(spool_recover, holes) {
    static const struct {
        const char *name, *batches;
        uint32_t committed;
        bool is_damaged;
        const char *messages;
    } cases[] = {
        {"nothing missing",              "....", 3, false, "1 2 3 4 5 6 7 8"},
        {"last one torn",                "...x", 0, false, "1 2 3 4 5 6"    },
        {"first one torn",               "x...", 0, false, ""               },
        {"only the last came",           "xxx.", 0, false, ""               },
        {"hole, later one not answered", ".x..", 1, false, "1 2"            },
        {"two holes",                    ".x.x", 1, false, "1 2"            },
        {"hole behind the answered",     "..x.", 2, false, "1 2 3 4"        },
        {"answered one lost",            ".x..", 2, true,  "1 2 5 6 7 8"    },
        {"first one lost",               "x...", 1, true,  "3 4 5 6 7 8"    },
        {"three lost",                   "xxx.", 3, true,  "7 8"            },
        {"one lost, one torn",           ".x.x", 0, false, "1 2"            },
        {"one lost, a torn hole behind", "x.x.", 1, true,  "3 4"            },
        {"two lost",                     "x.x.", 3, true,  "3 4 7 8"        },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_spool_store store;
        struct maker maker;
        maker_meta(root, 1);
        make_batches(&maker, 3);
        maker.committed_lsn = MAKER_LSN(1, UINT64_C(2) * cases[i].committed);
        maker_message(&maker, "x\r\n");
        maker_message(&maker, "x\r\n");
        maker_flush(&maker);
        for (uint64_t batch = 0; batch < 4; batch++) {
            if (cases[i].batches[batch] == 'x')
                memset(maker.image + (1 + batch) * MX_SPOOL_BLOCK, 0x5a, MX_SPOOL_BLOCK);
        }
        maker_store(&maker, root, 0);
        for (int pass = 0; pass < 3; pass++) {
            if (pass == 0)
                look_at(&store);
            else
                open_store(&store);
            cr_expect_eq(was_alarm(), pass > 0 && cases[i].is_damaged, "%s", cases[i].name);
            expect_messages(&store, MAKER_EPOCH(1, 1), cases[i].messages);
            if (cases[i].is_damaged) {
                cr_assert_eq(store.count, 1);
                cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_DAMAGED);
                cr_expect_eq(size_of(0, 0), (uint64_t)MAKER_SEGMENT, "%s", cases[i].name);
                cr_expect_eq(has_damage_file(0, 0), pass > 0, "%s", cases[i].name);
            } else if (pass > 0 && *cases[i].messages == '\0') {
                cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_FREE, "%s", cases[i].name);
            }
            mx_spool_store_close(&store);
        }
        char path[256];
        maker_path(path, root, 0, 0, ".damaged");
        cr_expect_eq(unlink(path) == 0, cases[i].is_damaged);
    }
}

Test(spool_recover, records_are_salvaged) {
    struct mx_spool_store store;
    struct maker maker;
    static const char big[5000] = "text";
    struct maker_record like = {
        .content = {big, sizeof big}
    };
    maker_meta(root, 1);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    uint32_t at[4];
    for (int i = 0; i < 4; i++)
        at[i] = maker_record(&maker, &like);
    maker_flush(&maker);
    maker.committed_lsn = MAKER_LSN(1, 4);
    maker_message(&maker, "x\r\n");
    maker_flush(&maker);
    maker.image[at[1] + 700] ^= 1;            /* in the content of LSN 2 */
    maker.image[MX_SPOOL_BLOCK + 20] ^= 0x40; /* in the header of the batch */
    maker.image[at[2] + 40] ^= 4;             /* in the header of LSN 3 */
    maker_store(&maker, root, 0);
    open_store(&store);
    expect_messages(&store, MAKER_EPOCH(1, 1), "1 4 5");
    cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_DAMAGED);
    cr_expect_eq(store.segments[0].message_count, 3);
    cr_expect_eq(store.segments[0].rcpt_count, 5);
    mx_spool_store_close(&store);
}

/* ---- void records ---- */

Test(spool_recover, refused_ones_are_void) {
    static const struct {
        uint32_t sealed; /* LSN */
        bool is_damaged; /* more was acknowledged than is there */
        const char *messages;
    } cases[] = {
        {6, false, "1 2 3 4 5 6"},
        {4, false, "1 2 3 4"    },
        {3, false, "1 2 3"      },
        {0, false, ""           },
        {8, true,  "1 2 3 4 5 6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int is_sealed = 0; is_sealed < 2; is_sealed++) {
            struct mx_spool_store store;
            struct maker maker;
            maker_meta(root, 1);
            make_batches(&maker, 3);
            if (is_sealed)
                maker_seal(&maker, false);
            maker_store(&maker, root, 0);
            maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 20));
            maker_prev(&maker, MAKER_EPOCH(1, 1), MAKER_LSN(1, cases[i].sealed));
            maker_message(&maker, "x\r\n");
            maker_flush(&maker);
            maker_store(&maker, root, 1);
            for (int pass = 0; pass < 3; pass++) {
                if (pass == 0)
                    look_at(&store);
                else
                    open_store(&store);
                expect_messages(&store, MAKER_EPOCH(1, 1), cases[i].messages);
                expect_messages(&store, MAKER_EPOCH(1, 2), "20");
                const struct mx_spool_segment *cut =
                    mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 1));
                if (cut != NULL && !cases[i].is_damaged)
                    cr_expect_eq(cut->end_offset, UINT64_C(4096) * (1 + (cases[i].sealed + 1) / 2));
                cr_expect_eq(was_alarm(), pass > 0 && cases[i].is_damaged && !is_sealed);
                mx_spool_store_close(&store);
            }
        }
    }
}

/* The next segment tells of more than there is: the file has lost its end. */
Test(spool_recover, cut_short) {
    for (uint64_t blocks = 1; blocks < 4; blocks++) {
        static const char *const messages[] = {"", "", "1 2", "1 2 3 4"};
        struct mx_spool_store store;
        struct maker maker;
        maker_meta(root, 1);
        make_batches(&maker, 3);
        maker.size = blocks * MX_SPOOL_BLOCK;
        maker_store(&maker, root, 0);
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 7));
        maker_prev(&maker, MAKER_EPOCH(1, 1), MAKER_LSN(1, 6));
        maker_message(&maker, "x\r\n");
        maker_flush(&maker);
        maker_store(&maker, root, 1);
        open_store(&store);
        cr_expect(was_alarm());
        expect_messages(&store, MAKER_EPOCH(1, 1), messages[blocks]);
        mx_spool_store_close(&store);
    }
}

/* The header of the segment between the two did not reach the disk: what the next one says of its
 * end holds for the ones before, too, if it is of the same run. */
Test(spool_recover, refused_ones_before_a_header_that_failed) {
    for (uint32_t run = 1; run < 3; run++) {
        struct mx_spool_store store;
        struct maker maker;
        maker_meta(root, 1);
        make_batches(&maker, 3);
        maker_store(&maker, root, 0);
        maker_begin(&maker, 0, 0, MAKER_EPOCH(run, 3), MAKER_LSN(run, 20));
        maker_prev(&maker, MAKER_EPOCH(1, 2), MAKER_LSN(1, 4));
        maker_message(&maker, "x\r\n");
        maker_flush(&maker);
        maker_store(&maker, root, 1);
        for (int pass = 0; pass < 3; pass++) {
            if (pass == 0)
                look_at(&store);
            else
                open_store(&store);
            expect_messages(&store, MAKER_EPOCH(1, 1), run == 1 ? "1 2 3 4" : "1 2 3 4 5 6");
            expect_messages(&store, MAKER_EPOCH(run, 3), "20");
            cr_expect_not(was_alarm());
            mx_spool_store_close(&store);
        }
    }
}

/* The segment that says where another one ends is not freed before that one has a footer. */
Test(spool_recover, the_cut_outlives_its_segment) {
    struct mx_spool_store store;
    struct maker maker;
    maker_meta(root, 1);
    make_batches(&maker, 3);
    maker_store(&maker, root, 0);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 20));
    maker_prev(&maker, MAKER_EPOCH(1, 1), MAKER_LSN(1, 4));
    maker_store(&maker, root, 1); /* a header and nothing else */
    open_store(&store);
    expect_messages(&store, MAKER_EPOCH(1, 1), "1 2 3 4");
    cr_expect_null(mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2)));
    cr_expect_eq(store.count, 2);
    cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_FREE);
    mx_spool_store_close(&store);
    open_store(&store);
    expect_messages(&store, MAKER_EPOCH(1, 1), "1 2 3 4");
    mx_spool_store_close(&store);
}

Test(spool_recover, the_cut_of_a_damaged_one_stays) {
    struct mx_spool_store store;
    struct maker maker;
    maker_meta(root, 1);
    make_batches(&maker, 3);
    memset(maker.image + MX_SPOOL_BLOCK, 1, MX_SPOOL_BLOCK);
    maker_store(&maker, root, 0);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 20));
    maker_prev(&maker, MAKER_EPOCH(1, 1), MAKER_LSN(1, 4));
    maker_store(&maker, root, 1);
    for (int pass = 0; pass < 2; pass++) {
        open_store(&store);
        expect_messages(&store, MAKER_EPOCH(1, 1), "3 4");
        cr_expect_not_null(mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2)));
        mx_spool_store_close(&store);
    }
}
