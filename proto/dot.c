#include "proto/dot.h"

#include "proto/dot_run.h"
#include "proto/scan_isa.h"

#include <assert.h>
#include <stdatomic.h>

/* Stop with pos as the first octet not consumed. False, so that callers can return it. */
static bool stop(struct mx_dot_run *run, const char *pos, enum mx_dot_result result,
                 enum mx_dot_at at) {
    run->pos = pos;
    run->result = result;
    run->self->at = (uint8_t)at;
    return false;
}

static void close_slice(struct mx_dot_run *run, const char *end) {
    if (run->open != NULL && run->open < end) {
        assert(run->count < run->cap);
        run->slices[run->count++] = (struct mx_span){run->open, (size_t)(end - run->open)};
    }
    run->open = NULL;
}

/* Who goes on after a bare LF must not take it for a line end, hence MX_DOT_MID. */
static bool stop_at_bare_lf(struct mx_dot_run *run, const char *lf) {
    close_slice(run, lf);
    return stop(run, lf + 1, MX_DOT_BARE_LF, MX_DOT_MID);
}

/* The CR of "." CR was content after all. If it came with an earlier call its buffer is gone. */
static bool emit_held_cr(struct mx_dot_run *run) {
    static const char cr[] = "\r";
    run->self->at = MX_DOT_CR;
    if (run->pos == run->begin) {
        run->slices[run->count++] = (struct mx_span){cr, 1};
        return true;
    }
    if (run->count == run->cap)
        return stop(run, run->pos - 1, MX_DOT_FULL, MX_DOT_DOT);
    run->open = run->pos - 1;
    return true;
}

static bool put_content(struct mx_dot_run *run) {
    struct mx_dot *self = run->self;
    const char c = *run->pos;
    if (run->open == NULL) {
        if (run->count == run->cap)
            return stop(run, run->pos, MX_DOT_FULL, (enum mx_dot_at)self->at);
        run->open = run->pos;
    }
    if (self->at == MX_DOT_CR && c != '\n')
        self->has_bare_cr = true;
    self->has_nul |= c == '\0';
    self->has_8bit |= (unsigned char)c > 0x7f;
    self->at = c == '\r' ? MX_DOT_CR : c == '\n' ? MX_DOT_BOL : MX_DOT_MID;
    run->pos++;
    return true;
}

/* Consume one octet. False: the scan stops. */
static bool step(struct mx_dot_run *run) {
    struct mx_dot *self = run->self;
    const char c = *run->pos;
    switch ((enum mx_dot_at)self->at) {
    case MX_DOT_BOL:
        if (c == '.') {
            close_slice(run, run->pos++);
            self->at = MX_DOT_DOT;
            return true;
        }
        if (c == '\n')
            return stop_at_bare_lf(run, run->pos);
        break;
    case MX_DOT_MID:
        if (c == '\n')
            return stop_at_bare_lf(run, run->pos);
        break;
    case MX_DOT_CR:
        break;
    case MX_DOT_DOT:
        if (c == '\n')
            return stop_at_bare_lf(run, run->pos);
        if (c == '\r') {
            self->at = MX_DOT_DOTCR;
            run->pos++;
            return true;
        }
        break;
    case MX_DOT_DOTCR:
        if (c == '\n')
            return stop(run, run->pos + 1, MX_DOT_END, MX_DOT_BOL);
        if (!emit_held_cr(run))
            return false;
        break;
    }
    return put_content(run);
}

static void init_run(struct mx_dot_run *run, struct mx_dot *self, struct mx_span in,
                     struct mx_span *slices, size_t cap) {
    assert(cap >= MX_DOT_SLICES_MIN);
    *run = (struct mx_dot_run){.self = self, .slices = slices, .cap = cap, .result = MX_DOT_MORE};
    run->begin = run->pos = in.ptr;
    run->end = in.len > 0 ? in.ptr + in.len : in.ptr;
}

bool mx_dot_begin(struct mx_dot_run *run, struct mx_dot *self, struct mx_span in,
                  struct mx_span *slices, size_t cap) {
    init_run(run, self, in, slices, cap);
    while (run->pos < run->end && (self->at == MX_DOT_DOT || self->at == MX_DOT_DOTCR)) {
        if (!step(run))
            return false;
    }
    if (run->pos == run->end) {
        close_slice(run, run->end);
        return false;
    }
    if (run->open == NULL)
        run->open = run->pos;
    return true;
}

/* A dot at the begin of a line, seen together with what follows it. */
static bool on_leading_dot(struct mx_dot_run *run, const char *dot) {
    const char *next = dot + 1;
    size_t left = (size_t)(run->end - next);
    close_slice(run, dot);
    if (left == 0) {
        run->self->at = MX_DOT_DOT;
        return true;
    }
    if (*next == '\n')
        return stop_at_bare_lf(run, next);
    if (*next == '\r' && left == 1) {
        run->self->at = MX_DOT_DOTCR;
        return true;
    }
    if (*next == '\r' && next[1] == '\n')
        return stop(run, next + 2, MX_DOT_END, MX_DOT_BOL);
    if (run->count == run->cap)
        return stop(run, next, MX_DOT_FULL, MX_DOT_DOT);
    run->open = next;
    return true;
}

bool mx_dot_handle(struct mx_dot_run *run, const char *block, struct mx_dot_events events) {
    uint64_t bits = events.leading_dot | events.bare_lf;
    bool is_going = true;
    for (; bits != 0 && is_going; bits &= bits - 1) {
        const char *at = block + __builtin_ctzll(bits);
        is_going = *at == '.' ? on_leading_dot(run, at) : stop_at_bare_lf(run, at);
    }
    uint64_t bare_cr = events.bare_cr;
    if (!is_going && run->pos - block < 64)
        bare_cr &= (UINT64_C(1) << (run->pos - block)) - 1;
    run->self->has_bare_cr |= bare_cr != 0;
    return is_going;
}

void mx_dot_drain(struct mx_dot_run *run) {
    /* Without an open slice the input ends in a leading dot, and self->at says so already. */
    if (run->open != NULL) {
        char last = run->end[-1];
        run->self->at = last == '\r' ? MX_DOT_CR : last == '\n' ? MX_DOT_BOL : MX_DOT_MID;
        close_slice(run, run->end);
    }
    run->pos = run->end;
}

enum mx_dot_result mx_dot_finish(const struct mx_dot_run *run, struct mx_span *in, size_t *count) {
    in->ptr = run->pos;
    in->len = (size_t)(run->end - run->pos);
    *count = run->count;
    return run->result;
}

static enum mx_dot_result scan_scalar(struct mx_dot *self, struct mx_span *in,
                                      struct mx_span *slices, size_t *count) {
    struct mx_dot_run run;
    init_run(&run, self, *in, slices, *count);
    bool is_going = true;
    while (is_going && run.pos < run.end)
        is_going = step(&run);
    if (is_going)
        close_slice(&run, run.end);
    return mx_dot_finish(&run, in, count);
}

mx_dot_scan_fn *mx_dot_scan_variant(int isa) {
    /* clang-format off */
    static mx_dot_scan_fn *const variants[MX_ISA_COUNT] = {
        [MX_ISA_SCALAR] = scan_scalar,
#ifdef __x86_64__
        [MX_ISA_SSE2]   = mx_dot_scan_sse2,
        [MX_ISA_AVX2]   = mx_dot_scan_avx2,
        [MX_ISA_AVX512] = mx_dot_scan_avx512,
#endif
    };
    /* clang-format on */
    return mx_isa_can((enum mx_isa)isa) ? variants[isa] : NULL;
}

static mx_dot_scan_fn scan_first_call;

/* Threads that race for the first call all store the same pointer, so no order is needed. */
static _Atomic(mx_dot_scan_fn *) scan_best = scan_first_call;

static enum mx_dot_result scan_first_call(struct mx_dot *self, struct mx_span *in,
                                          struct mx_span *slices, size_t *count) {
    mx_dot_scan_fn *best = mx_dot_scan_variant((int)mx_isa_best());
    atomic_store_explicit(&scan_best, best, memory_order_relaxed);
    return best(self, in, slices, count);
}

enum mx_dot_result mx_dot_scan(struct mx_dot *self, struct mx_span *in, struct mx_span *slices,
                               size_t *count) {
    return atomic_load_explicit(&scan_best, memory_order_relaxed)(self, in, slices, count);
}
