#include "proto/reply.h"

/* A cut may not leave half a UTF-8 sequence behind. */
static size_t cut(struct mx_span text, size_t max_octets) {
    if (text.len <= max_octets)
        return text.len;
    size_t len = max_octets;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return len;
}

void mx_reply_echo(struct mx_out *out, struct mx_span text, size_t max_octets, bool keeps_utf8) {
    size_t len = cut(text, max_octets);
    assert(len <= mx_out_room(out));
    char *to = out->ptr + out->len;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_plain = (c >= 0x20 && c < 0x7F) || (keeps_utf8 && c >= 0x80);
        to[i] = is_plain ? (char)c : '?';
    }
    out->len += (uint32_t)len;
}

void mx_reply_number(struct mx_out *out, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    mx_out_put(out, (struct mx_span){digits + at, sizeof digits - at});
}
