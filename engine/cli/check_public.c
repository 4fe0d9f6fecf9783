#include "engine/cli/cli.h"
#include "engine/cli/outside.h"
#include "tls/library.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_GOOD = 0,
    EXIT_BAD = 1,
    EXIT_USAGE = 2,
    EXIT_CANNOT_SAY = 75, /* sysexits.h: EX_TEMPFAIL */
    PORT = 25,
    TIMEOUT_S = 10,
    TIMEOUT_MAX_S = 300,
};

struct wish {
    const char *name, *path, *dns;
    uint32_t port, timeout_s;
    const char *lists[MX_OUTSIDE_LISTS_MAX];
    uint32_t list_count;
};

static int usage(FILE *stream, int status) {
    fputs("usage: mxring check --public NAME [-c FILE] [--port 25] [--timeout 10] [--dns "
          "ADDRESS[:PORT]]\n"
          "                    [--list ZONE]...\n"
          "Looks at the mail server NAME as others see it: its addresses and their names, block "
          "lists\n"
          "(of the DNSRBLHandlers in FILE, and ZONEs), greeting, STARTTLS, and whether it relays. "
          "No\n"
          "message is sent. To be run from outside of its network. Ends with 0: all is well; 1: "
          "something\n"
          "is bad; 75: nothing is, but something could not be found out.\n",
          stream);
    return status;
}

static bool read_number(const char *text, uint32_t most, uint32_t *number) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *number = (uint32_t)value;
    return errno == 0 && end != text && *end == '\0' && text[0] != '-' && value > 0 &&
           value <= most;
}

static bool take_list(struct wish *self, const char *zone) {
    if (self->list_count == MX_OUTSIDE_LISTS_MAX || !mx_dns_is_name(mx_span_of(zone)))
        return false;
    self->lists[self->list_count++] = zone;
    return true;
}

static bool take_option(struct wish *self, int option) {
    switch (option) {
    case 'p':
        self->name = optarg;
        return true;
    case 'c':
        self->path = optarg;
        return true;
    case 'P':
        return read_number(optarg, UINT16_MAX, &self->port);
    case 't':
        return read_number(optarg, TIMEOUT_MAX_S, &self->timeout_s);
    case 'd':
        self->dns = optarg;
        return true;
    case 'l':
        return take_list(self, optarg);
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct wish *self) {
    static const struct option names[] = {
        {"public",  required_argument, NULL, 'p'},
        {"config",  required_argument, NULL, 'c'},
        {"port",    required_argument, NULL, 'P'},
        {"timeout", required_argument, NULL, 't'},
        {"dns",     required_argument, NULL, 'd'},
        {"list",    required_argument, NULL, 'l'},
        {NULL,      0,                 NULL, 0  },
    };
    int option;
    optind = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread at this time */
    while ((option = getopt_long(argc, argv, "+c:", names, NULL)) != -1) {
        if (!take_option(self, option))
            return false;
    }
    return optind == argc && self->name != NULL;
}

/* The file, or one that names the server of --dns alone. NULL: why is said. */
static struct mx_conf *load(const struct wish *wish) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL;
    char text[200] = "";
    int err = 0;
    if (wish->path != NULL) {
        err = mx_conf_load(wish->path, true, &conf, &report);
    } else {
        int len = wish->dns == NULL
                      ? 0
                      : snprintf(text, sizeof text, "dns: {servers: '%s'}\n", wish->dns);
        err = len < 0 || (size_t)len >= sizeof text
                  ? MX_ELIMIT
                  : mx_conf_parse(text, (size_t)len, true, &conf, &report);
    }
    if (conf == NULL || report.count > 0)
        mx_conf_report_print(&report, wish->path != NULL ? wish->path : "--dns", stderr);
    mx_conf_report_free(&report);
    if (conf == NULL && err != MX_ECONFIG)
        fprintf(stderr, "%s: %s\n", wish->path != NULL ? wish->path : "--dns",
                err == MX_ELIMIT ? "it is too long" : strerrordesc_np(-err));
    return conf;
}

static void take_lists(struct mx_outside *self, const struct wish *wish,
                       const struct mx_conf *conf) {
    for (uint32_t i = 0; i < wish->list_count; i++)
        self->lists[self->list_count++] = mx_span_of(wish->lists[i]);
    for (uint32_t s = 0; s < conf->server_count; s++) {
        const struct mx_conf_server *server = &conf->servers[s];
        for (uint32_t h = 0; h < server->hook_count; h++) {
            const struct mx_opt_dnsrbl *options = server->hooks[h].options;
            bool has_lists = server->hooks[h].kind == MX_HOOK_KIND_DNSRBL;
            for (uint32_t i = 0; has_lists && i < options->blacklist.count; i++) {
                if (self->list_count < MX_OUTSIDE_LISTS_MAX)
                    self->lists[self->list_count++] = options->blacklist.rows[i];
            }
        }
    }
    if (self->list_count == 0)
        mx_outside_tell(self, MX_FINDING_SKIPPED, "block list", NULL,
                        "none is named: -c FILE with a DNSRBLHandler, or --list ZONE");
}

static int status_of(const struct mx_outside *self) {
    printf("%u ok, %u warnings, %u unknown, %u bad\n", self->findings[MX_FINDING_OK],
           self->findings[MX_FINDING_WARN], self->findings[MX_FINDING_UNKNOWN],
           self->findings[MX_FINDING_BAD]);
    if (fflush(stdout) != 0 || self->findings[MX_FINDING_BAD] > 0)
        return EXIT_BAD;
    return self->findings[MX_FINDING_UNKNOWN] > 0 ? EXIT_CANNOT_SAY : EXIT_GOOD;
}

static int look(const struct wish *wish, const struct mx_conf *conf) {
    struct mx_outside self = {.conf = conf,
                              .name = mx_span_of(wish->name),
                              .port = (uint16_t)wish->port,
                              .timeout_ms = wish->timeout_s * 1000,
                              .stream = stdout};
    if (self.name.len > 0 && self.name.ptr[self.name.len - 1] == '.')
        self.name.len--;
    if (!mx_dns_is_name(self.name)) {
        fprintf(stderr, "mxring check --public: '%s' is not the name of a host\n", wish->name);
        return EXIT_USAGE;
    }
    int err = mx_dns_asker_new(&self.asker, &conf->dns);
    if (err < 0) {
        fprintf(stderr, "mxring check --public: no resolver: %s\n", strerrordesc_np(-err));
        return EXIT_CANNOT_SAY;
    }
    take_lists(&self, wish, conf);
    mx_outside_run(&self);
    mx_dns_asker_free(self.asker);
    return status_of(&self);
}

int mx_cli_check_public(int argc, char **argv) {
    struct wish wish = {.port = PORT, .timeout_s = TIMEOUT_S};
    if (!parse_options(argc, argv, &wish))
        return usage(stderr, EXIT_USAGE);
    if (wish.path != NULL && wish.dns != NULL) {
        fputs("mxring check --public: either -c, whose dns: is asked, or --dns\n", stderr);
        return EXIT_USAGE;
    }
    if (mx_tls_library_init() < 0) {
        fputs("mxring check --public: the TLS library does not start\n", stderr);
        return EXIT_CANNOT_SAY;
    }
    struct mx_conf *conf = load(&wish);
    int status = conf != NULL ? look(&wish, conf) : EXIT_USAGE;
    mx_conf_free(conf);
    return status;
}
