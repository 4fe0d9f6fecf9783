/* tls.more, a list of maps, and the words for cipher suites. */
#include "config/load.h"
#include "config/text.h"

#include <assert.h>

/* The number is the place in the list; IANA's name first, then the library's and OpenSSL's. */
const struct mx_lookup mx_conf_ciphers_words[] = {
    {"TLS_AES_128_GCM_SHA256",                        0 },
    {"TLS13-AES128-GCM-SHA256",                       0 },
    {"TLS_AES_256_GCM_SHA384",                        1 },
    {"TLS13-AES256-GCM-SHA384",                       1 },
    {"TLS_CHACHA20_POLY1305_SHA256",                  2 },
    {"TLS13-CHACHA20-POLY1305-SHA256",                2 },
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",       3 },
    {"ECDHE-ECDSA-AES128-GCM-SHA256",                 3 },
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",         4 },
    {"ECDHE-RSA-AES128-GCM-SHA256",                   4 },
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",       5 },
    {"ECDHE-ECDSA-AES256-GCM-SHA384",                 5 },
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",         6 },
    {"ECDHE-RSA-AES256-GCM-SHA384",                   6 },
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 7 },
    {"ECDHE-ECDSA-CHACHA20-POLY1305",                 7 },
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",   8 },
    {"ECDHE-RSA-CHACHA20-POLY1305",                   8 },
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",       9 },
    {"ECDHE-ECDSA-AES128-SHA256",                     9 },
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",         10},
    {"ECDHE-RSA-AES128-SHA256",                       10},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",       11},
    {"ECDHE-ECDSA-AES256-SHA384",                     11},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",         12},
    {"ECDHE-RSA-AES256-SHA384",                       12},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",          13},
    {"ECDHE-ECDSA-AES128-SHA",                        13},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",            14},
    {"ECDHE-RSA-AES128-SHA",                          14},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",          15},
    {"ECDHE-ECDSA-AES256-SHA",                        15},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",            16},
    {"ECDHE-RSA-AES256-SHA",                          16},
    {NULL,                                            0 },
};

const char *mx_conf_cipher_name(uint8_t cipher) {
    return mx_lookup_text(mx_conf_ciphers_words, cipher);
}

/* ---- more ---- */

enum { NAMES_MAX = 100, PATH_OCTETS_MAX = 4096 };

/* For messages, and for what mx_loader_text wants to know. */
static const struct mx_row rows[] = {
    {.key = "names"}, {.key = "privateKey"}, {.key = "certificates"}, {.key = "secret"}};

enum key { KEY_NAMES, KEY_KEY, KEY_CHAIN, KEY_SECRET, KEY_COUNT };

struct item {
    struct mx_loader *loader;
    struct mx_conf_certificate certificate;
    const struct mx_yaml_node *values[KEY_COUNT];
};

/* A name that a certificate may have: a host name, or a star in place of its first label. */
static bool is_name(struct mx_span name) {
    bool is_wild = name.len > 2 && name.ptr[0] == '*' && name.ptr[1] == '.';
    return mx_text_is_host(is_wild ? mx_span_skip(name, 2) : name);
}

static void add_name(struct item *self, const struct mx_yaml_node *node, uint32_t *capacity) {
    char quoted[64];
    struct mx_span text;
    struct mx_conf_certificate *certificate = &self->certificate;
    if (!mx_loader_text(self->loader, &rows[KEY_NAMES], node, &text))
        return;
    if (!is_name(text) || certificate->name_count == NAMES_MAX) {
        mx_loader_fail(self->loader, node, "names: '%s' is not a host name, or one of more than %d",
                       mx_text_quote(text, quoted, sizeof quoted), NAMES_MAX);
        return;
    }
    struct mx_arena *arena = self->loader->conf->arena;
    char *copy = mx_arena_copy(arena, text);
    struct mx_span *names = mx_arena_grow(arena, (void *)(uintptr_t)certificate->names,
                                          certificate->name_count, capacity, sizeof *names);
    if (!copy || !names)
        return; /* the arena remembers it */
    for (size_t i = 0; i < text.len; i++)
        copy[i] = mx_ascii_lower(copy[i]);
    names[certificate->name_count++] = (struct mx_span){copy, text.len};
    certificate->names = names;
}

static void take_names(struct item *self, const struct mx_yaml_node *node) {
    uint32_t capacity = 0;
    if (node->kind != MX_YAML_LIST) {
        add_name(self, node, &capacity);
        return;
    }
    for (const struct mx_yaml_node *name = node->child; name; name = name->next)
        add_name(self, name, &capacity);
}

static const char *take_text(struct item *self, enum key key, bool is_mandatory,
                             const struct mx_yaml_node *map) {
    const struct mx_yaml_node *node = self->values[key];
    struct mx_span text;
    if (!node && is_mandatory)
        mx_loader_fail(self->loader, map, "more: %s is missing", rows[key].key);
    if (!node || !mx_loader_text(self->loader, &rows[key], node, &text))
        return NULL;
    if (text.len == 0 || text.len > PATH_OCTETS_MAX || !mx_text_is_utf8(text)) {
        mx_loader_fail(self->loader, node, "%s must be printable UTF-8 of 1 to %d octets",
                       rows[key].key, PATH_OCTETS_MAX);
        return NULL;
    }
    return mx_arena_copy(self->loader->conf->arena, text);
}

static void sort_keys(struct item *self, const struct mx_yaml_node *map) {
    char quoted[64];
    for (const struct mx_yaml_node *key = map->child; key; key = key->next->next) {
        int found = KEY_COUNT;
        for (int i = 0; i < KEY_COUNT && key->kind == MX_YAML_SCALAR; i++) {
            if (mx_span_equal(mx_span_of(rows[i].key), key->text))
                found = i;
        }
        if (found == KEY_COUNT)
            mx_loader_fail(self->loader, key,
                           "unknown key '%s' in more; valid keys: names, privateKey, certificates, "
                           "secret",
                           mx_text_quote(key->text, quoted, sizeof quoted));
        else if (self->values[found])
            mx_loader_fail(self->loader, key, "duplicate key '%s'", rows[found].key);
        else
            self->values[found] = key->next;
    }
}

/* ---- as text ---- */

static size_t put(char *to, size_t at, struct mx_span text, bool is_quoted) {
    for (size_t i = 0; i < text.len; i++) {
        if (is_quoted && (text.ptr[i] == '"' || text.ptr[i] == '\\')) {
            if (to)
                to[at] = '\\';
            at++;
        }
        if (to)
            to[at] = text.ptr[i];
        at++;
    }
    return at;
}

static size_t put_pair(char *to, size_t at, const char *key, const char *value) {
    at = put(to, at, mx_span_of(key), false);
    at = put(to, at, MX_SPAN(": \""), false);
    at = put(to, at, mx_span_of(value), true);
    return put(to, at, MX_SPAN("\""), false);
}

/* The whole map in one line; to NULL: only its length. */
static size_t put_item(const struct mx_conf_certificate *certificate, char *to) {
    size_t at = put(to, 0, MX_SPAN("{"), false);
    for (uint32_t i = 0; i < certificate->name_count; i++) {
        at = put(to, at, i == 0 ? MX_SPAN("names: [\"") : MX_SPAN("\", \""), false);
        at = put(to, at, certificate->names[i], true);
    }
    if (certificate->name_count > 0)
        at = put(to, at, MX_SPAN("\"], "), false);
    at = put_pair(to, at, "privateKey", certificate->key_path);
    at = put(to, at, MX_SPAN(", "), false);
    at = put_pair(to, at, "certificates", certificate->chain_path);
    const char *secret = certificate->secret;
    if (secret) {
        at = put(to, at, MX_SPAN(", "), false);
        at = put_pair(to, at, "secret", strncmp(secret, "file:", 5) == 0 ? secret : "(hidden)");
    }
    return put(to, at, MX_SPAN("}"), false);
}

bool mx_conf_certificate_write(struct mx_arena *arena, struct mx_conf_certificate *self) {
    size_t len = put_item(self, NULL);
    char *text = mx_arena_take(arena, len + 1);
    if (!text)
        return false;
    put_item(self, text);
    self->text = text;
    return true;
}

/* False: a problem, reported. */
static bool take_item(struct mx_loader *loader, const struct mx_yaml_node *node,
                      struct mx_conf_certificate *certificate) {
    struct item self = {.loader = loader};
    if (node->kind != MX_YAML_MAP) {
        mx_loader_fail(loader, node, "more: an item is a map with privateKey and certificates");
        return false;
    }
    sort_keys(&self, node);
    if (self.values[KEY_NAMES])
        take_names(&self, self.values[KEY_NAMES]);
    self.certificate.key_path = take_text(&self, KEY_KEY, true, node);
    self.certificate.chain_path = take_text(&self, KEY_CHAIN, true, node);
    self.certificate.secret = take_text(&self, KEY_SECRET, false, node);
    self.certificate.line = node->line;
    self.certificate.column = node->column;
    if (!self.certificate.key_path || !self.certificate.chain_path)
        return false;
    if (!mx_conf_certificate_write(loader->conf->arena, &self.certificate))
        return false;
    *certificate = self.certificate;
    return true;
}

void mx_loader_apply_certificates(struct mx_loader *self, const struct mx_row *row,
                                  const struct mx_yaml_node *node, void *base) {
    struct mx_conf_certificate *items = NULL;
    uint32_t capacity = 0, count = 0;
    if (node->kind != MX_YAML_LIST) {
        mx_loader_fail(self, node, "%s must be a list of maps", row->key);
        return;
    }
    for (const struct mx_yaml_node *item = node->child; item; item = item->next) {
        struct mx_conf_certificate certificate;
        if (count == MX_CONF_CERTIFICATES_MAX) {
            mx_loader_fail(self, item, "more than %d certificates", MX_CONF_CERTIFICATES_MAX);
            break;
        }
        if (!take_item(self, item, &certificate))
            continue;
        items = mx_arena_grow(self->conf->arena, items, count, &capacity, sizeof *items);
        if (!items)
            return; /* the arena remembers it */
        items[count++] = certificate;
    }
    struct mx_conf_certificates all = {items, count};
    assert(row->size == sizeof all);
    memcpy((char *)base + row->offset, &all, sizeof all);
}
