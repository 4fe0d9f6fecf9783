#include "proto/scan_isa.h"

#ifdef __x86_64__
#include <emmintrin.h>

#define SCAN_TARGET /* every x86-64 CPU has SSE2 */

/* Four names and no array: gcc 12 keeps an array that is walked by a loop in memory at -O2. */
struct block {
    __m128i a, b, c, d;
};

SCAN_INLINE struct block block_fill(char c) {
    __m128i v = _mm_set1_epi8(c);
    return (struct block){v, v, v, v};
}

SCAN_INLINE struct block block_load(const char *ptr) {
    const __m128i_u *from = (const void *)ptr;
    return (struct block){_mm_loadu_si128(from), _mm_loadu_si128(from + 1),
                          _mm_loadu_si128(from + 2), _mm_loadu_si128(from + 3)};
}

SCAN_INLINE struct block block_load_part(const char *ptr, size_t n) {
    char padded[64];
    memset(padded, SCAN_PAD, sizeof padded);
    memcpy(padded, ptr, n);
    return block_load(padded);
}

SCAN_INLINE uint64_t block_high(struct block x) {
    uint32_t a = (uint32_t)_mm_movemask_epi8(x.a), b = (uint32_t)_mm_movemask_epi8(x.b);
    uint32_t c = (uint32_t)_mm_movemask_epi8(x.c), d = (uint32_t)_mm_movemask_epi8(x.d);
    return (uint64_t)(d << 16 | c) << 32 | (b << 16 | a);
}

SCAN_INLINE uint64_t block_eq(struct block x, char c) {
    __m128i want = _mm_set1_epi8(c);
    return block_high((struct block){_mm_cmpeq_epi8(x.a, want), _mm_cmpeq_epi8(x.b, want),
                                     _mm_cmpeq_epi8(x.c, want), _mm_cmpeq_epi8(x.d, want)});
}

SCAN_INLINE struct block block_min(struct block x, struct block y) {
    return (struct block){_mm_min_epu8(x.a, y.a), _mm_min_epu8(x.b, y.b), _mm_min_epu8(x.c, y.c),
                          _mm_min_epu8(x.d, y.d)};
}

SCAN_INLINE struct block block_or(struct block x, struct block y) {
    return (struct block){_mm_or_si128(x.a, y.a), _mm_or_si128(x.b, y.b), _mm_or_si128(x.c, y.c),
                          _mm_or_si128(x.d, y.d)};
}

SCAN_INLINE uint32_t mask_first(uint64_t mask) {
    return (uint32_t)__builtin_ctzll(mask | UINT64_C(1) << 63);
}

/* Without the POPCNT instruction the builtin would be a call into a table. */
SCAN_INLINE size_t mask_count(uint64_t mask) {
    const uint64_t ones = UINT64_C(0x5555555555555555), pairs = UINT64_C(0x3333333333333333);
    const uint64_t nibbles = UINT64_C(0x0f0f0f0f0f0f0f0f), octets = UINT64_C(0x0101010101010101);
    mask -= (mask >> 1) & ones;
    mask = (mask & pairs) + ((mask >> 2) & pairs);
    return ((mask + (mask >> 4)) & nibbles) * octets >> 56;
}

#include "proto/scan_block.h"

size_t mx_scan_lines_sse2(struct mx_span in, uint32_t *ends, size_t cap) {
    return scan_lines(in, ends, cap);
}

enum mx_dot_result mx_dot_scan_sse2(struct mx_dot *self, struct mx_span *in, struct mx_span *slices,
                                    size_t *count) {
    return scan_dots(self, in, slices, count);
}
#endif
