#include "engine/policy/dkim.h"

#include <assert.h>

static const struct mx_span domain_key = MX_SPAN("._domainkey.");

static void put_hash(void *context, struct mx_span piece) {
    sha256_update(context, piece.len, (const uint8_t *)piece.ptr);
}

static void fail(struct mx_dkim_check *self, const char *why) {
    self->state = MX_DKIM_FAILED;
    self->why = why;
}

/* ---- the header ---- */

/* Fields, the first one first; names by a hash of their lower case, compared in full as well. */
struct fields {
    uint32_t count;
    uint32_t from_count;
    bool is_cut;
    struct mx_header_field rows[MX_DKIM_FIELDS_MAX];
    uint32_t names[MX_DKIM_FIELDS_MAX];
};

static uint32_t hash_name(struct mx_span name) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)mx_ascii_lower(name.ptr[i])) * 16777619u;
    return hash;
}

static void collect(struct fields *self, const struct mx_header *header, bool has_own_trace) {
    struct mx_header_field field;
    uint32_t at = 0;
    self->count = self->from_count = 0;
    self->is_cut = false;
    while (mx_header_next(header, &at, &field)) {
        if (has_own_trace && mx_span_equal_nocase(field.name, MX_SPAN("received"))) {
            has_own_trace = false;
            continue;
        }
        if (self->count == MX_DKIM_FIELDS_MAX) {
            self->is_cut = true;
            return;
        }
        self->from_count += mx_span_equal_nocase(field.name, MX_SPAN("from"));
        self->names[self->count] = hash_name(field.name);
        self->rows[self->count++] = field;
    }
}

/* The last field of that name that was not taken yet (5.4.2), which is not the signature's own. */
static const struct mx_header_field *find(const struct fields *self, struct mx_span name,
                                          uint32_t own, uint64_t *taken) {
    uint32_t hash = hash_name(name);
    for (uint32_t i = self->count; i > 0; i--) {
        uint32_t at = i - 1;
        uint64_t bit = UINT64_C(1) << at % 64;
        if (self->names[at] != hash || at == own || (taken[at / 64] & bit) != 0 ||
            !mx_span_equal_nocase(self->rows[at].name, name))
            continue;
        taken[at / 64] |= bit;
        return &self->rows[at];
    }
    return NULL;
}

static void hash_header(struct mx_dkim_check *self, const struct mx_dkim_signature *signature,
                        const struct fields *fields, uint32_t own) {
    uint64_t taken[MX_DKIM_FIELDS_MAX / 64] = {0};
    struct sha256_ctx hash;
    struct mx_dkim_out out = {put_hash, &hash};
    struct mx_span rest = signature->names, name;
    sha256_init(&hash);
    while (mx_dkim_next_item(&rest, &name)) {
        const struct mx_header_field *field = find(fields, name, own, taken);
        if (field != NULL) /* else it is signed that there is none */
            mx_dkim_put_field(field->whole, signature->is_relaxed_header, &out);
    }
    mx_dkim_put_signature(fields->rows[own].whole, signature->is_relaxed_header, &out);
    sha256_digest(&hash, MX_DKIM_HASH, self->hash);
}

/* Signatures with the same form of the body share its hash. */
static uint8_t body_of(struct mx_dkim_mail *self, const struct mx_dkim_signature *signature,
                       bool forces_crlf) {
    for (uint8_t i = 0; i < self->body_count; i++) {
        const struct mx_dkim_body *form = &self->bodies[i].form;
        if (form->is_relaxed == signature->is_relaxed_body && form->limit == signature->limit)
            return i;
    }
    struct mx_dkim_hashed_body *body = &self->bodies[self->body_count];
    body->form = (struct mx_dkim_body){.is_relaxed = signature->is_relaxed_body,
                                       .forces_crlf = forces_crlf,
                                       .limit = signature->limit};
    sha256_init(&body->hash);
    return self->body_count++;
}

static void set_name(struct mx_dkim_check *self, const struct mx_dkim_signature *signature) {
    struct mx_span parts[] = {signature->selector, domain_key, signature->domain};
    size_t len = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memcpy(self->name + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    assert(len <= MX_DNS_NAME_MAX); /* mx_dkim_read_signature has looked */
    self->selector_len = (uint8_t)signature->selector.len;
    self->name_len = (uint8_t)len;
}

static void begin_check(struct mx_dkim_mail *self, const struct fields *fields, uint32_t own,
                        const struct mx_dkim_how *how) {
    struct mx_dkim_check *check = &self->checks[self->count++];
    struct mx_dkim_signature signature;
    const char *why = mx_dkim_read_signature(&signature, fields->rows[own].value, how->now_s);
    if (why == NULL && fields->is_cut)
        why = "header has too many fields";
    if (why == NULL && fields->from_count > signature.from_count)
        why = "a From field is not signed";
    if (why != NULL) {
        fail(check, why);
        return;
    }
    check->state = MX_DKIM_OPEN;
    check->algorithm = (uint8_t)signature.algorithm;
    check->is_user_of_domain = signature.is_user_of_domain;
    check->is_partial_allowed = how->allows_partial;
    check->signature_len = (uint16_t)signature.signature_len;
    memcpy(check->signature, signature.signature, signature.signature_len);
    memcpy(check->body_hash, signature.body_hash, MX_DKIM_HASH);
    set_name(check, &signature);
    hash_header(check, &signature, fields, own);
    check->body = body_of(self, &signature, how->forces_crlf);
}

void mx_dkim_begin(struct mx_dkim_mail *self, const struct mx_header *header,
                   const struct mx_dkim_how *how) {
    struct fields fields;
    collect(&fields, header, how->has_own_trace);
    for (uint32_t i = 0; i < fields.count; i++) {
        if (!mx_span_equal_nocase(fields.rows[i].name, MX_SPAN("dkim-signature")))
            continue;
        self->has_more = self->count == MX_DKIM_CHECKS_MAX;
        if (self->has_more)
            return;
        begin_check(self, &fields, i, how);
    }
}

/* ---- the body ---- */

void mx_dkim_content(struct mx_dkim_mail *self, struct mx_span piece) {
    for (uint8_t i = 0; i < self->body_count; i++) {
        struct mx_dkim_out out = {put_hash, &self->bodies[i].hash};
        mx_dkim_body_put(&self->bodies[i].form, piece, &out);
    }
}

static const char *compare_body(const struct mx_dkim_check *self, const struct mx_dkim_body *form,
                                const uint8_t hash[MX_DKIM_HASH]) {
    bool has_limit = form->limit != UINT64_MAX;
    if (has_limit && form->octets < form->limit)
        return "body is shorter than l=";
    if (has_limit && form->octets > form->limit && !self->is_partial_allowed)
        return "l= leaves out the end of the body";
    return memcmp(hash, self->body_hash, MX_DKIM_HASH) == 0 ? NULL : "body has been changed";
}

void mx_dkim_end(struct mx_dkim_mail *self) {
    uint8_t hashes[MX_DKIM_CHECKS_MAX][MX_DKIM_HASH];
    for (uint8_t i = 0; i < self->body_count; i++) {
        struct mx_dkim_hashed_body *body = &self->bodies[i];
        struct mx_dkim_out out = {put_hash, &body->hash};
        mx_dkim_body_end(&body->form, &out);
        sha256_digest(&body->hash, MX_DKIM_HASH, hashes[i]);
    }
    for (uint8_t i = 0; i < self->count; i++) {
        struct mx_dkim_check *check = &self->checks[i];
        if (check->state != MX_DKIM_OPEN)
            continue;
        const char *why = compare_body(check, &self->bodies[check->body].form, hashes[check->body]);
        if (why != NULL)
            fail(check, why);
    }
}

/* ---- the key ---- */

/* One record of several may be a key; what is none does not matter then. */
static const char *choose_key(const struct mx_dkim_check *self, const struct mx_dns_answer *answer,
                              struct mx_dkim_key *key) {
    struct mx_dns_record record, chosen = {0};
    const char *why = "there is no key";
    unsigned count = 0;
    for (size_t cursor = 0; mx_dns_next(answer, &cursor, &record);) {
        why = mx_dkim_read_key(key, record.data, (enum mx_dkim_algorithm)self->algorithm);
        count += why == NULL;
        chosen = why == NULL ? record : chosen;
    }
    if (count > 1)
        return "there is more than one key";
    return count == 1 ? mx_dkim_read_key(key, chosen.data, (enum mx_dkim_algorithm)self->algorithm)
                      : why;
}

const char *mx_dkim_take_key(struct mx_dkim_check *self, const struct mx_dns_answer *answer,
                             struct mx_dkim_key *key) {
    const char *why = NULL;
    if (answer->status == MX_DNS_TOO_LARGE)
        why = "key record is too long";
    else if (mx_dns_is_certain(answer))
        why = choose_key(self, answer, key);
    else
        self->state = MX_DKIM_CANNOT_SAY;
    if (self->state == MX_DKIM_CANNOT_SAY)
        return self->why = "nobody has the key at the moment";
    if (why == NULL && key->is_strict && !self->is_user_of_domain)
        why = "i= is of another domain than the key";
    if (why != NULL)
        fail(self, why);
    return why;
}
