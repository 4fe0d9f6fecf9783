/* diff.h - two configurations: what a reload from one to the other changes, and what it cannot.
 */
#pragma once
#include "config/conf.h"

/* One change in words, "log.level: info -> debug"; needs_restart: a reload leaves it as it is. */
typedef void mx_diff_fn(void *context, const char *text, bool needs_restart);

/* Which server of `old` goes on as which one of `new`: map[i] for each of the new ones, or
 * MX_CONF_NO_SERVER. It is the one with a listening address in common, else the one with the same
 * kind and a name that only it has, else the one at the same place among those of its kind that are
 * left. */
void mx_conf_match(const struct mx_conf *old, const struct mx_conf *new,
                   uint32_t map[MX_CONF_SERVERS_MAX]);

/* Tell every change, in the order of the schema. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_conf_diff(const struct mx_conf *old, const struct mx_conf *new,
                               mx_diff_fn *tell, void *context);

/* Give the rows of `new` that a reload cannot change the values of `old`. 0 or -ENOMEM. */
MX_MUST_CHECK int mx_conf_keep(struct mx_conf *new, const struct mx_conf *old);
