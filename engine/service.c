#include "engine/service.h"

#include "config/users.h"
#include "engine/policy/identity.h"
#include "engine/policy/rcpt.h"
#include "engine/policy/relay.h"
#include "engine/rules.h"

_Static_assert((int)MX_SESSION_ANNOUNCE_NEVER == (int)MX_ANNOUNCE_NEVER &&
                   (int)MX_SESSION_ANNOUNCE_ALWAYS == (int)MX_ANNOUNCE_ALWAYS &&
                   (int)MX_SESSION_ANNOUNCE_FOREIGN == (int)MX_ANNOUNCE_FOREIGN,
               "proto/ and config/ count alike");

/* The mechanisms that can be used: those wanted that are not forbidden and that the users can be
 * served. */
static void set_auth(struct mx_session_conf *self, const struct mx_conf *conf,
                     const struct mx_conf_server *server) {
    const struct mx_conf_auth *auth = &server->auth;
    self->has_auth = server->core_handlers == MX_CORE_HANDLERS_CORE;
    self->announce = (uint8_t)auth->announce;
    self->needs_tls_for_auth = auth->is_ssl_required;
    self->max_auth_failures = server->max_auth_failures;
    self->auth_failure_delay_ms = auth->failure_delay_ms;
    if (auth->is_required && self->has_auth)
        self->hooks |= 1u << MX_HOOK_MAIL;
    for (uint32_t i = 0; i < auth->mechanisms.count; i++) {
        enum mx_sasl_mechanism mechanism = (enum mx_sasl_mechanism)auth->mechanisms.rows[i];
        bool is_scram = mechanism == MX_SASL_SCRAM_SHA_256;
        if (conf->users != NULL &&
            (is_scram ? mx_users_can_scram(conf->users) : auth->is_plain_enabled))
            self->mechanisms[self->mechanism_count++] = (uint8_t)mechanism;
    }
}

static void set_identity(struct mx_session_conf *self, const struct mx_conf_server *server) {
    static const uint8_t wants_from[] = {
        [MX_VERIFY_IDENTITY_DISABLED] = MX_SESSION_FROM_NOBODY,
        [MX_VERIFY_IDENTITY_RELAXED] = MX_SESSION_FROM_LOGGED_IN,
        [MX_VERIFY_IDENTITY_STRICT] = MX_SESSION_FROM_EVERYBODY,
    };
    self->wants_from = wants_from[server->verify_identity];
    if (server->verify_identity != MX_VERIFY_IDENTITY_DISABLED)
        self->hooks |= 1u << MX_HOOK_MAIL | 1u << MX_HOOK_MESSAGE;
}

void mx_service_init(struct mx_service *self, const struct mx_conf *conf, uint32_t server_index,
                     bool accepts_all) {
    const struct mx_conf_server *server = &conf->servers[server_index];
    memset(self, 0, sizeof *self);
    self->conf = conf;
    self->server = server;
    self->session_conf = (struct mx_session_conf){
        .proto = server->is_lmtp ? MX_PROTO_LMTP : MX_PROTO_SMTP,
        .hello_name = mx_span_of(server->hello_name),
        .greeting = server->greeting != NULL ? mx_span_of(server->greeting) : (struct mx_span){0},
        .default_domain =
            conf->default_domain != NULL ? mx_span_of(conf->default_domain) : (struct mx_span){0},
        .accepts_all = accepts_all,
        .needs_helo = server->helo_ehlo_enforcement && !accepts_all,
        .needs_brackets = server->address_brackets_enforcement && !accepts_all,
        .refuses_bare_lf_commands = server->bare_lf_commands_refused,
        .has_james_texts = server->has_james_texts,
        .has_smtputf8 = server->smtp_utf8,
        .needs_proxy = server->proxy_required,
        .hidden_features = server->hidden_features,
        .hooks = accepts_all ? 0 : 1u << MX_HOOK_RCPT,
        .max_message_octets = server->max_message_octets,
        .max_line_octets = server->max_line_octets > 0 ? server->max_line_octets : MX_LINE_MAX,
        .max_data_line_octets = server->max_data_line_octets,
        .max_recipients = server->max_recipients,
        .max_errors = server->max_errors,
        .max_transactions = server->max_transactions,
    };
    if (!accepts_all && !server->is_lmtp) {
        set_auth(&self->session_conf, conf, server);
        set_identity(&self->session_conf, server);
    }
}

bool mx_service_admits(const struct mx_service *self, const struct mx_ip *peer) {
    const struct mx_conf_server *server = self->server;
    return !server->proxy_required || server->proxy_from.count == 0 ||
           mx_relay_is_in(&server->proxy_from, peer);
}

void mx_service_set_sink(struct mx_service *self, const struct mx_sink_class *sink_class) {
    self->session_conf.needs_trace = sink_class->keeps_content;
    if (sink_class->has_space != NULL)
        self->session_conf.hooks |= 1u << MX_HOOK_MAIL;
}

bool mx_service_count(_Atomic uint32_t *count, uint32_t limit) {
    uint32_t before = atomic_load_explicit(count, memory_order_relaxed);
    do {
        if (limit > 0 && before >= limit)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(count, &before, before + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

enum mx_service_full mx_service_enter(struct mx_service *self) {
    bool has_room = mx_service_count(&self->tally->connections, self->server->connection_limit);
    return has_room ? MX_FULL_NOT : MX_FULL_SERVICE;
}

void mx_service_leave(struct mx_service *self) {
    atomic_fetch_sub_explicit(&self->tally->connections, 1, memory_order_relaxed);
}

enum mx_service_full mx_service_enter_address(struct mx_service *self,
                                              const struct mx_ip *address) {
    uint32_t limit = self->server->connection_limit_per_ip;
    if (limit == 0 || mx_iptable_enter(self->iptable, self->tally->id, address, limit) == 0)
        return MX_FULL_NOT;
    return MX_FULL_ADDRESS;
}

void mx_service_leave_address(struct mx_service *self, const struct mx_ip *address) {
    if (self->server->connection_limit_per_ip > 0)
        mx_iptable_leave(self->iptable, self->tally->id, address);
}

static struct mx_span last_rcpt(const struct mx_session *session) {
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = session->rcpt_at;
    bool is_there = mx_envelope_rcpt_next(&session->envelope, &cursor, &rcpt);
    return is_there ? rcpt.address : (struct mx_span){0};
}

/* The hooks of handlerchain come before the core ones. */
static int ask_rcpt(const struct mx_service *self, struct mx_session *session) {
    static const struct mx_conf_hook built_in = {.kind = MX_HOOK_KIND_VALID_RCPT,
                                                 .uses_aliases = true};
    const struct mx_conf_server *server = self->server;
    struct mx_span rcpt = last_rcpt(session);
    bool is_checked = false;
    int err = 0;
    for (uint32_t i = 0; i < server->hook_count && err == 0; i++) {
        switch (server->hooks[i].kind) {
        case MX_HOOK_KIND_VALID_RCPT:
            err = mx_rcpt_check(self->conf, &server->hooks[i], rcpt, session->shared);
            is_checked = true;
            break;
        case MX_HOOK_KIND_COUNT:
            break;
        }
    }
    if (err == 0 && server->is_lmtp && !is_checked && self->conf->users != NULL)
        err = mx_rcpt_check(self->conf, &built_in, rcpt, session->shared);
    if (err == 0)
        err = mx_relay_check(self->conf, session, rcpt, &session->shared->refusal);
    if (err == 0 && !server->is_lmtp) /* again: who is logged in may have changed */
        err = mx_identity_check(self->conf, server, session, &session->shared->refusal);
    return err;
}

static int ask_mail(const struct mx_service *self, struct mx_session *session) {
    struct mx_refusal *refusal = &session->shared->refusal;
    if (self->server->is_lmtp)
        return 0;
    int err = mx_identity_check(self->conf, self->server, session, refusal);
    return err == 0 ? mx_relay_check_sender(self->server, session, refusal) : err;
}

void mx_service_know_client(const struct mx_service *self, struct mx_session *session) {
    session->is_authorized = !self->server->is_lmtp &&
                             mx_relay_is_in(&self->server->authorized_addresses, &session->peer);
}

int mx_service_ask(const struct mx_service *self, struct mx_session *session) {
    switch ((enum mx_hook_point)session->hook) {
    case MX_HOOK_RCPT:
        return ask_rcpt(self, session);
    case MX_HOOK_MAIL:
        return ask_mail(self, session);
    case MX_HOOK_MESSAGE:
        return mx_identity_check_header(self->conf, session, &session->shared->refusal);
    case MX_HOOK_DATA:
    case MX_HOOK_POINT_COUNT:
        break;
    }
    return 0;
}
