#include "engine/tls_slot.h"

#include "engine/tls_files.h"

#include <string.h>

static const int64_t day_s = 86400;

int mx_tls_slot_init(struct mx_tls_slot *self, const struct mx_conf *conf,
                     const struct mx_conf_server *server, struct mx_tls_tickets *tickets) {
    *self = (struct mx_tls_slot){.conf = conf, .server = server, .tickets = tickets};
    return -pthread_mutex_init(&self->lock, NULL);
}

void mx_tls_slot_deinit(struct mx_tls_slot *self) {
    mx_tls_context_free(self->context);
    pthread_mutex_destroy(&self->lock);
}

int mx_tls_slot_load(struct mx_tls_slot *self, int64_t now_s, mx_tls_slot_tell_fn *tell,
                     void *context) {
    int64_t not_after_s = 0;
    /* before the files are read: a change meanwhile is one */
    struct mx_tls_print print = mx_tls_files_print(self);
    struct mx_tls_context *fresh = mx_tls_files_load(self, now_s, &not_after_s, tell, context);
    self->print = self->changing = print;
    if (fresh == NULL)
        return MX_ECONFIG;
    pthread_mutex_lock(&self->lock);
    struct mx_tls_context *old = self->context;
    self->context = fresh;
    pthread_mutex_unlock(&self->lock);
    mx_tls_context_free(old);
    self->not_after_s = not_after_s;
    self->warned_s = 0;
    return 0;
}

struct mx_tls_context *mx_tls_slot_get(struct mx_tls_slot *self) {
    pthread_mutex_lock(&self->lock);
    struct mx_tls_context *context =
        self->context != NULL ? mx_tls_context_hold(self->context) : NULL;
    pthread_mutex_unlock(&self->lock);
    return context;
}

/* ---- watching ---- */

static void begin_line(struct mx_tls_slot *self, struct mx_log *log, struct mx_log_line *line,
                       enum mx_log_severity severity, const char *result) {
    mx_log_begin(line, log, severity, "certificates");
    mx_log_str(line, "server", self->server->name);
    mx_log_str(line, "result", result);
}

struct telling {
    struct mx_tls_slot *slot;
    struct mx_log *log;
};

static void tell(void *context, uint32_t row, uint32_t column, bool is_warning, const char *text) {
    struct telling *telling = context;
    struct mx_log_line line;
    (void)row, (void)column;
    begin_line(telling->slot, telling->log, &line,
               is_warning ? MX_SEVERITY_WARN : MX_SEVERITY_ERROR, is_warning ? "odd" : "failed");
    mx_log_str(&line, "reason", text);
    mx_log_end(&line);
}

static void warn_of_end(struct mx_tls_slot *self, int64_t now_s, struct mx_log *log) {
    static const int64_t before_s[] = {0, 86400, 7 * INT64_C(86400), 30 * INT64_C(86400)};
    int64_t left_s = self->not_after_s - now_s;
    if (self->not_after_s == 0)
        return;
    for (size_t i = 0; i < sizeof before_s / sizeof *before_s; i++) {
        int64_t mark_s = before_s[i] + 1; /* 0 says: none was given */
        if (left_s > before_s[i])
            continue;
        if (self->warned_s != 0 && self->warned_s <= mark_s)
            return;
        self->warned_s = mark_s;
        struct mx_log_line line;
        begin_line(self, log, &line, MX_SEVERITY_WARN, left_s > 0 ? "ending" : "expired");
        mx_log_u64(&line, "days", left_s > 0 ? (uint64_t)(left_s / day_s) : 0);
        mx_log_end(&line);
        return;
    }
}

void mx_tls_slot_watch(struct mx_tls_slot *self, int64_t now_s, struct mx_log *log) {
    struct mx_tls_print print = mx_tls_files_print(self);
    bool has_changed = memcmp(&print, &self->print, sizeof print) != 0;
    bool is_quiet = memcmp(&print, &self->changing, sizeof print) == 0;
    self->changing = print;
    if (has_changed && is_quiet) {
        struct telling telling = {self, log};
        struct mx_log_line line;
        if (mx_tls_slot_load(self, now_s, tell, &telling) == 0)
            begin_line(self, log, &line, MX_SEVERITY_INFO, "exchanged");
        else
            begin_line(self, log, &line, MX_SEVERITY_ERROR, "the old ones stay");
        mx_log_end(&line);
    }
    warn_of_end(self, now_s, log);
}
