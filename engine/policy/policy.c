#include "engine/policy/policy.h"

#include "engine/policy/policy_impl.h"

#include <assert.h>
#include <errno.h>

_Static_assert(MX_CONF_HOOKS_MAX + 8 <= UINT8_MAX, "at is one octet");

/* ---- the block ---- */

/* Never the same for two questions of a worker: an answer may come when its connection has begun
 * another transaction, whose block is a new one. */
static uint32_t next_number(struct mx_policy_host *host) {
    host->questions += host->questions == UINT32_MAX ? 2 : 1;
    return host->questions;
}

struct mx_policy *mx_policy_need(struct mx_policy_site *site) {
    const struct mx_chain *chain = site->chain;
    size_t octets = sizeof(struct mx_policy) + chain->memory_octets + chain->scratch_octets;
    uint32_t cap = 0;
    if (*site->block != NULL)
        return *site->block;
    struct mx_buddy *buddy = site->host->buddy;
    struct mx_policy *self =
        mx_buddy_is_tight(buddy) ? NULL : (void *)mx_buddy_take(buddy, (uint32_t)octets, &cap);
    if (self == NULL)
        return NULL;
    memset(self, 0, octets);
    self->cap = cap;
    self->number = next_number(site->host);
    self->transaction = site->session->transaction_count;
    mx_header_init(&self->header, buddy);
    *site->block = self;
    return self;
}

static void forget_message(struct mx_policy_site *site) {
    struct mx_policy *self = *site->block;
    const struct mx_chain *chain = site->chain;
    mx_header_free(&self->header);
    mx_fulltext_release(self->text);
    self->text = NULL;
    self->text_error = 0;
    self->stored_octets = 0;
    if (self->notes != NULL)
        mx_buddy_give(site->host->buddy, self->notes, self->notes_cap);
    self->notes = NULL;
    self->notes_len = self->notes_cap = 0;
    self->is_refused = self->is_discarded = false;
    memset(self->data + chain->memory_octets, 0, chain->scratch_octets);
}

/* Is what is remembered of this transaction? At MAIL it is not counted yet. */
void mx_policy_begin_if_new(struct mx_policy_site *site, enum mx_hook_point point) {
    struct mx_policy *self = *site->block;
    uint32_t now = site->session->transaction_count + (point == MX_HOOK_MAIL);
    if (self->transaction == now && point != MX_HOOK_MAIL)
        return;
    forget_message(site);
    self->transaction = now;
}

static void free_block(struct mx_policy_site *site) {
    struct mx_policy *self = *site->block;
    if (self == NULL)
        return;
    forget_message(site);
    *site->block = NULL;
    mx_buddy_give(site->host->buddy, (char *)self, self->cap);
}

void mx_policy_end_transaction(struct mx_policy_site *site) {
    struct mx_policy *self = *site->block;
    if (self == NULL || self->is_waiting)
        return;
    if (site->chain->memory_octets == 0)
        free_block(site);
    else
        forget_message(site);
}

struct mx_span mx_policy_notes(const struct mx_policy *self) {
    return self != NULL ? (struct mx_span){self->notes, self->notes_len} : (struct mx_span){0};
}

struct mx_span mx_policy_header(const struct mx_policy *self, uint32_t *replaces) {
    *replaces = 0;
    if (self == NULL || !self->header.is_changed)
        return (struct mx_span){0};
    *replaces = self->stored_octets;
    return (struct mx_span){self->header.ptr, self->header.len};
}

/* ---- one link after the other ---- */

static struct mx_span last_rcpt(const struct mx_session *session) {
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = session->rcpt_at;
    bool is_there = mx_envelope_rcpt_next(&session->envelope, &cursor, &rcpt);
    return is_there ? rcpt.address : (struct mx_span){0};
}

/* What all hooks of a point see alike. */
static struct mx_hook_call call_at(struct mx_policy_site *site, enum mx_hook_point point) {
    struct mx_hook_call call = {
        .conf = site->chain->conf,
        .server = site->chain->server,
        .session = site->session,
        .now_ms = *site->host->now_ms,
        .site = site,
    };
    struct mx_policy *block = *site->block;
    if (point == MX_HOOK_RCPT)
        call.rcpt = last_rcpt(site->session);
    if (block != NULL && (point == MX_HOOK_HEADER || point == MX_HOOK_MESSAGE))
        call.header = &block->header;
    if (block != NULL && point == MX_HOOK_MESSAGE) {
        call.text = block->text;
        call.text_error = block->text_error;
    }
    return call;
}

/* ... and what one sees alone. The block may have come since the last one. */
static void set_link(struct mx_hook_call *call, const struct mx_chain_link *link,
                     enum mx_hook_point point) {
    struct mx_policy *block = *call->site->block;
    const struct mx_chain *chain = call->site->chain;
    bool is_in_message = point >= MX_HOOK_MAIL && point <= MX_HOOK_MESSAGE;
    call->options = link->options;
    call->wait = link->wait;
    call->memory = link->has_memory ? block->data + link->memory_at : NULL;
    call->scratch = link->has_scratch && is_in_message
                        ? block->data + chain->memory_octets + link->scratch_at
                        : NULL;
}

static void count(struct mx_policy_host *host, const struct mx_chain_link *link,
                  enum mx_verdict verdict) {
    host->counters[link->kind].verdicts[verdict]++;
    host->last = link->kind;
}

/* The defaults of James for hooks that leave no reply. */
static int refused(struct mx_policy_site *site, enum mx_verdict verdict) {
    struct mx_refusal *refusal = &site->session->shared->refusal;
    if (refusal->text.len == 0 && verdict == MX_VERDICT_SOFT)
        refusal->text = MX_SPAN("451 Temporary problem. Please try again later");
    if (refusal->text.len == 0)
        refusal->text = verdict == MX_VERDICT_DROP ? MX_SPAN("554 Server disconnected")
                                                   : MX_SPAN("554 Email rejected");
    refusal->is_disconnect = refusal->is_disconnect || verdict == MX_VERDICT_DROP;
    return -EACCES;
}

static int begin_waiting(struct mx_policy_site *site, const struct mx_chain_link *link,
                         enum mx_hook_point point, uint32_t at) {
    struct mx_policy *block = *site->block;
    assert(block != NULL && link->wait != NULL); /* a job was made, so there is a block */
    uint64_t now_ms = *site->host->now_ms;
    if (!block->is_waiting) {
        site->host->counters[link->kind].verdicts[MX_VERDICT_PENDING]++;
        block->asked_ms = now_ms;
        block->deadline_ms = now_ms + link->wait->timeout_ms;
    }
    block->is_waiting = true;
    block->point = (uint8_t)point;
    block->at = (uint8_t)at;
    return MX_EPENDING;
}

static void end_waiting(struct mx_policy_site *site, const struct mx_chain_link *link) {
    struct mx_policy *block = *site->block;
    struct mx_hook_counters *counters = &site->host->counters[link->kind];
    if (block == NULL || !block->is_waiting)
        return;
    uint64_t waited_ms = *site->host->now_ms - block->asked_ms;
    counters->waited_ms += waited_ms;
    if (waited_ms > counters->waited_max_ms)
        counters->waited_max_ms = waited_ms;
    block->is_waiting = false;
}

/* A hook that may wait, or has memory. */
static enum mx_verdict run_link(struct mx_hook_call *call, const struct mx_chain_link *link,
                                enum mx_hook_point point, struct mx_hook_job *answer) {
    struct mx_policy *block = *call->site->block;
    if (link->wait != NULL && answer == NULL && block != NULL)
        block->number = next_number(call->site->host); /* of its answers */
    set_link(call, link, point);
    call->answer = answer;
    enum mx_verdict verdict = link->run(call);
    if (link->wait != NULL && verdict != MX_VERDICT_PENDING)
        end_waiting(call->site, link);
    call->memory = call->scratch = NULL;
    call->answer = NULL;
    call->wait = NULL;
    return verdict;
}

/* answer: for the first of them. */
static int run_links(struct mx_hook_call *call, enum mx_hook_point point, uint32_t from,
                     struct mx_hook_job *answer) {
    struct mx_policy_site *site = call->site;
    struct mx_hook_counters *counters = site->host->counters;
    const struct mx_chain_link *link = site->chain->links + site->chain->first[point] + from;
    for (uint32_t left = site->chain->count[point] - from; left > 0; left--, link++) {
        enum mx_verdict verdict;
        call->options = link->options;
        if (link->is_plain) {
            verdict = link->run(call);
        } else {
            verdict = run_link(call, link, point, answer);
            answer = NULL;
        }
        if (verdict == MX_VERDICT_PENDING)
            return begin_waiting(site, link, point, site->chain->count[point] - left);
        counters[link->kind].verdicts[verdict]++;
        if (verdict == MX_VERDICT_DECLINED)
            continue;
        site->host->last = link->kind;
        return verdict == MX_VERDICT_OK ? 0 : refused(site, verdict);
    }
    return 0;
}

int mx_policy_run(struct mx_policy_site *site, enum mx_hook_point point, uint32_t from,
                  struct mx_hook_job *answer) {
    struct mx_hook_call call = call_at(site, point);
    return run_links(&call, point, from, answer);
}

int mx_policy_run_content(struct mx_policy_site *site, const struct mx_span *slices,
                          uint32_t count) {
    struct mx_hook_call call = call_at(site, MX_HOOK_CONTENT);
    call.slices = slices;
    call.slice_count = count;
    return run_links(&call, MX_HOOK_CONTENT, 0, NULL);
}

static int no_memory(struct mx_policy_site *site) {
    site->session->shared->refusal.text = MX_SPAN("452 4.3.1 Insufficient system storage");
    return -ENOMEM;
}

/* What a HEADER hook has decided. */
static int recall_refusal(struct mx_policy_site *site) {
    const struct mx_policy *block = *site->block;
    struct mx_session_shared *shared = site->session->shared;
    memcpy(shared->refusal_text, block->refusal, block->refusal_len);
    shared->refusal = (struct mx_refusal){
        .text = {shared->refusal_text, block->refusal_len},
          .is_disconnect = block->is_drop
    };
    return -EACCES;
}

int mx_policy_ask(struct mx_policy_site *site) {
    enum mx_hook_point point = (enum mx_hook_point)site->session->hook;
    if (*site->block != NULL && point >= MX_HOOK_MAIL && point <= MX_HOOK_MESSAGE)
        mx_policy_begin_if_new(site, point);
    if (site->chain->needs_block[point] && mx_policy_need(site) == NULL)
        return no_memory(site);
    if (point == MX_HOOK_MAIL && *site->block != NULL)
        (*site->block)->transaction = site->session->transaction_count + 1;
    if (point == MX_HOOK_MESSAGE && *site->block != NULL && (*site->block)->is_refused)
        return recall_refusal(site);
    return mx_policy_run(site, point, 0, NULL);
}

void mx_policy_end(struct mx_policy_site *site) {
    const struct mx_chain *chain = site->chain;
    bool can_tell = !chain->needs_block[MX_HOOK_DISCONNECT] || *site->block != NULL;
    if (chain->count[MX_HOOK_DISCONNECT] > 0 && can_tell) {
        int err = mx_policy_run(site, MX_HOOK_DISCONNECT, 0, NULL);
        assert(err != MX_EPENDING);
    }
    free_block(site);
}

/* ---- answers ---- */

static struct mx_hook_job *job_of(const struct mx_helper_job *job) {
    return (struct mx_hook_job *)(uintptr_t)job;
}
_Static_assert(offsetof(struct mx_hook_job, job) == 0, "the job stands in front");

uint64_t mx_policy_owner(const struct mx_helper_job *job) {
    return job_of(job)->owner;
}

void mx_policy_drop(struct mx_policy_host *host, struct mx_helper_job *job) {
    mx_policy_job_free(host, job_of(job));
}

int mx_policy_answer(struct mx_policy_site *site, struct mx_helper_job *job) {
    struct mx_policy *block = *site->block;
    struct mx_hook_job *answer = job_of(job);
    int err = -EALREADY;
    answer->is_out = false;
    if (block != NULL && block->is_waiting && block->number == answer->number) {
        site->session->shared->refusal = (struct mx_refusal){0};
        err = mx_policy_run(site, (enum mx_hook_point)block->point, block->at, answer);
    }
    if (!answer->is_out)
        mx_policy_job_free(site->host, answer);
    return err;
}

int mx_policy_timeout(struct mx_policy_site *site) {
    struct mx_policy *block = *site->block;
    assert(block != NULL && block->is_waiting);
    enum mx_hook_point point = (enum mx_hook_point)block->point;
    const struct mx_chain *chain = site->chain;
    const struct mx_chain_link *link = &chain->links[chain->first[point] + block->at];
    struct mx_hook_call call = call_at(site, point);
    set_link(&call, link, point);
    site->session->shared->refusal = (struct mx_refusal){0};
    enum mx_verdict verdict = mx_hook_fail(&call);
    site->host->counters[link->kind].timeouts++;
    count(site->host, link, verdict);
    end_waiting(site, link);
    block->number = next_number(site->host); /* what still comes is late */
    return verdict == MX_VERDICT_DECLINED ? mx_policy_run(site, point, block->at + 1u, NULL)
                                          : refused(site, verdict);
}

const char *mx_policy_last_hook(const struct mx_policy_host *host) {
    return host->last < MX_HOOK_KIND_COUNT ? mx_hook_names[host->last] : "core";
}
