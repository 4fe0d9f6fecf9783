/* Key records (RFC 6376 3.6.1), and the DER of RSA keys in them (RFC 3279 2.3.1, RFC 8017 A.1.1).
 */
#include "proto/base64.h"
#include "proto/dkim.h"

enum { BITS_MIN = 1024, BITS_MAX = 4096, EXPONENT_MAX = 8 /* octets */ };
enum { SEQUENCE = 0x30, INTEGER = 0x02, BIT_STRING = 0x03 };

/* ---- DER ---- */

/* Take an element of that kind off the front. */
static bool take(struct mx_span *in, unsigned char kind, struct mx_span *content) {
    const unsigned char *at = (const unsigned char *)in->ptr;
    if (in->len < 2 || at[0] != kind)
        return false;
    size_t head = 2, len = at[1];
    if (len > 0x80 && len <= 0x82) {
        size_t count = len - 0x80;
        if (in->len < 2 + count)
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | at[head++];
    } else if (len >= 0x80) {
        return false;
    }
    if (in->len - head < len)
        return false;
    *content = (struct mx_span){in->ptr + head, len};
    *in = mx_span_skip(*in, head + len);
    return true;
}

static bool take_number(struct mx_span *in, struct mx_span *number) {
    if (!take(in, INTEGER, number) || number->len == 0 || (number->ptr[0] & 0x80) != 0)
        return false;
    while (number->len > 0 && number->ptr[0] == 0)
        *number = mx_span_skip(*number, 1);
    return true;
}

/* The key, as it is or within a SubjectPublicKeyInfo. */
static bool read_rsa(struct mx_dkim_key *self, struct mx_span der) {
    static const char algorithm[] = {0x06,       0x09, 0x2a, (char)0x86, 0x48, (char)0x86,
                                     (char)0xf7, 0x0d, 0x01, 0x01,       0x01};
    struct mx_span outer, inner, bits;
    if (!take(&der, SEQUENCE, &outer) || der.len > 0)
        return false;
    struct mx_span info = outer;
    if (take(&info, SEQUENCE, &inner)) {
        if (inner.len < sizeof algorithm || memcmp(inner.ptr, algorithm, sizeof algorithm) != 0 ||
            !take(&info, BIT_STRING, &bits) || info.len > 0 || bits.len == 0 || bits.ptr[0] != 0)
            return false;
        bits = mx_span_skip(bits, 1);
        if (!take(&bits, SEQUENCE, &outer) || bits.len > 0)
            return false;
    }
    return take_number(&outer, &self->modulus) && take_number(&outer, &self->exponent) &&
           outer.len == 0;
}

static unsigned bits_of(struct mx_span number) {
    unsigned bits = (unsigned)number.len * 8;
    for (unsigned char mask = 0x80; bits > 0 && ((unsigned char)number.ptr[0] & mask) == 0; bits--)
        mask >>= 1;
    return bits;
}

static const char *check_rsa(const struct mx_dkim_key *self) {
    unsigned bits = bits_of(self->modulus);
    struct mx_span e = self->exponent;
    if (bits < BITS_MIN)
        return "key is shorter than 1024 bits";
    if (bits > BITS_MAX)
        return "key is longer than 4096 bits";
    bool is_one = e.len == 1 && e.ptr[0] == 1;
    if (e.len == 0 || e.len > EXPONENT_MAX || is_one || (e.ptr[e.len - 1] & 1) == 0 ||
        (self->modulus.ptr[self->modulus.len - 1] & 1) == 0)
        return "key is none of RSA";
    return NULL;
}

/* ---- the record ---- */

enum tag { TAG_V, TAG_H, TAG_K, TAG_P, TAG_S, TAG_T, TAG_COUNT };

static bool has_item(struct mx_span list, struct mx_span wanted) {
    struct mx_span item;
    while (mx_dkim_next_item(&list, &item)) {
        if (mx_span_equal_nocase(item, wanted))
            return true;
    }
    return false;
}

static const char *collect(struct mx_span record, struct mx_span values[TAG_COUNT]) {
    static const struct mx_span names[TAG_COUNT] = {MX_SPAN("v"), MX_SPAN("h"), MX_SPAN("k"),
                                                    MX_SPAN("p"), MX_SPAN("s"), MX_SPAN("t")};
    struct mx_span seen[MX_DKIM_TAGS_MAX];
    struct mx_dkim_tag tag;
    size_t count = 0;
    int err;
    while ((err = mx_dkim_next_tag(&record, &tag)) == 0) {
        for (size_t i = 0; i < count; i++) {
            if (mx_span_equal(seen[i], tag.name))
                return "key record has a tag twice";
        }
        if (count == MX_DKIM_TAGS_MAX)
            return "key record has too many tags";
        seen[count++] = tag.name;
        for (unsigned t = 0; t < TAG_COUNT; t++) {
            if (mx_span_equal(names[t], tag.name))
                values[t] = tag.value;
        }
        if (mx_span_equal(tag.name, names[TAG_V]) &&
            (count > 1 || !mx_span_equal(tag.value, MX_SPAN("DKIM1"))))
            return "key record is of another version";
    }
    return err == MX_EPARTIAL ? NULL : "key record is malformed";
}

static const char *read_point(struct mx_dkim_key *self, struct mx_span octets) {
    self->point = octets;
    return octets.len == 32 ? NULL : "key is none of Ed25519";
}

static const char *read_octets(struct mx_dkim_key *self, struct mx_span value) {
    char text[MX_BASE64_LEN(MX_DKIM_KEY_MAX)];
    size_t len = 0, got = 0;
    if (value.len == 0)
        return "key is revoked";
    if (mx_dkim_strip(value, text, sizeof text, &len) < 0 ||
        mx_base64_decode((struct mx_span){text, len}, self->octets, sizeof self->octets, &got) < 0)
        return "key is not base64, or too long";
    struct mx_span octets = {self->octets, got};
    if (self->algorithm == MX_DKIM_ED25519_SHA256)
        return read_point(self, octets);
    return read_rsa(self, octets) ? check_rsa(self) : "key is none of RSA";
}

const char *mx_dkim_read_key(struct mx_dkim_key *self, struct mx_span record,
                             enum mx_dkim_algorithm algorithm) {
    struct mx_span values[TAG_COUNT] = {
        {NULL, 0}
    };
    *self = (struct mx_dkim_key){.algorithm = algorithm};
    const char *why = collect(record, values);
    if (why != NULL)
        return why;
    struct mx_span kind = values[TAG_K].ptr != NULL ? values[TAG_K] : MX_SPAN("rsa");
    struct mx_span wanted = algorithm == MX_DKIM_RSA_SHA256 ? MX_SPAN("rsa") : MX_SPAN("ed25519");
    if (values[TAG_P].ptr == NULL)
        return "key record has no key";
    if (!mx_span_equal_nocase(kind, wanted))
        return "key is of another kind";
    if (values[TAG_H].ptr != NULL && !has_item(values[TAG_H], MX_SPAN("sha256")))
        return "key is not for SHA-256";
    if (values[TAG_S].ptr != NULL && !has_item(values[TAG_S], MX_SPAN("*")) &&
        !has_item(values[TAG_S], MX_SPAN("email")))
        return "key is not for mail";
    self->is_testing = values[TAG_T].ptr != NULL && has_item(values[TAG_T], MX_SPAN("y"));
    self->is_strict = values[TAG_T].ptr != NULL && has_item(values[TAG_T], MX_SPAN("s"));
    return read_octets(self, values[TAG_P]);
}
