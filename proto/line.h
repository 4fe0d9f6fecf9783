/* line.h - find the next CRLF-terminated line in a stream.
 *
 * Pure: no I/O, no clock, no allocation.  RFC 5321 2.3.8 (lines), 4.5.3.1.4 (command line length).
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

/* Hard upper bound of a command line, whatever the configuration says: 1 MiB. */
enum { MX_LINE_MAX = 1 << 20 };

struct mx_line {
    uint32_t scanned;   /* octets of the current line already known to hold no LF */
    uint32_t limit;     /* longest accepted line, octets, line end not counted; 1..MX_LINE_MAX */
    bool is_discarding; /* the current line was too long; its rest is dropped up to its LF */
};

static inline void mx_line_init(struct mx_line *self, uint32_t limit) {
    *self = (struct mx_line){.limit = limit};
}

/* Take one line off the front of *in.
 * On 0, *line is the text without LF or CRLF (borrowed from in->ptr) and *in is moved past the LF;
 * *bare_lf says that the line ended without CR.
 * MX_EPARTIAL: no complete line; call again with a *in that starts at the same octet and is longer
 * (while a too long line is being dropped, *in was moved to its end: then start with new octets).
 * MX_ELIMIT: the line is longer than the limit; *line is what was seen of it. Returned exactly once
 * for such a line, as soon as the limit is passed; what was seen of it is consumed and the rest is
 * dropped by later calls. */
MX_MUST_CHECK int mx_line_take(struct mx_line *self, struct mx_span *in, struct mx_span *line,
                               bool *bare_lf);
