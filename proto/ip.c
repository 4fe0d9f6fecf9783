#include "proto/ip.h"

enum { GROUPS = 8, V4_GROUP = 6, NOT_HEX = 0xff };

/* clang-format off */
static const uint8_t hex_value[256] = {
    [0 ... '0' - 1] = NOT_HEX,
    ['0'] = 0, ['1'] = 1, ['2'] = 2, ['3'] = 3, ['4'] = 4,
    ['5'] = 5, ['6'] = 6, ['7'] = 7, ['8'] = 8, ['9'] = 9,
    ['9' + 1 ... 'A' - 1] = NOT_HEX,
    ['A'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['E'] = 14, ['F'] = 15,
    ['F' + 1 ... 'a' - 1] = NOT_HEX,
    ['a'] = 10, ['b'] = 11, ['c'] = 12, ['d'] = 13, ['e'] = 14, ['f'] = 15,
    ['f' + 1 ... 255] = NOT_HEX,
};
/* clang-format on */
static const char hex_digits[16] = "0123456789abcdef";
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static char *put_v4(char *at, const uint8_t bytes[4]) {
    for (int i = 0; i < 4; i++) {
        unsigned number = bytes[i];
        if (number >= 100)
            *at++ = (char)('0' + number / 100);
        if (number >= 10)
            *at++ = (char)('0' + number / 10 % 10);
        *at++ = (char)('0' + number % 10);
        *at++ = '.';
    }
    return at - 1;
}

static char *put_group(char *at, unsigned group) {
    int shift = 12;
    while (shift > 0 && group >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = hex_digits[group >> shift & 0xf];
    return at;
}

/* The first of the longest runs of two or more zero groups; end 0 when there is none. */
static void find_zeros(const unsigned groups[GROUPS], int *begin, int *end) {
    *begin = *end = 0;
    for (int i = 0; i < GROUPS; i++) {
        int from = i;
        while (i < GROUPS && groups[i] == 0)
            i++;
        if (i - from >= 2 && i - from > *end - *begin) {
            *begin = from;
            *end = i;
        }
    }
}

static char *put_v6(char *at, const uint8_t bytes[16]) {
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(at, "::ffff:", 7);
        return put_v4(at + 7, bytes + 12);
    }
    unsigned groups[GROUPS];
    for (int i = 0; i < GROUPS; i++, bytes += 2)
        groups[i] = (unsigned)bytes[0] << 8 | bytes[1];
    int zeros, zeros_end;
    find_zeros(groups, &zeros, &zeros_end);
    for (int i = 0; i < GROUPS; i++) {
        if (i == zeros && zeros_end > 0) {
            *at++ = ':';
            i = zeros_end;
            if (i == GROUPS)
                *at++ = ':';
        }
        if (i == GROUPS)
            break;
        if (i > 0)
            *at++ = ':';
        at = put_group(at, groups[i]);
    }
    return at;
}

size_t mx_ip_text(const struct mx_ip *self, char text[MX_IP_TEXT_MAX]) {
    char *end = text;
    if (self->family == 4) {
        end = put_v4(end, self->bytes);
    } else if (self->family == 6) {
        end = put_v6(end, self->bytes);
    } else {
        memcpy(end, "unknown", 7);
        end += 7;
    }
    *end = '\0';
    return (size_t)(end - text);
}

size_t mx_ip_literal(const struct mx_ip *self, char text[MX_IP_TEXT_MAX + 5]) {
    if (self->family != 6)
        return mx_ip_text(self, text);
    memcpy(text, "IPv6:", 5);
    return 5 + mx_ip_text(self, text + 5);
}

/* Four decimal numbers without leading zeros, which some readers take for octal. */
static bool parse_v4(struct mx_span text, uint8_t bytes[4]) {
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        unsigned number = 0;
        size_t begin = at;
        for (; at < text.len && at - begin < 3 && hex_value[(uint8_t)text.ptr[at]] < 10; at++)
            number = number * 10 + hex_value[(uint8_t)text.ptr[at]];
        if (at == begin || number > 255 || (text.ptr[begin] == '0' && at - begin > 1))
            return false;
        bytes[i] = (uint8_t)number;
        if (i < 3 && (at == text.len || text.ptr[at++] != '.'))
            return false;
    }
    return at == text.len;
}

/* Groups as they are written: the place of "::" is kept aside. */
struct groups {
    uint8_t bytes[16];
    int count; /* groups written */
    int gap;   /* groups before "::", -1 without it */
};

/* One group, or the dotted quad at the end. Returns the octets it has, 0 when it is neither. */
static size_t parse_group(struct groups *self, struct mx_span text) {
    unsigned group = 0;
    size_t len = 0;
    while (len < text.len && len < 4 && hex_value[(uint8_t)text.ptr[len]] != NOT_HEX)
        group = group << 4 | hex_value[(uint8_t)text.ptr[len++]];
    if (len > 0 && len < text.len && text.ptr[len] == '.') {
        if (self->count > V4_GROUP || !parse_v4(text, self->bytes + 2 * (ptrdiff_t)self->count))
            return 0;
        self->count += 2;
        return text.len;
    }
    if (len == 0 || self->count == GROUPS)
        return 0;
    uint8_t *at = self->bytes + 2 * (ptrdiff_t)self->count;
    at[0] = (uint8_t)(group >> 8);
    at[1] = (uint8_t)group;
    self->count++;
    return len;
}

static bool parse_groups(struct groups *self, struct mx_span text) {
    bool is_begin = true;
    while (text.len > 0) {
        if (text.len >= 2 && text.ptr[0] == ':' && text.ptr[1] == ':') {
            if (self->gap >= 0)
                return false;
            self->gap = self->count;
            text = mx_span_skip(text, 2);
            if (text.len == 0)
                return true;
        } else if (!is_begin) {
            if (text.ptr[0] != ':')
                return false;
            text = mx_span_skip(text, 1);
        }
        is_begin = false;
        size_t len = parse_group(self, text);
        if (len == 0)
            return false;
        text = mx_span_skip(text, len);
    }
    return !is_begin;
}

static bool parse_v6(struct mx_span text, uint8_t bytes[16]) {
    struct groups groups = {.gap = -1};
    if (!parse_groups(&groups, text))
        return false;
    if (groups.gap < 0) {
        memcpy(bytes, groups.bytes, 16);
        return groups.count == GROUPS;
    }
    /* "::" stands for at least one group. */
    if (groups.count == GROUPS)
        return false;
    size_t head = 2 * (size_t)groups.gap, tail = 2 * (size_t)groups.count - head;
    memset(bytes, 0, 16);
    memcpy(bytes, groups.bytes, head);
    memcpy(bytes + 16 - tail, groups.bytes + head, tail);
    return true;
}

struct mx_ip mx_ip_of_v6(const uint8_t bytes[16]) {
    struct mx_ip ip = {.family = 4};
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        memcpy(ip.bytes, bytes + sizeof mapped_prefix, 4);
        return ip;
    }
    ip.family = 6;
    memcpy(ip.bytes, bytes, sizeof ip.bytes);
    return ip;
}

bool mx_ip_parse(struct mx_span text, struct mx_ip *ip) {
    struct mx_ip parsed = {.family = 4};
    if (!parse_v4(text, parsed.bytes)) {
        uint8_t bytes[16];
        if (!parse_v6(text, bytes))
            return false;
        parsed = mx_ip_of_v6(bytes);
    }
    *ip = parsed;
    return true;
}
