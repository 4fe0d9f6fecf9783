/* scan_block.h - internal: the loops over blocks of 64 octets, written once for all instruction
 * sets. A template; the file that includes it defines first
 *
 *   SCAN_TARGET            attribute that switches the instruction set on for a function
 *   struct block           64 octets in vector registers
 *   block_fill(c)          64 times c
 *   block_load(ptr)        64 octets from memory
 *   block_load_part(p, n)  n octets, 1..63, filled up with SCAN_PAD; reads no more than n
 *   block_eq(b, c)         bit i: octet i equals c
 *   block_high(b)          bit i: octet i is above 0x7f
 *   block_min(a, b)        the smaller octets (unsigned), one by one; block_or(a, b) likewise
 *   mask_first(m)          index of the lowest bit set; any number if m is 0
 *   mask_count(m)          number of bits set
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/dot_run.h"
#include "proto/scan_isa.h"

enum { SCAN_BLOCK = 64 };

/* Bits 0..n-1. */
static inline uint64_t mask_below(size_t n) {
    return n < SCAN_BLOCK ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* ---- line ends ---- */

/* At most cap ends, one branch each. */
SCAN_INLINE size_t put_ends_checked(uint64_t lf, uint32_t base, uint32_t *ends, size_t cap) {
    size_t n = 0;
    for (; lf != 0 && n < cap; lf &= lf - 1)
        ends[n++] = base + 1 + mask_first(lf);
    return n;
}

/* Room for SCAN_BLOCK ends. Two are always written, since whether none, one or two lines end in a
 * block is what a branch predictor cannot know. */
SCAN_INLINE size_t put_ends(uint64_t lf, uint32_t base, uint32_t *ends) {
    size_t n = mask_count(lf);
    uint64_t second = lf & (lf - 1), rest = second & (second - 1);
    ends[0] = base + 1 + mask_first(lf);
    ends[1] = base + 1 + mask_first(second);
    if (__builtin_expect(rest != 0, 0))
        put_ends_checked(rest, base, ends + 2, SCAN_BLOCK - 2);
    return n;
}

SCAN_INLINE size_t scan_lines(struct mx_span in, uint32_t *ends, size_t cap) {
    size_t len = in.len < UINT32_MAX ? in.len : UINT32_MAX;
    size_t at = 0, n = 0;
    for (; len - at >= SCAN_BLOCK && cap - n >= SCAN_BLOCK; at += SCAN_BLOCK)
        n += put_ends(block_eq(block_load(in.ptr + at), '\n'), (uint32_t)at, ends + n);
    while (at < len && n < cap) {
        size_t left = len - at;
        struct block b =
            left >= SCAN_BLOCK ? block_load(in.ptr + at) : block_load_part(in.ptr + at, left);
        n += put_ends_checked(block_eq(b, '\n'), (uint32_t)at, ends + n, cap - n);
        at += left >= SCAN_BLOCK ? SCAN_BLOCK : left;
    }
    return n;
}

/* ---- DATA ---- */

/* What stands in front of a block, in bit 0. */
struct edge {
    uint64_t cr;  /* the octet before is a CR */
    uint64_t bol; /* the block begins a line */
};

/* NUL and 8-bit are looked for once a call, not once a block: in these two. */
struct seen {
    struct block least; /* smallest octet that came by at each place */
    struct block any;   /* or of all octets that came by at each place */
};

SCAN_INLINE void seen_report(const struct seen *seen, struct mx_dot *dot, uint64_t valid) {
    dot->has_nul |= (block_eq(seen->least, '\0') & valid) != 0;
    dot->has_8bit |= (block_high(seen->any) & valid) != 0;
}

/* One block; valid are its octets that belong to the input. False: the scan stops. */
SCAN_INLINE bool dot_block(struct mx_dot_run *run, struct edge *edge, struct block b,
                           const char *at, uint64_t valid) {
    uint64_t cr = block_eq(b, '\r'), lf = block_eq(b, '\n'), dot = block_eq(b, '.');
    uint64_t after_cr = (cr << 1 | edge->cr) & valid;
    uint64_t eol = lf & after_cr;
    uint64_t leading_dot = dot & (eol << 1 | edge->bol);
    edge->cr = cr >> (SCAN_BLOCK - 1);
    edge->bol = eol >> (SCAN_BLOCK - 1);
    if (__builtin_expect((leading_dot | (lf ^ after_cr)) == 0, 1))
        return true;
    return mx_dot_handle(run, at,
                         (struct mx_dot_events){leading_dot, lf & ~after_cr, after_cr & ~lf});
}

/* The scan stopped in block b at at: what lies behind run->pos may not be reported. */
SCAN_INLINE void dot_stopped(const struct mx_dot_run *run, const struct seen *seen, struct block b,
                             const char *at) {
    struct seen last = {.least = b, .any = b};
    seen_report(seen, run->self, UINT64_MAX);
    seen_report(&last, run->self, mask_below((size_t)(run->pos - at)));
}

/* True: all octets from run->pos to run->end went by. */
SCAN_INLINE bool dot_blocks(struct mx_dot_run *run) {
    const char *at = run->pos, *end = run->end;
    struct edge edge = {.cr = run->self->at == MX_DOT_CR, .bol = run->self->at == MX_DOT_BOL};
    struct seen seen = {.least = block_fill(SCAN_PAD), .any = block_fill(SCAN_PAD)};
    for (; end - at >= SCAN_BLOCK; at += SCAN_BLOCK) {
        struct block b = block_load(at);
        if (!dot_block(run, &edge, b, at, UINT64_MAX)) {
            dot_stopped(run, &seen, b, at);
            return false;
        }
        seen.least = block_min(seen.least, b);
        seen.any = block_or(seen.any, b);
    }
    if (at < end) {
        struct block b = block_load_part(at, (size_t)(end - at));
        if (!dot_block(run, &edge, b, at, mask_below((size_t)(end - at)))) {
            dot_stopped(run, &seen, b, at);
            return false;
        }
        seen.least = block_min(seen.least, b);
        seen.any = block_or(seen.any, b);
    }
    seen_report(&seen, run->self, UINT64_MAX);
    return true;
}

SCAN_INLINE enum mx_dot_result scan_dots(struct mx_dot *self, struct mx_span *in,
                                         struct mx_span *slices, size_t *count) {
    struct mx_dot_run run;
    if (mx_dot_begin(&run, self, *in, slices, *count) && dot_blocks(&run))
        mx_dot_drain(&run);
    return mx_dot_finish(&run, in, count);
}
