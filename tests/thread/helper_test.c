/* helper_test.c - the helper pool under ThreadSanitizer: every job that was taken is run once and
 * comes back to its poster, who sleeps on his ring until then.
 *
 * Posters with rings of their own post as long as the queue takes it and collect in between. The
 * queue is small, so it is full most of the time. At the end nothing is lost, doubled, or with the
 * wrong poster; and a pool that ends with jobs in its queue runs them once or never.
 */
#include "engine/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSTERS = 3, JOBS = 4000, THREADS = 3, QUEUE = 5, CQ_ENTRIES = 64 };

static void must(bool is_true, const char *what) {
    if (is_true)
        return;
    fprintf(stderr, "helper_test: %s\n", what);
    abort();
}

struct job {
    struct mx_helper_job job; /* first */
    uint32_t value, result, runs;
};

struct poster {
    struct mx_helper *pool;
    struct mx_ring ring;
    struct mx_helper_inbox inbox;
    struct job jobs[JOBS];
    uint32_t posted, collected, busy;
    pthread_t thread;
};

static void run(struct mx_helper_job *job, void *scratch) {
    struct job *self = (struct job *)job;
    memset(scratch, (int)self->value, MX_HELPER_SCRATCH); /* it is nobody else's */
    self->result = self->value * 3 + ((unsigned char *)scratch)[7];
    self->runs++;
}

static void collect(struct poster *self) {
    struct mx_helper_job *job = mx_helper_collect(&self->inbox);
    while (job != NULL) {
        struct mx_helper_job *next = job->next;
        const struct job *mine = (const struct job *)job;
        must(mine >= self->jobs && mine < self->jobs + JOBS, "somebody else's job");
        must(mine->runs == 1, "run once");
        must(mine->result == mine->value * 3 + (mine->value & 255), "the result");
        self->collected++;
        job = next;
    }
}

/* Jobs are under way: sleep until a helper wakes us; at most a second, then say so. */
static void sleep_for_message(struct poster *self) {
    const struct mx_ring_wait wait = {.events = 1, .timeout_ns = 20000000000};
    int err = mx_ring_turn(&self->ring, &wait);
    unsigned count = mx_ring_ready(&self->ring);
    must(err == 0 && count > 0, "nobody woke the poster");
    for (unsigned i = 0; i < count; i++)
        must(mx_op_kind(mx_ring_cqe(&self->ring, i)->user_data) == MX_OP_HELPED, "a message");
    mx_ring_consume(&self->ring, count);
}

static void *poster_main(void *argument) {
    struct poster *self = argument;
    must(mx_ring_start(&self->ring) == 0, "mx_ring_start");
    while (self->collected < JOBS) {
        while (self->posted < JOBS) {
            struct job *job = &self->jobs[self->posted];
            *job = (struct job){
                .job = {.run = run, .inbox = &self->inbox},
                  .value = self->posted
            };
            int err = mx_helper_post(self->pool, &job->job);
            must(err == 0 || err == -EBUSY, "mx_helper_post");
            self->busy += err < 0;
            if (err < 0)
                break;
            self->posted++;
        }
        collect(self);
        if (self->collected < self->posted)
            sleep_for_message(self);
        collect(self);
    }
    return NULL;
}

/* A wake-up may come for a job that was collected already: those are left in the ring. */
static void test_all_come_back(uint32_t features) {
    static struct poster posters[POSTERS];
    struct mx_helper *pool = mx_helper_new(THREADS, QUEUE);
    must(pool != NULL && mx_helper_start(pool, features) == 0, "mx_helper_start");
    uint32_t busy = 0;
    for (unsigned i = 0; i < POSTERS; i++) {
        struct poster *poster = &posters[i];
        poster->pool = pool;
        must(mx_ring_init(&poster->ring, features & ~(uint32_t)MX_RING_DIRECT, 0, CQ_ENTRIES) == 0,
             "mx_ring_init");
        poster->inbox.ring_fd = mx_ring_fd(&poster->ring);
        must(pthread_create(&poster->thread, NULL, poster_main, poster) == 0, "thread");
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        must(posters[i].posted == JOBS && posters[i].collected == JOBS, "all jobs");
        busy += posters[i].busy;
    }
    mx_helper_free(pool);
    for (unsigned i = 0; i < POSTERS; i++)
        mx_ring_deinit(&posters[i].ring);
    must(busy > 0, "the queue was never full");
    printf("%d jobs of %d posters, refused %u times\n", JOBS, POSTERS, busy);
}

static void test_ends_with_jobs(uint32_t features) {
    static struct job jobs[64];
    struct mx_helper_inbox inbox = {.ring_fd = -1};
    struct mx_helper *pool = mx_helper_new(2, 64);
    must(pool != NULL, "mx_helper_new");
    for (unsigned i = 0; i < 64; i++) {
        jobs[i] = (struct job){
            .job = {.run = run, .inbox = &inbox},
              .value = i
        };
        must(mx_helper_post(pool, &jobs[i].job) == 0, "mx_helper_post");
    }
    struct job more = {
        .job = {.run = run, .inbox = &inbox}
    };
    must(mx_helper_post(pool, &more.job) == -EBUSY, "a full queue");
    must(mx_helper_start(pool, features) == 0, "mx_helper_start");
    mx_helper_free(pool);
    unsigned runs = 0, collected = 0;
    for (unsigned i = 0; i < 64; i++) {
        must(jobs[i].runs <= 1, "run once or never");
        runs += jobs[i].runs;
    }
    for (struct mx_helper_job *job = mx_helper_collect(&inbox); job != NULL; job = job->next)
        collected++;
    must(runs == collected, "what was run came back");
}

/* Without threads: in order. */
static void test_by_hand(void) {
    static struct job jobs[3];
    struct mx_helper_inbox inbox = {.ring_fd = -1};
    struct mx_helper *pool = mx_helper_new(0, 1);
    must(pool != NULL, "mx_helper_new");
    for (unsigned i = 0; i < 3; i++) {
        jobs[i] = (struct job){
            .job = {.run = run, .inbox = &inbox},
              .value = i
        };
        must(mx_helper_post(pool, &jobs[i].job) == 0, "mx_helper_post");
        must(mx_helper_post(pool, &jobs[i].job) == -EBUSY, "a queue of one");
        must(mx_helper_take(pool) == &jobs[i].job && mx_helper_take(pool) == NULL, "in order");
        mx_helper_finish(&jobs[i].job);
    }
    must(mx_helper_collect(&inbox) == &jobs[2].job && jobs[2].job.next == &jobs[1].job, "inbox");
    must(mx_helper_collect(&inbox) == NULL, "empty inbox");
    mx_helper_free(pool);
    mx_helper_free(NULL);
}

int main(void) {
    uint32_t features = 0;
    test_by_hand();
    int err = mx_ring_probe(&features);
    if (err < 0) {
        fprintf(stderr, "skipped: no io_uring here: %s\n", strerrordesc_np(-err));
        return 77;
    }
    test_all_come_back(features);
    test_ends_with_jobs(features);
    return 0;
}
