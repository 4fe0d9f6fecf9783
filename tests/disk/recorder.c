/* recorder.c - a disk that writes down what it is told, and fails when it is told to.
 *
 * Speaks the kernel's FUSE protocol (linux/fuse.h) and shows two files: "disk", to be put under a
 * loop device, and "control". Every write and every flush of the disk goes into a log, in the order
 * in which they came, with the times between which they were served (CLOCK_MONOTONIC). Of that log
 * any disk can be made that a power failure may leave behind: tests/e2e/lib_disk.py does.
 *
 *   recorder IMAGE LOG FOLDER     mounts on FOLDER, says "ready", serves until it is killed
 *
 * Commands, one for each write to control:
 *   delay WRITE_MS FLUSH_MS          from now on
 *   fail write COUNT AFTER PART [MAGIC]   of the writes behind the next AFTER, COUNT fail with EIO;
 *                                    of each of them the first PART percent are on the disk. Writes
 *                                    that do not begin with the four octets MAGIC are not meant
 *   fail flush COUNT AFTER
 *   quiet | record                   stop writing the log down, and go on
 * Reading control says how many requests were served and failed.
 *
 * One request at a time: what came before a flush was served before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ROOT = FUSE_ROOT_ID, DISK, CONTROL };
enum { WRITE_MAX = 1 << 20, PAGE = 4096, REQUEST_MAX = WRITE_MAX + PAGE, SECTOR = 512 };
enum { KIND_WRITE = 1, KIND_FLUSH = 2, KIND_FAILED_FLUSH = 3 };

/* What stands in the log; behind a write its octets follow. */
struct entry {
    uint32_t magic, kind;
    uint64_t offset, len;
    uint64_t begin_ns, end_ns;
};
enum { ENTRY_MAGIC = 0x3157584d }; /* MXW1 */

struct fault {
    uint64_t count, after;
    unsigned part; /* percent of a failed write that is on the disk */
    char magic[5]; /* empty: any */
};

struct recorder {
    int fuse, image;
    FILE *log;
    uint64_t octets; /* of the disk */
    bool is_quiet;
    unsigned write_ms, flush_ms;
    struct fault write_fault, flush_fault;
    uint64_t writes, flushes, failed_writes, failed_flushes;
    char *request; /* the one that is served */
    char *answer;
};

static void die(const char *what) {
    fprintf(stderr, "recorder: %s: %s\n", what, strerrordesc_np(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_ms(unsigned ms) {
    struct timespec rest = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
}

/* ---- answers ---- */

static void answer(struct recorder *self, int err, const void *ptr, size_t len) {
    const struct fuse_in_header *in = (const void *)self->request;
    struct fuse_out_header out = {.error = err, .unique = in->unique};
    if (err != 0)
        len = 0;
    out.len = (uint32_t)(sizeof out + len);
    union {
        const void *from;
        void *to;
    } body = {ptr};
    struct iovec parts[2] = {
        {&out,    sizeof out},
        {body.to, len       }
    };
    /* ENOENT: who asked does not wait any more */
    if (writev(self->fuse, parts, 2) < 0 && errno != ENOENT)
        die("an answer");
}

static struct fuse_attr attributes(const struct recorder *self, uint64_t node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = PAGE};
    attr.mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600;
    attr.size = node == DISK ? self->octets : 0;
    attr.blocks = attr.size / SECTOR;
    return attr;
}

/* ---- the log ---- */

static void put_log(struct recorder *self, const struct entry *entry, const char *octets) {
    if (self->is_quiet)
        return;
    size_t len = entry->kind == KIND_WRITE ? entry->len : 0;
    if (fwrite(entry, sizeof *entry, 1, self->log) != 1 ||
        (len > 0 && fwrite(octets, len, 1, self->log) != 1))
        die("the log");
}

/* Does this request fail? */
static bool hits(struct fault *fault) {
    if (fault->count == 0)
        return false;
    if (fault->after > 0) {
        fault->after--;
        return false;
    }
    fault->count--;
    return true;
}

/* ---- the disk ---- */

static void put_image(struct recorder *self, const char *octets, size_t len, uint64_t offset) {
    while (len > 0) {
        ssize_t n = pwrite(self->image, octets, len, (off_t)offset);
        if (n <= 0)
            die("the image");
        octets += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
}

static void on_disk_write(struct recorder *self, const struct fuse_write_in *in,
                          const char *octets) {
    struct entry entry = {ENTRY_MAGIC, KIND_WRITE, in->offset, in->size, now_ns(), 0};
    if (in->offset > self->octets || in->size > self->octets - in->offset) {
        answer(self, -ENOSPC, NULL, 0);
        return;
    }
    size_t magic_len = strlen(self->write_fault.magic);
    bool is_meant =
        in->size >= magic_len && memcmp(octets, self->write_fault.magic, magic_len) == 0;
    bool has_failed = is_meant && hits(&self->write_fault);
    if (has_failed) /* what is on the disk of it is whole sectors */
        entry.len = entry.len * self->write_fault.part / 100 / SECTOR * SECTOR;
    wait_ms(self->write_ms);
    put_image(self, octets, entry.len, in->offset);
    entry.end_ns = now_ns();
    if (entry.len > 0)
        put_log(self, &entry, octets);
    self->writes++;
    self->failed_writes += has_failed;
    struct fuse_write_out out = {.size = in->size};
    answer(self, has_failed ? -EIO : 0, &out, sizeof out);
}

static void on_flush(struct recorder *self) {
    struct entry entry = {ENTRY_MAGIC, KIND_FLUSH, 0, 0, now_ns(), 0};
    bool has_failed = hits(&self->flush_fault);
    wait_ms(self->flush_ms);
    if (has_failed)
        entry.kind = KIND_FAILED_FLUSH;
    entry.end_ns = now_ns();
    put_log(self, &entry, NULL);
    self->flushes++;
    self->failed_flushes += has_failed;
    answer(self, has_failed ? -EIO : 0, NULL, 0);
}

static void on_disk_read(struct recorder *self, const struct fuse_read_in *in) {
    uint32_t len = in->size < WRITE_MAX ? in->size : WRITE_MAX;
    ssize_t n = pread(self->image, self->answer, len, (off_t)in->offset);
    answer(self, n < 0 ? -errno : 0, self->answer, n > 0 ? (size_t)n : 0);
}

/* ---- control ---- */

static int command(struct recorder *self, const char *line) {
    struct fault fault = {.part = 0};
    unsigned write_ms, flush_ms;
    if (sscanf(line, "delay %u %u", &write_ms, &flush_ms) == 2) {
        self->write_ms = write_ms;
        self->flush_ms = flush_ms;
    } else if (sscanf(line, "fail write %lu %lu %u %4s", &fault.count, &fault.after, &fault.part,
                      fault.magic) >= 3 &&
               fault.part <= 100) {
        self->write_fault = fault;
    } else if (sscanf(line, "fail flush %lu %lu", &fault.count, &fault.after) == 2) {
        self->flush_fault = fault;
    } else if (strcmp(line, "quiet") == 0 || strcmp(line, "record") == 0) {
        self->is_quiet = line[0] == 'q';
    } else {
        return -EINVAL;
    }
    return 0;
}

static void on_control_write(struct recorder *self, const struct fuse_write_in *in,
                             const char *octets) {
    char line[128];
    if (in->size >= sizeof line) {
        answer(self, -EINVAL, NULL, 0);
        return;
    }
    memcpy(line, octets, in->size);
    line[in->size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    struct fuse_write_out out = {.size = in->size};
    int err = command(self, line);
    if (err == 0 && fflush(self->log) != 0)
        die("the log");
    answer(self, err, &out, sizeof out);
}

static void on_control_read(struct recorder *self, const struct fuse_read_in *in) {
    char text[256];
    int len = snprintf(text, sizeof text,
                       "writes %lu\nflushes %lu\nfailed_writes %lu\nfailed_flushes %lu\n",
                       self->writes, self->flushes, self->failed_writes, self->failed_flushes);
    if (fflush(self->log) != 0)
        die("the log");
    size_t at = in->offset < (size_t)len ? in->offset : (size_t)len;
    size_t rest = (size_t)len - at;
    answer(self, 0, text + at, rest < in->size ? rest : in->size);
}

/* ---- requests ---- */

static void on_init(struct recorder *self, const struct fuse_init_in *in) {
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION < in->minor ? FUSE_KERNEL_MINOR_VERSION : in->minor,
        .max_readahead = in->max_readahead,
        .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
        .max_background = 64,
        .congestion_threshold = 48,
        .max_write = WRITE_MAX,
        .time_gran = 1,
        .max_pages = WRITE_MAX / PAGE,
    };
    answer(self, 0, &out, sizeof out);
}

static void on_lookup(struct recorder *self, const char *name) {
    struct fuse_entry_out out = {.entry_valid = 3600, .attr_valid = 3600};
    out.nodeid = strcmp(name, "disk") == 0 ? DISK : strcmp(name, "control") == 0 ? CONTROL : 0;
    out.attr = attributes(self, out.nodeid);
    answer(self, out.nodeid != 0 ? 0 : -ENOENT, &out, sizeof out);
}

static void on_attributes(struct recorder *self, uint64_t node) {
    struct fuse_attr_out out = {.attr_valid = 3600, .attr = attributes(self, node)};
    answer(self, 0, &out, sizeof out);
}

static void on_open(struct recorder *self, uint64_t node) {
    struct fuse_open_out out = {.open_flags = node == CONTROL ? FOPEN_DIRECT_IO : FOPEN_KEEP_CACHE};
    answer(self, 0, &out, sizeof out);
}

static void serve(struct recorder *self) {
    const struct fuse_in_header *in = (const void *)self->request;
    const char *body = self->request + sizeof *in;
    switch (in->opcode) {
    case FUSE_INIT:
        on_init(self, (const void *)body);
        break;
    case FUSE_LOOKUP:
        on_lookup(self, body);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR: /* O_TRUNC of control */
        on_attributes(self, in->nodeid);
        break;
    case FUSE_OPEN:
        on_open(self, in->nodeid);
        break;
    case FUSE_READ:
        (in->nodeid == DISK ? on_disk_read : on_control_read)(self, (const void *)body);
        break;
    case FUSE_WRITE:
        (in->nodeid == DISK ? on_disk_write : on_control_write)(
            self, (const void *)body, body + sizeof(struct fuse_write_in));
        break;
    case FUSE_FSYNC:
        on_flush(self);
        break;
    case FUSE_RELEASE:
    case FUSE_FLUSH:
    case FUSE_ACCESS:
        answer(self, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(self, -ENOSYS, NULL, 0);
    }
}

/* Whoever is the last in its namespace unmounts all there is, which we would have to serve: not for
 * us, who end the connection first. */
static int connection = -1;

static void on_end(int number) {
    close(connection);
    _exit(128 + number);
}

int main(int argc, char **argv) {
    static _Alignas(PAGE) char request[REQUEST_MAX], reply[WRITE_MAX];
    if (argc != 4) {
        fputs("usage: recorder IMAGE LOG FOLDER\n", stderr);
        return 2;
    }
    struct recorder self = {.request = request, .answer = reply};
    struct stat about;
    char options[64];
    signal(SIGTERM, on_end);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    self.image = open(argv[1], O_RDWR | O_CLOEXEC);
    if (self.image < 0 || fstat(self.image, &about) < 0)
        die(argv[1]);
    self.octets = (uint64_t)about.st_size;
    self.log = fopen(argv[2], "we");
    if (self.log == NULL)
        die(argv[2]);
    self.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (self.fuse < 0)
        die("/dev/fuse");
    connection = self.fuse;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", self.fuse);
    if (mount("recorder", argv[3], "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        die(argv[3]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        ssize_t len = read(self.fuse, request, sizeof request);
        if (len >= (ssize_t)sizeof(struct fuse_in_header))
            serve(&self);
        else if (len < 0 && errno == ENODEV)
            break; /* unmounted */
        else if (len < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
            die("a request");
    }
    return fclose(self.log) == 0 ? 0 : 1;
}
