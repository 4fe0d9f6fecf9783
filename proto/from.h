/* from.h - who a message says it is from: the From and Sender fields of its header, which passes by
 * in pieces.
 *
 * RFC 5322 2.2, 3.4, 3.6.2. Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/span.h"

enum { MX_FROM_TEXT_MAX = 2048 }; /* octets of the fields' values that are kept */

/* A header on its way. Starts as {0} but for keeps_text. */
struct mx_from {
    uint8_t at;      /* private: enum mx_from_at */
    uint8_t matched; /* private: octets of the name of the line that From or Sender has, too */
    uint8_t field;   /* private: enum mx_from_field, of the line */
    bool keeps_text; /* set at the begin: there is room for the values behind this struct */
    bool has_from;
    bool has_sender;
    bool is_over; /* the header is; content may be left out from now on */
    bool is_cut;  /* the values are longer than MX_FROM_TEXT_MAX */
    uint16_t text_len;
    char text[]; /* the values of all From fields, else of all Sender fields, each with a comma
                  * behind it; without line ends. MX_FROM_TEXT_MAX octets when keeps_text */
};

/* The next piece of the content, with or without a CR before its line ends. */
void mx_from_scan(struct mx_from *self, struct mx_span piece);

static inline struct mx_span mx_from_text(const struct mx_from *self) {
    return (struct mx_span){self->text, self->text_len};
}

/* Take the next address off the front of a list of mailboxes and groups: without comments, name and
 * brackets. 0: *address is not empty, and written to room[MX_FROM_ADDRESS_MAX]; MX_EPARTIAL: there
 * is none left; MX_ESYNTAX: what comes is no address (or a longer one). */
enum { MX_FROM_ADDRESS_MAX = 512 };
MX_MUST_CHECK int mx_from_take(struct mx_span *list, char room[MX_FROM_ADDRESS_MAX],
                               struct mx_span *address);
