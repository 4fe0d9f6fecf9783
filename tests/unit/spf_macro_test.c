/* spf_macro_test.c - macros: what a domain with macros makes one ask, what an explanation says. The
 * sender is the one of RFC 7208 7.4.
 */
#include "tests/unit/spf_zone.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

static const struct row names[] = {
    {"4.3.2.1.in-addr.arpa",     "PTR",   "liar.example"                             },
    {"4.3.2.1.in-addr.arpa",     "PTR",   "mx.other.example"                         },
    {"4.3.2.1.in-addr.arpa",     "PTR",   "mx.email.example.com"                     },
    {"mx.other.example",         "A",     "1.2.3.4"                                  },
    {"mx.email.example.com",     "A",     "1.2.3.4"                                  },
    {"text.example",             "TXT",   "%{i} may not send as %{s}: %{c} %{r} %{t}"},
    {"name.example",             "TXT",   "you are %{p}"                             },
    {"bad.example",              "TXT",   "%{x}"                                     },
    {"eightbit.example",         "TXT",   "caf\xc3\xa9"                              },
    {"two.example",              "TXT",   "a"                                        },
    {"two.example",              "TXT",   "b"                                        },
    {"dead.example",             "ERROR", ""                                         },
    {"other.example",            "TXT",   "v=spf1 exp=other._exp.%{d} -all"          },
    {"other._exp.other.example", "TXT",   "%{d} says no"                             },
    {NULL,                       NULL,    NULL                                       },
};

static void run_record(struct mx_spf *spf, const char *record, const char *ip, const char *sender,
                       char trace[TRACE_MAX]) {
    struct row zone[ROWS(names) + 1] = {
        {"email.example.com", "TXT", record}
    };
    struct mx_spf_client client = {.helo = MX_SPAN("mail.client.example"),
                                   .sender = mx_span_of(sender),
                                   .receiver = MX_SPAN("mx.test"),
                                   .now_s = 1700000000};
    memcpy(zone + 1, names, sizeof names);
    cr_assert(mx_ip_parse(mx_span_of(ip), &client.ip));
    run_spf(spf, &client, zone, trace);
}

static const struct {
    const char *macro, *ip, *asked;
} expansions[] = {
    {"%{s}.x",                            "1.2.3.4",        "strong-bad@email.example.com.x"         },
    {"%{o}.x",                            "1.2.3.4",        "email.example.com.x"                    },
    {"%{d}.x",                            "1.2.3.4",        "email.example.com.x"                    },
    {"%{d4}.x",                           "1.2.3.4",        "email.example.com.x"                    },
    {"%{d3}.x",                           "1.2.3.4",        "email.example.com.x"                    },
    {"%{d2}.x",                           "1.2.3.4",        "example.com.x"                          },
    {"%{d1}.x",                           "1.2.3.4",        "com.x"                                  },
    {"%{dr}.x",                           "1.2.3.4",        "com.example.email.x"                    },
    {"%{d2r}.x",                          "1.2.3.4",        "example.email.x"                        },
    {"%{l}.x",                            "1.2.3.4",        "strong-bad.x"                           },
    {"%{l-}.x",                           "1.2.3.4",        "strong.bad.x"                           },
    {"%{lr}.x",                           "1.2.3.4",        "strong-bad.x"                           },
    {"%{lr-}.x",                          "1.2.3.4",        "bad.strong.x"                           },
    {"%{l1r-}.x",                         "1.2.3.4",        "strong.x"                               },
    {"%{L1R-}.x",                         "1.2.3.4",        "strong.x"                               },
    {"%{ir}.%{v}._spf.%{d2}",             "192.0.2.3",      "3.2.0.192.in-addr._spf.example.com"     },
    {"%{lr-}.lp._spf.%{d2}",              "1.2.3.4",        "bad.strong.lp._spf.example.com"         },
    {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",  "192.0.2.3",
     "3.2.0.192.in-addr.strong.lp._spf.example.com"                                                  },
    {"%{d2}.trusted-domains.example.net", "1.2.3.4",        "example.com.trusted-domains.example.net"},
    {"%{ir}.%{v}._spf.%{d2}",             "2001:db8::cb01",
     "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"          },
    {"%{h}.x",                            "1.2.3.4",        "mail.client.example.x"                  },
    {"a%%b.%{d}",                         "1.2.3.4",        "a%b.email.example.com"                  },
    {"a%-b.%{d}",                         "1.2.3.4",        "a%20b.email.example.com"                },
    {"%{S}.x",                            "1.2.3.4",        "strong-bad%40email.example.com.x"       },
    {"a%_b.%{d}",                         "1.2.3.4",        NULL                                     }, /* no name has a blank */
    {"a..%{d}",                           "1.2.3.4",        NULL                                     },
    {"%{p}.x",                            "1.2.3.4",        "mx.email.example.com.x"                 },
    {"%{p}.x",                            "9.9.9.9",        "unknown.x"                              },
    {"%{p2}.x",                           "1.2.3.4",        "example.com.x"                          },
};

Test(spf_macro, expansions) {
    static struct mx_spf spf;
    char record[200], trace[TRACE_MAX], wanted[200];
    for (size_t i = 0; i < ROWS(expansions); i++) {
        snprintf(record, sizeof record, "v=spf1 exists:%s", expansions[i].macro);
        run_record(&spf, record, expansions[i].ip, "strong-bad@email.example.com", trace);
        snprintf(wanted, sizeof wanted, "A %s;", expansions[i].asked ? expansions[i].asked : "");
        size_t len = strlen(wanted), trace_len = strlen(trace);
        cr_expect(spf.result == MX_SPF_NEUTRAL, "%s", expansions[i].macro);
        if (expansions[i].asked != NULL)
            cr_expect(trace_len > len && strcmp(trace + trace_len - len, wanted) == 0,
                      "%s asked %s", expansions[i].macro, trace);
        else
            cr_expect_str_eq(trace, "TXT email.example.com;");
    }
}

/* A name is cut at its left, label by label, until the DNS takes it. */
Test(spf_macro, long_names) {
    static struct mx_spf spf;
    static char sender[1500];
    char trace[TRACE_MAX];
    memset(sender, 'a', 300);
    for (size_t i = 50; i < 300; i += 50)
        sender[i] = '.';
    memcpy(sender + 300, "@email.example.com", 19);
    run_record(&spf, "v=spf1 exists:%{l}.example -all", "1.2.3.4", sender, trace);
    cr_expect(spf.result == MX_SPF_FAIL && spf.ask_len <= MX_DNS_NAME_MAX && spf.ask_len > 200);
    memset(sender, 'a', 1400);
    memcpy(sender + 1400, "@email.example.com", 19);
    run_record(&spf, "v=spf1 exists:%{l}.example -all", "1.2.3.4", sender, trace);
    cr_expect(spf.result == MX_SPF_FAIL);
    cr_expect_str_eq(trace, "TXT email.example.com;", "no name: no match");
}

static const struct {
    const char *record, *explanation, *asked; /* asked: last, NULL: does not matter */
} explanations[] = {
    {"v=spf1 -all",                                         "",                          NULL                               },
    {"v=spf1 exp=text.example -all",
     "1.2.3.4 may not send as strong-bad@email.example.com: 1.2.3.4 mx.test 1700000000", NULL                               },
    {"v=spf1 -all exp=text.%{o1}",                          "",                          "TXT text.com;"                    },
    {"v=spf1 exp=bad.example -all",                         "",                          "TXT bad.example;"                 },
    {"v=spf1 exp=eightbit.example -all",                    "",                          NULL                               },
    {"v=spf1 exp=two.example -all",                         "",                          NULL                               },
    {"v=spf1 exp=no.example -all",                          "",                          NULL                               },
    {"v=spf1 exp=dead.example -all",                        "",                          NULL                               },
    {"v=spf1 exp=%{p}.example -all",                        "",                          "TXT mx.email.example.com.example;"},
    {"v=spf1 ~all exp=text.example",                        "",                          "TXT email.example.com;"           },
    {"v=spf1 redirect=other.example",                       "other.example says no",     NULL                               },
    {"v=spf1 include:other.example -all",                   "",                          NULL                               },
    {"v=spf1 ?include:other.example exp=text.example -all",
     "1.2.3.4 may not send as strong-bad@email.example.com: 1.2.3.4 mx.test 1700000000", NULL                               },
};

Test(spf_macro, explanations) {
    static struct mx_spf spf;
    char trace[TRACE_MAX];
    for (size_t i = 0; i < ROWS(explanations); i++) {
        run_record(&spf, explanations[i].record, "1.2.3.4", "strong-bad@email.example.com", trace);
        struct mx_span text = {spf.explanation, spf.explanation_len};
        cr_expect(mx_span_equal(text, mx_span_of(explanations[i].explanation)), "%s: \"%.*s\"",
                  explanations[i].record, (int)text.len, text.ptr);
        size_t len = explanations[i].asked ? strlen(explanations[i].asked) : 0;
        cr_expect(len == 0 || strcmp(trace + strlen(trace) - len, explanations[i].asked) == 0,
                  "%s asked %s", explanations[i].record, trace);
    }
}
