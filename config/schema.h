/* schema.h - one row per option. The rows drive parsing, defaults, validation, the dump and the
 * reference in docs/CONFIGURATION.md. Private to config/.
 */
#pragma once
#include "config/lookup.h"

/* Where a key may stand; bits, so that SMTP and LMTP servers can share rows. */
enum mx_section {
    MX_SECTION_TOP = 1 << 0,
    MX_SECTION_ENGINE = 1 << 1,
    MX_SECTION_LOG = 1 << 2,
    MX_SECTION_SPOOL = 1 << 3,
    MX_SECTION_SMTP = 1 << 4,
    MX_SECTION_LMTP = 1 << 5,
    MX_SECTION_AUTH = 1 << 6, /* inside a server */
    MX_SECTION_DNS = 1 << 7,
    MX_SECTION_TLS = 1 << 8, /* likewise */
    MX_SECTION_REDIS = 1 << 9,
    MX_SECTION_SERVER = MX_SECTION_SMTP | MX_SECTION_LMTP,
    MX_SECTION_IN_SERVER =
        MX_SECTION_SERVER | MX_SECTION_AUTH | MX_SECTION_TLS, /* base: struct mx_conf_server */
};

enum mx_type {
    MX_TYPE_SECTION,      /* a map; min holds its enum mx_section. Its rows have the same base */
    MX_TYPE_SERVERS,      /* a list of maps; min holds its enum mx_section */
    MX_TYPE_BOOL,         /* bool */
    MX_TYPE_NUMBER,       /* 4 octets */
    MX_TYPE_LENGTH,       /* octets, 4 octets; printed without unit */
    MX_TYPE_SIZE,         /* octets, 4 or 8 octets */
    MX_TYPE_DURATION,     /* 4 octets: microseconds when the bare unit is that, else milliseconds */
    MX_TYPE_WORD,         /* one of words; an enum or a bool */
    MX_TYPE_TEXT,         /* const char *: printable ASCII, min..max octets */
    MX_TYPE_PATH,         /* const char *: UTF-8, min..max octets */
    MX_TYPE_HELLO,        /* const char *: host name or auto */
    MX_TYPE_DOMAIN,       /* const char *: host name in lower case */
    MX_TYPE_DOMAINS,      /* domains of struct mx_conf */
    MX_TYPE_BINDS,        /* binds of struct mx_conf_server */
    MX_TYPE_NETWORKS,     /* struct mx_conf_networks */
    MX_TYPE_ADDRESSES,    /* struct mx_conf_addresses: min..max of them, numeric; port 53 unless
                             written */
    MX_TYPE_FEATURES,     /* bits of words; 4 octets */
    MX_TYPE_MECHANISMS,   /* struct mx_conf_mechanisms, in the order written */
    MX_TYPE_CIPHERS,      /* struct mx_conf_ciphers: words in order */
    MX_TYPE_CERTIFICATES, /* struct mx_conf_certificates: tls.more */
    MX_TYPE_TEXTS,        /* struct mx_conf_texts: printable ASCII, min..max octets each */
    MX_TYPE_SECRETS,      /* struct mx_conf_secrets: texts, or file:PATH for the first line of it */
    MX_TYPE_GROUP,        /* options only: a map; min holds its enum mx_inner. The same base */
    MX_TYPE_TABLE,        /* options only: struct mx_conf_table, a list of maps; min likewise */
    MX_TYPE_CHAIN,        /* handlerchain: hooks of struct mx_conf_server */
    MX_TYPE_COUNT,
};

/* What a number without unit counts. */
enum mx_unit {
    MX_UNIT_NONE,
    MX_UNIT_OCTET,
    MX_UNIT_KIB,
    MX_UNIT_MICROSECOND,
    MX_UNIT_MILLISECOND,
    MX_UNIT_SECOND,
    MX_UNIT_PERCENT,
};

enum mx_row_flag {
    MX_ROW_RELOAD = 1 << 0, /* SIGHUP takes a new value; else a restart is needed */
    MX_ROW_POWER_OF_2 = 1 << 1,
    MX_ROW_NULLABLE = 1 << 2, /* null means "none" */
    MX_ROW_ZERO = 1 << 3,     /* 0 is no limit, although min is above it */
    MX_ROW_BESIDE = 1 << 4,   /* a path; a relative one begins in the folder of the file */
    MX_ROW_SECRET = 1 << 5,   /* a dump shows it only when it names a file */
};

struct mx_row {
    const char *key;
    unsigned sections; /* bits of enum mx_section */
    enum mx_type type;
    enum mx_unit unit;
    unsigned flags;                /* bits of enum mx_row_flag */
    int64_t min, max;              /* as stored; octets of texts */
    const char *value;             /* the default as it would be written; NULL: must be written */
    const char *james;             /* element name in James, NULL: has none */
    const struct mx_lookup *words; /* accepted words, NULL: none */
    size_t offset, size;           /* of the member in struct mx_conf or struct mx_conf_server */
    const char *meaning;
};

enum { MX_ROWS_MAX = 128 };

extern const struct mx_row mx_schema[];
extern const size_t mx_schema_count; /* at most MX_ROWS_MAX */

/* The row of a key (exact case) in a section; NULL: none. */
const struct mx_row *mx_schema_find(enum mx_section section, struct mx_span key);

/* Position of a row in mx_schema. */
size_t mx_schema_index(const struct mx_row *row);

/* The name of a section as the file's author knows it: "engine", "smtpservers"; "the file". */
const char *mx_schema_section_name(enum mx_section section);

/* Is the key one that a later version will have? */
bool mx_schema_is_reserved(enum mx_section section, struct mx_span key);

/* Key number i of those, and where it may stand; NULL: there are no more. */
const char *mx_schema_reserved(size_t i, unsigned *sections);

/* The key nearest to a wrong one: the row whose James spelling it is, else by edit distance,
 * reserved keys too; NULL: nothing is near. */
const char *mx_schema_nearest(enum mx_section section, struct mx_span key);
