/* param.h - ESMTP parameters behind a path: KEY or KEY=VALUE, separated by spaces.
 *
 * RFC 5321 4.1.1.11. Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/span.h"

struct mx_param {
    struct mx_span key;   /* as written; never empty */
    struct mx_span value; /* empty when there is no '=' or nothing behind it */
    bool has_value;       /* a '=' was written */
};

/* Take the next parameter off the front of *in. False: none is left (*in holds spaces at most). */
bool mx_param_take(struct mx_span *in, struct mx_param *param);

/* Is the key this upper-case keyword (any case on the wire)? */
static inline bool mx_param_is(const struct mx_param *param, struct mx_span keyword) {
    return mx_span_equal_nocase(param->key, keyword);
}

/* A decimal number of 1..20 digits (RFC 1870 6.1), at most UINT64_MAX. False: not a number. */
bool mx_param_u64(struct mx_span text, uint64_t *number);
