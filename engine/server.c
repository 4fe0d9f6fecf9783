#include "engine/server.h"

#include "engine/dns/dns.h"
#include "engine/limits.h"
#include "engine/memo_keeper.h"
#include "engine/policy/memo.h"
#include "engine/redis/redis.h"
#include "engine/scan/scan.h"
#include "engine/slots.h"
#include "engine/sockets.h"
#include "engine/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 50, POLL_DRAIN_MS = 5, MAIN_CQ_ENTRIES = 64 };

int mx_server_fail(struct mx_server *self, int code, const char *what, int err) {
    struct mx_log_line line;
    const char *text = mx_err_text(err);
    mx_log_begin(&line, &self->log, MX_SEVERITY_ERROR, "failed");
    mx_log_str(&line, "what", what);
    mx_log_str(&line, "reason", text != NULL ? text : strerrordesc_np(-err));
    mx_log_end(&line);
    return code;
}

/* ---- limits of the process ---- */

static uint32_t count_binds(const struct mx_conf *conf) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->server_count; i++)
        count += conf->servers[i].enabled ? conf->servers[i].bind_count : 0;
    return count;
}

static uint32_t count_workers(const struct mx_conf *conf) {
    uint32_t count = conf->engine.workers > 0 ? conf->engine.workers : mx_thread_cpu_count();
    return count < MX_WORKERS_MAX ? count : MX_WORKERS_MAX;
}

static uint32_t count_helpers(const struct mx_conf *conf) {
    uint32_t count = conf->engine.helper_threads;
    return count > 0 ? count : (mx_thread_cpu_count() + 1) / 2;
}

/* Descriptors that are no connections: rings, listening sockets, and some for the rest. */
static uint64_t count_own_descriptors(const struct mx_conf *conf) {
    return (uint64_t)count_workers(conf) * (count_binds(conf) + 1) + count_helpers(conf) +
           MX_DESCRIPTORS_OWN;
}

static void log_limit(struct mx_server *self, const struct mx_slots *slots) {
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, MX_SEVERITY_INFO, "limit");
    mx_log_str(&line, "row", "engine.maxConnections");
    mx_log_u64(&line, "wanted", self->conf->engine.max_connections);
    mx_log_u64(&line, "effective", slots->connections);
    mx_log_str(&line, "reason", slots->bound);
    mx_log_end(&line);
}

/* What one multishot accept of each listener may bring at once. */
static uint64_t count_backlog(const struct mx_conf *conf) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < conf->server_count; i++) {
        const struct mx_conf_server *server = &conf->servers[i];
        count += server->enabled ? (uint64_t)server->bind_count * server->connection_backlog : 0;
    }
    return count;
}

/* The connections that maxConnections, RLIMIT_NOFILE and the ring allow; a table of direct
 * descriptors may not be larger than RLIMIT_NOFILE either. 0 or -EMFILE. */
static int set_limits(struct mx_server *self) {
    struct rlimit limit = {0};
    struct mx_slots slots;
    uint64_t own = count_own_descriptors(self->conf);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        mx_log_event(&self->log, MX_SEVERITY_WARN, "nofile", "reason", strerrordesc_np(errno));
    int err = mx_slots_share(self->conf->engine.max_connections, count_backlog(self->conf),
                             limit.rlim_cur > own ? limit.rlim_cur - own : 0, &slots);
    if (err < 0)
        return err;
    if (slots.bound != NULL)
        log_limit(self, &slots);
    self->fleet.conn_reserve = slots.reserve;
    self->fleet.max_connections = slots.connections;
    return 0;
}

static uint32_t usable_features(const struct mx_server *self) {
    uint32_t features = self->features;
    bool is_direct = self->conf->engine.use_direct && (features & MX_RING_PEERNAME);
    if (!is_direct) { /* then descriptors are shared by the threads and can simply be named */
        features &= ~(uint32_t)MX_RING_DIRECT;
        if (features & MX_RING_MSG)
            features |= MX_RING_MSG_FD;
    }
    return features;
}

/* ---- services and workers ---- */

static const struct mx_sink_class *sink_class(const struct mx_server *self) {
    return mx_server_keeps_mail(self) ? &mx_sink_spool : &mx_sink_discard;
}

static int new_rules(struct mx_server *self) {
    const struct mx_conf *conf = self->conf;
    bool needs_iptable = conf->path != NULL; /* a reload may bring the limit */
    self->world = (struct mx_rules_world){.worker_count = count_workers(conf),
                                          .accepts_all = self->accepts_all,
                                          .sink_class = sink_class(self),
                                          .faults = self->faults,
                                          .tickets = self->tls.tickets};
    for (uint32_t i = 0; i < conf->server_count; i++)
        needs_iptable = needs_iptable || conf->servers[i].connection_limit_per_ip > 0;
    if (needs_iptable)
        self->world.iptable = mx_iptable_new(self->fleet.max_connections);
    if (!self->accepts_all)
        self->fleet.memo = mx_memo_new(conf->engine.policy_memory_octets);
    if ((needs_iptable && self->world.iptable == NULL) ||
        (!self->accepts_all && self->fleet.memo == NULL))
        return -ENOMEM;
    self->rules = mx_rules_new(&self->world, conf, NULL, NULL);
    return self->rules != NULL ? 0 : -ENOMEM;
}

/* All servers keep their mail in the same way, and a reload cannot change it: one sink a worker. */
static int new_sinks(const struct mx_server *self, struct mx_worker *worker) {
    worker->sinks = calloc(1, sizeof *worker->sinks);
    if (worker->sinks == NULL)
        return -ENOMEM;
    worker->sink_count = 1;
    worker->sinks[0].class = sink_class(self);
    return 0;
}

static int new_worker(struct mx_server *self, uint32_t index) {
    struct mx_worker *worker = &self->fleet.workers[index];
    uint32_t features = usable_features(self);
    unsigned slots = self->fleet.max_connections + self->fleet.conn_reserve;
    int err = mx_ring_init(&worker->ring, features, slots, MX_CQ_ENTRIES);
    if (err == 0)
        err = mx_worker_init(worker, &self->fleet, index);
    worker->listeners = calloc(MX_LISTENERS_MAX, sizeof *worker->listeners);
    if (err == 0 && worker->listeners == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = new_sinks(self, worker);
    worker->cpu = mx_thread_cpu(index);
    return err;
}

static int new_workers(struct mx_server *self) {
    uint32_t count = count_workers(self->conf);
    self->fleet.workers = aligned_alloc(64, count * sizeof *self->fleet.workers);
    if (self->fleet.workers == NULL)
        return -ENOMEM;
    memset(self->fleet.workers, 0, count * sizeof *self->fleet.workers);
    for (uint32_t i = 0; i < count; i++) {
        self->fleet.worker_count = i + 1;
        int err = new_worker(self, i);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- listening sockets ---- */

static void log_listeners(struct mx_server *self) {
    for (uint32_t i = 0; i < self->listens.count; i++)
        mx_listens_log(&self->listens.places[i], &self->log, "listening");
}

/* Tell the workers, who have not started yet, of the place. */
static void give_place(struct mx_server *self, const struct mx_listen *place) {
    uint32_t at = (uint32_t)(place - self->listens.places);
    for (uint32_t i = 0; i < self->fleet.worker_count; i++)
        mx_listener_put(&self->fleet.workers[i], at, place->fds[i], place->family, place->service);
}

static int open_server(struct mx_server *self, struct mx_service *service) {
    const struct mx_conf_server *server = service->server;
    for (uint32_t b = 0; server->enabled && b < server->bind_count; b++) {
        struct mx_listen *place;
        int err = mx_listens_open(&self->listens, &server->binds[b], service, false, &place);
        if (err < 0)
            return mx_server_fail(self, MX_EXIT_CONFIG, server->binds[b].text, err);
        give_place(self, place);
    }
    return 0;
}

static int new_listeners(struct mx_server *self) {
    self->listens.worker_count = self->fleet.worker_count;
    if (count_binds(self->conf) > MX_CONF_LISTENERS_MAX) /* check says so with a position; the sink
                                                            has no file */
        return mx_server_fail(self, MX_EXIT_CONFIG, "more than 255 listening addresses", -E2BIG);
    for (uint32_t i = 0; i < self->rules->service_count; i++) {
        int code = open_server(self, &self->rules->services[i]);
        if (code != 0)
            return code;
    }
    return 0;
}

/* ---- running ---- */

static bool has_ended(const struct mx_worker *worker) {
    return atomic_load_explicit(&worker->has_ended, memory_order_acquire);
}

static uint32_t heard_by(const struct mx_worker *worker, enum mx_op op) {
    const _Atomic uint32_t *heard = op == MX_OP_SWAP ? &worker->swapped : &worker->heard;
    return atomic_load_explicit(heard, memory_order_acquire);
}

bool mx_server_tell(struct mx_server *self, enum mx_op op, uint32_t value) {
    const struct mx_ring_wait no_sleep = {.events = 0};
    bool have_all = true;
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        struct mx_worker *worker = &self->fleet.workers[i];
        bool is_there = atomic_load_explicit(&worker->is_ready, memory_order_acquire);
        if (!is_there || has_ended(worker) || heard_by(worker, op) >= value)
            continue;
        have_all = false;
        mx_ring_message(&self->ring, mx_ring_fd(&worker->ring), 0, mx_op_pack(op, 0, value),
                        mx_op_pack(MX_OP_NONE, 0, i));
    }
    int err = have_all ? 0 : mx_ring_turn(&self->ring, &no_sleep);
    if (err < 0)
        mx_server_fail(self, MX_EXIT_SYSTEM, "message to the workers", err);
    mx_ring_consume(&self->ring, mx_ring_ready(&self->ring)); /* failures: told again */
    return have_all;
}

static bool tell_workers(struct mx_server *self) {
    return mx_server_tell(self, MX_OP_MESSAGE, self->message);
}

static void sleep_ms(long ms) {
    const struct timespec moment = {0, ms * 1000000L};
    nanosleep(&moment, NULL);
}

/* A worker is ready, or has failed; a message sent earlier would be lost. */
static bool has_started(const struct mx_worker *worker) {
    return atomic_load_explicit(&worker->is_ready, memory_order_acquire) || has_ended(worker);
}

static void await_workers(struct mx_server *self) {
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        while (self->fleet.workers[i].has_thread && !has_started(&self->fleet.workers[i]))
            sleep_ms(1);
    }
}

/* Always, since a reload may bring users. A sink has no logins. */
static int start_helper(struct mx_server *self) {
    const struct mx_conf_engine *conf = &self->conf->engine;
    if (self->accepts_all)
        return 0;
    self->fleet.helper = mx_helper_new(count_helpers(self->conf), conf->helper_queue);
    int err =
        self->fleet.helper != NULL ? mx_helper_start(self->fleet.helper, self->features) : -ENOMEM;
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "helper threads", err) : 0;
}

static int start_workers(struct mx_server *self) {
    int err = 0;
    for (uint32_t i = 0; i < self->fleet.worker_count && err == 0; i++)
        err = mx_thread_start(&self->fleet.workers[i]);
    await_workers(self);
    if (err < 0) {
        self->message = MX_MESSAGE_STOP;
        while (!tell_workers(self))
            sleep_ms(POLL_DRAIN_MS);
        return mx_server_fail(self, MX_EXIT_SYSTEM, "thread", err);
    }
    self->is_listening = true;
    log_listeners(self);
    return 0;
}

static void drain_logs(struct mx_server *self) {
    for (uint32_t i = 0; i < self->fleet.worker_count; i++)
        mx_log_drain(&self->fleet.workers[i].log, STDERR_FILENO);
}

/* How many workers have left their loop; *failed: the error of one of them. */
static uint32_t count_done(struct mx_server *self, int *failed) {
    uint32_t done = 0;
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        struct mx_worker *worker = &self->fleet.workers[i];
        if (!has_ended(worker))
            continue;
        done++;
        if (worker->error < 0)
            *failed = worker->error;
    }
    return done;
}

void mx_server_notify(const char *state) {
    const char *path = secure_getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof addr.sun_path)
        return;
    memcpy(addr.sun_path, path, strlen(path));
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        addr.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr, len);
    (void)sent; /* a supervisor that does not listen is no reason not to serve */
    close(fd);
}

/* The workers answer 421 to whom they have accepted by now; from here on a new client is refused by
 * the kernel and tries the next MX at once. */
static void stop_listening(struct mx_server *self) {
    self->is_listening = false;
    for (uint32_t i = 0; i < self->listens.count; i++) {
        const struct mx_listen *place = &self->listens.places[i];
        int err = place->fds != NULL ? mx_listens_shutdown(&self->listens, place) : 0;
        if (err < 0 && err != -ENOTCONN) /* a reload has ended this one already */
            mx_server_fail(self, MX_EXIT_SYSTEM, "shutdown of a listener", err);
    }
}

static void on_signal(struct mx_server *self, int number) {
    if (number == SIGHUP) {
        mx_reload_ask(self);
        return;
    }
    if (number == SIGUSR1) {
        mx_server_log_totals(self, MX_SEVERITY_ALWAYS);
        return;
    }
    bool is_first = self->message == MX_MESSAGE_NONE;
    mx_log_event(&self->log, MX_SEVERITY_INFO, is_first ? "draining" : "stopping", "signal",
                 sigdescr_np(number));
    if (is_first)
        mx_server_notify("STOPPING=1");
    self->message = is_first ? MX_MESSAGE_DRAIN : MX_MESSAGE_STOP;
}

static int serve(struct mx_server *self, const sigset_t *signals) {
    int failed = 0;
    mx_server_notify("READY=1");
    while (count_done(self, &failed) < self->fleet.worker_count) {
        bool is_busy = self->message != MX_MESSAGE_NONE || self->reload.state == MX_RELOAD_SWAPPING;
        long poll_ms = is_busy ? POLL_DRAIN_MS : POLL_MS;
        const struct timespec poll = {0, poll_ms * 1000000L};
        int number = sigtimedwait(signals, NULL, &poll);
        if (number > 0)
            on_signal(self, number);
        drain_logs(self);
        mx_totals_watch(&self->fleet);
        mx_server_watch_dns(self);
        mx_server_watch_redis(self);
        mx_server_watch_memo(self);
        mx_reload_turn(self);
        mx_server_tls_turn(self);
        if (failed < 0 && self->message == MX_MESSAGE_NONE) { /* the others end in order */
            mx_server_fail(self, MX_EXIT_SYSTEM, "worker", failed);
            self->message = MX_MESSAGE_DRAIN;
        }
        if (tell_workers(self) && self->message != MX_MESSAGE_NONE && self->is_listening)
            stop_listening(self);
    }
    drain_logs(self);
    return failed < 0 ? MX_EXIT_SYSTEM : MX_EXIT_OK;
}

static int set_up(struct mx_server *self) {
    int err = mx_ring_probe(&self->features);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_CONFIG, mx_ring_remedy(err), err);
    int code = mx_server_tls_init(self);
    if (code != 0)
        return code;
    err = set_limits(self);
    if (err == 0)
        err = new_rules(self);
    if (err == 0 && mx_server_tls_load(self, self->rules) < 0)
        return MX_EXIT_CONFIG;
    if (err == 0)
        err = new_workers(self);
    if (err == 0)
        err = mx_ring_init(&self->ring, self->features & ~(uint32_t)MX_RING_DIRECT, 0,
                           MAIN_CQ_ENTRIES);
    if (err == 0)
        err = mx_ring_start(&self->ring);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_SYSTEM, mx_ring_remedy(err), err);
    code = new_listeners(self);
    if (code == 0)
        code = mx_server_new_dns(self);
    if (code == 0)
        code = mx_server_drop_privileges(self);
    if (code == 0)
        code = mx_server_open_spool(self);
    return code == 0 ? mx_server_open_memo(self) : code;
}

static void free_all(struct mx_server *self) {
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        struct mx_worker *worker = &self->fleet.workers[i];
        if (worker->spool != NULL)
            mx_spool_log_close(worker->spool);
        mx_ring_deinit(&worker->ring);
        mx_spool_log_free(worker->spool);
        mx_worker_deinit(worker);
        free(worker->listeners);
        free(worker->sinks);
    }
    mx_spool_free(self->spool);
    mx_listens_close_all(&self->listens);
    mx_ring_deinit(&self->ring);
    free(self->fleet.workers);
    mx_reload_end(self);
    mx_rules_free(self->rules);
    mx_iptable_free(self->world.iptable);
    mx_memo_keeper_free(self->memo_keeper);
    mx_memo_free(self->fleet.memo);
    mx_server_tls_deinit(self);
}

int mx_server_run(const struct mx_conf *conf, bool accepts_all, const struct mx_fault *faults,
                  struct mx_totals *totals) {
    struct mx_server self = {.conf = conf, .accepts_all = accepts_all, .faults = faults};
    self.fleet.conf = conf;
    memset(totals, 0, sizeof *totals);
    int err = mx_log_init(&self.log, 0, (enum mx_log_severity)conf->log.level,
                          conf->log.format == MX_LOG_FORMAT_JSON);
    if (err < 0)
        return MX_EXIT_SYSTEM;
    /* blocked before the threads start, so that the main thread alone gets them */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    int code = set_up(&self);
    getrusage(RUSAGE_SELF, &self.usage_begin);
    if (code == 0)
        code = start_helper(&self);
    if (code == 0)
        code = mx_server_start_dns(&self);
    if (code == 0)
        code = mx_server_start_scan(&self);
    if (code == 0)
        code = mx_server_start_redis(&self);
    if (code == 0)
        code = start_workers(&self);
    bool has_started = code == 0;
    if (has_started)
        code = serve(&self, &signals);
    mx_thread_join_all(&self.fleet);
    drain_logs(&self);
    mx_server_close_memo(&self);
    if (has_started && !accepts_all) /* a sink prints them */
        mx_server_log_totals(&self, MX_SEVERITY_INFO);
    mx_dns_free(self.fleet.dns); /* before the memory that its questions lie in */
    mx_scan_free(self.fleet.scan);
    mx_redis_free(self.fleet.redis);
    mx_helper_free(self.fleet.helper);
    mx_server_sum_up(&self, totals);
    mx_log_event(&self.log, MX_SEVERITY_INFO, "stopped", "result", code == 0 ? "clean" : "error");
    free_all(&self);
    return code;
}
