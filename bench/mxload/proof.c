#include "bench/mxload/proof.h"

#include "proto/crc32c.h"

#include <errno.h>
#include <stdlib.h>

enum { SEQ_LEN = 12, SAID_LEN = 17 /* two hashes and a space */ };

/* ---- one message ---- */

/* Take a line with its LF off the front of *in. */
static struct mx_span take_line(struct mx_span *in) {
    const char *lf = in->len > 0 ? memchr(in->ptr, '\n', in->len) : NULL;
    struct mx_span line = {in->ptr, lf != NULL ? (size_t)(lf + 1 - in->ptr) : in->len};
    *in = mx_span_skip(*in, line.len);
    return line;
}

static bool has_crlf(struct mx_span line) {
    return line.len >= 2 && line.ptr[line.len - 2] == '\r' && line.ptr[line.len - 1] == '\n';
}

static struct mx_span without_end(struct mx_span line) {
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* What is behind the name, when the line begins with it; else NULL. */
static const char *value_of(struct mx_span line, struct mx_span name, size_t len) {
    bool is_it = line.len == name.len + len && memcmp(line.ptr, name.ptr, name.len) == 0;
    return is_it ? line.ptr + name.len : NULL;
}

static bool take_hash(const char *text, uint32_t *hash) {
    static const char digits[] = "0123456789abcdef";
    *hash = 0;
    for (unsigned i = 0; i < 8; i++) {
        const char *digit = memchr(digits, text[i], 16);
        if (digit == NULL)
            return false;
        *hash = *hash << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

static bool take_run(const char *text, char *run) {
    uint32_t number;
    memcpy(run, text, MX_PLAN_RUN_LEN);
    run[MX_PLAN_RUN_LEN] = '\0';
    return take_hash(text, &number) && take_hash(text + 8, &number);
}

static bool take_seq(const char *text, uint64_t *seq) {
    *seq = 0;
    for (unsigned i = 0; i < SEQ_LEN; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *seq = 10 * *seq + (uint64_t)(text[i] - '0');
    }
    return true;
}

/* The hash of octets whose lines end in LF, as if they ended in CRLF. */
static uint32_t crc_of_lines(struct mx_span in) {
    uint32_t crc = 0;
    while (in.len > 0) {
        struct mx_span line = take_line(&in);
        if (line.ptr[line.len - 1] != '\n')
            return mx_crc32c(crc, line);
        line.len--;
        crc = mx_crc32c(crc, line);
        crc = mx_crc32c(crc, MX_SPAN("\r\n"));
    }
    return crc;
}

/* What the headers say. */
struct said {
    bool has_hash, has_run, has_seq, is_crlf;
    uint32_t body, head;
    const char *covered; /* behind the line with the hashes */
};

static void hear(struct said *self, struct mx_span line, struct mx_proof_mark *mark) {
    struct mx_span text = without_end(line);
    const char *value;
    if (!self->has_hash &&
        (value = value_of(text, MX_SPAN("X-Mxload-Hash: crc32c "), SAID_LEN)) != NULL) {
        self->has_hash =
            take_hash(value, &self->body) && value[8] == ' ' && take_hash(value + 9, &self->head);
        self->is_crlf = has_crlf(line);
        self->covered = line.ptr + line.len;
    } else if (!self->has_run &&
               (value = value_of(text, MX_SPAN("X-Mxload-Run: "), MX_PLAN_RUN_LEN)) != NULL) {
        self->has_run = take_run(value, mark->run);
    } else if (!self->has_seq &&
               (value = value_of(text, MX_SPAN("X-Mxload-Seq: "), SEQ_LEN)) != NULL) {
        self->has_seq = take_seq(value, &mark->seq);
    }
}

/* Behind the line with the hashes all lines are to end as that one does. */
static bool is_blank(const struct said *self, struct mx_span line) {
    if (!self->has_hash)
        return without_end(line).len == 0;
    return mx_span_equal(line, self->is_crlf ? MX_SPAN("\r\n") : MX_SPAN("\n"));
}

enum mx_proof_state mx_proof_look(struct mx_span message, bool has_head,
                                  struct mx_proof_mark *mark) {
    struct said said = {0};
    struct mx_span rest = message, head = {NULL, 0};
    while (rest.len > 0) {
        const char *end = rest.ptr;
        struct mx_span line = take_line(&rest);
        bool is_end = is_blank(&said, line);
        if (!is_end)
            hear(&said, line, mark);
        if (said.has_hash)
            head =
                (struct mx_span){said.covered, (size_t)((is_end ? end : rest.ptr) - said.covered)};
        if (is_end)
            break;
    }
    if (!said.has_run || !said.has_seq)
        return MX_PROOF_FOREIGN;
    if (!said.has_hash)
        return MX_PROOF_UNHASHED;
    uint32_t body = said.is_crlf ? mx_crc32c(0, rest) : crc_of_lines(rest);
    if (body != said.body)
        return MX_PROOF_CHANGED;
    if (has_head && (said.is_crlf ? mx_crc32c(0, head) : crc_of_lines(head)) != said.head)
        return MX_PROOF_CHANGED;
    return MX_PROOF_GOOD;
}

/* ---- all of them ---- */

void mx_proof_free(struct mx_proof *self) {
    for (uint32_t i = 0; i < self->run_count; i++)
        free(self->runs[i].rows);
    *self = (struct mx_proof){0};
}

static struct mx_proof_run *find(struct mx_proof *self, const char *name) {
    for (uint32_t i = 0; i < self->run_count; i++) {
        if (strcmp(self->runs[i].name, name) == 0)
            return &self->runs[i];
    }
    return NULL;
}

/* Make row number seq exist. */
static int new_rows(struct mx_proof_run *self, uint64_t seq) {
    if (seq < self->count)
        return 0;
    uint64_t count = 2 * self->count > seq ? 2 * self->count : seq + 1024;
    struct mx_proof_row *rows = realloc(self->rows, count * sizeof *rows);
    if (rows == NULL)
        return -ENOMEM;
    memset(rows + self->count, 0, (count - self->count) * sizeof *rows);
    self->rows = rows;
    self->count = count;
    return 0;
}

/* The third word of a line, or UNLISTED: it is none. */
static enum mx_proof_fate fate_of(struct mx_span text) {
    const char *space = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
    struct mx_span word = {text.ptr, space != NULL ? (size_t)(space - text.ptr) : text.len};
    if (mx_span_equal(word, MX_SPAN("unknown")))
        return MX_PROOF_UNKNOWN;
    if (word.len != 3 || word.ptr[0] < '2' || word.ptr[0] > '5')
        return MX_PROOF_UNLISTED;
    for (unsigned i = 1; i < 3; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9')
            return MX_PROOF_UNLISTED;
    }
    return word.ptr[0] == '2' ? MX_PROOF_ACCEPTED : MX_PROOF_REFUSED;
}

int mx_proof_new_line(struct mx_proof *self, struct mx_span line) {
    enum { SEQ_AT = MX_PLAN_RUN_LEN + 1, FATE_AT = SEQ_AT + SEQ_LEN + 1 };
    char name[MX_PLAN_RUN_LEN + 1];
    uint64_t seq;
    if (line.len <= FATE_AT || line.ptr[SEQ_AT - 1] != ' ' || line.ptr[FATE_AT - 1] != ' ' ||
        !take_run(line.ptr, name) || !take_seq(line.ptr + SEQ_AT, &seq))
        return MX_ESYNTAX;
    enum mx_proof_fate fate = fate_of(mx_span_skip(line, FATE_AT));
    if (fate == MX_PROOF_UNLISTED)
        return MX_ESYNTAX;
    struct mx_proof_run *run = find(self, name);
    if (seq >= MX_PROOF_SEQ_MAX || (run == NULL && self->run_count == MX_PROOF_RUNS_MAX))
        return MX_ELIMIT;
    if (run == NULL) {
        run = &self->runs[self->run_count++];
        memcpy(run->name, name, sizeof name);
    }
    int err = new_rows(run, seq);
    if (err < 0)
        return err;
    if (run->rows[seq].fate != MX_PROOF_UNLISTED)
        return -EEXIST;
    run->rows[seq].fate = (uint8_t)fate;
    return 0;
}

void mx_proof_found(struct mx_proof *self, enum mx_proof_state state,
                    const struct mx_proof_mark *mark, bool is_unhashed_fine) {
    struct mx_proof_run *run = state == MX_PROOF_FOREIGN ? NULL : find(self, mark->run);
    if (run == NULL || mark->seq >= run->count) {
        /* with a run of ours, but a number of nobody, it is none of ours, either */
        self->foreign++;
        return;
    }
    struct mx_proof_row *row = &run->rows[mark->seq];
    bool is_good = state == MX_PROOF_GOOD || (state == MX_PROOF_UNHASHED && is_unhashed_fine);
    uint16_t *counter = is_good ? &row->good : &row->changed;
    if (*counter < UINT16_MAX)
        (*counter)++;
}

/* ---- the result ---- */

struct judge {
    struct mx_proof_result result;
    struct mx_range copies;
    mx_proof_fault_fn *fault;
    void *context;
};

static void blame(struct judge *self, uint64_t *counter, const char *what,
                  const struct mx_proof_run *run, uint64_t seq) {
    (*counter)++;
    if (self->fault != NULL)
        self->fault(self->context, what, run->name, seq);
}

static void judge_row(struct judge *self, const struct mx_proof_run *run, uint64_t seq) {
    struct mx_proof_result *result = &self->result;
    const struct mx_proof_row *row = &run->rows[seq];
    uint32_t found = (uint32_t)row->good + row->changed;
    result->found += found;
    if (row->changed > 0)
        blame(self, &result->changed, "changed", run, seq);
    switch ((enum mx_proof_fate)row->fate) {
    case MX_PROOF_UNLISTED:
        if (found > 0)
            blame(self, &result->unlisted, "unlisted", run, seq);
        return;
    case MX_PROOF_ACCEPTED:
        result->accepted++;
        if (found < self->copies.min)
            blame(self, &result->lost, "lost", run, seq);
        break;
    case MX_PROOF_REFUSED:
        result->refused++;
        if (found > 0)
            blame(self, &result->stored_refused, "refused, but there", run, seq);
        return;
    case MX_PROOF_UNKNOWN:
        result->unknown++;
        result->unknown_found += found > 0;
        break;
    }
    if (found > self->copies.max)
        blame(self, &result->doubled, "doubled", run, seq);
}

struct mx_proof_result mx_proof_judge(const struct mx_proof *self, struct mx_range copies,
                                      mx_proof_fault_fn *fault, void *context) {
    struct judge judge = {.copies = copies, .fault = fault, .context = context};
    for (uint32_t i = 0; i < self->run_count; i++) {
        for (uint64_t seq = 0; seq < self->runs[i].count; seq++)
            judge_row(&judge, &self->runs[i], seq);
    }
    return judge.result;
}

bool mx_proof_is_good(const struct mx_proof_result *self) {
    return self->lost + self->doubled + self->changed + self->stored_refused + self->unlisted == 0;
}
