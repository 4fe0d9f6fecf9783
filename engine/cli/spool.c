/* spool.c - mxring spool COMMAND: one row a command, and what they share. */
#include "engine/cli/spool.h"

#include "engine/cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Batches that a running server has not answered for: how long they are waited for. Afterwards it
 * has, or the disk is so slow that the mail is left for the next time. */
enum { SETTLE_MS = 3000, SETTLE_STEP_MS = 100 };

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"ls",     mx_cli_spool_ls,     "one line a message: ls [--json] [--all] DIR"             },
    {"cat",    mx_cli_spool_cat,    "the content of one: cat [--envelope] DIR ID"             },
    {"export", mx_cli_spool_export, "copies of all: export --maildir D | --mbox F [--ack] DIR"},
    {"verify", mx_cli_spool_verify, "is every octet as it was written? verify DIR"            },
    {"stat",   mx_cli_spool_stat,   "how much there is: stat [--json] DIR"                    },
    {"retry",  mx_cli_spool_retry,  "try to deliver at once: retry DIR ID..."                 },
    {"drop",   mx_cli_spool_drop,   "never deliver: drop DIR ID..."                           },
};

static int usage(FILE *to) {
    fputs("usage: mxring spool COMMAND [option]... DIR [ID]...\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\nThe server may run, be stopped, or have been killed. mxring spool COMMAND --help\n",
          to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_spool(int argc, char **argv) {
    static char program[48];
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int len = snprintf(program, sizeof program, "mxring spool %s", commands[i].name);
        assert(len > 0 && (size_t)len < sizeof program);
        argv[1] = program; /* getopt begins its messages with it */
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "mxring spool: %s: no such command\n", argv[1]);
    return usage(stderr);
}

/* ---- open ---- */

static void tell(void *context, const struct mx_spool_event *event) {
    struct mx_cli_spool *self = context;
    self->damages += event->severity == MX_SEVERITY_ERROR;
    fprintf(stderr, "%s: %s: %s\n", self->name, event->path, event->text);
}

int mx_cli_spool_fail(const struct mx_cli_spool *self, const char *what, int err) {
    const char *text = mx_err_text(err);
    fprintf(stderr, "%s: %s: %s\n", self->name, what, text ? text : strerrordesc_np(-err));
    return err == -ENOMEM ? MX_EXIT_SYSTEM : MX_EXIT_DISK;
}

int mx_cli_spool_open(struct mx_cli_spool *self, const char *name, const char *path) {
    *self = (struct mx_cli_spool){.name = name, .path = path};
    struct mx_spool_store_conf conf = {.directory = path, .report = tell, .context = self};
    int err = mx_spool_store_look(&self->store, &conf);
    if (err == -ENOENT)
        fprintf(stderr, "%s: %s: there is no spool\n", name, path);
    if (err < 0)
        return err == -EPROTONOSUPPORT || err == -EXDEV ? MX_EXIT_CONFIG : MX_EXIT_DISK;
    err = mx_spool_acks_new(&self->acks, &self->store, NULL, NULL, NULL);
    if (err < 0) {
        mx_spool_store_close(&self->store);
        return mx_cli_spool_fail(self, path, err);
    }
    self->is_open = true;
    err = mx_spool_acks_poll(&self->acks);
    if (err == 0)
        return MX_EXIT_OK;
    mx_cli_spool_close(self);
    return mx_cli_spool_fail(self, "acks", err);
}

void mx_cli_spool_close(struct mx_cli_spool *self) {
    if (!self->is_open)
        return;
    mx_spool_acks_free(&self->acks);
    mx_spool_store_close(&self->store);
    self->is_open = false;
}

int mx_cli_spool_flush(const struct mx_cli_spool *self) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return MX_EXIT_OK;
    fprintf(stderr, "%s: cannot write to standard output\n", self->name);
    return MX_EXIT_DISK;
}

/* ---- messages ---- */

struct walk {
    struct mx_cli_spool *spool;
    const struct mx_spool_segment *segment;
    const struct mx_spool_file *file;
    bool is_gone;
};

/* A running server frees segments, and uses their files again. */
static bool is_gone(struct walk *self) {
    if (!self->is_gone && self->spool->store.is_running)
        self->is_gone = !mx_spool_store_is_current(self->file, self->segment);
    return self->is_gone;
}

static void tell_damage(void *context, const struct mx_spool_damage *damage) {
    struct walk *self = context;
    char name[MX_SPOOL_NAME_MAX];
    if (is_gone(self))
        return;
    self->spool->damages++;
    mx_spool_segment_name(name, self->segment->core, self->segment->number, "");
    fprintf(stderr, "%s: %s/%s: %llu octets at %llu are damaged: %s\n", self->spool->name,
            self->spool->store.dirs[self->segment->dir].path, name,
            (unsigned long long)damage->octets, (unsigned long long)damage->offset, damage->why);
}

static int walk_segment(struct mx_cli_spool *self, struct mx_spool_segment *segment,
                        mx_cli_message_fn *take, void *context) {
    struct mx_spool_file file;
    struct mx_spool_walk walk;
    struct mx_spool_record record;
    uint64_t offset;
    struct walk state = {.spool = self, .segment = segment, .file = &file};
    int err = mx_spool_file_new(&file);
    if (err < 0)
        return err;
    err = mx_spool_store_file(&self->store, segment, &file);
    if (err < 0) {
        mx_spool_file_free(&file);
        return err == -ENOENT ? 0 : err; /* freed meanwhile */
    }
    mx_spool_walk_begin(&walk, &file, self->store.uuid, segment, true);
    walk.damaged = tell_damage;
    walk.context = &state;
    while (err == 0 && mx_spool_walk_next(&walk, &record, &offset) && !state.is_gone) {
        if (record.type == MX_SPOOL_MSG && (walk.is_checked || !is_gone(&state)))
            err = take(context, segment, &record, offset);
    }
    mx_spool_file_free(&file);
    return err;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* An answer is given after everything up to it is durable; a refusal, after the next segment's
 * header says so. Either is on the disk soon, or nothing comes any more. False: the segment is
 * gone. */
static bool settle(struct mx_cli_spool *self, struct mx_spool_segment *segment) {
    if (mx_spool_store_refresh(&self->store, segment) < 0)
        return false;
    uint64_t target = segment->last_lsn;
    for (int waited_ms = 0; segment->state == MX_SPOOL_SEGMENT_OPEN && segment->acked_lsn < target;
         waited_ms += SETTLE_STEP_MS) {
        int64_t age_ns = now_ns() - segment->written_ns;
        if (age_ns > SETTLE_MS * INT64_C(1000000))
            return true;
        if (waited_ms >= SETTLE_MS) {
            segment->cut_lsn = segment->acked_lsn;
            return true;
        }
        struct timespec step = {0, SETTLE_STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        if (mx_spool_store_refresh(&self->store, segment) < 0)
            return false;
    }
    if (segment->state == MX_SPOOL_SEGMENT_OPEN && segment->acked_lsn < segment->cut_lsn)
        segment->cut_lsn = segment->acked_lsn;
    return true;
}

int mx_cli_spool_each(struct mx_cli_spool *self, bool is_settled, mx_cli_message_fn *take,
                      void *context) {
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < self->store.count; i++) {
        struct mx_spool_segment *segment = &self->store.segments[i];
        bool is_open = segment->state == MX_SPOOL_SEGMENT_OPEN && self->store.is_running;
        if (segment->state == MX_SPOOL_SEGMENT_FREE || segment->epoch == 0)
            continue;
        if (is_open && (is_settled ? !settle(self, segment)
                                   : mx_spool_store_refresh(&self->store, segment) < 0))
            continue;
        if (segment->message_count > 0)
            err = walk_segment(self, segment, take, context);
    }
    return err;
}

void mx_cli_time_format(int64_t time_ns, char text[MX_CLI_TIME_MAX]) {
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    int len = snprintf(text, MX_CLI_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec, (int)(time_ns / 1000000 % 1000));
    if (len < 0 || len >= MX_CLI_TIME_MAX)
        text[MX_CLI_TIME_MAX - 1] = '\0';
}

const char *mx_cli_spool_state(const struct mx_cli_spool *self,
                               const struct mx_spool_segment *segment,
                               const struct mx_spool_record *record, uint32_t *pending) {
    uint32_t queued = mx_spool_acks_count(&self->acks, segment, record->rcpt_base,
                                          record->rcpt_count, MX_SPOOL_RCPT_QUEUED);
    uint32_t final = mx_spool_acks_count(&self->acks, segment, record->rcpt_base,
                                         record->rcpt_count, MX_SPOOL_RCPT_FINAL);
    *pending = record->rcpt_count - final;
    if (*pending == 0)
        return "done";
    return queued > 0 ? "queued" : "deferred";
}

int mx_cli_spool_find(struct mx_cli_spool *self, struct mx_spool_reader *reader, const char *id) {
    struct mx_spool_id wanted;
    uint32_t pending = 0;
    if (!mx_spool_id_parse(&wanted, id)) {
        fprintf(stderr, "%s: %s: not a message id, as `mxring spool ls` prints them\n", self->name,
                id);
        return MX_EXIT_USAGE;
    }
    int err = mx_spool_reader_find(reader, &wanted, false);
    if (err == 0)
        (void)mx_cli_spool_state(self, reader->segment, &reader->record, &pending);
    if (err == -ENOENT || (err == 0 && pending == 0)) {
        bool was_there = err == 0;
        err = mx_spool_reader_find(reader, &wanted, true);
        if (err == -ENOENT && was_there)
            err = mx_spool_reader_find(reader, &wanted, false);
    }
    if (err == 0)
        return MX_EXIT_OK;
    if (err != -ENOENT && err != MX_ESYNTAX)
        return mx_cli_spool_fail(self, id, err);
    const char *what = err == MX_ESYNTAX             ? reader->why
                       : reader->damaged_octets == 0 ? "no such message"
                                                     : "not found; parts of the spool are damaged";
    fprintf(stderr, "%s: %s: %s\n", self->name, id, what);
    return MX_EXIT_DAMAGED;
}
