#include "engine/policy/credential.h"

#include "config/users.h"
#include "engine/policy/scram.h"
#include "proto/base64.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>

static int verdict(bool is_equal) {
    return is_equal ? 0 : -EACCES;
}

/* Differences of length show: the lengths of hashes are no secret. */
static bool is_equal(struct mx_span a, struct mx_span b) {
    return a.len == b.len && mx_digest_equal(a.ptr, b.ptr, a.len);
}

static int check_crypt(struct mx_span text, struct mx_span password, struct crypt_data *scratch) {
    char setting[CRYPT_OUTPUT_SIZE], phrase[MX_PASSWORD_MAX + 1];
    if (text.len >= sizeof setting)
        return -EACCES; /* longer than what crypt makes */
    memcpy(setting, text.ptr, text.len);
    setting[text.len] = '\0';
    memcpy(phrase, password.ptr, password.len);
    phrase[password.len] = '\0';
    errno = 0;
    const char *hash = crypt_rn(phrase, setting, scratch, sizeof *scratch);
    int err = hash == NULL && errno == ENOMEM ? -ENOMEM
              : hash == NULL                  ? -EACCES
                                              : verdict(is_equal(mx_span_of(hash), text));
    explicit_bzero(scratch, sizeof *scratch);
    explicit_bzero(phrase, sizeof phrase);
    return err;
}

static int check_pbkdf2(const struct mx_password *entry, struct mx_span login,
                        struct mx_span password) {
    char wanted[MX_PASSWORD_PBKDF2_OCTETS_MAX], salt[MX_LOGIN_MAX];
    uint8_t key[MX_PASSWORD_PBKDF2_OCTETS_MAX];
    size_t len = 0;
    int err = mx_base64_decode(entry->text, wanted, sizeof wanted, &len);
    if (err < 0 || len != entry->key_octets || login.len > sizeof salt)
        return -EACCES; /* parsed before: cannot happen */
    for (size_t i = 0; i < login.len; i++)
        salt[i] = mx_ascii_lower(login.ptr[i]);
    mx_digest_pbkdf2_sha512(password, (struct mx_span){salt, login.len}, entry->iterations, key,
                            len);
    bool is_same = mx_digest_equal(key, wanted, len);
    explicit_bzero(key, sizeof key);
    explicit_bzero(wanted, sizeof wanted);
    return verdict(is_same);
}

static int check_scram(const struct mx_password *entry, struct mx_span password) {
    char salt[MX_PASSWORD_SALT_MAX], stored[MX_DIGEST_SHA256];
    struct mx_scram_keys keys;
    size_t salt_len = 0, stored_len = 0;
    if (mx_base64_decode(entry->salt, salt, sizeof salt, &salt_len) < 0 ||
        mx_base64_decode(entry->stored, stored, sizeof stored, &stored_len) < 0)
        return -EACCES; /* parsed before: cannot happen */
    mx_scram_derive(password, (struct mx_span){salt, salt_len}, entry->iterations, &keys);
    bool is_same =
        stored_len == sizeof stored && mx_digest_equal(keys.stored, stored, sizeof stored);
    explicit_bzero(&keys, sizeof keys);
    explicit_bzero(stored, sizeof stored);
    return verdict(is_same);
}

/* Of digests, so that the time says nothing about how many octets are right. */
static int check_plain(struct mx_span secret, struct mx_span password) {
    uint8_t wanted[MX_DIGEST_SHA256], given[MX_DIGEST_SHA256];
    mx_digest_sha256(secret, wanted);
    mx_digest_sha256(password, given);
    bool is_same = mx_digest_equal(wanted, given, sizeof wanted);
    explicit_bzero(wanted, sizeof wanted);
    explicit_bzero(given, sizeof given);
    return verdict(is_same);
}

int mx_credential_check(const struct mx_password *entry, struct mx_span login,
                        struct mx_span password, struct crypt_data *scratch) {
    bool is_possible = password.len > 0 && password.len <= MX_PASSWORD_MAX &&
                       memchr(password.ptr, '\0', password.len) == NULL;
    if (!is_possible)
        return -EACCES;
    switch ((enum mx_password_kind)entry->kind) {
    case MX_PASSWORD_CRYPT:
        return check_crypt(entry->text, password, scratch);
    case MX_PASSWORD_PBKDF2:
        return check_pbkdf2(entry, login, password);
    case MX_PASSWORD_SCRAM:
        return check_scram(entry, password);
    case MX_PASSWORD_PLAIN:
        return check_plain(entry->text, password);
    }
    assert(false);
    return -EACCES;
}
