/* err.h - one error space for all of mxring.
 *
 * 0 is success; a negative number is -errno as the kernel gave it, or one of the codes below (under
 * -5000). Never -1 for "something went wrong". A protocol refusal is a reply, not an error.
 */
#pragma once

#define MX_MUST_CHECK __attribute__((warn_unused_result))

#define MX_ERR_LIST(X)                                                                             \
    X(MX_EPARTIAL, -5001, "more input needed")                                                     \
    X(MX_ESYNTAX, -5002, "syntax error")                                                           \
    X(MX_ELIMIT, -5003, "limit exceeded")                                                          \
    X(MX_ENOROOM, -5004, "no room in the buffer")                                                  \
    X(MX_EPENDING, -5005, "result comes later")                                                    \
    X(MX_ECONFIG, -5006, "configuration error")                                                    \
    X(MX_ETLS, -5010, "TLS failure")                                                               \
    X(MX_EREFUSED, -5012, "refused by policy")                                                     \
    X(MX_EEND, -5011, "the peer has ended its side")

#define MX_ERR_ENUM(name, number, text) name = (number),
enum mx_err { MX_ERR_LIST(MX_ERR_ENUM) };
#undef MX_ERR_ENUM

/* The text of one of our own codes; NULL for 0, an errno or an unknown number. */
const char *mx_err_text(int err);
