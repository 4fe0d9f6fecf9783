/* spf_zone.h - a small DNS for the tests of SPF: rows of (name, type, value). */
#pragma once
#include "proto/spf.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct row {
    const char *name;
    const char *type;  /* A AAAA MX PTR TXT; ERROR: any question is answered by SERVFAIL */
    const char *value; /* MX: the host alone */
};

static const char *type_name(enum mx_dns_type type) {
    switch (type) {
    case MX_DNS_A:
        return "A";
    case MX_DNS_AAAA:
        return "AAAA";
    case MX_DNS_MX:
        return "MX";
    case MX_DNS_PTR:
        return "PTR";
    case MX_DNS_TXT:
        return "TXT";
    }
    return "";
}

static void pack_row(const struct row *row, char *room, size_t cap, size_t *len) {
    struct mx_dns_record record = {.data = mx_span_of(row->value)};
    struct mx_ip ip;
    if (row->type[0] == 'A') {
        cr_assert(mx_ip_parse(record.data, &ip), "%s", row->value);
        record.data = (struct mx_span){(const char *)ip.bytes, ip.family == 4 ? 4 : 16};
    }
    cr_assert(mx_dns_pack(room, cap, len, &record) == 0);
}

/* What the zone says; the records lie in room. */
static struct mx_dns_answer look_up(const struct row *zone, const char *name, enum mx_dns_type type,
                                    char *room, size_t cap) {
    struct mx_dns_answer answer = {.status = MX_DNS_NXDOMAIN};
    size_t len = 0;
    for (const struct row *row = zone; row->name != NULL; row++) {
        if (!mx_span_equal_nocase(mx_span_of(row->name), mx_span_of(name)))
            continue;
        if (strcmp(row->type, "ERROR") == 0)
            return (struct mx_dns_answer){.status = MX_DNS_SERVFAIL};
        if (answer.count == 0)
            answer.status = MX_DNS_NODATA;
        if (strcmp(row->type, type_name(type)) != 0)
            continue;
        pack_row(row, room, cap, &len);
        answer.status = MX_DNS_OK;
        answer.count++;
    }
    answer.records = (struct mx_span){room, len};
    return answer;
}

enum { TRACE_MAX = 4000 };

/* Ask until it is done; *trace: "TYPE NAME;" for each question. */
static void run_spf(struct mx_spf *spf, const struct mx_spf_client *client, const struct row *zone,
                    char trace[TRACE_MAX]) {
    static char room[65536];
    size_t len = 0;
    enum mx_spf_step step = mx_spf_begin(spf, client);
    trace[0] = '\0';
    for (unsigned asked = 0; step == MX_SPF_ASK; asked++) {
        cr_assert(asked < 200, "it never ends: %s", trace);
        cr_assert(strlen(spf->ask_name) == spf->ask_len);
        cr_assert(mx_dns_is_name(mx_span_of(spf->ask_name)), "%s", spf->ask_name);
        int put = snprintf(trace + len, TRACE_MAX - len, "%s %s;", type_name(spf->ask_type),
                           spf->ask_name);
        len += put > 0 && (size_t)put < TRACE_MAX - len ? (size_t)put : 0;
        struct mx_dns_answer answer =
            look_up(zone, spf->ask_name, spf->ask_type, room, sizeof room);
        step = mx_spf_answer(spf, &answer);
        memset(room, 'X', 1000); /* it was borrowed */
    }
}
