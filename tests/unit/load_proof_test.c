/* load_proof_test.c - a message proves itself in every form in which a mailbox may show it, and no
 * octet of it can be changed, lost or put in without being noticed; the ledger's sums.
 */
#include "bench/mxload/mail.h"
#include "bench/mxload/proof.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 8192 };

static const char run[] = "0123456789abcdef";

/* A message as it is sent, without the final dot. */
static struct mx_span sent(char *to, uint64_t seq, uint32_t size, bool is_unverified) {
    struct mx_plan plan = {
        .sender = "a@b.example",
        .recipient = "c@d.example",
        .hostname = "load.example",
        .size = {0, 4000},
        .recipients = {1, 1   },
        .is_unverified = is_unverified,
    };
    memcpy(plan.run, run, sizeof run);
    struct mx_mail_kit kit;
    struct mx_mail_draft draft;
    struct mx_span parts[MX_MAIL_PARTS];
    uint64_t octets;
    cr_assert_eq(mx_mail_kit_new(&kit, &plan), 0);
    char *memory = malloc(kit.commands_octets + kit.message_octets);
    mx_mail_draft_init(&draft, memory);
    struct mx_mail_id id = {.seq = seq, .size = size, .recipients = 1};
    cr_assert_eq(mx_mail_message(&kit, &draft, &id, parts, &octets), 1U);
    struct mx_span text = {to, parts[0].len - 3};
    memcpy(to, parts[0].ptr, text.len);
    free(memory);
    mx_mail_kit_free(&kit);
    return text;
}

/* The same with LF at the end of the lines. */
static struct mx_span with_lf(struct mx_span in, char *to) {
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] != '\r')
            to[len++] = in.ptr[i];
    }
    return (struct mx_span){to, len};
}

static struct mx_span behind(const char *trace, struct mx_span in, char *to) {
    size_t len = strlen(trace);
    memcpy(to, trace, len);
    memcpy(to + len, in.ptr, in.len);
    return (struct mx_span){to, len + in.len};
}

Test(load_proof, all_forms_are_good) {
    static char text[TEXT_MAX], lf[TEXT_MAX], more[TEXT_MAX];
    struct guard guard = guard_map();
    for (uint32_t size = 0; size < 4000; size += 1 + size / 3) {
        if (size == 1)
            continue;
        struct mx_span plain = sent(text, 77, size, false);
        const struct mx_span forms[] = {
            plain,
            with_lf(plain, lf),
            behind("Received: x\r\n\ty\r\n", plain, more),
        };
        for (size_t i = 0; i < 3; i++) {
            struct mx_proof_mark mark;
            struct mx_span in = guard_put(&guard, forms[i], true);
            cr_expect_eq(mx_proof_look(in, true, &mark), MX_PROOF_GOOD, "%u, form %zu", size, i);
            cr_expect_str_eq(mark.run, run);
            cr_expect_eq(mark.seq, 77U);
        }
    }
    struct mx_proof_mark mark;
    struct mx_span mixed = behind("Received: x\n", sent(text, 5, 100, false), more);
    cr_expect_eq(mx_proof_look(mixed, true, &mark), MX_PROOF_GOOD, "trace in LF, message in CRLF");
    cr_expect_eq(mx_proof_look(sent(text, 5, 100, true), true, &mark), MX_PROOF_UNHASHED);
    cr_expect_eq(mark.seq, 5U);
}

/* Every octet, every bit. */
Test(load_proof, every_flipped_bit_is_found) {
    static char text[TEXT_MAX], lf[TEXT_MAX];
    struct mx_span forms[2] = {sent(text, 77, 300, false)};
    forms[1] = with_lf(forms[0], lf);
    for (size_t form = 0; form < 2; form++) {
        char *octets = form == 0 ? text : lf;
        for (size_t bit = 0; bit < 8 * forms[form].len; bit++) {
            struct mx_proof_mark mark;
            octets[bit / 8] ^= (char)(1 << bit % 8);
            cr_expect_neq(mx_proof_look(forms[form], true, &mark), MX_PROOF_GOOD,
                          "form %zu: bit %zu of octet %zu", form, bit % 8, bit / 8);
            octets[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
}

Test(load_proof, lost_and_inserted_octets_are_found) {
    static char text[TEXT_MAX], other[TEXT_MAX];
    struct mx_span in = sent(text, 77, 300, false);
    struct rng rng = {4};
    for (size_t at = 0; at < in.len; at++) {
        struct mx_proof_mark mark;
        memcpy(other, in.ptr, at);
        memcpy(other + at, in.ptr + at + 1, in.len - at - 1);
        enum mx_proof_state state = mx_proof_look((struct mx_span){other, in.len - 1}, true, &mark);
        /* without a CR at its end the first line says: all lines end in LF; that is a lie */
        cr_expect_neq(state, MX_PROOF_GOOD, "octet %zu lost", at);
        other[at] = (char)rng_take(&rng, 256);
        memcpy(other + at + 1, in.ptr + at, in.len - at);
        state = mx_proof_look((struct mx_span){other, in.len + 1}, true, &mark);
        cr_expect_neq(state, MX_PROOF_GOOD, "octet %zu put in", at);
        state = mx_proof_look((struct mx_span){in.ptr, at}, true, &mark);
        cr_expect_neq(state, MX_PROOF_GOOD, "cut at %zu", at);
    }
}

Test(load_proof, headers_may_change_when_they_may) {
    static char text[TEXT_MAX];
    struct mx_span in = sent(text, 77, 300, false);
    char *from = memmem(text, in.len, "From: <a@b", 10);
    from[7] = 'z';
    struct mx_proof_mark mark;
    cr_expect_eq(mx_proof_look(in, true, &mark), MX_PROOF_CHANGED);
    cr_expect_eq(mx_proof_look(in, false, &mark), MX_PROOF_GOOD);
    text[in.len - 3]++;
    cr_expect_eq(mx_proof_look(in, false, &mark), MX_PROOF_CHANGED);
    cr_expect_eq(mark.seq, 77U);
    cr_expect_eq(mx_proof_look(MX_SPAN("Subject: x\r\n\r\ny\r\n"), true, &mark), MX_PROOF_FOREIGN);
    cr_expect_eq(mx_proof_look((struct mx_span){NULL, 0}, true, &mark), MX_PROOF_FOREIGN);
}

/* ---- the ledger ---- */

static int line(struct mx_proof *proof, const char *text) {
    return mx_proof_new_line(proof, mx_span_of(text));
}

Test(load_proof, lines) {
    static struct mx_proof proof;
    static const char *const bad[] = {
        "",
        "0123456789abcdef 000000000001 ",
        "0123456789abcdef 000000000001 25 x",
        "0123456789abcdef 000000000001 999 x",
        "0123456789abcdef 000000000001 lost",
        "0123456789abcdef 00000000001 250 x",
        "0123456789abcdeg 000000000001 250 x",
        "0123456789abcdef-000000000001 250 x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(line(&proof, bad[i]), MX_ESYNTAX, "%s", bad[i]);
    cr_expect_eq(line(&proof, "0123456789abcdef 000000000001 250 x"), 0);
    cr_expect_eq(line(&proof, "0123456789abcdef 000000000001 unknown"), -EEXIST);
    cr_expect_eq(line(&proof, "0123456789abcdef 999999999999 250 x"), MX_ELIMIT);
    cr_expect_eq(line(&proof, "fedcba9876543210 000000100000 unknown"), 0);
    for (unsigned i = 0; i < MX_PROOF_RUNS_MAX; i++) {
        char text[64];
        snprintf(text, sizeof text, "%016x 000000000000 250", i);
        cr_expect_eq(line(&proof, text), i + 2 < MX_PROOF_RUNS_MAX ? 0 : MX_ELIMIT, "%u", i);
    }
    mx_proof_free(&proof);
}

static void found(struct mx_proof *proof, enum mx_proof_state state, uint64_t seq, unsigned times) {
    struct mx_proof_mark mark = {.seq = seq};
    memcpy(mark.run, run, sizeof run);
    for (unsigned i = 0; i < times; i++)
        mx_proof_found(proof, state, &mark, false);
}

static void note(void *context, const char *what, const char *name, uint64_t seq) {
    char *said = context;
    cr_expect_str_eq(name, run);
    snprintf(said + strlen(said), 512 - strlen(said), "%s %u,", what, (unsigned)seq);
}

Test(load_proof, sums) {
    static struct mx_proof proof;
    static const char *const fates[] = {"250", "250", "250", "250",     "250",
                                        "450", "550", "250", "unknown", "unknown"};
    for (unsigned i = 0; i < 10; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s %012u %s text", run, i, fates[i]);
        cr_assert_eq(line(&proof, text), 0);
    }
    found(&proof, MX_PROOF_GOOD, 0, 1);
    found(&proof, MX_PROOF_GOOD, 1, 2);
    found(&proof, MX_PROOF_CHANGED, 2, 1);
    found(&proof, MX_PROOF_GOOD, 4, 1);
    found(&proof, MX_PROOF_CHANGED, 4, 1);
    found(&proof, MX_PROOF_GOOD, 6, 1);
    found(&proof, MX_PROOF_UNHASHED, 7, 1);
    found(&proof, MX_PROOF_GOOD, 8, 1);
    found(&proof, MX_PROOF_GOOD, 11, 1);
    found(&proof, MX_PROOF_GOOD, UINT64_C(1) << 60, 1);
    found(&proof, MX_PROOF_FOREIGN, 0, 3);
    char said[512] = "";
    struct mx_proof_result result = mx_proof_judge(&proof, (struct mx_range){1, 1}, note, said);
    cr_expect_str_eq(said, "doubled 1,changed 2,lost 3,changed 4,doubled 4,refused, but there 6,"
                           "changed 7,unlisted 11,");
    cr_expect(result.accepted == 6 && result.refused == 2 && result.unknown == 2);
    cr_expect(result.lost == 1 && result.doubled == 2 && result.changed == 3);
    cr_expect(result.stored_refused == 1 && result.unlisted == 1 && result.unknown_found == 1);
    cr_expect_eq(result.found, 10U);
    cr_expect_eq(proof.foreign, 4U);
    cr_expect(!mx_proof_is_good(&result));
    result = mx_proof_judge(&proof, (struct mx_range){0, 2}, NULL, NULL);
    cr_expect(result.lost == 0 && result.doubled == 0 && result.changed == 3);
    mx_proof_free(&proof);
}

Test(load_proof, good_is_good) {
    static struct mx_proof proof;
    cr_assert_eq(line(&proof, "0123456789abcdef 000000000000 250 x"), 0);
    cr_assert_eq(line(&proof, "0123456789abcdef 000000000001 550 x"), 0);
    found(&proof, MX_PROOF_GOOD, 0, 2);
    struct mx_proof_result result = mx_proof_judge(&proof, (struct mx_range){2, 2}, NULL, NULL);
    cr_expect(mx_proof_is_good(&result));
    result = mx_proof_judge(&proof, (struct mx_range){3, 3}, NULL, NULL);
    cr_expect_eq(result.lost, 1U);
    mx_proof_free(&proof);
}
