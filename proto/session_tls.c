/* session_tls.c - STARTTLS. RFC 3207. */
#include "proto/session_impl.h"

static enum mx_action refuse_more(struct mx_session *self, struct mx_out *out) {
    self->shared->counters.tls_injections++;
    SAY(self, out, "451 Unable to process request");
    return mx_session_end(self);
}

static enum mx_action on_tls(struct mx_session *self, int result, struct mx_out *out) {
    if (result == MX_ESYNTAX)
        return refuse_more(self, out);
    if (result < 0)
        return SAY(self, out, "454 4.7.0 TLS not available due to temporary reason");
    /* RFC 3207 4.2: what was said in clear counts for nothing */
    mx_session_reset(self);
    self->has_helo = false;
    self->helo_verb = self->helo_len = 0;
    self->is_tls = true;
    return SAY(self, out, "220 2.0.0 Ready to start TLS");
}

enum mx_action mx_session_starttls(struct mx_session *self, struct mx_span args,
                                   struct mx_out *out) {
    (void)args;
    if (self->has_more) /* nobody knows who wrote it */
        return refuse_more(self, out);
    return mx_session_park(self, MX_ACTION_TLS, on_tls, MX_STATE_COMMAND);
}
