/* rules.h - one configuration as the workers see it: its servers, and who still uses it.
 *
 * Built by the main thread, constant afterwards. Every connection and every listening address holds
 * the rules it began with; each worker counts its own holders, so that nothing is shared on the way
 * of the data. When no worker holds them any more, rules that were replaced are freed (main
 * thread).
 */
#pragma once
#include "engine/service.h"
#include "engine/tls_slot.h"

/* The connections of a server over all workers, and over a reload: its successor goes on counting
 * here. Main thread: id, users. */
struct mx_tally {
    uint32_t id;    /* names it in the table of addresses; never used again */
    uint32_t users; /* services that count here */
    _Atomic uint32_t connections;
};

/* Written by one worker only, on a cache line of its own. */
struct mx_rules_hold {
    _Alignas(64) _Atomic uint32_t count;
};

struct mx_rules {
    const struct mx_conf *conf;
    struct mx_conf *owned; /* the same, when it is to be freed with the rules */
    uint32_t number;       /* 1 = those of the start */
    struct mx_service *services;
    uint32_t service_count;
    struct mx_tls_slot *tls_slots; /* those of the services with TLS; as many as services */
    uint32_t tls_count;
    struct mx_rules_hold *holds; /* one for each worker */
    uint32_t worker_count;
    struct mx_rules *older; /* main thread: the next one that was replaced and is still held */
};

/* What the services of all rules have in common. */
struct mx_rules_world {
    uint32_t worker_count;
    bool accepts_all;                       /* mxring sink */
    const struct mx_sink_class *sink_class; /* where mail goes; NULL: it is thrown away */
    const struct mx_fault *faults;          /* [MX_FAULT_PLACES] or NULL */
    struct mx_iptable *iptable;     /* NULL: no connectionLimitPerIP can be in the configuration */
    struct mx_tls_tickets *tickets; /* NULL: sessions are not resumed */
    uint32_t tally_seq;             /* the last id that was given */
};

/* The rules of a configuration, which is borrowed unless `owned` is set to it. With `before`, a
 * server counts where its predecessor does: predecessors[i] is its index there, or
 * MX_CONF_NO_SERVER. NULL: out of memory. */
struct mx_rules *mx_rules_new(struct mx_rules_world *world, const struct mx_conf *conf,
                              const struct mx_rules *before, const uint32_t *predecessors);

/* Read the certificates of all servers that have TLS. 0, or MX_ECONFIG: told. */
MX_MUST_CHECK int mx_rules_load_tls(struct mx_rules *self, int64_t now_s, mx_tls_slot_tell_fn *tell,
                                    void *context);

/* Nobody holds them. NULL is allowed. */
void mx_rules_free(struct mx_rules *self);

/* Does any worker hold them? Main thread; once false of rules that were replaced everywhere, it
 * stays false. */
bool mx_rules_is_held(const struct mx_rules *self);

/* The worker's own thread. */
static inline void mx_rules_hold(struct mx_rules *self, uint32_t worker) {
    _Atomic uint32_t *count = &self->holds[worker].count;
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}
static inline void mx_rules_release(struct mx_rules *self, uint32_t worker) {
    _Atomic uint32_t *count = &self->holds[worker].count;
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) - 1,
                          memory_order_release);
}
