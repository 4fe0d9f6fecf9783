#include "proto/spf.h"

#include "proto/spf_impl.h"

#include <assert.h>

enum { EXPANDED_MAX = 1024 }; /* octets of a name before it is cut to what DNS takes */

enum state {
    STATE_DONE,
    STATE_RECORD,       /* TXT of a domain */
    STATE_ADDRESS,      /* a */
    STATE_MX,           /* mx */
    STATE_MX_ADDRESS,   /* ... and of each of its hosts */
    STATE_EXISTS,       /* exists */
    STATE_NAMES,        /* PTR of the client */
    STATE_NAME_ADDRESS, /* ... and of each of its names */
    STATE_EXPLANATION,  /* TXT of exp */
};

/* Who wants to know what the client is called. */
enum wants { WANTS_TERM, WANTS_REDIRECT, WANTS_EXPLANATION };

static enum mx_spf_step run(struct mx_spf *self);
static enum mx_spf_step run_out(struct mx_spf *self);
static enum mx_spf_step decide(struct mx_spf *self, enum mx_spf_result result);
static enum mx_spf_step fail(struct mx_spf *self);

const char *mx_spf_result_name(enum mx_spf_result result) {
    static const char *const names[MX_SPF_RESULT_COUNT] = {
        "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"};
    return names[result];
}

struct mx_span mx_spf_domain(const struct mx_spf_client *client) {
    struct mx_span sender = client->sender;
    const char *at = sender.len > 0 ? memrchr(sender.ptr, '@', sender.len) : NULL;
    if (sender.len == 0)
        return client->helo;
    return at != NULL ? mx_span_skip(sender, (size_t)(at + 1 - sender.ptr)) : sender;
}

/* ---- room ---- */

static struct mx_spf_level *top(struct mx_spf *self) {
    assert(self->level_count > 0);
    return &self->levels[self->level_count - 1];
}

static struct mx_span domain_of(const struct mx_spf *self, const struct mx_spf_level *level) {
    return (struct mx_span){self->room + level->domain_at, level->domain_len};
}

static struct mx_span record_of(const struct mx_spf *self, const struct mx_spf_level *level) {
    return (struct mx_span){self->room + level->record_at, level->record_len};
}

/* Where it lies now; MX_SPF_ROOM: there is no room. */
static uint16_t keep(struct mx_spf *self, struct mx_span text) {
    uint16_t at = self->used;
    if (text.len > (size_t)(MX_SPF_ROOM - self->used))
        return MX_SPF_ROOM;
    if (text.len > 0)
        memmove(self->room + at, text.ptr, text.len);
    self->used = (uint16_t)(self->used + text.len);
    return at;
}

/* ---- the end ---- */

static enum mx_spf_step finish(struct mx_spf *self, enum mx_spf_result result) {
    self->result = (uint8_t)result;
    self->state = STATE_DONE;
    return MX_SPF_DONE;
}

static enum mx_spf_step ask(struct mx_spf *self, enum state state, enum mx_dns_type type) {
    self->state = (uint8_t)state;
    self->ask_type = type;
    self->ask_prefix = state == STATE_RECORD ? MX_SPAN("v=spf1") : (struct mx_span){NULL, 0};
    return MX_SPF_ASK;
}

static enum mx_dns_type address_type(const struct mx_spf *self) {
    return self->client.ip.family == 4 ? MX_DNS_A : MX_DNS_AAAA;
}

/* Make the name the next question. False: it cannot be asked. */
static bool set_name(struct mx_spf *self, struct mx_span name) {
    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    while (name.len > MX_DNS_NAME_MAX) { /* RFC 7208 7.3: labels go from the left */
        const char *dot = memchr(name.ptr, '.', name.len);
        if (dot == NULL)
            return false;
        name = mx_span_skip(name, (size_t)(dot + 1 - name.ptr));
    }
    if (!mx_dns_is_name(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        self->ask_name[i] = mx_ascii_lower(name.ptr[i]);
    self->ask_name[name.len] = '\0';
    self->ask_len = name.len;
    return true;
}

/* The domain that a term is about: its own, or that of its record. */
static bool set_target(struct mx_spf *self, struct mx_span domain) {
    char text[EXPANDED_MAX];
    size_t len = 0;
    struct mx_span own = domain_of(self, top(self));
    if (domain.len == 0)
        return set_name(self, own);
    int err = mx_spf_expand(self, own, domain, text, sizeof text, &len);
    return err == 0 && set_name(self, (struct mx_span){text, len});
}

/* ---- records ---- */

/* A domain that could have a record: a name of two labels at least (RFC 7208 4.3). */
static bool is_domain(struct mx_span name) {
    return mx_dns_is_name(name) && memchr(name.ptr, '.', name.len) != NULL;
}

/* The record of the name to be asked, at a new level or instead of the one at the top. */
static enum mx_spf_step enter(struct mx_spf *self, bool is_redirect) {
    struct mx_span name = {self->ask_name, self->ask_len};
    if (is_redirect)
        self->used = top(self)->base;
    else
        self->level_count++;
    assert(self->level_count <= MX_SPF_LEVELS_MAX);
    struct mx_spf_level *level = top(self);
    *level = (struct mx_spf_level){.base = self->used, .is_redirected = is_redirect};
    level->domain_at = keep(self, name);
    level->domain_len = (uint16_t)name.len;
    if (level->domain_at == MX_SPF_ROOM)
        return finish(self, MX_SPF_PERMERROR);
    if (!is_domain(name))
        return decide(self, MX_SPF_NONE);
    return ask(self, STATE_RECORD, MX_DNS_TXT);
}

static enum mx_spf_step on_record(struct mx_spf *self, const struct mx_dns_answer *answer) {
    struct mx_spf_level *level = top(self);
    struct mx_span found = {NULL, 0};
    struct mx_dns_record record;
    unsigned count = 0;
    if (!mx_dns_is_certain(answer))
        return finish(self,
                      answer->status == MX_DNS_TOO_LARGE ? MX_SPF_PERMERROR : MX_SPF_TEMPERROR);
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        if (!mx_spf_is_record(record.data))
            continue;
        found = record.data;
        count++;
    }
    if (count != 1)
        return decide(self, count == 0 ? MX_SPF_NONE : MX_SPF_PERMERROR);
    found = mx_span_skip(found, 6);
    level->record_at = keep(self, found);
    level->record_len = (uint16_t)found.len;
    if (level->record_at == MX_SPF_ROOM || !mx_spf_record_is_good(found))
        return decide(self, MX_SPF_PERMERROR);
    return run(self);
}

/* ---- terms ---- */

static struct mx_spf_term term_of(const struct mx_spf *self, const struct mx_spf_level *level) {
    struct mx_span rest = mx_span_skip(record_of(self, level), level->term);
    struct mx_spf_term term;
    int err = mx_spf_term_next(&rest, &term);
    assert(err == 0);
    return term;
}

/* The term that was asked about matches, or not. */
static enum mx_spf_step matched(struct mx_spf *self, bool is_match) {
    if (is_match)
        return decide(self, (enum mx_spf_result)top(self)->qualifier);
    return run(self);
}

/* True: the answer decides: nobody can say, or there were too many in vain. */
static bool is_void(struct mx_spf *self, const struct mx_dns_answer *answer,
                    enum mx_spf_step *step) {
    bool is_empty = answer->status == MX_DNS_NODATA || answer->status == MX_DNS_NXDOMAIN;
    if (answer->status == MX_DNS_TOO_LARGE) {
        *step = finish(self, MX_SPF_PERMERROR);
        return true;
    }
    if (!mx_dns_is_certain(answer)) {
        *step = finish(self, MX_SPF_TEMPERROR);
        return true;
    }
    if (is_empty && ++self->void_count > MX_SPF_VOIDS_MAX) {
        *step = finish(self, MX_SPF_PERMERROR);
        return true;
    }
    return false;
}

static enum mx_spf_step on_address(struct mx_spf *self, const struct mx_dns_answer *answer) {
    struct mx_spf_term term = term_of(self, top(self));
    enum mx_spf_step step;
    if (is_void(self, answer, &step))
        return step;
    return matched(self, mx_spf_is_one_of(&self->client.ip, answer, &term));
}

static enum mx_spf_step on_exists(struct mx_spf *self, const struct mx_dns_answer *answer) {
    enum mx_spf_step step;
    if (is_void(self, answer, &step))
        return step;
    return matched(self, answer->count > 0);
}

/* ---- hosts of MX, names of the client: each has addresses ---- */

/* Keep the names, with a blank behind each, at most MX_SPF_TERMS_MAX. False: there is no room. */
static bool keep_names(struct mx_spf *self, const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    unsigned count = 0;
    self->names_at = self->used;
    for (size_t cursor = 0; count < MX_SPF_TERMS_MAX && mx_dns_next(answer, &cursor, &record);
         count++) {
        if (record.data.len > 0 &&
            (keep(self, record.data) == MX_SPF_ROOM || keep(self, MX_SPAN(" ")) == MX_SPF_ROOM))
            return false;
    }
    self->names_end = self->used;
    self->used = self->names_at; /* nothing else is kept before they are used up */
    return true;
}

/* Ask for the next one. False: there is none. */
static bool ask_next_name(struct mx_spf *self, enum state state, enum mx_spf_step *step) {
    while (self->names_at < self->names_end) {
        const char *begin = self->room + self->names_at;
        const char *blank = memchr(begin, ' ', (size_t)(self->names_end - self->names_at));
        assert(blank != NULL);
        struct mx_span name = {begin, (size_t)(blank - begin)};
        self->names_at = (uint16_t)(self->names_at + name.len + 1);
        if (!set_name(self, name))
            continue;
        *step = ask(self, state, address_type(self));
        return true;
    }
    return false;
}

static enum mx_spf_step on_mx(struct mx_spf *self, const struct mx_dns_answer *answer) {
    enum mx_spf_step step;
    if (is_void(self, answer, &step))
        return step;
    if (answer->count > MX_SPF_TERMS_MAX || !keep_names(self, answer))
        return finish(self, MX_SPF_PERMERROR);
    return ask_next_name(self, STATE_MX_ADDRESS, &step) ? step : matched(self, false);
}

static enum mx_spf_step on_mx_address(struct mx_spf *self, const struct mx_dns_answer *answer) {
    struct mx_spf_term term = term_of(self, top(self));
    enum mx_spf_step step;
    if (!mx_dns_is_certain(answer))
        return finish(self, MX_SPF_TEMPERROR);
    if (mx_spf_is_one_of(&self->client.ip, answer, &term))
        return matched(self, true);
    return ask_next_name(self, STATE_MX_ADDRESS, &step) ? step : matched(self, false);
}

/* What the client is called is known: whoever wanted to know goes on. */
static enum mx_spf_step know_names(struct mx_spf *self) {
    self->knows_names = true;
    switch ((enum wants)self->wants) {
    case WANTS_REDIRECT:
        return run_out(self);
    case WANTS_EXPLANATION:
        return fail(self);
    case WANTS_TERM:
        break;
    }
    top(self)->next = top(self)->term;
    return run(self);
}

/* RFC 7208 5.5: an error is no match. */
static enum mx_spf_step on_names(struct mx_spf *self, const struct mx_dns_answer *answer) {
    enum mx_spf_step step;
    if (!keep_names(self, answer))
        self->used = self->names_end = self->names_at;
    return ask_next_name(self, STATE_NAME_ADDRESS, &step) ? step : know_names(self);
}

static enum mx_spf_step on_name_address(struct mx_spf *self, const struct mx_dns_answer *answer) {
    static const struct mx_spf_term whole = {.prefix4 = 32, .prefix6 = 128};
    enum mx_spf_step step;
    if (mx_spf_is_one_of(&self->client.ip, answer, &whole) &&
        self->ask_len + 1 <= sizeof self->validated - self->validated_len) {
        memcpy(self->validated + self->validated_len, self->ask_name, self->ask_len);
        self->validated[self->validated_len + self->ask_len] = ' ';
        self->validated_len = (uint16_t)(self->validated_len + self->ask_len + 1);
    }
    return ask_next_name(self, STATE_NAME_ADDRESS, &step) ? step : know_names(self);
}

/* ---- the way through a record ---- */

/* A mechanism that asks, or redirect; its target is set. */
static enum mx_spf_step begin_term(struct mx_spf *self, const struct mx_spf_term *term,
                                   bool has_target) {
    if (term->kind == MX_SPF_INCLUDE || term->kind == MX_SPF_REDIRECT) {
        if (!has_target) /* no domain, no record */
            return finish(self, MX_SPF_PERMERROR);
        return enter(self, term->kind == MX_SPF_REDIRECT);
    }
    if (term->kind == MX_SPF_PTR) {
        struct mx_span target = {self->ask_name, self->ask_len};
        return matched(self, has_target && mx_spf_is_validated(self, target));
    }
    if (!has_target)
        return matched(self, false);
    if (term->kind == MX_SPF_EXISTS)
        return ask(self, STATE_EXISTS, MX_DNS_A);
    if (term->kind == MX_SPF_MX)
        return ask(self, STATE_MX, MX_DNS_MX);
    return ask(self, STATE_ADDRESS, address_type(self));
}

static bool needs_names(const struct mx_spf *self, const struct mx_spf_term *term) {
    return !self->knows_names &&
           (term->kind == MX_SPF_PTR || mx_spf_macro_needs_name(term->domain));
}

static enum mx_spf_step ask_names(struct mx_spf *self, enum wants wants) {
    char name[MX_DNS_NAME_MAX + 1];
    bool is_set = set_name(self, (struct mx_span){name, mx_dns_ptr_name(&self->client.ip, name)});
    assert(is_set);
    self->wants = (uint8_t)wants;
    return ask(self, STATE_NAMES, MX_DNS_PTR);
}

static enum mx_spf_step do_term(struct mx_spf *self, const struct mx_spf_term *term) {
    if (needs_names(self, term))
        return ask_names(self, term->kind == MX_SPF_REDIRECT ? WANTS_REDIRECT : WANTS_TERM);
    if (++self->term_count > MX_SPF_TERMS_MAX)
        return finish(self, MX_SPF_PERMERROR);
    return begin_term(self, term, set_target(self, term->domain));
}

/* A modifier of the record at the top. False: it has none; else level->term is its place. */
static bool find_modifier(struct mx_spf *self, enum mx_spf_kind kind, struct mx_spf_term *term) {
    struct mx_spf_level *level = top(self);
    struct mx_span record = record_of(self, level), rest = record;
    for (;;) {
        size_t at = record.len - rest.len;
        if (mx_spf_term_next(&rest, term) < 0)
            return false;
        if (term->kind != kind)
            continue;
        level->term = (uint16_t)at;
        return true;
    }
}

/* No mechanism matched. */
static enum mx_spf_step run_out(struct mx_spf *self) {
    struct mx_spf_term term;
    if (!find_modifier(self, MX_SPF_REDIRECT, &term))
        return decide(self, MX_SPF_NEUTRAL);
    return do_term(self, &term);
}

static enum mx_spf_step run(struct mx_spf *self) {
    for (;;) {
        struct mx_spf_level *level = top(self);
        struct mx_span record = record_of(self, level);
        struct mx_span rest = mx_span_skip(record, level->next);
        struct mx_spf_term term;
        uint16_t at = level->next;
        if (mx_spf_term_next(&rest, &term) < 0)
            return run_out(self);
        level->next = (uint16_t)(record.len - rest.len);
        if (term.kind == MX_SPF_REDIRECT || term.kind == MX_SPF_EXP || term.kind == MX_SPF_OTHER)
            continue;
        level->term = at;
        level->qualifier = (uint8_t)term.qualifier;
        if (mx_spf_asks_dns(term.kind))
            return do_term(self, &term);
        if (mx_spf_is_literal_match(&self->client.ip, &term))
            return decide(self, term.qualifier);
    }
}

/* ---- results ---- */

/* exp of the record that decided; it is not asked about when there is none (RFC 7208 6.2). */
static enum mx_spf_step fail(struct mx_spf *self) {
    struct mx_spf_term term;
    self->result = MX_SPF_FAIL;
    if (!find_modifier(self, MX_SPF_EXP, &term))
        return finish(self, MX_SPF_FAIL);
    if (needs_names(self, &term))
        return ask_names(self, WANTS_EXPLANATION);
    if (!set_target(self, term.domain))
        return finish(self, MX_SPF_FAIL);
    return ask(self, STATE_EXPLANATION, MX_DNS_TXT);
}

/* The record at the top has this result: it is that of all, or answers an include. */
static enum mx_spf_step decide(struct mx_spf *self, enum mx_spf_result result) {
    if (self->level_count == 1) {
        bool is_error = result == MX_SPF_NONE && top(self)->is_redirected;
        if (result == MX_SPF_FAIL)
            return fail(self);
        return finish(self, is_error ? MX_SPF_PERMERROR : result);
    }
    self->used = top(self)->base;
    self->level_count--;
    switch (result) {
    case MX_SPF_PASS:
        return matched(self, true);
    case MX_SPF_FAIL:
    case MX_SPF_SOFTFAIL:
    case MX_SPF_NEUTRAL:
        return matched(self, false);
    case MX_SPF_TEMPERROR:
        return finish(self, MX_SPF_TEMPERROR);
    case MX_SPF_NONE:
    case MX_SPF_PERMERROR:
    case MX_SPF_RESULT_COUNT:
        break;
    }
    return finish(self, MX_SPF_PERMERROR);
}

static enum mx_spf_step on_explanation(struct mx_spf *self, const struct mx_dns_answer *answer) {
    struct mx_dns_record record;
    size_t cursor = 0, len = 0;
    if (answer->count != 1 || !mx_dns_next(answer, &cursor, &record) ||
        !mx_spf_macro_is_good(record.data, true))
        return finish(self, MX_SPF_FAIL);
    int err = mx_spf_expand(self, domain_of(self, top(self)), record.data, self->explanation,
                            sizeof self->explanation, &len);
    for (size_t i = 0; i < len && err == 0; i++) /* the client's own octets, by macros */
        err = self->explanation[i] < 0x20 || self->explanation[i] == 0x7f ? MX_ESYNTAX : 0;
    self->explanation_len = err == 0 ? len : 0;
    return finish(self, MX_SPF_FAIL);
}

/* ---- in and out ---- */

enum mx_spf_step mx_spf_begin(struct mx_spf *self, const struct mx_spf_client *client) {
    struct mx_span domain = mx_spf_domain(client);
    assert(client->ip.family == 4 || client->ip.family == 6);
    memset(self, 0, offsetof(struct mx_spf, explanation));
    self->client = *client;
    if (domain.len > MX_DNS_NAME_MAX || !set_name(self, domain) || !is_domain(domain))
        return finish(self, MX_SPF_NONE);
    return enter(self, false);
}

enum mx_spf_step mx_spf_answer(struct mx_spf *self, const struct mx_dns_answer *answer) {
    switch ((enum state)self->state) {
    case STATE_RECORD:
        return on_record(self, answer);
    case STATE_ADDRESS:
        return on_address(self, answer);
    case STATE_MX:
        return on_mx(self, answer);
    case STATE_MX_ADDRESS:
        return on_mx_address(self, answer);
    case STATE_EXISTS:
        return on_exists(self, answer);
    case STATE_NAMES:
        return on_names(self, answer);
    case STATE_NAME_ADDRESS:
        return on_name_address(self, answer);
    case STATE_EXPLANATION:
        return on_explanation(self, answer);
    case STATE_DONE:
        break;
    }
    assert(false && "it has asked nothing");
    return MX_SPF_DONE;
}
