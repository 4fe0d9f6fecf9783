/* sim.h - a simulated kernel, network, sink and clients around the real engine.
 *
 * One run = one seed: everything that can happen in two ways is decided by sim_below(), so a seed
 * that fails fails again. Time is simulated (microseconds) and moves only when nobody has anything
 * to do. All state of a run is in the one `sim`; the parts:
 *     world.c   random numbers, memory of a run, the trace, faults and their counts
 *     kernel.c  rings: submission, completion queue, waiting     op.c  the operations
 *     sink.c    where messages go                               message.c  their content, the
 * oracle script.c  what a client says      model.c  what it must hear      client.c  its network
 * side setup.c   configuration by seed   sim_test.c  the loop, and what must hold at the end
 */
#pragma once
#include "engine/helper.h"
#include "engine/limits.h"
#include "engine/rules.h"
#include "engine/swap.h"
#include "engine/worker.h"
#include "tests/sim/faults.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SIM_WORKERS = 2,
    SIM_SERVICES = 2, /* 0 = SMTP, 1 = LMTP */
    SIM_HELPERS = 2,
    SIM_RELOADS = 3, /* most of a run */
    SIM_SLOTS = 8,   /* listening addresses of a run, those that have gone too */
    SIM_CLIENTS_MAX = 300,
    SIM_MESSAGES_MAX = 4000,
    SIM_RCPTS_MAX = 24,
    SIM_OPS_MAX = 2048,
    SIM_FDS_MAX = 1024,
    SIM_IPS = 8,
    SIM_TRACE = 160,
    SIM_LISTEN_FD = 5000,
    SIM_RING_FD = 9000,
};
#define SIM_NEVER UINT64_MAX

/* ---- bytes ---- */

struct sim_bytes {
    char *ptr;
    uint32_t begin, end, cap;
};
static inline uint32_t sim_len(const struct sim_bytes *self) {
    return self->end - self->begin;
}
void sim_put(struct sim_bytes *self, const void *ptr, size_t len);
void sim_put_text(struct sim_bytes *self, const char *text);
void sim_drop(struct sim_bytes *self, uint32_t len);

/* ---- the network side of a connection ---- */

struct sim_sock {
    struct sim_bytes in, out; /* towards the server, towards the client */
    uint32_t in_cap, out_cap; /* windows, octets */
    uint16_t refs;            /* descriptors of the server */
    bool is_fin;              /* the client has sent everything */
    bool is_gone;             /* ... and reads nothing any more */
    bool is_reset;            /* by the client */
    bool is_closed;           /* by the server: no descriptor is left */
    struct sockaddr_in peer;
};

/* ---- messages ---- */

enum sim_stage { SIM_UNSEEN, SIM_OPEN, SIM_FAILED, SIM_PENDING, SIM_ENDED };

struct sim_message {
    /* the client's side */
    struct mx_span content;
    char sender[64];
    struct sim_bytes rcpts; /* accepted ones, one a line */
    bool is_acknowledged;   /* some 250 was read */
    bool is_refused;        /* every final reply was a refusal */
    /* the sink's side */
    uint8_t stage;     /* enum sim_stage */
    bool is_discarded; /* a hook wants it thrown away */
    uint32_t commit_count;
    int open_result, write_result, commit_result;
    uint64_t write_fail_end; /* content octets behind the write that failed */
    int rcpt_results[SIM_RCPTS_MAX];
    uint32_t rcpt_count;
    uint32_t trace_octets;
    struct sim_bytes stored;
    struct sim_bytes envelope; /* sender and recipients, one a line */
};

/* ---- clients ---- */

enum sim_item_kind {
    SIM_IT_GREETING,
    SIM_IT_HELLO,
    SIM_IT_MAIL,
    SIM_IT_RCPT,
    SIM_IT_DATA,
    SIM_IT_CONTENT,
    SIM_IT_BDAT,
    SIM_IT_RSET,
    SIM_IT_AUTH,  /* a whole login in one line, or its last line */
    SIM_IT_FIXED, /* always answered by item->code */
    SIM_IT_QUIT,
    SIM_IT_IDLE, /* nothing is sent: the server has to lose patience */
};

enum sim_variant {
    SIM_V_GOOD,
    SIM_V_SYNTAX,  /* refused for its form: item->code */
    SIM_V_FOREIGN, /* RCPT: relaying */
    SIM_V_LARGE,   /* MAIL: SIZE over the limit */
    SIM_V_BARE_LF, /* CONTENT */
    SIM_V_SLOW,    /* CONTENT: below minDataRate, for ever */
    SIM_V_WRONG,   /* AUTH: the password */
};

struct sim_item {
    uint8_t kind, variant;
    bool syncs;   /* nothing is sent behind it before its reply */
    bool is_last; /* BDAT */
    uint16_t code;
    uint32_t message;
    struct mx_span bytes;
    uint32_t chunk;      /* BDAT: octets of content */
    const char *address; /* RCPT, as it will be stored */
};

/* What a client knows of its session: an independent, small copy of the rules. */
struct sim_model {
    bool has_helo, has_sender, is_chunked, is_in_content, is_authenticated;
    bool must_hear_errors; /* 421 Too many errors, or failed logins, has to follow */
    bool any_ok;           /* of the final replies so far */
    bool is_counted;       /* ... a refusal among them was counted as an error */
    uint32_t rcpts, errors, transactions, failed_logins;
    uint32_t finals; /* LMTP: final replies read */
    uint64_t octets; /* BDAT octets of the message so far */
    char sender[64]; /* of the transaction */
};

enum sim_client_state { SIM_C_UNBORN, SIM_C_QUEUED, SIM_C_OPEN, SIM_C_DONE };

struct sim_client {
    struct sim_sock sock;
    struct sim_model model;
    uint8_t state, kind, service, worker;
    bool is_loose;     /* any reply will do */
    bool is_deaf;      /* reads nothing */
    bool is_dismissed; /* the last reply is read: EOF follows */
    bool may_vanish;   /* the kernel dropped it, or the clock jumped: no promises */
    bool has_auth;     /* the script has a good login */
    bool is_half_closing, is_cut_by_reset;
    bool was_accepted;
    uint32_t cut_at; /* octets sent until the cut; UINT32_MAX = none */
    uint32_t sent;
    uint32_t chunk_max, gap_us, read_max, read_gap_us;
    uint64_t next_us, leave_us, last_sent_us, idle_since_us, send_us, read_us;
    struct sim_item *items;
    uint32_t item_count, item_cap, next_item, answered;
    struct sim_bytes unsent, line;
    char multiline[4]; /* code of an unfinished multi-line reply */
};

/* ---- kernels ---- */

struct sim_op {
    uint64_t user_data, ready_us, addr;
    uint32_t len, done, hash;
    int32_t fd, result;
    int16_t client;
    uint8_t opcode;
    bool is_cancelled, has_result;
    bool is_once; /* a receive of one buffer */
};

struct sim_table {
    struct {
        int16_t client; /* -1: free */
        uint16_t ops;   /* requests that name it */
    } fds[SIM_FDS_MAX];
    uint32_t size;
};

struct sim_kernel {
    struct mx_ring *ring;
    struct sim_table *table;
    struct sim_op ops[SIM_OPS_MAX];
    uint32_t op_count;
    struct io_uring_cqe overflow[SIM_OPS_MAX];
    uint32_t overflow_count;
    struct io_uring_buf_ring *buf_ring;
    uint32_t buf_entries;
    uint16_t buf_head;
    uint32_t held[4096]; /* completion number that lent the buffer to the engine */
    bool is_asleep;
    uint64_t sleep_until_us;
    uint64_t cpu_ns;
    uint32_t bad_enters; /* in a row */
};

struct sim_listener {
    int16_t queue[SIM_CLIENTS_MAX];
    uint32_t begin, end;
};

/* ---- the sinks ---- */

struct sim_pending {
    uint32_t message;
    uint64_t owner, due_us;
    int result;
};

struct sim_sink {
    struct sim_pending pending[SIM_CLIENTS_MAX];
    uint32_t count;
    bool is_blocked;
    uint64_t ready_us;
};

/* ---- the run ---- */

struct sim_note {
    uint64_t us;
    const char *what;
    long a, b, c;
};

struct sim {
    uint64_t seed, random;
    bool is_verbose;
    uint64_t now_us;
    int64_t wall_s;
    uint64_t jump_us, drain_us; /* when; SIM_NEVER = not */
    uint64_t shutdown_us;       /* of the listeners, behind the drain */
    bool is_draining, is_memory_tight, is_direct;
    bool is_flood;            /* large messages sent at once, few buffers, a slow sink */
    bool has_hooks;           /* every chain has hooks that wait, and maybe one ... */
    bool has_header_hook;     /* that looks at headers */
    bool has_strict_hooks;    /* in time, or 451 */
    bool has_impatient_hooks; /* others wait but a moment */
    uint32_t lifespan_ms;     /* of connections; 0: for ever */
    uint64_t progress_us;     /* when something last moved */
    uint64_t drain_end_us;
    uint16_t rate[SIM_FAULT_COUNT]; /* permille */
    struct sim_note notes[SIM_TRACE];
    uint32_t note_count;
    uint32_t turns;

    struct mx_conf *conf;
    struct mx_service services[SIM_SERVICES];
    struct mx_tally tallies[SIM_SERVICES];
    struct mx_service more_services[SIM_RELOADS][SIM_SERVICES]; /* after reloads */
    struct mx_rules rules[SIM_RELOADS + 1];
    struct mx_rules_hold holds[SIM_RELOADS + 1][SIM_WORKERS];
    struct {
        uint64_t next_us; /* when something is to do; SIM_NEVER: nothing */
        uint32_t number, step;
        struct mx_swap swap;
    } reload;
    struct {
        struct mx_helper *pool;
        struct mx_helper_job *jobs[SIM_HELPERS]; /* NULL: idle */
        uint64_t due_us[SIM_HELPERS];
    } helper;
    uint8_t slots[SIM_SERVICES]; /* where a service is reached */
    uint32_t slot_count;         /* that were ever in use */
    bool is_shut[SIM_SLOTS];
    struct mx_iptable *iptable;
    struct mx_fleet fleet;
    struct mx_worker *workers;
    struct mx_listener engine_listeners[SIM_WORKERS][SIM_SLOTS];
    struct mx_sink engine_sinks[SIM_WORKERS][SIM_SERVICES];
    bool is_done[SIM_WORKERS];
    char *ballast[SIM_WORKERS][64]; /* session memory taken away */
    uint32_t ballast_octets[SIM_WORKERS][64];

    uint32_t worker_count;
    struct sim_kernel kernels[SIM_WORKERS];
    struct sim_table tables[SIM_WORKERS];
    struct sim_listener listeners[SIM_WORKERS][SIM_SLOTS];
    struct sim_sink sinks[SIM_WORKERS][SIM_SERVICES];
    struct sim_client clients[SIM_CLIENTS_MAX];
    uint32_t client_count, clients_done;
    struct sim_message messages[SIM_MESSAGES_MAX];
    uint32_t message_count;
};
extern struct sim sim;

/* Totals over all runs. */
extern uint64_t sim_fault_counts[SIM_FAULT_COUNT], sim_event_counts[SIM_EVENT_COUNT];
extern struct mx_engine_counters sim_engine_totals;
extern struct mx_proto_counters sim_proto_totals;

/* world.c */
void sim_begin(uint64_t seed);
uint32_t sim_next(void);
static inline uint32_t sim_below(uint32_t n) {
    return (uint32_t)((uint64_t)sim_next() * n >> 32);
}
static inline bool sim_chance(uint32_t permille) {
    return sim_below(1000) < permille;
}
/* Does this fault strike here and now? Counted when it does. */
bool sim_fault(enum sim_fault fault);
static inline void sim_event(enum sim_event event) {
    sim_event_counts[event]++;
}
/* Zeroed memory until the end of the run. */
void *sim_alloc(size_t octets);
void sim_note(const char *what, long a, long b, long c);
_Noreturn void sim_fail(const char *what, long a, long b, long line);
#define SIM_CHECK(ok, what, a, b) ((ok) ? (void)0 : sim_fail(what, (long)(a), (long)(b), __LINE__))
void sim_print_trace(void);

/* kernel.c, op.c */
extern const struct mx_ring_io sim_ring_io;
void sim_kernel_init(struct sim_kernel *self, struct mx_ring *ring, struct sim_table *table);
void sim_post(struct sim_kernel *self, uint64_t user_data, int32_t res, uint32_t flags);
bool sim_cq_has_room(const struct sim_kernel *self);
uint32_t sim_cq_next(const struct sim_kernel *self);
/* The task work of one ring: everything that can move moves, in a random order. */
void sim_kernel_progress(struct sim_kernel *self);
/* When a delayed operation wants to be looked at again. */
uint64_t sim_kernel_next_us(const struct sim_kernel *self);
void sim_op_start(struct sim_kernel *self, const struct io_uring_sqe *sqe);
/* True: it has ended. */
bool sim_op_progress(struct sim_kernel *self, struct sim_op *op, bool is_inline);

/* The listening socket was shut down: who is in its queue gets a reset. */
void sim_refuse_queue(struct sim_listener *listener);

/* reload.c */
void sim_rules_init(uint32_t number, bool needs_trace);
void sim_reload_act(void);
void sim_rules_check(void);

/* hook.c */
void sim_hook_install(struct mx_service *service);

/* helper.c */
void sim_helper_setup(void);
void sim_helper_act(void);
uint64_t sim_helper_next_us(void);
void sim_helper_teardown(void);

/* message.c */
uint32_t sim_message_new(void);
/* Random content; wire gets the dot-stuffed form with the final dot. */
void sim_message_fill(struct sim_message *self, bool is_data, struct mx_span *wire);
void sim_check_message(uint32_t index);

/* sink.c */
extern const struct mx_sink_class sim_sink_class;
/* A hook has the open message with this envelope thrown away: it will be aborted. */
void sim_sink_discard(const struct mx_envelope *envelope);
uint64_t sim_sink_next_us(const struct sim_sink *self);

/* script.c, model.c */
void sim_script_new(struct sim_client *c);
/* One whole reply line without CRLF. */
void sim_model_reply(struct sim_client *c, const char *line, uint32_t len);
void sim_model_eof(struct sim_client *c);

/* client.c */
void sim_client_new(struct sim_client *c);
void sim_client_act(struct sim_client *c);
/* Something it may wait for has happened. */
void sim_client_wake(struct sim_client *c, uint32_t delay_us);
void sim_client_finish(struct sim_client *c);

/* setup.c */
void sim_setup(void);
void sim_teardown(void);
