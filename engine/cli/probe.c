/* probe.c - mxring probe: what this kernel's io_uring can do, and what mxring will use. */
#include "engine/cli/cli.h"
#include "engine/server.h"
#include "proto/scan.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
    uint32_t bit;
    const char *name, *use;
} rows[] = {
    {MX_RING_BASE,      "multishot accept and recv, buffer rings, DEFER_TASKRUN", "required"                                    },
    {MX_RING_DIRECT,    "direct descriptors",                                     "used with SO_PEERNAME"                       },
    {MX_RING_PEERNAME,  "SO_PEERNAME as ring command",                            "else descriptors and getpeername"            },
    {MX_RING_MIN_WAIT,  "wait for a batch with a time limit",                     "engine.batchWait"                            },
    {MX_RING_NO_IOWAIT, "sleep without iowait",                                   "used"                                        },
    {MX_RING_MSG,       "messages between rings",                                 "drain, reload"                               },
    {MX_RING_MSG_FD,    "passing descriptors between rings",                      "engine.handOver"                             },
    {MX_RING_RESTRICT,  "restricted rings",                                       "used"                                        },
    {MX_RING_SEND_ZC,   "zero-copy send",                                         "not used: dearer for replies"                },
    {MX_RING_RECV_ZC,   "zero-copy receive",                                      "not used: needs NIC queues with header split"},
};

static int usage(FILE *to) {
    fputs("usage: mxring probe\n", to);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

int mx_cli_probe(int argc, char **argv) {
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL,   0,           NULL, 0  }
    };
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread at this time */
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        return usage(o == 'h' ? stdout : stderr);
    if (optind != argc)
        return usage(stderr);
    struct utsname name;
    uint32_t features = 0;
    int err = mx_ring_probe(&features);
    if (uname(&name) == 0)
        printf("kernel %s %s\n", name.sysname, name.release);
    if (err < 0) {
        printf("io_uring: not usable (%s)\n", strerrordesc_np(-err));
        fprintf(stderr, "mxring probe: %s\n", mx_ring_remedy(err));
        return MX_EXIT_CONFIG;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-3s %-55s %s\n", features & rows[i].bit ? "yes" : "no", rows[i].name, rows[i].use);
    printf("scanner: %s\n", mx_isa_name(mx_isa_best()));
    puts("io_uring: usable");
    return MX_EXIT_OK;
}
