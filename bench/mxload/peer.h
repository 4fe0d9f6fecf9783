/* peer.h - the server as the kernel sees it, when it runs on this machine: evidence for the
 * verdict.
 *
 * Its processes are those that listen on the address (127/8 or ::1 only), and all below them. Of
 * others than our own we see something as root only. Everything is read from /proc.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    MX_PEER_PROCESSES_MAX = 256,
    MX_PEER_THREADS_MAX = 1024,
    MX_PEER_NAME_MAX = 16,
    MX_PEER_DEVICES_MAX = 64,
    MX_PEER_SAMPLE_MS = 10, /* at least between two samples; they take at most 1/200 of the time */
};

struct mx_peer {
    pid_t processes[MX_PEER_PROCESSES_MAX];
    uint32_t process_count, listener_count; /* those that listen are the first ones */
    char name[MX_PEER_NAME_MAX];            /* of the first one */
    struct mx_peer_thread {
        pid_t id;
        uint64_t first_ns, last_ns;         /* ran, or was ready to run */
        uint64_t first_ran_ns, last_ran_ns; /* ran */
    } threads[MX_PEER_THREADS_MAX];
    uint32_t thread_count;
    bool has_begun;
    uint64_t begin_ns, end_ns, next_ns; /* first, last and next sample */
    uint64_t samples, disk_samples;
    uint64_t used_before_ns, written_before;
    uint64_t device_before_ms[MX_PEER_DEVICES_MAX];
};

struct mx_peer_usage {
    bool is_known;
    uint32_t processes;
    double cpu_s;
    double busy;    /* share of the time that its busiest thread had, or wanted, a CPU; or all of
                       them all the CPUs they may use: 0..1 */
    double delayed; /* of that: others had the CPU */
    double disk; /* share of the time that one of its threads waited for a disk, or that a disk was
                    busy which it writes to: 0..1 */
};

/* Look who listens there. Without anybody, or when we may not see it, the others do nothing. */
void mx_peer_find(struct mx_peer *self, const struct sockaddr *address);

/* Look at it, if it is time to; now_ns: monotonic. The first call begins. */
void mx_peer_sample(struct mx_peer *self, uint64_t now_ns);

struct mx_peer_usage mx_peer_usage(const struct mx_peer *self);
