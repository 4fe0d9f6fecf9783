/* readable.h - will a reload be able to read the files of a configuration, once engine.user has
 * given up root? */
#pragma once
#include "config/conf.h"
#include "engine/confine.h"

/* Told of a file that cannot be read; err as of open(2), negative. */
typedef void mx_readable_fn(void *context, const char *path, int err);

/* Tell those that this process, as it is, cannot read. */
void mx_readable_check(const struct mx_conf *conf, mx_readable_fn *tell, void *context);

/* Tell those that another user could not: a child becomes that user and tries. For a process of one
 * thread that is root. 0, or -errno: it could not be tried. */
MX_MUST_CHECK int mx_readable_check_as(const struct mx_confine_user *user,
                                       const struct mx_conf *conf, mx_readable_fn *tell,
                                       void *context);
