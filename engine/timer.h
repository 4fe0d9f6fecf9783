/* timer.h - a timer wheel: intrusive entries, one slot a tick, no system call.
 *
 * Times are milliseconds of the worker's monotonic clock. A timer fires up to one tick late, never
 * early. Insert, move and remove are O(1); far deadlines go round the wheel more than once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MX_TIMER_TICK_MS = 250, MX_TIMER_SLOTS = 4096 };

/* Put this into what has a deadline; zeroed = not in the wheel. */
struct mx_timer {
    struct mx_timer *next, **prev; /* prev points at the pointer to us; NULL = not in the wheel */
    uint64_t due_ms;
};

struct mx_timer_wheel {
    struct mx_timer *slots[MX_TIMER_SLOTS];
    uint64_t used[MX_TIMER_SLOTS / 64]; /* bit set: the slot is not empty */
    uint64_t tick;                      /* all ticks before this one have fired */
    uint32_t count;
};

void mx_timer_init(struct mx_timer_wheel *self, uint64_t now_ms);

/* Fire at due_ms (again: moves it). */
void mx_timer_set(struct mx_timer_wheel *self, struct mx_timer *timer, uint64_t due_ms);

/* No effect when it is not in the wheel. */
void mx_timer_clear(struct mx_timer_wheel *self, struct mx_timer *timer);

static inline bool mx_timer_is_set(const struct mx_timer *timer) {
    return timer->prev != NULL;
}

/* Take one timer that is due at now_ms out of the wheel; NULL: none. Timers set meanwhile are seen
 * when they are due. */
struct mx_timer *mx_timer_expire(struct mx_timer_wheel *self, uint64_t now_ms);

/* Milliseconds from now_ms until the wheel wants to be looked at again; UINT64_MAX: it is empty. */
uint64_t mx_timer_next_ms(const struct mx_timer_wheel *self, uint64_t now_ms);
