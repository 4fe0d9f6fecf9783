/* session_impl.h - what the session*.c files share. Nobody else includes this. */
#pragma once
#include "proto/err.h"
#include "proto/param.h"
#include "proto/reply.h"
#include "proto/session.h"

#include <errno.h>

/* Why the octets of a BDAT chunk are dropped instead of stored. */
enum chunk_refusal { CHUNK_OK, CHUNK_NO_SENDER, CHUNK_NO_RCPT, CHUNK_ANSWERED };

/* Why a message is refused at its end, beside -errno of the sink; none of them is an errno. */
enum message_error {
    TOO_LARGE = -6001,
    LINE_TOO_LONG = -6002,
    FAULT_SOFT = -6003,
    FAULT_HARD = -6004,
    NO_FROM = -6005,
};

/* A verb's handler gets the text behind the verb and one space. */
typedef enum mx_action mx_verb_fn(struct mx_session *self, struct mx_span args, struct mx_out *out);

mx_verb_fn mx_session_helo, mx_session_ehlo, mx_session_mail, mx_session_rcpt, mx_session_data,
    mx_session_bdat, mx_session_auth, mx_session_starttls, mx_session_rset, mx_session_noop,
    mx_session_vrfy, mx_session_expn, mx_session_help;

/* The only writer of self->state. */
void mx_session_enter(struct mx_session *self, enum mx_session_state next);

/* Ask the driver for one thing and go on with on_resume in state `then`. */
enum mx_action mx_session_park(struct mx_session *self, enum mx_action action,
                               mx_session_continue_fn *on_resume, enum mx_session_state then);

/* Ask for the policy at this point when the configuration wants it there; else go on at once. */
enum mx_action mx_session_ask_hook(struct mx_session *self, enum mx_hook_point point,
                                   mx_session_continue_fn *on_resume, struct mx_out *out);

/* The same for a command that runs again with the answer: true: go on. False: return *action;
 * either the hook is being asked, or it has refused and that is answered. */
MX_MUST_CHECK bool mx_session_hook_first(struct mx_session *self, enum mx_hook_point point,
                                         enum mx_action *action);

/* Ask for a block of at least `octets` in all; the command runs again afterwards. */
enum mx_action mx_session_grow(struct mx_session *self, uint32_t octets);

/* Append a whole reply line, CRLF included, and count it. */
enum mx_action mx_session_say(struct mx_session *self, struct mx_out *out, struct mx_span line);
#define SAY(self, out, text) mx_session_say((self), (out), MX_SPAN(text "\r\n"))

/* Count a reply by its first digit, as an error of the client too; for lines that are put together.
 * count_line: the reply alone. */
void mx_session_count_reply(struct mx_session *self, char digit);
void mx_session_count_line(struct mx_session *self, char digit);

/* Write the refusal a hook left behind; closes when it says so. */
enum mx_action mx_session_refuse(struct mx_session *self, struct mx_out *out);

/* Forget sender, recipients and message; the sink is told when one was open. */
void mx_session_reset(struct mx_session *self);

/* Is there a delay at this place (a verb or MX_FAULT_*) that is not over? Then the session is
 * parked on MX_ACTION_DELAY. conf->faults is not NULL, here and below. */
bool mx_session_fault_waits(struct mx_session *self, unsigned place);

/* Do what the fault row of this place wants. *is_handled: it took the place of the command's own
 * work. A refusal at BDAT or MX_FAULT_DOT is not done here: octets may have to be read first, and
 * in LMTP each recipient is told. */
enum mx_action mx_session_fault(struct mx_session *self, unsigned place, bool *is_handled,
                                struct mx_out *out);

/* The message fails when the fault row of this place (BDAT or MX_FAULT_DOT) is a refusal.
 * conf->faults may be NULL. */
void mx_session_fault_message(struct mx_session *self, unsigned place);

/* Reply and close: nothing is read any more. */
enum mx_action mx_session_end(struct mx_session *self);

/* ---- parameters of hooks (session_params.c) ---- */

enum { MX_ENVID_MAX = 100, MX_ORCPT_MAX = 500 }; /* octets, decoded; RFC 3461 4.4, 4.2 */

struct mx_mail_extras {
    bool is_any; /* one of them was there; else the rest counts for nothing */
    struct mx_extras values;
    struct mx_span envid; /* in room */
    char room[MX_ENVID_MAX];
};

struct mx_rcpt_extras {
    uint8_t notify;       /* bits of enum mx_notify */
    struct mx_span orcpt; /* in room */
    char room[MX_ORCPT_MAX];
};

/* Take a parameter of MAIL that a hook has switched on; others are let be. Returns the refusal, or
 * an empty span. */
struct mx_span mx_session_mail_extension(const struct mx_session *self,
                                         const struct mx_param *param,
                                         struct mx_mail_extras *extras);

/* The same of RCPT. False: it is none of these. */
bool mx_session_rcpt_extension(const struct mx_session *self, const struct mx_param *param,
                               struct mx_rcpt_extras *extras, struct mx_span *refusal);

/* ---- a message (session_data.c) ---- */

/* A message may begin: is there room in the block for the Received line and what is kept of the
 * header, when they are wanted? need: size of the whole block that has it. */
bool mx_session_has_message_room(const struct mx_session *self);
uint32_t mx_session_message_need(const struct mx_session *self);

/* OPEN succeeded: content may come. */
void mx_session_begin_message(struct mx_session *self);

/* The message cannot be stored any more: its octets are read and dropped, the refusal comes at the
 * end, so that the stream stays in step. The first error stays. */
void mx_session_fail(struct mx_session *self, int err);

/* slices[0] is the Received line when it is still due. Returns how many slices are taken. */
uint32_t mx_session_first_slices(struct mx_session *self);

/* maxDataLineLength: fail when a line of this content, as received, is longer. Neither the line's
 * end, CRLF or LF, nor a stuffing dot counts (RFC 5321 4.5.3.1.6). check_last_line: the message
 * ends here, maybe in the middle of a line. */
void mx_session_check_lines(struct mx_session *self, struct mx_span wire);
void mx_session_check_last_line(struct mx_session *self);

/* Hand shared->slices[0..slice_count) over, or go on at once when there is nothing to store. */
enum mx_action mx_session_store(struct mx_session *self, struct mx_out *out);

/* All content is here: COMMIT, or the refusal. */
enum mx_action mx_session_finish(struct mx_session *self, struct mx_out *out);

/* Count the message, answer it with one reply (message_error) and end the transaction. */
enum mx_action mx_session_put_result(struct mx_session *self, struct mx_out *out);

/* The same for a message that has failed before its end: a hook says why. */
enum mx_action mx_session_put_failure(struct mx_session *self, struct mx_out *out);

/* ---- the PROXY header (session_proxy.c) ---- */

enum mx_action mx_session_step_proxy(struct mx_session *self, struct mx_span *in,
                                     struct mx_out *out);

/* ---- AUTH (session_auth.c) ---- */

enum mx_action mx_session_step_auth(struct mx_session *self, struct mx_span *in,
                                    struct mx_out *out);

/* ---- the content states ---- */

enum mx_action mx_session_step_data(struct mx_session *self, struct mx_span *in,
                                    struct mx_out *out);
enum mx_action mx_session_step_chunk(struct mx_session *self, struct mx_span *in,
                                     struct mx_out *out);
enum mx_action mx_session_step_replies(struct mx_session *self, struct mx_span *in,
                                       struct mx_out *out);
