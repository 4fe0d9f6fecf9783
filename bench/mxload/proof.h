/* proof.h - was everything received that the ledger says, once and unchanged?
 *
 * First the ledger's lines go in, then every message that was found, then the result is there.
 */
#pragma once
#include "bench/mxload/plan.h"
#include "proto/err.h"
#include "proto/span.h"

enum {
    MX_PROOF_RUNS_MAX = 64,
    MX_PROOF_COPIES_MAX = UINT16_MAX - 1,
    MX_PROOF_SEQ_MAX = 1 << 30, /* messages of a run; each costs six octets of memory */
};

enum mx_proof_state {
    MX_PROOF_GOOD,
    MX_PROOF_CHANGED,  /* its hashes say so */
    MX_PROOF_UNHASHED, /* it has no hash that can be read */
    MX_PROOF_FOREIGN,  /* it does not say which message it is */
};

/* What a message says of itself. */
struct mx_proof_mark {
    char run[MX_PLAN_RUN_LEN + 1];
    uint64_t seq;
};

/* Look at one message, as it is stored: line ends are CRLF or LF, as they are behind its header
 * X-Mxload-Hash. Headers in front of that one are not looked at. has_head: HEAD is checked, too.
 * *mark is set unless the result is MX_PROOF_FOREIGN. */
enum mx_proof_state mx_proof_look(struct mx_span message, bool has_head,
                                  struct mx_proof_mark *mark);

/* Of a run, by sequence. */
struct mx_proof_run {
    char name[MX_PLAN_RUN_LEN + 1];
    uint64_t count; /* rows */
    struct mx_proof_row {
        uint16_t good, changed; /* how often it was found; 65535: or more */
        uint8_t fate;           /* enum mx_proof_fate */
    } * rows;
};

enum mx_proof_fate {
    MX_PROOF_UNLISTED, /* the ledger does not have it */
    MX_PROOF_ACCEPTED,
    MX_PROOF_REFUSED,
    MX_PROOF_UNKNOWN, /* no reply came: it may be there or not */
};

struct mx_proof {
    struct mx_proof_run runs[MX_PROOF_RUNS_MAX];
    uint32_t run_count;
    uint64_t foreign; /* messages that are none of the ledger's */
};

void mx_proof_free(struct mx_proof *self);

/* A line of the ledger, without its LF. MX_ESYNTAX: it is none; MX_ELIMIT: too many runs or too
 * high a number; -EEXIST: the message was there before; -ENOMEM. */
MX_MUST_CHECK int mx_proof_new_line(struct mx_proof *self, struct mx_span line);

/* A message was found; mark is not looked at when it is FOREIGN. is_unhashed_fine: one without a
 * hash is good. */
void mx_proof_found(struct mx_proof *self, enum mx_proof_state state,
                    const struct mx_proof_mark *mark, bool is_unhashed_fine);

/* What can be wrong with a message that the ledger has, and what cannot. */
struct mx_proof_result {
    uint64_t accepted, refused, unknown; /* of the ledger */
    uint64_t found;                      /* messages of its runs, whatever their state */
    uint64_t lost, doubled, changed;     /* messages */
    uint64_t stored_refused;             /* there although they were refused */
    uint64_t unknown_found;              /* of the unknown ones: there; no fault */
    uint64_t unlisted;                   /* there, of a run of the ledger, but not in it */
};

/* One fault of one message, in the order of runs and sequences. */
typedef void mx_proof_fault_fn(void *context, const char *what, const char *run, uint64_t seq);

/* copies: how often an accepted message is to be there, at most MX_PROOF_COPIES_MAX. fault may be
 * NULL. */
struct mx_proof_result mx_proof_judge(const struct mx_proof *self, struct mx_range copies,
                                      mx_proof_fault_fn *fault, void *context);

/* Nothing is wrong with the messages of the ledger. */
bool mx_proof_is_good(const struct mx_proof_result *self);
