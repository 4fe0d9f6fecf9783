#include "proto/sasl.h"

#include "proto/base64.h"

#include <assert.h>

static const struct mx_span names[MX_SASL_COUNT] = {
    [MX_SASL_LOGIN] = MX_SPAN("LOGIN"),
    [MX_SASL_PLAIN] = MX_SPAN("PLAIN"),
    [MX_SASL_SCRAM_SHA_256] = MX_SPAN("SCRAM-SHA-256"),
};

struct mx_span mx_sasl_name(enum mx_sasl_mechanism mechanism) {
    assert(mechanism < MX_SASL_COUNT);
    return names[mechanism];
}

bool mx_sasl_find(struct mx_span name, enum mx_sasl_mechanism *mechanism) {
    for (unsigned i = 0; i < MX_SASL_COUNT; i++) {
        if (mx_span_equal_nocase(names[i], name)) {
            *mechanism = (enum mx_sasl_mechanism)i;
            return true;
        }
    }
    return false;
}

/* Take off the front what stands before c, and c; all of it when there is no c. */
static struct mx_span take(struct mx_span *text, char c) {
    const char *end = text->len > 0 ? memchr(text->ptr, c, text->len) : NULL;
    struct mx_span part = {text->ptr, end != NULL ? (size_t)(end - text->ptr) : text->len};
    *text = mx_span_skip(*text, end != NULL ? part.len + 1 : part.len);
    return part;
}

int mx_sasl_plain(struct mx_span text, struct mx_sasl_plain *plain) {
    if (text.len > 0 && text.ptr[text.len - 1] == '\0')
        text.len--;
    size_t nul_count = 0;
    for (size_t i = 0; i < text.len; i++)
        nul_count += text.ptr[i] == '\0';
    if (nul_count < 1 || nul_count > 2)
        return MX_ESYNTAX;
    *plain = (struct mx_sasl_plain){0};
    if (nul_count == 2)
        plain->authz = take(&text, '\0');
    plain->login = take(&text, '\0');
    plain->password = text;
    return plain->login.len > 0 && plain->login.len <= MX_SASL_LOGIN_MAX ? 0 : MX_ESYNTAX;
}

/* ---- SCRAM ---- */

/* Take "x=" off the front. */
static bool take_key(struct mx_span *text, char key) {
    if (text->len < 2 || text->ptr[0] != key || text->ptr[1] != '=')
        return false;
    *text = mx_span_skip(*text, 2);
    return true;
}

/* RFC 5802 5.1: "=2C" is a comma, "=3D" an equals sign, nothing else begins with one. */
static int decode_name(struct mx_span text, char name[MX_SASL_LOGIN_MAX], size_t *len) {
    for (*len = 0; text.len > 0; ++*len) {
        char c = *text.ptr;
        size_t used = 1;
        if (c == '=') {
            bool is_comma = text.len >= 3 && memcmp(text.ptr, "=2C", 3) == 0;
            if (!is_comma && (text.len < 3 || memcmp(text.ptr, "=3D", 3) != 0))
                return MX_ESYNTAX;
            c = is_comma ? ',' : '=';
            used = 3;
        }
        if (c == '\0' || *len == MX_SASL_LOGIN_MAX)
            return MX_ESYNTAX;
        name[*len] = c;
        text = mx_span_skip(text, used);
    }
    return *len > 0 ? 0 : MX_ESYNTAX;
}

/* Printable ASCII; a comma ends it already. */
static bool is_nonce(struct mx_span nonce, size_t max) {
    for (size_t i = 0; i < nonce.len; i++) {
        if (nonce.ptr[i] <= 0x20 || nonce.ptr[i] >= 0x7f)
            return false;
    }
    return nonce.len > 0 && nonce.len <= max;
}

int mx_sasl_first(struct mx_span text, struct mx_sasl_first *first) {
    struct mx_span rest = text;
    first->authz_len = 0;
    struct mx_span flag = take(&rest, ',');
    if (flag.len != 1 || (*flag.ptr != 'n' && *flag.ptr != 'y'))
        return MX_ESYNTAX;
    struct mx_span authz = take(&rest, ',');
    if (authz.len > 0) {
        if (!take_key(&authz, 'a'))
            return MX_ESYNTAX;
        int err = decode_name(authz, first->authz, &first->authz_len);
        if (err < 0)
            return err;
    }
    first->bare = rest;
    first->header = (struct mx_span){text.ptr, text.len - rest.len};
    struct mx_span login = take(&rest, ',');
    struct mx_span nonce = take(&rest, ',');
    if (!take_key(&login, 'n') || !take_key(&nonce, 'r') || !is_nonce(nonce, MX_SASL_NONCE_MAX))
        return MX_ESYNTAX;
    first->nonce = nonce;
    return decode_name(login, first->login, &first->login_len);
}

int mx_sasl_final(struct mx_span text, struct mx_sasl_final *final) {
    const char *comma = text.len > 0 ? memrchr(text.ptr, ',', text.len) : NULL;
    if (comma == NULL)
        return MX_ESYNTAX;
    struct mx_span rest = {text.ptr, (size_t)(comma - text.ptr)};
    struct mx_span proof = mx_span_skip(text, rest.len + 1);
    final->without_proof = rest;
    final->binding = take(&rest, ',');
    final->nonce = take(&rest, ',');
    if (!take_key(&final->binding, 'c') || !take_key(&final->nonce, 'r') || !take_key(&proof, 'p'))
        return MX_ESYNTAX;
    size_t len = 0;
    int err = mx_base64_decode(proof, (char *) final->proof, sizeof final->proof, &len);
    return err < 0 || len != sizeof final->proof ? MX_ESYNTAX : 0;
}
