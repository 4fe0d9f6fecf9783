/* spool.h - what the subcommands of `mxring spool` share. */
#pragma once
#include "engine/server.h"
#include "engine/spool/acks.h"
#include "engine/spool/message.h"

enum {
    MX_EXIT_DAMAGED = 1, /* or: no such message */
    MX_CLI_TIME_MAX = 32
};

/* A spool that is looked at, and what is said about it on stderr. */
struct mx_cli_spool {
    const char *name; /* "mxring spool ls", for messages */
    const char *path;
    struct mx_spool_store store;
    struct mx_spool_acks acks;
    bool is_open;
    uint64_t damages; /* told so far, on stderr */
};

/* Look at the spool and read the ack logs. An exit status: MX_EXIT_OK, or it has been said on
 * stderr what is wrong. */
int mx_cli_spool_open(struct mx_cli_spool *self, const char *name, const char *path);
void mx_cli_spool_close(struct mx_cli_spool *self);

/* Something went wrong; says so and returns MX_EXIT_DISK (MX_EXIT_SYSTEM without memory). */
int mx_cli_spool_fail(const struct mx_cli_spool *self, const char *what, int err);

/* Called for each message; a negative result ends the walk. */
typedef int mx_cli_message_fn(void *context, struct mx_spool_segment *segment,
                              const struct mx_spool_record *record, uint64_t offset);

/* All messages of all segments; damage is told on stderr, and passed over. is_settled: what a
 * running server has written but not answered yet is waited for a little, and else left out. The
 * negative result of take. */
int mx_cli_spool_each(struct mx_cli_spool *self, bool is_settled, mx_cli_message_fn *take,
                      void *context);

/* "2026-11-25T04:40:15.123Z" */
void mx_cli_time_format(int64_t time_ns, char text[MX_CLI_TIME_MAX]);

/* "queued", "deferred" or "done"; *pending: recipients that are not final. */
const char *mx_cli_spool_state(const struct mx_cli_spool *self,
                               const struct mx_spool_segment *segment,
                               const struct mx_spool_record *record, uint32_t *pending);

/* Open the message with this id, where it goes on if it was moved. An exit status, as above. */
int mx_cli_spool_find(struct mx_cli_spool *self, struct mx_spool_reader *reader, const char *id);

/* What was written to stdout has arrived; an exit status, as above. */
int mx_cli_spool_flush(const struct mx_cli_spool *self);

/* Each returns an exit status; argv[0] is "mxring spool NAME". */
int mx_cli_spool_ls(int argc, char **argv);
int mx_cli_spool_cat(int argc, char **argv);
int mx_cli_spool_export(int argc, char **argv);
int mx_cli_spool_verify(int argc, char **argv);
int mx_cli_spool_stat(int argc, char **argv);
int mx_cli_spool_retry(int argc, char **argv);
int mx_cli_spool_drop(int argc, char **argv);
