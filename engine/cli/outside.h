/* outside.h - mxring check --public: a running server, as others see it. Blocks; bounded in time.
 */
#pragma once
#include "config/conf.h"
#include "engine/dns/ask.h"
#include "proto/ip.h"

#include <stdio.h>

enum {
    MX_OUTSIDE_ADDRESSES_MAX = 8, /* of the name that are looked at */
    MX_OUTSIDE_LISTS_MAX = 64,
    MX_OUTSIDE_TEXT = 200, /* octets of what is said of one thing */
};

enum mx_finding {
    MX_FINDING_OK,
    MX_FINDING_WARN,    /* it works, and some will mind */
    MX_FINDING_UNKNOWN, /* nobody could say */
    MX_FINDING_BAD,
    MX_FINDING_SKIPPED, /* nobody wanted to know */
    MX_FINDING_COUNT,
};

struct mx_outside {
    const struct mx_conf *conf; /* dns: who is asked */
    struct mx_dns_asker *asker;
    struct mx_span name;
    uint16_t port;
    uint32_t timeout_ms; /* of each thing that is waited for */
    struct mx_span lists[MX_OUTSIDE_LISTS_MAX];
    uint32_t list_count;
    struct mx_ip addresses[MX_OUTSIDE_ADDRESSES_MAX];
    uint32_t address_count;
    uint32_t findings[MX_FINDING_COUNT]; /* how many of each */
    FILE *stream;
};

/* A line of the table: what was looked at (with the address, when ip is not NULL), and what was
 * found. Control characters in it show as "?". */
void mx_outside_tell(struct mx_outside *self, enum mx_finding finding, const char *what,
                     const struct mx_ip *ip, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Its addresses, their names and back, and the block lists (outside_dns.c). */
void mx_outside_look_up(struct mx_outside *self);

/* The server at one address: greeting, STARTTLS, and whether it relays (outside_smtp.c). No message
 * is sent. */
void mx_outside_talk(struct mx_outside *self, const struct mx_ip *ip);

/* All of it. */
void mx_outside_run(struct mx_outside *self);
