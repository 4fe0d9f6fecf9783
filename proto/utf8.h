/* utf8.h - length of a well-formed UTF-8 sequence. RFC 3629 section 4.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Octets (2..4) of the well-formed sequence above U+007F at the begin of at[0..len), len >= 1.
 * 0: there is none (overlong, surrogate, above U+10FFFF, cut short or ASCII). */
static inline size_t mx_utf8_len(const char *at, size_t len) {
    const uint8_t *octets = (const uint8_t *)at;
    uint8_t lead = octets[0];
    size_t count = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (count == 0 || count > len)
        return 0;
    /* Only the second octet's range depends on the lead. */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (octets[1] < low || octets[1] > high)
        return 0;
    for (size_t i = 2; i < count; i++) {
        if ((octets[i] & 0xc0) != 0x80)
            return 0;
    }
    return count;
}
