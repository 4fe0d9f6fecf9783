/* dns.h - questions to the DNS, asked by workers who do not wait: one thread with c-ares and a
 * cache.
 *
 * A question lies in its asker's memory. Asking never blocks: a bounded number of questions, and a
 * wake-up of the thread when it sleeps. The job of an answered question lies in its asker's inbox
 * (helper.h), and a message on the asker's ring wakes him. Every question is answered, in bounded
 * time: when nobody else answers, by MX_DNS_TIMEOUT. Without the thread (a simulation), mx_dns_take
 * and mx_dns_finish are its two halves.
 */
#pragma once
#include "config/conf.h"
#include "engine/helper.h"
#include "proto/dns.h"

#include <stdatomic.h>

struct mx_dns;

struct mx_dns_question {
    struct mx_helper_job *job;    /* comes back when it is answered; its inbox is set */
    struct mx_dns_question *next; /* in the list of whoever has it */
    char *room;                   /* where the records come to lie */
    uint32_t room_octets;
    struct mx_span prefix; /* TXT: only records that begin with it, any case; empty: all */
    struct mx_dns_answer answer;
    enum mx_dns_type type;
    uint32_t name_len;
    char name[MX_DNS_NAME_MAX + 1];
};

/* What the thread did: written by it alone, read by anyone with relaxed loads. X(name, unit, help)
 */
#define MX_DNS_COUNTERS(X)                                                                         \
    X(questions, "questions", "asked by hooks")                                                    \
    X(refused, "questions", "not asked: dns.maxQuestions waited already")                          \
    X(cache_hits, "questions", "answered from the cache")                                          \
    X(joined, "questions", "that another one was asking already")                                  \
    X(sent, "look-ups", "begun at the servers")                                                    \
    X(ok, "look-ups", "with records")                                                              \
    X(nodata, "look-ups", "without records of the type")                                           \
    X(nxdomain, "look-ups", "of names that do not exist")                                          \
    X(servfail, "look-ups",                                                                        \
      "that a server could not or would not answer, or answered by nonsense")                      \
    X(timeouts, "look-ups", "that nobody answered in time")                                        \
    X(late, "look-ups", "answered after dns.deadline")                                             \
    X(cache_octets, "octets", "in the cache")                                                      \
    X(cache_entries, "answers", "in the cache")                                                    \
    X(cache_evicted, "answers", "given up for newer ones")                                         \
    X(unanswered, "look-ups", "in a row that ended without an answer")

struct mx_dns_counters {
#define MX_COUNTER_FIELD(name, unit, help) uint64_t name;
    MX_DNS_COUNTERS(MX_COUNTER_FIELD)
#undef MX_COUNTER_FIELD
};

/* Memory, and the servers: those of the configuration, else of /etc/resolv.conf (read here, before
 * privileges go). 0; -ENOMEM; or another negative error: dns.servers cannot be used. */
MX_MUST_CHECK int mx_dns_new(struct mx_dns **self, const struct mx_conf_dns *conf);

/* A ring (features as for mx_ring_init), then the thread; signals are blocked by the caller. 0 or
 * -errno: then call mx_dns_free. */
MX_MUST_CHECK int mx_dns_start(struct mx_dns *self, uint32_t features);

/* End the thread, forget all questions, free all. Nobody asks any more; the inboxes and questions
 * still exist. NULL is allowed. */
void mx_dns_free(struct mx_dns *self);

/* Name a question: any case, made lower. False: mx_dns_is_name says no. */
MX_MUST_CHECK bool mx_dns_set_name(struct mx_dns_question *question, struct mx_span name);

/* Any thread. 0: the question is given until its job is back. -EBUSY: too many wait. */
MX_MUST_CHECK int mx_dns_ask(struct mx_dns *self, struct mx_dns_question *question);

struct mx_dns_counters mx_dns_counters(const struct mx_dns *self);

/* By hand: all questions that wait, linked by next, the oldest one first. Then finish each: the
 * records (borrowed) are copied into its room. True as for mx_helper_finish. */
struct mx_dns_question *mx_dns_take(struct mx_dns *self);
bool mx_dns_finish(struct mx_dns *self, struct mx_dns_question *question,
                   const struct mx_dns_answer *answer);
