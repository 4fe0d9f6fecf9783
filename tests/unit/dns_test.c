/* dns_test.c - answers of the DNS, from octets to records. Messages are built by hand, some with
 * compressed names; each is also cut at every octet and has every octet changed, behind a guard
 * page: no answer may read beyond it or hang.
 */
#include "proto/dns.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { ROOM = 4096 };

struct maker {
    unsigned char octets[8192];
    size_t len;
};

static void put(struct maker *self, const void *octets, size_t len) {
    memcpy(self->octets + self->len, octets, len);
    self->len += len;
}

static void put_u16(struct maker *self, unsigned value) {
    const unsigned char octets[] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(self, octets, 2);
}

static void put_u32(struct maker *self, unsigned value) {
    put_u16(self, value >> 16);
    put_u16(self, value & 0xffff);
}

/* "a.b", or "" for the root, or "@12" for a pointer, or "www@12" for a label in front of one. */
static void put_name(struct maker *self, const char *name) {
    while (*name != '\0' && *name != '@') {
        size_t len = strcspn(name, ".@");
        unsigned char octet = (unsigned char)len;
        put(self, &octet, 1);
        put(self, name, len);
        name += len + (name[len] == '.');
    }
    if (*name == '@') {
        unsigned at = 0;
        cr_assert(sscanf(name + 1, "%u", &at) == 1);
        put_u16(self, 0xc000 | at);
    } else {
        put(self, "", 1);
    }
}

static void begin(struct maker *self, unsigned flags, unsigned answers, unsigned authority,
                  const char *name, unsigned type) {
    self->len = 0;
    put_u16(self, 4711);
    put_u16(self, flags);
    put_u16(self, 1);
    put_u16(self, answers);
    put_u16(self, authority);
    put_u16(self, 0);
    put_name(self, name);
    put_u16(self, type);
    put_u16(self, 1);
}

/* data NULL: written by the caller, which calls end_record. */
static size_t record(struct maker *self, const char *owner, unsigned type, unsigned ttl,
                     const void *data, size_t len) {
    put_name(self, owner);
    put_u16(self, type);
    put_u16(self, 1);
    put_u32(self, ttl);
    put_u16(self, (unsigned)len);
    size_t at = self->len;
    if (data != NULL)
        put(self, data, len);
    return at;
}

static void end_record(struct maker *self, size_t at) {
    size_t len = self->len - at;
    self->octets[at - 2] = (unsigned char)(len >> 8);
    self->octets[at - 1] = (unsigned char)len;
}

static void name_record(struct maker *self, const char *owner, unsigned type, unsigned ttl,
                        int preference, const char *name) {
    size_t at = record(self, owner, type, ttl, NULL, 0);
    if (preference >= 0)
        put_u16(self, (unsigned)preference);
    put_name(self, name);
    end_record(self, at);
}

static void soa(struct maker *self, unsigned ttl, unsigned minimum) {
    size_t at = record(self, "example", 6, ttl, NULL, 0);
    put_name(self, "ns.example");
    put_name(self, "admin.example");
    for (int i = 0; i < 4; i++)
        put_u32(self, 100000);
    put_u32(self, minimum);
    end_record(self, at);
}

static char room[ROOM];

static int parse(const struct maker *self, const char *name, enum mx_dns_type type,
                 struct mx_dns_answer *answer) {
    struct mx_span message = {(const char *)self->octets, self->len};
    return mx_dns_parse(message, mx_span_of(name), type, room, sizeof room, answer);
}

/* The same message, cut and changed everywhere, at the end of a page. */
static void torture(const struct maker *self, const char *name, enum mx_dns_type type) {
    struct mx_dns_answer answer;
    struct mx_span whole = {(const char *)self->octets, self->len};
    for (size_t len = 0; len < self->len; len++) {
        struct mx_span cut = guard_copy((struct mx_span){whole.ptr, len});
        int err = mx_dns_parse(cut, mx_span_of(name), type, room, sizeof room, &answer);
        cr_expect(err == MX_ESYNTAX || err == 0);
    }
    char *copy = guard_room(self->len);
    memcpy(copy, self->octets, self->len);
    for (size_t i = 0; i < self->len * 256; i++) {
        char before = copy[i / 256];
        copy[i / 256] = (char)i;
        int err = mx_dns_parse((struct mx_span){copy, self->len}, mx_span_of(name), type, room,
                               sizeof room, &answer);
        cr_expect(err == MX_ESYNTAX || err == MX_ENOROOM || err == 0);
        copy[i / 256] = before;
    }
}

static struct mx_dns_record nth(const struct mx_dns_answer *answer, unsigned n) {
    struct mx_dns_record found = {
        .data = {NULL, 0}
    };
    size_t cursor = 0;
    for (unsigned i = 0; i <= n; i++)
        cr_assert(mx_dns_next(answer, &cursor, &found), "record %u", n);
    return found;
}

#define EXPECT_TEXT(answer, n, text)                                                               \
    cr_expect(mx_span_equal(nth(answer, n).data, mx_span_of(text)), "record %u: %.*s", n,          \
              (int)nth(answer, n).data.len, nth(answer, n).data.ptr)

Test(dns, addresses) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 3, 0, "mail.example", 1);
    record(&m, "@12", 1, 300, "\xc0\0\2\1", 4);
    record(&m, "other.example", 1, 1, "\1\1\1\1", 4); /* was not asked for */
    record(&m, "MAIL.example", 1, 200, "\xc0\0\2\2", 4);
    cr_assert(parse(&m, "Mail.Example", MX_DNS_A, &answer) == 0);
    cr_expect(answer.status == MX_DNS_OK && answer.count == 2 && answer.ttl_s == 200);
    cr_expect(memcmp(nth(&answer, 1).data.ptr, "\xc0\0\2\2", 4) == 0);
    size_t cursor = answer.records.len;
    struct mx_dns_record none;
    cr_expect(!mx_dns_next(&answer, &cursor, &none));
    torture(&m, "mail.example", MX_DNS_A);
    m.octets[m.len - 5] = 3; /* an address of three octets */
    m.len--;
    cr_expect(parse(&m, "mail.example", MX_DNS_A, &answer) == MX_ESYNTAX);
}

Test(dns, aliases_are_followed) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 3, 0, "www.example", 28);
    record(&m, "c.example", 28, 50, "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16); /* out of order */
    name_record(&m, "b.example", 5, 40, -1, "c.example");
    name_record(&m, "@12", 5, 60, -1, "b@16");
    cr_assert(parse(&m, "www.example", MX_DNS_AAAA, &answer) == 0);
    cr_expect(answer.status == MX_DNS_OK && answer.count == 1 && answer.ttl_s == 40);
    torture(&m, "www.example", MX_DNS_AAAA);
    begin(&m, 0x8180, 2, 0, "a.example", 1); /* in a circle */
    name_record(&m, "a.example", 5, 60, -1, "b.example");
    name_record(&m, "b.example", 5, 60, -1, "a.example");
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == MX_ESYNTAX);
}

Test(dns, text_is_joined) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 3, 0, "example", 16);
    record(&m, "@12", 16, 9, "\6v=spf1\5 -all\0", 14);
    record(&m, "@12", 16, 9, "\0", 1);
    record(&m, "@12", 16, 9, "\1\xff", 2);
    cr_assert(parse(&m, "example", MX_DNS_TXT, &answer) == 0);
    cr_expect(answer.count == 3);
    EXPECT_TEXT(&answer, 0, "v=spf1 -all");
    EXPECT_TEXT(&answer, 1, "");
    EXPECT_TEXT(&answer, 2, "\xff");
    torture(&m, "example", MX_DNS_TXT);
    m.octets[m.len - 2] = 2; /* a string that is longer than its record */
    cr_expect(parse(&m, "example", MX_DNS_TXT, &answer) == MX_ESYNTAX);
}

Test(dns, names_in_records) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 4, 0, "example", 15);
    name_record(&m, "@12", 15, 9, 10, "MX1@12");
    name_record(&m, "@12", 15, 9, 0, "");
    name_record(&m, "@12", 15, 9, 7, "a b"); /* no host's name */
    name_record(&m, "@12", 15, 9, 300, "mx2.example");
    cr_assert(parse(&m, "example", MX_DNS_MX, &answer) == 0);
    cr_expect(answer.count == 3);
    EXPECT_TEXT(&answer, 0, "mx1.example");
    EXPECT_TEXT(&answer, 1, "");
    EXPECT_TEXT(&answer, 2, "mx2.example");
    cr_expect(nth(&answer, 0).preference == 10 && nth(&answer, 2).preference == 300);
    torture(&m, "example", MX_DNS_MX);
    begin(&m, 0x8180, 1, 0, "1.2.0.192.in-addr.arpa", 12);
    name_record(&m, "@12", 12, 9, -1, "host.example");
    cr_assert(parse(&m, "1.2.0.192.in-addr.arpa", MX_DNS_PTR, &answer) == 0);
    EXPECT_TEXT(&answer, 0, "host.example");
}

static const struct {
    const char *name;
    unsigned flags, soa_ttl, soa_minimum;
    bool has_soa;
    enum mx_dns_status status;
    unsigned ttl_s;
} negatives[] = {
    {"no such name",          0x8183, 900,         60,          true,  MX_DNS_NXDOMAIN, 60 },
    {"the SOA's TTL is less", 0x8183, 30,          60,          true,  MX_DNS_NXDOMAIN, 30 },
    {"no such record",        0x8180, 900,         300,         true,  MX_DNS_NODATA,   300},
    {"without SOA",           0x8180, 0,           0,           false, MX_DNS_NODATA,   0  },
    {"a TTL below zero",      0x8183, 0x80000000u, 0xffffffffu, true,  MX_DNS_NXDOMAIN, 0  },
    {"the server has failed", 0x8182, 900,         60,          true,  MX_DNS_SERVFAIL, 0  },
    {"the server will not",   0x8185, 900,         60,          true,  MX_DNS_SERVFAIL, 0  },
};

Test(dns, what_is_not_there) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++) {
        begin(&m, negatives[i].flags, 0, negatives[i].has_soa, "no.example", 1);
        if (negatives[i].has_soa)
            soa(&m, negatives[i].soa_ttl, negatives[i].soa_minimum);
        cr_expect(parse(&m, "no.example", MX_DNS_A, &answer) == 0, "%s", negatives[i].name);
        cr_expect(answer.status == negatives[i].status, "%s", negatives[i].name);
        cr_expect(answer.ttl_s == negatives[i].ttl_s, "%s: %u", negatives[i].name, answer.ttl_s);
        cr_expect(answer.count == 0 && answer.records.len == 0, "%s", negatives[i].name);
        torture(&m, "no.example", MX_DNS_A);
    }
}

Test(dns, answers_to_something_else) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 1, 0, "a.example", 1);
    record(&m, "@12", 1, 300, "\1\2\3\4", 4);
    cr_expect(parse(&m, "b.example", MX_DNS_A, &answer) == MX_ESYNTAX, "another name");
    cr_expect(parse(&m, "a.example", MX_DNS_AAAA, &answer) == MX_ESYNTAX, "another type");
    m.octets[2] = 1;
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == MX_ESYNTAX, "a question");
    m.octets[2] = 0x83;
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == MX_ESYNTAX, "cut by the server");
    begin(&m, 0x8180, 1, 0, "a.example", 1);
    record(&m, "b.example", 1, 300, "\1\2\3\4", 4);
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == 0);
    cr_expect(answer.status == MX_DNS_NODATA, "somebody else's address is no answer");
}

Test(dns, pointers_lead_backwards_only) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    begin(&m, 0x8180, 1, 0, "a.example", 1);
    size_t at = m.len;
    char self_pointer[32];
    snprintf(self_pointer, sizeof self_pointer, "@%zu", at);
    record(&m, self_pointer, 1, 300, "\1\2\3\4", 4);
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == MX_ESYNTAX, "itself");
    snprintf(self_pointer, sizeof self_pointer, "x@%zu", at);
    begin(&m, 0x8180, 1, 0, "a.example", 1);
    record(&m, self_pointer, 1, 300, "\1\2\3\4", 4);
    cr_expect(parse(&m, "a.example", MX_DNS_A, &answer) == MX_ESYNTAX, "a loop");
}

Test(dns, no_room) {
    struct maker m = {.len = 0};
    struct mx_dns_answer answer;
    struct mx_span message;
    char small[15];
    begin(&m, 0x8180, 2, 0, "example", 1);
    record(&m, "@12", 1, 9, "\1\2\3\4", 4);
    record(&m, "@12", 1, 9, "\1\2\3\5", 4);
    message = (struct mx_span){(const char *)m.octets, m.len};
    cr_expect(mx_dns_parse(message, MX_SPAN("example"), MX_DNS_A, small, sizeof small, &answer) ==
              MX_ENOROOM);
}

static const struct {
    const char *name;
    bool is_good;
} names[] = {
    {"example",                                                            true },
    {"a.b-c._d",                                                           true },
    {"",                                                                   false},
    {".",                                                                  false},
    {"a.",                                                                 false},
    {".a",                                                                 false},
    {"a..b",                                                               false},
    {"a b",                                                                false},
    {"a\\.b",                                                              false},
    {"a\xc3\xa9",                                                          false},
    {"123456789012345678901234567890123456789012345678901234567890123.a",  true },
    {"1234567890123456789012345678901234567890123456789012345678901234.a", false},
};

Test(dns, names) {
    char longest[300];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(mx_dns_is_name(mx_span_of(names[i].name)) == names[i].is_good, "%s",
                  names[i].name);
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 2 ? '.' : 'a';
    cr_expect(mx_dns_is_name((struct mx_span){longest, 253}));
    cr_expect(!mx_dns_is_name((struct mx_span){longest, 255}));
}

Test(dns, reverse) {
    struct mx_ip v4, v6;
    char name[MX_DNS_NAME_MAX + 1], zone[300];
    cr_assert(mx_ip_parse(MX_SPAN("192.0.2.105"), &v4));
    cr_assert(mx_ip_parse(MX_SPAN("2001:db8::567:89ab"), &v6));
    cr_expect(mx_dns_reverse(&v4, MX_SPAN("zen.example"), name) == 23);
    cr_expect_str_eq(name, "105.2.0.192.zen.example");
    mx_dns_ptr_name(&v4, name);
    cr_expect_str_eq(name, "105.2.0.192.in-addr.arpa");
    mx_dns_ptr_name(&v6, name);
    cr_expect_str_eq(name, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
                           "arpa");
    memset(zone, 'x', sizeof zone);
    cr_expect(mx_dns_reverse(&v6, (struct mx_span){zone, MX_DNS_NAME_MAX - 64}, name) ==
              MX_DNS_NAME_MAX);
    cr_expect(mx_dns_reverse(&v6, (struct mx_span){zone, MX_DNS_NAME_MAX - 63}, name) == 0);
}
