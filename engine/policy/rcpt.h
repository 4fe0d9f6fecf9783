/* rcpt.h - ValidRcptHandler: is there somebody of this name?
 *
 * Look-ups in memory only: never blocks.
 */
#pragma once
#include "config/conf.h"
#include "proto/session.h"

/* Does the recipient (local@domain) exist, as far as its domain is local? 0; or -ENOENT (550) or
 * MX_ELIMIT (451: aliases in a loop) with shared->refusal set. */
MX_MUST_CHECK int mx_rcpt_check(const struct mx_conf *conf, const struct mx_conf_hook *hook,
                                struct mx_span recipient, struct mx_session_shared *shared);
