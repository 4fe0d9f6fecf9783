/* spool_store_test.c - opening a spool: new ones, lost meta files, strangers, free files, messages
 * in several segments. What recovery makes of torn and damaged ones: spool_recover_test.c.
 */
#include "tests/unit/spool_world.h"

TestSuite(spool_store, .init = set_up, .fini = tear_down);

/* ---- new spools, meta ---- */

Test(spool_store, new_spool) {
    struct mx_spool_store store;
    struct mx_spool_meta meta;
    uint8_t uuid[16];
    open_store(&store);
    cr_expect_eq(store.run, 1);
    cr_expect_eq(store.count, 0);
    cr_expect_eq(event_count, 0);
    memcpy(uuid, store.uuid, sizeof uuid);
    cr_expect_eq(faccessat(store.dirs[0].fd, "0", X_OK, 0), 0);
    cr_expect_eq(faccessat(store.dirs[0].fd, "acks", X_OK, 0), 0);
    cr_assert_eq(mx_spool_meta_read(&meta, store.dirs[0].fd), 0);
    cr_expect_eq(meta.run, 1);
    mx_spool_store_close(&store);
    open_store(&store);
    cr_expect_eq(store.run, 2);
    cr_expect_arr_eq(store.uuid, uuid, sizeof uuid);
    mx_spool_store_close(&store);
}

Test(spool_store, one_server_at_a_time) {
    struct mx_spool_store store, other;
    struct mx_spool_store_conf conf = conf_of(1, 0);
    open_store(&store);
    cr_expect_eq(mx_spool_store_open(&other, &conf), -EWOULDBLOCK);
    cr_expect(was_alarm());
    cr_assert_eq(mx_spool_store_look(&other, &conf), 0);
    cr_expect(other.is_running);
    mx_spool_store_close(&other);
    mx_spool_store_close(&store);
    cr_assert_eq(mx_spool_store_look(&other, &conf), 0);
    cr_expect_not(other.is_running);
    mx_spool_store_close(&other);
}

Test(spool_store, no_spool_there) {
    struct mx_spool_store store;
    struct mx_spool_store_conf conf = conf_of(1, 0);
    cr_expect_eq(mx_spool_store_look(&store, &conf), -ENOENT);
    conf.directory = "/nonexistent/spool";
    cr_expect_eq(mx_spool_store_look(&store, &conf), -ENOENT);
}

static void write_meta(const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/meta", root);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

Test(spool_store, meta_is_made_again) {
    static const char *const texts[] = {NULL, "", "mxring-spool 1\nuuid 0\nrun 1\n",
                                        "mxring-spool 1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mx_spool_store store;
        struct maker maker;
        maker_begin(&maker, 0, 0, MAKER_EPOCH(7, 3), MAKER_LSN(7, 1));
        maker_message(&maker, "x\r\n");
        maker_flush(&maker);
        maker_store(&maker, root, 1);
        if (texts[i] != NULL)
            write_meta(texts[i]);
        open_store(&store);
        cr_expect(was_told("spool_meta_lost"));
        cr_expect(was_alarm());
        cr_expect_arr_eq(store.uuid, maker_uuid, 16);
        cr_expect_eq(store.run, 8, "%zu: %u", i, store.run);
        expect_messages(&store, MAKER_EPOCH(7, 3), "1");
        cr_expect_eq(unlinkat(store.dirs[0].fd, "meta", 0), 0);
        mx_spool_store_close(&store);
    }
}

Test(spool_store, run_is_never_used_again) {
    struct mx_spool_store store;
    struct maker maker;
    maker_meta(root, 3);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(9, 1), MAKER_LSN(9, 1));
    maker_store(&maker, root, 0);
    open_store(&store);
    cr_expect_eq(store.run, 10);
    mx_spool_store_close(&store);
}

Test(spool_store, another_version_is_refused) {
    struct mx_spool_store store;
    struct mx_spool_store_conf conf = conf_of(1, 0);
    write_meta("mxring-spool 2\nsomething else\n");
    cr_expect_eq(mx_spool_store_open(&store, &conf), -EPROTONOSUPPORT);
    cr_expect(was_alarm());
    event_count = 0;
    cr_expect_eq(mx_spool_store_look(&store, &conf), -EPROTONOSUPPORT);
    cr_expect(was_alarm());
}

Test(spool_store, second_directory) {
    struct mx_spool_store store;
    struct maker maker;
    struct mx_spool_store_conf conf = conf_of(2, MAKER_SEGMENT);
    conf.second = second;
    cr_assert_eq(mx_spool_store_open(&store, &conf), 0);
    cr_expect_eq(faccessat(store.dirs[1].fd, "1", X_OK, 0), 0);
    cr_expect_neq(faccessat(store.dirs[1].fd, "acks", X_OK, 0), 0);
    mx_spool_store_close(&store);
    maker_meta(root, 4); /* other UUID than the second has: it belongs to another spool */
    cr_expect_eq(mx_spool_store_open(&store, &conf), -EXDEV);
    maker_meta(second, 6);
    maker_begin(&maker, 0, 1, MAKER_EPOCH(4, 1), MAKER_LSN(4, 1));
    maker_message(&maker, "x\r\n");
    maker_flush(&maker);
    maker_store(&maker, second, 0);
    cr_assert_eq(mx_spool_store_open(&store, &conf), 0);
    cr_expect_eq(store.run, 7);
    cr_assert_eq(store.count, 1);
    cr_expect_eq(store.segments[0].dir, 1);
    cr_expect_eq(store.segments[0].message_count, 1);
    mx_spool_store_close(&store);
    conf.second = "/dev/null/x"; /* mail is taken without it, and somebody is told */
    event_count = 0;
    cr_assert_eq(mx_spool_store_open(&store, &conf), 0);
    cr_expect(was_alarm());
    mx_spool_store_close(&store);
}

/* ---- files ---- */

Test(spool_store, older_lives_of_a_file_do_not_count) {
    struct mx_spool_store store;
    struct maker old, maker;
    maker_meta(root, 2);
    make_batches(&old, 8);
    old.committed_lsn = MAKER_LSN(1, 16);
    maker_message(&old, "x\r\n");
    maker_flush(&old);
    maker_seal(&old, false); /* the old footer is there, too */
    maker_begin(&maker, 0, 0, MAKER_EPOCH(2, 5), MAKER_LSN(2, 1));
    maker_message(&maker, "new\r\n");
    maker_flush(&maker);
    memcpy(old.image, maker.image, maker.offset);
    free(maker.image);
    maker_store(&old, root, 0);
    look_at(&store);
    cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_OPEN);
    mx_spool_store_close(&store);
    open_store(&store);
    cr_expect_eq(store.count, 1);
    expect_messages(&store, MAKER_EPOCH(2, 5), "1");
    cr_expect_not(was_alarm());
    cr_expect_eq(strstr(events[0].text, "torn"), NULL);
    mx_spool_store_close(&store);
}

Test(spool_store, header_copies) {
    static const struct {
        const char *name;
        bool first, other; /* damaged */
        bool has_footer;
        enum mx_spool_segment_state state;
    } cases[] = {
        {"both whole",           false, false, false, MX_SPOOL_SEGMENT_SEALED },
        {"first damaged",        true,  false, false, MX_SPOOL_SEGMENT_SEALED },
        {"second damaged",       false, true,  false, MX_SPOOL_SEGMENT_SEALED },
        {"both damaged",         true,  true,  false, MX_SPOOL_SEGMENT_DAMAGED},
        {"both, with a footer",  true,  true,  true,  MX_SPOOL_SEGMENT_DAMAGED},
        {"first, with a footer", true,  false, true,  MX_SPOOL_SEGMENT_SEALED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_spool_store store;
        struct maker maker;
        maker_meta(root, 1);
        make_batches(&maker, 3);
        if (cases[i].has_footer)
            maker_seal(&maker, i % 2 == 0);
        if (cases[i].first)
            maker.image[30] ^= 1;
        if (cases[i].other)
            maker.image[MX_SPOOL_COPY_AT + 30] ^= 1;
        maker_store(&maker, root, 0);
        for (int pass = 0; pass < 2; pass++) {
            open_store(&store);
            cr_assert_eq(store.count, 1);
            cr_expect_eq(store.segments[0].state, cases[i].state, "%s", cases[i].name);
            cr_expect_eq(was_alarm(), cases[i].state == MX_SPOOL_SEGMENT_DAMAGED, "%s",
                         cases[i].name);
            expect_messages(&store, MAKER_EPOCH(1, 1), "1 2 3 4 5 6");
            cr_expect_eq(store.segments[0].message_count, 6);
            mx_spool_store_close(&store);
        }
    }
}

Test(spool_store, damaged_header_of_a_recycled_file) {
    struct mx_spool_store store;
    struct maker old, maker;
    maker_meta(root, 2);
    make_batches(&old, 8);
    maker_seal(&old, false);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(2, 5), MAKER_LSN(2, 1));
    maker_message(&maker, "new\r\n");
    maker_flush(&maker);
    memset(maker.image, 0xff, MX_SPOOL_BLOCK);
    memcpy(old.image, maker.image, maker.offset);
    free(maker.image);
    maker_store(&old, root, 0);
    open_store(&store);
    cr_assert_eq(store.count, 1);
    cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_DAMAGED);
    cr_expect_eq(store.segments[0].epoch, MAKER_EPOCH(2, 5));
    expect_messages(&store, MAKER_EPOCH(2, 5), "1");
    mx_spool_store_close(&store);
}

Test(spool_store, free_files) {
    struct mx_spool_store store;
    struct maker maker;
    static const uint64_t sizes[] = {MAKER_SEGMENT, MAKER_SEGMENT / 2, 4096, 100, 0};
    maker_meta(root, 1);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        maker_begin(&maker, 0, 0, 1, 1);
        memset(maker.image, 0, MX_SPOOL_BLOCK);
        maker.size = sizes[i];
        maker_store(&maker, root, i);
    }
    maker_begin(&maker, 0, 3, 1, 1); /* of a core that has no worker any more */
    memset(maker.image, 0, MX_SPOOL_BLOCK);
    maker_store(&maker, root, 0);
    open_store(&store);
    cr_expect_eq(store.count, 1);
    cr_expect_eq(store.segments[0].state, MX_SPOOL_SEGMENT_FREE);
    cr_expect_eq(store.segments[0].number, 0);
    cr_expect_eq(event_count, 0);
    char path[256];
    for (uint32_t i = 1; i < sizeof sizes / sizeof *sizes; i++) {
        maker_path(path, root, 0, i, "");
        cr_expect_neq(access(path, F_OK), 0, "file %u", i);
    }
    maker_path(path, root, 3, 0, "");
    cr_expect_neq(access(path, F_OK), 0);
    mx_spool_store_close(&store);
}

/* ---- messages in several segments ---- */

/* Epoch 1 has a chunk, epoch 2 the end of that message. */
static void make_chain(bool has_end) {
    struct maker maker;
    struct maker_record chunk = {.type = MX_SPOOL_CHUNK, .content = MX_SPAN("first half, ")};
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    uint32_t at = maker_record(&maker, &chunk);
    maker_flush(&maker);
    maker_seal(&maker, false);
    maker_store(&maker, root, 0);
    maker_begin(&maker, 0, 0, MAKER_EPOCH(1, 2), MAKER_LSN(1, 2));
    maker_prev(&maker, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    struct maker_record end = {.content = MX_SPAN("second half\r\n"),
                               .message_lsn = MAKER_LSN(1, 1),
                               .chunk = 1,
                               .prev_epoch = MAKER_EPOCH(1, 1),
                               .first_epoch = MAKER_EPOCH(1, 1),
                               .prev_offset = at,
                               .total_octets = 25};
    if (has_end)
        (void)maker_record(&maker, &end);
    else
        maker_message(&maker, "x\r\n");
    maker_flush(&maker);
    maker_store(&maker, root, 1);
}

Test(spool_store, chunks_are_kept_for_their_message) {
    for (int has_end = 0; has_end < 2; has_end++) {
        struct mx_spool_store store;
        maker_meta(root, 1);
        make_chain(has_end != 0);
        for (int pass = 0; pass < 2; pass++) {
            open_store(&store);
            struct mx_spool_segment *first = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 1));
            cr_expect_eq(first != NULL, has_end, "chunks without their message are no message");
            if (first != NULL)
                cr_expect(mx_spool_store_is_needed(&store, first));
            struct mx_spool_segment *last = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2));
            cr_assert_not_null(last);
            cr_expect_eq(last->oldest_epoch, MAKER_EPOCH(1, has_end ? 1 : 2));
            cr_expect_not(mx_spool_store_is_needed(&store, last));
            expect_messages(&store, MAKER_EPOCH(1, 2), has_end ? "1" : "2");
            mx_spool_store_close(&store);
        }
    }
}

Test(spool_store, strangers_are_left_alone) {
    struct mx_spool_store store;
    struct maker maker;
    maker_meta(root, 1);
    make_batches(&maker, 1);
    maker_store(&maker, root, 0);
    make_batches(&maker, 1); /* a copy under another name */
    maker_store(&maker, root, 1);
    make_batches(&maker, 1); /* of another core */
    maker.core = 1;
    maker_store(&maker, root, 0);
    make_batches(&maker, 1); /* of another spool */
    struct mx_spool_header header;
    memcpy(&header, maker.image, sizeof header);
    header.uuid[3] ^= 1;
    mx_spool_header_write(maker.image, &header);
    maker_store(&maker, root, 2);
    make_batches(&maker, 1); /* of another version */
    for (int i = 0; i < 2; i++)
        maker.image[12 + i * MX_SPOOL_COPY_AT] = 9;
    maker_store(&maker, root, 3);
    open_store(&store);
    cr_assert_eq(store.count, 5);
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < store.count; i++)
        damaged += store.segments[i].state == MX_SPOOL_SEGMENT_DAMAGED;
    cr_expect_eq(damaged, 4);
    cr_expect_eq(size_of(0, 2), (uint64_t)MAKER_SEGMENT);
    cr_expect_eq(size_of(0, 3), (uint64_t)MAKER_SEGMENT);
    cr_expect_eq(size_of(1, 0), (uint64_t)MAKER_SEGMENT);
    expect_messages(&store, MAKER_EPOCH(1, 1), "1 2");
    mx_spool_store_close(&store);
}
