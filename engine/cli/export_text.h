/* export_text.h - mail as files of this system have it: lines end in LF, and in an mbox no line of
 * the content begins like the separator. Piece by piece, whatever the cuts.
 */
#pragma once
#include "proto/span.h"

#include <stdio.h>

struct mx_export_text {
    FILE *to;
    bool is_mbox;    /* mboxrd: "From " at the begin of a line, also behind '>', gets a '>' */
    bool has_cr;     /* a CR that may belong to a line end */
    bool is_inside;  /* the line is known not to begin so */
    bool is_begun;   /* something stands in the line */
    uint8_t matched; /* octets of "From " that are held back */
};

void mx_export_text_put(struct mx_export_text *self, struct mx_span piece);

/* The last line gets its end. */
void mx_export_text_end(struct mx_export_text *self);
