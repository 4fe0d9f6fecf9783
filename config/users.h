/* users.h - the users file: who may log in, and which local users there are.
 *
 *     # comment; so no name begins with '#'
 *     user@domain:HASH       (see password.h for what a HASH may be)
 *
 * Read once into memory, immutable, asked by any number of threads at the same time. Names are
 * compared without regard to the case of ASCII letters. A million users cost about 16 MiB beside
 * the text of the file itself.
 */
#pragma once
#include "config/conf.h"

enum { MX_LOGIN_MAX = 255 }; /* octets of a login, as James */

struct mx_users;

/* Read and check a file; what is wrong with its lines is added to the report under the name `path`.
 * 0; MX_ECONFIG: there are errors in it; -errno: it cannot be read (-EINVAL: no regular file,
 * -EFBIG: larger than 2 GiB, or more than 2^30 lines; -ESTALE: it grew while it was read). Free
 * with mx_users_free. */
MX_MUST_CHECK int mx_users_load(const char *path, struct mx_conf_report *report,
                                struct mx_users **users);

/* The same for text in memory. */
MX_MUST_CHECK int mx_users_parse(struct mx_span text, const char *path,
                                 struct mx_conf_report *report, struct mx_users **users);

/* Wipes the hashes and secrets. */
void mx_users_free(struct mx_users *users);

/* Is there a user of this name (any case)? *entry, when not NULL, is what stands behind the colon:
 * valid for mx_password_parse; it lives as long as the users do. About 0.2 us among a million. */
bool mx_users_find(const struct mx_users *users, struct mx_span login, struct mx_span *entry);

/* The entry of the first user in the file, for the time that an unknown name shall take; empty: the
 * file has none. */
struct mx_span mx_users_first(const struct mx_users *users);

uint32_t mx_users_count(const struct mx_users *users);

/* Can SCRAM-SHA-256 be announced: is there a user, and can every one be served? */
bool mx_users_can_scram(const struct mx_users *users);
