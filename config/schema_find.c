/* Finding rows by their names. */
#include "config/schema.h"

#include <assert.h>

/* Keys of later versions: refused by name, so that nobody takes them for misspelt. */
static const struct {
    unsigned sections;
    const char *key;
} reserved[] = {
    {MX_SECTION_TOP,  "delivery"},
    {MX_SECTION_TOP,  "admin"   },
    {MX_SECTION_TOP,  "fixture" },
    {MX_SECTION_AUTH, "oidc"    },
    {MX_SECTION_AUTH, "gssapi"  },
};

const struct mx_row *mx_schema_find(enum mx_section section, struct mx_span key) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        if ((mx_schema[i].sections & section) && mx_span_equal(mx_span_of(mx_schema[i].key), key))
            return &mx_schema[i];
    }
    return NULL;
}

size_t mx_schema_index(const struct mx_row *row) {
    assert(row >= mx_schema && row < mx_schema + mx_schema_count);
    return (size_t)(row - mx_schema);
}

const char *mx_schema_section_name(enum mx_section section) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        bool has_section =
            mx_schema[i].type == MX_TYPE_SECTION || mx_schema[i].type == MX_TYPE_SERVERS;
        if (has_section && mx_schema[i].min == (int64_t)section)
            return mx_schema[i].key;
    }
    return "the file";
}

bool mx_schema_is_reserved(enum mx_section section, struct mx_span key) {
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if ((reserved[i].sections & section) && mx_span_equal(mx_span_of(reserved[i].key), key))
            return true;
    }
    return false;
}

const char *mx_schema_reserved(size_t i, unsigned *sections) {
    if (i >= sizeof reserved / sizeof *reserved)
        return NULL;
    *sections = reserved[i].sections;
    return reserved[i].key;
}

const char *mx_schema_nearest(enum mx_section section, struct mx_span key) {
    const char *names[MX_ROWS_MAX + sizeof reserved / sizeof *reserved];
    size_t count = 0;
    for (size_t i = 0; i < mx_schema_count; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & section))
            continue;
        if (row->james && mx_span_equal_nocase(mx_span_of(row->james), key))
            return row->key;
        names[count++] = row->key;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (reserved[i].sections & section)
            names[count++] = reserved[i].key;
    }
    return mx_lookup_nearest(key, names, count);
}
