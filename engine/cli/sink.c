/* sink.c - mxring sink: the benchmark preset. Accepts everything, stores nothing, says who was the
 * limit. */
#include "config/conf.h"
#include "config/size.h"
#include "engine/cli/cli.h"
#include "engine/cli/fault_options.h"
#include "engine/server.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = 64, BACKLOG = 4096 };
enum { GO_ON = -1 }; /* where an exit status would end the command */

static int usage(FILE *to) {
    fputs(
        "usage: mxring sink [option]... [ADDR:PORT]...\n"
        "\n"
        "Accepts every HELO name, sender, recipient and parameter, and throws the mail away.\n"
        "Default address 127.0.0.1:2525. SIGINT or SIGTERM prints one JSON line.\n"
        "\n"
        "  --lmtp                 the addresses behind it speak LMTP (all, when none is behind "
        "it)\n"
        "  --tls-cert FILE        certificate and its chain, PEM: STARTTLS; needs --tls-key\n"
        "  --tls-key FILE         its private key, PEM\n"
        "  --tls-client-ca FILE   clients must have a certificate of these authorities, PEM\n"
        "  --tls                  the addresses behind it speak TLS from the first octet on (all, "
        "when none is\n"
        "                         behind it)\n"
        "  --workers N            threads, one ring each; default: the CPUs of the affinity mask\n"
        "  --hostname NAME        name in the replies; default: the name of the machine\n"
        "  --batch-wait W         off, auto or microseconds (default auto)\n"
        "  --max-connections N    default 65536; 0: as many as the descriptors allow\n"
        "  --no-pipelining        do not announce PIPELINING (still understood)\n"
        "  -u, --user NAME        become this user when the addresses are bound\n"
        "  --verbose              log every limit and connection event\n"
        "\n"
        "Faults, for a list of CONNECT, EHLO, HELO, LHLO, MAIL, RCPT, DATA, BDAT, '.', RSET, "
        "NOOP,\n"
        "VRFY, EXPN, HELP, QUIT, UNKNOWN, separated by commas:\n"
        "  -f, --hard-reject LIST   500 5.3.0      -r, --soft-reject LIST    450 4.3.0\n"
        "  -q, --disconnect LIST    close          -Q, --disconnect-421 LIST 421, close\n"
        "  -W, --delay LIST:MS      wait MS milliseconds before the reply\n",
        to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

struct options {
    struct mx_conf *conf;
    struct mx_fault faults[MX_FAULT_PLACES];
    bool has_faults;
    const char *hostname;
    uint32_t hidden_features;
    const char *chain_path, *key_path, *trust_path; /* TLS; NULL: none */
    bool is_implicit;                               /* --tls was seen */
    struct {
        const char *text;
        bool is_lmtp, is_implicit;
        struct mx_conf_bind bind;
    } addresses[ADDRESSES_MAX];
    unsigned address_count;
    bool is_lmtp; /* --lmtp was seen */
};

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say why the command line is wrong. */
static int refuse(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("mxring sink: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return MX_EXIT_USAGE;
}

/* No limits but memory: what a benchmark sends is accepted. */
static void lift_limits(struct mx_conf_server *server) {
    server->connection_backlog = BACKLOG;
    server->connection_timeout_ms = server->data_timeout_ms = 0;
    server->min_data_rate = 0;
    server->max_message_octets = 0;
    server->max_line_octets = MX_LINE_MAX;
    server->max_recipients = server->max_errors = 0;
}

static void set_tls(const struct options *self, struct mx_conf_tls *tls, bool is_implicit) {
    tls->is_implicit = is_implicit;
    tls->has_starttls = !is_implicit && self->chain_path != NULL;
    tls->chain_path = self->chain_path;
    tls->key_path = self->key_path;
    tls->trust_path = self->trust_path;
    if (self->trust_path != NULL)
        tls->client_auth = MX_CLIENT_AUTH_REQUIRED;
}

static int check_tls(const struct options *self) {
    if ((self->chain_path != NULL) != (self->key_path != NULL))
        return refuse("--tls-cert and --tls-key go together");
    if (self->chain_path == NULL && (self->is_implicit || self->trust_path != NULL))
        return refuse("%s needs --tls-cert and --tls-key",
                      self->is_implicit ? "--tls" : "--tls-client-ca");
    return MX_EXIT_OK;
}

/* 0 or an exit status. */
static int add_server(struct options *self, unsigned i, bool is_lmtp) {
    const char *text = self->addresses[i].text;
    struct mx_conf_bind *bind = &self->addresses[i].bind;
    struct mx_conf_server *server = mx_conf_add_server(self->conf, is_lmtp);
    int err = server != NULL ? mx_conf_parse_bind(self->conf, text, bind) : -ENOMEM;
    if (err < 0 && err != -ENOMEM)
        return refuse("'%s': not an address; write 127.0.0.1:2525 or [::1]:2525", text);
    if (err == 0 && self->hostname != NULL)
        err = mx_conf_set_hello_name(self->conf, server, self->hostname);
    if (err == MX_ESYNTAX)
        return refuse("--hostname '%s': not a host name", self->hostname);
    if (err < 0)
        return MX_EXIT_SYSTEM;
    server->binds = bind; /* not of conf's memory, but it lives as long */
    server->bind_count = 1;
    server->hidden_features = self->hidden_features;
    set_tls(self, &server->tls, self->addresses[i].is_implicit);
    lift_limits(server);
    return 0;
}

static int add_address(struct options *self, const char *text) {
    if (self->address_count == ADDRESSES_MAX)
        return refuse("more than %d addresses", ADDRESSES_MAX);
    self->addresses[self->address_count].text = text;
    self->addresses[self->address_count].is_implicit = self->is_implicit;
    self->addresses[self->address_count++].is_lmtp = self->is_lmtp;
    return GO_ON;
}

static int add_servers(struct options *self) {
    bool is_any_lmtp = false, is_any_implicit = false;
    if (self->address_count == 0 && add_address(self, "127.0.0.1:2525") != GO_ON)
        return MX_EXIT_SYSTEM;
    int tls_code = check_tls(self);
    if (tls_code != MX_EXIT_OK)
        return tls_code;
    for (unsigned i = 0; i < self->address_count; i++) {
        is_any_lmtp = is_any_lmtp || self->addresses[i].is_lmtp;
        is_any_implicit = is_any_implicit || self->addresses[i].is_implicit;
    }
    bool is_all_lmtp = self->is_lmtp && !is_any_lmtp;
    bool is_all_implicit = self->is_implicit && !is_any_implicit;
    for (unsigned i = 0; i < self->address_count; i++) {
        self->addresses[i].is_implicit |= is_all_implicit;
        int code = add_server(self, i, is_all_lmtp || self->addresses[i].is_lmtp);
        if (code != MX_EXIT_OK)
            return code;
    }
    return MX_EXIT_OK;
}

static int set_number(const char *text, uint32_t min, uint32_t max, uint32_t *number) {
    int64_t value = 0;
    if (mx_size_number(mx_span_of(text), &value) < 0 || value < min || value > max)
        return refuse("'%s': a number from %u to %u is wanted", text, min, max);
    *number = (uint32_t)value;
    return GO_ON;
}

static int set_batch_wait(struct options *self, const char *text) {
    uint32_t us = 0;
    int code = GO_ON;
    if (strcmp(text, "off") == 0) {
        self->conf->engine.batch_wait_us = MX_BATCH_WAIT_OFF;
    } else if (strcmp(text, "auto") == 0) {
        self->conf->engine.batch_wait_us = MX_BATCH_WAIT_AUTO;
    } else {
        code = set_number(text, 1, 10000, &us);
        self->conf->engine.batch_wait_us = (int32_t)us;
    }
    return code;
}

static int set_fault(struct options *self, int option, const char *list) {
    self->has_faults = true;
    return mx_fault_options_add(self->faults, option, list) ? GO_ON : MX_EXIT_USAGE;
}

static int set_tls_file(struct options *self, int option, const char *path) {
    const char **to = option == 'C'   ? &self->chain_path
                      : option == 'K' ? &self->key_path
                                      : &self->trust_path;
    *to = path;
    return GO_ON;
}

static const struct option long_options[] = {
    {"lmtp",            no_argument,       NULL, 'L'                       },
    {"workers",         required_argument, NULL, 'w'                       },
    {"hostname",        required_argument, NULL, 'n'                       },
    {"batch-wait",      required_argument, NULL, 'b'                       },
    {"max-connections", required_argument, NULL, 'm'                       },
    {"no-pipelining",   no_argument,       NULL, 'p'                       },
    {"user",            required_argument, NULL, 'u'                       },
    {"verbose",         no_argument,       NULL, 'v'                       },
    {"hard-reject",     required_argument, NULL, MX_FAULT_OPTION_HARD      },
    {"soft-reject",     required_argument, NULL, MX_FAULT_OPTION_SOFT      },
    {"disconnect",      required_argument, NULL, MX_FAULT_OPTION_DISCONNECT},
    {"disconnect-421",  required_argument, NULL, MX_FAULT_OPTION_421       },
    {"delay",           required_argument, NULL, MX_FAULT_OPTION_DELAY     },
    {"tls",             no_argument,       NULL, 'I'                       },
    {"tls-cert",        required_argument, NULL, 'C'                       },
    {"tls-key",         required_argument, NULL, 'K'                       },
    {"tls-client-ca",   required_argument, NULL, 'A'                       },
    {"help",            no_argument,       NULL, 'h'                       },
    {NULL,              0,                 NULL, 0                         },
};

/* GO_ON or an exit status. */
static int take_option(struct options *self, int option) {
    struct mx_conf *conf = self->conf;
    switch (option) {
    case 1:
        return add_address(self, optarg);
    case 'L':
        self->is_lmtp = true;
        return GO_ON;
    case 'w':
        return set_number(optarg, 1, MX_WORKERS_MAX, &conf->engine.workers);
    case 'n':
        self->hostname = optarg;
        return GO_ON;
    case 'b':
        return set_batch_wait(self, optarg);
    case 'm':
        return set_number(optarg, 0, MX_CONNECTIONS_MAX, &conf->engine.max_connections);
    case 'p':
        self->hidden_features |= MX_FEATURE_PIPELINING;
        return GO_ON;
    case 'u':
        conf->engine.user = optarg;
        return GO_ON;
    case 'v':
        conf->log.level = MX_LOG_DEBUG;
        return GO_ON;
    case 'I':
        self->is_implicit = true;
        return GO_ON;
    case 'C':
    case 'K':
    case 'A':
        return set_tls_file(self, option, optarg);
    case 'h':
        return usage(stdout);
    case MX_FAULT_OPTION_HARD:
    case MX_FAULT_OPTION_SOFT:
    case MX_FAULT_OPTION_DISCONNECT:
    case MX_FAULT_OPTION_421:
    case MX_FAULT_OPTION_DELAY:
        return set_fault(self, option, optarg);
    default: /* getopt has said why */
        fputs("mxring sink --help lists the options\n", stderr);
        return MX_EXIT_USAGE;
    }
}

static void print_shares(const char *name, const double *shares, uint32_t count) {
    printf(",\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++)
        printf("%s%.3f", i > 0 ? "," : "", shares[i]);
    putchar(']');
}

static void print_summary(const struct mx_totals *totals) {
    uint64_t messages = totals->proto.messages;
    double per_message = messages > 0 ? totals->cpu_seconds * 1e6 / (double)messages : 0;
    printf("{\"messages\":%lu,\"recipients\":%lu,\"bytes\":%lu,\"connections\":%lu,"
           "\"seconds\":%.3f,\"cpu_us_per_message\":%.3f,\"verdict\":\"%s\"",
           messages, totals->proto.recipients, totals->proto.body_octets,
           totals->engine.connections, totals->seconds, per_message, mx_totals_verdict(totals));
    print_shares("waited", totals->waited, totals->worker_count);
    print_shares("delayed", totals->delayed, totals->worker_count);
    printf(",\"worker_connections\":[");
    for (uint32_t i = 0; i < totals->worker_count; i++)
        printf("%s%u", i > 0 ? "," : "", totals->served[i]);
    printf("],\"durability\":\"none\",\"counters\":{");
    const char *comma = "";
#define PRINT_PROTO(name, unit, help)                                                              \
    printf("%s\"%s\":%lu", comma, #name, totals->proto.name);                                      \
    comma = ",";
#define PRINT_ENGINE(name, unit, help) printf(",\"%s\":%lu", #name, totals->engine.name);
    MX_PROTO_COUNTERS(PRINT_PROTO)
    MX_ENGINE_COUNTERS(PRINT_ENGINE)
#undef PRINT_PROTO
#undef PRINT_ENGINE
    puts("}}");
}

static int run(struct options *self) {
    struct mx_totals totals;
    int code = add_servers(self);
    if (code != MX_EXIT_OK)
        return code;
    code = mx_server_run(self->conf, true, self->has_faults ? self->faults : NULL, &totals);
    if (code != MX_EXIT_OK)
        return code;
    print_summary(&totals);
    if (fflush(stdout) == 0)
        return MX_EXIT_OK;
    fputs("mxring sink: the summary could not be written\n", stderr);
    return MX_EXIT_DISK;
}

int mx_cli_sink(int argc, char **argv) {
    struct options self = {.conf = mx_conf_new()};
    if (self.conf == NULL)
        return MX_EXIT_SYSTEM;
    self.conf->durability = MX_DURABILITY_NONE;
    int code = GO_ON;
    for (int o; code == GO_ON &&
                (o = getopt_long(argc, argv, "-hf:r:q:Q:W:u:", long_options, NULL)) != -1;)
        code = take_option(&self, o);
    while (code == GO_ON && optind < argc)
        code = add_address(&self, argv[optind++]);
    if (code == GO_ON)
        code = run(&self);
    mx_conf_free(self.conf);
    return code;
}
