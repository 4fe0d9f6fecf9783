/* session_mail.c - MAIL and RCPT. RFC 5321 4.1.1.2, 4.1.1.3; RFC 1870, 6152, 3030, 4954, 6531. */
#include "proto/param.h"
#include "proto/path.h"
#include "proto/session_impl.h"
#include "proto/trace_header.h"
#include "proto/xtext.h"

/* Take "FROM:" or "TO:" off the front of *args. */
static bool take_keyword(struct mx_span *args, struct mx_span keyword) {
    const char *colon = args->len > 0 ? memchr(args->ptr, ':', args->len) : NULL;
    if (colon == NULL)
        return false;
    struct mx_span word = {args->ptr, (size_t)(colon - args->ptr)};
    while (word.len > 0 && word.ptr[0] == ' ')
        word = mx_span_skip(word, 1);
    while (word.len > 0 && word.ptr[word.len - 1] == ' ')
        word.len--;
    *args = mx_span_skip(*args, (size_t)(colon - args->ptr) + 1);
    return mx_span_equal_nocase(word, keyword);
}

/* The path of a sink: whatever stands between the brackets, or up to the first space. */
static void split_anything(struct mx_span text, struct mx_span *inner, struct mx_span *rest) {
    int err = mx_path_split(text, false, inner, rest);
    if (err < 0) { /* a sink takes what it gets: the whole argument is the address */
        *inner = text;
        *rest = (struct mx_span){0};
    }
}

/* "250 2.1.x Who <address> OK" */
static void put_accepted(struct mx_session *self, struct mx_span prefix, struct mx_span address,
                         struct mx_out *out) {
    mx_out_put(out, prefix);
    mx_reply_echo(out, address, MX_REPLY_LINE_MAX - 40, self->envelope.is_smtputf8);
    mx_out_put(out, MX_SPAN("> OK\r\n"));
}

/* Parse an address; texts for what is wrong with it. */
static int parse_address(const struct mx_session *self, struct mx_span text, struct mx_path *path,
                         bool *needs_smtputf8) {
    *needs_smtputf8 = false;
    if (self->conf->accepts_all) {
        *path = (struct mx_path){.local = text};
        return 0;
    }
    int err = mx_path_parse(text, self->envelope.is_smtputf8, path);
    if (err < 0) {
        bool could_be_utf8 = self->conf->has_smtputf8 && !self->envelope.is_smtputf8;
        *needs_smtputf8 = could_be_utf8 && mx_path_parse(text, true, path) == 0;
        return err;
    }
    if (path->local.len > 0 && path->domain.len == 0)
        path->domain = self->conf->default_domain;
    return 0;
}

/* ---- MAIL ---- */

static const struct {
    struct mx_span name;
    enum mx_body_type type;
} body_types[] = {
    {MX_SPAN("7BIT"),       MX_BODY_7BIT      },
    {MX_SPAN("8BITMIME"),   MX_BODY_8BITMIME  },
    {MX_SPAN("BINARYMIME"), MX_BODY_BINARYMIME},
};

static enum mx_body_type body_type(const struct mx_session *self, struct mx_span value) {
    for (size_t i = 0; i < sizeof body_types / sizeof *body_types; i++) {
        if (mx_span_equal_nocase(value, body_types[i].name)) {
            uint32_t hidden = self->conf->hidden_features;
            bool is_off = body_types[i].type == MX_BODY_BINARYMIME &&
                          (hidden & (MX_FEATURE_BINARYMIME | MX_FEATURE_CHUNKING));
            return is_off ? MX_BODY_NONE : body_types[i].type;
        }
    }
    return MX_BODY_NONE;
}

/* Returns the refusal, or an empty span. */
static struct mx_span size_param(struct mx_session *self, const struct mx_param *param) {
    uint64_t size = 0;
    if (!mx_param_u64(param->value, &size)) {
        return self->conf->accepts_all
                   ? (struct mx_span){0}
                   : MX_SPAN("501 5.5.4 Syntactically incorrect value for SIZE parameter\r\n");
    }
    self->envelope.declared_size = size;
    if (self->conf->max_message_octets > 0 && size > self->conf->max_message_octets) {
        self->shared->counters.size_limit++;
        return MX_SPAN("552 5.3.4 Message size exceeds fixed maximum message size\r\n");
    }
    return (struct mx_span){0};
}

/* What MAIL says beside what goes into the envelope at once. */
struct mail {
    struct mx_path path;
    struct mx_span auth;          /* AUTH=, decoded; empty: not given */
    char room[MX_AUTH_PARAM_MAX]; /* for auth */
    struct mx_mail_extras extras;
};

/* RFC 4954 5: whose mail it is, as the client says. Nobody else's word counts than that of who is
 * logged in, and what is no address is nobody; James does not look at it. */
static void auth_param(const struct mx_session *self, const struct mx_param *param,
                       struct mail *mail) {
    struct mx_path path;
    size_t len = 0;
    mail->auth = MX_SPAN("<>");
    if (!self->is_authenticated ||
        mx_xtext_decode(param->value, mail->room, sizeof mail->room, &len) < 0 ||
        mx_path_parse((struct mx_span){mail->room, len}, true, &path) < 0 || path.local.len == 0 ||
        path.domain.len == 0)
        return;
    mail->auth = (struct mx_span){mail->room, len};
}

/* RFC 6531 3.4: the parameter takes no value. */
static const struct mx_span bad_smtputf8 =
    MX_SPAN("501 5.5.4 Syntax error in SMTPUTF8 parameter\r\n");

static bool is_smtputf8(const struct mx_session *self, const struct mx_param *param) {
    return self->conf->has_smtputf8 && mx_param_is(param, MX_SPAN("SMTPUTF8"));
}

/* Unknown parameters of MAIL are ignored, as James does. Returns the refusal, or an empty span. */
static struct mx_span mail_params(struct mx_session *self, struct mx_span rest, struct mail *mail) {
    struct mx_param param;
    while (mx_param_take(&rest, &param)) {
        if (mx_param_is(&param, MX_SPAN("SIZE"))) {
            struct mx_span refusal = size_param(self, &param);
            if (refusal.len > 0)
                return refusal;
        } else if (mx_param_is(&param, MX_SPAN("BODY"))) {
            self->envelope.body_type = (uint8_t)body_type(self, param.value);
        } else if (self->conf->has_auth && mx_param_is(&param, MX_SPAN("AUTH"))) {
            auth_param(self, &param, mail);
        } else if (is_smtputf8(self, &param)) {
            if (param.has_value && !self->conf->accepts_all)
                return bad_smtputf8;
            self->envelope.is_smtputf8 = true;
        } else if (self->conf->extensions != 0) {
            struct mx_span refusal = mx_session_mail_extension(self, &param, &mail->extras);
            if (refusal.len > 0)
                return refusal;
        }
    }
    return (struct mx_span){0};
}

static enum mx_action on_mail_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0) {
        mx_envelope_reset(&self->envelope);
        return mx_session_refuse(self, out);
    }
    self->transaction_count++;
    put_accepted(self, MX_SPAN("250 2.1.0 Sender <"), mx_envelope_sender(&self->envelope), out);
    return MX_ACTION_NONE;
}

/* Where James looks for parameters, whatever else is wrong with the path: behind "> ". */
static struct mx_span behind_brackets(struct mx_span text) {
    const char *begin = text.len > 0 ? memchr(text.ptr, '<', text.len) : NULL;
    if (begin == NULL)
        return (struct mx_span){0};
    text = mx_span_skip(text, (size_t)(begin - text.ptr));
    const char *end = memchr(text.ptr, '>', text.len);
    if (end == NULL)
        return (struct mx_span){0};
    text = mx_span_skip(text, (size_t)(end - text.ptr) + 1);
    return text.len > 0 && *text.ptr == ' ' ? text : (struct mx_span){0};
}

/* Parse the argument of MAIL. Returns the refusal, or an empty span. */
static struct mx_span mail_parse(struct mx_session *self, struct mx_span args, struct mail *mail) {
    const struct mx_session_conf *conf = self->conf;
    if (!take_keyword(&args, MX_SPAN("FROM")))
        return MX_SPAN("501 5.5.4 Usage: MAIL FROM:<sender>\r\n");
    bool needs_brackets = conf->needs_brackets && conf->proto == MX_PROTO_SMTP;
    struct mx_span inner = {0}, rest = {0};
    bool is_split = true;
    if (conf->accepts_all)
        split_anything(args, &inner, &rest);
    else
        is_split = mx_path_split(args, needs_brackets, &inner, &rest) == 0;
    struct mx_span refusal = mail_params(self, is_split ? rest : behind_brackets(args), mail);
    if (refusal.len > 0)
        return refusal;
    if (!is_split)
        return MX_SPAN("501 5.1.7 Syntax error in MAIL command\r\n");
    bool needs_smtputf8;
    if (parse_address(self, inner, &mail->path, &needs_smtputf8) == 0)
        return (struct mx_span){0};
    return needs_smtputf8 ? MX_SPAN("550 5.6.7 Address needs the SMTPUTF8 parameter\r\n")
                          : MX_SPAN("501 5.1.7 Syntax error in sender address\r\n");
}

static uint32_t need_of(const struct mail *mail) {
    uint32_t extras = mail->extras.is_any ? mx_envelope_need_extras(mail->extras.envid) : 0;
    return mx_envelope_need(mail->path.local, mail->path.domain) +
           mx_envelope_need_text(mail->auth) + extras;
}

static int store_mail(struct mx_envelope *envelope, const struct mail *mail) {
    int err = mx_envelope_set_sender(envelope, mail->path.local, mail->path.domain);
    if (err == 0)
        err = mx_envelope_set_auth(envelope, mail->auth);
    if (err == 0 && mail->extras.is_any)
        err = mx_envelope_set_extras(envelope, &mail->extras.values, mail->extras.envid);
    return err;
}

enum mx_action mx_session_mail(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (conf->max_transactions > 0 && self->transaction_count >= conf->max_transactions) {
        self->shared->counters.transaction_limit++;
        mx_session_count_reply(self, '4');
        mx_out_put(out, MX_SPAN("421 4.7.0 "));
        mx_out_put(out, conf->hello_name);
        mx_out_put(out, MX_SPAN(" Too many transactions\r\n"));
        return mx_session_end(self);
    }
    struct mail mail;
    mail.path = (struct mx_path){0};
    mail.auth = (struct mx_span){0};
    mail.extras.is_any = false;
    struct mx_span refusal = mail_parse(self, args, &mail);
    if (refusal.len == 0 && self->is_memory_refused)
        refusal = MX_SPAN("452 4.3.1 Insufficient system storage\r\n");
    if (refusal.len > 0) {
        mx_envelope_reset(&self->envelope);
        return mx_session_say(self, out, refusal);
    }
    if (store_mail(&self->envelope, &mail) < 0) {
        mx_envelope_reset(&self->envelope);
        /* with room for the Received line, so that a usual message never grows again */
        uint32_t trace = self->conf->needs_trace ? MX_TRACE_HEADER_MAX : 0;
        return mx_session_grow(self, need_of(&mail) + trace);
    }
    return mx_session_ask_hook(self, MX_HOOK_MAIL, on_mail_hook, out);
}

/* ---- RCPT ---- */

static enum mx_action refuse_option(struct mx_session *self, struct mx_span key,
                                    struct mx_out *out) {
    mx_session_count_reply(self, '5');
    mx_out_put(out, MX_SPAN("504 Unrecognized or unsupported option: "));
    uint32_t start = out->len;
    mx_reply_echo(out, key, MX_REPLY_LINE_MAX - 50, false);
    for (uint32_t i = start; i < out->len; i++)
        out->ptr[i] = mx_ascii_upper(out->ptr[i]);
    mx_out_put(out, MX_SPAN("\r\n"));
    return MX_ACTION_NONE;
}

static enum mx_action on_rcpt_hook(struct mx_session *self, int result, struct mx_out *out) {
    if (result < 0) {
        mx_envelope_drop_rcpt(&self->envelope, self->rcpt_at);
        return mx_session_refuse(self, out);
    }
    struct mx_rcpt rcpt = {0};
    uint32_t cursor = self->rcpt_at;
    bool is_there = mx_envelope_rcpt_next(&self->envelope, &cursor, &rcpt);
    assert(is_there);
    put_accepted(self, MX_SPAN("250 2.1.5 Recipient <"), rcpt.address, out);
    return MX_ACTION_NONE;
}

static enum mx_action refuse_count(struct mx_session *self, struct mx_span text,
                                   struct mx_out *out) {
    self->shared->counters.recipient_limit++;
    return mx_session_say(self, out, text);
}

static enum mx_action add_rcpt(struct mx_session *self, const struct mx_path *path,
                               const struct mx_rcpt_extras *extras, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    struct mx_envelope *envelope = &self->envelope;
    if (conf->max_recipients > 0 && envelope->rcpt_count >= conf->max_recipients)
        return refuse_count(self, MX_SPAN("452 4.5.3 Too many recipients\r\n"), out);
    self->rcpt_at = envelope->rcpts_end;
    if (mx_envelope_add_rcpt_with(envelope, path->local, path->domain, extras->notify,
                                  extras->orcpt) < 0) {
        if (self->is_memory_refused)
            return refuse_count(self, MX_SPAN("452 4.5.3 Too many recipients\r\n"), out);
        self->grows_for_rcpt = true;
        return mx_session_grow(self, envelope->used + mx_envelope_need(path->local, path->domain) +
                                         mx_envelope_need_text(extras->orcpt));
    }
    return mx_session_ask_hook(self, MX_HOOK_RCPT, on_rcpt_hook, out);
}

/* Returns the refusal, or an empty span; *unknown is a parameter that nobody knows. */
static struct mx_span rcpt_params(struct mx_session *self, struct mx_span rest,
                                  struct mx_rcpt_extras *extras, struct mx_span *unknown) {
    struct mx_span refusal = {0};
    struct mx_param param;
    while (!self->conf->accepts_all && refusal.len == 0 && mx_param_take(&rest, &param)) {
        if (is_smtputf8(self, &param)) {
            refusal = param.has_value ? bad_smtputf8 : (struct mx_span){0};
        } else if (!mx_session_rcpt_extension(self, &param, extras, &refusal)) {
            *unknown = param.key;
            return refusal;
        }
    }
    return refusal;
}

enum mx_action mx_session_rcpt(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    if (!take_keyword(&args, MX_SPAN("TO")))
        return SAY(self, out, "501 5.5.2 Usage: RCPT TO:<recipient>");
    bool needs_brackets = conf->needs_brackets && conf->proto == MX_PROTO_SMTP;
    struct mx_span inner = {0}, rest = {0};
    if (conf->accepts_all)
        split_anything(args, &inner, &rest);
    else if (mx_path_split(args, needs_brackets, &inner, &rest) < 0)
        return SAY(self, out, "501 5.5.2 Syntax error in parameters or arguments");
    struct mx_path path = {0};
    bool needs_smtputf8;
    if (parse_address(self, inner, &path, &needs_smtputf8) < 0 ||
        (path.local.len == 0 && !conf->accepts_all)) {
        return needs_smtputf8 ? SAY(self, out, "553 5.6.7 Address needs the SMTPUTF8 parameter")
                              : SAY(self, out, "553 5.1.3 Syntax error in recipient address");
    }
    struct mx_rcpt_extras extras;
    extras.notify = 0;
    extras.orcpt = (struct mx_span){0};
    struct mx_span key = {0}, refusal = rcpt_params(self, rest, &extras, &key);
    if (key.len > 0)
        return refuse_option(self, key, out);
    if (refusal.len > 0)
        return mx_session_say(self, out, refusal);
    return add_rcpt(self, &path, &extras, out);
}
