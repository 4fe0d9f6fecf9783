/* conf.h - the configuration: one immutable struct, built and checked before anything starts.
 *
 * Const after mx_conf_load; strings belong to the struct (one arena, freed with it).
 * Every member is one schema row (schema.c): path, type, unit, range, default.
 */
#pragma once
#include "config/hook.h"
#include "proto/err.h"
#include "proto/ip.h"
#include "proto/span.h"

#include <netinet/in.h>
#include <stdio.h>

enum mx_batch_wait { MX_BATCH_WAIT_OFF = 0, MX_BATCH_WAIT_AUTO = -1 }; /* else microseconds */
enum mx_durability { MX_DURABILITY_FSYNC, MX_DURABILITY_WRITE, MX_DURABILITY_NONE };
enum mx_sync_mode { MX_SYNC_AUTO, MX_SYNC_DSYNC, MX_SYNC_FDATASYNC };
enum mx_log_level { MX_LOG_ERROR, MX_LOG_WARN, MX_LOG_INFO, MX_LOG_DEBUG };
enum mx_log_format { MX_LOG_FORMAT_LOGFMT, MX_LOG_FORMAT_JSON };
enum mx_verify_identity {
    MX_VERIFY_IDENTITY_DISABLED,
    MX_VERIFY_IDENTITY_RELAXED,
    MX_VERIFY_IDENTITY_STRICT,
};
enum mx_announce {
    MX_ANNOUNCE_NEVER,
    MX_ANNOUNCE_ALWAYS,
    MX_ANNOUNCE_FOREIGN, /* forUnauthorizedAddresses */
};
enum mx_client_auth { MX_CLIENT_AUTH_NONE, MX_CLIENT_AUTH_WANTED, MX_CLIENT_AUTH_REQUIRED };
enum mx_tls_protocol { MX_TLS_PROTOCOL_1_2 = 1 << 0, MX_TLS_PROTOCOL_1_3 = 1 << 1 };
enum mx_core_handlers { MX_CORE_HANDLERS_CORE, MX_CORE_HANDLERS_NO_AUTH };

enum {
    MX_CONF_SERVERS_MAX = 256,   /* in a file */
    MX_CONF_BINDS_MAX = 64,      /* addresses of a server */
    MX_CONF_LISTENERS_MAX = 255, /* addresses of all servers that are enabled */
    MX_CONF_FILES_MAX = 8,       /* other files that problems can be in */
    MX_CONF_HOOKS_MAX = 64,      /* of a server */
    MX_CONF_NO_SERVER = MX_CONF_SERVERS_MAX,
    MX_CONF_CIPHERS_MAX = 32,       /* of supportedCipherSuites */
    MX_CONF_CERTIFICATES_MAX = 999, /* of tls.more */
    MX_CONF_MECHANISMS_MAX = 4,     /* of saslMechanisms */
    MX_CONF_ADDRESSES_MAX = 8,      /* of dns.servers */
};

struct mx_conf_engine {
    uint32_t workers;      /* 0 = auto: the CPUs of the affinity mask; 1..1024 */
    int32_t batch_wait_us; /* MX_BATCH_WAIT_OFF, MX_BATCH_WAIT_AUTO or 1..10000 microseconds */
    bool allow_open_relay;
    uint32_t max_connections;    /* whole process; 0..1000000, 0 = what the descriptors allow */
    uint32_t recv_buffers;       /* per worker, power of two 16..32768; 512 */
    uint32_t recv_buffer_octets; /* 4K..64K; 16K */
    uint64_t
        session_memory_octets; /* per worker: replies, unfinished lines, envelopes; 4M..64G; 64M */
    uint32_t
        max_unsent_octets; /* replies a client may leave unread before recv pauses; 4K..1M; 64K */
    uint32_t drain_timeout_ms;       /* SIGTERM: how long transactions may finish; 30s */
    bool use_direct;                 /* direct descriptors where the kernel can; true */
    bool use_hand_over;              /* new connections go to the emptiest worker; true */
    uint64_t policy_memory_octets;   /* what hooks remember of clients; 1M..64G; 16M */
    uint64_t scan_memory_octets;     /* messages that scanners look at; 1M..64G; 64M */
    uint32_t scan_talks;             /* with scanners at a time; 1..65536; 1024 */
    const char *policy_path;         /* where it is kept; NULL: beside the mail */
    uint32_t policy_save_ms;         /* 0: nowhere; 60s */
    uint32_t helper_threads;         /* 0 = auto: one for two CPUs; 1..64 */
    uint32_t helper_queue;           /* jobs that may wait for them; 1..65536; 256 */
    const char *tls_ticket_key_path; /* as written; NULL: keys that end with the process */
    uint64_t tls_memory_octets;      /* per worker: all TLS sessions; 4M..64G; 256M */
    const char *user; /* to become when the addresses are bound; NULL: stay who we are */
};

struct mx_users;
struct mx_aliases;

struct mx_conf_bind {
    struct sockaddr_storage addr; /* AF_INET or AF_INET6 */
    socklen_t addr_len;
    const char *text; /* as written */
};

struct mx_conf_addresses { /* at most MX_CONF_ADDRESSES_MAX; the text has a port in any case */
    const struct mx_conf_bind *rows;
    uint32_t count;
};

struct mx_conf_dns {
    struct mx_conf_addresses servers; /* none: those of /etc/resolv.conf */
    uint32_t timeout_ms;              /* of one try at a server; 2s */
    uint32_t attempts;                /* tries at each server; 1..10; 2 */
    uint32_t deadline_ms;             /* of a look-up as a whole; 10s */
    uint32_t max_lookups;             /* under way; 1..32768; 16384 */
    uint32_t max_questions;           /* that wait for them; 1..1000000; 65536 */
    uint64_t cache_octets;            /* 0: no cache; 16M */
    uint32_t min_ttl_ms;              /* 1s */
    uint32_t max_ttl_ms;              /* 1h */
    uint32_t max_negative_ttl_ms;     /* 15m */
    uint32_t failure_ttl_ms;          /* 5s */
};

struct mx_conf_redis {
    const char *server, *user;       /* server: "address:port"; NULL: none */
    struct mx_conf_secrets password; /* none or one */
    uint32_t database;
    const char *prefix;
    uint32_t timeout_ms;    /* 250ms */
    uint32_t connections;   /* 1..64; 4 */
    uint32_t max_questions; /* that wait; 1..65536; 4096 */
};

struct mx_conf_mechanisms { /* saslMechanisms: enum mx_sasl_mechanism (proto/sasl.h), no duplicates
                             */
    uint8_t rows[MX_CONF_MECHANISMS_MAX];
    uint32_t count;
};

struct mx_conf_auth {          /* auth: of an SMTP server */
    enum mx_announce announce; /* never */
    bool is_required;          /* false: MAIL only after AUTH, or from authorizedAddresses */
    bool is_ssl_required;      /* requireSSL: false */
    bool is_plain_enabled;     /* true: PLAIN and LOGIN may be used */
    uint32_t failure_delay_ms; /* 0 */
    struct mx_conf_mechanisms mechanisms; /* LOGIN, PLAIN, SCRAM-SHA-256 */
};

struct mx_conf_ciphers { /* supportedCipherSuites: indices of mx_conf_cipher_name; no duplicates */
    uint8_t rows[MX_CONF_CIPHERS_MAX];
    uint32_t count; /* 0: the library's policy decides */
};

struct mx_conf_certificate { /* an item of tls.more */
    const struct mx_span *names;
    uint32_t name_count;                        /* 0: those of the certificate itself */
    const char *key_path, *chain_path, *secret; /* as written; secret NULL: none */
    const char *text;                           /* as one line of YAML */
    uint32_t line, column;
};

struct mx_conf_certificates {
    const struct mx_conf_certificate *rows;
    uint32_t count;
};

/* Where the problems of its files belong in the configuration. */
enum mx_conf_tls_place {
    MX_CONF_TLS_PLACE_CHAIN,
    MX_CONF_TLS_PLACE_KEY,
    MX_CONF_TLS_PLACE_CIPHERS,
    MX_CONF_TLS_PLACE_TRUST,
    MX_CONF_TLS_PLACE_REVOCATIONS,
    MX_CONF_TLS_PLACE_COUNT,
};

struct mx_conf_tls {                   /* tls: of a server */
    bool is_implicit;                  /* socketTLS: false; TLS from the first octet on */
    bool has_starttls;                 /* startTLS: false */
    const char *key_path, *chain_path; /* as written; NULL: none */
    const char *secret;                /* of the key: as written, or file:PATH; NULL: none */
    struct mx_conf_certificates more;
    uint32_t protocols; /* bits of enum mx_tls_protocol */
    struct mx_conf_ciphers ciphers;
    enum mx_client_auth client_auth;
    const char *trust_path, *revocations_path; /* as written; NULL: none */
    bool checks_revocation;                    /* enableOCSPCRLChecks: false */
    uint32_t session_timeout_ms;               /* of tickets; 24 h, 0 with clientAuth; 0: none */
    uint32_t handshake_timeout_ms;             /* 10 s */
    struct {
        uint32_t line, column;
    } places[MX_CONF_TLS_PLACE_COUNT];
};

/* Is there TLS on this server? */
static inline bool mx_conf_tls_is_on(const struct mx_conf_tls *self) {
    return self->is_implicit || self->has_starttls;
}

/* The name of a cipher suite in the registry of RFC 8447, by its number in mx_conf_ciphers. */
const char *mx_conf_cipher_name(uint8_t cipher);

struct mx_conf_server { /* one entry of smtpservers / lmtpservers */
    bool is_lmtp;
    bool enabled;
    const struct mx_conf_bind *binds;
    uint32_t bind_count;
    const char *name;
    uint32_t connection_backlog;       /* listen(2) backlog; 200 */
    uint32_t connection_timeout_ms;    /* 300 s; 0 = never */
    uint32_t data_timeout_ms;          /* 600 s; 0 = never */
    uint32_t min_data_rate;            /* octets per second after 60 s of DATA; 100; 0 = off */
    uint32_t connection_limit;         /* 0 = none */
    uint32_t connection_limit_per_ip;  /* 0 = none */
    const char *hello_name;            /* the effective name: "auto" is already resolved */
    const char *greeting;              /* smtpGreeting | lmtpGreeting; NULL = default */
    uint64_t max_message_octets;       /* maxMessageSize; 100M; 0 = none */
    uint32_t max_line_octets;          /* maxLineLength; 8192; 1000..1048576 or 0 = none */
    uint32_t max_data_line_octets;     /* maxDataLineLength; 0 = none */
    uint32_t max_recipients;           /* 1000; 0 = none */
    uint32_t max_errors;               /* 100; 0 = none */
    uint32_t max_transactions;         /* 0 = none */
    uint32_t max_auth_failures;        /* 20; 0 = none */
    bool helo_ehlo_enforcement;        /* true */
    bool address_brackets_enforcement; /* true */
    bool bare_lf_commands_refused;     /* bareLfCommands: accept | refuse */
    bool has_james_texts;              /* compatTexts: none | james */
    bool smtp_utf8;                    /* smtpUtf8: false */
    bool graceful_shutdown;            /* true */
    uint32_t hidden_features; /* disabledFeatures: bits of enum mx_feature (proto/session.h) */
    struct mx_conf_networks authorized_addresses;
    bool proxy_required;                     /* false */
    bool proxy_first;                        /* true: before the handshake of tls.socketTLS */
    bool proxy_counts_clients;               /* false: connectionLimitPerIP counts the proxies */
    struct mx_conf_networks proxy_from;      /* empty: anybody may send a PROXY header */
    enum mx_verify_identity verify_identity; /* strict */
    enum mx_core_handlers core_handlers;
    const struct mx_conf_hook *hooks; /* handlerchain, in order */
    uint32_t hook_count;
    struct mx_conf_auth auth;
    struct mx_conf_tls tls;
};

struct mx_conf_log {
    enum mx_log_level level;   /* info */
    enum mx_log_format format; /* logfmt */
    uint32_t
        queue_octets; /* per worker, power of two; 256K; lines beyond it are dropped, counted */
};

struct mx_conf {
    struct mx_conf_engine engine;
    struct mx_conf_log log;
    struct mx_conf_dns dns;
    struct mx_conf_redis redis;
    const struct mx_span *domains; /* lower case, sorted, unique */
    uint32_t domain_count;
    const char *default_domain;     /* lower case; NULL = none */
    const char *users_path;         /* users, as written; NULL = none */
    struct mx_users *users;         /* what is in it (users.h); NULL = no file */
    const char *aliases_path;       /* aliases, likewise */
    struct mx_aliases *aliases;     /* aliases.h */
    uint32_t alias_limit;           /* aliasLimit; 10 */
    struct mx_conf_server *servers; /* smtpservers then lmtpservers, in file order */
    uint32_t server_count;
    enum mx_durability durability;   /* spool.durability */
    enum mx_sync_mode sync_mode;     /* spool.syncMode; auto */
    const char *spool_directory;     /* /var/spool/mxring */
    const char *spool_second;        /* spool.secondDirectory; NULL = none */
    uint64_t spool_segment_octets;   /* spool.segmentSize; 4M..1G, a power of two; 64M */
    uint64_t spool_reserve_octets;   /* spool.reserve: left free on each disk; 512M */
    uint32_t spool_compact_below;    /* spool.compactBelow, percent; 10 */
    uint32_t spool_compact_after_ms; /* spool.compactAfter; 900 s */
    const char *path;                /* the file it was read from; NULL = none */
    /* where engine.user and engine.tlsTicketKeyFile stand in it */
    uint32_t user_line, user_column;
    uint32_t ticket_key_line, ticket_key_column;
    bool is_format_given; /* log.format is the command line's: a reload does not compare it */
    void *arena;          /* private to config/ */
};

/* The first hook of that kind in a server's chain; NULL: there is none. */
const struct mx_conf_hook *mx_conf_find_hook(const struct mx_conf_server *server,
                                             enum mx_hook_kind kind);

/* One problem found in a file. */
struct mx_conf_problem {
    uint32_t file;         /* 0: the configuration; else files[file - 1] of the report */
    uint32_t line, column; /* 1-based */
    bool is_warning;
    char text[640];
};

/* Collects problems, all of them, in file order when printed. Starts as {0}; problems are added to
 * those it has. At most 1000 rows are kept, errors rather than warnings; error_count counts all
 * errors, warning_count the warnings that were kept. */
struct mx_conf_report {
    struct mx_conf_problem *rows;
    uint32_t count, capacity, error_count, warning_count;
    char *files[MX_CONF_FILES_MAX]; /* others that the configuration names */
    uint32_t file_count;
};

/* Read and check a file. 0: *conf is new (free with mx_conf_free); MX_ECONFIG: invalid, see
 * *report; a negative errno: the file cannot be read. is_check: an unset ${env:NAME} is a warning,
 * not an error; and what is valid but cannot be served by this version gets a warning (serve says
 * so itself). */
MX_MUST_CHECK int mx_conf_load(const char *path, bool is_check, struct mx_conf **conf,
                               struct mx_conf_report *report);

/* Tell the files that a reload reads: the configuration itself and those that it names, by paths as
 * this process opens them, borrowed for the call. */
typedef void mx_conf_file_fn(void *context, const char *path);
void mx_conf_each_file(const struct mx_conf *conf, mx_conf_file_fn *tell, void *context);

/* Make the paths that are relative to the file absolute: for a dump that can lie anywhere. 0, or
 * -errno: its folder has no absolute name. */
MX_MUST_CHECK int mx_conf_make_absolute(struct mx_conf *conf);

/* The folder of a file with its last "/"; empty: the current one. */
struct mx_span mx_conf_folder(const char *path);

/* As mx_conf_load, for text in memory. */
MX_MUST_CHECK int mx_conf_parse(const char *text, size_t len, bool is_check, struct mx_conf **conf,
                                struct mx_conf_report *report);

/* Is the domain (any case) one of ours? At most 19 comparisons. */
bool mx_conf_is_local(const struct mx_conf *conf, struct mx_span domain);

/* A configuration with every default and no server (sink fills it by itself). Free with
 * mx_conf_free. */
struct mx_conf *mx_conf_new(void);

/* Append a server with the defaults of its kind; NULL: out of memory or MX_CONF_SERVERS_MAX
 * reached. The caller may change members until something starts; the pointer stays valid as long as
 * conf. */
struct mx_conf_server *mx_conf_add_server(struct mx_conf *conf, bool is_lmtp);

/* Parse "addr:port", "[v6]:port" (what bind takes) into *bind; copies text into conf's arena. The
 * address is numeric or "localhost" (127.0.0.1). 0; MX_ESYNTAX: no such address; -EDESTADDRREQ: no
 * port; -ERANGE: the port is not 0..65535; -ENOMEM. */
MX_MUST_CHECK int mx_conf_parse_bind(struct mx_conf *conf, const char *text,
                                     struct mx_conf_bind *bind);

/* Set the server's hello_name, given what helloName takes: "auto" is resolved. 0; MX_ESYNTAX: not a
 * host name; -ENOMEM. */
MX_MUST_CHECK int mx_conf_set_hello_name(struct mx_conf *conf, struct mx_conf_server *server,
                                         const char *name);

/* The effective configuration as YAML with every default, readable by mx_conf_load. */
MX_MUST_CHECK int mx_conf_dump(const struct mx_conf *conf, FILE *stream);

/* The file that a problem is in: path, or another one. */
const char *mx_conf_report_file(const struct mx_conf_report *report,
                                const struct mx_conf_problem *row, const char *path);

/* Print "FILE:LINE:COL: message" for each problem, sorted by position; FILE is path, or the file
 * the problem is in when that is another one. */
void mx_conf_report_print(const struct mx_conf_report *report, const char *path, FILE *stream);
void mx_conf_report_free(struct mx_conf_report *report);
void mx_conf_free(struct mx_conf *conf);
