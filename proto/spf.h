/* spf.h - may this host send mail for this domain? RFC 7208, as a machine that asks for look-ups
 * and is told the answers.
 *
 * Pure: no I/O, no clock, no allocation. Begin, then answer each question until it is done. It is
 * done after at most 10 terms that ask the DNS, 2 of them in vain, and 10 addresses for each.
 */
#pragma once
#include "proto/dns.h"

enum mx_spf_result {
    MX_SPF_NONE,      /* the domain says nothing, or is no domain */
    MX_SPF_NEUTRAL,   /* it says that it does not say */
    MX_SPF_PASS,      /* the host may */
    MX_SPF_FAIL,      /* the host may not */
    MX_SPF_SOFTFAIL,  /* the host probably may not */
    MX_SPF_TEMPERROR, /* the DNS could not be asked; later perhaps */
    MX_SPF_PERMERROR, /* what the domain says cannot be understood */
    MX_SPF_RESULT_COUNT,
};

enum mx_spf_step {
    MX_SPF_ASK,  /* look up (ask_type, ask_name) and call mx_spf_answer */
    MX_SPF_DONE, /* result, explanation */
};

enum {
    MX_SPF_TERMS_MAX = 10, /* that ask the DNS, RFC 7208 4.6.4; also names of one MX or PTR */
    MX_SPF_VOIDS_MAX = 2,  /* of them without an answer */
    MX_SPF_LEVELS_MAX = MX_SPF_TERMS_MAX + 1, /* includes within each other */
    MX_SPF_ROOM = 4096,     /* octets of the records and names that are in use at a time */
    MX_SPF_VALIDATED = 512, /* octets of the names that the address really has */
    MX_SPF_EXPLANATION_MAX = 400,
};

/* Whom it is about. The spans are borrowed until it is done. */
struct mx_spf_client {
    struct mx_ip ip;
    struct mx_span helo;
    struct mx_span sender;   /* local@domain; empty: postmaster at helo */
    struct mx_span receiver; /* our name, for explanations */
    int64_t now_s;           /* wall clock, likewise */
};

struct mx_spf_level {
    uint16_t base; /* of the room; below it are the levels above */
    uint16_t domain_at, domain_len, record_at, record_len;
    uint16_t term, next; /* the term that is asked about, and the one behind it: from record_at */
    uint8_t qualifier;   /* of that term, enum mx_spf_result */
    bool is_redirected;
};

struct mx_spf {
    struct mx_spf_client client;
    uint8_t result; /* enum mx_spf_result */
    uint8_t state;  /* private */
    uint8_t level_count, term_count, void_count;
    bool knows_names;             /* PTR was asked */
    uint8_t wants;                /* private */
    uint16_t used;                /* octets of the room */
    uint16_t names_at, names_end; /* in the room: names whose addresses are still to be asked */
    uint16_t validated_len;
    struct mx_spf_level levels[MX_SPF_LEVELS_MAX];
    enum mx_dns_type ask_type;
    size_t ask_len;
    char ask_name[MX_DNS_NAME_MAX + 1];
    struct mx_span ask_prefix; /* of TXT records; the others do not matter. May be empty */
    size_t explanation_len;
    char explanation[MX_SPF_EXPLANATION_MAX]; /* printable ASCII; of FAIL; may be empty */
    char validated[MX_SPF_VALIDATED];         /* each with a blank behind it */
    char room[MX_SPF_ROOM];
};

/* client->ip has a family. */
MX_MUST_CHECK enum mx_spf_step mx_spf_begin(struct mx_spf *self,
                                            const struct mx_spf_client *client);

/* The answer to the question; borrowed during the call. */
MX_MUST_CHECK enum mx_spf_step mx_spf_answer(struct mx_spf *self,
                                             const struct mx_dns_answer *answer);

/* "pass", "softfail", ... RFC 7208 9.1. */
const char *mx_spf_result_name(enum mx_spf_result result);

/* The domain of the sender, or the HELO name: whose record decides. */
struct mx_span mx_spf_domain(const struct mx_spf_client *client);
