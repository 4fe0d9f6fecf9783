/* client.c - the dialogue of one session. */
#include "bench/mxload/client_impl.h"
#include "bench/mxload/secure.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- fates ---- */

static void keep_text(struct mx_client *self, int code, struct mx_span text) {
    self->code = code;
    self->text_len = (uint32_t)(text.len < sizeof self->text ? text.len : sizeof self->text);
    memcpy(self->text, text.ptr, self->text_len);
}

/* The first trouble ends the run, unless -A was given. */
static void trouble(struct mx_load *load, struct mx_span text) {
    struct mx_shared *shared = load->shared;
    if (load->plan->keeps_going || atomic_exchange(&shared->has_reason, true))
        return;
    size_t len = text.len < sizeof shared->reason - 1 ? text.len : sizeof shared->reason - 1;
    memcpy(shared->reason, text.ptr, len);
    atomic_store(&shared->is_stopping, true);
}

/* A reply that refuses something. The first one of a message decides: others may only follow from
 * it, as 503 does. */
static void refused(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    if (self->code == 0)
        keep_text(self, code, text);
    trouble(load, text);
}

static void finish(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    struct mx_counts *counts = &load->counts;
    assert(self->has_message);
    self->has_message = false;
    load->last_ns = load->now_ns;
    if (mx_answer_is_good(code)) {
        counts->accepted++;
        counts->octets += self->octets;
        counts->recipients += self->rcpts_taken;
        mx_histogram_record(&load->phases[MX_PHASE_MESSAGE], load->now_ns - self->began_ns);
    } else if (code >= 400 && code < 500) {
        counts->refused_4xx++;
    } else if (code >= 500) {
        counts->refused_5xx++;
    } else {
        counts->unknown++;
    }
    uint64_t when_ns = load->plan->has_ledger_times ? load->clock_ns() : 0;
    mx_ledger_put(&load->ledger, load->plan->run, self->id.seq, code, when_ns, text);
}

/* The message is over because of what was refused. */
static void finish_refused(struct mx_load *load, struct mx_client *self) {
    finish(load, self, self->code, (struct mx_span){self->text, self->text_len});
}

/* ---- the end of a connection ---- */

/* Something went wrong with the connection, in the middle of it. */
void mx_client_drop(struct mx_load *load, struct mx_client *self, const char *why) {
    struct mx_span text = mx_span_of(why);
    bool is_early = self->stage >= MX_STAGE_CONNECT && self->stage <= MX_STAGE_AUTH;
    if (is_early)
        load->counts.connections_failed++;
    else
        load->counts.connections_lost++;
    /* Whoever loses a message to it connects again at once: that ends with the messages. */
    if (is_early || !self->has_message)
        self->failures++;
    if (self->has_message)
        finish(load, self, 0, text);
    trouble(load, text);
    mx_load_close(load, self);
}

void mx_client_lost(struct mx_load *load, struct mx_client *self, int err) {
    if (self->stage == MX_STAGE_QUIT || self->stage == MX_STAGE_LINGER) {
        mx_load_close(load, self);
        return;
    }
    bool is_refused = err == -ECONNREFUSED || err == -ECONNRESET;
    if (self->stage == MX_STAGE_CONNECT && is_refused &&
        self->failures + 1 < load->plan->connect_tries) { /* -C: it keeps its message */
        load->counts.connections_failed++;
        self->failures++;
        mx_load_close(load, self);
        return;
    }
    const char *why = err < 0 ? strerrordesc_np(-err) : "connection closed by the server";
    mx_client_drop(load, self, why != NULL ? why : "connection failed");
}

void mx_client_abandon(struct mx_load *load, struct mx_client *self) {
    if (self->has_message)
        finish(load, self, 0, MX_SPAN("interrupted"));
}

/* ---- speaking ---- */

void mx_client_expect(struct mx_load *load, struct mx_client *self, enum mx_stage stage,
                      uint32_t answers) {
    self->stage = stage;
    self->answers = answers;
    self->said_ns = load->clock_ns();
    self->deadline_ms = load->now_ms + (uint64_t)(load->plan->timeout_s * 1e3);
    if (!mx_timer_is_set(&self->timer))
        mx_timer_set(&load->wheel, &self->timer, self->deadline_ms);
}

/* Say what is in self->parts and wait for so many replies. */
static void speak(struct mx_load *load, struct mx_client *self, enum mx_stage stage,
                  uint32_t answers) {
    mx_client_expect(load, self, stage, answers);
    mx_load_send(load, self);
}

/* What was said before is not in the kernel any more, or sealed and so not ours. */
static bool may_speak(struct mx_load *load, struct mx_client *self) {
    bool is_saying = self->is_secure ? mx_secure_has_parts(self) : self->has_send;
    if (is_saying)
        mx_client_drop(load, self, "a reply came before its command was sent");
    return !is_saying;
}

void mx_client_say(struct mx_load *load, struct mx_client *self, enum mx_stage stage,
                   struct mx_span text, uint32_t answers) {
    if (!may_speak(load, self))
        return;
    self->parts[0] = text;
    self->part_count = 1;
    speak(load, self, stage, answers);
}

static void say_quit(struct mx_load *load, struct mx_client *self) {
    mx_client_say(load, self, MX_STAGE_QUIT, MX_SPAN("QUIT\r\n"), 1);
    if (self->stage == MX_STAGE_QUIT)
        mx_load_wake(load, self, MX_CLIENT_QUIT_MS);
}

/* How many replies come to the message. */
static uint32_t finals(const struct mx_load *load, const struct mx_client *self) {
    return load->plan->is_lmtp && self->rcpts_taken > 0 ? self->rcpts_taken : 1;
}

static void say_message(struct mx_load *load, struct mx_client *self) {
    if (!may_speak(load, self))
        return;
    self->code = 0; /* what was said of recipients does not decide the message's fate */
    self->part_count =
        (uint8_t)mx_mail_message(load->kit, &self->draft, &self->id, self->parts, &self->octets);
    speak(load, self, MX_STAGE_FINAL, finals(load, self));
}

static void begin_message(struct mx_load *load, struct mx_client *self) {
    const struct mx_plan *plan = load->plan;
    if (!plan->is_pipelined) {
        mx_client_say(load, self, MX_STAGE_MAIL, load->kit->mail, 1);
        return;
    }
    if (!may_speak(load, self))
        return;
    struct mx_span group = mx_mail_group(load->kit, &self->draft, &self->id);
    if (!plan->is_bdat) {
        mx_client_say(load, self, MX_STAGE_GROUP, group, self->id.recipients + 2);
        return;
    }
    self->part_count =
        (uint8_t)mx_mail_message(load->kit, &self->draft, &self->id, self->parts, &self->octets);
    speak(load, self, MX_STAGE_GROUP, self->id.recipients + 1);
}

static void go_idle(struct mx_load *load, struct mx_client *self) {
    self->stage = MX_STAGE_IDLE;
    if (!self->is_idle_listed) {
        self->is_idle_listed = true;
        load->idle[load->idle_count++] = (uint32_t)(self - load->clients);
    }
}

static void go_away(struct mx_load *load, struct mx_client *self) {
    if (self->fd >= 0) {
        say_quit(load, self);
        return;
    }
    self->stage = MX_STAGE_GONE;
    load->live_count--;
    mx_timer_clear(&load->wheel, &self->timer);
}

void mx_client_go(struct mx_load *load, struct mx_client *self) {
    if (self->has_message) { /* another try: it has one already */
        mx_load_open(load, self);
        return;
    }
    if (self->fd < 0 && load->plan->keeps_open && !mx_schedule_is_over(load)) {
        mx_load_open(load, self);
        return;
    }
    switch (mx_schedule_take(load, self)) {
    case MX_NEXT_TAKEN:
        if (self->fd >= 0)
            begin_message(load, self);
        else
            mx_load_open(load, self);
        break;
    case MX_NEXT_NOT_DUE:
        go_idle(load, self);
        break;
    case MX_NEXT_NONE:
        go_away(load, self);
        break;
    }
}

/* -w and -R; then mx_client_go. */
static void pause_or_go(struct mx_load *load, struct mx_client *self) {
    double wait_s = load->plan->wait_s;
    if (load->plan->wait_random_s > 0) {
        struct mx_range range = {0, (uint64_t)(load->plan->wait_random_s * 1e6)};
        wait_s += 1e-6 * (double)mx_plan_draw(range, &load->random);
    }
    if (wait_s > 0 && !mx_schedule_is_over(load)) {
        self->stage = MX_STAGE_PAUSE;
        mx_load_wake(load, self, (uint64_t)(wait_s * 1e3));
    } else {
        mx_client_go(load, self);
    }
}

static void after_message(struct mx_load *load, struct mx_client *self) {
    self->failures = 0;
    if (load->plan->keeps_open)
        pause_or_go(load, self);
    else
        say_quit(load, self);
}

/* ---- hearing: one function a stage, called for each reply ---- */

void mx_client_unwanted(struct mx_load *load, struct mx_client *self, int code,
                        struct mx_span text) {
    refused(load, self, code, text);
    load->counts.connections_failed++;
    if (self->has_message)
        finish_refused(load, self);
    self->failures++;
    mx_load_close(load, self);
}

void mx_client_ready(struct mx_load *load, struct mx_client *self) {
    mx_schedule_ready(load);
    if (self->has_message)
        begin_message(load, self);
    else
        mx_client_go(load, self);
}

static void say_reset(struct mx_load *load, struct mx_client *self) {
    finish_refused(load, self);
    if (load->plan->keeps_open)
        mx_client_say(load, self, MX_STAGE_RESET, MX_SPAN("RSET\r\n"), 1);
    else
        say_quit(load, self);
}

static void say_rcpt(struct mx_load *load, struct mx_client *self, uint32_t index) {
    if (!may_speak(load, self))
        return;
    mx_client_say(load, self, MX_STAGE_RCPT,
                  mx_mail_rcpt(load->kit, &self->draft, &self->id, index),
                  self->id.recipients - index);
}

static void on_mail(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    if (mx_answer_is_good(code)) {
        say_rcpt(load, self, 0);
        return;
    }
    refused(load, self, code, text);
    finish_refused(load, self);
    after_message(load, self);
}

static void count_rcpt(struct mx_load *load, struct mx_client *self, int code,
                       struct mx_span text) {
    if (mx_answer_is_good(code)) {
        self->rcpts_taken++;
    } else {
        load->counts.recipients_refused++;
        refused(load, self, code, text);
    }
}

/* Lockstep: self->answers counts the recipients that are left. */
static void on_rcpt(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    count_rcpt(load, self, code, text);
    if (self->answers > 0)
        say_rcpt(load, self, self->id.recipients - self->answers);
    else if (self->rcpts_taken == 0)
        say_reset(load, self);
    else if (load->plan->is_bdat)
        say_message(load, self);
    else
        mx_client_say(load, self, MX_STAGE_DATA, MX_SPAN("DATA\r\n"), 1);
}

static void on_data(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    if (code == 354 && self->rcpts_taken > 0) {
        say_message(load, self);
    } else if (code == 354) {
        self->octets = 0; /* nobody is left to send it to: RFC 2920 3.1 */
        mx_client_say(load, self, MX_STAGE_FINAL, MX_SPAN(".\r\n"), 1);
    } else {
        refused(load, self, code < 400 ? 0 : code, text);
        if (self->code == 0)
            mx_client_drop(load, self, "the reply to DATA is neither 354 nor a refusal");
        else
            say_reset(load, self);
    }
}

static void on_group(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    uint32_t last = load->plan->is_bdat ? 0 : 1;
    if (self->answers == self->id.recipients + last) { /* the first reply */
        if (!mx_answer_is_good(code))
            refused(load, self, code, text);
    } else if (self->answers >= last) {
        count_rcpt(load, self, code, text);
    }
    if (self->answers > 0)
        return;
    if (!load->plan->is_bdat) {
        on_data(load, self, code, text);
    } else { /* the message is under way already */
        self->stage = MX_STAGE_FINAL;
        self->answers = finals(load, self);
        if (self->rcpts_taken > 0)
            self->code = 0;
    }
}

static void on_final(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    if (!mx_answer_is_good(code)) {
        /* LMTP: each recipient has a reply of its own, and the worst one decides. */
        if (self->rcpts_taken > 0 && code / 100 > self->code / 100)
            self->code = 0;
        refused(load, self, code, text);
    }
    if (self->answers > 0)
        return;
    if (self->rcpts_taken == 0) {
        if (self->code == 0)
            keep_text(self, 554, MX_SPAN("no recipient was accepted"));
        say_reset(load, self);
        return;
    }
    if (self->code == 0)
        finish(load, self, code, text);
    else
        finish_refused(load, self);
    after_message(load, self);
}

static void on_reset(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    (void)text;
    if (mx_answer_is_good(code))
        after_message(load, self);
    else
        mx_client_drop(load, self, "RSET was refused");
}

static void on_quit(struct mx_load *load, struct mx_client *self, int code, struct mx_span text) {
    (void)code;
    (void)text;
    self->stage = MX_STAGE_LINGER;
    mx_load_wake(load, self, MX_CLIENT_LINGER_MS);
}

/* clang-format off */
static const struct {
    mx_answer_fn *run;
    enum mx_phase phase; /* COUNT: not measured */
} stages[MX_STAGE_COUNT] = {
    [MX_STAGE_BANNER]   = {mx_opening_banner,   MX_PHASE_BANNER},
    [MX_STAGE_HELLO]    = {mx_opening_hello,    MX_PHASE_HELLO},
    [MX_STAGE_STARTTLS] = {mx_opening_starttls, MX_PHASE_STARTTLS},
    [MX_STAGE_AUTH]     = {mx_opening_auth,     MX_PHASE_AUTH},
    [MX_STAGE_MAIL]   = {on_mail,   MX_PHASE_MAIL},
    [MX_STAGE_RCPT]   = {on_rcpt,   MX_PHASE_RCPT},
    [MX_STAGE_DATA]   = {on_data,   MX_PHASE_DATA},
    [MX_STAGE_GROUP]  = {on_group,  MX_PHASE_GROUP},
    [MX_STAGE_FINAL]  = {on_final,  MX_PHASE_FINAL},
    [MX_STAGE_RESET]  = {on_reset,  MX_PHASE_COUNT},
    [MX_STAGE_QUIT]   = {on_quit,   MX_PHASE_COUNT},
};
/* clang-format on */

/* Of a group the last reply is measured, of single commands each. */
static void measure(struct mx_load *load, const struct mx_client *self) {
    enum mx_phase phase = stages[self->stage].phase;
    bool is_several = self->stage == MX_STAGE_GROUP || self->stage == MX_STAGE_FINAL;
    if (phase == MX_PHASE_COUNT || (is_several && self->answers > 0))
        return;
    uint64_t took_ns = load->now_ns > self->said_ns ? load->now_ns - self->said_ns : 0;
    mx_histogram_record(&load->phases[phase], took_ns);
    if (self->stage != MX_STAGE_GROUP || !load->plan->is_bdat) /* else it ends with FINAL */
        load->waited_ns += took_ns;
}

void mx_client_heard(struct mx_load *load, struct mx_client *self, struct mx_span in) {
    while (in.len > 0 && self->stage != MX_STAGE_CLOSING && self->stage != MX_STAGE_LINGER) {
        struct mx_span text;
        int code = mx_answer_take(&self->answer, &in, &text);
        if (code == MX_EPARTIAL)
            return;
        if (code >= 400)
            load->counts.codes[code]++;
        if (code < 0 || stages[self->stage].run == NULL) {
            mx_client_drop(load, self, code < 0 ? "this is no reply" : "a reply to nothing");
            return;
        }
        self->answers--;
        measure(load, self);
        bool was_secure = self->is_secure;
        stages[self->stage].run(load, self, code, text);
        if (self->is_secure != was_secure && in.len > 0) { /* somebody else may have said it */
            mx_client_drop(load, self, "octets behind the reply to STARTTLS");
            return;
        }
    }
}

void mx_client_connected(struct mx_load *load, struct mx_client *self) {
    uint64_t took_ns = load->now_ns - self->said_ns;
    mx_histogram_record(&load->phases[MX_PHASE_CONNECT], took_ns);
    load->waited_ns += took_ns;
    load->counts.connections++;
    self->answer.len = 0;
    self->is_helo = false;
    if (load->plan->is_tls)
        mx_secure_begin(load, self);
    else
        mx_client_expect(load, self, MX_STAGE_BANNER, 1);
}

void mx_client_closed(struct mx_load *load, struct mx_client *self) {
    mx_timer_clear(&load->wheel, &self->timer);
    if (self->failures == 0) {
        pause_or_go(load, self);
        return;
    }
    mx_schedule_ready(load); /* --rate does not wait for it any more */
    bool is_enough =
        self->failures >= MX_CLIENT_FAILURES_MAX && self->failures >= load->plan->connect_tries;
    if (!self->has_message && (is_enough || mx_schedule_is_over(load))) {
        go_away(load, self);
        return;
    }
    self->stage = MX_STAGE_RETRY;
    uint32_t times =
        self->failures < MX_CLIENT_RETRY_TIMES ? self->failures : MX_CLIENT_RETRY_TIMES;
    mx_load_wake(load, self, (uint64_t)times * MX_CLIENT_RETRY_MS);
}

void mx_client_expired(struct mx_load *load, struct mx_client *self) {
    enum mx_stage stage = self->stage;
    if (stage == MX_STAGE_PAUSE || stage == MX_STAGE_RETRY)
        mx_client_go(load, self);
    else if (stage == MX_STAGE_LINGER || stage == MX_STAGE_QUIT)
        mx_load_close(load, self);
    else if (stage >= MX_STAGE_CONNECT && self->deadline_ms > load->now_ms)
        mx_timer_set(&load->wheel, &self->timer, self->deadline_ms);
    else if (stage >= MX_STAGE_CONNECT)
        mx_client_drop(load, self, "no reply in time");
}
