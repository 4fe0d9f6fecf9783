/* scanreply.h - what scanners of whole messages answer: HTTP/1.x (rspamd), and the protocol of
 * SpamAssassin's spamd. A status line, fields, an empty line, and maybe a body.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_SCANREPLY_HEAD_MAX = 16384 }; /* status line and fields (octets) */

struct mx_http_reply {
    uint32_t status;
    struct mx_span body; /* borrowed */
};

/* All that came in so far; is_over: nothing more will. 0: it is whole; MX_EPARTIAL; MX_ESYNTAX: it
 * is none, or its body has no plain form (a transfer encoding). RFC 9112. */
MX_MUST_CHECK int mx_http_read(struct mx_span in, bool is_over, struct mx_http_reply *reply);

struct mx_spamd_reply {
    uint32_t code; /* 0: it has judged; else as in sysexits.h */
    bool is_spam;
    int32_t score, required; /* thousandths */
};

/* Likewise. What stands behind the fields is not waited for. A code of 0 without a verdict is none.
 */
MX_MUST_CHECK int mx_spamd_read(struct mx_span in, struct mx_spamd_reply *reply);
