/* serve.c - mxring serve -c FILE: the gateway. */
#include "config/conf.h"
#include "engine/cli/cli.h"
#include "engine/server.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int usage(void) {
    fputs("usage: mxring serve -c FILE [--log-format logfmt|json]\n", stderr);
    return MX_EXIT_USAGE;
}

static int load(const char *path, struct mx_conf **conf) {
    struct mx_conf_report report = {0};
    int err = mx_conf_load(path, false, conf, &report);
    if (err < 0 && err != MX_ECONFIG)
        fprintf(stderr, "mxring: %s: %s\n", path, strerrordesc_np(-err));
    mx_conf_report_print(&report, path, stderr);
    mx_conf_report_free(&report);
    return err;
}

int mx_cli_serve(int argc, char **argv) {
    static const struct option options[] = {
        {"config",     required_argument, NULL, 'c'},
        {"log-format", required_argument, NULL, 'l'},
        {NULL,         0,                 NULL, 0  }
    };
    const char *path = NULL, *format = NULL;
    for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
        if (o == 'c')
            path = optarg;
        else if (o == 'l' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "logfmt") == 0))
            format = optarg;
        else
            return usage();
    }
    if (path == NULL || optind != argc)
        return usage();
    struct mx_conf *conf = NULL;
    if (load(path, &conf) < 0)
        return MX_EXIT_CONFIG;
    int code = MX_EXIT_UNAVAILABLE;
    if (format != NULL)
        conf->log.format = strcmp(format, "json") == 0 ? MX_LOG_FORMAT_JSON : MX_LOG_FORMAT_LOGFMT;
    if (conf->durability != MX_DURABILITY_NONE) {
        /* a 250 that is not durable would break the promise of this command */
        fprintf(stderr,
                "mxring: %s: spool.durability fsync and write are not available in this version: "
                "there is no spool yet. With `spool: {durability: none}` mail is accepted and "
                "thrown away, which is what `mxring sink` does.\n",
                path);
    } else {
        struct mx_totals totals;
        fprintf(stderr, "mxring: spool.durability is none: accepted mail is THROWN AWAY\n");
        code = mx_server_run(conf, false, NULL, &totals);
    }
    mx_conf_free(conf);
    return code;
}
