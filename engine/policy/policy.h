/* policy.h - asking the chain, as its driver sees it: the engine, or a test.
 *
 * What a connection's policy has to remember lies in a block of session memory that is taken when a
 * hook wants it, and given back with the transaction, or with the connection when a hook has memory
 * of its own there.
 */
#pragma once
#include "engine/policy/chain.h"

struct mx_dns;
struct mx_scan;
struct mx_redis;

/* What one hook did. Written by its worker alone, read by anyone with relaxed loads. */
struct mx_hook_counters {
    uint64_t verdicts[MX_VERDICT_COUNT]; /* PENDING: how often it began to wait */
    uint64_t timeouts;
    uint64_t waited_ms, waited_max_ms; /* of those that got their answer, or did not in time */
};

/* What the policies of one thread share. */
struct mx_policy_host {
    struct mx_buddy *buddy;
    const uint64_t *now_ms;         /* monotonic */
    struct mx_memo *memo;           /* NULL: no hook wants it */
    struct mx_fulltext_pool *texts; /* NULL: no hook wants one */
    struct mx_helper *helper;       /* NULL: nobody helps */
    struct mx_dns *dns;             /* NULL: there are no look-ups */
    struct mx_redis *redis;         /* NULL: gateways share nothing */
    struct mx_scan *scan;           /* NULL: there are no scanners */
    struct mx_helper_inbox *inbox;  /* where answers come to lie */
    mx_helper_answer_fn *answer;    /* called with them, in the end mx_policy_take */
    /* the rules of a chain stay while a job is under way. NULL: they stay anyway */
    void (*hold)(struct mx_policy_host *self, const struct mx_chain *chain);
    void (*release)(struct mx_policy_host *self, const struct mx_chain *chain);
    void *context;
    uint16_t last;      /* private: kind of the hook asked last */
    uint32_t questions; /* private: the last number of one */
    struct mx_hook_counters counters[MX_HOOK_KIND_COUNT + 1]; /* the last: core handlers */
};

/* Private to policy/, but for deadline_ms. */
struct mx_policy {
    uint32_t cap;         /* of this block, octets */
    uint32_t number;      /* of the question that waits; of this worker's own, never 0 */
    uint32_t transaction; /* the scratch is of: mx_session.transaction_count */
    uint8_t point, at;    /* the link that waits */
    bool is_waiting;
    bool is_refused; /* by a HEADER hook: the message will be at its end */
    bool is_drop;
    bool is_discarded; /* accepted, and thrown away */
    uint64_t asked_ms;
    uint64_t deadline_ms; /* public while a hook waits */
    struct mx_header header;
    uint32_t stored_octets;   /* of the header, as the sink has it */
    int text_error;           /* why there is none */
    struct mx_fulltext *text; /* the message so far; NULL: none is wanted, or text_error */
    char *notes; /* attributes: lengths (4 octets), each with "name\0value" behind it */
    uint32_t notes_len, notes_cap;
    uint16_t refusal_len;
    char refusal[MX_REPLY_LINE_MAX];
    _Alignas(16) char data[]; /* memory, then scratch */
};

/* Whose policy: put together for each call. */
struct mx_policy_site {
    struct mx_policy_host *host;
    const struct mx_chain *chain;
    struct mx_session *session;
    struct mx_policy **block; /* where the driver keeps it; *block may be NULL */
    uint64_t owner;           /* names the connection towards the driver: comes back with answers */
};

/* Ask the hooks at session->hook (MX_ACTION_HOOK). 0: go on; MX_EPENDING: wait until *block's
 * deadline_ms or an answer; another error: refused, session->shared->refusal is set. */
MX_MUST_CHECK int mx_policy_ask(struct mx_policy_site *site);

/* A job is back. Whose is it? Then either mx_policy_answer, or mx_policy_drop when that connection
 * is gone. */
uint64_t mx_policy_owner(const struct mx_helper_job *job);
/* Results as of mx_policy_ask; -EALREADY: nobody waits for it any more. The job is freed. */
MX_MUST_CHECK int mx_policy_answer(struct mx_policy_site *site, struct mx_helper_job *job);
void mx_policy_drop(struct mx_policy_host *host, struct mx_helper_job *job);

/* The deadline has passed: the hook's onFailure decides, and the chain goes on from there. Results
 * as of mx_policy_ask. */
MX_MUST_CHECK int mx_policy_timeout(struct mx_policy_site *site);

/* The name of the hook that refused last, or is waited for, at this site's host. */
const char *mx_policy_last_hook(const struct mx_policy_host *host);

/* Content on its way to the sink, when mx_chain_has_header. *count slices in, what shall be stored
 * out: none while the header is gathered; `to` has room for MX_BODY_SLICES + 1. 0; MX_EREFUSED: a
 * hook has refused the message; -ENOMEM or MX_ELIMIT: the header does not fit. */
MX_MUST_CHECK int mx_policy_content(struct mx_policy_site *site, const struct mx_span *slices,
                                    uint32_t count, struct mx_span *to, uint32_t *to_count);

/* The message is over: a header that never was is, now. *text is what is still to be stored; may
 * be empty. Results as of mx_policy_content. */
MX_MUST_CHECK int mx_policy_end_content(struct mx_policy_site *site, struct mx_span *text);

/* Attributes of the message (mx_hook_note), for the sink; see struct mx_policy. */
struct mx_span mx_policy_notes(const struct mx_policy *self);

/* The header as MESSAGE hooks have changed it, and how many octets of content it replaces. Empty:
 * they have not. Borrowed as the attributes are. */
struct mx_span mx_policy_header(const struct mx_policy *self, uint32_t *replaces);

/* Has a hook said that the message is to be thrown away (mx_hook_discard)? */
static inline bool mx_policy_is_discarded(const struct mx_policy *self) {
    return self != NULL && self->is_discarded;
}

/* No transaction is under way: forget what belonged to one. The block may go. */
void mx_policy_end_transaction(struct mx_policy_site *site);

/* The connection closes: DISCONNECT hooks are told, the block goes. Jobs that are under way come
 * back later. */
void mx_policy_end(struct mx_policy_site *site);
