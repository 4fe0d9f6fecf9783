#include "engine/thread.h"

#include "engine/confine.h"
#include "tls/library.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static cpu_set_t mask(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        CPU_SET(0, &set); /* more than 1024 CPUs: one worker is better than none */
    return set;
}

uint32_t mx_thread_cpu_count(void) {
    cpu_set_t set = mask();
    int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

int mx_thread_cpu(uint32_t index) {
    cpu_set_t set = mask();
    uint32_t left = index % mx_thread_cpu_count();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((unsigned)cpu, &set) && left-- == 0)
            return cpu;
    }
    return -1;
}

/* Of the calling thread; a thread that is confined cannot open it any more. -1: the kernel has
 * none. */
static int open_schedstat(void) {
    return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

/* The second number; the first is the CPU time. */
static uint64_t run_delay_ns(int fd) {
    char text[128] = "";
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    const char *second = n > 0 ? strchr(text, ' ') : NULL;
    return second != NULL ? strtoull(second, NULL, 10) : 0;
}

struct mx_thread_usage mx_thread_usage(const struct mx_worker *worker) {
    struct mx_thread_usage usage = {.delay_ns = run_delay_ns(worker->schedstat_fd)};
    struct timespec used = {0}, now;
    clockid_t clock;
    if (pthread_getcpuclockid(worker->thread, &clock) == 0)
        clock_gettime(clock, &used);
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    usage.cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    usage.time_ms = (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
    return usage;
}

static void *main_of(void *argument) {
    struct mx_worker *worker = argument;
    worker->schedstat_fd = open_schedstat();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (worker->cpu >= 0) {
        CPU_SET((unsigned)worker->cpu, &set);
        int err = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
        if (err != 0) /* a cpuset that has changed: slower, not wrong */
            mx_log_event(&worker->log, MX_SEVERITY_WARN, "pin", "reason", "affinity refused");
    }
    mx_tls_memory_bound(worker->fleet->conf->engine.tls_memory_octets +
                        mx_tls_library_info().kept_octets);
    int err = mx_ring_start(&worker->ring);
    if (err == 0 && mx_confine_thread() < 0)
        mx_log_event(&worker->log, MX_SEVERITY_WARN, "confine", "reason", "no seccomp here");
    if (err == 0)
        mx_worker_begin(worker);
    while (err == 0 && !mx_worker_is_done(worker))
        err = mx_worker_turn(worker);
    atomic_store(&worker->is_taking, false);
    if (err == 0)
        err = mx_worker_end(worker);
    mx_tls_thread_end();
    worker->error = err;
    worker->usage_end = mx_thread_usage(worker);
    atomic_store_explicit(&worker->has_ended, true, memory_order_release);
    return NULL;
}

int mx_thread_start(struct mx_worker *worker) {
    char name[16] = ""; /* cut when the number is too long for it */
    int err = pthread_create(&worker->thread, NULL, main_of, worker);
    if (err != 0)
        return -err;
    worker->has_thread = true;
    if (snprintf(name, sizeof name, "mxring-%u", worker->index) > 0)
        pthread_setname_np(worker->thread, name);
    return 0;
}

void mx_thread_join_all(struct mx_fleet *fleet) {
    for (uint32_t i = 0; i < fleet->worker_count; i++) {
        struct mx_worker *worker = &fleet->workers[i];
        if (!worker->has_thread)
            continue;
        pthread_join(worker->thread, NULL);
        worker->has_thread = false;
        if (worker->schedstat_fd >= 0) /* the main thread reads it, too */
            close(worker->schedstat_fd);
    }
}
