#include "config/schema.h"

#include "config/aliases.h"
#include "config/conf.h"
#include "config/schema_policy.h"
#include "proto/sasl.h"
#include "proto/session.h"

static const struct mx_lookup words_workers[] = {
    {"auto", 0},
    {NULL,   0}
};

static const struct mx_lookup words_batch_wait[] = {
    {"off",  MX_BATCH_WAIT_OFF },
    {"auto", MX_BATCH_WAIT_AUTO},
    {NULL,   0                 }
};

static const struct mx_lookup words_size[] = {
    {"unlimited", 0},
    {NULL,        0}
};

static const struct mx_lookup words_level[] = {
    {"error", MX_LOG_ERROR},
    {"warn",  MX_LOG_WARN },
    {"info",  MX_LOG_INFO },
    {"debug", MX_LOG_DEBUG},
    {NULL,    0           }
};

static const struct mx_lookup words_format[] = {
    {"logfmt", MX_LOG_FORMAT_LOGFMT},
    {"json",   MX_LOG_FORMAT_JSON  },
    {NULL,     0                   }
};

static const struct mx_lookup words_durability[] = {
    {"fsync", MX_DURABILITY_FSYNC},
    {"write", MX_DURABILITY_WRITE},
    {"none",  MX_DURABILITY_NONE },
    {NULL,    0                  }
};

static const struct mx_lookup words_sync[] = {
    {"auto",      MX_SYNC_AUTO     },
    {"dsync",     MX_SYNC_DSYNC    },
    {"fdatasync", MX_SYNC_FDATASYNC},
    {NULL,        0                }
};

static const struct mx_lookup words_bare_lf[] = {
    {"accept", false},
    {"refuse", true },
    {NULL,     0    }
};

static const struct mx_lookup words_compat[] = {
    {"none",  false},
    {"james", true },
    {NULL,    0    }
};

static const struct mx_lookup words_identity[] = {
    {"strict",   MX_VERIFY_IDENTITY_STRICT  },
    {"true",     MX_VERIFY_IDENTITY_STRICT  },
    {"relaxed",  MX_VERIFY_IDENTITY_RELAXED },
    {"disabled", MX_VERIFY_IDENTITY_DISABLED},
    {"false",    MX_VERIFY_IDENTITY_DISABLED},
    {NULL,       0                          }
};

static const struct mx_lookup words_announce[] = {
    {"never",                    MX_ANNOUNCE_NEVER  },
    {"always",                   MX_ANNOUNCE_ALWAYS },
    {"forUnauthorizedAddresses", MX_ANNOUNCE_FOREIGN},
    {NULL,                       0                  }
};

static const struct mx_lookup words_mechanisms[] = {
    {"LOGIN",         MX_SASL_LOGIN        },
    {"PLAIN",         MX_SASL_PLAIN        },
    {"SCRAM-SHA-256", MX_SASL_SCRAM_SHA_256},
    {NULL,            0                    }
};

static const struct mx_lookup words_core[] = {
    {"core",   MX_CORE_HANDLERS_CORE   },
    {"noAuth", MX_CORE_HANDLERS_NO_AUTH},
    {NULL,     0                       }
};

static const struct mx_lookup words_client_auth[] = {
    {"none",     MX_CLIENT_AUTH_NONE    },
    {"wanted",   MX_CLIENT_AUTH_WANTED  },
    {"required", MX_CLIENT_AUTH_REQUIRED},
    {NULL,       0                      }
};

static const struct mx_lookup words_protocols[] = {
    {"TLSv1.2", MX_TLS_PROTOCOL_1_2},
    {"TLSv1.3", MX_TLS_PROTOCOL_1_3},
    {NULL,      0                  }
};

static const struct mx_lookup words_features[] = {
    {"PIPELINING",          MX_FEATURE_PIPELINING         },
    {"ENHANCEDSTATUSCODES", MX_FEATURE_ENHANCEDSTATUSCODES},
    {"8BITMIME",            MX_FEATURE_8BITMIME           },
    {"CHUNKING",            MX_FEATURE_CHUNKING           },
    {"BINARYMIME",          MX_FEATURE_BINARYMIME         },
    {"LIMITS",              MX_FEATURE_LIMITS             },
    {NULL,                  0                             }
};

#define AT(type, member) offsetof(type, member), sizeof(((type *)NULL)->member)
#define CONF(member)     AT(struct mx_conf, member)
#define SERVER(member)   AT(struct mx_conf_server, member)
#define NOWHERE          0, 0

/* short names, so that a row stays readable */
/* clang-format off */
#define TOP    MX_SECTION_TOP
#define ENGINE MX_SECTION_ENGINE
#define LOG    MX_SECTION_LOG
#define SPOOL  MX_SECTION_SPOOL
#define SMTP   MX_SECTION_SMTP
#define LMTP   MX_SECTION_LMTP
#define AUTH   MX_SECTION_AUTH
#define DNS    MX_SECTION_DNS
#define TLS    MX_SECTION_TLS
#define SECRET MX_ROW_SECRET
#define BOTH   MX_SECTION_SERVER
#define RELOAD MX_ROW_RELOAD
#define POW2   MX_ROW_POWER_OF_2
#define NULLS  MX_ROW_NULLABLE
#define BESIDE MX_ROW_BESIDE
#define ZERO   MX_ROW_ZERO
#define K      INT64_C(1024)
#define M      (1024 * K)
#define G      (1024 * M)
#define MS_MAX INT64_C(86400000)    /* a day */
#define COUNT_MAX INT64_C(2147483647)

const struct mx_row mx_schema[] = {
    {"engine", TOP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, ENGINE, 0, NULL, NULL, NULL, NOWHERE,
     "threads, memory and limits of the whole process"},
    {"log", TOP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, LOG, 0, NULL, NULL, NULL, NOWHERE,
     "the log on standard error"},
    {"domains", TOP, MX_TYPE_DOMAINS, MX_UNIT_NONE, RELOAD, 0, 0, "[]", "domainname", NULL, NOWHERE,
     "the local domains: mail for them is accepted from everybody"},
    {"defaultDomain", TOP, MX_TYPE_DOMAIN, MX_UNIT_NONE, RELOAD | NULLS, 1, 253, "null",
     "defaultDomain", NULL, CONF(default_domain),
     "added to addresses without a domain"},
    {"users", TOP, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4095, "null", NULL, NULL,
     CONF(users_path),
     "file of the users, user@domain:HASH in each line; relative to this file; see *Users*"},
    {"aliases", TOP, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4095, "null", NULL, NULL,
     CONF(aliases_path),
     "file of the aliases, alias@domain: target[, target] in each line; relative to this file; see "
     "*Aliases*"},
    {"aliasLimit", TOP, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, MX_ALIAS_DEPTH_MAX, "10",
     "mappingLimit", NULL, CONF(alias_limit),
     "how often an address may be rewritten in a row; 0: once, the targets are not looked up"},
    {"spool", TOP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, SPOOL, 0, NULL, NULL, NULL, NOWHERE,
     "where accepted mail is kept"},
    {"dns", TOP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, DNS, 0, NULL, NULL, NULL, NOWHERE,
     "who is asked about names, and how long one waits"},
    {"redis", TOP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, MX_SECTION_REDIS, 0, NULL, NULL, NULL, NOWHERE,
     "where gateways remember together what hooks keep with `store: redis`"},
    {"smtpservers", TOP, MX_TYPE_SERVERS, MX_UNIT_NONE, RELOAD, SMTP, 0, "[]", "smtpserver", NULL,
     NOWHERE,
     "SMTP servers, a list of maps"},
    {"lmtpservers", TOP, MX_TYPE_SERVERS, MX_UNIT_NONE, RELOAD, LMTP, 0, "[]", "lmtpserver", NULL,
     NOWHERE,
     "LMTP servers, a list of maps"},

    {"workers", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 1024, "auto", "ioWorkerCount",
     words_workers, CONF(engine.workers),
     "worker threads; auto: the CPUs in the affinity mask of the process"},
    {"batchWait", ENGINE, MX_TYPE_DURATION, MX_UNIT_MICROSECOND, 0, 1, 10000, "auto", NULL,
     words_batch_wait, CONF(engine.batch_wait_us),
     "how long a worker may wait for more work before it wakes; auto: only when busy"},
    {"allowOpenRelay", ENGINE, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", NULL, NULL,
     CONF(engine.allow_open_relay),
     "start although everybody may relay"},
    {"maxConnections", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 0, 1000000, "65536", NULL, NULL,
     CONF(engine.max_connections),
     "connections of the whole process; 0: as many as its descriptors allow"},
    {"recvBuffers", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, POW2, 16, 32768, "512", NULL, NULL,
     CONF(engine.recv_buffers),
     "receive buffers of each worker"},
    {"recvBufferSize", ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 4 * K, 64 * K, "16K", NULL, NULL,
     CONF(engine.recv_buffer_octets),
     "size of a receive buffer"},
    {"sessionMemory", ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 4 * M, 64 * G, "64M", NULL, NULL,
     CONF(engine.session_memory_octets),
     "memory of each worker for replies, unfinished lines and envelopes"},
    {"maxUnsent", ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 4 * K, 1 * M, "64K",
     "highWriteBufferWaterMark", NULL, CONF(engine.max_unsent_octets),
     "replies a client may leave unread before reading from it pauses"},
    {"drainTimeout", ENGINE, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 0, 3600000, "30s", NULL,
     NULL, CONF(engine.drain_timeout_ms),
     "how long transactions that were begun may finish after SIGTERM"},
    {"directDescriptors", ENGINE, MX_TYPE_BOOL, MX_UNIT_NONE, 0, 0, 1, "true", NULL, NULL,
     CONF(engine.use_direct),
     "use direct descriptors where the kernel can"},
    {"handOver", ENGINE, MX_TYPE_BOOL, MX_UNIT_NONE, 0, 0, 1, "true", NULL, NULL,
     CONF(engine.use_hand_over),
     "hand a new connection to the worker with the fewest"},
    MX_SCHEMA_POLICY_ROWS
    {"scanMemory", ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 1 * M, 64 * G, "64M", NULL, NULL,
     CONF(engine.scan_memory_octets),
     "messages that are shown to scanners (milter, rspamd, spamd); shared out among the workers, "
     "touched as it is used. Without room for a message the hook's onFailure decides"},
    {"scanConversations", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 65536, "1024", NULL, NULL,
     CONF(engine.scan_talks),
     "with scanners at a time, those that wait for a connection included; beyond it the hook's "
     "onFailure decides"},
    {"helperThreads", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 64, "auto", NULL,
     words_workers, CONF(engine.helper_threads),
     "threads beside the workers that compute password hashes; auto: one for two CPUs"},
    {"tlsMemory", ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 4 * M, 64 * G, "256M", NULL, NULL,
     CONF(engine.tls_memory_octets),
     "memory of a worker for its TLS sessions; whoever begins one beyond 7/8 of it is refused"},
    {"tlsTicketKeyFile", ENGINE, MX_TYPE_PATH, MX_UNIT_NONE, NULLS | BESIDE, 1, 4096, "null", NULL, NULL,
     CONF(engine.tls_ticket_key_path),
     "file with 32 octets or more that keys of session tickets are made from, for tickets that "
     "outlive the process and that other servers can read; null: random keys"},
    {"helperQueue", ENGINE, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 65536, "256", NULL, NULL,
     CONF(engine.helper_queue),
     "logins that may wait for them; whoever comes then gets 454"},
    {"user", ENGINE, MX_TYPE_TEXT, MX_UNIT_NONE, NULLS, 1, 32, "null", NULL, NULL,
     CONF(engine.user),
     "user of the system to become, with its groups, when all addresses are bound"},

    {"level", LOG, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "info", NULL, words_level,
     CONF(log.level),
     "the least important lines that are written"},
    {"format", LOG, MX_TYPE_WORD, MX_UNIT_NONE, 0, 0, 0, "logfmt", NULL, words_format,
     CONF(log.format),
     "form of the lines"},
    {"queue", LOG, MX_TYPE_SIZE, MX_UNIT_OCTET, POW2, 4 * K, 64 * M, "256K", NULL, NULL,
     CONF(log.queue_octets),
     "waiting lines of each worker; what is beyond is dropped and counted"},

    {"durability", SPOOL, MX_TYPE_WORD, MX_UNIT_NONE, 0, 0, 0, "fsync", NULL, words_durability,
     CONF(durability),
     "what a 250 promises: fsync, the message is on the device; write, the kernel has it; none, "
     "nothing: it is counted and thrown away"},
    {"directory", SPOOL, MX_TYPE_PATH, MX_UNIT_NONE, 0, 1, 4000, "/var/spool/mxring", NULL, NULL,
     CONF(spool_directory),
     "directory of the spool; made when its parent exists"},
    {"secondDirectory", SPOOL, MX_TYPE_PATH, MX_UNIT_NONE, NULLS, 1, 4000, "null", NULL, NULL,
     CONF(spool_second),
     "on another device: takes over while the first one fails or is full"},
    {"segmentSize", SPOOL, MX_TYPE_SIZE, MX_UNIT_OCTET, POW2, 4 * M, G, "64M", NULL, NULL,
     CONF(spool_segment_octets),
     "size of the files that mail is written to; some are made ahead for each worker"},
    {"syncMode", SPOOL, MX_TYPE_WORD, MX_UNIT_NONE, 0, 0, 0, "auto", NULL, words_sync,
     CONF(sync_mode),
     "how batches get durable: each write by itself, or by one fdatasync behind several"},
    {"reserve", SPOOL, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 0, 1024 * G, "512M", NULL, NULL,
     CONF(spool_reserve_octets),
     "left free on each disk of the spool: below it MAIL is answered 452"},
    {"compactBelow", SPOOL, MX_TYPE_NUMBER, MX_UNIT_PERCENT, 0, 0, 50, "10%", NULL, NULL,
     CONF(spool_compact_below),
     "a segment of which no more is waited for is copied without the rest; when a disk is full, any "
     "of which half is not; 0%: never"},
    {"compactAfter", SPOOL, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, MS_MAX, "900s", NULL, NULL,
     CONF(spool_compact_after_ms),
     "but not before it was full for so long: most mail that is late goes by itself"},

    {"servers", DNS, MX_TYPE_ADDRESSES, MX_UNIT_NONE, 0, 0, MX_CONF_ADDRESSES_MAX, "[]", NULL, NULL,
     CONF(dns.servers),
     "resolvers, ADDRESS or ADDRESS:PORT; none: those of /etc/resolv.conf at the start. Best one on "
     "this machine: DNS has no protection against forged answers on the way"},
    {"timeout", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 100, 60000, "2s", NULL, NULL,
     CONF(dns.timeout_ms),
     "how long one try at a server waits"},
    {"attempts", DNS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 10, "2", NULL, NULL, CONF(dns.attempts),
     "tries at each server that does not answer; one that answers with an error is left at once"},
    {"deadline", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 100, 300000, "10s", NULL, NULL,
     CONF(dns.deadline_ms),
     "how long a look-up may take as a whole; then nobody can say"},
    {"maxLookups", DNS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 32768, "16384", NULL, NULL,
     CONF(dns.max_lookups),
     "look-ups under way; what is asked beyond them, nobody can say"},
    {"maxQuestions", DNS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 1000000, "65536", NULL, NULL,
     CONF(dns.max_questions),
     "questions that wait; those who ask for the same share a look-up"},
    {"cacheSize", DNS, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 0, 16 * G, "16M", NULL, NULL,
     CONF(dns.cache_octets),
     "memory for answers; 0: none are kept"},
    {"minTtl", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, MS_MAX, "1s", NULL, NULL,
     CONF(dns.min_ttl_ms),
     "an answer is kept at least so long"},
    {"maxTtl", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, MS_MAX, "1h", NULL, NULL,
     CONF(dns.max_ttl_ms),
     "... and at most so long, whatever its TTL is"},
    {"maxNegativeTtl", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, MS_MAX, "15m", NULL, NULL,
     CONF(dns.max_negative_ttl_ms),
     "the same for names that do not exist or have no such record (RFC 2308)"},
    {"failureTtl", DNS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, 300000, "5s", NULL, NULL,
     CONF(dns.failure_ttl_ms),
     "how long it is remembered that nobody could say; 0: not at all"},

    MX_SCHEMA_REDIS_ROWS

    {"enabled", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "@enabled", NULL,
     SERVER(enabled),
     "false: not started, and most mistakes in the entry are only warnings"},
    {"bind", SMTP, MX_TYPE_BINDS, MX_UNIT_NONE, RELOAD, 1, 64, "0.0.0.0:25", "bind", NULL, NOWHERE,
     "addresses with ports; numeric or localhost; port 0 picks one"},
    {"bind", LMTP, MX_TYPE_BINDS, MX_UNIT_NONE, RELOAD, 1, 64, "0.0.0.0:24", "bind", NULL, NOWHERE,
     "addresses with ports; numeric or localhost; port 0 picks one"},
    {"name", SMTP, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 64, "smtpserver", "jmxName", NULL,
     SERVER(name),
     "name in the log and the metrics"},
    {"name", LMTP, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD, 1, 64, "lmtpserver", "jmxName", NULL,
     SERVER(name),
     "name in the log and the metrics"},
    {"connectionBacklog", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 1, 65535, "200",
     "connectionBacklog", NULL, SERVER(connection_backlog),
     "connections that wait to be accepted"},
    {"connectionTimeout", BOTH, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 0, MS_MAX, "300s",
     "connectiontimeout", NULL, SERVER(connection_timeout_ms),
     "silence before 421 and close; 0: none"},
    {"dataTimeout", BOTH, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 0, MS_MAX, "600s", NULL, NULL,
     SERVER(data_timeout_ms),
     "the same while content is received; 0: none"},
    {"minDataRate", BOTH, MX_TYPE_NUMBER, MX_UNIT_OCTET, RELOAD, 0, 50000000, "100", NULL, NULL,
     SERVER(min_data_rate),
     "least octets per second of a message's content, over each minute; 0: none"},
    {"connectionLimit", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, COUNT_MAX, "0",
     "connectionLimit", NULL, SERVER(connection_limit),
     "connections of this server; 0: no limit"},
    {"connectionLimitPerIP", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, COUNT_MAX, "0",
     "connectionLimitPerIP", NULL, SERVER(connection_limit_per_ip),
     "connections of one client address; 0: no limit"},
    {"helloName", BOTH, MX_TYPE_HELLO, MX_UNIT_NONE, RELOAD, 1, 253, "auto", "helloName", NULL,
     SERVER(hello_name),
     "name in greeting, replies and Received; auto: the name of the machine"},
    {"maxMessageSize", BOTH, MX_TYPE_SIZE, MX_UNIT_KIB, RELOAD, 0, 1024 * G, "100M",
     "maxmessagesize", words_size, SERVER(max_message_octets),
     "largest message; 0 or unlimited: no limit"},
    {"maxLineLength", BOTH, MX_TYPE_LENGTH, MX_UNIT_OCTET, RELOAD | ZERO, 1000, 1048576,
     "8192", "maxLineLength", NULL, SERVER(max_line_octets),
     "longest command line without its end; 0: no limit but 1048576"},
    {"maxDataLineLength", BOTH, MX_TYPE_LENGTH, MX_UNIT_OCTET, RELOAD, 0, COUNT_MAX, "0", NULL,
     NULL, SERVER(max_data_line_octets),
     "longest line of content; 0: no limit"},
    {"maxRecipients", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, COUNT_MAX, "1000", NULL, NULL,
     SERVER(max_recipients),
     "recipients of a message; 0: no limit"},
    {"maxErrors", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, COUNT_MAX, "100", NULL, NULL,
     SERVER(max_errors),
     "refused commands of a session before 421 and close; 0: no limit"},
    {"maxTransactions", BOTH, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, COUNT_MAX, "0", NULL, NULL,
     SERVER(max_transactions),
     "messages of a session; 0: no limit"},
    {"maxAuthFailures", SMTP, MX_TYPE_NUMBER, MX_UNIT_NONE, RELOAD, 0, 65534, "20", NULL, NULL,
     SERVER(max_auth_failures),
     "failed logins of a session before 421 and close; 0: no limit"},
    {"heloEhloEnforcement", SMTP, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true",
     "heloEhloEnforcement", NULL, SERVER(helo_ehlo_enforcement),
     "MAIL needs HELO or EHLO before it"},
    {"addressBracketsEnforcement", SMTP, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true",
     "addressBracketsEnforcement", NULL, SERVER(address_brackets_enforcement),
     "addresses need angle brackets"},
    {"bareLfCommands", BOTH, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "accept", NULL,
     words_bare_lf, SERVER(bare_lf_commands_refused),
     "command lines that end in LF without CR"},
    {"compatTexts", BOTH, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "none", NULL, words_compat,
     SERVER(has_james_texts),
     "james: its greeting, HELO reply and Received, and its silence above connectionLimit and "
     "the like"},
    {"smtpUtf8", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", NULL, NULL,
     SERVER(smtp_utf8),
     "announce and accept SMTPUTF8"},
    {"gracefulShutdown", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "gracefulShutdown",
     NULL, SERVER(graceful_shutdown),
     "let transactions finish at the end"},
    {"smtpGreeting", SMTP, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD | NULLS, 1, 500, "null",
     "smtpGreeting", NULL, SERVER(greeting),
     "text of the greeting behind 220"},
    {"lmtpGreeting", LMTP, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD | NULLS, 1, 500, "null",
     "lmtpGreeting", NULL, SERVER(greeting),
     "text of the greeting behind 220"},
    {"disabledFeatures", BOTH, MX_TYPE_FEATURES, MX_UNIT_NONE, RELOAD, 0, 0, "[]",
     "disabledFeatures", words_features, SERVER(hidden_features),
     "EHLO lines that are not shown"},
    {"authorizedAddresses", SMTP, MX_TYPE_NETWORKS, MX_UNIT_NONE, RELOAD, 0, 0, "[]",
     "authorizedAddresses", NULL, SERVER(authorized_addresses),
     "networks that may relay; none: nobody may; see *Open relays*"},
    {"proxyRequired", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "proxyRequired",
     NULL, SERVER(proxy_required),
     "a PROXY header (version 1 or 2) names the client; without one the connection is closed"},
    {"proxyFirst", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true", "proxyFirst", NULL,
     SERVER(proxy_first),
     "the PROXY header comes before the handshake of tls.socketTLS, not inside"},
    {"proxyFrom", BOTH, MX_TYPE_NETWORKS, MX_UNIT_NONE, RELOAD, 0, 0, "[]", NULL, NULL,
     SERVER(proxy_from),
     "proxies that may connect when proxyRequired is set; none: everybody"},
    {"proxyCountsClients", BOTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", NULL, NULL,
     SERVER(proxy_counts_clients),
     "connectionLimitPerIP counts the clients behind the proxies, not the proxies"},
    {"verifyIdentity", SMTP, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "strict", "verifyIdentity",
     words_identity, SERVER(verify_identity),
     "who may send as whom; see *Identity*"},
    {"coreHandlers", BOTH, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "core", "coreHandlersPackage",
     words_core, SERVER(core_handlers),
     "the set of built-in commands"},
    {"tls", BOTH, MX_TYPE_SECTION, MX_UNIT_NONE, 0, TLS, 0, NULL, "tls", NULL, NOWHERE,
     "encryption"},
    {"auth", SMTP, MX_TYPE_SECTION, MX_UNIT_NONE, 0, AUTH, 0, NULL, "auth", NULL, NOWHERE,
     "logging in; needs users"},
    {"handlerchain", BOTH, MX_TYPE_CHAIN, MX_UNIT_NONE, RELOAD, 0, 0, NULL, "handlerchain", NULL,
     NOWHERE,
     "mandatory; []: the core handlers only; else hooks in the order they are asked; see *Hooks*"},

    {"socketTLS", TLS, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "tls@socketTLS", NULL,
     SERVER(tls.is_implicit),
     "TLS from the first octet on (RFC 8314); not together with startTLS"},
    {"startTLS", TLS, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "tls@startTLS", NULL,
     SERVER(tls.has_starttls),
     "the command STARTTLS (RFC 3207)"},
    {"privateKey", TLS, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4096, "null", "tls.privateKey",
     NULL, SERVER(tls.key_path),
     "PEM file with the key of the certificate; mandatory with either of the two above"},
    {"certificates", TLS, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4096, "null",
     "tls.certificates", NULL, SERVER(tls.chain_path),
     "PEM file with the certificate, then those that lead to its root; mandatory likewise"},
    {"secret", TLS, MX_TYPE_TEXT, MX_UNIT_NONE, RELOAD | NULLS | SECRET, 1, 1024, "null",
     "tls.secret", NULL, SERVER(tls.secret),
     "password of the key, or file:PATH of a file with it"},
    {"more", TLS, MX_TYPE_CERTIFICATES, MX_UNIT_NONE, RELOAD, 0, MX_CONF_CERTIFICATES_MAX, "[]",
     NULL, NULL, SERVER(tls.more),
     "other certificates for names that clients ask for (SNI): maps of names (a list; absent: those "
     "in the certificate), privateKey, certificates, secret"},
    {"supportedProtocols", TLS, MX_TYPE_FEATURES, MX_UNIT_NONE, RELOAD, 0, 0, "TLSv1.2, TLSv1.3",
     "tls.supportedProtocols", words_protocols, SERVER(tls.protocols),
     "versions of TLS"},
    {"supportedCipherSuites", TLS, MX_TYPE_CIPHERS, MX_UNIT_NONE, RELOAD, 0, 0, "[]",
     "tls.supportedCipherSuites", mx_conf_ciphers_words, SERVER(tls.ciphers),
     "cipher suites, the best first, by IANA's name or OpenSSL's; none: those with AEAD and forward "
     "secrecy"},
    {"clientAuth", TLS, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "none", "tls.clientAuth",
     words_client_auth, SERVER(tls.client_auth),
     "certificates of clients: wanted: a wrong one ends the session; required: so does a missing one"},
    {"truststore", TLS, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4096, "null",
     "tls.clientAuth.truststore", NULL, SERVER(tls.trust_path),
     "PEM file with the authorities of clients' certificates"},
    {"enableOCSPCRLChecks", TLS, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false",
     "tls.enableOCSPCRLChecks", NULL, SERVER(tls.checks_revocation),
     "clients' certificates that revocationLists names are refused; needs it, since no worker asks "
     "other servers"},
    {"revocationLists", TLS, MX_TYPE_PATH, MX_UNIT_NONE, RELOAD | NULLS | BESIDE, 1, 4096, "null", NULL, NULL,
     SERVER(tls.revocations_path),
     "file with a CRL, PEM or DER, of every authority in truststore"},
    {"sessionTimeout", TLS, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD | ZERO, 60000, 604800000,
     "24h", "tls.sessionCache.timeout", NULL, SERVER(tls.session_timeout_ms),
     "how long a session may be resumed, by tickets that all workers can read; 0: never, as always "
     "with clientAuth"},
    {"handshakeTimeout", TLS, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 1000, 600000, "10s", NULL,
     NULL, SERVER(tls.handshake_timeout_ms),
     "a handshake that lasts longer is ended"},

    {"announce", AUTH, MX_TYPE_WORD, MX_UNIT_NONE, RELOAD, 0, 0, "never", "auth.announce",
     words_announce, SERVER(auth.announce),
     "who is shown AUTH in the answer to EHLO; whoever is not may use it all the same"},
    {"required", AUTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "auth.required", NULL,
     SERVER(auth.is_required),
     "MAIL only for those who are logged in or in authorizedAddresses"},
    {"requireSSL", AUTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "false", "auth.requireSSL", NULL,
     SERVER(auth.is_ssl_required),
     "AUTH only under TLS: before it, neither shown nor accepted"},
    {"plainAuthEnabled", AUTH, MX_TYPE_BOOL, MX_UNIT_NONE, RELOAD, 0, 1, "true",
     "auth.plainAuthEnabled", NULL, SERVER(auth.is_plain_enabled),
     "LOGIN and PLAIN may be used"},
    {"saslMechanisms", AUTH, MX_TYPE_MECHANISMS, MX_UNIT_NONE, RELOAD, 0, 0,
     "LOGIN, PLAIN, SCRAM-SHA-256", "auth.saslMechanisms", words_mechanisms,
     SERVER(auth.mechanisms),
     "mechanisms in the order in which EHLO shows them; what the users cannot be served is left "
     "out"},
    {"failureDelay", AUTH, MX_TYPE_DURATION, MX_UNIT_SECOND, RELOAD, 0, 60000, "0",
     "verifyFailureDelay", NULL, SERVER(auth.failure_delay_ms),
     "how long the answer to a failed login waits"},
};
/* clang-format on */
const size_t mx_schema_count = sizeof mx_schema / sizeof *mx_schema;
_Static_assert(sizeof mx_schema / sizeof *mx_schema <= MX_ROWS_MAX, "raise MX_ROWS_MAX");
