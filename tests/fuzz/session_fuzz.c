/* session_fuzz.c - property: a session says and stores the same for the same octets, however they
 * are cut and however small the reply buffer is; and what must hold for every session, see
 * tests/unit/recorder.h.
 *
 * Input: HEAD_LEN octets that choose the server, the world and the cuts; the client's octets
 * follow.
 */
#include "tests/unit/guard.h"
#include "tests/unit/recorder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_LEN = 10, TEXT_LEN_MAX = 1 << 14 };

/* The octets of the head. */
enum {
    AT_RULES,   /* bits: how the server reads */
    AT_SHAPE,   /* bits: names, texts, trace, hooks */
    AT_LIMITS,  /* bits: which limits there are */
    AT_HIDDEN,  /* bits of enum mx_feature, and AUTH */
    AT_WORLD,   /* which part of the world fails, and how often */
    AT_PLACE,   /* where a fault is put */
    AT_KIND,    /* ... and of which kind; 0 = none */
    AT_CUT,     /* longest piece */
    AT_SEED_LO, /* of the cuts */
    AT_SEED_HI,
};

enum { LMTP = 1, ACCEPTS_ALL = 2, HELO = 4, BRACKETS = 8, NO_BARE_LF = 16, UTF8 = 32, JAMES = 64 };
enum {
    LONG_NAME = 1,
    GREETING = 2,
    TRACE = 4,
    DOMAIN = 8,
    HOOKS = 16,
    DISCONNECTS = 32,
    PROXY = 64,
    EXTENSIONS = 128
};
enum { HIDDEN = 63, AUTH = 64, AUTH_SLOW = 128 }; /* AT_HIDDEN */
/* What refuses a message after its begin is one thing at a time: which of several comes first
 * depends on the cuts. */
enum { ERRORS = 1, TRANSACTIONS = 2, RECIPIENTS = 4, SIZE = 8, DATA_LINES = 16, BLOCK = 32 };

static char long_name[253], greeting[500];

static void fill_texts(void) {
    memset(long_name, 'n', sizeof long_name);
    memset(greeting, 'g', sizeof greeting);
}

static void add_auth(struct mx_session_conf *conf, const uint8_t *head) {
    static const uint8_t mechanisms[] = {MX_SASL_SCRAM_SHA_256, MX_SASL_PLAIN, MX_SASL_LOGIN};
    if (!(head[AT_HIDDEN] & AUTH))
        return;
    conf->has_auth = true;
    conf->announce = head[AT_WORLD] % 3;
    conf->needs_tls_for_auth = (head[AT_HIDDEN] & AUTH_SLOW) && head[AT_CUT] % 4 == 0;
    memcpy(conf->mechanisms, mechanisms, sizeof mechanisms);
    conf->mechanism_count = (uint8_t)(1 + head[AT_SEED_LO] % 3);
    conf->max_auth_failures = head[AT_LIMITS] & ERRORS ? 2 : 0;
    conf->auth_failure_delay_ms = head[AT_HIDDEN] & AUTH_SLOW ? 500 : 0;
}

static struct mx_session_conf make_conf(const uint8_t *head, const struct mx_fault *faults) {
    uint8_t rules = head[AT_RULES], shape = head[AT_SHAPE], limits = head[AT_LIMITS];
    struct mx_span name = {long_name, sizeof long_name}, text = {greeting, sizeof greeting};
    bool has_size = limits & SIZE;
    /* clang-format off */ /* 14 crashes here */
    return (struct mx_session_conf){
        .proto = rules & LMTP ? MX_PROTO_LMTP : MX_PROTO_SMTP,
        .hello_name = shape & LONG_NAME ? name : MX_SPAN("mx.example"),
        .greeting = shape & GREETING ? text : (struct mx_span){0},
        .needs_proxy = shape & PROXY,
        .default_domain = shape & DOMAIN ? MX_SPAN("example.com") : (struct mx_span){0},
        .accepts_all = rules & ACCEPTS_ALL,
        .needs_helo = rules & HELO,
        .needs_brackets = rules & BRACKETS,
        .refuses_bare_lf_commands = rules & NO_BARE_LF,
        .has_james_texts = rules & JAMES,
        .has_smtputf8 = rules & UTF8,
        .needs_trace = shape & TRACE,
        .wants_from = rules & LMTP ? MX_SESSION_FROM_NOBODY : head[AT_PLACE] % 3,
        .hidden_features = head[AT_HIDDEN] & HIDDEN,
        .extensions = shape & EXTENSIONS ? ~0u : 0,
        .ehlo_line_count = shape & EXTENSIONS ? MX_EHLO_LINE_COUNT : 0,
        .ehlo_lines = {MX_EHLO_REQUIRETLS, MX_EHLO_DSN, MX_EHLO_MT_PRIORITY, MX_EHLO_FUTURERELEASE},
        .hooks = shape & HOOKS ? (1u << MX_HOOK_POINT_COUNT) - 1 : 0,
        .max_message_octets = has_size ? 40 : 0,
        .max_line_octets = 1000,
        .max_data_line_octets = limits & DATA_LINES && !has_size ? 20 : 0,
        .max_recipients = limits & RECIPIENTS ? 2 : 0,
        .max_errors = limits & ERRORS ? 4 : 0,
        .max_transactions = limits & TRANSACTIONS ? 2 : 0,
        .faults = head[AT_KIND] != 0 ? faults : NULL,
    };
    /* clang-format on */
}

static struct recorder_plan make_plan(const uint8_t *head) {
    static const int errors[] = {-ENOSPC, -EIO, -ENOMEM};
    struct recorder_plan plan = {
        .failing = head[AT_WORLD] >> 6,
        .block_max = head[AT_LIMITS] & BLOCK ? 1200 : 0,
        .refused_octet = head[AT_SHAPE] & HOOKS ? 'r' : 0,
        .hook_disconnects = head[AT_SHAPE] & DISCONNECTS,
    };
    int error = errors[head[AT_WORLD] / 8 % 3];
    bool has_limit = head[AT_LIMITS] & (SIZE | DATA_LINES);
    switch (head[AT_WORLD] % 8) {
    case 1:
        plan.open_error = has_limit ? 0 : error;
        break;
    case 2:
        plan.body_error = has_limit ? 0 : error;
        plan.body_limit = head[AT_WORLD] & 32 ? 30 : 0;
        break;
    case 3:
        plan.commit_error = error;
        break;
    case 4:
        plan.rcpt_error = error;
        break;
    default:
        break;
    }
    return plan;
}

static void run_whole(struct recorder *self, struct mx_span text) {
    recorder_greet(self);
    recorder_feed(self, text);
    recorder_end(self);
}

static void run_cut(struct recorder *self, struct mx_span text, const uint8_t *head) {
    struct rng rng = {1u + head[AT_SEED_LO] + 256u * head[AT_SEED_HI]};
    recorder_greet(self);
    while (text.len > 0) {
        size_t n = 1 + rng_take(&rng, head[AT_CUT] + 1u);
        n = n < text.len ? n : text.len;
        recorder_feed(self, (struct mx_span){text.ptr, n});
        text = mx_span_skip(text, n);
    }
    recorder_end(self);
}

static void must_be_same(const struct recorder *a, const struct recorder *b) {
    assert(a->replies_len == b->replies_len);
    assert(memcmp(a->replies, b->replies, a->replies_len) == 0);
    assert(a->ledger_len == b->ledger_len);
    assert(memcmp(a->ledger, b->ledger, a->ledger_len) == 0);
    assert(a->opened == b->opened && a->committed == b->committed && a->refused == b->refused);
    assert(a->is_closed == b->is_closed);
    assert(a->is_closed || a->consumed == b->consumed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct recorder whole, cut;
    if (size <= HEAD_LEN || size - HEAD_LEN > TEXT_LEN_MAX)
        return 0;
    fill_texts();
    struct mx_fault faults[MX_FAULT_PLACES] = {0};
    uint8_t kind = data[AT_KIND];
    faults[data[AT_PLACE] % MX_FAULT_PLACES] =
        (struct mx_fault){.kind = kind % (MX_FAULT_DISCONNECT_421 + 1), .delay_ms = kind >> 4};
    struct mx_session_conf conf = make_conf(data, faults);
    add_auth(&conf, data);
    struct recorder_plan plan = make_plan(data);
    struct mx_span text = {(const char *)data + HEAD_LEN, size - HEAD_LEN};
    recorder_init(&whole, &conf, &plan);
    run_whole(&whole, text);
    plan.out_cap = MX_OUT_ROOM_MIN;
    recorder_init(&cut, &conf, &plan);
    run_cut(&cut, text, data);
    must_be_same(&whole, &cut);
    return 0;
}
