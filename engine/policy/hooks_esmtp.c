/* The hooks of ESMTP extensions: what EHLO shows, and which parameters MAIL and RCPT have. What
 * they take is kept in the envelope. One class for each of James's. */
#include "engine/policy/hook.h"

#include <assert.h>

static void show(struct mx_session_conf *conf, enum mx_ehlo_line line) {
    for (uint32_t i = 0; i < conf->ehlo_line_count; i++) {
        if (conf->ehlo_lines[i] == line)
            return;
    }
    assert(conf->ehlo_line_count < sizeof conf->ehlo_lines);
    conf->ehlo_lines[conf->ehlo_line_count++] = (uint8_t)line;
}

#define SHOWS(name, line)                                                                          \
    static void name(const void *options, struct mx_session_conf *conf) {                          \
        (void)options;                                                                             \
        show(conf, line);                                                                          \
    }
#define TAKES(name, extension)                                                                     \
    static void name(const void *options, struct mx_session_conf *conf) {                          \
        (void)options;                                                                             \
        conf->extensions |= (extension);                                                           \
    }

SHOWS(show_dsn, MX_EHLO_DSN)
SHOWS(show_priority, MX_EHLO_MT_PRIORITY)
SHOWS(show_future_release, MX_EHLO_FUTURERELEASE)
SHOWS(show_require_tls, MX_EHLO_REQUIRETLS)
TAKES(take_dsn_mail, MX_EXTENSION_DSN_MAIL)
TAKES(take_dsn_rcpt, MX_EXTENSION_DSN_RCPT)
TAKES(take_priority, MX_EXTENSION_PRIORITY)
TAKES(take_future_release, MX_EXTENSION_FUTURE_RELEASE)
TAKES(take_require_tls, MX_EXTENSION_REQUIRE_TLS)

static void nothing(const void *options, struct mx_session_conf *conf) {
    (void)options, (void)conf;
}

static void take_utf8(const void *options, struct mx_session_conf *conf) {
    (void)options;
    conf->has_smtputf8 = true;
}

static const char kept[] = "the values are kept in the envelope without a message hook";

/* ---- DSN, RFC 3461 ---- */

const struct mx_hook_class mx_hook_dsn_ehlo = {
    .summary = "EHLO shows DSN", .where = "EHLO", .set_up = show_dsn};
const struct mx_hook_class mx_hook_dsn_mail = {
    .summary = "MAIL has RET and ENVID",
    .where = "MAIL",
    .set_up = take_dsn_mail,
    .replies = {{"ENVID is no xtext, or there twice", "501 5.5.4 Syntax error in ENVID parameter"}},
    .differences = "it answers 451 then"};
const struct mx_hook_class mx_hook_dsn_rcpt = {
    .summary = "RCPT has NOTIFY and ORCPT",
    .where = "RCPT",
    .set_up = take_dsn_rcpt,
    .replies = {{"NOTIFY is wrong, or there twice", "501 5.5.4 Syntax error in NOTIFY parameter"},
                {"ORCPT is wrong, or there twice", "501 5.5.4 Syntax error in ORCPT parameter"}},
    .differences = "it answers 451 then"
};
const struct mx_hook_class mx_hook_dsn_message = {.summary = "Nothing more is needed",
                                                  .where = "nowhere",
                                                  .set_up = nothing,
                                                  .differences = kept};

/* ---- MT-PRIORITY, RFC 6710 ---- */

const struct mx_hook_class mx_hook_priority_ehlo = {
    .summary = "EHLO shows MT-PRIORITY", .where = "EHLO", .set_up = show_priority};
const struct mx_hook_class mx_hook_priority_mail = {
    .summary = "MAIL has MT-PRIORITY, -9 to 9; a positive one is 0 for who is not logged in. It "
               "stands in the Received field, too",
    .where = "MAIL",
    .set_up = take_priority,
    .replies = {{"no such number", "501 Incorrect syntax when handling MT-PRIORITY mail parameter"},
                {"there twice", "501 The Mail parameter cannot contain more than one MT-PRIORITY "
                                "parameter at the same time"}}
};
const struct mx_hook_class mx_hook_priority_message = {.summary = "Nothing more is needed",
                                                       .where = "nowhere",
                                                       .set_up = nothing,
                                                       .differences = kept};

/* ---- FUTURERELEASE, RFC 4865 ---- */

const struct mx_hook_class mx_hook_future_ehlo = {
    .summary = "EHLO shows FUTURERELEASE to who is logged in: at most one day",
    .where = "EHLO",
    .set_up = show_future_release};
const struct mx_hook_class mx_hook_future_mail = {
    .summary = "MAIL has HOLDFOR and HOLDUNTIL; the moment is kept in the envelope",
    .where = "MAIL",
    .set_up = take_future_release,
    .replies = {{"not logged in",
                 "554 Needs to be logged in in order to use future release extension"},
                {"both, or one twice",
                 "554 Mail parameter cannot contains both holdFor and holdUntil parameters"},
                {"no number, no moment",
                 "501 Incorrect syntax when handling FUTURE-RELEASE mail parameter"},
                {"it is over", "501 HoldFor value is negative or holdUntil value is before now"},
                {"more than a day",
                 "501 HoldFor is greater than max-future-release-interval or holdUntil exceeded "
                 "max-future-release-date-time"}},
    .differences = "it answers 451 to a HOLDUNTIL that it cannot read"
};

/* ---- REQUIRETLS, RFC 8689 ---- */

const struct mx_hook_class mx_hook_require_tls_ehlo = {
    .summary = "EHLO shows REQUIRETLS under TLS", .where = "EHLO", .set_up = show_require_tls};
const struct mx_hook_class mx_hook_require_tls_mail = {
    .summary = "MAIL has REQUIRETLS under TLS; in clear it is ignored",
    .where = "MAIL",
    .set_up = take_require_tls,
    .replies = {{"there twice", "501 The Mail parameter cannot contain more than one REQUIRETLS "
                                "parameter at the same time"}},
    .differences = "the flag may be in lower case, and the port may be one of socketTLS"};

/* RFC 8689 5: the header's word counts when MAIL says nothing. */
static enum mx_verdict on_header(struct mx_hook_call *call) {
    struct mx_header_field field;
    struct mx_extras extras = {0};
    uint32_t at = 0;
    bool has_extras = mx_envelope_extras(&call->session->envelope, &extras);
    if ((has_extras && extras.requires_tls) ||
        !mx_header_find(call->header, MX_SPAN("TLS-Required"), &at, &field))
        return MX_VERDICT_DECLINED;
    while (field.value.len > 0 && field.value.ptr[0] == ' ')
        field.value = mx_span_skip(field.value, 1);
    if (mx_span_equal_nocase(field.value, MX_SPAN("No")) &&
        mx_hook_note(call, MX_SPAN("REQUIRETLS"), MX_SPAN("false")) < 0)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
    return MX_VERDICT_DECLINED;
}
const struct mx_hook_class mx_hook_require_tls_message = {
    .summary = "A header field `TLS-Required: No` gives the message the attribute REQUIRETLS with "
               "the value false",
    .points = {[MX_HOOK_HEADER] = on_header},
    .replies = {{"no memory", "452 4.3.1 Insufficient system storage"}}};

/* ---- SMTPUTF8, RFC 6531 ---- */

const struct mx_hook_class mx_hook_utf8_mail = {
    .summary = "EHLO shows SMTPUTF8, and MAIL and RCPT have it, as with `smtpUtf8: true`",
    .where = "EHLO, MAIL, RCPT",
    .set_up = take_utf8,
    .differences = "addresses may hold UTF-8 then"};
const struct mx_hook_class mx_hook_utf8_rcpt = {
    .summary = "The same", .where = "EHLO, MAIL, RCPT", .set_up = take_utf8};
