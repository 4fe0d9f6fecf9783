/* What one row of tls: cannot know. The files themselves are looked at by the engine. */
#include "config/load.h"

static bool is_written(const struct mx_origin *origin, const char *key) {
    return mx_check_place(origin, MX_SECTION_TLS, key) != origin->map;
}

/* Where the problems of its files will be reported. */
static void note_places(struct mx_conf_tls *tls, const struct mx_origin *origin,
                        const struct mx_yaml_node *section) {
    static const char *const keys[MX_CONF_TLS_PLACE_COUNT] = {
        [MX_CONF_TLS_PLACE_CHAIN] = "certificates",
        [MX_CONF_TLS_PLACE_KEY] = "privateKey",
        [MX_CONF_TLS_PLACE_CIPHERS] = "supportedCipherSuites",
        [MX_CONF_TLS_PLACE_TRUST] = "truststore",
        [MX_CONF_TLS_PLACE_REVOCATIONS] = "revocationLists",
    };
    for (int i = 0; i < MX_CONF_TLS_PLACE_COUNT; i++) {
        const struct mx_yaml_node *node =
            is_written(origin, keys[i]) ? mx_check_place(origin, MX_SECTION_TLS, keys[i]) : section;
        tls->places[i].line = node->line;
        tls->places[i].column = node->column;
    }
}

/* The suites of TLS 1.3 are others than those before it. */
static void check_ciphers(struct mx_loader *self, const struct mx_conf_tls *tls,
                          const struct mx_origin *origin) {
    const struct mx_yaml_node *node =
        mx_check_place(origin, MX_SECTION_TLS, "supportedCipherSuites");
    uint32_t served = 0;
    for (uint32_t i = 0; i < tls->ciphers.count; i++) {
        bool is_old = strncmp(mx_conf_cipher_name(tls->ciphers.rows[i]), "TLS_ECDHE_", 10) == 0;
        served |= is_old ? MX_TLS_PROTOCOL_1_2 : MX_TLS_PROTOCOL_1_3;
    }
    if (tls->ciphers.count == 0 || tls->protocols == 0)
        return;
    if ((served & tls->protocols) == 0)
        mx_loader_fail(self, node, "supportedCipherSuites: none is of the supportedProtocols");
    else if ((served & tls->protocols) != tls->protocols)
        mx_check_warn(self, node,
                      served & MX_TLS_PROTOCOL_1_3
                          ? "supportedCipherSuites: none is of TLSv1.2, which cannot be used so"
                          : "supportedCipherSuites: none is of TLSv1.3, which cannot be used so");
}

static void check_clients(struct mx_loader *self, struct mx_conf_tls *tls,
                          const struct mx_origin *origin, const struct mx_yaml_node *section) {
    bool is_asked = tls->client_auth != MX_CLIENT_AUTH_NONE;
    if (is_asked && !tls->trust_path)
        mx_loader_fail(self, mx_check_place(origin, MX_SECTION_TLS, "clientAuth"),
                       "clientAuth needs truststore: who may have signed the certificates");
    if (tls->checks_revocation && !tls->revocations_path)
        mx_loader_fail(self, mx_check_place(origin, MX_SECTION_TLS, "enableOCSPCRLChecks"),
                       "enableOCSPCRLChecks needs revocationLists: no worker asks other servers");
    if (tls->revocations_path && !tls->checks_revocation)
        mx_loader_fail(self, mx_check_place(origin, MX_SECTION_TLS, "revocationLists"),
                       "revocationLists needs enableOCSPCRLChecks: true");
    if (!is_asked && tls->trust_path)
        mx_check_warn(self, section, "tls: without clientAuth, truststore has no effect");
    if (!is_asked && tls->checks_revocation)
        mx_check_warn(self, section, "tls: without clientAuth, enableOCSPCRLChecks has no effect");
    if (is_asked && !is_written(origin, "sessionTimeout"))
        tls->session_timeout_ms = 0; /* what a dump shows is what happens */
    if (is_asked && tls->session_timeout_ms > 0)
        mx_check_warn(self, mx_check_place(origin, MX_SECTION_TLS, "sessionTimeout"),
                      "sessionTimeout: with clientAuth no session is resumed, so that each "
                      "certificate is checked");
}

void mx_check_tls(struct mx_loader *self, struct mx_conf_server *server,
                  const struct mx_origin *origin) {
    struct mx_conf_tls *tls = &server->tls;
    enum mx_section outer = server->is_lmtp ? MX_SECTION_LMTP : MX_SECTION_SMTP;
    const struct mx_yaml_node *section = mx_check_place(origin, outer, "tls");
    note_places(tls, origin, section);
    if (tls->is_implicit && tls->has_starttls)
        mx_loader_fail(self, mx_check_place(origin, MX_SECTION_TLS, "startTLS"),
                       "startTLS is only supported when using plain sockets");
    if (!mx_conf_tls_is_on(tls)) {
        if (section != origin->map && (tls->key_path || tls->chain_path))
            mx_check_warn(self, section,
                          "tls is off: neither socketTLS nor startTLS is true; the rest has no "
                          "effect");
        return;
    }
    if (!tls->key_path || !tls->chain_path)
        mx_loader_fail(self, section, "tls: privateKey and certificates are needed");
    if (tls->protocols == 0)
        mx_loader_fail(self, mx_check_place(origin, MX_SECTION_TLS, "supportedProtocols"),
                       "supportedProtocols: none is left");
    check_ciphers(self, tls, origin);
    check_clients(self, tls, origin, section);
}
