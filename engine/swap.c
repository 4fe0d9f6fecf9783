#include "engine/swap.h"

#include "engine/worker.h"

/* Whoever accepts there may hand a connection to a worker that does not know the place yet, so
 * nobody does before all have it; also not a worker that goes on accepting only now. */
static void put_new(struct mx_worker *self, uint32_t index, const struct mx_swap_place *place) {
    mx_listener_put(self, index, place->fds[self->index], place->family, place->service);
    self->listeners[index].is_new = true;
}

static void arm_new(struct mx_worker *self) {
    for (uint32_t i = 0; i < self->listener_count; i++)
        self->listeners[i].is_new = false;
    if (!self->is_accept_paused) /* else they are armed with the others */
        mx_listener_arm_all(self);
}

static void install(struct mx_worker *self, const struct mx_swap *swap) {
    for (uint32_t i = 0; i < swap->count; i++) {
        const struct mx_swap_place *place = &swap->places[i];
        struct mx_listener *listener = &self->listeners[i];
        if (place->is_going)
            listener->is_going = true;
        else if (place->is_new)
            put_new(self, i, place);
        else if (place->service != NULL)
            mx_listener_serve(self, i, place->service);
    }
    self->log.severity = (uint32_t)swap->severity;
    self->drain_timeout_ms = swap->drain_timeout_ms;
    atomic_store_explicit(&self->is_quiet, false, memory_order_relaxed);
    self->is_retiring = true;
}

static void retire(struct mx_worker *self, const struct mx_swap *swap) {
    for (uint32_t i = 0; i < swap->count; i++) {
        if (swap->places[i].is_going)
            mx_listener_clear(self, i);
    }
}

void mx_swap_on_message(struct mx_worker *self, const struct io_uring_cqe *cqe) {
    uint32_t number = mx_op_slot(cqe->user_data);
    if (number <= atomic_load_explicit(&self->swapped, memory_order_relaxed))
        return; /* it was told twice */
    /* a worker that drains lets nobody in, and the main thread knows of no more steps then */
    if (self->drain_deadline_ms == 0) {
        const struct mx_swap *swap = atomic_load_explicit(&self->fleet->swap, memory_order_acquire);
        switch ((enum mx_swap_step)(number % MX_SWAP_STEPS)) {
        case MX_SWAP_INSTALL:
            install(self, swap);
            break;
        case MX_SWAP_ARM:
            arm_new(self);
            break;
        case MX_SWAP_RETIRE:
            retire(self, swap);
            break;
        case MX_SWAP_STEPS:
            break;
        }
    }
    atomic_store_explicit(&self->swapped, number, memory_order_release);
}

void mx_swap_watch(struct mx_worker *self) {
    if (!self->is_retiring)
        return;
    for (uint32_t i = 0; i < self->listener_count; i++) {
        const struct mx_listener *listener = &self->listeners[i];
        if (listener->is_going && (listener->is_armed || listener->passing > 0))
            return;
    }
    self->is_retiring = false;
    atomic_store_explicit(&self->is_quiet, true, memory_order_release);
}
