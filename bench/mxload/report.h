/* report.h - what a run has measured, and who was the limit. */
#pragma once
#include "bench/mxload/load.h"

#include <stdio.h>

enum mx_verdict {
    MX_VERDICT_GENERATOR, /* it hardly ever slept: the figures are its own */
    MX_VERDICT_SERVER,    /* the sessions nearly always waited for replies */
    MX_VERDICT_RATE,      /* --rate was reached: neither side was the limit */
    MX_VERDICT_NONE,      /* none of these: pauses, ramps, a run that was too short */
};

/* The sum of all workers. */
struct mx_report {
    const struct mx_plan *plan;
    const struct mx_shared *shared;
    struct mx_counts counts;
    struct mx_histogram phases[MX_PHASE_COUNT];
    double elapsed_s;    /* first message begun to last one answered */
    double cpu_s;        /* of the process, its start included */
    double slept_share;  /* of the workers' time, 0..1 */
    double waited_share; /* of the sessions' time: waiting for a reply, 0..1 */
    double messages_s, mb_s;
    double cpu_us; /* for each message; 0: none */
    enum mx_verdict verdict;
};

/* loads: count workers that have ended. cpu_s: of the process. Everything is borrowed. */
void mx_report_init(struct mx_report *self, struct mx_load *const *loads, uint32_t count,
                    double cpu_s);

/* Every message that was to be sent was accepted, for every recipient. */
bool mx_report_is_good(const struct mx_report *self);

void mx_report_print(const struct mx_report *self, FILE *to);
void mx_report_print_json(const struct mx_report *self, FILE *to);

/* The rule of the verdict by itself: shares 0..1; rate: reached, divided by wanted (0: no --rate).
 */
enum mx_verdict mx_report_judge(double slept_share, double waited_share, double rate);
