/* MaxConnectionLifespanHandler: connections do not live longer than that. */
#include "engine/policy/hook.h"

static void set_up(const void *options, struct mx_session_conf *conf) {
    const struct mx_opt_max_lifespan *self = options;
    if (conf->max_lifespan_ms == 0 || self->duration_ms < conf->max_lifespan_ms)
        conf->max_lifespan_ms = self->duration_ms;
}

const struct mx_hook_class mx_hook_max_lifespan = {
    .summary = "Closes every connection that long after its begin without a word, whatever it is "
               "at",
    .where = "any moment",
    .set_up = set_up,
    .differences = "a message that is on its way to the disk is answered before",
};
