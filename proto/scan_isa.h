/* scan_isa.h - internal to scan*.c and dot*.c: the kernels of each instruction set.
 *
 * One may be called only if mx_isa_can() says that this CPU has its instruction set.
 */
#pragma once
#include "proto/dot.h"
#include "proto/scan.h"

/* Whether this CPU (and this build) can run the kernels of isa. */
bool mx_isa_can(enum mx_isa isa);

#ifdef __x86_64__
mx_scan_lines_fn mx_scan_lines_sse2, mx_scan_lines_avx2, mx_scan_lines_avx512;
mx_dot_scan_fn mx_dot_scan_sse2, mx_dot_scan_avx2, mx_dot_scan_avx512;
#endif

/* SCAN_TARGET is defined by each scan_<isa>.c. Inlining is forced because vectors of a type that
 * the baseline CPU does not have must never cross a call. */
#define SCAN_INLINE static inline __attribute__((always_inline)) SCAN_TARGET

/* Fills blocks up: no line end, no dot, not NUL, 7 bit. */
#define SCAN_PAD 'x'
