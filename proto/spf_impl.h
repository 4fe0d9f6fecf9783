/* spf_impl.h - what the spf*.c files share. Nobody else includes this. */
#pragma once
#include "proto/spf.h"

enum mx_spf_kind {
    MX_SPF_ALL,
    MX_SPF_INCLUDE,
    MX_SPF_A,
    MX_SPF_MX,
    MX_SPF_PTR,
    MX_SPF_IP4,
    MX_SPF_IP6,
    MX_SPF_EXISTS,
    MX_SPF_REDIRECT,
    MX_SPF_EXP,
    MX_SPF_OTHER, /* a modifier that nobody knows */
};

struct mx_spf_term {
    enum mx_spf_kind kind;
    enum mx_spf_result qualifier; /* of a mechanism */
    struct mx_span domain;        /* with macros; empty: none was written */
    struct mx_ip ip;              /* IP4, IP6 */
    uint8_t prefix4, prefix6;     /* A, MX: how much of an address counts; IP4, IP6: its own */
};

/* Take the next term off the front of *record. 0; MX_EEND: there is none; MX_ESYNTAX. */
MX_MUST_CHECK int mx_spf_term_next(struct mx_span *record, struct mx_spf_term *term);

/* Is every term of the record one, and redirect and exp there at most once each? */
bool mx_spf_record_is_good(struct mx_span record);

/* Is the TXT record one of SPF? */
bool mx_spf_is_record(struct mx_span text);

/* Does the evaluation of the term ask the DNS? */
bool mx_spf_asks_dns(enum mx_spf_kind kind);

/* Is the address one of those in the answer, as far as the term's prefix counts? */
bool mx_spf_is_one_of(const struct mx_ip *ip, const struct mx_dns_answer *answer,
                      const struct mx_spf_term *term);

/* ALL, IP4, IP6: does it match? */
bool mx_spf_is_literal_match(const struct mx_ip *ip, const struct mx_spf_term *term);

/* Macros. is_text: of an explanation, which may have blanks and the letters c, r and t. */
bool mx_spf_macro_is_good(struct mx_span text, bool is_text);
/* The same with the end that a domain must have (RFC 7208 7.1, domain-end). */
bool mx_spf_domain_is_good(struct mx_span text);
/* Does it ask for the name of the address? */
bool mx_spf_macro_needs_name(struct mx_span text);

/* Write what a good text stands for; domain: whose record it is in. MX_ENOROOM. */
MX_MUST_CHECK int mx_spf_expand(const struct mx_spf *self, struct mx_span domain,
                                struct mx_span text, char *out, size_t cap, size_t *len);

/* The name that the address really has (%{p}): the domain, else one below it, else any; "unknown".
 */
struct mx_span mx_spf_validated_name(const struct mx_spf *self, struct mx_span domain);
/* Is one of them the domain, or below it? */
bool mx_spf_is_validated(const struct mx_spf *self, struct mx_span domain);
