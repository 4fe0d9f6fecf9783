/* auth.h - is a login right? The users file is asked, hashes are computed: milliseconds. Runs on a
 * helper thread, never on a worker.
 */
#pragma once
#include "config/hook.h"
#include "config/users.h"
#include "proto/auth.h"

/* Who may log in. */
struct mx_auth_source {
    const struct mx_users *users;
    const struct mx_conf_table *accounts; /* of ConfigurationAuthHook; NULL: the users */
};

struct crypt_data;

/* Do what auth->ask says for login->name. 0; -EACCES: the login is wrong; another -errno: nobody
 * can say. An unknown name takes the time of the first user's hash. scratch: as for
 * mx_credential_check. */
MX_MUST_CHECK int mx_auth_run(const struct mx_auth_source *source, const struct mx_login *login,
                              struct mx_auth *auth, struct crypt_data *scratch);
