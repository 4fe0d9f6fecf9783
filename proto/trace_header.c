#include "proto/trace_header.h"

#include "proto/date.h"
#include "proto/utf8.h"

#include <assert.h>

/* Octets kept of each text. A HELO name and a host name have at most 255. */
enum {
    VERB_MAX = 8,
    NAME_MAX = 255,
    SOFTWARE_MAX = 64,
    TLS_MAX = 128,
    PROTOCOL_MAX = sizeof "UTF8SMTPSA" - 1,
    ID_LEN = 8,
    DATE_LEN = sizeof "Thu, 01 Jan 1970 00:00:00 +0000 (UTC)" - 1,
};

#define INDENT   "          "
#define FROM     "Received: from "
#define USING    INDENT "(using "
#define BY       INDENT "by "
#define WITH     ") with "
#define FOR      INDENT "for "
#define PRIORITY " (PRIORITY "

enum {
    FROM_LINE_MAX = sizeof FROM " ("
                                " "
                                ") (["
                                "])\r\n" +
                    MX_IP_TEXT_MAX + MX_IP_TEXT_MAX + VERB_MAX + NAME_MAX,
    USING_LINE_MAX = sizeof USING ")\r\n" + TLS_MAX,
    BY_LINE_MAX = sizeof BY " (" WITH " ID "
                            ";\r\n" +
                  NAME_MAX + SOFTWARE_MAX + PROTOCOL_MAX + ID_LEN,
    FOR_LINE_MAX = sizeof FOR "<>;\r\n" + MX_TRACE_RCPT_MAX,
    PRIORITY_MAX = sizeof PRIORITY "-9)",
    DATE_LINE_MAX = sizeof INDENT "\r\n" + DATE_LEN,
};
_Static_assert(FROM_LINE_MAX + USING_LINE_MAX + BY_LINE_MAX + FOR_LINE_MAX + PRIORITY_MAX +
                       DATE_LINE_MAX <=
                   MX_TRACE_HEADER_MAX,
               "the header may not fit");

/* Which octets may stay. A bracket or backslash in the client's name would end the comment the name
 * stands in. */
enum { TEXT = 1 << 0, COMMENT = 1 << 1, HIGH = 1 << 2 };

/* clang-format off */
static const uint8_t classes[256] = {
    [' ' ... '\''] = TEXT | COMMENT,
    ['(' ... ')'] = TEXT,
    ['*' ... '['] = TEXT | COMMENT,
    ['\\'] = TEXT,
    [']' ... '~'] = TEXT | COMMENT,
    [0x80 ... 0xff] = HIGH,
};
/* clang-format on */

static char *put(char *at, struct mx_span text) {
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

/* The length of the UTF-8 sequence that may stay, or 0. U+0080..U+009F are control characters. */
static size_t high_len(struct mx_span text, size_t at) {
    size_t len = mx_utf8_len(text.ptr + at, text.len - at);
    return len == 2 && text.ptr[at] == '\xc2' && (uint8_t)text.ptr[at + 1] < 0xa0 ? 0 : len;
}

/* Copy at most max octets; what is not of the class becomes '?'. A UTF-8 sequence is never cut. */
static char *put_foreign(char *at, struct mx_span text, size_t max, unsigned class, bool is_utf8) {
    char *end = at + max;
    size_t i = 0;
    while (i < text.len && at < end) {
        unsigned is = classes[(uint8_t)text.ptr[i]];
        size_t len = is & HIGH && is_utf8 ? high_len(text, i) : 0;
        if (len > (size_t)(end - at))
            break;
        if (len == 0) {
            *at++ = is & class ? text.ptr[i] : '?';
            i++;
            continue;
        }
        memcpy(at, text.ptr + i, len);
        at += len;
        i += len;
    }
    return at;
}

static char *put_two_digits(char *at, unsigned number) {
    *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

static char *put_id(char *at, uint32_t id) {
    for (int shift = 28; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[id >> shift & 0xf];
    return at;
}

static char *put_date(char *at, int64_t time_s) {
    static const char weekdays[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    enum { DAY_S = 86400 };
    /* A clock that is out of four-digit years shall not lengthen the line. */
    const int64_t time_max_s = INT64_C(253402300799);
    time_s = time_s < 0 ? 0 : time_s > time_max_s ? time_max_s : time_s;
    unsigned days = (unsigned)(time_s / DAY_S), seconds = (unsigned)(time_s % DAY_S);
    struct mx_date date = mx_date_of(days);
    at = put(at, (struct mx_span){weekdays + 3 * (size_t)(days % 7), 3});
    at = put(at, MX_SPAN(", "));
    at = put_two_digits(at, date.day);
    *at++ = ' ';
    at = put(at, (struct mx_span){months + 3 * (size_t)date.month, 3});
    *at++ = ' ';
    at = put_two_digits(at, date.year / 100);
    at = put_two_digits(at, date.year % 100);
    *at++ = ' ';
    at = put_two_digits(at, seconds / 3600);
    *at++ = ':';
    at = put_two_digits(at, seconds / 60 % 60);
    *at++ = ':';
    at = put_two_digits(at, seconds % 60);
    return put(at, MX_SPAN(" +0000 (UTC)"));
}

/* RFC 3848; RFC 6531 4.3. HELO, or no greeting at all, is SMTP without extensions. */
static char *put_protocol(char *at, const struct mx_trace_header *self) {
    if (self->is_lmtp || mx_span_equal(self->helo_verb, MX_SPAN("LHLO"))) {
        at = put(at, self->is_utf8 ? MX_SPAN("UTF8LMTP") : MX_SPAN("LMTP"));
    } else if (mx_span_equal(self->helo_verb, MX_SPAN("EHLO"))) {
        at = put(at, self->is_utf8 ? MX_SPAN("UTF8SMTP") : MX_SPAN("ESMTP"));
    } else {
        return put(at, MX_SPAN("SMTP"));
    }
    if (self->is_tls)
        *at++ = 'S';
    if (self->is_auth)
        *at++ = 'A';
    return at;
}

static char *put_from_line(char *at, const struct mx_trace_header *self) {
    char ip[MX_IP_TEXT_MAX];
    struct mx_span peer = {ip, mx_ip_text(&self->peer, ip)};
    at = put(at, MX_SPAN(FROM));
    at = put(at, peer);
    if (self->helo_verb.len > 0) {
        at = put(at, MX_SPAN(" ("));
        at = put_foreign(at, self->helo_verb, VERB_MAX, COMMENT, false);
        *at++ = ' ';
        at = put_foreign(at, self->helo_name, NAME_MAX, COMMENT, self->is_utf8);
        *at++ = ')';
    }
    at = put(at, MX_SPAN(" (["));
    at = put(at, peer);
    return put(at, MX_SPAN("])\r\n"));
}

/* Half an address would be another one. */
static bool has_for(const struct mx_trace_header *self) {
    return self->rcpt.len > 0 && self->rcpt.len <= MX_TRACE_RCPT_MAX;
}

static char *put_semicolon(char *at, const struct mx_trace_header *self) {
    if (self->has_priority) {
        at = put(at, MX_SPAN(PRIORITY));
        if (self->priority < 0)
            *at++ = '-';
        *at++ = (char)('0' + (self->priority < 0 ? -self->priority : self->priority));
        *at++ = ')';
    }
    return put(at, MX_SPAN(";\r\n"));
}

static char *put_by_line(char *at, const struct mx_trace_header *self) {
    at = put(at, MX_SPAN(BY));
    at = put_foreign(at, self->by, NAME_MAX, TEXT, self->is_utf8);
    at = put(at, MX_SPAN(" ("));
    at = put_foreign(at, self->software, SOFTWARE_MAX, COMMENT, self->is_utf8);
    at = put(at, MX_SPAN(WITH));
    at = put_protocol(at, self);
    at = put(at, MX_SPAN(" ID "));
    at = put_id(at, self->session_id);
    return has_for(self) ? put(at, MX_SPAN("\r\n")) : put_semicolon(at, self);
}

size_t mx_trace_header_put(const struct mx_trace_header *self, char text[MX_TRACE_HEADER_MAX]) {
    char *at = put_from_line(text, self);
    if (self->tls.len > 0) {
        at = put(at, MX_SPAN(USING));
        at = put_foreign(at, self->tls, TLS_MAX, COMMENT, false);
        at = put(at, MX_SPAN(")\r\n"));
    }
    at = put_by_line(at, self);
    if (has_for(self)) {
        at = put(at, MX_SPAN(FOR "<"));
        at = put_foreign(at, self->rcpt, MX_TRACE_RCPT_MAX, TEXT, self->is_utf8);
        at = put_semicolon(put(at, MX_SPAN(">")), self);
    }
    at = put(at, MX_SPAN(INDENT));
    at = put_date(at, self->time_s);
    at = put(at, MX_SPAN("\r\n"));
    assert(at - text <= MX_TRACE_HEADER_MAX);
    return (size_t)(at - text);
}
