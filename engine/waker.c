#include "engine/waker.h"

#include "engine/op.h"

#include <time.h>

enum {
    CQ_ENTRIES = 256,
    RETRIES_MAX = 1000,
};

int mx_waker_init(struct mx_waker *self, uint32_t features) {
    self->unheard_count = 0;
    return mx_ring_init(&self->ring, features & ~(uint32_t)MX_RING_DIRECT, 0, CQ_ENTRIES);
}

int mx_waker_start(struct mx_waker *self) {
    return mx_ring_start(&self->ring);
}

void mx_waker_deinit(struct mx_waker *self) {
    mx_ring_deinit(&self->ring);
}

/* A message completes here only when it failed: then all are told again. */
bool mx_waker_wake(struct mx_waker *self) {
    const struct mx_ring_wait no_sleep = {.events = 0};
    if (self->unheard_count == 0)
        return true;
    for (unsigned i = 0; i < self->unheard_count; i++)
        mx_ring_message(&self->ring, self->unheard[i], 0, mx_op_pack(MX_OP_HELPED, 0, 0),
                        mx_op_pack(MX_OP_NONE, 0, 0));
    int err = mx_ring_turn(&self->ring, &no_sleep);
    unsigned failures = mx_ring_ready(&self->ring);
    mx_ring_consume(&self->ring, failures);
    if (err < 0 || failures > 0)
        return false;
    self->unheard_count = 0;
    return true;
}

static void sleep_ms(long ms) {
    const struct timespec moment = {0, ms * 1000000L};
    nanosleep(&moment, NULL);
}

void mx_waker_note(struct mx_waker *self, int ring_fd) {
    if (ring_fd < 0)
        return;
    for (int i = 0; self->unheard_count == MX_WAKER_MAX && !mx_waker_wake(self); i++) {
        if (i == RETRIES_MAX)
            return;
        sleep_ms(MX_WAKER_RETRY_MS);
    }
    self->unheard[self->unheard_count++] = ring_fd;
}
