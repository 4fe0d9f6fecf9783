/* server_memo.c - the file of what hooks remember: read at the start, kept, told about. */
#include "engine/memo_keeper.h"
#include "engine/server.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* engine.policyFile, else one beside the mail. False: there is none. */
static bool find_path(const struct mx_server *self, char path[PATH_MAX]) {
    const struct mx_conf *conf = self->conf;
    const char *own = conf->engine.policy_path;
    if (self->accepts_all || conf->engine.policy_save_ms == 0 ||
        (own == NULL && !mx_server_keeps_mail(self)))
        return false;
    int len = own != NULL ? snprintf(path, PATH_MAX, "%s", own)
                          : snprintf(path, PATH_MAX, "%s/policy", conf->spool_directory);
    return len > 0 && len < PATH_MAX;
}

static void say(struct mx_server *self, enum mx_log_severity severity, const char *path,
                const char *problem) {
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, severity, "policy");
    mx_log_str(&line, "file", path);
    if (problem != NULL)
        mx_log_str(&line, "problem", problem);
    mx_log_end(&line);
}

int mx_server_open_memo(struct mx_server *self) {
    char path[PATH_MAX];
    struct mx_memo_result result;
    if (!find_path(self, path))
        return 0;
    int err = mx_memo_keeper_new(&self->memo_keeper, self->fleet.memo, path, &result);
    if (err < 0) { /* it is not worth a server that does not start */
        say(self, MX_SEVERITY_WARN, path, strerrordesc_np(-err));
        return 0;
    }
    if (result.is_damaged)
        say(self, MX_SEVERITY_WARN, path,
            "it is damaged: what is sound in it was taken, the rest is forgotten");
    err = mx_memo_keeper_start(self->memo_keeper, self->conf->engine.policy_save_ms);
    return err < 0 ? mx_server_fail(self, MX_EXIT_SYSTEM, "thread", err) : 0;
}

void mx_server_watch_memo(struct mx_server *self) {
    char path[PATH_MAX];
    int err = self->memo_keeper != NULL ? mx_memo_keeper_error(self->memo_keeper) : 0;
    if (err == self->memo_error || !find_path(self, path))
        return;
    self->memo_error = err;
    if (err < 0)
        say(self, MX_SEVERITY_WARN, path, strerrordesc_np(-err));
    else
        say(self, MX_SEVERITY_INFO, path, "none any more: it is written again");
}

void mx_server_log_memo(struct mx_server *self, enum mx_log_severity severity) {
    struct mx_log_line line;
    if (self->memo_keeper == NULL)
        return;
    struct mx_memo_counters sums = mx_memo_keeper_counters(self->memo_keeper);
    mx_log_begin(&line, &self->log, severity, "policy");
#define PUT(name, unit, help) mx_log_u64(&line, #name, sums.name);
    MX_MEMO_COUNTERS(PUT)
#undef PUT
    mx_log_end(&line);
}

void mx_server_close_memo(struct mx_server *self) {
    char path[PATH_MAX];
    int err = mx_memo_keeper_end(self->memo_keeper);
    if (err < 0 && find_path(self, path))
        say(self, MX_SEVERITY_ERROR, path, strerrordesc_np(-err));
}
