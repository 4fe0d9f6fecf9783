/* AllowedUnauthenticatedSender: who may relay by its address alone may send in these names only. */
#include "engine/policy/hook.h"
#include "engine/policy/relay.h"

static bool is_allowed(const struct mx_opt_allowed_senders *options,
                       const struct mx_session *session) {
    struct mx_span sender = mx_envelope_sender(&session->envelope);
    const struct mx_conf_allowed_sender *rows = options->senders.rows;
    if (sender.len == 0)
        return options->allows_null;
    for (uint32_t i = 0; i < options->senders.count; i++) {
        if (mx_span_equal_nocase(mx_span_of(rows[i].sender), sender) &&
            (rows[i].from.count == 0 || mx_relay_is_in(&rows[i].from, &session->peer)))
            return true;
    }
    return false;
}

static enum mx_verdict on_mail(struct mx_hook_call *call) {
    const struct mx_session *session = call->session;
    char ip[MX_IP_TEXT_MAX];
    bool is_subject = session->is_authorized && !session->is_authenticated;
    if (!is_subject || is_allowed(call->options, session))
        return MX_VERDICT_DECLINED;
    struct mx_span sender = mx_envelope_sender(&session->envelope);
    size_t ip_len = mx_ip_text(&session->peer, ip);
    return mx_hook_refuse(
        call, MX_VERDICT_HARD,
        "550 5.7.1 Sender <%.*s> is not allowed for unauthenticated connection from %.*s",
        (int)(sender.len < 320 ? sender.len : 320), sender.ptr, (int)ip_len, ip);
}

const struct mx_hook_class mx_hook_allowed_senders = {
    .summary = "A client of authorizedAddresses that is not logged in may only send as one of "
               "these",
    .points = {[MX_HOOK_MAIL] = on_mail},
    .replies = {{"another sender", "550 5.7.1 Sender <a@b> is not allowed for unauthenticated "
                                   "connection from IP"}},
};
