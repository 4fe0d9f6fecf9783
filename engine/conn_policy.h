/* conn_policy.h - the handler chain of a connection: asks, waits, goes on.
 *
 * While a hook waits (MX_WAIT_HOOK) the connection's input is kept; the timer is the hook's. Jobs
 * of a connection that closes come back later and are dropped.
 */
#pragma once
#include "engine/worker.h"

/* Once, before the worker runs. */
void mx_conn_policy_init(struct mx_worker *worker);

/* MX_ACTION_HOOK. True: the session is resumed. False: the connection waits. */
MX_MUST_CHECK bool mx_conn_hook_ask(struct mx_worker *worker, struct mx_conn *conn);

/* The deadline of the hook that waits may have passed. */
void mx_conn_hook_on_timer(struct mx_worker *worker, struct mx_conn *conn);

/* MX_ACTION_BODY of a server whose hooks look at content: hand it to the sink, the header as the
 * hooks want it. 0 or an error for resume. */
MX_MUST_CHECK int mx_conn_hook_content(struct mx_worker *worker, struct mx_conn *conn,
                                       const struct mx_span *slices, uint32_t count);

/* After a step: what belonged to a transaction that is over. */
void mx_conn_policy_release(struct mx_worker *worker, struct mx_conn *conn);

/* The connection closes. */
void mx_conn_policy_end(struct mx_worker *worker, struct mx_conn *conn);
