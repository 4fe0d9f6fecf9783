/* identity.h - may this client use this sender's name? verifyIdentity of an SMTP server.
 *
 * Pure look-ups in the configuration: never blocks.
 */
#pragma once
#include "config/conf.h"
#include "proto/session.h"

/* The check at MAIL, and again at RCPT: who is logged in sends as himself or as an alias of his;
 * who is not, and not in authorizedAddresses, does not send as one of ours. The null sender is
 * everybody's. 0, or -EACCES with *refusal set (static text). */
MX_MUST_CHECK int mx_identity_check(const struct mx_conf *conf, const struct mx_conf_server *server,
                                    const struct mx_session *session, struct mx_refusal *refusal);

/* The check at the end of a message: who is logged in says in the header, too, that it is from
 * himself, and from nobody else. What cannot be understood is refused. As above. */
MX_MUST_CHECK int mx_identity_check_header(const struct mx_conf *conf,
                                           const struct mx_session *session,
                                           struct mx_refusal *refusal);
