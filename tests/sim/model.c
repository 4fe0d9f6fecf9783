/* model.c - what a client must hear: the rules of the protocol, written a second time and short.
 *
 * Replies come in order, so each is judged when it is read, by the state after the one before. What
 * the sink decided (errors, results of recipients) is looked up in the message.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct mx_conf_server *server_of(const struct sim_client *c) {
    return sim.services[c->service].server;
}

static uint16_t code_of(int result) {
    if (result == 0)
        return 250;
    return result == -ENOSPC ? 452 : 451;
}

static bool has(const char *line, const char *text) {
    return strstr(line, text) != NULL;
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */

static uint16_t expect_mail(const struct sim_client *c, const struct sim_item *item) {
    if (c->model.has_sender || (!c->model.has_helo && c->service == 0))
        return 503;
    if (item->variant == SIM_V_SYNTAX)
        return item->code;
    return item->variant == SIM_V_LARGE ? 552 : 250;
}

static uint16_t expect_rcpt(const struct sim_client *c, const struct sim_item *item) {
    if (!c->model.has_sender || c->model.is_chunked)
        return 503;
    if (item->variant == SIM_V_SYNTAX)
        return item->code;
    uint32_t max = server_of(c)->max_recipients;
    if (max > 0 && c->model.rcpts >= max)
        return 452;
    return item->variant == SIM_V_FOREIGN && !c->model.is_authenticated ? 550 : 250;
}

static uint16_t expect_data(const struct sim_client *c, const struct sim_item *item) {
    if (!c->model.has_sender || c->model.rcpts == 0 || c->model.is_chunked)
        return 503;
    int result = sim.messages[item->message].open_result;
    return result < 0 ? code_of(result) : 354;
}

/* Why the message as a whole fails; 0 = it does not. The size counts the wire without the end. */
static int content_error(const struct sim_client *c, const struct sim_item *item, bool *is_large) {
    const struct sim_message *m = &sim.messages[item->message];
    uint64_t max = server_of(c)->max_message_octets;
    *is_large = max > 0 && item->bytes.len - 3 > max;
    return m->write_result < 0 ? m->write_result : m->commit_result;
}

/* The result of a message for the current of its recipients (LMTP), or for all. */
static uint16_t final_code(const struct sim_client *c, const struct sim_message *m, int error) {
    if (error < 0 || c->service == 0)
        return code_of(error);
    uint32_t at = c->model.finals;
    return code_of(at < m->rcpt_count ? m->rcpt_results[at] : 0);
}

static uint16_t expect_content(const struct sim_client *c, const struct sim_item *item,
                               uint16_t *other) {
    bool is_large;
    int error = content_error(c, item, &is_large);
    if (item->variant == SIM_V_BARE_LF)
        return 500;
    if (is_large && sim.messages[item->message].write_result < 0)
        *other = code_of(error); /* whichever came first */
    return is_large ? 552 : final_code(c, &sim.messages[item->message], error);
}

static uint16_t expect_bdat(const struct sim_client *c, const struct sim_item *item) {
    const struct sim_message *m = &sim.messages[item->message];
    if (!c->model.has_sender || c->model.rcpts == 0)
        return 503;
    uint64_t max = server_of(c)->max_message_octets;
    uint64_t octets = c->model.octets + item->chunk;
    if (max > 0 && octets > max)
        return 552;
    if (m->open_result < 0)
        return code_of(m->open_result);
    if (m->write_result < 0 && m->write_fail_end <= octets)
        return code_of(m->write_result);
    return item->is_last ? final_code(c, m, m->commit_result) : 250;
}

static uint16_t expect(const struct sim_client *c, const struct sim_item *item, uint16_t *other) {
    switch ((enum sim_item_kind)item->kind) {
    case SIM_IT_GREETING:
        return 220;
    case SIM_IT_HELLO:
    case SIM_IT_RSET:
        return 250;
    case SIM_IT_MAIL:
        return expect_mail(c, item);
    case SIM_IT_RCPT:
        return expect_rcpt(c, item);
    case SIM_IT_DATA:
        return expect_data(c, item);
    case SIM_IT_CONTENT:
        return expect_content(c, item, other);
    case SIM_IT_BDAT:
        return expect_bdat(c, item);
    case SIM_IT_AUTH:
        *other = 454; /* too many logins at once, or no memory */
        if (c->model.is_authenticated)
            return 503;
        return item->variant == SIM_V_WRONG ? 535 : 235;
    case SIM_IT_FIXED:
        return item->code;
    case SIM_IT_QUIT:
        return 221;
    case SIM_IT_IDLE:
        break;
    }
    return 421;
}

/* ---- what a reply changes
 * ---------------------------------------------------------------------------- */

static void forget(struct sim_model *model) {
    model->has_sender = model->is_chunked = model->is_in_content = model->any_ok = false;
    model->is_counted = false;
    model->rcpts = model->finals = 0;
    model->octets = 0;
}

/* One final reply of a message. True: it was the last one. */
static bool end_message(struct sim_client *c, const struct sim_item *item, uint16_t code) {
    struct sim_message *m = &sim.messages[item->message];
    struct sim_model *model = &c->model;
    model->any_ok = model->any_ok || code == 250;
    m->is_acknowledged = m->is_acknowledged || code == 250;
    if (c->service == 1 && ++model->finals < model->rcpts)
        return false;
    m->is_refused = !model->any_ok;
    forget(model);
    return true;
}

static bool apply_bdat(struct sim_client *c, const struct sim_item *item, uint16_t code) {
    struct sim_model *model = &c->model;
    if (code == 503)
        return true;
    if (item->is_last)
        return end_message(c, item, code);
    if (code != 250) {
        sim.messages[item->message].is_refused = true;
        forget(model);
        return true;
    }
    model->is_chunked = true;
    model->octets += item->chunk;
    return true;
}

/* A sender who is refused because there is one already leaves the message to the other. */
static void apply_mail(struct sim_model *model, const struct sim_item *item, uint16_t code) {
    struct sim_message *m = &sim.messages[item->message];
    if (code == 250) {
        model->has_sender = true;
        model->transactions++;
        memcpy(model->sender, m->sender, sizeof model->sender);
    } else if (model->has_sender && item->variant == SIM_V_GOOD) {
        memcpy(m->sender, model->sender, sizeof m->sender);
    }
}

static void count_login(struct sim_client *c, uint16_t code) {
    uint32_t max = server_of(c)->max_auth_failures;
    if (code == 454)
        sim_event(SIM_E_LOGIN_BUSY);
    if (code == 535 && ++c->model.failed_logins >= max && max > 0)
        c->model.must_hear_errors = true;
}

/* True: the item is answered. */
static bool apply(struct sim_client *c, const struct sim_item *item, uint16_t code) {
    struct sim_model *model = &c->model;
    switch ((enum sim_item_kind)item->kind) {
    case SIM_IT_HELLO:
        forget(model);
        model->has_helo = true;
        break;
    case SIM_IT_MAIL:
        apply_mail(model, item, code);
        break;
    case SIM_IT_RCPT:
        if (code == 250) {
            sim_put_text(&sim.messages[item->message].rcpts, item->address);
            model->rcpts++;
        }
        break;
    case SIM_IT_DATA:
        model->is_in_content = code == 354;
        break;
    case SIM_IT_CONTENT:
        if (item->variant == SIM_V_BARE_LF) {
            sim.messages[item->message].is_refused = true;
            c->is_dismissed = true;
            break;
        }
        return end_message(c, item, code);
    case SIM_IT_BDAT:
        return apply_bdat(c, item, code);
    case SIM_IT_RSET:
        forget(model);
        break;
    case SIM_IT_AUTH:
        model->is_authenticated = model->is_authenticated || code == 235;
        count_login(c, code);
        break;
    case SIM_IT_QUIT:
        c->is_dismissed = true;
        break;
    case SIM_IT_GREETING:
    case SIM_IT_FIXED:
    case SIM_IT_IDLE:
        break;
    }
    return true;
}

static void count_error(struct sim_client *c, const struct sim_item *item, uint16_t code) {
    uint32_t max = server_of(c)->max_errors;
    bool is_command = item->kind != SIM_IT_CONTENT && item->kind != SIM_IT_BDAT;
    bool is_final = !is_command && c->model.has_sender && c->model.rcpts > 0;
    if (code < 400 || (is_final && c->model.is_counted))
        return; /* a message is one error, however many replies LMTP has for it */
    c->model.is_counted = is_final;
    c->model.errors++;
    if (max > 0 && c->model.errors >= max && is_command && !c->is_dismissed)
        c->model.must_hear_errors = true;
}

/* ---- 421
 * ------------------------------------------------------------------------------------------- */

static void check_patience(struct sim_client *c) {
    const struct mx_conf_server *server = server_of(c);
    uint64_t limit_ms =
        c->model.is_in_content ? server->data_timeout_ms : server->connection_timeout_ms;
    uint64_t earliest = c->last_sent_us + limit_ms * 1000;
    uint64_t latest = c->idle_since_us + limit_ms * 1000;
    SIM_CHECK(limit_ms > 0, "a timeout that is switched off", 0, 0);
    SIM_CHECK(sim.now_us + 2000 >= earliest, "timeout too early", sim.now_us, earliest);
    SIM_CHECK(sim.now_us <= latest + 1500000, "timeout too late", sim.now_us, latest);
}

/* Chunks of an octet, one in 9 s: a minute of them, and another one whenever somebody had to wait
 * for us. */
static void check_dribble(const struct sim_client *c) {
    uint64_t waits = 2;
    for (uint32_t i = 0; i < sim.worker_count; i++) {
        const struct mx_engine_counters *counters = &sim.workers[i].counters;
        waits += counters->recv_rearmed + counters->sink_waits;
    }
    SIM_CHECK(c->answered < waits * 10, "minDataRate is not kept", c->answered, (long)waits);
}

/* A chunk was answered, and others of its message are still to come. */
static bool is_between_chunks(const struct sim_client *c) {
    const struct sim_item *last = c->answered > 0 ? &c->items[c->answered - 1] : NULL;
    return last != NULL && last->kind == SIM_IT_BDAT && !last->is_last;
}

static bool is_421_due(struct sim_client *c, const struct sim_item *item, const char *line) {
    const struct mx_conf_server *server = server_of(c);
    bool is_slow = item != NULL && item->variant == SIM_V_SLOW;
    bool is_idle = item != NULL && item->kind == SIM_IT_IDLE;
    if (is_slow) /* it never says the end */
        sim.messages[item->message].is_refused = true;
    if (has(line, "421 4.4.2") && has(line, "Timeout")) {
        if (is_idle && !c->may_vanish)
            check_patience(c);
        return is_idle || is_slow;
    }
    if (has(line, "421 4.4.2") && has(line, "Data rate too low"))
        return is_slow || is_idle || (item == NULL && is_between_chunks(c));
    if (has(line, "421 4.3.2"))
        return sim.is_draining;
    if (has(line, "421 4.3.1"))
        return sim.is_memory_tight;
    if (!has(line, "421 4.7.0"))
        return false;
    if (has(line, "Too many errors"))
        return server->max_errors > 0 && c->model.errors >= server->max_errors;
    if (has(line, "Too many failed logins"))
        return server->max_auth_failures > 0 && c->model.failed_logins >= server->max_auth_failures;
    if (has(line, "Too many transactions"))
        return item != NULL && item->kind == SIM_IT_MAIL && server->max_transactions > 0 &&
               c->model.transactions >= server->max_transactions;
    sim_event(SIM_E_CLIENT_REFUSED);
    if (has(line, "Only known proxies")) {
        bool is_one = c->sock.peer.sin_addr.s_addr != htonl(0x0A000008u);
        bool may_be_unknown = sim.rate[SIM_F_PEERNAME_ENOTCONN] > 0;
        return server->proxy_from.count > 0 && (!is_one || may_be_unknown);
    }
    bool is_limited = server->connection_limit > 0 || server->connection_limit_per_ip > 0 ||
                      sim.fleet.max_connections < sim.client_count;
    /* behind the greeting only when the PROXY header has told who is counted */
    uint32_t last = server->proxy_required && server->proxy_counts_clients ? 1 : 0;
    return has(line, "Too many connections") && is_limited && c->answered <= last;
}

/* ---- lines
 * ------------------------------------------------------------------------------------------ */

static void check_form(struct sim_client *c, const char *line, uint32_t len) {
    bool is_code = len >= 4 && line[0] >= '2' && line[0] <= '5' && line[1] >= '0' &&
                   line[1] <= '9' && line[2] >= '0' && line[2] <= '9' &&
                   (line[3] == ' ' || line[3] == '-');
    SIM_CHECK(is_code, "form of a reply", c - sim.clients, len);
    SIM_CHECK(len <= 512, "length of a reply", c - sim.clients, len);
    SIM_CHECK(c->multiline[0] == '\0' || memcmp(c->multiline, line, 3) == 0,
              "codes of a multi-line reply", c - sim.clients, atol(line));
    memcpy(c->multiline, line, 3);
    if (line[3] == ' ')
        c->multiline[0] = '\0';
}

/* What a hook may have made of it. A header that is too long for them, and a write that came later
 * because the header was kept back. */
static bool is_hooked(const struct sim_item *item, uint16_t code, uint16_t expected) {
    bool is_content = item->kind == SIM_IT_CONTENT || item->kind == SIM_IT_BDAT;
    bool may_wait = item->kind == SIM_IT_MAIL || item->kind == SIM_IT_RCPT || is_content;
    bool is_strict = sim.has_strict_hooks && may_wait && code == 451;
    bool is_late = sim.has_header_hook && is_content &&
                   (code == 552 || (item->kind == SIM_IT_BDAT && !item->is_last && code == 250));
    if (code == expected || !(is_strict || is_late))
        return false;
    sim_event(SIM_E_HOOK_REFUSED);
    return true;
}

static void judge(struct sim_client *c, const char *line, uint16_t code) {
    long index = c - sim.clients;
    struct sim_item *item = c->answered < c->next_item ? &c->items[c->answered] : NULL;
    SIM_CHECK(!c->is_dismissed, "a reply behind the last one", index, code);
    if (code == 421) {
        SIM_CHECK(is_421_due(c, item, line) || c->may_vanish, "421 without a reason", index,
                  item != NULL ? item->kind : -1);
        c->is_dismissed = true;
        return;
    }
    SIM_CHECK(!c->model.must_hear_errors, "maxErrors is not kept", index, code);
    SIM_CHECK(item != NULL, "a reply nobody asked for", index, code);
    uint16_t other = 0, expected = expect(c, item, &other);
    bool is_memory = sim.is_memory_tight && code == 452;
    SIM_CHECK(code == expected || code == other || is_memory || is_hooked(item, code, expected),
              "reply: got, expected", code, expected);
    if (is_memory && code != expected && (item->kind == SIM_IT_MAIL || item->kind == SIM_IT_BDAT)) {
        c->is_loose = true; /* what follows from it is not worth a model */
        c->leave_us = sim.now_us + 100000000;
    }
    if (item->kind == SIM_IT_BDAT && item->variant == SIM_V_SLOW && code == 250)
        check_dribble(c);
    count_error(c, item, code);
    bool is_answered = apply(c, item, code);
    c->answered += is_answered;
    c->idle_since_us = sim.now_us;
}

void sim_model_reply(struct sim_client *c, const char *line, uint32_t len) {
    char text[600] = "";
    check_form(c, line, len);
    memcpy(text, line, len < sizeof text ? len : sizeof text - 1);
    uint16_t code = (uint16_t)strtoul(text, NULL, 10);
    sim_note("reply: client, code", c - sim.clients, code, c->answered);
    if (c->is_loose) {
        c->answered += c->answered < c->next_item;
        c->is_dismissed = c->is_dismissed || code == 421 || code == 221;
    } else if (line[3] == ' ') {
        judge(c, text, code);
    }
}

/* The server has closed. Everything that was said in full had to be answered. */
void sim_model_eof(struct sim_client *c) {
    bool is_excused = c->is_loose || c->is_dismissed || c->may_vanish || sim.is_memory_tight ||
                      sim.now_us >= sim.drain_end_us || c->sock.is_reset || sim.lifespan_ms > 0;
    if (is_excused)
        return;
    SIM_CHECK(!c->model.must_hear_errors, "closed without the last word", c - sim.clients, 0);
    SIM_CHECK(c->sock.is_fin, "closed without a reason", c - sim.clients, c->answered);
    uint32_t octets = 0;
    for (uint32_t i = 0; i < c->next_item; i++) {
        octets += (uint32_t)c->items[i].bytes.len;
        SIM_CHECK(i < c->answered || octets > c->sent, "closed without an answer", c - sim.clients,
                  i);
    }
}
