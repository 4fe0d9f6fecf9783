/* A conversation with the server at one address. RFC 5321, 3207. */
#include "engine/cli/outside.h"
#include "engine/cli/outside_talk.h"

#include <errno.h>
#include <stdio.h>

/* What nobody from outside may be allowed. Domains that are nobody's (RFC 2606). */
static const struct attempt {
    const char *what, *sender, *recipient; /* %s: the server's name */
    bool is_vague; /* it may be an address of its own: 250 does not say that it relays */
} attempts[] = {
    {"from anybody to anybody",      "mxring-check@example.org", "mxring-check@example.net",        false},
    {"a bounce to anybody",          "",                         "mxring-check@example.net",        false},
    {"in the name of its own users", "postmaster@%s",            "mxring-check@example.net",        false},
    {"by a route",                   "mxring-check@example.org", "@%s:mxring-check@example.net",    false},
    {"by a percent sign",            "mxring-check@example.org", "mxring-check%%example.net@%s",    true },
    {"by quotes",                    "mxring-check@example.org", "\"mxring-check@example.net\"@%s", true },
};

enum { ADDRESS_MAX = 400 };

/* The format is one of the table's, with at most one name. */
static void write_address(char text[ADDRESS_MAX], const char *format, struct mx_span name) {
    size_t len = 0;
    for (; *format != '\0' && len + name.len + 2 < ADDRESS_MAX; format++) {
        if (*format != '%') {
            text[len++] = *format;
            continue;
        }
        format++;
        if (*format == '%') {
            text[len++] = '%';
        } else {
            memcpy(text + len, name.ptr, name.len);
            len += name.len;
        }
    }
    text[len] = '\0';
}

static void say_lost(struct mx_outside_talk *talk, const char *what) {
    mx_outside_tell(talk->outside, MX_FINDING_UNKNOWN, what, talk->ip, "%s", talk->problem);
}

/* ---- greeting and TLS ---- */

static bool greet(struct mx_outside_talk *talk) {
    struct mx_outside *outside = talk->outside;
    if (!mx_outside_connect(talk)) {
        mx_outside_tell(outside, talk->is_silent ? MX_FINDING_UNKNOWN : MX_FINDING_BAD,
                        "connection", talk->ip, "port %u: %s", outside->port, talk->problem);
        return false;
    }
    int code = mx_outside_reply(talk);
    if (code == 0) {
        say_lost(talk, "greeting");
        return false;
    }
    struct mx_span said = {talk->reply, strcspn(talk->reply, " ")};
    bool is_own = mx_span_equal_nocase(said, outside->name);
    enum mx_finding finding = code != 220 ? MX_FINDING_BAD
                              : is_own    ? MX_FINDING_OK
                                          : MX_FINDING_WARN;
    mx_outside_tell(outside, finding, "greeting", talk->ip, "%d %s%s", code, talk->reply,
                    code == 220 && !is_own ? " (another name)" : "");
    return code == 220;
}

static bool ehlo(struct mx_outside_talk *talk) {
    int code = mx_outside_command(talk, "EHLO [%s%s]", talk->own_ip.family == 6 ? "IPv6:" : "",
                                  talk->own_text);
    if (code == 250)
        return true;
    if (code == 0)
        say_lost(talk, "EHLO");
    else
        mx_outside_tell(talk->outside, MX_FINDING_BAD, "EHLO", talk->ip, "%d %s", code,
                        talk->reply);
    return false;
}

/* False: the conversation is over. */
static bool start_tls(struct mx_outside_talk *talk) {
    struct mx_outside *outside = talk->outside;
    struct mx_tls_facts facts;
    if (!talk->offers_tls) {
        mx_outside_tell(outside, MX_FINDING_BAD, "STARTTLS", talk->ip, "is not offered");
        return true;
    }
    int code = mx_outside_command(talk, "STARTTLS");
    if (code == 0) {
        say_lost(talk, "STARTTLS");
        return false;
    }
    if (code != 220) {
        mx_outside_tell(outside, MX_FINDING_BAD, "STARTTLS", talk->ip, "%d %s", code, talk->reply);
        return true;
    }
    if (!mx_outside_secure(talk, &facts)) {
        mx_outside_tell(outside, MX_FINDING_BAD, "STARTTLS", talk->ip, "the handshake fails: %s",
                        talk->problem);
        return false;
    }
    mx_outside_tell(outside, MX_FINDING_OK, "STARTTLS", talk->ip,
                    "%s %s (whose certificate it is was not looked at)", facts.version,
                    facts.cipher);
    return ehlo(talk);
}

/* ---- relaying ---- */

/* The code that RCPT has in the end, or MAIL when that is refused; 0: the conversation is over. */
static int try_to_relay(struct mx_outside_talk *talk, const struct attempt *row) {
    char sender[ADDRESS_MAX], recipient[ADDRESS_MAX];
    write_address(sender, row->sender, talk->outside->name);
    write_address(recipient, row->recipient, talk->outside->name);
    int code = mx_outside_command(talk, "MAIL FROM:<%s>", sender);
    if (code / 100 == 2)
        code = mx_outside_command(talk, "RCPT TO:<%s>", recipient);
    return code;
}

static void check_relay(struct mx_outside_talk *talk) {
    struct mx_outside *outside = talk->outside;
    unsigned refused = 0, count = sizeof attempts / sizeof *attempts;
    for (unsigned i = 0; i < count; i++) {
        int code = try_to_relay(talk, &attempts[i]);
        if (code == 0) {
            say_lost(talk, "relaying");
            return;
        }
        enum mx_finding finding = attempts[i].is_vague ? MX_FINDING_WARN : MX_FINDING_BAD;
        if (code / 100 == 2)
            mx_outside_tell(outside, finding, "relaying", talk->ip, "%s: %d %s", attempts[i].what,
                            code, talk->reply);
        else if (code / 100 != 5)
            mx_outside_tell(outside, MX_FINDING_UNKNOWN, "relaying", talk->ip, "%s: %d %s",
                            attempts[i].what, code, talk->reply);
        refused += code / 100 == 5;
        if (mx_outside_command(talk, "RSET") == 0 && i + 1 < count) {
            say_lost(talk, "relaying");
            return;
        }
    }
    if (refused == count)
        mx_outside_tell(outside, MX_FINDING_OK, "relaying", talk->ip,
                        "refused in each of %u ways, to us at %s", count, talk->own_text);
}

void mx_outside_talk(struct mx_outside *self, const struct mx_ip *ip) {
    struct mx_outside_talk talk;
    mx_outside_talk_init(&talk, self, ip);
    if (greet(&talk) && ehlo(&talk) && start_tls(&talk))
        check_relay(&talk);
    mx_outside_talk_end(&talk);
}
