/* passwd.c - mxring passwd USER: a line of the users file for a password that is asked for. */
#include "config/password.h"
#include "config/users.h"
#include "engine/cli/cli.h"
#include "engine/cli/read_password.h"
#include "engine/policy/scram.h"
#include "engine/server.h"
#include "proto/base64.h"
#include "proto/path.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    SALT_OCTETS = 16,
    SCRAM_ITERATIONS = 16384,   /* 2 ms here; 4096 is RFC 7677's least */
    PBKDF2_ITERATIONS = 210000, /* 0.12 s */
    ENTRY_MAX = CRYPT_OUTPUT_SIZE + 256,
};

struct method {
    const char *name, *prefix; /* of crypt(3); NULL: ours */
    unsigned long cost;        /* 0: what crypt(3) takes by itself */
    const char *meaning;
};

static const struct method methods[] = {
    {"yescrypt",      "$y$",  0,      "memory-hard, of crypt(3); the default"                     },
    {"gost-yescrypt", "$gy$", 0,      "the same with GOST R 34.11-2012"                           },
    {"bcrypt",        "$2b$", 10,     "of crypt(3); looks at 72 octets of the password"           },
    {"sha512crypt",   "$6$",  100000, "of crypt(3)"                                               },
    {"pbkdf2-sha512", NULL,   0,      "James's own; salted with the user's name"                  },
    {"scram-sha-256", NULL,   0,      "serves SCRAM-SHA-256 as well as PLAIN and LOGIN; = --scram"},
};

enum { METHODS = sizeof methods / sizeof *methods };

static int usage(FILE *to) {
    fputs("usage: mxring passwd [--hash NAME | --scram] USER@DOMAIN\n"
          "Asks for a password (or reads a line of standard input when that is no terminal) and\n"
          "writes a line for the users file to standard output.\n\n",
          to);
    for (size_t i = 0; i < METHODS; i++)
        fprintf(to, "  --hash %-14s %s\n", methods[i].name, methods[i].meaning);
    return to == stdout ? MX_EXIT_OK : MX_EXIT_USAGE;
}

static const struct method *find_method(const char *name) {
    for (size_t i = 0; i < METHODS; i++) {
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    }
    return NULL;
}

static int complain(const char *what) {
    fprintf(stderr, "mxring passwd: %s\n", what);
    return MX_EXIT_USAGE;
}

/* ---- entries: each writes the text behind the colon; 0 or -errno ---- */

static int make_crypt(const struct method *method, const char *password, char entry[ENTRY_MAX]) {
    static struct crypt_data scratch;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn(method->prefix, method->cost, NULL, 0, setting, sizeof setting) == NULL)
        return -errno;
    const char *hash = crypt_rn(password, setting, &scratch, sizeof scratch);
    int err = -errno;
    if (hash != NULL) {
        memcpy(entry, hash, strlen(hash) + 1);
        err = 0;
    }
    explicit_bzero(&scratch, sizeof scratch);
    return err;
}

static struct mx_span span_of(const uint8_t *octets, size_t len) {
    return (struct mx_span){(const char *)octets, len};
}

static void make_pbkdf2(const char *user, const char *password, char entry[ENTRY_MAX]) {
    uint8_t key[MX_PASSWORD_PBKDF2_BITS / 8];
    char salt[MX_LOGIN_MAX], text[MX_BASE64_LEN(sizeof key)];
    size_t len = strlen(user);
    for (size_t i = 0; i < len; i++)
        salt[i] = mx_ascii_lower(user[i]);
    mx_digest_pbkdf2_sha512(mx_span_of(password), (struct mx_span){salt, len}, PBKDF2_ITERATIONS,
                            key, sizeof key);
    int put = snprintf(entry, ENTRY_MAX, "{PBKDF2-SHA512-%d-%d}%.*s", PBKDF2_ITERATIONS,
                       MX_PASSWORD_PBKDF2_BITS,
                       (int)mx_base64_encode(span_of(key, sizeof key), text), text);
    assert(put > 0 && put < ENTRY_MAX);
}

static int make_scram(const char *password, char entry[ENTRY_MAX]) {
    uint8_t salt[SALT_OCTETS];
    struct mx_scram_keys keys;
    char text[3][MX_BASE64_LEN(MX_DIGEST_SHA256)];
    if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
        return -errno;
    mx_scram_derive(mx_span_of(password), span_of(salt, sizeof salt), SCRAM_ITERATIONS, &keys);
    int len[3] = {
        (int)mx_base64_encode(span_of(salt, sizeof salt), text[0]),
        (int)mx_base64_encode(span_of(keys.stored, sizeof keys.stored), text[1]),
        (int)mx_base64_encode(span_of(keys.server, sizeof keys.server), text[2]),
    };
    int put = snprintf(entry, ENTRY_MAX, "{SCRAM-SHA-256}%d:%.*s:%.*s:%.*s", SCRAM_ITERATIONS,
                       len[0], text[0], len[1], text[1], len[2], text[2]);
    assert(put > 0 && put < ENTRY_MAX);
    return 0;
}

/* RFC 4013 (SASLprep) is not applied: a client that does would come with other octets. */
static bool is_ascii(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text > 0x7e)
            return false;
    }
    return true;
}

static int make(const struct method *method, const char *user, const char *password,
                char entry[ENTRY_MAX]) {
    if (method->prefix != NULL)
        return make_crypt(method, password, entry);
    if (strcmp(method->name, "pbkdf2-sha512") != 0)
        return make_scram(password, entry);
    make_pbkdf2(user, password, entry);
    return 0;
}

/* ---- the command ---- */

static bool is_user(const char *text) {
    struct mx_path path;
    size_t len = strlen(text);
    return len <= MX_LOGIN_MAX && mx_path_parse(mx_span_of(text), true, &path) == 0 &&
           path.local.len > 0 && path.domain.len > 0 && !path.is_literal;
}

static int print_line(const struct method *method, const char *user, const char *password) {
    char entry[ENTRY_MAX];
    if (method->prefix == NULL && method->name[0] == 's' && !is_ascii(password))
        return complain("a password for SCRAM must be ASCII: SASLprep is not in this version");
    int err = make(method, user, password, entry);
    if (err < 0) {
        fprintf(stderr, "mxring passwd: cannot hash: %s\n", strerrordesc_np(-err));
        return MX_EXIT_SYSTEM;
    }
    printf("%s:%s\n", user, entry);
    explicit_bzero(entry, sizeof entry);
    return fflush(stdout) == 0 ? MX_EXIT_OK : MX_EXIT_DISK;
}

int mx_cli_passwd(int argc, char **argv) {
    static const struct option options[] = {
        {"hash",  required_argument, NULL, 'H'},
        {"scram", no_argument,       NULL, 's'},
        {"help",  no_argument,       NULL, 'h'},
        {NULL,    0,                 NULL, 0  }
    };
    const struct method *method = &methods[0];
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread at this time */
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (o != 'H' && o != 's')
            return usage(o == 'h' ? stdout : stderr);
        method = find_method(o == 's' ? "scram-sha-256" : optarg);
        if (method == NULL) {
            fprintf(stderr, "mxring passwd: no such hash: %s\n", optarg);
            return usage(stderr);
        }
    }
    if (optind + 1 != argc)
        return usage(stderr);
    const char *user = argv[optind];
    char password[MX_PASSWORD_MAX + 1], why[128];
    if (!is_user(user))
        return complain("the user must be an address, user@domain");
    if (user[0] == '#')
        return complain("a user's name cannot begin with #: in the users file it is a comment");
    if (!mx_cli_read_password(password, sizeof password, why, sizeof why))
        return complain(why);
    int code = print_line(method, user, password);
    explicit_bzero(password, sizeof password);
    return code;
}
