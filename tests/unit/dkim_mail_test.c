/* dkim_mail_test.c - whole mails: RFC 8463's examples, and every change of every single octet of a
 * signed mail, each of them caught but for those that the canonical form does not see, which are
 * named here.
 */
#include "engine/policy/dkim.h"

#include <criterion/criterion.h>

enum { NOW_S = 1800000000, MAIL_MAX = 4096 };

static struct mx_buddy buddy;

#define POINT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define FIELDS                                                                                     \
    "From: Joe SixPack <joe@football.example.com>\r\n"                                             \
    "To: Suzie Q <suzie@shopping.example.net>\r\n"                                                 \
    "Subject: Is dinner ready?\r\n"                                                                \
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                              \
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

/* RFC 8463 A.3 */
static const char by_ed25519[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                                 " d=football.example.com; i=@football.example.com;\r\n"
                                 " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                                 " subject : date : message-id : from : subject : date;\r\n"
                                 " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                                 " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
                                 " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n";
static const char by_rsa[] = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                             " d=football.example.com; i=@football.example.com;\r\n"
                             " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                             " date : message-id : from : subject : date;\r\n"
                             " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                             " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
                             " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
                             " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n";
static const char rsa_key[] =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qh"
    "dR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hst"
    "T5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

/* Made by python3-dkim with the key of RFC 8463. */
#define OWN_FIELDS                                                                                 \
    "From: Joe SixPack <joe@football.example.com>\r\n"                                             \
    "To: Suzie Q <suzie@shopping.example.net>\r\n"                                                 \
    "Subject: Is dinner\tready?\r\n"                                                               \
    " Or not\r\n"                                                                                  \
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                              \
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define OWN_BODY                                                                                   \
    "\r\nHi. \t you\r\n\r\nWe lost the game.  Are you hungry yet?\t\r\n \r\nJoe.\r\n\r\n\r\n"
static const char simple_mail[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple;\r\n"
    " d=football.example.com; i=@football.example.com; q=dns/txt;\r\n"
    " s=brisbane; t=1795614358; h=from : to : subject : date : message-id;\r\n"
    " bh=ryE13GsT833+8tApEQbCfp2Z7etLsLXwnpjggeHY/0U=;\r\n"
    " b=k8elz3jlpJwLyOPGgMHuGDxsMWvM3MGIkuLQ58Q1H5vqOssze0UY0mzLTxSaAWluu/LC2\r\n"
    " X/lWpSkq9VNOoKJDA==\r\n" OWN_FIELDS OWN_BODY;
static const char relaxed_mail[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com; q=dns/txt;\r\n"
    " s=brisbane; t=1795614358; h=from : to : subject : date : message-id;\r\n"
    " bh=4d2uAstWONXQHJEDqxWBQeDOSQ8D+yg6T9lH2WMyGHA=;\r\n"
    " b=m1wS4qWr95t6SW1Ov/AIKi9WSj6qHjGVwY6RQv6Zs2UlKn4WisZ5b+EC0esug9MF7dw5p\r\n"
    " Q/BoU669kGgAhg/CQ==\r\n" OWN_FIELDS OWN_BODY;

/* ---- reading a mail ---- */

static const struct mx_dkim_how usual = {.forces_crlf = true, .now_s = NOW_S};

/* In pieces of so many octets. */
static void read_mail(struct mx_dkim_mail *self, struct mx_span text, size_t step,
                      const struct mx_dkim_how *how) {
    struct mx_header header;
    bool is_begun = false;
    *self = (struct mx_dkim_mail){.count = 0};
    mx_header_init(&header, &buddy);
    while (text.len > 0) {
        struct mx_span piece = {text.ptr, step < text.len ? step : text.len};
        text = mx_span_skip(text, piece.len);
        cr_assert_eq(mx_header_take(&header, &piece), 0);
        if (header.is_over && !is_begun) {
            mx_dkim_begin(self, &header, how);
            is_begun = true;
        }
        mx_dkim_content(self, piece);
    }
    if (!is_begun)
        mx_dkim_begin(self, &header, how);
    mx_dkim_end(self);
    mx_header_free(&header);
}

/* Why a check is not good, NULL: it is. */
static const char *verify(struct mx_dkim_check *check, const char *record_text) {
    struct mx_dns_answer answer = {.status = MX_DNS_OK, .count = 1};
    struct mx_dns_record record = {.data = mx_span_of(record_text)};
    struct mx_dkim_key key;
    char room[1024];
    size_t len = 0;
    if (check->state != MX_DKIM_OPEN)
        return check->why;
    cr_assert_eq(mx_dns_pack(room, sizeof room, &len, &record), 0);
    answer.records = (struct mx_span){room, len};
    const char *why = mx_dkim_take_key(check, &answer, &key);
    if (why != NULL)
        return why;
    return mx_dkim_verify(&key, check->hash, check->signature, check->signature_len)
               ? NULL
               : "signature is not one of this header";
}

static void begin(void) {
    cr_assert_eq(mx_buddy_init(&buddy, MX_BUDDY_MAX), 0);
}

static void end(void) {
    cr_expect_eq(buddy.used, 0U, "all memory is given back");
    mx_buddy_deinit(&buddy);
}

TestSuite(dkim_mail, .init = begin, .fini = end);

static struct mx_span join(char room[MAIL_MAX], const char *const parts[], size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        size_t more = strlen(parts[i]);
        cr_assert_leq(len + more, (size_t)MAIL_MAX);
        memcpy(room + len, parts[i], more);
        len += more;
    }
    return (struct mx_span){room, len};
}

Test(dkim_mail, rfc_8463) {
    static struct mx_dkim_mail mail;
    char room[MAIL_MAX];
    const char *const parts[] = {by_ed25519, by_rsa, FIELDS, BODY};
    struct mx_span text = join(room, parts, 4);
    for (size_t step = 1; step <= text.len; step++) {
        read_mail(&mail, text, step, &usual);
        cr_assert_eq(mail.count, 2);
        cr_assert_eq(mail.body_count, 1, "both have the same hash of the body");
        cr_assert_eq(mail.checks[0].state, MX_DKIM_OPEN, "%s", mail.checks[0].why);
        cr_assert_eq(mail.checks[1].state, MX_DKIM_OPEN, "%s", mail.checks[1].why);
        if (step > 1 && step < text.len)
            continue;
        cr_expect_null(verify(&mail.checks[0], POINT));
        cr_expect_null(verify(&mail.checks[1], rsa_key));
        cr_expect_str_eq(mail.checks[0].name, "brisbane._domainkey.football.example.com");
        cr_expect(mx_span_equal(mx_dkim_domain(&mail.checks[1]), MX_SPAN("football.example.com")));
    }
}

/* ---- each change ---- */

struct change {
    size_t at;
    char was, is;
};

/* Between "=" of b= and the end of that field: also the CR of its line end may become a blank. */
static bool is_in_b(const char *text, size_t at) {
    const char *b = strstr(text, " b=") + 3, *over = strstr(text, "\r\nFrom:");
    return text + at >= b && text + at <= over;
}

static bool is_wsp(char c) {
    return c == ' ' || c == '\t';
}

/* The header's end, where the first line of the body begins. */
static size_t body_at(const char *text) {
    return (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
}

/* What nobody can see of a change, in a mail whose names and values are known. */
static bool is_unseen(const char *text, size_t len, const struct change *change, bool is_relaxed,
                      bool forces_crlf) {
    size_t at = change->at, body = body_at(text);
    bool is_letter = mx_ascii_lower(change->was) >= 'a' && mx_ascii_lower(change->was) <= 'z';
    /* what b= holds is looked at when it is decoded */
    if (is_in_b(text, at))
        return true;
    /* the empty lines at the end: "Joe.\r\n\r\n\r\n" */
    if (at >= len - 6 && forces_crlf && change->was == '\r' && change->is == '\n')
        return true;
    if (at >= len - 4 && forces_crlf && is_relaxed && is_wsp(change->is) && change->was == '\r')
        return true;
    if (!is_relaxed)
        return false;
    /* a blank for a blank */
    if (is_wsp(change->was) && is_wsp(change->is))
        return true;
    /* the CR of a line end: a blank at the end of a line, and LF alone ends it */
    if (change->was == '\r' && is_wsp(change->is) && (at <= body - 4 || forces_crlf))
        return true;
    /* the case of a field's name */
    bool is_name = false;
    if (at < body && is_letter && (change->was ^ change->is) == 0x20) {
        size_t line = at;
        while (line > 0 && text[line - 1] != '\n')
            line--;
        is_name = !is_wsp(text[line]) && memchr(text + line, ':', at - line) == NULL;
    }
    return is_name;
}

/* Is it good with that octet? Another hash of the header under the same signature is not. */
static bool is_good_with(char *text, size_t len, const struct change *change,
                         const struct mx_dkim_how *how, const struct mx_dkim_check *first) {
    static struct mx_dkim_mail mail;
    text[change->at] = change->is;
    read_mail(&mail, (struct mx_span){text, len}, len, how);
    text[change->at] = change->was;
    struct mx_dkim_check *check = &mail.checks[0];
    return mail.count == 1 && check->state == MX_DKIM_OPEN &&
           memcmp(check->hash, first->hash, MX_DKIM_HASH) == 0 && verify(check, POINT) == NULL;
}

static void change_all(const char *text, bool is_relaxed, bool forces_crlf) {
    static struct mx_dkim_mail mail;
    static char changed[MAIL_MAX];
    const struct mx_dkim_how how = {.forces_crlf = forces_crlf, .now_s = NOW_S};
    size_t len = strlen(text), accepted = 0;
    memcpy(changed, text, len);
    read_mail(&mail, (struct mx_span){changed, len}, len, &how);
    struct mx_dkim_check first = mail.checks[0];
    cr_assert(mail.count == 1 && verify(&mail.checks[0], POINT) == NULL, "as it is");
    for (size_t i = 0; i < len * 256; i++) {
        struct change change = {i / 256, text[i / 256], (char)(i % 256)};
        bool is_good = change.is != change.was && is_good_with(changed, len, &change, &how, &first);
        bool is_expected = is_good && is_unseen(text, len, &change, is_relaxed, forces_crlf);
        accepted += is_good;
        cr_expect_eq(is_good, is_expected, "%s: octet %zu, %d for %d",
                     is_relaxed ? "relaxed" : "simple", change.at, change.is, change.was);
    }
    cr_expect_lt(accepted, len * 5, "of %zu", len * 255);
}

Test(dkim_mail, every_change_simple) {
    change_all(simple_mail, false, false);
}

Test(dkim_mail, every_change_simple_with_line_ends) {
    change_all(simple_mail, false, true);
}

Test(dkim_mail, every_change_relaxed) {
    change_all(relaxed_mail, true, false);
}

Test(dkim_mail, every_change_relaxed_with_line_ends) {
    change_all(relaxed_mail, true, true);
}

/* Octets that are added or lost, at every place. */
Test(dkim_mail, octets_more_and_less) {
    static struct mx_dkim_mail mail, first;
    static char changed[MAIL_MAX];
    size_t len = strlen(simple_mail);
    read_mail(&first, mx_span_of(simple_mail), len, &usual);
    for (size_t at = 0; at <= len; at++) {
        for (int is_more = 0; is_more < 2; is_more++) {
            bool is_end = at + 6 >= len;                      /* empty lines there do not count */
            bool is_cr = !is_more && simple_mail[at] == '\r'; /* LF alone ends a line, too */
            if (is_end || is_cr || is_in_b(simple_mail, at) || (!is_more && at == len))
                continue;
            memcpy(changed, simple_mail, at);
            changed[at] = '!';
            size_t to = at + (size_t)is_more, from = at + 1 - (size_t)is_more;
            memcpy(changed + to, simple_mail + from, len - from);
            read_mail(&mail, (struct mx_span){changed, to + len - from}, len, &usual);
            bool is_same = mail.count == 1 && mail.checks[0].state == MX_DKIM_OPEN &&
                           memcmp(mail.checks[0].hash, first.checks[0].hash, MX_DKIM_HASH) == 0;
            cr_expect(!is_same, "octet %zu %s", at, is_more ? "more" : "less");
        }
    }
}

/* ---- what stands beside the signature ---- */

Test(dkim_mail, fields_around) {
    static struct mx_dkim_mail mail;
    static const struct {
        const char *name, *top, *bottom, *why;
        bool has_own_trace;
    } rows[] = {
        {"nothing",           "",                    "",              NULL,                                  false},
        {"unsigned fields",   "X-A: b\r\n",          "X-B: c\r\n",    NULL,                                  false},
        {"our own trace",     "Received: by us\r\n", "",              NULL,                                  true },
        {"a From on top",     "From: x@y\r\n",       "",              "a From field is not signed",          false},
        {"a From at the end", "",                    "From: x@y\r\n", "a From field is not signed",          false},
        {"a To on top",       "To: x@y\r\n",         "",              NULL,                                  false},
        {"a To at the end",   "",                    "To: x@y\r\n",   "signature is not one of this header", false},
        {"a Subject on top",  "Subject: x\r\n",      "",              "signature is not one of this header", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char room[MAIL_MAX];
        bool is_subject = strstr(rows[i].top, "Subject") != NULL; /* signed once more than it is */
        struct mx_dkim_how how = usual;
        struct mx_span text;
        how.has_own_trace = rows[i].has_own_trace;
        if (is_subject) {
            const char *const whole[] = {rows[i].top, by_ed25519, FIELDS, BODY};
            text = join(room, whole, 4);
        } else {
            char fields[MAIL_MAX];
            size_t head = body_at(simple_mail) - 2;
            memcpy(fields, simple_mail, head);
            fields[head] = '\0';
            const char *const whole[] = {rows[i].top, fields, rows[i].bottom, OWN_BODY};
            text = join(room, whole, 4);
        }
        read_mail(&mail, text, text.len, &how);
        cr_assert_eq(mail.count, 1, "%s", rows[i].name);
        const char *why = verify(&mail.checks[0], POINT);
        bool is_wanted =
            why == NULL || rows[i].why == NULL ? why == rows[i].why : strcmp(why, rows[i].why) == 0;
        cr_expect(is_wanted, "%s: %s", rows[i].name, why);
    }
}

Test(dkim_mail, many_signatures) {
    static struct mx_dkim_mail mail;
    char room[MAIL_MAX];
    static const char bad[] = "DKIM-Signature: v=1; b=x\r\n";
    const char *const four[] = {bad, bad, bad, bad, by_ed25519, FIELDS, BODY};
    read_mail(&mail, join(room, four, 7), 100, &usual);
    cr_expect(mail.count == 5 && !mail.has_more);
    cr_expect_str_eq(mail.checks[0].why, "a tag is missing");
    cr_expect_null(verify(&mail.checks[4], POINT));
    const char *const five[] = {bad, bad, bad, bad, bad, by_ed25519, FIELDS, BODY};
    read_mail(&mail, join(room, five, 8), 100, &usual);
    cr_expect(mail.count == 5 && mail.has_more, "it is not looked at");
}

Test(dkim_mail, many_fields) {
    static struct mx_dkim_mail mail;
    static char text[32768];
    size_t len = 0;
    memcpy(text, by_ed25519, sizeof by_ed25519 - 1);
    len += sizeof by_ed25519 - 1;
    for (unsigned i = 0; i < MX_DKIM_FIELDS_MAX; i++) {
        memcpy(text + len, "X: y\r\n", 6);
        len += 6;
    }
    memcpy(text + len, "\r\n", 2);
    read_mail(&mail, (struct mx_span){text, len + 2}, 1000, &usual);
    cr_assert_eq(mail.count, 1);
    cr_expect_str_eq(mail.checks[0].why, "header has too many fields");
}

/* ---- keys ---- */

Test(dkim_mail, answers_for_keys) {
    static const struct {
        const char *name, *records[3], *why;
        int status;
        enum mx_dkim_state state;
    } rows[] = {
        {"one",                 {POINT},                    NULL,                               MX_DNS_OK,        MX_DKIM_OPEN      },
        {"beside another text", {"v=spf1 -all", POINT},     NULL,                               MX_DNS_OK,        MX_DKIM_OPEN      },
        {"two",                 {POINT, POINT},             "there is more than one key",       MX_DNS_OK,        MX_DKIM_FAILED    },
        {"revoked",             {"v=DKIM1; k=ed25519; p="}, "key is revoked",                   MX_DNS_OK,        MX_DKIM_FAILED    },
        {"none",                {NULL},                     "there is no key",                  MX_DNS_NXDOMAIN,  MX_DKIM_FAILED    },
        {"no record",           {NULL},                     "there is no key",                  MX_DNS_NODATA,    MX_DKIM_FAILED    },
        {"long",                {NULL},                     "key record is too long",           MX_DNS_TOO_LARGE, MX_DKIM_FAILED    },
        {"broken",              {NULL},                     "nobody has the key at the moment", MX_DNS_SERVFAIL,  MX_DKIM_CANNOT_SAY},
        {"silent",              {NULL},                     "nobody has the key at the moment", MX_DNS_TIMEOUT,   MX_DKIM_CANNOT_SAY},
        {"busy",                {NULL},                     "nobody has the key at the moment", MX_DNS_BUSY,      MX_DKIM_CANNOT_SAY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mx_dkim_check check = {.state = MX_DKIM_OPEN, .algorithm = MX_DKIM_ED25519_SHA256};
        struct mx_dns_answer answer = {.status = (uint8_t)rows[i].status};
        struct mx_dkim_key key;
        char room[1024];
        size_t len = 0;
        for (size_t k = 0; rows[i].records[k] != NULL; k++, answer.count++) {
            struct mx_dns_record record = {.data = mx_span_of(rows[i].records[k])};
            cr_assert_eq(mx_dns_pack(room, sizeof room, &len, &record), 0);
        }
        answer.records = (struct mx_span){room, len};
        const char *why = mx_dkim_take_key(&check, &answer, &key);
        bool is_wanted =
            why == NULL || rows[i].why == NULL ? why == rows[i].why : strcmp(why, rows[i].why) == 0;
        cr_expect(is_wanted, "%s: %s", rows[i].name, why);
        cr_expect_eq(check.state, rows[i].state, "%s", rows[i].name);
    }
}

Test(dkim_mail, a_strict_key) {
    struct mx_dkim_check check = {.state = MX_DKIM_OPEN, .algorithm = MX_DKIM_ED25519_SHA256};
    cr_expect_str_eq(verify(&check, POINT "; t=s"), "i= is of another domain than the key");
    check.state = MX_DKIM_OPEN;
    check.is_user_of_domain = true;
    cr_expect_str_eq(verify(&check, POINT "; t=s"), "signature is not one of this header");
}

Test(dkim_mail, a_limit) {
    static struct mx_dkim_mail mail;
    static const char signature[] =
        "DKIM-Signature: v=1; a=ed25519-sha256; b=" /* 64 octets */
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==;"
        "bh=VSuraGTHp7aaUC7RhUuSRcDhow8AiqoLKB2mJYX9sCU=; d=a.test; s=k; h=from; l=";
    /* the hash is of "abc\r\n" */
    static const struct {
        const char *limit, *body, *why;
        bool allows_partial;
    } rows[] = {
        {"5\r\n\r\n", "abc\r\n",         NULL,                                false},
        {"5\r\n\r\n", "abc\r\n\r\n",     NULL,                                false},
        {"6\r\n\r\n", "abc\r\n",         "body is shorter than l=",           true },
        {"5\r\n\r\n", "abc\r\nmore\r\n", "l= leaves out the end of the body", false},
        {"5\r\n\r\n", "abc\r\nmore\r\n", NULL,                                true },
        {"5\r\n\r\n", "abd\r\nmore\r\n", "body has been changed",             true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char room[MAIL_MAX];
        struct mx_dkim_how how = usual;
        const char *const parts[] = {signature, rows[i].limit, rows[i].body};
        how.allows_partial = rows[i].allows_partial;
        read_mail(&mail, join(room, parts, 3), 7, &how);
        cr_assert_eq(mail.count, 1);
        const char *why = mail.checks[0].why;
        bool is_wanted =
            why == NULL || rows[i].why == NULL ? why == rows[i].why : strcmp(why, rows[i].why) == 0;
        cr_expect(is_wanted, "%zu: %s", i, why);
    }
}
