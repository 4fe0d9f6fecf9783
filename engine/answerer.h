/* answerer.h - the thread that answers what other threads ask, by poll(2): the resolver's, the
 * scanner's.
 *
 * The owner keeps the questions, in a list that any thread can add to; the answerer sleeps, is
 * woken when somebody has asked, and wakes those who asked (waker.h).
 */
#pragma once
#include "engine/waker.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct mx_answerer_class {
    const char *name;                    /* of the thread, up to 15 octets */
    int (*confine)(void);                /* the thread's system calls; 0 or -errno */
    bool (*has_work)(const void *owner); /* has somebody asked something? */
    void (*turn)(void *owner);           /* calls mx_answerer_sleep once */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lines that are not shared */
struct mx_answerer {
    _Alignas(64) _Atomic bool is_asleep, is_stopping; /* the rest is the thread's */
    _Alignas(64) const struct mx_answerer_class *class;
    void *owner;
    uint64_t now_ms; /* monotonic, since the thread began or last slept */
    struct mx_waker waker;
    int wake_fd;
    int error; /* of the thread's start */
    bool has_thread;
    pthread_t thread;
    sem_t started;
};

/* 0 or -errno; mx_answerer_deinit either way. */
MX_MUST_CHECK int mx_answerer_init(struct mx_answerer *self, const struct mx_answerer_class *class,
                                   void *owner);
/* features: as for mx_ring_init. 0 or -errno. */
MX_MUST_CHECK int mx_answerer_start(struct mx_answerer *self, uint32_t features);
/* The thread has ended, if it was started. */
void mx_answerer_stop(struct mx_answerer *self);
void mx_answerer_deinit(struct mx_answerer *self); /* after it was stopped */

/* Any thread: has_work is true now. */
void mx_answerer_nudge(struct mx_answerer *self);

/* The thread itself: wake those whose inboxes were noted; then sleep until a descriptor is ready,
 * but at most ms, and not at all when there is work. fds[0] is filled in here, and count has it.
 * How many are ready; less than 1: fds says nothing. */
int mx_answerer_sleep(struct mx_answerer *self, struct pollfd *fds, nfds_t count, int ms);
