/* load_plan_test.c - the command line: smtp-source's letters in all their spellings, the bounds,
 * and numbers that are drawn.
 */
#include "bench/mxload/plan.h"
#include "bench/mxload/report.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>

enum { WORDS_MAX = 32 };

/* The words of a line; static memory. */
static int parse(struct mx_plan *plan, const char *line) {
    static char text[1024], *words[WORDS_MAX];
    int count = 1;
    words[0] = text; /* of no interest */
    cr_assert_lt(snprintf(text, sizeof text, "%s", line), (int)sizeof text);
    for (char *at = text, *word; (word = strsep(&at, " ")) != NULL && count < WORDS_MAX;)
        words[count++] = word;
    return mx_plan_init(plan, count, words);
}

Test(load_plan, a_command_line_of_smtp_source) {
    static const char *const lines[] = {
        "-s 20 -m 1000 -l 4096 -d -f a@b -t c@d -r 3 -N -A -c -4 -L -M host -w 2 -R 3 "
        "localhost:2525",
        "-s20 -m1000 -l4K -dNAc4L -fa@b -tc@d -r3 -Mhost -w2 -R3 inet:127.0.0.1:2525",
        "127.0.0.1:2525 -dNAc4Ls 20 -m 1000 -l 4k-4096 -f a@b -t c@d -r 3-3 -M host -w 2.0 -R 3s",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct mx_plan plan;
        cr_assert_eq(parse(&plan, lines[i]), 0, "%s", lines[i]);
        const struct sockaddr_in *to = (const struct sockaddr_in *)&plan.address;
        cr_expect(to->sin_family == AF_INET && ntohs(to->sin_port) == 2525, "%s", lines[i]);
        cr_expect_eq(to->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        cr_expect(plan.sessions == 20 && plan.messages == 1000 && plan.size.min == 4096 &&
                      plan.size.max == 4096 && plan.recipients.max == 3 && plan.keeps_open &&
                      plan.is_unique_recipient && plan.keeps_going && plan.has_counter &&
                      plan.is_lmtp,
                  "%s", lines[i]);
        cr_expect(plan.wait_s > 1.9 && plan.wait_s < 2.1 && plan.wait_random_s > 2.9);
        cr_expect_str_eq(plan.sender, "a@b");
        cr_expect_str_eq(plan.recipient, "c@d");
        cr_expect_str_eq(plan.hostname, "host");
    }
}

Test(load_plan, what_follows_from_what) {
    struct mx_plan plan;
    cr_assert_eq(parse(&plan, "-s 100 -m 7 --workers=50 ::1"), 0);
    cr_expect(plan.sessions == 7 && plan.workers == 7, "no session without a message");
    cr_expect_eq(plan.address.ss_family, AF_INET6);
    cr_assert_eq(parse(&plan, "--duration 5 -s 9 [::1]:26"), 0);
    cr_expect_eq(plan.messages, UINT64_MAX);
    cr_expect_eq(ntohs(((const struct sockaddr_in6 *)&plan.address)->sin6_port), 26);
    cr_assert_eq(parse(&plan, "--rate 10/s -6 -l 1 localhost"), 0);
    cr_expect(plan.messages == 1 && plan.size.min == 2 && plan.size.max == 2);
    cr_expect_eq(ntohs(((const struct sockaddr_in6 *)&plan.address)->sin6_port), 25);
}

Test(load_plan, tls_and_auth) {
    struct mx_plan plan;
    cr_assert_eq(parse(&plan, "--tls --tls-resume --tls-version 1.2 --tls-name a.b --tls-cert c "
                              "--tls-key=k --auth u:p:q --auth-login ::1"),
                 0);
    cr_expect(plan.is_tls && !plan.is_starttls && plan.resumes_tls && plan.is_auth_login);
    cr_expect_eq(plan.tls_version, MX_PLAN_TLS_12);
    cr_expect_str_eq(plan.tls_name, "a.b");
    cr_expect_str_eq(plan.tls_cert, "c");
    cr_expect_str_eq(plan.tls_key, "k");
    cr_expect_str_eq(plan.auth, "u:p:q");
    cr_assert_eq(parse(&plan, "--starttls ::1"), 0);
    cr_expect(plan.is_starttls && !plan.is_tls && plan.tls_version == MX_PLAN_TLS_ANY);
}

Test(load_plan, nonsense_is_refused) {
    static const char *const lines[] = {
        "",
        "-s 0 ::1",
        "-s 65537 ::1",
        "-s 1x ::1",
        "-s -1 ::1",
        "-m 0 ::1",
        "-l 2G ::1",
        "-l 5-4 ::1",
        "-l 5- ::1",
        "-r 10001 ::1",
        "-z ::1",
        "--nothing ::1",
        "--json=1 ::1",
        "--rate -1 ::1",
        "--rate nan ::1",
        "-w inf ::1",
        "--timeout 0 ::1",
        "::1 ::1",
        "host.example",
        "[::1",
        "[::1]x",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:70000",
        "-4 ::1",
        "-6 127.1",
        "unix:/x",
        "-o ::1",
        "--tls --starttls ::1",
        "--tls --tls-version 1.1 ::1",
        "--tls --tls-cert x ::1",
        "--tls --tls-key x ::1",
        "--tls --zerocopy on ::1",
        "--tls-resume ::1",
        "--tls-name x ::1",
        "--auth nobody ::1",
        "--auth-login ::1",
        "--zerocopy yes ::1",
        "--zerocopy",
        "--eml x --mbox y ::1",
        "--sources 2 ::1",
        "-s 99999999999999999999 ::1",
        "-s 18446744073709551615K ::1",
        "-s",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct mx_plan plan;
        cr_expect_eq(parse(&plan, lines[i]), MX_ECONFIG, "%s", lines[i]);
    }
}

Test(load_plan, drawn_numbers_cover_the_range) {
    struct mx_range range = {10, 19};
    uint64_t state = 1, other = 1;
    unsigned seen[10] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t number = mx_plan_draw(range, &state);
        cr_assert(number >= 10 && number <= 19);
        cr_assert_eq(number, mx_plan_draw(range, &other), "the same seed, the same numbers");
        seen[number - 10]++;
    }
    for (unsigned i = 0; i < 10; i++)
        cr_expect(seen[i] > 850 && seen[i] < 1150, "%u: %u", i + 10, seen[i]);
}

Test(load_plan, the_verdict) {
    static const struct {
        const char *name;
        struct mx_evidence evidence;
        enum mx_verdict verdict;
    } rows[] = {
        {"busy",                     {.slept = 0.02, .waited = 0.99},                          MX_VERDICT_GENERATOR},
        {"busy at the rate",         {.slept = 0.09, .waited = 0.2, .rate = 1},                MX_VERDICT_GENERATOR},
        {"waiting",                  {.slept = 0.5, .waited = 0.97},                           MX_VERDICT_SERVER   },
        {"waiting below the rate",   {.slept = 0.5, .waited = 0.97, .rate = 0.6},              MX_VERDICT_SERVER   },
        {"at the rate",              {.slept = 0.8, .waited = 0.3, .rate = 0.99},              MX_VERDICT_RATE     },
        {"pauses",                   {.slept = 0.8, .waited = 0.3},                            MX_VERDICT_NONE     },
        {"server without a CPU",
         {.slept = 0.8, .waited = 0.95, .reply_ms = 2, .server = {true, 1, 1, 0.9, 0, 0.9}},
         MX_VERDICT_SERVER                                                                                         },
        {"server and its disk",
         {.slept = 0.8, .waited = 0.95, .reply_ms = 2, .server = {true, 1, 1, 0.3, 0, 0.9}},
         MX_VERDICT_DISK                                                                                           },
        {"most of the rest",
         {.slept = 0.8, .waited = 0.95, .reply_ms = 2, .server = {true, 1, 1, 0.5, 0, 0.3}},
         MX_VERDICT_DISK                                                                                           },
        {"server that is late",
         {.slept = 0.8, .waited = 0.95, .reply_ms = 2, .server = {true, 1, 1, 0.3, 0, 0.1}},
         MX_VERDICT_SERVER                                                                                         },
        {"too few sessions",
         {.slept = 0.8, .waited = 0.95, .reply_ms = 0.1, .server = {true, 1, 1, 0.3, 0, 0.1}},
         MX_VERDICT_NONE                                                                                           },
        {"a disk, but nobody waits",
         {.slept = 0.8, .waited = 0.3, .reply_ms = 2, .server = {true, 1, 1, 0.3, 0, 0.9}},
         MX_VERDICT_NONE                                                                                           },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(mx_report_judge(&rows[i].evidence), rows[i].verdict, "%s", rows[i].name);
}
