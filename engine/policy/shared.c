#include "engine/policy/shared.h"

#include "engine/policy/digest.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_impl.h"

_Static_assert((int)MX_REDIS_KEY <= (int)MX_DIGEST_SHA256, "a part of the digest");
_Static_assert(offsetof(struct mx_shared_job, job) == 0, "the job stands in front");

static void run(struct mx_helper_job *job, void *scratch) {
    struct mx_shared_job *self = (void *)job;
    mx_redis_run(self->redis, &self->question, scratch);
}

enum mx_verdict mx_shared_ask(struct mx_hook_call *call, enum mx_redis_script script,
                              struct mx_span text, const uint64_t numbers[MX_REDIS_NUMBERS]) {
    struct mx_redis *redis = call->site->host->redis;
    struct mx_shared_job *self = redis != NULL ? mx_hook_job_new(call, sizeof *self) : NULL;
    uint8_t digest[MX_DIGEST_SHA256];
    if (self == NULL) /* also when a reload brought what only a restart can begin */
        return mx_hook_fail(call);
    mx_digest_sha256(text, digest);
    self->job.job.run = run;
    self->redis = redis;
    self->question.script = script;
    memcpy(self->question.key, digest, MX_REDIS_KEY);
    memcpy(self->question.numbers, numbers, sizeof self->question.numbers);
    if (mx_redis_post(redis, &self->job.job) == 0)
        return MX_VERDICT_PENDING;
    mx_hook_job_free(call, &self->job);
    return mx_hook_fail(call);
}
