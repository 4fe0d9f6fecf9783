#include "config/password.h"

#include "config/size.h"
#include "proto/base64.h"

/* Take off the front what stands before c. False: there is no c. */
static bool take_until(struct mx_span *text, char c, struct mx_span *part) {
    const char *end = text->len > 0 ? memchr(text->ptr, c, text->len) : NULL;
    if (end == NULL)
        return false;
    *part = (struct mx_span){text->ptr, (size_t)(end - text->ptr)};
    *text = mx_span_skip(*text, part->len + 1);
    return true;
}

static bool has_prefix(struct mx_span text, struct mx_span prefix) {
    return text.len >= prefix.len && memcmp(text.ptr, prefix.ptr, prefix.len) == 0;
}

static bool number(struct mx_span text, int64_t min, int64_t max, uint32_t *value) {
    int64_t wide = 0;
    if (mx_size_number(text, &wide) < 0 || wide < min || wide > max)
        return false;
    *value = (uint32_t)wide;
    return true;
}

/* ---- crypt(3) ---- */

/* The digits of crypt(3), in the order of their values. 64: not one. */
static uint32_t crypt_digit(char c) {
    if (c >= '.' && c <= '9')
        return (uint32_t)(c - '.');
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A') + 12;
    return c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 38 : 64;
}

static bool is_crypt_text(struct mx_span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (crypt_digit(text.ptr[i]) > 63)
            return false;
    }
    return text.len > 0;
}

static const char too_dear[] = "the hash costs too much time or memory";
static const char malformed[] = "the hash is cut off or malformed";

/* Each checks what stands between the prefix and the salt, and takes it off. NULL: it is good. */
typedef const char *cost_fn(struct mx_span *rest);

static const char *no_cost(struct mx_span *rest) {
    (void)rest;
    return NULL;
}

static const char *sha2_cost(struct mx_span *rest) {
    struct mx_span part;
    uint32_t rounds = 0;
    if (!has_prefix(*rest, MX_SPAN("rounds=")))
        return NULL;
    if (!take_until(rest, '$', &part))
        return malformed;
    if (!number(mx_span_skip(part, strlen("rounds=")), 1000, INT32_MAX, &rounds))
        return malformed;
    return rounds > MX_PASSWORD_ROUNDS_MAX ? too_dear : NULL;
}

static const char *memory_cost(uint32_t log2_n, uint32_t r) {
    return log2_n > 30 || ((uint64_t)128 * r << log2_n) > MX_PASSWORD_MEMORY_MAX ? too_dear : NULL;
}

/* "j9T": flavour, log2 N - 1 and r - 1, of one digit each. */
static const char *yescrypt_cost(struct mx_span *rest) {
    struct mx_span part;
    if (!take_until(rest, '$', &part))
        return malformed;
    if (part.len != 3 || part.ptr[0] != 'j' || crypt_digit(part.ptr[1]) > 46 ||
        crypt_digit(part.ptr[2]) > 46)
        return "yescrypt with parameters that crypt(3) does not make";
    return memory_cost(crypt_digit(part.ptr[1]) + 1, crypt_digit(part.ptr[2]) + 1);
}

/* log2 N of one digit, r and p of five each, the lowest digit first. */
static const char *scrypt_cost(struct mx_span *rest) {
    if (rest->len < 11)
        return malformed;
    uint64_t r = 0, p = 0;
    for (int i = 5; i > 0; i--) {
        if (crypt_digit(rest->ptr[i]) > 63 || crypt_digit(rest->ptr[i + 5]) > 63)
            return malformed;
        r = r << 6 | crypt_digit(rest->ptr[i]);
        p = p << 6 | crypt_digit(rest->ptr[i + 5]);
    }
    uint32_t log2_n = crypt_digit(rest->ptr[0]);
    if (log2_n < 1 || log2_n > 63 || r < 1 || p < 1)
        return malformed;
    *rest = mx_span_skip(*rest, 11);
    return r > 1024 || p > 4 ? too_dear : memory_cost(log2_n, (uint32_t)r);
}

static const char *bcrypt_cost(struct mx_span *rest) {
    struct mx_span part;
    uint32_t cost = 0;
    if (!take_until(rest, '$', &part) || part.len != 2 || !number(part, 4, 31, &cost))
        return malformed;
    return cost > MX_PASSWORD_BCRYPT_COST_MAX ? too_dear : NULL;
}

static const struct method {
    struct mx_span prefix;
    cost_fn *cost;
    size_t salt_max;     /* digits; with has_joint_salt exactly so many */
    size_t digest_len;   /* digits */
    bool has_joint_salt; /* salt and digest are not divided by "$" */
    const char *weakness;
} methods[] = {
    {MX_SPAN("$y$"),  yescrypt_cost, 86, 43, false, NULL       },
    {MX_SPAN("$gy$"), yescrypt_cost, 86, 43, false, NULL       },
    {MX_SPAN("$7$"),  scrypt_cost,   86, 43, false, NULL       },
    {MX_SPAN("$2a$"), bcrypt_cost,   22, 31, true,  NULL       },
    {MX_SPAN("$2b$"), bcrypt_cost,   22, 31, true,  NULL       },
    {MX_SPAN("$2y$"), bcrypt_cost,   22, 31, true,  NULL       },
    {MX_SPAN("$6$"),  sha2_cost,     16, 86, false, NULL       },
    {MX_SPAN("$5$"),  sha2_cost,     16, 43, false, NULL       },
    {MX_SPAN("$1$"),  no_cost,       8,  22, false,
     "an MD5 hash is guessed quickly by whoever gets this file"},
};

static const char *parse_crypt(const struct method *method, struct mx_span rest,
                               struct mx_password *self) {
    struct mx_span salt;
    const char *why = method->cost(&rest);
    if (why != NULL)
        return why;
    if (method->has_joint_salt)
        return rest.len == method->salt_max + method->digest_len && is_crypt_text(rest) ? NULL
                                                                                        : malformed;
    if (!take_until(&rest, '$', &salt) || !is_crypt_text(salt) || salt.len > method->salt_max)
        return malformed;
    if (rest.len != method->digest_len || !is_crypt_text(rest))
        return malformed;
    self->weakness = method->weakness;
    return NULL;
}

/* ---- ours ---- */

static bool is_base64(struct mx_span text, size_t min, size_t max) {
    char octets[MX_PASSWORD_PBKDF2_OCTETS_MAX];
    size_t len = 0;
    return mx_base64_decode(text, octets, sizeof octets, &len) == 0 && len >= min && len <= max;
}

/* rest: "-ITERATIONS-BITS}BASE64", where numbers may be missing from the end. */
static const char *parse_pbkdf2(struct mx_span rest, struct mx_password *self) {
    struct mx_span numbers, part[2] = {{0}};
    uint32_t bits = MX_PASSWORD_PBKDF2_BITS;
    self->iterations = MX_PASSWORD_PBKDF2_ITERATIONS;
    if (!take_until(&rest, '}', &numbers))
        return "'}' is missing behind {PBKDF2-SHA512";
    if (numbers.len > 0) { /* begins with "-" */
        numbers = mx_span_skip(numbers, 1);
        if (!take_until(&numbers, '-', &part[0]))
            part[0] = numbers;
        else
            part[1] = numbers;
    }
    if (part[0].ptr != NULL && !number(part[0], 1, MX_PASSWORD_ITERATIONS_MAX, &self->iterations))
        return "the iterations of {PBKDF2-SHA512-ITERATIONS-BITS} must be a number up to 1000000";
    if (part[1].ptr != NULL &&
        (!number(part[1], 128, INT64_C(8) * MX_PASSWORD_PBKDF2_OCTETS_MAX, &bits) || bits % 8 != 0))
        return "the bits of {PBKDF2-SHA512-ITERATIONS-BITS} must be 128 to 4096, a multiple of 8";
    self->key_octets = bits / 8;
    self->text = rest;
    if (!is_base64(rest, self->key_octets, self->key_octets))
        return "behind {PBKDF2-SHA512...} there must be a key of its bits in base64";
    return NULL;
}

static const char *parse_scram(struct mx_span rest, struct mx_password *self) {
    struct mx_span iterations;
    bool is_whole = take_until(&rest, ':', &iterations) && take_until(&rest, ':', &self->salt) &&
                    take_until(&rest, ':', &self->stored);
    self->server = rest;
    if (!is_whole)
        return "{SCRAM-SHA-256} takes ITERATIONS:SALT:STOREDKEY:SERVERKEY";
    if (!number(iterations, 1, MX_PASSWORD_ITERATIONS_MAX, &self->iterations))
        return "the iterations of {SCRAM-SHA-256} must be a number up to 1000000";
    if (!is_base64(self->salt, 1, MX_PASSWORD_SALT_MAX))
        return "the salt of {SCRAM-SHA-256} must be 1 to 64 octets in base64";
    if (!is_base64(self->stored, MX_PASSWORD_KEY_OCTETS, MX_PASSWORD_KEY_OCTETS) ||
        !is_base64(self->server, MX_PASSWORD_KEY_OCTETS, MX_PASSWORD_KEY_OCTETS))
        return "the keys of {SCRAM-SHA-256} must be 32 octets each in base64";
    if (self->iterations < MX_PASSWORD_SCRAM_ITERATIONS_MIN)
        self->weakness = "{SCRAM-SHA-256} with less than 4096 iterations, RFC 7677";
    return NULL;
}

static const char *parse_plain(struct mx_span rest, struct mx_password *self) {
    self->text = rest;
    if (rest.len == 0 || rest.len > MX_PASSWORD_MAX)
        return "behind {PLAIN} there must be a secret of at most 511 octets";
    for (size_t i = 0; i < rest.len; i++) {
        if ((unsigned char)rest.ptr[i] < 0x20 || rest.ptr[i] == 0x7f)
            return "the secret behind {PLAIN} holds a control character";
    }
    return NULL;
}

static const struct {
    struct mx_span prefix;
    enum mx_password_kind kind;
    const char *(*parse)(struct mx_span rest, struct mx_password *self);
} schemes[] = {
    {MX_SPAN("{PBKDF2-SHA512}"), MX_PASSWORD_PBKDF2, parse_pbkdf2},
    {MX_SPAN("{PBKDF2-SHA512-"), MX_PASSWORD_PBKDF2, parse_pbkdf2},
    {MX_SPAN("{SCRAM-SHA-256}"), MX_PASSWORD_SCRAM,  parse_scram },
    {MX_SPAN("{PLAIN}"),         MX_PASSWORD_PLAIN,  parse_plain },
};

static const char *parse(struct mx_span entry, struct mx_password *self) {
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!has_prefix(entry, schemes[i].prefix))
            continue;
        self->kind = (uint8_t)schemes[i].kind;
        /* the PBKDF2 parser wants to see the "}" or "-" */
        size_t taken = schemes[i].prefix.len - (schemes[i].kind == MX_PASSWORD_PBKDF2);
        return schemes[i].parse(mx_span_skip(entry, taken), self);
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!has_prefix(entry, methods[i].prefix))
            continue;
        self->kind = MX_PASSWORD_CRYPT;
        self->text = entry;
        return parse_crypt(&methods[i], mx_span_skip(entry, methods[i].prefix.len), self);
    }
    return "unknown hash; accepted are crypt(3) ($y$, $gy$, $7$, $2b$, $2y$, $2a$, $6$, $5$, $1$), "
           "{PBKDF2-SHA512-ITERATIONS-BITS}, {SCRAM-SHA-256} and {PLAIN}";
}

int mx_password_parse(struct mx_span entry, struct mx_password *self, const char **why) {
    *self = (struct mx_password){0};
    *why = parse(entry, self);
    return *why != NULL ? MX_ESYNTAX : 0;
}

bool mx_password_can_scram(const struct mx_password *self) {
    if (self->kind != MX_PASSWORD_PLAIN)
        return self->kind == MX_PASSWORD_SCRAM;
    for (size_t i = 0; i < self->text.len; i++) {
        if ((unsigned char)self->text.ptr[i] > 0x7e)
            return false;
    }
    return true;
}
