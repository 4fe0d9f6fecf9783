/* conn_log.h - what the log says of a connection: one line an event, never one a command.
 *
 * Limits that were reached are said at level info, at most MX_LOG_LIMITS_PER_S a second and worker
 * (the rest is counted); connections and messages at level debug.
 */
#pragma once
#include "engine/conn.h"

/* Peer known, session begun. */
void mx_conn_log_open(struct mx_worker *worker, const struct mx_conn *conn);

/* A PROXY header has said who the client is: from here on the lines name it as the peer. */
void mx_conn_log_client(struct mx_worker *worker, const struct mx_conn *conn);

/* The slot is about to be free. */
void mx_conn_log_close(struct mx_worker *worker, const struct mx_conn *conn);

/* A message has ended at the sink: 0 or its error. Before the session forgets the envelope. */
void mx_conn_log_message(struct mx_worker *worker, const struct mx_conn *conn, int result);

/* A helper has judged a login: 0, or why not. Failures are said as limits are, successes at debug.
 * Nothing is said before a verdict. */
void mx_conn_log_auth(struct mx_worker *worker, const struct mx_conn *conn, int result);

/* A hook has refused something: which, where, with what. Said as limits are. */
void mx_conn_log_refusal(struct mx_worker *worker, const struct mx_conn *conn);

/* A limit, by the name of its row, ends the session or refuses it. */
/* A handshake is complete, or a session has failed. */
void mx_conn_log_tls(struct mx_worker *worker, const struct mx_conn *conn);
void mx_conn_log_tls_failed(struct mx_worker *worker, const struct mx_conn *conn,
                            const char *reason);

void mx_conn_log_limit(struct mx_worker *worker, const struct mx_conn *conn, const char *limit);
