#include "engine/answerer.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- any thread ---- */

static void wake_thread(struct mx_answerer *self) {
    const uint64_t one = 1;
    ssize_t put = write(self->wake_fd, &one, sizeof one);
    assert(put == sizeof one || errno == EAGAIN); /* EAGAIN: it is awake for 2^64 reasons */
}

/* It says that it sleeps before it looks for work for the last time. */
void mx_answerer_nudge(struct mx_answerer *self) {
    if (atomic_load(&self->is_asleep) && atomic_exchange(&self->is_asleep, false))
        wake_thread(self);
}

/* ---- the thread ---- */

int mx_answerer_sleep(struct mx_answerer *self, struct pollfd *fds, nfds_t count, int ms) {
    if (!mx_waker_wake(&self->waker) && ms > MX_WAKER_RETRY_MS)
        ms = MX_WAKER_RETRY_MS;
    fds[0] = (struct pollfd){.fd = self->wake_fd, .events = POLLIN};
    atomic_store(&self->is_asleep, true);
    if (self->class->has_work(self->owner) || atomic_load(&self->is_stopping))
        ms = 0;
    int ready = poll(fds, count, ms);
    atomic_store(&self->is_asleep, false);
    self->now_ms = monotonic_ms();
    if (ready > 0 && fds[0].revents != 0) {
        uint64_t wakes;
        ssize_t got = read(self->wake_fd, &wakes, sizeof wakes);
        assert(got == sizeof wakes);
    }
    return ready;
}

static void *main_of(void *argument) {
    struct mx_answerer *self = argument;
    self->error = mx_waker_start(&self->waker);
    if (self->error == 0 && self->class->confine() < 0) {
        /* no seccomp here: the workers have said so */
    }
    self->now_ms = monotonic_ms();
    sem_post(&self->started);
    while (!atomic_load(&self->is_stopping))
        self->class->turn(self->owner);
    if (!mx_waker_wake(&self->waker)) {
        /* whoever still listens looks by himself in the end */
    }
    return NULL;
}

/* ---- life ---- */

int mx_answerer_init(struct mx_answerer *self, const struct mx_answerer_class *class, void *owner) {
    self->class = class;
    self->owner = owner;
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (sem_init(&self->started, 0, 0) < 0 || self->wake_fd < 0)
        return -errno;
    return 0;
}

int mx_answerer_start(struct mx_answerer *self, uint32_t features) {
    int err = mx_waker_init(&self->waker, features);
    if (err < 0)
        return err;
    err = pthread_create(&self->thread, NULL, main_of, self);
    if (err != 0)
        return -err;
    self->has_thread = true;
    pthread_setname_np(self->thread, self->class->name);
    while (sem_wait(&self->started) < 0)
        continue;
    return self->error;
}

void mx_answerer_stop(struct mx_answerer *self) {
    atomic_store(&self->is_stopping, true);
    if (!self->has_thread)
        return;
    wake_thread(self);
    pthread_join(self->thread, NULL);
    self->has_thread = false;
}

void mx_answerer_deinit(struct mx_answerer *self) {
    assert(!self->has_thread);
    mx_waker_deinit(&self->waker);
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    sem_destroy(&self->started);
}
