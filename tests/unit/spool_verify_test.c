/* spool_verify_test.c - verify finds what is wrong and nothing else: every flipped bit in any batch
 * of a sealed segment; in an unsealed one those of batches that are known to have been durable, the
 * others make a tail.
 */
#include "engine/spool/verify.h"
#include "tests/unit/guard.h"
#include "tests/unit/spool_world.h"

enum { TRIALS = 10000, TRIALS_UNSEALED = 3000 };

static bool are_together; /* no batch says that another one was durable */
static uint32_t damages, tails;
static char last_text[256];

static void found(void *context, const struct mx_spool_finding *finding) {
    (void)context;
    if (finding->is_tail)
        tails++;
    else
        damages++;
    snprintf(last_text, sizeof last_text, "%s at %lu: %s", finding->path,
             (unsigned long)finding->offset, finding->text);
}

static void verify_all(struct mx_spool_verify *verify) {
    struct mx_spool_store *store = verify->store;
    damages = tails = 0;
    for (uint32_t i = 0; i < store->count; i++) {
        struct mx_spool_segment segment = store->segments[i];
        mx_spool_verify_segment(verify, &segment);
    }
}

/* Look at the spool and verify it. */
static void verify_spool(void) {
    struct mx_spool_store store;
    struct mx_spool_verify verify;
    look_at(&store);
    cr_assert_eq(mx_spool_verify_new(&verify, &store, found, NULL), 0);
    verify_all(&verify);
    cr_assert_eq(mx_spool_verify_acks(&verify), 0);
    mx_spool_verify_free(&verify);
    mx_spool_store_close(&store);
}

/* On tmpfs where there is one: thousands of reads. */
static void set_up_fast(void) {
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    set_up();
}

TestSuite(spool_verify, .init = set_up_fast, .fini = tear_down);

/* The batch ends, and was durable before the next one was begun. */
static void flush(struct maker *maker) {
    maker_flush(maker);
    maker->committed_lsn = are_together ? 0 : maker->last_lsn;
}

/* Batches of many small records, of a large one, of one octet more than a block, and a chain over
 * two segments. The second segment is made here; *maker is the first, not stored yet. */
static uint64_t make_spool(struct maker *maker) {
    static char text[6000];
    memset(text, 'x', sizeof text - 1);
    struct maker_record chunk = {
        .type = MX_SPOOL_CHUNK, .content = {text, 3000}
    };
    maker_meta(root, 1);
    maker_begin(maker, 0, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    for (size_t i = 1; i < 9; i++)
        maker_message(maker, text + sizeof text - 7 * i);
    flush(maker);
    maker_message(maker, text);
    flush(maker);
    uint32_t at = maker_record(maker, &chunk);
    uint64_t first_lsn = maker->last_lsn;
    flush(maker);
    struct maker_record many = {.content = MX_SPAN("y"), .rcpt_count = 80};
    (void)maker_record(maker, &many);
    flush(maker);
    uint64_t last = maker->offset;
    flush(maker); /* without records, so that nobody can have been told of it */
    maker_message(maker, "z\r\n");
    flush(maker);
    struct maker second_one;
    maker_begin(&second_one, 0, 0, MAKER_EPOCH(1, 2), maker->next_lsn);
    maker_prev(&second_one, MAKER_EPOCH(1, 1), maker->last_lsn);
    struct maker_record end = {.content = MX_SPAN("end"),
                               .message_lsn = first_lsn,
                               .chunk = 1,
                               .prev_offset = at,
                               .prev_epoch = MAKER_EPOCH(1, 1),
                               .first_epoch = MAKER_EPOCH(1, 1),
                               .total_octets = 3003};
    (void)maker_record(&second_one, &end);
    maker_flush(&second_one);
    maker_seal(&second_one, true);
    maker_store(&second_one, root, 1);
    return last;
}

static int open_segment(void) {
    char path[256];
    maker_path(path, root, 0, 0, "");
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    return fd;
}

static void flip(int fd, uint64_t bit) {
    uint8_t octet;
    cr_assert_eq(pread(fd, &octet, 1, (off_t)(bit / 8)), 1);
    octet ^= (uint8_t)(1 << bit % 8);
    cr_assert_eq(pwrite(fd, &octet, 1, (off_t)(bit / 8)), 1);
}

Test(spool_verify, every_flip_in_a_sealed_segment) {
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        struct mx_spool_store store;
        struct mx_spool_verify verify;
        struct maker maker;
        struct rng rng = {31337};
        (void)make_spool(&maker);
        uint64_t begin = UINT64_C(8) * MX_SPOOL_BLOCK, end = 8 * maker.offset;
        maker_seal(&maker, is_cut != 0);
        maker_store(&maker, root, 0);
        look_at(&store);
        cr_assert_eq(mx_spool_verify_new(&verify, &store, found, NULL), 0);
        verify_all(&verify);
        cr_assert_eq(damages + tails, 0, "%s", last_text);
        cr_expect_eq(verify.messages, 12);
        int fd = open_segment();
        for (uint32_t i = 0; i < TRIALS / 2; i++) {
            uint64_t bit = begin + rng_take(&rng, (uint32_t)(end - begin));
            flip(fd, bit);
            verify_all(&verify);
            cr_expect_geq(damages, 1, "octet %lu, bit %lu", (unsigned long)(bit / 8),
                          (unsigned long)(bit % 8));
            flip(fd, bit);
        }
        verify_all(&verify);
        cr_expect_eq(damages + tails, 0, "%s", last_text);
        close(fd);
        mx_spool_verify_free(&verify);
        mx_spool_store_close(&store);
    }
}

/* Killed. That a batch was durable is known from the one behind it, or from the next segment; of
 * the last one, and of those that were on their way with it, nobody knows. */
Test(spool_verify, every_flip_in_an_unsealed_segment) {
    enum { ALONE, HAS_NEXT, TOGETHER, HOWS };
    for (int how = ALONE; how < HOWS; how++) {
        struct maker maker;
        struct rng rng = {4711};
        are_together = how == TOGETHER;
        uint64_t begin = UINT64_C(8) * MX_SPOOL_BLOCK, last = 8 * make_spool(&maker);
        uint64_t end = 8 * maker.offset;
        maker_store(&maker, root, 0);
        if (how != HAS_NEXT) {
            char path[256];
            maker_path(path, root, 0, 1, "");
            cr_assert_eq(unlink(path), 0);
        }
        verify_spool();
        cr_assert_eq(damages + tails, 0, "%s", last_text);
        int fd = open_segment();
        for (uint32_t i = 0; i < TRIALS_UNSEALED / HOWS; i++) {
            uint64_t bit = begin + rng_take(&rng, (uint32_t)(end - begin));
            bool is_tail = how == TOGETHER || (bit >= last && how == ALONE);
            flip(fd, bit);
            verify_spool();
            cr_expect_eq(damages > 0, !is_tail, "%d: octet %lu, bit %lu", how,
                         (unsigned long)(bit / 8), (unsigned long)(bit % 8));
            cr_expect_eq(tails, is_tail);
            flip(fd, bit);
        }
        close(fd);
        tear_down();
        set_up();
    }
}

/* All bits of the blocks at both ends; the store is looked at anew, since it reads them. */
Test(spool_verify, header_and_footer) {
    struct maker maker;
    struct rng rng = {99};
    (void)make_spool(&maker);
    maker_seal(&maker, false);
    uint64_t footer = 8 * (maker.size - MX_SPOOL_BLOCK);
    maker_store(&maker, root, 0);
    verify_spool();
    cr_assert_eq(damages + tails, 0, "%s", last_text);
    int fd = open_segment();
    for (uint32_t i = 0; i < 600; i++) {
        uint64_t bit = rng_take(&rng, 8 * MX_SPOOL_BLOCK);
        if (i % 2 == 0) /* where the fields are */
            bit = bit % (8 * sizeof(struct mx_spool_header)) + (i % 4 ? 8 * MX_SPOOL_COPY_AT : 0);
        bit += i % 3 == 0 ? footer : 0;
        flip(fd, bit);
        verify_spool();
        cr_expect_geq(damages, 1, "octet %lu", (unsigned long)(bit / 8));
        flip(fd, bit);
    }
    close(fd);
}

Test(spool_verify, other_damage) {
    enum fault { NONE, PART_GONE, COUNTS, ENVELOPE, RCPTS, ACK, FAULTS };
    for (int fault = NONE; fault < FAULTS; fault++) {
        struct maker maker;
        char path[256];
        (void)make_spool(&maker);
        maker.messages += fault == COUNTS;
        if (fault == ENVELOPE || fault == RCPTS) {
            char *at = maker.image + MX_SPOOL_BLOCK + sizeof(struct mx_spool_batch);
            struct mx_spool_record record;
            memcpy(&record, at, sizeof record);
            if (fault == ENVELOPE)
                at[record.len_octets - record.envelope_octets] ^= 1; /* no sender */
            else
                record.rcpt_base = 1;
            memcpy(at, &record, sizeof record);
            maker_sign(at, maker.seed);
        }
        maker_seal(&maker, false);
        maker_store(&maker, root, 0);
        maker_path(path, root, 0, 0, "");
        if (fault == PART_GONE)
            cr_assert_eq(unlink(path), 0);
        if (fault == ACK) {
            struct mx_spool_store store;
            open_store(&store);
            int fd = openat(store.dirs[0].fd, "acks/x.log", O_RDWR | O_CREAT, 0600);
            cr_assert_eq(write(fd, path, 100), 100);
            close(fd);
            mx_spool_store_close(&store);
        }
        verify_spool();
        cr_expect_eq(damages > 0, fault != NONE && fault != ACK, "fault %d", fault);
        cr_expect_eq(tails, fault == ACK);
        tear_down();
        set_up();
    }
}
