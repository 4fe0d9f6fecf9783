/* confine.h - what an intruder on a worker would find: no files, no sockets, no privileges.
 *
 * The rings are restricted in ring.c; this is the rest: system calls (seccomp) and the user.
 */
#pragma once
#include "proto/err.h"

/* The user and group that a name or number stands for, looked up while there is still time. */
struct mx_confine_user {
    unsigned uid, gid;
    const char *name; /* borrowed */
};

/* Find a user of the system. 0, -ENOENT, or another -errno of the look-up. */
MX_MUST_CHECK int mx_confine_find(const char *name, struct mx_confine_user *user);

/* Become that user for good: groups, group, user; before any other thread runs. 0 or -errno. */
MX_MUST_CHECK int mx_confine_become(const struct mx_confine_user *user);

/* Let the calling thread do nothing from here on but submit to its ring, read clocks and what is
 * open already, wait for other threads, and end. Everything else fails with EPERM. 0, or a negative
 * error: the kernel has no seccomp. No effect under a sanitizer, whose run-time needs more. */
MX_MUST_CHECK int mx_confine_thread(void);

/* The same for a helper thread, which also computes hashes and asks for random numbers. */
MX_MUST_CHECK int mx_confine_helper(void);

/* The same for the resolver and for threads that ask Redis, which speak to their servers: sockets
 * of the internet families, and no files. */
MX_MUST_CHECK int mx_confine_resolver(void);

/* The same for the thread that speaks with scanners, which may be in the file system, too. */
MX_MUST_CHECK int mx_confine_scanner(void);
