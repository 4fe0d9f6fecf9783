/* session_auth.c - AUTH: the exchange, as far as it needs no secrets of ours. RFC 4954.
 *
 * An exchange is a row of steps; each takes one response of the client. Whatever is decoded goes
 * into the driver's block, which is wiped at the end, and nowhere else.
 */
#include "proto/base64.h"
#include "proto/session_impl.h"

enum step {
    STEP_PLAIN,       /* PLAIN: all of it */
    STEP_LOGIN,       /* LOGIN: the name ... */
    STEP_PASSWORD,    /* ... and the password */
    STEP_FIRST,       /* SCRAM: client-first-message */
    STEP_FINAL,       /* ... client-final-message */
    STEP_ACKNOWLEDGE, /* ... nothing, behind our signature */
};

static struct mx_auth *auth_of(const struct mx_session *self) {
    assert(self->login != NULL && self->login->auth != NULL);
    return self->login->auth;
}

/* ---- how it ends ---- */

static void end_exchange(struct mx_session *self) {
    self->is_in_auth = false;
    if (self->state == MX_STATE_AUTH)
        mx_session_enter(self, MX_STATE_COMMAND);
}

static enum mx_action end_with(struct mx_session *self, struct mx_out *out, struct mx_span line) {
    end_exchange(self);
    return mx_session_say(self, out, line);
}
#define END_WITH(self, out, text) end_with((self), (out), MX_SPAN(text "\r\n"))

static enum mx_action cannot_decode(struct mx_session *self, struct mx_out *out) {
    struct mx_span name = mx_sasl_name((enum mx_sasl_mechanism)auth_of(self)->mechanism);
    end_exchange(self);
    mx_session_count_reply(self, '5');
    mx_out_put(out, MX_SPAN("501 Could not decode parameters for AUTH "));
    mx_out_put(out, name);
    mx_out_put(out, MX_SPAN("\r\n"));
    return MX_ACTION_NONE;
}

static enum mx_action succeed(struct mx_session *self, struct mx_out *out) {
    self->is_authenticated = true;
    self->login->mechanism = auth_of(self)->mechanism;
    self->shared->counters.logins++;
    return END_WITH(self, out, "235 Authentication Successful");
}

static enum mx_action on_delayed(struct mx_session *self, int result, struct mx_out *out) {
    (void)result;
    return END_WITH(self, out, "535 Authentication Failed");
}

/* The login is wrong; in what, nobody learns. */
static enum mx_action fail(struct mx_session *self, struct mx_out *out) {
    if (self->auth_failures < UINT16_MAX)
        self->auth_failures++;
    self->shared->counters.logins_failed++;
    if (self->conf->auth_failure_delay_ms == 0)
        return on_delayed(self, 0, out);
    self->delay_ms = self->conf->auth_failure_delay_ms;
    return mx_session_park(self, MX_ACTION_DELAY, on_delayed, MX_STATE_COMMAND);
}

/* ---- what we say within ---- */

static enum mx_action prompt(struct mx_session *self, enum step step, struct mx_span text,
                             struct mx_out *out) {
    auth_of(self)->step = (uint8_t)step;
    if (self->state != MX_STATE_AUTH)
        mx_session_enter(self, MX_STATE_AUTH);
    mx_out_put(out, MX_SPAN("334 "));
    mx_out_put(out, text);
    mx_out_put(out, MX_SPAN("\r\n"));
    return MX_ACTION_NONE;
}

static enum mx_action prompt_encoded(struct mx_session *self, enum step step, struct mx_span text,
                                     struct mx_out *out) {
    char encoded[MX_BASE64_LEN(MX_AUTH_SERVER_FIRST_MAX)];
    assert(text.len <= MX_AUTH_SERVER_FIRST_MAX);
    size_t len = mx_base64_encode(text, encoded);
    return prompt(self, step, (struct mx_span){encoded, len}, out);
}

/* Append to the text that the proof is about. */
static void put_text(struct mx_auth *auth, struct mx_span text) {
    assert(text.len <= (size_t)(MX_AUTH_TEXT_MAX - auth->text_len));
    memcpy(auth->text + auth->text_len, text.ptr, text.len);
    auth->text_len = (uint16_t)(auth->text_len + text.len);
}

static void put_number(struct mx_auth *auth, uint32_t number) {
    char digits[20];
    struct mx_out out = {.ptr = digits, .cap = sizeof digits};
    mx_reply_number(&out, number);
    put_text(auth, (struct mx_span){digits, out.len});
}

/* server-first-message. There is room: mx_sasl_first has bounded the client's. */
static enum mx_action put_server_first(struct mx_session *self, struct mx_out *out) {
    struct mx_auth *auth = auth_of(self);
    struct mx_span theirs = {auth->text + auth->nonce_at, auth->nonce_len};
    assert(auth->salt_len <= sizeof auth->salt && auth->our_nonce_len <= sizeof auth->our_nonce);
    put_text(auth, MX_SPAN(","));
    uint16_t begin = auth->text_len;
    put_text(auth, MX_SPAN("r="));
    auth->nonce_at = auth->text_len;
    auth->nonce_len = (uint16_t)(theirs.len + auth->our_nonce_len);
    put_text(auth, theirs);
    put_text(auth, (struct mx_span){auth->our_nonce, auth->our_nonce_len});
    put_text(auth, MX_SPAN(",s="));
    put_text(auth, (struct mx_span){auth->salt, auth->salt_len});
    put_text(auth, MX_SPAN(",i="));
    put_number(auth, auth->iterations);
    struct mx_span message = {auth->text + begin, (size_t)(auth->text_len - begin)};
    return prompt_encoded(self, STEP_FINAL, message, out);
}

static enum mx_action put_server_final(struct mx_session *self, struct mx_out *out) {
    struct mx_auth *auth = auth_of(self);
    char message[2 + MX_BASE64_LEN(MX_SASL_DIGEST)] = "v=";
    struct mx_span signature = {(const char *)auth->signature, sizeof auth->signature};
    size_t len = 2 + mx_base64_encode(signature, message + 2);
    return prompt_encoded(self, STEP_ACKNOWLEDGE, (struct mx_span){message, len}, out);
}

/* ---- what the driver says ---- */

static enum mx_action on_answer(struct mx_session *self, int result, struct mx_out *out) {
    switch (result) {
    case 0:
        break;
    case -EACCES:
        return fail(self, out);
    case -EBUSY:
    case -ENOMEM:
        return END_WITH(self, out, "454 4.7.0 Temporary authentication failure");
    default:
        return END_WITH(self, out, "451 Unable to process request");
    }
    switch ((enum mx_auth_ask)auth_of(self)->ask) {
    case MX_AUTH_PASSWORD:
        return succeed(self, out);
    case MX_AUTH_SALT:
        return put_server_first(self, out);
    case MX_AUTH_PROOF:
        break;
    }
    return put_server_final(self, out);
}

static enum mx_action ask(struct mx_session *self, enum mx_auth_ask what) {
    auth_of(self)->ask = (uint8_t)what;
    return mx_session_park(self, MX_ACTION_AUTH, on_answer, MX_STATE_COMMAND);
}

/* ---- the steps: each gets a response, decoded to the end of the block's text ---- */

static bool set_name(struct mx_session *self, struct mx_span name) {
    struct mx_login *login = self->login;
    if (name.len == 0 || name.len > sizeof login->name)
        return false;
    memcpy(login->name, name.ptr, name.len);
    login->name_len = (uint8_t)name.len;
    return true;
}

static enum mx_action ask_password(struct mx_session *self, struct mx_span password,
                                   struct mx_out *out) {
    struct mx_auth *auth = auth_of(self);
    if (password.len > sizeof auth->password)
        return fail(self, out);
    memcpy(auth->password, password.ptr, password.len);
    auth->password_len = (uint16_t)password.len;
    return ask(self, MX_AUTH_PASSWORD);
}

/* To act for somebody else takes a grant, and there are none. */
static bool is_delegation(const struct mx_session *self, struct mx_span authz) {
    return authz.len > 0 && !mx_span_equal_nocase(authz, mx_login_name(self->login));
}

static enum mx_action take_plain(struct mx_session *self, struct mx_span text, struct mx_out *out) {
    struct mx_sasl_plain plain;
    if (mx_sasl_plain(text, &plain) < 0 || !set_name(self, plain.login))
        return cannot_decode(self, out);
    if (is_delegation(self, plain.authz))
        return fail(self, out);
    return ask_password(self, plain.password, out);
}

static enum mx_action take_login(struct mx_session *self, struct mx_span text, struct mx_out *out) {
    if (!set_name(self, text))
        return cannot_decode(self, out);
    return prompt(self, STEP_PASSWORD, MX_SPAN("UGFzc3dvcmQ6"), out);
}

static enum mx_action take_first(struct mx_session *self, struct mx_span text, struct mx_out *out) {
    struct mx_sasl_first first;
    struct mx_auth *auth = auth_of(self);
    if (mx_sasl_first(text, &first) < 0 || text.len > MX_AUTH_CLIENT_FIRST_MAX ||
        !set_name(self, (struct mx_span){first.login, first.login_len}))
        return cannot_decode(self, out);
    if (is_delegation(self, (struct mx_span){first.authz, first.authz_len}))
        return fail(self, out);
    auth->text_len = (uint16_t)text.len;
    auth->header_len = (uint16_t)first.header.len;
    auth->nonce_at = (uint16_t)(first.nonce.ptr - auth->text);
    auth->nonce_len = (uint16_t)first.nonce.len;
    return ask(self, MX_AUTH_SALT);
}

/* RFC 5802 6: "c=" is the header once more, so that nobody on the way can change it. */
static bool is_binding(const struct mx_auth *auth, struct mx_span binding) {
    char header[MX_AUTH_CLIENT_FIRST_MAX];
    size_t len = 0;
    return mx_base64_decode(binding, header, sizeof header, &len) == 0 &&
           mx_span_equal((struct mx_span){header, len},
                         (struct mx_span){auth->text, auth->header_len});
}

static enum mx_action take_final(struct mx_session *self, struct mx_span text, struct mx_out *out) {
    struct mx_sasl_final final;
    struct mx_auth *auth = auth_of(self);
    if (mx_sasl_final(text, &final) < 0)
        return cannot_decode(self, out);
    struct mx_span nonce = {auth->text + auth->nonce_at, auth->nonce_len};
    if (!is_binding(auth, final.binding) || !mx_span_equal(final.nonce, nonce))
        return fail(self, out);
    memcpy(auth->proof, final.proof, sizeof auth->proof);
    /* the response stands one octet behind the text already */
    auth->text[auth->text_len] = ',';
    auth->text_len = (uint16_t)(auth->text_len + 1 + final.without_proof.len);
    return ask(self, MX_AUTH_PROOF);
}

static enum mx_action take_acknowledge(struct mx_session *self, struct mx_span text,
                                       struct mx_out *out) {
    return text.len > 0 ? cannot_decode(self, out) : succeed(self, out);
}

static enum mx_action take_response(struct mx_session *self, struct mx_span line,
                                    struct mx_out *out) {
    static enum mx_action (*const steps[])(struct mx_session *, struct mx_span, struct mx_out *) = {
        [STEP_PLAIN] = take_plain, [STEP_LOGIN] = take_login, [STEP_PASSWORD] = ask_password,
        [STEP_FIRST] = take_first, [STEP_FINAL] = take_final, [STEP_ACKNOWLEDGE] = take_acknowledge,
    };
    struct mx_auth *auth = auth_of(self);
    /* behind a comma that may come to stand there; the first one stands at the begin */
    size_t at = auth->text_len > 0 ? auth->text_len + 1u : 0, len = 0;
    if (mx_base64_decode(line, auth->text + at, sizeof auth->text - at, &len) < 0)
        return cannot_decode(self, out);
    return steps[auth->step](self, (struct mx_span){auth->text + at, len}, out);
}

/* ---- the command and its responses ---- */

static void note_secret(struct mx_session *self, struct mx_span text) {
    struct mx_span *secret = &self->shared->secret;
    if (text.len == 0)
        return; /* it may have no pointer */
    if (secret->len == 0)
        *secret = text;
    else /* further down in the same input */
        secret->len = (size_t)(text.ptr - secret->ptr) + text.len;
}

static enum mx_action on_memory(struct mx_session *self, int result, struct mx_out *out) {
    (void)out;
    assert(result < 0 || auth_of(self) != NULL);
    self->is_memory_refused = result < 0;
    self->is_in_auth = result == 0;
    return MX_ACTION_NONE;
}

static bool has_mechanism(const struct mx_session_conf *conf, enum mx_sasl_mechanism mechanism) {
    for (uint32_t i = 0; i < conf->mechanism_count; i++) {
        if (conf->mechanisms[i] == mechanism)
            return true;
    }
    return false;
}

static enum mx_action begin(struct mx_session *self, enum mx_sasl_mechanism mechanism,
                            const struct mx_span *response, struct mx_out *out) {
    static const struct {
        enum step step;
        struct mx_span text;
    } rows[MX_SASL_COUNT] = {
        [MX_SASL_LOGIN] = {STEP_LOGIN, MX_SPAN("VXNlcm5hbWU6")},
        [MX_SASL_PLAIN] = {STEP_PLAIN, MX_SPAN("")            },
        [MX_SASL_SCRAM_SHA_256] = {STEP_FIRST, MX_SPAN("")            },
    };
    struct mx_auth *auth = auth_of(self);
    auth->mechanism = (uint8_t)mechanism;
    auth->step = (uint8_t)rows[mechanism].step;
    if (response == NULL)
        return prompt(self, rows[mechanism].step, rows[mechanism].text, out);
    /* RFC 4954 4: "=" is a response of no octets */
    bool is_empty = mx_span_equal(*response, MX_SPAN("="));
    return take_response(self, is_empty ? (struct mx_span){response->ptr, 0} : *response, out);
}

static enum mx_action run_auth(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    const struct mx_session_conf *conf = self->conf;
    enum mx_sasl_mechanism mechanism;
    if (args.len == 0)
        return SAY(self, out, "501 5.5.4 Usage: AUTH (authentication type) <challenge>");
    const char *space = memchr(args.ptr, ' ', args.len);
    struct mx_span name = {args.ptr, space != NULL ? (size_t)(space - args.ptr) : args.len};
    struct mx_span response = mx_span_skip(args, space != NULL ? name.len + 1 : name.len);
    if (!mx_sasl_find(name, &mechanism) || !has_mechanism(conf, mechanism))
        return SAY(self, out, "504 Unrecognized Authentication Type");
    if (conf->needs_tls_for_auth && !self->is_tls)
        return SAY(self, out,
                   "538 5.7.11 Encryption required for requested authentication mechanism");
    if (self->is_memory_refused)
        return SAY(self, out, "454 4.7.0 Temporary authentication failure");
    if (!self->is_in_auth) /* the command runs again */
        return mx_session_park(self, MX_ACTION_AUTH_BEGIN, on_memory, MX_STATE_COMMAND);
    return begin(self, mechanism, space != NULL ? &response : NULL, out);
}

enum mx_action mx_session_auth(struct mx_session *self, struct mx_span args, struct mx_out *out) {
    enum mx_action action = run_auth(self, args, out);
    if (action != MX_ACTION_AUTH_BEGIN)
        note_secret(self, args);
    return action;
}

enum mx_action mx_session_step_auth(struct mx_session *self, struct mx_span *in,
                                    struct mx_out *out) {
    struct mx_span line;
    bool bare_lf = false;
    if (self->is_draining) {
        mx_session_farewell(self, MX_FAREWELL_SHUTDOWN, out);
        return MX_ACTION_NONE;
    }
    int err = mx_line_take(&self->line, in, &line, &bare_lf);
    if (err == MX_EPARTIAL)
        return MX_ACTION_INPUT;
    note_secret(self, line);
    self->shared->counters.commands++;
    self->shared->counters.line_limit += err == MX_ELIMIT;
    self->shared->counters.bare_lf_commands += bare_lf;
    if (err == MX_ELIMIT)
        return END_WITH(self, out, "500 Line length exceeded. See RFC 2821 #4.5.3.1.");
    if (bare_lf && self->conf->refuses_bare_lf_commands)
        return END_WITH(self, out, "500 5.5.2 line delimiter must be CRLF");
    if (mx_span_equal(line, MX_SPAN("*")))
        return END_WITH(self, out, "501 5.7.1 Authentication aborted");
    return take_response(self, line, out);
}

bool mx_session_announces_auth(const struct mx_session *self) {
    const struct mx_session_conf *conf = self->conf;
    if (!conf->has_auth || conf->mechanism_count == 0 ||
        (conf->needs_tls_for_auth && !self->is_tls))
        return false;
    switch ((enum mx_session_announce)conf->announce) {
    case MX_SESSION_ANNOUNCE_NEVER:
        return false;
    case MX_SESSION_ANNOUNCE_ALWAYS:
        return true;
    case MX_SESSION_ANNOUNCE_FOREIGN:
        break;
    }
    return !self->is_authorized;
}
