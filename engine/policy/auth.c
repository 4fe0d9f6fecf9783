#include "engine/policy/auth.h"

#include "engine/policy/credential.h"
#include "engine/policy/scram.h"
#include "proto/base64.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <sys/random.h>

enum { FAKE_SALT = 16, NONCE = 18 }; /* octets */

/* The entry of a name; for one that is not there the first user's, and *is_known says so. False:
 * there are no users. */
static bool find(const struct mx_users *users, struct mx_span name, struct mx_password *entry,
                 bool *is_known) {
    struct mx_span text;
    const char *why;
    *is_known = mx_users_find(users, name, &text);
    if (!*is_known)
        text = mx_users_first(users);
    /* parsed when the file was read: cannot fail but for the empty text of no users */
    return mx_password_parse(text, entry, &why) == 0;
}

static int check_password(const struct mx_users *users, const struct mx_login *login,
                          const struct mx_auth *auth, struct crypt_data *scratch) {
    struct mx_password entry;
    bool is_known;
    if (!find(users, mx_login_name(login), &entry, &is_known))
        return -EACCES;
    int err = mx_credential_check(&entry, mx_login_name(login),
                                  (struct mx_span){auth->password, auth->password_len}, scratch);
    return err == 0 && !is_known ? -EACCES : err;
}

/* ---- accounts of a hook ---- */

/* Takes as long whatever stands in it. */
static bool is_same(struct mx_span a, struct mx_span b) {
    unsigned difference = a.len != b.len;
    for (size_t i = 0; i < a.len; i++)
        difference |=
            (unsigned char)a.ptr[i] ^ (unsigned char)(b.len > 0 ? b.ptr[i % b.len] : '\0');
    return difference == 0;
}

static int check_accounts(const struct mx_conf_table *accounts, const struct mx_login *login,
                          const struct mx_auth *auth) {
    const struct mx_conf_account *rows = accounts->rows;
    struct mx_span password = {auth->password, auth->password_len};
    bool is_right = false;
    for (uint32_t i = 0; i < accounts->count; i++) {
        bool is_known = mx_span_equal_nocase(mx_span_of(rows[i].username), mx_login_name(login));
        for (uint32_t p = 0; p < rows[i].passwords.count; p++)
            is_right |= is_same(password, rows[i].passwords.rows[p].text) && is_known;
    }
    return is_right && auth->ask == MX_AUTH_PASSWORD ? 0 : -EACCES;
}

/* ---- SCRAM ---- */

/* The same for the same name at any time, and nobody can compute it without the users file. */
static void put_fake_salt(const struct mx_users *users, struct mx_span name, struct mx_auth *auth) {
    uint8_t digest[MX_DIGEST_SHA256];
    char lower[MX_SASL_LOGIN_MAX];
    assert(name.len <= sizeof lower);
    for (size_t i = 0; i < name.len; i++)
        lower[i] = mx_ascii_lower(name.ptr[i]);
    mx_digest_hmac_sha256(mx_users_first(users), (struct mx_span){lower, name.len}, digest);
    struct mx_span salt = {(const char *)digest, FAKE_SALT};
    auth->salt_len = (uint8_t)mx_base64_encode(salt, auth->salt);
}

static int put_salt(const struct mx_users *users, const struct mx_login *login,
                    struct mx_auth *auth) {
    char octets[NONCE];
    struct mx_password entry;
    bool is_known;
    if (getrandom(octets, sizeof octets, 0) != (ssize_t)sizeof octets)
        return -errno;
    static_assert(MX_BASE64_LEN(NONCE) <= MX_AUTH_NONCE_MAX, "the nonce does not fit");
    struct mx_span nonce = {octets, sizeof octets};
    auth->our_nonce_len = (uint8_t)mx_base64_encode(nonce, auth->our_nonce);
    if (!find(users, mx_login_name(login), &entry, &is_known))
        return -EACCES;
    bool is_scram = entry.kind == MX_PASSWORD_SCRAM;
    auth->iterations = is_scram ? entry.iterations : MX_PASSWORD_SCRAM_ITERATIONS_MIN;
    if (is_scram && is_known) {
        assert(entry.salt.len <= sizeof auth->salt);
        memcpy(auth->salt, entry.salt.ptr, entry.salt.len);
        auth->salt_len = (uint8_t)entry.salt.len;
    } else {
        put_fake_salt(users, mx_login_name(login), auth);
    }
    return 0;
}

static bool decode_key(struct mx_span text, uint8_t key[MX_DIGEST_SHA256]) {
    size_t len = 0;
    return mx_base64_decode(text, (char *)key, MX_DIGEST_SHA256, &len) == 0 &&
           len == MX_DIGEST_SHA256;
}

/* The keys of an entry; those of PLAIN are made with the salt that the client was told. False: the
 * entry cannot serve SCRAM. */
static bool find_keys(const struct mx_password *entry, const struct mx_auth *auth,
                      struct mx_scram_keys *keys) {
    char salt[MX_PASSWORD_SALT_MAX];
    size_t len = 0;
    if (entry->kind == MX_PASSWORD_SCRAM)
        return decode_key(entry->stored, keys->stored) && decode_key(entry->server, keys->server);
    if (entry->kind != MX_PASSWORD_PLAIN ||
        mx_base64_decode((struct mx_span){auth->salt, auth->salt_len}, salt, sizeof salt, &len) < 0)
        return false;
    mx_scram_derive(entry->text, (struct mx_span){salt, len}, auth->iterations, keys);
    return true;
}

static int check_proof(const struct mx_users *users, const struct mx_login *login,
                       struct mx_auth *auth) {
    struct mx_password entry;
    struct mx_scram_keys keys;
    bool is_known;
    if (!find(users, mx_login_name(login), &entry, &is_known) || !find_keys(&entry, auth, &keys))
        return -EACCES;
    bool is_proof = mx_scram_is_proof(&keys, mx_auth_message(auth), auth->proof) && is_known;
    if (is_proof)
        mx_scram_sign(&keys, mx_auth_message(auth), auth->signature);
    explicit_bzero(&keys, sizeof keys);
    return is_proof ? 0 : -EACCES;
}

int mx_auth_run(const struct mx_auth_source *source, const struct mx_login *login,
                struct mx_auth *auth, struct crypt_data *scratch) {
    const struct mx_users *users = source->users;
    if (source->accounts != NULL) /* SCRAM is not offered then */
        return check_accounts(source->accounts, login, auth);
    switch ((enum mx_auth_ask)auth->ask) {
    case MX_AUTH_PASSWORD:
        return check_password(users, login, auth, scratch);
    case MX_AUTH_SALT:
        return put_salt(users, login, auth);
    case MX_AUTH_PROOF:
        return check_proof(users, login, auth);
    }
    assert(false);
    return -EACCES;
}
