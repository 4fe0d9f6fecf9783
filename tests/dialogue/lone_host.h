/* lone_host.h - a policy's host without engine: whatever a hook waits for comes at once. */
#pragma once
#include "engine/policy/policy.h"

struct mx_lone_host {
    struct mx_buddy buddy;
    struct mx_helper *helper; /* without threads; NULL: not begun */
    struct mx_helper_inbox inbox;
    struct mx_policy_host host;
};

void mx_lone_host_begin(struct mx_lone_host *self, const uint64_t *now_ms);

/* All hooks have given their memory back, or this aborts. */
void mx_lone_host_end(struct mx_lone_host *self);

/* mx_policy_ask, and the answers. 0 or the refusal. */
int mx_lone_host_ask(struct mx_lone_host *self, struct mx_policy_site *site);
