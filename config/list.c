/* The values that are lists: each may also be one string with commas and blanks between items. */
#include "config/chain.h"
#include "config/load.h"
#include "config/size.h"
#include "config/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
    ITEM_FRAME = 11,      /* what an item of a dump has beside its text: indentation to line end */
    NETWORK_LEN_MAX = 43, /* a whole IPv6 address with its prefix, octets */
    BIND_TEXT_MAX = 64,   /* the same in brackets with a port and the NUL, and some zeros more */
};

struct list {
    struct mx_loader *loader;
    const struct mx_row *row;
    struct mx_arena *arena; /* of the configuration */
    void *rows;             /* domains, binds, networks */
    uint32_t count, capacity;
    uint32_t bits; /* features */
    struct mx_conf_mechanisms mechanisms;
    struct mx_conf_ciphers ciphers;
    bool is_empty; /* nothing was written between the brackets or the quotes */
    bool is_full;  /* a bound was reached and reported: no more items */
};

static void *add_row(struct list *self, size_t item_len) {
    void *rows = mx_arena_grow(self->arena, self->rows, self->count, &self->capacity, item_len);
    if (!rows)
        return NULL;
    self->rows = rows;
    return (char *)rows + self->count++ * item_len;
}

static void on_domain(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[64];
    if (!mx_text_is_host(word)) {
        mx_loader_fail(self->loader, node, "%s: '%s' is not a domain name", self->row->key,
                       mx_text_quote(word, quoted, sizeof quoted));
        return;
    }
    char *copy = mx_arena_copy(self->arena, word);
    struct mx_span *row = add_row(self, sizeof *row);
    if (!copy || !row)
        return;
    for (size_t i = 0; i < word.len; i++)
        copy[i] = mx_ascii_lower(copy[i]);
    *row = (struct mx_span){copy, word.len};
}

static const char *bind_error(int err) {
    switch (err) {
    case -EDESTADDRREQ:
        return "has no port: write ADDRESS:PORT";
    case -ERANGE:
        return "has a port that is not 0..65535";
    default:
        return "is not an address: only numeric ones, [IPv6] in brackets, and localhost";
    }
}

static void on_bind(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[80], text[BIND_TEXT_MAX] = "";
    struct mx_conf_bind bind;
    int err = MX_ESYNTAX;
    if (self->count == (uint32_t)self->row->max) {
        mx_loader_fail(self->loader, node, "%s has more than %u addresses", self->row->key,
                       self->count);
        self->is_full = true;
        return;
    }
    if (word.len < sizeof text) {
        memcpy(text, word.ptr, word.len);
        err = mx_conf_parse_bind(self->loader->conf, text, &bind);
    }
    if (err == -ENOMEM)
        return;
    if (err < 0) {
        mx_loader_fail(self->loader, node, "%s '%s' %s", self->row->key,
                       mx_text_quote(word, quoted, sizeof quoted), bind_error(err));
        return;
    }
    struct mx_conf_bind *row = add_row(self, sizeof *row);
    if (row)
        *row = bind;
}

/* A port is added when there is none. */
static void on_address(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[80], text[BIND_TEXT_MAX + 5] = "";
    struct mx_conf_bind bind;
    struct mx_ip ip;
    int err = MX_ESYNTAX;
    if (self->count == (uint32_t)self->row->max) {
        mx_loader_fail(self->loader, node, "%s has more than %u addresses", self->row->key,
                       self->count);
        self->is_full = true;
        return;
    }
    if (word.len < BIND_TEXT_MAX) {
        bool is_bare = mx_ip_parse(word, &ip);
        bool needs_brackets = is_bare && memchr(word.ptr, ':', word.len) != NULL;
        bool ends_in_bracket = word.len > 0 && word.ptr[word.len - 1] == ']';
        int len =
            snprintf(text, sizeof text, "%s%.*s%s%s", needs_brackets ? "[" : "", (int)word.len,
                     word.ptr, needs_brackets ? "]" : "", is_bare || ends_in_bracket ? ":53" : "");
        assert(len >= 0 && (size_t)len < sizeof text);
        err = mx_conf_parse_bind(self->loader->conf, text, &bind);
    }
    if (err == -ENOMEM)
        return;
    if (err < 0) {
        mx_loader_fail(self->loader, node, "%s: '%s' is not ADDRESS or ADDRESS:PORT",
                       self->row->key, mx_text_quote(word, quoted, sizeof quoted));
        return;
    }
    struct mx_conf_bind *row = add_row(self, sizeof *row);
    if (row)
        *row = bind;
}

static void on_network(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[80];
    struct mx_conf_network network;
    if (mx_size_network(word, &network) < 0) {
        mx_loader_fail(self->loader, node, "%s: '%s' is not a network such as 192.0.2.0/24",
                       self->row->key, mx_text_quote(word, quoted, sizeof quoted));
        return;
    }
    struct mx_conf_network *row = add_row(self, sizeof *row);
    if (row)
        *row = network;
}

static void on_feature(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[64], names[160];
    int64_t bit = 0;
    if (mx_lookup_value(self->row->words, word, &bit))
        self->bits |= (uint32_t)bit;
    else
        mx_loader_fail(self->loader, node, "%s may hold %s, not '%s'", self->row->key,
                       mx_lookup_list(self->row->words, names, sizeof names),
                       mx_text_quote(word, quoted, sizeof quoted));
}

static bool is_oauth(struct mx_span word) {
    return mx_span_equal_nocase(word, MX_SPAN("XOAUTH2")) ||
           mx_span_equal_nocase(word, MX_SPAN("OAUTHBEARER"));
}

/* Duplicates are removed, as James does. */
static void on_mechanism(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[64], names[160];
    int64_t mechanism = 0;
    struct mx_conf_mechanisms *all = &self->mechanisms;
    if (!mx_lookup_value(self->row->words, word, &mechanism)) {
        mx_text_quote(word, quoted, sizeof quoted);
        mx_lookup_list(self->row->words, names, sizeof names);
        if (is_oauth(word))
            mx_loader_fail(self->loader, node,
                           "%s: %s is not available in this version, which cannot check tokens; "
                           "there are %s",
                           self->row->key, quoted, names);
        else
            mx_loader_fail(self->loader, node, "%s may hold %s, not '%s'", self->row->key, names,
                           quoted);
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->rows[i] == (uint8_t)mechanism)
            return;
    }
    assert(all->count < MX_CONF_MECHANISMS_MAX);
    all->rows[all->count++] = (uint8_t)mechanism;
}

static void on_text(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    const struct mx_row *row = self->row;
    bool is_printable = mx_text_is_printable(word);
    bool has_len = (int64_t)word.len >= row->min && (int64_t)word.len <= row->max;
    char *copy = is_printable && has_len ? mx_arena_copy(self->arena, word) : NULL;
    struct mx_span *text = copy ? add_row(self, sizeof *text) : NULL;
    if (!is_printable)
        mx_loader_fail(self->loader, node, "%s must be printable ASCII", row->key);
    else if (!has_len)
        mx_loader_fail(self->loader, node, "%s must have %d to %d octets", row->key, (int)row->min,
                       (int)row->max);
    if (text)
        *text = (struct mx_span){copy, word.len};
}

static void on_secret(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    struct mx_conf_secret secret;
    if (!mx_loader_secret(self->loader, self->row, node, word, &secret))
        return;
    struct mx_conf_secret *row = add_row(self, sizeof *row);
    if (row)
        *row = secret;
}

bool mx_loader_count(struct mx_loader *self, const struct mx_row *row,
                     const struct mx_yaml_node *node, uint32_t nodes) {
    bool was_over = self->item_count > MX_LOADER_ITEMS_MAX;
    self->item_count += nodes;
    if (self->item_count <= MX_LOADER_ITEMS_MAX)
        return true;
    if (!was_over)
        mx_loader_fail(self, node, "%s: more than %d items in all lists together", row->key,
                       MX_LOADER_ITEMS_MAX);
    return false;
}

static void on_cipher(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    char quoted[80];
    int64_t cipher = 0;
    struct mx_conf_ciphers *all = &self->ciphers;
    if (!mx_lookup_value(self->row->words, word, &cipher)) {
        mx_loader_fail(self->loader, node,
                       "%s: '%s' is not a suite with forward secrecy; docs/TLS.md lists them",
                       self->row->key, mx_text_quote(word, quoted, sizeof quoted));
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->rows[i] == (uint8_t)cipher)
            return;
    }
    assert(all->count < MX_CONF_CIPHERS_MAX);
    all->rows[all->count++] = (uint8_t)cipher;
}

/* Count one more item against the bounds of all lists. Binds and lists of words have a bound of
 * their own, and every server has some in the dump, written or not. */
static bool has_room(struct list *self, const struct mx_yaml_node *node, struct mx_span word) {
    struct mx_loader *loader = self->loader;
    if (self->row->type == MX_TYPE_BINDS || self->row->type == MX_TYPE_ADDRESSES ||
        self->row->words != NULL)
        return true;
    bool is_network = self->row->type == MX_TYPE_NETWORKS; /* perhaps longer in the dump */
    loader->item_octets += ITEM_FRAME + (is_network ? NETWORK_LEN_MAX : (uint32_t)word.len);
    if (++loader->item_count > MX_LOADER_ITEMS_MAX)
        mx_loader_fail(loader, node, "%s: more than %d items in all lists together", self->row->key,
                       MX_LOADER_ITEMS_MAX);
    else if (loader->item_octets > MX_LOADER_ITEM_OCTETS_MAX)
        mx_loader_fail(loader, node, "%s: more than %d MiB in all lists together", self->row->key,
                       MX_LOADER_ITEM_OCTETS_MAX >> 20);
    else
        return true;
    self->is_full = true;
    return false;
}

typedef void item_fn(struct list *self, const struct mx_yaml_node *node, struct mx_span word);

static void each_item(struct list *self, const struct mx_yaml_node *node, item_fn *on_item) {
    struct mx_span text, word;
    if (node->kind == MX_YAML_MAP) {
        mx_loader_fail(self->loader, node, "%s must be a list, not a map", self->row->key);
        return;
    }
    const struct mx_yaml_node *item = node->kind == MX_YAML_LIST ? node->child : NULL;
    self->is_empty = node->kind == MX_YAML_LIST && !item;
    for (; item && !self->is_full; item = item->next) {
        if (mx_loader_text(self->loader, self->row, item, &text) && has_room(self, item, text))
            on_item(self, item, text);
    }
    if (node->kind == MX_YAML_SCALAR && mx_loader_text(self->loader, self->row, node, &text)) {
        self->is_empty = true;
        while (!self->is_full && mx_text_take_word(&text, &word)) {
            self->is_empty = false;
            if (has_room(self, node, word))
                on_item(self, node, word);
        }
    }
}

static int compare_spans(const void *a, const void *b) {
    const struct mx_span *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->ptr, right->ptr, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static void store_domains(struct list *self, struct mx_conf *conf) {
    struct mx_span *rows = self->rows;
    uint32_t kept = 0;
    if (self->count > 0)
        qsort(rows, self->count, sizeof *rows, compare_spans);
    for (uint32_t i = 0; i < self->count; i++) {
        if (kept == 0 || !mx_span_equal(rows[kept - 1], rows[i]))
            rows[kept++] = rows[i];
    }
    conf->domains = rows;
    conf->domain_count = kept;
}

static void store_binds(struct list *self, const struct mx_yaml_node *node,
                        struct mx_conf_server *server) {
    if (self->is_empty) /* the default stands for "not written", not for "nowhere" */
        mx_loader_fail(self->loader, node, "%s needs at least one address", self->row->key);
    if (self->count == 0)
        return;
    server->binds = self->rows;
    server->bind_count = self->count;
}

static void store_texts(const struct list *self, const struct mx_yaml_node *node, void *base) {
    struct mx_conf_texts texts = {self->rows, self->count}; /* or mx_conf_secrets */
    static_assert(sizeof texts == sizeof(struct mx_conf_secrets), "both are a pointer and a count");
    if (self->is_empty && self->row->value == NULL)
        mx_loader_fail(self->loader, node, "%s needs at least one entry", self->row->key);
    assert(self->row->size == sizeof texts);
    memcpy((char *)base + self->row->offset, &texts, sizeof texts);
}

static void store_networks(const struct list *self, void *base) {
    struct mx_conf_networks networks = {self->rows, self->count};
    assert(self->row->size == sizeof networks);
    memcpy((char *)base + self->row->offset, &networks, sizeof networks);
}

static void store_addresses(const struct list *self, void *base) {
    struct mx_conf_addresses addresses = {self->rows, self->count};
    assert(self->row->size == sizeof addresses);
    memcpy((char *)base + self->row->offset, &addresses, sizeof addresses);
}

void mx_loader_apply_list(struct mx_loader *self, const struct mx_row *row,
                          const struct mx_yaml_node *node, void *base) {
    struct list list = {.loader = self, .row = row, .arena = self->conf->arena};
    struct mx_conf_server *server = base;
    switch (row->type) {
    case MX_TYPE_DOMAINS:
        each_item(&list, node, on_domain);
        store_domains(&list, self->conf);
        return;
    case MX_TYPE_BINDS:
        each_item(&list, node, on_bind);
        store_binds(&list, node, server);
        return;
    case MX_TYPE_NETWORKS:
        each_item(&list, node, on_network);
        store_networks(&list, base);
        return;
    case MX_TYPE_ADDRESSES:
        each_item(&list, node, on_address);
        store_addresses(&list, base);
        return;
    case MX_TYPE_FEATURES:
        each_item(&list, node, on_feature);
        assert(row->size == sizeof list.bits);
        memcpy((char *)base + row->offset, &list.bits, sizeof list.bits);
        return;
    case MX_TYPE_MECHANISMS:
        each_item(&list, node, on_mechanism);
        memcpy((char *)base + row->offset, &list.mechanisms, sizeof list.mechanisms);
        return;
    case MX_TYPE_TEXTS:
        each_item(&list, node, on_text);
        store_texts(&list, node, base);
        return;
    case MX_TYPE_SECRETS:
        each_item(&list, node, on_secret);
        store_texts(&list, node, base);
        return;
    case MX_TYPE_CIPHERS:
        each_item(&list, node, on_cipher);
        memcpy((char *)base + row->offset, &list.ciphers, sizeof list.ciphers);
        return;
    case MX_TYPE_CERTIFICATES:
        mx_loader_apply_certificates(self, row, node, base);
        return;
    case MX_TYPE_CHAIN:
        mx_chain_apply(self, row, node, server);
        return;
    case MX_TYPE_SECTION:
    case MX_TYPE_SERVERS:
    case MX_TYPE_BOOL:
    case MX_TYPE_NUMBER:
    case MX_TYPE_LENGTH:
    case MX_TYPE_SIZE:
    case MX_TYPE_DURATION:
    case MX_TYPE_WORD:
    case MX_TYPE_TEXT:
    case MX_TYPE_PATH:
    case MX_TYPE_HELLO:
    case MX_TYPE_DOMAIN:
    case MX_TYPE_GROUP:
    case MX_TYPE_TABLE:
    case MX_TYPE_COUNT:
        break;
    }
    assert(false && "a row of a list type");
}
