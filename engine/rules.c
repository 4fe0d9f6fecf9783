#include "engine/rules.h"

#include <errno.h>
#include <stdlib.h>

static struct mx_tally *tally_new(struct mx_rules_world *world) {
    struct mx_tally *tally = calloc(1, sizeof *tally);
    if (tally != NULL)
        tally->id = ++world->tally_seq;
    return tally;
}

static int init_tls(struct mx_rules *self, struct mx_rules_world *world,
                    struct mx_service *service) {
    const struct mx_conf_server *server = service->server;
    if (!server->enabled || !mx_conf_tls_is_on(&server->tls))
        return 0;
    service->tls = &self->tls_slots[self->tls_count];
    int err = mx_tls_slot_init(service->tls, self->conf, server, world->tickets);
    self->tls_count += err == 0;
    return err;
}

static int new_services(struct mx_rules *self, struct mx_rules_world *world,
                        const struct mx_rules *before, const uint32_t *predecessors) {
    self->services = calloc(self->conf->server_count + 1, sizeof *self->services);
    if (self->services == NULL)
        return -ENOMEM;
    self->tls_slots = calloc(self->conf->server_count + 1, sizeof *self->tls_slots);
    if (self->tls_slots == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < self->conf->server_count; i++) {
        struct mx_service *service = &self->services[i];
        uint32_t old = before != NULL ? predecessors[i] : MX_CONF_NO_SERVER;
        self->service_count++;
        if (mx_service_init(service, self->conf, i, world->accepts_all) < 0)
            return -ENOMEM;
        service->rules = self;
        service->session_conf.faults = world->faults;
        if (world->sink_class != NULL)
            mx_service_set_sink(service, world->sink_class);
        service->iptable = world->iptable;
        service->tally = old != MX_CONF_NO_SERVER ? before->services[old].tally : tally_new(world);
        if (service->tally == NULL)
            return -ENOMEM;
        service->tally->users++;
        int err = init_tls(self, world, service);
        if (err < 0)
            return err;
    }
    return 0;
}

struct mx_rules *mx_rules_new(struct mx_rules_world *world, const struct mx_conf *conf,
                              const struct mx_rules *before, const uint32_t *predecessors) {
    struct mx_rules *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    size_t octets = world->worker_count * sizeof *self->holds;
    self->conf = conf;
    self->number = before != NULL ? before->number + 1 : 1;
    self->worker_count = world->worker_count;
    self->holds = aligned_alloc(64, octets);
    if (self->holds != NULL)
        memset(self->holds, 0, octets);
    if (self->holds == NULL || new_services(self, world, before, predecessors) < 0) {
        mx_rules_free(self);
        return NULL;
    }
    return self;
}

void mx_rules_free(struct mx_rules *self) {
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->service_count; i++) {
        struct mx_tally *tally = self->services[i].tally;
        if (tally != NULL && --tally->users == 0)
            free(tally);
        mx_service_deinit(&self->services[i]);
    }
    for (uint32_t i = 0; i < self->tls_count; i++)
        mx_tls_slot_deinit(&self->tls_slots[i]);
    free(self->tls_slots);
    free(self->services);
    free(self->holds);
    mx_conf_free(self->owned);
    free(self);
}

int mx_rules_load_tls(struct mx_rules *self, int64_t now_s, mx_tls_slot_tell_fn *tell,
                      void *context) {
    int result = 0;
    for (uint32_t i = 0; i < self->tls_count; i++) {
        int err = mx_tls_slot_load(&self->tls_slots[i], now_s, tell, context);
        result = err < 0 ? err : result;
    }
    return result;
}

bool mx_rules_is_held(const struct mx_rules *self) {
    for (uint32_t i = 0; i < self->worker_count; i++) {
        if (atomic_load_explicit(&self->holds[i].count, memory_order_acquire) > 0)
            return true;
    }
    return false;
}
