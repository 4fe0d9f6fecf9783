/* spool_compact_test.c - compaction: what is waited for stays, octet for octet, under its id, with
 * its parts wherever they are; the rest goes; what is damaged is not touched; who looked before
 * reads on.
 *
 * A random spool with messages in parts over several segments is compacted again and again while
 * more and more recipients are done with; after each step it is read as the tools read it.
 */
#include "engine/spool/acks.h"
#include "engine/spool/compact.h"
#include "engine/spool/message.h"
#include "engine/spool/verify.h"
#include "tests/unit/spool_random.h"

enum { ROUNDS = 25, SEEDS = 40 };

static struct mx_spool_store store;
static struct mx_spool_acks acks;
static struct mx_spool_compact compact;
static uint32_t go_on_calls, go_on_until;

static void set_up_fast(void) {
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    set_up();
}

TestSuite(spool_compact, .init = set_up_fast, .fini = tear_down);

/* ---- what the keeper does ---- */

static bool is_waited(void *context, const struct mx_spool_segment *segment,
                      const struct mx_spool_record *record) {
    (void)context;
    return mx_spool_acks_count(&acks, segment, record->rcpt_base, record->rcpt_count,
                               MX_SPOOL_RCPT_FINAL) < record->rcpt_count;
}

static bool go_on(void *context) {
    (void)context;
    return ++go_on_calls < go_on_until;
}

static void open_world(void) {
    open_store(&store);
    cr_expect_not(was_alarm());
    cr_assert_eq(mx_spool_acks_new(&acks, &store, NULL, NULL, NULL), 0);
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
    cr_assert_eq(mx_spool_compact_new(&compact, &store, NULL), 0);
    compact.is_waited = is_waited;
    compact.go_on = go_on;
    go_on_calls = 0;
    go_on_until = UINT32_MAX;
}

static void close_world(void) {
    mx_spool_compact_free(&compact);
    mx_spool_acks_free(&acks);
    mx_spool_store_close(&store);
}

static void drop_rcpts(uint32_t count) {
    struct mx_spool_ack_writer log;
    cr_assert_eq(mx_spool_ack_writer_open(&log, &store, "test", NULL, NULL), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct mail *mail = &mails[rng_take(&rng, mail_count)];
        if (mail->lsn == 0 || mail->done == mail->rcpts)
            continue;
        struct mx_spool_ack ack = {.epoch = mail->epoch,
                                   .message_lsn = mail->lsn,
                                   .rcpt = mail->rcpt_base + mail->done++,
                                   .state = MX_SPOOL_ACK_DROPPED};
        cr_assert_eq(mx_spool_ack_writer_put(&log, &ack, 1), 0);
    }
    mx_spool_ack_writer_close(&log);
    cr_assert_eq(mx_spool_acks_poll(&acks), 0);
}

static int compact_one(uint64_t epoch, uint64_t most_octets) {
    struct mx_spool_segment *row = mx_spool_store_find(&store, 0, epoch);
    cr_assert_not_null(row);
    return mx_spool_compact(&compact, row, most_octets);
}

/* ---- what the tools see ---- */

struct compared {
    uint32_t mail, at;
    bool is_same;
};

static int compare(void *context, struct mx_span piece) {
    struct compared *self = context;
    for (size_t i = 0; i < piece.len && self->is_same; i++)
        self->is_same = piece.ptr[i] == octet(self->mail, self->at + (uint32_t)i);
    self->at += (uint32_t)piece.len;
    return 0;
}

static bool is_live(const struct mail *mail) {
    return mail->lsn != 0 && mail->done < mail->rcpts;
}

static void expect_content(struct mx_spool_reader *reader, uint32_t number) {
    const struct mail *mail = &mails[number];
    struct compared compared = {number, 0, true};
    int err = mx_spool_reader_content(reader, compare, &compared);
    cr_expect_eq(err, 0, "mail %u: %s", number, err == MX_ESYNTAX ? reader->why : "error");
    cr_expect(compared.is_same && compared.at == mail->len, "mail %u", number);
    cr_expect_eq(reader->record.rcpt_count, mail->rcpts);
    cr_expect_eq(reader->record.rcpt_base, mail->rcpt_base);
}

static void expect_found(struct mx_spool_store *looked) {
    struct mx_spool_reader reader;
    cr_assert_eq(mx_spool_reader_new(&reader, looked), 0);
    for (uint32_t i = 0; i < mail_count; i++) {
        struct mx_spool_id id = {looked->node, 0, mails[i].lsn};
        if (!is_live(&mails[i]))
            continue;
        cr_assert_eq(mx_spool_reader_find(&reader, &id, false), 0, "mail %u", i);
        expect_content(&reader, i);
    }
    mx_spool_reader_free(&reader);
}

static uint32_t mail_of(uint32_t lsn) {
    uint32_t mail = 0;
    while (mail < mail_count && (uint32_t)mails[mail].lsn != lsn)
        mail++;
    cr_assert_lt(mail, mail_count);
    return mail;
}

/* Each message that is waited for is listed once; nothing else than messages is. */
static void expect_listed(struct mx_spool_store *looked) {
    static uint32_t lsns[MAILS_MAX], seen[MAILS_MAX];
    memset(seen, 0, sizeof seen);
    for (uint32_t n = 1; n <= SEGMENTS + 1; n++) {
        uint32_t count = messages_of(looked, 0, MAKER_EPOCH(1, n), lsns, MAILS_MAX);
        for (uint32_t i = 0; i < count; i++)
            seen[mail_of(lsns[i])]++;
    }
    for (uint32_t i = 0; i < mail_count; i++)
        cr_expect(is_live(&mails[i]) ? seen[i] == 1 : seen[i] <= 1, "mail %u: %u times", i,
                  seen[i]);
}

static char damage[256];

static void found_damage(void *context, const struct mx_spool_finding *finding) {
    (void)context;
    if (!finding->is_tail)
        snprintf(damage, sizeof damage, "%s at %lu: %s", finding->path,
                 (unsigned long)finding->offset, finding->text);
}

static void expect_sound(struct mx_spool_store *looked) {
    struct mx_spool_verify verify;
    damage[0] = '\0';
    cr_assert_eq(mx_spool_verify_new(&verify, looked, found_damage, NULL), 0);
    for (uint32_t i = 0; i < looked->count; i++)
        mx_spool_verify_segment(&verify, &looked->segments[i]);
    cr_assert_eq(mx_spool_verify_acks(&verify), 0);
    cr_expect_str_eq(damage, "");
    mx_spool_verify_free(&verify);
}

static void expect_all(struct mx_spool_store *looked) {
    expect_listed(looked);
    expect_found(looked);
    expect_sound(looked);
}

static void look_and_expect_all(void) {
    struct mx_spool_store looked;
    look_at(&looked);
    cr_expect_not(was_alarm());
    expect_all(&looked);
    mx_spool_store_close(&looked);
}

/* ---- tests ---- */

/* Also by who looked before the step, and by the server's next start. */
Test(spool_compact, random_spools, .timeout = 100) {
    uint32_t smaller = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        make_spool(seed);
        open_world();
        look_and_expect_all();
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct mx_spool_store before;
            drop_rcpts(rng_take(&rng, 30));
            look_at(&before);
            uint64_t epoch = MAKER_EPOCH(1, 1 + rng_take(&rng, SEGMENTS));
            struct mx_spool_segment *row = mx_spool_store_find(&store, 0, epoch);
            uint64_t octets = row->file_octets;
            int err = compact_one(epoch, octets);
            cr_assert(err == 0 || err == -EFBIG, "seed %lu: %d", (unsigned long)seed, err);
            cr_expect_eq(size_of(0, row->number), row->file_octets);
            cr_expect_eq(err == 0, row->file_octets < octets);
            smaller += err == 0;
            expect_all(&before);
            mx_spool_store_close(&before);
            look_and_expect_all();
            if (rng_take(&rng, 8) == 0) {
                close_world();
                open_world();
                look_and_expect_all();
            }
        }
        close_world();
        tear_down();
        set_up();
    }
    cr_expect_gt(smaller, SEEDS * 5u);
}

/* What has begun and not ended keeps its parts, and can end behind it; of what has ended and nobody
 * waits for they go. */
Test(spool_compact, parts_of_open_messages, .timeout = 100) {
    uint32_t smaller = 0, open = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct maker last = make_spool(seed);
        open_world();
        compact.keeps_open = true;
        for (uint32_t round = 0; round < 6; round++) {
            drop_rcpts(rng_take(&rng, 400));
            int err = compact_one(MAKER_EPOCH(1, 1 + rng_take(&rng, SEGMENTS)), UINT32_MAX);
            cr_assert(err == 0 || err == -EFBIG, "seed %lu: %d", (unsigned long)seed, err);
            smaller += err == 0;
            look_and_expect_all();
        }
        close_world();
        for (uint32_t i = 0; i < CHAINS; i++)
            open += chains[i] != UINT32_MAX;
        make_end(&last);
        look_and_expect_all();
        open_world();
        look_and_expect_all();
        close_world();
        tear_down();
        set_up();
    }
    cr_expect_gt(smaller, (uint32_t)SEEDS);
    cr_expect_gt(open, (uint32_t)SEEDS);
}

/* Nothing is waited for: a header and a footer, freed at the next start, but not before those that
 * have parts in it. */
Test(spool_compact, empty) {
    make_spool(7);
    open_world();
    for (uint32_t left = 1; left > 0;) {
        drop_rcpts(1000);
        left = 0;
        for (uint32_t i = 0; i < mail_count; i++)
            left += is_live(&mails[i]);
    }
    for (uint32_t n = SEGMENTS; n >= 1; n--) {
        cr_assert_eq(compact_one(MAKER_EPOCH(1, n), MAKER_SEGMENT), 0);
        struct mx_spool_segment *row = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, n));
        cr_expect_eq(row->file_octets, UINT64_C(2) * MX_SPOOL_BLOCK);
        cr_expect_eq(row->message_count, 0);
    }
    look_and_expect_all();
    close_world();
    open_world();
    cr_expect_eq(store.count, 0);
    close_world();
}

static uint32_t leftovers(void) {
    char path[256];
    uint32_t count = 0;
    for (uint32_t n = 0; n <= SEGMENTS; n++) {
        maker_path(path, root, 0, n, ".new");
        count += access(path, F_OK) == 0;
    }
    return count;
}

/* The file stays, and nothing is left beside it. */
Test(spool_compact, limits) {
    make_spool(3);
    open_world();
    uint64_t octets = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2))->file_octets;
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 2), UINT64_C(8) * MX_SPOOL_BLOCK), -EFBIG);
    cr_expect_eq(size_of(0, 2), octets);
    cr_expect_eq(leftovers(), 0);
    look_and_expect_all();
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 2), octets), 0); /* parts of what never ended go */
    octets = size_of(0, 2);
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 2), octets), -EFBIG); /* nothing would */
    drop_rcpts(300);
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 2), octets), 0);
    look_and_expect_all();
    close_world();
}

static bool is_like_before(uint32_t number, const char *before, uint64_t octets) {
    static char now[MAKER_SEGMENT];
    char path[256];
    maker_path(path, root, 0, number, "");
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    ssize_t len = read(fd, now, sizeof now);
    close(fd);
    return len == (ssize_t)octets && memcmp(now, before, octets) == 0;
}

/* A flipped bit anywhere in the records: it is left as it is. */
Test(spool_compact, damage) {
    static char before[MAKER_SEGMENT];
    make_spool(11);
    open_world();
    drop_rcpts(200);
    struct mx_spool_segment row = *mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2));
    char path[256];
    maker_path(path, root, 0, 2, "");
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(read(fd, before, sizeof before), (ssize_t)row.file_octets);
    for (uint32_t i = 0; i < 300; i++) {
        uint64_t at = MX_SPOOL_BLOCK + rng_take(&rng, (uint32_t)row.end_offset - MX_SPOOL_BLOCK);
        before[at] ^= 4;
        cr_assert_eq(pwrite(fd, before + at, 1, (off_t)at), 1);
        cr_expect_eq(compact_one(row.epoch, MAKER_SEGMENT), MX_ESYNTAX, "octet %lu",
                     (unsigned long)at);
        cr_expect(is_like_before(2, before, row.file_octets));
        before[at] ^= 4;
        cr_assert_eq(pwrite(fd, before + at, 1, (off_t)at), 1);
    }
    close(fd);
    cr_expect_eq(leftovers(), 0);
    cr_expect_eq(compact_one(row.epoch, MAKER_SEGMENT), 0);
    look_and_expect_all();
    close_world();
}

/* In a segment behind it: who knows which parts its messages have here. */
Test(spool_compact, damage_behind) {
    make_spool(11);
    open_world();
    struct mx_spool_segment *behind = mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 3));
    cr_assert_leq(behind->oldest_epoch, MAKER_EPOCH(1, 2));
    char path[256], octet_at;
    maker_path(path, root, 0, 3, "");
    int fd = open(path, O_RDWR);
    off_t at = (off_t)behind->end_offset - MX_SPOOL_BLOCK;
    cr_assert_eq(pread(fd, &octet_at, 1, at), 1);
    octet_at ^= 1;
    cr_assert_eq(pwrite(fd, &octet_at, 1, at), 1);
    close(fd);
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 2), MAKER_SEGMENT), MX_ESYNTAX);
    close_world();
}

/* Without its footer nobody knows how many recipients it had: it is read, and never freed. */
Test(spool_compact, footer_lost) {
    make_spool(5);
    open_world();
    drop_rcpts(100);
    cr_assert_eq(compact_one(MAKER_EPOCH(1, 2), MAKER_SEGMENT), 0);
    struct mx_spool_segment row = *mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 2));
    close_world();
    char path[256];
    maker_path(path, root, 0, 2, "");
    cr_assert_eq(truncate(path, (off_t)row.end_offset), 0);
    open_store(&store);
    struct mx_spool_segment *now = mx_spool_store_find(&store, 0, row.epoch);
    cr_expect_eq(now->state, MX_SPOOL_SEGMENT_DAMAGED);
    cr_expect_eq(now->message_count, row.message_count);
    cr_expect(was_told("spool_damaged"));
    mx_spool_store_close(&store);
}

/* Who was cut short left a file without a name. */
Test(spool_compact, leftover) {
    char path[256];
    make_spool(5);
    maker_path(path, root, 0, 3, ".new");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    look_and_expect_all();
    cr_expect_eq(leftovers(), 1);
    open_world();
    cr_expect_eq(leftovers(), 0);
    look_and_expect_all();
    close_world();
}

/* The server stops. */
Test(spool_compact, given_up) {
    static char text[4000];
    struct maker maker;
    maker_meta(root, 1);
    memset(text, 'x', sizeof text);
    maker_begin(&maker, 3 << 20, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    struct maker_record like = {
        .content = {text, sizeof text}
    };
    for (uint32_t i = 0; i < 600; i++) {
        (void)maker_record(&maker, &like);
        if (i % 20 == 19)
            maker_flush(&maker);
    }
    maker_seal(&maker, false);
    maker_store(&maker, root, 1);
    open_world();
    for (go_on_until = 1; go_on_until <= 4; go_on_until++) {
        go_on_calls = 0;
        cr_expect_eq(compact_one(MAKER_EPOCH(1, 1), 3 << 20), -ECANCELED);
        cr_expect_eq(size_of(0, 1), UINT64_C(3) << 20);
        cr_expect_eq(leftovers(), 0);
    }
    go_on_until = 100;
    cr_expect_eq(compact_one(MAKER_EPOCH(1, 1), 3 << 20), 0);
    cr_expect_eq(size_of(0, 1), mx_spool_store_find(&store, 0, MAKER_EPOCH(1, 1))->file_octets);
    close_world();
}
