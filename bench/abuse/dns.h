/* dns.h - clients that wait for an answer of the DNS, and the name server that lets them wait.
 *
 * Each connects from an address of its own, so that no answer is in a cache, says MAIL, and stays
 * until its turn comes again: then it goes and another one comes in its place. All of it in slices
 * of a few system calls, for a thread that has more to do.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { DNS_CLIENTS_MAX = 16000 };

/* Whole numbers, all but per_second. */
struct dns_params {
    double gateway_port;
    double port; /* of the name server, on 127.0.0.1 */
    double clients;
    double per_second; /* clients that come */
    double delay_ms;   /* of each answer, which is always NXDOMAIN */
};

/* The gateway is at that address, whose port does not count. 0 or -errno. */
int dns_new(const struct dns_params *params, const struct sockaddr_in *gateway, uint64_t now_ns);
/* At most one client comes, says or hears something, and one question is heard or answered. */
void dns_slice(uint64_t now_ns);

struct dns_totals {
    unsigned long come;     /* clients */
    unsigned long accepted; /* MAIL with 250 */
    unsigned long failed;   /* anything else, also: still waiting when their turn came again */
    unsigned long answered; /* questions */
    double waiting;         /* for a reply to MAIL, on average of all slices */
};
struct dns_totals dns_totals(bool forget);
