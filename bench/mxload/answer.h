/* answer.h - the client's reader of replies: RFC 5321 4.2, one or more lines "250-text", the last
 * one "250 text". Pure.
 *
 * A line may come in pieces. Of a long one only the beginning is kept; a line without an end is a
 * broken server after MX_ANSWER_LINE_MAX octets.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_ANSWER_TEXT = 160, MX_ANSWER_LINE_MAX = 65536 };

/* Zeroed: between two replies. */
struct mx_answer {
    uint32_t len;              /* octets of the line that is not complete yet */
    char text[MX_ANSWER_TEXT]; /* its beginning */
};

/* Take octets off the front of *in until a reply is complete.
 * Returns its code, 200..599; *text is the last line with its code and without CRLF, borrowed from
 * *in or from self, at most MX_ANSWER_TEXT octets. MX_EPARTIAL: *in is empty now, call again with
 * what comes next. MX_ESYNTAX: this is no SMTP; *in is behind the bad line. MX_ELIMIT: too long. */
MX_MUST_CHECK int mx_answer_take(struct mx_answer *self, struct mx_span *in, struct mx_span *text);
