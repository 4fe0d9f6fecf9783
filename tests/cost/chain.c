/* chain.c - plays the same mail again and again through a session with the chain of a
 * configuration, without a kernel: what the hooks cost. tests/e2e/hooks_cost.py counts the
 * instructions.
 *
 * Usage: chain-cost CONFIG MESSAGES
 */
#include "config/conf.h"
#include "engine/service.h"
#include "tests/dialogue/lone_host.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENVELOPE_OCTETS = 1 << 16, MESSAGES_MAX = 1000000 };

static struct run {
    struct mx_conf *conf;
    struct mx_service service;
    struct mx_session session;
    struct mx_session_shared shared;
    struct mx_lone_host host;
    struct mx_policy *policy;
    struct mx_out out;
    char replies[4 * MX_OUT_ROOM_MIN], envelope[ENVELOPE_OCTETS];
    uint64_t now_ms, commits, octets;
} run;

static const char message[] = "MAIL FROM:<alice@example.org> SIZE=1234\r\n"
                              "RCPT TO:<bob@example.com>\r\nDATA\r\n"
                              "From: alice@example.org\r\nTo: bob@example.com\r\n"
                              "Subject: a message\r\nMessage-ID: <1@example.org>\r\n"
                              "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              "A body of some lines, as long as they usually are.\r\n"
                              ".\r\n";

static struct mx_policy_site site_of(void) {
    return (struct mx_policy_site){.host = &run.host.host,
                                   .chain = &run.service.chain,
                                   .session = &run.session,
                                   .block = &run.policy};
}

static int store(void) {
    struct mx_policy_site site = site_of();
    struct mx_span to[MX_BODY_SLICES + 1];
    const struct mx_span *slices = run.shared.slices;
    uint32_t count = run.shared.slice_count;
    if (mx_chain_has_header(site.chain)) {
        int err = mx_policy_content(&site, run.shared.slices, count, to, &count);
        if (err < 0)
            return err;
        slices = to;
    }
    for (uint32_t i = 0; i < count; i++)
        run.octets += slices[i].len;
    return 0;
}

/* What the engine would do. */
static int act(enum mx_action action) {
    struct mx_policy_site site = site_of();
    struct mx_envelope *envelope = &run.session.envelope;
    if (action == MX_ACTION_GROW) {
        assert(run.session.grow_octets <= sizeof run.envelope);
        envelope->base = run.envelope;
        envelope->cap = sizeof run.envelope;
    } else if (action == MX_ACTION_HOOK) {
        return mx_lone_host_ask(&run.host, &site);
    } else if (action == MX_ACTION_BODY) {
        return store();
    }
    run.commits += action == MX_ACTION_COMMIT;
    return 0;
}

static void feed(struct mx_span in) {
    enum mx_action action;
    while ((action = mx_session_step(&run.session, &in, &run.out)) != MX_ACTION_INPUT) {
        assert(action != MX_ACTION_CLOSE);
        if (action == MX_ACTION_OUTPUT)
            run.out.len = 0;
        else
            mx_session_resume(&run.session, act(action), &run.out);
    }
    struct mx_policy_site site = site_of();
    if (!mx_session_in_transaction(&run.session))
        mx_policy_end_transaction(&site);
    run.out.len = 0;
}

int main(int argc, char **argv) {
    struct mx_conf_report report = {0};
    unsigned long messages = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (messages == 0 || messages > MESSAGES_MAX ||
        mx_conf_load(argv[1], false, &run.conf, &report) < 0 ||
        mx_service_init(&run.service, run.conf, 0, false) < 0) {
        fprintf(stderr, "usage: chain-cost CONFIG MESSAGES\n");
        mx_conf_report_print(&report, argc > 1 ? argv[1] : "?", stderr);
        return 64;
    }
    mx_conf_report_free(&report);
    mx_lone_host_begin(&run.host, &run.now_ms);
    run.service.session_conf.needs_trace = true;
    run.out = (struct mx_out){run.replies, 0, sizeof run.replies};
    run.shared.now_s = 1700000000;
    mx_session_init(&run.session, &run.service.session_conf, &run.shared, 1);
    mx_ip_parse(MX_SPAN("192.0.2.1"), &run.session.peer);
    mx_service_know_client(&run.service, &run.session);
    feed(MX_SPAN("EHLO client.example.net\r\n"));
    for (unsigned long i = 0; i < messages; i++)
        feed((struct mx_span){message, sizeof message - 1});
    struct mx_policy_site site = site_of();
    mx_policy_end(&site);
    bool is_good = run.commits == messages;
    if (!is_good)
        fprintf(stderr, "%lu of %lu messages were accepted: %.*s\n", (unsigned long)run.commits,
                messages, (int)run.out.len, run.replies);
    mx_lone_host_end(&run.host);
    mx_service_deinit(&run.service);
    mx_conf_free(run.conf);
    return is_good ? 0 : 1;
}
