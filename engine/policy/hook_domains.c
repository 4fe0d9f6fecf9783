/* ValidSenderDomainHandler, ValidRcptMX: could mail be sent to this domain? */
#include "engine/policy/lookup.h"
#include "engine/policy/relay.h"

#include <errno.h>

enum { HOSTS_MAX = 10, SHOWN_MAX = 320 };

static int shown(struct mx_span text) {
    return (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

/* 0 of a look-up is under way; what cannot be asked for want of memory or places, nobody can say.
 */
static bool is_limit(int err) {
    return err == -ENOMEM || err == -EBUSY;
}

/* ---- ValidSenderDomainHandler ---- */

struct sender_scratch {
    uint8_t left;
    bool has_failed;
};

static enum mx_verdict refuse_sender(struct mx_hook_call *call) {
    struct mx_span sender = mx_envelope_sender(&call->session->envelope);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "501 5.1.7 sender MaybeSender{mailAddress=Optional[%.*s]} contains a "
                          "domain with no valid MX records",
                          shown(sender), sender.ptr);
}

static enum mx_verdict decide_sender(struct mx_hook_call *call) {
    const struct sender_scratch *scratch = call->scratch;
    if (scratch->left > 0)
        return MX_VERDICT_PENDING;
    return scratch->has_failed ? mx_hook_fail(call) : refuse_sender(call);
}

static void ask_sender(struct mx_hook_call *call, enum mx_dns_type type, struct mx_span domain) {
    struct sender_scratch *scratch = call->scratch;
    int err = mx_lookup_begin(call, type, domain, 0, MX_LOOKUP_SMALL);
    scratch->left = (uint8_t)(scratch->left + (err == 0));
    scratch->has_failed = scratch->has_failed || is_limit(err);
}

/* RFC 7505: one record that names no host. */
static bool is_null_mx(const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    size_t cursor = 0;
    return answer->count == 1 && mx_dns_next(answer, &cursor, &record) && record.data.len == 0;
}

static enum mx_verdict on_sender_answer(struct mx_hook_call *call, const struct mx_lookup *lookup,
                                        struct mx_span domain) {
    struct sender_scratch *scratch = call->scratch;
    const struct mx_dns_answer *answer = &lookup->question.answer;
    bool is_mx = lookup->question.type == MX_DNS_MX;
    scratch->left--;
    if (is_mx && is_null_mx(answer))
        return refuse_sender(call);
    if (answer->status == MX_DNS_OK || answer->status == MX_DNS_TOO_LARGE)
        return MX_VERDICT_DECLINED;
    scratch->has_failed = scratch->has_failed || !mx_dns_is_certain(answer);
    if (is_mx && answer->status == MX_DNS_NODATA) { /* RFC 5321 5.1: then it is its own MX */
        ask_sender(call, MX_DNS_A, domain);
        ask_sender(call, MX_DNS_AAAA, domain);
    }
    return decide_sender(call);
}

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    struct mx_span sender = mx_envelope_sender(&call->session->envelope);
    struct mx_span domain = mx_relay_domain(sender);
    struct mx_ip ip;
    if (mx_lookup_answer(call) != NULL)
        return on_sender_answer(call, mx_lookup_answer(call), domain);
    if (sender.len == 0 || mx_ip_parse(domain, &ip))
        return MX_VERDICT_DECLINED;
    *(struct sender_scratch *)call->scratch = (struct sender_scratch){.left = 0};
    ask_sender(call, MX_DNS_MX, domain);
    return decide_sender(call);
}

const struct mx_hook_class mx_hook_valid_sender_domain = {
    .summary = "The sender's domain must have a mail host: an MX record or an address",
    .points = {[MX_HOOK_MAIL] = on_mail},
    .scratch_octets = sizeof(struct sender_scratch),
    .waits = true,
    .replies = {{"it has none, or says that it takes no mail (RFC 7505)",
                 "501 5.1.7 sender MaybeSender{mailAddress=Optional[a@b]} contains a domain with "
                 "no valid MX records"}},
    .differences = "When nobody can say, onFailure decides; James refuses for good. IPv6 addresses "
                   "count.",
};

/* ---- ValidRcptMX ---- */

struct rcpt_scratch {
    uint8_t left;
    bool has_failed;
};

static enum mx_verdict refuse_rcpt(struct mx_hook_call *call) {
    struct mx_span domain = mx_relay_domain(call->rcpt);
    char ip[MX_IP_TEXT_MAX];
    size_t ip_len = mx_ip_text(&call->session->peer, ip);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "530 5.7.1 Invalid MX %.*s for domain %.*s. Reject email", (int)ip_len,
                          ip, shown(domain), domain.ptr);
}

static enum mx_verdict decide_rcpt(struct mx_hook_call *call) {
    const struct rcpt_scratch *scratch = call->scratch;
    if (scratch->left > 0)
        return MX_VERDICT_PENDING;
    return scratch->has_failed ? mx_hook_fail(call) : MX_VERDICT_DECLINED;
}

static void ask_rcpt(struct mx_hook_call *call, enum mx_dns_type type, struct mx_span name,
                     uint32_t room) {
    struct rcpt_scratch *scratch = call->scratch;
    int err = mx_lookup_begin(call, type, name, 0, room);
    scratch->left = (uint8_t)(scratch->left + (err == 0));
    scratch->has_failed = scratch->has_failed || is_limit(err);
}

static void ask_host(struct mx_hook_call *call, struct mx_span host) {
    ask_rcpt(call, MX_DNS_A, host, MX_LOOKUP_SMALL);
    ask_rcpt(call, MX_DNS_AAAA, host, MX_LOOKUP_SMALL);
}

static bool is_invalid(const struct mx_opt_valid_rcpt_mx *options,
                       const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        struct mx_ip ip = {.family = 4};
        if (record.data.len == 16)
            ip = mx_ip_of_v6((const uint8_t *)record.data.ptr);
        else
            memcpy(ip.bytes, record.data.ptr, 4);
        if (mx_relay_is_in(&options->networks, &ip))
            return true;
    }
    return false;
}

static enum mx_verdict on_rcpt_answer(struct mx_hook_call *call, const struct mx_lookup *lookup) {
    struct rcpt_scratch *scratch = call->scratch;
    const struct mx_dns_answer *answer = &lookup->question.answer;
    struct mx_dns_record record;
    unsigned hosts = 0;
    scratch->left--;
    scratch->has_failed = scratch->has_failed || !mx_dns_is_certain(answer);
    if (lookup->question.type != MX_DNS_MX)
        return is_invalid(call->options, answer) ? refuse_rcpt(call) : decide_rcpt(call);
    for (size_t cursor = 0; hosts < HOSTS_MAX && mx_dns_next(answer, &cursor, &record); hosts++)
        ask_host(call, record.data);
    if (answer->status == MX_DNS_NODATA)
        ask_host(call, mx_relay_domain(call->rcpt));
    return decide_rcpt(call);
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    struct mx_span domain = mx_relay_domain(call->rcpt);
    if (mx_lookup_answer(call) != NULL)
        return on_rcpt_answer(call, mx_lookup_answer(call));
    if (mx_relay_is_local(call->conf, domain))
        return MX_VERDICT_DECLINED;
    *(struct rcpt_scratch *)call->scratch = (struct rcpt_scratch){.left = 0};
    ask_rcpt(call, MX_DNS_MX, domain, MX_LOOKUP_LARGE);
    return decide_rcpt(call);
}

const struct mx_hook_class mx_hook_valid_rcpt_mx = {
    .summary = "No mail host of the recipient's domain, when it is not local, may have an address "
               "in these networks: who relays to it would send mail to himself",
    .points = {[MX_HOOK_RCPT] = on_rcpt},
    .scratch_octets = sizeof(struct rcpt_scratch),
    .waits = true,
    .replies = {{"one has", "530 5.7.1 Invalid MX IP for domain DOMAIN. Reject email"}},
    .differences = "It can be configured: James's refuses to start when it is. IPv6 addresses "
                   "count.",
};
