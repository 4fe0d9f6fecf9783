/* dns_test.c - the resolver under ThreadSanitizer: every question that was taken comes back once to
 * its asker, who sleeps on his ring until then, with the answer to that question.
 *
 * Askers with rings of their own ask a name server of this test, which answers some names, says
 * that others do not exist, fails at some, and is silent at the rest. Few names, so that they are
 * joined and cached; few places, so that they are refused, too. A resolver that ends while
 * questions wait forgets them.
 */
#include "engine/dns/dns.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ASKERS = 3, QUESTIONS = 3000, AT_ONCE = 40, PENDING = 60, CQ_ENTRIES = 64, KINDS = 4 };

static void must(bool is_true, const char *what) {
    if (is_true)
        return;
    fprintf(stderr, "dns_test: %s\n", what);
    abort();
}

/* ---- a name server ---- */

struct server {
    int fd;
    pthread_t thread;
    unsigned seen; /* questions; read when it has ended */
};

/* The first letter of the name says what happens. The address is the number behind it. */
static size_t answer(unsigned char *m, size_t len) {
    unsigned number = (unsigned)strtoul((const char *)m + 14, NULL, 10);
    size_t end = 12;
    while (m[end] != 0)
        end += 1u + m[end];
    end += 5;
    m[2] |= 0x80;
    m[11] = 0; /* without EDNS */
    switch (m[13]) {
    case 'n':
        m[3] = 3;
        return end;
    case 'f':
        m[3] = 2;
        return end;
    case 's':
        return 0;
    default:
        break;
    }
    const unsigned char record[] = {0xc0,
                                    12,
                                    0,
                                    1,
                                    0,
                                    1,
                                    0,
                                    0,
                                    0,
                                    9,
                                    0,
                                    4,
                                    10,
                                    0,
                                    (unsigned char)(number >> 8),
                                    (unsigned char)number};
    must(len >= end, "a question");
    m[7] = 1;
    memcpy(m + end, record, sizeof record);
    return end + sizeof record;
}

static void *server_main(void *argument) {
    struct server *self = argument;
    unsigned char message[1500];
    struct sockaddr_in from;
    for (;;) {
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(self->fd, message, sizeof message - 64, 0, (struct sockaddr *)&from,
                               &from_len);
        if (got == 1) /* the end */
            return NULL;
        must(got > 17, "recvfrom");
        self->seen++;
        size_t len = answer(message, (size_t)got);
        if (len > 0 && sendto(self->fd, message, len, 0, (struct sockaddr *)&from, from_len) < 0)
            must(errno == ECONNREFUSED, "sendto");
    }
}

static struct sockaddr_in server_start(struct server *self) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof addr;
    self->fd = socket(AF_INET, SOCK_DGRAM, 0);
    must(self->fd >= 0 && bind(self->fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
             getsockname(self->fd, (struct sockaddr *)&addr, &len) == 0,
         "a socket");
    must(pthread_create(&self->thread, NULL, server_main, self) == 0, "thread");
    return addr;
}

static void server_end(struct server *self, const struct sockaddr_in *addr) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    must(sendto(fd, "", 1, 0, (const struct sockaddr *)addr, sizeof *addr) == 1, "the end");
    pthread_join(self->thread, NULL);
    close(fd);
    close(self->fd);
}

/* ---- askers ---- */

struct asked {
    struct mx_helper_job job; /* first */
    struct mx_dns_question question;
    unsigned number;
    char kind;
    bool is_out;
    char room[64];
};

struct asker {
    struct mx_dns *dns;
    struct mx_ring ring;
    struct mx_helper_inbox inbox;
    struct asked asked[AT_ONCE];
    unsigned index, begun, done, busy, statuses[MX_DNS_TOO_LARGE + 1];
    pthread_t thread;
};

static void check(struct asker *self, struct asked *asked) {
    const struct mx_dns_answer *got = &asked->question.answer;
    struct mx_dns_record record;
    size_t cursor = 0;
    must(asked >= self->asked && asked < self->asked + AT_ONCE && asked->is_out, "whose is it");
    asked->is_out = false;
    self->done++;
    self->statuses[got->status]++;
    if (got->status == MX_DNS_BUSY)
        return;
    switch (asked->kind) {
    case 'n':
        must(got->status == MX_DNS_NXDOMAIN, "no such name");
        break;
    case 'f':
        must(got->status == MX_DNS_SERVFAIL, "a server that fails");
        break;
    case 's':
        must(got->status == MX_DNS_TIMEOUT, "a server that is silent");
        break;
    default:
        must(got->status == MX_DNS_OK && mx_dns_next(got, &cursor, &record), "an answer");
        must(record.data.len == 4 && (unsigned char)record.data.ptr[3] == (asked->number & 255),
             "the answer to this question");
    }
}

static void collect(struct asker *self) {
    struct mx_helper_job *job = mx_helper_collect(&self->inbox);
    while (job != NULL) {
        struct mx_helper_job *next = job->next;
        check(self, (struct asked *)(void *)job);
        job = next;
    }
}

static void sleep_for_message(struct asker *self) {
    const struct mx_ring_wait wait = {.events = 1, .timeout_ns = 20000000000};
    int err = mx_ring_turn(&self->ring, &wait);
    unsigned count = mx_ring_ready(&self->ring);
    must(err == 0 && count > 0, "nobody woke the asker");
    mx_ring_consume(&self->ring, count);
}

/* False: it is not taken now. */
static bool ask(struct asker *self, struct asked *asked) {
    static const char kinds[KINDS] = {'a', 'n', 'f', 's'};
    char name[32];
    unsigned n = self->begun * 7 + self->index;
    asked->kind = n % 50 == 0 ? 's' : kinds[n % 3];
    asked->number = n % 97;
    asked->job = (struct mx_helper_job){.inbox = &self->inbox};
    asked->question = (struct mx_dns_question){.job = &asked->job,
                                               .room = asked->room,
                                               .room_octets = sizeof asked->room,
                                               .type = MX_DNS_A};
    snprintf(name, sizeof name, "%c%u.Example", asked->kind, asked->number);
    must(mx_dns_set_name(&asked->question, mx_span_of(name)), "a name");
    asked->is_out = true;
    int err = mx_dns_ask(self->dns, &asked->question);
    must(err == 0 || err == -EBUSY, "mx_dns_ask");
    asked->is_out = err == 0;
    self->begun += err == 0;
    self->busy += err != 0;
    return err == 0;
}

static void *asker_main(void *argument) {
    struct asker *self = argument;
    must(mx_ring_start(&self->ring) == 0, "mx_ring_start");
    while (self->done < QUESTIONS) {
        for (unsigned i = 0; i < AT_ONCE && self->begun < QUESTIONS; i++) {
            if (!self->asked[i].is_out && !ask(self, &self->asked[i]))
                break;
        }
        collect(self);
        if (self->done < self->begun)
            sleep_for_message(self);
        else if (self->done < QUESTIONS)
            sched_yield(); /* the others have all the places */
        collect(self);
    }
    return NULL;
}

static struct asker askers[ASKERS];

static void start_asker(struct asker *self, unsigned index, struct mx_dns *dns, uint32_t features) {
    self->dns = dns;
    self->index = index;
    must(mx_ring_init(&self->ring, features & ~(uint32_t)MX_RING_DIRECT, 0, CQ_ENTRIES) == 0,
         "mx_ring_init");
    self->inbox.ring_fd = mx_ring_fd(&self->ring);
    must(pthread_create(&self->thread, NULL, asker_main, self) == 0, "thread");
}

static struct mx_conf_dns conf_of(struct mx_conf_bind *bind, const struct sockaddr_in *addr) {
    *bind = (struct mx_conf_bind){.addr_len = sizeof *addr};
    memcpy(&bind->addr, addr, sizeof *addr);
    return (struct mx_conf_dns){
        .servers = {bind, 1},
        .timeout_ms = 60,
        .attempts = 1,
        .deadline_ms = 100,
        .max_lookups = 64,
        .max_questions = PENDING,
        .cache_octets = 4096,
        .min_ttl_ms = 1,
        .max_ttl_ms = 20,
        .max_negative_ttl_ms = 20,
        .failure_ttl_ms = 5
    };
}

static void test_all_come_back(uint32_t features) {
    struct server server = {.seen = 0};
    struct mx_conf_bind bind;
    struct sockaddr_in addr = server_start(&server);
    struct mx_conf_dns conf = conf_of(&bind, &addr);
    struct mx_dns *dns;
    unsigned busy = 0, statuses[MX_DNS_TOO_LARGE + 1] = {0};
    must(mx_dns_new(&dns, &conf) == 0 && mx_dns_start(dns, features) == 0, "mx_dns_start");
    for (unsigned i = 0; i < ASKERS; i++)
        start_asker(&askers[i], i, dns, features);
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        busy += askers[i].busy;
        for (unsigned s = 0; s <= MX_DNS_TOO_LARGE; s++)
            statuses[s] += askers[i].statuses[s];
    }
    struct mx_dns_counters sums = mx_dns_counters(dns);
    must(sums.questions == (uint64_t)ASKERS * QUESTIONS, "all questions");
    must(sums.cache_hits > 0 && sums.joined > 0 && sums.cache_octets <= conf.cache_octets,
         "the cache");
    must(busy > 0 && sums.refused >= busy, "the places were all taken once");
    for (unsigned s = 0; s <= MX_DNS_TIMEOUT; s++)
        must(statuses[s] > 0 || s == MX_DNS_NODATA, "every kind of answer");
    printf("%u questions, %llu hits, %llu joined, %llu sent, %u refused\n", ASKERS * QUESTIONS,
           (unsigned long long)sums.cache_hits, (unsigned long long)sums.joined,
           (unsigned long long)sums.sent, busy);
    mx_dns_free(dns);
    for (unsigned i = 0; i < ASKERS; i++)
        mx_ring_deinit(&askers[i].ring);
    server_end(&server, &addr);
}

/* Nobody is asked any more, and nobody is told. */
static void test_ends_with_questions(uint32_t features) {
    struct server server = {.seen = 0};
    struct mx_conf_bind bind;
    struct sockaddr_in addr = server_start(&server);
    struct mx_conf_dns conf = conf_of(&bind, &addr);
    static struct asker asker;
    struct mx_dns *dns;
    conf.timeout_ms = conf.deadline_ms = 60000;
    must(mx_dns_new(&dns, &conf) == 0, "mx_dns_new");
    asker.dns = dns;
    asker.inbox.ring_fd = -1;
    for (unsigned i = 0; i < 20; i++)
        must(ask(&asker, &asker.asked[i]), "a place");
    must(mx_dns_start(dns, features) == 0, "mx_dns_start");
    mx_dns_free(dns);
    for (struct mx_helper_job *job = mx_helper_collect(&asker.inbox); job != NULL; job = job->next)
        check(&asker, (struct asked *)(void *)job);
    server_end(&server, &addr);
}

/* Without the thread. */
static void test_by_hand(void) {
    const struct mx_conf_dns conf = {
        .attempts = 1, .max_lookups = 1, .max_questions = 2, .cache_octets = 100};
    const struct mx_dns_answer silent = {.status = MX_DNS_TIMEOUT};
    static struct asker asker;
    struct mx_dns *dns;
    must(mx_dns_new(&dns, &conf) == 0, "mx_dns_new");
    asker.dns = dns;
    must(ask(&asker, &asker.asked[0]) && ask(&asker, &asker.asked[1]), "two places");
    must(!ask(&asker, &asker.asked[2]), "and no third one");
    struct mx_dns_question *first = mx_dns_take(dns);
    must(first == &asker.asked[0].question && first->next == &asker.asked[1].question, "in order");
    must(mx_dns_take(dns) == NULL, "that was all");
    must(mx_dns_finish(dns, first, &silent), "the inbox was empty");
    must(!mx_dns_finish(dns, &asker.asked[1].question, &silent), "now it is not");
    must(mx_helper_collect(&asker.inbox) == &asker.asked[1].job, "the last one first");
    must(first->answer.status == MX_DNS_TIMEOUT, "the answer");
    must(ask(&asker, &asker.asked[2]), "a place is free again");
    mx_dns_free(dns);
    mx_dns_free(NULL);
}

int main(void) {
    uint32_t features = 0;
    test_by_hand();
    int err = mx_ring_probe(&features);
    if (err < 0) {
        fprintf(stderr, "skipped: no io_uring here: %s\n", strerrordesc_np(-err));
        return 77;
    }
    test_all_come_back(features);
    test_ends_with_questions(features);
    return 0;
}
