/* verb.h - the command names. One row a verb; the session's table of handlers is in the same order.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/span.h"

/* In the order of frequency. name, and which protocols know it. */
#define MX_VERB_SHORT_LIST(X)                                                                      \
    X(MAIL, MX_IN_BOTH)                                                                            \
    X(RCPT, MX_IN_BOTH)                                                                            \
    X(DATA, MX_IN_BOTH)                                                                            \
    X(BDAT, MX_IN_BOTH)                                                                            \
    X(EHLO, MX_IN_SMTP)                                                                            \
    X(HELO, MX_IN_SMTP)                                                                            \
    X(LHLO, MX_IN_LMTP)                                                                            \
    X(QUIT, MX_IN_BOTH)                                                                            \
    X(RSET, MX_IN_BOTH)                                                                            \
    X(NOOP, MX_IN_BOTH)                                                                            \
    X(VRFY, MX_IN_BOTH)                                                                            \
    X(EXPN, MX_IN_BOTH)                                                                            \
    X(HELP, MX_IN_SMTP)                                                                            \
    X(AUTH, MX_IN_SMTP)

#define MX_VERB_LIST(X) MX_VERB_SHORT_LIST(X) X(STARTTLS, MX_IN_BOTH)

enum { MX_IN_SMTP = 1, MX_IN_LMTP = 2, MX_IN_BOTH = 3 };

#define MX_VERB_ENUM(name, protocols) MX_VERB_##name,
enum mx_verb { MX_VERB_LIST(MX_VERB_ENUM) MX_VERB_UNKNOWN, MX_VERB_COUNT };
#undef MX_VERB_ENUM

/* Which verb is this (any case)? MX_VERB_UNKNOWN when none. */
enum mx_verb mx_verb_find(struct mx_span name);

/* Upper-case name; "UNKNOWN" for MX_VERB_UNKNOWN. */
const char *mx_verb_name(enum mx_verb verb);

/* Bit set of MX_IN_*. */
unsigned mx_verb_protocols(enum mx_verb verb);
