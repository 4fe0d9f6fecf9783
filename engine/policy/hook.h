/* hook.h - what a hook is, what it sees, and what it may do.
 *
 * A hook is a row of functions, one for each point of a session that it wants to be asked at. It
 * sees the envelope and some memory of its own, never the connection. It does not block: whoever
 * has to wait gives a job to somebody (the helpers, the resolver), answers PENDING, and is asked
 * again with the answer. All on the worker's thread, but for what a helper runs.
 */
#pragma once
#include "config/conf.h"
#include "engine/helper.h"
#include "engine/policy/fulltext.h"
#include "engine/policy/header.h"
#include "proto/session.h"

enum mx_verdict {
    MX_VERDICT_DECLINED, /* not my business: the next hook is asked */
    MX_VERDICT_OK,       /* accepted: no other hook is asked, the core ones neither */
    MX_VERDICT_SOFT,     /* refused for now */
    MX_VERDICT_HARD,     /* refused */
    MX_VERDICT_DROP,     /* refused, and the connection is closed */
    MX_VERDICT_PENDING,  /* a job is under way: ask again when it is done */
    MX_VERDICT_COUNT,
};

struct mx_chain;
struct mx_memo;
struct mx_policy;
struct mx_policy_site;

/* What a hook waits for. Lies in session memory; belongs to whoever works on it until it comes
 * back. Hooks put it first into a struct of their own. */
struct mx_hook_job {
    struct mx_helper_job job;
    uint64_t owner;               /* private: the connection */
    const struct mx_chain *chain; /* private: held meanwhile */
    uint32_t number;              /* private: the question it answers */
    struct mx_fulltext *text;     /* private: held meanwhile; NULL: none */
    uint32_t cap;                 /* private: size of its block, octets */
    bool is_out;                  /* private: given away again while it was the answer */
};

struct mx_hook_call {
    const struct mx_conf *conf;
    const struct mx_conf_server *server;
    const void *options;        /* of this item of the chain */
    struct mx_session *session; /* envelope, peer, HELO name, login. Read only but for what a hook
                                 * may say of the envelope */
    struct mx_span rcpt;        /* RCPT: whom it is about. Else empty */
    struct mx_header *header;   /* HEADER, MESSAGE: may be changed; at MESSAGE it is stored
                                 * already, and what is changed then stands in the envelope in its
                                 * place. Else NULL */
    struct mx_fulltext *text;   /* MESSAGE of a class with text_octets: the whole message, as HEADER
                                 * hooks   left it; constant. NULL: see text_error */
    int text_error;             /* MX_ELIMIT: it is longer than anybody wants it; -ENOMEM */
    const struct mx_span *slices; /* CONTENT: borrowed */
    uint32_t slice_count;
    void *memory;  /* class->memory_octets of this connection, zeroed at its begin */
    void *scratch; /* class->scratch_octets of this transaction, zeroed at its begin; NULL outside
                    * of one */
    struct mx_hook_job *answer; /* asked again: the job that is done. Freed after the call. NULL:
                                 * asked for the first time */
    uint64_t now_ms;            /* monotonic */
    /* private */
    const struct mx_opt_wait *wait;
    struct mx_policy_site *site;
};

typedef enum mx_verdict mx_hook_fn(struct mx_hook_call *call);

/* A reply of a hook, for docs/HANDLERS.md. */
struct mx_hook_reply {
    const char *when, *text;
};

enum { MX_HOOK_REPLIES_MAX = 10 };

struct mx_hook_class {
    const char *summary; /* one sentence */
    mx_hook_fn *points[MX_HOOK_POINT_COUNT];
    const char *where; /* it has its effect, when at no point; for docs/HANDLERS.md */
    /* What sessions of a server with this hook are like: what EHLO shows, what MAIL takes. NULL:
     * nothing */
    void (*set_up)(const void *options, struct mx_session_conf *conf);
    uint32_t memory_octets, scratch_octets;
    /* How long a message may be that it wants to see as a whole. NULL: it does not */
    uint64_t (*text_octets)(const void *options);
    bool waits; /* may answer PENDING; its options begin with struct mx_opt_wait */
    struct mx_hook_reply replies[MX_HOOK_REPLIES_MAX];
    const char *differences; /* to James; NULL: none */
};

#define MX_HOOK_CLASS_DECLARE(kind, name, class) extern const struct mx_hook_class mx_hook_##name;
MX_HOOK_LIST(MX_HOOK_CLASS_DECLARE)
#undef MX_HOOK_CLASS_DECLARE

extern const struct mx_hook_class *const mx_hook_classes[MX_HOOK_KIND_COUNT];

/* The name of a point, for log and documentation: "rcpt". */
const char *mx_hook_point_name(enum mx_hook_point point);
const char *mx_hook_verdict_name(enum mx_verdict verdict);

/* Leave a reply behind ("550 5.7.1 text", no CRLF, at most MX_REPLY_LINE_MAX - 2 octets, longer
 * ones are cut), and return the verdict. */
enum mx_verdict mx_hook_refuse(struct mx_hook_call *call, enum mx_verdict verdict,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The verdict of onFailure; leaves "451 4.7.1 ..." or "550 5.7.1 ..." behind. */
enum mx_verdict mx_hook_fail(struct mx_hook_call *call);

/* Note an attribute in the message's envelope. 0; -ENOMEM; MX_ELIMIT: it has too many. */
MX_MUST_CHECK int mx_hook_note(struct mx_hook_call *call, struct mx_span name,
                               struct mx_span value);

/* The message is accepted, and thrown away: return what this returns. MESSAGE only. */
enum mx_verdict mx_hook_discard(struct mx_hook_call *call);

/* What hooks remember beyond a connection (memo.h). */
struct mx_memo *mx_hook_memo(struct mx_hook_call *call);

/* A job of so many octets, the struct mx_hook_job in front set up and the rest zeroed. Then set
 * job->job.run and give it to the helpers, or give it to somebody else who puts it into its inbox
 * (mx_helper_finish) in the end. NULL: no memory. */
void *mx_hook_job_new(struct mx_hook_call *call, size_t octets);

/* call->text stays until the job is back. */
void mx_hook_lend_text(struct mx_hook_call *call, struct mx_hook_job *job);

/* Nobody has it. */
void mx_hook_job_free(struct mx_hook_call *call, struct mx_hook_job *job);

/* Give the job to the helpers. False: they are busy, and the job is freed. */
MX_MUST_CHECK bool mx_hook_post_helper(struct mx_hook_call *call, struct mx_hook_job *job,
                                       mx_helper_run_fn *run);

/* Give the job to the helpers and return PENDING; when they are busy, or when job is NULL, the
 * verdict of mx_hook_fail. */
enum mx_verdict mx_hook_ask_helper(struct mx_hook_call *call, struct mx_hook_job *job,
                                   mx_helper_run_fn *run);
