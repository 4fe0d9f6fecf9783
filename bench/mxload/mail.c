#include "bench/mxload/mail.h"

#include "bench/mxload/eml.h"
#include "proto/base64.h"
#include "proto/crc32c.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    SEQ_LEN = 12,
    HEAD_MAX = 4096,
    TAIL_LEN = 1 + 7 + MX_PLAN_RUN_LEN + 1 + SEQ_LEN + 2,
    BDAT_MAX = 32, /* "BDAT 1073741824 LAST" */
    LINE_LEN = 72,
    COMMAND_EXTRA = 40, /* "RCPT TO:<", a number, ">" and CRLF */
    AUTH_OCTETS = MX_BASE64_LEN(MX_PLAN_AUTH_MAX + 2) + 40, /* all that is said of it */
};

/* ---- the kit ---- */

/* Put text behind what is there; the caller has made room. Returns where it begins. */
__attribute__((format(printf, 4, 5))) static uint32_t put(char *to, uint32_t *len, uint32_t cap,
                                                          const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(to + *len, cap - *len, format, arguments);
    va_end(arguments);
    assert(n >= 0 && (uint32_t)n < cap - *len);
    uint32_t at = *len;
    *len += (uint32_t)n;
    return at;
}

#define ZEROS "000000000000"

/* What only generated mail has. */
static void put_fields(struct mx_mail_kit *self) {
    const struct mx_plan *plan = self->plan;
    char *to = self->head, date[64] = "";
    uint32_t *len = &self->head_len;
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm) == 0)
        date[0] = '\0';
    put(to, len, HEAD_MAX, "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\n", self->sender, self->recipient,
        date);
    uint32_t at =
        put(to, len, HEAD_MAX, "Message-Id: <%s." ZEROS "@%s>\r\n", plan->run, self->hostname);
    self->seq_at[self->seq_count++] = at + 13 + MX_PLAN_RUN_LEN + 1;
    if (plan->subject != NULL)
        put(to, len, HEAD_MAX, "Subject: %s\r\n", plan->subject);
    put(to, len, HEAD_MAX, "\r\n");
}

static void put_head(struct mx_mail_kit *self) {
    const struct mx_plan *plan = self->plan;
    char *to = self->head;
    uint32_t *len = &self->head_len;
    if (!plan->is_unverified) {
        self->hash_at = put(to, len, HEAD_MAX, "X-Mxload-Hash: crc32c 00000000 00000000\r\n") + 22;
        self->hash_end = *len;
    }
    put(to, len, HEAD_MAX, "X-Mxload-Run: %s\r\n", plan->run);
    self->seq_at[self->seq_count++] = put(to, len, HEAD_MAX, "X-Mxload-Seq: " ZEROS "\r\n") + 14;
    if (self->emls == NULL)
        put_fields(self);
}

static void put_filler(char *to, uint64_t len) {
    for (uint64_t i = 0; i < len; i++) {
        uint64_t column = i % LINE_LEN;
        to[i] = column == LINE_LEN - 2   ? '\r'
                : column == LINE_LEN - 1 ? '\n'
                                         : (char)('a' + (i / LINE_LEN + column) % 26);
    }
}

/* One step of AUTH: words, the text in Base64, CRLF. */
static struct mx_span put_auth(char *to, uint32_t *len, uint32_t cap, const char *words,
                               struct mx_span text) {
    uint32_t at = put(to, len, cap, "%s", words);
    assert(cap - *len > MX_BASE64_LEN(text.len));
    *len += (uint32_t)mx_base64_encode(text, to + *len);
    put(to, len, cap, "\r\n");
    return (struct mx_span){to + at, *len - at};
}

/* RFC 4954, RFC 4616. */
static void put_auths(struct mx_mail_kit *self, char *to, uint32_t *len, uint32_t cap) {
    const char *user = self->plan->auth, *colon = strchr(user, ':');
    struct mx_span name = {user, (size_t)(colon - user)}, password = mx_span_of(colon + 1);
    if (self->plan->is_auth_login) {
        self->auth[0] = put_auth(to, len, cap, "AUTH LOGIN", (struct mx_span){"", 0});
        self->auth[1] = put_auth(to, len, cap, "", name);
        self->auth[2] = put_auth(to, len, cap, "", password);
        return;
    }
    char plain[MX_PLAN_AUTH_MAX + 2] = "";
    memcpy(plain + 1, name.ptr, name.len);
    memcpy(plain + 1 + name.len + 1, password.ptr, password.len);
    self->auth[0] =
        put_auth(to, len, cap, "AUTH PLAIN ", (struct mx_span){plain, name.len + password.len + 2});
}

/* The commands that are always the same. */
static void put_commands(struct mx_mail_kit *self, uint32_t cap) {
    const struct mx_plan *plan = self->plan;
    char *to = self->commands;
    uint32_t len = 0, at;
    at = put(to, &len, cap, "%s %s\r\n", plan->is_lmtp ? "LHLO" : "EHLO", self->hostname);
    self->hello = (struct mx_span){to + at, len - at};
    at = put(to, &len, cap, "HELO %s\r\n", self->hostname);
    self->helo = (struct mx_span){to + at, len - at};
    at = put(to, &len, cap, "MAIL FROM:<%s>\r\n", self->sender);
    self->mail = (struct mx_span){to + at, len - at};
    if (plan->auth != NULL)
        put_auths(self, to, &len, cap);
    if (plan->recipients.max == 1 && !plan->is_unique_recipient) {
        at = put(to, &len, cap, "RCPT TO:<%s>\r\n", self->recipient);
        self->rcpt = (struct mx_span){to + at, len - at};
    }
}

static void set_names(struct mx_mail_kit *self) {
    const struct mx_plan *plan = self->plan;
    if (plan->hostname != NULL) {
        strncpy(self->hostname, plan->hostname, sizeof self->hostname - 1);
    } else if (gethostname(self->hostname, sizeof self->hostname - 1) < 0 ||
               self->hostname[0] == '\0') {
        memcpy(self->hostname, "localhost", sizeof "localhost");
    }
    uint32_t len = 0, cap = sizeof self->sender;
    if (plan->sender != NULL)
        put(self->sender, &len, cap, "%s", plan->sender);
    else
        put(self->sender, &len, cap, "foo@%s", self->hostname);
    len = 0;
    if (plan->recipient != NULL)
        put(self->recipient, &len, cap, "%s", plan->recipient);
    else
        put(self->recipient, &len, cap, "foo@%s", self->hostname);
}

static uint64_t longest_inline(const struct mx_mail_kit *self) {
    uint64_t longest = self->emls == NULL ? self->plan->size.max : 0;
    for (uint32_t i = 0; self->emls != NULL && i < self->eml_count; i++) {
        if (self->emls[i].text.len > longest)
            longest = self->emls[i].text.len;
    }
    return longest < MX_MAIL_INLINE ? longest : MX_MAIL_INLINE;
}

int mx_mail_kit_new(struct mx_mail_kit *self, const struct mx_plan *plan) {
    *self = (struct mx_mail_kit){.plan = plan};
    set_names(self);
    if (plan->eml_path != NULL || plan->mbox_path != NULL) {
        int count = plan->mbox_path != NULL
                        ? mx_eml_new_mbox(plan->mbox_path, !plan->is_bdat, &self->emls)
                        : mx_eml_new(plan->eml_path, !plan->is_bdat, &self->emls);
        if (count < 0)
            return count;
        self->eml_count = (uint32_t)count;
    }
    uint32_t one = (uint32_t)strlen(self->recipient) + COMMAND_EXTRA;
    uint32_t fixed = 4 * (sizeof self->sender + COMMAND_EXTRA);
    uint32_t auth = self->plan->auth != NULL ? AUTH_OCTETS : 0;
    self->commands_octets = fixed + (uint32_t)plan->recipients.max * one + BDAT_MAX;
    self->head = malloc(HEAD_MAX);
    self->commands = malloc(fixed + auth + self->commands_octets);
    self->filler = malloc(plan->size.max + LINE_LEN);
    if (self->head == NULL || self->commands == NULL || self->filler == NULL) {
        mx_mail_kit_free(self);
        return -ENOMEM;
    }
    put_head(self);
    put_filler(self->filler, plan->size.max + LINE_LEN);
    put_commands(self, fixed + auth);
    self->message_octets = self->head_len + (uint32_t)longest_inline(self) + TAIL_LEN + 8;
    if (plan->size.max >= TAIL_LEN) {
        self->crc_len = (uint32_t)plan->size.max - TAIL_LEN;
        self->crc = mx_crc32c(0, (struct mx_span){self->filler, self->crc_len});
    }
    if (self->rcpt.len > 0 && !plan->is_bdat) { /* the group is always the same, too */
        struct mx_mail_draft draft = {.memory = self->commands + fixed + auth};
        self->group = mx_mail_group(self, &draft, &(struct mx_mail_id){.recipients = 1});
    }
    return 0;
}

void mx_mail_kit_free(struct mx_mail_kit *self) {
    mx_eml_free(self->emls, (int)self->eml_count);
    free(self->head);
    free(self->commands);
    free(self->filler);
    *self = (struct mx_mail_kit){0};
}

/* ---- a session ---- */

static char *put_span(char *to, struct mx_span text) {
    memcpy(to, text.ptr, text.len);
    return to + text.len;
}

static char *put_number(char *to, uint64_t number) {
    char digits[20];
    unsigned at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put_span(to, (struct mx_span){digits + at, sizeof digits - at});
}

/* As smtp-source does: with several recipients, or with -N, a number is before the name. */
static char *put_rcpt(const struct mx_mail_kit *self, char *to, const struct mx_mail_id *id,
                      uint32_t index) {
    if (self->rcpt.len > 0)
        return put_span(to, self->rcpt);
    to = put_span(to, MX_SPAN("RCPT TO:<"));
    if (self->plan->is_unique_recipient)
        to = put_number(to, id->seq * self->plan->recipients.max + index + 1);
    else if (id->recipients > 1)
        to = put_number(to, index + 1);
    to = put_span(to, mx_span_of(self->recipient));
    return put_span(to, MX_SPAN(">\r\n"));
}

struct mx_span mx_mail_rcpt(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                            const struct mx_mail_id *id, uint32_t index) {
    if (self->rcpt.len > 0)
        return self->rcpt;
    char *end = put_rcpt(self, draft->memory, id, index);
    draft->built_at = MX_MAIL_NOT_BUILT; /* with BDAT the message lies there, too */
    return (struct mx_span){draft->memory, (size_t)(end - draft->memory)};
}

struct mx_span mx_mail_group(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                             const struct mx_mail_id *id) {
    if (self->group.len > 0)
        return self->group;
    char *end = put_span(draft->memory, self->mail);
    for (uint32_t i = 0; i < id->recipients; i++)
        end = put_rcpt(self, end, id, i);
    if (!self->plan->is_bdat)
        end = put_span(end, MX_SPAN("DATA\r\n"));
    draft->prefix = (uint32_t)(end - draft->memory);
    return (struct mx_span){draft->memory, draft->prefix};
}

static void write_seq(char *to, uint64_t seq) {
    for (unsigned i = SEQ_LEN; i-- > 0; seq /= 10)
        to[i] = (char)('0' + seq % 10);
}

static void write_hash(char *to, uint32_t crc) {
    for (unsigned i = 0; i < 8; i++)
        to[i] = "0123456789abcdef"[crc >> (28 - 4 * i) & 15];
}

/* The last octets of a body whose filler ends before `to`; *to is moved behind them. The line is
 * never cut between CR and LF. */
static struct mx_span put_tail(const struct mx_mail_kit *self, char **to, uint32_t size,
                               const char *seq, bool is_behind_cr) {
    char *begin = *to;
    if (size >= TAIL_LEN) {
        *(*to)++ = is_behind_cr ? '\n' : 'x';
        *to = put_span(*to, MX_SPAN("mxload "));
        *to = put_span(*to, (struct mx_span){self->plan->run, MX_PLAN_RUN_LEN});
        *(*to)++ = ' ';
        *to = put_span(*to, (struct mx_span){seq, SEQ_LEN});
    }
    if (size > 0)
        *to = put_span(*to, MX_SPAN("\r\n"));
    return (struct mx_span){begin, (size_t)(*to - begin)};
}

/* Where the head of the message begins, with the BDAT command in front of it. */
static char *place(const struct mx_mail_kit *self, struct mx_mail_draft *draft, uint64_t octets,
                   char **begin) {
    if (!self->plan->is_bdat) {
        draft->prefix = self->commands_octets;
        *begin = draft->memory + draft->prefix;
        return *begin;
    }
    if (!self->plan->is_pipelined)
        draft->prefix = 0;
    *begin = draft->memory;
    char *head = put_span(draft->memory + draft->prefix, MX_SPAN("BDAT "));
    head = put_number(head, octets);
    return put_span(head, MX_SPAN(" LAST\r\n"));
}

/* crc: of the body. headers: those behind the template's, of real mail. */
static void write_head(const struct mx_mail_kit *self, char *head, const char *seq, uint32_t crc,
                       struct mx_span headers) {
    memcpy(head, self->head, self->head_len);
    for (uint32_t i = 0; i < self->seq_count; i++)
        memcpy(head + self->seq_at[i], seq, SEQ_LEN);
    if (self->hash_at == 0)
        return;
    write_hash(head + self->hash_at, crc);
    uint32_t end = self->head_len - (self->emls == NULL ? 2 : 0); /* before the empty line */
    crc = mx_crc32c(0, (struct mx_span){head + self->hash_end, end - self->hash_end});
    write_hash(head + self->hash_at + 9, mx_crc32c(crc, headers));
}

static unsigned message_of_eml(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                               const struct mx_mail_id *id, struct mx_span *parts,
                               uint64_t *octets) {
    const struct mx_eml *eml = &self->emls[id->seq % self->eml_count];
    char seq[SEQ_LEN], *begin;
    write_seq(seq, id->seq);
    *octets = self->head_len + eml->content_octets;
    char *head = place(self, draft, *octets, &begin);
    write_head(self, head, seq, eml->crc, eml->headers);
    char *end = head + self->head_len;
    unsigned count = 0;
    if (eml->text.len > MX_MAIL_INLINE) {
        parts[count++] = (struct mx_span){begin, (size_t)(end - begin)};
        parts[count++] = eml->text;
        begin = end;
    } else {
        end = put_span(end, eml->text);
    }
    if (!self->plan->is_bdat)
        end = put_span(end, MX_SPAN(".\r\n"));
    if (end > begin)
        parts[count++] = (struct mx_span){begin, (size_t)(end - begin)};
    return count;
}

unsigned mx_mail_message(const struct mx_mail_kit *self, struct mx_mail_draft *draft,
                         const struct mx_mail_id *id, struct mx_span parts[MX_MAIL_PARTS],
                         uint64_t *octets) {
    if (self->emls != NULL)
        return message_of_eml(self, draft, id, parts, octets);
    char seq[SEQ_LEN], *begin;
    write_seq(seq, id->seq);
    uint32_t tail_len = id->size >= TAIL_LEN ? TAIL_LEN : id->size >= 2 ? 2 : 0;
    uint32_t fill = id->size - tail_len;
    *octets = self->head_len + id->size;
    char *head = place(self, draft, *octets, &begin);
    char *end = head + self->head_len;
    bool is_inline = id->size <= MX_MAIL_INLINE;
    unsigned count = 0;
    if (is_inline) {
        uint32_t at = (uint32_t)(end - draft->memory);
        if (draft->built_at != at || draft->built != fill)
            memcpy(end, self->filler, fill);
        draft->built_at = at;
        draft->built = fill;
        end += fill;
    } else {
        parts[count++] = (struct mx_span){begin, (size_t)(end - begin)};
        parts[count++] = (struct mx_span){self->filler, fill};
        begin = end;
        draft->built_at = MX_MAIL_NOT_BUILT;
    }
    struct mx_span tail =
        put_tail(self, &end, id->size, seq, fill > 0 && self->filler[fill - 1] == '\r');
    uint32_t crc = 0;
    if (self->hash_at > 0) {
        crc =
            fill == self->crc_len ? self->crc : mx_crc32c(0, (struct mx_span){self->filler, fill});
        crc = mx_crc32c(crc, tail);
    }
    write_head(self, head, seq, crc, (struct mx_span){NULL, 0});
    if (!self->plan->is_bdat)
        end = put_span(end, MX_SPAN(".\r\n"));
    parts[count++] = (struct mx_span){begin, (size_t)(end - begin)};
    return count;
}

bool mx_mail_is_constant(const struct mx_mail_kit *self, const struct mx_mail_id *id,
                         struct mx_span part) {
    const char *constant =
        self->emls != NULL ? self->emls[id->seq % self->eml_count].text.ptr : self->filler;
    return part.ptr == constant;
}
