/* scan.h - conversations with those who look at mail for us (milters, rspamd, spamd), for workers
 * who do not wait: one thread that speaks with all of them at once.
 *
 * A question lies in its asker's memory, with room for the answer. Asking never blocks: who asks
 * has taken one of a bounded number of conversations first. The job of an answered question lies in
 * its asker's inbox (helper.h), and a message on the asker's ring wakes him. Every question is
 * answered before its deadline is long over, whatever the other side does; when it is not heard of,
 * or says nonsense, by an error. Nothing is remembered of a failure: the next question connects
 * again.
 */
#pragma once
#include "engine/helper.h"
#include "engine/policy/fulltext.h"
#include "proto/change.h"
#include "proto/endpoint.h"

struct mx_scan;

enum mx_scan_kind {
    MX_SCAN_MILTER, /* a session: many questions, until mx_scan_leave */
    MX_SCAN_RSPAMD, /* one question, one connection; the conversation ends with the answer */
    MX_SCAN_SPAMD,
    MX_SCAN_KIND_COUNT,
};

enum mx_scan_verdict {
    MX_SCAN_CONTINUE,
    MX_SCAN_ACCEPT, /* nothing more is to be asked about this message (or connection) */
    MX_SCAN_REJECT,
    MX_SCAN_TEMPFAIL,
    MX_SCAN_DISCARD,
    MX_SCAN_SHUTDOWN, /* refused, and the connection is to be closed */
    /* RSPAMD: accepted, but ... */
    MX_SCAN_GREYLIST,
    MX_SCAN_ADD_HEADER,
    MX_SCAN_REWRITE_SUBJECT,
};

enum { MX_SCAN_REPLY_MAX = 480, MX_SCAN_NONE = UINT32_MAX };

struct mx_scan_question {
    struct mx_helper_job *job;     /* comes back when it is answered; its inbox is set */
    struct mx_scan_question *next; /* in the list of whoever has it */
    uint32_t talk;                 /* taken by mx_scan_take */
    uint8_t kind;                  /* enum mx_scan_kind */
    bool is_fresh;                 /* MILTER: the session begins (again) */
    struct mx_endpoint endpoint;
    uint32_t max_connections; /* to that endpoint; others wait */
    uint64_t deadline_ms;     /* monotonic */
    const char *request;      /* MILTER: packets; else what stands in front of the message */
    uint32_t request_octets;
    struct mx_fulltext *text; /* the message; NULL: none is asked about. The job holds it */
    bool offers_quarantine;   /* MILTER: it may say so: is_quarantined */
    bool hides_received;      /* MILTER: the first Received field, which is ours, is not told */
    /* the answer */
    int error; /* 0, or a negative error: then there is nothing else */
    uint8_t verdict;
    bool is_quarantined;     /* MILTER */
    bool is_spam;            /* SPAMD */
    int32_t score, required; /* RSPAMD, SPAMD: thousandths */
    uint32_t reply_len;
    char reply[MX_SCAN_REPLY_MAX]; /* "550 5.7.1 text"; empty: none */
    struct mx_changes changes;     /* ptr and cap are the asker's */
};

/* What the thread did: written by it alone but for the first three, read by anyone with relaxed
 * loads. X(name, unit, help) */
#define MX_SCAN_COUNTERS(X)                                                                        \
    X(busy, "questions", "not asked: engine.scanConversations were under way")                     \
    X(too_large, "messages", "longer than maxScanSize, not looked at")                             \
    X(no_memory, "messages", "not looked at: engine.scanMemory was in use")                        \
    X(questions, "questions", "asked by hooks")                                                    \
    X(answered, "questions", "answered by a scanner")                                              \
    X(timeouts, "questions", "not answered in time")                                               \
    X(broken, "questions", "whose connection ended, or that was said to be impossible")            \
    X(nonsense, "questions", "answered by something that is no answer")                            \
    X(too_long, "questions", "whose answer was too long")                                          \
    X(unoffered, "questions", "answered by a change that nobody had offered to make")              \
    X(connects, "connections", "begun")                                                            \
    X(connect_failed, "connections", "that could not be made")                                     \
    X(sent_octets, "octets", "sent to scanners")                                                   \
    X(open, "connections", "at the moment")                                                        \
    X(waiting, "questions", "that wait for one, at the moment")

struct mx_scan_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_SCAN_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};

/* Memory for so many conversations (1..65536). NULL: out of memory. */
struct mx_scan *mx_scan_new(uint32_t talk_count);

/* A ring (features as for mx_ring_init), then the thread; signals are blocked by the caller. 0 or
 * -errno: then call mx_scan_free. */
MX_MUST_CHECK int mx_scan_start(struct mx_scan *self, uint32_t features);

/* End the thread, forget all questions, free all. Nobody asks any more; the inboxes and questions
 * still exist. NULL is allowed. */
void mx_scan_free(struct mx_scan *self);

/* A conversation. MX_SCAN_NONE: all are under way, counted. Any thread. */
uint32_t mx_scan_take(struct mx_scan *self);

/* The question is given until its job is back. Any thread. */
void mx_scan_ask(struct mx_scan *self, struct mx_scan_question *question);

/* Nothing was asked: the conversation is given back. Any thread. */
void mx_scan_give(struct mx_scan *self, uint32_t talk);
/* A session is over: likewise. A question that is under way is still answered. Any thread. */
void mx_scan_leave(struct mx_scan *self, uint32_t talk);

/* A message was not shown: MX_ELIMIT or -ENOMEM. Any thread. */
void mx_scan_count_unseen(struct mx_scan *self, int error);

struct mx_scan_counters mx_scan_counters(const struct mx_scan *self);
