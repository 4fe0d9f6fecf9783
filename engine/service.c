#include "engine/service.h"

#include "config/users.h"
#include "engine/policy/relay.h"
#include "engine/rules.h"

_Static_assert((int)MX_SESSION_ANNOUNCE_NEVER == (int)MX_ANNOUNCE_NEVER &&
                   (int)MX_SESSION_ANNOUNCE_ALWAYS == (int)MX_ANNOUNCE_ALWAYS &&
                   (int)MX_SESSION_ANNOUNCE_FOREIGN == (int)MX_ANNOUNCE_FOREIGN,
               "proto/ and config/ count alike");

static bool can_use(const struct mx_auth_source *source, const struct mx_conf_auth *auth,
                    enum mx_sasl_mechanism mechanism) {
    bool is_scram = mechanism == MX_SASL_SCRAM_SHA_256;
    if (source->accounts != NULL)
        return !is_scram && auth->is_plain_enabled;
    return source->users != NULL &&
           (is_scram ? mx_users_can_scram(source->users) : auth->is_plain_enabled);
}

/* The mechanisms that can be used: those wanted that are not forbidden and that the users can be
 * served. */
static void set_auth(struct mx_session_conf *self, const struct mx_auth_source *source,
                     const struct mx_conf_server *server) {
    const struct mx_conf_auth *auth = &server->auth;
    self->has_auth = server->core_handlers == MX_CORE_HANDLERS_CORE;
    self->announce = (uint8_t)auth->announce;
    self->needs_tls_for_auth = auth->is_ssl_required;
    self->max_auth_failures = server->max_auth_failures;
    self->auth_failure_delay_ms = auth->failure_delay_ms;
    for (uint32_t i = 0; i < auth->mechanisms.count; i++) {
        if (can_use(source, auth, (enum mx_sasl_mechanism)auth->mechanisms.rows[i]))
            self->mechanisms[self->mechanism_count++] = auth->mechanisms.rows[i];
    }
}

static struct mx_auth_source auth_source(const struct mx_conf *conf,
                                         const struct mx_conf_server *server) {
    const struct mx_conf_hook *hook = mx_conf_find_hook(server, MX_HOOK_KIND_AUTH_ACCOUNTS);
    const struct mx_opt_auth_accounts *options = hook != NULL ? hook->options : NULL;
    return (struct mx_auth_source){conf->users, options != NULL ? &options->accounts : NULL};
}

static void set_identity(struct mx_session_conf *self, const struct mx_conf_server *server) {
    static const uint8_t wants_from[] = {
        [MX_VERIFY_IDENTITY_DISABLED] = MX_SESSION_FROM_NOBODY,
        [MX_VERIFY_IDENTITY_RELAXED] = MX_SESSION_FROM_LOGGED_IN,
        [MX_VERIFY_IDENTITY_STRICT] = MX_SESSION_FROM_EVERYBODY,
    };
    self->wants_from = wants_from[server->verify_identity];
}

int mx_service_init(struct mx_service *self, const struct mx_conf *conf, uint32_t server_index,
                    bool accepts_all) {
    const struct mx_conf_server *server = &conf->servers[server_index];
    memset(self, 0, sizeof *self);
    self->conf = conf;
    self->server = server;
    self->auth = auth_source(conf, server);
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
        .has_starttls = server->tls.has_starttls,
        .hidden_features = server->hidden_features,
        .max_message_octets = server->max_message_octets,
        .max_line_octets = server->max_line_octets > 0 ? server->max_line_octets : MX_LINE_MAX,
        .max_data_line_octets = server->max_data_line_octets,
        .max_recipients = server->max_recipients,
        .max_errors = server->max_errors,
        .max_transactions = server->max_transactions,
    };
    if (accepts_all)
        return 0;
    if (!server->is_lmtp) {
        set_auth(&self->session_conf, &self->auth, server);
        set_identity(&self->session_conf, server);
    }
    return mx_chain_init(&self->chain, conf, server, &self->session_conf);
}

void mx_service_deinit(struct mx_service *self) {
    mx_chain_deinit(&self->chain);
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

void mx_service_know_client(const struct mx_service *self, struct mx_session *session) {
    session->is_authorized = !self->server->is_lmtp &&
                             mx_relay_is_in(&self->server->authorized_addresses, &session->peer);
}
