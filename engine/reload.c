#include "engine/reload.h"

#include "config/diff.h"
#include "engine/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* ---- the log ---- */

static void begin_line(struct mx_log_line *line, struct mx_server *self,
                       enum mx_log_severity severity, const char *result) {
    mx_log_begin(line, &self->log, severity, "reload");
    mx_log_str(line, "result", result);
    mx_log_str(line, "file", self->reload.path);
}

static void say(struct mx_server *self, enum mx_log_severity severity, const char *result,
                const char *reason) {
    struct mx_log_line line;
    begin_line(&line, self, severity, result);
    if (reason != NULL)
        mx_log_str(&line, "reason", reason);
    mx_log_end(&line);
}

static const char *reason_of(int err) {
    const char *text = mx_err_text(err);
    return text != NULL ? text : strerrordesc_np(-err);
}

static void say_problems(struct mx_server *self) {
    const struct mx_conf_report *report = &self->reload.report;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct mx_conf_problem *row = &report->rows[i];
        struct mx_log_line line;
        mx_log_begin(&line, &self->log, row->is_warning ? MX_SEVERITY_WARN : MX_SEVERITY_ERROR,
                     "configuration");
        mx_log_str(&line, "file", mx_conf_report_file(report, row, self->reload.path));
        mx_log_u64(&line, "line", row->line);
        mx_log_u64(&line, "column", row->column);
        mx_log_str(&line, "problem", row->text);
        mx_log_end(&line);
    }
}

static void say_change(void *context, const char *text, bool needs_restart) {
    struct mx_server *self = context;
    struct mx_log_line line;
    mx_log_begin(&line, &self->log, needs_restart ? MX_SEVERITY_WARN : MX_SEVERITY_INFO,
                 "configuration");
    mx_log_str(&line, "change", text);
    if (needs_restart)
        mx_log_str(&line, "ignored", "only a restart changes it");
    mx_log_end(&line);
}

/* ---- reading ---- */

static void *read_main(void *argument) {
    struct mx_reload *reload = argument;
    /* the workers have the same CPUs */
    if (setpriority(PRIO_PROCESS, 0, 19) < 0) {
        /* it reads all the same */
    }
    reload->err = mx_conf_load(reload->path, false, &reload->conf, &reload->report);
    atomic_store_explicit(&reload->has_read, true, memory_order_release);
    return NULL;
}

static void tell_systemd(const char *state) {
    struct timespec now;
    char text[80];
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long us = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (snprintf(text, sizeof text, "%s\nMONOTONIC_USEC=%lld", state, us) > 0)
        mx_server_notify(text);
}

static void finish(struct mx_server *self) {
    self->reload.state = MX_RELOAD_IDLE;
    mx_conf_report_free(&self->reload.report);
    mx_server_notify("READY=1");
}

static void begin(struct mx_server *self) {
    struct mx_reload *reload = &self->reload;
    reload->is_asked_again = false;
    reload->path = self->conf->path;
    reload->state = MX_RELOAD_READING;
    atomic_store_explicit(&reload->has_read, false, memory_order_relaxed);
    tell_systemd("RELOADING=1");
    say(self, MX_SEVERITY_INFO, "begun", NULL);
    int err = pthread_create(&reload->thread, NULL, read_main, reload);
    if (err != 0) {
        say(self, MX_SEVERITY_ERROR, "failed", strerrordesc_np(err));
        finish(self);
    }
}

void mx_reload_ask(struct mx_server *self) {
    if (self->conf->path == NULL)
        mx_log_event(&self->log, MX_SEVERITY_WARN, "reload", "reason",
                     "there is no configuration file");
    else if (self->reload.state != MX_RELOAD_IDLE)
        self->reload.is_asked_again = true;
    else if (self->message == MX_MESSAGE_NONE)
        begin(self);
}

/* ---- addresses ---- */

/* Give the address to the service: a place it has already, which then does not go, or a new one. */
static int place_bind(struct mx_server *self, struct mx_service *service,
                      const struct mx_conf_bind *bind, bool may_open) {
    struct mx_listens *listens = &self->listens;
    struct mx_listen *place = mx_listens_find(listens, bind);
    if (place == NULL && !may_open)
        return 0;
    if (place == NULL) {
        int err =
            mx_listens_open(listens, bind, service, mx_listens_is_going(listens, bind), &place);
        if (err < 0)
            return err;
        place->is_new = true;
    }
    place->is_going = false;
    self->reload.swap.places[place - listens->places].service = service;
    return 0;
}

/* Has bind number b of the service a place? An address with port 0 may stand there several times.
 */
static bool is_placed(const struct mx_server *self, const struct mx_service *service, uint32_t b) {
    const struct mx_conf_bind *binds = service->server->binds;
    uint32_t wanted = 0, placed = 0;
    for (uint32_t i = 0; i <= b; i++)
        wanted += memcmp(&binds[i].addr, &binds[b].addr, sizeof binds[b].addr) == 0;
    for (uint32_t i = 0; i < self->listens.count; i++)
        placed +=
            self->reload.swap.places[i].service == service &&
            memcmp(&self->listens.places[i].wanted, &binds[b].addr, sizeof binds[b].addr) == 0;
    return placed >= wanted;
}

/* First all that stay, so that it is known what goes when new ones are opened. */
static int place_all(struct mx_server *self, struct mx_rules *rules, bool may_open,
                     const char **text) {
    int err = 0;
    for (uint32_t i = 0; i < rules->service_count; i++) {
        struct mx_service *service = &rules->services[i];
        const struct mx_conf_server *server = service->server;
        for (uint32_t b = 0; server->enabled && b < server->bind_count && err == 0; b++) {
            *text = server->binds[b].text;
            if (!may_open || !is_placed(self, service, b))
                err = place_bind(self, service, &server->binds[b], may_open);
        }
    }
    return err;
}

static void undo_places(struct mx_server *self) {
    for (uint32_t i = 0; i < self->listens.count; i++) {
        struct mx_listen *place = &self->listens.places[i];
        place->is_going = false;
        if (place->is_new)
            mx_listens_close(&self->listens, place);
    }
}

/* Open what is new and note what goes, for the workers. 0 or -errno, *text the address. */
static int plan_places(struct mx_server *self, struct mx_rules *rules, const char **text) {
    struct mx_swap *swap = &self->reload.swap;
    struct mx_listens *listens = &self->listens;
    memset(swap, 0, sizeof *swap);
    for (uint32_t i = 0; i < listens->count; i++)
        listens->places[i].is_going = listens->places[i].fds != NULL;
    int err = place_all(self, rules, false, text);
    if (err == 0)
        err = place_all(self, rules, true, text);
    if (err < 0) {
        undo_places(self);
        return err;
    }
    swap->count = listens->count;
    for (uint32_t i = 0; i < listens->count; i++) {
        const struct mx_listen *place = &listens->places[i];
        swap->places[i].fds = place->fds;
        swap->places[i].family = place->family;
        swap->places[i].is_new = place->is_new;
        swap->places[i].is_going = place->is_going;
    }
    return 0;
}

/* ---- the new rules ---- */

static uint32_t count_old(const struct mx_server *self) {
    uint32_t count = 0;
    for (const struct mx_rules *rules = self->reload.old; rules != NULL; rules = rules->older)
        count++;
    return count;
}

static struct mx_rules *new_rules(struct mx_server *self, struct mx_conf *conf) {
    uint32_t predecessors[MX_CONF_SERVERS_MAX];
    mx_conf_match(self->rules->conf, conf, predecessors);
    struct mx_rules *rules = mx_rules_new(&self->world, conf, self->rules, predecessors);
    if (rules != NULL)
        rules->owned = conf;
    else
        mx_conf_free(conf);
    return rules;
}

/* Everything that may fail. The configuration is given. */
static struct mx_rules *prepare(struct mx_server *self, struct mx_conf *conf) {
    const char *text = "";
    char reason[200];
    conf->is_format_given = self->conf->is_format_given;
    if (conf->is_format_given)
        conf->log.format = self->conf->log.format;
    int err = mx_conf_diff(self->rules->conf, conf, say_change, self);
    if (err == 0)
        err = mx_conf_keep(conf, self->rules->conf);
    if (err < 0) {
        mx_conf_free(conf);
        say(self, MX_SEVERITY_ERROR, "failed", reason_of(err));
        return NULL;
    }
    struct mx_rules *rules = new_rules(self, conf);
    err = rules != NULL ? mx_server_tls_load(self, rules) : -ENOMEM;
    if (err == 0)
        err = plan_places(self, rules, &text);
    if (err == 0)
        return rules;
    if (snprintf(reason, sizeof reason, "%s%s%s", text, *text != '\0' ? ": " : "", reason_of(err)) >
        0)
        say(self, MX_SEVERITY_ERROR, "failed", reason);
    mx_rules_free(rules);
    return NULL;
}

static void tell_step(struct mx_server *self, enum mx_swap_step step) {
    self->reload.step = step;
    mx_server_tell(self, MX_OP_SWAP, mx_swap_number(self->reload.number, step));
}

/* The thread is done. */
static void take(struct mx_server *self) {
    struct mx_reload *reload = &self->reload;
    pthread_join(reload->thread, NULL);
    say_problems(self);
    if (reload->err < 0) {
        say(self, MX_SEVERITY_ERROR, "failed",
            reload->err == MX_ECONFIG ? "the file is invalid; nothing has changed"
                                      : reason_of(reload->err));
    } else if (count_old(self) >= MX_RULES_OLD_MAX) {
        mx_conf_free(reload->conf);
        say(self, MX_SEVERITY_ERROR, "failed",
            "too many older configurations are still used by old sessions");
    } else {
        reload->next = prepare(self, reload->conf);
    }
    reload->conf = NULL;
    if (reload->next == NULL) {
        finish(self);
        return;
    }
    reload->swap.severity = (enum mx_log_severity)reload->next->conf->log.level;
    reload->swap.drain_timeout_ms = reload->next->conf->engine.drain_timeout_ms;
    self->log.severity = (uint32_t)reload->swap.severity;
    reload->state = MX_RELOAD_SWAPPING;
    reload->number++;
    atomic_store_explicit(&self->fleet.swap, &reload->swap, memory_order_release);
    tell_step(self, MX_SWAP_INSTALL);
}

/* ---- the steps ---- */

/* Every worker has the new rules behind the addresses that stay. */
static void after_install(struct mx_server *self) {
    for (uint32_t i = 0; i < self->listens.count; i++) {
        struct mx_listen *place = &self->listens.places[i];
        struct mx_service *service = self->reload.swap.places[i].service;
        int err = 0;
        if (place->fds == NULL || place->is_new)
            continue;
        if (place->is_going) {
            mx_listens_log(place, &self->log, "closed");
            err = mx_listens_shutdown(&self->listens, place);
        } else {
            uint32_t backlog = service->server->connection_backlog;
            if (place->service->server->connection_backlog != backlog)
                err = mx_listens_set_backlog(&self->listens, place, backlog);
            place->service = service;
        }
        if (err < 0)
            mx_server_fail(self, MX_EXIT_SYSTEM, "a listener at a reload", err);
    }
}

static void after_arm(struct mx_server *self) {
    for (uint32_t i = 0; i < self->listens.count; i++) {
        struct mx_listen *place = &self->listens.places[i];
        if (place->is_new)
            mx_listens_log(place, &self->log, "listening");
        place->is_new = false;
    }
}

static void after_retire(struct mx_server *self) {
    struct mx_reload *reload = &self->reload;
    for (uint32_t i = 0; i < self->listens.count; i++) {
        if (self->listens.places[i].is_going)
            mx_listens_close(&self->listens, &self->listens.places[i]);
    }
    self->rules->older = reload->old;
    reload->old = self->rules;
    self->rules = reload->next;
    reload->next = NULL;
    say(self, MX_SEVERITY_INFO, "done", NULL);
    finish(self);
}

static bool are_quiet(const struct mx_server *self) {
    for (uint32_t i = 0; i < self->fleet.worker_count; i++) {
        if (!atomic_load_explicit(&self->fleet.workers[i].is_quiet, memory_order_acquire))
            return false;
    }
    return true;
}

static void swap_turn(struct mx_server *self) {
    enum mx_swap_step step = self->reload.step;
    if (!mx_server_tell(self, MX_OP_SWAP, mx_swap_number(self->reload.number, step)))
        return;
    switch (step) {
    case MX_SWAP_INSTALL:
        after_install(self);
        tell_step(self, MX_SWAP_ARM);
        return;
    case MX_SWAP_ARM:
        if (!are_quiet(self))
            return;
        after_arm(self);
        tell_step(self, MX_SWAP_RETIRE);
        return;
    case MX_SWAP_RETIRE:
        after_retire(self);
        return;
    case MX_SWAP_STEPS:
        return;
    }
}

static void free_unused(struct mx_server *self) {
    struct mx_rules **at = &self->reload.old;
    while (*at != NULL) {
        struct mx_rules *rules = *at;
        if (mx_rules_is_held(rules)) {
            at = &rules->older;
            continue;
        }
        *at = rules->older;
        struct mx_log_line line;
        mx_log_begin(&line, &self->log, MX_SEVERITY_INFO, "reload");
        mx_log_str(&line, "result", "forgotten");
        mx_log_u64(&line, "configuration", rules->number);
        mx_log_end(&line);
        mx_rules_free(rules);
    }
}

void mx_reload_turn(struct mx_server *self) {
    struct mx_reload *reload = &self->reload;
    free_unused(self);
    if (self->message != MX_MESSAGE_NONE)
        return; /* it drains: what is not done stays undone */
    if (reload->state == MX_RELOAD_READING &&
        atomic_load_explicit(&reload->has_read, memory_order_acquire))
        take(self);
    if (reload->state == MX_RELOAD_SWAPPING)
        swap_turn(self);
    if (reload->state == MX_RELOAD_IDLE && reload->is_asked_again)
        begin(self);
}

void mx_reload_end(struct mx_server *self) {
    struct mx_reload *reload = &self->reload;
    if (reload->state == MX_RELOAD_READING) {
        pthread_join(reload->thread, NULL);
        mx_conf_free(reload->conf);
    }
    mx_conf_report_free(&reload->report);
    mx_rules_free(reload->next);
    while (reload->old != NULL) {
        struct mx_rules *rules = reload->old;
        reload->old = rules->older;
        mx_rules_free(rules);
    }
}
