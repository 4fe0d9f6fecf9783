/* tls_slot.h - what one server's certificates are at this moment: read from its files, exchanged
 * while sessions run, watched for changes and for their end.
 *
 * Main thread, but for mx_tls_slot_get.
 */
#pragma once
#include "config/conf.h"
#include "engine/log.h"
#include "tls/context.h"

#include <pthread.h>

struct mx_tls_tickets;

/* A file as it was when it was read. */
struct mx_tls_print {
    uint64_t inode, octets;
    int64_t changed_ns;
};

struct mx_tls_slot {
    const struct mx_conf *conf;
    const struct mx_conf_server *server;
    struct mx_tls_tickets *tickets; /* NULL: sessions are not resumed */
    pthread_mutex_t lock;
    struct mx_tls_context *context; /* guarded by lock; NULL: not read yet */
    struct mx_tls_print print;      /* of all its files together */
    struct mx_tls_print changing;   /* what was seen at the last look, when it is another one */
    int64_t not_after_s;            /* when the first of its certificates ends; 0: not read yet */
    int64_t warned_s;               /* which of the warnings before it has been given */
};

/* What is wrong with a file, and where the configuration names it. */
typedef void mx_tls_slot_tell_fn(void *context, uint32_t line, uint32_t column, bool is_warning,
                                 const char *text);

MX_MUST_CHECK int mx_tls_slot_init(struct mx_tls_slot *self, const struct mx_conf *conf,
                                   const struct mx_conf_server *server,
                                   struct mx_tls_tickets *tickets);
void mx_tls_slot_deinit(struct mx_tls_slot *self);

/* Read the files and use them from now on; sessions that have begun keep what they have. now_s:
 * seconds since the epoch. 0, or MX_ECONFIG: everything stays as it is, and why was told. */
MX_MUST_CHECK int mx_tls_slot_load(struct mx_tls_slot *self, int64_t now_s,
                                   mx_tls_slot_tell_fn *tell, void *context);

/* Look at the files: when they have changed and have been quiet since the last look, load them.
 * Warn of certificates that end in 30, 7 or 1 days. Logs what it does. */
void mx_tls_slot_watch(struct mx_tls_slot *self, int64_t now_s, struct mx_log *log);

/* Any thread: the certificates of this moment, held for the caller (mx_tls_context_free). NULL:
 * there are none. */
struct mx_tls_context *mx_tls_slot_get(struct mx_tls_slot *self);

/* The path as the configuration means it: relative to its own file. In a static buffer. NULL: too
 * long. */
const char *mx_tls_slot_path(const struct mx_conf *conf, const char *path);
