/* waker.h - wakes the owners of inboxes (helper.h) for a thread that answers them in passing: the
 * resolver, the scanner. By messages on the ring of each, several at a time.
 *
 * Belongs to one thread, but for init and deinit.
 */
#pragma once
#include "engine/ring.h"

enum {
    MX_WAKER_MAX = 128,    /* owners that are to be woken at a time */
    MX_WAKER_RETRY_MS = 1, /* a message was refused (memory, a full queue): time to the next try */
};

struct mx_waker {
    struct mx_ring ring;
    int unheard[MX_WAKER_MAX]; /* rings that are to be woken */
    unsigned unheard_count;
};

/* A ring; features as for mx_ring_init. 0 or -errno. */
MX_MUST_CHECK int mx_waker_init(struct mx_waker *self, uint32_t features);
/* The thread's own first call. 0 or -errno. */
MX_MUST_CHECK int mx_waker_start(struct mx_waker *self);
void mx_waker_deinit(struct mx_waker *self);

/* This ring is to be woken; negative: nobody is. Waits for room, a second at most: then its owner
 * looks by himself in the end. */
void mx_waker_note(struct mx_waker *self, int ring_fd);

/* Wake them all. False: call it again after MX_WAKER_RETRY_MS. */
MX_MUST_CHECK bool mx_waker_wake(struct mx_waker *self);

static inline bool mx_waker_is_waiting(const struct mx_waker *self) {
    return self->unheard_count > 0;
}
