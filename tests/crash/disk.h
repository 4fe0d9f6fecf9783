/* disk.h - a simulated disk behind a ring in plain memory: a volatile cache, requests that complete
 * in any order, sectors that are torn when the power fails, and errors.
 *
 * What is durable stands in real files; what is not is kept here, and reaches them in part at the
 * crash.
 */
#pragma once
#include "engine/ring.h"
#include "tests/unit/guard.h"

enum { DISK_REQUESTS_MAX = 64, DISK_VOLATILE_MAX = 4096, DISK_SECTOR = 512 };

enum disk_fault {
    DISK_WRITE_EIO,
    DISK_WRITE_SHORT,
    DISK_SYNC_EIO,
    DISK_FAULTS,
};

struct disk_write {
    int fd;
    uint64_t offset;
    uint32_t len;
    char *octets;    /* owned */
    uint64_t number; /* of its submission */
};

struct disk_request {
    uint64_t user_data;
    uint8_t opcode;
    bool is_durable;
    int fd;
    struct disk_write write;
    uint64_t number; /* FSYNC: covers what has completed before it was submitted */
};

struct disk {
    struct mx_ring ring;
    struct rng rng;
    struct disk_request requests[DISK_REQUESTS_MAX];
    uint32_t request_count;
    struct disk_write cache[DISK_VOLATILE_MAX]; /* completed, not durable */
    uint32_t cache_count;
    uint64_t clock;                     /* submissions so far */
    uint32_t one_in[DISK_FAULTS];       /* a fault every so many requests; 0: never */
    uint32_t fault_counts[DISK_FAULTS]; /* that happened */
    uint32_t busy;                      /* of 100, how likely a request waits another turn */
};

void disk_init(struct disk *self, uint64_t seed);
void disk_free(struct disk *self);
/* Complete some of the requests. */
void disk_turn(struct disk *self);
/* The power fails: of what is not durable, each sector arrives or not. */
void disk_crash(struct disk *self);
