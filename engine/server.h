/* server.h - the process: workers, listening sockets, signals, drain, summary. Main thread only. */
#pragma once
#include "config/conf.h"
#include "engine/limits.h"
#include "engine/log.h"
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
    const struct mx_conf *conf;
    bool accepts_all;              /* mxring sink */
    const struct mx_fault *faults; /* [MX_FAULT_PLACES] or NULL; every service gets them */
    struct mx_fleet fleet;
    struct mx_service *services;
    uint32_t service_count;
    struct mx_iptable *iptable;
    struct mx_log log;
    struct mx_ring ring;     /* for messages to the workers */
    enum mx_message message; /* what the workers have to hear */
    bool is_listening;
    uint32_t features;
    struct rusage usage_begin;
};

/* Set up, run until SIGTERM/SIGINT has drained it, and fill *totals. Returns an exit code; errors
 * are logged. conf outlives the call. */
MX_MUST_CHECK int mx_server_run(const struct mx_conf *conf, bool accepts_all,
                                const struct mx_fault *faults, struct mx_totals *totals);
