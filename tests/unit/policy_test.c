/* policy_test.c - the chain by itself: who is asked, in which order, what is remembered for how
 * long, and what becomes of answers that are late. The links are made by hand.
 */
#include "engine/policy/policy.h"

#include <criterion/criterion.h>
#include <errno.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

/* What a test's hook does: its options. */
struct act {
    struct mx_opt_wait wait;
    enum mx_verdict verdict;
    const char *reply; /* NULL: it leaves none */
    unsigned asked;
    uint32_t memory, scratch; /* what it found there, before it counted one more */
    unsigned jobs;            /* so many are given away at the first question */
};

static uint64_t now_ms = 1000;
static struct mx_buddy buddy;
static struct mx_helper_inbox inbox = {.ring_fd = -1};
static struct mx_hook_job *made[4];
static unsigned made_count;
static struct mx_helper_job *answered[4];
static unsigned answered_count;

static void on_answer(void *context, struct mx_helper_job *job) {
    (void)context;
    answered[answered_count++] = job;
}

static enum mx_verdict run(struct mx_hook_call *call) {
    struct act *act = (struct act *)(uintptr_t)call->options;
    act->asked++;
    if (call->memory != NULL)
        act->memory = (*(uint32_t *)call->memory)++;
    if (call->scratch != NULL)
        act->scratch = (*(uint32_t *)call->scratch)++;
    if (act->jobs > 0 && call->answer == NULL) {
        for (unsigned i = 0; i < act->jobs; i++)
            cr_assert_not_null(made[made_count++] = mx_hook_job_new(call, sizeof *made[0]));
        return MX_VERDICT_PENDING;
    }
    return act->reply != NULL ? mx_hook_refuse(call, act->verdict, "%s", act->reply) : act->verdict;
}

struct world {
    struct mx_chain chain;
    struct mx_chain_link links[8];
    struct mx_session session;
    struct mx_session_shared shared;
    struct mx_session_conf conf;
    struct mx_policy_host host;
    struct mx_policy *block;
    struct mx_policy_site site;
};

/* All hooks at one point. */
static void begin(struct world *self, enum mx_hook_point point, struct act *acts, uint16_t count) {
    *self = (struct world){.conf.max_line_octets = 1000};
    cr_assert_eq(mx_buddy_init(&buddy, MX_BUDDY_MAX), 0);
    made_count = answered_count = 0;
    for (uint16_t i = 0; i < count; i++)
        self->links[i] = (struct mx_chain_link){.run = run,
                                                .options = &acts[i],
                                                .kind = MX_HOOK_KIND_COUNT,
                                                .wait = &acts[i].wait,
                                                .memory_at = (uint16_t)(16 * i),
                                                .scratch_at = (uint16_t)(16 * i),
                                                .has_memory = true,
                                                .has_scratch = true};
    self->chain = (struct mx_chain){
        .links = self->links, .memory_octets = 16u * count, .scratch_octets = 16u * count};
    self->chain.count[point] = count;
    self->chain.needs_block[point] = true;
    self->host = (struct mx_policy_host){
        .buddy = &buddy, .now_ms = &now_ms, .inbox = &inbox, .answer = on_answer};
    mx_session_init(&self->session, &self->conf, &self->shared, 1);
    self->session.hook = (uint8_t)point;
    self->site = (struct mx_policy_site){.host = &self->host,
                                         .chain = &self->chain,
                                         .session = &self->session,
                                         .block = &self->block};
}

static void end(struct world *self) {
    mx_policy_end(&self->site);
    cr_expect_eq(buddy.used, 0U, "all memory is given back");
    mx_buddy_deinit(&buddy);
}

/* Somebody has done the job. */
static int answer(struct world *self, unsigned number) {
    mx_helper_finish(&made[number]->job);
    answered_count = 0;
    mx_helper_answer_all(&inbox);
    cr_assert_eq(answered_count, 1U);
    return mx_policy_answer(&self->site, answered[0]);
}

Test(policy, the_first_decision_wins) {
    static const struct {
        enum mx_verdict first, second;
        const char *reply; /* of both */
        int result;
        const char *said;
        unsigned second_asked;
        bool drops;
    } rows[] = {
        {MX_VERDICT_DECLINED, MX_VERDICT_DECLINED, NULL,       0,       "",                        1, false},
        {MX_VERDICT_OK,       MX_VERDICT_HARD,     NULL,       0,       "",                        0, false},
        {MX_VERDICT_DECLINED, MX_VERDICT_HARD,     NULL,       -EACCES, "554 Email rejected",      1, false},
        {MX_VERDICT_SOFT,     MX_VERDICT_OK,       NULL,       -EACCES,
         "451 Temporary problem. Please try again later",                                          0, false},
        {MX_VERDICT_DROP,     MX_VERDICT_OK,       NULL,       -EACCES, "554 Server disconnected", 0, true },
        {MX_VERDICT_HARD,     MX_VERDICT_OK,       "550 no",   -EACCES, "550 no",                  0, false},
        {MX_VERDICT_DROP,     MX_VERDICT_OK,       "521 away", -EACCES, "521 away",                0, true },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct act acts[] = {
            {.verdict = rows[i].first,  .reply = rows[i].reply},
            {.verdict = rows[i].second, .reply = rows[i].reply}
        };
        struct world world;
        begin(&world, MX_HOOK_RCPT, acts, 2);
        cr_expect_eq(mx_policy_ask(&world.site), rows[i].result, "%zu", i);
        cr_expect_eq(acts[0].asked, 1U);
        cr_expect_eq(acts[1].asked, rows[i].second_asked, "%zu", i);
        const struct mx_refusal *refusal = &world.shared.refusal;
        cr_expect(mx_span_equal(refusal->text, mx_span_of(rows[i].said)), "%zu: %.*s", i,
                  (int)refusal->text.len, refusal->text.ptr);
        cr_expect_eq(refusal->is_disconnect, rows[i].drops, "%zu", i);
        end(&world);
    }
}

/* Memory is the connection's, scratch the transaction's: a MAIL that was refused and comes again,
 * and a transaction without anything between it and the last one, begin with zeros. */
Test(policy, memory_and_scratch) {
    struct act act = {.verdict = MX_VERDICT_DECLINED};
    struct world world;
    begin(&world, MX_HOOK_MAIL, &act, 1);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(mx_policy_ask(&world.site), 0);
        cr_expect_eq(act.memory, i);
        cr_expect_eq(act.scratch, 0U, "MAIL number %u", i);
    }
    world.session.transaction_count++; /* it was accepted */
    world.session.hook = MX_HOOK_RCPT;
    world.chain.count[MX_HOOK_RCPT] = 1;
    world.chain.needs_block[MX_HOOK_RCPT] = true;
    for (uint32_t i = 1; i < 4; i++) {
        cr_assert_eq(mx_policy_ask(&world.site), 0);
        cr_expect_eq(act.scratch, i, "in the same transaction");
    }
    world.session.transaction_count++; /* the next MAIL was accepted without a hook there */
    cr_assert_eq(mx_policy_ask(&world.site), 0);
    cr_expect_eq(act.scratch, 0U);
    mx_policy_end_transaction(&world.site);
    cr_assert_eq(mx_policy_ask(&world.site), 0);
    cr_expect_eq(act.scratch, 0U);
    cr_expect_eq(act.memory, 7U, "the connection is still the same");
    end(&world);
}

Test(policy, waits_and_goes_on) {
    struct act acts[] = {
        {.verdict = MX_VERDICT_DECLINED, .jobs = 1, .wait.timeout_ms = 500},
        {.verdict = MX_VERDICT_HARD       }
    };
    struct world world;
    begin(&world, MX_HOOK_RCPT, acts, 2);
    cr_assert_eq(mx_policy_ask(&world.site), MX_EPENDING);
    cr_expect_eq(world.block->deadline_ms, now_ms + 500);
    cr_expect_eq(acts[1].asked, 0U);
    now_ms += 300;
    cr_expect_eq(answer(&world, 0), -EACCES, "then the second is asked");
    cr_expect_eq(acts[0].asked, 2U);
    const struct mx_hook_counters *counters = &world.host.counters[MX_HOOK_KIND_COUNT];
    cr_expect_eq(counters->verdicts[MX_VERDICT_PENDING], 1U);
    cr_expect_eq(counters->waited_max_ms, 300U);
    end(&world);
}

Test(policy, nobody_answers_in_time) {
    static const struct {
        enum mx_on_failure on_failure;
        int result;
        const char *said;
    } rows[] = {
        {MX_ON_FAILURE_ACCEPT,   0,       ""                                                   },
        {MX_ON_FAILURE_TEMPFAIL, -EACCES, "451 4.7.1 Temporary problem. Please try again later"},
        {MX_ON_FAILURE_REJECT,   -EACCES, "550 5.7.1 Cannot be checked. Rejected"              },
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct act act = {
            .jobs = 1, .wait = {500, rows[i].on_failure}
        };
        struct world world;
        begin(&world, MX_HOOK_RCPT, &act, 1);
        cr_assert_eq(mx_policy_ask(&world.site), MX_EPENDING);
        cr_expect_eq(mx_policy_timeout(&world.site), rows[i].result);
        cr_expect(mx_span_equal(world.shared.refusal.text, mx_span_of(rows[i].said)), "%zu", i);
        cr_expect_eq(world.host.counters[MX_HOOK_KIND_COUNT].timeouts, 1U);
        cr_expect_eq(answer(&world, 0), -EALREADY, "the answer is late");
        cr_expect_eq(act.asked, 1U);
        end(&world);
    }
}

/* Of two jobs the first decides; the other one must not be taken for the next question's. */
Test(policy, an_answer_to_another_question) {
    struct act act = {.verdict = MX_VERDICT_DECLINED, .jobs = 2, .wait.timeout_ms = 500};
    struct world world;
    begin(&world, MX_HOOK_RCPT, &act, 1);
    cr_assert_eq(mx_policy_ask(&world.site), MX_EPENDING);
    cr_expect_eq(answer(&world, 0), 0);
    cr_assert_eq(mx_policy_ask(&world.site), MX_EPENDING);
    cr_expect_eq(answer(&world, 1), -EALREADY);
    cr_expect_eq(act.asked, 3U);
    cr_expect_eq(answer(&world, 3), 0);
    cr_expect_eq(answer(&world, 2), -EALREADY);
    end(&world);
}

/* The connection is gone before the answer. */
Test(policy, an_answer_to_nobody) {
    struct act act = {.jobs = 1};
    struct world world;
    begin(&world, MX_HOOK_RCPT, &act, 1);
    cr_assert_eq(mx_policy_ask(&world.site), MX_EPENDING);
    mx_policy_end(&world.site);
    mx_helper_finish(&made[0]->job);
    mx_helper_answer_all(&inbox);
    mx_policy_drop(&world.host, answered[0]);
    end(&world);
}

Test(policy, no_memory) {
    struct act act = {.verdict = MX_VERDICT_DECLINED};
    struct world world;
    uint32_t got = 0;
    begin(&world, MX_HOOK_MAIL, &act, 1);
    char *all = mx_buddy_take(&buddy, MX_BUDDY_MAX, &got);
    cr_expect_eq(mx_policy_ask(&world.site), -ENOMEM);
    cr_expect(
        mx_span_equal(world.shared.refusal.text, MX_SPAN("452 4.3.1 Insufficient system storage")));
    cr_expect_eq(act.asked, 0U);
    mx_buddy_give(&buddy, all, got);
    end(&world);
}
