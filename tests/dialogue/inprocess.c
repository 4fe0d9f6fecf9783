/* inprocess.c - the driver that plays the engine's part over proto/: a sink in memory that keeps
 * what it gets, a simulated clock, and input cut where it likes.
 *
 * Every block it lends to the session has exactly the promised size and is new each time, so that
 * AddressSanitizer sees each octet read outside of it and each pointer kept for too long. */
#include "config/conf.h"
#include "engine/policy/auth.h"
#include "engine/service.h"
#include "proto/session.h"
#include "tests/dialogue/dialogue.h"
#include "tests/dialogue/lone_host.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SECOND = 1767225600 }; /* Thu, 01 Jan 2026 00:00:00 UTC */
enum { STORED_MAX = 64 };

struct link {
    bool is_open;
    bool has_closed; /* the server has */
    struct mx_session session;
    struct mx_text in;      /* not consumed by the session */
    struct mx_text replies; /* not read by the player */
    struct mx_text content; /* of the open message */
    struct mx_policy *policy;
    struct mx_out out;
    uint64_t activity_ms, opened_ms;
};

struct inprocess {
    struct mx_driver driver; /* first: the driver is the object */
    uint32_t cut, random;
    uint64_t now_ms;
    uint32_t session_count;
    struct mx_conf *conf;
    struct mx_service service;
    struct mx_session_shared shared;
    struct mx_lone_host policy; /* of the hooks */
    struct link links[MX_LINKS_MAX];
    struct mx_text stored[STORED_MAX];
    size_t stored_count;
};

static struct inprocess *self_of(struct mx_driver *driver) {
    return (struct inprocess *)driver;
}

/* ---- begin and end ---- */

static bool load_conf(struct inprocess *self, const struct mx_dialogue *dialogue,
                      struct mx_failure *failure) {
    struct mx_conf_report report = {0};
    const char *base = mx_dialogue_base(dialogue->is_lmtp);
    int err = dialogue->config[0] != '\0'
                  ? mx_conf_load(dialogue->config, false, &self->conf, &report)
                  : mx_conf_parse(base, strlen(base), false, &self->conf, &report);
    if (err < 0)
        mx_fail(failure, 0, "configuration %s:%u: %s", dialogue->config,
                report.count > 0 ? report.rows[0].line : 0,
                report.count > 0 ? report.rows[0].text : strerror(-err));
    mx_conf_report_free(&report);
    return err == 0;
}

static bool begin(struct mx_driver *driver, const struct mx_dialogue *dialogue,
                  struct mx_failure *failure) {
    struct inprocess *self = self_of(driver);
    if (!load_conf(self, dialogue, failure))
        return false;
    uint32_t index = 0;
    while (index < self->conf->server_count &&
           self->conf->servers[index].is_lmtp != dialogue->is_lmtp)
        index++;
    if (index == self->conf->server_count)
        return mx_fail(failure, 0, "the configuration has no server for this mode");
    if (mx_service_init(&self->service, self->conf, index, false) < 0)
        return mx_fail(failure, 0, "out of memory");
    self->service.session_conf.needs_trace = true; /* the sink keeps content */
    self->now_ms = 0;
    mx_lone_host_begin(&self->policy, &self->now_ms);
    self->shared = (struct mx_session_shared){.now_s = FIRST_SECOND};
    self->session_count = 0;
    self->random = self->cut * 2654435761u + 1;
    return true;
}

static void end(struct mx_driver *driver) {
    struct inprocess *self = self_of(driver);
    for (size_t i = 0; i < self->stored_count; i++)
        free(self->stored[i].ptr);
    memset(self->stored, 0, sizeof self->stored);
    self->stored_count = 0;
    mx_lone_host_end(&self->policy);
    mx_service_deinit(&self->service);
    mx_conf_free(self->conf);
    self->conf = NULL;
}

/* ---- the engine's part ---- */

static void flush(struct link *link) {
    mx_text_put(&link->replies, link->out.ptr, link->out.len);
    link->out.len = 0;
}

static int grow(struct link *link) {
    struct mx_envelope *envelope = &link->session.envelope;
    uint32_t octets = link->session.grow_octets;
    assert(octets > envelope->cap);
    char *block = malloc(octets);
    assert(block != NULL);
    if (envelope->used > 0)
        memcpy(block, envelope->base, envelope->used);
    free(envelope->base);
    envelope->base = block;
    envelope->cap = octets;
    return 0;
}

static int begin_auth(struct link *link) {
    assert(link->session.login == NULL);
    link->session.login = calloc(1, sizeof *link->session.login);
    assert(link->session.login != NULL);
    link->session.login->auth = calloc(1, sizeof *link->session.login->auth);
    assert(link->session.login->auth != NULL);
    return 0;
}

static int run_auth(const struct inprocess *self, const struct link *link) {
    static struct crypt_data scratch;
    struct mx_login *login = link->session.login;
    return mx_auth_run(&self->service.auth, login, login->auth, &scratch);
}

static void release_auth(struct link *link, bool is_end) {
    struct mx_login *login = link->session.login;
    if (login != NULL && (is_end || mx_session_is_done_with_auth(&link->session))) {
        free(login->auth);
        login->auth = NULL;
    }
    if (is_end || mx_session_is_done_with_login(&link->session)) {
        free(login);
        link->session.login = NULL;
    }
}

static int open_message(struct link *link) {
    assert(link->content.ptr == NULL);
    mx_text_put(&link->content, "", 0);
    return 0;
}

static int commit_message(struct inprocess *self, struct link *link) {
    assert(link->content.ptr != NULL && self->stored_count < STORED_MAX);
    self->stored[self->stored_count++] = link->content;
    link->content = (struct mx_text){0};
    return 0;
}

static int abort_message(struct link *link) {
    assert(link->content.ptr != NULL);
    free(link->content.ptr);
    link->content = (struct mx_text){0};
    return 0;
}

static struct mx_policy_site site_of(struct inprocess *self, struct link *link) {
    return (struct mx_policy_site){.host = &self->policy.host,
                                   .chain = &self->service.chain,
                                   .session = &link->session,
                                   .block = &link->policy};
}

static void close_session(struct inprocess *self, struct link *link) {
    struct mx_policy_site site = site_of(self, link);
    mx_policy_end(&site);
    flush(link);
    link->has_closed = true;
    if (link->session.is_open)
        (void)abort_message(link);
    assert(link->content.ptr == NULL);
    free(link->session.envelope.base);
    link->session.envelope = (struct mx_envelope){0};
    release_auth(link, true);
}

static void store(struct link *link, const struct mx_span *slices, uint32_t count) {
    assert(link->content.ptr != NULL);
    for (uint32_t i = 0; i < count; i++)
        mx_text_put(&link->content, slices[i].ptr, slices[i].len);
}

static int write_message(struct inprocess *self, struct link *link) {
    struct mx_policy_site site = site_of(self, link);
    struct mx_span to[MX_BODY_SLICES + 1];
    uint32_t count = self->shared.slice_count;
    assert(count > 0);
    if (!mx_chain_has_header(site.chain)) {
        store(link, self->shared.slices, count);
        return 0;
    }
    int err = mx_policy_content(&site, self->shared.slices, count, to, &count);
    if (err == 0)
        store(link, to, count);
    return err;
}

static int ask_hook(struct inprocess *self, struct link *link) {
    struct mx_policy_site site = site_of(self, link);
    if (link->session.hook == MX_HOOK_MESSAGE && mx_chain_has_header(site.chain) &&
        !link->session.is_failed) {
        struct mx_span text;
        int err = mx_policy_end_content(&site, &text);
        assert(err == 0 || err == MX_EREFUSED);
        store(link, &text, err == 0 && text.len > 0);
    }
    return mx_lone_host_ask(&self->policy, &site);
}
static const struct mx_session_tls tls = {
    .version = {"TLSv1.3",                7 },
    .cipher = {"TLS_AES_128_GCM_SHA256", 22},
};

/* True: go on stepping. */
static bool act(struct inprocess *self, struct link *link, enum mx_action action) {
    int result = 0;
    switch (action) {
    case MX_ACTION_INPUT:
        return false;
    case MX_ACTION_CLOSE:
        close_session(self, link);
        return false;
    case MX_ACTION_OUTPUT:
        assert(mx_out_room(&link->out) < MX_OUT_ROOM_MIN);
        flush(link);
        return true;
    case MX_ACTION_GROW:
        result = grow(link);
        break;
    case MX_ACTION_CLIENT:
        mx_service_know_client(&self->service, &link->session);
        break;
    case MX_ACTION_HOOK:
        result = ask_hook(self, link);
        break;
    case MX_ACTION_OPEN:
        result = open_message(link);
        break;
    case MX_ACTION_BODY:
        result = write_message(self, link);
        break;
    case MX_ACTION_COMMIT:
        result = commit_message(self, link);
        link->activity_ms = self->now_ms;
        break;
    case MX_ACTION_ABORT:
        result = abort_message(link);
        break;
    case MX_ACTION_TLS:
        assert(link->in.len == 0 || !link->session.is_tls);
        link->session.tls = &tls;
        break;
    case MX_ACTION_AUTH_BEGIN:
        release_auth(link, false); /* of an exchange before, in the same input */
        result = begin_auth(link);
        break;
    case MX_ACTION_AUTH:
        result = run_auth(self, link);
        break;
    case MX_ACTION_DELAY: /* of a failed login */
        self->now_ms += link->session.delay_ms;
        break;
    case MX_ACTION_NONE:
        abort(); /* never returned */
    }
    flush(link);
    mx_session_resume(&link->session, result, &link->out);
    return true;
}

/* As the engine does: what was a password is not there any more when it is wanted again. */
static void wipe(struct mx_span *secret) {
    if (secret->len > 0)
        memset((void *)(uintptr_t)secret->ptr, 'x', secret->len);
    *secret = (struct mx_span){0};
}

/* Step over what is there. */
static void run(struct inprocess *self, struct link *link) {
    struct mx_session *session = &link->session;
    size_t len = link->in.len;
    char *block = malloc(len > 0 ? len : 1);
    assert(block != NULL);
    if (len > 0)
        memcpy(block, link->in.ptr, len);
    if (mx_session_in_content(session))
        link->activity_ms = self->now_ms;
    uint64_t commands = self->shared.counters.commands;
    struct mx_span in = {block, len};
    enum mx_action action;
    do {
        action = mx_session_step(session, &in, &link->out);
        wipe(&self->shared.secret);
        assert(in.len <= len && in.ptr + in.len == block + len);
    } while (act(self, link, action));
    if (self->shared.counters.commands != commands)
        link->activity_ms = self->now_ms;
    link->in.len = 0;
    if (!link->has_closed)
        mx_text_put(&link->in, in.ptr, in.len);
    free(block);
    if (link->has_closed)
        return;
    flush(link);
    release_auth(link, false);
    struct mx_policy_site site = site_of(self, link);
    if (!mx_session_in_transaction(session)) {
        mx_policy_end_transaction(&site);
        free(session->envelope.base);
        session->envelope.base = NULL;
        session->envelope.cap = 0;
    }
}

/* ---- the driver ---- */

static bool connect_link(struct mx_driver *driver, unsigned index, const char *from,
                         struct mx_failure *failure) {
    struct inprocess *self = self_of(driver);
    struct link *link = &self->links[index];
    struct mx_ip peer;
    if (!mx_ip_parse(mx_span_of(from != NULL ? from : "127.0.0.1"), &peer))
        return mx_fail(failure, 0, "not an address: %s", from);
    *link = (struct link){.is_open = true, .activity_ms = self->now_ms, .opened_ms = self->now_ms};
    uint32_t cap = self->cut == 0 ? 16384 : MX_OUT_ROOM_MIN;
    link->out = (struct mx_out){.ptr = malloc(cap), .cap = cap};
    assert(link->out.ptr != NULL);
    mx_session_init(&link->session, &self->service.session_conf, &self->shared,
                    ++self->session_count);
    link->session.peer = peer;
    mx_service_know_client(&self->service, &link->session);
    if (self->service.server->tls.is_implicit) {
        link->session.is_tls = true;
        link->session.tls = &tls;
    }
    enum mx_action action = mx_session_greet(&link->session, &link->out);
    if (action == MX_ACTION_HOOK) {
        mx_session_resume(&link->session, ask_hook(self, link), &link->out);
        action = mx_session_greet(&link->session, &link->out);
    }
    assert(action == MX_ACTION_INPUT || action == MX_ACTION_CLOSE);
    flush(link);
    if (action == MX_ACTION_CLOSE)
        close_session(self, link);
    return true;
}

static void disconnect(struct mx_driver *driver, unsigned index, bool is_half) {
    struct inprocess *self = self_of(driver);
    struct link *link = &self->links[index];
    if (!link->is_open)
        return;
    if (!link->has_closed)
        close_session(self, link);
    if (is_half)
        return;
    free(link->out.ptr);
    free(link->in.ptr);
    free(link->replies.ptr);
    *link = (struct link){0};
}

static size_t random_below(struct inprocess *self, size_t limit) {
    self->random ^= self->random << 13;
    self->random ^= self->random >> 17;
    self->random ^= self->random << 5;
    return self->random % limit;
}

/* Octets of the next piece of a write, `done` octets after its begin. Random cuts: mostly short, so
 * that line ends are hit. Octet by octet: the inside of a very long write goes faster, because each
 * piece of a line copies the line. */
static size_t next_cut(struct inprocess *self, size_t done, size_t left) {
    enum { SLOW_OCTETS = 3000, FAST_OCTETS = 499 };
    if (self->cut == 0)
        return left;
    size_t len = 1;
    if (self->cut == 1 && done > SLOW_OCTETS && left > SLOW_OCTETS)
        len = FAST_OCTETS;
    if (self->cut > 1)
        len += random_below(self, random_below(self, 4) == 0 ? 1000 : 12);
    return len < left ? len : left;
}

static bool send_octets(struct mx_driver *driver, unsigned index, struct mx_span octets,
                        struct mx_failure *failure) {
    struct inprocess *self = self_of(driver);
    struct link *link = &self->links[index];
    if (link->has_closed)
        return mx_fail(failure, 0, "the server has closed");
    for (size_t done = 0; octets.len > 0 && !link->has_closed;) {
        size_t len = next_cut(self, done, octets.len);
        done += len;
        mx_text_put(&link->in, octets.ptr, len);
        octets = mx_span_skip(octets, len);
        run(self, link);
    }
    return true;
}

/* The filter is the engine's: here the octets inside are those outside. */
static bool start_tls(struct mx_driver *driver, unsigned index, struct mx_failure *failure) {
    struct link *link = &self_of(driver)->links[index];
    return link->session.is_tls || mx_fail(failure, 0, "the server is not ready for TLS");
}

static enum mx_read read_octets(struct mx_driver *driver, unsigned index, struct mx_text *to,
                                uint32_t timeout_ms) {
    (void)timeout_ms;
    struct link *link = &self_of(driver)->links[index];
    if (link->replies.len > 0) {
        mx_text_put(to, link->replies.ptr, link->replies.len);
        link->replies.len = 0;
        return MX_READ_MORE;
    }
    return link->has_closed ? MX_READ_CLOSED : MX_READ_NOTHING;
}

static void wait_ms(struct mx_driver *driver, uint32_t ms) {
    struct inprocess *self = self_of(driver);
    self->now_ms += ms;
    self->shared.now_s = FIRST_SECOND + (int64_t)(self->now_ms / 1000);
    const struct mx_conf_server *server = self->service.server;
    for (struct link *link = self->links; link < self->links + MX_LINKS_MAX; link++) {
        if (!link->is_open || link->has_closed)
            continue;
        uint32_t lifespan = self->service.session_conf.max_lifespan_ms;
        if (lifespan > 0 && self->now_ms >= link->opened_ms + lifespan) {
            close_session(self, link);
            continue;
        }
        uint32_t limit = mx_session_in_content(&link->session) ? server->data_timeout_ms
                                                               : server->connection_timeout_ms;
        if (limit == 0 || self->now_ms < link->activity_ms + limit)
            continue;
        mx_session_farewell(&link->session, MX_FAREWELL_TIMEOUT, &link->out);
        close_session(self, link);
    }
}

static const struct mx_text *stored(struct mx_driver *driver, size_t *count) {
    struct inprocess *self = self_of(driver);
    *count = self->stored_count;
    return self->stored;
}

struct mx_driver *mx_inprocess_new(void) {
    struct inprocess *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->driver = (struct mx_driver){
        .name = "in-process",
        .begin = begin,
        .connect = connect_link,
        .disconnect = disconnect,
        .send = send_octets,
        .start_tls = start_tls,
        .read = read_octets,
        .wait = wait_ms,
        .stored = stored,
        .end = end,
    };
    return &self->driver;
}

void mx_inprocess_cut(struct mx_driver *driver, uint32_t cut) {
    self_of(driver)->cut = cut;
}

void mx_inprocess_free(struct mx_driver *driver) {
    free(driver);
}
