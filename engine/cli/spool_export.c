/* spool_export.c - mxring spool export: a copy of every message for every recipient that waits for
 * it, in a Maildir or an mbox; with --ack they are not delivered any more.
 */
#include "engine/cli/export.h"
#include "engine/cli/spool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_MS = 200 };

struct job {
    struct mx_cli_spool spool;
    struct mx_export export;
    struct mx_spool_reader reader;
    struct mx_spool_ack_writer log;
    bool is_acked, is_terminal;
    uint64_t messages, damaged, total;
    int64_t begin_ns, shown_ns;
};

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void show_progress(struct job *self) {
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (!self->is_terminal || now_ns - self->shown_ns < PROGRESS_MS * INT64_C(1000000))
        return;
    self->shown_ns = now_ns;
    double seconds = (double)(now_ns - self->begin_ns) / 1e9;
    fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " messages, %.1f MB, %.0f a second",
            self->messages, self->total, (double)self->export.copied_octets / 1e6,
            (double)self->messages / seconds);
}

static void tell_damaged(struct job *self, const char *id, const char *why) {
    self->damaged++;
    fprintf(stderr, "%s%s: %s: damaged, not exported: %s\n", self->is_terminal ? "\r\033[K" : "",
            self->spool.name, id, why);
}

static struct mx_span sender_of(struct mx_span envelope) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(envelope);
    struct mx_spool_item item;
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type == MX_SPOOL_ENV_SENDER)
            return item.value;
    }
    return (struct mx_span){0};
}

static struct mx_spool_ack ack_of(const struct job *self, uint32_t ordinal) {
    const struct mx_spool_reader *reader = &self->reader;
    return (struct mx_spool_ack){
        .epoch = reader->segment->epoch,
        .message_lsn = reader->record.message_lsn,
        .core = reader->segment->core,
        .rcpt = reader->record.rcpt_base + ordinal,
        .state = MX_SPOOL_ACK_EXPORTED,
        .time_ns = clock_ns(CLOCK_REALTIME),
        .origin_core = reader->record.origin_core,
    };
}

/* A copy for each recipient that is not final. */
static int add_copies(struct job *self, const char *id) {
    struct mx_spool_envelope_cursor cursor = mx_spool_envelope_begin(self->reader.envelope);
    struct mx_spool_item item;
    struct mx_export_copy copy = {
        .reader = &self->reader, .id = id, .sender = sender_of(self->reader.envelope)};
    while (mx_spool_envelope_next(&cursor, &item) == 0) {
        if (item.type != MX_SPOOL_ENV_RCPT)
            continue;
        copy.ordinal = item.rcpt;
        copy.rcpt = item.value;
        copy.ack = ack_of(self, item.rcpt);
        if (mx_spool_acks_state(&self->spool.acks, copy.ack.core, copy.ack.epoch, copy.ack.rcpt) ==
            MX_SPOOL_RCPT_FINAL)
            continue;
        int err = mx_export_add(&self->export, &copy);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Somebody else has dealt with it meanwhile: it may have been left out of its segment, or gone with
 * it. */
static bool is_done(struct job *self, const struct mx_spool_segment *segment,
                    const struct mx_spool_record *record) {
    uint32_t pending;
    bool is_there = mx_spool_store_is_current(&self->reader.message.file, segment);
    if (!self->spool.store.is_running)
        return false;
    if (!is_there || mx_spool_acks_poll(&self->spool.acks) < 0)
        return !is_there;
    (void)mx_cli_spool_state(&self->spool, segment, record, &pending);
    return pending == 0;
}

static int take(void *context, struct mx_spool_segment *segment,
                const struct mx_spool_record *record, uint64_t offset) {
    struct job *self = context;
    char id_text[MX_SPOOL_ID_TEXT];
    uint32_t pending;
    (void)mx_cli_spool_state(&self->spool, segment, record, &pending);
    if (pending == 0)
        return 0;
    struct mx_spool_id id = mx_spool_id_of(&self->spool.store, record);
    mx_spool_id_format(&id, id_text);
    int err = mx_spool_reader_open(&self->reader, segment, record->lsn, offset);
    if (err == 0)
        err = add_copies(self, id_text);
    bool is_trouble = err == MX_ESYNTAX || err == -ENOENT;
    bool was_done = is_trouble && is_done(self, segment, record);
    if (err == MX_ESYNTAX && !was_done)
        tell_damaged(self, id_text, self->reader.why);
    if (err == MX_ESYNTAX || was_done)
        return 0;
    self->messages += err == 0;
    show_progress(self);
    return err;
}

static uint64_t count_messages(const struct mx_cli_spool *spool) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < spool->store.count; i++)
        count += spool->store.segments[i].message_count;
    return count;
}

static int export_all(struct job *self) {
    struct mx_export *export = &self->export;
    self->total = count_messages(&self->spool);
    self->begin_ns = clock_ns(CLOCK_MONOTONIC);
    int err = mx_export_open(export);
    if (err < 0)
        return mx_cli_spool_fail(&self->spool, export->path, err);
    err = mx_cli_spool_each(&self->spool, true, take, self);
    if (err == 0)
        err = mx_export_finish(export);
    mx_export_close(export);
    if (self->is_terminal)
        fputs("\r\033[K", stderr);
    if (err < 0)
        return mx_cli_spool_fail(&self->spool, export->path, err);
    printf("%" PRIu64 " messages, %" PRIu64 " copies, %" PRIu64 " octets exported to %s%s\n",
           self->messages, export->copies, export->copied_octets, export->path,
           self->is_acked ? " and acknowledged" : "");
    int code = mx_cli_spool_flush(&self->spool);
    bool is_whole = self->damaged == 0 && self->spool.damages == 0;
    return code == MX_EXIT_OK && !is_whole ? MX_EXIT_DAMAGED : code;
}

/* The ack log is locked from before the first copy, so that two exports do not both deliver. */
static int run(struct job *self) {
    int err = mx_spool_reader_new(&self->reader, &self->spool.store);
    if (err < 0)
        return mx_cli_spool_fail(&self->spool, self->spool.path, err);
    if (self->is_acked) {
        err = mx_spool_ack_writer_open(&self->log, &self->spool.store, "cli", NULL, NULL);
        if (err == 0)
            err = mx_spool_acks_poll(&self->spool.acks);
        self->export.log = &self->log;
    }
    int code = err < 0 ? mx_cli_spool_fail(&self->spool, "acks/cli.log", err) : export_all(self);
    if (self->is_acked)
        mx_spool_ack_writer_close(&self->log);
    mx_spool_reader_free(&self->reader);
    return code;
}

static int usage(FILE *to) {
    fputs("usage: mxring spool export --maildir D | --mbox F [--ack] [--raw] DIR\n\n"
          "  --maildir D   a file in D/new for each recipient that waits, named by message id and\n"
          "                recipient: a repeat overwrites\n"
          "  --mbox F      one new file (mboxrd)\n"
          "  --ack         they are done with: never delivered, never exported again\n"
          "  --raw         with --maildir: the stored content octet for octet, with CRLF, and\n"
          "                without Return-Path and Delivered-To\n\n"
          "Exit status 0: all are there; 1: all but the damaged ones, which are listed.\n",
          to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

static bool take_option(struct job *self, int option) {
    switch (option) {
    case 'd':
    case 'b':
        if (self->export.path != NULL)
            return false;
        self->export.path = optarg;
        self->export.is_mbox = option == 'b';
        return true;
    case 'a':
        self->is_acked = true;
        return true;
    case 'r':
        self->export.is_raw = true;
        return true;
    default:
        return false;
    }
}

int mx_cli_spool_export(int argc, char **argv) {
    static const struct option names[] = {
        {"maildir", required_argument, NULL, 'd'},
        {"mbox",    required_argument, NULL, 'b'},
        {"ack",     no_argument,       NULL, 'a'},
        {"raw",     no_argument,       NULL, 'r'},
        {"help",    no_argument,       NULL, 'h'},
        {NULL,      0,                 NULL, 0  },
    };
    static struct job self;
    self = (struct job){
        .log = {.fd = -1, .folder = -1},
          .is_terminal = isatty(STDERR_FILENO) == 1
    };
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        if (!take_option(&self, o))
            return usage(o == 'h' ? stdout : stderr);
    }
    if (optind + 1 != argc || self.export.path == NULL ||
        (self.export.is_raw && self.export.is_mbox))
        return usage(stderr);
    int code = mx_cli_spool_open(&self.spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    code = run(&self);
    mx_cli_spool_close(&self.spool);
    return code;
}
