/* DKIMHook: is the mail signed, by whom, and is it still what was signed? RFC 6376.
 *
 * Header and body are hashed on their way. At the end the keys are asked for, all at a time, and
 * each signature whose hashes fit is verified by a helper. One that is good is enough.
 */
#include "engine/policy/dkim.h"
#include "engine/policy/lookup.h"
#include "engine/policy/relay.h"
#include "proto/from.h"

#include <stdio.h>

enum {
    KEY_ROOM = 2048,   /* octets of a key record and what stands beside it */
    SHOWN_MAX = 200,   /* octets of a list in a reply */
    RESULTS_MAX = 2048 /* octets of what is noted */
};

struct scratch {
    bool is_begun, is_skipped;
    uint8_t waiting; /* signatures whose key or verification is under way */
    struct mx_dkim_mail mail;
};

struct verify_job {
    struct mx_hook_job job;
    uint8_t check;
    bool is_valid;
    uint16_t signature_len;
    uint8_t hash[MX_DKIM_HASH], signature[MX_DKIM_SIGNATURE_MAX];
    struct mx_dkim_key key;
};

/* ---- which mail ---- */

static bool is_one_of(const struct mx_conf_texts *list, struct mx_span text) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (mx_span_equal_nocase(list->rows[i], text))
            return true;
    }
    return false;
}

/* One From field. What cannot be read might say anything to its reader: it is looked at. */
static bool is_from_one_of(const struct mx_conf_texts *domains, struct mx_span value) {
    char text[MX_FROM_TEXT_MAX], room[MX_FROM_ADDRESS_MAX];
    struct mx_span list = {text, 0}, address;
    if (value.len > sizeof text)
        return true;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] != '\r' && value.ptr[i] != '\n')
            text[list.len++] = value.ptr[i];
    }
    int err;
    while ((err = mx_from_take(&list, room, &address)) == 0) {
        if (is_one_of(domains, mx_relay_domain(address)))
            return true;
    }
    return err != MX_EPARTIAL;
}

/* validatedEntities: none are both. */
static bool is_looked_at(const struct mx_opt_dkim *options, struct mx_span entity) {
    return options->entities.count == 0 || is_one_of(&options->entities, entity);
}

static bool is_concerned(const struct mx_hook_call *call) {
    const struct mx_opt_dkim *options = call->options;
    const struct mx_conf_texts *domains = &options->domains;
    struct mx_span sender = mx_envelope_sender(&call->session->envelope);
    struct mx_header_field field;
    if (mx_relay_is_allowed(call->session))
        return false;
    if (domains->count == 0)
        return true;
    if (is_looked_at(options, MX_SPAN("envelope")) && is_one_of(domains, mx_relay_domain(sender)))
        return true;
    if (!is_looked_at(options, MX_SPAN("headers")))
        return false;
    for (uint32_t at = 0; mx_header_find(call->header, MX_SPAN("from"), &at, &field);) {
        if (is_from_one_of(domains, field.value))
            return true;
    }
    return false;
}

/* ---- hashing ---- */

static enum mx_verdict on_header(struct mx_hook_call *call) {
    const struct mx_opt_dkim *options = call->options;
    struct scratch *scratch = call->scratch;
    struct mx_dkim_how how = {.forces_crlf = options->forces_crlf,
                              .allows_partial = options->allows_partial,
                              .has_own_trace = call->session->conf->needs_trace,
                              .now_s = (uint64_t)call->session->shared->now_s};
    scratch->is_begun = true;
    scratch->is_skipped = !is_concerned(call);
    if (!scratch->is_skipped)
        mx_dkim_begin(&scratch->mail, call->header, &how);
    return MX_VERDICT_DECLINED;
}

static enum mx_verdict on_content(struct mx_hook_call *call) {
    struct scratch *scratch = call->scratch;
    for (uint32_t i = 0; i < call->slice_count; i++)
        mx_dkim_content(&scratch->mail, call->slices[i]);
    return MX_VERDICT_DECLINED;
}

/* ---- the verdict ---- */

static bool is_wanted(const struct mx_opt_dkim *options, const struct mx_dkim_check *check) {
    return options->tokens.count == 0 || is_one_of(&options->tokens, mx_dkim_domain(check));
}

static int note(struct mx_hook_call *call) {
    static const char *const results[] = {[MX_DKIM_OPEN] = "none",
                                          [MX_DKIM_PASSED] = "pass",
                                          [MX_DKIM_FAILED] = "fail",
                                          [MX_DKIM_CANNOT_SAY] = "temperror"};
    const struct mx_dkim_mail *mail = &((const struct scratch *)call->scratch)->mail;
    char text[RESULTS_MAX];
    size_t len = 0;
    for (uint8_t i = 0; i < mail->count; i++) {
        const struct mx_dkim_check *check = &mail->checks[i];
        struct mx_span domain = check->name_len > 0 ? mx_dkim_domain(check) : MX_SPAN("?");
        const char *why = check->state == MX_DKIM_OPEN ? "not looked at" : check->why;
        int more =
            snprintf(text + len, sizeof text - len, "%sdkim=%s%s%s%s header.d=%.*s",
                     i > 0 ? "; " : "", results[check->state], why != NULL ? " (" : "",
                     why != NULL ? why : "", why != NULL ? ")" : "", (int)domain.len, domain.ptr);
        if (more < 0 || (size_t)more >= sizeof text - len)
            break;
        len += (size_t)more;
    }
    return len == 0 ? 0 : mx_hook_note(call, MX_SPAN("mxring.dkim"), (struct mx_span){text, len});
}

static enum mx_verdict admit(struct mx_hook_call *call) {
    if (note(call) < 0)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "452 4.3.1 Insufficient system storage");
    return MX_VERDICT_DECLINED;
}

static enum mx_verdict cannot_say(struct mx_hook_call *call) {
    if (call->wait->on_failure == MX_ON_FAILURE_TEMPFAIL)
        return mx_hook_refuse(call, MX_VERDICT_SOFT, "451 Failure computing DKIM signature.");
    return mx_hook_fail(call);
}

static size_t add_item(char *text, size_t len, size_t cap, struct mx_span item) {
    if (len + item.len + 2 > cap)
        return len;
    if (len > 0) {
        memcpy(text + len, ", ", 2);
        len += 2;
    }
    memcpy(text + len, item.ptr, item.len);
    return len + item.len;
}

static enum mx_verdict refuse_tokens(struct mx_hook_call *call) {
    const struct mx_opt_dkim *options = call->options;
    const struct mx_dkim_mail *mail = &((const struct scratch *)call->scratch)->mail;
    char wanted[SHOWN_MAX], got[SHOWN_MAX];
    size_t wanted_len = 0, got_len = 0;
    for (uint32_t i = 0; i < options->tokens.count; i++)
        wanted_len = add_item(wanted, wanted_len, sizeof wanted, options->tokens.rows[i]);
    for (uint8_t i = 0; i < mail->count; i++) {
        if (mail->checks[i].state == MX_DKIM_PASSED)
            got_len = add_item(got, got_len, sizeof got, mx_dkim_domain(&mail->checks[i]));
    }
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "530 DKIM check failed. Wrong d token. Expecting [%.*s]. Got [%.*s]",
                          (int)wanted_len, wanted, (int)got_len, got);
}

static enum mx_verdict decide(struct mx_hook_call *call) {
    const struct scratch *scratch = call->scratch;
    unsigned passed = 0, unsaid = 0;
    for (uint8_t i = 0; i < scratch->mail.count; i++) {
        const struct mx_dkim_check *check = &scratch->mail.checks[i];
        if (check->state == MX_DKIM_PASSED && is_wanted(call->options, check))
            return admit(call); /* whatever the others are */
        passed += check->state == MX_DKIM_PASSED;
        unsaid += check->state == MX_DKIM_CANNOT_SAY;
    }
    if (scratch->waiting > 0)
        return MX_VERDICT_PENDING;
    if (unsaid > 0)
        return cannot_say(call);
    if (passed > 0)
        return refuse_tokens(call);
    return mx_hook_refuse(call, MX_VERDICT_HARD, "530 DKIM check failed. Invalid signature.");
}

/* ---- keys and signatures ---- */

static void begin_lookup(struct mx_hook_call *call, uint8_t number) {
    struct scratch *scratch = call->scratch;
    struct mx_dkim_check *check = &scratch->mail.checks[number];
    struct mx_span name = {check->name, check->name_len};
    if (mx_lookup_begin(call, MX_DNS_TXT, name, number, KEY_ROOM) == 0) {
        scratch->waiting++;
        return;
    }
    check->state = MX_DKIM_CANNOT_SAY;
    check->why = "nobody could be asked for the key";
}

static enum mx_verdict begin(struct mx_hook_call *call) {
    const struct mx_opt_dkim *options = call->options;
    struct scratch *scratch = call->scratch;
    struct mx_dkim_mail *mail = &scratch->mail;
    if (!scratch->is_begun)
        return cannot_say(call);
    if (scratch->is_skipped)
        return MX_VERDICT_DECLINED;
    if (mail->count == 0)
        return options->is_required
                   ? mx_hook_refuse(call, MX_VERDICT_HARD,
                                    "530 DKIM check failed. Expecting DKIM signatures. Got none.")
                   : MX_VERDICT_DECLINED;
    mx_dkim_end(mail);
    for (uint8_t i = 0; i < mail->count; i++) {
        if (mail->checks[i].state == MX_DKIM_OPEN)
            begin_lookup(call, i);
    }
    return decide(call);
}

static struct verify_job *job_of(struct mx_helper_job *job) {
    return (struct verify_job *)(uintptr_t)job;
}
_Static_assert(offsetof(struct verify_job, job) == 0, "the job stands in front");

static void run_verify(struct mx_helper_job *job, void *helper_scratch) {
    struct verify_job *self = job_of(job);
    (void)helper_scratch;
    self->is_valid = mx_dkim_verify(&self->key, self->hash, self->signature, self->signature_len);
}

/* The key is here: its job goes to a helper. */
static void on_key(struct mx_hook_call *call, const struct mx_lookup *lookup) {
    struct scratch *scratch = call->scratch;
    struct mx_dkim_check *check = &scratch->mail.checks[lookup->tag];
    struct verify_job *job = mx_hook_job_new(call, sizeof *job);
    if (job == NULL) {
        check->state = MX_DKIM_CANNOT_SAY;
        check->why = "no memory";
        return;
    }
    if (mx_dkim_take_key(check, &lookup->question.answer, &job->key) != NULL) {
        mx_hook_job_free(call, &job->job);
        return;
    }
    job->check = (uint8_t)lookup->tag;
    job->signature_len = check->signature_len;
    memcpy(job->hash, check->hash, MX_DKIM_HASH);
    memcpy(job->signature, check->signature, check->signature_len);
    if (mx_hook_post_helper(call, &job->job, run_verify)) {
        scratch->waiting++;
        return;
    }
    check->state = MX_DKIM_CANNOT_SAY;
    check->why = "all helpers are busy";
}

static void on_verified(struct mx_hook_call *call, const struct verify_job *job) {
    struct mx_dkim_check *check = &((struct scratch *)call->scratch)->mail.checks[job->check];
    check->state = job->is_valid ? MX_DKIM_PASSED : MX_DKIM_FAILED;
    check->why = job->is_valid ? NULL : "signature is not one of this header";
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    struct scratch *scratch = call->scratch;
    if (call->answer == NULL)
        return begin(call);
    scratch->waiting--;
    if (call->answer->job.run == run_verify)
        on_verified(call, job_of(&call->answer->job));
    else
        on_key(call, mx_lookup_answer(call));
    return decide(call);
}

const struct mx_hook_class mx_hook_dkim = {
    .summary = "A mail must have a good DKIM signature (RFC 6376: rsa-sha256, ed25519-sha256)",
    .points = {[MX_HOOK_HEADER] = on_header,
               [MX_HOOK_CONTENT] = on_content,
               [MX_HOOK_MESSAGE] = on_message            },
    .scratch_octets = sizeof(struct scratch),
    .waits = true,
    .replies = { {"no signature", "530 DKIM check failed. Expecting DKIM signatures. Got none."},
               {"none is good", "530 DKIM check failed. Invalid signature."},
               {"the good ones are of others",
                 "530 DKIM check failed. Wrong d token. Expecting [a.test]. Got [b.test]"},
               {"a key cannot be had, onFailure: tempfail",
                 "451 Failure computing DKIM signature."}},
    .differences =
        "one good signature is enough, of the first 5 in a mail. rsa-sha1, RSA keys of less than "
        "1024 bits, a header with more From fields than are signed, and (`allowPartialBody`) a "
        "body "
        "that goes on behind l= are not good. forceCRLF counts a LF alone as a line end and leaves "
        "CR alone. Our own Received line is not part of what was sent; hooks that change the "
        "header "
        "belong behind this one. What each signature was is noted as `mxring.dkim`",
};
