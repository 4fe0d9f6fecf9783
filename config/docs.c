#include "config/docs.h"

#include "config/aliases.h"
#include "config/chain.h"
#include "config/conf.h"
#include "config/env.h"
#include "config/load.h"
#include "config/options.h"
#include "config/password.h"
#include "config/size.h"
#include "config/users.h"
#include "config/value.h"
#include "config/yaml.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

const char mx_conf_example[] = "engine:\n"
                               "  workers: auto\n"
                               "domains: [example.com, example.org]\n"
                               "defaultDomain: example.com\n"
                               "spool:\n"
                               "  directory: /var/spool/mxring\n"
                               "smtpservers:\n"
                               "  - bind: [\"0.0.0.0:25\", \"[::]:25\"]\n"
                               "    helloName: mx1.example.com\n"
                               "    connectionTimeout: 5m\n"
                               "    maxMessageSize: 50M\n"
                               "    connectionLimitPerIP: 100\n"
                               "    authorizedAddresses: 127.0.0.0/8, 192.0.2.0/24\n"
                               "    handlerchain: []\n"
                               "lmtpservers:\n"
                               "  - bind: 127.0.0.1:24\n"
                               "    handlerchain: []\n"
                               "log:\n"
                               "  level: info\n";

/* What the keys promise and this version does not do. */
static void put_missing(FILE *stream) {
    static const struct {
        const char *where;
        unsigned sections;
    } places[] = {
        {"at the top level",                   MX_SECTION_TOP   },
        {"in `smtpservers` and `lmtpservers`", MX_SECTION_SERVER},
    };
    fputs("## Not in this version\n\n"
          "These keys are refused:\n\n",
          stream);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        const char *before = "", *key;
        unsigned sections = 0;
        fprintf(stream, "- %s: ", places[p].where);
        for (size_t i = 0; (key = mx_schema_reserved(i, &sections)) != NULL; i++) {
            if (sections & places[p].sections) {
                fprintf(stream, "%s`%s`", before, key);
                before = ", ";
            }
        }
        putc('\n', stream);
    }
}

static void put_users(FILE *stream) {
    fprintf(
        stream,
        "**Users**: each line of the users file is `user@domain:HASH`; names are compared without\n"
        "regard to case, at most %d octets. Empty lines and lines that begin with `#` are "
        "comments.\n"
        "`mxring passwd USER@DOMAIN` writes such a line, `mxring check` reads them all. HASH is "
        "one\n"
        "of\n\n"
        "| HASH | | at most |\n"
        "|---|---|---|\n"
        "| `$y$`, `$gy$`, `$7$` ... | crypt(3): yescrypt, gost-yescrypt, scrypt | %d MiB |\n"
        "| `$2b$`, `$2y$`, `$2a$` ... | crypt(3): bcrypt | cost %d |\n"
        "| `$6$`, `$5$` ... | crypt(3): SHA-512, SHA-256 | %d rounds |\n"
        "| `$1$` ... | crypt(3): MD5, with a warning | |\n"
        "| `{PBKDF2-SHA512-ITERATIONS-BITS}BASE64` | James's form; salted with the name in lower "
        "case; "
        "numbers may be left out from the end, then they are %d and %d | %d iterations |\n"
        "| `{SCRAM-SHA-256}ITERATIONS:SALT:STOREDKEY:SERVERKEY` | the last three in base64; serves "
        "SCRAM-SHA-256, "
        "too | %d iterations |\n"
        "| `{PLAIN}secret` | for tests; serves SCRAM-SHA-256, too, when it is ASCII | %d octets |\n"
        "\n",
        MX_LOGIN_MAX, MX_PASSWORD_MEMORY_MAX >> 20, MX_PASSWORD_BCRYPT_COST_MAX,
        MX_PASSWORD_ROUNDS_MAX, MX_PASSWORD_PBKDF2_ITERATIONS, MX_PASSWORD_PBKDF2_BITS,
        MX_PASSWORD_ITERATIONS_MAX, MX_PASSWORD_ITERATIONS_MAX, MX_PASSWORD_MAX);
}

static void put_aliases(FILE *stream) {
    fprintf(
        stream,
        "**Aliases**: each line of the aliases file is `alias@domain: target[, target]`, or\n"
        "`@alias.domain: @domain` for all of a domain. An alias of its own goes before that of\n"
        "its domain. Targets are looked up again, as often as aliasLimit says; one that is its\n"
        "own alias (to keep a copy) stands for itself. More in a row, or more than %d look-ups\n"
        "for one recipient, are answered with a temporary error. The domain of an alias must be\n"
        "one of `domains`. Aliases say who exists (ValidRcptHandler) and who may send as whom\n"
        "(verifyIdentity); envelopes are kept as they came.\n\n",
        MX_ALIAS_LOOKUPS_MAX);
}

static void put_identity(FILE *stream) {
    fputs("**Identity**: with `verifyIdentity: strict` who is logged in sends as himself or as an\n"
          "alias of his (the alias must lead to his login, its domain must be one of `domains`),\n"
          "in MAIL and in the From field of the message; who is not, and is not in\n"
          "authorizedAddresses either, does not send as one of `domains`; and a message without\n"
          "From and Sender field is refused. `relaxed`: mail servers that give a host name with a\n"
          "dot in HELO or EHLO may, and the header is looked at only when somebody is logged in.\n"
          "The null sender is always allowed.\n\n",
          stream);
}

static void put_introduction(FILE *stream) {
    fputs("<!-- Generated by `mxring check --reference`. Do not edit. -->\n"
          "# Configuration\n\n"
          "One YAML file describes a server. `mxring check -c FILE` tests it and prints every\n"
          "problem as `FILE:LINE:COLUMN: text`; `--dump` adds the effective configuration with\n"
          "every default. An empty file is valid: it has no servers.\n\n"
          "```yaml\n",
          stream);
    fputs(mx_conf_example, stream);
    fprintf(
        stream,
        "```\n\n"
        "## Values\n\n"
        "- **Sizes**: a number with `B`, `K`, `M` or `G` (1024 based, any case). **Durations**:\n"
        "  a number with `us`, `ms`, `s`, `m`, `h`, `d` or `w` (or `sec`, `minutes` and the\n"
        "  like). The column *bare unit* says what a number without unit counts.\n"
        "- **Booleans**: `true`/`false`, `yes`/`no`, `on`/`off`. Words may be in any case;\n"
        "  keys may not.\n"
        "- **Lists** may also be one string with commas or blanks between the items.\n"
        "- **Networks**: `192.0.2.1`, `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `127.*`,\n"
        "  `10.1.*`, `*`, `2001:db8::/32`, `localhost/8`. No host names.\n"
        "- Any value and any item of a list may hold `${env:NAME}` (result at most %d octets);\n"
        "  keys and `handlerchain` may not. A variable that is not set is an error for `serve`\n"
        "  and a warning for `check`. Blanks around a value go.\n"
        "- Anchors, aliases, tags, directives and second documents are refused. A file has at\n"
        "  most %d MiB and %d keys and values, nested %d deep; its lists have at most %d items\n"
        "  and %d MiB together. There are at most %d servers with %d addresses each, and %d\n"
        "  addresses in all servers that are enabled.\n"
        "- In a server with `enabled: false` mistakes are only warnings, and the defaults\n"
        "  stand in for them. Duplicate keys and bad YAML are errors there, too.\n\n",
        MX_ENV_VALUE_MAX, MX_YAML_OCTETS_MAX >> 20, MX_YAML_NODES_MAX, MX_YAML_DEPTH_MAX,
        MX_LOADER_ITEMS_MAX, MX_LOADER_ITEM_OCTETS_MAX >> 20, MX_CONF_SERVERS_MAX,
        MX_CONF_BINDS_MAX, MX_CONF_LISTENERS_MAX);
    fputs(
        "**Open relays**: a network of `authorizedAddresses` is open to the world when it is\n"
        "wider than /8 (IPv4) or /16 (IPv6, unless it lies in `fc00::/7` or `fe80::/10`), and so\n"
        "are networks that together hold every public address. Such a file needs\n"
        "`engine: {allowOpenRelay: true}`.\n\n"
        "## Reload\n\n"
        "At SIGHUP the file is read and checked again while the server goes on. What changes is\n"
        "logged; `mxring check --diff OLD NEW` says the same before. Sessions keep the rules they\n"
        "began with, new ones get the new rules. Listening addresses that are in both files stay\n"
        "open all the time; the others are opened or closed. The column *reload* says which\n"
        "values SIGHUP takes; the others are named in the log and stay as they are until a\n"
        "restart. When the file is bad, or an address cannot be opened, nothing changes and the\n"
        "log says why. The connections of a server are counted on by the one that has an address\n"
        "(or else kind and name) in common with it; connectionLimitPerIP does not see\n"
        "connections from the time when it was 0.\n\n",
        stream);
    put_users(stream);
    put_aliases(stream);
    put_identity(stream);
    put_missing(stream);
}

static const char *type_text(enum mx_type type) {
    switch (type) {
    case MX_TYPE_SECTION:
        return "map";
    case MX_TYPE_SERVERS:
        return "list of maps";
    case MX_TYPE_BOOL:
        return "boolean";
    case MX_TYPE_NUMBER:
        return "number";
    case MX_TYPE_LENGTH:
    case MX_TYPE_SIZE:
        return "size";
    case MX_TYPE_DURATION:
        return "duration";
    case MX_TYPE_WORD:
        return "word";
    case MX_TYPE_TEXT:
    case MX_TYPE_PATH:
        return "text";
    case MX_TYPE_HELLO:
    case MX_TYPE_DOMAIN:
        return "host name";
    case MX_TYPE_DOMAINS:
        return "list of host names";
    case MX_TYPE_BINDS:
    case MX_TYPE_ADDRESSES:
        return "list of addresses";
    case MX_TYPE_NETWORKS:
        return "list of networks";
    case MX_TYPE_FEATURES:
    case MX_TYPE_MECHANISMS:
    case MX_TYPE_CIPHERS:
        return "list of words";
    case MX_TYPE_TEXTS:
        return "list of texts";
    case MX_TYPE_SECRETS:
        return "list of secrets";
    case MX_TYPE_GROUP:
        return "map";
    case MX_TYPE_CERTIFICATES:
    case MX_TYPE_TABLE:
        return "list of maps";
    case MX_TYPE_CHAIN:
        return "list of hooks";
    case MX_TYPE_COUNT:
        break;
    }
    assert(false && "a type of the schema");
    return "";
}

static const char *unit_text(enum mx_unit unit) {
    switch (unit) {
    case MX_UNIT_NONE:
        return "";
    case MX_UNIT_OCTET:
        return "octets";
    case MX_UNIT_KIB:
        return "KiB";
    case MX_UNIT_MICROSECOND:
        return "us";
    case MX_UNIT_MILLISECOND:
        return "ms";
    case MX_UNIT_SECOND:
        return "s";
    case MX_UNIT_PERCENT:
        return "%";
    }
    assert(false && "a unit of the schema");
    return "";
}

static void put_range(FILE *stream, const struct mx_row *row) {
    char low[MX_SIZE_TEXT_MAX], high[MX_SIZE_TEXT_MAX], words[128] = "";
    bool is_number = row->type >= MX_TYPE_NUMBER && row->type <= MX_TYPE_DURATION;
    if (row->words && row->type != MX_TYPE_CIPHERS)
        mx_lookup_list(row->words, words, sizeof words);
    if (is_number) {
        mx_value_number_text(row, row->min, low);
        mx_value_number_text(row, row->max, high);
        fprintf(stream, "%s..%s%s", low, high, row->flags & MX_ROW_ZERO ? " or 0" : "");
        if (row->flags & MX_ROW_POWER_OF_2)
            fputs(", power of two", stream);
    } else if (row->type >= MX_TYPE_TEXT && row->type <= MX_TYPE_DOMAIN) {
        fprintf(stream, "%" PRId64 "..%" PRId64 " octets", row->min, row->max);
    } else if (row->type == MX_TYPE_BINDS || row->type == MX_TYPE_ADDRESSES) {
        fprintf(stream, "%" PRId64 "..%" PRId64 " addresses", row->min, row->max);
    }
    if (row->type == MX_TYPE_CIPHERS)
        fputs("see *TLS*", stream);
    if (row->words)
        fprintf(stream, "%s%s", is_number ? ", " : "", words);
    if (row->type == MX_TYPE_HELLO)
        fputs(", auto", stream);
}

static void put_default(FILE *stream, const struct mx_row *row) {
    if (row->value)
        fprintf(stream, "`%s`", row->value);
    else if (row->type == MX_TYPE_CHAIN)
        fputs("mandatory", stream);
}

static void put_row(FILE *stream, const struct mx_row *row) {
    const char *only = row->sections == MX_SECTION_SMTP   ? " (SMTP)"
                       : row->sections == MX_SECTION_LMTP ? " (LMTP)"
                                                          : "";
    fprintf(stream, "| `%s`%s | %s | %s | ", row->key, only, type_text(row->type),
            unit_text(row->unit));
    put_range(stream, row);
    fputs(" | ", stream);
    put_default(stream, row);
    fprintf(stream, " | %s | %s | %s |\n", row->james ? row->james : "",
            row->type == MX_TYPE_SECTION ? ""
            : row->flags & MX_ROW_RELOAD ? "yes"
                                         : "no",
            row->meaning);
}

static void put_hooks(FILE *stream) {
    fputs(
        "\n## Hooks\n\n"
        "`handlerchain` is a list of James's class names without their package; one with options\n"
        "is a map: `- ValidRcptHandler: {recipientRewriteTableCheck: anyMappingValid}`. They are\n"
        "asked in their order, before the core handlers, which are always there. What each does,\n"
        "its options and its replies: [HANDLERS.md](HANDLERS.md).\n",
        stream);
}

static void put_option(FILE *stream, const struct mx_row *row, int depth) {
    fprintf(stream, "| %s`%s` | %s | %s | ", depth > 0 ? "· " : "", row->key, type_text(row->type),
            unit_text(row->unit));
    if (row->type != MX_TYPE_GROUP && row->type != MX_TYPE_TABLE)
        put_range(stream, row);
    fputs(" | ", stream);
    if (row->value)
        fprintf(stream, "`%s`", row->value);
    else if (row->type != MX_TYPE_GROUP)
        fputs("mandatory", stream);
    fprintf(stream, " | %s | %s |\n", row->james ? row->james : "", row->meaning);
    if (row->type != MX_TYPE_GROUP && row->type != MX_TYPE_TABLE)
        return;
    const struct mx_rows *inner = mx_options_inner(row);
    for (size_t i = 0; i < inner->count; i++)
        put_option(stream, &inner->rows[i], depth + 1);
}

void mx_conf_print_options(FILE *stream, enum mx_hook_kind kind) {
    const struct mx_rows *rows = &mx_hook_types[kind]->options;
    if (rows->count == 0)
        return;
    fputs("\n| option | type | bare unit | range | default | James | meaning |\n"
          "|---|---|---|---|---|---|---|\n",
          stream);
    for (size_t i = 0; i < rows->count; i++)
        put_option(stream, &rows->rows[i], 0);
}

int mx_conf_print_reference(FILE *stream) {
    static const struct {
        const char *title;
        unsigned sections;
    } tables[] = {
        {"Top level",                                  MX_SECTION_TOP   },
        {"`engine`",                                   MX_SECTION_ENGINE},
        {"`log`",                                      MX_SECTION_LOG   },
        {"`spool`",                                    MX_SECTION_SPOOL },
        {"`dns`",                                      MX_SECTION_DNS   },
        {"`redis`",                                    MX_SECTION_REDIS },
        {"Entries of `smtpservers` and `lmtpservers`", MX_SECTION_SERVER},
        {"`auth` of an entry of `smtpservers`",        MX_SECTION_AUTH  },
    };
    put_introduction(stream);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        fprintf(stream, "\n## %s\n\n", tables[t].title);
        fputs("| name | type | bare unit | range | default | James | reload | meaning |\n"
              "|---|---|---|---|---|---|---|---|\n",
              stream);
        for (size_t i = 0; i < mx_schema_count; i++) {
            if (mx_schema[i].sections & tables[t].sections)
                put_row(stream, &mx_schema[i]);
        }
    }
    put_hooks(stream);
    return fflush(stream) == 0 && !ferror(stream) ? 0 : -EIO;
}
