/* serve.c - mxring serve -c FILE: the gateway. */
#include "config/conf.h"
#include "engine/cli/cli.h"
#include "engine/log.h"
#include "engine/server.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int usage(FILE *to) {
    fputs("usage: mxring serve -c FILE [--log-format logfmt|json]\n", to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
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

/* In the form of the log that follows, and at every log.level: mail is going to be lost. */
static int warn_of_loss(const struct mx_conf *conf) {
    struct mx_log log;
    struct mx_log_line line;
    int err = mx_log_init(&log, 0, MX_SEVERITY_WARN, conf->log.format == MX_LOG_FORMAT_JSON);
    if (err < 0)
        return err;
    mx_log_begin(&line, &log, MX_SEVERITY_WARN, "durability");
    mx_log_str(&line, "durability", "none");
    mx_log_str(&line, "reason", "accepted mail is THROWN AWAY");
    mx_log_end(&line);
    mx_log_deinit(&log);
    return 0;
}

static int run(const struct mx_conf *conf) {
    struct mx_totals totals;
    if (conf->durability == MX_DURABILITY_NONE && warn_of_loss(conf) < 0)
        return MX_EXIT_SYSTEM;
    return mx_server_run(conf, false, NULL, &totals);
}

int mx_cli_serve(int argc, char **argv) {
    static const struct option options[] = {
        {"config",     required_argument, NULL, 'c'},
        {"log-format", required_argument, NULL, 'l'},
        {"help",       no_argument,       NULL, 'h'},
        {NULL,         0,                 NULL, 0  }
    };
    const char *path = NULL, *format = NULL;
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (o == 'c')
            path = optarg;
        else if (o == 'l' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "logfmt") == 0))
            format = optarg;
        else
            return usage(o == 'h' ? stdout : stderr);
    }
    if (path == NULL || optind != argc)
        return usage(stderr);
    struct mx_conf *conf = NULL;
    if (load(path, &conf) < 0)
        return MX_EXIT_CONFIG;
    conf->is_format_given = format != NULL;
    if (format != NULL)
        conf->log.format = strcmp(format, "json") == 0 ? MX_LOG_FORMAT_JSON : MX_LOG_FORMAT_LOGFMT;
    int code = run(conf);
    mx_conf_free(conf);
    return code;
}
