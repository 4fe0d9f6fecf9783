#include "config/chain.h"
#include "config/conf.h"
#include "config/item.h"
#include "config/options.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>

/* Double quotes; the loader lets no control characters in. */
static void put_quoted(FILE *stream, struct mx_span text) {
    putc('"', stream);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            putc('\\', stream);
        putc(text.ptr[i], stream);
    }
    putc('"', stream);
}

static void put_text(FILE *stream, const struct mx_row *row, const void *base) {
    const char *text = NULL;
    memcpy(&text, (const char *)base + row->offset, sizeof text);
    putc(' ', stream);
    bool is_hidden = text && (row->flags & MX_ROW_SECRET) && strncmp(text, "file:", 5) != 0;
    if (is_hidden)
        fputs("\"(hidden)\"", stream);
    else if (text)
        put_quoted(stream, mx_span_of(text));
    else
        fputs("null", stream);
    putc('\n', stream);
}

static void put_list(FILE *stream, const struct mx_row *row, const void *base, int indent) {
    char text[MX_ITEM_TEXT_MAX];
    uint32_t count = mx_item_count(row, base);
    const struct mx_conf_server *server = base;
    for (uint32_t i = 0; i < count; i++) {
        fprintf(stream, "\n%*s- ", indent, "");
        if (row->type == MX_TYPE_CHAIN)
            mx_chain_print(stream, &server->hooks[i], true);
        else if (row->type == MX_TYPE_CERTIFICATES) { /* a map already */
            struct mx_span item = mx_item_text(row, base, i, text);
            fprintf(stream, "%.*s", (int)item.len, item.ptr);
        } else
            put_quoted(stream, mx_item_text(row, base, i, text));
    }
    fputs(count > 0 ? "\n" : " []\n", stream);
}

static void put_rows(FILE *stream, enum mx_section section, const void *base, int indent,
                     const char *first);

static void put_value(FILE *stream, const struct mx_row *row, const void *base, int indent) {
    char text[MX_SIZE_TEXT_MAX];
    if (mx_value_is_scalar(row)) {
        mx_value_text(row, mx_value_get(row, base), text, sizeof text);
        fprintf(stream, " %s\n", text);
    } else if (row->type >= MX_TYPE_TEXT && row->type <= MX_TYPE_DOMAIN) {
        put_text(stream, row, base);
    } else if (row->type == MX_TYPE_SECTION) {
        putc('\n', stream);
        put_rows(stream, (enum mx_section)row->min, base, indent + 2, NULL);
    } else if (row->type == MX_TYPE_SECRETS) {
        putc(' ', stream);
        mx_options_print_value(stream, row, base, true);
        putc('\n', stream);
    } else {
        put_list(stream, row, base, indent + 2);
    }
}

static void put_rows(FILE *stream, enum mx_section section, const void *base, int indent,
                     const char *first) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & section))
            continue;
        if (first)
            fprintf(stream, "%s%s:", first, row->key);
        else
            fprintf(stream, "%*s%s:", indent, "", row->key);
        first = NULL;
        put_value(stream, row, base, indent);
    }
}

static void put_servers(FILE *stream, const struct mx_row *row, const struct mx_conf *conf) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < conf->server_count; i++) {
        const struct mx_conf_server *server = &conf->servers[i];
        if (server->is_lmtp != (row->min == MX_SECTION_LMTP))
            continue;
        if (count++ == 0)
            putc('\n', stream);
        put_rows(stream, (enum mx_section)row->min, server, 4, "  - ");
    }
    if (count == 0)
        fputs(" []\n", stream);
}

int mx_conf_dump(const struct mx_conf *conf, FILE *stream) {
    for (size_t i = 0; i < mx_schema_count; i++) {
        const struct mx_row *row = &mx_schema[i];
        if (!(row->sections & MX_SECTION_TOP))
            continue;
        fprintf(stream, "%s:", row->key);
        if (row->type == MX_TYPE_SERVERS)
            put_servers(stream, row, conf);
        else
            put_value(stream, row, conf, 0);
    }
    return fflush(stream) == 0 && !ferror(stream) ? 0 : -EIO;
}
