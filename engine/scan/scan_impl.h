/* scan_impl.h - what the files of scan/ share. Nobody else includes this. */
#pragma once
#include "engine/answerer.h"
#include "engine/scan/scan.h"

#include <semaphore.h>
#include <stdatomic.h>

enum {
    MX_SCAN_OUT = 96 << 10,     /* what is on its way out of one conversation (octets); the
                                 * longest header field fits in */
    MX_SCAN_IN_FIRST = 4096,    /* what came in: to begin with, ... */
    MX_SCAN_IN_MAX = 256 << 10, /* ... and at most */
    MX_SCAN_TARGETS_MAX = 256,  /* endpoints that are spoken to at a time */
};

enum mx_talk_state {
    MX_TALK_FREE,    /* never asked, or given back */
    MX_TALK_CLOSED,  /* there is no connection */
    MX_TALK_WAITING, /* for a connection of others to end */
    MX_TALK_CONNECTING,
    MX_TALK_OPEN,
};

struct mx_scan_target {
    struct mx_endpoint endpoint;
    uint32_t open;                /* connections */
    uint32_t waiting;             /* conversations that wait for one ... */
    struct mx_talk *first, *last; /* ... in order */
};

/* Where a milter's question stands. */
enum mx_milter_stage {
    MX_MILTER_STAGE_NEGOTIATE,
    MX_MILTER_STAGE_REQUEST,
    MX_MILTER_STAGE_HEADER,
    MX_MILTER_STAGE_HEADER_END,
    MX_MILTER_STAGE_BODY,
    MX_MILTER_STAGE_MESSAGE_END,
    MX_MILTER_STAGE_DONE,
};

/* Content of a text, read on. */
struct mx_fulltext_cursor {
    const struct mx_fulltext_block *block;
    uint32_t at; /* in it */
    uint64_t left;
};

struct mx_talk {
    _Atomic uint32_t next_free;
    _Atomic bool is_left; /* nobody asks any more */
    uint8_t state;        /* enum mx_talk_state */
    int fd;               /* -1: none */
    struct mx_scan_target *target;
    struct mx_scan_question *question; /* NULL: none is under way */
    struct mx_talk *prev, *next;       /* of those that are not FREE */
    struct mx_talk *next_waiting;
    char *out;
    uint32_t out_begin, out_end;
    char *in;
    uint32_t in_len, in_cap;
    bool is_going;    /* nobody asked any more when the turn began */
    bool is_single;   /* its only question is answered */
    bool is_in_over;  /* the other side says no more */
    bool is_out_over; /* ... or does not listen any more: what it has said may still be good */
    /* milter */
    uint32_t protocol, actions;
    uint8_t stage;
    bool awaits_reply, is_body_skipped, has_hidden_received;
    char awaited; /* the command it is to */
    uint32_t at;  /* in the request, or in the header */
    char *header; /* in one piece */
    uint32_t header_octets;
    struct mx_fulltext_cursor text;
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lines that are not shared */
struct mx_scan {
    _Alignas(64) _Atomic(struct mx_scan_question *) asked; /* the last one first */
    _Atomic bool has_left;
    _Atomic uint64_t busy, too_large, no_memory;
    _Alignas(64) _Atomic uint64_t free; /* stack of conversations: tag << 32 | index + 1 */
    _Alignas(64) struct mx_talk *talks;
    uint32_t talk_count;
    struct mx_talk *active; /* those that are not FREE */
    struct mx_scan_target targets[MX_SCAN_TARGETS_MAX];
    struct pollfd *fds; /* [talk_count + 1] */
    struct mx_talk **watched;
    struct mx_scan_counters counters;
    struct mx_answerer thread;
};

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written, but clang-tidy does not see it */
static inline void mx_scan_count(uint64_t *counter, uint64_t more) {
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* The question is answered: with the error, or by what stands in it. */
void mx_scan_answer(struct mx_scan *self, struct mx_talk *talk, int error);

/* The connection (talk.c). end: it is closed. */
void mx_talk_begin(struct mx_scan *self, struct mx_talk *talk);
void mx_talk_end(struct mx_scan *self, struct mx_talk *talk);
/* The question fails with this error, and the connection is closed. */
void mx_talk_fail(struct mx_scan *self, struct mx_talk *talk, int error);
/* Its descriptor is ready, or there is something to begin with: goes on until it would block.
 * has_heard: it can be read, or has ended. */
void mx_talk_go_on(struct mx_scan *self, struct mx_talk *talk, bool has_heard);
/* Those that wait for a connection, as far as there may be more now. */
void mx_talk_serve_waiting(struct mx_scan *self);

/* Content of a text, copied: at most so many octets. */
uint32_t mx_fulltext_cursor_read(struct mx_fulltext_cursor *self, char *to, uint32_t octets);
/* From that octet on. */
void mx_fulltext_cursor_begin(struct mx_fulltext_cursor *self, const struct mx_fulltext *text,
                              uint64_t at);

/* What a kind of scanner does: driven by mx_talk_go_on. Each may answer, or fail: then the talk has
 * no question any more. */
struct mx_scan_driver {
    /* the connection stands, or another question comes over it. 0 or a negative error */
    int (*begin)(struct mx_scan *self, struct mx_talk *talk);
    /* put more into out, as long as there is something. 0 or a negative error */
    int (*fill)(struct mx_scan *self, struct mx_talk *talk);
    /* look at what came in. MX_EPARTIAL: more is needed; 0: it went on; another error */
    int (*read)(struct mx_scan *self, struct mx_talk *talk);
};
extern const struct mx_scan_driver mx_scan_milter, mx_scan_rspamd, mx_scan_spamd;

/* For those whose only question is a request and a message behind it (single.c). */
int mx_scan_single_begin(struct mx_scan *self, struct mx_talk *talk);
int mx_scan_single_fill(struct mx_scan *self, struct mx_talk *talk);

/* What rspamd says, as JSON, becomes the question's answer. 0; MX_ESYNTAX: it says something else;
 * MX_ENOROOM; -EOPNOTSUPP: something that nobody has offered to do; -EPROTO: an error of its own.
 */
MX_MUST_CHECK int mx_scan_rspamd_read(struct mx_span json, struct mx_scan_question *question);
