/* helper.c - the helper threads' part: logins are judged as late as the seed likes, in any order,
 * and wake-ups come later still.
 */
#include "config/users.h"
#include "engine/conn_auth.h"
#include "tests/sim/sim.h"

#include <string.h>

static char scratch[MX_HELPER_SCRATCH] __attribute__((aligned(16)));

void sim_helper_setup(void) {
    static const uint32_t queues[] = {1, 1, 256};
    sim.helper.pool = mx_helper_new(0, queues[sim_below(3)]);
    SIM_CHECK(sim.helper.pool != NULL, "mx_helper_new", 0, 0);
    sim.fleet.helper = sim.helper.pool;
}

static uint32_t worker_of(const struct mx_helper_job *job) {
    uint32_t index = 0;
    while (index + 1 < sim.worker_count && job->inbox != &sim.workers[index].inbox)
        index++;
    SIM_CHECK(job->inbox == &sim.workers[index].inbox, "whose job is it", index, 0);
    return index;
}

static uint64_t later(void) {
    if (sim_chance(20))
        return sim.now_us + 1000000 * (uint64_t)(1 + sim_below(60));
    return sim.now_us + sim_below(sim_below(4) ? 300 : 200000);
}

static void finish(struct mx_helper_job *job) {
    uint32_t worker = worker_of(job);
    job->run(job, scratch);
    mx_helper_finish(job);
    sim.progress_us = sim.now_us;
    if (!sim.is_done[worker])
        sim_post(&sim.kernels[worker], mx_op_pack(MX_OP_HELPED, 0, 0), 0, 0);
}

void sim_helper_act(void) {
    for (uint32_t i = 0; i < SIM_HELPERS; i++) {
        if (sim.helper.jobs[i] == NULL) {
            sim.helper.jobs[i] = mx_helper_take(sim.helper.pool);
            sim.helper.due_us[i] = sim.helper.jobs[i] != NULL ? later() : SIM_NEVER;
        } else if (sim.now_us >= sim.helper.due_us[i]) {
            finish(sim.helper.jobs[i]);
            sim.helper.jobs[i] = NULL;
            sim.helper.due_us[i] = sim.now_us; /* look for the next one */
        }
    }
}

uint64_t sim_helper_next_us(void) {
    uint64_t next = SIM_NEVER;
    for (uint32_t i = 0; i < SIM_HELPERS; i++) {
        if (sim.helper.jobs[i] != NULL && sim.helper.due_us[i] < next)
            next = sim.helper.due_us[i];
    }
    return next;
}

/* The threads end; what they had belongs to workers that have left. Then nothing may be left. */
void sim_helper_teardown(void) {
    struct mx_helper_job *job;
    for (uint32_t i = 0; i < SIM_HELPERS; i++) {
        if (sim.helper.jobs[i] != NULL)
            finish(sim.helper.jobs[i]);
        sim.helper.jobs[i] = NULL;
    }
    while ((job = mx_helper_take(sim.helper.pool)) != NULL)
        finish(job);
    for (uint32_t i = 0; i < sim.worker_count; i++)
        mx_helper_answer_all(&sim.workers[i].inbox);
    mx_helper_free(sim.helper.pool);
    sim.helper.pool = NULL;
}
