#include "engine/dns/dns.h"

#include "engine/answerer.h"
#include "engine/confine.h"
#include "engine/dns/flights.h"
#include "engine/dns/servers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
    SLEEP_MAX_MS = 60000, /* with nothing to do */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lines that are not shared */
struct mx_dns {
    _Alignas(64) _Atomic(struct mx_dns_question *) asked; /* the last one first */
    _Atomic uint32_t pending;                             /* questions that are not answered yet */
    _Atomic uint64_t refused;
    _Alignas(64) const struct mx_conf_dns *conf;
    struct mx_dns_cache *cache;
    struct mx_dns_flights flights;
    struct mx_dns_servers servers;
    struct mx_dns_counters counters;
    struct mx_answerer thread;
    char room[2 * MX_DNS_MESSAGE_MAX]; /* packed records take up to twice the space of tiny ones */
};

/* ---- counting ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written, but clang-tidy does not see it */
static void count(uint64_t *counter) {
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

struct mx_dns_counters mx_dns_counters(const struct mx_dns *self) {
    struct mx_dns_counters sums;
#define READ(name, unit, help) sums.name = __atomic_load_n(&self->counters.name, __ATOMIC_RELAXED);
    MX_DNS_COUNTERS(READ)
#undef READ
    sums.refused += atomic_load_explicit(&self->refused, memory_order_relaxed);
    return sums;
}

static void publish_cache(struct mx_dns *self) {
    struct mx_dns_cache_use use = mx_dns_cache_use(self->cache);
    __atomic_store_n(&self->counters.cache_octets, use.octets, __ATOMIC_RELAXED);
    __atomic_store_n(&self->counters.cache_entries, use.entries, __ATOMIC_RELAXED);
    __atomic_store_n(&self->counters.cache_evicted, use.evicted, __ATOMIC_RELAXED);
}

/* How a look-up ended. */
static void count_end(struct mx_dns *self, enum mx_dns_status status) {
    uint64_t unanswered = self->counters.unanswered + 1;
    switch (status) {
    case MX_DNS_OK:
        count(&self->counters.ok);
        break;
    case MX_DNS_NODATA:
        count(&self->counters.nodata);
        break;
    case MX_DNS_NXDOMAIN:
        count(&self->counters.nxdomain);
        break;
    case MX_DNS_TIMEOUT:
        count(&self->counters.timeouts);
        __atomic_store_n(&self->counters.unanswered, unanswered, __ATOMIC_RELAXED);
        return;
    case MX_DNS_SERVFAIL:
    case MX_DNS_BUSY:
    case MX_DNS_TOO_LARGE:
        count(&self->counters.servfail);
        break;
    }
    __atomic_store_n(&self->counters.unanswered, 0, __ATOMIC_RELAXED);
}

/* ---- asking: any thread ---- */

bool mx_dns_set_name(struct mx_dns_question *question, struct mx_span name) {
    if (!mx_dns_is_name(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        question->name[i] = mx_ascii_lower(name.ptr[i]);
    question->name[name.len] = '\0';
    question->name_len = (uint32_t)name.len;
    return true;
}

int mx_dns_ask(struct mx_dns *self, struct mx_dns_question *question) {
    uint32_t pending = atomic_load_explicit(&self->pending, memory_order_relaxed);
    do {
        if (pending >= self->conf->max_questions) {
            atomic_fetch_add_explicit(&self->refused, 1, memory_order_relaxed);
            return -EBUSY;
        }
    } while (!atomic_compare_exchange_weak_explicit(&self->pending, &pending, pending + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    assert(question->name_len > 0 && question->job->inbox != NULL);
    question->next = atomic_load_explicit(&self->asked, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&self->asked, &question->next, question))
        continue;
    mx_answerer_nudge(&self->thread);
    return 0;
}

/* ---- answering ---- */

struct mx_dns_question *mx_dns_take(struct mx_dns *self) {
    struct mx_dns_question *list = NULL;
    struct mx_dns_question *question = atomic_exchange(&self->asked, NULL);
    while (question != NULL) {
        struct mx_dns_question *next = question->next;
        question->next = list;
        list = question;
        question = next;
    }
    return list;
}

static bool has_prefix(struct mx_span text, struct mx_span prefix) {
    return text.len >= prefix.len &&
           mx_span_equal_nocase((struct mx_span){text.ptr, prefix.len}, prefix);
}

/* The asker's own copy, of the records he wants. */
static void copy_answer(struct mx_dns_question *question, const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    size_t cursor = 0, len = 0;
    uint32_t kept = 0;
    question->answer = *answer;
    while (mx_dns_next(answer, &cursor, &record)) {
        if (!has_prefix(record.data, question->prefix))
            continue;
        if (mx_dns_pack(question->room, question->room_octets, &len, &record) < 0) {
            question->answer = (struct mx_dns_answer){.status = MX_DNS_TOO_LARGE};
            return;
        }
        kept++;
    }
    question->answer.records = (struct mx_span){question->room, len};
    question->answer.count = (uint16_t)kept;
}

bool mx_dns_finish(struct mx_dns *self, struct mx_dns_question *question,
                   const struct mx_dns_answer *answer) {
    copy_answer(question, answer);
    bool was_empty = mx_helper_finish(question->job); /* it is the asker's again */
    atomic_fetch_sub_explicit(&self->pending, 1, memory_order_relaxed);
    return was_empty;
}

/* Whoever puts the first job into an inbox sees to it that its owner looks. */
static void finish(struct mx_dns *self, struct mx_dns_question *question,
                   const struct mx_dns_answer *answer) {
    int ring_fd = question->job->inbox->ring_fd;
    if (mx_dns_finish(self, question, answer))
        mx_waker_note(&self->thread.waker, ring_fd);
}

static void finish_all(struct mx_dns *self, struct mx_dns_flight *flight,
                       const struct mx_dns_answer *answer) {
    struct mx_dns_question *question = flight->waiters;
    flight->waiters = NULL;
    while (question != NULL) {
        struct mx_dns_question *next = question->next;
        finish(self, question, answer);
        question = next;
    }
}

/* ---- look-ups ---- */

/* How long the answer counts; 0: it is not kept. */
static uint64_t keep_ms(const struct mx_conf_dns *conf, const struct mx_dns_answer *answer) {
    uint64_t ms = (uint64_t)answer->ttl_s * 1000;
    uint64_t max_ms = answer->status == MX_DNS_OK ? conf->max_ttl_ms : conf->max_negative_ttl_ms;
    if (!mx_dns_is_certain(answer))
        return conf->failure_ttl_ms;
    if (answer->status != MX_DNS_OK && ms == 0)
        return 0; /* RFC 2308 5: no SOA */
    if (ms < conf->min_ttl_ms)
        ms = conf->min_ttl_ms;
    return ms < max_ms ? ms : max_ms;
}

static struct mx_dns_key key_of(const struct mx_dns_flight *flight) {
    return (struct mx_dns_key){
        flight->hash, {flight->name, flight->name_len},
         flight->type
    };
}

static void keep(struct mx_dns *self, const struct mx_dns_flight *flight,
                 const struct mx_dns_answer *answer) {
    struct mx_dns_key key = key_of(flight);
    uint64_t ms = keep_ms(self->conf, answer);
    if (ms > 0)
        mx_dns_cache_put(self->cache, &key, answer, self->thread.now_ms + ms);
}

/* The servers have an answer, or have given up. */
static void on_end(struct mx_dns *self, struct mx_dns_flight *flight, struct mx_span message,
                   bool has_failed) {
    struct mx_dns_answer answer = {.status = has_failed ? MX_DNS_SERVFAIL : MX_DNS_TIMEOUT};
    if (message.len > 0) {
        int err = mx_dns_parse(message, key_of(flight).name, flight->type, self->room,
                               sizeof self->room, &answer);
        if (err < 0)
            answer = (struct mx_dns_answer){.status = MX_DNS_SERVFAIL};
    }
    if (flight->is_late)
        count(&self->counters.late);
    else
        count_end(self, (enum mx_dns_status)answer.status);
    if (!flight->is_late || mx_dns_is_certain(&answer))
        keep(self, flight, &answer);
    finish_all(self, flight, &answer);
    mx_dns_flights_end(&self->flights, flight);
}

static void look_up(struct mx_dns *self, const struct mx_dns_key *key,
                    struct mx_dns_question *question) {
    struct mx_dns_flight *flight =
        mx_dns_flights_begin(&self->flights, key, self->thread.now_ms + self->conf->deadline_ms);
    if (flight == NULL) {
        const struct mx_dns_answer busy = {.status = MX_DNS_BUSY};
        count(&self->counters.refused);
        finish(self, question, &busy);
        return;
    }
    flight->waiters = question;
    question->next = NULL;
    count(&self->counters.sent);
    mx_dns_servers_ask(&self->servers, flight);
}

static void take_question(struct mx_dns *self, struct mx_dns_question *question) {
    struct mx_span name = {question->name, question->name_len};
    struct mx_dns_key key = {mx_dns_cache_hash(self->cache, name), name, question->type};
    struct mx_dns_answer answer;
    count(&self->counters.questions);
    if (mx_dns_cache_find(self->cache, &key, self->thread.now_ms, &answer)) {
        count(&self->counters.cache_hits);
        finish(self, question, &answer);
        return;
    }
    struct mx_dns_flight *flight = mx_dns_flights_find(&self->flights, &key);
    if (flight == NULL) {
        look_up(self, &key, question);
        return;
    }
    count(&self->counters.joined);
    question->next = flight->waiters;
    flight->waiters = question;
}

static void take_questions(struct mx_dns *self) {
    struct mx_dns_question *question = mx_dns_take(self);
    while (question != NULL) {
        struct mx_dns_question *next = question->next;
        take_question(self, question);
        question = next;
    }
}

static void expire(struct mx_dns *self) {
    const struct mx_dns_answer answer = {.status = MX_DNS_TIMEOUT};
    struct mx_dns_flight *flight;
    while ((flight = mx_dns_flights_oldest(&self->flights)) != NULL &&
           flight->deadline_ms <= self->thread.now_ms) {
        mx_dns_flights_give_up(&self->flights, flight);
        count_end(self, MX_DNS_TIMEOUT);
        keep(self, flight, &answer);
        finish_all(self, flight, &answer);
    }
}

/* ---- the thread ---- */

static int plan_sleep(struct mx_dns *self) {
    int64_t ms = mx_dns_servers_wait_ms(&self->servers, SLEEP_MAX_MS);
    const struct mx_dns_flight *oldest = mx_dns_flights_oldest(&self->flights);
    int64_t left = oldest != NULL ? (int64_t)(oldest->deadline_ms - self->thread.now_ms) : ms;
    if (left < ms)
        ms = left > 0 ? left : 0;
    return (int)ms;
}

static bool has_work(const void *owner) {
    const struct mx_dns *self = owner;
    return atomic_load(&self->asked) != NULL;
}

static void turn(void *owner) {
    struct mx_dns *self = owner;
    struct pollfd fds[1 + MX_DNS_FDS_MAX];
    unsigned watched = mx_dns_servers_watch(&self->servers, fds + 1);
    int ready = mx_answerer_sleep(&self->thread, fds, 1 + watched, plan_sleep(self));
    mx_dns_servers_process(&self->servers, fds + 1, ready > 0 ? watched : 0);
    expire(self);
    take_questions(self);
    publish_cache(self);
}

static const struct mx_answerer_class resolver = {
    .name = "mxring-dns",
    .confine = mx_confine_resolver,
    .has_work = has_work,
    .turn = turn,
};

/* ---- life ---- */

static struct mx_dns *dns_new(const struct mx_conf_dns *conf) {
    struct mx_dns *self = aligned_alloc(64, sizeof *self);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    self->conf = conf;
    self->cache = mx_dns_cache_new(conf->cache_octets);
    int err = mx_answerer_init(&self->thread, &resolver, self);
    if (err == 0)
        err = mx_dns_flights_new(&self->flights, conf->max_lookups);
    if (err == 0 && self->cache != NULL)
        return self;
    mx_dns_free(self);
    return NULL;
}

int mx_dns_new(struct mx_dns **result, const struct mx_conf_dns *conf) {
    struct mx_dns *self = dns_new(conf);
    *result = NULL;
    if (self == NULL)
        return -ENOMEM;
    self->servers.end = on_end;
    self->servers.dns = self;
    int err = mx_dns_servers_new(&self->servers, conf);
    if (err < 0) {
        mx_dns_free(self);
        return err;
    }
    *result = self;
    return 0;
}

int mx_dns_start(struct mx_dns *self, uint32_t features) {
    return mx_answerer_start(&self->thread, features);
}

void mx_dns_free(struct mx_dns *self) {
    if (self == NULL)
        return;
    mx_answerer_stop(&self->thread);
    mx_dns_servers_free(&self->servers);
    mx_answerer_deinit(&self->thread);
    mx_dns_cache_free(self->cache);
    mx_dns_flights_free(&self->flights);
    free(self);
}
