/* script.c - what clients say: good sessions of every shape, and clients one would rather not have.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 1, 2))) static struct mx_span text(const char *format, ...) {
    char line[300];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    SIM_CHECK(len > 0 && len < (int)sizeof line, "text", len, 0);
    char *ptr = sim_alloc((size_t)len);
    memcpy(ptr, line, (size_t)len);
    return (struct mx_span){ptr, (size_t)len};
}

static struct sim_item *add(struct sim_client *c, enum sim_item_kind kind, struct mx_span bytes) {
    if (c->item_count == c->item_cap) {
        uint32_t cap = c->item_cap == 0 ? 32 : c->item_cap * 2;
        struct sim_item *items = sim_alloc(cap * sizeof *items);
        if (c->item_count > 0)
            memcpy(items, c->items, c->item_count * sizeof *items);
        c->items = items;
        c->item_cap = cap;
    }
    struct sim_item *item = &c->items[c->item_count++];
    *item = (struct sim_item){.kind = (uint8_t)kind, .bytes = bytes};
    item->syncs = c->kind != SIM_E_CLIENT_PIPELINED && c->kind != SIM_E_CLIENT_FLOOD;
    return item;
}

static const struct mx_conf_server *server_of(const struct sim_client *c) {
    return sim.services[c->service].server;
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static void add_short_noise(struct sim_client *c) {
    static const struct {
        struct mx_span line;
        uint16_t code;
    } rows[] = {
        {MX_SPAN("NOOP\r\n"),              250},
        {MX_SPAN("noop ignored text\r\n"), 250},
        {MX_SPAN("VRFY bob\r\n"),          502},
        {MX_SPAN("EXPN list\r\n"),         502},
        {MX_SPAN("HELP\r\n"),              502}, /* LMTP does not know it */
        {MX_SPAN("WHAT is this\r\n"),      500},
        {MX_SPAN("DATA now\r\n"),          500},
        {MX_SPAN("NOOP\n"),                250},
    };
    uint32_t row = sim_below(sizeof rows / sizeof *rows);
    bool is_unknown = c->service == 1 && rows[row].line.ptr[0] == 'H';
    add(c, SIM_IT_FIXED, rows[row].line)->code = is_unknown ? 500 : rows[row].code;
}

/* Maybe longer than a window of content, and than the longest line. */
static void add_long_line(struct sim_client *c) {
    uint32_t len = sim_below(2) ? 200 + sim_below(9000) : 60000 + sim_below(90000);
    char *octets = sim_alloc(len);
    memset(octets, 'x', len);
    memcpy(octets + len - 2, "\r\n", 2);
    add(c, SIM_IT_FIXED, (struct mx_span){octets, len})->code = 500;
}

static void add_noise(struct sim_client *c) {
    if (sim_chance(20))
        add_long_line(c);
    else
        add_short_noise(c);
}

/* A login in one line, or in three; a third of them with the wrong password. */
static void add_auth(struct sim_client *c) {
    bool is_wrong = sim_below(3) == 0;
    struct sim_item *item;
    if (sim_below(2) && !sim.is_memory_tight && !c->has_auth) {
        add(c, SIM_IT_FIXED, MX_SPAN("AUTH LOGIN\r\n"))->code = 334;
        add(c, SIM_IT_FIXED, MX_SPAN("c2ltQGV4YW1wbGUuY29t\r\n"))->code = 334;
        item = add(c, SIM_IT_AUTH, is_wrong ? MX_SPAN("c2FjcmVk\r\n") : MX_SPAN("c2VjcmV0\r\n"));
    } else {
        item = add(c, SIM_IT_AUTH,
                   is_wrong ? MX_SPAN("AUTH PLAIN AHNpbUBleGFtcGxlLmNvbQBTZWNyZXQ=\r\n")
                            : MX_SPAN("AUTH PLAIN AHNpbUBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n"));
    }
    item->variant = is_wrong ? SIM_V_WRONG : SIM_V_GOOD;
    c->has_auth = c->has_auth || !is_wrong;
    sim_event(SIM_E_LOGIN);
}

static void add_hello(struct sim_client *c) {
    bool is_lmtp = c->service == 1;
    struct mx_span line =
        sim_below(4) == 0 ? MX_SPAN("HELO client.example\r\n") : MX_SPAN("EHLO client.example\r\n");
    if (is_lmtp)
        line = MX_SPAN("LHLO client.example\r\n");
    add(c, SIM_IT_HELLO, line)->syncs = true;
}

static void add_bad_mail(struct sim_client *c) {
    uint64_t max = server_of(c)->max_message_octets;
    if (max > 0 && sim_below(2)) {
        add(c, SIM_IT_MAIL, text("MAIL FROM:<x@example.org> SIZE=%lu\r\n", (unsigned long)max + 1))
            ->variant = SIM_V_LARGE;
        return;
    }
    static const struct mx_span lines[] = {MX_SPAN("MAIL FROM:<a b@example.org>\r\n"),
                                           MX_SPAN("MAIL FRUM:<a@example.org>\r\n"),
                                           MX_SPAN("MAIL FROM:<a@example.org> SIZE=x\r\n")};
    struct sim_item *item = add(c, SIM_IT_MAIL, lines[sim_below(3)]);
    item->variant = SIM_V_SYNTAX;
    item->code = 501;
}

static void add_mail(struct sim_client *c, uint32_t message) {
    struct sim_message *m = &sim.messages[message];
    if (sim_chance(40))
        add_bad_mail(c);
    const char *params = sim_below(3) == 0 ? " SIZE=17 BODY=8BITMIME" : "";
    if (sim_chance(100)) {
        m->sender[0] = '\0';
        add(c, SIM_IT_MAIL, text("MAIL FROM:<>%s\r\n", params))->message = message;
    } else {
        snprintf(m->sender, sizeof m->sender, "M%u@example.org", message);
        add(c, SIM_IT_MAIL, text("mail from:<M%u@Example.ORG>%s\r\n", message, params))->message =
            message;
    }
    if (sim_chance(30))
        add_bad_mail(c); /* nested: refused as such, whatever it says */
}

/* True: it will be accepted. */
static bool add_rcpt(struct sim_client *c, uint32_t message, uint32_t number) {
    struct sim_item *item;
    bool is_good = false;
    uint32_t r = sim_below(100);
    if (r < 6) {
        item = add(c, SIM_IT_RCPT, text("RCPT TO:<r%u.99@elsewhere.example.net>\r\n", message));
        item->variant = SIM_V_FOREIGN; /* taken from who is logged in */
        item->address = text("r%u.99@elsewhere.example.net\n%c", message, '\0').ptr;
    } else if (r < 9) {
        item = add(c, SIM_IT_RCPT, MX_SPAN("RCPT TO:<a b@example.com>\r\n"));
        item->variant = SIM_V_SYNTAX;
        item->code = 553;
    } else if (r < 11) {
        item = add(c, SIM_IT_RCPT, MX_SPAN("RCPT bob\r\n"));
        item->variant = SIM_V_SYNTAX;
        item->code = 501;
    } else {
        uint32_t pad = sim_chance(100) ? 40 : 0; /* long ones make the replies long */
        item = add(c, SIM_IT_RCPT,
                   text("RCPT TO:<r%u.%u%.*s@EXAMPLE.com>\r\n", message, number, (int)pad,
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        struct mx_span address = text("r%u.%u%.*s@example.com\n%c", message, number, (int)pad,
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", '\0');
        item->address = address.ptr;
        is_good = true;
    }
    item->message = message;
    return is_good;
}

/* ---- a transaction
 * ------------------------------------------------------------------------------- */

static void add_content(struct sim_client *c, uint32_t message) {
    struct sim_item *item = add(c, SIM_IT_DATA, MX_SPAN("DATA\r\n"));
    item->message = message;
    item->syncs = true;
    struct mx_span wire;
    sim_message_fill(&sim.messages[message], true, &wire);
    item = add(c, SIM_IT_CONTENT, wire);
    item->message = message;
    item->syncs = item->syncs || sim_below(2);
    sim_event(SIM_E_MESSAGE_DATA);
}

static void add_chunk(struct sim_client *c, uint32_t message, struct mx_span part, bool is_last) {
    struct sim_bytes bytes = {0};
    struct mx_span head = text("BDAT %zu%s\r\n", part.len, is_last ? " LAST" : "");
    sim_put(&bytes, head.ptr, head.len);
    sim_put(&bytes, part.ptr, part.len);
    struct sim_item *item = add(c, SIM_IT_BDAT, (struct mx_span){bytes.ptr, bytes.end});
    item->message = message;
    item->chunk = (uint32_t)part.len;
    item->is_last = is_last;
}

static void add_chunks(struct sim_client *c, uint32_t message) {
    struct mx_span rest;
    sim_message_fill(&sim.messages[message], false, &rest);
    for (uint32_t left = sim_below(4); left > 0; left--) {
        size_t len = sim_below(3) == 0 ? 0 : sim_below((uint32_t)rest.len + 1);
        add_chunk(c, message, (struct mx_span){rest.ptr, len}, false);
        rest = mx_span_skip(rest, len);
        if (sim_chance(20)) {
            add(c, SIM_IT_RSET, MX_SPAN("RSET\r\n"));
            return;
        }
        if (sim_chance(20))
            add(c, SIM_IT_DATA, MX_SPAN("DATA\r\n"))->message = message; /* refused, no content */
        if (sim_chance(20))
            add_noise(c);
    }
    add_chunk(c, message, rest, true);
    sim_event(SIM_E_MESSAGE_BDAT);
}

static void add_transaction(struct sim_client *c) {
    uint32_t message = sim_message_new();
    if (sim_chance(30))
        add_rcpt(c, message, 99); /* before MAIL */
    add_mail(c, message);
    uint32_t rcpts = sim_chance(50) ? SIM_RCPTS_MAX - 1 : 1 + sim_below(3);
    bool has_rcpt = false;
    for (uint32_t i = 0; i < rcpts; i++)
        has_rcpt |= add_rcpt(c, message, i);
    if (sim_chance(100))
        add_noise(c);
    if (sim_chance(40)) {
        add(c, SIM_IT_RSET, MX_SPAN("RSET\r\n"));
        return;
    }
    if (c->service == 1)
        sim_event(SIM_E_MESSAGE_LMTP);
    if (sim_below(10) < 6)
        add_content(c, message);
    else
        add_chunks(c, message);
    if (!has_rcpt) /* refused: the sender still stands */
        add(c, SIM_IT_RSET, MX_SPAN("RSET\r\n"));
}

static void add_session(struct sim_client *c) {
    if (sim_chance(40))
        add_mail(c, sim_message_new()); /* before HELO */
    add_hello(c);
    for (uint32_t n = 1 + sim_below(3); n > 0; n--) {
        if (c->service == 0 && sim_chance(300))
            add_auth(c);
        add_transaction(c);
        if (sim_chance(60))
            add_noise(c);
        if (sim_chance(20))
            add_hello(c);
    }
    if (sim_chance(800))
        add(c, SIM_IT_QUIT, MX_SPAN("QUIT\r\n"));
}

/* ---- special clients
 * ------------------------------------------------------------------------------- */

/* As far as 354, or without DATA as far as the recipient. */
static uint32_t add_opening(struct sim_client *c, bool with_data) {
    uint32_t message = sim_message_new();
    snprintf(sim.messages[message].sender, sizeof sim.messages[message].sender, "s@example.org");
    add_hello(c);
    add(c, SIM_IT_MAIL, MX_SPAN("MAIL FROM:<s@example.org>\r\n"))->message = message;
    struct sim_item *item = add(c, SIM_IT_RCPT, text("RCPT TO:<r%u.0@example.com>\r\n", message));
    item->message = message;
    item->address = text("r%u.0@example.com\n%c", message, '\0').ptr;
    if (with_data)
        add(c, SIM_IT_DATA, MX_SPAN("DATA\r\n"))->message = message;
    return message;
}

static void add_bare_lf(struct sim_client *c) {
    uint32_t message = add_opening(c, true);
    struct sim_item *item = add(c, SIM_IT_CONTENT, MX_SPAN("line\r\nbare\n.\r\nNOOP\r\n"));
    item->variant = SIM_V_BARE_LF;
    item->message = message;
}

/* An octet a second; in chunks of one, each is a command of its own. */
static void add_slow(struct sim_client *c) {
    bool is_chunked = sim_below(2);
    uint32_t message = add_opening(c, !is_chunked);
    for (uint32_t i = 0; i < 1000 && is_chunked; i++) {
        add_chunk(c, message, MX_SPAN("x"), false);
        c->items[c->item_count - 1].variant = SIM_V_SLOW;
    }
    if (is_chunked) { /* where there was no message: it waits for the end */
        add(c, SIM_IT_IDLE, (struct mx_span){0});
        return;
    }
    char *octets = sim_alloc(1000);
    memset(octets, 'x', 1000);
    struct sim_item *item = add(c, SIM_IT_CONTENT, (struct mx_span){octets, 1000});
    item->variant = SIM_V_SLOW;
    item->message = message;
}

static void add_idle(struct sim_client *c) {
    uint32_t where = sim_below(4);
    if (where == 1)
        add_hello(c);
    if (where == 2)
        add_opening(c, true);
    if (where == 3)
        add_short_noise(c);
    add(c, SIM_IT_IDLE, (struct mx_span){0});
}

static void add_flood(struct sim_client *c) {
    add_hello(c);
    for (uint32_t n = 50 + sim_below(600); n > 0; n--)
        add(c, SIM_IT_FIXED, MX_SPAN("NOOP\r\n"))->code = 250;
    add(c, SIM_IT_QUIT, MX_SPAN("QUIT\r\n"));
}

static void add_deaf(struct sim_client *c) {
    struct sim_bytes bytes = {0};
    c->is_deaf = c->is_loose = true;
    for (uint32_t n = 200 + sim_below(sim_below(2) ? 3000 : 10000); n > 0; n--)
        sim_put_text(&bytes, n % 50 == 0 ? "EHLO x.example\r\n" : "NOOP\r\n");
    add(c, SIM_IT_FIXED, (struct mx_span){bytes.ptr, bytes.end});
    c->leave_us = sim.now_us + 1000000 * (20 + (uint64_t)sim_below(600));
}

static void add_endless_line(struct sim_client *c) {
    uint32_t len = 5000 + sim_below(60000);
    char *octets = sim_alloc(len);
    memset(octets, 'A', len);
    c->is_loose = c->is_half_closing = true;
    add(c, SIM_IT_FIXED, (struct mx_span){octets, len});
    if (sim_below(2))
        add(c, SIM_IT_FIXED, MX_SPAN("\r\nNOOP\r\n"));
    c->leave_us = sim.now_us + 1000000 * (100 + (uint64_t)sim_below(600));
}

static void add_junk(struct sim_client *c) {
    static const char *const parts[] = {"MAIL FROM:<x@example.org>\r\n",
                                        "RCPT TO:<>\r\n",
                                        "DATA\r\n",
                                        ".\r\n",
                                        "\r\n",
                                        "\n",
                                        "EHLO x\r\n",
                                        "BDAT 5\r\n",
                                        "BDAT \r\n",
                                        "RSET\r",
                                        " ",
                                        "\xff",
                                        "RCPT TO:<x@example.net>\r\n",
                                        "LHLO x\r\n",
                                        "AUTH PLAIN\r\n",
                                        "AUTH LOGIN c2ltQGV4YW1wbGUuY29t\r\n",
                                        "AHNpbUBleGFtcGxlLmNvbQBTZWNyZXQ=\r\n",
                                        "*\r\n",
                                        "QUIT now\r\n"};
    struct sim_bytes bytes = {0};
    c->is_loose = c->is_half_closing = true;
    for (uint32_t n = 5 + sim_below(60); n > 0; n--) {
        enum { PARTS = sizeof parts / sizeof *parts };
        uint32_t part = sim_below(PARTS + 2);
        if (part < PARTS)
            sim_put_text(&bytes, parts[part]);
        else
            sim_put(&bytes, "\0\x80\r", 1 + sim_below(3));
    }
    add(c, SIM_IT_FIXED, (struct mx_span){bytes.ptr, bytes.end});
    c->leave_us = sim.now_us + 1000000 * (100 + (uint64_t)sim_below(600));
}

/* In front of what is sent first: the proxy is another one of the addresses. */
static void add_proxy_header(struct sim_client *c) {
    struct mx_span header, rest = c->items[1].bytes;
    uint8_t client = (uint8_t)(1 + sim_below(SIM_IPS));
    if (sim_below(2)) {
        header = text("PROXY TCP4 10.0.0.%u 10.0.0.200 1024 25\r\n", client);
    } else {
        static const char head[] =
            "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\x0a\0\0?\x0a\0\0\xc8\4\0\0\x19";
        static const char tlv[] = "\4\0\3\r\n\n";
        char *ptr = sim_alloc(sizeof head + sizeof tlv - 2);
        memcpy(ptr, head, sizeof head - 1);
        memcpy(ptr + sizeof head - 1, tlv, sizeof tlv - 1);
        ptr[19] = (char)client;
        header = (struct mx_span){ptr, sizeof head + sizeof tlv - 2};
    }
    struct sim_bytes bytes = {0};
    sim_put(&bytes, header.ptr, header.len);
    sim_put(&bytes, rest.ptr, rest.len);
    c->items[1].bytes = (struct mx_span){bytes.ptr, bytes.end};
    sim_event(SIM_E_PROXY_HEADER);
}

/* ---- which
 * --------------------------------------------------------------------------------------- */

/* A good session that ends at a random octet. */
static void set_cut(struct sim_client *c) {
    uint32_t total = 1;
    for (uint32_t i = 0; i < c->item_count; i++)
        total += (uint32_t)c->items[i].bytes.len;
    c->cut_at = sim_below(total);
    c->is_cut_by_reset = sim_below(2);
}

static uint8_t pick_kind(const struct sim_client *c) {
    static const struct {
        uint8_t kind;
        uint16_t weight;
    } rows[] = {
        {SIM_E_CLIENT_LOCKSTEP,     300},
        {SIM_E_CLIENT_PIPELINED,    300},
        {SIM_E_CLIENT_FLOOD,        20 },
        {SIM_E_CLIENT_BARE_LF,      20 },
        {SIM_E_CLIENT_IDLE,         30 },
        {SIM_E_CLIENT_SLOW_DATA,    20 },
        {SIM_E_CLIENT_DEAF,         25 },
        {SIM_E_CLIENT_ENDLESS_LINE, 20 },
        {SIM_E_CLIENT_JUNK,         40 },
    };
    uint32_t r = sim_below(775);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (r < rows[i].weight) {
            bool is_possible =
                rows[i].kind != SIM_E_CLIENT_SLOW_DATA || server_of(c)->min_data_rate >= 10;
            return is_possible ? rows[i].kind : SIM_E_CLIENT_IDLE;
        }
        r -= rows[i].weight;
    }
    return SIM_E_CLIENT_LOCKSTEP;
}

void sim_script_new(struct sim_client *c) {
    c->cut_at = UINT32_MAX;
    c->kind = pick_kind(c);
    sim_event((enum sim_event)c->kind);
    add(c, SIM_IT_GREETING, (struct mx_span){0})->syncs = true;
    switch (c->kind) {
    case SIM_E_CLIENT_BARE_LF:
        add_bare_lf(c);
        break;
    case SIM_E_CLIENT_IDLE:
        add_idle(c);
        break;
    case SIM_E_CLIENT_SLOW_DATA:
        add_slow(c);
        break;
    case SIM_E_CLIENT_FLOOD:
        add_flood(c);
        break;
    case SIM_E_CLIENT_DEAF:
        add_deaf(c);
        break;
    case SIM_E_CLIENT_ENDLESS_LINE:
        add_endless_line(c);
        break;
    case SIM_E_CLIENT_JUNK:
        add_junk(c);
        break;
    default:
        add_session(c);
        c->is_half_closing = sim_chance(200);
        break;
    }
    if (server_of(c)->proxy_required && c->items[1].kind == SIM_IT_IDLE)
        c->is_loose = true; /* it has no header: closed without a word */
    else if (server_of(c)->proxy_required)
        add_proxy_header(c);
    bool is_good = c->kind == SIM_E_CLIENT_LOCKSTEP || c->kind == SIM_E_CLIENT_PIPELINED;
    if (is_good && sim_chance(250))
        set_cut(c);
}
