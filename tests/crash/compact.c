/* compact.c - compaction on a disk that forgets: what was written is there after a sync, sector by
 * sector or not before; a name changes with the sync of its folder, or before, or not.
 */
#include "engine/spool/compact.h"

#include "tests/crash/crash.h"

enum { WRITES_MAX = 64, STEPS_MAX = 14 };

/* The new file, and its name, as far as the disk may have forgotten them. */
static struct {
    uint32_t steps_left; /* until the power fails */
    bool has_failed, syncs;
    struct disk_write writes[WRITES_MAX];
    uint32_t write_count;
    bool is_renamed; /* but the folder is not synced */
    int root;
    char from[MX_SPOOL_NAME_MAX], to[MX_SPOOL_NAME_MAX];
} medium;

static void put_sectors(const struct disk_write *write, uint32_t chance) {
    for (uint32_t at = 0; at < write->len; at += DISK_SECTOR) {
        if (rng_take(&world.rng, 100) >= chance)
            continue;
        ssize_t n = pwrite(write->fd, write->octets + at, DISK_SECTOR, (off_t)(write->offset + at));
        assert(n == DISK_SECTOR);
    }
}

static void settle(uint32_t chance) {
    for (uint32_t i = 0; i < medium.write_count; i++) {
        put_sectors(&medium.writes[i], chance);
        free(medium.writes[i].octets);
        close(medium.writes[i].fd);
    }
    medium.write_count = 0;
}

static void rename_now(void) {
    int err = renameat(medium.root, medium.from, medium.root, medium.to);
    assert(err == 0);
    medium.is_renamed = false;
}

static int fail(enum crash_step step) {
    static const uint32_t chances[] = {0, 20, 50, 80, 100};
    medium.has_failed = true;
    world.compact_crashes[step]++;
    settle(chances[rng_take(&world.rng, 5)]);
    if (medium.is_renamed && rng_take(&world.rng, 2) == 0)
        rename_now();
    medium.is_renamed = false;
    return -ESHUTDOWN;
}

static bool fails_now(void) {
    return medium.has_failed || medium.steps_left-- == 0;
}

/* ---- what compaction asks for ---- */

static int do_write(void *context, int fd, struct mx_span octets, uint64_t offset) {
    (void)context;
    assert(medium.write_count < WRITES_MAX && octets.len % DISK_SECTOR == 0);
    struct disk_write *write = &medium.writes[medium.write_count++];
    *write = (struct disk_write){dup(fd), offset, (uint32_t)octets.len, malloc(octets.len), 0};
    assert(write->fd >= 0 && write->octets != NULL);
    memcpy(write->octets, octets.ptr, octets.len);
    return fails_now() ? fail(CRASH_WRITE) : 0;
}

static int do_sync(void *context, int fd) {
    (void)context;
    (void)fd;
    if (fails_now())
        return fail(CRASH_SYNC);
    if (medium.syncs)
        settle(100);
    return 0;
}

static int do_rename(void *context, int root, const char *from, const char *to) {
    (void)context;
    medium.root = root;
    memcpy(medium.from, from, sizeof medium.from);
    memcpy(medium.to, to, sizeof medium.to);
    medium.is_renamed = true;
    return fails_now() ? fail(CRASH_RENAME) : 0;
}

static int do_sync_folder(void *context, int folder) {
    (void)context;
    (void)folder;
    if (fails_now())
        return fail(CRASH_FOLDER);
    if (medium.is_renamed)
        rename_now();
    return medium.syncs ? 0 : fail(CRASH_BEHIND);
}

static const struct mx_spool_compact_io io = {do_write, do_sync, do_rename, do_sync_folder};

/* ---- the keeper's part ---- */

static bool is_waited(void *context, const struct mx_spool_segment *segment,
                      const struct mx_spool_record *record) {
    (void)context;
    (void)segment;
    assert(record->received_ns < world.mail_count);
    return world.mails[record->received_ns].fate == ACCEPTED;
}

static bool go_on(void *context) {
    (void)context;
    return true;
}

static bool compact_some(struct mx_spool_compact *compact) {
    bool has_begun = false;
    for (uint32_t i = 0; i < world.store.count && !medium.has_failed; i++) {
        struct mx_spool_segment *segment = &world.store.segments[i];
        if (segment->state != MX_SPOOL_SEGMENT_SEALED || rng_take(&world.rng, 3) == 0)
            continue;
        has_begun = true;
        int err = mx_spool_compact(compact, segment, segment->file_octets);
        assert(err == 0 || err == -EFBIG || medium.has_failed || world.violations > 0);
        if (err < 0 && !medium.has_failed) /* it was given up: nothing of it is left */
            settle(0);
        world.compacted += err == 0;
    }
    return has_begun;
}

bool crash_compact(bool syncs) {
    struct mx_spool_compact compact;
    if (rng_take(&world.rng, 2) == 0)
        return false;
    uint32_t done = rng_take(&world.rng, 101);
    for (uint32_t i = 0; i < world.mail_count; i++) {
        if (world.mails[i].fate == ACCEPTED && rng_take(&world.rng, 100) < done)
            world.mails[i].fate = DONE;
    }
    memset(&medium, 0, sizeof medium);
    medium.syncs = syncs;
    medium.steps_left = rng_take(&world.rng, STEPS_MAX);
    int err = mx_spool_compact_new(&compact, &world.store, &io);
    assert(err == 0);
    compact.is_waited = is_waited;
    compact.go_on = go_on;
    bool has_begun = compact_some(&compact);
    mx_spool_compact_free(&compact);
    return has_begun;
}
