/* lookup.h - questions that hooks ask the DNS. They wait for the answer by PENDING. */
#pragma once
#include "engine/dns/dns.h"
#include "engine/policy/hook.h"

/* Under way, and its answer. Larger ones have it in front. */
struct mx_lookup {
    struct mx_hook_job job;
    struct mx_dns_question question;
    uint32_t tag; /* the hook's own */
};

enum {
    MX_LOOKUP_SMALL = 512, /* room for an address or a text (octets) ... */
    MX_LOOKUP_LARGE = 3072 /* ... and for ten hosts */
};

/* Ask: with room octets for the records. Several may be under way; the hook is called for each
 * answer. 0: return PENDING; -EINVAL: the name is none that could exist; -ENOMEM, -EBUSY: a limit
 * of ours, nobody can say. */
MX_MUST_CHECK int mx_lookup_begin(struct mx_hook_call *call, enum mx_dns_type type,
                                  struct mx_span name, uint32_t tag, uint32_t room);

/* The answer that the hook is called with; NULL: it is called for the first time. */
static inline const struct mx_lookup *mx_lookup_answer(const struct mx_hook_call *call) {
    return (const struct mx_lookup *)call->answer;
}

/* A job of the hook's own, of so many octets, zeroed: it may ask many times. Free with
 * mx_hook_job_free, unless it is call->answer or asks. NULL: no memory. */
void *mx_lookup_new(struct mx_hook_call *call, size_t octets);

/* Let it ask: type, name, prefix and room of its question are set. 0: return PENDING; -EBUSY. */
MX_MUST_CHECK int mx_lookup_ask(struct mx_hook_call *call, struct mx_lookup *self);

/* Does a list say so, in A records? What it says lies in 127.0.0.0/8 (RFC 5782 2.1); 127.255.255.x
 * are its own errors, such as too many questions: *is_error. What else a resolver may say instead
 * is no listing. */
bool mx_lookup_is_listed(const struct mx_dns_answer *answer, bool *is_error);
