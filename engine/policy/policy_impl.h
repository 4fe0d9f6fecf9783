/* policy_impl.h - what hook.c and policy*.c share. Nobody else includes this. */
#pragma once
#include "engine/policy/policy.h"

/* The block of the site; taken when there is none. NULL: no memory. */
struct mx_policy *mx_policy_need(struct mx_policy_site *site);

void mx_policy_job_free(struct mx_policy_host *host, struct mx_hook_job *job);

/* Forget what belongs to another transaction than this one. The site has a block. */
void mx_policy_begin_if_new(struct mx_policy_site *site, enum mx_hook_point point);

/* The links of CONTENT, for these slices. */
MX_MUST_CHECK int mx_policy_run_content(struct mx_policy_site *site, const struct mx_span *slices,
                                        uint32_t count);

/* The links of a point, from number `from` on; answer as in struct mx_hook_call. */
MX_MUST_CHECK int mx_policy_run(struct mx_policy_site *site, enum mx_hook_point point,
                                uint32_t from, struct mx_hook_job *answer);
