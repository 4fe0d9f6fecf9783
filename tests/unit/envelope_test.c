/* envelope_test.c - the transaction's block: what is put in comes out, at every size of the block,
 * after every move of it. A random run of operations is compared with a plain array of strings; the
 * block is always just as large as mx_envelope_need() asked for, and ends at an unreadable page.
 */
#include "proto/envelope.h"
#include "tests/unit/guard_page.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* As a driver does it: a new block of this size, the old one copied and gone. */
static void grow(struct mx_envelope *envelope, uint32_t cap) {
    static char old[GUARD_LEN];
    cr_assert_leq(envelope->used, cap);
    if (envelope->used > 0)
        memcpy(old, envelope->base, envelope->used);
    envelope->base = guard_room(cap);
    memset(envelope->base, 0xee, cap);
    memcpy(envelope->base, old, envelope->used);
    envelope->cap = cap;
}

static bool has_text(struct mx_span span, const char *text) {
    return mx_span_equal(span, mx_span_of(text));
}

Test(envelope, sender) {
    static const struct {
        const char *local, *domain, *sender;
    } cases[] = {
        {"",         "",             ""                     },
        {"a",        "x.org",        "a@x.org"              },
        {"Bob",      "EXAMPLE.Com",  "Bob@example.com"      },
        {"bob",      "",             "bob"                  },
        {"\"A b\"",  "[1.2.3.4]",    "\"A b\"@[1.2.3.4]"    },
        {"\xc3\x96", "\xc3\x96.ORG", "\xc3\x96@\xc3\x96.org"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mx_envelope envelope = {0};
        struct mx_span local = mx_span_of(cases[i].local), domain = mx_span_of(cases[i].domain);
        if (*cases[i].sender != '\0') {
            cr_expect_eq(mx_envelope_set_sender(&envelope, local, domain), MX_ENOROOM);
            cr_expect_not(envelope.has_sender);
        }
        grow(&envelope, mx_envelope_need(local, domain));
        cr_assert_eq(mx_envelope_set_sender(&envelope, local, domain), 0);
        uint32_t used = envelope.used;
        for (uint32_t cap = 0; cap < used; cap++) {
            mx_envelope_reset(&envelope);
            grow(&envelope, cap);
            cr_expect_eq(mx_envelope_set_sender(&envelope, local, domain), MX_ENOROOM);
        }
        grow(&envelope, used);
        cr_assert_eq(mx_envelope_set_sender(&envelope, local, domain), 0);
        cr_expect(envelope.has_sender);
        cr_expect(has_text(mx_envelope_sender(&envelope), cases[i].sender), "%s", cases[i].sender);
        cr_expect_eq(envelope.rcpts_at, envelope.rcpts_end);
        uint32_t cursor = envelope.rcpts_at;
        struct mx_rcpt rcpt;
        cr_expect_not(mx_envelope_rcpt_next(&envelope, &cursor, &rcpt));
    }
}

/* AUTH= stands between the sender and the recipients, or is not there. */
Test(envelope, auth) {
    static const char *const senders[] = {"", "a", "abc", "abcd"};
    static const char *const texts[] = {"<>", "bob@example.com", "x@y"};
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        struct mx_span local = mx_span_of(senders[i]), none = {0};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            struct mx_envelope envelope = {0};
            struct mx_span text = mx_span_of(texts[t]);
            uint32_t need = mx_envelope_need_text(local) + mx_envelope_need_text(text);
            for (uint32_t cap = mx_envelope_need_text(local); cap < need; cap++) {
                mx_envelope_reset(&envelope);
                grow(&envelope, cap);
                cr_expect_eq(mx_envelope_set_sender(&envelope, local, none), 0);
                cr_expect_eq(mx_envelope_auth(&envelope).len, 0);
                cr_expect_eq(mx_envelope_set_auth(&envelope, text), MX_ENOROOM);
            }
            mx_envelope_reset(&envelope);
            grow(&envelope, need + mx_envelope_need(MX_SPAN("r"), MX_SPAN("z")));
            cr_assert_eq(mx_envelope_set_sender(&envelope, local, none), 0);
            cr_assert_eq(mx_envelope_set_auth(&envelope, text), 0);
            cr_assert_eq(mx_envelope_add_rcpt(&envelope, MX_SPAN("r"), MX_SPAN("z")), 0);
            cr_expect(has_text(mx_envelope_sender(&envelope), senders[i]));
            cr_expect(has_text(mx_envelope_auth(&envelope), texts[t]), "%s", texts[t]);
            struct mx_rcpt rcpt;
            uint32_t cursor = envelope.rcpts_at;
            cr_assert(mx_envelope_rcpt_next(&envelope, &cursor, &rcpt));
            cr_expect(has_text(rcpt.address, "r@z"));
            mx_envelope_reset(&envelope);
            cr_expect_eq(mx_envelope_auth(&envelope).len, 0);
        }
    }
}

Test(envelope, null_sender_needs_no_block) {
    struct mx_envelope envelope = {0};
    cr_expect_eq(mx_envelope_set_sender(&envelope, (struct mx_span){0}, (struct mx_span){0}), 0);
    cr_expect(envelope.has_sender);
    cr_expect_null(mx_envelope_scratch(&envelope, 0));
    cr_expect_eq(mx_envelope_add_rcpt(&envelope, MX_SPAN("b"), MX_SPAN("x")), MX_ENOROOM);
    cr_expect_eq(envelope.rcpt_count, 0);
}

enum { MODEL_MAX = 64 };

struct model {
    char sender[64];
    char rcpts[MODEL_MAX][64];
    uint32_t at[MODEL_MAX];
    int results[MODEL_MAX];
    uint32_t count;
};

static void compare(const struct mx_envelope *envelope, const struct model *model) {
    cr_assert(has_text(mx_envelope_sender(envelope), model->sender));
    cr_assert_eq(envelope->rcpt_count, model->count);
    uint32_t cursor = envelope->rcpts_at;
    for (uint32_t i = 0; i < model->count; i++) {
        struct mx_rcpt rcpt;
        cr_assert_eq(cursor, model->at[i]);
        cr_assert_eq(cursor % 4, 0, "a record is not aligned");
        cr_assert(mx_envelope_rcpt_next(envelope, &cursor, &rcpt));
        cr_assert(has_text(rcpt.address, model->rcpts[i]), "%s", model->rcpts[i]);
        cr_assert_eq(rcpt.result, model->results[i]);
    }
    struct mx_rcpt rcpt;
    cr_assert_not(mx_envelope_rcpt_next(envelope, &cursor, &rcpt));
    cr_assert_eq(cursor, envelope->rcpts_end);
}

static void add(struct mx_envelope *envelope, struct model *model, unsigned number) {
    char local[32], domain[32];
    snprintf(local, sizeof local, "U%.*u", (int)(number % 9), number);
    snprintf(domain, sizeof domain, "X%u.Org", number % 1000);
    uint32_t record_at = envelope->rcpts_end;
    int err = mx_envelope_add_rcpt(envelope, mx_span_of(local), mx_span_of(domain));
    if (err < 0) {
        cr_assert_eq(err, MX_ENOROOM);
        compare(envelope, model);
        grow(envelope, envelope->used + mx_envelope_need(mx_span_of(local), mx_span_of(domain)));
        err = mx_envelope_add_rcpt(envelope, mx_span_of(local), mx_span_of(domain));
    }
    cr_assert_eq(err, 0);
    snprintf(model->rcpts[model->count], 64, "%s@x%u.org", local, number % 1000);
    model->results[model->count] = 0;
    model->at[model->count++] = record_at;
}

static void use_scratch(struct mx_envelope *envelope, uint32_t len) {
    if (mx_envelope_scratch(envelope, len) == NULL)
        grow(envelope, envelope->used + len);
    char *scratch = mx_envelope_scratch(envelope, len);
    cr_assert_not_null(scratch);
    memset(scratch, '#', len);
    ptrdiff_t at = scratch - envelope->base;
    grow(envelope, envelope->used + 100);
    for (uint32_t i = 0; i < len; i++)
        cr_assert_eq(envelope->base[at + i], '#', "the scratch text did not move along");
}

static void change(struct mx_envelope *envelope, struct model *model, unsigned number) {
    uint32_t index = number % model->count;
    switch (number / 64 % 4) {
    case 0:
        model->count--;
        mx_envelope_drop_rcpt(envelope, model->at[model->count]);
        cr_assert_eq(envelope->used, model->at[model->count]);
        break;
    case 1:
        model->results[index] = -(int)(number % 5005);
        mx_envelope_rcpt_result(envelope, model->at[index], model->results[index]);
        break;
    case 2:
        use_scratch(envelope, number % 300);
        break;
    default:
        grow(envelope, envelope->used);
    }
}

Test(envelope, random_operations) {
    unsigned seed = 7;
    for (int run = 0; run < 200; run++) {
        struct mx_envelope envelope = {0};
        struct model model = {0};
        struct mx_span domain = MX_SPAN("S.org");
        char local[16];
        snprintf(local, sizeof local, "%.*s", run % 8, "sssssssss");
        snprintf(model.sender, sizeof model.sender, "%s@s.org", local);
        grow(&envelope, mx_envelope_need(mx_span_of(local), domain));
        cr_assert_eq(mx_envelope_set_sender(&envelope, mx_span_of(local), domain), 0);
        for (int step = 0; step < 100; step++) {
            unsigned number = (unsigned)rand_r(&seed);
            if (model.count == 0 || (number % 3 && model.count < MODEL_MAX))
                add(&envelope, &model, number / 3);
            else
                change(&envelope, &model, number / 3);
            compare(&envelope, &model);
        }
    }
}

Test(envelope, reset_keeps_the_block) {
    static char block[256];
    struct mx_envelope envelope = {.base = block, .cap = sizeof block};
    cr_assert_eq(mx_envelope_set_sender(&envelope, MX_SPAN("a"), MX_SPAN("x.org")), 0);
    cr_assert_eq(mx_envelope_add_rcpt(&envelope, MX_SPAN("b"), MX_SPAN("x.org")), 0);
    envelope.declared_size = 5;
    envelope.is_smtputf8 = true;
    envelope.body_type = MX_BODY_8BITMIME;
    mx_envelope_reset(&envelope);
    cr_expect_eq(envelope.base, block);
    cr_expect_eq(envelope.cap, sizeof block);
    cr_expect(envelope.used == 0 && envelope.sender_len == 0 && envelope.rcpt_count == 0 &&
              envelope.rcpts_at == 0 && envelope.rcpts_end == 0 && envelope.declared_size == 0 &&
              !envelope.has_sender && !envelope.is_smtputf8 && envelope.body_type == MX_BODY_NONE);
}

/* A block with a sender and two recipients, for the tests of assertions. */
static struct mx_envelope filled(void) {
    static char block[256];
    struct mx_envelope envelope = {.base = block, .cap = sizeof block};
    cr_assert_eq(mx_envelope_set_sender(&envelope, MX_SPAN("a"), MX_SPAN("x")), 0);
    cr_assert_eq(mx_envelope_add_rcpt(&envelope, MX_SPAN("b"), MX_SPAN("x")), 0);
    cr_assert_eq(mx_envelope_add_rcpt(&envelope, MX_SPAN("c"), MX_SPAN("x")), 0);
    return envelope;
}

Test(envelope, second_sender_is_a_bug, .signal = SIGABRT) {
    struct mx_envelope envelope = filled();
    cr_expect_eq(mx_envelope_set_sender(&envelope, MX_SPAN("a"), MX_SPAN("x")), 0);
}

Test(envelope, dropping_another_than_the_last_is_a_bug, .signal = SIGABRT) {
    struct mx_envelope envelope = filled();
    mx_envelope_drop_rcpt(&envelope, envelope.rcpts_at);
}

Test(envelope, result_of_no_recipient_is_a_bug, .signal = SIGABRT) {
    struct mx_envelope envelope = filled();
    mx_envelope_rcpt_result(&envelope, envelope.rcpts_end, -EIO);
}

Test(envelope, cursor_behind_the_end_is_a_bug, .signal = SIGABRT) {
    struct mx_envelope envelope = filled();
    struct mx_rcpt rcpt;
    uint32_t cursor = envelope.rcpts_end + 4;
    cr_expect_not(mx_envelope_rcpt_next(&envelope, &cursor, &rcpt));
}

Test(envelope, huge_address_is_a_bug, .signal = SIGABRT) {
    static char text[1];
    cr_expect_eq(mx_envelope_need((struct mx_span){text, (size_t)1 << 32}, MX_SPAN("x")), 0);
}

Test(envelope, huge_scratch_is_a_bug, .signal = SIGABRT) {
    struct mx_envelope envelope = filled();
    cr_expect_null(mx_envelope_scratch(&envelope, UINT32_MAX));
}
