/* server_user.c - engine.user: who a server becomes, and what it cannot do as that user. */
#include "engine/confine.h"
#include "engine/readable.h"
#include "engine/server.h"

#include <string.h>
#include <unistd.h>

static void warn_of_file(void *context, const char *path, int err) {
    struct mx_server *self = context;
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, MX_SEVERITY_WARN, "privileges");
    mx_log_str(&line, "user", self->conf->engine.user);
    mx_log_str(&line, "file", path);
    mx_log_str(&line, "problem", strerrordesc_np(-err));
    mx_log_str(&line, "reason", "it cannot be read any more, so every reload will fail");
    mx_log_end(&line);
}

int mx_server_drop_privileges(struct mx_server *self) {
    const char *name = self->conf->engine.user;
    struct mx_confine_user user;
    if (name == NULL) {
        if (geteuid() == 0 && !self->accepts_all)
            mx_log_event(&self->log, MX_SEVERITY_WARN, "privileges", "reason",
                         "it runs as root: engine.user names who it becomes after the start");
        return 0;
    }
    int err = mx_confine_find(name, &user);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_CONFIG, "engine.user: no such user", err);
    err = mx_confine_become(&user);
    if (err < 0)
        return mx_server_fail(self, MX_EXIT_SYSTEM, "engine.user: it cannot become this user", err);
    mx_readable_check(self->conf, warn_of_file, self);
    return 0;
}
