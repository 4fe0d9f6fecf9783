/* schema_policy.h - the rows of what hooks remember, here and in Redis: parts of mx_schema. Private
 * to schema.c.
 */
#pragma once

/* clang-format off */
#define MX_SCHEMA_POLICY_ROWS                                                                      \
    {"policyMemory", MX_SECTION_ENGINE, MX_TYPE_SIZE, MX_UNIT_OCTET, 0, 1 << 20, INT64_C(64) << 30,\
     "16M", NULL, NULL, CONF(engine.policy_memory_octets),                                         \
     "what hooks remember of clients beyond a connection; touched as it is used"},                 \
    {"policyFile", MX_SECTION_ENGINE, MX_TYPE_PATH, MX_UNIT_NONE,                                  \
     MX_ROW_NULLABLE, 1, 4000, "null", NULL, NULL, CONF(engine.policy_path),       \
     "file that it is kept in for the next start; null: `policy` in spool.directory, when mail is kept"}, \
    {"policySave", MX_SECTION_ENGINE, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 0, 86400000, "60s",     \
     NULL, NULL, CONF(engine.policy_save_ms),                                                      \
     "how often it is written, and at the end; 0: never, and it is not read"},

#define MX_SCHEMA_REDIS_ROWS                                                                       \
    {"server", MX_SECTION_REDIS, MX_TYPE_TEXT, MX_UNIT_NONE, MX_ROW_NULLABLE, 2, 60, "null", NULL, \
     NULL, CONF(redis.server),                                                                     \
     "a Redis server that gateways share, ADDRESS or ADDRESS:PORT (6379); null: there is none. The " \
     "connection is not encrypted: have it on this machine, or a tunnel"},                         \
    {"user", MX_SECTION_REDIS, MX_TYPE_TEXT, MX_UNIT_NONE, MX_ROW_NULLABLE, 1, 128, "null", NULL,  \
     NULL, CONF(redis.user), "user to log in as; null: the default one"},                          \
    {"password", MX_SECTION_REDIS, MX_TYPE_SECRETS, MX_UNIT_NONE, 0, 1, 511, "[]", NULL, NULL,     \
     CONF(redis.password), "its password; none: nobody logs in"},                                  \
    {"database", MX_SECTION_REDIS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 0, 65535, "0", NULL, NULL,     \
     CONF(redis.database), "number of the database"},                                              \
    {"prefix", MX_SECTION_REDIS, MX_TYPE_TEXT, MX_UNIT_NONE, 0, 1, 64, "mxring:", NULL, NULL,  \
     CONF(redis.prefix), "what the names of all keys begin with; gateways with the same share them"}, \
    {"timeout", MX_SECTION_REDIS, MX_TYPE_DURATION, MX_UNIT_SECOND, 0, 10, 60000, "250ms", NULL,   \
     NULL, CONF(redis.timeout_ms),                                                                 \
     "how long a connection or an answer may take; then nobody can say, and no other question waits " \
     "for the next quarter of a second"},                                                          \
    {"connections", MX_SECTION_REDIS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 64, "4", NULL, NULL,     \
     CONF(redis.connections), "connections, each with a thread of its own"},                       \
    {"maxQuestions", MX_SECTION_REDIS, MX_TYPE_NUMBER, MX_UNIT_NONE, 0, 1, 65536, "4096", NULL,    \
     NULL, CONF(redis.max_questions), "questions that wait; what is asked beyond, nobody can say"},
/* clang-format on */
