/* dot_run.h - internal to dot.c and scan_block.h: one call of the DATA scanner and its rare cases.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/dot.h"

/* All variants cut the content into the same slices: the longest runs of octets that are content
 * and adjacent in memory. A slice is opened when its first octet is certain to be content. */
struct mx_dot_run {
    struct mx_dot *self;
    const char *begin, *end; /* the input of this call */
    const char *pos;         /* first octet not consumed */
    const char *open;        /* begin of the slice being built, NULL if none; has a slot reserved */
    struct mx_span *slices;
    size_t count, cap;         /* slices closed, slots */
    enum mx_dot_result result; /* valid once a call has returned false */
};

/* What a block of 64 octets holds beside plain content; bit i speaks of octet i. */
struct mx_dot_events {
    uint64_t leading_dot; /* a dot at the begin of a line */
    uint64_t bare_lf;
    uint64_t bare_cr; /* octet i is no LF but follows a CR */
};

/* Begin a call. Consumes what is needed to get out of MX_DOT_DOT and MX_DOT_DOTCR. True: self->at
 * is one of the other states, pos < end and a slice is open. False: the call is over. */
bool mx_dot_begin(struct mx_dot_run *run, struct mx_dot *self, struct mx_span in,
                  struct mx_span *slices, size_t cap);

/* Handle the events of the block at block, in order. False: the scan stops at run->pos, which may
 * lie up to two octets behind the block. */
bool mx_dot_handle(struct mx_dot_run *run, const char *block, struct mx_dot_events events);

/* All octets up to run->end went by: close the slice and find the state for the next call. */
void mx_dot_drain(struct mx_dot_run *run);

/* Hand the outcome to the caller of the scanner. */
enum mx_dot_result mx_dot_finish(const struct mx_dot_run *run, struct mx_span *in, size_t *count);
