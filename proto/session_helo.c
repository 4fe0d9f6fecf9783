/* session_helo.c - HELO, EHLO, LHLO and the list of extensions. RFC 5321 4.1.1.1, RFC 2033 4.1. */
#include "proto/date.h"
#include "proto/path.h"
#include "proto/session_impl.h"

static void remember(struct mx_session *self, struct mx_span name) {
    size_t len = name.len < sizeof self->helo_name ? name.len : sizeof self->helo_name;
    if (len > 0)
        memcpy(self->helo_name, name.ptr, len);
    self->helo_len = (uint8_t)len;
}

/* "<helloName> Hello <arg> [<ip>]" */
static void put_hello(struct mx_session *self, struct mx_span name, struct mx_out *out) {
    char ip[MX_IP_TEXT_MAX];
    size_t ip_len = mx_ip_text(&self->peer, ip);
    mx_out_put(out, self->conf->hello_name);
    mx_out_put(out, MX_SPAN(" Hello "));
    /* code, " Hello ", " [", "])" and CRLF are 20 octets */
    mx_reply_echo(out, name, MX_REPLY_LINE_MAX - 20 - self->conf->hello_name.len - ip_len, false);
    mx_out_put(out, MX_SPAN(" ["));
    mx_out_put(out, (struct mx_span){ip, ip_len});
    mx_out_put(out, self->conf->has_james_texts ? MX_SPAN("])\r\n") : MX_SPAN("]\r\n"));
}

/* Each row writes the text behind "250-"; false: the line does not apply. */
typedef bool feature_fn(const struct mx_session *self, struct mx_out *out);

static bool put_smtputf8(const struct mx_session *self, struct mx_out *out) {
    if (!self->conf->has_smtputf8)
        return false;
    mx_out_put(out, MX_SPAN("SMTPUTF8"));
    return true;
}

static bool put_mechanisms(const struct mx_session *self, char before, struct mx_out *out) {
    if (!mx_session_announces_auth(self))
        return false;
    mx_out_put(out, MX_SPAN("AUTH"));
    for (uint32_t i = 0; i < self->conf->mechanism_count; i++) {
        mx_out_put(out, (struct mx_span){i == 0 ? &before : " ", 1});
        mx_out_put(out, mx_sasl_name((enum mx_sasl_mechanism)self->conf->mechanisms[i]));
    }
    return true;
}

static bool put_auth(const struct mx_session *self, struct mx_out *out) {
    return put_mechanisms(self, ' ', out);
}

/* For clients older than RFC 2554. */
static bool put_old_auth(const struct mx_session *self, struct mx_out *out) {
    return put_mechanisms(self, '=', out);
}

static bool put_future_release(const struct mx_session *self, struct mx_out *out) {
    enum { HOLD_MAX_S = 86400 };
    char moment[MX_MOMENT_TEXT];
    if (!self->is_authenticated)
        return false;
    mx_moment_text(self->shared->now_s + HOLD_MAX_S, moment);
    mx_out_put(out, MX_SPAN("FUTURERELEASE 86400 "));
    mx_out_put(out, (struct mx_span){moment, sizeof moment});
    return true;
}

static bool put_require_tls(const struct mx_session *self, struct mx_out *out) {
    if (self->is_tls)
        mx_out_put(out, MX_SPAN("REQUIRETLS"));
    return self->is_tls;
}

static bool put_dsn(const struct mx_session *self, struct mx_out *out) {
    (void)self;
    mx_out_put(out, MX_SPAN("DSN"));
    return true;
}

static bool put_priority(const struct mx_session *self, struct mx_out *out) {
    (void)self;
    mx_out_put(out, MX_SPAN("MT-PRIORITY"));
    return true;
}

static bool put_limits(const struct mx_session *self, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (conf->max_recipients == 0 && conf->max_transactions == 0)
        return false;
    mx_out_put(out, MX_SPAN("LIMITS"));
    if (conf->max_transactions > 0) {
        mx_out_put(out, MX_SPAN(" MAILMAX="));
        mx_reply_number(out, conf->max_transactions);
    }
    if (conf->max_recipients > 0) {
        mx_out_put(out, MX_SPAN(" RCPTMAX="));
        mx_reply_number(out, conf->max_recipients);
    }
    return true;
}

static bool put_size(const struct mx_session *self, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (conf->max_message_octets == 0)
        return false;
    mx_out_put(out, MX_SPAN("SIZE "));
    mx_reply_number(out, conf->max_message_octets);
    return true;
}

static bool put_starttls(const struct mx_session *self, struct mx_out *out) {
    if (!self->conf->has_starttls || self->is_tls)
        return false;
    mx_out_put(out, MX_SPAN("STARTTLS"));
    return true;
}

static const struct {
    struct mx_span keyword; /* or */
    feature_fn *put;
    uint32_t hidden_by; /* 0: cannot be hidden */
} features[] = {
    {{0},                            put_smtputf8, 0                                          },
    {{0},                            put_auth,     0                                          },
    {{0},                            put_old_auth, 0                                          },
    {MX_SPAN("PIPELINING"),          NULL,         MX_FEATURE_PIPELINING                      },
    {MX_SPAN("ENHANCEDSTATUSCODES"), NULL,         MX_FEATURE_ENHANCEDSTATUSCODES             },
    {MX_SPAN("8BITMIME"),            NULL,         MX_FEATURE_8BITMIME                        },
    {MX_SPAN("CHUNKING"),            NULL,         MX_FEATURE_CHUNKING                        },
 /* RFC 3030 4: BINARYMIME needs CHUNKING, so hiding either hides this line */
    {MX_SPAN("BINARYMIME"),          NULL,         MX_FEATURE_BINARYMIME | MX_FEATURE_CHUNKING},
    {{0},                            put_limits,   MX_FEATURE_LIMITS                          },
    {{0},                            put_size,     0                                          },
    {{0},                            put_starttls, 0                                          },
};

/* "250-TEXT"; where the last line begins, then. */
static uint32_t put_line(const struct mx_session *self, feature_fn *put, struct mx_span keyword,
                         uint32_t last_line, struct mx_out *out) {
    uint32_t line = out->len;
    mx_out_put(out, MX_SPAN("250-"));
    if (put != NULL && !put(self, out)) {
        out->len = line;
        return last_line;
    }
    mx_out_put(out, keyword);
    mx_out_put(out, MX_SPAN("\r\n"));
    return line;
}

static uint32_t put_hook_lines(const struct mx_session *self, uint32_t last_line,
                               struct mx_out *out) {
    static feature_fn *const lines[MX_EHLO_LINE_COUNT] = {
        [MX_EHLO_DSN] = put_dsn,
        [MX_EHLO_FUTURERELEASE] = put_future_release,
        [MX_EHLO_MT_PRIORITY] = put_priority,
        [MX_EHLO_REQUIRETLS] = put_require_tls,
    };
    const struct mx_session_conf *conf = self->conf;
    for (uint32_t i = 0; i < conf->ehlo_line_count; i++)
        last_line = put_line(self, lines[conf->ehlo_lines[i]], (struct mx_span){0}, last_line, out);
    return last_line;
}

static void put_features(const struct mx_session *self, uint32_t last_line, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (features[i].hidden_by == MX_FEATURE_CHUNKING)
            last_line = put_hook_lines(self, last_line, out);
        if (!(features[i].hidden_by & conf->hidden_features))
            last_line = put_line(self, features[i].put, features[i].keyword, last_line, out);
    }
    out->ptr[last_line + 3] = ' ';
}

static enum mx_action refuse_missing(struct mx_session *self, enum mx_verb verb,
                                     struct mx_out *out) {
    mx_session_count_reply(self, '5');
    mx_out_put(out, MX_SPAN("501 5.5.4 Domain address required: "));
    mx_out_put(out, mx_span_of(mx_verb_name(verb)));
    mx_out_put(out, MX_SPAN("\r\n"));
    return MX_ACTION_NONE;
}

/* What the three verbs have in common; true: go on with the reply, else return *action. */
static bool greet(struct mx_session *self, enum mx_verb verb, struct mx_span name,
                  enum mx_action *action, struct mx_out *out) {
    *action = MX_ACTION_NONE;
    mx_session_reset(self);
    if (name.len == 0 && !self->conf->accepts_all) {
        refuse_missing(self, verb, out);
        return false;
    }
    remember(self, name); /* also when it is refused, as James does; the verb stays */
    if (!self->conf->accepts_all && !mx_helo_is_valid(name, verb != MX_VERB_HELO)) {
        SAY(self, out, "501 5.5.2 Invalid domain name or ip supplied as HELO argument");
        return false;
    }
    if (!mx_session_hook_first(self, MX_HOOK_HELO, action))
        return false;
    self->has_helo = true;
    self->helo_verb = (uint8_t)verb;
    return true;
}

enum mx_action mx_session_helo(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    enum mx_action action;
    if (!greet(self, MX_VERB_HELO, args, &action, out))
        return action;
    mx_out_put(out, MX_SPAN("250 "));
    put_hello(self, args, out);
    return MX_ACTION_NONE;
}

enum mx_action mx_session_ehlo(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    enum mx_verb verb = self->conf->proto == MX_PROTO_LMTP ? MX_VERB_LHLO : MX_VERB_EHLO;
    enum mx_action action;
    if (!greet(self, verb, args, &action, out))
        return action;
    uint32_t line = out->len;
    mx_out_put(out, MX_SPAN("250-"));
    put_hello(self, args, out);
    put_features(self, line, out);
    return MX_ACTION_NONE;
}
