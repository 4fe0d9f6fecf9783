#include "engine/memo_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUSY_MAX = 20 /* it sleeps at least so many times as long as writing took */ };

struct mx_memo_keeper {
    struct mx_memo *memo;
    char *path;
    uint32_t interval_ms;
    uint32_t crc; /* of the file */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_thread, is_stopping; /* the latter under the lock */
    _Atomic int error;
#define COUNTER(name, unit, help) _Atomic uint64_t name;
    MX_MEMO_COUNTERS(COUNTER)
#undef COUNTER
};

static uint64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct mx_memo_moment this_moment(void) {
    return (struct mx_memo_moment){clock_ms(CLOCK_MONOTONIC), clock_ms(CLOCK_REALTIME)};
}

static int save(struct mx_memo_keeper *self) {
    struct mx_memo_moment moment = this_moment();
    struct mx_memo_result result;
    int err = mx_memo_save(self->memo, self->path, &moment, self->crc, &result);
    atomic_store(&self->error, err);
    if (err < 0) {
        atomic_fetch_add(&self->save_failures, 1);
        return err;
    }
    self->crc = result.crc;
    atomic_fetch_add(&self->saves, 1);
    atomic_store(&self->saved, result.facts);
    atomic_store(&self->octets, result.octets);
    return 0;
}

static bool is_told_to_stop(struct mx_memo_keeper *self, uint64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int err = 0;
    pthread_mutex_lock(&self->lock);
    while (!self->is_stopping && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    bool is_stopping = self->is_stopping;
    pthread_mutex_unlock(&self->lock);
    return is_stopping;
}

static void *main_of(void *argument) {
    struct mx_memo_keeper *self = argument;
    uint64_t took_ms = 0;
    for (;;) {
        uint64_t pause_ms = took_ms * BUSY_MAX;
        pause_ms = pause_ms > self->interval_ms ? pause_ms : self->interval_ms;
        if (is_told_to_stop(self, clock_ms(CLOCK_MONOTONIC) + pause_ms))
            return NULL;
        uint64_t begin_ms = clock_ms(CLOCK_MONOTONIC);
        int err = save(self);
        (void)err; /* told by mx_memo_keeper_error */
        took_ms = clock_ms(CLOCK_MONOTONIC) - begin_ms;
    }
}

static struct mx_memo_keeper *keeper_new(const char *path) {
    struct mx_memo_keeper *self = calloc(1, sizeof *self);
    pthread_condattr_t attributes;
    if (self == NULL)
        return NULL;
    self->path = strdup(path);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (self->path != NULL)
        return self;
    mx_memo_keeper_free(self);
    return NULL;
}

int mx_memo_keeper_new(struct mx_memo_keeper **result, struct mx_memo *memo, const char *path,
                       struct mx_memo_result *loaded) {
    struct mx_memo_keeper *self = keeper_new(path);
    struct mx_memo_moment moment = this_moment();
    *loaded = (struct mx_memo_result){.facts = 0};
    *result = NULL;
    if (self == NULL)
        return -ENOMEM;
    self->memo = memo;
    int err = mx_memo_load(memo, path, &moment, loaded);
    atomic_store(&self->loaded, loaded->facts);
    if (err == 0)
        *result = self;
    else
        mx_memo_keeper_free(self);
    return err;
}

int mx_memo_keeper_start(struct mx_memo_keeper *self, uint32_t interval_ms) {
    self->interval_ms = interval_ms;
    int err = pthread_create(&self->thread, NULL, main_of, self);
    if (err != 0)
        return -err;
    self->has_thread = true;
    pthread_setname_np(self->thread, "mxring-memo");
    return 0;
}

int mx_memo_keeper_end(struct mx_memo_keeper *self) {
    if (self == NULL)
        return 0;
    pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    self->has_thread = false;
    return save(self);
}

void mx_memo_keeper_free(struct mx_memo_keeper *self) {
    if (self == NULL)
        return;
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self->path);
    free(self);
}

struct mx_memo_counters mx_memo_keeper_counters(const struct mx_memo_keeper *self) {
    struct mx_memo_counters sums;
#define READ(name, unit, help) sums.name = atomic_load(&self->name);
    MX_MEMO_COUNTERS(READ)
#undef READ
    return sums;
}

int mx_memo_keeper_error(const struct mx_memo_keeper *self) {
    return atomic_load(&self->error);
}
