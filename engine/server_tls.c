#include "engine/server_tls.h"

#include "engine/limits.h"
#include "engine/server.h"
#include "engine/tls_files.h"
#include "tls/library.h"
#include "tls/tickets.h"

#include <errno.h>
#include <time.h>

/* The longest time that a ticket of any server may live; a reload cannot make it longer. */
static uint32_t ticket_lifetime_s(const struct mx_conf *conf) {
    uint32_t longest_s = 0;
    for (uint32_t i = 0; i < conf->server_count; i++) {
        uint32_t lifetime_s = conf->servers[i].tls.session_timeout_ms / 1000;
        longest_s = lifetime_s > longest_s ? lifetime_s : longest_s;
    }
    return longest_s > 0 ? longest_s : 86400;
}

static int fail_file(struct mx_server *self, int err) {
    struct mx_log_line line;
    const char *reason = err == MX_ELIMIT ? "it has fewer than 32 octets" : strerrordesc_np(-err);
    mx_log_begin(&line, &self->log, MX_SEVERITY_ERROR, "failed");
    mx_log_str(&line, "what", "engine.tlsTicketKeyFile");
    mx_log_str(&line, "file", self->conf->engine.tls_ticket_key_path);
    mx_log_str(&line, "reason", reason);
    mx_log_end(&line);
    return MX_EXIT_CONFIG;
}

static int make_tickets(struct mx_server *self) {
    char *text;
    size_t len;
    int err = mx_tls_files_ticket_secret(self->conf, &text, &len);
    if (err < 0)
        return fail_file(self, err);
    self->tls.tickets =
        mx_tls_tickets_new((struct mx_span){text, len}, ticket_lifetime_s(self->conf), time(NULL));
    mx_tls_files_free(text, len);
    return self->tls.tickets != NULL ? 0
                                     : mx_server_fail(self, MX_EXIT_SYSTEM, "ticket keys", -ENOMEM);
}

int mx_server_tls_init(struct mx_server *self) {
    if (mx_tls_library_init() < 0)
        return mx_server_fail(self, MX_EXIT_SYSTEM, "the TLS library", MX_ETLS);
    return make_tickets(self);
}

void mx_server_tls_deinit(struct mx_server *self) {
    mx_tls_tickets_free(self->tls.tickets);
    self->tls.tickets = NULL;
}

static void tell(void *context, uint32_t row, uint32_t column, bool is_warning, const char *text) {
    struct mx_server *self = context;
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, is_warning ? MX_SEVERITY_WARN : MX_SEVERITY_ERROR,
                 "configuration");
    if (self->conf->path != NULL) {
        mx_log_str(&line, "file", self->conf->path);
        mx_log_u64(&line, "line", row);
        mx_log_u64(&line, "column", column);
    }
    mx_log_str(&line, "problem", text);
    mx_log_end(&line);
}

int mx_server_tls_load(struct mx_server *self, struct mx_rules *rules) {
    return mx_rules_load_tls(rules, time(NULL), tell, self);
}

int64_t mx_server_tls_end_s(const struct mx_server *self) {
    int64_t first_s = 0;
    for (uint32_t i = 0; self->rules != NULL && i < self->rules->tls_count; i++) {
        int64_t end_s = self->rules->tls_slots[i].not_after_s;
        if (end_s > 0 && (first_s == 0 || end_s < first_s))
            first_s = end_s;
    }
    return first_s;
}

void mx_server_tls_turn(struct mx_server *self) {
    int64_t now_s = time(NULL);
    if (now_s >= self->tls.watched_s && now_s < self->tls.watched_s + MX_CERTIFICATE_WATCH_S)
        return;
    self->tls.watched_s = now_s;
    if (mx_tls_tickets_turn(self->tls.tickets, now_s) < 0)
        mx_log_event(&self->log, MX_SEVERITY_WARN, "tickets", "reason",
                     "no new key: the old one goes on");
    for (uint32_t i = 0; i < self->rules->tls_count; i++)
        mx_tls_slot_watch(&self->rules->tls_slots[i], now_s, &self->log);
}
