#include "engine/policy/chain.h"

#include "engine/policy/core.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { ALIGN = 16, AREA_MAX = 32768 }; /* octets */

/* What a chain is made of: hooks with their options. */
struct part {
    const struct mx_hook_class *class;
    const void *options;
    uint16_t kind;
    uint32_t memory_at, scratch_at;
};

struct parts {
    struct part rows[MX_CONF_HOOKS_MAX + MX_CORE_HOOKS_MAX];
    uint32_t count;
};

static uint32_t aligned(uint32_t octets) {
    return (octets + ALIGN - 1) & ~(uint32_t)(ALIGN - 1);
}

static void add_part(struct mx_chain *self, struct parts *parts, const struct mx_hook_class *class,
                     const void *options, uint16_t kind) {
    struct part *part = &parts->rows[parts->count++];
    *part = (struct part){.class = class,
                          .options = options,
                          .kind = kind,
                          .memory_at = self->memory_octets,
                          .scratch_at = self->scratch_octets};
    self->memory_octets += aligned(class->memory_octets);
    self->scratch_octets += aligned(class->scratch_octets);
    uint64_t text_octets = class->text_octets != NULL ? class->text_octets(options) : 0;
    if (text_octets > self->text_octets)
        self->text_octets = text_octets;
}

/* Points that a class has besides those with a function: the header is gathered for CONTENT. */
static void count_points(struct mx_chain *self, const struct parts *parts) {
    for (uint32_t i = 0; i < parts->count; i++) {
        for (unsigned p = 0; p < MX_HOOK_POINT_COUNT; p++)
            self->count[p] = (uint16_t)(self->count[p] + (parts->rows[i].class->points[p] != NULL));
    }
    for (unsigned p = 1; p < MX_HOOK_POINT_COUNT; p++)
        self->first[p] = (uint16_t)(self->first[p - 1] + self->count[p - 1]);
}

static void put_link(struct mx_chain *self, const struct part *part, unsigned point,
                     struct mx_chain_link *link) {
    const struct mx_hook_class *class = part->class;
    *link = (struct mx_chain_link){
        .run = class->points[point],
        .options = part->options,
        .wait = class->waits ? part->options : NULL,
        .kind = part->kind,
        .memory_at = (uint16_t)part->memory_at,
        .scratch_at = (uint16_t)part->scratch_at,
        .has_memory = class->memory_octets > 0,
        .has_scratch = class->scratch_octets > 0,
    };
    link->is_plain = link->wait == NULL && !link->has_memory && !link->has_scratch;
    self->needs_block[point] |= link->has_memory || link->has_scratch;
}

static int new_links(struct mx_chain *self, const struct parts *parts) {
    unsigned last = MX_HOOK_POINT_COUNT - 1;
    uint32_t total = self->first[last] + (uint32_t)self->count[last];
    struct mx_chain_link *link = self->links = calloc(total + 1, sizeof *self->links);
    if (link == NULL)
        return -ENOMEM;
    for (unsigned p = 0; p < MX_HOOK_POINT_COUNT; p++) {
        for (uint32_t i = 0; i < parts->count; i++) {
            if (parts->rows[i].class->points[p] != NULL)
                put_link(self, &parts->rows[i], p, link++);
        }
    }
    return 0;
}

/* The points the session has to ask at. */
static uint32_t asked_points(const struct mx_chain *self) {
    uint32_t bits = 0;
    for (unsigned p = 0; p < MX_HOOK_POINT_COUNT; p++)
        bits |= self->count[p] > 0 ? 1u << p : 0;
    if (mx_chain_has_header(self))
        bits |= 1u << MX_HOOK_MESSAGE; /* where a message that HEADER has refused is answered */
    return bits & ~(1u << MX_HOOK_HEADER | 1u << MX_HOOK_CONTENT | 1u << MX_HOOK_DISCONNECT);
}

int mx_chain_init(struct mx_chain *self, const struct mx_conf *conf,
                  const struct mx_conf_server *server, struct mx_session_conf *session_conf) {
    const struct mx_hook_class *core[MX_CORE_HOOKS_MAX];
    const void *core_options[MX_CORE_HOOKS_MAX];
    struct parts parts = {.count = 0};
    *self = (struct mx_chain){.conf = conf, .server = server};
    for (uint32_t i = 0; i < server->hook_count; i++) {
        const struct mx_conf_hook *hook = &server->hooks[i];
        const struct mx_hook_class *class = mx_hook_classes[hook->kind];
        add_part(self, &parts, class, hook->options, (uint16_t)hook->kind);
        if (class->set_up != NULL)
            class->set_up(hook->options, session_conf);
    }
    uint32_t core_count = mx_core_hooks(conf, server, core, core_options);
    for (uint32_t i = 0; i < core_count; i++)
        add_part(self, &parts, core[i], core_options[i], MX_HOOK_KIND_COUNT);
    assert(self->memory_octets + self->scratch_octets <= AREA_MAX);
    count_points(self, &parts);
    session_conf->hooks |= asked_points(self);
    return new_links(self, &parts);
}

static void free_links(struct mx_chain *self) {
    free(self->links);
}

void mx_chain_deinit(struct mx_chain *self) {
    free_links(self);
    *self = (struct mx_chain){0};
}
