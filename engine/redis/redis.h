/* redis.h - what several gateways remember together: a few small scripts in a Redis server.
 *
 * Threads of their own (helper.h), each with a connection, since the client library blocks. Asking
 * never does: a bounded number of questions waits. Whoever asks gets an answer, or the news that
 * there is none: a server that is gone, hangs or refuses costs one question
 * redis.timeout, and the ones behind it nothing, until it is time to try again.
 */
#pragma once
#include "config/conf.h"
#include "engine/helper.h"

struct mx_redis;

/* What is done there, at once and as a whole, by the clock of that server. */
enum mx_redis_script {
    MX_REDIS_RATE, /* numbers: count, period (ms). Answers: 1, a token was taken; 0: none left */
    MX_REDIS_GREYLIST, /* numbers: block, unseen, known (ms). enum mx_redis_greylist */
    MX_REDIS_SCRIPT_COUNT,
};

enum mx_redis_greylist { MX_REDIS_FIRST, MX_REDIS_EARLY, MX_REDIS_KNOWN };

enum { MX_REDIS_KEY = 16 /* octets of a digest */, MX_REDIS_NUMBERS = 3 };

struct mx_redis_question {
    enum mx_redis_script script;
    uint8_t key[MX_REDIS_KEY];
    uint64_t numbers[MX_REDIS_NUMBERS];
    bool is_answered; /* else nobody can say */
    int64_t answer;
};

/* Read by anyone. X(name, unit, help) */
#define MX_REDIS_COUNTERS(X)                                                                       \
    X(questions, "questions", "asked by hooks")                                                    \
    X(answered, "questions", "that were answered")                                                 \
    X(failed, "questions", "that were not: the hooks' onFailure decided")                          \
    X(refused, "questions", "not asked: redis.maxQuestions waited already")                        \
    X(errors, "answers", "that the server refused to give")                                        \
    X(connects, "connections", "made to the server")                                               \
    X(connect_failures, "connections", "that could not be made")                                   \
    X(broken, "connections", "given up: closed by the server, or silent for redis.timeout")        \
    X(unanswered, "questions", "in a row that were not answered")

struct mx_redis_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_REDIS_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};

/* Memory only. conf outlives it, and names a server. 0; -ENOMEM; -EINVAL: the password is too long.
 */
MX_MUST_CHECK int mx_redis_new(struct mx_redis **self, const struct mx_conf_redis *conf);

/* The threads; features and signals as for mx_helper_start. Nobody has to be there yet. 0 or
 * -errno: then call mx_redis_free. */
MX_MUST_CHECK int mx_redis_start(struct mx_redis *self, uint32_t features);

/* End the threads, forget all questions, free all. Nobody asks any more; the inboxes and questions
 * still exist. NULL is allowed. */
void mx_redis_free(struct mx_redis *self);

/* Any thread. 0: the job is given until it is back; its run calls mx_redis_run. -EBUSY: too many
 * wait. */
MX_MUST_CHECK int mx_redis_post(struct mx_redis *self, struct mx_helper_job *job);

/* On the thread that has the job: ask, and wait for the answer. */
void mx_redis_run(struct mx_redis *self, struct mx_redis_question *question, void *scratch);

struct mx_redis_counters mx_redis_counters(struct mx_redis *self);

/* Why the last question was not answered, for the log. Returns octets, NUL-terminated. */
enum { MX_REDIS_REASON = 128 };
size_t mx_redis_reason(struct mx_redis *self, char reason[MX_REDIS_REASON]);
