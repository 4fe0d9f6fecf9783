/* conn_impl.h - what the conn*.c files share. Nobody else includes this. */
#pragma once
#include "engine/conn.h"
#include "engine/limits.h"
#include "engine/worker.h"

/* Run the session over its kept input, then over data; what is left is kept (conn_step.c). */
void mx_conn_input(struct mx_worker *worker, struct mx_conn *conn, struct mx_span data);

/* The thing it waited for is there: give the result and go on with the kept input (conn_step.c). */
void mx_conn_resume(struct mx_worker *worker, struct mx_conn *conn, int result);

/* Go on without a result (there is room for replies, or for content). */
void mx_conn_continue(struct mx_worker *worker, struct mx_conn *conn);

/* Write the greeting, or what a fault wants instead (conn_step.c). */
void mx_conn_greet(struct mx_worker *worker, struct mx_conn *conn);

/* There is a reply buffer with at least `room` octets free. False: no memory (conn_step.c). */
MX_MUST_CHECK bool mx_conn_has_room(struct mx_worker *worker, struct mx_conn *conn, uint32_t room);

/* The open message, as the sink wants to know it (conn_step.c). */
struct mx_sink_message mx_conn_message(const struct mx_worker *worker, struct mx_conn *conn);

/* The server's last word, then close (conn.c). Kills when the reply cannot be written. */
void mx_conn_farewell(struct mx_worker *worker, struct mx_conn *conn, enum mx_farewell why);

/* A PROXY header has named the client (conn.c). False: it has too many connections, this one is
 * being closed. */
MX_MUST_CHECK bool mx_conn_know_client(struct mx_worker *worker, struct mx_conn *conn);

/* Close after what is written has been sent (conn.c). lingers: input may still be on its way. */
void mx_conn_close(struct mx_worker *worker, struct mx_conn *conn, bool lingers);

/* Receiving (conn.c). */
void mx_conn_arm_recv(struct mx_worker *worker, struct mx_conn *conn);
void mx_conn_cancel_recv(struct mx_worker *worker, struct mx_conn *conn);

/* Set the timer for the nearest of the connection's deadlines (conn_timer.c). */
void mx_conn_set_timer(struct mx_worker *worker, struct mx_conn *conn);

/* minDataRate: a new window begins. Out of content, and whenever the client could not send because
 * of us. */
static inline void mx_conn_begin_window(struct mx_worker *worker, struct mx_conn *conn) {
    conn->window_ms = worker->now_ms;
    conn->window_octets = (uint32_t)conn->session.received_octets;
}

/* TLS from now on, or close (conn_step.c). */
void mx_conn_start_tls(struct mx_worker *worker, struct mx_conn *conn);

/* Blocks (conn.c). */
static inline uint32_t mx_conn_block_len(const struct mx_conn_block *block) {
    return block->end - block->begin;
}
void mx_conn_block_free(struct mx_worker *worker, struct mx_conn_block *block);
