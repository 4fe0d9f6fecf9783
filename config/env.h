/* env.h - ${env:NAME} inside values. Private to config/. */
#pragma once
#include "config/arena.h"
#include "proto/err.h"

enum {
    MX_ENV_NAME_MAX = 128,        /* octets of a NAME, NUL included */
    MX_ENV_VALUE_MAX = 16 * 1024, /* octets of an expanded value */
};

/* Replace each ${env:NAME} in *text by the variable's value, which is not looked at again.
 * 0: *text is the result, of the arena or unchanged. -ENOENT: the variable in name is not set.
 * MX_ESYNTAX: "${" with anything but env:NAME} behind it, also when it only arises from the values.
 * MX_ELIMIT: the result is too long. -EILSEQ: a value is not printable UTF-8. -ENOMEM. */
MX_MUST_CHECK int mx_env_expand(struct mx_arena *arena, struct mx_span *text,
                                char name[MX_ENV_NAME_MAX]);
