#include "engine/spool/acks.h"

#include "engine/spool/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, SLOTS_MIN = 64, BITS_MIN = 1024, WORD = 64 };

struct mx_spool_ack_log {
    char name[MX_SPOOL_WRITER_MAX + 8];
    int fd;
    dev_t device;
    ino_t inode;
    uint64_t offset; /* of the next record */
};

/* What is known of a segment's recipients. */
struct mx_spool_ack_map {
    uint64_t epoch; /* 0: the slot is empty */
    uint32_t core;
    uint32_t bits; /* recipients there is room for; a multiple of WORD */
    uint32_t final_count;
    uint64_t *final;
    uint64_t *deferred; /* NULL: none ever was */
};

const char *mx_spool_ack_name(uint8_t state) {
    static const char *const names[] = {
        [MX_SPOOL_ACK_DEFERRED] = "deferred",   [MX_SPOOL_ACK_RETRY] = "queued",
        [MX_SPOOL_ACK_DELIVERED] = "delivered", [MX_SPOOL_ACK_EXPORTED] = "exported",
        [MX_SPOOL_ACK_DROPPED] = "dropped",     [MX_SPOOL_ACK_FAILED] = "failed",
        [MX_SPOOL_ACK_MOVED] = "moved",
    };
    const char *name = state < sizeof names / sizeof *names ? names[state] : NULL;
    return name != NULL ? name : "unknown";
}

bool mx_spool_ack_is_sound(const struct mx_spool_ack *ack, uint32_t seed) {
    struct mx_spool_ack copy = *ack;
    copy.crc = 0;
    return ack->magic == MX_SPOOL_ACK_MAGIC &&
           ack->crc == mx_crc32c(seed, (struct mx_span){(const char *)&copy, sizeof copy});
}

/* ---- bits ---- */

static bool has_bit(const uint64_t *bits, uint32_t i) {
    return (bits[i / WORD] >> (i % WORD) & 1) != 0;
}

static uint32_t slot_of(const struct mx_spool_acks *self, uint32_t core, uint64_t epoch) {
    uint64_t hash = (epoch * UINT64_C(0x9e3779b97f4a7c15)) ^ (core * UINT64_C(0xc2b2ae3d27d4eb4f));
    return (uint32_t)(hash >> 32) & (self->map_slots - 1);
}

static struct mx_spool_ack_map *find_map(const struct mx_spool_acks *self, uint32_t core,
                                         uint64_t epoch) {
    if (self->map_slots == 0)
        return NULL;
    for (uint32_t i = slot_of(self, core, epoch);; i = (i + 1) & (self->map_slots - 1)) {
        struct mx_spool_ack_map *map = &self->maps[i];
        if (map->epoch == 0)
            return NULL;
        if (map->epoch == epoch && map->core == core)
            return map;
    }
}

static struct mx_spool_ack_map *place(struct mx_spool_acks *self,
                                      const struct mx_spool_ack_map *map) {
    uint32_t i = slot_of(self, map->core, map->epoch);
    while (self->maps[i].epoch != 0)
        i = (i + 1) & (self->map_slots - 1);
    self->maps[i] = *map;
    return &self->maps[i];
}

static int new_slots(struct mx_spool_acks *self) {
    struct mx_spool_ack_map *old = self->maps;
    uint32_t count = self->map_slots, more = count > 0 ? 2 * count : SLOTS_MIN;
    struct mx_spool_ack_map *maps = calloc(more, sizeof *maps);
    if (maps == NULL)
        return -ENOMEM;
    self->maps = maps;
    self->map_slots = more;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].epoch != 0)
            (void)place(self, &old[i]);
    }
    free(old);
    return 0;
}

/* Room for this many recipients, the new ones zero. */
static int new_bits(uint64_t **bits, uint32_t have, uint32_t want) {
    uint64_t *more = realloc(*bits, want / 8);
    if (more == NULL)
        return -ENOMEM;
    memset(more + have / WORD, 0, (want - have) / 8);
    *bits = more;
    return 0;
}

static int grow(struct mx_spool_ack_map *map, uint32_t rcpt) {
    uint32_t want = map->bits > 0 ? map->bits : BITS_MIN;
    while (want <= rcpt)
        want *= 2;
    if (want == map->bits)
        return 0;
    int err = new_bits(&map->final, map->bits, want);
    if (err == 0 && map->deferred != NULL)
        err = new_bits(&map->deferred, map->bits, want);
    if (err == 0)
        map->bits = want;
    return err;
}

static int note(struct mx_spool_ack_map *map, const struct mx_spool_ack *ack) {
    int err = grow(map, ack->rcpt);
    if (err == 0 && map->deferred == NULL && ack->state == MX_SPOOL_ACK_DEFERRED)
        err = new_bits(&map->deferred, 0, map->bits);
    if (err < 0)
        return err;
    uint64_t bit = UINT64_C(1) << (ack->rcpt % WORD);
    uint32_t word = ack->rcpt / WORD;
    if (mx_spool_ack_is_final(ack)) {
        map->final_count += !has_bit(map->final, ack->rcpt);
        map->final[word] |= bit;
    } else if (ack->state == MX_SPOOL_ACK_DEFERRED) {
        map->deferred[word] |= bit;
    } else if (map->deferred != NULL) {
        map->deferred[word] &= ~bit;
    }
    return 0;
}

/* ---- records ---- */

static bool is_live(const struct mx_spool_acks *self, uint32_t core, uint64_t epoch) {
    if (self->is_live != NULL)
        return self->is_live(self->context, core, epoch);
    return !mx_spool_store_is_gone(self->store, core, epoch);
}

static bool can_be(const struct mx_spool_ack *ack) {
    return ack->state >= MX_SPOOL_ACK_FILE && ack->state <= MX_SPOOL_ACK_MOVED &&
           ack->rcpt < MX_SPOOL_RCPTS_MAX && (ack->epoch != 0 || ack->state == MX_SPOOL_ACK_FILE);
}

static int take(struct mx_spool_acks *self, const struct mx_spool_ack *ack) {
    self->records++;
    if (ack->state == MX_SPOOL_ACK_FILE)
        return 0;
    struct mx_spool_ack_map *map = find_map(self, ack->core, ack->epoch);
    if (!is_live(self, ack->core, ack->epoch))
        return 0;
    if (map == NULL) {
        const struct mx_spool_ack_map fresh = {.epoch = ack->epoch, .core = ack->core};
        int err = 4 * (self->map_count + 1) > 3 * self->map_slots ? new_slots(self) : 0;
        if (err < 0)
            return err;
        map = place(self, &fresh);
        self->map_count++;
    }
    int err = note(map, ack);
    if (err == 0 && self->seen != NULL)
        self->seen(self->context, ack);
    return err;
}

/* Take the whole records of the buffer. What is damaged is skipped when a whole one is behind it:
 * otherwise it may be the end of a write that goes on. *done: octets that are dealt with. */
static int take_all(struct mx_spool_acks *self, struct mx_span octets, size_t *done) {
    struct mx_spool_ack ack;
    uint64_t skipped = 0;
    *done = 0;
    for (size_t at = 0; at + sizeof ack <= octets.len; at += sizeof ack) {
        memcpy(&ack, octets.ptr + at, sizeof ack);
        if (!mx_spool_ack_is_sound(&ack, self->seed) || !can_be(&ack)) {
            skipped++;
            continue;
        }
        int err = take(self, &ack);
        if (err < 0)
            return err;
        *done = at + sizeof ack;
        self->damaged += skipped;
        skipped = 0;
    }
    return 0;
}

/* A buffer without a whole record in the middle of a log is passed over, too. */
static int read_log(struct mx_spool_acks *self, struct mx_spool_ack_log *log) {
    for (uint64_t skipped = 0;;) {
        size_t len = 0, done = 0;
        int err = mx_disk_read(log->fd, self->buffer, BUFFER, log->offset + skipped, &len);
        if (err == 0)
            err = take_all(self, (struct mx_span){self->buffer, len}, &done);
        if (err < 0)
            return err;
        if (done > 0) {
            self->damaged += skipped / sizeof(struct mx_spool_ack);
            log->offset += skipped + done;
            skipped = 0;
        } else {
            skipped += BUFFER;
        }
        if (len < BUFFER)
            return 0;
    }
}

/* ---- logs ---- */

static bool is_log_name(const char *name) {
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= MX_SPOOL_WRITER_MAX && strcmp(name + len, ".log") == 0;
}

static struct mx_spool_ack_log *find_log(struct mx_spool_acks *self, const char *name) {
    for (uint32_t i = 0; i < self->log_count; i++) {
        if (strcmp(self->logs[i].name, name) == 0)
            return &self->logs[i];
    }
    return NULL;
}

static int new_log(struct mx_spool_acks *self, const char *name, struct mx_spool_ack_log **log) {
    void *more = realloc(self->logs, (self->log_count + 1) * sizeof *self->logs);
    if (more == NULL)
        return -ENOMEM;
    self->logs = more;
    *log = &self->logs[self->log_count++];
    **log = (struct mx_spool_ack_log){.fd = -1};
    assert(strlen(name) < sizeof(*log)->name);
    memcpy((*log)->name, name, strlen(name) + 1);
    return 0;
}

/* Its writer may have put another file in its place, or cut off a torn end. */
static int open_log(struct mx_spool_ack_log *log, int folder) {
    struct stat st;
    if (fstatat(folder, log->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode))
        return 0;
    bool is_same = log->fd >= 0 && st.st_dev == log->device && st.st_ino == log->inode;
    if (is_same && (uint64_t)st.st_size >= log->offset)
        return 0;
    if (log->fd >= 0)
        close(log->fd);
    log->offset = 0;
    log->fd = openat(folder, log->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (log->fd < 0 || fstat(log->fd, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    log->device = st.st_dev;
    log->inode = st.st_ino;
    return 0;
}

int mx_spool_acks_each(const struct mx_spool_store *store, mx_spool_log_name_fn *found,
                       void *context) {
    int folder = openat(store->dirs[0].fd, "acks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *dir = fdopendir(folder);
    if (dir == NULL) {
        int err = -errno;
        close(folder);
        return err;
    }
    int err = 0;
    errno = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is ours alone */
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
        if (is_log_name(entry->d_name))
            err = found(context, folder, entry->d_name);
    }
    if (err == 0 && errno != 0)
        err = -errno;
    closedir(dir);
    return err;
}

static int poll_log(void *context, int folder, const char *name) {
    struct mx_spool_acks *self = context;
    struct mx_spool_ack_log *log = find_log(self, name);
    int err = log == NULL ? new_log(self, name, &log) : 0;
    if (err == 0)
        err = open_log(log, folder);
    return err == 0 && log->fd >= 0 ? read_log(self, log) : err;
}

int mx_spool_acks_poll(struct mx_spool_acks *self) {
    return mx_spool_acks_each(self->store, poll_log, self);
}

int mx_spool_acks_sync(const struct mx_spool_acks *self) {
    for (uint32_t i = 0; i < self->log_count; i++) {
        if (self->logs[i].fd >= 0 && fdatasync(self->logs[i].fd) < 0)
            return -errno;
    }
    return 0;
}

/* ---- life ---- */

int mx_spool_acks_new(struct mx_spool_acks *self, const struct mx_spool_store *store,
                      mx_spool_live_fn *live, mx_spool_ack_fn *seen, void *context) {
    struct mx_span uuid = {(const char *)store->uuid, sizeof store->uuid};
    *self = (struct mx_spool_acks){
        .store = store,
        .is_live = live,
        .seen = seen,
        .context = context,
        .seed = mx_crc32c(0, uuid),
        .buffer = malloc(BUFFER),
    };
    return self->buffer != NULL ? 0 : -ENOMEM;
}

static void free_map(struct mx_spool_ack_map *map) {
    free(map->final);
    free(map->deferred);
    *map = (struct mx_spool_ack_map){0};
}

void mx_spool_acks_free(struct mx_spool_acks *self) {
    for (uint32_t i = 0; i < self->map_slots; i++)
        free_map(&self->maps[i]);
    for (uint32_t i = 0; i < self->log_count; i++) {
        if (self->logs[i].fd >= 0)
            close(self->logs[i].fd);
    }
    free(self->maps);
    free(self->logs);
    free(self->buffer);
    *self = (struct mx_spool_acks){0};
}

void mx_spool_acks_forget(struct mx_spool_acks *self, uint32_t core, uint64_t epoch) {
    struct mx_spool_ack_map *map = find_map(self, core, epoch);
    if (map == NULL)
        return;
    free_map(map);
    self->map_count--;
    /* those behind it may have been pushed there by it */
    for (uint32_t i = (uint32_t)(map - self->maps + 1) & (self->map_slots - 1);
         self->maps[i].epoch != 0; i = (i + 1) & (self->map_slots - 1)) {
        struct mx_spool_ack_map moved = self->maps[i];
        self->maps[i] = (struct mx_spool_ack_map){0};
        (void)place(self, &moved);
    }
}

/* ---- questions ---- */

static enum mx_spool_rcpt_state state_in(const struct mx_spool_ack_map *map, uint32_t rcpt) {
    if (map == NULL || rcpt >= map->bits)
        return MX_SPOOL_RCPT_QUEUED;
    if (has_bit(map->final, rcpt))
        return MX_SPOOL_RCPT_FINAL;
    return map->deferred != NULL && has_bit(map->deferred, rcpt) ? MX_SPOOL_RCPT_DEFERRED
                                                                 : MX_SPOOL_RCPT_QUEUED;
}

enum mx_spool_rcpt_state mx_spool_acks_state(const struct mx_spool_acks *self, uint32_t core,
                                             uint64_t epoch, uint32_t rcpt) {
    return state_in(find_map(self, core, epoch), rcpt);
}

uint32_t mx_spool_acks_count(const struct mx_spool_acks *self,
                             const struct mx_spool_segment *segment, uint32_t first, uint32_t count,
                             enum mx_spool_rcpt_state state) {
    const struct mx_spool_ack_map *map = find_map(self, segment->core, segment->epoch);
    uint32_t found = 0;
    if (map == NULL)
        return state == MX_SPOOL_RCPT_QUEUED ? count : 0;
    for (uint32_t i = 0; i < count; i++)
        found += state_in(map, first + i) == state;
    return found;
}

uint32_t mx_spool_acks_final(const struct mx_spool_acks *self, uint32_t core, uint64_t epoch) {
    const struct mx_spool_ack_map *map = find_map(self, core, epoch);
    return map != NULL ? map->final_count : 0;
}

uint64_t mx_spool_acks_memory(const struct mx_spool_acks *self) {
    uint64_t octets = BUFFER + (uint64_t)self->map_slots * sizeof *self->maps;
    for (uint32_t i = 0; i < self->map_slots; i++) {
        const struct mx_spool_ack_map *map = &self->maps[i];
        octets += (uint64_t)map->bits / 8 * (map->deferred != NULL ? 2 : 1);
    }
    return octets;
}
