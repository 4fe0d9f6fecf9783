#include "engine/timer.h"

#include <assert.h>
#include <string.h>

enum { SLOT_MASK = MX_TIMER_SLOTS - 1, WORDS = MX_TIMER_SLOTS / 64 };

static uint64_t tick_of(uint64_t ms) {
    return (ms + MX_TIMER_TICK_MS - 1) / MX_TIMER_TICK_MS; /* round up: never early */
}

void mx_timer_init(struct mx_timer_wheel *self, uint64_t now_ms) {
    memset(self, 0, sizeof *self);
    self->tick = now_ms / MX_TIMER_TICK_MS;
}

static void link_in(struct mx_timer_wheel *self, struct mx_timer *timer, uint64_t tick) {
    unsigned slot = (unsigned)(tick & SLOT_MASK);
    timer->next = self->slots[slot];
    timer->prev = &self->slots[slot];
    if (timer->next != NULL)
        timer->next->prev = &timer->next;
    self->slots[slot] = timer;
    self->used[slot / 64] |= UINT64_C(1) << (slot % 64);
    self->count++;
}

void mx_timer_set(struct mx_timer_wheel *self, struct mx_timer *timer, uint64_t due_ms) {
    mx_timer_clear(self, timer);
    uint64_t tick = tick_of(due_ms);
    timer->due_ms = due_ms;
    link_in(self, timer, tick < self->tick ? self->tick : tick);
}

void mx_timer_clear(struct mx_timer_wheel *self, struct mx_timer *timer) {
    if (timer->prev == NULL)
        return;
    *timer->prev = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
    timer->next = NULL;
    timer->prev = NULL; /* a used bit left behind is cleared when the slot is looked at */
    assert(self->count > 0);
    self->count--;
}

/* A timer in this slot whose time has come; others of it belong to a later round. */
static struct mx_timer *due_in(struct mx_timer *timer, uint64_t now_ms) {
    while (timer != NULL && timer->due_ms > now_ms)
        timer = timer->next;
    return timer;
}

struct mx_timer *mx_timer_expire(struct mx_timer_wheel *self, uint64_t now_ms) {
    uint64_t last = now_ms / MX_TIMER_TICK_MS;
    if (last >= self->tick + MX_TIMER_SLOTS) /* asleep for more than a round: each slot once */
        self->tick = last - MX_TIMER_SLOTS + 1;
    for (; self->tick <= last; self->tick++) {
        unsigned slot = (unsigned)(self->tick & SLOT_MASK);
        if (!(self->used[slot / 64] & UINT64_C(1) << (slot % 64)))
            continue;
        struct mx_timer *timer = due_in(self->slots[slot], now_ms);
        if (timer != NULL) {
            mx_timer_clear(self, timer);
            return timer;
        }
        if (self->slots[slot] == NULL)
            self->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
    self->tick = last; /* the current tick stays open for timers that are set now */
    return NULL;
}

uint64_t mx_timer_next_ms(const struct mx_timer_wheel *self, uint64_t now_ms) {
    if (self->count == 0)
        return UINT64_MAX;
    for (unsigned i = 0; i < MX_TIMER_SLOTS;) {
        uint64_t tick = self->tick + i;
        unsigned slot = (unsigned)(tick & SLOT_MASK);
        uint64_t word = self->used[slot / 64] >> (slot % 64);
        if (word == 0) {
            i += 64 - slot % 64;
            continue;
        }
        tick += (unsigned)__builtin_ctzll(word);
        uint64_t due_ms = tick * MX_TIMER_TICK_MS;
        return due_ms > now_ms ? due_ms - now_ms : 1;
    }
    return MX_TIMER_TICK_MS;
}
