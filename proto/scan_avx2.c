#include "proto/scan_isa.h"

#ifdef __x86_64__
#include <immintrin.h>

#define SCAN_TARGET __attribute__((target("avx2,bmi,popcnt")))

struct block {
    __m256i lo, hi;
};

SCAN_INLINE struct block block_fill(char c) {
    __m256i v = _mm256_set1_epi8(c);
    return (struct block){v, v};
}

SCAN_INLINE struct block block_load(const char *ptr) {
    const __m256i_u *from = (const void *)ptr;
    return (struct block){_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
}

SCAN_INLINE struct block block_load_part(const char *ptr, size_t n) {
    char padded[64];
    memset(padded, SCAN_PAD, sizeof padded);
    memcpy(padded, ptr, n);
    return block_load(padded);
}

SCAN_INLINE uint64_t block_high(struct block b) {
    uint32_t lo = (uint32_t)_mm256_movemask_epi8(b.lo), hi = (uint32_t)_mm256_movemask_epi8(b.hi);
    return (uint64_t)hi << 32 | lo;
}

SCAN_INLINE uint64_t block_eq(struct block b, char c) {
    __m256i want = _mm256_set1_epi8(c);
    b.lo = _mm256_cmpeq_epi8(b.lo, want);
    b.hi = _mm256_cmpeq_epi8(b.hi, want);
    return block_high(b);
}

SCAN_INLINE struct block block_min(struct block a, struct block b) {
    return (struct block){_mm256_min_epu8(a.lo, b.lo), _mm256_min_epu8(a.hi, b.hi)};
}

SCAN_INLINE struct block block_or(struct block a, struct block b) {
    return (struct block){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}

SCAN_INLINE uint32_t mask_first(uint64_t mask) {
    return (uint32_t)_tzcnt_u64(mask);
}

SCAN_INLINE size_t mask_count(uint64_t mask) {
    return (size_t)__builtin_popcountll(mask);
}

#include "proto/scan_block.h"

SCAN_TARGET size_t mx_scan_lines_avx2(struct mx_span in, uint32_t *ends, size_t cap) {
    return scan_lines(in, ends, cap);
}

SCAN_TARGET enum mx_dot_result mx_dot_scan_avx2(struct mx_dot *self, struct mx_span *in,
                                                struct mx_span *slices, size_t *count) {
    return scan_dots(self, in, slices, count);
}
#endif
