#include "proto/dns.h"

#include <assert.h>

enum {
    HEADER_LEN = 12,
    CLASS_IN = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    RCODE_NXDOMAIN = 3,
    POINTER = 0xc0, /* of a label's first octet */
    PACKED_HEAD = 4 /* length and preference in front of a packed record */
};

/* ---- packed records ---- */

bool mx_dns_next(const struct mx_dns_answer *self, size_t *cursor, struct mx_dns_record *record) {
    uint16_t head[2];
    assert(*cursor <= self->records.len);
    if (*cursor == self->records.len)
        return false;
    memcpy(head, self->records.ptr + *cursor, sizeof head);
    record->data = (struct mx_span){self->records.ptr + *cursor + PACKED_HEAD, head[0]};
    record->preference = head[1];
    *cursor += PACKED_HEAD + (size_t)head[0];
    return true;
}

int mx_dns_pack(char *room, size_t cap, size_t *len, const struct mx_dns_record *record) {
    const uint16_t head[2] = {(uint16_t)record->data.len, record->preference};
    assert(record->data.len <= UINT16_MAX && *len <= cap);
    if (cap - *len < PACKED_HEAD + record->data.len)
        return MX_ENOROOM;
    memcpy(room + *len, head, sizeof head);
    if (record->data.len > 0)
        memcpy(room + *len + PACKED_HEAD, record->data.ptr, record->data.len);
    *len += PACKED_HEAD + record->data.len;
    return 0;
}

/* ---- names ---- */

static bool is_plain(unsigned char c) {
    return c > 0x20 && c < 0x7f && c != '.' && c != '\\';
}

bool mx_dns_is_name(struct mx_span name) {
    size_t label = 0;
    if (name.len == 0 || name.len > MX_DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_plain((unsigned char)name.ptr[i]) || ++label > MX_DNS_LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

static size_t put_octet(char *text, unsigned value) {
    size_t len = 0;
    if (value >= 100)
        text[len++] = (char)('0' + value / 100);
    if (value >= 10)
        text[len++] = (char)('0' + value / 10 % 10);
    text[len++] = (char)('0' + value % 10);
    return len;
}

size_t mx_dns_reverse(const struct mx_ip *ip, struct mx_span zone, char name[MX_DNS_NAME_MAX + 1]) {
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    assert(ip->family == 4 || ip->family == 6);
    for (int i = ip->family == 4 ? 3 : 15; i >= 0; i--) {
        unsigned value = ip->bytes[i];
        if (ip->family == 4) {
            len += put_octet(name + len, value);
        } else {
            name[len++] = digits[value & 15];
            name[len++] = '.';
            name[len++] = digits[value >> 4];
        }
        name[len++] = '.';
    }
    if (zone.len > MX_DNS_NAME_MAX - len)
        return 0;
    memcpy(name + len, zone.ptr, zone.len);
    name[len + zone.len] = '\0';
    return len + zone.len;
}

size_t mx_dns_ptr_name(const struct mx_ip *ip, char name[MX_DNS_NAME_MAX + 1]) {
    return mx_dns_reverse(ip, ip->family == 4 ? MX_SPAN("in-addr.arpa") : MX_SPAN("ip6.arpa"),
                          name);
}

/* ---- the message ---- */

struct name {
    bool is_odd; /* holds what no host name has; the text is not all of it */
    size_t len;
    char text[MX_DNS_NAME_MAX + 2];
};

struct record {
    struct name owner;
    unsigned type, class;
    uint32_t ttl_s;
    size_t data_at, data_len;
};

struct reader {
    struct mx_span message;
    size_t at; /* octets read */
};

static unsigned octet(const struct reader *self, size_t at) {
    assert(at < self->message.len);
    return (unsigned char)self->message.ptr[at];
}

static unsigned word(const struct reader *self, size_t at) {
    return octet(self, at) << 8 | octet(self, at + 1);
}

static uint32_t quad(const struct reader *self, size_t at) {
    return (uint32_t)word(self, at) << 16 | word(self, at + 2);
}

static bool has(const struct reader *self, size_t at, size_t len) {
    return at <= self->message.len && self->message.len - at >= len;
}

static void put_label(struct name *name, struct mx_span label) {
    if (label.len + 1 > sizeof name->text - name->len) {
        name->is_odd = true;
        return;
    }
    for (size_t i = 0; i < label.len; i++) {
        name->is_odd = name->is_odd || !is_plain((unsigned char)label.ptr[i]);
        name->text[name->len++] = mx_ascii_lower(label.ptr[i]);
    }
    name->text[name->len++] = '.';
}

/* At self->at, which is moved behind it. Pointers only lead backwards, so it ends. */
static int read_name(struct reader *self, struct name *name) {
    size_t at = self->at, before = self->at, wire_len = 0;
    bool has_jumped = false;
    name->len = 0;
    name->is_odd = false;
    for (;;) {
        if (!has(self, at, 1))
            return MX_ESYNTAX;
        unsigned len = octet(self, at);
        if ((len & POINTER) == POINTER) {
            if (!has(self, at, 2))
                return MX_ESYNTAX;
            size_t target = word(self, at) & 0x3fff;
            if (!has_jumped)
                self->at = at + 2;
            has_jumped = true;
            if (target >= before)
                return MX_ESYNTAX;
            at = before = target;
            continue;
        }
        wire_len += len + 1;
        if ((len & POINTER) != 0 || wire_len > 255 || !has(self, at + 1, len))
            return MX_ESYNTAX;
        at += 1 + len;
        if (len == 0)
            break;
        put_label(name, (struct mx_span){self->message.ptr + at - len, len});
    }
    if (!has_jumped)
        self->at = at;
    if (name->len > 0)
        name->len--; /* the last dot */
    name->is_odd = name->is_odd || name->len > MX_DNS_NAME_MAX;
    return 0;
}

static bool is_named(const struct name *name, struct mx_span text) {
    return !name->is_odd && mx_span_equal_nocase((struct mx_span){name->text, name->len}, text);
}

static int read_record(struct reader *self, struct record *record) {
    enum { FIXED_LEN = 10 };
    int err = read_name(self, &record->owner);
    if (err < 0 || !has(self, self->at, FIXED_LEN))
        return MX_ESYNTAX;
    record->type = word(self, self->at);
    record->class = word(self, self->at + 2);
    record->ttl_s = quad(self, self->at + 4);
    if (record->ttl_s > INT32_MAX) /* RFC 2181 8 */
        record->ttl_s = 0;
    record->data_len = word(self, self->at + 8);
    record->data_at = self->at + FIXED_LEN;
    if (!has(self, record->data_at, record->data_len))
        return MX_ESYNTAX;
    self->at = record->data_at + record->data_len;
    return 0;
}

/* A name inside of a record's data, which it fills to its end. */
static int read_inner_name(const struct reader *self, const struct record *record, size_t offset,
                           struct name *name) {
    struct reader inner = {self->message, record->data_at + offset};
    int err = read_name(&inner, name);
    return err < 0 || inner.at != record->data_at + record->data_len ? MX_ESYNTAX : 0;
}

/* ---- the answer ---- */

struct answering {
    struct reader reader;
    size_t answers_at;
    unsigned answer_count, authority_count;
    enum mx_dns_type type;
    char *room;
    size_t cap, len;
    uint32_t ttl_s;
    unsigned count;
};

static void keep_ttl(struct answering *self, uint32_t ttl_s) {
    if (ttl_s < self->ttl_s)
        self->ttl_s = ttl_s;
}

/* The character-strings of a TXT record, joined where they will lie. */
static int pack_text(struct answering *self, const struct record *record) {
    size_t at = record->data_at, end = at + record->data_len;
    size_t head = self->len, len = 0;
    struct mx_dns_record packed = {
        .data = {NULL, 0}
    };
    int err = mx_dns_pack(self->room, self->cap, &self->len, &packed);
    while (err == 0 && at < end) {
        size_t part = octet(&self->reader, at++);
        if (part > end - at)
            return MX_ESYNTAX;
        if (part > self->cap - self->len)
            return MX_ENOROOM;
        memcpy(self->room + self->len, self->reader.message.ptr + at, part);
        self->len += part;
        len += part;
        at += part;
    }
    if (err == 0) {
        uint16_t short_len = (uint16_t)len;
        memcpy(self->room + head, &short_len, sizeof short_len);
    }
    return err;
}

static int pack_name(struct answering *self, const struct record *record, size_t offset) {
    struct name name;
    struct mx_dns_record packed = {.preference = 0};
    if (record->data_len < offset + 1)
        return MX_ESYNTAX;
    int err = read_inner_name(&self->reader, record, offset, &name);
    if (err < 0 || name.is_odd)
        return err;
    if (offset > 0)
        packed.preference = (uint16_t)word(&self->reader, record->data_at);
    packed.data = (struct mx_span){name.text, name.len};
    err = mx_dns_pack(self->room, self->cap, &self->len, &packed);
    self->count += err == 0;
    return err;
}

static int pack(struct answering *self, const struct record *record) {
    struct mx_dns_record packed = {
        .data = {self->reader.message.ptr + record->data_at, record->data_len}
    };
    int err = 0;
    switch (self->type) {
    case MX_DNS_A:
    case MX_DNS_AAAA:
        if (record->data_len != (self->type == MX_DNS_A ? 4 : 16))
            return MX_ESYNTAX;
        err = mx_dns_pack(self->room, self->cap, &self->len, &packed);
        self->count += err == 0;
        return err;
    case MX_DNS_TXT:
        err = pack_text(self, record);
        self->count += err == 0;
        return err;
    case MX_DNS_MX:
        return pack_name(self, record, 2);
    case MX_DNS_PTR:
        return pack_name(self, record, 0);
    }
    assert(false && "a type that is asked for");
    return MX_ESYNTAX;
}

/* All records of the wanted type that the name has itself, or its alias. */
static int take_answers(struct answering *self, const struct name *owner, struct name *alias,
                        bool *has_alias) {
    struct record record;
    self->reader.at = self->answers_at;
    *has_alias = false;
    for (unsigned i = 0; i < self->answer_count; i++) {
        int err = read_record(&self->reader, &record);
        if (err < 0)
            return err;
        if (record.class != CLASS_IN ||
            !is_named(&record.owner, (struct mx_span){owner->text, owner->len}))
            continue;
        if (record.type == (unsigned)self->type)
            err = pack(self, &record);
        else if (record.type == TYPE_CNAME && !*has_alias) {
            err = read_inner_name(&self->reader, &record, 0, alias);
            *has_alias = err == 0 && !alias->is_odd;
        } else
            continue;
        if (err < 0)
            return err;
        keep_ttl(self, record.ttl_s);
    }
    return 0;
}

/* RFC 2308 5: the smaller of the SOA's own TTL and its last field; without one: not to be kept. */
static int take_authority(struct answering *self) {
    struct record record;
    bool has_soa = false;
    for (unsigned i = 0; i < self->authority_count; i++) {
        int err = read_record(&self->reader, &record);
        if (err < 0)
            return err;
        if (record.type != TYPE_SOA || record.class != CLASS_IN || record.data_len < 22)
            continue;
        uint32_t minimum = quad(&self->reader, record.data_at + record.data_len - 4);
        keep_ttl(self, record.ttl_s);
        keep_ttl(self, minimum > INT32_MAX ? 0 : minimum);
        has_soa = true;
    }
    if (!has_soa)
        self->ttl_s = 0;
    return 0;
}

static int follow(struct answering *self, struct mx_span name) {
    struct name owner = {.len = name.len}, alias;
    bool has_alias = true;
    memcpy(owner.text, name.ptr, name.len);
    for (unsigned hops = 0; has_alias && self->count == 0; hops++) {
        if (hops > MX_DNS_CNAME_MAX)
            return MX_ESYNTAX;
        int err = take_answers(self, &owner, &alias, &has_alias);
        if (err < 0)
            return err;
        if (has_alias)
            owner = alias;
    }
    return 0;
}

/* Its head and question. 0: go on; MX_ESYNTAX. */
static int begin(struct answering *self, struct mx_span name, unsigned *rcode) {
    enum { FLAG_ANSWER = 0x8000, FLAG_CUT = 0x0200 };
    struct reader *reader = &self->reader;
    struct name asked;
    if (!has(reader, 0, HEADER_LEN))
        return MX_ESYNTAX;
    unsigned flags = word(reader, 2);
    *rcode = flags & 15;
    self->answer_count = word(reader, 6);
    self->authority_count = word(reader, 8);
    reader->at = HEADER_LEN;
    if (!(flags & FLAG_ANSWER) || (flags & FLAG_CUT) || word(reader, 4) != 1)
        return MX_ESYNTAX;
    int err = read_name(reader, &asked);
    if (err < 0 || !has(reader, reader->at, 4) || !is_named(&asked, name) ||
        word(reader, reader->at) != (unsigned)self->type ||
        word(reader, reader->at + 2) != CLASS_IN)
        return MX_ESYNTAX;
    self->answers_at = reader->at + 4;
    return 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): packed records are written there */
int mx_dns_parse(struct mx_span message, struct mx_span name, enum mx_dns_type type, char *room,
                 size_t cap, struct mx_dns_answer *answer) {
    unsigned rcode = 0;
    struct answering self = {
        .reader = {.message = message}, .type = type, .room = room, .cap = cap, .ttl_s = INT32_MAX};
    assert(mx_dns_is_name(name));
    *answer = (struct mx_dns_answer){.status = MX_DNS_SERVFAIL};
    int err = begin(&self, name, &rcode);
    if (err < 0)
        return err;
    if (rcode != 0 && rcode != RCODE_NXDOMAIN)
        return 0;
    err = follow(&self, name);
    if (err < 0)
        return err;
    if (rcode == 0 && self.count > 0) {
        answer->status = MX_DNS_OK;
        answer->count = (uint16_t)self.count;
        answer->records = (struct mx_span){self.room, self.len};
    } else {
        err = take_authority(&self);
        answer->status = rcode == 0 ? MX_DNS_NODATA : MX_DNS_NXDOMAIN;
    }
    answer->ttl_s = self.ttl_s;
    return err;
}
