#include "engine/scan/scan.h"

#include "engine/confine.h"
#include "engine/scan/scan_impl.h"
#include "proto/milter.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLEEP_MAX_MS = 60000 }; /* with nothing to do */

/* ---- counting ---- */

struct mx_scan_counters mx_scan_counters(const struct mx_scan *self) {
    struct mx_scan_counters sums;
#define READ(name, unit, help) sums.name = __atomic_load_n(&self->counters.name, __ATOMIC_RELAXED);
    MX_SCAN_COUNTERS(READ)
#undef READ
    sums.busy = atomic_load_explicit(&self->busy, memory_order_relaxed);
    sums.too_large = atomic_load_explicit(&self->too_large, memory_order_relaxed);
    sums.no_memory = atomic_load_explicit(&self->no_memory, memory_order_relaxed);
    return sums;
}

void mx_scan_count_unseen(struct mx_scan *self, int error) {
    _Atomic uint64_t *counter = error == MX_ELIMIT ? &self->too_large : &self->no_memory;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t *counter_of(struct mx_scan *self, int error) {
    switch (error) {
    case 0:
        return &self->counters.answered;
    case -ETIMEDOUT:
        return &self->counters.timeouts;
    case MX_ESYNTAX:
        return &self->counters.nonsense;
    case MX_ELIMIT:
    case MX_ENOROOM:
        return &self->counters.too_long;
    case -EOPNOTSUPP:
        return &self->counters.unoffered;
    default:
        return &self->counters.broken;
    }
}

/* ---- conversations that nobody has: a stack, whose head has a tag against mix-ups ---- */

static void push_free(struct mx_scan *self, uint32_t index) {
    uint64_t head = atomic_load_explicit(&self->free, memory_order_relaxed), next;
    do {
        atomic_store_explicit(&self->talks[index].next_free, (uint32_t)head, memory_order_relaxed);
        next = ((head >> 32) + 1) << 32 | (index + 1);
    } while (!atomic_compare_exchange_weak_explicit(&self->free, &head, next, memory_order_release,
                                                    memory_order_relaxed));
}

uint32_t mx_scan_take(struct mx_scan *self) {
    uint64_t head = atomic_load_explicit(&self->free, memory_order_acquire), next;
    do {
        uint32_t index = (uint32_t)head;
        if (index == 0) {
            atomic_fetch_add_explicit(&self->busy, 1, memory_order_relaxed);
            return MX_SCAN_NONE;
        }
        uint32_t below =
            atomic_load_explicit(&self->talks[index - 1].next_free, memory_order_relaxed);
        next = ((head >> 32) + 1) << 32 | below;
    } while (!atomic_compare_exchange_weak_explicit(&self->free, &head, next, memory_order_acquire,
                                                    memory_order_acquire));
    return (uint32_t)head - 1;
}

void mx_scan_give(struct mx_scan *self, uint32_t talk) {
    push_free(self, talk);
}

/* ---- asking: any thread ---- */

void mx_scan_ask(struct mx_scan *self, struct mx_scan_question *question) {
    assert(question->job->inbox != NULL && question->talk < self->talk_count);
    question->next = atomic_load_explicit(&self->asked, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&self->asked, &question->next, question))
        continue;
    mx_answerer_nudge(&self->thread);
}

void mx_scan_leave(struct mx_scan *self, uint32_t talk) {
    atomic_store(&self->talks[talk].is_left, true);
    atomic_store(&self->has_left, true);
    mx_answerer_nudge(&self->thread);
}

/* ---- answering ---- */

void mx_scan_answer(struct mx_scan *self, struct mx_talk *talk, int error) {
    struct mx_scan_question *question = talk->question;
    talk->question = NULL;
    mx_scan_count(counter_of(self, error), 1);
    question->error = error;
    talk->is_single = question->kind != MX_SCAN_MILTER;
    int ring_fd = question->job->inbox->ring_fd;
    if (mx_helper_finish(question->job)) /* it is the asker's again */
        mx_waker_note(&self->thread.waker, ring_fd);
}

/* ---- questions ---- */

static struct mx_talk *activate(struct mx_scan *self, uint32_t index) {
    struct mx_talk *talk = &self->talks[index];
    if (talk->state != MX_TALK_FREE)
        return talk;
    talk->state = MX_TALK_CLOSED;
    talk->prev = NULL;
    talk->next = self->active;
    if (self->active != NULL)
        self->active->prev = talk;
    self->active = talk;
    if (atomic_load(&talk->is_left)) /* already: note_left did not see it */
        atomic_store(&self->has_left, true);
    return talk;
}

static void take_question(struct mx_scan *self, struct mx_scan_question *question) {
    struct mx_talk *talk = activate(self, question->talk);
    mx_scan_count(&self->counters.questions, 1);
    if (talk->question != NULL) /* its asker does not wait for it any more */
        mx_talk_fail(self, talk, -ECANCELED);
    if (question->is_fresh)
        mx_talk_end(self, talk);
    talk->question = question;
    if (question->deadline_ms <= self->thread.now_ms)
        mx_talk_fail(self, talk, -ETIMEDOUT);
    else if (question->is_fresh)
        mx_talk_begin(self, talk);
    else if (talk->state != MX_TALK_OPEN)
        mx_scan_answer(self, talk, -ENOTCONN);
    else if (mx_scan_milter.begin(self, talk) < 0)
        mx_talk_fail(self, talk, -ENOMEM);
    else
        mx_talk_go_on(self, talk, false);
}

static void take_questions(struct mx_scan *self) {
    struct mx_scan_question *list = NULL;
    struct mx_scan_question *question = atomic_exchange(&self->asked, NULL);
    while (question != NULL) { /* the oldest one first */
        struct mx_scan_question *next = question->next;
        question->next = list;
        list = question;
        question = next;
    }
    while (list != NULL) {
        struct mx_scan_question *next = list->next;
        take_question(self, list);
        list = next;
    }
}

/* ---- the end of conversations ---- */

/* Whoever has left before the questions are taken asks nothing more: what he asked is among them.
 */
static void note_left(struct mx_scan *self) {
    if (!atomic_exchange(&self->has_left, false))
        return;
    for (struct mx_talk *talk = self->active; talk != NULL; talk = talk->next)
        talk->is_going = atomic_load(&talk->is_left);
}

/* Said once: when it does not get through, the end of the connection says the same. */
static void say_goodbye(struct mx_talk *talk) {
    char packet[MX_MILTER_HEAD];
    mx_milter_put_head(packet, MX_MILTER_QUIT, 0);
    if (talk->state != MX_TALK_OPEN || talk->out_end > 0)
        return;
    ssize_t sent = send(talk->fd, packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

static void retire(struct mx_scan *self, struct mx_talk *talk, bool is_session) {
    if (is_session)
        say_goodbye(talk);
    mx_talk_end(self, talk);
    if (talk->prev != NULL)
        talk->prev->next = talk->next;
    else
        self->active = talk->next;
    if (talk->next != NULL)
        talk->next->prev = talk->prev;
    talk->state = MX_TALK_FREE;
    talk->is_going = talk->is_single = false;
    talk->target = NULL;
    atomic_store_explicit(&talk->is_left, false, memory_order_relaxed);
    push_free(self, (uint32_t)(talk - self->talks));
}

/* Deadlines, and those that are over. */
static void sweep(struct mx_scan *self) {
    struct mx_talk *next;
    for (struct mx_talk *talk = self->active; talk != NULL; talk = next) {
        next = talk->next;
        if (talk->question != NULL && talk->question->deadline_ms <= self->thread.now_ms)
            mx_talk_fail(self, talk, -ETIMEDOUT);
        if (talk->question == NULL && (talk->is_going || talk->is_single))
            retire(self, talk, !talk->is_single);
    }
}

/* ---- the thread ---- */

/* The descriptors to watch; *sleep_ms: to the next deadline. */
static nfds_t watch(struct mx_scan *self, int *sleep_ms) {
    nfds_t count = 1;
    uint64_t until_ms = self->thread.now_ms + SLEEP_MAX_MS;
    for (struct mx_talk *talk = self->active; talk != NULL; talk = talk->next) {
        if (talk->question != NULL && talk->question->deadline_ms < until_ms)
            until_ms = talk->question->deadline_ms;
        if (talk->state != MX_TALK_CONNECTING && talk->state != MX_TALK_OPEN)
            continue;
        bool is_connecting = talk->state == MX_TALK_CONNECTING;
        bool wants_out = is_connecting || (talk->out_end > 0 && !talk->is_out_over);
        short events = (short)((is_connecting ? 0 : POLLIN) | (wants_out ? POLLOUT : 0));
        self->watched[count] = talk;
        self->fds[count++] = (struct pollfd){.fd = talk->fd, .events = events};
    }
    *sleep_ms = until_ms > self->thread.now_ms ? (int)(until_ms - self->thread.now_ms) : 0;
    return count;
}

static bool has_work(const void *owner) {
    const struct mx_scan *self = owner;
    return atomic_load(&self->asked) != NULL || atomic_load(&self->has_left);
}

static void turn(void *owner) {
    struct mx_scan *self = owner;
    int ms;
    nfds_t count = watch(self, &ms);
    int ready = mx_answerer_sleep(&self->thread, self->fds, count, ms);
    for (nfds_t i = 1; i < count && ready > 0; i++) {
        if (self->fds[i].revents != 0)
            mx_talk_go_on(self, self->watched[i], (self->fds[i].revents & ~POLLOUT) != 0);
    }
    note_left(self);
    take_questions(self);
    sweep(self);
    mx_talk_serve_waiting(self);
    sweep(self); /* of those that could not even begin */
}

static const struct mx_answerer_class scanner = {
    .name = "mxring-scan",
    .confine = mx_confine_scanner,
    .has_work = has_work,
    .turn = turn,
};

/* ---- life ---- */

struct mx_scan *mx_scan_new(uint32_t talk_count) {
    struct mx_scan *self = aligned_alloc(64, sizeof *self);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    self->talk_count = talk_count;
    int err = mx_answerer_init(&self->thread, &scanner, self);
    self->talks = calloc(talk_count, sizeof *self->talks);
    self->fds = calloc((size_t)talk_count + 1, sizeof *self->fds);
    self->watched = calloc((size_t)talk_count + 1, sizeof(struct mx_talk *));
    if (err < 0 || self->talks == NULL || self->fds == NULL || self->watched == NULL) {
        mx_scan_free(self);
        return NULL;
    }
    for (uint32_t i = talk_count; i > 0; i--) {
        self->talks[i - 1].fd = -1;
        push_free(self, i - 1);
    }
    return self;
}

int mx_scan_start(struct mx_scan *self, uint32_t features) {
    return mx_answerer_start(&self->thread, features);
}

void mx_scan_free(struct mx_scan *self) {
    if (self == NULL)
        return;
    mx_answerer_stop(&self->thread);
    for (struct mx_talk *talk = self->active; talk != NULL; talk = talk->next) {
        talk->question = NULL; /* forgotten */
        mx_talk_end(self, talk);
    }
    mx_answerer_deinit(&self->thread);
    free(self->talks);
    free(self->fds);
    free(self->watched);
    free(self);
}
