#include "bench/mxload/plan.h"

#include "bench/mxload/plan_help.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum kind { FLAG, COUNT, SIZES, SECONDS, RATE, TEXT, ZEROCOPY, VERSION, REFUSED, HELP };

/* clang-format off */
static const struct row {
    const char *letter;   /* NULL: none */
    const char *word;     /* NULL: none */
    enum kind kind;
    size_t offset;        /* of the field in struct mx_plan */
    uint64_t min, max;    /* COUNT, SIZES; SECONDS and RATE: max; TEXT: longest */
} rows[] = {
#define AT(field) offsetof(struct mx_plan, field)
    {"s",  NULL,         COUNT,   AT(sessions),            1, MX_PLAN_SESSIONS_MAX},
    {"m",  NULL,         COUNT,   AT(messages),            1, MX_PLAN_MESSAGES_MAX},
    {"l",  NULL,         SIZES,   AT(size),                0, MX_PLAN_SIZE_MAX},
    {"r",  NULL,         SIZES,   AT(recipients),          1, MX_PLAN_RECIPIENTS_MAX},
    {"d",  NULL,         FLAG,    AT(keeps_open),          0, 0},
    {"c",  NULL,         FLAG,    AT(has_counter),         0, 0},
    {"N",  NULL,         FLAG,    AT(is_unique_recipient), 0, 0},
    {"A",  NULL,         FLAG,    AT(keeps_going),         0, 0},
    {"4",  NULL,         FLAG,    AT(is_ipv4_only),        0, 0},
    {"6",  NULL,         FLAG,    AT(is_ipv6_only),        0, 0},
    {"L",  "lmtp",       FLAG,    AT(is_lmtp),             0, 0},
    {"f",  NULL,         TEXT,    AT(sender),              0, MX_PLAN_ADDRESS_MAX},
    {"t",  NULL,         TEXT,    AT(recipient),           0, MX_PLAN_ADDRESS_MAX},
    {"M",  NULL,         TEXT,    AT(hostname),            0, MX_PLAN_ADDRESS_MAX},
    {"S",  NULL,         TEXT,    AT(subject),             0, MX_PLAN_SUBJECT_MAX},
    {"F",  NULL,         TEXT,    AT(eml_path),            1, 4096},
    {"v",  NULL,         FLAG,    AT(is_verbose),          0, 0},
    {"C",  NULL,         COUNT,   AT(connect_tries),       1, MX_PLAN_TRIES_MAX},
    {"T",  NULL,         COUNT,   AT(window),              1, 1 << 30},
    {"w",  NULL,         SECONDS, AT(wait_s),              0, MX_PLAN_SECONDS_MAX},
    {"R",  NULL,         SECONDS, AT(wait_random_s),       0, MX_PLAN_SECONDS_MAX},
    {NULL, "pipeline",   FLAG,    AT(is_pipelined),        0, 0},
    {NULL, "bdat",       FLAG,    AT(is_bdat),             0, 0},
    {NULL, "no-verify",  FLAG,    AT(is_unverified),       0, 0},
    {NULL, "spin",       FLAG,    AT(is_spinning),         0, 0},
    {NULL, "json",       FLAG,    AT(is_json),             0, 0},
    {NULL, "duration",   SECONDS, AT(duration_s),          0, MX_PLAN_SECONDS_MAX},
    {NULL, "ramp",       SECONDS, AT(ramp_s),              0, MX_PLAN_SECONDS_MAX},
    {NULL, "timeout",    SECONDS, AT(timeout_s),           0, MX_PLAN_SECONDS_MAX},
    {NULL, "rate",       RATE,    AT(rate),                0, MX_PLAN_RATE_MAX},
    {NULL, "workers",    COUNT,   AT(workers),             1, MX_PLAN_WORKERS_MAX},
    {NULL, "sources",    COUNT,   AT(sources),             1, MX_PLAN_SOURCES_MAX},
    {NULL, "seed",       COUNT,   AT(seed),                0, UINT64_MAX},
    {NULL, "ledger",     TEXT,    AT(ledger_path),         1, 4096},
    {NULL, "ledger-times", FLAG,  AT(has_ledger_times),    0, 0},
    {NULL, "eml",        TEXT,    AT(eml_path),            1, 4096},
    {NULL, "mbox",       TEXT,    AT(mbox_path),           1, 4096},
    {"h",  "help",       HELP,    0,                       0, 0},
    {"o",  NULL,         REFUSED, 0,                       0, 0},
    {NULL, "tls",        FLAG,    AT(is_tls),              0, 0},
    {NULL, "starttls",   FLAG,    AT(is_starttls),         0, 0},
    {NULL, "tls-resume", FLAG,    AT(resumes_tls),         0, 0},
    {NULL, "tls-version",VERSION, AT(tls_version),         0, 0},
    {NULL, "tls-cert",   TEXT,    AT(tls_cert),            1, 4096},
    {NULL, "tls-key",    TEXT,    AT(tls_key),             1, 4096},
    {NULL, "tls-name",   TEXT,    AT(tls_name),            1, MX_PLAN_ADDRESS_MAX},
    {NULL, "auth",       TEXT,    AT(auth),                1, MX_PLAN_AUTH_MAX},
    {NULL, "auth-login", FLAG,    AT(is_auth_login),       0, 0},
    {NULL, "zerocopy",   ZEROCOPY,AT(zerocopy),            0, 0},
#undef AT
};
/* clang-format on */

static int refuse(const struct row *row, const char *value, const char *why) {
    const char *name = row->word != NULL ? row->word : row->letter;
    fprintf(stderr, "mxload: %s%s%s%s: %s\n", row->word != NULL ? "--" : "-", name,
            value != NULL ? " " : "", value != NULL ? value : "", why);
    return MX_ECONFIG;
}

/* A number with K, M or G behind it; *text is moved past it. */
static bool take_number(const char **text, uint64_t *value) {
    if (**text < '0' || **text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    unsigned shift = 0;
    switch (*end) {
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    default:
        break;
    }
    if (errno != 0 || number > UINT64_MAX >> shift)
        return false;
    *value = (uint64_t)number << shift;
    *text = end + (shift > 0);
    return true;
}

static int set_range(const struct row *row, const char *value, struct mx_range *range) {
    const char *at = value;
    if (!take_number(&at, &range->min))
        return refuse(row, value, "a number is missing");
    range->max = range->min;
    if (*at == '-') {
        at++;
        if (!take_number(&at, &range->max))
            return refuse(row, value, "a number is missing behind the dash");
    }
    if (*at != '\0' || range->min > range->max)
        return refuse(row, value, "N or N-N, the smaller one first");
    if (range->min < row->min || range->max > row->max)
        return refuse(row, value, "out of range");
    return 0;
}

static int set_seconds(const struct row *row, const char *value, double *field) {
    char *end;
    double number = strtod(value, &end);
    if (row->kind == RATE && strcmp(end, "/s") == 0)
        end += 2;
    if (row->kind == SECONDS && strcmp(end, "s") == 0)
        end++;
    bool is_zero_fine = row->offset == offsetof(struct mx_plan, wait_s) ||
                        row->offset == offsetof(struct mx_plan, wait_random_s);
    if (end == value || *end != '\0' || !isfinite(number) || number < 0 ||
        number > (double)row->max || (number < 1e-3 && !is_zero_fine))
        return refuse(row, value,
                      row->kind == RATE ? "messages a second" : "seconds, 0.001..86400");
    *field = number;
    return 0;
}

static int set_text(const struct row *row, const char *value, const char **field) {
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ')
            return refuse(row, NULL, "control characters are not sent");
    }
    if (strlen(value) < row->min || strlen(value) > row->max)
        return refuse(row, NULL, "too short or too long");
    *field = value;
    return 0;
}

static int set_count(const struct row *row, const char *value, void *field) {
    struct mx_range range;
    int err = set_range(row, value, &range);
    if (err < 0)
        return err;
    if (range.min != range.max)
        return refuse(row, value, "one number");
    if (row->offset == offsetof(struct mx_plan, messages) ||
        row->offset == offsetof(struct mx_plan, seed))
        *(uint64_t *)field = range.min;
    else
        *(uint32_t *)field = (uint32_t)range.min;
    return 0;
}

const char *const mx_plan_zerocopy_names[MX_ZEROCOPY_COUNT] = {"auto", "on", "off"};

static int set_zerocopy(const struct row *row, const char *value, enum mx_zerocopy *field) {
    for (int i = 0; i < MX_ZEROCOPY_COUNT; i++) {
        if (strcmp(value, mx_plan_zerocopy_names[i]) == 0) {
            *field = (enum mx_zerocopy)i;
            return 0;
        }
    }
    return refuse(row, value, "auto, on or off");
}

static int set_version(const struct row *row, const char *value, enum mx_plan_tls *field) {
    if (strcmp(value, "1.2") != 0 && strcmp(value, "1.3") != 0)
        return refuse(row, value, "1.2 or 1.3");
    *field = value[2] == '2' ? MX_PLAN_TLS_12 : MX_PLAN_TLS_13;
    return 0;
}

static int set(struct mx_plan *self, const struct row *row, const char *value) {
    void *field = (char *)self + row->offset;
    switch (row->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case COUNT:
        return set_count(row, value, field);
    case SIZES:
        return set_range(row, value, field);
    case SECONDS:
    case RATE:
        return set_seconds(row, value, field);
    case TEXT:
        return set_text(row, value, field);
    case ZEROCOPY:
        return set_zerocopy(row, value, field);
    case VERSION:
        return set_version(row, value, field);
    case REFUSED:
        return refuse(row, NULL, "not supported by mxload yet");
    case HELP:
        break;
    }
    fputs(MX_PLAN_HELP, stdout);
    return 1;
}

static bool has_value(const struct row *row) {
    return row->kind != FLAG && row->kind != HELP && (row->kind != REFUSED || row->min > 0);
}

static const struct row *find(char letter, const char *word, size_t len) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (word == NULL ? row->letter != NULL && *row->letter == letter
                         : row->word != NULL && strlen(row->word) == len &&
                               memcmp(row->word, word, len) == 0)
            return row;
    }
    return NULL;
}

/* argv[*index] is a word with two dashes. */
static int take_word(struct mx_plan *self, int argc, char **argv, int *index) {
    const char *word = argv[*index] + 2;
    const char *value = strchr(word, '=');
    const struct row *row = find('\0', word, value != NULL ? (size_t)(value - word) : strlen(word));
    if (row == NULL) {
        fprintf(stderr, "mxload: unknown option %s; mxload --help lists them\n", argv[*index]);
        return MX_ECONFIG;
    }
    if (!has_value(row))
        return value != NULL ? refuse(row, NULL, "takes no value") : set(self, row, NULL);
    if (value != NULL)
        return set(self, row, value + 1);
    if (*index + 1 >= argc)
        return refuse(row, NULL, "a value is missing");
    return set(self, row, argv[++*index]);
}

/* argv[*index] is a dash and letters: flags, the last one maybe with a value. */
static int take_letters(struct mx_plan *self, int argc, char **argv, int *index) {
    for (const char *at = argv[*index] + 1; *at != '\0'; at++) {
        const struct row *row = find(*at, NULL, 0);
        if (row == NULL) {
            fprintf(stderr, "mxload: unknown option -%c; mxload --help lists them\n", *at);
            return MX_ECONFIG;
        }
        int err = 0;
        if (!has_value(row))
            err = set(self, row, NULL);
        else if (at[1] != '\0')
            return set(self, row, at + 1);
        else if (*index + 1 < argc)
            return set(self, row, argv[++*index]);
        else
            err = refuse(row, NULL, "a value is missing");
        if (err != 0)
            return err;
    }
    return 0;
}

static int set_host(struct mx_plan *self, const char *host, uint16_t port) {
    bool is_local = strcmp(host, "localhost") == 0;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&self->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&self->address;
    const char *host4 = is_local ? "127.0.0.1" : host, *host6 = is_local ? "::1" : host;
    if (!self->is_ipv6_only && inet_pton(AF_INET, host4, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        self->address_len = sizeof *v4;
        return 0;
    }
    if (!self->is_ipv4_only && inet_pton(AF_INET6, host6, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        self->address_len = sizeof *v6;
        return 0;
    }
    fprintf(stderr, "mxload: %s: an IPv4 or IPv6 address (as -4 and -6 allow) or localhost\n",
            host);
    return MX_ECONFIG;
}

static int set_target(struct mx_plan *self) {
    const char *text = self->target;
    if (strncmp(text, "unix:", 5) == 0) {
        fprintf(stderr, "mxload: %s: unix sockets are not supported by mxload yet\n", text);
        return MX_ECONFIG;
    }
    if (strncmp(text, "inet:", 5) == 0)
        text += 5;
    bool has_bracket = text[0] == '[';
    text += has_bracket;
    const char *end = has_bracket ? strchr(text, ']') : strrchr(text, ':');
    if (!has_bracket && end != NULL && strchr(text, ':') != end)
        end = NULL; /* an IPv6 address without brackets, and so without a port */
    char host[INET6_ADDRSTRLEN];
    size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
    if (len >= sizeof host || (has_bracket && end == NULL)) {
        fprintf(stderr, "mxload: %s: HOST, HOST:PORT or [HOST]:PORT\n", self->target);
        return MX_ECONFIG;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    const char *port = end != NULL ? end + has_bracket : "";
    uint64_t number = 25;
    if (*port == ':') {
        port++;
        if (!take_number(&port, &number) || number == 0 || number > 65535)
            number = UINT64_MAX;
    }
    if (*port != '\0' || number > 65535) {
        fprintf(stderr, "mxload: %s: the port is a number, 1..65535\n", self->target);
        return MX_ECONFIG;
    }
    return set_host(self, host, (uint16_t)number);
}

static int complain(const char *what) {
    fprintf(stderr, "mxload: %s\n", what);
    return MX_ECONFIG;
}

static int settle_tls(const struct mx_plan *self) {
    bool has_tls = self->is_tls || self->is_starttls;
    bool has_more = self->resumes_tls || self->tls_version != MX_PLAN_TLS_ANY ||
                    self->tls_cert != NULL || self->tls_key != NULL || self->tls_name != NULL;
    if (self->is_tls && self->is_starttls)
        return complain("--tls and --starttls: one of them");
    if (has_more && !has_tls)
        return complain("--tls-...: of use with --tls or --starttls only");
    if ((self->tls_cert == NULL) != (self->tls_key == NULL))
        return complain("--tls-cert and --tls-key: both or none");
    if (has_tls && self->zerocopy == MX_ZEROCOPY_ON)
        return complain("--zerocopy on: what is sealed is a copy");
    if (self->auth != NULL && strchr(self->auth, ':') == NULL)
        return complain("--auth: USER:PASSWORD");
    if (self->is_auth_login && self->auth == NULL)
        return complain("--auth-login: of use with --auth only");
    return 0;
}

/* What the options say together. */
static int settle(struct mx_plan *self) {
    if (self->target == NULL)
        return complain("which server? HOST:PORT is missing; mxload --help");
    int err = set_target(self);
    if (err < 0)
        return err;
    if (self->messages == 0)
        self->messages = self->duration_s > 0 ? UINT64_MAX : 1;
    if (self->sessions > self->messages)
        self->sessions = (uint32_t)self->messages;
    if (self->workers > self->sessions)
        self->workers = self->sessions;
    if (self->size.min == 1)
        self->size.min = 2; /* one octet cannot end a line */
    if (self->size.max == 1)
        self->size.max = 2;
    if (self->eml_path != NULL && self->mbox_path != NULL)
        return complain("--mbox and --eml (or -F): one of them");
    if (self->sources > 0 && self->address.ss_family != AF_INET)
        return complain("--sources: loopback IPv4 only");
    err = settle_tls(self);
    if (err < 0)
        return err;
    uint64_t name = 0;
    if (getrandom(&name, sizeof name, 0) != (ssize_t)sizeof name)
        return complain("no random name for the run");
    if (snprintf(self->run, sizeof self->run, "%016llx", (unsigned long long)name) < 0)
        return complain("no name for the run");
    return 0;
}

int mx_plan_init(struct mx_plan *self, int argc, char **argv) {
    *self = (struct mx_plan){
        .sessions = 1,
        .workers = 1,
        .connect_tries = 1,
        .size = {80, 80},
        .recipients = {1,  1 },
        .timeout_s = 300,
    };
    for (int i = 1; i < argc; i++) {
        int err = 0;
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            if (self->target != NULL)
                return complain("one server only");
            self->target = argv[i];
        } else if (argv[i][1] == '-') {
            err = take_word(self, argc, argv, &i);
        } else {
            err = take_letters(self, argc, argv, &i);
        }
        if (err != 0)
            return err;
    }
    return settle(self);
}

uint64_t mx_plan_draw(struct mx_range range, uint64_t *state) {
    if (range.min == range.max)
        return range.min;
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return range.min + (uint64_t)(((unsigned __int128)z * (range.max - range.min + 1)) >> 64);
}
