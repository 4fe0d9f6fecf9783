/* hook.c - hooks of the simulation: they decide at once, or wait for helpers who come late, twice,
 * never in time, or not at all because there are too many jobs.
 *
 * In front of every chain, at each point where one can wait; and one that wants to see headers.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

struct job {
    struct mx_hook_job hook; /* first */
    uint32_t number;         /* how often it was worked on */
    uint32_t question;       /* of the connection it was asked for */
};

/* Of a connection. */
struct memory {
    uint32_t question; /* number of the last one */
};

static const struct mx_opt_wait patient = {60000, MX_ON_FAILURE_ACCEPT};
static const struct mx_opt_wait impatient = {250, MX_ON_FAILURE_ACCEPT};
static const struct mx_opt_wait strict = {1000, MX_ON_FAILURE_TEMPFAIL};

static void run_job(struct mx_helper_job *job, void *unused) {
    struct job *self = (struct job *)(void *)job;
    (void)unused;
    self->number++;
}

static struct job *new_job(struct mx_hook_call *call) {
    const struct memory *memory = call->memory;
    struct job *job = mx_hook_job_new(call, sizeof *job);
    if (job != NULL)
        job->question = memory->question;
    return job;
}

static enum mx_verdict ask(struct mx_hook_call *call) {
    struct job *job = new_job(call);
    sim_event(SIM_E_HOOK_WAITS);
    return mx_hook_ask_helper(call, job != NULL ? &job->hook : NULL, run_job);
}

/* Two jobs at once; whichever comes first decides. */
static enum mx_verdict ask_twice(struct mx_hook_call *call) {
    enum mx_verdict first = ask(call);
    if (first != MX_VERDICT_PENDING)
        return first;
    struct job *job = new_job(call);
    if (job == NULL)
        return first;
    job->hook.job.run = run_job;
    if (mx_helper_post(sim.helper.pool, &job->hook.job) < 0)
        mx_hook_job_free(call, &job->hook);
    return first;
}

static enum mx_verdict hook(struct mx_hook_call *call) {
    struct memory *memory = call->memory;
    SIM_CHECK(memory != NULL, "memory of a connection", 0, 0);
    if (call->answer != NULL) {
        const struct job *job = (const struct job *)(const void *)call->answer;
        SIM_CHECK(job->number == 1, "an answer that was not worked on", job->number, 0);
        SIM_CHECK(job->question == memory->question, "an answer to another question", job->question,
                  memory->question);
        sim_event(SIM_E_HOOK_ANSWERED);
        return sim_below(4) == 0 ? ask(call) : MX_VERDICT_DECLINED;
    }
    memory->question++;
    if (call->header != NULL && sim_below(16) == 0) { /* of what was stored, at its end */
        sim_sink_discard(&call->session->envelope);
        return mx_hook_discard(call);
    }
    if (sim_below(3))
        return MX_VERDICT_DECLINED;
    return sim_below(3) == 0 ? ask_twice(call) : ask(call);
}

/* Every header begins with what the client has sent; nothing is changed. */
static enum mx_verdict on_header(struct mx_hook_call *call) {
    SIM_CHECK(call->header != NULL && call->header->len <= MX_HEADER_MAX, "header", 0, 0);
    sim_event(SIM_E_HOOK_HEADER);
    return MX_VERDICT_DECLINED;
}

static const struct mx_opt_wait *wait_of(unsigned point) {
    bool may_refuse = point == MX_HOOK_MAIL || point == MX_HOOK_RCPT || point == MX_HOOK_MESSAGE;
    if (sim.has_strict_hooks && may_refuse)
        return &strict;
    return sim.has_impatient_hooks ? &impatient : &patient;
}

static bool is_hooked(unsigned point) {
    static const unsigned points = 1u << MX_HOOK_CONNECT | 1u << MX_HOOK_HELO | 1u << MX_HOOK_MAIL |
                                   1u << MX_HOOK_RCPT | 1u << MX_HOOK_DATA | 1u << MX_HOOK_MESSAGE |
                                   1u << MX_HOOK_UNKNOWN;
    return points >> point & 1;
}

void sim_hook_install(struct mx_service *service) {
    struct mx_chain *chain = &service->chain;
    struct mx_chain_link *links, *to;
    if (!sim.has_hooks)
        return;
    unsigned last = MX_HOOK_POINT_COUNT - 1;
    uint32_t total = (uint32_t)chain->first[last] + chain->count[last] + MX_HOOK_POINT_COUNT;
    links = to = calloc(total, sizeof *links);
    SIM_CHECK(links != NULL, "calloc", total, 0);
    chain->memory_octets = 16;
    for (unsigned p = 0; p < MX_HOOK_POINT_COUNT; p++) {
        const struct mx_chain_link *from = chain->links + chain->first[p];
        uint16_t count = chain->count[p];
        chain->first[p] = (uint16_t)(to - links);
        if (is_hooked(p)) {
            *to++ = (struct mx_chain_link){
                .run = hook, .wait = wait_of(p), .has_memory = true, .kind = MX_HOOK_KIND_COUNT};
            chain->count[p]++;
            chain->needs_block[p] = true;
            service->session_conf.hooks |= 1u << p;
        }
        if (p == MX_HOOK_HEADER && sim.has_header_hook) {
            *to++ = (struct mx_chain_link){
                .run = on_header, .kind = MX_HOOK_KIND_COUNT, .is_plain = true};
            chain->count[p]++;
        }
        for (uint16_t i = 0; i < count; i++)
            *to++ = from[i];
    }
    free(chain->links);
    chain->links = links;
}
