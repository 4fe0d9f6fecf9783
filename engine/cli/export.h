/* export.h - where copies of messages go: a Maildir or an mbox file.
 *
 * A copy is for one recipient, as if it had been delivered: Return-Path and Delivered-To before the
 * content, line ends as the system's. It counts when its file is durable under its final name; only
 * then may the recipient be acknowledged.
 */
#pragma once
#include "engine/spool/acks.h"
#include "engine/spool/message.h"

#include <stdio.h>

enum {
    MX_EXPORT_BATCH = 256, /* copies that become durable together */
    MX_EXPORT_NAME_MAX = 96,
    MX_EXPORT_BATCH_OCTETS = 64 << 20
};

/* One recipient of the message that reader has open. */
struct mx_export_copy {
    struct mx_spool_reader *reader;
    const char *id; /* of the message, as text */
    uint32_t ordinal;
    struct mx_span sender, rcpt;
    struct mx_spool_ack ack; /* to be written when the copy is durable */
};

struct mx_export {
    bool is_raw; /* Maildir: the content alone, octet for octet */
    bool is_mbox;
    const char *path;
    /* Maildir */
    int folder, tmp, new;
    char names[MX_EXPORT_BATCH][MX_EXPORT_NAME_MAX];
    uint64_t octets; /* of the batch */
    /* mbox: what will be acknowledged is too much for memory */
    FILE *mbox, *later;
    char part[4096]; /* name of the file while it is written */
    /* both */
    struct mx_spool_ack acks[MX_EXPORT_BATCH];
    uint32_t count;
    struct mx_spool_ack_writer *log; /* NULL: nothing is acknowledged */
    uint64_t copies, copied_octets;
};

/* Make the folders, or begin the file. -EEXIST: there is such an mbox already; -errno. */
MX_MUST_CHECK int mx_export_open(struct mx_export *self);

/* Add a copy. MX_ESYNTAX: the message is damaged, nothing is left of it; -errno: the export cannot
 * go on. */
MX_MUST_CHECK int mx_export_add(struct mx_export *self, struct mx_export_copy *copy);

/* Everything is durable, under its final name, and acknowledged. -errno. */
MX_MUST_CHECK int mx_export_finish(struct mx_export *self);

/* Close all files. Without finish before, what was not durable yet is removed. */
void mx_export_close(struct mx_export *self);
