/* chain.h - the hooks of one server in the order they are asked, point by point.
 *
 * Those of handlerchain first, then the core ones. Built with the rules, constant afterwards.
 */
#pragma once
#include "engine/policy/hook.h"

/* A hook at one point. */
struct mx_chain_link {
    mx_hook_fn *run;
    const void *options;
    const struct mx_opt_wait *wait; /* NULL: it never waits */
    uint16_t kind;                  /* enum mx_hook_kind; MX_HOOK_KIND_COUNT: a core handler */
    uint16_t memory_at, scratch_at; /* its part of the connection's, of the transaction's */
    bool has_memory, has_scratch;
    bool is_plain; /* it has neither, and never waits */
};

struct mx_chain {
    const struct mx_conf *conf;
    const struct mx_conf_server *server;
    struct mx_chain_link *links; /* point after point */
    uint16_t first[MX_HOOK_POINT_COUNT], count[MX_HOOK_POINT_COUNT];
    bool needs_block[MX_HOOK_POINT_COUNT];  /* some hook there has memory of its own */
    uint32_t memory_octets, scratch_octets; /* of all hooks */
    uint64_t text_octets; /* longest message that a hook wants to see as a whole; 0: none does */
};

/* 0 or -ENOMEM. Sets what the chain wants in *session_conf. */
MX_MUST_CHECK int mx_chain_init(struct mx_chain *self, const struct mx_conf *conf,
                                const struct mx_conf_server *server,
                                struct mx_session_conf *session_conf);
void mx_chain_deinit(struct mx_chain *self);

/* Is the header of messages gathered before it is stored? */
static inline bool mx_chain_has_header(const struct mx_chain *self) {
    return self->count[MX_HOOK_HEADER] > 0 || self->count[MX_HOOK_CONTENT] > 0 ||
           self->text_octets > 0;
}
