/* plan.h - what a run of mxload is to do: the command line, checked.
 *
 * The options of Postfix's smtp-source keep their letters and their meaning. Everything is bounded:
 * the bounds are below.
 */
#pragma once
#include "proto/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    MX_PLAN_SESSIONS_MAX = 65536,
    MX_PLAN_WORKERS_MAX = 64,
    MX_PLAN_RECIPIENTS_MAX = 10000,
    MX_PLAN_ADDRESS_MAX = 254, /* octets of a sender, recipient or host name */
    MX_PLAN_SUBJECT_MAX = 900,
    MX_PLAN_SECONDS_MAX = 86400,
    MX_PLAN_RATE_MAX = 100000000,
    MX_PLAN_SOURCES_MAX = 65536,
    MX_PLAN_TRIES_MAX = 1000,
    MX_PLAN_RUN_LEN = 16,   /* hexadecimal digits of a run's name */
    MX_PLAN_AUTH_MAX = 510, /* octets of user and password */
};
#define MX_PLAN_SIZE_MAX     ((uint64_t)1 << 30)
#define MX_PLAN_MESSAGES_MAX ((uint64_t)999999999999) /* twelve digits in a message */

/* Both ends belong to it; each value is as likely as the others. */
struct mx_range {
    uint64_t min, max;
};

/* Whether large bodies are sent without a copy. */
enum mx_zerocopy {
    MX_ZEROCOPY_AUTO, /* until the kernel says that it copies all the same */
    MX_ZEROCOPY_ON,
    MX_ZEROCOPY_OFF,
    MX_ZEROCOPY_COUNT,
};

/* --tls-version */
enum mx_plan_tls { MX_PLAN_TLS_ANY, MX_PLAN_TLS_12, MX_PLAN_TLS_13 };

struct mx_plan {
    struct sockaddr_storage address; /* of the server */
    socklen_t address_len;
    const char *target;      /* as it was written; borrowed from the command line, as all texts */
    const char *sender;      /* NULL: <foo@hostname>; so is the next one */
    const char *recipient;   /* without its number */
    const char *hostname;    /* NULL: the name of the machine */
    const char *subject;     /* NULL: none */
    const char *ledger_path; /* NULL: no ledger */
    const char *eml_path;    /* folder of .eml files, or one file; NULL: filler, or: */
    const char *mbox_path;
    const char *auth;     /* USER:PASSWORD; NULL: nobody */
    const char *tls_cert; /* our certificate and key, PEM files; NULL: none */
    const char *tls_key;
    const char *tls_name; /* for SNI; NULL: none */
    struct mx_range size; /* octets of a body; 0, 2..MX_PLAN_SIZE_MAX */
    struct mx_range recipients;
    uint64_t messages; /* UINT64_MAX: until the time is up */
    uint64_t seed;
    double rate;          /* messages a second of all workers; 0: as fast as replies come */
    double duration_s;    /* 0: no end but the number of messages */
    double ramp_s;        /* 0: all at once */
    double wait_s;        /* between two messages of a session */
    double wait_random_s; /* the same, anything between 0 and this */
    double timeout_s;     /* for each reply */
    uint32_t sessions;    /* 1..MX_PLAN_SESSIONS_MAX, at most one a message */
    uint32_t workers;
    uint32_t connect_tries; /* 1..MX_PLAN_TRIES_MAX; only when the server refuses or resets */
    uint32_t window;        /* octets of a socket's buffers; 0: the kernel's choice */
    uint32_t sources;       /* 127.0.0.1, .2, ... as our addresses; 0: the kernel's choice */
    enum mx_zerocopy zerocopy;
    enum mx_plan_tls tls_version;
    char run[MX_PLAN_RUN_LEN + 1];
    bool is_lmtp, is_pipelined, is_bdat;
    bool keeps_open;          /* -d: the next message goes over the same connection */
    bool keeps_going;         /* -A: a refusal does not end the run */
    bool has_counter;         /* -c: progress even where there is no terminal */
    bool is_unique_recipient; /* -N */
    bool is_unverified;       /* --no-verify: no hash */
    bool is_spinning;         /* --spin: workers do not sleep */
    bool is_json;
    bool has_ledger_times;
    bool is_verbose; /* -v: accepted, and without effect */
    bool is_ipv4_only, is_ipv6_only;
    bool is_tls;        /* from the first octet on */
    bool is_starttls;   /* not both */
    bool resumes_tls;   /* a session that connects again resumes its last one */
    bool is_auth_login; /* LOGIN instead of PLAIN */
};

/* Fill the plan from the command line. 1: help was asked for and printed, 0, or MX_ECONFIG: what is
 * wrong was said on stderr. */
MX_MUST_CHECK int mx_plan_init(struct mx_plan *self, int argc, char **argv);

/* auto, on, off */
extern const char *const mx_plan_zerocopy_names[MX_ZEROCOPY_COUNT];

/* A pseudo-random number in range, from *state (splitmix64). */
uint64_t mx_plan_draw(struct mx_range range, uint64_t *state);
