/* crash_test.c - the worker's log on a simulated disk, until the power fails; then recovery, and a
 * look at what is there.
 *
 * Must hold: what was answered with success is there once, octet for octet, with its recipient;
 * what was refused or given up is not; what was on its way may be either. The same folder lives
 * through many crashes; segments are recycled in between.
 *
 * Then segments are compacted, of which some messages are done with, until the power fails again.
 *
 *     crash_test RUNS SEED [--no-sync | --no-sync-compact | --stop]
 *
 * --no-sync: nothing is synced, and it must find losses; --no-sync-compact: what is compacted is
 * not. --stop: the folder of the first violation is left for a look. A folder begins at every
 * LIFE-th run.
 */
#include "tests/crash/crash.h"

struct world world;

static const struct mx_session_conf session_conf = {
    .proto = MX_PROTO_SMTP, .max_line_octets = 1000, .hello_name = MX_SPAN("mx.example")};
static struct mx_session_shared shared;

void crash_violation(const char *what, uint32_t mail) {
    world.violations++;
    if (world.violations <= 20)
        printf("seed %" PRIu64 ": %s: message %u of %u octets\n", world.seed, what, mail,
               mail < world.mail_count ? world.mails[mail].len : 0);
}

char crash_octet(uint32_t mail, uint32_t i) {
    return (char)((mail * 2654435761u + i * 40503u + (i >> 8)) >> 7);
}

/* ---- clients ---- */

static void begin_mail(struct client *client) {
    static const uint32_t sizes[] = {1, 200, 3000, 9000, 40000, 100000, CONTENT_MAX};
    uint32_t most = sizes[rng_take(&world.rng, rng_take(&world.rng, 20) == 0 ? 7 : 5)];
    if (world.is_bulky)
        most = 100000;
    assert(world.mail_count < MAIL_MAX);
    client->mail = world.mail_count;
    char local[16];
    int len = snprintf(local, sizeof local, "m%u", client->mail);
    mx_session_init(&client->session, &session_conf, &shared, client->mail);
    client->session.envelope =
        (struct mx_envelope){.base = client->envelope, .cap = sizeof client->envelope};
    struct mx_span name = {local, (size_t)len};
    uint32_t rcpts = rng_take(&world.rng, world.is_bulky ? 2 : 12) == 0
                         ? 1 + rng_take(&world.rng, RCPTS_MAX)
                         : 1;
    int err = mx_envelope_set_sender(&client->session.envelope, name, MX_SPAN("a.example"));
    for (uint32_t i = 0; i < rcpts && err == 0; i++)
        err = mx_envelope_add_rcpt(&client->session.envelope, name, MX_SPAN("b.example"));
    assert(err == 0);
    uint64_t owner = (uint64_t)(client - world.clients);
    uint64_t declared = rng_take(&world.rng, 2) * (uint64_t)most;
    err = mx_spool_log_open(world.log, owner, declared, &client->token);
    if (err < 0)
        return;
    client->is_open = true;
    client->sent = 0;
    world.mails[world.mail_count++] =
        (struct mail){rng_take(&world.rng, most + 1), rcpts, UNKNOWN, 0};
}

static void give_up(struct client *client) {
    mx_spool_log_abort(world.log, client->token);
    if (!client->is_pending)
        world.mails[client->mail].fate = REFUSED;
    client->is_open = client->is_pending = false;
}

static void refuse(struct client *client) {
    world.mails[client->mail].fate = REFUSED;
    client->is_open = client->is_pending = false;
    world.refused++;
}

static void send_some(struct client *client) {
    const struct mail *mail = &world.mails[client->mail];
    uint32_t len = mail->len - client->sent;
    uint32_t most = rng_take(&world.rng, 4) == 0 ? 300 : 65536;
    if (len > most)
        len = most;
    for (uint32_t i = 0; i < len; i++)
        world.content[i] = crash_octet(client->mail, client->sent + i);
    uint32_t cut = rng_take(&world.rng, len + 1);
    struct mx_span slices[2] = {
        {world.content,       cut      },
        {world.content + cut, len - cut}
    };
    int err = mx_spool_log_write(world.log, client->token, slices, 2);
    client->sent += len;
    if (err < 0) {
        mx_spool_log_abort(world.log, client->token);
        refuse(client);
    }
}

static void commit(struct client *client) {
    const struct mx_spool_origin origin = {.session = &client->session, .server_name = "smtp"};
    int err = mx_spool_log_commit(world.log, client->token, &origin, client->mail);
    client->is_pending = err == MX_EPENDING;
    if (!client->is_pending)
        refuse(client);
}

static void act(struct client *client) {
    bool leaves = rng_take(&world.rng, 300) == 0;
    if (client->is_open && leaves)
        give_up(client);
    else if (client->is_pending || rng_take(&world.rng, 3) == 0)
        return;
    else if (!client->is_open && mx_spool_log_is_ready(world.log))
        begin_mail(client);
    else if (client->is_open && client->sent == world.mails[client->mail].len)
        commit(client);
    else if (client->is_open && mx_spool_log_is_ready(world.log))
        send_some(client);
}

static void on_done(void *context, uint64_t owner, int result) {
    struct client *client = &world.clients[owner];
    (void)context;
    assert(client->is_pending);
    if (result == -ECONNABORTED) { /* the connection is closed, and nobody knows */
        client->is_open = client->is_pending = false;
        return;
    }
    if (result < 0) {
        refuse(client);
        return;
    }
    world.mails[client->mail].fate = ACCEPTED;
    world.accepted++;
    client->is_open = client->is_pending = false;
    if (rng_take(&world.rng, 2) == 0) /* pipelined */
        act(client);
}

static void on_room(void *context) {
    (void)context;
}

/* ---- the keeper's part ---- */

static void note(void *context, const struct mx_spool_event *event) {
    (void)context;
    if (event->severity != MX_SEVERITY_ERROR)
        return;
    world.is_alarm = true;
    printf("seed %" PRIu64 ": alarm: %s %s: %s\n", world.seed, event->event, event->path,
           event->text);
}

/* The files that are free, then new ones. */
static void feed(uint32_t wanted) {
    for (uint32_t number = 0; mx_spool_lane_offered(&world.lane) < wanted; number++) {
        assert(number < FILES_MAX);
        char name[MX_SPOOL_NAME_MAX];
        char block[MX_SPOOL_BLOCK] = {0};
        mx_spool_segment_name(name, 0, number, "");
        int fd = openat(world.store.dirs[0].fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct stat st;
        assert(fd >= 0 && fstat(fd, &st) == 0);
        bool is_new = st.st_size == 0;
        bool is_free = is_new || (st.st_size == SEGMENT && pread(fd, block, sizeof block, 0) > 0 &&
                                  mx_spool_is_zero(block, sizeof block));
        is_free = is_free && !world.is_taken[number];
        if (!is_free) {
            close(fd);
            continue;
        }
        if (is_new && ftruncate(fd, SEGMENT) < 0)
            abort();
        world.is_taken[number] = true;
        mx_spool_lane_offer(&world.lane, &(struct mx_spool_ready){fd, 0, number, SEGMENT});
    }
}

static void keep(void) {
    struct mx_spool_retired retired;
    while (mx_spool_lane_take_retired(&world.lane, &retired)) {
        assert(world.retired_count < FILES_MAX);
        world.retired[world.retired_count++] = retired.fd; /* the cache still needs it */
    }
    if (!world.is_stingy || rng_take(&world.rng, 30) == 0)
        feed(2);
    bool is_full = world.is_stingy && rng_take(&world.rng, 10) == 0;
    world.lane.unallocated_octets = is_full ? 0 : 1 << 30;
}

/* What is delivered goes, where nothing else needs it. */
static void recycle(void) {
    for (uint32_t i = 0; i < world.store.count; i++) {
        struct mx_spool_segment *segment = &world.store.segments[i];
        if (segment->state != MX_SPOOL_SEGMENT_SEALED || segment->epoch == 0 ||
            rng_take(&world.rng, 2) == 0 || mx_spool_store_is_needed(&world.store, segment))
            continue;
        uint64_t prev, sealed;
        mx_spool_store_last(&world.store, 0, &prev, &sealed);
        if (segment->epoch == prev)
            continue; /* the next header speaks of it */
        struct mx_spool_walk walk;
        struct mx_spool_record record;
        struct mx_spool_file file;
        uint64_t offset;
        int err = mx_spool_file_new(&file);
        if (err == 0)
            err = mx_spool_store_file(&world.store, segment, &file);
        assert(err == 0);
        mx_spool_walk_begin(&walk, &file, world.store.uuid, segment, false);
        while (mx_spool_walk_next(&walk, &record, &offset)) {
            if (record.type == MX_SPOOL_MSG)
                world.mails[record.received_ns].fate = CONSUMED;
        }
        mx_spool_file_free(&file);
        bool is_whole = segment->file_octets == SEGMENT;
        int root = world.store.dirs[0].fd;
        err = mx_spool_prepare_free(root, 0, segment->number);
        if (err == 0 && !is_whole)
            err = mx_spool_prepare_remove(root, 0, segment->number);
        assert(err == 0);
        segment->state = MX_SPOOL_SEGMENT_FREE;
        segment->message_count = 0;
        world.recycled++;
    }
}

/* ---- one life of the power ---- */

static void run_until_crash(enum mx_spool_sync sync) {
    const struct mx_spool_log_conf base = {
        .run = world.store.run, .sync = sync, .segment_octets = SEGMENT, .message_count = 5000};
    struct mx_spool_log_conf conf = base;
    memcpy(conf.uuid, world.store.uuid, sizeof conf.uuid);
    mx_spool_store_last(&world.store, 0, &conf.prev_epoch, &conf.prev_sealed_lsn);
    memset(&world.lane, 0, sizeof world.lane);
    memset(world.is_taken, 0, sizeof world.is_taken);
    world.lane.wake = &world.wake;
    keep();
    int err = mx_spool_log_new(&world.log, &conf, &world.lane, &world.disk.ring);
    assert(err == 0);
    mx_spool_log_bind(world.log, on_done, on_room, NULL);
    memset(world.clients, 0, sizeof world.clients);
    world.client_count = 1 + rng_take(&world.rng, CLIENTS_MAX);
    uint32_t turns = 1 + rng_take(&world.rng, TURNS_MAX);
    for (uint32_t turn = 0; turn < turns; turn++) {
        const struct mx_ring_wait no_sleep = {.events = 0};
        err = mx_ring_turn(&world.disk.ring, &no_sleep);
        assert(err == 0);
        disk_turn(&world.disk);
        unsigned count = mx_ring_ready(&world.disk.ring);
        for (unsigned i = 0; i < count; i++)
            mx_spool_log_on_cqe(world.log, mx_ring_cqe(&world.disk.ring, i));
        mx_ring_consume(&world.disk.ring, count);
        for (uint32_t i = 0; i < world.client_count; i++)
            act(&world.clients[i]);
        mx_spool_log_turn(world.log);
        keep();
    }
    const struct mx_spool_counters *counters = mx_spool_log_counters(world.log);
#define ADD(name, unit, help) world.sums.name += counters->name;
    MX_SPOOL_COUNTERS(ADD)
#undef ADD
}

static void close_all(void) {
    struct mx_spool_retired retired;
    if (world.log->has_segment)
        close(world.log->counts.fd);
    if (world.log->is_footer_flying)
        close(world.log->leaving.fd);
    while (mx_spool_lane_take_retired(&world.lane, &retired))
        close(retired.fd);
    while (world.retired_count > 0)
        close(world.retired[--world.retired_count]);
    while (mx_spool_lane_ready(&world.lane) > 0)
        close(mx_spool_lane_take(&world.lane).fd);
    mx_spool_log_free(world.log);
    disk_free(&world.disk);
    mx_spool_store_close(&world.store);
}

static void open_store(void) {
    const struct mx_spool_store_conf conf = {
        .directory = world.root, .core_count = 1, .segment_octets = SEGMENT, .report = note};
    int err = mx_spool_store_open(&world.store, &conf);
    if (err < 0) {
        printf("seed %" PRIu64 ": the store does not open: %d\n", world.seed, err);
        exit(1);
    }
}

/* The disk, its faults and the clients of one run. */
static void set_up(uint64_t seed) {
    world.seed = seed;
    world.rng = (struct rng){seed * 2 + 1};
    disk_init(&world.disk, seed * 7919 + 13);
    world.disk.busy = rng_take(&world.rng, 97);
    world.is_bulky = rng_take(&world.rng, 5) == 0;
    world.is_stingy = rng_take(&world.rng, 6) == 0;
    if (rng_take(&world.rng, 3) == 0) {
        uint32_t rate = 5 + rng_take(&world.rng, 60);
        world.disk.one_in[rng_take(&world.rng, DISK_FAULTS)] = rate;
    }
}

static void look_again(void) {
    open_store();
    crash_look();
}

static void say_sums(uint64_t seed) {
    printf("%" PRIu64 " crashes from seed %" PRIu64 ": %" PRIu64 " accepted, %" PRIu64
           " refused, %" PRIu64 " segments recycled, %" PRIu64 " compacted, %" PRIu64
           " violations\n",
           world.points, seed, world.accepted, world.refused, world.recycled, world.compacted,
           world.violations);
    printf("power failed in compaction: write %" PRIu64 ", sync %" PRIu64 ", rename %" PRIu64
           ", folder %" PRIu64 ", behind %" PRIu64 "\n",
           world.compact_crashes[CRASH_WRITE], world.compact_crashes[CRASH_SYNC],
           world.compact_crashes[CRASH_RENAME], world.compact_crashes[CRASH_FOLDER],
           world.compact_crashes[CRASH_BEHIND]);
    printf("faults: write EIO %u, short %u, sync EIO %u;", world.faults[0], world.faults[1],
           world.faults[2]);
#define SAY(name, unit, help) printf(" " #name "=%" PRIu64, world.sums.name);
    MX_SPOOL_COUNTERS(SAY)
#undef SAY
    printf("\n");
}

int main(int argc, char **argv) {
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 300;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool is_control = argc > 3 && strcmp(argv[3], "--no-sync") == 0;
    bool is_compact_control = argc > 3 && strcmp(argv[3], "--no-sync-compact") == 0;
    bool stops = argc > 3 && strcmp(argv[3], "--stop") == 0;
    if (access("/dev/shm", W_OK) == 0) /* what the store syncs is real */
        setenv("TMPDIR", "/dev/shm", 0);
    sem_init(&world.wake, 0, 0);
    for (uint64_t i = 0; i < runs; i++) {
        if (i % LIFE == 0) {
            maker_root(world.root);
            world.mail_count = 0;
            world.seed = seed + i;
            open_store();
        }
        set_up(seed + i);
        enum mx_spool_sync sync =
            rng_take(&world.rng, 2) == 0 ? MX_SPOOL_SYNC_DSYNC : MX_SPOOL_SYNC_FDATASYNC;
        run_until_crash(is_control ? MX_SPOOL_SYNC_NONE : sync);
        disk_crash(&world.disk);
        for (uint32_t f = 0; f < DISK_FAULTS; f++)
            world.faults[f] += world.disk.fault_counts[f];
        close_all();
        world.points++;
        look_again();
        if (crash_compact(!is_compact_control)) {
            mx_spool_store_close(&world.store);
            look_again();
        }
        if (stops && world.violations > 0) {
            printf("left: %s\n", world.root);
            return 1;
        }
        recycle();
        if (i % LIFE == LIFE - 1 || i == runs - 1) {
            mx_spool_store_close(&world.store);
            maker_remove(world.root);
        }
    }
    say_sums(seed);
    bool is_blind = world.accepted == 0 || (runs >= LIFE && world.compacted == 0);
    if (is_control || is_compact_control)
        return world.violations > 0 ? 0 : 1;
    return world.violations > 0 || is_blind ? 1 : 0;
}
