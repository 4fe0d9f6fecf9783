/* spool_world.h - for tests of a spool on the disk: a folder, what the store reported of it, and
 * which messages count.
 */
#pragma once
#include "engine/spool/store.h"
#include "tests/unit/spool_maker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/file.h>

enum { EVENTS_MAX = 64 };

static char root[MAKER_ROOT_MAX], second[MAKER_ROOT_MAX];
static struct {
    char event[32], text[512];
    enum mx_log_severity severity;
} events[EVENTS_MAX];
static uint32_t event_count;

static inline void note(void *context, const struct mx_spool_event *event) {
    (void)context;
    cr_assert_lt(event_count, (uint32_t)EVENTS_MAX);
    snprintf(events[event_count].event, sizeof events->event, "%s", event->event);
    snprintf(events[event_count].text, sizeof events->text, "%s: %s", event->path, event->text);
    events[event_count++].severity = event->severity;
}

static inline bool was_told(const char *event) {
    for (uint32_t i = 0; i < event_count; i++) {
        if (strcmp(events[i].event, event) == 0)
            return true;
    }
    return false;
}

static inline bool was_alarm(void) {
    for (uint32_t i = 0; i < event_count; i++) {
        if (events[i].severity == MX_SEVERITY_ERROR)
            return true;
    }
    return false;
}

static inline void set_up(void) {
    maker_root(root);
    maker_root(second);
}

static inline void tear_down(void) {
    maker_remove(root);
    maker_remove(second);
}

static inline struct mx_spool_store_conf conf_of(uint32_t core_count, uint64_t segment_octets) {
    event_count = 0;
    return (struct mx_spool_store_conf){.directory = root,
                                        .core_count = core_count,
                                        .segment_octets = segment_octets,
                                        .report = note};
}

static inline void open_store(struct mx_spool_store *store) {
    struct mx_spool_store_conf conf = conf_of(1, MAKER_SEGMENT);
    cr_assert_eq(mx_spool_store_open(store, &conf), 0);
}

static inline void look_at(struct mx_spool_store *store) {
    struct mx_spool_store_conf conf = conf_of(1, MAKER_SEGMENT);
    cr_assert_eq(mx_spool_store_look(store, &conf), 0);
}

static inline uint64_t size_of(uint32_t core, uint32_t number) {
    char path[256];
    struct stat st;
    maker_path(path, root, core, number, "");
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static inline bool has_damage_file(uint32_t core, uint32_t number) {
    char path[256];
    maker_path(path, root, core, number, ".damaged");
    return access(path, R_OK) == 0;
}

/* LSNs of the messages that count, without the run. */
static inline uint32_t messages_of(struct mx_spool_store *store, uint32_t core, uint64_t epoch,
                                   uint32_t lsns[], uint32_t cap) {
    struct mx_spool_segment *segment = mx_spool_store_find(store, core, epoch);
    struct mx_spool_file file;
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    uint32_t count = 0;
    if (segment == NULL)
        return 0;
    cr_assert_eq(mx_spool_file_new(&file), 0);
    cr_assert_eq(mx_spool_store_file(store, segment, &file), 0);
    mx_spool_walk_begin(&walk, &file, store->uuid, segment, false);
    while (mx_spool_walk_next(&walk, &record, &offset)) {
        if (record.type == MX_SPOOL_MSG && count < cap)
            lsns[count++] = (uint32_t)record.message_lsn;
    }
    mx_spool_file_free(&file);
    return count;
}

static inline void expect_messages(struct mx_spool_store *store, uint64_t epoch,
                                   const char *wanted) {
    uint32_t lsns[64];
    char got[256] = "";
    size_t len = 0;
    uint32_t count = messages_of(store, 0, epoch, lsns, 64);
    for (uint32_t i = 0; i < count; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, i > 0 ? " %u" : "%u", lsns[i]);
    cr_expect_str_eq(got, wanted, "epoch %lu: got '%s', wanted '%s'", (unsigned long)epoch, got,
                     wanted);
}

/* Epoch 1 of run 1 on core 0: batches of two messages, LSN 1 2, 3 4, ... */
static inline void make_batches(struct maker *maker, uint32_t batches) {
    maker_begin(maker, 0, 0, MAKER_EPOCH(1, 1), MAKER_LSN(1, 1));
    for (uint32_t i = 0; i < batches; i++) {
        maker_message(maker, "Subject: x\r\n\r\nfirst\r\n");
        maker_message(maker, "Subject: x\r\n\r\nsecond\r\n");
        maker_flush(maker);
    }
}
