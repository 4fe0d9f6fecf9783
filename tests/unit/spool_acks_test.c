/* spool_acks_test.c - ack logs: what is appended is read, as the logs grow, are cut and replaced;
 * final stays final; nothing that is damaged counts; a plain array of states is the measure of a
 * random run.
 */
#include "engine/spool/acks.h"
#include "tests/unit/guard.h"
#include "tests/unit/spool_world.h"

static struct mx_spool_store store;

static void open_world(void) {
    struct maker maker;
    set_up();
    maker_meta(root, 1);
    for (uint32_t i = 1; i <= 3; i++) {
        maker_begin(&maker, 0, 0, MAKER_EPOCH(1, i), MAKER_LSN(1, UINT64_C(10) * i));
        maker_message(&maker, "x\r\n");
        maker_flush(&maker);
        maker_store(&maker, root, i);
    }
    open_store(&store);
    cr_assert_eq(store.count, 3);
}

static void close_world(void) {
    mx_spool_store_close(&store);
    tear_down();
}

TestSuite(spool_acks, .init = open_world, .fini = close_world);

static struct mx_spool_ack ack_of(uint32_t n, uint32_t rcpt, enum mx_spool_ack_state state) {
    return (struct mx_spool_ack){
        .epoch = MAKER_EPOCH(1, n), .rcpt = rcpt, .state = (uint8_t)state, .time_ns = 1};
}

static void append(const char *writer, struct mx_spool_ack ack) {
    struct mx_spool_ack_writer log;
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, writer, NULL, NULL), 0);
    cr_assert_eq(mx_spool_ack_writer_put(&log, &ack, 1), 0);
    cr_assert_eq(mx_spool_ack_writer_sync(&log), 0);
    mx_spool_ack_writer_close(&log);
}

static int path_fd(const char *writer, int flags) {
    char name[64];
    snprintf(name, sizeof name, "acks/%s.log", writer);
    return openat(store.dirs[0].fd, name, flags);
}

static void put_raw(const char *writer, const void *ptr, size_t len) {
    int fd = path_fd(writer, O_WRONLY | O_APPEND);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, ptr, len), (ssize_t)len);
    close(fd);
}

static uint64_t size_of_log(const char *writer) {
    struct stat st;
    int fd = path_fd(writer, O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &st), 0);
    close(fd);
    return (uint64_t)st.st_size;
}

static enum mx_spool_rcpt_state state(const struct mx_spool_acks *acks, uint32_t n, uint32_t rcpt) {
    return mx_spool_acks_state(acks, 0, MAKER_EPOCH(1, n), rcpt);
}

Test(spool_acks, states) {
    struct mx_spool_acks acks;
    cr_assert_eq(mx_spool_acks_new(&acks, &store, NULL, NULL, NULL), 0);
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_expect_eq(state(&acks, 1, 0), MX_SPOOL_RCPT_QUEUED);
    append("cli", ack_of(1, 0, MX_SPOOL_ACK_DROPPED));
    append("deliver", ack_of(1, 5000, MX_SPOOL_ACK_DEFERRED));
    append("deliver", ack_of(2, 1, MX_SPOOL_ACK_DEFERRED));
    append("deliver", ack_of(9, 1, MX_SPOOL_ACK_DELIVERED)); /* no such segment */
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_expect_eq(state(&acks, 1, 0), MX_SPOOL_RCPT_FINAL);
    cr_expect_eq(state(&acks, 1, 1), MX_SPOOL_RCPT_QUEUED);
    cr_expect_eq(state(&acks, 1, 5000), MX_SPOOL_RCPT_DEFERRED);
    cr_expect_eq(state(&acks, 1, 500000), MX_SPOOL_RCPT_QUEUED);
    cr_expect_eq(state(&acks, 2, 1), MX_SPOOL_RCPT_DEFERRED);
    cr_expect_eq(state(&acks, 9, 1), MX_SPOOL_RCPT_QUEUED);
    cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 1)), 1);
    append("cli", ack_of(1, 5000, MX_SPOOL_ACK_RETRY));
    append("deliver", ack_of(1, 0, MX_SPOOL_ACK_DEFERRED)); /* final stays final */
    append("deliver", ack_of(1, 0, MX_SPOOL_ACK_DELIVERED));
    append("deliver", ack_of(2, 1, MX_SPOOL_ACK_FAILED));
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_expect_eq(state(&acks, 1, 0), MX_SPOOL_RCPT_FINAL);
    cr_expect_eq(state(&acks, 1, 5000), MX_SPOOL_RCPT_QUEUED);
    cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 1)), 1, "counted once");
    cr_expect_eq(state(&acks, 2, 1), MX_SPOOL_RCPT_FINAL);
    mx_spool_acks_forget(&acks, 0, MAKER_EPOCH(1, 1));
    cr_expect_eq(state(&acks, 1, 0), MX_SPOOL_RCPT_QUEUED);
    cr_expect_eq(state(&acks, 2, 1), MX_SPOOL_RCPT_FINAL);
    cr_expect_eq(acks.damaged, 0);
    mx_spool_acks_free(&acks);
}

Test(spool_acks, one_writer_of_a_log) {
    struct mx_spool_ack_writer log, other, third;
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "cli", NULL, NULL), 0);
    cr_expect_eq(mx_spool_ack_writer_open(&other, &store, "cli", NULL, NULL), -EWOULDBLOCK);
    cr_assert_eq(mx_spool_ack_writer_open(&third, &store, "other", NULL, NULL), 0);
    mx_spool_ack_writer_close(&log);
    mx_spool_ack_writer_close(&third);
    cr_assert_eq(mx_spool_ack_writer_open(&other, &store, "cli", NULL, NULL), 0);
    mx_spool_ack_writer_close(&other);
}

/* A write that was torn, anywhere: what was there before counts, and what comes behind. */
Test(spool_acks, torn_at_every_octet) {
    struct mx_spool_ack ack = ack_of(1, 7, MX_SPOOL_ACK_DROPPED);
    for (size_t len = 0; len < sizeof ack; len++) {
        struct mx_spool_acks acks;
        struct mx_spool_ack_writer log;
        cr_assert_eq(mx_spool_acks_new(&acks, &store, NULL, NULL, NULL), 0);
        append("cli", ack_of(1, 1, MX_SPOOL_ACK_DROPPED));
        cr_assert_eq(mx_spool_acks_poll(&acks), 0);
        put_raw("cli", &ack, len); /* has no CRC, and is not whole */
        cr_assert_eq(mx_spool_acks_poll(&acks), 0);
        cr_expect_eq(state(&acks, 1, 7), MX_SPOOL_RCPT_QUEUED);
        cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "cli", NULL, NULL), 0);
        cr_expect_eq(log.cut_octets, len);
        cr_assert_eq(mx_spool_ack_writer_put(&log, &ack, 1), 0);
        mx_spool_ack_writer_close(&log);
        cr_assert_eq(mx_spool_acks_poll(&acks), 0);
        cr_expect_eq(state(&acks, 1, 1), MX_SPOOL_RCPT_FINAL);
        cr_expect_eq(state(&acks, 1, 7), MX_SPOOL_RCPT_FINAL);
        cr_expect_eq(acks.damaged, 0);
        cr_expect_eq(size_of_log("cli"), 3 * sizeof ack);
        mx_spool_acks_free(&acks);
        cr_assert_eq(unlinkat(store.dirs[0].fd, "acks/cli.log", 0), 0);
    }
}

/* Every bit of a record in the middle: it does not count, and those around it do. */
Test(spool_acks, every_flipped_bit) {
    struct mx_spool_ack ack;
    for (uint32_t i = 1; i < 4; i++)
        append("cli", ack_of(1, i, MX_SPOOL_ACK_DROPPED));
    int fd = path_fd("cli", O_RDWR);
    cr_assert_geq(fd, 0);
    off_t at = 2 * sizeof ack;
    cr_assert_eq(pread(fd, &ack, sizeof ack, at), (ssize_t)sizeof ack);
    for (size_t bit = 0; bit < 8 * sizeof ack; bit++) {
        struct mx_spool_acks acks;
        struct mx_spool_ack bad = ack;
        ((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(pwrite(fd, &bad, sizeof bad, at), (ssize_t)sizeof bad);
        cr_assert_eq(mx_spool_acks_new(&acks, &store, NULL, NULL, NULL), 0);
        cr_assert_eq(mx_spool_acks_poll(&acks), 0);
        cr_expect_eq(acks.damaged, 1);
        cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 1)), 2);
        cr_expect_eq(state(&acks, 1, 2), MX_SPOOL_RCPT_QUEUED);
        mx_spool_acks_free(&acks);
    }
    close(fd);
}

static uint32_t live_from;

static bool is_live(void *context, uint32_t core, uint64_t epoch) {
    (void)context;
    return core == 0 && epoch >= MAKER_EPOCH(1, live_from);
}

Test(spool_acks, rewritten) {
    enum { MANY = 20000 };
    struct mx_spool_acks acks;
    struct mx_spool_ack_writer log;
    static struct mx_spool_ack many[MANY];
    live_from = 1;
    cr_assert_eq(mx_spool_acks_new(&acks, &store, is_live, NULL, NULL), 0);
    for (uint32_t i = 0; i < MANY; i++)
        many[i] = ack_of(i % 4 == 0 ? 2 : 1, i, MX_SPOOL_ACK_DELIVERED);
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "deliver", is_live, NULL), 0);
    cr_assert_eq(mx_spool_ack_writer_put(&log, many, MANY), 0);
    mx_spool_ack_writer_close(&log);
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 2)), MANY / 4);
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "deliver", is_live, NULL), 0);
    cr_expect_not(log.is_rewritten, "all of it is needed");
    mx_spool_ack_writer_close(&log);
    live_from = 2;
    mx_spool_acks_forget(&acks, 0, MAKER_EPOCH(1, 1));
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "deliver", is_live, NULL), 0);
    cr_expect(log.is_rewritten);
    cr_expect_eq(size_of_log("deliver"), (MANY / 4 + 1) * sizeof *many);
    struct mx_spool_ack more = ack_of(2, 1, MX_SPOOL_ACK_DROPPED);
    cr_assert_eq(mx_spool_ack_writer_put(&log, &more, 1), 0);
    struct mx_spool_ack_writer other;
    cr_expect_eq(mx_spool_ack_writer_open(&other, &store, "deliver", NULL, NULL), -EWOULDBLOCK,
                 "the new file is locked, too");
    mx_spool_ack_writer_close(&log);
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 2)), MANY / 4 + 1);
    cr_expect_eq(mx_spool_acks_final(&acks, 0, MAKER_EPOCH(1, 1)), 0);
    mx_spool_acks_free(&acks);
}

/* Many segments, any order of polls, writers and records, against an array. */
Test(spool_acks, random_run) {
    enum { SEGMENTS = 300, RCPTS = 64, STEPS = 4000 };
    static uint8_t states[SEGMENTS][RCPTS]; /* enum mx_spool_rcpt_state */
    static const char *const writers[] = {"cli", "deliver", "x-1"};
    struct mx_spool_acks acks;
    struct rng rng = {4711};
    live_from = 0;
    cr_assert_eq(mx_spool_acks_new(&acks, &store, is_live, NULL, NULL), 0);
    struct mx_spool_ack_writer logs[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(mx_spool_ack_writer_open(&logs[i], &store, writers[i], is_live, NULL), 0);
    for (int step = 0; step < STEPS; step++) {
        uint32_t n = rng_take(&rng, SEGMENTS), rcpt = rng_take(&rng, RCPTS);
        uint8_t what = (uint8_t)(MX_SPOOL_ACK_DEFERRED + rng_take(&rng, 7));
        struct mx_spool_ack ack = ack_of(n, rcpt, what);
        uint8_t *now = &states[n][rcpt];
        if (*now != MX_SPOOL_RCPT_FINAL)
            *now = what >= MX_SPOOL_ACK_DELIVERED ? MX_SPOOL_RCPT_FINAL
                   : what == MX_SPOOL_ACK_RETRY   ? MX_SPOOL_RCPT_QUEUED
                                                  : MX_SPOOL_RCPT_DEFERRED;
        cr_assert_eq(mx_spool_ack_writer_put(&logs[rng_take(&rng, 3)], &ack, 1), 0);
        cr_assert_eq(mx_spool_acks_poll(&acks), 0);
        if (rng_take(&rng, 50) == 0) {
            n = rng_take(&rng, SEGMENTS);
            mx_spool_acks_forget(&acks, 0, MAKER_EPOCH(1, n));
            memset(states[n], 0, RCPTS);
        }
    }
    for (uint32_t n = 0; n < SEGMENTS; n++) {
        struct mx_spool_segment segment = {.epoch = MAKER_EPOCH(1, n)};
        uint32_t finals = 0;
        for (uint32_t rcpt = 0; rcpt < RCPTS; rcpt++) {
            cr_assert_eq((uint8_t)state(&acks, n, rcpt), states[n][rcpt]);
            finals += states[n][rcpt] == MX_SPOOL_RCPT_FINAL;
        }
        cr_assert_eq(mx_spool_acks_final(&acks, 0, segment.epoch), finals);
        cr_assert_eq(mx_spool_acks_count(&acks, &segment, 0, RCPTS, MX_SPOOL_RCPT_FINAL), finals);
    }
    for (int i = 0; i < 3; i++)
        mx_spool_ack_writer_close(&logs[i]);
    mx_spool_acks_free(&acks);
}
