#include "config/conf.h"
#include "config/docs.h"
#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>

enum { EXIT_VALID = 0, EXIT_INVALID = 1, EXIT_USAGE = 2 };

struct options {
    const char *path;
    bool has_dump, has_reference, has_help;
};

static int usage(FILE *stream, int status) {
    fputs("usage: mxring check -c FILE [--dump]\n"
          "       mxring check --reference\n",
          stream);
    return status;
}

static bool parse_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"config",    required_argument, NULL, 'c'},
        {"dump",      no_argument,       NULL, 'd'},
        {"reference", no_argument,       NULL, 'r'},
        {"help",      no_argument,       NULL, 'h'},
        {NULL,        0,                 NULL, 0  },
    };
    optind = 0;
    for (;;) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread at this time */
        int option = getopt_long(argc, argv, "+c:h", names, NULL);
        switch (option) {
        case -1:
            return optind == argc;
        case 'c':
            options->path = optarg;
            break;
        case 'd':
            options->has_dump = true;
            break;
        case 'r':
            options->has_reference = true;
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

static int check_file(const struct options *options) {
    struct mx_conf_report report = {0};
    struct mx_conf *conf = NULL;
    int status = EXIT_VALID;
    int err = mx_conf_load(options->path, true, &conf, &report);
    mx_conf_report_print(&report, options->path, stderr);
    mx_conf_report_free(&report);
    if (err < 0) {
        status = EXIT_INVALID;
        errno = -err;
        if (err != MX_ECONFIG)
            fprintf(stderr, "%s: %m\n", options->path);
    } else if (options->has_dump) {
        status = print_status(mx_conf_dump(conf, stdout));
    }
    mx_conf_free(conf);
    return status;
}

int mx_cli_check(int argc, char **argv) {
    struct options options = {0};
    if (!parse_options(argc, argv, &options))
        return usage(stderr, EXIT_USAGE);
    if (options.has_help)
        return usage(stdout, EXIT_VALID);
    if (options.has_reference)
        return print_status(mx_conf_print_reference(stdout));
    if (!options.path)
        return usage(stderr, EXIT_USAGE);
    return check_file(&options);
}
