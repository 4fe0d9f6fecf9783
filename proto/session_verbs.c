/* session_verbs.c - verbs that only answer. RFC 5321 4.1.1.5 to 4.1.1.9. */
#include "proto/session_impl.h"

enum mx_action mx_session_rset(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    mx_session_reset(self);
    return SAY(self, out, "250 2.0.0 OK");
}

enum mx_action mx_session_noop(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    return SAY(self, out, "250 2.0.0 OK");
}

enum mx_action mx_session_vrfy(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    return SAY(self, out, "502 5.3.3 VRFY is not supported");
}

enum mx_action mx_session_expn(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    return SAY(self, out, "502 5.3.3 EXPN is not supported");
}

enum mx_action mx_session_help(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    (void)args;
    return SAY(self, out, "502 5.3.3 HELP is not supported");
}
