/* shared.h - questions that hooks ask Redis: what several gateways remember together. They wait for
 * the answer by PENDING, as for the DNS.
 */
#pragma once
#include "engine/policy/hook.h"
#include "engine/redis/redis.h"

struct mx_shared_job {
    struct mx_hook_job job;
    struct mx_redis *redis; /* private */
    struct mx_redis_question question;
};

/* Let the script answer for a text. PENDING: the hook is called again with the answer; else the
 * verdict of mx_hook_fail. */
enum mx_verdict mx_shared_ask(struct mx_hook_call *call, enum mx_redis_script script,
                              struct mx_span text, const uint64_t numbers[MX_REDIS_NUMBERS]);

/* The answer that the hook is called with; NULL: it is called for the first time. */
static inline const struct mx_redis_question *mx_shared_answer(const struct mx_hook_call *call) {
    return call->answer != NULL ? &((const struct mx_shared_job *)call->answer)->question : NULL;
}
