#include "config/size.h"

#include "config/lookup.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Digits off the front of *text. -ERANGE leaves *text behind the digits too, so that the caller
 * can still tell "too large" from "no number at all". */
static int take_digits(struct mx_span *text, int64_t *value) {
    size_t len = 0;
    int64_t sum = 0;
    bool is_large = false;
    while (len < text->len && is_digit(text->ptr[len])) {
        int64_t digit = text->ptr[len++] - '0';
        is_large = is_large || __builtin_mul_overflow(sum, 10, &sum) ||
                   __builtin_add_overflow(sum, digit, &sum);
    }
    if (len == 0)
        return MX_ESYNTAX;
    *text = mx_span_skip(*text, len);
    *value = sum;
    return is_large ? -ERANGE : 0;
}

/* A number with a unit from the table; blanks between them where has_blank. */
static int parse_with_unit(struct mx_span text, const struct mx_lookup *units, bool has_blank,
                           int64_t bare, int64_t *value) {
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    int64_t number = 0, factor = bare;
    text = mx_span_skip(text, is_negative);
    int err = take_digits(&text, &number);
    if (err == MX_ESYNTAX)
        return err;
    while (has_blank && text.len > 1 && text.ptr[0] == ' ')
        text = mx_span_skip(text, 1);
    if (text.len > 0 && !mx_lookup_value(units, text, &factor))
        return MX_ESYNTAX;
    if (err < 0 || is_negative || __builtin_mul_overflow(number, factor, &number))
        return -ERANGE;
    *value = number;
    return 0;
}

int mx_size_number(struct mx_span text, int64_t *value) {
    return parse_with_unit(text, NULL, false, 1, value);
}

int mx_size_octets(struct mx_span text, int64_t bare_octets, int64_t *octets) {
    static const struct mx_lookup units[] = {
        {"B",  1      },
        {"K",  1 << 10},
        {"M",  1 << 20},
        {"G",  1 << 30},
        {NULL, 0      }
    };
    assert(bare_octets > 0);
    return parse_with_unit(text, units, false, bare_octets, octets);
}

int mx_size_duration(struct mx_span text, int64_t bare_us, int64_t *us) {
    enum { MS = 1000, S = 1000 * MS };
    static const int64_t m = INT64_C(60) * S;
    const int64_t h = 60 * m, d = 24 * h, w = 7 * d;
    const struct mx_lookup units[] = {
        {"us",      1 },
        {"ms",      MS},
        {"s",       S },
        {"m",       m },
        {"h",       h },
        {"d",       d },
        {"w",       w },
        {"msec",    MS},
        {"msecs",   MS},
        {"sec",     S },
        {"secs",    S },
        {"second",  S },
        {"seconds", S },
        {"min",     m },
        {"mins",    m },
        {"hour",    h },
        {"minute",  m },
        {"minutes", m },
        {"hours",   h },
        {"day",     d },
        {"days",    d },
        {"week",    w },
        {"weeks",   w },
        {NULL,      0 },
    };
    assert(bare_us > 0);
    for (size_t i = 0; i < text.len; i++) {
        /* "5M" could mean minutes or months: only lower case is a duration */
        if (text.ptr[i] != mx_ascii_lower(text.ptr[i]))
            return MX_ESYNTAX;
    }
    return parse_with_unit(text, units, true, bare_us, us);
}

static void put_text(int64_t number, const char *unit, char text[MX_SIZE_TEXT_MAX]) {
    assert(number >= 0);
    int len = snprintf(text, MX_SIZE_TEXT_MAX, "%" PRId64 "%s", number, number ? unit : "");
    assert(len > 0 && len < MX_SIZE_TEXT_MAX);
}

void mx_size_octets_text(int64_t octets, char text[MX_SIZE_TEXT_MAX]) {
    static const char *const units[] = {"B", "K", "M", "G"};
    size_t i = 0;
    for (; i < 3 && octets > 0 && octets % 1024 == 0; i++)
        octets /= 1024;
    put_text(octets, units[i], text);
}

void mx_size_duration_text(int64_t us, char text[MX_SIZE_TEXT_MAX]) {
    static const char *const units[] = {"us", "ms", "s"};
    size_t i = 0;
    for (; i < 2 && us > 0 && us % 1000 == 0; i++)
        us /= 1000;
    put_text(us, units[i], text);
}

/* 10.1.* : one to three octets, then one star. */
static int parse_wildcard(struct mx_span text, struct mx_conf_network *network) {
    if (text.len == 1) {
        network->ip.family = 4;
        return 0;
    }
    for (uint8_t i = 0; i < 3; i++) {
        int64_t octet = 0;
        if (take_digits(&text, &octet) < 0 || octet > 255 || text.len < 2 || text.ptr[0] != '.')
            return MX_ESYNTAX;
        text = mx_span_skip(text, 1);
        network->ip.bytes[i] = (uint8_t)octet;
        if (text.len == 1 && text.ptr[0] == '*') {
            network->ip.family = 4;
            network->prefix_len = (uint8_t)(8 * (i + 1));
            return 0;
        }
    }
    return MX_ESYNTAX;
}

/* 255.255.255.0 -> 24; a mask with holes is refused. */
static int mask_bits(struct mx_span text, int64_t *bits) {
    struct mx_ip mask;
    if (!mx_ip_parse(text, &mask) || mask.family != 4)
        return MX_ESYNTAX;
    uint32_t word = (uint32_t)mask.bytes[0] << 24 | (uint32_t)mask.bytes[1] << 16 |
                    (uint32_t)mask.bytes[2] << 8 | mask.bytes[3];
    *bits = word ? 32 - __builtin_ctz(word) : 0;
    uint32_t whole = *bits ? UINT32_MAX << (32 - *bits) : 0;
    return word == whole ? 0 : MX_ESYNTAX;
}

static void clear_host_bits(struct mx_conf_network *network) {
    size_t octets = network->ip.family == 4 ? 4 : 16;
    for (size_t i = 0; i < octets; i++) {
        size_t bit = i * 8;
        if (bit >= network->prefix_len)
            network->ip.bytes[i] = 0;
        else if (bit + 8 > network->prefix_len)
            network->ip.bytes[i] &= (uint8_t)(0xff << (bit + 8 - network->prefix_len));
    }
}

static bool parse_address(struct mx_span text, struct mx_ip *ip) {
    if (mx_span_equal_nocase(text, MX_SPAN("localhost")))
        text = MX_SPAN("127.0.0.1");
    return mx_ip_parse(text, ip);
}

int mx_size_network(struct mx_span text, struct mx_conf_network *network) {
    *network = (struct mx_conf_network){0};
    if (text.len > 0 && text.ptr[text.len - 1] == '*')
        return parse_wildcard(text, network);
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct mx_span address = {text.ptr, slash ? (size_t)(slash - text.ptr) : text.len};
    if (!parse_address(address, &network->ip))
        return MX_ESYNTAX;
    bool is_v6_text = address.len > 0 && memchr(address.ptr, ':', address.len);
    int64_t bits = is_v6_text ? 128 : 32;
    if (slash) {
        struct mx_span tail = mx_span_skip(text, address.len + 1);
        int64_t most = bits;
        int err = mx_size_number(tail, &bits);
        if (err < 0 && !is_v6_text)
            err = mask_bits(tail, &bits);
        if (err < 0 || bits > most)
            return MX_ESYNTAX;
    }
    if (is_v6_text && network->ip.family == 4) {
        /* ::ffff:10.0.0.0/104 is kept as 10.0.0.0/8; a shorter prefix would leave IPv4 */
        bits -= 96;
        if (bits < 0)
            return MX_ESYNTAX;
    }
    network->prefix_len = (uint8_t)bits;
    clear_host_bits(network);
    return 0;
}

void mx_size_network_text(const struct mx_conf_network *network, char text[MX_NETWORK_TEXT_MAX]) {
    size_t len = mx_ip_text(&network->ip, text);
    int put = snprintf(text + len, MX_NETWORK_TEXT_MAX - len, "/%u", network->prefix_len);
    assert(put > 0 && (size_t)put < MX_NETWORK_TEXT_MAX - len);
}
