/* What is legal and yet not what the file's author may think: logging in. Said by mxring check
 * only. */
#include "config/load.h"
#include "config/users.h"
#include "proto/sasl.h"

/* Can PLAIN and LOGIN, and can SCRAM be used? */
struct usable {
    bool has_plain, has_scram;
};

static struct usable usable_of(const struct mx_conf *conf, const struct mx_conf_server *server) {
    const struct mx_conf_auth *auth = &server->auth;
    bool has_accounts = mx_conf_find_hook(server, MX_HOOK_KIND_AUTH_ACCOUNTS) != NULL;
    struct usable usable = {0};
    for (uint32_t i = 0; i < auth->mechanisms.count; i++) {
        bool is_scram = auth->mechanisms.rows[i] == MX_SASL_SCRAM_SHA_256;
        usable.has_plain = usable.has_plain || (!is_scram && auth->is_plain_enabled);
        usable.has_scram =
            usable.has_scram || (is_scram && !has_accounts && mx_users_can_scram(conf->users));
    }
    return usable;
}

/* What of auth was set to something else than its default, which a dump holds, too? */
struct changes {
    bool is_any, is_mechanisms;
};

static struct changes changes_of(struct mx_loader *self, const struct mx_conf_auth *auth) {
    struct mx_conf_server plain = {0};
    const struct mx_conf_auth *other = &plain.auth;
    if (mx_loader_defaults(self->conf, MX_SECTION_AUTH, &plain) < 0)
        return (struct changes){0}; /* the arena remembers it */
    bool is_mechanisms =
        auth->mechanisms.count != other->mechanisms.count ||
        memcmp(auth->mechanisms.rows, other->mechanisms.rows, auth->mechanisms.count) != 0;
    bool is_any = is_mechanisms || auth->announce != other->announce ||
                  auth->is_required != other->is_required ||
                  auth->is_ssl_required != other->is_ssl_required ||
                  auth->is_plain_enabled != other->is_plain_enabled ||
                  auth->failure_delay_ms != other->failure_delay_ms;
    return (struct changes){is_any, is_mechanisms};
}

static void check_mechanisms(struct mx_loader *self, const struct mx_conf_server *server,
                             const struct mx_origin *origin, bool has_chosen) {
    const struct mx_conf_auth *auth = &server->auth;
    const struct mx_yaml_node *node = mx_check_place(origin, MX_SECTION_SMTP, "auth");
    struct usable usable = usable_of(self->conf, server);
    if (!usable.has_plain && !usable.has_scram) {
        mx_check_warn(self, node, "auth: no mechanism is left, nobody can log in");
        return;
    }
    for (uint32_t i = 0; i < auth->mechanisms.count && !usable.has_scram; i++) {
        if (auth->mechanisms.rows[i] == MX_SASL_SCRAM_SHA_256 && has_chosen)
            mx_check_warn(self, mx_check_place(origin, MX_SECTION_AUTH, "saslMechanisms"),
                          "saslMechanisms: SCRAM-SHA-256 is left out, since not every user has an "
                          "entry that can serve it");
    }
    if (auth->is_ssl_required && !mx_conf_tls_is_on(&server->tls))
        mx_check_warn(self, mx_check_place(origin, MX_SECTION_AUTH, "requireSSL"),
                      "requireSSL: nobody can log in without tls, which is off");
    if (usable.has_plain && !auth->is_ssl_required && !server->tls.is_implicit)
        mx_check_warn(self, node,
                      "auth: passwords may be sent in clear; requireSSL: true asks for TLS first");
    if (auth->announce == MX_ANNOUNCE_NEVER)
        mx_check_warn(self, node,
                      "auth: AUTH is not announced, and can be used all the same; coreHandlers: "
                      "noAuth switches it off");
}

void mx_check_auth(struct mx_loader *self, const struct mx_conf_server *server,
                   const struct mx_origin *origin) {
    const struct mx_yaml_node *node = mx_check_place(origin, MX_SECTION_SMTP, "auth");
    struct changes changes = changes_of(self, &server->auth);
    bool is_core = server->core_handlers == MX_CORE_HANDLERS_CORE;
    bool has_verb = is_core || mx_conf_find_hook(server, MX_HOOK_KIND_AUTH_COMMAND) != NULL;
    bool has_accounts = mx_conf_find_hook(server, MX_HOOK_KIND_AUTH_ACCOUNTS) != NULL;
    bool has_users = self->conf->users_path != NULL || has_accounts;
    if (server->auth.is_required && is_core && !has_users)
        mx_loader_fail(self, node, "auth.required: nobody can log in without users");
    else if (!self->is_check)
        return;
    else if (changes.is_any && !has_verb)
        mx_check_warn(self, node, "auth has no effect with coreHandlers: noAuth");
    else if (changes.is_any && !has_users)
        mx_check_warn(self, node, "auth has no effect without users");
    else if (has_verb && (self->conf->users != NULL || has_accounts))
        check_mechanisms(self, server, origin, changes.is_mechanisms);
}
