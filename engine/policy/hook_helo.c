/* ResolvableEhloHeloHandler, ReverseEqualsEhloHeloHandler: is the name that the client gives itself
 * one? Asked at MAIL, once for each HELO.
 */
#include "engine/policy/lookup.h"
#include "engine/policy/relay.h"

#include <errno.h>

enum state { STATE_UNKNOWN, STATE_GOOD, STATE_BAD };

struct memory {
    uint8_t state;
    uint8_t left;
    bool has_failed;
};

static struct mx_span helo_of(const struct mx_hook_call *call) {
    return (struct mx_span){call->session->helo_name, call->session->helo_len};
}

/* An address instead of a name, with or without brackets. */
static bool is_address(struct mx_span helo, struct mx_ip *ip) {
    if (helo.len > 1 && helo.ptr[0] == '[' && helo.ptr[helo.len - 1] == ']')
        helo = (struct mx_span){helo.ptr + 1, helo.len - 2};
    if (helo.len > 5 && mx_span_equal_nocase((struct mx_span){helo.ptr, 5}, MX_SPAN("IPv6:")))
        helo = mx_span_skip(helo, 5);
    return mx_ip_parse(helo, ip);
}

static enum mx_verdict on_helo(struct mx_hook_call *call) {
    *(struct memory *)call->memory = (struct memory){.state = STATE_UNKNOWN};
    return MX_VERDICT_DECLINED;
}

/* Is there something to be asked? */
static bool is_subject(const struct mx_hook_call *call) {
    return call->session->helo_len > 0 && !mx_relay_is_allowed(call->session);
}

static enum mx_verdict good(struct memory *memory) {
    memory->state = STATE_GOOD;
    return MX_VERDICT_DECLINED;
}

/* One more question is under way, or cannot be asked. */
static void count(struct memory *memory, int err) {
    memory->left = (uint8_t)(memory->left + (err == 0));
    memory->has_failed = memory->has_failed || err == -ENOMEM || err == -EBUSY;
}

/* No answer was good so far. */
static enum mx_verdict decide(struct mx_hook_call *call,
                              enum mx_verdict (*refuse)(struct mx_hook_call *call)) {
    struct memory *memory = call->memory;
    if (memory->left > 0)
        return MX_VERDICT_PENDING;
    if (memory->has_failed)
        return mx_hook_fail(call);
    memory->state = STATE_BAD;
    return refuse(call);
}

/* ---- ResolvableEhloHeloHandler ---- */

static enum mx_verdict refuse_unresolvable(struct mx_hook_call *call) {
    struct mx_span helo = helo_of(call);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "501 5.5.4 Provided EHLO/HELO Optional[%.*s] can not resolved.",
                          (int)helo.len, helo.ptr);
}

static enum mx_verdict begin_resolving(struct mx_hook_call *call, struct memory *memory) {
    struct mx_span helo = helo_of(call);
    struct mx_ip ip;
    *memory = (struct memory){.state = STATE_UNKNOWN};
    if (is_address(helo, &ip))
        return good(memory);
    count(memory, mx_lookup_begin(call, MX_DNS_A, helo, 0, MX_LOOKUP_SMALL));
    count(memory, mx_lookup_begin(call, MX_DNS_AAAA, helo, 0, MX_LOOKUP_SMALL));
    return decide(call, refuse_unresolvable);
}

static enum mx_verdict on_mail_resolvable(struct mx_hook_call *call) {
    struct memory *memory = call->memory;
    const struct mx_lookup *lookup = mx_lookup_answer(call);
    if (lookup == NULL && (!is_subject(call) || memory->state == STATE_GOOD))
        return MX_VERDICT_DECLINED;
    if (lookup == NULL)
        return memory->state == STATE_BAD ? refuse_unresolvable(call)
                                          : begin_resolving(call, memory);
    const struct mx_dns_answer *answer = &lookup->question.answer;
    memory->left--;
    if (answer->status == MX_DNS_OK || answer->status == MX_DNS_TOO_LARGE)
        return good(memory);
    memory->has_failed = memory->has_failed || !mx_dns_is_certain(answer);
    return decide(call, refuse_unresolvable);
}

const struct mx_hook_class mx_hook_resolvable_helo = {
    .summary = "The name of HELO or EHLO must have an address; not asked of those who may relay",
    .points = {[MX_HOOK_HELO] = on_helo, [MX_HOOK_MAIL] = on_mail_resolvable},
    .memory_octets = sizeof(struct memory),
    .waits = true,
    .replies = {{"it has none", "501 5.5.4 Provided EHLO/HELO Optional[NAME] can not resolved."}                       },
    .differences = "Says so at every MAIL, also behind RSET. IPv6 addresses count. When nobody can "
                   "say, onFailure decides.",
};

/* ---- ReverseEqualsEhloHeloHandler ---- */

static enum mx_verdict refuse_other_name(struct mx_hook_call *call) {
    struct mx_span helo = helo_of(call);
    char ip[MX_IP_TEXT_MAX];
    size_t ip_len = mx_ip_text(&call->session->peer, ip);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "501 5.5.4 Provided EHLO/HELO %.*s is not the name of %.*s",
                          (int)helo.len, helo.ptr, (int)ip_len, ip);
}

static enum mx_verdict begin_reversing(struct mx_hook_call *call, struct memory *memory) {
    const struct mx_ip *peer = &call->session->peer;
    char name[MX_DNS_NAME_MAX + 1];
    struct mx_ip ip;
    *memory = (struct memory){.state = STATE_UNKNOWN};
    if (is_address(helo_of(call), &ip)) {
        bool is_own =
            ip.family == peer->family && memcmp(ip.bytes, peer->bytes, sizeof ip.bytes) == 0;
        return is_own ? good(memory) : decide(call, refuse_other_name);
    }
    struct mx_span question = {name, mx_dns_ptr_name(peer, name)};
    count(memory, mx_lookup_begin(call, MX_DNS_PTR, question, 0, MX_LOOKUP_LARGE));
    return decide(call, refuse_other_name);
}

static bool has_name(const struct mx_dns_answer *answer, struct mx_span name) {
    struct mx_dns_record record;
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        if (mx_span_equal_nocase(record.data, name))
            return true;
    }
    return false;
}

static enum mx_verdict on_mail_reverse(struct mx_hook_call *call) {
    struct memory *memory = call->memory;
    const struct mx_lookup *lookup = mx_lookup_answer(call);
    bool is_free = !is_subject(call) || call->session->peer.family == 0;
    if (lookup == NULL && (is_free || memory->state == STATE_GOOD))
        return MX_VERDICT_DECLINED;
    if (lookup == NULL)
        return memory->state == STATE_BAD ? refuse_other_name(call) : begin_reversing(call, memory);
    const struct mx_dns_answer *answer = &lookup->question.answer;
    memory->left--;
    if (has_name(answer, helo_of(call)))
        return good(memory);
    memory->has_failed = !mx_dns_is_certain(answer);
    return decide(call, refuse_other_name);
}

const struct mx_hook_class mx_hook_reverse_helo = {
    .summary = "The name of HELO or EHLO must be the one that the client's address has in the DNS; "
               "not asked of those who may relay",
    .points = {[MX_HOOK_HELO] = on_helo, [MX_HOOK_MAIL] = on_mail_reverse},
    .memory_octets = sizeof(struct memory),
    .waits = true,
    .replies = {{"it is another", "501 5.5.4 Provided EHLO/HELO NAME is not the name of IP"}                       },
    .differences = "It does what its name says; James's only asks whether the name has an address.",
};
