/* utf8_test.c - well-formed UTF-8 against a second definition: a sequence is right when encoding
 * the code point that its bits spell gives the same octets. All sequences of up to three octets,
 * and all of four whose last two are at the edges of their ranges.
 */
#include "proto/utf8.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>

static size_t encode(uint32_t point, uint8_t octets[4]) {
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        octets[i] = (uint8_t)(0x80 | (point & 0x3f));
    octets[0] = (uint8_t)(0xf00 >> len | point);
    return len;
}

/* The length when octets begin with a right sequence of just this length, else 0. */
static size_t want_len(const uint8_t *octets, size_t len) {
    uint32_t point = octets[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (octets[i] & 0x3f);
    if (point < 0x80 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    uint8_t again[4];
    return encode(point, again) == len && memcmp(again, octets, len) == 0 ? len : 0;
}

static size_t len_of(const uint8_t *octets, size_t len) {
    return mx_utf8_len((const char *)octets, len);
}

Test(utf8, two_and_three_octets) {
    size_t twos = 0, threes = 0, wrong = 0;
    uint8_t *octets = (uint8_t *)guard_room(3);
    for (uint32_t word = 0; word < 1 << 24; word++) {
        octets[0] = (uint8_t)(word >> 16);
        octets[1] = (uint8_t)(word >> 8);
        octets[2] = (uint8_t)word;
        size_t two = want_len(octets, 2), three = want_len(octets, 3);
        size_t len = len_of(octets, 3);
        wrong += len != (two ? two : three);
        twos += len == 2;
        threes += len == 3;
    }
    cr_expect_eq(wrong, 0);
    cr_expect_eq(twos, (size_t)256 * (0x800 - 0x80));
    cr_expect_eq(threes, 0x10000 - 0x800 - 0x800);
}

Test(utf8, four_octets) {
    static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x81, 0xbe, 0xbf, 0xc0, 0xff};
    const size_t count = sizeof edges;
    uint8_t *octets = (uint8_t *)guard_room(4);
    for (uint32_t word = 0xf000; word < 0x10000; word++) {
        for (size_t i = 0; i < count * count; i++) {
            octets[0] = (uint8_t)(word >> 8);
            octets[1] = (uint8_t)word;
            octets[2] = edges[i / count];
            octets[3] = edges[i % count];
            if (len_of(octets, 4) != want_len(octets, 4))
                cr_expect_fail("%04x %02x %02x", word, octets[2], octets[3]);
        }
    }
}

Test(utf8, cut_short) {
    static const uint8_t whole[] = {0xf0, 0x9f, 0x93, 0xa7};
    uint8_t *octets = (uint8_t *)guard_room(4);
    memcpy(octets, whole, 4);
    cr_expect_eq(len_of(octets, 4), 4);
    for (size_t len = 1; len < 4; len++) {
        uint8_t *cut = (uint8_t *)guard_room(len);
        memcpy(cut, whole, len);
        cr_expect_eq(len_of(cut, len), 0);
    }
}
