/* session_proxy.c - the PROXY header in front of the first command (proxyRequired). It may come
 * before or after our greeting. */
#include "proto/proxyproto.h"
#include "proto/session_impl.h"

static enum mx_action on_connect_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result == 0)
        return MX_ACTION_NONE;
    mx_session_refuse(self, out);
    if (self->state != MX_STATE_CLOSED)
        mx_session_end(self);
    return MX_ACTION_NONE;
}

static enum mx_action on_client_known(struct mx_session *self, int result, struct mx_out *out) {
    (void)result;
    return mx_session_ask_hook(self, MX_HOOK_CONNECT, on_connect_hook, out);
}

enum mx_action mx_session_step_proxy(struct mx_session *self, struct mx_span *in,
                                     struct mx_out *out) {
    struct mx_proxyproto header;
    if (self->is_draining) {
        mx_session_farewell(self, MX_FAREWELL_SHUTDOWN, out);
        return MX_ACTION_NONE;
    }
    int err = mx_proxyproto_take(&header, in);
    if (err == MX_EPARTIAL)
        return MX_ACTION_INPUT;
    if (err < 0) { /* as James: without a word */
        self->shared->counters.proxy_headers_bad++;
        return mx_session_end(self);
    }
    if (header.client.family == 0) {
        self->shared->counters.proxy_headers_bad++;
        SAY(self, out, "451 Unable to process request");
        return mx_session_end(self);
    }
    self->shared->counters.proxy_headers++;
    self->peer = header.client;
    return mx_session_park(self, MX_ACTION_CLIENT, on_client_known, MX_STATE_COMMAND);
}
