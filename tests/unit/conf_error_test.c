/* Goal: each wrong file is refused with the documented text at the exact place, all problems at
 * once, and hostile files cost bounded time and memory.
 * Method: tables of texts with line, column and message; bombs are built in memory. */
#include "config/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

static struct mx_conf_report report;

struct error_case {
    const char *name, *text;
    uint32_t line, column;
    const char *message; /* the whole message; its begin when it ends in "..." */
};

static bool is_message(const char *text, const char *wanted) {
    size_t len = strlen(wanted);
    bool is_begin = len > 3 && strcmp(wanted + len - 3, "...") == 0;
    return is_begin ? strncmp(text, wanted, len - 3) == 0 : strcmp(text, wanted) == 0;
}

static void expect_problem(const struct error_case *row, const struct mx_conf_problem *problem) {
    cr_expect_eq(problem->line, row->line, "%s: line %u", row->name, problem->line);
    cr_expect_eq(problem->column, row->column, "%s: column %u", row->name, problem->column);
    cr_expect(is_message(problem->text, row->message), "%s: %s", row->name, problem->text);
}

static void expect_error(const struct error_case *row) {
    struct mx_conf *conf = NULL;
    int err = mx_conf_parse(row->text, strlen(row->text), false, &conf, &report);
    cr_expect_eq(err, MX_ECONFIG, "%s: %d", row->name, err);
    cr_expect_null(conf);
    cr_expect_eq(report.error_count, 1U, "%s: %u errors", row->name, report.error_count);
    cr_assert_eq(report.count, 1U, "%s: %u problems", row->name, report.count);
    expect_problem(row, &report.rows[0]);
    mx_conf_report_free(&report);
}

#define S "smtpservers:\n  - handlerchain: []\n    "
#define L "lmtpservers:\n  - handlerchain: []\n    "

Test(conf_error, keys) {
    static const struct error_case cases[] = {
        {"unknown at the top",    "engin:\n",                             1, 1,
         "unknown key 'engin' in the file; did you mean 'engine'?; valid keys: engine, log, "
         "domains, ..."                                                                                                       },
        {"unknown, nothing near", "spool: {qqqqqqqqqqqq: 1}\n",           1, 9,
         "unknown key 'qqqqqqqqqqqq' in spool; valid keys: durability, directory, "
         "secondDirectory, segmentSize, syncMode, reserve, compactBelow, compactAfter"                                        },
        {"unknown in engine",     "engine:\n  worker: 1\n",               2, 3,
         "unknown key 'worker' in engine; did you mean 'workers'?; valid keys: workers, batchWait, "
         "allowOpenRelay, ..."                                                                                                },
        {"case matters",          S "connectiontimeout: 3\n",             3, 5,
         "unknown key 'connectiontimeout' in smtpservers; did you mean 'connectionTimeout'?"                                  },
        {"James's spelling",      S "jmxName: x\n",                       3, 5,
         "unknown key 'jmxName' in smtpservers; did you mean 'name'?"                                                         },
        {"seed page's spelling",  S "connectBacklog: 1\n",                3, 5,
         "unknown key 'connectBacklog' in smtpservers; did you mean 'connectionBacklog'?"                                     },
        {"merge key",             S "<<: {}\n",                           3, 5,
         "unknown key '<<' in smtpservers; valid keys: enabled, bind, name, connectionBacklog, "
         "..."                                                                                                                },
        {"LMTP, nothing near",    L "qqqqqqqqqqqq: {}\n",                 3, 5,
         "unknown key 'qqqqqqqqqqqq' in lmtpservers; valid keys: enabled, bind, name, ..."                                    },
        {"near a later key",      "fixtures: x\n",                        1, 1,
         "unknown key 'fixtures' in the file; did you mean 'fixture' (not in this version)?; valid "
         "keys: engine, log, ..."                                                                                             },
        {"near a section",        S "tlss: {}\n",                         3, 5,
         "unknown key 'tlss' in smtpservers; did you mean 'tls'?"                                                             },
        {"controls in a key",     "\"a\\tb\\e\": 1\n",                    1, 1,
         "unknown key 'a?b?' in the file; valid keys: engine, log, domains, ..."                                              },
        {"duplicate",             "log:\n  level: info\n  level: warn\n", 3, 3,
         "duplicate key 'level', first in line 2"                                                                             },
        {"duplicate section",     "domains: []\nlog: {}\ndomains: []\n",  3, 1,
         "duplicate key 'domains', first in line 1"                                                                           },
        {"later: delivery",       "delivery: {}\n",                       1, 1,  "'delivery' is not available in this version"},
        {"later: oidc",           S "auth: {oidc: {}}\n",                 3, 12, "'oidc' is not available in this version"    },
        {"SMTP only",             L "authorizedAddresses: 127.*\n",       3, 5,
         "'authorizedAddresses' is not an option of lmtpservers"                                                              },
        {"SMTP only greeting",    L "smtpGreeting: x\n",                  3, 5,
         "'smtpGreeting' is not an option of lmtpservers"                                                                     },
        {"SMTP only later",       L "auth: {}\n",                         3, 5,  "'auth' is not an option of lmtpservers"     },
        {"LMTP only",             S "lmtpGreeting: x\n",                  3, 5,
         "'lmtpGreeting' is not an option of smtpservers"                                                                     },
        {"key is a list",         "? [a]\n: 1\n",                         1, 3,  "a key must be a single word"                },
    };
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_error(&cases[i]);
}

Test(conf_error, types) {
    static const struct error_case cases[] = {
        {"file is a list",            "- a\n",                                         1, 1,  "the file must be a map of keys and values"},
        {"file is a word",            "hello\n",                                       1, 1,  "the file must be a map of keys and values"},
        {"section is a word",         "engine: 5\n",                                   1, 9,  "engine must be a map of keys and values"  },
        {"section is a list",         "log: [a]\n",                                    1, 6,  "log must be a map of keys and values"     },
        {"servers is a map",          "smtpservers: {a: b}\n",                         1, 14, "smtpservers must be a list of maps"       },
        {"server is a word",          "smtpservers: [a]\n",                            1, 15,
         "a server must be a map of keys and values"                                                                                     },
        {"number is a list",          "engine: {workers: [1]}\n",                      1, 19,
         "workers must be a single value, not a list"                                                                                    },
        {"number is a map",           "engine: {workers: {}}\n",                       1, 19,
         "workers must be a single value, not a map"                                                                                     },
        {"no value",                  "engine:\n  workers:\n",                         2, 11, "workers has no value"                     },
        {"null",                      "engine: {workers: null}\n",                     1, 19, "workers has no value"                     },
        {"not a number",              S "maxErrors: ten\n",                            3, 16,
         "maxErrors must be a whole number, not 'ten'"                                                                                   },
        {"not a number nor a word",   "engine: {workers: all}\n",                      1, 19,
         "workers must be a whole number, or auto, not 'all'"                                                                            },
        {"not a size",                S "maxMessageSize: 10KB\n",                      3, 21,
         "maxMessageSize must be a size such as 64K or 10M, or unlimited, not '10KB'"                                                    },
        {"not a duration",            S "dataTimeout: 5M\n",                           3, 18,
         "dataTimeout must be a duration such as 300s or 5m, not '5M'"                                                                   },
        {"fraction of a millisecond", S "dataTimeout: 100us\n",                        3, 18,
         "dataTimeout must be a whole number of milliseconds"                                                                            },
        {"not a boolean",             S "smtpUtf8: maybe\n",                           3, 15,
         "smtpUtf8 must be true or false, not 'maybe'"                                                                                   },
        {"not a word of the table",   "log: {level: loud}\n",                          1, 14,
         "level must be one of error, warn, info, debug, not 'loud'"                                                                     },
        {"batchWait",                 "engine: {batchWait: soon}\n",                   1, 21,
         "batchWait must be a duration such as 300s or 5m, or off, auto, not 'soon'"                                                     },
        {"domain",                    "domains: [a.example, b_c]\n",                   1, 22, "domains: 'b_c' is not a domain name"      },
        {"domain with a dot behind",  "domains: a.example.\n",                         1, 10,
         "domains: 'a.example.' is not a domain name"                                                                                    },
        {"domain that is an address", "domains: [192.0.2.1]\n",                        1, 11,
         "domains: '192.0.2.1' is not a domain name"                                                                                     },
        {"domains is a map",          "domains: {a: b}\n",                             1, 10, "domains must be a list, not a map"        },
        {"default domain",            "defaultDomain: -a\n",                           1, 16,
         "defaultDomain must be a host name, not '-a'"                                                                                   },
        {"hello name",                S "helloName: a..b\n",                           3, 16,
         "helloName must be auto or a host name, not 'a..b'"                                                                             },
        {"greeting with controls",    S "smtpGreeting: \"a\\tb\"\n",                   3, 19,
         "smtpGreeting must be printable ASCII"                                                                                          },
        {"greeting not ASCII",        S "smtpGreeting: \xc3\xa9\n",                    3, 19,
         "smtpGreeting must be printable ASCII"                                                                                          },
        {"greeting empty",            S "smtpGreeting: ''\n",                          3, 19, "smtpGreeting must have 1 to 500 octets"   },
        {"directory with controls",   "spool: {directory: \"a\\nb\"}\n",               1, 20,
         "directory must be printable UTF-8"                                                                                             },
        {"NUL",                       "spool: {directory: \"a\\0b\"}\n",               1, 20, "a NUL character is not allowed"           },
        {"feature",                   S "disabledFeatures: [DSN]\n",                   3, 24,
         "disabledFeatures may hold PIPELINING, ENHANCEDSTATUSCODES, 8BITMIME, CHUNKING, "
         "BINARYMIME, LIMITS, not 'DSN'"                                                                                                 },
        {"network",                   S "authorizedAddresses: [127.*, example.com]\n", 3, 34,
         "authorizedAddresses: 'example.com' is not a network such as 192.0.2.0/24"                                                      },
        {"column in characters",      "domains: [\"\xc3\xa9\", b.example]\n",          1, 11,
         "domains: '?\?' is not a domain name"                                                                                           },
    };
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_error(&cases[i]);
}

Test(conf_error, servers) {
    static const struct error_case cases[] = {
        {"no port",               S "bind: 127.0.0.1\n",                                       3, 11,
         "bind '127.0.0.1' has no port: write ADDRESS:PORT"                                                                                                              },
        {"port",                  S "bind: ['1.2.3.4:25', '1.2.3.4:65536']\n",                 3, 26,
         "bind '1.2.3.4:65536' has a port that is not 0..65535"                                                                                                          },
        {"host name",             S "bind: mx.example.com:25\n",                               3, 11,
         "bind 'mx.example.com:25' is not an address: only numeric ones, [IPv6] in brackets, and "
         "localhost"                                                                                                                                                     },
        {"no address",            S "bind: []\n",                                              3, 11, "bind needs at least one address"                                  },
        {"empty address",         S "bind: \"\"\n",                                            3, 11, "bind needs at least one address"                                  },
        {"commas only",           S "bind: \" , ,\t\"\n",                                      3, 11, "bind needs at least one address"                                  },
        {"empty variable",        L "bind: ${env:MX_TEST_EMPTY}\n",                            3, 11,
         "bind needs at least one address"                                                                                                                               },
        {"empty item",            S "bind: [\"\"]\n",                                          3, 12, "bind '' has no port: write ADDRESS:PORT"                          },
        {"address too long",
         S "bind: 1.2.3.4:00000000000000000000000000000000000000000000000000000025\n",         3, 11,
         "bind '1.2.3.4:00000000000000000000000000000000000000000000000000000025' is not an "
         "address: only numeric ones, [IPv6] in brackets, and localhost"                                                                                                 },
        {"bound twice",           S "bind: ['1.2.3.4:25', '1.2.3.4:25']\n",                    3, 26,
         "bind '1.2.3.4:25' is already used in line 3"                                                                                                                   },
        {"bound by another kind", S "bind: '[::1]:24'\n" L "bind: '[0:0::1]:24'\n",            6, 11,
         "bind '[0:0::1]:24' is already used in line 3"                                                                                                                  },
        {"part of all addresses",
         S "bind: ['1.2.3.4:25', '0.0.0.0:25', '0.0.0.0:26', '[::1]:25']\n",                   3, 12,
         "bind '1.2.3.4:25' is part of '0.0.0.0:25' in line 3"                                                                                                           },
        {"part of a default",     S "name: x\n" L "bind: '127.0.0.1:25'\n",                    6, 11,
         "bind '127.0.0.1:25' is part of '0.0.0.0:25' in line 2"                                                                                                         },
        {"part of all IPv6",      S "bind: '[::]:24'\n" L "bind: '127.0.0.1:24, [::1]:24'\n",  6, 11,
         "bind '[::1]:24' is part of '[::]:24' in line 3"                                                                                                                },
        {"all addresses twice",   S "bind: ['[::]:24', '0.0.0.0:24', '[0::0]:24']\n",          3, 37,
         "bind '[0::0]:24' is already used in line 3"                                                                                                                    },
        {"no chain",              "smtpservers:\n  - bind: 0.0.0.0:25\n",                      2, 5,
         "handlerchain is missing; handlerchain: [] means the core handlers only"                                                                                        },
        {"chain is a word",       "lmtpservers: [{handlerchain: x}]\n",                        1, 30,
         "handlerchain must be a list; [] means the core handlers only"                                                                                                  },
        {"hook",
         "smtpservers:\n  - handlerchain:\n      - MaxRcptHandler: {maxRcp: 3, maxRcpt: 3}\n", 3,
         26,                                                                                          "unknown option 'maxRcp' of MaxRcptHandler; valid options: maxRcpt"},
        {"hook by name",          "lmtpservers: [{handlerchain: [Foo]}]\n",                    1, 31,
         "hook 'Foo' is not available in this version"                                                                                                                   },
        {"core hook",             "lmtpservers: [{handlerchain: [CoreCmdHandlerLoader]}]\n",   1, 31,
         "'CoreCmdHandlerLoader': the core handlers are always there: leave it out"                                                                                      },
        {"hook without users",
         S "name: x\n  - handlerchain: [ValidRcptHandler]\n    bind: 127.0.0.1:26\n",          4, 20,
         "ValidRcptHandler needs users: FILE"                                                                                                                            },
        {"two hooks in one",
         "smtpservers:\n  - handlerchain:\n      - {ValidRcptHandler: {}, Foo: {}}\n",         3, 9,
         "a hook is a name or a map of one name and its options"                                                                                                         },
        {"identity, word",        S "verifyIdentity: loose\n",                                 3, 21,
         "verifyIdentity must be one of strict, relaxed, disabled, not 'loose'"                                                                                          },
    };
    cr_assert_eq(setenv("MX_TEST_EMPTY", "", 1), 0);
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_error(&cases[i]);
}

Test(conf_error, yaml) {
    static const struct error_case cases[] = {
        {"alias",               "domains: [*a]\n",            1, 11, "aliases (*) are not supported: write the value out"},
        {"anchor",              "log: {level: &a info}\n",    1, 14,
         "anchors (&) are not supported: write the value out"                                                            },
        {"tag",                 "log: {level: !!str info}\n", 1, 14, "tags (!) are not supported"                        },
        {"directive",           "%YAML 1.1\n---\n",           1, 1,  "directives (%) are not supported"                  },
        {"later directive",     "---\n...\n%TAG ! x\n---\n",  3, 1,  "directives (%) are not supported"                  },
        {"two documents",       "log: {}\n---\nlog: {}\n",    2, 1,
         "only one YAML document is allowed in the file"                                                                 },
        {"open list",           "domains: [a\n",              2, 1,
         "YAML syntax: did not find expected ',' or ']', while parsing a flow sequence"                                  },
        {"tab",                 "log:\n\tlevel: info\n",      2, 1,  "a tab is not allowed here: indent with blanks"     },
        {"not UTF-8",           "log: {}\na\xff: 1\n",        2, 2,  "invalid leading UTF-8 octet"                       },
        {"control character",   "log: {}\n# \x01\n",          2, 3,  "control characters are not allowed"                },
        {"IPv6 without quotes", S "bind: [::1]:25\n",         3, 12,
         "YAML syntax: did not find expected node content, while parsing a flow node"                                    },
    };
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_error(&cases[i]);
}

Test(conf_error, variables) {
    static const struct error_case cases[] = {
        {"unset",                   "engine:\n  workers: ${env:MX_TEST_UNSET}\n",       2, 12,
         "the environment variable MX_TEST_UNSET is not set"                                                                       },
        {"unset in a list",         "domains: [a.example, '${env:MX_TEST_UNSET}']\n",   1, 22,
         "the environment variable MX_TEST_UNSET is not set"                                                                       },
        {"other kind",              S "name: ${sys:x}\n",                               3, 11, "after ${ only env:NAME} is allowed"},
        {"never closed",            S "name: ${env:MX_TEST_NAME\n",                     3, 11,
         "after ${ only env:NAME} is allowed"                                                                                      },
        {"no name",                 S "name: ${env:}\n",                                3, 11, "after ${ only env:NAME} is allowed"},
        {"bad name",                S "name: ${env:1A}\n",                              3, 11, "after ${ only env:NAME} is allowed"},
        {"value with a reference",  S "name: ${env:MX_TEST_NESTED}\n",                  3, 11,
         "after ${ only env:NAME} is allowed"                                                                                      },
        {"reference put together",  S "name: $${env:MX_TEST_BRACE}\n",                  3, 11,
         "after ${ only env:NAME} is allowed"                                                                                      },
        {"value with controls",     S "name: ${env:MX_TEST_CONTROL}\n",                 3, 11,
         "the environment variable MX_TEST_CONTROL is not printable UTF-8"                                                         },
        {"value too long",          S "name: ${env:MX_TEST_LONG}${env:MX_TEST_LONG}\n", 3, 11,
         "longer than 16384 octets with its environment variables"                                                                 },
        {"value of the wrong type", "engine: {workers: '${env:MX_TEST_NAME}'}\n",       1, 19,
         "workers must be a whole number, or auto, not 'abc'"                                                                      },
    };
    char *huge = calloc(1, 9001);
    cr_assert_not_null(huge);
    memset(huge, 'x', 9000);
    cr_assert_eq(setenv("MX_TEST_NAME", "abc", 1), 0);
    cr_assert_eq(setenv("MX_TEST_NESTED", "${env:MX_TEST_NAME}", 1), 0);
    cr_assert_eq(setenv("MX_TEST_BRACE", "{env:MX_TEST_NAME}", 1), 0);
    cr_assert_eq(setenv("MX_TEST_CONTROL", "a\x1b[31m", 1), 0);
    cr_assert_eq(setenv("MX_TEST_LONG", huge, 1), 0);
    for (size_t i = 0; i < ROWS(cases); i++)
        expect_error(&cases[i]);
    free(huge);
}

#define LABEL     ".xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_NAME LABEL LABEL LABEL LABEL

struct bomb {
    const char *name, *head, *unit; /* %u in unit: a running number */
    uint32_t count;
    const char *message; /* of the first problem */
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put_unit(FILE *stream, const char *unit, uint32_t number) {
    for (; *unit; unit++) {
        if (*unit == '#')
            fprintf(stream, "%u", number);
        else
            putc(*unit, stream);
    }
}

static void expect_bounded(const struct bomb *bomb) {
    char *text = NULL;
    size_t len = 0;
    struct mx_conf *conf = NULL;
    FILE *stream = open_memstream(&text, &len);
    cr_assert_not_null(stream);
    fputs(bomb->head, stream);
    for (uint32_t i = 0; i < bomb->count; i++)
        put_unit(stream, bomb->unit, i);
    fclose(stream);
    double start = seconds();
    int err = mx_conf_parse(text, len, false, &conf, &report);
    double taken = seconds() - start;
    cr_expect_lt(taken, 20.0, "%s: %.1f s", bomb->name, taken);
    cr_expect_leq(report.count, 1000U, "%s", bomb->name);
    cr_expect_eq(err, bomb->message ? MX_ECONFIG : 0, "%s: %d", bomb->name, err);
    if (bomb->message && report.count > 0)
        cr_expect_eq(strncmp(report.rows[0].text, bomb->message, strlen(bomb->message)), 0,
                     "%s: %s", bomb->name, report.rows[0].text);
    mx_conf_free(conf);
    mx_conf_report_free(&report);
    free(text);
}

Test(conf_error, bombs_are_bounded, .timeout = 120) {
    static const struct bomb bombs[] = {
        {"deep lists",          "domains: ",               "[",                 100000,  "nested deeper than 16 levels"    },
        {"deep maps",           "",                        "{a: ",              100000,  "nested deeper than 16 levels"    },
        {"deep block",          "",                        "- ",                100000,  "nested deeper than 16 levels"    },
        {"aliases",             "domains: &a [x]\nlog: [", "*a, ",              50000,   "anchors (&)"                     },
        {"unknown keys",        "",                        "key#: 1\n",         100000,  "unknown key 'key0'"              },
        {"duplicate keys",      "",                        "log: {}\n",         100000,  "duplicate key 'log'"             },
        {"many domains",        "domains:\n",              "- d#.example\n",    150000,  NULL                              },
        {"equal domains",       "domains:\n",              "- d.example\n",     150000,  NULL                              },
        {"too many nodes",      "domains:\n",              "- d\n",             600000,  "more than 524288 keys and values"},
        {"too many items",      "domains:\n",              "- d\n",             300000,
         "domains: more than 262144 items in all lists together"                                                           },
        {"too many words",      S "authorizedAddresses: ", "1.1.1.1,",          300000,
         "authorizedAddresses: more than 262144 items in all lists together"                                               },
        {"long domains",        "domains: ",               "d#" LONG_NAME ",",  62000,
         "domains: more than 14 MiB in all lists together"                                                                 },
        {"words of one string", "domains: ",               "d#.example,",       150000,  NULL                              },
        {"networks",            S "authorizedAddresses: ", "10.#.*,",           256,     NULL                              },
        {"servers",             "smtpservers:\n",          "- {enabled: no}\n", 257,     "more than 256 servers"           },
        {"addresses",           S "bind: ",                "127.0.0.1:#,",      65,      "bind has more than 64 addresses" },
        {"directives",          "",                        "%TAG !#! x\n",      100000,  "directives (%)"                  },
        {"long scalar",         "defaultDomain: ",         "xxxxxxxxxxxxxxxx",  100000,
         "defaultDomain must be a host name"                                                                               },
        {"long key",            "? ",                      "xxxxxxxxxxxxxxxx",  100000,  "unknown key 'xxx"                },
        {"references",          "defaultDomain: ",         "${env:HOME}",       100000,  "longer than 16384 octets"        },
        {"blank lines",         "",                        "\n",                1000000, NULL                              },
    };
    cr_assert_eq(setenv("HOME", "/root", 1), 0);
    for (size_t i = 0; i < ROWS(bombs); i++)
        expect_bounded(&bombs[i]);
}
