#include "engine/policy/identity.h"

#include "config/aliases.h"
#include "config/text.h"
#include "engine/policy/relay.h"

#include <errno.h>

static const struct mx_span not_yours =
    MX_SPAN("503 5.7.1 Incorrect Authentication for Specified Email Address");

/* Is this address of ours the client's, by name or as an alias? */
static bool is_own(const struct mx_conf *conf, const struct mx_session *session,
                   struct mx_span address) {
    return mx_relay_is_local(conf, mx_relay_domain(address)) &&
           mx_aliases_lead_to(conf->aliases, conf->alias_limit, address,
                              mx_login_name(session->login));
}

/* relaxed: a mail server on its own has a name with a dot. */
static bool has_server_name(const struct mx_session *session) {
    struct mx_span name = {session->helo_name, session->helo_len};
    return name.len > 0 && mx_text_is_host(name) && memchr(name.ptr, '.', name.len) != NULL;
}

int mx_identity_check(const struct mx_conf *conf, const struct mx_conf_server *server,
                      const struct mx_session *session, struct mx_refusal *refusal) {
    struct mx_span sender = mx_envelope_sender(&session->envelope);
    if (server->verify_identity == MX_VERIFY_IDENTITY_DISABLED || sender.len == 0)
        return 0;
    if (session->is_authenticated) {
        if (is_own(conf, session, sender))
            return 0;
        refusal->text = not_yours;
        return -EACCES;
    }
    bool is_relaxed = server->verify_identity == MX_VERIFY_IDENTITY_RELAXED;
    if (session->is_authorized || !mx_relay_is_local(conf, mx_relay_domain(sender)) ||
        (is_relaxed && has_server_name(session)))
        return 0;
    refusal->text = MX_SPAN("530 5.7.1 Authentication Required");
    return -EACCES;
}

int mx_identity_check_header(const struct mx_conf *conf, const struct mx_session *session,
                             struct mx_refusal *refusal) {
    const struct mx_from *from = mx_session_from(session);
    char room[MX_FROM_ADDRESS_MAX];
    struct mx_span address;
    if (from == NULL || !session->is_authenticated)
        return 0;
    struct mx_span list = mx_from_text(from);
    uint32_t count = 0;
    int err = from->is_cut ? MX_ELIMIT : 0;
    while (err == 0 && (err = mx_from_take(&list, room, &address)) == 0) {
        if (!is_own(conf, session, address))
            err = -EACCES;
        count++;
    }
    if (err == MX_EPARTIAL && count > 0)
        return 0;
    refusal->text = not_yours;
    return -EACCES;
}
