#include "proto/base64.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t mx_base64_encode(struct mx_span in, char *out) {
    size_t at = 0;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t bits = (uint32_t)(uint8_t)in.ptr[i] << 16;
        bits |= left > 1 ? (uint32_t)(uint8_t)in.ptr[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(uint8_t)in.ptr[i + 2] : 0;
        out[at++] = alphabet[bits >> 18];
        out[at++] = alphabet[bits >> 12 & 63];
        out[at++] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        out[at++] = left > 2 ? alphabet[bits & 63] : '=';
    }
    return at;
}

/* 0..63, or 64: not of the alphabet. */
static uint32_t value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Padding fills the last group of four. */
static int drop_padding(struct mx_span *text) {
    size_t padding = 0;
    while (padding < 2 && padding < text->len && text->ptr[text->len - 1 - padding] == '=')
        padding++;
    if (padding > 0 && text->len % 4 != 0)
        return MX_ESYNTAX;
    text->len -= padding;
    return text->len % 4 == 1 ? MX_ESYNTAX : 0;
}

int mx_base64_decode(struct mx_span text, char *out, size_t max, size_t *len) {
    int err = drop_padding(&text);
    if (err < 0)
        return err;
    if (text.len / 4 * 3 + (text.len % 4 > 0 ? text.len % 4 - 1 : 0) > max)
        return MX_ENOROOM;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t value = value_of(text.ptr[i]);
        if (value > 63)
            return MX_ESYNTAX;
        bits = bits << 6 | value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[at++] = (char)(bits >> bit_count & 0xff);
        }
    }
    *len = at;
    return 0;
}
