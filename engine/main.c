/* main.c - mxring COMMAND: one row a command. */
#include "engine/cli/cli.h"
#include "engine/server.h"
#include "tls/library.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#ifndef MX_VERSION
#define MX_VERSION "unknown"
#endif

static int unavailable(int argc, char **argv) {
    (void)argc;
    fprintf(stderr, "%s is not available in this version\n", argv[0]);
    return MX_EXIT_UNAVAILABLE;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve",   mx_cli_serve,  "the gateway: serve -c FILE"                         },
    {"sink",    mx_cli_sink,   "benchmark sink: accepts everything, stores nothing" },
    {"check",   mx_cli_check,  "check a configuration: check -c FILE [--dump]"      },
    {"probe",   mx_cli_probe,  "what this kernel's io_uring can do"                 },
    {"fixture", unavailable,   "load-test fixture (not in this version)"            },
    {"spool",   mx_cli_spool,  "look into a spool: ls, cat, export, verify, stat..."},
    {"passwd",  mx_cli_passwd, "make a line of the users file: passwd USER@DOMAIN"  },
};

static int usage(FILE *to) {
    fputs("usage: mxring COMMAND [option]...\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\nmxring COMMAND --help, mxring --version\n", to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

/* getopt begins its messages with argv[0]. */
static int run_command(size_t i, int argc, char **argv) {
    static char program[32];
    int len = snprintf(program, sizeof program, "mxring %s", commands[i].name);
    assert(len > 0 && (size_t)len < sizeof program);
    argv[0] = program;
    return commands[i].run(argc, argv);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        struct mx_tls_library tls = mx_tls_library_info();
        printf("mxring %s\nwolfSSL %s (%s)\n", MX_VERSION, tls.version,
               tls.is_accelerated ? "accelerated" : "not accelerated");
        return MX_EXIT_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(i, argc - 1, argv + 1);
    }
    fprintf(stderr, "mxring: %s: no such command\n", argv[1]);
    return usage(stderr);
}
