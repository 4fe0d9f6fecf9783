/* load.h - one worker of the generator: a thread, a ring, its sessions, what they measured.
 *
 * run.c is the thread, load.c moves octets and time, client.c and opening.c know the dialogue,
 * secure.c is TLS between the two, schedule.c knows which message is next.
 */
#pragma once
#include "bench/mxload/answer.h"
#include "bench/mxload/histogram.h"
#include "bench/mxload/ledger.h"
#include "bench/mxload/mail.h"
#include "engine/buf.h"
#include "engine/ring.h"
#include "engine/timer.h"
#include "tls/filter.h"

#include <pthread.h>
#include <stdatomic.h>

/* What is measured, each from the last octet being handed to the kernel to the reply. */
enum mx_phase {
    MX_PHASE_CONNECT,
    MX_PHASE_BANNER,
    MX_PHASE_HELLO,
    MX_PHASE_STARTTLS,
    MX_PHASE_TLS,     /* a full handshake: from our first octet to its end on our side */
    MX_PHASE_RESUMED, /* a handshake that resumed another session */
    MX_PHASE_AUTH,
    MX_PHASE_MAIL,
    MX_PHASE_RCPT,
    MX_PHASE_DATA,
    MX_PHASE_GROUP,   /* --pipeline: MAIL, RCPT and DATA together */
    MX_PHASE_FINAL,   /* the reply to the message */
    MX_PHASE_MESSAGE, /* all of it: from when it was due, or could begin */
    MX_PHASE_COUNT,
};

enum mx_stage {
    MX_STAGE_GONE,    /* never opened, or for good */
    MX_STAGE_IDLE,    /* waits for a message to be due; with or without a connection */
    MX_STAGE_PAUSE,   /* -w, -R */
    MX_STAGE_RETRY,   /* waits before it connects again; also --ramp */
    MX_STAGE_CLOSING, /* until the kernel has given everything back */
    MX_STAGE_LINGER,  /* QUIT is answered: the server closes first */
    MX_STAGE_CONNECT, /* from here on a reply is waited for */
    MX_STAGE_TLS,     /* the handshake */
    MX_STAGE_BANNER,
    MX_STAGE_HELLO,
    MX_STAGE_STARTTLS,
    MX_STAGE_AUTH,
    MX_STAGE_MAIL,
    MX_STAGE_RCPT,
    MX_STAGE_DATA,
    MX_STAGE_GROUP,
    MX_STAGE_FINAL,
    MX_STAGE_RESET,
    MX_STAGE_QUIT,
    MX_STAGE_COUNT,
};

enum {
    MX_CLIENT_PARTS = MX_MAIL_PARTS,
    MX_CLIENT_FAILURES_MAX = 10, /* connections in a row that brought nothing: it gives up */
    MX_CLIENT_RETRY_MS = 250,    /* times failures, up to so many: */
    MX_CLIENT_RETRY_TIMES = 8,
    MX_CLIENT_QUIT_MS = 2000, /* nothing depends on the reply to it */
    MX_CLIENT_LINGER_MS = 500,
    MX_LOAD_SLEEP_MAX_MS = 100,  /* Ctrl-C is heard after this */
    MX_LOAD_ZEROCOPY_TRIAL = 16, /* so many decide what --zerocopy auto does */
    MX_LOAD_NOTICE_MS = 2000,    /* a body that is not given back by then never will be */
};

struct mx_secure;

struct mx_client {
    int fd; /* -1: none */
    enum mx_stage stage;
    bool has_message, has_recv, has_send, has_connect; /* the last three: in the kernel */
    bool is_idle_listed, is_helo;
    bool is_zerocopy; /* the send in the kernel */
    bool is_secure;   /* TLS has begun on this connection */
    uint8_t auth_step;
    uint8_t part_count, part_next;
    uint32_t answers;     /* replies that are still to come */
    uint32_t rcpts_taken; /* of this message */
    uint64_t began_ns;    /* the message was due, or the session was free for it */
    uint64_t said_ns;
    uint64_t deadline_ms; /* of the reply */
    struct mx_mail_id id;
    uint64_t octets; /* of the message */
    struct mx_answer answer;
    struct mx_span parts[MX_CLIENT_PARTS]; /* lent to the kernel until part_next is beyond */
    struct mx_mail_draft draft;
    struct mx_secure *secure; /* NULL: without TLS */
    struct mx_timer timer;
    uint32_t failures;
    int code; /* worst reply to this message so far; 0: none was bad */
    uint32_t text_len;
    char text[MX_ANSWER_TEXT];
};

struct mx_counts {
    uint64_t started, accepted, refused_4xx, refused_5xx, unknown;
    uint64_t recipients, recipients_refused;
    uint64_t octets; /* of accepted messages */
    uint64_t connections, connections_failed, connections_lost;
    uint64_t tls_handshakes, tls_resumed, tls_failed;
    uint64_t codes[600]; /* every reply from 400 on */
};

/* Bodies that were sent without a copy. */
struct mx_zerocopies {
    uint64_t sent, octets;
    uint64_t noticed; /* the kernel has given them back; */
    uint64_t copied;  /* but had made a copy */
    uint64_t failed;  /* it cannot: sent again with a copy */
};

/* What all workers and the main thread share. */
struct mx_shared {
    struct mx_tls_context *tls;  /* of all sessions; NULL: without TLS */
    atomic_bool is_stopping;     /* start no message any more */
    atomic_bool is_interrupted;  /* leave everything as it is */
    char reason[MX_ANSWER_TEXT]; /* why it is stopping: the first trouble; guarded by has_reason */
    atomic_bool has_reason;
};

struct mx_load {
    const struct mx_plan *plan;
    const struct mx_mail_kit *kit;
    struct mx_shared *shared;
    uint64_t (*clock_ns)(void); /* monotonic; a test may have its own */
    uint32_t index;             /* of this worker */
    struct mx_ring ring;
    struct mx_buf buf;
    struct mx_ledger ledger;
    struct mx_timer_wheel wheel;
    struct mx_client *clients;
    uint32_t client_count, live_count; /* live: not gone */
    uint32_t *idle;                    /* stack of those that are idle, some of them not any more */
    uint32_t idle_count;
    char *drafts;
    struct sockaddr_in *sources; /* NULL: the kernel's choice */
    struct mx_secure *secures;   /* one a session; NULL: without TLS */
    char *sealed;                /* their output, sealed_octets each */
    char *plain;                 /* scratch: one record */

    uint64_t quota, taken; /* messages of this worker */
    uint64_t random;
    uint64_t now_ns, now_ms; /* since the last completion was looked at */
    uint64_t fired_ms;       /* the timers were looked at */
    uint64_t start_ns, end_ns;
    bool was_over;           /* no message will be taken any more: all pauses were ended */
    bool has_clock;          /* the schedule of --rate has begun */
    uint32_t unready_count;  /* sessions that it waits for */
    uint64_t schedule_ns;    /* when it began */
    uint32_t sends_prepared; /* whose completion comes with the submission */
    uint32_t sealed_octets;
    uint64_t idle_ns; /* --spin: turns that had nothing to do; else 0 */

    uint64_t first_ns, last_ns; /* first message begun, last one answered */
    uint64_t waited_ns;         /* of all sessions, for replies */
    uint64_t cpu_before_ns, delay_before_ns;
    uint64_t wall_ns, cpu_ns, delay_ns; /* of the thread, until the last message was answered */
    struct mx_counts counts;
    struct mx_zerocopies zerocopies;
    bool has_usage;
    bool has_zerocopy;             /* they are sent without a copy, for now */
    struct mx_tls_facts tls_facts; /* of the first handshake */
    uint64_t notices_end_ms;       /* so long it waits for the last ones; 0: it does not yet */
    struct mx_histogram phases[MX_PHASE_COUNT];
    int error; /* of the thread; 0 or -errno */
    /* For the progress line. */
    atomic_bool has_answers; /* of all messages */
    atomic_bool has_ended;
    atomic_ullong seen_started, seen_done, seen_bad;
    pthread_t thread;
};

/* ledger_fd: borrowed, or -1. 0 or -errno. It has no ring yet. shared->tls: held by its owner. */
MX_MUST_CHECK int mx_load_new(struct mx_load **self, const struct mx_mail_kit *kit,
                              struct mx_shared *shared, uint32_t index, int ledger_fd);
void mx_load_free(struct mx_load *self);

/* Give it a ring of the kernel; features: of mx_ring_probe. 0 or -errno. The thread that will run
 * it need not be the caller. */
MX_MUST_CHECK int mx_load_attach(struct mx_load *self, uint32_t features);

/* Until everything is sent, or the shared flags say so. 0 or -errno; also in self->error. */
int mx_load_run(struct mx_load *self);

/* What mx_load_run does, for a test that has a ring and a clock of its own: buffers, the first
 * steps of all sessions, one turn. Until live_count is 0. */
MX_MUST_CHECK int mx_load_new_buffers(struct mx_load *self);
void mx_load_begin(struct mx_load *self);
MX_MUST_CHECK int mx_load_turn(struct mx_load *self);

/* ---- between run.c, load.c, client.c, opening.c, secure.c and schedule.c ---- */

uint64_t mx_load_clock_ns(void);

/* Let the progress line see what is counted. */
void mx_load_publish(struct mx_load *self);

/* Connect. The stage is CONNECT, or CLOSING when it failed at once. */
void mx_load_open(struct mx_load *self, struct mx_client *client);
/* Bodies that the kernel has not given back yet. */
static inline uint64_t mx_load_lent(const struct mx_load *self) {
    return self->zerocopies.sent - self->zerocopies.failed - self->zerocopies.noticed;
}
/* Send the parts that are set, one behind the other. */
void mx_load_send(struct mx_load *self, struct mx_client *client);
/* For secure.c: a send of these. */
void mx_load_send_octets(struct mx_load *self, struct mx_client *client, struct mx_span octets);
/* Take back from the kernel what it has; mx_client_closed is called when it is done. */
void mx_load_close(struct mx_load *self, struct mx_client *client);
/* mx_client_expired is called in that time, or up to a tick later. */
void mx_load_wake(struct mx_load *self, struct mx_client *client, uint64_t in_ms);

enum mx_next { MX_NEXT_TAKEN, MX_NEXT_NOT_DUE, MX_NEXT_NONE };

/* Give the client the next message, when one is due. */
enum mx_next mx_schedule_take(struct mx_load *self, struct mx_client *client);
/* No message will be taken any more. */
bool mx_schedule_is_over(const struct mx_load *self);
/* When the next one is due; UINT64_MAX: never, or at once. */
uint64_t mx_schedule_due_ns(const struct mx_load *self);
/* A session is ready, or failed, for the first time. */
void mx_schedule_ready(struct mx_load *self);

/* Make the session do what comes next: from the beginning, from IDLE, after a pause. */
void mx_client_go(struct mx_load *load, struct mx_client *self);
void mx_client_connected(struct mx_load *load, struct mx_client *self);
/* Replies, in clear. */
void mx_client_heard(struct mx_load *load, struct mx_client *self, struct mx_span in);
/* The handshake has taken so long. */
void mx_client_secured(struct mx_load *load, struct mx_client *self);
/* It cannot go on: the connection is closed, its message's fate is not known. */
void mx_client_drop(struct mx_load *load, struct mx_client *self, const char *why);
/* The connection is lost, or was never there: err is -errno, or 0: closed by the server. */
void mx_client_lost(struct mx_load *load, struct mx_client *self, int err);
void mx_client_closed(struct mx_load *load, struct mx_client *self);
void mx_client_expired(struct mx_load *load, struct mx_client *self);
/* The run is interrupted: the fate of its message is not known. */
void mx_client_abandon(struct mx_load *load, struct mx_client *self);
