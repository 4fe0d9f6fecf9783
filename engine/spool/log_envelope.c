/* log_envelope.c - what is known of a message beside its content, as it goes to the disk. */
#include "engine/spool/log_impl.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* A cursor: without memory it only counts. */
struct cursor {
    char *to;
    uint32_t len;
};

static void put(struct cursor *self, enum mx_spool_envelope type, const void *ptr, size_t len) {
    struct mx_spool_tlv tlv = {.type = (uint16_t)type, .len = (uint32_t)len};
    if (self->to != NULL) {
        memcpy(self->to + self->len, &tlv, sizeof tlv);
        if (len > 0)
            memcpy(self->to + self->len + sizeof tlv, ptr, len);
    }
    self->len += (uint32_t)(sizeof tlv + len);
}

static void put_span(struct cursor *self, enum mx_spool_envelope type, struct mx_span text) {
    put(self, type, text.ptr, text.len);
}

static void put_peer(struct cursor *self, const struct mx_ip *peer) {
    uint8_t address[16] = {0};
    if (peer->family == 4) {
        memcpy(address, mapped_prefix, sizeof mapped_prefix);
        memcpy(address + sizeof mapped_prefix, peer->bytes, 4);
    } else {
        memcpy(address, peer->bytes, sizeof address);
    }
    if (peer->family != 0)
        put(self, MX_SPOOL_ENV_PEER, address, sizeof address);
}

static void put_auth(struct cursor *self, const struct mx_session *session) {
    struct mx_span param = mx_envelope_auth(&session->envelope);
    if (session->is_authenticated) {
        const struct mx_login *login = session->login;
        put_span(self, MX_SPOOL_ENV_AUTH_USER, mx_login_name(login));
        put_span(self, MX_SPOOL_ENV_AUTH_MECHANISM,
                 mx_sasl_name((enum mx_sasl_mechanism)login->mechanism));
    }
    if (param.len > 0)
        put_span(self, MX_SPOOL_ENV_AUTH_PARAM, param);
}

/* What is not known is left out. */
static void put_tls(struct cursor *self, const struct mx_session *session) {
    const struct mx_session_tls *tls = session->is_tls ? session->tls : NULL;
    if (tls == NULL)
        return;
    const struct {
        enum mx_spool_envelope type;
        struct mx_span text;
    } rows[] = {
        {MX_SPOOL_ENV_TLS_VERSION, tls->version       },
        {MX_SPOOL_ENV_TLS_CIPHER,  tls->cipher        },
        {MX_SPOOL_ENV_TLS_SNI,     tls->sni           },
        {MX_SPOOL_ENV_TLS_SUBJECT, tls->client_subject},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text.len > 0)
            put_span(self, rows[i].type, rows[i].text);
    }
}

/* Of the recipient that was put last. */
static void put_rcpt_extras(struct cursor *self, const struct mx_rcpt *rcpt) {
    static const struct {
        uint8_t bit;
        struct mx_span word;
    } words[] = {
        {MX_NOTIFY_NEVER,   MX_SPAN("NEVER")  },
        {MX_NOTIFY_SUCCESS, MX_SPAN("SUCCESS")},
        {MX_NOTIFY_FAILURE, MX_SPAN("FAILURE")},
        {MX_NOTIFY_DELAY,   MX_SPAN("DELAY")  }
    };
    char text[sizeof "SUCCESS,FAILURE,DELAY"];
    size_t len = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(rcpt->notify & words[i].bit))
            continue;
        if (len > 0)
            text[len++] = ',';
        memcpy(text + len, words[i].word.ptr, words[i].word.len);
        len += words[i].word.len;
    }
    if (len > 0)
        put(self, MX_SPOOL_ENV_NOTIFY, text, len);
    if (rcpt->orcpt.len > 0)
        put_span(self, MX_SPOOL_ENV_ORCPT, rcpt->orcpt);
}

static void put_extras(struct cursor *self, const struct mx_envelope *envelope) {
    static const struct mx_span rets[] = {
        [MX_RET_FULL] = MX_SPAN("FULL"), [MX_RET_HDRS] = MX_SPAN("HDRS")};
    struct mx_extras extras;
    if (!mx_envelope_extras(envelope, &extras))
        return;
    if (extras.ret != MX_RET_NONE)
        put_span(self, MX_SPOOL_ENV_RET, rets[extras.ret]);
    if (extras.envid_len > 0)
        put_span(self, MX_SPOOL_ENV_ENVID, mx_envelope_envid(envelope));
    if (extras.has_priority) {
        char digit = (char)('0' + (extras.priority < 0 ? -extras.priority : extras.priority));
        const char text[] = {'-', digit};
        bool is_negative = extras.priority < 0;
        put(self, MX_SPOOL_ENV_PRIORITY, text + !is_negative, (size_t)1 + is_negative);
    }
    if (extras.hold_until_s != 0)
        put(self, MX_SPOOL_ENV_HOLD_UNTIL, &extras.hold_until_s, sizeof extras.hold_until_s);
    if (extras.requires_tls)
        put(self, MX_SPOOL_ENV_REQUIRE_TLS, &extras.requires_tls, sizeof extras.requires_tls);
}

/* Lengths of four octets, each with an attribute behind it. */
static void put_attributes(struct cursor *self, struct mx_span attributes) {
    while (attributes.len > 0) {
        uint32_t len;
        memcpy(&len, attributes.ptr, sizeof len);
        put(self, MX_SPOOL_ENV_ATTRIBUTE, attributes.ptr + sizeof len, len);
        attributes = mx_span_skip(attributes, sizeof len + len);
    }
}

static void put_header(struct cursor *self, struct mx_span header, uint32_t replaces) {
    const struct mx_spool_tlv tlv = {.type = MX_SPOOL_ENV_HEADER,
                                     .len = (uint32_t)(sizeof replaces + header.len)};
    if (header.len == 0)
        return;
    if (self->to != NULL) {
        char *to = self->to + self->len;
        memcpy(to, &tlv, sizeof tlv);
        memcpy(to + sizeof tlv, &replaces, sizeof replaces);
        memcpy(to + sizeof tlv + sizeof replaces, header.ptr, header.len);
    }
    self->len += (uint32_t)sizeof tlv + tlv.len;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the cursor writes to it */
uint32_t mx_spool_envelope_put(const struct mx_spool_origin *origin, char *to) {
    const struct mx_session *session = origin->session;
    const struct mx_envelope *envelope = &session->envelope;
    struct cursor cursor = {to, 0};
    put_span(&cursor, MX_SPOOL_ENV_SENDER, mx_envelope_sender(envelope));
    uint32_t at = envelope->rcpts_at;
    for (struct mx_rcpt rcpt; mx_envelope_rcpt_next(envelope, &at, &rcpt);) {
        put_span(&cursor, MX_SPOOL_ENV_RCPT, rcpt.address);
        put_rcpt_extras(&cursor, &rcpt);
    }
    put_span(&cursor, MX_SPOOL_ENV_LISTENER, mx_span_of(origin->server_name));
    put_peer(&cursor, &session->peer);
    put(&cursor, MX_SPOOL_ENV_HELO, session->helo_name, session->helo_len);
    if (envelope->declared_size > 0)
        put(&cursor, MX_SPOOL_ENV_SIZE, &envelope->declared_size, sizeof envelope->declared_size);
    if (envelope->body_type != MX_BODY_NONE)
        put(&cursor, MX_SPOOL_ENV_BODY, &envelope->body_type, sizeof envelope->body_type);
    put(&cursor, MX_SPOOL_ENV_SESSION, &session->id, sizeof session->id);
    put_auth(&cursor, session);
    put_tls(&cursor, session);
    put_extras(&cursor, envelope);
    put_attributes(&cursor, origin->attributes);
    put_header(&cursor, origin->header, origin->header_replaces);
    return cursor.len;
}

uint16_t mx_spool_envelope_flags(const struct mx_session *session) {
    const struct mx_envelope *envelope = &session->envelope;
    unsigned flags = 0;
    flags |= session->dot.has_8bit ? MX_SPOOL_8BIT : 0;
    flags |= session->dot.has_nul ? MX_SPOOL_NUL : 0;
    flags |= session->dot.has_bare_cr ? MX_SPOOL_BARE_CR : 0;
    flags |= envelope->body_type == MX_BODY_BINARYMIME ? MX_SPOOL_BINARY : 0;
    flags |= envelope->is_smtputf8 ? MX_SPOOL_UTF8 : 0;
    flags |= session->conf->proto == MX_PROTO_LMTP ? MX_SPOOL_LMTP : 0;
    flags |= session->is_tls ? MX_SPOOL_TLS : 0;
    flags |= session->is_authenticated ? MX_SPOOL_AUTH : 0;
    return (uint16_t)flags;
}
