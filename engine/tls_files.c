#include "engine/tls_files.h"

#include "tls/inspect.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20, TRUST_MAX = 8 << 20, SECRET_MAX = 4096 };
enum { TICKET_SECRET_MIN = 32, TICKET_SECRET_MAX = 4096 };
enum { DAY_S = 86400 };

/* ---- reading ---- */

static int read_all(int fd, char *text, size_t len) {
    size_t at = 0;
    while (at < len) {
        ssize_t got = read(fd, text + at, len - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ESTALE;
        at += (size_t)got;
    }
    return 0;
}

static int new_text(int fd, size_t max, char **text, size_t *len) {
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    if (!S_ISREG(stat.st_mode))
        return -EINVAL;
    if ((uint64_t)stat.st_size > max)
        return -EFBIG;
    *len = (size_t)stat.st_size;
    *text = calloc(1, *len + 1);
    return *text != NULL ? read_all(fd, *text, *len) : -ENOMEM;
}

int mx_tls_files_read(const char *path, size_t max, char **text, size_t *len) {
    *text = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int err = new_text(fd, max, text, len);
    close(fd);
    if (err < 0) {
        mx_tls_files_free(*text, *len);
        *text = NULL;
    }
    return err;
}

void mx_tls_files_free(char *text, size_t len) {
    if (text == NULL)
        return;
    explicit_bzero(text, len);
    free(text);
}

const char *mx_tls_slot_path(const struct mx_conf *conf, const char *path) {
    static char whole[PATH_MAX];
    const char *slash = conf->path != NULL ? strrchr(conf->path, '/') : NULL;
    size_t folder = path[0] != '/' && slash != NULL ? (size_t)(slash - conf->path) + 1 : 0;
    if (folder + strlen(path) >= sizeof whole)
        return NULL;
    if (folder > 0)
        memcpy(whole, conf->path, folder);
    memcpy(whole + folder, path, strlen(path) + 1);
    return whole;
}

int mx_tls_files_ticket_secret(const struct mx_conf *conf, char **text, size_t *len) {
    const char *path = conf->engine.tls_ticket_key_path;
    *text = NULL;
    *len = 0;
    if (path == NULL)
        return 0;
    path = mx_tls_slot_path(conf, path);
    if (path == NULL)
        return -ENAMETOOLONG;
    int err = mx_tls_files_read(path, TICKET_SECRET_MAX, text, len);
    if (err == 0 && *len < TICKET_SECRET_MIN) {
        mx_tls_files_free(*text, *len);
        *text = NULL;
        err = MX_ELIMIT;
    }
    return err;
}

/* ---- one load ---- */

enum { TEXTS_MAX = 2 + 3 * (MX_CONF_CERTIFICATES_MAX + 1) };

struct load {
    const struct mx_tls_slot *slot;
    const struct mx_conf_tls *tls;
    mx_tls_slot_tell_fn *tell;
    void *context;
    int64_t now_s, not_after_s;
    bool has_failed;
    struct {
        char *ptr;
        size_t len;
    } texts[TEXTS_MAX];
    uint32_t text_count;
    struct mx_tls_certificate *certificates;
    uint32_t certificate_count;
    const char *ciphers[MX_CONF_CIPHERS_MAX];
};

/* Where a certificate's problem belongs: number 0 is the section's own, the others are in more. */
struct spot {
    uint32_t line, column;
    const char *key, *path;
};

static struct spot spot_of(const struct load *self, uint32_t number, bool is_key) {
    const struct mx_conf_tls *tls = self->tls;
    const char *key = is_key ? "privateKey" : "certificates";
    if (number > 0) {
        const struct mx_conf_certificate *row = &tls->more.rows[number - 1];
        return (struct spot){row->line, row->column, key, is_key ? row->key_path : row->chain_path};
    }
    enum mx_conf_tls_place place = is_key ? MX_CONF_TLS_PLACE_KEY : MX_CONF_TLS_PLACE_CHAIN;
    return (struct spot){tls->places[place].line, tls->places[place].column, key,
                         is_key ? tls->key_path : tls->chain_path};
}

static void say_at(struct load *self, const struct spot *spot, bool is_warning, const char *what) {
    char text[600];
    int len = spot->path != NULL
                  ? snprintf(text, sizeof text, "%s: '%.300s': %s", spot->key, spot->path, what)
                  : snprintf(text, sizeof text, "%s: %s", spot->key, what);
    assert(len > 0);
    self->has_failed = self->has_failed || !is_warning;
    self->tell(self->context, spot->line, spot->column, is_warning, text);
}

static struct mx_span take_file(struct load *self, const struct spot *spot, size_t max) {
    const char *path = mx_tls_slot_path(self->slot->conf, spot->path);
    char *text = NULL;
    size_t len = 0;
    int err = path != NULL ? mx_tls_files_read(path, max, &text, &len) : -ENAMETOOLONG;
    if (err < 0) {
        say_at(self, spot, false, strerrordesc_np(-err));
        return (struct mx_span){0};
    }
    if (len == 0)
        say_at(self, spot, false, "the file is empty");
    assert(self->text_count < TEXTS_MAX);
    self->texts[self->text_count].ptr = text;
    self->texts[self->text_count++].len = len;
    return (struct mx_span){text, len};
}

/* Of file:PATH; NULL: it is the secret itself, or there is none. */
static const char *secret_path(const char *secret) {
    return secret != NULL && strncmp(secret, "file:", 5) == 0 ? secret + 5 : NULL;
}

/* As written, or the first line of a file. */
static struct mx_span take_secret(struct load *self, const char *secret, struct spot spot) {
    spot.key = "secret";
    spot.path = secret_path(secret);
    if (spot.path == NULL)
        return secret != NULL ? mx_span_of(secret) : (struct mx_span){0};
    struct mx_span text = take_file(self, &spot, SECRET_MAX);
    size_t len = text.len > 0 ? strcspn(text.ptr, "\r\n") : 0;
    return (struct mx_span){text.ptr, len < text.len ? len : text.len};
}

/* A key that others can read. The certificate is public, the key is all there is to keep. */
static void check_mode(struct load *self, const struct spot *spot) {
    const char *path = mx_tls_slot_path(self->slot->conf, spot->path);
    struct stat stat_of;
    if (path != NULL && stat(path, &stat_of) == 0 && (stat_of.st_mode & S_IROTH))
        say_at(self, spot, true, "everybody on this machine can read the key; chmod 600");
}

static void check_chain(struct load *self, const struct spot *spot, struct mx_span pem) {
    struct mx_tls_chain chain;
    char text[200];
    if (mx_tls_inspect_chain(pem, &chain) < 0) {
        say_at(self, spot, false, "no certificate that can be read");
        return;
    }
    if (self->not_after_s == 0 || chain.not_after_s < self->not_after_s)
        self->not_after_s = chain.not_after_s;
    int64_t days = (chain.not_after_s - self->now_s) / DAY_S;
    if (chain.misplaced > 0 &&
        snprintf(
            text, sizeof text,
            "certificate %u of the file did not issue the one before it: clients will not find "
            "the way to the root",
            chain.misplaced) > 0)
        say_at(self, spot, true, text);
    if (chain.not_before_s > self->now_s)
        say_at(self, spot, true, "the certificate is not valid yet");
    if (chain.not_after_s <= self->now_s)
        say_at(self, spot, true, "the certificate has expired");
    else if (days <= 30 &&
             snprintf(text, sizeof text, "the certificate ends in %lld days", (long long)days) > 0)
        say_at(self, spot, true, text);
    if (chain.chain_not_after_s <= self->now_s)
        say_at(self, spot, true, "a certificate of the chain has expired");
}

static void take_certificate(struct load *self, uint32_t number) {
    const struct mx_conf_certificate *more = number > 0 ? &self->tls->more.rows[number - 1] : NULL;
    struct mx_tls_certificate *certificate = &self->certificates[number];
    struct spot chain = spot_of(self, number, false), key = spot_of(self, number, true);
    certificate->chain = take_file(self, &chain, PEM_MAX);
    certificate->key = take_file(self, &key, PEM_MAX);
    certificate->secret = take_secret(self, more != NULL ? more->secret : self->tls->secret, key);
    if (more != NULL) {
        certificate->names = more->names;
        certificate->name_count = more->name_count;
    }
    if (certificate->chain.len > 0)
        check_chain(self, &chain, certificate->chain);
    if (certificate->key.len > 0)
        check_mode(self, &key);
}

static struct mx_span take_list(struct load *self, const char *path, const char *key,
                                enum mx_conf_tls_place place) {
    struct spot spot = {self->tls->places[place].line, self->tls->places[place].column, key, path};
    return path != NULL ? take_file(self, &spot, TRUST_MAX) : (struct mx_span){0};
}

static void fill(struct load *self, struct mx_tls_params *params) {
    static const enum mx_tls_client_auth modes[] = {
        [MX_CLIENT_AUTH_NONE] = MX_TLS_CLIENT_NONE,
        [MX_CLIENT_AUTH_WANTED] = MX_TLS_CLIENT_WANTED,
        [MX_CLIENT_AUTH_REQUIRED] = MX_TLS_CLIENT_REQUIRED,
    };
    const struct mx_conf_tls *tls = self->tls;
    for (uint32_t i = 0; i < tls->ciphers.count; i++)
        self->ciphers[i] = mx_conf_cipher_name(tls->ciphers.rows[i]);
    *params = (struct mx_tls_params){
        .certificates = self->certificates,
        .certificate_count = self->certificate_count,
        .has_tls12 = tls->protocols & MX_TLS_PROTOCOL_1_2,
        .has_tls13 = tls->protocols & MX_TLS_PROTOCOL_1_3,
        .ciphers = self->ciphers,
        .cipher_count = tls->ciphers.count,
        .client_auth = modes[tls->client_auth],
        .tickets = tls->session_timeout_ms > 0 ? self->slot->tickets : NULL,
        .ticket_lifetime_s = tls->session_timeout_ms / 1000,
        .realm = mx_span_of(self->slot->server->name),
    };
    if (tls->client_auth != MX_CLIENT_AUTH_NONE)
        params->trust = take_list(self, tls->trust_path, "truststore", MX_CONF_TLS_PLACE_TRUST);
    if (tls->client_auth != MX_CLIENT_AUTH_NONE && tls->checks_revocation)
        params->revocations = take_list(self, tls->revocations_path, "revocationLists",
                                        MX_CONF_TLS_PLACE_REVOCATIONS);
}

static void say_problem(struct load *self, const struct mx_tls_problem *problem) {
    const struct mx_conf_tls *tls = self->tls;
    uint32_t number = problem->certificate < self->certificate_count ? problem->certificate : 0;
    struct spot spot = spot_of(self, number, problem->culprit == MX_TLS_CULPRIT_KEY);
    enum mx_conf_tls_place place = MX_CONF_TLS_PLACE_COUNT;
    switch (problem->culprit) {
    case MX_TLS_CULPRIT_CHAIN:
    case MX_TLS_CULPRIT_KEY:
    case MX_TLS_CULPRIT_LIBRARY:
        break;
    case MX_TLS_CULPRIT_CIPHERS:
        place = MX_CONF_TLS_PLACE_CIPHERS;
        spot = (struct spot){0, 0, "supportedCipherSuites", NULL};
        break;
    case MX_TLS_CULPRIT_TRUST:
        place = MX_CONF_TLS_PLACE_TRUST;
        spot = (struct spot){0, 0, "truststore", tls->trust_path};
        break;
    case MX_TLS_CULPRIT_REVOCATIONS:
        place = MX_CONF_TLS_PLACE_REVOCATIONS;
        spot = (struct spot){0, 0, "revocationLists", tls->revocations_path};
        break;
    }
    if (place != MX_CONF_TLS_PLACE_COUNT) {
        spot.line = tls->places[place].line;
        spot.column = tls->places[place].column;
    }
    say_at(self, &spot, false, problem->text);
}

/* NULL: out of memory. */
static struct load *load_new(const struct mx_tls_slot *slot, int64_t now_s,
                             mx_tls_slot_tell_fn *tell, void *context) {
    const struct mx_conf_tls *tls = &slot->server->tls;
    struct load *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    *self =
        (struct load){.slot = slot, .tls = tls, .tell = tell, .context = context, .now_s = now_s};
    self->certificate_count = tls->more.count + 1;
    self->certificates = calloc(self->certificate_count, sizeof *self->certificates);
    if (self->certificates != NULL)
        return self;
    free(self);
    return NULL;
}

static void load_free(struct load *self) {
    for (uint32_t i = 0; i < self->text_count; i++)
        mx_tls_files_free(self->texts[i].ptr, self->texts[i].len);
    free(self->certificates);
    free(self);
}

struct mx_tls_context *mx_tls_files_load(const struct mx_tls_slot *slot, int64_t now_s,
                                         int64_t *not_after_s, mx_tls_slot_tell_fn *tell,
                                         void *context) {
    struct mx_tls_context *made = NULL;
    struct mx_tls_problem problem = {0};
    struct mx_tls_params params;
    struct load *self = load_new(slot, now_s, tell, context);
    if (self == NULL) {
        tell(context, slot->server->tls.places[0].line, slot->server->tls.places[0].column, false,
             "out of memory");
        return NULL;
    }
    for (uint32_t i = 0; i < self->certificate_count; i++)
        take_certificate(self, i);
    fill(self, &params);
    if (!self->has_failed) {
        made = mx_tls_context_new(&params, &problem);
        if (made == NULL)
            say_problem(self, &problem);
    }
    *not_after_s = self->not_after_s;
    load_free(self);
    return made;
}

/* ---- changes ---- */

static void add_print(const struct mx_tls_slot *slot, struct mx_tls_print *print,
                      const char *path) {
    struct stat stat_of = {0};
    if (path == NULL)
        return;
    path = mx_tls_slot_path(slot->conf, path);
    bool is_there = path != NULL && stat(path, &stat_of) == 0;
    print->inode = print->inode * 31 + (is_there ? stat_of.st_ino : 1);
    print->octets = print->octets * 31 + (uint64_t)stat_of.st_size;
    print->changed_ns = (int64_t)((uint64_t)print->changed_ns * 31 +
                                  (uint64_t)stat_of.st_mtim.tv_sec * UINT64_C(1000000000) +
                                  (uint64_t)stat_of.st_mtim.tv_nsec);
}

struct mx_tls_print mx_tls_files_print(const struct mx_tls_slot *slot) {
    const struct mx_conf_tls *tls = &slot->server->tls;
    struct mx_tls_print print = {0};
    add_print(slot, &print, tls->chain_path);
    add_print(slot, &print, tls->key_path);
    add_print(slot, &print, secret_path(tls->secret));
    add_print(slot, &print, tls->trust_path);
    add_print(slot, &print, tls->revocations_path);
    for (uint32_t i = 0; i < tls->more.count; i++) {
        add_print(slot, &print, tls->more.rows[i].chain_path);
        add_print(slot, &print, tls->more.rows[i].key_path);
        add_print(slot, &print, secret_path(tls->more.rows[i].secret));
    }
    return print;
}
