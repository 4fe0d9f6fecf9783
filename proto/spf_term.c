/* spf_term.c - the terms of a record, RFC 7208 4.6.1, 5 and 12. */
#include "proto/spf_impl.h"

#include <assert.h>

enum needs { NEVER, MAY, MUST }; /* have a domain */

static const struct word {
    const char *name;
    enum mx_spf_kind kind;
    enum needs domain;
    bool has_prefix; /* dual-cidr-length */
} mechanisms[] = {
    {"all",     MX_SPF_ALL,     NEVER, false},
    {"include", MX_SPF_INCLUDE, MUST,  false},
    {"a",       MX_SPF_A,       MAY,   true },
    {"mx",      MX_SPF_MX,      MAY,   true },
    {"ptr",     MX_SPF_PTR,     MAY,   false},
    {"exists",  MX_SPF_EXISTS,  MUST,  false},
};

static bool is_alpha(char c) {
    return mx_ascii_lower(c) >= 'a' && mx_ascii_lower(c) <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* A decimal number without zeros in front, at most max. */
static bool read_number(struct mx_span digits, unsigned max, uint8_t *value) {
    unsigned number = 0;
    if (digits.len == 0 || digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.ptr[i]))
            return false;
        number = number * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    *value = (uint8_t)number;
    return number <= max;
}

/* Cut "/DIGITS" with so many slashes off the end. False: there is one, but it is no length. */
static bool cut_prefix(struct mx_span *text, size_t slashes, unsigned max, uint8_t *value) {
    size_t at = text->len;
    while (at > 0 && is_digit(text->ptr[at - 1]))
        at--;
    if (at < slashes || memcmp(text->ptr + at - slashes, "//", slashes) != 0)
        return true;
    struct mx_span digits = mx_span_skip(*text, at);
    text->len = at - slashes;
    return read_number(digits, max, value);
}

static int read_ip(struct mx_span text, struct mx_spf_term *term) {
    unsigned family = term->kind == MX_SPF_IP4 ? 4 : 6, max = family == 4 ? 32 : 128;
    uint8_t *prefix = family == 4 ? &term->prefix4 : &term->prefix6;
    *prefix = (uint8_t)max;
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash != NULL) {
        size_t len = (size_t)(slash - text.ptr);
        if (!read_number(mx_span_skip(text, len + 1), max, prefix))
            return MX_ESYNTAX;
        text.len = len;
    }
    bool has_colon = text.len > 0 && memchr(text.ptr, ':', text.len) != NULL;
    if (has_colon != (family == 6) || !mx_ip_parse(text, &term->ip))
        return MX_ESYNTAX;
    return 0;
}

/* What stands behind the name: ":DOMAIN", "/24//64", or nothing. */
static int read_argument(const struct word *word, struct mx_span text, struct mx_spf_term *term) {
    term->prefix4 = 32;
    term->prefix6 = 128;
    if (word->has_prefix &&
        (!cut_prefix(&text, 2, 128, &term->prefix6) || !cut_prefix(&text, 1, 32, &term->prefix4)))
        return MX_ESYNTAX;
    if (text.len == 0)
        return word->domain == MUST ? MX_ESYNTAX : 0;
    if (word->domain == NEVER || text.ptr[0] != ':')
        return MX_ESYNTAX;
    term->domain = mx_span_skip(text, 1);
    return mx_spf_domain_is_good(term->domain) ? 0 : MX_ESYNTAX;
}

static int read_mechanism(struct mx_span name, struct mx_span rest, struct mx_spf_term *term) {
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        if (!mx_span_equal_nocase(name, mx_span_of(mechanisms[i].name)))
            continue;
        term->kind = mechanisms[i].kind;
        return read_argument(&mechanisms[i], rest, term);
    }
    bool is_ip4 = mx_span_equal_nocase(name, MX_SPAN("ip4"));
    if (!is_ip4 && !mx_span_equal_nocase(name, MX_SPAN("ip6")))
        return MX_ESYNTAX;
    term->kind = is_ip4 ? MX_SPF_IP4 : MX_SPF_IP6;
    return rest.len > 0 && rest.ptr[0] == ':' ? read_ip(mx_span_skip(rest, 1), term) : MX_ESYNTAX;
}

static int read_modifier(struct mx_span name, struct mx_span value, struct mx_spf_term *term) {
    term->kind = MX_SPF_OTHER;
    if (mx_span_equal_nocase(name, MX_SPAN("redirect")))
        term->kind = MX_SPF_REDIRECT;
    else if (mx_span_equal_nocase(name, MX_SPAN("exp")))
        term->kind = MX_SPF_EXP;
    term->domain = value;
    if (term->kind == MX_SPF_OTHER)
        return mx_spf_macro_is_good(value, false) ? 0 : MX_ESYNTAX;
    return mx_spf_domain_is_good(value) ? 0 : MX_ESYNTAX;
}

/* How far a name reaches: ALPHA *(ALPHA / DIGIT / "-" / "_" / "."). */
static size_t name_len(struct mx_span text) {
    size_t len = 0;
    if (text.len == 0 || !is_alpha(text.ptr[0]))
        return 0;
    while (len < text.len && (is_alpha(text.ptr[len]) || is_digit(text.ptr[len]) ||
                              memchr("-_.", text.ptr[len], 3) != NULL))
        len++;
    return len;
}

static int read_term(struct mx_span text, struct mx_spf_term *term) {
    static const enum mx_spf_result results[] = {MX_SPF_PASS, MX_SPF_FAIL, MX_SPF_SOFTFAIL,
                                                 MX_SPF_NEUTRAL};
    static const char qualifiers[] = "+-~?";
    const char *qualifier = memchr(qualifiers, text.ptr[0], sizeof qualifiers - 1);
    *term = (struct mx_spf_term){.qualifier = MX_SPF_PASS};
    if (qualifier != NULL) {
        term->qualifier = results[qualifier - qualifiers];
        text = mx_span_skip(text, 1);
    }
    size_t len = name_len(text);
    struct mx_span name = {text.ptr, len}, rest = mx_span_skip(text, len);
    if (len == 0)
        return MX_ESYNTAX;
    if (rest.len > 0 && rest.ptr[0] == '=')
        return qualifier == NULL ? read_modifier(name, mx_span_skip(rest, 1), term) : MX_ESYNTAX;
    return read_mechanism(name, rest, term);
}

int mx_spf_term_next(struct mx_span *record, struct mx_spf_term *term) {
    while (record->len > 0 && record->ptr[0] == ' ')
        *record = mx_span_skip(*record, 1);
    if (record->len == 0)
        return MX_EEND;
    const char *blank = memchr(record->ptr, ' ', record->len);
    size_t len = blank != NULL ? (size_t)(blank - record->ptr) : record->len;
    struct mx_span text = {record->ptr, len};
    *record = mx_span_skip(*record, len);
    return read_term(text, term);
}

bool mx_spf_record_is_good(struct mx_span record) {
    unsigned redirects = 0, exps = 0;
    struct mx_spf_term term;
    for (;;) {
        int err = mx_spf_term_next(&record, &term);
        if (err < 0)
            return err == MX_EEND && redirects < 2 && exps < 2;
        redirects += term.kind == MX_SPF_REDIRECT;
        exps += term.kind == MX_SPF_EXP;
    }
}

bool mx_spf_is_record(struct mx_span text) {
    static const struct mx_span version = {"v=spf1", 6};
    return text.len >= version.len &&
           mx_span_equal_nocase((struct mx_span){text.ptr, version.len}, version) &&
           (text.len == version.len || text.ptr[version.len] == ' ');
}

bool mx_spf_asks_dns(enum mx_spf_kind kind) {
    return kind == MX_SPF_INCLUDE || kind == MX_SPF_A || kind == MX_SPF_MX || kind == MX_SPF_PTR ||
           kind == MX_SPF_EXISTS || kind == MX_SPF_REDIRECT;
}

static bool is_same_network(const struct mx_ip *a, const uint8_t *b, unsigned prefix) {
    size_t whole = prefix / 8, bits = prefix % 8;
    if (memcmp(a->bytes, b, whole) != 0)
        return false;
    return bits == 0 || (a->bytes[whole] ^ b[whole]) >> (8 - bits) == 0;
}

bool mx_spf_is_one_of(const struct mx_ip *ip, const struct mx_dns_answer *answer,
                      const struct mx_spf_term *term) {
    unsigned prefix = ip->family == 4 ? term->prefix4 : term->prefix6;
    struct mx_dns_record record;
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        if (record.data.len == (ip->family == 4 ? 4 : 16) &&
            is_same_network(ip, (const uint8_t *)record.data.ptr, prefix))
            return true;
    }
    return false;
}

bool mx_spf_is_literal_match(const struct mx_ip *ip, const struct mx_spf_term *term) {
    unsigned family = term->kind == MX_SPF_IP4 ? 4 : 6;
    unsigned prefix = family == 4 ? term->prefix4 : term->prefix6;
    if (term->kind == MX_SPF_ALL)
        return true;
    return ip->family == family && term->ip.family == family &&
           is_same_network(ip, term->ip.bytes, prefix);
}
