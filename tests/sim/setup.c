/* setup.c - a configuration by seed, two workers on simulated rings, and what is left at the end.
 */
#include "config/aliases.h"
#include "config/users.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t pick(const uint32_t *values, uint32_t count) {
    return values[sim_below(count)];
}
#define PICK(...) pick((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

/* All but the last one of the addresses. */
static const struct mx_conf_network proxies = {
    {.family = 4, .bytes = {10}},
    29
};

static void configure_server(struct mx_conf_server *server) {
    bool is_limited = sim_chance(200);
    server->connection_timeout_ms = PICK(0, 5000, 30000, 300000, 300000);
    server->data_timeout_ms = PICK(0, 10000, 60000, 600000);
    server->min_data_rate = PICK(0, 100, 100);
    server->connection_limit = is_limited ? PICK(0, 1, 3, 10) : 0;
    server->connection_limit_per_ip = is_limited ? PICK(0, 1, 2) : 0;
    server->proxy_required = sim_chance(250);
    server->proxy_counts_clients = sim_below(2);
    server->proxy_from = (struct mx_conf_networks){&proxies, sim_below(2)};
    server->max_message_octets = PICK(0, 0, 500, 5000);
    server->max_line_octets = PICK(1000, 8192, 65536, 1 << 20);
    server->max_recipients = PICK(0, 3, 1000);
    server->max_errors = PICK(0, 0, 5, 100);
    server->max_transactions = PICK(0, 0, 2);
    server->max_auth_failures = PICK(0, 0, 1, 3);
    server->auth.failure_delay_ms = PICK(0, 0, 2000);
    server->hello_name = "mx.example.com";
    server->verify_identity = MX_VERIFY_IDENTITY_DISABLED; /* clients send any content */
}

static void configure(void) {
    static const struct mx_span domains[] = {MX_SPAN("example.com")};
    if (sim.conf == NULL) {
        sim.conf = mx_conf_new();
        if (sim.conf == NULL || mx_conf_add_server(sim.conf, false) == NULL ||
            mx_conf_add_server(sim.conf, true) == NULL)
            abort();
        struct mx_conf_report report = {0};
        struct mx_span users = MX_SPAN("sim@example.com:{PLAIN}secret\n");
        if (mx_users_parse(users, "users", &report, &sim.conf->users) < 0)
            abort();
        sim.conf->domains = domains;
        sim.conf->domain_count = 1;
        struct mx_span aliases = MX_SPAN("@example.com: @example.net\n"); /* LMTP knows everybody */
        if (mx_aliases_parse(aliases, "aliases", sim.conf, &report, &sim.conf->aliases) < 0)
            abort();
        mx_conf_report_free(&report);
    }
    struct mx_conf_engine *engine = &sim.conf->engine;
    engine->recv_buffers = PICK(2, 16, 16, 32, 64);
    engine->recv_buffer_octets = PICK(512, 512, 4096);
    engine->max_unsent_octets = PICK(4096, 16384, 65536);
    engine->session_memory_octets = MX_BUDDY_MAX;
    engine->use_hand_over = sim_chance(850);
    engine->use_direct = sim.is_direct;
    engine->batch_wait_us = sim_below(4) ? (int32_t)PICK(0, 50, 500, 500) : MX_BATCH_WAIT_AUTO;
    engine->drain_timeout_ms = PICK(500, 5000, 30000);
    engine->max_connections = PICK(1000, 1000, 1000, 8, 3, 60);
    sim.conf->log.queue_octets = 4096;
    sim.conf->log.level = MX_LOG_DEBUG;
    for (uint32_t i = 0; i < SIM_SERVICES; i++)
        configure_server(&sim.conf->servers[i]);
}

static uint32_t features(void) {
    uint32_t bits = MX_RING_BASE | MX_RING_MSG;
    if (sim_below(2))
        bits |= MX_RING_MIN_WAIT;
    if (sim.is_direct)
        bits |= MX_RING_DIRECT | MX_RING_PEERNAME | (sim_chance(900) ? MX_RING_MSG_FD : 0u);
    else
        bits |= MX_RING_MSG_FD;
    return bits;
}

static void set_flood_rates(void) {
    sim.rate[SIM_F_SINK_PENDING] = 800;
    sim.rate[SIM_F_SINK_SLOW] = 0;
    sim.rate[SIM_F_CANCEL_ENOENT] = 300;
    sim.rate[SIM_F_RECV_SHORT] = 0;
    sim.rate[SIM_F_RECV_ENDS] = 0;
    sim.conf->engine.recv_buffers = 2;
    sim.conf->engine.recv_buffer_octets = 4096;
}

/* Leave only a little of the session memory. */
static void take_ballast(uint32_t worker, uint32_t rest_octets) {
    struct mx_buddy *buddy = &sim.workers[worker].buddy;
    for (uint32_t i = 0; i < 64 && buddy->octets - buddy->used > rest_octets; i++) {
        uint32_t octets = MX_BUDDY_MAX / 2;
        while (octets > MX_BUDDY_MIN && octets > buddy->octets - buddy->used - rest_octets)
            octets /= 2;
        sim.ballast[worker][i] = mx_buddy_take(buddy, octets, &sim.ballast_octets[worker][i]);
        if (sim.ballast[worker][i] == NULL)
            return;
    }
}

static void give_ballast(uint32_t worker) {
    for (uint32_t i = 0; i < 64 && sim.ballast[worker][i] != NULL; i++)
        mx_buddy_give(&sim.workers[worker].buddy, sim.ballast[worker][i],
                      sim.ballast_octets[worker][i]);
}

static void set_up_worker(uint32_t index, uint32_t ring_features, uint32_t cq_entries) {
    struct mx_worker *worker = &sim.workers[index];
    struct sim_kernel *kernel = &sim.kernels[index];
    int err = mx_ring_memory_new(&worker->ring, &sim_ring_io, kernel, cq_entries / 8, cq_entries);
    SIM_CHECK(err == 0, "mx_ring_memory_new", err, 0);
    worker->ring.features = ring_features;
    worker->ring.is_direct = sim.is_direct;
    worker->ring.uring.ring_fd = SIM_RING_FD + (int)index;
    sim_kernel_init(kernel, &worker->ring, &sim.tables[sim.is_direct ? index : 0]);
    worker->listeners = sim.engine_listeners[index];
    worker->sinks = sim.engine_sinks[index];
    err = mx_worker_init(worker, &sim.fleet, index);
    SIM_CHECK(err == 0, "mx_worker_init", err, 0);
    worker->sink_count = SIM_SERVICES;
    for (uint32_t i = 0; i < SIM_SERVICES; i++) {
        sim.engine_sinks[index][i] = (struct mx_sink){.class = &sim_sink_class};
        sim.sinks[index][i].count = 0;
        sim.sinks[index][i].is_blocked = false;
        mx_listener_put(worker, i, SIM_LISTEN_FD + (int)i, AF_INET, &sim.services[i]);
    }
    if (sim.is_memory_tight)
        take_ballast(index, PICK(4096, 16384, 65536, 300000));
    mx_worker_begin(worker);
}

static void set_up_services(void) {
    bool needs_iptable = false, needs_trace = sim_below(2);
    for (uint32_t i = 0; i < SIM_SERVICES; i++) {
        needs_iptable = needs_iptable || sim.conf->servers[i].connection_limit_per_ip > 0;
        sim.tallies[i].id = i;
        sim.slots[i] = (uint8_t)i;
    }
    sim.slot_count = SIM_SERVICES;
    if (needs_iptable) {
        sim.iptable = mx_iptable_new(64);
        SIM_CHECK(sim.iptable != NULL, "mx_iptable_new", 0, 0);
    }
    sim_rules_init(0, needs_trace);
    sim.reload.next_us = sim_chance(250) ? sim.now_us + sim_below(200000) : SIM_NEVER;
}

static void set_up_tables(void) {
    for (uint32_t t = 0; t < SIM_WORKERS; t++) {
        /* 2: others take what is left */
        uint32_t spare = sim_below(2) == 0 ? 2 : sim.fleet.conn_reserve;
        sim.tables[t].size = sim.conf->engine.max_connections + spare;
        if (!sim.is_direct)
            sim.tables[t].size *= sim_below(2) ? 2 : 1;
        if (sim.tables[t].size > SIM_FDS_MAX)
            sim.tables[t].size = SIM_FDS_MAX;
        for (uint32_t i = 0; i < SIM_FDS_MAX; i++)
            sim.tables[t].fds[i].client = -1;
    }
}

void sim_setup(void) {
    sim.is_direct = sim_chance(700);
    sim_event(sim.is_direct ? SIM_E_DIRECT_RUN : SIM_E_NORMAL_FD_RUN);
    sim.is_flood = sim_chance(50);
    sim.is_memory_tight = !sim.is_flood && sim_chance(80);
    if (sim.is_memory_tight)
        sim_event(SIM_E_MEMORY_TIGHT_RUN);
    configure();
    sim.has_hooks = sim_chance(400);
    sim.has_header_hook = sim.has_hooks && sim_below(2);
    sim.has_strict_hooks = sim.has_hooks && sim_below(2);
    sim.has_impatient_hooks = sim_below(2);
    sim.lifespan_ms = sim_chance(40) ? PICK(100, 3000, 20000) : 0;
    if (sim.is_flood) {
        set_flood_rates();
    } else if (sim.lifespan_ms > 0 && sim_below(2)) { /* it ends amid a commit */
        sim.rate[SIM_F_SINK_PENDING] = 800;
        sim.rate[SIM_F_SINK_SLOW] = 500;
    }
    sim.worker_count = sim_chance(700) ? 2 : 1;
    if (sim.workers == NULL)
        sim.workers = aligned_alloc(64, SIM_WORKERS * sizeof *sim.workers);
    if (sim.workers == NULL)
        abort();
    memset(sim.workers, 0, SIM_WORKERS * sizeof *sim.workers);
    sim.fleet = (struct mx_fleet){.conf = sim.conf,
                                  .workers = sim.workers,
                                  .worker_count = sim.worker_count,
                                  .max_connections = sim.conf->engine.max_connections,
                                  .conn_reserve = PICK(MX_CONN_RESERVE, 300)};
    set_up_tables();
    set_up_services();
    sim_helper_setup();
    uint32_t bits = features(), cq_entries = PICK(8, 8, 16, 64, 1024);
    for (uint32_t i = 0; i < sim.worker_count; i++)
        set_up_worker(i, bits, cq_entries);
    sim.client_count = 1 + sim_below(sim_below(3) ? 5 : 20);
    if (sim_chance(10))
        sim.client_count = 100 + sim_below(SIM_CLIENTS_MAX - 100);
    for (uint32_t i = 0; i < sim.client_count; i++)
        sim_client_new(&sim.clients[i]);
    sim.jump_us = sim_chance(40) ? sim.now_us + sim_below(300000) : SIM_NEVER;
    sim.drain_us =
        sim_chance(200) ? sim.now_us + sim_below(sim_below(2) ? 20000 : 500000) : SIM_NEVER;
    sim.drain_end_us = sim.shutdown_us = SIM_NEVER;
}

/* ---- the end
 * --------------------------------------------------------------------------------------- */

static void check_worker(uint32_t index) {
    struct mx_worker *worker = &sim.workers[index];
    give_ballast(index);
    for (uint32_t i = 0; i < worker->conn_used; i++) {
        const struct mx_conn *conn = &worker->conns[i];
        SIM_CHECK(conn->state == MX_CONN_FREE && conn->refs == 0, "a slot is still in use", index,
                  i);
        SIM_CHECK(!mx_timer_is_set(&conn->timer), "a timer is still set", index, i);
    }
    SIM_CHECK(worker->load == 0, "load", index, worker->load);
    SIM_CHECK(worker->buddy.used == 0, "session memory in use", index, worker->buddy.used);
    SIM_CHECK(worker->buf.free_count == worker->buf.count, "receive buffers", index,
              worker->buf.free_count);
    uint16_t lent = (uint16_t)(worker->buf.ring->tail - sim.kernels[index].buf_head);
    SIM_CHECK(lent == worker->buf.count, "receive buffers the kernel has", index, lent);
    SIM_CHECK(worker->wheel.count == 0, "timers", index, worker->wheel.count);
    for (uint32_t s = 0; s < SIM_SERVICES; s++)
        SIM_CHECK(sim.sinks[index][s].count == 0, "commits pending", index, s);
}

static void check_iptable(void) {
    if (sim.iptable == NULL)
        return;
    for (uint32_t i = 0; i <= SIM_IPS; i++) {
        struct mx_ip ip = {.family = i < SIM_IPS ? 4 : 0};
        if (i < SIM_IPS)
            memcpy(ip.bytes, (uint8_t[]){10, 0, 0, (uint8_t)(1 + i)}, 4);
        for (uint32_t s = 0; s < SIM_SERVICES; s++) {
            int err = mx_iptable_enter(sim.iptable, s, &ip, 1);
            SIM_CHECK(err == 0, "an address is still counted", s, i);
            mx_iptable_leave(sim.iptable, s, &ip);
        }
    }
}

static void add_totals(const struct mx_worker *worker) {
#define ADD_PROTO(name, unit, help)  sim_proto_totals.name += worker->shared.counters.name;
#define ADD_ENGINE(name, unit, help) sim_engine_totals.name += worker->counters.name;
    MX_PROTO_COUNTERS(ADD_PROTO)
    MX_ENGINE_COUNTERS(ADD_ENGINE)
#undef ADD_PROTO
#undef ADD_ENGINE
}

void sim_teardown(void) {
    SIM_CHECK(sim.fleet.connections == 0, "fleet.connections", sim.fleet.connections, 0);
    for (uint32_t i = 0; i < SIM_SERVICES; i++)
        SIM_CHECK(sim.tallies[i].connections == 0, "service.connections", i,
                  sim.tallies[i].connections);
    for (uint32_t t = 0; t < SIM_WORKERS; t++) {
        for (uint32_t fd = 0; fd < sim.tables[t].size; fd++)
            SIM_CHECK(sim.tables[t].fds[fd].client < 0, "a descriptor is still open", t, fd);
    }
    sim_helper_teardown();
    sim_rules_check();
    for (uint32_t i = 0; i < SIM_SERVICES; i++) {
        mx_service_deinit(&sim.services[i]);
        for (uint32_t n = 0; n < sim.reload.number; n++)
            mx_service_deinit(&sim.more_services[n][i]);
    }
    check_iptable();
    mx_iptable_free(sim.iptable);
    sim.iptable = NULL;
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        check_worker(i);
        add_totals(&sim.workers[i]);
        mx_worker_deinit(&sim.workers[i]);
        mx_ring_memory_free(&sim.workers[i].ring);
    }
    for (uint32_t i = 0; i < sim.message_count; i++)
        sim_check_message(i);
}
