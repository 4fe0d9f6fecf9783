/* server.h - the process: workers, listening sockets, signals, drain, summary. Main thread only. */
#pragma once
#include "config/conf.h"
#include "engine/limits.h"
#include "engine/listen.h"
#include "engine/log.h"
#include "engine/reload.h"
#include "engine/server_tls.h"
#include "engine/spool/spool.h"
#include "engine/totals.h"
#include "engine/worker.h"

#include <sys/resource.h>

/* sysexits.h: what the commands end with. */
enum {
    MX_EXIT_OK = 0,
    MX_EXIT_USAGE = 2,
    MX_EXIT_UNAVAILABLE = 69,
    MX_EXIT_SYSTEM = 71,
    MX_EXIT_DISK = 74,
    MX_EXIT_CONFIG = 78
};

struct mx_server {
    const struct mx_conf *conf;    /* of the start: what a reload cannot change */
    bool accepts_all;              /* mxring sink */
    const struct mx_fault *faults; /* [MX_FAULT_PLACES] or NULL; every service gets them */
    struct mx_fleet fleet;
    struct mx_rules_world world;
    struct mx_rules
        *rules; /* that new sessions get; in the middle of a reload still the old ones */
    struct mx_server_tls tls;
    struct mx_listens listens;
    struct mx_reload reload;
    struct mx_memo_keeper *memo_keeper; /* NULL: what hooks remember is not kept */
    int memo_error;                     /* that was told */
    struct mx_spool *spool;             /* NULL: mail is not kept */
    struct mx_log log;
    struct mx_ring ring;     /* for messages to the workers */
    enum mx_message message; /* what the workers have to hear */
    bool is_listening, is_dns_silent, is_redis_gone;
    uint32_t features;
    struct rusage usage_begin;
};

/* For reload.c. fail: log an error, return code. tell: say it by MSG_RING to the workers that have
 * not heard it; it may get lost on the way (memory, a full queue), so it is called until they all
 * have: true. notify: a state for systemd. */
int mx_server_fail(struct mx_server *self, int code, const char *what, int err);
bool mx_server_tell(struct mx_server *self, enum mx_op op, uint32_t value);
void mx_server_notify(const char *state);

/* Set up, run until SIGTERM/SIGINT has drained it, and fill *totals. Returns an exit code; errors
 * are logged. conf outlives the call. */
MX_MUST_CHECK int mx_server_run(const struct mx_conf *conf, bool accepts_all,
                                const struct mx_fault *faults, struct mx_totals *totals);

/* The resolver (server_dns.c). Not for a sink. New: behind limits, before privileges go, since it
 * reads /etc/resolv.conf. Start: its thread. Exit codes; errors are logged. */
MX_MUST_CHECK int mx_server_new_dns(struct mx_server *self);
MX_MUST_CHECK int mx_server_start_dns(struct mx_server *self);
/* Now and then: when nobody answers any more, or again, the log says so. */
void mx_server_watch_dns(struct mx_server *self);
/* What it has done, in one line of the log. */
void mx_server_log_dns(struct mx_server *self, enum mx_log_severity severity);

/* Who speaks with scanners (server_scan.c). Not for a sink. Before the workers start. An exit code;
 * errors are logged. */
MX_MUST_CHECK int mx_server_start_scan(struct mx_server *self);
void mx_server_log_scan(struct mx_server *self, enum mx_log_severity severity);

/* Redis (server_redis.c), when the file names one; as for the resolver, of which nobody has to be
 * there. */
MX_MUST_CHECK int mx_server_start_redis(struct mx_server *self);
void mx_server_watch_redis(struct mx_server *self);
void mx_server_log_redis(struct mx_server *self, enum mx_log_severity severity);

/* What hooks remember (server_memo.c), from the last start and for the next one. Open: behind the
 * spool, in whose folder it is. An exit code; errors are logged, and most are no reason not to
 * serve. Close: the workers have ended. */
MX_MUST_CHECK int mx_server_open_memo(struct mx_server *self);
void mx_server_watch_memo(struct mx_server *self);
void mx_server_log_memo(struct mx_server *self, enum mx_log_severity severity);
void mx_server_close_memo(struct mx_server *self);

/* engine.user (server_user.c). Addresses are bound, limits are raised, and there is no other thread
 * yet. An exit code; errors are logged. */
MX_MUST_CHECK int mx_server_drop_privileges(struct mx_server *self);

/* The spool (server_spool.c). Does accepted mail go there? */
bool mx_server_keeps_mail(const struct mx_server *self);
/* Behind mx_server_drop_privileges, since the files belong to who serves: recover it, and give each
 * worker its log. An exit code; errors are logged. */
MX_MUST_CHECK int mx_server_open_spool(struct mx_server *self);
/* What it has done, in one line of the log. */
void mx_server_log_spool(struct mx_server *self, enum mx_log_severity severity);

/* One line for each hook that was asked (server_hooks.c). */
void mx_server_log_hooks(struct mx_server *self, enum mx_log_severity severity);

/* What it has done (server_totals.c): for the caller of mx_server_run, when the workers have ended;
 * and, at any time, in the log: every counter that is not zero, those of the spool, of the resolver
 * and of the hooks in lines of their own. */
void mx_server_sum_up(const struct mx_server *self, struct mx_totals *totals);
void mx_server_log_totals(struct mx_server *self, enum mx_log_severity severity);
