/* milter.h - packets of the protocol that mail filters speak (version 6): written, and read.
 *
 * A packet is its length (4 octets, big endian), a command octet and what belongs to it; texts end
 * with NUL. We are the mail server: commands go out, replies and changes come in.
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"

enum {
    MX_MILTER_VERSION = 6,
    MX_MILTER_VERSION_MIN = 2,
    MX_MILTER_HEAD = 5,               /* length and command, octets */
    MX_MILTER_PACKET_MAX = 128 << 10, /* longest one that is read; octets behind the length */
    MX_MILTER_BODY_MAX = 65535,       /* content in one packet */
};

enum mx_milter_command {
    MX_MILTER_NEGOTIATE = 'O',
    MX_MILTER_MACROS = 'D',
    MX_MILTER_CONNECT = 'C',
    MX_MILTER_HELO = 'H',
    MX_MILTER_MAIL = 'M',
    MX_MILTER_RCPT = 'R',
    MX_MILTER_DATA = 'T',
    MX_MILTER_HEADER = 'L',
    MX_MILTER_END_OF_HEADER = 'N',
    MX_MILTER_BODY = 'B',
    MX_MILTER_END_OF_MESSAGE = 'E',
    MX_MILTER_ABORT = 'A',
    MX_MILTER_QUIT = 'Q',
};

/* What a filter may do. Offered is what a stored message can carry. */
enum mx_milter_action {
    MX_MILTER_ADD_HEADERS = 1 << 0,
    MX_MILTER_CHANGE_HEADERS = 1 << 4,
    MX_MILTER_QUARANTINE = 1 << 5, /* offered only when somebody knows what becomes of it */
    MX_MILTER_ACTIONS_OFFERED = MX_MILTER_ADD_HEADERS | MX_MILTER_CHANGE_HEADERS,
};

/* What a filter does not want to hear, or not to answer. */
enum mx_milter_protocol {
    MX_MILTER_NO_CONNECT = 1 << 0,
    MX_MILTER_NO_HELO = 1 << 1,
    MX_MILTER_NO_MAIL = 1 << 2,
    MX_MILTER_NO_RCPT = 1 << 3,
    MX_MILTER_NO_BODY = 1 << 4,
    MX_MILTER_NO_HEADERS = 1 << 5,
    MX_MILTER_NO_END_OF_HEADER = 1 << 6,
    MX_MILTER_QUIET_HEADERS = 1 << 7,
    MX_MILTER_NO_UNKNOWN = 1 << 8,
    MX_MILTER_NO_DATA = 1 << 9,
    MX_MILTER_CAN_SKIP = 1 << 10, /* it may answer SKIP to a piece of the body */
    MX_MILTER_QUIET_CONNECT = 1 << 12,
    MX_MILTER_QUIET_HELO = 1 << 13,
    MX_MILTER_QUIET_MAIL = 1 << 14,
    MX_MILTER_QUIET_RCPT = 1 << 15,
    MX_MILTER_QUIET_DATA = 1 << 16,
    MX_MILTER_QUIET_UNKNOWN = 1 << 17,
    MX_MILTER_QUIET_END_OF_HEADER = 1 << 18,
    MX_MILTER_QUIET_BODY = 1 << 19,
    MX_MILTER_LEADING_SPACE = 1 << 20,     /* header values with the blank behind the colon */
    MX_MILTER_PROTOCOL_OFFERED = 0x1ff7ff, /* all of these; refused recipients are not told */
};

struct mx_milter_options {
    uint32_t version, actions, protocol;
};

/* ---- writing ---- */

/* The owner's memory. Nothing is written in part: is_full says that something did not fit. */
struct mx_milter_out {
    char *ptr;
    uint32_t len, cap; /* octets */
    bool is_full;
};

void mx_milter_put(struct mx_milter_out *self, enum mx_milter_command command);
/* Texts, each with a NUL behind; one with a NUL in it ends there. */
void mx_milter_put_texts(struct mx_milter_out *self, enum mx_milter_command command,
                         const struct mx_span *texts, size_t count);
/* What MX_MILTER_BODY has, without NUL. */
void mx_milter_put_octets(struct mx_milter_out *self, enum mx_milter_command command,
                          struct mx_span octets);
/* The head of a packet with so many octets behind the command: MX_MILTER_HEAD octets. */
void mx_milter_put_head(char to[MX_MILTER_HEAD], enum mx_milter_command command, uint32_t octets);
void mx_milter_put_options(struct mx_milter_out *self, const struct mx_milter_options *options);
/* host: a name, or "[address]". */
void mx_milter_put_connect(struct mx_milter_out *self, struct mx_span host, const struct mx_ip *ip,
                           uint16_t port);

struct mx_milter_macro {
    const char *name;
    struct mx_span value; /* empty: it is left out */
};

/* Macros of the command that comes next. */
void mx_milter_put_macros(struct mx_milter_out *self, enum mx_milter_command command,
                          const struct mx_milter_macro *macros, size_t count);

/* Does a filter with these options want to hear the command, and will it answer? */
bool mx_milter_is_wanted(uint32_t protocol, enum mx_milter_command command);
bool mx_milter_is_answered(uint32_t protocol, enum mx_milter_command command);

/* ---- reading ---- */

struct mx_milter_packet {
    char command;
    struct mx_span data; /* borrowed */
};

/* Take a packet off the front of *in. 0; MX_EPARTIAL: more octets are needed; MX_ESYNTAX: it is
 * none, or too long. */
MX_MUST_CHECK int mx_milter_take(struct mx_span *in, struct mx_milter_packet *packet);

/* The answer to our options. MX_ESYNTAX: it is none, or of a version that nobody speaks. */
MX_MUST_CHECK int mx_milter_read_options(const struct mx_milter_packet *packet,
                                         struct mx_milter_options *options);

enum mx_milter_reply_kind {
    MX_MILTER_REPLY_CONTINUE,
    MX_MILTER_REPLY_ACCEPT,
    MX_MILTER_REPLY_REJECT,
    MX_MILTER_REPLY_TEMPFAIL,
    MX_MILTER_REPLY_DISCARD,
    MX_MILTER_REPLY_TEXT,     /* text: "550 5.7.1 no" */
    MX_MILTER_REPLY_SHUTDOWN, /* 421, and the connection is to be closed */
    MX_MILTER_REPLY_SKIP,
    MX_MILTER_REPLY_PROGRESS, /* it is still at it */
    MX_MILTER_REPLY_ADD,      /* name and value */
    MX_MILTER_REPLY_INSERT,   /* index (0..), name and value */
    MX_MILTER_REPLY_CHANGE,   /* index (1..), name and value; an empty one: remove it */
    MX_MILTER_REPLY_QUARANTINE,
    MX_MILTER_REPLY_UNOFFERED, /* a change that nobody has offered */
};

struct mx_milter_reply {
    enum mx_milter_reply_kind kind;
    uint32_t index;
    struct mx_span name, value, text; /* borrowed, without NUL */
};

/* MX_ESYNTAX: it is none. */
MX_MUST_CHECK int mx_milter_read_reply(const struct mx_milter_packet *packet,
                                       struct mx_milter_reply *reply);

/* A reply as it can be given to a client: one line, printable, "550 5.7.1 text" of 400..599 in at
 * most cap octets, of several lines the texts together; "%%" is "%". Its length; 0: it is none. */
size_t mx_milter_reply_line(struct mx_span text, char *line, size_t cap);
