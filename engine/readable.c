#include "engine/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The number of a file among those of its configuration, and why it cannot be read. */
struct result {
    uint32_t number;
    int err;
};

struct check {
    mx_readable_fn *tell; /* NULL: into the pipe */
    void *context;
    int fd;
    uint32_t number; /* of the next file */
    int err;         /* of the pipe */
};

static void try_file(void *context, const char *path) {
    struct check *self = context;
    struct result result = {.number = self->number++};
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
        return;
    result.err = -errno;
    if (self->tell != NULL)
        self->tell(self->context, path, result.err);
    else if (write(self->fd, &result, sizeof result) != (ssize_t)sizeof result)
        self->err = -EIO;
}

void mx_readable_check(const struct mx_conf *conf, mx_readable_fn *tell, void *context) {
    struct check check = {.tell = tell, .context = context};
    mx_conf_each_file(conf, try_file, &check);
}

static _Noreturn void be_child(const struct mx_confine_user *user, const struct mx_conf *conf,
                               int fd) {
    struct check check = {.fd = fd};
    int err = mx_confine_become(user);
    if (err == 0)
        mx_conf_each_file(conf, try_file, &check);
    _exit(err < 0 ? -err : -check.err);
}

struct retell {
    mx_readable_fn *tell;
    void *context;
    struct result result;
    uint32_t number;
};

static void tell_again(void *context, const char *path) {
    struct retell *self = context;
    if (self->number++ == self->result.number)
        self->tell(self->context, path, self->result.err);
}

/* What the child has found; its exit status is an errno. */
static int hear(pid_t child, int fd, const struct mx_conf *conf, struct retell *retell) {
    int status = 0;
    while (read(fd, &retell->result, sizeof retell->result) == (ssize_t)sizeof retell->result) {
        retell->number = 0;
        mx_conf_each_file(conf, tell_again, retell);
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

int mx_readable_check_as(const struct mx_confine_user *user, const struct mx_conf *conf,
                         mx_readable_fn *tell, void *context) {
    struct retell retell = {.tell = tell, .context = context};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        be_child(user, conf, fds[1]);
    int err = child < 0 ? -errno : 0;
    close(fds[1]);
    if (child > 0)
        err = hear(child, fds[0], conf, &retell);
    close(fds[0]);
    return err;
}
