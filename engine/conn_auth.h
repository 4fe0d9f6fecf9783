/* conn_auth.h - AUTH of a connection: the memory of an exchange, and the helpers that check it.
 *
 * An exchange lies in a block of session memory. While a helper has it (MX_WAIT_AUTH), the block
 * and the login are the helper's; a connection that closes meanwhile leaves both behind.
 */
#pragma once
#include "engine/worker.h"

/* MX_ACTION_AUTH_BEGIN: give the session its memory, or say that there is none. */
void mx_conn_auth_begin(struct mx_worker *worker, struct mx_conn *conn);

/* MX_ACTION_AUTH: ask a helper. False: none can be asked now, the session has been told so. */
MX_MUST_CHECK bool mx_conn_auth_ask(struct mx_worker *worker, struct mx_conn *conn);

/* After a step: wipe and take back what the session is done with. */
void mx_conn_auth_release(struct mx_worker *worker, struct mx_conn *conn);

/* The connection closes. Before its wait is cleared. */
void mx_conn_auth_drop(struct mx_worker *worker, struct mx_conn *conn);
