/* spool_verify.c - mxring spool verify DIR. */
#include "engine/cli/spool.h"
#include "engine/spool/verify.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct check {
    struct mx_cli_spool spool;
    struct mx_spool_verify verify;
    uint64_t tails;
    bool is_terminal;
};

static void print(void *context, const struct mx_spool_finding *finding) {
    struct check *self = context;
    self->tails += finding->is_tail;
    if (self->is_terminal)
        fputs("\r\033[K", stderr);
    printf("%s %s/%s: %" PRIu64 " octets at %" PRIu64 ": %s\n",
           finding->is_tail ? "tail" : "damaged", self->spool.store.dirs[finding->dir].path,
           finding->path, finding->octets, finding->offset, finding->text);
}

static void show_progress(const struct check *self, uint32_t i) {
    if (self->is_terminal)
        fprintf(stderr, "\r%u of %u segments, %" PRIu64 " messages", i + 1, self->spool.store.count,
                self->verify.messages);
}

static int verify_all(struct check *self) {
    struct mx_spool_store *store = &self->spool.store;
    int err = mx_spool_verify_new(&self->verify, store, print, self);
    if (err < 0)
        return mx_cli_spool_fail(&self->spool, self->spool.path, err);
    for (uint32_t i = 0; i < store->count; i++) {
        mx_spool_verify_segment(&self->verify, &store->segments[i]);
        show_progress(self, i);
    }
    if (self->is_terminal)
        fputs("\r\033[K", stderr);
    err = mx_spool_verify_acks(&self->verify);
    /* what the look at it has said already */
    uint64_t findings = self->verify.findings + self->spool.damages;
    if (err == 0)
        printf("%s: %" PRIu64 " segments, %" PRIu64 " messages, %" PRIu64
               " octets looked at; %" PRIu64 " damaged, %" PRIu64 " tails\n",
               findings > 0 ? "damaged" : "sound", self->verify.segments, self->verify.messages,
               self->verify.octets, findings, self->tails);
    mx_spool_verify_free(&self->verify);
    if (err < 0)
        return mx_cli_spool_fail(&self->spool, "acks", err);
    int code = mx_cli_spool_flush(&self->spool);
    return code == MX_EXIT_OK && findings > 0 ? MX_EXIT_DAMAGED : code;
}

static int usage(FILE *to) {
    fputs(
        "usage: mxring spool verify DIR\n\n"
        "Exit status 0: sound, 1: damaged, with a list. What is behind the last whole batch of a\n"
        "segment that was not closed is listed as a tail, and is no damage.\n",
        to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_spool_verify(int argc, char **argv) {
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL,   0,           NULL, 0  },
    };
    struct check self = {.is_terminal = isatty(STDERR_FILENO) == 1};
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "h", names, NULL)) != -1;)
        return usage(o == 'h' ? stdout : stderr);
    if (optind + 1 != argc)
        return usage(stderr);
    int code = mx_cli_spool_open(&self.spool, argv[0], argv[optind]);
    if (code != MX_EXIT_OK)
        return code;
    code = verify_all(&self);
    mx_cli_spool_close(&self.spool);
    return code;
}
