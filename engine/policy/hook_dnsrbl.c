/* DNSRBLHandler: is the client's address on a list? RFC 5782. All lists are asked at once, once for
 * a connection.
 */
#include "engine/policy/lookup.h"

#include <errno.h>

enum {
    DETAIL_TAG = 1000, /* the TXT record of the list that has it; lists are numbered below */
    DETAIL_MAX = 300,
};

enum state {
    STATE_UNKNOWN,
    STATE_ASKING,
    STATE_CLEAN,
    STATE_LISTED,
};

struct memory {
    uint8_t state;
    bool is_wanted_elsewhere; /* on a whitelist */
    bool has_failed;          /* a list did not answer */
    uint16_t left, white_left;
    uint16_t listed; /* number of the first list that said so, + 1; 0: none */
    uint16_t detail_len;
    char detail[DETAIL_MAX];
};

static enum mx_verdict refuse(struct mx_hook_call *call, const struct memory *memory) {
    char ip[MX_IP_TEXT_MAX];
    if (memory->detail_len > 0)
        return mx_hook_refuse(call, MX_VERDICT_HARD, "554 5.7.1 %.*s", (int)memory->detail_len,
                              memory->detail);
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "554 5.7.1 Rejected: unauthenticated e-mail from /%.*s is restricted.  "
                          "Contact the postmaster for details.",
                          (int)mx_ip_text(&call->session->peer, ip), ip);
}

static struct mx_span list_of(const struct mx_opt_dnsrbl *options, uint32_t number) {
    uint32_t whites = options->whitelist.count;
    return number < whites ? options->whitelist.rows[number]
                           : options->blacklist.rows[number - whites];
}

static int ask(struct mx_hook_call *call, uint32_t number, enum mx_dns_type type, uint32_t tag) {
    char name[MX_DNS_NAME_MAX + 1];
    size_t len = mx_dns_reverse(&call->session->peer, list_of(call->options, number), name);
    return mx_lookup_begin(call, type, (struct mx_span){name, len}, tag, MX_LOOKUP_SMALL);
}

static enum mx_verdict decide(struct mx_hook_call *call, struct memory *memory) {
    const struct mx_opt_dnsrbl *options = call->options;
    if (memory->is_wanted_elsewhere) {
        memory->state = STATE_CLEAN;
        return MX_VERDICT_DECLINED;
    }
    if (memory->listed > 0 && memory->white_left == 0) {
        memory->state = STATE_LISTED;
        if (options->gets_detail && ask(call, memory->listed - 1u, MX_DNS_TXT, DETAIL_TAG) == 0)
            return MX_VERDICT_PENDING;
        return refuse(call, memory);
    }
    if (memory->left > 0)
        return MX_VERDICT_PENDING;
    if (memory->has_failed) {
        memory->state = STATE_UNKNOWN;
        return mx_hook_fail(call);
    }
    memory->state = STATE_CLEAN;
    return MX_VERDICT_DECLINED;
}

static void keep_detail(struct memory *memory, const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    size_t cursor = 0, len = 0;
    if (!mx_dns_next(answer, &cursor, &record))
        return;
    for (size_t i = 0; i < record.data.len && len < sizeof memory->detail; i++) {
        char c = record.data.ptr[i];
        memory->detail[len++] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
    }
    memory->detail_len = (uint16_t)len;
}

static enum mx_verdict on_answer(struct mx_hook_call *call, struct memory *memory) {
    const struct mx_opt_dnsrbl *options = call->options;
    const struct mx_lookup *lookup = mx_lookup_answer(call);
    const struct mx_dns_answer *answer = &lookup->question.answer;
    uint32_t number = lookup->tag;
    bool is_white = number < options->whitelist.count, is_error = false;
    if (number == DETAIL_TAG) {
        keep_detail(memory, answer);
        return refuse(call, memory);
    }
    if (memory->state == STATE_LISTED) /* another list, while the detail is under way */
        return MX_VERDICT_PENDING;
    memory->left--;
    memory->white_left = (uint16_t)(memory->white_left - is_white);
    bool is_listed = mx_lookup_is_listed(answer, &is_error);
    memory->has_failed = memory->has_failed || is_error || !mx_dns_is_certain(answer);
    if (is_listed && is_white)
        memory->is_wanted_elsewhere = true;
    else if (is_listed && memory->listed == 0)
        memory->listed = (uint16_t)(number + 1);
    return decide(call, memory);
}

static enum mx_verdict begin(struct mx_hook_call *call, struct memory *memory) {
    const struct mx_opt_dnsrbl *options = call->options;
    *memory = (struct memory){.state = STATE_ASKING};
    for (uint32_t i = 0; i < options->whitelist.count + options->blacklist.count; i++) {
        int err = ask(call, i, MX_DNS_A, i);
        memory->left = (uint16_t)(memory->left + (err == 0));
        memory->white_left =
            (uint16_t)(memory->white_left + (err == 0 && i < options->whitelist.count));
        memory->has_failed = memory->has_failed || (err < 0 && err != -EINVAL);
    }
    return decide(call, memory);
}

static enum mx_verdict look(struct mx_hook_call *call, bool may_ask_again) {
    struct memory *memory = call->memory;
    if (call->session->is_authenticated || call->session->peer.family == 0)
        return MX_VERDICT_DECLINED;
    if (call->answer != NULL)
        return on_answer(call, memory);
    switch ((enum state)memory->state) {
    case STATE_CLEAN:
        return MX_VERDICT_DECLINED;
    case STATE_LISTED:
        return refuse(call, memory);
    case STATE_ASKING: /* nobody answered in time, a moment ago */
    case STATE_UNKNOWN:
        break;
    }
    return may_ask_again ? begin(call, memory) : mx_hook_fail(call);
}

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    return look(call, true);
}

static enum mx_verdict on_rcpt(struct mx_hook_call *call) {
    return look(call, false);
}

const struct mx_hook_class mx_hook_dnsrbl = {
    .summary = "The client's address must not be on a block list, unless it is on a list of the "
               "welcome; not asked of those who are logged in",
    .points = {[MX_HOOK_MAIL] = on_mail,                                             [MX_HOOK_RCPT] = on_rcpt},
    .memory_octets = sizeof(struct memory),
    .waits = true,
    .replies = {{"on a list", "554 5.7.1 Rejected: unauthenticated e-mail from /IP is restricted.  "
                              "Contact the postmaster for details."},
               {"on a list that says why, with getDetail", "554 5.7.1 TEXT"}                                 },
    .differences = "All lists are asked at once. Only answers in 127.0.0.0/8 count, and "
                   "127.255.255.0/24 is a list that could not say. IPv6 clients are looked up, "
                   "too.",
};
