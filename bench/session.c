/* session.c - plays the same mail to one mx_session again and again, without a kernel: what a
 * message costs in proto/. bench/instructions counts the instructions under callgrind.
 *
 * Usage: bench-session CASE MESSAGES | --list | --key
 */
#include "proto/session.h"

#include "proto/scan.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__clang__)
static const char compiler[] = "clang";
#else
static const char compiler[] = "gcc";
#endif

enum { ENVELOPE_OCTETS = 1 << 16, TEXT_OCTETS = 1 << 17, PIECES_MAX = 8, MESSAGES_MAX = 10000000 };

/* What the client sends for each message, in so many reads. */
struct piece {
    const char *commands;
    uint32_t body_octets; /* of lines of 72 octets, and the final dot */
};

/* clang-format off */
static const struct row {
    const char *name;
    enum mx_proto proto;
    bool is_sink;    /* as mxring sink: everything is accepted; else the checks of a gateway */
    bool is_chunked; /* bodies end without a dot */
    bool is_refused;
    struct piece pieces[PIECES_MAX];
} rows[] = {
#define MAIL "MAIL FROM:<alice@example.org> SIZE=1234\r\n"
#define RCPT "RCPT TO:<bob@example.com>\r\n"
    {"sink-lockstep-1k", MX_PROTO_SMTP, true, false, false,
     {{MAIL, 0}, {RCPT, 0}, {"DATA\r\n", 0}, {"", 1024}}},
    {"sink-pipelined-1k", MX_PROTO_SMTP, true, false, false,
     {{MAIL RCPT "DATA\r\n", 0}, {"", 1024}}},
    {"sink-pipelined-64k", MX_PROTO_SMTP, true, false, false,
     {{MAIL RCPT "DATA\r\n", 0}, {"", 65536}}},
    {"gateway-pipelined-1k", MX_PROTO_SMTP, false, false, false,
     {{MAIL RCPT "DATA\r\n", 0}, {"", 1024}}},
    {"gateway-ten-recipients", MX_PROTO_SMTP, false, false, false,
     {{MAIL RCPT RCPT RCPT RCPT RCPT RCPT RCPT RCPT RCPT RCPT "DATA\r\n", 0}, {"", 1024}}},
    {"gateway-bdat-1k", MX_PROTO_SMTP, false, true, false,
     {{MAIL RCPT "BDAT 1024 LAST\r\n", 1024}}},
    {"gateway-refused", MX_PROTO_SMTP, false, false, true,
     {{"MAIL FROM:<alice@exam ple.org>\r\n" RCPT "RSET\r\n", 0}}},
    {"lmtp-pipelined-1k", MX_PROTO_LMTP, false, false, false,
     {{MAIL RCPT RCPT "DATA\r\n", 0}, {"", 1024}}},
};
/* clang-format on */

static struct run {
    struct mx_session session;
    struct mx_session_shared shared;
    struct mx_out out;
    char replies[4 * MX_OUT_ROOM_MIN];
    char envelope[ENVELOPE_OCTETS];
    uint64_t commits, octets;
} run;

/* What the engine would do, as far as the session sees it. */
static int act(enum mx_action action) {
    struct mx_envelope *envelope = &run.session.envelope;
    if (action == MX_ACTION_GROW) {
        if (run.session.grow_octets > sizeof run.envelope)
            return -1;
        envelope->base = run.envelope;
        envelope->cap = sizeof run.envelope;
    } else if (action == MX_ACTION_BODY) {
        for (uint32_t i = 0; i < run.shared.slice_count; i++)
            run.octets += run.shared.slices[i].len;
    } else if (action == MX_ACTION_COMMIT) {
        run.commits++;
    }
    return 0;
}

/* false: the session has closed. */
static bool feed(struct mx_span in) {
    while (true) {
        enum mx_action action = mx_session_step(&run.session, &in, &run.out);
        if (action == MX_ACTION_INPUT || action == MX_ACTION_OUTPUT)
            run.out.len = 0; /* they were sent */
        if (action == MX_ACTION_INPUT)
            return in.len == 0;
        if (action == MX_ACTION_CLOSE)
            return false;
        if (action != MX_ACTION_OUTPUT)
            mx_session_resume(&run.session, act(action), &run.out);
    }
}

static struct mx_span piece_text(const struct row *row, const struct piece *piece, char *to) {
    size_t len = strlen(piece->commands), octets = piece->body_octets;
    memcpy(to, piece->commands, len);
    for (size_t i = 0; i < octets; i++) {
        size_t column = i % 72;
        to[len++] = column == 70 || i + 2 == octets   ? '\r'
                    : column == 71 || i + 1 == octets ? '\n'
                                                      : (char)('a' + column % 26);
    }
    if (octets > 0 && !row->is_chunked) {
        memcpy(to + len, ".\r\n", 3);
        len += 3;
    }
    return (struct mx_span){to, len};
}

static int play(const struct row *row, unsigned long messages) {
    static char texts[PIECES_MAX][TEXT_OCTETS];
    struct mx_span pieces[PIECES_MAX];
    unsigned count = 0;
    while (count < PIECES_MAX && row->pieces[count].commands != NULL) {
        pieces[count] = piece_text(row, &row->pieces[count], texts[count]);
        count++;
    }
    const struct mx_session_conf conf = {
        .proto = row->proto,
        .hello_name = MX_SPAN("mx.example.com"),
        .default_domain = MX_SPAN("example.com"),
        .accepts_all = row->is_sink,
        .needs_helo = !row->is_sink,
        .needs_brackets = !row->is_sink,
        .needs_trace = !row->is_sink,
        .max_message_octets = row->is_sink ? 0 : 100 << 20,
        .max_line_octets = 8192,
        .max_recipients = row->is_sink ? 0 : 1000,
    };
    run.out = (struct mx_out){run.replies, 0, sizeof run.replies};
    run.shared.now_s = 1700000000;
    mx_session_init(&run.session, &conf, &run.shared, 1);
    bool is_open = feed(row->proto == MX_PROTO_LMTP ? MX_SPAN("LHLO client.example.net\r\n")
                                                    : MX_SPAN("EHLO client.example.net\r\n"));
    for (unsigned long i = 0; i < messages && is_open; i++) {
        for (unsigned k = 0; k < count && is_open; k++)
            is_open = feed(pieces[k]);
    }
    if (is_open && run.commits == (row->is_refused ? 0 : messages))
        return 0;
    fprintf(stderr, "session: %s: %lu of %lu messages were accepted\n", row->name,
            (unsigned long)run.commits, messages);
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            puts(rows[i].name);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--key") == 0) {
        /* what the figures depend on, besides the source */
        printf("%s %s, libc %s, %s\n", compiler, __VERSION__, gnu_get_libc_version(),
               mx_isa_name(mx_isa_best()));
        return 0;
    }
    unsigned long messages = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (messages > 0 && messages <= MESSAGES_MAX && strcmp(argv[1], rows[i].name) == 0)
            return play(&rows[i], messages);
    }
    fprintf(stderr, "usage: %s CASE MESSAGES | --list | --key\n", argv[0]);
    return 64;
}
