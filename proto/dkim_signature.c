/* DKIM-Signature fields (RFC 6376 3.5 and 6.1.1). */
#include "proto/base64.h"
#include "proto/dkim.h"
#include "proto/dns.h"

enum tag {
    TAG_V,
    TAG_A,
    TAG_B,
    TAG_BH,
    TAG_C,
    TAG_D,
    TAG_H,
    TAG_I,
    TAG_L,
    TAG_Q,
    TAG_S,
    TAG_T,
    TAG_X,
    TAG_COUNT
};

typedef const char *read_fn(struct mx_dkim_signature *self, struct mx_span value);

static const char *read_version(struct mx_dkim_signature *self, struct mx_span value) {
    (void)self;
    return mx_span_equal(value, MX_SPAN("1")) ? NULL : "unknown version";
}

static const char *read_algorithm(struct mx_dkim_signature *self, struct mx_span value) {
    if (mx_span_equal_nocase(value, MX_SPAN("rsa-sha256")))
        self->algorithm = MX_DKIM_RSA_SHA256;
    else if (mx_span_equal_nocase(value, MX_SPAN("ed25519-sha256")))
        self->algorithm = MX_DKIM_ED25519_SHA256;
    else if (mx_span_equal_nocase(value, MX_SPAN("rsa-sha1")))
        return "rsa-sha1 is not secure";
    else
        return "unknown algorithm";
    return NULL;
}

static const char *read_signature(struct mx_dkim_signature *self, struct mx_span value) {
    char text[MX_BASE64_LEN(MX_DKIM_SIGNATURE_MAX)];
    size_t len = 0, octets = 0;
    if (mx_dkim_strip(value, text, sizeof text, &len) < 0)
        return "signature is too long";
    int err = mx_base64_decode((struct mx_span){text, len}, (char *)self->signature,
                               sizeof self->signature, &octets);
    self->signature_len = (uint32_t)octets;
    return err < 0 || octets == 0 ? "signature is not base64" : NULL;
}

static const char *read_body_hash(struct mx_dkim_signature *self, struct mx_span value) {
    char text[MX_BASE64_LEN(MX_DKIM_HASH)], octets[MX_BASE64_OCTETS(sizeof text)];
    size_t len = 0, got = 0;
    if (mx_dkim_strip(value, text, sizeof text, &len) < 0 ||
        mx_base64_decode((struct mx_span){text, len}, octets, sizeof octets, &got) < 0 ||
        got != MX_DKIM_HASH)
        return "body hash is none";
    memcpy(self->body_hash, octets, MX_DKIM_HASH);
    return NULL;
}

static bool read_form(struct mx_span text, bool *is_relaxed) {
    *is_relaxed = mx_span_equal_nocase(text, MX_SPAN("relaxed"));
    return *is_relaxed || mx_span_equal_nocase(text, MX_SPAN("simple"));
}

static const char *read_forms(struct mx_dkim_signature *self, struct mx_span value) {
    const char *slash = value.len > 0 ? memchr(value.ptr, '/', value.len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - value.ptr) : value.len;
    struct mx_span body = slash != NULL ? mx_span_skip(value, len + 1) : MX_SPAN("simple");
    bool is_known = read_form((struct mx_span){value.ptr, len}, &self->is_relaxed_header) &&
                    read_form(body, &self->is_relaxed_body);
    return is_known ? NULL : "unknown canonicalization";
}

static const char *read_domain(struct mx_dkim_signature *self, struct mx_span value) {
    self->domain = value;
    return mx_dns_is_name(value) ? NULL : "domain is none";
}

static const char *read_selector(struct mx_dkim_signature *self, struct mx_span value) {
    self->selector = value;
    return mx_dns_is_name(value) ? NULL : "selector is none";
}

static bool is_field_name(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    }
    return text.len > 0;
}

static const char *read_names(struct mx_dkim_signature *self, struct mx_span value) {
    struct mx_span rest = value, name;
    uint32_t count = 0;
    self->names = value;
    while (mx_dkim_next_item(&rest, &name)) {
        if (!is_field_name(name))
            return "list of fields is malformed";
        if (++count > MX_DKIM_NAMES_MAX)
            return "too many fields are listed";
        self->from_count += mx_span_equal_nocase(name, MX_SPAN("from"));
    }
    return self->from_count > 0 ? NULL : "From is not signed";
}

static const char *read_user(struct mx_dkim_signature *self, struct mx_span value) {
    self->user = value;
    return memchr(value.ptr, '@', value.len) != NULL ? NULL : "i= is no address";
}

/* More than fits is as good as the largest number. */
static bool read_number(struct mx_span text, uint64_t *number) {
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9)
            return false;
        bool fits = *number <= (UINT64_MAX - digit) / 10;
        *number = fits ? *number * 10 + digit : UINT64_MAX;
    }
    return text.len > 0;
}

static const char *read_limit(struct mx_dkim_signature *self, struct mx_span value) {
    self->has_limit = true;
    return read_number(value, &self->limit) ? NULL : "l= is no number";
}

static const char *read_made(struct mx_dkim_signature *self, struct mx_span value) {
    return read_number(value, &self->made_s) ? NULL : "t= is no number";
}

static const char *read_until(struct mx_dkim_signature *self, struct mx_span value) {
    return read_number(value, &self->until_s) ? NULL : "x= is no number";
}

static const char *read_query(struct mx_dkim_signature *self, struct mx_span value) {
    struct mx_span rest = value, item;
    (void)self;
    while (mx_dkim_next_item(&rest, &item)) {
        if (mx_span_equal_nocase(item, MX_SPAN("dns/txt")))
            return NULL;
    }
    return "unknown way to ask for the key";
}

/* clang-format off */
static const struct {
    struct mx_span name;
    read_fn *read;
    bool is_needed;
} rows[TAG_COUNT] = {
    [TAG_V]  = {MX_SPAN("v"),  read_version,   true},
    [TAG_A]  = {MX_SPAN("a"),  read_algorithm, true},
    [TAG_B]  = {MX_SPAN("b"),  read_signature, true},
    [TAG_BH] = {MX_SPAN("bh"), read_body_hash, true},
    [TAG_C]  = {MX_SPAN("c"),  read_forms,     false},
    [TAG_D]  = {MX_SPAN("d"),  read_domain,    true},
    [TAG_H]  = {MX_SPAN("h"),  read_names,     true},
    [TAG_I]  = {MX_SPAN("i"),  read_user,      false},
    [TAG_L]  = {MX_SPAN("l"),  read_limit,     false},
    [TAG_Q]  = {MX_SPAN("q"),  read_query,     false},
    [TAG_S]  = {MX_SPAN("s"),  read_selector,  true},
    [TAG_T]  = {MX_SPAN("t"),  read_made,      false},
    [TAG_X]  = {MX_SPAN("x"),  read_until,     false},
};
/* clang-format on */

/* Each tag once (3.2), in values[] where it is one that we know. */
static const char *collect(struct mx_span list, struct mx_span values[TAG_COUNT]) {
    struct mx_span seen[MX_DKIM_TAGS_MAX];
    struct mx_dkim_tag tag;
    size_t count = 0;
    int err;
    while ((err = mx_dkim_next_tag(&list, &tag)) == 0) {
        for (size_t i = 0; i < count; i++) {
            if (mx_span_equal(seen[i], tag.name))
                return "a tag stands twice";
        }
        if (count == MX_DKIM_TAGS_MAX)
            return "too many tags";
        seen[count++] = tag.name;
        for (unsigned t = 0; t < TAG_COUNT; t++) {
            if (mx_span_equal(rows[t].name, tag.name))
                values[t] = tag.value;
        }
    }
    return err == MX_EPARTIAL ? NULL : "tags are malformed";
}

/* Is i= of d= or of a domain below? Also says which. */
static bool is_of_domain(struct mx_dkim_signature *self) {
    struct mx_span host = self->user, domain = self->domain;
    for (size_t i = self->user.len; i > 0; i--) { /* the last "@": a local part may hold others */
        if (self->user.ptr[i - 1] == '@') {
            host = mx_span_skip(self->user, i);
            break;
        }
    }
    if (host.len < domain.len)
        return false;
    size_t more = host.len - domain.len;
    self->is_user_of_domain = more == 0;
    return mx_span_equal_nocase(mx_span_skip(host, more), domain) &&
           (more == 0 || host.ptr[more - 1] == '.');
}

static const char *check_whole(struct mx_dkim_signature *self, uint64_t now_s) {
    if (self->selector.len + sizeof "._domainkey." - 1 + self->domain.len > MX_DNS_NAME_MAX)
        return "selector and domain are too long";
    if (self->algorithm == MX_DKIM_ED25519_SHA256 && self->signature_len != 64)
        return "signature is none of Ed25519";
    if (self->user.ptr == NULL)
        self->is_user_of_domain = true;
    else if (!is_of_domain(self))
        return "i= is not of the domain";
    if (self->until_s > 0 && self->until_s <= self->made_s)
        return "x= is not behind t=";
    if (self->made_s > now_s && self->made_s - now_s > MX_DKIM_SKEW_S)
        return "signed in the future";
    return self->until_s > 0 && self->until_s < now_s ? "signature has expired" : NULL;
}

const char *mx_dkim_read_signature(struct mx_dkim_signature *self, struct mx_span value,
                                   uint64_t now_s) {
    struct mx_span values[TAG_COUNT] = {
        {NULL, 0}
    };
    *self = (struct mx_dkim_signature){.limit = UINT64_MAX};
    const char *why = collect(value, values);
    for (unsigned t = 0; t < TAG_COUNT && why == NULL; t++) {
        if (values[t].ptr == NULL)
            why = rows[t].is_needed ? "a tag is missing" : NULL;
        else
            why = values[t].len > 0 ? rows[t].read(self, values[t]) : "a tag is empty";
    }
    return why != NULL ? why : check_whole(self, now_s);
}
