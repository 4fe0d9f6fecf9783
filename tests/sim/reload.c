/* reload.c - the main thread's part of a reload: new rules, and sometimes new addresses.
 *
 * The new rules say the same as the old ones, so that the model need not know who has which. What
 * can go wrong is in the steps: connections that are handed over meanwhile, accepts that end, a
 * drain in the middle; and who still holds what.
 */
#include "tests/sim/sim.h"

static bool is_under_way(void) {
    return sim.reload.number > 0 && sim.reload.step < MX_SWAP_STEPS;
}

static struct mx_rules *rules_at(uint32_t number) {
    return &sim.rules[number];
}

void sim_rules_init(uint32_t number, bool needs_trace) {
    struct mx_rules *rules = rules_at(number);
    struct mx_service *services = number == 0 ? sim.services : sim.more_services[number - 1];
    *rules = (struct mx_rules){.conf = sim.conf,
                               .number = number,
                               .services = services,
                               .service_count = SIM_SERVICES,
                               .holds = sim.holds[number],
                               .worker_count = SIM_WORKERS};
    for (uint32_t i = 0; i < SIM_SERVICES; i++) {
        int err = mx_service_init(&services[i], sim.conf, i, false);
        SIM_CHECK(err == 0, "mx_service_init", err, i);
        sim_hook_install(&services[i]);
        services[i].session_conf.max_lifespan_ms = sim.lifespan_ms;
        services[i].rules = rules;
        services[i].tally = &sim.tallies[i];
        services[i].sink = i;
        services[i].iptable = sim.iptable;
        services[i].session_conf.needs_trace = needs_trace;
    }
}

/* Every service goes on where it is, or moves. */
static void plan(struct mx_service *services) {
    struct mx_swap *swap = &sim.reload.swap;
    static const int fds[SIM_SLOTS][SIM_WORKERS] = {
#define SIM_FD(slot) {SIM_LISTEN_FD + (slot), SIM_LISTEN_FD + (slot)}
        SIM_FD(0), SIM_FD(1), SIM_FD(2), SIM_FD(3), SIM_FD(4), SIM_FD(5), SIM_FD(6), SIM_FD(7),
#undef SIM_FD
    };
    *swap = (struct mx_swap){.severity = MX_SEVERITY_DEBUG,
                             .drain_timeout_ms = sim.conf->engine.drain_timeout_ms};
    for (uint32_t i = 0; i < SIM_SERVICES; i++) {
        uint32_t slot = sim.slots[i];
        bool moves = sim_chance(400) && sim.slot_count < SIM_SLOTS;
        swap->places[slot].is_going = moves;
        swap->places[slot].service = moves ? NULL : &services[i];
        if (!moves)
            continue;
        slot = sim.slot_count++;
        swap->places[slot] = (struct mx_swap_place){
            .service = &services[i], .fds = fds[slot], .family = AF_INET, .is_new = true};
        sim.slots[i] = (uint8_t)slot;
    }
    swap->count = sim.slot_count;
}

static void begin(void) {
    uint32_t number = ++sim.reload.number;
    sim_event(SIM_E_RELOAD);
    sim_rules_init(number, sim.services[0].session_conf.needs_trace);
    plan(rules_at(number)->services);
    sim.reload.step = MX_SWAP_INSTALL;
    atomic_store(&sim.fleet.swap, &sim.reload.swap);
}

/* Who waits at an address that goes is reset. */
static void shut_down(void) {
    for (uint32_t slot = 0; slot < sim.slot_count; slot++) {
        if (!sim.reload.swap.places[slot].is_going)
            continue;
        sim.is_shut[slot] = true;
        for (uint32_t i = 0; i < sim.worker_count; i++)
            sim_refuse_queue(&sim.listeners[i][slot]);
        sim_event(SIM_E_RELOAD_MOVES);
    }
}

/* True: all have taken the step. Messages may be lost, and come twice. */
static bool tell(void) {
    uint32_t wanted = mx_swap_number(sim.reload.number, sim.reload.step);
    bool have_all = true;
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        if (sim.is_done[i] || sim.workers[i].swapped >= wanted)
            continue;
        have_all = false;
        if (sim_chance(300))
            sim_post(&sim.kernels[i], mx_op_pack(MX_OP_SWAP, 0, wanted), 0, 0);
    }
    return have_all;
}

static bool are_quiet(void) {
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        if (!sim.is_done[i] && !sim.workers[i].is_quiet)
            return false;
    }
    return true;
}

static void check_released(void) {
    for (uint32_t w = 0; w < sim.worker_count; w++) {
        for (uint32_t slot = 0; slot < sim.slot_count; slot++) {
            const struct mx_service *service = sim.engine_listeners[w][slot].service;
            SIM_CHECK(service == NULL || service->rules->number == sim.reload.number,
                      "an address with old rules", w, slot);
        }
    }
}

static void go_on(void) {
    if (!tell())
        return;
    if (sim.reload.step == MX_SWAP_INSTALL)
        shut_down();
    if (sim.reload.step == MX_SWAP_ARM && !are_quiet())
        return;
    if (sim.reload.step == MX_SWAP_RETIRE)
        check_released();
    sim.reload.step++;
}

void sim_reload_act(void) {
    if (sim.now_us < sim.reload.next_us)
        return;
    if (sim.is_draining) { /* what is not done stays undone */
        sim.reload.next_us = SIM_NEVER;
        return;
    }
    if (is_under_way())
        go_on();
    else
        begin();
    bool is_last = !is_under_way() && sim.reload.number == SIM_RELOADS;
    sim.reload.next_us =
        is_last ? SIM_NEVER : sim.now_us + sim_below(is_under_way() ? 2000 : 100000);
}

/* Who holds which rules: the addresses, and nobody else. */
void sim_rules_check(void) {
    for (uint32_t w = 0; w < sim.worker_count; w++) {
        uint32_t counts[SIM_RELOADS + 1] = {0};
        for (uint32_t slot = 0; slot < SIM_SLOTS; slot++) {
            const struct mx_service *service = sim.engine_listeners[w][slot].service;
            if (service != NULL)
                counts[service->rules->number]++;
        }
        for (uint32_t i = 0; i <= sim.reload.number; i++)
            SIM_CHECK(sim.holds[i][w].count == counts[i], "holders of rules", i,
                      sim.holds[i][w].count);
    }
}
