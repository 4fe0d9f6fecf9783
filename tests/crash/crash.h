/* crash.h - what the files of the crash test share. */
#pragma once
#include "engine/spool/log_impl.h"
#include "engine/spool/message.h"
#include "engine/spool/prepare.h"
#include "engine/spool/walk.h"
#include "tests/crash/disk.h"
#include "tests/unit/spool_maker.h"

#include <errno.h>
#include <inttypes.h>

enum {
    SEGMENT = 4 << 20,
    CLIENTS_MAX = 40,
    LIFE = 40,          /* runs of a folder */
    MAIL_MAX = 1 << 20, /* of one folder's life */
    TURNS_MAX = 120,
    CONTENT_MAX = 700000,
    RCPTS_MAX = 4000,
    ENVELOPE_OCTETS = RCPTS_MAX * 32,
    FILES_MAX = 1000,
};

/* Where the power fails while a segment is compacted. */
enum crash_step { CRASH_WRITE, CRASH_SYNC, CRASH_RENAME, CRASH_FOLDER, CRASH_BEHIND, CRASH_STEPS };

/* DONE: nobody waits for it any more, so that it may be left out. */
enum fate { UNKNOWN, ACCEPTED, REFUSED, DONE, CONSUMED };

struct mail {
    uint32_t len, rcpts;
    uint8_t fate; /* enum fate */
    uint8_t found;
};

struct client {
    bool is_open, is_pending;
    uint32_t mail, sent;
    uint64_t token;
    struct mx_session session;
    char envelope[ENVELOPE_OCTETS];
};

struct world {
    struct disk disk;
    struct rng rng;
    char root[MAKER_ROOT_MAX];
    struct mx_spool_store store;
    struct mx_spool_lane lane;
    sem_t wake;
    struct mx_spool_log *log;
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
    struct mail mails[MAIL_MAX];
    uint32_t mail_count;
    char content[CONTENT_MAX];
    bool is_taken[FILES_MAX]; /* files of this run */
    int retired[FILES_MAX];
    uint32_t retired_count;
    bool is_bulky;
    bool is_stingy; /* segments come late, or never */
    bool is_alarm;
    uint64_t violations, points, accepted, refused, recycled, compacted;
    uint64_t compact_crashes[CRASH_STEPS];
    struct mx_spool_counters sums;
    uint32_t faults[DISK_FAULTS];
    uint64_t seed;
};
extern struct world world;

/* Say that something is wrong with a message. */
void crash_violation(const char *what, uint32_t mail);
/* Octet i of a message: all of them differ in it. */
char crash_octet(uint32_t mail, uint32_t i);
/* Compare what the recovered store has with what clients were told (look.c). */
void crash_look(void);
/* Compact some segments of the open store until the power fails (compact.c). syncs: whether the
 * disk does what it says. False: there was nothing to compact. */
bool crash_compact(bool syncs);
