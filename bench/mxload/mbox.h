/* mbox.h - the messages of an mbox, one after the other, from a descriptor that need not seek.
 *
 * A message begins behind a line "From ..." which is the first one or follows an empty line, and
 * ends before the empty line in front of the next one (or at the end). Lines end in LF or CRLF. In
 * a message such lines are quoted: mboxrd puts a '>' before every "From ", ">From ", ">>From " ...,
 * mboxo only before "From ".
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

#define MX_MBOX_MESSAGE_MAX ((size_t)1 << 30) /* octets of one message */

struct mx_mbox {
    int fd; /* borrowed */
    bool has_ended;
    char *octets;
    size_t begin, len, cap; /* octets[begin..len) are not taken yet */
};

/* Nothing is read and no memory is taken before the first message. */
void mx_mbox_init(struct mx_mbox *self, int fd);
void mx_mbox_free(struct mx_mbox *self);

/* The next message as it is stored, quoted; *text is borrowed until the next call. Returns 1, 0 at
 * the end, MX_ESYNTAX (this is no mbox), or -errno (-EFBIG: longer than MX_MBOX_MESSAGE_MAX). */
MX_MUST_CHECK int mx_mbox_new_message(struct mx_mbox *self, struct mx_span *text);

/* Begin with another descriptor, with the memory that is there. */
void mx_mbox_reuse(struct mx_mbox *self, int fd);

/* When mx_mbox_new_message has said MX_ESYNTAX at the very first: all octets there are, read to the
 * end, as one message. 0 or -errno. */
MX_MUST_CHECK int mx_mbox_new_whole(struct mx_mbox *self, struct mx_span *text);

/* Take one '>' from quoted lines; is_single: only from lines with one '>' (mboxo). `to` has room
 * for in.len octets, and may be in.ptr. Returns how many octets it has now. */
size_t mx_mbox_unquote(struct mx_span in, bool is_single, char *to);
