/* mime.h - the text of a message's parts as its reader sees it, for those who look for something in
 * it: base64 and quoted-printable are undone as they pass.
 *
 * RFC 2045 6, 2046 5.1. It does not follow the tree of parts: a line that begins with "--" and has
 * a field below is taken for a border. Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_MIME_LINE = 80 /* octets of a line that are looked at */ };

enum mx_mime_encoding { MX_MIME_AS_IT_IS, MX_MIME_QUOTED, MX_MIME_BASE64 };

/* Takes a piece of text. */
typedef void mx_mime_put_fn(void *context, struct mx_span piece);

struct mx_mime_out {
    mx_mime_put_fn *put;
    void *context;
};

struct mx_mime { /* private; starts as {0} for a body without encoding */
    uint8_t where, encoding;
    uint8_t next_encoding; /* of the part whose header this is */
    bool is_message;       /* ... which is a message again, with a header */
    bool has_dash;         /* held back at the begin of a line */
    bool is_field_open;    /* the value of Content-Transfer-Encoding is in the next line */
    uint8_t quoted_len;    /* octets behind "=" that wait */
    char quoted[2];
    uint8_t bit_count; /* of base64 */
    uint32_t bits;
    uint64_t line_octets;
    uint8_t line_len;
    char line[MX_MIME_LINE];
};

/* The value of Content-Transfer-Encoding, with comments and parameters perhaps. */
enum mx_mime_encoding mx_mime_encoding_of(struct mx_span value);

/* The next piece of what stands behind the header of the message. */
void mx_mime_put(struct mx_mime *self, struct mx_span piece, const struct mx_mime_out *out);
