/* session_impl.h - what the session*.c files share. Nobody else includes this. */
#pragma once
#include "proto/reply.h"
#include "proto/session.h"

#include <errno.h>

/* Why the octets of a BDAT chunk are dropped instead of stored. */
enum chunk_refusal { CHUNK_OK, CHUNK_NO_SENDER, CHUNK_NO_RCPT, CHUNK_ANSWERED };

/* A verb's handler gets the text behind the verb and one space. */
typedef enum mx_action mx_verb_fn(struct mx_session *self, struct mx_span args, struct mx_out *out);

mx_verb_fn mx_session_helo, mx_session_ehlo, mx_session_mail, mx_session_rcpt, mx_session_data,
    mx_session_bdat;

/* The only writer of self->state. */
void mx_session_enter(struct mx_session *self, enum mx_session_state next);

/* Ask the driver for one thing and go on with on_resume in state `then`. */
enum mx_action mx_session_park(struct mx_session *self, enum mx_action action,
                               mx_session_continue_fn *on_resume, enum mx_session_state then);

/* Ask for the policy at this point when the configuration wants it there; else go on at once. */
enum mx_action mx_session_ask_hook(struct mx_session *self, enum mx_hook_point point,
                                   mx_session_continue_fn *on_resume, struct mx_out *out);

/* Ask for a block of at least `octets` in all; the command runs again afterwards. */
enum mx_action mx_session_grow(struct mx_session *self, uint32_t octets);

/* Append a whole reply line, CRLF included, and count it. */
enum mx_action mx_session_say(struct mx_session *self, struct mx_out *out, struct mx_span line);
#define SAY(self, out, text) mx_session_say((self), (out), MX_SPAN(text "\r\n"))

/* Count a reply by its first digit; for lines that are put together. */
void mx_session_count_reply(struct mx_session *self, char digit);

/* Write the refusal a hook left behind; closes when it says so. */
enum mx_action mx_session_refuse(struct mx_session *self, struct mx_out *out);

/* Forget sender, recipients and message; the sink is told when one was open. */
void mx_session_reset(struct mx_session *self);

/* Is there a delay at this place (a verb or MX_FAULT_*) that is not over? Then the session is
 * parked on MX_ACTION_DELAY. conf->faults is not NULL, here and below. */
bool mx_session_fault_waits(struct mx_session *self, unsigned place);

/* Do what the fault row of this place wants. *is_handled: it took the place of the command's own
 * work. */
enum mx_action mx_session_fault(struct mx_session *self, unsigned place, bool *is_handled,
                                struct mx_out *out);

/* A BDAT command has been refused already: read and drop the octets that follow it (RFC 3030 2), or
 * end the session when its arguments do not say how many they are. */
enum mx_action mx_session_skip_chunk(struct mx_session *self, struct mx_span args);

/* Reply and close: nothing is read any more. */
enum mx_action mx_session_end(struct mx_session *self);

/* Content states (session_data.c). */
enum mx_action mx_session_step_data(struct mx_session *self, struct mx_span *in,
                                    struct mx_out *out);
enum mx_action mx_session_step_chunk(struct mx_session *self, struct mx_span *in,
                                     struct mx_out *out);
enum mx_action mx_session_step_replies(struct mx_session *self, struct mx_span *in,
                                       struct mx_out *out);
