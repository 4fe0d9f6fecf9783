#include "engine/cli/outside.h"

enum { ROOM = 4096, NAMES_MAX = 8 /* that an address may have */ };

static const char *why(const struct mx_dns_answer *answer) {
    switch ((enum mx_dns_status)answer->status) {
    case MX_DNS_NODATA:
        return "no such record";
    case MX_DNS_NXDOMAIN:
        return "no such name";
    case MX_DNS_SERVFAIL:
        return "the name server cannot answer";
    case MX_DNS_TIMEOUT:
        return "no answer in time";
    case MX_DNS_BUSY:
        return "it is none that can be asked for";
    case MX_DNS_TOO_LARGE:
        return "too many records";
    case MX_DNS_OK:
        break;
    }
    return "";
}

static enum mx_finding without(const struct mx_dns_answer *answer) {
    return mx_dns_is_certain(answer) ? MX_FINDING_BAD : MX_FINDING_UNKNOWN;
}

static struct mx_ip ip_of(struct mx_span data) {
    struct mx_ip ip = {.family = data.len == 4 ? 4 : 6};
    memcpy(ip.bytes, data.ptr, data.len <= sizeof ip.bytes ? data.len : sizeof ip.bytes);
    return ip;
}

static bool is_same(const struct mx_ip *a, const struct mx_ip *b) {
    return a->family == b->family && memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}

/* ---- forward ---- */

static bool take_addresses(struct mx_outside *self, enum mx_dns_type type,
                           struct mx_dns_answer *answer) {
    char room[ROOM];
    struct mx_dns_record record;
    mx_dns_asker_ask(self->asker, type, self->name, (struct mx_span){room, sizeof room}, answer);
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        if (self->address_count == MX_OUTSIDE_ADDRESSES_MAX) {
            mx_outside_tell(self, MX_FINDING_WARN, "address", NULL,
                            "it has more than %d: only these are looked at",
                            MX_OUTSIDE_ADDRESSES_MAX);
            return true;
        }
        self->addresses[self->address_count] = ip_of(record.data);
        mx_outside_tell(self, MX_FINDING_OK, "address", &self->addresses[self->address_count],
                        "of %.*s", (int)self->name.len, self->name.ptr);
        self->address_count++;
    }
    answer->records = (struct mx_span){NULL, 0};
    return answer->status == MX_DNS_OK;
}

static void find_addresses(struct mx_outside *self) {
    struct mx_dns_answer four, six;
    bool has_four = take_addresses(self, MX_DNS_A, &four);
    bool has_six = take_addresses(self, MX_DNS_AAAA, &six);
    if (!has_four && (!has_six || !mx_dns_is_certain(&four)))
        mx_outside_tell(self, has_six ? MX_FINDING_UNKNOWN : without(&four), "address", NULL,
                        "%.*s (A): %s", (int)self->name.len, self->name.ptr, why(&four));
    if (!has_six && !mx_dns_is_certain(&six))
        mx_outside_tell(self, MX_FINDING_UNKNOWN, "address", NULL, "%.*s (AAAA): %s",
                        (int)self->name.len, self->name.ptr, why(&six));
}

/* ---- and back ---- */

/* Does that name have the address? */
static bool leads_back(struct mx_outside *self, struct mx_span name, const struct mx_ip *ip,
                       struct mx_dns_answer *answer) {
    char room[ROOM];
    struct mx_dns_record record;
    mx_dns_asker_ask(self->asker, ip->family == 4 ? MX_DNS_A : MX_DNS_AAAA, name,
                     (struct mx_span){room, sizeof room}, answer);
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        struct mx_ip other = ip_of(record.data);
        if (is_same(ip, &other))
            return true;
    }
    return false;
}

static void check_name(struct mx_outside *self, const struct mx_ip *ip, struct mx_span name) {
    struct mx_dns_answer answer;
    if (!leads_back(self, name, ip, &answer))
        mx_outside_tell(self, answer.status == MX_DNS_OK ? MX_FINDING_BAD : without(&answer),
                        "reverse name", ip, "%.*s does not lead back%s%s", (int)name.len, name.ptr,
                        answer.status == MX_DNS_OK ? "" : ": ", why(&answer));
    else if (!mx_span_equal_nocase(name, self->name))
        mx_outside_tell(self, MX_FINDING_WARN, "reverse name", ip,
                        "%.*s, and back; it is another name than %.*s", (int)name.len, name.ptr,
                        (int)self->name.len, self->name.ptr);
    else
        mx_outside_tell(self, MX_FINDING_OK, "reverse name", ip, "%.*s, and back", (int)name.len,
                        name.ptr);
}

static void check_reverse(struct mx_outside *self, const struct mx_ip *ip) {
    char room[ROOM], reversed[MX_DNS_NAME_MAX + 1];
    struct mx_dns_answer answer;
    struct mx_dns_record record;
    unsigned count = 0;
    size_t len = mx_dns_ptr_name(ip, reversed);
    mx_dns_asker_ask(self->asker, MX_DNS_PTR, (struct mx_span){reversed, len},
                     (struct mx_span){room, sizeof room}, &answer);
    if (answer.status != MX_DNS_OK) {
        mx_outside_tell(self, without(&answer), "reverse name", ip, "%s: %s", reversed,
                        why(&answer));
        return;
    }
    for (size_t cursor = 0; mx_dns_next(&answer, &cursor, &record) && count < NAMES_MAX; count++)
        check_name(self, ip, record.data);
}

/* ---- block lists ---- */

/* 127.255.255.x: the list refuses to say (as mx_lookup_is_listed). */
static void check_list(struct mx_outside *self, const struct mx_ip *ip, struct mx_span list) {
    char room[ROOM], name[MX_DNS_NAME_MAX + 1];
    struct mx_dns_answer answer;
    struct mx_dns_record record;
    size_t len = mx_dns_reverse(ip, list, name);
    mx_dns_asker_ask(self->asker, MX_DNS_A, (struct mx_span){name, len},
                     (struct mx_span){room, sizeof room}, &answer);
    if (!mx_dns_is_certain(&answer)) {
        mx_outside_tell(self, MX_FINDING_UNKNOWN, "block list", ip, "%.*s: %s", (int)list.len,
                        list.ptr, why(&answer));
        return;
    }
    for (size_t cursor = 0; mx_dns_next(&answer, &cursor, &record);) {
        const unsigned char *octets = (const unsigned char *)record.data.ptr;
        bool refuses = memcmp(octets, "\x7f\xff\xff", 3) == 0;
        if (octets[0] != 127)
            continue;
        mx_outside_tell(self, refuses ? MX_FINDING_UNKNOWN : MX_FINDING_BAD, "block list", ip,
                        "%.*s %s: %u.%u.%u.%u", (int)list.len, list.ptr,
                        refuses ? "does not tell us" : "has it", octets[0], octets[1], octets[2],
                        octets[3]);
        return;
    }
    mx_outside_tell(self, MX_FINDING_OK, "block list", ip, "not on %.*s", (int)list.len, list.ptr);
}

void mx_outside_look_up(struct mx_outside *self) {
    find_addresses(self);
    for (uint32_t i = 0; i < self->address_count; i++)
        check_reverse(self, &self->addresses[i]);
    for (uint32_t i = 0; i < self->address_count; i++) {
        for (uint32_t k = 0; k < self->list_count; k++)
            check_list(self, &self->addresses[i], self->lists[k]);
    }
}
