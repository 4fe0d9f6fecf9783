/* Goal: numbers, sizes, durations and networks are read and written exactly as documented.
 * Method: tables; each result is compared, each text that was written is read again. */
#include "config/size.h"

#include <criterion/criterion.h>
#include <errno.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))

struct number_case {
    const char *name, *in;
    int err;
    int64_t value;
};

static void expect(const struct number_case *row, int err, int64_t value) {
    cr_expect_eq(err, row->err, "%s: error %d instead of %d", row->name, err, row->err);
    if (err == 0)
        cr_expect_eq(value, row->value, "%s: %ld", row->name, (long)value);
}

Test(size, numbers) {
    static const struct number_case cases[] = {
        {"zero",                      "0",                          0,          0        },
        {"plain",                     "1000",                       0,          1000     },
        {"leading zeros are decimal", "010",                        0,          10       },
        {"largest",                   "9223372036854775807",        0,          INT64_MAX},
        {"too large",                 "9223372036854775808",        -ERANGE,    0        },
        {"far too large",             "99999999999999999999999999", -ERANGE,    0        },
        {"negative",                  "-5",                         -ERANGE,    0        },
        {"empty",                     "",                           MX_ESYNTAX, 0        },
        {"minus alone",               "-",                          MX_ESYNTAX, 0        },
        {"plus",                      "+5",                         MX_ESYNTAX, 0        },
        {"fraction",                  "1.5",                        MX_ESYNTAX, 0        },
        {"hexadecimal",               "0x10",                       MX_ESYNTAX, 0        },
        {"blank before",              " 5",                         MX_ESYNTAX, 0        },
        {"unit",                      "5K",                         MX_ESYNTAX, 0        },
        {"too large with rubbish",    "99999999999999999999x",      MX_ESYNTAX, 0        },
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        int64_t value = -1;
        int err = mx_size_number(mx_span_of(cases[i].in), &value);
        expect(&cases[i], err, value);
        cr_expect(err == 0 || value == -1, "%s: output touched on error", cases[i].name);
    }
}

Test(size, octets) {
    static const struct number_case cases[] = {
        {"bare takes the unit",       "3",                    0,          3072               },
        {"zero",                      "0",                    0,          0                  },
        {"octets",                    "3B",                   0,          3                  },
        {"kilo",                      "64K",                  0,          65536              },
        {"lower case",                "64k",                  0,          65536              },
        {"mega",                      "10M",                  0,          10485760           },
        {"giga",                      "2g",                   0,          INT64_C(2147483648)},
        {"two letters",               "10KB",                 MX_ESYNTAX, 0                  },
        {"tera",                      "1T",                   MX_ESYNTAX, 0                  },
        {"decimals",                  "1.5M",                 MX_ESYNTAX, 0                  },
        {"blank",                     "10 K",                 MX_ESYNTAX, 0                  },
        {"unit alone",                "K",                    MX_ESYNTAX, 0                  },
        {"negative",                  "-1K",                  -ERANGE,    0                  },
        {"overflow by the unit",      "9223372036854775807K", -ERANGE,    0                  },
        {"overflow by the bare unit", "9223372036854775807",  -ERANGE,    0                  },
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        int64_t value = -1;
        int err = mx_size_octets(mx_span_of(cases[i].in), 1024, &value);
        expect(&cases[i], err, value);
    }
}

Test(size, durations) {
    static const struct number_case cases[] = {
        {"bare takes the unit",     "300",                  0,          300000000            },
        {"microseconds",            "100us",                0,          100                  },
        {"milliseconds",            "10ms",                 0,          10000                },
        {"seconds",                 "300s",                 0,          300000000            },
        {"minutes",                 "5m",                   0,          300000000            },
        {"hours",                   "1h",                   0,          INT64_C(3600000000)  },
        {"days",                    "1d",                   0,          INT64_C(86400000000) },
        {"weeks",                   "1w",                   0,          INT64_C(604800000000)},
        {"long form",               "2 minutes",            0,          120000000            },
        {"long form without blank", "30sec",                0,          30000000             },
        {"upper case is ambiguous", "5M",                   MX_ESYNTAX, 0                    },
        {"unknown unit",            "5y",                   MX_ESYNTAX, 0                    },
        {"blank behind",            "5 ",                   MX_ESYNTAX, 0                    },
        {"decimals",                "0.5s",                 MX_ESYNTAX, 0                    },
        {"empty",                   "",                     MX_ESYNTAX, 0                    },
        {"negative",                "-1s",                  -ERANGE,    0                    },
        {"overflow",                "9223372036854775807w", -ERANGE,    0                    },
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        int64_t value = -1;
        int err = mx_size_duration(mx_span_of(cases[i].in), 1000000, &value);
        expect(&cases[i], err, value);
    }
}

Test(size, texts_are_exact_and_read_again) {
    static const struct {
        const char *name;
        int64_t value;
        const char *octets, *duration;
    } cases[] = {
        {"zero",           0,                "0",                    "0"                    },
        {"one",            1,                "1B",                   "1us"                  },
        {"no whole unit",  1500,             "1500B",                "1500us"               },
        {"thousand",       1000,             "1000B",                "1ms"                  },
        {"kilo",           1024,             "1K",                   "1024us"               },
        {"million",        1000000,          "1000000B",             "1s"                   },
        {"giga",           INT64_C(1) << 30, "1G",                   "1073741824us"         },
        {"more than giga", INT64_C(1) << 40, "1024G",                "1099511627776us"      },
        {"largest",        INT64_MAX,        "9223372036854775807B", "9223372036854775807us"},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        char text[MX_SIZE_TEXT_MAX];
        int64_t again = -1;
        mx_size_octets_text(cases[i].value, text);
        cr_expect_str_eq(text, cases[i].octets, "%s: %s", cases[i].name, text);
        cr_expect_eq(mx_size_octets(mx_span_of(text), 1, &again), 0, "%s", cases[i].name);
        cr_expect_eq(again, cases[i].value, "%s", cases[i].name);
        mx_size_duration_text(cases[i].value, text);
        cr_expect_str_eq(text, cases[i].duration, "%s: %s", cases[i].name, text);
        cr_expect_eq(mx_size_duration(mx_span_of(text), 1, &again), 0, "%s", cases[i].name);
        cr_expect_eq(again, cases[i].value, "%s", cases[i].name);
    }
}

Test(size, networks) {
    static const struct {
        const char *name, *in, *out; /* out NULL: refused */
    } cases[] = {
        {"address",                    "1.2.3.4",                      "1.2.3.4/32"        },
        {"prefix",                     "1.2.3.0/24",                   "1.2.3.0/24"        },
        {"host bits go",               "1.2.3.4/24",                   "1.2.3.0/24"        },
        {"prefix inside an octet",     "10.1.2.255/22",                "10.1.0.0/22"       },
        {"everything",                 "0.0.0.0/0",                    "0.0.0.0/0"         },
        {"everything with host bits",  "1.2.3.4/0",                    "0.0.0.0/0"         },
        {"mask",                       "1.2.3.0/255.255.255.0",        "1.2.3.0/24"        },
        {"mask of nothing",            "1.2.3.0/0.0.0.0",              "0.0.0.0/0"         },
        {"mask of all",                "1.2.3.4/255.255.255.255",      "1.2.3.4/32"        },
        {"mask with holes",            "1.2.3.0/255.0.255.0",          NULL                },
        {"mask upside down",           "1.2.3.0/0.0.0.255",            NULL                },
        {"wildcard 8",                 "127.*",                        "127.0.0.0/8"       },
        {"wildcard 16",                "10.1.*",                       "10.1.0.0/16"       },
        {"wildcard 24",                "10.1.2.*",                     "10.1.2.0/24"       },
        {"wildcard everything",        "*",                            "0.0.0.0/0"         },
        {"wildcard too long",          "1.2.3.4.*",                    NULL                },
        {"wildcard without dot",       "1*",                           NULL                },
        {"wildcard twice",             "10.*.*",                       NULL                },
        {"wildcard octet too large",   "256.*",                        NULL                },
        {"wildcard in IPv6",           "2001:*",                       NULL                },
        {"localhost",                  "localhost",                    "127.0.0.1/32"      },
        {"localhost with prefix",      "localhost/8",                  "127.0.0.0/8"       },
        {"host name",                  "example.com/8",                NULL                },
        {"IPv6",                       "2001:db8::1",                  "2001:db8::1/128"   },
        {"IPv6 prefix",                "2001:db8::1/32",               "2001:db8::/32"     },
        {"IPv6 odd prefix",            "2001:db8:ffff::/35",           "2001:db8:e000::/35"},
        {"IPv6 everything",            "::/0",                         "::/0"              },
        {"IPv6 mask",                  "2001:db8::/255.255.0.0",       NULL                },
        {"IPv6 with percent",          "2001:db8::%32",                NULL                },
        {"mapped",                     "::ffff:10.1.2.3",              "10.1.2.3/32"       },
        {"mapped prefix",              "::ffff:10.1.2.3/104",          "10.0.0.0/8"        },
        {"mapped, prefix leaves IPv4", "::ffff:10.1.2.3/95",           NULL                },
        {"prefix too long",            "1.2.3.4/33",                   NULL                },
        {"IPv6 prefix too long",       "::1/129",                      NULL                },
        {"prefix missing",             "1.2.3.4/",                     NULL                },
        {"prefix negative",            "1.2.3.4/-1",                   NULL                },
        {"prefix huge",                "1.2.3.4/99999999999999999999", NULL                },
        {"two prefixes",               "1.2.3.4/8/8",                  NULL                },
        {"short address",              "1.2.3",                        NULL                },
        {"empty",                      "",                             NULL                },
        {"slash",                      "/",                            NULL                },
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct mx_conf_network network, again;
        char text[MX_NETWORK_TEXT_MAX];
        int err = mx_size_network(mx_span_of(cases[i].in), &network);
        cr_expect_eq(err, cases[i].out ? 0 : MX_ESYNTAX, "%s: %d", cases[i].name, err);
        if (err < 0 || !cases[i].out)
            continue;
        mx_size_network_text(&network, text);
        cr_expect_str_eq(text, cases[i].out, "%s: %s", cases[i].name, text);
        cr_expect_eq(mx_size_network(mx_span_of(text), &again), 0, "%s", cases[i].name);
        cr_expect_arr_eq(&again, &network, sizeof again, "%s", cases[i].name);
    }
}
