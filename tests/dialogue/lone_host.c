#include "tests/dialogue/lone_host.h"

#include "engine/policy/memo.h"

#include <assert.h>

static void keep_answer(void *context, struct mx_helper_job *job) {
    *(struct mx_helper_job **)context = job;
}

void mx_lone_host_begin(struct mx_lone_host *self, const uint64_t *now_ms) {
    int err = mx_buddy_init(&self->buddy, MX_BUDDY_MAX);
    self->helper = mx_helper_new(0, 16);
    struct mx_memo *memo = mx_memo_new(1 << 16);
    assert(err == 0 && self->helper != NULL && memo != NULL);
    self->inbox = (struct mx_helper_inbox){.ring_fd = -1};
    self->host = (struct mx_policy_host){.buddy = &self->buddy,
                                         .now_ms = now_ms,
                                         .memo = memo,
                                         .helper = self->helper,
                                         .inbox = &self->inbox,
                                         .answer = keep_answer};
}

void mx_lone_host_end(struct mx_lone_host *self) {
    if (self->helper == NULL)
        return;
    assert(self->buddy.used == 0);
    mx_memo_free(self->host.memo);
    mx_helper_free(self->helper);
    self->helper = NULL;
    mx_buddy_deinit(&self->buddy);
}

int mx_lone_host_ask(struct mx_lone_host *self, struct mx_policy_site *site) {
    static _Alignas(16) char scratch[MX_HELPER_SCRATCH];
    struct mx_helper_job *answer = NULL;
    self->inbox.context = &answer;
    int result = mx_policy_ask(site);
    while (result == MX_EPENDING) {
        struct mx_helper_job *job = mx_helper_take(self->helper);
        assert(job != NULL);
        job->run(job, scratch);
        mx_helper_finish(job);
        mx_helper_answer_all(&self->inbox);
        result = mx_policy_answer(site, answer);
    }
    return result;
}
