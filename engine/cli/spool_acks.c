/* spool_acks.c - mxring spool retry and drop: what an operator decides about recipients. */
#include "engine/cli/spool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int usage(FILE *to, const char *name, const char *what) {
    fprintf(to, "usage: %s DIR ID...\n\n%s\n", name, what);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

/* One record for each recipient that is not final. */
static int put_all(struct mx_cli_spool *spool, const struct mx_spool_reader *reader,
                   struct mx_spool_ack_writer *log, enum mx_spool_ack_state state) {
    struct timespec now;
    const struct mx_spool_record *record = &reader->record;
    clock_gettime(CLOCK_REALTIME, &now);
    for (uint32_t i = 0; i < record->rcpt_count; i++) {
        struct mx_spool_ack ack = {
            .epoch = reader->segment->epoch,
            .message_lsn = record->message_lsn,
            .core = reader->segment->core,
            .rcpt = record->rcpt_base + i,
            .state = (uint8_t)state,
            .time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
            .origin_core = record->origin_core,
        };
        if (mx_spool_acks_state(&spool->acks, ack.core, ack.epoch, ack.rcpt) == MX_SPOOL_RCPT_FINAL)
            continue;
        int err = mx_spool_ack_writer_put(log, &ack, 1);
        if (err < 0)
            return err;
    }
    return 0;
}

static int decide(struct mx_cli_spool *spool, struct mx_spool_reader *reader,
                  struct mx_spool_ack_writer *log, const char *id, enum mx_spool_ack_state state) {
    uint32_t pending;
    int code = mx_cli_spool_find(spool, reader, id);
    if (code != MX_EXIT_OK)
        return code;
    (void)mx_cli_spool_state(spool, reader->segment, &reader->record, &pending);
    if (pending == 0) {
        fprintf(stderr, "%s: %s: nothing is left to deliver of it\n", spool->name, id);
        return MX_EXIT_DAMAGED;
    }
    int err = put_all(spool, reader, log, state);
    return err < 0 ? mx_cli_spool_fail(spool, "acks/cli.log", err) : MX_EXIT_OK;
}

/* All ids are tried; what went wrong first is returned. */
static int decide_all(struct mx_cli_spool *spool, char **ids, int count,
                      enum mx_spool_ack_state state) {
    struct mx_spool_reader reader;
    struct mx_spool_ack_writer log;
    int code = MX_EXIT_OK;
    int err = mx_spool_reader_new(&reader, &spool->store);
    if (err < 0)
        return mx_cli_spool_fail(spool, spool->path, err);
    err = mx_spool_ack_writer_open(&log, &spool->store, "cli", NULL, NULL);
    if (err < 0) {
        mx_spool_reader_free(&reader);
        return mx_cli_spool_fail(spool, "acks/cli.log", err);
    }
    for (int i = 0; i < count; i++) {
        int this_one = decide(spool, &reader, &log, ids[i], state);
        code = code == MX_EXIT_OK ? this_one : code;
    }
    err = mx_spool_ack_writer_sync(&log);
    if (err < 0)
        code = mx_cli_spool_fail(spool, "acks/cli.log", err);
    mx_spool_ack_writer_close(&log);
    mx_spool_reader_free(&reader);
    return code;
}

static int run(int argc, char **argv, enum mx_spool_ack_state state, const char *what) {
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL,   0,           NULL, 0  },
    };
    struct mx_cli_spool spool;
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;)
        return usage(o == 'h' ? stdout : stderr, argv[0], what);
    if (optind + 2 > argc)
        return usage(stderr, argv[0], what);
    int code = mx_cli_spool_open(&spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    code = decide_all(&spool, argv + optind + 1, argc - optind - 1, state);
    mx_cli_spool_close(&spool);
    return code;
}

int mx_cli_spool_retry(int argc, char **argv) {
    return run(argc, argv, MX_SPOOL_ACK_RETRY,
               "Recipients that are waiting for another try are due at once.");
}

int mx_cli_spool_drop(int argc, char **argv) {
    return run(argc, argv, MX_SPOOL_ACK_DROPPED,
               "The recipients that are left will never get the message. This cannot be undone.");
}
