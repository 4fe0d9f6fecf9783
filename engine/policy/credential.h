/* credential.h - does this password belong to this entry of the users file? Takes as long as the
 * hash wants: milliseconds. Not for a worker.
 */
#pragma once
#include "config/password.h"

struct crypt_data;

/* 0: it does. -EACCES: it does not. Another -errno: it cannot be known (memory). login: in any case
 * of letters, the salt of PBKDF2 entries. scratch: zeroed once by the caller, wiped here. */
MX_MUST_CHECK int mx_credential_check(const struct mx_password *entry, struct mx_span login,
                                      struct mx_span password, struct crypt_data *scratch);
