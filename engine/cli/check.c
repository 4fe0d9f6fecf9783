#include "config/conf.h"
#include "config/diff.h"
#include "config/docs.h"
#include "engine/cli/cli.h"
#include "engine/policy/docs.h"
#include "engine/readable.h"
#include "engine/tls_files.h"
#include "tls/library.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_VALID = 0, EXIT_INVALID = 1, EXIT_USAGE = 2 };

struct options {
    const char *path, *other; /* other: the new file of --diff */
    bool has_dump, has_diff, has_reference, has_handlers, has_help;
};

static int usage(FILE *stream, int status) {
    fputs("usage: mxring check -c FILE [--dump]\n"
          "       mxring check --diff OLD NEW\n"
          "       mxring check --reference | --handlers\n"
          "       mxring check --public NAME ... (a running server, from outside)\n",
          stream);
    return status;
}

/* Only --diff takes files that are no options, two of them. */
static bool take_files(int argc, char **argv, struct options *options) {
    if (!options->has_diff)
        return optind == argc;
    if (optind + 2 != argc || options->path || options->has_dump || options->has_reference)
        return false;
    options->path = argv[optind];
    options->other = argv[optind + 1];
    return true;
}

static bool parse_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"config",    required_argument, NULL, 'c'},
        {"dump",      no_argument,       NULL, 'd'},
        {"diff",      no_argument,       NULL, 'D'},
        {"reference", no_argument,       NULL, 'r'},
        {"handlers",  no_argument,       NULL, 'H'},
        {"help",      no_argument,       NULL, 'h'},
        {NULL,        0,                 NULL, 0  },
    };
    optind = 0;
    for (;;) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread at this time */
        int option = getopt_long(argc, argv, "+c:h", names, NULL);
        switch (option) {
        case -1:
            return take_files(argc, argv, options);
        case 'c':
            options->path = optarg;
            break;
        case 'd':
            options->has_dump = true;
            break;
        case 'D':
            options->has_diff = true;
            break;
        case 'r':
            options->has_reference = true;
            break;
        case 'H':
            options->has_handlers = true;
            break;
        case 'h':
            options->has_help = true;
            break;
        default:
            return false;
        }
    }
}

/* Nobody may take an unfinished text for a whole one. */
static int print_status(int err) {
    if (err == 0)
        return EXIT_VALID;
    fputs("mxring check: cannot write to standard output\n", stderr);
    return EXIT_INVALID;
}

/* NULL: it is invalid, and why is said. */
static struct mx_conf *load(const char *path) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL;
    int err = mx_conf_load(path, true, &conf, &report);
    mx_conf_report_print(&report, path, stderr);
    mx_conf_report_free(&report);
    errno = -err;
    if (err < 0 && err != MX_ECONFIG)
        fprintf(stderr, "%s: %m\n", path);
    return conf;
}

/* Wherever the text will lie, it is to mean the same files. */
static int dump(struct mx_conf *conf, const char *path) {
    int err = mx_conf_make_absolute(conf);
    if (err == 0)
        return print_status(mx_conf_dump(conf, stdout));
    fprintf(stderr, "%s: its folder: %s\n", path, strerrordesc_np(-err));
    return EXIT_INVALID;
}

static void warn_of_file(void *context, const char *path, int err) {
    const struct mx_conf *conf = context;
    fprintf(stderr,
            "%s:%u:%u: warning: engine.user: '%s' cannot read %s (%s): every reload will fail\n",
            conf->path, conf->user_line, conf->user_column, conf->engine.user, path,
            strerrordesc_np(-err));
}

/* Whoever is not root cannot try what another user may read. */
static void check_user(struct mx_conf *conf) {
    struct mx_confine_user user;
    const char *name = conf->engine.user;
    if (name == NULL || geteuid() != 0)
        return;
    int err = mx_confine_find(name, &user);
    if (err == 0)
        err = mx_readable_check_as(&user, conf, warn_of_file, conf);
    if (err < 0)
        fprintf(stderr, "%s:%u:%u: warning: engine.user: '%s': %s\n", conf->path, conf->user_line,
                conf->user_column, name,
                err == -ENOENT ? "no such user here" : strerrordesc_np(-err));
}

static void tell(void *context, uint32_t line, uint32_t column, bool is_warning, const char *text) {
    fprintf(stderr, "%s:%u:%u: %s%s\n", (const char *)context, line, column,
            is_warning ? "warning: " : "", text);
}

static int check_ticket_key(const struct mx_conf *conf) {
    char *text;
    size_t len;
    int err = mx_tls_files_ticket_secret(conf, &text, &len);
    mx_tls_files_free(text, len);
    if (err == 0)
        return EXIT_VALID;
    fprintf(stderr, "%s:%u:%u: tlsTicketKeyFile: '%s': %s\n", conf->path, conf->ticket_key_line,
            conf->ticket_key_column, conf->engine.tls_ticket_key_path,
            err == MX_ELIMIT ? "it has fewer than 32 octets" : strerrordesc_np(-err));
    return EXIT_INVALID;
}

/* Certificates, keys, authorities: files that only a server reads. */
static int check_certificates(const struct options *options, const struct mx_conf *conf) {
    int status = check_ticket_key(conf);
    if (mx_tls_library_init() < 0)
        return EXIT_INVALID;
    for (uint32_t i = 0; i < conf->server_count; i++) {
        const struct mx_conf_server *server = &conf->servers[i];
        struct mx_tls_slot slot;
        if (!server->enabled || !mx_conf_tls_is_on(&server->tls))
            continue;
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s", options->path);
        if (len < 0 || mx_tls_slot_init(&slot, conf, server, NULL) < 0)
            return EXIT_INVALID;
        if (mx_tls_slot_load(&slot, time(NULL), tell, path) < 0)
            status = EXIT_INVALID;
        mx_tls_slot_deinit(&slot);
    }
    return status;
}

static int check_file(const struct options *options) {
    struct mx_conf *conf = load(options->path);
    int status = conf ? check_certificates(options, conf) : EXIT_INVALID;
    if (conf)
        check_user(conf);
    if (conf && options->has_dump) {
        int err = dump(conf, options->path);
        status = err != EXIT_VALID ? err : status;
    }
    mx_conf_free(conf);
    return status;
}

static void print_change(void *context, const char *text, bool needs_restart) {
    bool *has_any = context;
    *has_any = true;
    printf("%s%s\n", text, needs_restart ? " (only a restart changes it)" : "");
}

static int print_diff(const struct options *options) {
    struct mx_conf *old = load(options->path);
    struct mx_conf *new = old ? load(options->other) : NULL;
    int status = new ? EXIT_VALID : EXIT_INVALID;
    bool has_any = false;
    if (new) {
        int err = mx_conf_diff(old, new, print_change, &has_any);
        if (err == 0 && !has_any)
            puts("no change");
        status = print_status(err < 0 || fflush(stdout) != 0 ? -EIO : 0);
    }
    mx_conf_free(old);
    mx_conf_free(new);
    return status;
}

/* Another command, with options of its own. */
static bool is_public(int argc, char **argv) {
    static const char word[] = "--public";
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], word, strlen(word)) == 0)
            return true;
    }
    return false;
}

int mx_cli_check(int argc, char **argv) {
    struct options options = {0};
    if (is_public(argc, argv))
        return mx_cli_check_public(argc, argv);
    if (!parse_options(argc, argv, &options))
        return usage(stderr, EXIT_USAGE);
    if (options.has_help)
        return usage(stdout, EXIT_VALID);
    if (options.has_reference)
        return print_status(mx_conf_print_reference(stdout));
    if (options.has_handlers)
        return print_status(mx_hook_print_reference(stdout));
    if (options.has_diff)
        return print_diff(&options);
    if (!options.path)
        return usage(stderr, EXIT_USAGE);
    return check_file(&options);
}
