/* spf_macro.c - macros in domains and explanations, RFC 7208 7. */
#include "proto/spf_impl.h"

#include <assert.h>

enum { VALUE_MAX = 1100 }; /* octets of what a letter stands for */

/* %{letter digits r delimiters} */
struct macro {
    char letter;
    bool is_escaped; /* the letter is a capital */
    bool is_reversed;
    unsigned parts; /* from the right; 0: all */
    struct mx_span delimiters;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
    return mx_ascii_lower(c) >= 'a' && mx_ascii_lower(c) <= 'z';
}

/* Behind "%{". False: it is none. */
static bool take_macro(struct mx_span *text, struct macro *macro, bool is_text) {
    struct mx_span at = *text;
    *macro = (struct macro){.delimiters = MX_SPAN(".")};
    if (at.len == 0 || memchr(is_text ? "slodiphcrtv" : "slodiphv", mx_ascii_lower(at.ptr[0]),
                              is_text ? 11 : 8) == NULL)
        return false;
    macro->letter = mx_ascii_lower(at.ptr[0]);
    macro->is_escaped = macro->letter != at.ptr[0];
    at = mx_span_skip(at, 1);
    bool has_digits = at.len > 0 && is_digit(at.ptr[0]);
    for (; at.len > 0 && is_digit(at.ptr[0]); at = mx_span_skip(at, 1)) {
        if (macro->parts < 1000)
            macro->parts = macro->parts * 10 + (unsigned)(at.ptr[0] - '0');
    }
    if (has_digits && macro->parts == 0)
        return false;
    if (at.len > 0 && mx_ascii_lower(at.ptr[0]) == 'r') {
        macro->is_reversed = true;
        at = mx_span_skip(at, 1);
    }
    size_t len = 0;
    while (len < at.len && memchr(".-+,/_=", at.ptr[len], 7) != NULL)
        len++;
    if (len > 0)
        macro->delimiters = (struct mx_span){at.ptr, len};
    at = mx_span_skip(at, len);
    if (at.len == 0 || at.ptr[0] != '}')
        return false;
    *text = mx_span_skip(at, 1);
    return true;
}

/* Walk over one character or macro. False: it is neither. */
static bool take_piece(struct mx_span *text, struct macro *macro, bool is_text, bool *is_macro) {
    unsigned char c = (unsigned char)text->ptr[0];
    *is_macro = false;
    *text = mx_span_skip(*text, 1);
    if (c != '%')
        return (c > 0x20 && c < 0x7f) || (is_text && c == ' ');
    if (text->len == 0)
        return false;
    c = (unsigned char)text->ptr[0];
    *text = mx_span_skip(*text, 1);
    if (c != '{')
        return c == '%' || c == '_' || c == '-';
    *is_macro = true;
    return take_macro(text, macro, is_text);
}

bool mx_spf_macro_is_good(struct mx_span text, bool is_text) {
    struct macro macro;
    bool is_macro;
    while (text.len > 0) {
        if (!take_piece(&text, &macro, is_text, &is_macro))
            return false;
    }
    return true;
}

bool mx_spf_macro_needs_name(struct mx_span text) {
    struct macro macro;
    bool is_macro;
    while (text.len > 0) {
        if (take_piece(&text, &macro, true, &is_macro) && is_macro && macro.letter == 'p')
            return true;
    }
    return false;
}

/* The last label of a name: letters, digits, hyphens inside, and not digits alone. */
static bool is_top_label(struct mx_span label) {
    bool has_other = false;
    if (label.len == 0 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alpha(label.ptr[i]) && !is_digit(label.ptr[i]) && label.ptr[i] != '-')
            return false;
        has_other = has_other || !is_digit(label.ptr[i]);
    }
    return has_other;
}

bool mx_spf_domain_is_good(struct mx_span text) {
    struct mx_span rest = text;
    struct macro macro;
    bool is_macro;
    size_t piece_len = 0;
    while (rest.len > 0) {
        size_t before = rest.len;
        if (!take_piece(&rest, &macro, false, &is_macro))
            return false;
        piece_len = before - rest.len;
    }
    if (piece_len != 1) /* it ends in a macro, or is empty */
        return text.len > 0;
    if (text.len > 1 && text.ptr[text.len - 1] == '.')
        text.len--;
    const char *dot = memrchr(text.ptr, '.', text.len);
    return dot != NULL && is_top_label(mx_span_skip(text, (size_t)(dot + 1 - text.ptr)));
}

/* ---- names of the address ---- */

static bool is_at_or_below(struct mx_span name, struct mx_span domain) {
    if (name.len < domain.len)
        return false;
    struct mx_span end = mx_span_skip(name, name.len - domain.len);
    return mx_span_equal_nocase(end, domain) &&
           (name.len == domain.len || name.ptr[name.len - domain.len - 1] == '.');
}

static bool next_validated(const struct mx_spf *self, size_t *at, struct mx_span *name) {
    if (*at >= self->validated_len)
        return false;
    const char *begin = self->validated + *at;
    const char *blank = memchr(begin, ' ', self->validated_len - *at);
    assert(blank != NULL);
    *name = (struct mx_span){begin, (size_t)(blank - begin)};
    *at += name->len + 1;
    return true;
}

bool mx_spf_is_validated(const struct mx_spf *self, struct mx_span domain) {
    struct mx_span name;
    for (size_t at = 0; next_validated(self, &at, &name);) {
        if (is_at_or_below(name, domain))
            return true;
    }
    return false;
}

struct mx_span mx_spf_validated_name(const struct mx_spf *self, struct mx_span domain) {
    struct mx_span name, below = {NULL, 0}, any = {NULL, 0};
    for (size_t at = 0; next_validated(self, &at, &name);) {
        if (mx_span_equal_nocase(name, domain))
            return name;
        if (below.ptr == NULL && is_at_or_below(name, domain))
            below = name;
        if (any.ptr == NULL)
            any = name;
    }
    return below.ptr != NULL ? below : any.ptr != NULL ? any : MX_SPAN("unknown");
}

/* ---- what a macro stands for ---- */

struct text {
    char *ptr;
    size_t len, cap;
    bool is_full;
};

static void put(struct text *self, struct mx_span span) {
    if (span.len > self->cap - self->len) {
        self->is_full = true;
        return;
    }
    if (span.len > 0)
        memcpy(self->ptr + self->len, span.ptr, span.len);
    self->len += span.len;
}

static void put_number(struct text *self, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put(self, (struct mx_span){digits + at, sizeof digits - at});
}

/* 1.2.3.4, or 32 nibbles with dots between. */
static void put_ip(struct text *self, const struct mx_ip *ip) {
    char digits[MX_IP_TEXT_MAX], nibbles[64];
    static const char hex[] = "0123456789abcdef";
    if (ip->family == 4) {
        put(self, (struct mx_span){digits, mx_ip_text(ip, digits)});
        return;
    }
    for (size_t i = 0; i < 32; i++) {
        unsigned octet = ip->bytes[i / 2];
        nibbles[2 * i] = hex[i % 2 ? octet & 15 : octet >> 4];
        nibbles[2 * i + 1] = '.';
    }
    put(self, (struct mx_span){nibbles, sizeof nibbles - 1});
}

static void put_sender(struct text *self, const struct mx_spf_client *client, char part) {
    struct mx_span sender = client->sender, domain = mx_spf_domain(client);
    struct mx_span local = MX_SPAN("postmaster");
    if (sender.len > domain.len + 1)
        local = (struct mx_span){sender.ptr, sender.len - domain.len - 1};
    if (part != 'o')
        put(self, local);
    if (part == 's')
        put(self, MX_SPAN("@"));
    if (part != 'l')
        put(self, domain);
}

static void put_value(struct text *value, const struct mx_spf *self, struct mx_span domain,
                      char letter) {
    const struct mx_spf_client *client = &self->client;
    char readable[MX_IP_TEXT_MAX];
    switch (letter) {
    case 'd':
        put(value, domain);
        break;
    case 'i':
        put_ip(value, &client->ip);
        break;
    case 'p':
        put(value, mx_spf_validated_name(self, domain));
        break;
    case 'h':
        put(value, client->helo);
        break;
    case 'c':
        put(value, (struct mx_span){readable, mx_ip_text(&client->ip, readable)});
        break;
    case 'r':
        put(value, client->receiver);
        break;
    case 't':
        put_number(value, (uint64_t)client->now_s);
        break;
    case 'v':
        put(value, client->ip.family == 4 ? MX_SPAN("in-addr") : MX_SPAN("ip6"));
        break;
    default:
        put_sender(value, client, letter);
    }
}

/* RFC 3986 2.3: what is not unreserved becomes %XX. */
static void put_escaped(struct text *self, struct mx_span span) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < span.len; i++) {
        char c = span.ptr[i];
        const char code[] = {'%', hex[(unsigned char)c >> 4], hex[c & 15]};
        bool is_plain = is_alpha(c) || is_digit(c) || (c != '\0' && memchr("-._~", c, 4) != NULL);
        put(self, is_plain ? (struct mx_span){&c, 1} : (struct mx_span){code, sizeof code});
    }
}

/* Its parts are numbered from the left. */
static struct mx_span part_of(struct mx_span value, struct mx_span delimiters, size_t wanted,
                              size_t *count) {
    struct mx_span part = {value.ptr, 0}, found = {NULL, 0};
    *count = 0;
    for (size_t i = 0; i <= value.len; i++) {
        bool is_end =
            i == value.len || memchr(delimiters.ptr, value.ptr[i], delimiters.len) != NULL;
        if (!is_end)
            continue;
        part.len = (size_t)(value.ptr + i - part.ptr);
        if ((*count)++ == wanted)
            found = part;
        part.ptr = value.ptr + i + 1;
    }
    return found;
}

static void put_macro(struct text *out, const struct mx_spf *self, struct mx_span domain,
                      const struct macro *macro) {
    char room[VALUE_MAX] = "";
    struct text value = {.ptr = room, .cap = sizeof room};
    size_t count;
    put_value(&value, self, domain, macro->letter);
    struct mx_span whole = {room, value.len};
    (void)part_of(whole, macro->delimiters, SIZE_MAX, &count);
    size_t parts = macro->parts > 0 && macro->parts < count ? macro->parts : count;
    for (size_t i = count - parts; i < count; i++) {
        size_t ignored, wanted = macro->is_reversed ? count - 1 - i : i;
        struct mx_span part = part_of(whole, macro->delimiters, wanted, &ignored);
        if (i > count - parts)
            put(out, MX_SPAN("."));
        if (macro->is_escaped)
            put_escaped(out, part);
        else
            put(out, part);
    }
    out->is_full = out->is_full || value.is_full;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the text is written there */
int mx_spf_expand(const struct mx_spf *self, struct mx_span domain, struct mx_span text, char *out,
                  size_t cap, size_t *len) {
    struct text result = {.ptr = out, .cap = cap};
    while (text.len > 0) {
        struct macro macro;
        bool is_macro;
        struct mx_span before = text;
        bool is_good = take_piece(&text, &macro, true, &is_macro);
        size_t piece_len = before.len - text.len;
        assert(is_good);
        if (is_macro)
            put_macro(&result, self, domain, &macro);
        else if (piece_len == 1)
            put(&result, (struct mx_span){before.ptr, 1});
        else
            put(&result, before.ptr[1] == '-'   ? MX_SPAN("%20")
                         : before.ptr[1] == '_' ? MX_SPAN(" ")
                                                : MX_SPAN("%"));
    }
    *len = result.len;
    return result.is_full ? MX_ENOROOM : 0;
}
