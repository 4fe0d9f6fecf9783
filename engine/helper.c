#include "engine/helper.h"

#include "engine/confine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CQ_ENTRIES = 64,
    RETRY_MS = 1,       /* a wake-up was refused (memory, a full queue): time to the next try ... */
    RETRIES_MAX = 1000, /* ... and how often; a worker looks at his inbox in each turn, too */
};

/* Slot number n of the queue is free for ticket t when its turn is t, and holds the job of ticket t
 * when its turn is t + 1. Tickets are given to posters and to takers in order. */
struct slot {
    _Atomic uint32_t turn;
    struct mx_helper_job *job;
};

struct thread {
    struct mx_helper *pool;
    pthread_t thread;
    struct mx_ring ring;
    bool has_thread;
    int error; /* of the start */
    _Alignas(16) char scratch[MX_HELPER_SCRATCH];
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lines that are not shared */
struct mx_helper {
    struct slot *slots;
    uint32_t mask; /* slots - 1 */
    uint32_t limit;
    _Alignas(64) _Atomic uint32_t tail; /* next ticket of a poster */
    _Alignas(64) _Atomic uint32_t head; /* next ticket of a taker */
    _Alignas(64) _Atomic uint32_t waiting;
    _Atomic bool is_stopping;
    sem_t posted, started;
    struct thread *threads;
    uint32_t thread_count;
    int (*confine)(void);
    const char *name; /* of the threads */
};

struct mx_helper *mx_helper_new(uint32_t thread_count, uint32_t queue) {
    assert(queue > 0 && queue <= 65536);
    uint32_t count = 2; /* with one slot, "free" and "in use" would be the same turn */
    while (count < queue)
        count *= 2;
    struct mx_helper *self = aligned_alloc(64, sizeof *self);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    self->slots = calloc(count, sizeof *self->slots);
    self->threads = calloc(thread_count + 1, sizeof *self->threads);
    if (self->slots == NULL || self->threads == NULL || sem_init(&self->posted, 0, 0) < 0 ||
        sem_init(&self->started, 0, 0) < 0) {
        free(self->slots);
        free(self->threads);
        free(self);
        return NULL;
    }
    self->mask = count - 1;
    self->limit = queue;
    self->thread_count = thread_count;
    mx_helper_confine_by(self, mx_confine_helper, "mxring-helper");
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&self->slots[i].turn, i, memory_order_relaxed);
    return self;
}

void mx_helper_confine_by(struct mx_helper *self, int (*confine)(void), const char *name) {
    self->confine = confine;
    self->name = name;
}

/* ---- the queue ---- */

static bool count_in(struct mx_helper *self) {
    uint32_t waiting = atomic_load_explicit(&self->waiting, memory_order_relaxed);
    do {
        if (waiting >= self->limit)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&self->waiting, &waiting, waiting + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* There is room for whoever was counted in, but the slot may still be held by a taker that has its
 * ticket and is about to leave: a few instructions, and only when the queue is full. */
static struct slot *take_turn(struct mx_helper *self, _Atomic uint32_t *tickets, uint32_t offset) {
    uint32_t ticket = atomic_load_explicit(tickets, memory_order_relaxed);
    for (;;) {
        struct slot *slot = &self->slots[ticket & self->mask];
        uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        int32_t ahead = (int32_t)(turn - (ticket + offset));
        if (ahead < 0)
            return NULL; /* full, or empty */
        if (ahead == 0 &&
            atomic_compare_exchange_weak_explicit(tickets, &ticket, ticket + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return slot;
        if (ahead > 0) /* somebody else was faster */
            ticket = atomic_load_explicit(tickets, memory_order_relaxed);
    }
}

int mx_helper_post(struct mx_helper *self, struct mx_helper_job *job) {
    if (!count_in(self))
        return -EBUSY;
    struct slot *slot = take_turn(self, &self->tail, 0);
    if (slot == NULL) {
        atomic_fetch_sub_explicit(&self->waiting, 1, memory_order_relaxed);
        return -EBUSY;
    }
    slot->job = job;
    uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    atomic_store_explicit(&slot->turn, turn + 1, memory_order_release);
    int err = sem_post(&self->posted);
    assert(err == 0); /* as many posts as jobs: it cannot overflow */
    return 0;
}

struct mx_helper_job *mx_helper_take(struct mx_helper *self) {
    struct slot *slot = take_turn(self, &self->head, 1);
    if (slot == NULL)
        return NULL;
    struct mx_helper_job *job = slot->job;
    uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    atomic_store_explicit(&slot->turn, turn + self->mask, memory_order_release);
    atomic_fetch_sub_explicit(&self->waiting, 1, memory_order_relaxed);
    return job;
}

bool mx_helper_finish(struct mx_helper_job *job) {
    struct mx_helper_inbox *inbox = job->inbox;
    struct mx_helper_job *before = atomic_load_explicit(&inbox->done, memory_order_relaxed);
    do
        job->next = before;
    while (!atomic_compare_exchange_weak_explicit(&inbox->done, &before, job, memory_order_release,
                                                  memory_order_relaxed));
    return before == NULL;
}

void mx_helper_answer_all(struct mx_helper_inbox *inbox) {
    struct mx_helper_job *first = NULL, *job = mx_helper_collect(inbox);
    while (job != NULL) { /* turn the list round */
        struct mx_helper_job *next = job->next;
        job->next = first;
        first = job;
        job = next;
    }
    while (first != NULL) {
        job = first;
        first = job->next; /* the job is gone behind its answer */
        job->answer(inbox->context, job);
    }
}

/* ---- the threads ---- */

static void sleep_ms(long ms) {
    const struct timespec moment = {0, ms * 1000000L};
    nanosleep(&moment, NULL);
}

/* A message completes here only when it failed. */
static bool wake(struct mx_ring *ring, int ring_fd) {
    const struct mx_ring_wait no_sleep = {.events = 0};
    mx_ring_message(ring, ring_fd, 0, mx_op_pack(MX_OP_HELPED, 0, 0), mx_op_pack(MX_OP_NONE, 0, 0));
    int err = mx_ring_turn(ring, &no_sleep);
    unsigned failures = mx_ring_ready(ring);
    mx_ring_consume(ring, failures);
    return err == 0 && failures == 0;
}

static void run_job(struct thread *self, struct mx_helper_job *job) {
    int ring_fd = job->inbox->ring_fd; /* the job is its poster's again behind finish */
    job->run(job, self->scratch);
    mx_helper_finish(job);
    for (int i = 0; ring_fd >= 0 && i < RETRIES_MAX && !wake(&self->ring, ring_fd); i++) {
        if (atomic_load_explicit(&self->pool->is_stopping, memory_order_relaxed))
            break;
        sleep_ms(RETRY_MS);
    }
}

static void *main_of(void *argument) {
    struct thread *self = argument;
    struct mx_helper *pool = self->pool;
    struct mx_helper_job *job;
    self->error = mx_ring_start(&self->ring);
    if (self->error == 0 && pool->confine() < 0) {
        /* no seccomp here: the workers have said so */
    }
    sem_post(&pool->started);
    while (!atomic_load_explicit(&pool->is_stopping, memory_order_acquire)) {
        if (sem_wait(&pool->posted) < 0)
            continue; /* a signal */
        /* all that are there: a job may have been posted behind one that was not in its slot yet */
        while (!atomic_load_explicit(&pool->is_stopping, memory_order_acquire) &&
               (job = mx_helper_take(pool)) != NULL)
            run_job(self, job);
    }
    return NULL;
}

static int start(struct thread *self, uint32_t features) {
    int err = mx_ring_init(&self->ring, features & ~(uint32_t)MX_RING_DIRECT, 0, CQ_ENTRIES);
    if (err < 0)
        return err;
    err = pthread_create(&self->thread, NULL, main_of, self);
    if (err != 0)
        return -err;
    self->has_thread = true;
    pthread_setname_np(self->thread, self->pool->name);
    while (sem_wait(&self->pool->started) < 0)
        continue;
    return self->error;
}

int mx_helper_start(struct mx_helper *self, uint32_t features) {
    for (uint32_t i = 0; i < self->thread_count; i++) {
        self->threads[i].pool = self;
        int err = start(&self->threads[i], features);
        if (err < 0)
            return err;
    }
    return 0;
}

void mx_helper_free(struct mx_helper *self) {
    if (self == NULL)
        return;
    atomic_store_explicit(&self->is_stopping, true, memory_order_release);
    for (uint32_t i = 0; i < self->thread_count; i++) {
        int err = sem_post(&self->posted);
        assert(err == 0);
    }
    for (uint32_t i = 0; i < self->thread_count; i++) {
        if (self->threads[i].has_thread)
            pthread_join(self->threads[i].thread, NULL);
        mx_ring_deinit(&self->threads[i].ring);
    }
    sem_destroy(&self->posted);
    sem_destroy(&self->started);
    free(self->threads);
    free(self->slots);
    free(self);
}
