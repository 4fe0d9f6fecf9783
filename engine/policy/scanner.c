#include "engine/policy/scanner.h"

#include "engine/policy/policy.h"

#include <assert.h>
#include <errno.h>

struct mx_scanner_job *mx_scanner_new(struct mx_hook_call *call, size_t octets,
                                      uint32_t request_cap) {
    struct mx_scanner_job *self = mx_hook_job_new(call, octets);
    if (self == NULL)
        return NULL;
    self->request_cap = request_cap;
    self->question.job = &self->job.job;
    self->question.request = self->room;
    self->question.changes.ptr = self->room + request_cap;
    self->question.changes.cap = (uint32_t)(octets - sizeof *self - request_cap);
    return self;
}

uint32_t mx_scanner_take(struct mx_hook_call *call) {
    struct mx_scan *scan = call->site->host->scan;
    return scan != NULL ? mx_scan_take(scan) : MX_SCAN_NONE;
}

void mx_scanner_leave(struct mx_hook_call *call, uint32_t talk) {
    mx_scan_leave(call->site->host->scan, talk);
}

void mx_scanner_ask(struct mx_hook_call *call, struct mx_scanner_job *self) {
    self->job.is_out = true;
    self->question.deadline_ms = call->now_ms + call->wait->timeout_ms;
    mx_scan_ask(call->site->host->scan, &self->question);
}

enum mx_verdict mx_scanner_show(struct mx_hook_call *call, struct mx_scanner_job *self) {
    const struct mx_opt_scan *options = call->options;
    struct mx_scan_question *question = &self->question;
    question->talk = mx_scanner_take(call);
    if (question->talk == MX_SCAN_NONE) {
        mx_hook_job_free(call, &self->job);
        return mx_hook_fail(call);
    }
    question->is_fresh = true;
    question->max_connections = options->max_connections;
    mx_hook_lend_text(call, &self->job);
    question->text = self->job.text;
    mx_scanner_ask(call, self);
    return MX_VERDICT_PENDING;
}

static enum mx_verdict judge_oversize(struct mx_hook_call *call) {
    const struct mx_opt_scan *options = call->options;
    switch (options->on_oversize) {
    case MX_ON_FAILURE_ACCEPT:
        return MX_VERDICT_DECLINED;
    case MX_ON_FAILURE_TEMPFAIL:
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "451 4.3.4 Message too large to be checked");
    case MX_ON_FAILURE_REJECT:
        return mx_hook_refuse(call, MX_VERDICT_HARD, "552 5.3.4 Message too large to be checked");
    }
    assert(false);
    return MX_VERDICT_DECLINED;
}

bool mx_scanner_sees(struct mx_hook_call *call, enum mx_verdict *verdict) {
    const struct mx_opt_scan *options = call->options;
    struct mx_scan *scan = call->site->host->scan;
    int err = call->text != NULL ? 0 : call->text_error;
    if (err == 0 && call->text != NULL && call->text->octets > options->max_octets)
        err = MX_ELIMIT;
    if (err == 0 && call->text != NULL)
        return true;
    if (scan != NULL)
        mx_scan_count_unseen(scan, err);
    *verdict = err == MX_ELIMIT ? judge_oversize(call) : mx_hook_fail(call);
    return false;
}

/* ---- changes ---- */

static int remove_all(struct mx_header *header, struct mx_span name) {
    int err = 0;
    while (err == 0)
        err = mx_header_replace(header, name, 1, (struct mx_span){0});
    return err == -ENOENT ? 0 : err;
}

static int change(struct mx_header *header, const struct mx_change *row) {
    int err = 0;
    switch (row->kind) {
    case MX_CHANGE_ADD:
        return mx_header_insert(header, UINT32_MAX, row->whole);
    case MX_CHANGE_INSERT:
        return mx_header_insert(header, row->index, row->whole);
    case MX_CHANGE_REPLACE:
        err = mx_header_replace(header, row->name, row->index, row->whole);
        return err == -ENOENT ? mx_header_insert(header, UINT32_MAX, row->whole) : err;
    case MX_CHANGE_REMOVE:
        err = mx_header_replace(header, row->name, row->index, (struct mx_span){0});
        return err == -ENOENT ? 0 : err;
    case MX_CHANGE_REMOVE_ALL:
        return remove_all(header, row->name);
    case MX_CHANGE_SET:
        err = remove_all(header, row->name);
        return err == 0 ? mx_header_insert(header, UINT32_MAX, row->whole) : err;
    case MX_CHANGE_COUNT:
        break;
    }
    assert(false);
    return 0;
}

enum mx_verdict mx_scanner_admit(struct mx_hook_call *call, int noted,
                                 const struct mx_changes *changes) {
    struct mx_change row;
    int err = noted;
    for (uint32_t at = 0; err == 0 && mx_changes_next(changes, &at, &row);)
        err = change(call->header, &row);
    if (err == 0)
        return MX_VERDICT_DECLINED;
    if (err == MX_ELIMIT && noted == 0)
        return mx_hook_refuse(call, MX_VERDICT_HARD,
                              "552 5.3.4 Header size exceeds maximum header size");
    return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
}

enum mx_verdict mx_scanner_refuse(struct mx_hook_call *call, enum mx_verdict verdict,
                                  const struct mx_scan_question *answer, const char *words) {
    return answer->reply_len > 0
               ? mx_hook_refuse(call, verdict, "%.*s", (int)answer->reply_len, answer->reply)
               : mx_hook_refuse(call, verdict, "%s", words);
}

uint64_t mx_scanner_text_octets(const void *options) {
    const struct mx_opt_scan *self = options;
    return self->max_octets;
}
