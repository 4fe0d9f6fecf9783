/* scanner.h - questions that hooks ask those who look at mail for us. They wait for the answer by
 * PENDING; their options begin with struct mx_opt_scan. */
#pragma once
#include "engine/policy/hook.h"
#include "engine/scan/scan.h"

struct mx_scanner_job {
    struct mx_hook_job job;
    struct mx_scan_question question;
    uint32_t request_cap; /* octets; what is left of the room is for the answer */
    char room[];
};

/* Sizes of jobs (octets), and what of them is for the request. */
enum { MX_SCANNER_SMALL = 4096, MX_SCANNER_LARGE = 32768, MX_SCANNER_REQUEST = 3072 };

/* A job with room for a request, and for changes when it is a large one. Its question is to be
 * filled but for job, deadline and changes. NULL: no memory. */
struct mx_scanner_job *mx_scanner_new(struct mx_hook_call *call, size_t octets,
                                      uint32_t request_cap);

/* A conversation. MX_SCAN_NONE: all are under way, or there is nobody to have one with. */
uint32_t mx_scanner_take(struct mx_hook_call *call);
void mx_scanner_leave(struct mx_hook_call *call, uint32_t talk);

/* Ask; PENDING is to be returned then. */
void mx_scanner_ask(struct mx_hook_call *call, struct mx_scanner_job *self);

/* At MESSAGE: ask about the whole message, over a connection of its own. PENDING, or the verdict of
 * onFailure; then the job is freed. */
enum mx_verdict mx_scanner_show(struct mx_hook_call *call, struct mx_scanner_job *self);

static inline struct mx_scan_question *mx_scanner_answer(const struct mx_hook_call *call) {
    struct mx_scanner_job *job = (struct mx_scanner_job *)call->answer;
    return job != NULL ? &job->question : NULL;
}

/* At MESSAGE: is there something to show? Else *verdict says what becomes of the message. */
bool mx_scanner_sees(struct mx_hook_call *call, enum mx_verdict *verdict);

/* At MESSAGE: DECLINED, with these changes; or a refusal when they, or what was noted before (an
 * error of mx_hook_note), have no room. */
enum mx_verdict mx_scanner_admit(struct mx_hook_call *call, int noted,
                                 const struct mx_changes *changes);

/* Refuse with the scanner's own words, or with those. SOFT, HARD or DROP. */
enum mx_verdict mx_scanner_refuse(struct mx_hook_call *call, enum mx_verdict verdict,
                                  const struct mx_scan_question *answer, const char *words);

/* The class's text_octets. */
uint64_t mx_scanner_text_octets(const void *options);
