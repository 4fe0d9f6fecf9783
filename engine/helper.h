/* helper.h - threads for what would block a worker: password hashes and the like.
 *
 * A job lies in its poster's memory. Posting never blocks: a bounded queue, and a wake-up of a
 * sleeping helper. A job that was run lies in its poster's inbox, and a message on the poster's
 * ring wakes him. Without threads (a simulation), mx_helper_take and mx_helper_finish are a
 * helper's two halves.
 */
#pragma once
#include "engine/ring.h"

#include <stdatomic.h>

struct mx_helper;
struct mx_helper_job;

/* Where finished jobs of one worker come to lie. */
struct mx_helper_inbox {
    _Atomic(struct mx_helper_job *) done; /* the last one first */
    int ring_fd;                          /* to be woken; a message MX_OP_HELPED; -1: is not */
    void *context;                        /* for answer */
};

/* scratch: MX_HELPER_SCRATCH octets of the helper's own, zeroed once. */
typedef void mx_helper_run_fn(struct mx_helper_job *self, void *scratch);

/* The poster's: a job of his is back. context is his inbox's. */
typedef void mx_helper_answer_fn(void *context, struct mx_helper_job *self);

struct mx_helper_job {
    mx_helper_run_fn *run;
    mx_helper_answer_fn *answer;
    struct mx_helper_inbox *inbox;
    struct mx_helper_job *next; /* in the inbox, or in what was taken from it */
};

enum { MX_HELPER_SCRATCH = 32768 }; /* octets; what crypt(3) wants */

/* queue: jobs that may wait, 1..65536. Threads are made by mx_helper_start. NULL: out of memory. */
struct mx_helper *mx_helper_new(uint32_t thread_count, uint32_t queue);

/* Before the start: threads of another kind, which confine themselves by that. */
void mx_helper_confine_by(struct mx_helper *self, int (*confine)(void), const char *name);

/* Rings for the threads (features as for mx_ring_init), then the threads; signals are blocked by
 * the caller. 0 or -errno: then call mx_helper_free. */
MX_MUST_CHECK int mx_helper_start(struct mx_helper *self, uint32_t features);

/* Wait for jobs that are running, forget those that wait, end the threads, free all. Nobody posts
 * any more; the inboxes and jobs still exist. NULL is allowed. */
void mx_helper_free(struct mx_helper *self);

/* Any thread. 0: the job is given until it lies in its inbox. -EBUSY: the queue is full. */
MX_MUST_CHECK int mx_helper_post(struct mx_helper *self, struct mx_helper_job *job);

/* The oldest job that waits; NULL: none. Then run it and put it into its inbox. Whoever answers
 * jobs in another way (the resolver) does the latter, too. True: the inbox was empty, and its owner
 * is to be woken. */
struct mx_helper_job *mx_helper_take(struct mx_helper *self);
bool mx_helper_finish(struct mx_helper_job *job);

/* The poster's thread: all jobs that were finished, linked by next, the last one first. */
static inline struct mx_helper_job *mx_helper_collect(struct mx_helper_inbox *inbox) {
    if (atomic_load_explicit(&inbox->done, memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&inbox->done, NULL, memory_order_acquire);
}

/* Likewise, and hand each to its answer, the first one first. */
void mx_helper_answer_all(struct mx_helper_inbox *inbox);
