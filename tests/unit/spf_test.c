/* spf_test.c - RFC 7208: what a domain's record says of a host. Each case is a row: a record (or
 * one from the zone below), a client, and the result; also what was asked, where that is the point.
 */
#include "tests/unit/spf_zone.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

/* ---- the domain of RFC 7208's appendix A, and what it says of its hosts ---- */

static const struct row example[] = {
    {"example.com",                        "MX",    "mail-a.example.com"                                                  },
    {"example.com",                        "MX",    "mail-b.example.com"                                                  },
    {"example.com",                        "A",     "192.0.2.10"                                                          },
    {"example.com",                        "A",     "192.0.2.11"                                                          },
    {"amy.example.com",                    "A",     "192.0.2.65"                                                          },
    {"bob.example.com",                    "A",     "192.0.2.66"                                                          },
    {"mail-a.example.com",                 "A",     "192.0.2.129"                                                         },
    {"mail-b.example.com",                 "A",     "192.0.2.130"                                                         },
    {"www.example.com",                    "A",     "192.0.2.10"                                                          },
    {"example.org",                        "MX",    "mail-c.example.org"                                                  },
    {"mail-c.example.org",                 "A",     "192.0.2.140"                                                         },
    {"10.2.0.192.in-addr.arpa",            "PTR",   "example.com"                                                         },
    {"65.2.0.192.in-addr.arpa",            "PTR",   "amy.example.com"                                                     },
    {"4.0.0.10.in-addr.arpa",              "PTR",   "bob.example.com"                                                     },
    {"140.2.0.192.in-addr.arpa",           "PTR",   "mail-c.example.org"                                                  },
    {"six.example.com",                    "AAAA",  "2001:db8::1"                                                         },
    {"six.example.com",                    "A",     "192.0.2.77"                                                          },
    {"mx6.example.com",                    "MX",    "six.example.com"                                                     },
    {"null.example",                       "MX",    ""                                                                    },
    {"dead.example.com",                   "ERROR", ""                                                                    },
    {"deadmx.example.com",                 "MX",    "dead.example.com"                                                    },
    {"pass.example",                       "TXT",   "v=spf1 ip4:1.2.3.4 -all"                                             },
    {"soft.example",                       "TXT",   "v=spf1 ~all"                                                         },
    {"neutral.example",                    "TXT",   "v=spf1 ?all"                                                         },
    {"broken.example",                     "TXT",   "v=spf1 ipv4:1.2.3.4"                                                 },
    {"silent.example",                     "A",     "1.2.3.4"                                                             },
    {"two.example",                        "TXT",   "v=spf1 -all"                                                         },
    {"two.example",                        "TXT",   "v=spf1 +all"                                                         },
    {"others.example",                     "TXT",   "something else"                                                      },
    {"others.example",                     "TXT",   "v=spf10 -all"                                                        },
    {"others.example",                     "TXT",   "V=SPF1 +all"                                                         },
    {"others.example",                     "TXT",   "v=spf1-all"                                                          },
    {"exp.example",                        "TXT",   "%{i} may not send as %{s}; see http://%{d}/%{t}?h=%{h}&r=%{r}&c=%{c}"},
    {"badexp.example",                     "TXT",   "%{x}"                                                                },
    {"8bit.example",                       "TXT",   "caf\xc3\xa9"                                                         },
    {"twoexp.example",                     "TXT",   "a"                                                                   },
    {"twoexp.example",                     "TXT",   "b"                                                                   },
    {"badinclude.example",                 "TXT",   "v=spf1 exp=exp.example -all"                                         },
    {"loop.example",                       "TXT",   "v=spf1 include:loop.example -all"                                    },
    {"around.example",                     "TXT",   "v=spf1 redirect=around.example"                                      },
    {"l1.example",                         "TXT",   "v=spf1 include:l2.example ?all"                                      },
    {"l2.example",                         "TXT",   "v=spf1 include:l3.example ?all"                                      },
    {"l3.example",                         "TXT",   "v=spf1 a:amy.example.com ~all"                                       },
    {"red.example",                        "TXT",   "v=spf1 a:%{d}.example.com redirect=x.%{d}"                           },
    {"mobile-users._spf.example.com",      "TXT",   "v=spf1 exists:%{l1r+}.%{d} -all"                                     },
    {"mary.mobile-users._spf.example.com", "A",     "127.0.0.2"                                                           },
    {"4.3.2.1.in-addr._spf.example.com",   "A",     "127.0.0.2"                                                           },
    {"client.pass.example",                "A",     "1.2.3.4"                                                             },
    {"4.3.2.1.in-addr.arpa",               "PTR",   "liar.example.com"                                                    },
    {"4.3.2.1.in-addr.arpa",               "PTR",   "client.pass.example"                                                 },
    {"known.client.pass.example",          "A",     "127.0.0.2"                                                           },
    {NULL,                                 NULL,    NULL                                                                  },
};

struct spf_case {
    const char *record;
    const char *ip;
    enum mx_spf_result result;
    const char *asked; /* behind the record itself; NULL: does not matter */
};

/* The zone above, and "case.example" with this record. */
static void run_case(struct mx_spf *spf, const char *record, const char *ip, const char *sender,
                     char trace[TRACE_MAX]) {
    struct row zone[ROWS(example) + 1] = {
        {"case.example", "TXT", record},
    };
    struct mx_spf_client client = {.helo = MX_SPAN("mail.client.example"),
                                   .sender = mx_span_of(sender),
                                   .receiver = MX_SPAN("mx.test"),
                                   .now_s = 1700000000};
    memcpy(zone + 1, example, sizeof example);
    cr_assert(mx_ip_parse(mx_span_of(ip), &client.ip));
    run_spf(spf, &client, zone, trace);
}

static void check(const struct spf_case *row) {
    static const char own[] = "TXT case.example;";
    static struct mx_spf spf;
    char trace[TRACE_MAX];
    run_case(&spf, row->record, row->ip, "mary.smith@case.example", trace);
    cr_expect(spf.result == row->result, "\"%s\" for %s: %s, asked %s", row->record, row->ip,
              mx_spf_result_name((enum mx_spf_result)spf.result), trace);
    cr_expect(row->asked == NULL || (strncmp(trace, own, sizeof own - 1) == 0 &&
                                     strcmp(trace + sizeof own - 1, row->asked) == 0),
              "\"%s\" for %s asked %s", row->record, row->ip, trace);
}

#define PASS MX_SPF_PASS
#define FAIL MX_SPF_FAIL
#define SOFT MX_SPF_SOFTFAIL
#define NEUT MX_SPF_NEUTRAL
#define TEMP MX_SPF_TEMPERROR
#define PERM MX_SPF_PERMERROR
#define NONE MX_SPF_NONE

static const struct spf_case appendix[] = {
    {"v=spf1 +all",                                     "10.0.0.1",    PASS, ""              },
    {"v=spf1 a:example.com -all",                       "192.0.2.10",  PASS, "A example.com;"},
    {"v=spf1 a:example.com -all",                       "192.0.2.12",  FAIL, "A example.com;"},
    {"v=spf1 a:example.org -all",                       "192.0.2.10",  FAIL, "A example.org;"},
    {"v=spf1 mx:example.com -all",                      "192.0.2.130", PASS,
     "MX example.com;A mail-a.example.com;A mail-b.example.com;"                             },
    {"v=spf1 mx:example.com -all",                      "192.0.2.140", FAIL, NULL            },
    {"v=spf1 mx:example.com mx:example.org -all",       "192.0.2.140", PASS, NULL            },
    {"v=spf1 mx:example.com/30 mx:example.org/30 -all", "192.0.2.131", PASS, NULL            },
    {"v=spf1 mx:example.com/30 mx:example.org/30 -all", "192.0.2.143", PASS, NULL            },
    {"v=spf1 mx:example.com/30 mx:example.org/30 -all", "192.0.2.144", FAIL, NULL            },
    {"v=spf1 ptr:example.com -all",                     "192.0.2.65",  PASS,
     "PTR 65.2.0.192.in-addr.arpa;A amy.example.com;"                                        },
    {"v=spf1 ptr:example.com -all",                     "192.0.2.140", FAIL, NULL            },
    {"v=spf1 ptr:example.com -all",                     "10.0.0.4",    FAIL,
     "PTR 4.0.0.10.in-addr.arpa;A bob.example.com;"                                          },
    {"v=spf1 ip4:192.0.2.128/28 -all",                  "192.0.2.65",  FAIL, ""              },
    {"v=spf1 ip4:192.0.2.128/28 -all",                  "192.0.2.129", PASS, ""              },
};

Test(spf, appendix_a) {
    for (size_t i = 0; i < ROWS(appendix); i++)
        check(&appendix[i]);
}

static const struct spf_case mechanisms[] = {
    {"v=spf1",                                                "1.2.3.4",          NEUT, ""                         },
    {"v=spf1  ",                                              "1.2.3.4",          NEUT, ""                         },
    {"v=spf1 -ALL",                                           "1.2.3.4",          FAIL, ""                         },
    {"v=spf1 ~all ip4:1.2.3.4",                               "1.2.3.4",          SOFT, ""                         },
    {"v=spf1 ?ip4:1.2.3.4 -all",                              "1.2.3.4",          NEUT, ""                         },
    {"v=spf1 ip4:1.2.3.4/0 -all",                             "9.9.9.9",          PASS, ""                         },
    {"v=spf1 ip4:1.2.3.0/25 -all",                            "1.2.3.128",        FAIL, ""                         },
    {"v=spf1 ip4:1.2.3.4 -all",                               "2001:db8::1",      FAIL, ""                         },
    {"v=spf1 ip6:2001:db8::/32 -all",                         "2001:db8:1::9",    PASS, ""                         },
    {"v=spf1 ip6:2001:db8::/33 -all",                         "2001:db8:8000::9", FAIL, ""                         },
    {"v=spf1 ip6:2001:db8::1 -all",                           "1.2.3.4",          FAIL, ""                         },
    {"v=spf1 ip6:::/0 -all",                                  "2001:db8::1",      PASS, ""                         },
    {"v=spf1 a -all",                                         "1.2.3.4",          FAIL, "A case.example;"          },
    {"v=spf1 a:six.example.com -all",                         "2001:db8::1",      PASS, "AAAA six.example.com;"    },
    {"v=spf1 a:six.example.com//127 -all",                    "2001:db8::",       PASS, NULL                       },
    {"v=spf1 a:six.example.com/0 -all",                       "2001:db8::",       FAIL, NULL                       },
    {"v=spf1 a:six.example.com/24//127 -all",                 "192.0.2.1",        PASS, NULL                       },
    {"v=spf1 a:six.example.com. -all",                        "192.0.2.77",       PASS, "A six.example.com;"       },
    {"v=spf1 mx:mx6.example.com -all",                        "2001:db8::1",      PASS, NULL                       },
    {"v=spf1 mx:null.example -all",                           "1.2.3.4",          FAIL, "MX null.example;"         },
    {"v=spf1 mx:silent.example -all",                         "1.2.3.4",          FAIL, "MX silent.example;"       },
    {"v=spf1 exists:mary.mobile-users._spf.example.com -all", "1.2.3.4",          PASS, NULL                       },
    {"v=spf1 exists:six.example.com -all",                    "2001:db8::5",      PASS, "A six.example.com;"       },
    {"v=spf1 exists:no.example -all",                         "1.2.3.4",          FAIL, "A no.example;"            },
    {"v=spf1 ptr -all",                                       "1.2.3.4",          FAIL,
     "PTR 4.3.2.1.in-addr.arpa;A liar.example.com;A client.pass.example;"                                          },
    {"v=spf1 ptr:pass.example ptr:no.example",                "1.2.3.4",          PASS, NULL                       },
    {"v=spf1 ptr:ass.example -all",                           "1.2.3.4",          FAIL, NULL                       },
    {"v=spf1 ptr:a.example ptr:b.example -all",               "9.9.9.9",          FAIL, "PTR 9.9.9.9.in-addr.arpa;"},
    {"v=spf1 unknown=1 other=%{d} -all",                      "1.2.3.4",          FAIL, ""                         },
};

Test(spf, mechanisms) {
    for (size_t i = 0; i < ROWS(mechanisms); i++)
        check(&mechanisms[i]);
}

static const struct spf_case includes[] = {
    {"v=spf1 include:pass.example -all",            "1.2.3.4",    PASS, "TXT pass.example;"},
    {"v=spf1 -include:pass.example +all",           "1.2.3.4",    FAIL, NULL               },
    {"v=spf1 include:pass.example ~all",            "1.2.3.5",    SOFT, NULL               },
    {"v=spf1 include:soft.example",                 "1.2.3.5",    NEUT, NULL               },
    {"v=spf1 include:neutral.example -all",         "1.2.3.5",    FAIL, NULL               },
    {"v=spf1 include:broken.example +all",          "1.2.3.5",    PERM, NULL               },
    {"v=spf1 include:silent.example +all",          "1.2.3.5",    PERM, NULL               },
    {"v=spf1 include:no.example +all",              "1.2.3.5",    PERM, NULL               },
    {"v=spf1 include:two.example +all",             "1.2.3.5",    PERM, NULL               },
    {"v=spf1 include:dead.example.com +all",        "1.2.3.5",    TEMP, NULL               },
    {"v=spf1 ip4:1.2.3.5 include:dead.example.com", "1.2.3.5",    PASS, ""                 },
    {"v=spf1 include:others.example",               "1.2.3.5",    PASS, NULL               },
    {"v=spf1 include:l1.example -all",              "192.0.2.65", PASS, NULL               },
    {"v=spf1 include:l1.example -all",              "192.0.2.66", FAIL,
     "TXT l1.example;TXT l2.example;TXT l3.example;A amy.example.com;"                     },
    {"v=spf1 include:loop.example +all",            "1.2.3.5",    PERM, NULL               },
    {"v=spf1 redirect=pass.example",                "1.2.3.4",    PASS, "TXT pass.example;"},
    {"v=spf1 redirect=pass.example",                "1.2.3.5",    FAIL, NULL               },
    {"v=spf1 redirect=pass.example ?all",           "1.2.3.5",    NEUT, ""                 },
    {"v=spf1 redirect=silent.example",              "1.2.3.5",    PERM, NULL               },
    {"v=spf1 redirect=no.example",                  "1.2.3.5",    PERM, NULL               },
    {"v=spf1 redirect=dead.example.com",            "1.2.3.5",    TEMP, NULL               },
    {"v=spf1 redirect=around.example",              "1.2.3.5",    PERM, NULL               },
    {"v=spf1 redirect=red.example",                 "1.2.3.5",    PERM,
     "TXT red.example;A red.example.example.com;TXT x.red.example;"                        },
    {"v=spf1 include:around.example",               "1.2.3.5",    PERM, NULL               },
};

Test(spf, include_and_redirect) {
    for (size_t i = 0; i < ROWS(includes); i++)
        check(&includes[i]);
}

static const struct spf_case errors[] = {
    {"v=spf1 a:dead.example.com +all",                                                  "1.2.3.4", TEMP, NULL},
    {"v=spf1 mx:dead.example.com +all",                                                 "1.2.3.4", TEMP, NULL},
    {"v=spf1 mx:deadmx.example.com +all",                                               "1.2.3.4", TEMP, NULL},
    {"v=spf1 exists:dead.example.com +all",                                             "1.2.3.4", TEMP, NULL},
    {"v=spf1 a:no1.example a:no2.example -all",                                         "1.2.3.4", FAIL, NULL},
    {"v=spf1 a:no1.example a:no2.example a:no3.example -all",                           "1.2.3.4", PERM, NULL},
    {"v=spf1 exists:no1.example mx:no2.example a:no3.example -all",                     "1.2.3.4", PERM, NULL},
    {"v=spf1 a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com "
     "a:example.com a:example.com a:example.com a:example.com -all",               "1.2.3.4", FAIL, NULL},
    {"v=spf1 a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com "
     "a:example.com a:example.com a:example.com a:example.com a:example.com -all", "1.2.3.4", PERM, NULL},
    {"v=spf1 foo",                                                                      "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:1.2.3.4 foo:bar",                                                      "1.2.3.4", PERM, ""  },
    {"v=spf1 -all:x",                                                                   "1.2.3.4", PERM, ""  },
    {"v=spf1 all/8",                                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 include",                                                                  "1.2.3.4", PERM, ""  },
    {"v=spf1 include:",                                                                 "1.2.3.4", PERM, ""  },
    {"v=spf1 exists",                                                                   "1.2.3.4", PERM, ""  },
    {"v=spf1 a:",                                                                       "1.2.3.4", PERM, ""  },
    {"v=spf1 a:example.com:8080",                                                       "1.2.3.4", PERM, ""  },
    {"v=spf1 a:localhost",                                                              "1.2.3.4", PERM, ""  },
    {"v=spf1 a:111.222.33.44",                                                          "1.2.3.4", PERM, ""  },
    {"v=spf1 a:example.com/33",                                                         "1.2.3.4", PERM, ""  },
    {"v=spf1 a:example.com/032",                                                        "1.2.3.4", PERM, ""  },
    {"v=spf1 a:example.com//129",                                                       "1.2.3.4", PERM, ""  },
    {"v=spf1 a:example.com/",                                                           "1.2.3.4", PERM, ""  },
    {"v=spf1 a/24/64",                                                                  "1.2.3.4", PERM, ""  },
    {"v=spf1 ptr/0",                                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:1.2.3",                                                                "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:1.2.3.4/",                                                             "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:1.2.3.4/33",                                                           "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:1.2.3.4/32//128",                                                      "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4:::1",                                                                  "1.2.3.4", PERM, ""  },
    {"v=spf1 ip6:1.2.3.4",                                                              "1.2.3.4", PERM, ""  },
    {"v=spf1 ip6:2001:db8::1/129",                                                      "1.2.3.4", PERM, ""  },
    {"v=spf1 ip4",                                                                      "1.2.3.4", PERM, ""  },
    {"v=spf1 redirect=",                                                                "1.2.3.4", PERM, ""  },
    {"v=spf1 redirect:pass.example",                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 -redirect=pass.example",                                                   "1.2.3.4", PERM, ""  },
    {"v=spf1 redirect=a.example redirect=b.example",                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 exp=a.example exp=b.example -all",                                         "1.2.3.4", PERM, ""  },
    {"v=spf1 +all=1",                                                                   "1.2.3.4", PERM, ""  },
    {"v=spf1 x=%a",                                                                     "1.2.3.4", PERM, ""  },
    {"v=spf1 a:%{x}.example",                                                           "1.2.3.4", PERM, ""  },
    {"v=spf1 a:%{d",                                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 a:%{c}.example",                                                           "1.2.3.4", PERM, ""  },
    {"v=spf1 a:%{d0}.example",                                                          "1.2.3.4", PERM, ""  },
    {"v=spf1 a:%{d1x}.example",                                                         "1.2.3.4", PERM, ""  },
    {"v=spf1 a:caf\xc3\xa9.example",                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1 --all",                                                                    "1.2.3.4", PERM, ""  },
    {"v=spf1\t-all",                                                                    "1.2.3.4", NONE, ""  },
};

Test(spf, errors) {
    for (size_t i = 0; i < ROWS(errors); i++)
        check(&errors[i]);
}

/* Ten hosts are asked, eleven are too many; of ten names the rest does not matter. */
Test(spf, many_hosts_and_names) {
    static char names[12][32];
    static struct mx_spf spf;
    char trace[TRACE_MAX];
    struct mx_spf_client client = {.sender = MX_SPAN("a@case.example")};
    for (unsigned hosts = 10; hosts <= 11; hosts++) {
        struct row zone[14] = {
            {"case.example", "TXT", "v=spf1 mx ?all"}
        };
        for (unsigned i = 0; i < hosts; i++) {
            snprintf(names[i], sizeof names[i], "host%u.example", i);
            zone[1 + i] = (struct row){"case.example", "MX", names[i]};
        }
        cr_assert(mx_ip_parse(MX_SPAN("1.2.3.4"), &client.ip));
        run_spf(&spf, &client, zone, trace);
        cr_expect(spf.result == (hosts == 10 ? NEUT : PERM), "%u: %s", hosts, trace);
        zone[0].value = "v=spf1 ptr ?all";
        for (unsigned i = 0; i < hosts; i++) {
            zone[1 + i].name = "4.3.2.1.in-addr.arpa";
            zone[1 + i].type = "PTR";
        }
        run_spf(&spf, &client, zone, trace);
        cr_expect(spf.result == NEUT && strstr(trace, "host9.example") != NULL &&
                      strstr(trace, "host10.example") == NULL,
                  "%u: %s", hosts, trace);
    }
}

static const struct {
    const char *sender, *helo;
    enum mx_spf_result result;
} senders[] = {
    {"bob@pass.example",     "no.example",   PASS},
    {"",                     "pass.example", PASS},
    {"bob@no.example",       "pass.example", NONE},
    {"bob@two.example",      "pass.example", PERM},
    {"bob@dead.example.com", "pass.example", TEMP},
    {"bob@localhost",        "pass.example", NONE},
    {"bob@[1.2.3.4]",        "pass.example", NONE},
    {"bob@a..b",             "pass.example", NONE},
    {"\"a@b\"@pass.example", "no.example",   PASS},
    {"",                     "[1.2.3.4]",    NONE},
    {"",                     "",             NONE},
};

Test(spf, whose_record_decides) {
    static struct mx_spf spf;
    char trace[TRACE_MAX];
    for (size_t i = 0; i < ROWS(senders); i++) {
        struct mx_spf_client client = {.helo = mx_span_of(senders[i].helo),
                                       .sender = mx_span_of(senders[i].sender)};
        cr_assert(mx_ip_parse(MX_SPAN("1.2.3.4"), &client.ip));
        run_spf(&spf, &client, example, trace);
        cr_expect(spf.result == senders[i].result, "<%s>: %s, asked %s", senders[i].sender,
                  mx_spf_result_name((enum mx_spf_result)spf.result), trace);
    }
}
