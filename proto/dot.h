/* dot.h - the DATA scanner: finds CRLF.CRLF, removes dot-stuffing, emits slices. One pass.
 *
 * RFC 5321 4.1.1.4 (end of mail data), 4.5.2 (transparency). Only CRLF "." CRLF ends the data. A
 * leading dot of any other line is removed (also of ".x"). A bare LF (an LF without CR before it)
 * is an error at once. A bare CR, NUL and octets above 0x7f are content; they are reported, not
 * changed. Pure: no I/O, no clock, no allocation. Reads only [ptr, ptr+len).
 */
#pragma once
#include "proto/span.h"

/* Where the stream stands between two octets: all the state there is across buffers. */
enum mx_dot_at {
    MX_DOT_BOL,   /* at the begin of a line (also: begin of the data) */
    MX_DOT_MID,   /* inside a line */
    MX_DOT_CR,    /* a CR was seen inside a line; it has been emitted as content */
    MX_DOT_DOT,   /* a dot was the first octet of the line; it has not been emitted */
    MX_DOT_DOTCR, /* dot CR; neither has been emitted */
};

struct mx_dot {
    uint8_t at;       /* enum mx_dot_at */
    bool has_bare_cr; /* a CR not followed by LF was content. Set, never cleared, by mx_dot_scan */
    bool has_nul;     /* likewise for NUL */
    bool has_8bit;    /* likewise for octets above 0x7f */
};

enum mx_dot_result {
    MX_DOT_MORE,    /* *in is used up (len 0), the end is not in it */
    MX_DOT_END,     /* *in stands right behind CRLF.CRLF */
    MX_DOT_FULL,    /* slices are full; call again with the same *in */
    MX_DOT_BARE_LF, /* *in stands right behind a bare LF; what the slices hold came before it */
};

/* Fewest slices a caller may offer. */
enum { MX_DOT_SLICES_MIN = 4 };

/* Scan *in, move it past what was consumed and set slices[0..*count) to the content found. *count
 * is the capacity (>= MX_DOT_SLICES_MIN) on entry. The slices borrow from the input, or from static
 * memory (a "\r" that turned out to be content); empty slices are never emitted, and content that
 * is adjacent in memory is one slice. The flags are not influenced by octets behind the end of data
 * or the bare LF. After MX_DOT_END self stands at MX_DOT_BOL: only the flags need clearing. */
typedef enum mx_dot_result mx_dot_scan_fn(struct mx_dot *self, struct mx_span *in,
                                          struct mx_span *slices, size_t *count);

static inline void mx_dot_init(struct mx_dot *self) {
    *self = (struct mx_dot){.at = MX_DOT_BOL};
}

/* The best variant for this CPU. */
enum mx_dot_result mx_dot_scan(struct mx_dot *self, struct mx_span *in, struct mx_span *slices,
                               size_t *count);

/* One given variant; NULL when the CPU cannot run it. For tests and benchmarks. */
mx_dot_scan_fn *mx_dot_scan_variant(int isa);
