/* thread.h - a worker's thread: pinned to a CPU, runs the loop until it is done. */
#pragma once
#include "engine/worker.h"

/* CPUs of the process's affinity mask: how many, and the number of the index-th (wrapping round).
 */
uint32_t mx_thread_cpu_count(void);
int mx_thread_cpu(uint32_t index);

/* Start the thread; it starts the ring, arms the listeners and loops. 0 or -errno. */
MX_MUST_CHECK int mx_thread_start(struct mx_worker *worker);

/* What this worker's thread has used so far; it must be running, or be the caller. */
struct mx_thread_usage mx_thread_usage(const struct mx_worker *worker);

/* Wait for all threads that were started. */
void mx_thread_join_all(struct mx_fleet *fleet);
