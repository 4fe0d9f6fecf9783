#include "config/item.h"

#include <assert.h>

static struct mx_conf_networks networks_of(const struct mx_row *row, const void *base) {
    struct mx_conf_networks networks;
    assert(row->size == sizeof networks);
    memcpy(&networks, (const char *)base + row->offset, sizeof networks);
    return networks;
}

static struct mx_conf_addresses addresses_of(const struct mx_row *row, const void *base) {
    struct mx_conf_addresses all;
    assert(row->size == sizeof all);
    memcpy(&all, (const char *)base + row->offset, sizeof all);
    return all;
}

static struct mx_conf_mechanisms mechanisms_of(const struct mx_row *row, const void *base) {
    struct mx_conf_mechanisms all;
    assert(row->size == sizeof all);
    memcpy(&all, (const char *)base + row->offset, sizeof all);
    return all;
}

static struct mx_conf_ciphers ciphers_of(const struct mx_row *row, const void *base) {
    struct mx_conf_ciphers all;
    assert(row->size == sizeof all);
    memcpy(&all, (const char *)base + row->offset, sizeof all);
    return all;
}

static struct mx_conf_certificates certificates_of(const struct mx_row *row, const void *base) {
    struct mx_conf_certificates all;
    assert(row->size == sizeof all);
    memcpy(&all, (const char *)base + row->offset, sizeof all);
    return all;
}

static struct mx_conf_secrets secrets_of(const struct mx_row *row, const void *base) {
    struct mx_conf_secrets all;
    assert(row->size == sizeof all);
    memcpy(&all, (const char *)base + row->offset, sizeof all);
    return all;
}

static uint32_t bits_of(const struct mx_row *row, const void *base) {
    uint32_t bits;
    assert(row->size == sizeof bits);
    memcpy(&bits, (const char *)base + row->offset, sizeof bits);
    return bits;
}

/* The word of the i-th bit that is set; NULL: there are not so many, and *count is how many. */
static const struct mx_lookup *word_of(const struct mx_row *row, uint32_t bits, uint32_t i,
                                       uint32_t *count) {
    *count = 0;
    for (const struct mx_lookup *word = row->words; word->text; word++) {
        if ((bits & (uint32_t)word->value) && (*count)++ == i)
            return word;
    }
    return NULL;
}

uint32_t mx_item_count(const struct mx_row *row, const void *base) {
    const struct mx_conf *conf = base;
    const struct mx_conf_server *server = base;
    uint32_t count = 0;
    if (row->type == MX_TYPE_DOMAINS)
        return conf->domain_count;
    if (row->type == MX_TYPE_BINDS)
        return server->bind_count;
    if (row->type == MX_TYPE_NETWORKS)
        return networks_of(row, base).count;
    if (row->type == MX_TYPE_ADDRESSES)
        return addresses_of(row, base).count;
    if (row->type == MX_TYPE_MECHANISMS)
        return mechanisms_of(row, base).count;
    if (row->type == MX_TYPE_CIPHERS)
        return ciphers_of(row, base).count;
    if (row->type == MX_TYPE_CERTIFICATES)
        return certificates_of(row, base).count;
    if (row->type == MX_TYPE_SECRETS)
        return secrets_of(row, base).count;
    if (row->type == MX_TYPE_FEATURES)
        word_of(row, bits_of(row, base), UINT32_MAX, &count);
    else
        count = server->hook_count;
    return count;
}

struct mx_span mx_item_text(const struct mx_row *row, const void *base, uint32_t i,
                            char buf[MX_ITEM_TEXT_MAX]) {
    const struct mx_conf *conf = base;
    const struct mx_conf_server *server = base;
    uint32_t count;
    if (row->type == MX_TYPE_DOMAINS)
        return conf->domains[i];
    if (row->type == MX_TYPE_BINDS)
        return mx_span_of(server->binds[i].text);
    if (row->type == MX_TYPE_ADDRESSES)
        return mx_span_of(addresses_of(row, base).rows[i].text);
    if (row->type == MX_TYPE_NETWORKS) {
        mx_size_network_text(&networks_of(row, base).rows[i], buf);
        return mx_span_of(buf);
    }
    if (row->type == MX_TYPE_MECHANISMS)
        return mx_span_of(mx_lookup_text(row->words, mechanisms_of(row, base).rows[i]));
    if (row->type == MX_TYPE_CIPHERS)
        return mx_span_of(mx_lookup_text(row->words, ciphers_of(row, base).rows[i]));
    if (row->type == MX_TYPE_CERTIFICATES)
        return mx_span_of(certificates_of(row, base).rows[i].text);
    if (row->type == MX_TYPE_SECRETS)
        return secrets_of(row, base).rows[i].text;
    assert(row->type == MX_TYPE_FEATURES);
    const struct mx_lookup *word = word_of(row, bits_of(row, base), i, &count);
    assert(word);
    return mx_span_of(word->text);
}
