#include "proto/proxyproto.h"

#include "proto/crc32c.h"

/* Version 2: section 2.2. */
enum { SIGNATURE = 12, FIXED = 16, V4_BLOCK = 12, V6_BLOCK = 36, UNIX_BLOCK = 216 };
enum { TLV_HEAD = 3, TLV_CRC32C = 0x03, CRC = 4 };
enum command { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 }; /* with the version */

static const char signature[SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_begin[6] = "PROXY ";

/* ---- version 1 ---- */

/* The word in front of the next space or of the end; the space goes, too. */
static struct mx_span take_word(struct mx_span *line) {
    const char *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
    struct mx_span word = {line->ptr, space != NULL ? (size_t)(space - line->ptr) : line->len};
    *line = mx_span_skip(*line, word.len + (space != NULL));
    return word;
}

static bool parse_port(struct mx_span text, uint16_t *port) {
    uint32_t number = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

/* An address of the family that was announced, as it is written. */
static bool parse_address(struct mx_span text, bool is_v6, struct mx_ip *ip) {
    bool has_colon = text.len > 0 && memchr(text.ptr, ':', text.len) != NULL;
    return has_colon == is_v6 && mx_ip_parse(text, ip);
}

/* The line behind "PROXY ", without CRLF. Behind UNKNOWN anything may stand. */
static int parse_line(struct mx_proxyproto *self, struct mx_span line) {
    struct mx_span family = take_word(&line);
    if (mx_span_equal(family, MX_SPAN("UNKNOWN")))
        return 0;
    bool is_v6 = mx_span_equal(family, MX_SPAN("TCP6"));
    if (!is_v6 && !mx_span_equal(family, MX_SPAN("TCP4")))
        return MX_ESYNTAX;
    struct mx_span source = take_word(&line), target = take_word(&line);
    struct mx_span source_port = take_word(&line);
    struct mx_ip server;
    uint16_t server_port;
    bool is_good = parse_address(source, is_v6, &self->client) &&
                   parse_address(target, is_v6, &server) && parse_port(source_port, &self->port) &&
                   parse_port(line, &server_port);
    return is_good ? 0 : MX_ESYNTAX;
}

static int take_v1(struct mx_proxyproto *self, struct mx_span *in) {
    size_t most = in->len < MX_PROXYPROTO_LINE_MAX ? in->len : MX_PROXYPROTO_LINE_MAX;
    const char *lf = memchr(in->ptr, '\n', most);
    if (lf == NULL)
        return in->len < MX_PROXYPROTO_LINE_MAX ? MX_EPARTIAL : MX_ESYNTAX;
    if (lf[-1] != '\r')
        return MX_ESYNTAX;
    struct mx_span line = {in->ptr, (size_t)(lf - 1 - in->ptr)};
    int err = parse_line(self, mx_span_skip(line, sizeof v1_begin));
    if (err == 0)
        *in = mx_span_skip(*in, line.len + 2);
    return err;
}

/* ---- version 2 ---- */

static uint16_t be16(const char *at) {
    return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static uint32_t be32(const char *at) {
    return (uint32_t)be16(at) << 16 | be16(at + 2);
}

/* The checksum is over the whole header with its own value as zeros. */
static bool is_crc_right(struct mx_span header, const char *value) {
    size_t before = (size_t)(value - header.ptr);
    uint32_t crc = mx_crc32c(0, (struct mx_span){header.ptr, before});
    crc = mx_crc32c(crc, (struct mx_span){"\0\0\0", CRC});
    return mx_crc32c(crc, mx_span_skip(header, before + CRC)) == be32(value);
}

/* What stands behind the addresses: type, length and value, again and again to the very end. */
static int check_tlvs(struct mx_span header, size_t at) {
    while (at < header.len) {
        struct mx_span rest = mx_span_skip(header, at);
        if (rest.len < TLV_HEAD)
            return MX_ESYNTAX;
        size_t len = be16(rest.ptr + 1);
        if (len > rest.len - TLV_HEAD)
            return MX_ESYNTAX;
        bool is_crc = rest.ptr[0] == TLV_CRC32C;
        if (is_crc && (len != CRC || !is_crc_right(header, rest.ptr + TLV_HEAD)))
            return MX_ESYNTAX;
        at += TLV_HEAD + len;
    }
    return 0;
}

/* Octets of the addresses of a family and transport; false: there is no such one. */
static bool block_len(uint8_t family, size_t *len) {
    switch (family) {
    case 0x00: /* UNSPEC */
        *len = 0;
        return true;
    case 0x11: /* TCP over IPv4 */
    case 0x12: /* UDP */
        *len = V4_BLOCK;
        return true;
    case 0x21: /* TCP over IPv6 */
    case 0x22: /* UDP */
        *len = V6_BLOCK;
        return true;
    case 0x31: /* UNIX, stream */
    case 0x32: /* UNIX, datagram */
        *len = UNIX_BLOCK;
        return true;
    default:
        return false;
    }
}

/* The first 16 octets as far as they are there. */
static int check_fixed(struct mx_span in, size_t *block) {
    size_t len = in.len < SIGNATURE ? in.len : SIGNATURE;
    if (memcmp(in.ptr, signature, len) != 0)
        return MX_ESYNTAX;
    if (in.len < FIXED)
        return MX_EPARTIAL;
    uint8_t command = (uint8_t)in.ptr[SIGNATURE];
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return MX_ESYNTAX;
    *block = 0; /* section 2.2: with LOCAL the family and what follows are not looked at */
    if (command == COMMAND_PROXY &&
        (!block_len((uint8_t)in.ptr[SIGNATURE + 1], block) || be16(in.ptr + 14) < *block))
        return MX_ESYNTAX;
    return FIXED + be16(in.ptr + 14) > MX_PROXYPROTO_HEADER_MAX ? MX_ELIMIT : 0;
}

static int take_v2(struct mx_proxyproto *self, struct mx_span *in) {
    size_t block = 0;
    int err = check_fixed(*in, &block);
    if (err < 0)
        return err;
    struct mx_span header = {in->ptr, FIXED + (size_t)be16(in->ptr + 14)};
    if (in->len < header.len)
        return MX_EPARTIAL;
    const char *addresses = in->ptr + FIXED;
    uint8_t family = (uint8_t)in->ptr[SIGNATURE + 1];
    if ((uint8_t)in->ptr[SIGNATURE] == COMMAND_PROXY) {
        err = check_tlvs(header, FIXED + block);
        if (family == 0x11) {
            self->client.family = 4;
            memcpy(self->client.bytes, addresses, 4);
            self->port = be16(addresses + 8);
        } else if (family == 0x21) {
            self->client = mx_ip_of_v6((const uint8_t *)addresses);
            self->port = be16(addresses + 32);
        }
    }
    if (err == 0)
        *in = mx_span_skip(*in, header.len);
    return err;
}

int mx_proxyproto_take(struct mx_proxyproto *self, struct mx_span *in) {
    *self = (struct mx_proxyproto){0};
    if (in->len == 0)
        return MX_EPARTIAL;
    if (in->ptr[0] == signature[0])
        return take_v2(self, in);
    size_t len = in->len < sizeof v1_begin ? in->len : sizeof v1_begin;
    if (memcmp(in->ptr, v1_begin, len) != 0)
        return MX_ESYNTAX;
    return take_v1(self, in);
}
