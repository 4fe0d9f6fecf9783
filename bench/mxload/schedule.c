/* schedule.c - which message is next, and when it is due. */
#include "bench/mxload/load.h"

#include <math.h>

/* Seconds from the begin of the schedule to message number seq of the whole run. While the rate
 * grows, t seconds have rate * t^2 / (2 * ramp) messages. */
static double due_s(const struct mx_plan *plan, double seq) {
    double in_ramp = plan->rate * plan->ramp_s / 2;
    if (seq < in_ramp)
        return sqrt(2 * plan->ramp_s * seq / plan->rate);
    return plan->ramp_s / 2 + seq / plan->rate;
}

static uint64_t next_seq(const struct mx_load *self) {
    return self->index + self->taken * self->plan->workers;
}

static uint64_t due_ns(const struct mx_load *self) {
    return self->schedule_ns + (uint64_t)(1e9 * due_s(self->plan, (double)next_seq(self)));
}

uint64_t mx_schedule_due_ns(const struct mx_load *self) {
    if (self->plan->rate <= 0 || !self->has_clock || mx_schedule_is_over(self))
        return UINT64_MAX;
    return due_ns(self);
}

bool mx_schedule_is_over(const struct mx_load *self) {
    if (self->taken >= self->quota || self->now_ns >= self->end_ns ||
        atomic_load_explicit(&self->shared->is_stopping, memory_order_relaxed))
        return true;
    return self->plan->rate > 0 && self->has_clock && self->end_ns != UINT64_MAX &&
           due_ns(self) >= self->end_ns;
}

void mx_schedule_ready(struct mx_load *self) {
    if (self->has_clock || (self->unready_count > 0 && --self->unready_count > 0))
        return;
    self->has_clock = true;
    self->schedule_ns = self->now_ns;
}

enum mx_next mx_schedule_take(struct mx_load *self, struct mx_client *client) {
    if (mx_schedule_is_over(self))
        return MX_NEXT_NONE;
    const struct mx_plan *plan = self->plan;
    client->began_ns = self->now_ns;
    if (plan->rate > 0) {
        if (!self->has_clock)
            return MX_NEXT_NOT_DUE;
        client->began_ns = due_ns(self);
        if (client->began_ns > self->now_ns)
            return MX_NEXT_NOT_DUE;
    }
    client->id = (struct mx_mail_id){
        .seq = next_seq(self),
        .size = (uint32_t)mx_plan_draw(plan->size, &self->random),
        .recipients = (uint32_t)mx_plan_draw(plan->recipients, &self->random),
    };
    if (client->id.size == 1)
        client->id.size = 2;
    client->has_message = true;
    client->code = 0;
    client->text_len = 0;
    client->rcpts_taken = 0;
    self->taken++;
    self->counts.started++;
    if (self->first_ns == 0)
        self->first_ns = client->began_ns;
    return MX_NEXT_TAKEN;
}
