/* store.h - a spool as it lies on the disk: its directories and the segments in them.
 *
 * mx_spool_store_open is for the server, before there are workers: it takes the lock, counts the
 * start, and recovers every segment, also of cores that have no worker any more. The list of
 * segments is what was found then; what changes later is the keeper's business.
 * mx_spool_store_look is for tools: it writes nothing and takes no lock, and the spool may be
 * running, stopped, or killed and not recovered.
 *
 * Blocks. For tools and background threads, never for a worker.
 */
#pragma once
#include "engine/log.h"
#include "engine/spool/meta.h"
#include "engine/spool/scan.h"

/* A line for the log. Everything is borrowed for the call. */
struct mx_spool_event {
    enum mx_log_severity severity;
    const char *event; /* spool_recovered, spool_damaged, ... */
    const char *path;  /* of the file */
    const char *text;
};
typedef void mx_spool_report_fn(void *context, const struct mx_spool_event *event);

struct mx_spool_store_conf {
    const char *directory;
    const char *second;      /* spool.secondDirectory; NULL: none */
    uint32_t core_count;     /* whose folders are made */
    uint64_t segment_octets; /* free files of another size are removed; 0: none are */
    mx_spool_report_fn *report;
    void *context;
};

enum { MX_SPOOL_DIRS = 2 };

struct mx_spool_dir {
    const char *path; /* borrowed from the configuration */
    int fd;           /* -1: there is none */
    int lock_fd;
};

struct mx_spool_store {
    struct mx_spool_dir dirs[MX_SPOOL_DIRS];
    uint8_t uuid[16];
    uint32_t node; /* first part of message ids; tells nothing of the CRCs' seeds */
    uint32_t run;  /* of this start; in a read-only store of the last one */
    bool is_read_only;
    bool is_running;                   /* read-only: a server had the lock a moment ago */
    bool is_partial;                   /* there is a second directory, but it cannot be read */
    char second[MX_SPOOL_PATH_MAX];    /* read-only: where it is, as the server has noted */
    struct mx_spool_segment *segments; /* by core and epoch; free ones first */
    uint32_t count, capacity;
    mx_spool_report_fn *report;
    void *context;
    struct mx_spool_file file; /* buffer for scans */
};

/* 0; -EWOULDBLOCK: another server has it; -EPROTONOSUPPORT: another version; -EXDEV: the second
 * directory belongs to another spool; else -errno of what could not be made or written. What is
 * wrong with the data is reported, and no error. After an error nothing is to be closed; the reason
 * has been reported. */
MX_MUST_CHECK int mx_spool_store_open(struct mx_spool_store *self,
                                      const struct mx_spool_store_conf *conf);

/* -ENOENT: no spool there (no meta and no segments); else as above. directory, report and context
 * count, and second, where it is not NULL: then it is where the server has noted it. */
MX_MUST_CHECK int mx_spool_store_look(struct mx_spool_store *self,
                                      const struct mx_spool_store_conf *conf);

void mx_spool_store_close(struct mx_spool_store *self);

/* NULL: there is none. core and epoch name a segment. */
struct mx_spool_segment *mx_spool_store_find(const struct mx_spool_store *self, uint32_t core,
                                             uint64_t epoch);

/* Is it certain that this segment is not there any more? Not if it is newer than those that are
 * listed, or if a directory cannot be read. */
bool mx_spool_store_is_gone(const struct mx_spool_store *self, uint32_t core, uint64_t epoch);

/* What the first header of a new run says of the segment before: 0, 0 when there is none. */
void mx_spool_store_last(const struct mx_spool_store *self, uint32_t core, uint64_t *prev_epoch,
                         uint64_t *prev_sealed_lsn);

/* Must the segment stay because of others? While a message that ends in another one has chunks in
 * it, and while the one before it has no footer: its header says where that one ends. (Whether its
 * own recipients are final is another question.) */
bool mx_spool_store_is_needed(const struct mx_spool_store *self,
                              const struct mx_spool_segment *segment);

/* Read-only: find out what is new about an OPEN segment: how far it goes now, and whether a newer
 * segment cuts it by now. The state may change. -errno: it is gone. */
MX_MUST_CHECK int mx_spool_store_refresh(struct mx_spool_store *self,
                                         struct mx_spool_segment *segment);

/* Does the file, which is open, still hold this segment? A recycled one does not. */
bool mx_spool_store_is_current(const struct mx_spool_file *file,
                               const struct mx_spool_segment *segment);

/* A segment whose messages are all done with: zero its header, or remove the file when octets (0:
 * any) is not its size. Durable when it returns, and the segment is FREE; file_octets is 0 when it
 * is gone. -errno: nothing has changed, as far as is known. The segment's name alone counts. */
MX_MUST_CHECK int mx_spool_store_erase(const struct mx_spool_store *self,
                                       struct mx_spool_segment *segment, uint64_t octets);

/* Write the footer of a segment behind end_offset, and cut the file off there: as recovery does it,
 * and as one that was given up after an error needs it before another one is freed that has its
 * cut. In: all but the state, which is SEALED then. -errno. */
MX_MUST_CHECK int mx_spool_store_seal(const struct mx_spool_store *self,
                                      struct mx_spool_segment *segment);

/* Open the file of a segment for reading. Read-only: the server may have put a compacted one in its
 * place; then *segment tells of that one now. What was opened stays as it is. -errno. */
MX_MUST_CHECK int mx_spool_store_file(struct mx_spool_store *self, struct mx_spool_segment *segment,
                                      struct mx_spool_file *file);

/* First part of message ids. Not derived by a CRC: who sees an id must not learn the seed of the
 * records' CRCs, with which a message could carry something that looks like a record. */
static inline uint32_t mx_spool_node(const uint8_t uuid[16]) {
    uint32_t node;
    memcpy(&node, uuid, sizeof node);
    return node;
}
