#include "engine/batch.h"

#include "engine/limits.h"

void mx_batch_init(struct mx_batch *self, int32_t setting, uint64_t now_ms) {
    *self = (struct mx_batch){
        .is_auto = setting < 0,
        .wait_us = setting < 0 ? MX_BATCH_AUTO_US : (uint32_t)setting,
        .window_ms = now_ms,
        .window = 1, /* 0 is what a connection begins with */
        .gain = MX_BATCH_EVEN,
        .probe_every = MX_BATCH_PROBE_MIN,
        .probe_in = MX_BATCH_PROBE_MIN,
    };
}

bool mx_batch_is_over(const struct mx_batch *self, uint64_t now_ms) {
    return self->wait_us > 0 && now_ms - self->window_ms >= MX_BATCH_WINDOW_MS;
}

/* A probe has ended: does the other way cost less? A little more is needed to change than to stay.
 */
static void judge(struct mx_batch *self, uint64_t cost_ps) {
    uint64_t with = self->is_waiting ? self->cost_ps : cost_ps;
    uint64_t without = self->is_waiting ? cost_ps : self->cost_ps;
    uint64_t gain = without * MX_BATCH_EVEN / with;
    /* one odd window decides nothing, however odd it is */
    const uint64_t most = MX_BATCH_EVEN * 5 / 4, least = MX_BATCH_EVEN * 3 / 4;
    gain = gain > most ? most : gain < least ? least : gain;
    self->gain = (uint32_t)((7 * (uint64_t)self->gain + gain) / 8);
    bool is_better = self->gain > (self->is_waiting ? MX_BATCH_STAY : MX_BATCH_CHANGE);
    self->probe_every = is_better != self->is_waiting            ? MX_BATCH_PROBE_MIN
                        : self->probe_every < MX_BATCH_PROBE_MAX ? self->probe_every * 2
                                                                 : MX_BATCH_PROBE_MAX;
    self->is_waiting = is_better;
}

static void end_window(struct mx_batch *self, uint64_t receives, uint64_t cpu_ns) {
    bool is_sample = receives >= MX_BATCH_SAMPLE && self->active >= MX_BATCH_MIN_CONNS;
    uint64_t cost_ps = is_sample ? cpu_ns * 1000 / receives : 0;
    if (self->is_probe) {
        self->is_probe = false;
        if (cost_ps > 0)
            judge(self, cost_ps);
        self->probe_in = self->probe_every;
        self->cost_ps = 0;
        return;
    }
    self->cost_ps = cost_ps;
    if (self->probe_in > 0)
        self->probe_in--;
    self->is_probe = self->probe_in == 0 && cost_ps > 0;
}

void mx_batch_roll(struct mx_batch *self, uint64_t now_ms, uint64_t receives, uint64_t cpu_ns) {
    if (self->is_auto)
        end_window(self, receives - self->receives, cpu_ns - self->cpu_ns);
    self->receives = receives;
    self->cpu_ns = cpu_ns;
    self->window_ms = now_ms;
    self->window++;
    self->active_last = self->active;
    self->active = 0;
}

uint32_t mx_batch_events(const struct mx_batch *self) {
    uint32_t active = self->active > self->active_last ? self->active : self->active_last;
    bool wants = self->wait_us > 0 && (!self->is_auto || self->is_waiting != self->is_probe);
    if (!wants || active < MX_BATCH_MIN_CONNS)
        return 1;
    return active / 2 < MX_BATCH_MAX_EVENTS ? active / 2 : MX_BATCH_MAX_EVENTS;
}
