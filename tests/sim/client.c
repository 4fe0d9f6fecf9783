/* client.c - the network side of a client: it connects, sends in pieces, reads in pieces, leaves.
 */
#include "tests/sim/sim.h"

#include <string.h>

void sim_client_wake(struct sim_client *c, uint32_t delay_us) {
    uint64_t at = sim.now_us + delay_us;
    if (c->state != SIM_C_DONE && at < c->next_us)
        c->next_us = at;
}

void sim_client_finish(struct sim_client *c) {
    if (c->state == SIM_C_DONE)
        return;
    sim_note("client gone: client, sent, answered", c - sim.clients, c->sent, c->answered);
    c->state = SIM_C_DONE;
    c->sock.is_fin = c->sock.is_gone = true;
    sim_drop(&c->sock.out, sim_len(&c->sock.out));
    c->next_us = SIM_NEVER;
    sim.clients_done++;
}

static void reset(struct sim_client *c) {
    c->sock.is_reset = true;
    sim_drop(&c->sock.in, sim_len(&c->sock.in));
    sim_client_finish(c);
}

static void set_pace(struct sim_client *c) {
    uint32_t total = 1;
    for (uint32_t i = 0; i < c->item_count; i++)
        total += (uint32_t)c->items[i].bytes.len;
    uint32_t least = 1 + total / 400; /* a run has to end */
    uint32_t r = sim_below(10);
    c->chunk_max = r < 2 ? 1 : r < 6 ? 1 + sim_below(200) : 100000;
    c->chunk_max = c->chunk_max < least ? least : c->chunk_max;
    if (sim.is_flood)
        c->chunk_max = 100000;
    c->gap_us = sim_below(2) ? 1 + sim_below(30) : 1 + sim_below(2000);
    r = sim_below(10);
    c->read_max = r < 1 ? 1 + sim_below(20) : r < 4 ? 50 + sim_below(500) : 100000;
    c->read_gap_us = 1 + sim_below(sim_below(2) ? 20 : 1500);
    c->sock.in_cap = sim_below(3) == 0 ? 300 + sim_below(4000) : 65536;
    if (c->is_deaf && sim_below(2))
        c->sock.out_cap = 0; /* not even the greeting */
    else
        c->sock.out_cap = sim_below(3) == 0 ? 100 + sim_below(3000) : 65536;
}

void sim_client_new(struct sim_client *c) {
    uint32_t index = (uint32_t)(c - sim.clients);
    c->service = sim_below(4) == 0;
    c->worker = (uint8_t)sim_below(sim.worker_count);
    c->leave_us = SIM_NEVER;
    c->sock.peer.sin_family = AF_INET;
    c->sock.peer.sin_port = htons((uint16_t)(10000 + index));
    c->sock.peer.sin_addr.s_addr = htonl(0x0A000001u + sim_below(SIM_IPS));
    sim_script_new(c);
    set_pace(c);
    c->next_us = sim.now_us + sim_below(sim_below(2) ? 1 : 100000);
}

static void connect_now(struct sim_client *c) {
    struct sim_listener *listener = &sim.listeners[c->worker][sim.slots[c->service]];
    listener->queue[listener->end++] = (int16_t)(c - sim.clients);
    c->state = SIM_C_QUEUED;
    c->last_sent_us = c->idle_since_us = sim.now_us;
    sim_note("connect: client, worker, kind", c - sim.clients, c->worker, c->kind);
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

static void take_line(struct sim_client *c) {
    const char *begin = c->line.ptr + c->line.begin;
    const char *lf = memchr(begin, '\n', sim_len(&c->line));
    uint32_t len = (uint32_t)(lf - begin);
    SIM_CHECK(len > 0 && begin[len - 1] == '\r', "a reply line without CRLF", c - sim.clients, len);
    sim_model_reply(c, begin, len - 1);
    sim_drop(&c->line, len + 1);
}

static void read_some(struct sim_client *c) {
    struct sim_bytes *out = &c->sock.out;
    if (sim_len(out) == 0 || c->is_deaf)
        return;
    if (sim.now_us < c->read_us) {
        sim_client_wake(c, (uint32_t)(c->read_us - sim.now_us));
        return;
    }
    uint32_t len = sim_len(out) < c->read_max ? sim_len(out) : 1 + sim_below(c->read_max);
    len = len < sim_len(out) ? len : sim_len(out);
    sim_put(&c->line, out->ptr + out->begin, len);
    sim_drop(out, len);
    c->read_us = sim.now_us + c->read_gap_us;
    while (sim_len(&c->line) > 0 && memchr(c->line.ptr + c->line.begin, '\n', sim_len(&c->line)))
        take_line(c);
    SIM_CHECK(sim_len(&c->line) < 600, "an endless reply line", c - sim.clients, 0);
    if (sim_len(out) > 0 || c->sock.is_closed)
        sim_client_wake(c, c->read_gap_us);
}

/* ---- sending
 * -------------------------------------------------------------------------------------- */

static void begin_idle(struct sim_client *c) {
    const struct mx_conf_server *server = sim.services[c->service].server;
    uint32_t limit =
        c->model.is_in_content ? server->data_timeout_ms : server->connection_timeout_ms;
    if (limit == 0)
        c->leave_us = sim.now_us + 1 + sim_below(600000000);
}

static void push(struct sim_client *c, struct sim_item *item) {
    const struct mx_conf_server *server = sim.services[c->service].server;
    if (item->kind == SIM_IT_IDLE)
        begin_idle(c);
    if (item->variant == SIM_V_SLOW) {
        c->chunk_max = 1;
        c->gap_us = 1000000;
    } else if (item->syncs && sim_chance(5)) { /* it thinks for a while */
        uint32_t limit = 40000;
        if (server->connection_timeout_ms > 0 && server->connection_timeout_ms < limit)
            limit = server->connection_timeout_ms;
        if (server->data_timeout_ms > 0 && server->data_timeout_ms < limit)
            limit = server->data_timeout_ms;
        c->send_us = sim.now_us + sim_below(limit * 250);
    }
    if (item->bytes.len > 0)
        sim_put(&c->unsent, item->bytes.ptr, item->bytes.len);
}

static void plan(struct sim_client *c) {
    while (c->next_item < c->item_count && !c->is_dismissed && !c->sock.is_fin) {
        struct sim_item *item = &c->items[c->next_item];
        bool must_wait = c->next_item > 0 && c->items[c->next_item - 1].syncs;
        if (must_wait && c->answered < c->next_item && !c->is_deaf)
            break;
        if (item->kind == SIM_IT_CONTENT && !c->model.is_in_content && !c->is_loose) {
            *item = (struct sim_item){.kind = SIM_IT_RSET, .bytes = MX_SPAN("RSET\r\n")};
            item->syncs = true; /* there was no 354 */
        }
        push(c, item);
        c->next_item++;
    }
}

static void cut(struct sim_client *c) {
    const struct sim_item *item = &c->items[c->next_item - 1];
    bool is_in_content = item->kind == SIM_IT_CONTENT || item->kind == SIM_IT_BDAT;
    if (is_in_content && sim_len(&c->unsent) > 0)
        sim_event(SIM_E_CLIENT_CUT_IN_CONTENT);
    sim_event(c->is_cut_by_reset ? SIM_E_CLIENT_CUT_BY_RESET : SIM_E_CLIENT_CUT_BY_FIN);
    if (c->is_cut_by_reset)
        reset(c);
    else
        c->sock.is_fin = true;
}

static void send_some(struct sim_client *c) {
    struct sim_bytes *in = &c->sock.in;
    uint32_t unsent = sim_len(&c->unsent);
    if (c->sock.is_fin || c->sock.is_closed || c->state == SIM_C_DONE)
        return;
    if (unsent > 0 && sim.now_us < c->send_us) {
        sim_client_wake(c, (uint32_t)(c->send_us - sim.now_us));
        return;
    }
    uint32_t room = sim_len(in) < c->sock.in_cap ? c->sock.in_cap - sim_len(in) : 0;
    uint32_t len = c->chunk_max > 1 && sim_below(2) ? 1 + sim_below(c->chunk_max) : c->chunk_max;
    len = len < unsent ? len : unsent;
    len = len < room ? len : room;
    len = len < c->cut_at - c->sent ? len : c->cut_at - c->sent;
    if (len > 0) {
        sim_put(in, c->unsent.ptr + c->unsent.begin, len);
        sim_drop(&c->unsent, len);
        c->sent += len;
        c->last_sent_us = c->idle_since_us = sim.now_us;
        c->send_us = sim.now_us + c->gap_us;
        sim.progress_us = sim.now_us;
    }
    if (c->sent == c->cut_at && c->next_item > 1)
        cut(c);
    else if (sim_len(&c->unsent) > 0 && room > len)
        sim_client_wake(c, c->gap_us);
}

/* Everything is said. Without QUIT the client closes; some close their side early. */
static void end_if_done(struct sim_client *c) {
    if (c->next_item < c->item_count || sim_len(&c->unsent) > 0 || c->is_deaf)
        return;
    const struct sim_item *last = &c->items[c->item_count - 1];
    bool is_answered = c->answered == c->item_count && last->kind != SIM_IT_QUIT;
    if (last->kind != SIM_IT_IDLE && last->variant != SIM_V_SLOW &&
        last->variant != SIM_V_BARE_LF && (is_answered || c->is_half_closing))
        c->sock.is_fin = true;
}

void sim_client_act(struct sim_client *c) {
    c->next_us = SIM_NEVER;
    if (c->state == SIM_C_UNBORN)
        connect_now(c);
    if (c->leave_us <= sim.now_us)
        reset(c);
    if (c->state == SIM_C_DONE)
        return;
    read_some(c);
    plan(c);
    send_some(c);
    if (c->state == SIM_C_DONE)
        return;
    end_if_done(c);
    if (c->sock.is_closed && (sim_len(&c->sock.out) == 0 || c->is_deaf)) {
        sim_model_eof(c);
        sim_client_finish(c);
    } else if (c->leave_us != SIM_NEVER) {
        c->next_us = c->next_us < c->leave_us ? c->next_us : c->leave_us;
    }
}
