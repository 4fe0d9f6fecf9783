/* load_mail_test.c - every message says the truth about itself: length, sequence, hash, line ends;
 * a reader that knows only the format checks it. Commands are those of smtp-source.
 */
#include "bench/mxload/mail.h"
#include "proto/crc32c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1 << 18 };

static struct mx_plan base(void) {
    return (struct mx_plan){
        .sender = "a@b.example",
        .recipient = "c@d.example",
        .hostname = "load.example",
        .size = {0, 100000},
        .recipients = {1, 1     },
        .run = "0123456789abcdef",
    };
}

struct fixture {
    struct mx_mail_kit kit;
    struct mx_mail_draft draft;
    char *memory;
};

static void begin(struct fixture *self, const struct mx_plan *plan) {
    cr_assert_eq(mx_mail_kit_new(&self->kit, plan), 0);
    self->memory = malloc(self->kit.commands_octets + self->kit.message_octets);
    mx_mail_draft_init(&self->draft, self->memory);
}

static void end(struct fixture *self) {
    free(self->memory);
    mx_mail_kit_free(&self->kit);
}

/* The parts, one behind the other. */
static struct mx_span message(struct fixture *self, const struct mx_mail_id *id, uint64_t *octets) {
    static char text[TEXT_MAX];
    struct mx_span parts[MX_MAIL_PARTS];
    unsigned count = mx_mail_message(&self->kit, &self->draft, id, parts, octets);
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        cr_assert_leq(len + parts[i].len, (size_t)TEXT_MAX);
        memcpy(text + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return (struct mx_span){text, len};
}

static struct mx_span header(struct mx_span in, const char *name) {
    char *at = memmem(in.ptr, in.len, name, strlen(name));
    cr_assert_not_null(at, "%s", name);
    const char *begin = at + strlen(name);
    return (struct mx_span){begin, (size_t)((char *)memchr(begin, '\r', 100) - begin)};
}

/* Content without command and final dot; size: of the body. */
static void check(struct mx_span in, const struct mx_mail_id *id, bool has_hash) {
    char text[32];
    const char *blank = memmem(in.ptr, in.len, "\r\n\r\n", 4);
    cr_assert_not_null(blank);
    struct mx_span body = mx_span_skip(in, (size_t)(blank + 4 - in.ptr));
    cr_expect_eq(body.len, id->size);
    cr_expect(mx_span_equal(header(in, "X-Mxload-Run: "), MX_SPAN("0123456789abcdef")));
    snprintf(text, sizeof text, "%012lu", (unsigned long)id->seq);
    cr_expect(mx_span_equal(header(in, "\r\nX-Mxload-Seq: "), mx_span_of(text)));
    if (has_hash) {
        struct mx_span said = header(in, "X-Mxload-Hash: ");
        cr_expect_eq((size_t)(said.ptr - in.ptr), strlen("X-Mxload-Hash: "), "it is the first one");
        const char *covered = said.ptr + said.len + 2;
        struct mx_span head = {covered, (size_t)(blank + 2 - covered)};
        snprintf(text, sizeof text, "crc32c %08x %08x", mx_crc32c_portable(0, body),
                 mx_crc32c_portable(0, head));
        cr_expect(mx_span_equal(said, mx_span_of(text)), "size %u: %s", id->size, text);
    }
    for (size_t i = 0, line = 0; i < in.len; i++, line++) {
        bool is_cr = in.ptr[i] == '\r', is_next_lf = i + 1 < in.len && in.ptr[i + 1] == '\n';
        cr_assert_eq(is_cr, is_next_lf, "size %u: bare CR or LF at %zu", id->size, i);
        cr_assert(line > 0 || in.ptr[i] != '.', "size %u: a dot begins a line", id->size);
        cr_assert_lt(line, 998U);
        if (in.ptr[i] == '\n')
            line = SIZE_MAX;
    }
    cr_expect(in.ptr[in.len - 2] == '\r' && in.ptr[in.len - 1] == '\n', "size %u", id->size);
}

static const uint32_t sizes[] = {0,     2,    3,     37,   38,     39,   40,    72,
                                 110,   111,  112,   1024, 1024,   1025, 32767, 32768,
                                 32769, 1024, 65536, 2,    100000, 1024};

/* What is between the command and the final dot. */
static struct mx_span content_of(const struct mx_plan *plan, struct mx_span in) {
    if (!plan->is_bdat) {
        cr_assert(memcmp(in.ptr + in.len - 3, ".\r\n", 3) == 0);
        return (struct mx_span){in.ptr, in.len - 3};
    }
    char *last = memmem(in.ptr, in.len, " LAST\r\n", 7), command[40];
    cr_assert_not_null(last);
    struct mx_span content = mx_span_skip(in, (size_t)(last + 7 - in.ptr));
    int n = snprintf(command, sizeof command, "BDAT %zu LAST\r\n", content.len);
    cr_expect(memcmp(last + 7 - n, command, (size_t)n) == 0, "%zu octets", content.len);
    return content;
}

static void check_sizes(const struct mx_plan *plan) {
    struct fixture fixture;
    begin(&fixture, plan);
    for (uint32_t i = 0; i < 2000; i++) {
        bool is_row = i < sizeof sizes / sizeof *sizes;
        struct mx_mail_id id = {.seq = i * UINT64_C(77777777), .recipients = 1 + i % 3};
        id.size = is_row ? sizes[i] : i;
        uint64_t octets;
        if (plan->is_pipelined)
            mx_mail_group(&fixture.kit, &fixture.draft, &id);
        struct mx_span content = content_of(plan, message(&fixture, &id, &octets));
        cr_expect_eq(octets, content.len);
        check(content, &id, !plan->is_unverified);
    }
    end(&fixture);
}

Test(load_mail, messages_prove_themselves) {
    struct mx_plan plan = base();
    check_sizes(&plan);
    plan.subject = "a subject";
    plan.size.max = 100001;
    check_sizes(&plan);
    plan.is_unverified = true;
    check_sizes(&plan);
}

Test(load_mail, bdat_says_its_length) {
    struct mx_plan plan = base();
    plan.is_bdat = true;
    plan.recipients.max = 3;
    check_sizes(&plan);
    plan.is_pipelined = true;
    check_sizes(&plan);
    plan.is_unique_recipient = true;
    check_sizes(&plan);
}

Test(load_mail, commands) {
    static const struct {
        const char *name;
        bool is_unique, is_bdat;
        uint64_t recipients_max;
        uint32_t recipients;
        const char *group;
    } rows[] = {
        {"plain",    false, false, 1, 1, "RCPT TO:<c@d.example>\r\nDATA\r\n" },
        {"several",  false, false, 3, 2,
         "RCPT TO:<1c@d.example>\r\nRCPT TO:<2c@d.example>\r\nDATA\r\n"      },
        {"one of 3", false, false, 3, 1, "RCPT TO:<c@d.example>\r\nDATA\r\n" },
        {"unique",   true,  false, 1, 1, "RCPT TO:<8c@d.example>\r\nDATA\r\n"},
        {"both",     true,  false, 2, 2,
         "RCPT TO:<15c@d.example>\r\nRCPT TO:<16c@d.example>\r\nDATA\r\n"    },
        {"bdat",     false, true,  1, 1, "RCPT TO:<c@d.example>\r\n"         },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mx_plan plan = base();
        plan.is_unique_recipient = rows[i].is_unique;
        plan.is_bdat = rows[i].is_bdat;
        plan.recipients.max = rows[i].recipients_max;
        struct fixture fixture;
        begin(&fixture, &plan);
        struct mx_mail_id id = {.seq = 7, .recipients = rows[i].recipients};
        struct mx_span group = mx_mail_group(&fixture.kit, &fixture.draft, &id);
        char wanted[256];
        snprintf(wanted, sizeof wanted, "MAIL FROM:<a@b.example>\r\n%s", rows[i].group);
        cr_expect(mx_span_equal(group, mx_span_of(wanted)), "%s: %.*s", rows[i].name,
                  (int)group.len, group.ptr);
        end(&fixture);
    }
}

/* RFC 4616, and what everybody calls LOGIN. */
Test(load_mail, what_is_said_to_log_in) {
    struct mx_plan plan = base();
    struct mx_mail_kit kit;
    plan.auth = "bob:pass:word";
    cr_assert_eq(mx_mail_kit_new(&kit, &plan), 0);
    cr_expect(mx_span_equal(kit.auth[0], MX_SPAN("AUTH PLAIN AGJvYgBwYXNzOndvcmQ=\r\n")));
    cr_expect_eq(kit.auth[1].len, 0U);
    mx_mail_kit_free(&kit);
    plan.is_auth_login = true;
    cr_assert_eq(mx_mail_kit_new(&kit, &plan), 0);
    cr_expect(mx_span_equal(kit.auth[0], MX_SPAN("AUTH LOGIN\r\n")));
    cr_expect(mx_span_equal(kit.auth[1], MX_SPAN("Ym9i\r\n")));
    cr_expect(mx_span_equal(kit.auth[2], MX_SPAN("cGFzczp3b3Jk\r\n")));
    mx_mail_kit_free(&kit);
    char longest[MX_PLAN_AUTH_MAX + 1];
    memset(longest, 'x', MX_PLAN_AUTH_MAX);
    longest[MX_PLAN_AUTH_MAX] = '\0';
    longest[100] = ':';
    plan.auth = longest;
    for (int i = 0; i < 2; i++) {
        plan.is_auth_login = i == 1;
        cr_assert_eq(mx_mail_kit_new(&kit, &plan), 0);
        cr_expect_eq(kit.auth[0].len, i == 1 ? 12U : 13U + (MX_PLAN_AUTH_MAX + 2 + 1) / 3 * 4);
        mx_mail_kit_free(&kit);
    }
}
