#include "bench/mxload/peer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_OCTETS = 64,
    TEXT_OCTETS = 4096,
    INODES_MAX = 64,
    OVERHEAD = 200,      /* a sample may take so small a part of the time */
    FAMILY_SAMPLES = 16, /* so often it is looked for new processes */
    GENERATIONS = 4,
    LISTEN = 10, /* the state, in /proc/net/tcp */
};

/* ---- reading /proc ---- */

static int is_number(const struct dirent *entry) {
    return entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
}

/* How many there are; *names: free_names. */
static int list(const char *path, struct dirent ***names) {
    int count = scandir(path, names, is_number, NULL);
    return count > 0 ? count : 0;
}

static void free_names(struct dirent **names, int count) {
    for (int i = 0; i < count; i++)
        free(names[i]);
    if (count > 0)
        free(names);
}

/* The beginning of a file as a string; false: it is not there (any more), or not for us. */
static bool read_text(const char *path, char text[TEXT_OCTETS]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, TEXT_OCTETS - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

__attribute__((format(printf, 2, 3))) static bool read_file(char text[TEXT_OCTETS],
                                                            const char *format, ...) {
    char path[PATH_OCTETS];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return n > 0 && n < (int)sizeof path && read_text(path, text);
}

/* Word number index (from 0) behind the name in brackets, of a stat file. */
static const char *word_of_stat(const char *text, unsigned index) {
    const char *at = strrchr(text, ')');
    for (unsigned i = 0; at != NULL && i <= index; i++)
        at = strchr(at + 1, ' ');
    return at != NULL ? at + 1 : "";
}

/* ---- who it is ---- */

/* Inodes of the sockets that listen there, from one of the tables; wanted: their local address as
 * it is written there. */
static uint32_t find_inodes(const char *table, const char *wanted, const char *any,
                            uint64_t inodes[INODES_MAX]) {
    FILE *file = fopen(table, "re");
    if (file == NULL)
        return 0;
    uint32_t count = 0;
    char line[512], local[64];
    unsigned state;
    unsigned long inode;
    while (count < INODES_MAX && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, " %*u: %63s %*s %x %*s %*s %*s %*s %*s %lu", local, &state, &inode) == 3 &&
            state == LISTEN && (strcmp(local, wanted) == 0 || strcmp(local, any) == 0))
            inodes[count++] = inode;
    }
    (void)fclose(file);
    return count;
}

static uint32_t find_sockets(const struct sockaddr *address, uint64_t inodes[INODES_MAX]) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    char wanted[64], any[64];
    if (address->sa_family == AF_INET && (ntohl(v4->sin_addr.s_addr) >> 24) == 127) {
        unsigned port = ntohs(v4->sin_port);
        if (snprintf(wanted, sizeof wanted, "%08X:%04X", v4->sin_addr.s_addr, port) < 0 ||
            snprintf(any, sizeof any, "00000000:%04X", port) < 0)
            return 0;
        uint32_t count = find_inodes("/proc/net/tcp", wanted, any, inodes);
        if (count > 0)
            return count;
        /* one socket for both families */
        if (snprintf(any, sizeof any, "%032d:%04X", 0, port) < 0)
            return 0;
        return find_inodes("/proc/net/tcp6", any, any, inodes);
    }
    if (address->sa_family != AF_INET6 || !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
        return 0;
    const uint32_t *words = v6->sin6_addr.s6_addr32;
    unsigned port = ntohs(v6->sin6_port);
    if (snprintf(wanted, sizeof wanted, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2],
                 words[3], port) < 0 ||
        snprintf(any, sizeof any, "%032d:%04X", 0, port) < 0)
        return 0;
    return find_inodes("/proc/net/tcp6", wanted, any, inodes);
}

/* Whether a process has one of the sockets. */
static bool has_socket(pid_t pid, const uint64_t *inodes, uint32_t inode_count) {
    char path[PATH_OCTETS], link[PATH_OCTETS];
    if (snprintf(path, sizeof path, "/proc/%d/fd", pid) < 0)
        return false;
    struct dirent **names = NULL;
    int count = list(path, &names);
    bool is_it = false;
    for (int i = 0; i < count && !is_it; i++) {
        char name[PATH_OCTETS + sizeof names[i]->d_name];
        if (snprintf(name, sizeof name, "%s/%s", path, names[i]->d_name) < 0)
            break;
        ssize_t n = readlink(name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        if (strncmp(link, "socket:[", 8) != 0)
            continue;
        uint64_t inode = strtoull(link + 8, NULL, 10);
        for (uint32_t k = 0; k < inode_count; k++)
            is_it |= inode == inodes[k];
    }
    free_names(names, count);
    return is_it;
}

static bool has_process(const struct mx_peer *self, pid_t pid) {
    for (uint32_t i = 0; i < self->process_count; i++) {
        if (self->processes[i] == pid)
            return true;
    }
    return false;
}

static void add_process(struct mx_peer *self, pid_t pid) {
    if (self->process_count < MX_PEER_PROCESSES_MAX && !has_process(self, pid))
        self->processes[self->process_count++] = pid;
}

/* Children of those that are known. */
static void add_children(struct mx_peer *self) {
    struct dirent **names = NULL;
    char text[TEXT_OCTETS];
    int count = list("/proc", &names);
    for (int i = 0; i < count; i++) {
        if (read_file(text, "/proc/%.16s/stat", names[i]->d_name) &&
            has_process(self, (pid_t)strtol(word_of_stat(text, 1), NULL, 10)))
            add_process(self, (pid_t)strtol(names[i]->d_name, NULL, 10));
    }
    free_names(names, count);
}

void mx_peer_find(struct mx_peer *self, const struct sockaddr *address) {
    *self = (struct mx_peer){0};
    uint64_t inodes[INODES_MAX];
    uint32_t inode_count = find_sockets(address, inodes);
    if (inode_count == 0)
        return;
    struct dirent **names = NULL;
    int count = list("/proc", &names);
    for (int i = 0; i < count; i++) {
        pid_t pid = (pid_t)strtol(names[i]->d_name, NULL, 10);
        if (has_socket(pid, inodes, inode_count))
            add_process(self, pid);
    }
    free_names(names, count);
    self->listener_count = self->process_count;
    uint32_t before = 0;
    for (unsigned i = 0; i < GENERATIONS && before < self->process_count; i++) {
        before = self->process_count;
        add_children(self);
    }
    char text[TEXT_OCTETS];
    if (self->process_count > 0 && read_file(text, "/proc/%d/comm", self->processes[0]))
        memcpy(self->name, text, strcspn(text, "\n") % sizeof self->name);
}

/* ---- what it does ---- */

static void note_thread(struct mx_peer *self, pid_t id, uint64_t ran_ns, uint64_t delayed_ns) {
    uint32_t i = 0;
    while (i < self->thread_count && self->threads[i].id != id)
        i++;
    if (i == MX_PEER_THREADS_MAX)
        return;
    struct mx_peer_thread *thread = &self->threads[i];
    if (i == self->thread_count) {
        *thread = (struct mx_peer_thread){.id = id};
        if (!self->has_begun) { /* one that comes later has done everything since */
            thread->first_ns = ran_ns + delayed_ns;
            thread->first_ran_ns = ran_ns;
        }
        self->thread_count++;
    }
    thread->last_ns = ran_ns + delayed_ns;
    thread->last_ran_ns = ran_ns;
}

/* Whether a thread waits for a disk now. */
static bool look_at_threads(struct mx_peer *self, pid_t pid) {
    char path[PATH_OCTETS], text[TEXT_OCTETS];
    if (snprintf(path, sizeof path, "/proc/%d/task", pid) < 0)
        return false;
    struct dirent **names = NULL;
    int count = list(path, &names);
    bool has_waiting = false;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (read_file(text, "/proc/%d/task/%.16s/stat", pid, name))
            has_waiting |= *word_of_stat(text, 0) == 'D';
        if (!read_file(text, "/proc/%d/task/%.16s/schedstat", pid, name))
            continue;
        char *end;
        uint64_t ran_ns = strtoull(text, &end, 10);
        note_thread(self, (pid_t)strtol(name, NULL, 10), ran_ns, strtoull(end, NULL, 10));
    }
    free_names(names, count);
    return has_waiting;
}

/* CPU of all processes and of the children they have waited for, in steps of a tick. */
static uint64_t used_ns(const struct mx_peer *self) {
    uint64_t ticks = 0;
    char text[TEXT_OCTETS];
    for (uint32_t i = 0; i < self->process_count; i++) {
        if (!read_file(text, "/proc/%d/stat", self->processes[i]))
            continue;
        for (unsigned word = 11; word <= 14; word++)
            ticks += strtoull(word_of_stat(text, word), NULL, 10);
    }
    return ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Octets that all processes have sent to a disk. */
static uint64_t written(const struct mx_peer *self) {
    uint64_t octets = 0;
    char text[TEXT_OCTETS];
    for (uint32_t i = 0; i < self->process_count; i++) {
        const char *at = read_file(text, "/proc/%d/io", self->processes[i])
                             ? strstr(text, "\nwrite_bytes: ")
                             : NULL;
        octets += at != NULL ? strtoull(at + 14, NULL, 10) : 0;
    }
    return octets;
}

/* How long each disk was at work since the machine was started. */
static void read_devices(uint64_t ms[MX_PEER_DEVICES_MAX]) {
    FILE *file = fopen("/proc/diskstats", "re");
    if (file == NULL)
        return;
    char line[512];
    for (uint32_t i = 0; i < MX_PEER_DEVICES_MAX && fgets(line, sizeof line, file) != NULL; i++) {
        unsigned long value;
        if (sscanf(line, "%*u %*u %*s %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &value) == 1)
            ms[i] = value;
    }
    (void)fclose(file);
}

/* Of the busiest one since the first sample. */
static uint64_t device_ms(const struct mx_peer *self) {
    uint64_t ms[MX_PEER_DEVICES_MAX] = {0}, most = 0;
    read_devices(ms);
    for (uint32_t i = 0; i < MX_PEER_DEVICES_MAX; i++) {
        uint64_t before = self->device_before_ms[i];
        most = ms[i] > before && ms[i] - before > most ? ms[i] - before : most;
    }
    return most;
}

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void mx_peer_sample(struct mx_peer *self, uint64_t now_ns) {
    if (self->listener_count == 0 || now_ns < self->next_ns)
        return;
    if (self->samples % FAMILY_SAMPLES == 1)
        add_children(self);
    bool has_waiting = false;
    for (uint32_t i = 0; i < self->process_count; i++)
        has_waiting |= look_at_threads(self, self->processes[i]);
    self->end_ns = now_ns;
    if (self->has_begun) {
        self->samples++;
        self->disk_samples += has_waiting;
    } else {
        self->begin_ns = now_ns;
        self->used_before_ns = used_ns(self);
        self->written_before = written(self);
        read_devices(self->device_before_ms);
    }
    self->has_begun = true;
    uint64_t took_ns = clock_ns() - now_ns, least_ns = MX_PEER_SAMPLE_MS * UINT64_C(1000000);
    self->next_ns = now_ns + (took_ns * OVERHEAD > least_ns ? took_ns * OVERHEAD : least_ns);
}

/* The share of the busiest thread; *delayed: of that one, the part without a CPU. */
static double busiest(const struct mx_peer *self, double elapsed_ns, double *delayed) {
    double most = 0;
    *delayed = 0;
    for (uint32_t i = 0; i < self->thread_count; i++) {
        double share = (double)(self->threads[i].last_ns - self->threads[i].first_ns) / elapsed_ns;
        if (share <= most)
            continue;
        most = share;
        *delayed = share - (double)(self->threads[i].last_ran_ns - self->threads[i].first_ran_ns) /
                               elapsed_ns;
    }
    return most;
}

static double ran_s(const struct mx_peer *self) {
    uint64_t sum_ns = 0;
    for (uint32_t i = 0; i < self->thread_count; i++)
        sum_ns += self->threads[i].last_ran_ns - self->threads[i].first_ran_ns;
    return 1e-9 * (double)sum_ns;
}

static double least(double a, double b) {
    return a < b ? a : b;
}

struct mx_peer_usage mx_peer_usage(const struct mx_peer *self) {
    struct mx_peer_usage usage = {.is_known = self->samples > 0, .processes = self->process_count};
    double elapsed_ns = (double)(self->end_ns - self->begin_ns);
    if (!usage.is_known || elapsed_ns <= 0)
        return (struct mx_peer_usage){0};
    uint64_t used = used_ns(self);
    usage.cpu_s = ran_s(self);
    /* threads that came and went between two samples are in the other sum only */
    if (used > self->used_before_ns && 1e-9 * (double)(used - self->used_before_ns) > usage.cpu_s)
        usage.cpu_s = 1e-9 * (double)(used - self->used_before_ns);
    cpu_set_t cpus;
    int cpu_count =
        sched_getaffinity(self->processes[0], sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    double all = 1e9 * usage.cpu_s / elapsed_ns / cpu_count,
           one = busiest(self, elapsed_ns, &usage.delayed);
    usage.busy = least(all > one ? all : one, 1);
    usage.disk = (double)self->disk_samples / (double)self->samples;
    double device = 1e6 * (double)device_ms(self) / elapsed_ns;
    if (written(self) > self->written_before && device > usage.disk)
        usage.disk = least(device, 1);
    return usage;
}
