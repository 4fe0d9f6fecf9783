#include "engine/confine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

int mx_confine_find(const char *name, struct mx_confine_user *user) {
    char text[16384]; /* what sysconf(_SC_GETPW_R_SIZE_MAX) says is only a guess */
    struct passwd row, *found = NULL;
    int err = getpwnam_r(name, &row, text, sizeof text, &found);
    if (found == NULL)
        return err != 0 ? -err : -ENOENT;
    *user = (struct mx_confine_user){found->pw_uid, found->pw_gid, name};
    return 0;
}

int mx_confine_become(const struct mx_confine_user *user) {
    if (initgroups(user->name, user->gid) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    /* nothing that is executed brings privileges back */
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int mx_confine_thread(void) {
    return 0;
}

int mx_confine_helper(void) {
    return 0;
}

int mx_confine_resolver(void) {
    return 0;
}

int mx_confine_scanner(void) {
    return 0;
}

#else

static const int common_calls[] = {
    SCMP_SYS(io_uring_enter),
    /* clocks that the vdso does not have; what is open already */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(pread64),
    /* other threads, and the end of this one */
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(madvise),
    SCMP_SYS(munmap),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* an assertion that fails says so and aborts */
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(mmap),
    SCMP_SYS(brk),
    /* seeds of TLS sessions */
    SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
};

/* Sleeping a moment. */
static const int helper_calls[] = {
    SCMP_SYS(clock_nanosleep),
};

/* What c-ares and hiredis do once they know their servers. */
static const int resolver_calls[] = {
    SCMP_SYS(mremap),       SCMP_SYS(connect),         SCMP_SYS(bind),    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),   SCMP_SYS(setsockopt),      SCMP_SYS(fcntl),   SCMP_SYS(ioctl),
    SCMP_SYS(sendto),       SCMP_SYS(recvfrom),        SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
    SCMP_SYS(read),         SCMP_SYS(close),           SCMP_SYS(poll),    SCMP_SYS(ppoll),
    SCMP_SYS(gettimeofday), SCMP_SYS(clock_nanosleep),
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t count) {
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return err;
}

static int allow_sockets(scmp_filter_ctx filter, size_t count) {
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    return err;
}

/* families: of sockets, how many of them it may have: 0, 2 or 3. */
static int confine(const int *calls, size_t count, size_t families) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return -ENOMEM;
    int err = allow(filter, common_calls, sizeof common_calls / sizeof *common_calls);
    if (err == 0)
        err = allow(filter, calls, count);
    if (err == 0)
        err = allow_sockets(filter, families);
    /* a thread's part of malloc, which TLS sessions and hashes take from, grows by it */
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (err == 0)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err;
}

int mx_confine_thread(void) {
    return confine(NULL, 0, 0);
}

int mx_confine_helper(void) {
    return confine(helper_calls, sizeof helper_calls / sizeof *helper_calls, 0);
}

int mx_confine_resolver(void) {
    return confine(resolver_calls, sizeof resolver_calls / sizeof *resolver_calls, 2);
}

int mx_confine_scanner(void) {
    return confine(resolver_calls, sizeof resolver_calls / sizeof *resolver_calls, 3);
}

#endif
