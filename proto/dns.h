/* dns.h - what is asked of the DNS, and answers as they come over the wire.
 *
 * Pure: no I/O, no clock, no allocation.  RFC 1035 (messages), 2181, 2308 (negative answers), 3596
 * (AAAA), 7505 (a domain without mail).
 */
#pragma once
#include "proto/err.h"
#include "proto/ip.h"
#include "proto/span.h"

enum mx_dns_type {
    MX_DNS_A = 1,
    MX_DNS_PTR = 12,
    MX_DNS_MX = 15,
    MX_DNS_TXT = 16,
    MX_DNS_AAAA = 28,
};

enum mx_dns_status {
    /* what is so */
    MX_DNS_OK,       /* there are records */
    MX_DNS_NODATA,   /* the name is there, but none of this type */
    MX_DNS_NXDOMAIN, /* no such name */
    /* nobody can say: ask again later */
    MX_DNS_SERVFAIL, /* a server answered that it cannot, or nonsense */
    MX_DNS_TIMEOUT,  /* nobody answered in time */
    MX_DNS_BUSY,     /* a limit of ours; it was not asked */
    MX_DNS_TOO_LARGE /* more records than the asker has room for */
};

enum {
    MX_DNS_NAME_MAX = 253,      /* octets of a name as text, without a dot at the end */
    MX_DNS_LABEL_MAX = 63,      /* ... of which one label */
    MX_DNS_MESSAGE_MAX = 65535, /* octets */
    MX_DNS_CNAME_MAX = 16,      /* aliases in a row that are followed within an answer */
};

/* Records of one type, packed one behind the other. */
struct mx_dns_answer {
    uint8_t status; /* enum mx_dns_status */
    uint16_t count; /* records; 0 unless MX_DNS_OK */
    uint32_t ttl_s; /* how long it may be kept; 0: not at all */
    struct mx_span records;
};

struct mx_dns_record {
    struct mx_span data; /* A, AAAA: 4 or 16 octets; TXT: its strings joined; MX, PTR: a name as
                            text in lower case without the last dot (MX: empty = RFC 7505) */
    uint16_t preference; /* MX */
};

/* Is there, or can there be said with certainty that there is not? */
static inline bool mx_dns_is_certain(const struct mx_dns_answer *self) {
    return self->status <= MX_DNS_NXDOMAIN;
}

/* Begin with *cursor = 0. False: there are no more. record->data is borrowed from the answer. */
bool mx_dns_next(const struct mx_dns_answer *self, size_t *cursor, struct mx_dns_record *record);

/* Add a record to the packed ones in room, at *len octets. MX_ENOROOM. */
MX_MUST_CHECK int mx_dns_pack(char *room, size_t cap, size_t *len,
                              const struct mx_dns_record *record);

/* Can the name be asked: 1..253 octets, labels of 1..63, printable ASCII without blanks and
 * backslashes, no dot at the end? */
bool mx_dns_is_name(struct mx_span name);

/* The name under which a zone has an address: "1.2.0.192.ZONE", or 32 nibbles for IPv6 (RFC 5782
 * 2.1 and 2.4). The family is 4 or 6. Returns its length, NUL-terminated; 0: it is too long. */
size_t mx_dns_reverse(const struct mx_ip *ip, struct mx_span zone, char name[MX_DNS_NAME_MAX + 1]);

/* The name that says who an address is: in-addr.arpa, ip6.arpa. */
size_t mx_dns_ptr_name(const struct mx_ip *ip, char name[MX_DNS_NAME_MAX + 1]);

/* Read a whole answer to (name, type), class IN; name as for mx_dns_is_name, any case. Records are
 * packed into room; *answer (status OK, NODATA, NXDOMAIN or SERVFAIL) borrows from it. Aliases are
 * followed within the message. A record whose name no host could have is left out.
 * 0; MX_ESYNTAX: malformed, cut, or the answer to something else; MX_ENOROOM. */
MX_MUST_CHECK int mx_dns_parse(struct mx_span message, struct mx_span name, enum mx_dns_type type,
                               char *room, size_t cap, struct mx_dns_answer *answer);
