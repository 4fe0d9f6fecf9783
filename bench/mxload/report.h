/* report.h - what a run has measured, and who was the limit. */
#pragma once
#include "bench/mxload/load.h"
#include "bench/mxload/peer.h"

#include <stdio.h>

enum mx_verdict {
    MX_VERDICT_GENERATOR, /* it hardly ever slept: the figures are its own */
    MX_VERDICT_SERVER,    /* the sessions nearly always waited for replies */
    MX_VERDICT_DISK,      /* the same, and the server waited for its disk */
    MX_VERDICT_RATE,      /* --rate was reached: neither side was the limit */
    MX_VERDICT_NONE,      /* none of these: pauses, ramps, a run that was too short */
};

/* What the verdict follows from. Shares are 0..1. */
struct mx_evidence {
    double slept;    /* of the workers' time */
    double waited;   /* of the sessions' time: for a reply */
    double reply_ms; /* mean wait for one */
    double rate;     /* reached, divided by wanted; 0: no --rate */
    struct mx_peer_usage server;
};

/* The sum of all workers. */
struct mx_report {
    const struct mx_plan *plan;
    const struct mx_shared *shared;
    struct mx_counts counts;
    const struct mx_tls_facts *tls_facts; /* of the first handshake; NULL: there was none */
    struct mx_zerocopies zerocopies;
    bool has_zerocopy; /* all workers still send so */
    struct mx_histogram phases[MX_PHASE_COUNT];
    double elapsed_s;      /* first message begun to last one answered */
    double cpu_s;          /* of the process, its start included */
    double delayed_share;  /* of the workers' time: they were ready, and others had the CPU */
    enum mx_phase longest; /* of the phases: the one that was waited for most */
    double longest_share;  /* of all waiting */
    struct mx_evidence evidence;
    const char *server_name; /* of its process, when the evidence has it */
    double messages_s, mb_s;
    double cpu_us; /* for each message; 0: none */
    enum mx_verdict verdict;
};

/* loads: count workers that have ended. cpu_s: of the process. Everything is borrowed. */
void mx_report_init(struct mx_report *self, struct mx_load *const *loads, uint32_t count,
                    const struct mx_peer *peer, double cpu_s);

/* Every message that was to be sent was accepted, for every recipient. */
bool mx_report_is_good(const struct mx_report *self);

void mx_report_print(const struct mx_report *self, FILE *to);
void mx_report_print_json(const struct mx_report *self, FILE *to);

/* The rule of the verdict by itself. */
enum mx_verdict mx_report_judge(const struct mx_evidence *self);
