/* tls_fuzz.c - the TLS filter between a client of the same library and whatever comes: octets that
 * are cut anywhere, changed, left out or put in, rooms for its output of any size.
 *
 * What must hold: the filter gives exactly what the client has said, or the beginning of it; when
 * nobody touched the octets, all of it; what is not TLS ends the session; and no memory stays.
 *
 * The first octet chooses protocols and whether a session is resumed; then each step is an octet
 * for what is done and one for how much.
 */
#include "tls/client.h"
#include "tls/library.h"
#include "tls/tickets.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { WIRE_MAX = 131072, SAID_MAX = 65536, TEXT_MAX = 16384 };

static struct mx_tls_context *server_context, *client_contexts[3];

static struct mx_span read_file(const char *name, char text[TEXT_MAX]) {
    char path[4096];
    const char *top = getenv("MX_SOURCE_DIR");
    CHECK(snprintf(path, sizeof path, "%s/tests/tls/%s", top != NULL ? top : ".", name) > 0);
    FILE *file = fopen(path, "rbe");
    CHECK(file != NULL);
    size_t len = fread(text, 1, TEXT_MAX, file);
    CHECK(fclose(file) == 0 && len > 0);
    return (struct mx_span){text, len};
}

static void make_contexts(void) {
    static char chain[TEXT_MAX], key[TEXT_MAX];
    struct mx_tls_certificate certificate = {.chain = read_file("ecdsa.pem", chain),
                                             .key = read_file("ecdsa.key", key)};
    struct mx_tls_params params = {
        .certificates = &certificate,
        .certificate_count = 1,
        .has_tls12 = true,
        .has_tls13 = true,
        .ticket_lifetime_s = 86400,
    };
    struct mx_tls_problem problem;
    CHECK(mx_tls_library_init() == 0);
    params.tickets = mx_tls_tickets_new((struct mx_span){0}, 86400, 0);
    server_context = mx_tls_context_new(&params, &problem);
    CHECK(params.tickets != NULL && server_context != NULL);
    params.certificate_count = 0;
    for (int i = 0; i < 3; i++) {
        params.has_tls12 = i != 2;
        params.has_tls13 = i != 1;
        client_contexts[i] = mx_tls_client_context_new(&params, &problem);
        CHECK(client_contexts[i] != NULL);
    }
}

/* ---- the two sides and what is between them ---- */

struct wire {
    char octets[WIRE_MAX];
    size_t begin, end;
};

static struct pair {
    struct mx_tls client, server;
    struct wire to_server, to_client;
    char said[SAID_MAX]; /* by the client */
    size_t said_len, heard_len;
    uint32_t room; /* for the server's output, at a time */
    bool is_touched, is_over;
} pair;

static void put(struct wire *wire, struct mx_span octets) {
    if (octets.len > sizeof wire->octets - wire->end) {
        pair.is_over = true; /* more than this run has room for */
        return;
    }
    memcpy(wire->octets + wire->end, octets.ptr, octets.len);
    wire->end += octets.len;
}

/* Give the server the next octets of its wire. */
static void serve(size_t octets) {
    static char plain[MX_TLS_RECORD_MAX], room[WIRE_MAX];
    struct wire *wire = &pair.to_server;
    size_t left = wire->end - wire->begin;
    size_t take = octets < left ? octets : left;
    struct mx_span in = {wire->octets + wire->begin, take};
    int err = 0;
    while ((err == 0 || err == MX_ENOROOM) && pair.server.state != MX_TLS_ENDED) {
        struct mx_out out = {room, 0, pair.room};
        size_t len = 0;
        if (pair.server.state == MX_TLS_HANDSHAKE)
            err = mx_tls_handshake(&pair.server, &in, &out);
        else
            err = mx_tls_open(&pair.server, &in, &out, plain, sizeof plain, &len);
        CHECK(out.len <= pair.room && len <= pair.said_len - pair.heard_len);
        CHECK(memcmp(plain, pair.said + pair.heard_len, len) == 0);
        pair.heard_len += len;
        put(&pair.to_client, (struct mx_span){out.ptr, out.len});
    }
    CHECK(err != MX_EPARTIAL || in.len == 0);
    CHECK(err != MX_ETLS || (pair.is_touched && mx_tls_error_text(&pair.server) != NULL));
    pair.is_over |= pair.server.state == MX_TLS_ENDED;
    wire->begin += take;
}

/* The client takes what has come for it, and says what follows from it. */
static void attend(void) {
    static char plain[MX_TLS_RECORD_MAX], room[WIRE_MAX];
    struct wire *wire = &pair.to_client;
    struct mx_span in = {wire->octets + wire->begin, wire->end - wire->begin};
    int err = 0;
    while ((err == 0 || err == MX_ENOROOM) && pair.client.state != MX_TLS_ENDED) {
        struct mx_out out = {room, 0, sizeof room};
        size_t len;
        err = pair.client.state == MX_TLS_HANDSHAKE
                  ? mx_tls_handshake(&pair.client, &in, &out)
                  : mx_tls_open(&pair.client, &in, &out, plain, sizeof plain, &len);
        put(&pair.to_server, (struct mx_span){out.ptr, out.len});
    }
    CHECK(err != MX_ETLS || pair.is_touched);
    wire->begin = wire->end = 0;
    pair.is_over |= pair.client.state == MX_TLS_ENDED;
}

static void speak(size_t octets) {
    static char room[SAID_MAX];
    struct mx_out out = {room, 0, sizeof room};
    size_t left = sizeof pair.said - pair.said_len;
    struct mx_span text = {pair.said + pair.said_len, octets < left ? octets : left};
    if (pair.client.state != MX_TLS_OPEN || text.len == 0)
        return;
    for (size_t i = 0; i < text.len; i++)
        pair.said[pair.said_len + i] = (char)(pair.said_len + i * 7);
    CHECK(mx_tls_seal(&pair.client, text, &out) == 0);
    pair.said_len += text.len;
    put(&pair.to_server, (struct mx_span){out.ptr, out.len});
}

static void answer(size_t octets) {
    static char room[SAID_MAX], text[4096];
    struct mx_out out = {room, 0, sizeof room};
    if (pair.server.state != MX_TLS_OPEN)
        return;
    CHECK(mx_tls_seal(&pair.server, (struct mx_span){text, octets}, &out) == 0);
    put(&pair.to_client, (struct mx_span){out.ptr, out.len});
}

/* ---- what is done to the octets ---- */

enum {
    SERVE,
    SERVE_ONE,
    ATTEND,
    SPEAK,
    SPEAK_LONG,
    ANSWER,
    ROOM,
    FLIP,
    DROP,
    DOUBLE,
    INSERT,
    STEPS
};

static void touch(int step, size_t how, const uint8_t **rest, size_t *left) {
    struct wire *wire = &pair.to_server;
    size_t len = wire->end - wire->begin;
    char *at = wire->octets + wire->begin + (len > 0 ? how % len : 0);
    size_t behind = len > 0 ? len - how % len : 0;
    if (step == INSERT) {
        size_t count = how % 64 < *left ? how % 64 : *left;
        put(wire, (struct mx_span){(const char *)*rest, count});
        pair.is_touched |= count > 0;
        *rest += count;
        *left -= count;
        return;
    }
    if (len == 0)
        return;
    pair.is_touched = true;
    if (step == FLIP) {
        *at = (char)(*at ^ (1 << how % 8));
    } else if (step == DROP) {
        memmove(at, at + 1, behind - 1);
        wire->end--;
    } else if (wire->end < sizeof wire->octets) { /* DOUBLE */
        memmove(at + 1, at, behind);
        wire->end++;
    }
}

static void run(const uint8_t *data, size_t size) {
    while (size >= 2 && !pair.is_over) {
        int step = data[0] % STEPS;
        size_t how = data[1];
        data += 2;
        size -= 2;
        switch (step) {
        case SERVE:
            serve(how * 16);
            break;
        case SERVE_ONE:
            serve(how % 8);
            break;
        case ATTEND:
            attend();
            break;
        case SPEAK:
            speak(how);
            break;
        case SPEAK_LONG:
            speak(how * 67);
            break;
        case ANSWER:
            answer(how * 16);
            break;
        case ROOM:
            pair.room = how < 16 ? (uint32_t)how + 1 : (uint32_t)how * 64;
            break;
        default:
            touch(step, how, &data, &size);
        }
    }
}

/* Nobody touches anything any more: it comes to an end, and to a good one if it can. */
static void settle(void) {
    pair.room = 4096;
    for (int i = 0; i < 8 && !pair.is_over; i++) {
        attend();
        serve(WIRE_MAX);
    }
    if (pair.is_touched || pair.is_over)
        return;
    CHECK(pair.client.state == MX_TLS_OPEN && pair.server.state == MX_TLS_OPEN);
    CHECK(pair.heard_len == pair.said_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mx_tls_resumption *resumptions[3];
    if (server_context == NULL)
        make_contexts();
    if (size == 0)
        return 0;
    unsigned which = data[0] % 3;
    bool resumes = (data[0] & 64) != 0;
    int64_t before = mx_tls_memory_used();
    memset(&pair, 0, offsetof(struct pair, to_server));
    pair.to_server.begin = pair.to_server.end = pair.to_client.begin = pair.to_client.end = 0;
    pair.said_len = pair.heard_len = 0;
    pair.room = 4096;
    pair.is_touched = pair.is_over = false;
    CHECK(mx_tls_init(&pair.server, server_context) == 0);
    CHECK(mx_tls_client_init(&pair.client, client_contexts[which], "mx.test",
                             resumes ? resumptions[which] : NULL) == 0);
    attend();
    run(data + 1, size - 1);
    settle();
    bool is_good = !pair.is_touched && !pair.is_over;
    struct mx_tls_resumption *fresh =
        is_good && resumptions[which] == NULL ? mx_tls_resumption_new(&pair.client) : NULL;
    mx_tls_deinit(&pair.client);
    mx_tls_deinit(&pair.server);
    if (fresh != NULL)
        resumptions[which] = fresh; /* for later runs: it stays */
    else
        CHECK(mx_tls_memory_used() <= before);
    return 0;
}
