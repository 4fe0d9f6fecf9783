/* session.h - one SMTP or LMTP session as a pure state machine: bytes in, replies and one action
 * out.
 *
 * RFC 5321 (SMTP), RFC 2033 (LMTP), RFC 2920 (PIPELINING), RFC 3030 (CHUNKING, BINARYMIME),
 * RFC 1870 (SIZE), RFC 2034 (ENHANCEDSTATUSCODES), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8),
 * RFC 9422 (LIMITS). Pure: no I/O, no clock, no allocation.
 *
 * A driver (the engine, a test, a fuzzer) calls
 *     mx_session_step(self, &in, &out)   until it returns MX_ACTION_INPUT, MX_ACTION_OUTPUT or
 * _CLOSE. Each other action asks the driver for one thing; its result is given by
 * mx_session_resume(), then step is called again. Between the two the session is parked: no input
 * is consumed. The 250 after the data exists only as the result of resume(COMMIT, 0).
 */
#pragma once
#include "proto/auth.h"
#include "proto/counters.h"
#include "proto/dot.h"
#include "proto/envelope.h"
#include "proto/from.h"
#include "proto/ip.h"
#include "proto/line.h"
#include "proto/out.h"
#include "proto/span.h"
#include "proto/verb.h"

enum mx_action {
    MX_ACTION_NONE,   /* private to proto/: nothing is needed, go on. Never returned by step */
    MX_ACTION_INPUT,  /* more octets needed. What is left in *in (part of a line) must be presented
                       * again, with more behind it */
    MX_ACTION_OUTPUT, /* *out has less than MX_OUT_ROOM_MIN left: make room, then step again */
    MX_ACTION_GROW, /* give envelope.base at least self->grow_octets in all; resume(0 or -ENOMEM) */
    MX_ACTION_HOOK, /* run the policy at self->hook; resume(0 = go on, MX_EPENDING never, -EACCES
                     * with shared->refusal set, or another error; at MX_HOOK_MESSAGE that is one of
                     * the sink's) */
    MX_ACTION_CLIENT, /* a PROXY header has named the client, self->peer; resume(0), or farewell */
    MX_ACTION_AUTH_BEGIN, /* give self->login and self->login->auth, both zeroed; resume(0 or
                           * -ENOMEM). Taken back when mx_session_is_done_with_* say so */
    MX_ACTION_AUTH,  /* do what self->login->auth->ask says; it may take a while. resume(0, -EACCES:
                      * it is wrong, -EBUSY: ask again later, or another error) */
    MX_ACTION_TLS,   /* STARTTLS may begin; resume(0 = a filter stands ready: what is written up
                      * to and with this reply goes out as it is, what comes is TLS;
                      * MX_ESYNTAX: the driver holds input behind the command; or another
                      * error) */
    MX_ACTION_DELAY, /* wait self->delay_ms, resume(0) (faults, failed logins) */
    MX_ACTION_OPEN,  /* a message begins: may it be stored? resume(0, -ENOSPC or another error) */
    MX_ACTION_BODY,  /* store shared->slices[0..slice_count), borrowed; resume(0 or error) */
    MX_ACTION_COMMIT, /* make the message durable; resume(0 or error). Recipients' own results may
                       * be set with mx_envelope_rcpt_result before (LMTP) */
    MX_ACTION_ABORT,  /* forget the open message; resume(0) */
    MX_ACTION_CLOSE,  /* flush out, then close; no octet is read any more */
};

/* step needs this much room in out to go on; one command never writes more. Octets. */
enum { MX_OUT_ROOM_MIN = 2048, MX_REPLY_LINE_MAX = 512 };

/* Octets of a HELO name that are kept for the Received line and the log. Longer names are accepted
 * and echoed in full; an idle connection may not cost more than 512 octets. */
enum { MX_HELO_STORED_MAX = 104 };

/* Most slices of one MX_ACTION_BODY. */
enum { MX_BODY_SLICES = 16 };

/* Who is shown AUTH in the answer to EHLO (auth.announce). */
enum mx_session_announce {
    MX_SESSION_ANNOUNCE_NEVER,
    MX_SESSION_ANNOUNCE_ALWAYS,
    MX_SESSION_ANNOUNCE_FOREIGN, /* clients that are not is_authorized */
};

/* Whose messages must say who they are from (a From or Sender field), as verifyIdentity wants. */
enum mx_session_from {
    MX_SESSION_FROM_NOBODY,
    MX_SESSION_FROM_LOGGED_IN,
    MX_SESSION_FROM_EVERYBODY,
};

enum mx_proto { MX_PROTO_SMTP, MX_PROTO_LMTP };

/* Points of the handler chain; as bits in mx_session_conf.hooks. The session asks at those marked +
 * when their bit is set; the others are the driver's own. */
enum mx_hook_point {
    MX_HOOK_CONNECT,    /* + before the greeting, or when a PROXY header has named the client */
    MX_HOOK_HELO,       /* + HELO, EHLO, LHLO with a good name, which is helo_name */
    MX_HOOK_MAIL,       /* + the sender stands in the envelope */
    MX_HOOK_RCPT,       /* + so does the recipient, at rcpt_at */
    MX_HOOK_DATA,       /* + DATA, or the first BDAT */
    MX_HOOK_HEADER,     /* the header of the message is here */
    MX_HOOK_CONTENT,    /* a piece of what comes behind the header */
    MX_HOOK_MESSAGE,    /* + all of the message is here; also asked for one that BODY has failed
                         * with MX_EREFUSED, for the reply */
    MX_HOOK_UNKNOWN,    /* + an unknown command; unknown_count says which */
    MX_HOOK_DISCONNECT, /* the connection is gone */
    MX_HOOK_POINT_COUNT,
};

/* EHLO lines that disabledFeatures can hide, in EHLO order. CHUNKING, BINARYMIME and LIMITS are
 * also switched off by it. */
enum mx_feature {
    MX_FEATURE_PIPELINING = 1 << 0,
    MX_FEATURE_ENHANCEDSTATUSCODES = 1 << 1,
    MX_FEATURE_8BITMIME = 1 << 2,
    MX_FEATURE_CHUNKING = 1 << 3,
    MX_FEATURE_BINARYMIME = 1 << 4,
    MX_FEATURE_LIMITS = 1 << 5,
};

/* Lines of EHLO that hooks add, in their order, behind 8BITMIME. */
enum mx_ehlo_line {
    MX_EHLO_DSN,
    MX_EHLO_FUTURERELEASE, /* to who is logged in */
    MX_EHLO_MT_PRIORITY,
    MX_EHLO_REQUIRETLS, /* under TLS */
    MX_EHLO_LINE_COUNT,
};

/* Parameters that hooks switch on; bits. */
enum mx_extension {
    MX_EXTENSION_DSN_MAIL = 1 << 0, /* RET, ENVID */
    MX_EXTENSION_DSN_RCPT = 1 << 1, /* NOTIFY, ORCPT */
    MX_EXTENSION_PRIORITY = 1 << 2,
    MX_EXTENSION_FUTURE_RELEASE = 1 << 3,
    MX_EXTENSION_REQUIRE_TLS = 1 << 4,
};

/* What a fault row does instead of running the verb (mxring sink, fixture). */
enum mx_fault_kind {
    MX_FAULT_NONE,
    MX_FAULT_SOFT,           /* 450 4.3.0 Error: command failed */
    MX_FAULT_HARD,           /* 500 5.3.0 Error: command failed */
    MX_FAULT_DISCONNECT,     /* close without a reply */
    MX_FAULT_DISCONNECT_421, /* 421 4.3.0, close */
};

/* Places where a fault can be put: every verb, the greeting and the end of data. */
enum { MX_FAULT_CONNECT = MX_VERB_COUNT, MX_FAULT_DOT, MX_FAULT_PLACES };

struct mx_fault {
    uint8_t kind;      /* enum mx_fault_kind */
    uint32_t delay_ms; /* wait before the reply, 0..3,600,000 */
};

/* The rules of one server. Const and shared by all its sessions; outlives them. */
struct mx_session_conf {
    enum mx_proto proto;
    struct mx_span hello_name; /* 1..253 octets */
    struct mx_span greeting; /* text behind "220 "; empty = the default text. At most 500 octets */
    struct mx_span default_domain; /* lower case, added to addresses without one; may be empty */
    bool accepts_all;              /* sink: any HELO name, sender, recipient and parameter */
    bool needs_helo;               /* heloEhloEnforcement; ignored for LMTP */
    bool needs_brackets;           /* addressBracketsEnforcement; ignored for LMTP */
    bool refuses_bare_lf_commands; /* bareLfCommands: refuse */
    bool has_james_texts;          /* compatTexts: james */
    bool has_smtputf8;             /* SMTPUTF8 is announced and accepted */
    bool needs_proxy;        /* proxyRequired: a PROXY header comes before the first command */
    bool needs_trace;        /* the sink keeps content: put a Received line before it */
    bool has_starttls;       /* STARTTLS is a command */
    bool has_auth;           /* AUTH is a command */
    bool needs_tls_for_auth; /* auth.requireSSL */
    uint8_t announce;        /* enum mx_session_announce */
    uint8_t wants_from;      /* enum mx_session_from; SMTP only */
    uint8_t mechanism_count; /* those that can be used, in the order of EHLO: */
    uint8_t mechanisms[MX_SASL_COUNT];
    uint8_t ehlo_line_count;
    uint8_t ehlo_lines[MX_EHLO_LINE_COUNT]; /* enum mx_ehlo_line */
    uint32_t extensions;                    /* bits of enum mx_extension */
    uint32_t max_auth_failures;             /* 0 = none; below UINT16_MAX */
    uint32_t auth_failure_delay_ms;         /* auth.failureDelay */
    uint32_t hidden_features;               /* bits of enum mx_feature: disabledFeatures */
    uint32_t hooks;              /* bits 1 << enum mx_hook_point: where MX_ACTION_HOOK is wanted */
    uint64_t max_message_octets; /* maxMessageSize, 0 = none */
    uint32_t max_line_octets;    /* maxLineLength, 4..MX_LINE_MAX: a verb fits in */
    uint32_t max_data_line_octets; /* maxDataLineLength, 0 = none; below 2^31 */
    uint32_t max_recipients;       /* 0 = none */
    uint32_t max_errors;           /* 0 = none */
    uint32_t max_transactions;     /* 0 = none */
    uint32_t max_lifespan_ms;      /* of a connection; 0 = none. The driver\'s business */
    const struct mx_fault *faults; /* [MX_FAULT_PLACES] or NULL */
};

/* The refusal a hook leaves behind: "550 5.7.1 text" without CRLF. Borrowed until resume. */
struct mx_refusal {
    struct mx_span text;
    bool is_disconnect;
};

/* What all sessions of one thread share; the driver owns it and keeps the time. */
struct mx_session_shared {
    int64_t now_s; /* wall clock, seconds since the epoch, for the Received line */
    struct mx_proto_counters counters;
    struct mx_span
        slices[MX_BODY_SLICES]; /* content between step (ACTION_BODY) and resume, borrowed */
    uint32_t slice_count;
    struct mx_refusal refusal;            /* set by the driver just before resume(HOOK, error) */
    char refusal_text[MX_REPLY_LINE_MAX]; /* the driver's, for texts of refusals */
    struct mx_span secret; /* octets of the input that hold a password; the driver wipes them when
                            * step returns, and empties this */
};

/* What is known of the TLS session; the driver's, valid as long as the session. */
struct mx_session_tls {
    struct mx_span version;        /* "TLSv1.3" */
    struct mx_span cipher;         /* the suite's name in the registry of RFC 8447 */
    struct mx_span sni;            /* the name the client asked for; empty: none */
    struct mx_span client_subject; /* of the client's certificate, verified; empty: none */
    bool is_resumed;
};

/* Why the server ends a session on its own; the 421 lines of the contract. */
enum mx_farewell {
    MX_FAREWELL_TIMEOUT,     /* 421 4.4.2 <helloName> Timeout */
    MX_FAREWELL_SLOW,        /* 421 4.4.2 <helloName> Data rate too low */
    MX_FAREWELL_CONNECTIONS, /* 421 4.7.0 <helloName> Too many connections */
    MX_FAREWELL_SHUTDOWN,    /* 421 4.3.2 <helloName> Shutting down */
    MX_FAREWELL_MEMORY,      /* 421 4.3.1 <helloName> Insufficient system resources */
    MX_FAREWELL_PROXY,       /* 421 4.7.0 <helloName> Only known proxies may connect */
};

enum mx_session_state {
    MX_STATE_COMMAND, /* reading command lines */
    MX_STATE_PROXY,   /* reading the PROXY header; before it the peer is the proxy */
    MX_STATE_AUTH,    /* reading a response within an AUTH exchange */
    MX_STATE_DATA,    /* reading content up to CRLF.CRLF */
    MX_STATE_CHUNK,   /* reading self->chunk_left octets of a BDAT chunk */
    MX_STATE_REPLIES, /* LMTP: writing one reply per recipient */
    MX_STATE_PARKED,  /* waiting for resume */
    MX_STATE_CLOSED,  /* MX_ACTION_CLOSE was or will be returned; input is ignored */
    MX_STATE_COUNT,
};

struct mx_session;
typedef enum mx_action mx_session_continue_fn(struct mx_session *self, int result,
                                              struct mx_out *out);

/* Everything below is private to proto/session*.c unless marked public. */
struct mx_session {
    const struct mx_session_conf *conf;
    struct mx_session_shared *shared;
    mx_session_continue_fn *on_resume; /* what to do with the result, when parked */
    uint8_t state;                     /* enum mx_session_state; written by enter() only */
    uint8_t resume_state;              /* state after the parked action */
    uint8_t hook;                      /* public at ACTION_HOOK: enum mx_hook_point */
    uint8_t helo_len;                  /* octets in helo_name */
    uint8_t helo_verb;      /* enum mx_verb of the last accepted HELO/EHLO/LHLO; 0: none */
    bool has_quit;          /* public: QUIT was given; nothing more is expected from the client */
    bool is_open;           /* public: a message is open at the sink */
    bool is_failed;         /* the message will be refused at its end; content is dropped */
    bool is_chunked;        /* the transaction uses BDAT */
    bool is_line_stuffed;   /* the current content line began with a dot of the stuffing */
    bool is_line_cr;        /* the last octet of the current content line is a CR */
    uint8_t content_result; /* enum mx_dot_result of the scan before a BODY action */
    uint8_t chunk_refusal;  /* why the BDAT chunk is dropped: enum chunk_refusal */
    uint8_t pending;        /* enum mx_action that the next step returns */
    bool is_authorized : 1; /* public, set with peer: it is in authorizedAddresses */
    bool is_authenticated : 1;   /* public: login says who it is */
    bool is_in_auth : 1;         /* an AUTH exchange is under way: login->auth is in use */
    bool is_hook_asked : 1;      /* the hook of the command that runs again has answered */
    bool is_hook_refused : 1;    /* ... with a refusal, which is written */
    bool ends_after_message : 1; /* what was refused so has the connection closed */
    bool is_tls : 1;             /* public, set by the driver too: the octets come encrypted */
    bool has_more : 1;           /* octets stand behind the command that runs */
    bool wants_from : 1;         /* the header of the open message is being looked at */
    bool has_helo : 1;           /* HELO, EHLO or LHLO succeeded */
    bool is_draining : 1;        /* public, set by the driver: 421 instead of the next command
                                  * that is not of a transaction begun */
    bool is_last_chunk : 1;
    bool is_fault_done : 1;     /* the fault's delay of this command is over */
    bool is_memory_refused : 1; /* GROW was refused: the command gets 452 */
    bool grows_for_rcpt : 1;    /* public at ACTION_GROW: for one more recipient */
    bool is_trace_due : 1;      /* the Received line has not been handed to the sink yet */
    bool is_abort_due : 1;      /* tell the sink to forget the open message */
    uint16_t auth_failures;     /* public: failed logins */
    uint16_t unknown_count;     /* public: unknown commands since the transaction was forgotten */
    uint16_t refusal_len;       /* octets of the reply to MX_EREFUSED, in the envelope's scratch */
    struct mx_line line;
    struct mx_dot dot;
    uint32_t id;          /* session id of the Received line and the log */
    uint32_t error_count; /* refused commands and messages, for maxErrors */
    uint32_t transaction_count;
    union {
        uint32_t delay_ms;    /* public at ACTION_DELAY */
        uint32_t grow_octets; /* public at ACTION_GROW: least size of the block */
    };
    union {
        uint32_t reply_cursor; /* next recipient of MX_STATE_REPLIES */
        uint32_t rcpt_at;      /* public at MX_HOOK_RCPT: record of the recipient it is about */
    };
    uint32_t data_line_octets;          /* of the current content line, for maxDataLineLength */
    int message_error;                  /* why is_failed: 0, -errno, MX_E* */
    uint64_t received_octets;           /* public: wire octets of the current message */
    uint64_t stored_octets;             /* public: content octets handed to the sink */
    uint64_t chunk_octets, chunk_left;  /* size of the BDAT chunk; how much is still to come */
    struct mx_login *login;             /* public: the driver's; NULL: nobody, and no exchange */
    const struct mx_session_tls *tls;   /* public, set by the driver; good when is_tls */
    struct mx_envelope envelope;        /* public */
    struct mx_ip peer;                  /* public, set by the driver before the first step; changed
                                         * by a PROXY header */
    char helo_name[MX_HELO_STORED_MAX]; /* of the last HELO/EHLO/LHLO, accepted or not */
};

/* Start a session. The peer address is unknown until the driver sets self->peer. Writes nothing:
 * see mx_session_greet. */
void mx_session_init(struct mx_session *self, const struct mx_session_conf *conf,
                     struct mx_session_shared *shared, uint32_t id);

/* The first action of a session: writes the greeting (RFC 5321 4.2), or asks for a delay first or
 * closes when a fault says so. Needs MX_OUT_ROOM_MIN in *out. */
MX_MUST_CHECK enum mx_action mx_session_greet(struct mx_session *self, struct mx_out *out);

/* Consume from *in and append replies to *out until one action is needed. */
MX_MUST_CHECK enum mx_action mx_session_step(struct mx_session *self, struct mx_span *in,
                                             struct mx_out *out);

/* Give the result of the action that step returned: 0 or a negative error. Needs MX_REPLY_LINE_MAX
 * in *out. Call step next. */
void mx_session_resume(struct mx_session *self, int result, struct mx_out *out);

/* The server ends the session: writes the 421 line; step returns CLOSE from now on. The driver
 * aborts an open message (is_open) itself. Never while a COMMIT is parked. Needs MX_REPLY_LINE_MAX
 * in *out. */
void mx_session_farewell(struct mx_session *self, enum mx_farewell why, struct mx_out *out);

/* Is a mail transaction under way (MAIL accepted, not yet ended)? */
static inline bool mx_session_in_transaction(const struct mx_session *self) {
    return self->envelope.has_sender;
}

/* May the driver wipe and take back login->auth, and login itself? Asked after each step. */
static inline bool mx_session_is_done_with_auth(const struct mx_session *self) {
    return !self->is_in_auth;
}
static inline bool mx_session_is_done_with_login(const struct mx_session *self) {
    return !self->is_in_auth && !self->is_authenticated;
}

/* Does input that cannot be stepped yet hold a password, or part of one? */
static inline bool mx_session_is_secret(const struct mx_session *self, struct mx_span in) {
    return self->is_in_auth ||
           (in.len >= 4 && mx_span_equal_nocase((struct mx_span){in.ptr, 4}, MX_SPAN("AUTH")));
}

/* At MX_HOOK_MESSAGE, for who is logged in: what the message says who it is from. NULL: that is not
 * wanted (conf->wants_from). */
const struct mx_from *mx_session_from(const struct mx_session *self);

/* Is AUTH shown to this client? Then a refusal to relay says 530. */
bool mx_session_announces_auth(const struct mx_session *self);

/* Is content being received (DATA or BDAT)? Then dataTimeout and minDataRate apply. */
static inline bool mx_session_in_content(const struct mx_session *self) {
    return self->state == MX_STATE_DATA || self->state == MX_STATE_CHUNK;
}

/* Content is expected, or more chunks of a message that the sink has open. */
static inline bool mx_session_in_message(const struct mx_session *self) {
    return mx_session_in_content(self) || (self->is_chunked && self->is_open);
}
