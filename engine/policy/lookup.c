#include "engine/policy/lookup.h"

#include "engine/policy/policy.h"
#include "engine/policy/policy_impl.h"

#include <errno.h>

struct plain {
    struct mx_lookup lookup;
    char room[];
};

void *mx_lookup_new(struct mx_hook_call *call, size_t octets) {
    struct mx_lookup *self = mx_hook_job_new(call, octets);
    if (self != NULL)
        self->question.job = &self->job.job;
    return self;
}

int mx_lookup_ask(struct mx_hook_call *call, struct mx_lookup *self) {
    struct mx_dns *dns = call->site->host->dns;
    if (dns == NULL) /* a simulation without one */
        return -EBUSY;
    self->job.is_out = true;
    int err = mx_dns_ask(dns, &self->question);
    if (err < 0)
        self->job.is_out = false;
    return err;
}

int mx_lookup_begin(struct mx_hook_call *call, enum mx_dns_type type, struct mx_span name,
                    uint32_t tag, uint32_t room) {
    if (!mx_dns_is_name(name))
        return -EINVAL;
    struct plain *self = mx_lookup_new(call, sizeof *self + room);
    if (self == NULL)
        return -ENOMEM;
    struct mx_dns_question *question = &self->lookup.question;
    self->lookup.tag = tag;
    question->type = type;
    question->room = self->room;
    question->room_octets = room;
    bool is_set = mx_dns_set_name(question, name);
    int err = is_set ? mx_lookup_ask(call, &self->lookup) : -EINVAL;
    if (err < 0)
        mx_hook_job_free(call, &self->lookup.job);
    return err;
}

bool mx_lookup_is_listed(const struct mx_dns_answer *answer, bool *is_error) {
    struct mx_dns_record record;
    bool is_listed = false;
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        bool is_own_error = memcmp(record.data.ptr, "\x7f\xff\xff", 3) == 0;
        *is_error = *is_error || is_own_error;
        is_listed = is_listed || (record.data.ptr[0] == 127 && !is_own_error);
    }
    return is_listed;
}
