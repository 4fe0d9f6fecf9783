#include "proto/scan_isa.h"

#ifdef __x86_64__
#include <immintrin.h>

#define SCAN_TARGET __attribute__((target("avx512f,avx512bw,bmi,popcnt")))

struct block {
    __m512i v;
};

SCAN_INLINE struct block block_fill(char c) {
    return (struct block){_mm512_set1_epi8(c)};
}

SCAN_INLINE struct block block_load(const char *ptr) {
    return (struct block){_mm512_loadu_si512(ptr)};
}

/* Octets outside of the mask are not touched by the CPU, so they may lie in a missing page. */
SCAN_INLINE struct block block_load_part(const char *ptr, size_t n) {
    __mmask64 part = (UINT64_C(1) << n) - 1;
    return (struct block){_mm512_mask_loadu_epi8(_mm512_set1_epi8(SCAN_PAD), part, ptr)};
}

SCAN_INLINE uint64_t block_high(struct block b) {
    return _mm512_movepi8_mask(b.v);
}

SCAN_INLINE uint64_t block_eq(struct block b, char c) {
    return _mm512_cmpeq_epi8_mask(b.v, _mm512_set1_epi8(c));
}

SCAN_INLINE struct block block_min(struct block a, struct block b) {
    return (struct block){_mm512_min_epu8(a.v, b.v)};
}

SCAN_INLINE struct block block_or(struct block a, struct block b) {
    return (struct block){_mm512_or_si512(a.v, b.v)};
}

SCAN_INLINE uint32_t mask_first(uint64_t mask) {
    return (uint32_t)_tzcnt_u64(mask);
}

SCAN_INLINE size_t mask_count(uint64_t mask) {
    return (size_t)__builtin_popcountll(mask);
}

#include "proto/scan_block.h"

SCAN_TARGET size_t mx_scan_lines_avx512(struct mx_span in, uint32_t *ends, size_t cap) {
    return scan_lines(in, ends, cap);
}

SCAN_TARGET enum mx_dot_result mx_dot_scan_avx512(struct mx_dot *self, struct mx_span *in,
                                                  struct mx_span *slices, size_t *count) {
    return scan_dots(self, in, slices, count);
}
#endif
