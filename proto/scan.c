#include "proto/scan.h"

#include "proto/scan_isa.h"

#include <stdatomic.h>

static size_t lines_scalar(struct mx_span in, uint32_t *ends, size_t cap) {
    size_t len = in.len < UINT32_MAX ? in.len : UINT32_MAX;
    size_t n = 0;
    for (size_t i = 0; i < len && n < cap; i++) {
        if (in.ptr[i] == '\n')
            ends[n++] = (uint32_t)(i + 1);
    }
    return n;
}

bool mx_isa_can(enum mx_isa isa) {
    switch (isa) {
    case MX_ISA_SCALAR:
#ifdef __x86_64__
    case MX_ISA_SSE2:
#endif
        return true;
#ifdef __x86_64__
    case MX_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("popcnt");
    case MX_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               mx_isa_can(MX_ISA_AVX2);
#else
    case MX_ISA_SSE2:
    case MX_ISA_AVX2:
    case MX_ISA_AVX512:
        return false;
#endif
    case MX_ISA_COUNT:
        break;
    }
    return false;
}

enum mx_isa mx_isa_best(void) {
    int isa = MX_ISA_COUNT - 1;
    while (!mx_isa_can((enum mx_isa)isa))
        isa--;
    return (enum mx_isa)isa;
}

const char *mx_isa_name(enum mx_isa isa) {
    switch (isa) {
    case MX_ISA_SCALAR:
        return "scalar";
    case MX_ISA_SSE2:
        return "sse2";
    case MX_ISA_AVX2:
        return "avx2";
    case MX_ISA_AVX512:
        return "avx512";
    case MX_ISA_COUNT:
        break;
    }
    return "unknown";
}

mx_scan_lines_fn *mx_scan_lines_variant(enum mx_isa isa) {
    /* clang-format off */
    static mx_scan_lines_fn *const variants[MX_ISA_COUNT] = {
        [MX_ISA_SCALAR] = lines_scalar,
#ifdef __x86_64__
        [MX_ISA_SSE2]   = mx_scan_lines_sse2,
        [MX_ISA_AVX2]   = mx_scan_lines_avx2,
        [MX_ISA_AVX512] = mx_scan_lines_avx512,
#endif
    };
    /* clang-format on */
    return mx_isa_can(isa) ? variants[isa] : NULL;
}

static mx_scan_lines_fn lines_first_call;

/* Threads that race for the first call all store the same pointer, so no order is needed. */
static _Atomic(mx_scan_lines_fn *) lines_best = lines_first_call;

static size_t lines_first_call(struct mx_span in, uint32_t *ends, size_t cap) {
    mx_scan_lines_fn *best = mx_scan_lines_variant(mx_isa_best());
    atomic_store_explicit(&lines_best, best, memory_order_relaxed);
    return best(in, ends, cap);
}

size_t mx_scan_lines(struct mx_span in, uint32_t *ends, size_t cap) {
    return atomic_load_explicit(&lines_best, memory_order_relaxed)(in, ends, cap);
}
