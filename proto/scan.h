/* scan.h - find line ends in bulk: scalar reference, SSE2, AVX2, AVX-512, chosen at run time.
 *
 * Pure: no I/O, no clock, no allocation. Reads only [ptr, ptr+len).
 */
#pragma once
#include "proto/span.h"

enum mx_isa { MX_ISA_SCALAR, MX_ISA_SSE2, MX_ISA_AVX2, MX_ISA_AVX512, MX_ISA_COUNT };

/* Write the offsets just behind each LF of in to ends[0..cap), in order. Returns how many there
 * are; fewer than cap means that no further LF is in the span. What the rest of ends[0..cap) holds
 * afterwards is undefined. */
typedef size_t mx_scan_lines_fn(struct mx_span in, uint32_t *ends, size_t cap);

/* The best variant for this CPU. Of a longer span only the first UINT32_MAX octets are scanned. */
size_t mx_scan_lines(struct mx_span in, uint32_t *ends, size_t cap);

/* One given variant; NULL when the CPU cannot run it. For tests and benchmarks. */
mx_scan_lines_fn *mx_scan_lines_variant(enum mx_isa isa);

/* Best instruction set this CPU has (what the dispatchers of scan.h and dot.h use) and its name. */
enum mx_isa mx_isa_best(void);
const char *mx_isa_name(enum mx_isa isa);
