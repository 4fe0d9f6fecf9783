/* main.c - mxload: the threads, the signals, the progress line, the result. */
#include "bench/mxload/eml.h"
#include "bench/mxload/report.h"
#include "bench/mxload/secure.h"
#include "bench/mxload/verify.h"
#include "tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_BAD = 1, EXIT_USAGE = 2, PROGRESS_MS = 500 };

struct crew {
    struct mx_plan plan;
    struct mx_mail_kit kit;
    struct mx_shared shared;
    struct mx_load *loads[MX_PLAN_WORKERS_MAX];
    uint32_t running; /* threads that were started */
    struct mx_peer peer;
    double peer_cpu_s; /* that it took to look at the peer */
    int ledger_fd;
    struct mx_report report;
};

static int complain(const char *what, int err) {
    const char *text = mx_err_text(err);
    if (text == NULL)
        text = strerrordesc_np(-err);
    fprintf(stderr, "mxload: %s: %s\n", what, text != NULL ? text : "failed");
    return err;
}

/* What is to be sent could not be loaded. */
static int complain_of_mail(const struct mx_plan *plan, int err) {
    const char *path = plan->mbox_path != NULL ? plan->mbox_path : plan->eml_path;
    if (path == NULL)
        return complain("memory", err);
    if (err == MX_ESYNTAX)
        fprintf(stderr, "mxload: %s: no mbox: it does not begin with a line \"From \"\n", path);
    else if (err == -ENOENT && access(path, F_OK) == 0)
        fprintf(stderr, "mxload: %s: there is no message in it\n", path);
    else if (err == -EFBIG)
        fprintf(stderr, "mxload: %s: more than %d messages, 128 MiB in one or 4 GiB in all\n", path,
                MX_EML_COUNT_MAX);
    else
        return complain(path, err);
    return err;
}

/* ---- progress ---- */

static double now_s(void) {
    return 1e-9 * (double)mx_load_clock_ns();
}

struct progress {
    uint64_t started, done, bad;
};

static struct progress look(const struct crew *self) {
    struct progress sum = {0};
    for (uint32_t i = 0; i < self->running; i++) {
        const struct mx_load *load = self->loads[i];
        sum.started += atomic_load_explicit(&load->seen_started, memory_order_relaxed);
        sum.done += atomic_load_explicit(&load->seen_done, memory_order_relaxed);
        sum.bad += atomic_load_explicit(&load->seen_bad, memory_order_relaxed);
    }
    return sum;
}

/* before: what was done at before_s. */
static void print_progress(const struct crew *self, struct progress before, double begin_s,
                           double before_s) {
    struct progress now = look(self);
    double time_s = now_s();
    double rate = (double)(now.done - before.done) / (time_s - before_s);
    double left_s = self->plan.duration_s > 0 ? self->plan.duration_s - (time_s - begin_s) : 0;
    if (self->plan.messages != UINT64_MAX && rate > 0)
        left_s = (double)(self->plan.messages - now.done) / rate;
    fprintf(stderr, "\r%llu done, %.0f/s, %llu in flight, %llu bad, %.0f s left \033[K",
            (unsigned long long)now.done, rate, (unsigned long long)(now.started - now.done),
            (unsigned long long)now.bad, left_s > 0 ? left_s : 0);
}

/* ---- threads ---- */

static void *main_of(void *argument) {
    struct mx_load *load = argument;
    if (mx_load_run(load) < 0) { /* kept in load->error */
        atomic_store(&load->shared->is_interrupted, true);
    }
    kill(getpid(), SIGUSR1); /* blocked in every thread: sigtimedwait takes it */
    return NULL;
}

static uint32_t count_ended(const struct crew *self) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->running; i++)
        count += atomic_load(&self->loads[i]->has_ended);
    return count;
}

static double used_cpu_s(clockid_t clock) {
    struct timespec used;
    clock_gettime(clock, &used);
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

/* Look at the server while there is work. Returns how long to sleep. */
static struct timespec look_at_peer(struct crew *self) {
    struct timespec period = {0, PROGRESS_MS * 1000000L};
    bool has_answers = true;
    for (uint32_t i = 0; i < self->running; i++)
        has_answers &= atomic_load(&self->loads[i]->has_answers);
    if (has_answers || self->peer.listener_count == 0)
        return period;
    double before_s = used_cpu_s(CLOCK_THREAD_CPUTIME_ID);
    mx_peer_sample(&self->peer, mx_load_clock_ns());
    self->peer_cpu_s += used_cpu_s(CLOCK_THREAD_CPUTIME_ID) - before_s;
    period.tv_nsec = MX_PEER_SAMPLE_MS * 1000000L;
    return period;
}

/* Until all workers have ended. SIGINT and SIGTERM: what was measured so far is printed. */
static void watch(struct crew *self, const sigset_t *signals) {
    bool is_seen = self->plan.has_counter || isatty(STDERR_FILENO) == 1;
    struct progress before = {0};
    double begin_s = now_s(), shown_s = begin_s;
    while (count_ended(self) < self->running) {
        struct timespec period = look_at_peer(self);
        int number = sigtimedwait(signals, NULL, &period);
        if (number == SIGINT || number == SIGTERM)
            atomic_store(&self->shared.is_interrupted, true);
        if (is_seen && now_s() - shown_s >= 1e-3 * PROGRESS_MS) {
            print_progress(self, before, begin_s, shown_s);
            before = look(self);
            shown_s = now_s();
        }
    }
    if (is_seen) {
        print_progress(self, before, begin_s, shown_s);
        fputs("\n", stderr);
    }
    for (uint32_t i = 0; i < self->running; i++)
        pthread_join(self->loads[i]->thread, NULL);
}

static int start(struct crew *self) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    int err = -pthread_sigmask(SIG_BLOCK, &signals, NULL);
    double before_s = used_cpu_s(CLOCK_THREAD_CPUTIME_ID);
    mx_peer_find(&self->peer, (const struct sockaddr *)&self->plan.address);
    self->peer_cpu_s = used_cpu_s(CLOCK_THREAD_CPUTIME_ID) - before_s;
    for (uint32_t i = 0; i < self->plan.workers && err == 0; i++) {
        err = -pthread_create(&self->loads[i]->thread, NULL, main_of, self->loads[i]);
        self->running += err == 0;
    }
    if (err < 0)
        atomic_store(&self->shared.is_interrupted, true);
    watch(self, &signals);
    for (uint32_t i = 0; i < self->running && err == 0; i++)
        err = self->loads[i]->error;
    return err;
}

/* ---- life ---- */

static void raise_descriptors(uint32_t sessions) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= sessions + 64)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        /* the first session that gets none says so */
    }
}

static int crew_new(struct crew *self) {
    uint32_t features;
    int err = mx_ring_probe(&features);
    if (err < 0) {
        fprintf(stderr, "mxload: %s\n", mx_ring_remedy(err));
        return err;
    }
    err = mx_secure_context_new(&self->plan, &self->shared.tls);
    if (err < 0)
        return err;
    err = mx_mail_kit_new(&self->kit, &self->plan);
    if (err < 0)
        return complain_of_mail(&self->plan, err);
    self->ledger_fd = -1;
    if (self->plan.ledger_path != NULL) {
        self->ledger_fd =
            open(self->plan.ledger_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
        if (self->ledger_fd < 0)
            return complain(self->plan.ledger_path, -errno);
    }
    raise_descriptors(self->plan.sessions);
    for (uint32_t i = 0; i < self->plan.workers; i++) {
        err = mx_load_new(&self->loads[i], &self->kit, &self->shared, i, self->ledger_fd);
        if (err == 0)
            err = mx_load_attach(self->loads[i], features);
        if (err < 0)
            return complain("worker", err);
    }
    return 0;
}

static int crew_free(struct crew *self) {
    int err = 0;
    for (uint32_t i = 0; i < MX_PLAN_WORKERS_MAX; i++)
        mx_load_free(self->loads[i]);
    mx_tls_context_free(self->shared.tls);
    if (self->ledger_fd >= 0 && close(self->ledger_fd) < 0)
        err = complain("ledger", -errno);
    mx_mail_kit_free(&self->kit);
    return err;
}

int main(int argc, char **argv) {
    static struct crew crew = {.ledger_fd = -1};
    if (argc > 1 && strcmp(argv[1], "--verify") == 0)
        return mx_verify_main(argc, argv);
    int err = mx_plan_init(&crew.plan, argc, argv);
    if (err != 0)
        return err > 0 ? 0 : EXIT_USAGE;
    err = crew_new(&crew);
    bool is_good = false;
    if (err == 0) {
        err = start(&crew);
        if (err < 0)
            complain("worker", err);
        mx_report_init(&crew.report, crew.loads, crew.plan.workers, &crew.peer,
                       used_cpu_s(CLOCK_PROCESS_CPUTIME_ID) - crew.peer_cpu_s);
        if (crew.plan.is_json)
            mx_report_print_json(&crew.report, stdout);
        else
            mx_report_print(&crew.report, stdout);
        is_good = mx_report_is_good(&crew.report);
    }
    if (crew_free(&crew) < 0 || fflush(stdout) != 0)
        err = -EIO;
    return err == 0 && is_good ? 0 : EXIT_BAD;
}
