/* session_params.c - parameters of MAIL and RCPT that hooks switch on: delivery status
 * notifications (RFC 3461), priorities (RFC 6710), delayed release (RFC 4865), REQUIRETLS (RFC
 * 8689). */
#include "proto/date.h"
#include "proto/param.h"
#include "proto/session_impl.h"
#include "proto/xtext.h"

enum { HOLD_MAX_S = 86400 };

static const struct mx_span none = {0};

/* ---- MAIL ---- */

typedef struct mx_span mail_param_fn(const struct mx_session *self, const struct mx_param *param,
                                     struct mx_mail_extras *extras);

/* As James: what is no such word is as if it was not there. */
static struct mx_span take_ret(const struct mx_session *self, const struct mx_param *param,
                               struct mx_mail_extras *extras) {
    (void)self;
    if (mx_span_equal_nocase(param->value, MX_SPAN("FULL")))
        extras->values.ret = MX_RET_FULL;
    if (mx_span_equal_nocase(param->value, MX_SPAN("HDRS")))
        extras->values.ret = MX_RET_HDRS;
    return none;
}

static struct mx_span take_envid(const struct mx_session *self, const struct mx_param *param,
                                 struct mx_mail_extras *extras) {
    size_t len = 0;
    (void)self;
    if (extras->envid.len > 0 || param->value.len == 0 ||
        mx_xtext_decode(param->value, extras->room, sizeof extras->room, &len) < 0 || len == 0)
        return MX_SPAN("501 5.5.4 Syntax error in ENVID parameter\r\n");
    extras->envid = (struct mx_span){extras->room, len};
    return none;
}

static struct mx_span take_priority(const struct mx_session *self, const struct mx_param *param,
                                    struct mx_mail_extras *extras) {
    struct mx_span text = param->value;
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    text = mx_span_skip(text, is_negative);
    if (extras->values.has_priority)
        return MX_SPAN("501 The Mail parameter cannot contain more than one MT-PRIORITY parameter "
                       "at the same time\r\n");
    if (text.len != 1 || text.ptr[0] < '0' || text.ptr[0] > '9')
        return MX_SPAN("501 Incorrect syntax when handling MT-PRIORITY mail parameter\r\n");
    int number = text.ptr[0] - '0';
    number = is_negative ? -number : number;
    extras->values.has_priority = true;
    /* nobody says of himself that he is important */
    extras->values.priority = (int8_t)(number > 0 && !self->is_authenticated ? 0 : number);
    return none;
}

static struct mx_span hold(const struct mx_session *self, bool is_syntax, int64_t seconds,
                           struct mx_mail_extras *extras) {
    if (!is_syntax)
        return MX_SPAN("501 Incorrect syntax when handling FUTURE-RELEASE mail parameter\r\n");
    if (seconds < 0)
        return MX_SPAN("501 HoldFor value is negative or holdUntil value is before now\r\n");
    if (seconds > HOLD_MAX_S)
        return MX_SPAN("501 HoldFor is greater than max-future-release-interval or holdUntil "
                       "exceeded max-future-release-date-time\r\n");
    extras->values.hold_until_s = self->shared->now_s + seconds;
    return none;
}

static struct mx_span may_hold(const struct mx_session *self, const struct mx_mail_extras *extras) {
    if (!self->is_authenticated)
        return MX_SPAN("554 Needs to be logged in in order to use future release extension\r\n");
    if (extras->values.hold_until_s != 0)
        return MX_SPAN("554 Mail parameter cannot contains both holdFor and holdUntil "
                       "parameters\r\n");
    return none;
}

static struct mx_span take_hold_for(const struct mx_session *self, const struct mx_param *param,
                                    struct mx_mail_extras *extras) {
    struct mx_span text = param->value, refusal = may_hold(self, extras);
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t number = 0;
    if (refusal.len > 0)
        return refusal;
    bool is_syntax = mx_param_u64(mx_span_skip(text, is_negative), &number);
    int64_t seconds = number > HOLD_MAX_S ? HOLD_MAX_S + 1 : (int64_t)number;
    return hold(self, is_syntax, is_negative ? -seconds : seconds, extras);
}

static struct mx_span take_hold_until(const struct mx_session *self, const struct mx_param *param,
                                      struct mx_mail_extras *extras) {
    struct mx_span refusal = may_hold(self, extras);
    int64_t time_s = 0;
    if (refusal.len > 0)
        return refusal;
    bool is_syntax = mx_moment_parse(param->value, &time_s) == 0;
    return hold(self, is_syntax, time_s - self->shared->now_s, extras);
}

/* As James: in clear the parameter is one that nobody knows. */
static struct mx_span take_require_tls(const struct mx_session *self, const struct mx_param *param,
                                       struct mx_mail_extras *extras) {
    (void)param;
    if (extras->values.requires_tls)
        return MX_SPAN("501 The Mail parameter cannot contain more than one REQUIRETLS parameter "
                       "at the same time\r\n");
    extras->values.requires_tls = self->is_tls;
    return none;
}

struct mx_span mx_session_mail_extension(const struct mx_session *self,
                                         const struct mx_param *param,
                                         struct mx_mail_extras *extras) {
    static const struct {
        struct mx_span name;
        enum mx_extension extension;
        mail_param_fn *take;
    } rows[] = {
        {MX_SPAN("RET"),         MX_EXTENSION_DSN_MAIL,       take_ret        },
        {MX_SPAN("ENVID"),       MX_EXTENSION_DSN_MAIL,       take_envid      },
        {MX_SPAN("MT-PRIORITY"), MX_EXTENSION_PRIORITY,       take_priority   },
        {MX_SPAN("HOLDFOR"),     MX_EXTENSION_FUTURE_RELEASE, take_hold_for   },
        {MX_SPAN("HOLDUNTIL"),   MX_EXTENSION_FUTURE_RELEASE, take_hold_until },
        {MX_SPAN("REQUIRETLS"),  MX_EXTENSION_REQUIRE_TLS,    take_require_tls},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if ((self->conf->extensions & rows[i].extension) && mx_param_is(param, rows[i].name)) {
            if (!extras->is_any) {
                extras->values = (struct mx_extras){0};
                extras->envid = none;
            }
            extras->is_any = true;
            return rows[i].take(self, param, extras);
        }
    }
    return none;
}

/* ---- RCPT ---- */

/* RFC 3461 4.1: NEVER alone, or a list of the others. 0: it is neither. */
static uint8_t parse_notify(struct mx_span text) {
    static const struct {
        struct mx_span word;
        uint8_t bit;
    } rows[] = {
        {MX_SPAN("NEVER"),   MX_NOTIFY_NEVER  },
        {MX_SPAN("SUCCESS"), MX_NOTIFY_SUCCESS},
        {MX_SPAN("FAILURE"), MX_NOTIFY_FAILURE},
        {MX_SPAN("DELAY"),   MX_NOTIFY_DELAY  },
    };
    unsigned bits = 0;
    bool has_more = true;
    while (has_more) {
        const char *comma = text.len > 0 ? memchr(text.ptr, ',', text.len) : NULL;
        struct mx_span word = {text.ptr, comma != NULL ? (size_t)(comma - text.ptr) : text.len};
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            bit = mx_span_equal_nocase(word, rows[i].word) ? rows[i].bit : bit;
        if (bit == 0)
            return 0;
        bits |= bit;
        has_more = comma != NULL;
        text = mx_span_skip(text, word.len + has_more);
    }
    bool is_mixed = (bits & MX_NOTIFY_NEVER) && bits != MX_NOTIFY_NEVER;
    return is_mixed ? 0 : (uint8_t)bits;
}

/* RFC 3461 4.2: "type;address", the address in xtext. */
static bool take_orcpt(struct mx_span text, struct mx_rcpt_extras *extras) {
    const char *semicolon = text.len > 0 ? memchr(text.ptr, ';', text.len) : NULL;
    size_t type_len = semicolon != NULL ? (size_t)(semicolon - text.ptr) + 1 : 0, len = 0;
    if (type_len < 2 || type_len >= sizeof extras->room)
        return false;
    memcpy(extras->room, text.ptr, type_len);
    if (mx_xtext_decode(mx_span_skip(text, type_len), extras->room + type_len,
                        sizeof extras->room - type_len, &len) < 0 ||
        len == 0)
        return false;
    extras->orcpt = (struct mx_span){extras->room, type_len + len};
    return true;
}

bool mx_session_rcpt_extension(const struct mx_session *self, const struct mx_param *param,
                               struct mx_rcpt_extras *extras, struct mx_span *refusal) {
    *refusal = none;
    if (!(self->conf->extensions & MX_EXTENSION_DSN_RCPT))
        return false;
    if (mx_param_is(param, MX_SPAN("NOTIFY"))) {
        uint8_t notify = parse_notify(param->value);
        if (notify == 0 || extras->notify != 0)
            *refusal = MX_SPAN("501 5.5.4 Syntax error in NOTIFY parameter\r\n");
        extras->notify = notify;
        return true;
    }
    if (!mx_param_is(param, MX_SPAN("ORCPT")))
        return false;
    if (extras->orcpt.len > 0 || !take_orcpt(param->value, extras))
        *refusal = MX_SPAN("501 5.5.4 Syntax error in ORCPT parameter\r\n");
    return true;
}
