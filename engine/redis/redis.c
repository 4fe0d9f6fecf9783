#include "engine/redis/redis.h"

#include "config/redis.h"
#include "engine/confine.h"
#include "engine/redis/scripts.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    KEY_HEX = 2 * MX_REDIS_KEY,
    RETRY_MS = 250,    /* after a failure nobody is asked for so long */
    NUMBER_TEXT = 24,  /* octets of a number as text, with its NUL */
    PASSWORD_MAX = 512 /* octets, with its NUL */
};

/* The connection of one thread. */
struct link {
    redisContext *context; /* NULL: there is none */
    uint64_t retry_ms;     /* not tried before */
};

struct mx_redis {
    const struct mx_conf_redis *conf;
    struct mx_helper *helper;
    struct link *links;
    _Atomic uint32_t link_count; /* of those taken by a thread */
    char host[MX_IP_TEXT_MAX + 1];
    uint16_t port;
    char password[PASSWORD_MAX];
    pthread_mutex_t lock; /* of the reason */
    char reason[MX_REDIS_REASON];
#define COUNTER(name, unit, help) _Atomic uint64_t name;
    MX_REDIS_COUNTERS(COUNTER)
#undef COUNTER
};

static uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void set_reason(struct mx_redis *self, const char *text) {
    pthread_mutex_lock(&self->lock);
    int len = snprintf(self->reason, sizeof self->reason, "%s", text);
    assert(len >= 0); /* one that is too long is cut */
    pthread_mutex_unlock(&self->lock);
}

/* ---- connections ---- */

static struct timeval timeout_of(const struct mx_redis *self) {
    uint32_t ms = self->conf->timeout_ms;
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static void give_up(struct mx_redis *self, struct link *link, const char *why) {
    set_reason(self, why);
    if (link->context != NULL)
        redisFree(link->context);
    link->context = NULL;
    link->retry_ms = monotonic_ms() + RETRY_MS;
}

/* One of the commands that a connection begins with. */
static bool greet(struct mx_redis *self, struct link *link, int argc, const char **argv) {
    redisReply *reply = redisCommandArgv(link->context, argc, argv, NULL);
    bool is_good = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (!is_good)
        give_up(self, link, reply != NULL ? reply->str : link->context->errstr);
    freeReplyObject(reply);
    return is_good;
}

static bool greet_all(struct mx_redis *self, struct link *link) {
    const struct mx_conf_redis *conf = self->conf;
    char database[NUMBER_TEXT];
    bool has_user = conf->user != NULL;
    const char *login[] = {"AUTH", has_user ? conf->user : self->password, self->password};
    const char *choice[] = {"SELECT", database};
    int len = snprintf(database, sizeof database, "%" PRIu32, conf->database);
    assert(len > 0);
    return (self->password[0] == '\0' || greet(self, link, has_user ? 3 : 2, login)) &&
           (conf->database == 0 || greet(self, link, 2, choice));
}

/* Is there one, or can one be made? */
static bool need(struct mx_redis *self, struct link *link) {
    if (link->context != NULL)
        return true;
    if (monotonic_ms() < link->retry_ms)
        return false;
    struct timeval timeout = timeout_of(self);
    link->context = redisConnectWithTimeout(self->host, self->port, timeout);
    bool is_good = link->context != NULL && link->context->err == 0 &&
                   redisSetTimeout(link->context, timeout) == REDIS_OK;
    if (!is_good)
        give_up(self, link, link->context != NULL ? link->context->errstr : "no memory");
    is_good = is_good && greet_all(self, link);
    add(is_good ? &self->connects : &self->connect_failures);
    return is_good;
}

/* ---- questions ---- */

struct command {
    char key[256], numbers[MX_REDIS_NUMBERS][NUMBER_TEXT];
    const char *argv[4 + MX_REDIS_NUMBERS];
};

static void set_command(struct command *self, const struct mx_redis *redis,
                        const struct mx_redis_question *question) {
    static const char hex[] = "0123456789abcdef";
    const struct mx_redis_text *script = &mx_redis_scripts[question->script];
    int len =
        snprintf(self->key, sizeof self->key - KEY_HEX, "%s%s:", redis->conf->prefix, script->name);
    assert(len > 0 && (size_t)len < sizeof self->key - KEY_HEX); /* the schema says so */
    char *at = self->key + len;
    for (size_t i = 0; i < MX_REDIS_KEY; i++) {
        *at++ = hex[question->key[i] >> 4];
        *at++ = hex[question->key[i] & 15];
    }
    *at = '\0';
    self->argv[0] = "EVALSHA";
    self->argv[1] = script->sha1;
    self->argv[2] = "1";
    self->argv[3] = self->key;
    for (size_t i = 0; i < MX_REDIS_NUMBERS; i++) {
        len = snprintf(self->numbers[i], NUMBER_TEXT, "%" PRIu64, question->numbers[i]);
        assert(len > 0);
        self->argv[4 + i] = self->numbers[i];
    }
}

static bool is_unknown(const redisReply *reply) {
    return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, "NOSCRIPT", strlen("NOSCRIPT")) == 0;
}

/* By the name of the script, else by its text: the server keeps it then. */
static redisReply *call(struct link *link, struct command *command,
                        const struct mx_redis_text *script) {
    redisReply *reply = redisCommandArgv(link->context, 4 + MX_REDIS_NUMBERS, command->argv, NULL);
    if (!is_unknown(reply))
        return reply;
    freeReplyObject(reply);
    command->argv[0] = "EVAL";
    command->argv[1] = script->text;
    return redisCommandArgv(link->context, 4 + MX_REDIS_NUMBERS, command->argv, NULL);
}

/* The connection is gone; was it closed while it had nothing to do? Then another one may be tried.
 */
static bool was_idle(const redisContext *context) {
    return context->err == REDIS_ERR_EOF ||
           (context->err == REDIS_ERR_IO && (errno == EPIPE || errno == ECONNRESET));
}

static bool take_reply(struct mx_redis *self, struct mx_redis_question *question,
                       redisReply *reply) {
    bool is_good = reply->type == REDIS_REPLY_INTEGER;
    question->answer = is_good ? reply->integer : 0;
    if (!is_good) {
        set_reason(self, reply->type == REDIS_REPLY_ERROR ? reply->str : "no number");
        add(&self->errors);
    }
    freeReplyObject(reply);
    return is_good;
}

static bool ask(struct mx_redis *self, struct link *link, struct mx_redis_question *question) {
    for (int tries = 0; tries < 2; tries++) {
        struct command command;
        if (!need(self, link))
            return false;
        set_command(&command, self, question);
        redisReply *reply = call(link, &command, &mx_redis_scripts[question->script]);
        if (reply != NULL)
            return take_reply(self, question, reply);
        bool is_again = was_idle(link->context);
        add(&self->broken);
        give_up(self, link, link->context->errstr);
        if (!is_again)
            return false;
        link->retry_ms = 0;
    }
    link->retry_ms = monotonic_ms() + RETRY_MS;
    return false;
}

/* Each thread takes one, once; its number lies in the scratch, which was zero before. */
static struct link *link_of(struct mx_redis *self, uint32_t *number) {
    if (*number == 0)
        *number = atomic_fetch_add(&self->link_count, 1) + 1;
    assert(*number <= self->conf->connections);
    return &self->links[*number - 1];
}

void mx_redis_run(struct mx_redis *self, struct mx_redis_question *question, void *scratch) {
    question->is_answered = ask(self, link_of(self, scratch), question);
    add(question->is_answered ? &self->answered : &self->failed);
    if (question->is_answered)
        atomic_store_explicit(&self->unanswered, 0, memory_order_relaxed);
    else
        add(&self->unanswered);
}

int mx_redis_post(struct mx_redis *self, struct mx_helper_job *job) {
    int err = mx_helper_post(self->helper, job);
    add(err == 0 ? &self->questions : &self->refused);
    return err;
}

/* ---- life ---- */

static int read_password(struct mx_redis *self) {
    const struct mx_conf_secrets *passwords = &self->conf->password;
    if (passwords->count == 0)
        return 0;
    struct mx_span text = passwords->rows[0].text;
    if (text.len >= sizeof self->password)
        return -EINVAL;
    memcpy(self->password, text.ptr, text.len);
    self->password[text.len] = '\0';
    return 0;
}

static struct mx_redis *redis_new(const struct mx_conf_redis *conf) {
    struct mx_redis *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->conf = conf;
    self->links = calloc(conf->connections, sizeof *self->links);
    self->helper = mx_helper_new(conf->connections, conf->max_questions);
    if (self->links != NULL && self->helper != NULL && pthread_mutex_init(&self->lock, NULL) == 0)
        return self;
    mx_helper_free(self->helper);
    free(self->links);
    free(self);
    return NULL;
}

int mx_redis_new(struct mx_redis **result, const struct mx_conf_redis *conf) {
    struct mx_redis *self = redis_new(conf);
    struct mx_ip ip;
    *result = NULL;
    if (self == NULL)
        return -ENOMEM;
    bool is_address = mx_conf_redis_address(conf->server, &ip, &self->port);
    mx_redis_name_scripts();
    self->host[is_address ? mx_ip_text(&ip, self->host) : 0] = '\0';
    int err = is_address ? read_password(self) : -EINVAL;
    mx_helper_confine_by(self->helper, mx_confine_resolver, "mxring-redis");
    if (err == 0)
        *result = self;
    else
        mx_redis_free(self);
    return err;
}

int mx_redis_start(struct mx_redis *self, uint32_t features) {
    return mx_helper_start(self->helper, features);
}

void mx_redis_free(struct mx_redis *self) {
    if (self == NULL)
        return;
    mx_helper_free(self->helper); /* the threads have ended */
    for (uint32_t i = 0; i < self->conf->connections; i++) {
        if (self->links[i].context != NULL)
            redisFree(self->links[i].context);
    }
    pthread_mutex_destroy(&self->lock);
    explicit_bzero(self->password, sizeof self->password);
    free(self->links);
    free(self);
}

/* ---- what is said of it ---- */

struct mx_redis_counters mx_redis_counters(struct mx_redis *self) {
    struct mx_redis_counters sums;
#define READ(name, unit, help) sums.name = atomic_load_explicit(&self->name, memory_order_relaxed);
    MX_REDIS_COUNTERS(READ)
#undef READ
    return sums;
}

size_t mx_redis_reason(struct mx_redis *self, char reason[MX_REDIS_REASON]) {
    pthread_mutex_lock(&self->lock);
    memcpy(reason, self->reason, MX_REDIS_REASON);
    pthread_mutex_unlock(&self->lock);
    return strlen(reason);
}
