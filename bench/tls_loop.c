/* bench-tls_loop [--filter] [--resumed] [--version 1.2|1.3] --cert FILE --key FILE [-n COUNT]
 *
 * What TLS costs a server when there is nothing else: sessions of the library over memory, without
 * sockets, rings and SMTP. Without --filter the library is called directly, as a textbook would;
 * with it through tls/. 64 clients take turns, so that one reading of the clock covers as many
 * sessions; their own time does not count. After the handshake the records of a short SMTP session
 * follow: a greeting, four commands and their replies.
 *
 * Prints one line of JSON: CPU microseconds of the server for each session, from its making to its
 * freeing, and of that the records. bench/tls runs it.
 */
#include "tls/client.h"
#include "tls/library.h"
#include "tls/tickets.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

enum { SLOTS = 64, WIRE_MAX = 65536, PEM_MAX = 65536, ROUNDS_MAX = 8 };

static const struct {
    uint32_t command, reply; /* octets */
} dialogue[] = {
    {0,   48 }, /* the greeting */
    {20,  190}, /* EHLO */
    {90,  100}, /* MAIL, RCPT, DATA */
    {400, 50 }, /* the message */
    {6,   40 }, /* QUIT */
};

struct wire {
    char octets[WIRE_MAX];
    size_t begin, end;
};

struct slot {
    struct mx_tls client, filter;
    WOLFSSL *bare;
    bool is_open; /* on the server's side */
    struct wire to_server, to_client;
};

static struct loop {
    bool has_filter, resumes;
    const char *version, *cert, *key;
    uint64_t count;
    struct mx_tls_context *client_context, *filter_context;
    WOLFSSL_CTX *bare_context;
    struct slot *slots;
    struct mx_tls_resumption *resumption;
    uint64_t session_ns, record_ns, sessions;
    struct mx_tls_facts facts;
} loop = {.version = "1.3", .count = 2000};

/* An error here is a bug of the loop, or a machine without memory. */
static void must(bool is_true, const char *what) {
    if (is_true)
        return;
    fprintf(stderr, "bench-tls_loop: %s\n", what);
    exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- octets ---- */

static void put(struct wire *wire, const char *ptr, size_t len) {
    must(len <= sizeof wire->octets - wire->end, "more octets than a wire holds");
    memcpy(wire->octets + wire->end, ptr, len);
    wire->end += len;
}

static struct mx_span left(const struct wire *wire) {
    return (struct mx_span){wire->octets + wire->begin, wire->end - wire->begin};
}

static void taken(struct wire *wire, struct mx_span rest) {
    wire->begin = wire->end - rest.len;
    if (rest.len == 0)
        wire->begin = wire->end = 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's signature */
static int bare_read(WOLFSSL *ssl, char *to, int octets, void *argument) {
    struct slot *slot = argument;
    (void)ssl;
    struct mx_span in = left(&slot->to_server);
    if (in.len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t len = (size_t)octets < in.len ? (size_t)octets : in.len;
    memcpy(to, in.ptr, len);
    taken(&slot->to_server, mx_span_skip(in, len));
    return (int)len;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's signature */
static int bare_write(WOLFSSL *ssl, char *from, int octets, void *argument) {
    struct slot *slot = argument;
    (void)ssl;
    put(&slot->to_client, from, (size_t)octets);
    return octets;
}

/* ---- contexts ---- */

static struct mx_span read_file(const char *path, char text[PEM_MAX]) {
    FILE *file = fopen(path, "rbe");
    must(file != NULL, path);
    size_t len = fread(text, 1, PEM_MAX, file);
    must(len > 0 && len < PEM_MAX && fclose(file) == 0, path);
    return (struct mx_span){text, len};
}

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                                     "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"};

static struct mx_tls_params params_of(const struct mx_tls_certificate *certificate) {
    return (struct mx_tls_params){
        .certificates = certificate,
        .certificate_count = certificate != NULL,
        .has_tls12 = strcmp(loop.version, "1.2") == 0,
        .has_tls13 = strcmp(loop.version, "1.3") == 0,
        .ciphers = suites,
        .cipher_count = sizeof suites / sizeof *suites,
        .ticket_lifetime_s = 86400,
    };
}

static void make_bare(struct mx_span chain, struct mx_span key) {
    static const word16 curves[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1,
                                    WOLFSSL_ECC_SECP384R1};
    WOLFSSL_CTX *ctx = loop.bare_context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    must(ctx != NULL, "no context");
    bool is_good = wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) == WOLFSSL_SUCCESS;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        is_good = is_good && wolfSSL_CTX_UseSupportedCurve(ctx, curves[i]) == WOLFSSL_SUCCESS;
    is_good = is_good &&
              wolfSSL_CTX_set_cipher_list(ctx, "TLS13-AES128-GCM-SHA256:"
                                               "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                               "ECDHE-RSA-AES128-GCM-SHA256") == WOLFSSL_SUCCESS;
    is_good =
        is_good && wolfSSL_CTX_use_certificate_chain_buffer(ctx, (const unsigned char *)chain.ptr,
                                                            (long)chain.len) == WOLFSSL_SUCCESS;
    is_good = is_good &&
              wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)key.ptr, (long)key.len,
                                                WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
    must(is_good, "the library does not take certificate, key or policy");
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_num_tickets(ctx, 1);
    wolfSSL_CTX_SetIORecv(ctx, bare_read);
    wolfSSL_CTX_SetIOSend(ctx, bare_write);
}

static void make_contexts(void) {
    static char chain_text[PEM_MAX], key_text[PEM_MAX];
    struct mx_span chain = read_file(loop.cert, chain_text), key = read_file(loop.key, key_text);
    struct mx_tls_certificate certificate = {.chain = chain, .key = key};
    struct mx_tls_params params = params_of(&certificate);
    struct mx_tls_problem problem;
    must(mx_tls_library_init() == 0, "the library does not start");
    params.tickets = mx_tls_tickets_new((struct mx_span){0}, 86400, time(NULL));
    loop.filter_context = mx_tls_context_new(&params, &problem);
    must(params.tickets != NULL && loop.filter_context != NULL, problem.text);
    params = params_of(NULL);
    loop.client_context = mx_tls_client_context_new(&params, &problem);
    must(loop.client_context != NULL, problem.text);
    make_bare(chain, key);
}

/* ---- the clients: their time does not count ---- */

static char scratch[WIRE_MAX], plain[MX_TLS_RECORD_MAX];

/* Take all that has come. */
static void attend(struct slot *slot) {
    struct mx_span in = left(&slot->to_client);
    int err = 0;
    while (err == 0) {
        struct mx_out out = {scratch, 0, sizeof scratch};
        size_t len;
        err = slot->client.state == MX_TLS_HANDSHAKE
                  ? mx_tls_handshake(&slot->client, &in, &out)
                  : mx_tls_open(&slot->client, &in, &out, plain, sizeof plain, &len);
        put(&slot->to_server, out.ptr, out.len);
    }
    must(err == MX_EPARTIAL || err == MX_EEND, "a client failed");
    taken(&slot->to_client, in);
}

static void begin_client(struct slot *slot) {
    slot->to_server.begin = slot->to_server.end = 0;
    slot->to_client.begin = slot->to_client.end = 0;
    must(mx_tls_client_init(&slot->client, loop.client_context, NULL, loop.resumption) == 0,
         "no memory");
    attend(slot);
}

static void speak(struct slot *slot, uint32_t len) {
    struct mx_out out = {scratch, 0, sizeof scratch};
    memset(plain, 'x', len);
    must(mx_tls_seal(&slot->client, (struct mx_span){plain, len}, &out) == 0, "a client failed");
    put(&slot->to_server, out.ptr, out.len);
}

/* ---- the server ---- */

static void begin_server(struct slot *slot) {
    slot->is_open = false;
    if (loop.has_filter) {
        must(mx_tls_init(&slot->filter, loop.filter_context) == 0, "no memory");
        return;
    }
    slot->bare = wolfSSL_new(loop.bare_context);
    must(slot->bare != NULL, "no memory");
    wolfSSL_SetIOReadCtx(slot->bare, slot);
    wolfSSL_SetIOWriteCtx(slot->bare, slot);
}

static void step(struct slot *slot) {
    if (slot->is_open)
        return;
    if (!loop.has_filter) {
        int result = wolfSSL_accept(slot->bare);
        slot->is_open = result == WOLFSSL_SUCCESS;
        must(slot->is_open || wolfSSL_get_error(slot->bare, result) == WOLFSSL_ERROR_WANT_READ,
             "a handshake failed");
        return;
    }
    struct mx_span in = left(&slot->to_server);
    struct mx_out out = {scratch, 0, sizeof scratch};
    int err = mx_tls_handshake(&slot->filter, &in, &out);
    must(err == 0 || err == MX_EPARTIAL, "a handshake failed");
    taken(&slot->to_server, in);
    put(&slot->to_client, out.ptr, out.len);
    slot->is_open = err == 0;
}

/* A command, unless it is the greeting, and its reply. */
static void serve(struct slot *slot, uint32_t command, uint32_t reply) {
    size_t len = 0;
    if (!loop.has_filter) {
        int got = command > 0 ? wolfSSL_read(slot->bare, plain, sizeof plain) : 0;
        must(got == (int)command, "a command is not what was said");
        must(wolfSSL_write(slot->bare, plain, (int)reply) == (int)reply, "a reply failed");
        return;
    }
    struct mx_span in = left(&slot->to_server);
    struct mx_out out = {scratch, 0, sizeof scratch};
    int err = command > 0 ? mx_tls_open(&slot->filter, &in, &out, plain, sizeof plain, &len) : 0;
    must(err == 0 && len == command, "a command is not what was said");
    taken(&slot->to_server, in);
    must(mx_tls_seal(&slot->filter, (struct mx_span){plain, reply}, &out) == 0, "a reply failed");
    put(&slot->to_client, out.ptr, out.len);
}

static void end_server(struct slot *slot) {
    struct mx_out out = {scratch, 0, sizeof scratch};
    if (loop.has_filter) {
        mx_tls_end(&slot->filter, &out);
        put(&slot->to_client, out.ptr, out.len);
        mx_tls_deinit(&slot->filter);
        return;
    }
    wolfSSL_shutdown(slot->bare);
    wolfSSL_free(slot->bare);
}

/* ---- the loop ---- */

typedef void slot_fn(struct slot *slot);

static void each(slot_fn *run) {
    for (unsigned i = 0; i < SLOTS; i++)
        run(&loop.slots[i]);
}

/* The same, and its time counts. */
static void each_measured(slot_fn *run) {
    uint64_t before_ns = cpu_ns();
    each(run);
    loop.session_ns += cpu_ns() - before_ns;
}

static void talk(void) {
    for (size_t i = 0; i < sizeof dialogue / sizeof *dialogue; i++) {
        for (unsigned s = 0; s < SLOTS && dialogue[i].command > 0; s++)
            speak(&loop.slots[s], dialogue[i].command);
        uint64_t before_ns = cpu_ns();
        for (unsigned s = 0; s < SLOTS; s++)
            serve(&loop.slots[s], dialogue[i].command, dialogue[i].reply);
        loop.record_ns += cpu_ns() - before_ns;
        each(attend);
    }
}

static bool are_open(void) {
    bool all = true;
    for (unsigned i = 0; i < SLOTS; i++)
        all &= loop.slots[i].is_open;
    return all;
}

static void end_client(struct slot *slot) {
    attend(slot);
    mx_tls_deinit(&slot->client);
}

static void run_batch(void) {
    each(begin_client);
    each_measured(begin_server);
    for (unsigned i = 0; i < ROUNDS_MAX && !are_open(); i++) {
        each_measured(step);
        each(attend);
    }
    must(are_open(), "a handshake does not end");
    talk();
    mx_tls_facts(&loop.slots[0].client, &loop.facts);
    if (loop.resumes && loop.resumption == NULL)
        loop.resumption = mx_tls_resumption_new(&loop.slots[0].client);
    each_measured(end_server);
    each(end_client);
    loop.sessions += SLOTS;
}

static void take_options(int argc, char **argv) {
    static const struct option names[] = {
        {"filter",  no_argument,       NULL, 'f'},
        {"resumed", no_argument,       NULL, 'r'},
        {"version", required_argument, NULL, 'v'},
        {"cert",    required_argument, NULL, 'c'},
        {"key",     required_argument, NULL, 'k'},
        {NULL,      0,                 NULL, 0  },
    };
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "n:", names, NULL)) != -1;) {
        loop.has_filter |= o == 'f';
        loop.resumes |= o == 'r';
        if (o == 'v')
            loop.version = optarg;
        else if (o == 'c')
            loop.cert = optarg;
        else if (o == 'k')
            loop.key = optarg;
        else if (o == 'n')
            loop.count = strtoull(optarg, NULL, 10);
        must(o != '?', "usage: see the top of bench/tls_loop.c");
    }
    must(strcmp(loop.version, "1.2") == 0 || strcmp(loop.version, "1.3") == 0,
         "--version: 1.2 or 1.3");
    must(loop.cert != NULL && loop.key != NULL && loop.count > 0,
         "--cert, --key and -n are wanted");
}

static void new_slots(void) {
    loop.slots = calloc(SLOTS, sizeof *loop.slots);
    must(loop.slots != NULL, "no memory");
}

int main(int argc, char **argv) {
    take_options(argc, argv);
    make_contexts();
    new_slots();
    run_batch(); /* to warm up, and to have something to resume */
    loop.session_ns = loop.record_ns = loop.sessions = 0;
    while (loop.sessions < loop.count)
        run_batch();
    must(loop.facts.is_resumed == loop.resumes, "sessions are not resumed");
    double sessions = (double)loop.sessions;
    printf("{\"sessions\":%llu,\"version\":\"%s\",\"cipher\":\"%s\",\"session_us\":%.3f,"
           "\"records_us\":%.3f}\n",
           (unsigned long long)loop.sessions, loop.facts.version, loop.facts.cipher,
           1e-3 * (double)(loop.session_ns + loop.record_ns) / sessions,
           1e-3 * (double)loop.record_ns / sessions);
    return 0;
}
