/* URIRBLHandler: does the message name a domain that is on a list? The text is read as it passes,
 * base64 and quoted-printable undone: what stands behind "http://" and "https://" up to the end of
 * a host name.
 */
#include "engine/policy/lookup.h"
#include "proto/mime.h"

#include <errno.h>

enum {
    DOMAINS_MAX = 16, /* that are asked about, the first ones */
    DOMAIN_LEN_MAX = 63,
    HOST_LEN_MAX = 200, /* longer ones are cut at their left */
    DETAIL_TAG = 0x10000,
    DETAIL_MAX = 200,
};

static const char schema[] = "http";

/* Where the reader stands. */
enum where { IN_TEXT, IN_SCHEMA, BEHIND_SCHEMA, IN_HOST, BEHIND_HOST };

struct scratch {
    uint8_t where, matched; /* octets of the schema, or of the "://" behind it */
    uint8_t count, listed;  /* domains; listed: number of the one on a list, + 1 */
    uint8_t list;           /* ... which one */
    bool has_failed, is_asking;
    uint16_t left;
    struct mx_mime mime;
    uint16_t host_len;
    char host[HOST_LEN_MAX];
    uint8_t lens[DOMAINS_MAX];
    char domains[DOMAINS_MAX][DOMAIN_LEN_MAX];
};

/* ---- reading ---- */

static void keep(struct scratch *self, struct mx_span domain) {
    if (domain.len > DOMAIN_LEN_MAX || !mx_dns_is_name(domain))
        return;
    for (uint8_t i = 0; i < self->count; i++) {
        if (mx_span_equal(domain, (struct mx_span){self->domains[i], self->lens[i]}))
            return;
    }
    if (self->count == DOMAINS_MAX)
        return;
    self->lens[self->count] = (uint8_t)domain.len;
    memcpy(self->domains[self->count++], domain.ptr, domain.len);
}

/* The host's last labels: so many. */
static struct mx_span last_labels(struct mx_span host, unsigned labels) {
    size_t at = host.len;
    while (at > 0) {
        if (host.ptr[at - 1] == '.' && --labels == 0)
            break;
        at--;
    }
    return mx_span_skip(host, at);
}

/* Lists hold registered domains; whether that has two labels or three (co.uk) is not asked: both.
 */
static void end_host(struct scratch *self) {
    struct mx_span host = {self->host, self->host_len};
    struct mx_ip ip;
    self->where = IN_TEXT;
    while (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (mx_ip_parse(host, &ip) || memchr(self->host, '.', host.len) == NULL)
        return;
    keep(self, last_labels(host, 2));
    keep(self, last_labels(host, 3));
}

static bool is_host_octet(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
}

static bool ends_authority(char c) {
    return (unsigned char)c <= 0x20 || memchr("/?#\"<>\\()'`,;", c, 13) != NULL;
}

static void put_host(struct scratch *self, char c) {
    if (self->host_len == HOST_LEN_MAX)
        memmove(self->host, self->host + 1, --self->host_len);
    self->host[self->host_len++] = c;
}

static void read_octet(struct scratch *self, char octet) {
    char c = mx_ascii_lower(octet);
    switch ((enum where)self->where) {
    case IN_HOST:
    case BEHIND_HOST:   /* a port, or the password of a user */
        if (c == '@') { /* that was a user's name */
            self->host_len = 0;
            self->where = IN_HOST;
        } else if (ends_authority(c)) {
            end_host(self);
        } else if (self->where == IN_HOST && is_host_octet(c)) {
            put_host(self, c);
        } else {
            self->where = BEHIND_HOST;
        }
        return;
    case BEHIND_SCHEMA:
        if (self->matched == 0 && c == 's')
            return;
        if (c == "://"[self->matched]) {
            self->matched++;
            self->where = self->matched == 3 ? IN_HOST : BEHIND_SCHEMA;
            self->host_len = 0;
            return;
        }
        self->where = IN_TEXT;
        break;
    case IN_SCHEMA:
        if (c == schema[self->matched]) {
            self->where = ++self->matched == 4 ? BEHIND_SCHEMA : IN_SCHEMA;
            self->matched = self->matched == 4 ? 0 : self->matched;
            return;
        }
        self->where = IN_TEXT;
        break;
    case IN_TEXT:
        break;
    }
    if (c == 'h') {
        self->where = IN_SCHEMA;
        self->matched = 1;
    }
}

/* How far to an octet that could begin the schema. */
static size_t to_begin(const char *text, size_t len) {
    size_t at = 0;
    while (at < len && (text[at] | 0x20) != 'h')
        at++;
    return at;
}

static void read_text(void *context, struct mx_span text) {
    struct scratch *scratch = context;
    const char *at = text.ptr, *end = at + text.len;
    while (at < end && scratch->count < DOMAINS_MAX) {
        if (scratch->where == IN_TEXT)
            at += to_begin(at, (size_t)(end - at));
        if (at < end)
            read_octet(scratch, *at++);
    }
}

/* The encoding of a message that is no multipart. */
static enum mx_verdict on_header(struct mx_hook_call *call) {
    struct scratch *scratch = call->scratch;
    struct mx_header_field field;
    uint32_t at = 0;
    if (mx_header_find(call->header, MX_SPAN("content-transfer-encoding"), &at, &field))
        scratch->mime.encoding = (uint8_t)mx_mime_encoding_of(field.value);
    return MX_VERDICT_DECLINED;
}

static enum mx_verdict on_content(struct mx_hook_call *call) {
    struct scratch *scratch = call->scratch;
    struct mx_mime_out out = {read_text, scratch};
    for (uint32_t s = 0; s < call->slice_count; s++)
        mx_mime_put(&scratch->mime, call->slices[s], &out);
    return MX_VERDICT_DECLINED;
}

/* ---- asking ---- */

static struct mx_span listed_domain(const struct scratch *self) {
    return (struct mx_span){self->domains[self->listed - 1], self->lens[self->listed - 1]};
}

static enum mx_verdict refuse(struct mx_hook_call *call, const struct mx_dns_answer *detail) {
    const struct mx_opt_urirbl *options = call->options;
    const struct scratch *scratch = call->scratch;
    struct mx_span domain = listed_domain(scratch), list = options->servers.rows[scratch->list];
    struct mx_dns_record record = {
        .data = {NULL, 0}
    };
    size_t cursor = 0;
    char text[DETAIL_MAX];
    if (detail == NULL || !mx_dns_next(detail, &cursor, &record))
        return mx_hook_refuse(call, MX_VERDICT_HARD,
                              "554 5.7.0 Rejected: message contains domain %.*s listed by "
                              "Optional[%.*s]",
                              (int)domain.len, domain.ptr, (int)list.len, list.ptr);
    size_t len = record.data.len < sizeof text ? record.data.len : sizeof text;
    for (size_t i = 0; i < len; i++)
        text[i] =
            (char)(record.data.ptr[i] >= 0x20 && record.data.ptr[i] < 0x7f ? record.data.ptr[i]
                                                                           : '?');
    return mx_hook_refuse(call, MX_VERDICT_HARD,
                          "554 5.7.0 Rejected: message contains domain %.*s listed by "
                          "Optional[%.*s]. Details: %.*s",
                          (int)domain.len, domain.ptr, (int)list.len, list.ptr, (int)len, text);
}

static int ask(struct mx_hook_call *call, unsigned domain, unsigned list, enum mx_dns_type type,
               uint32_t tag) {
    const struct mx_opt_urirbl *options = call->options;
    const struct scratch *scratch = call->scratch;
    struct mx_span zone = options->servers.rows[list];
    size_t len = scratch->lens[domain];
    char name[MX_DNS_NAME_MAX + 1];
    if (len + 1 + zone.len > MX_DNS_NAME_MAX)
        return -EINVAL;
    memcpy(name, scratch->domains[domain], len);
    name[len] = '.';
    memcpy(name + len + 1, zone.ptr, zone.len);
    return mx_lookup_begin(call, type, (struct mx_span){name, len + 1 + zone.len}, tag,
                           MX_LOOKUP_SMALL);
}

static enum mx_verdict decide(struct mx_hook_call *call) {
    const struct scratch *scratch = call->scratch;
    if (scratch->left > 0)
        return MX_VERDICT_PENDING;
    return scratch->has_failed ? mx_hook_fail(call) : MX_VERDICT_DECLINED;
}

static enum mx_verdict begin(struct mx_hook_call *call) {
    const struct mx_opt_urirbl *options = call->options;
    struct scratch *scratch = call->scratch;
    if (scratch->where == IN_HOST || scratch->where == BEHIND_HOST)
        end_host(scratch);
    for (unsigned d = 0; d < scratch->count; d++) {
        for (unsigned l = 0; l < options->servers.count; l++) {
            int err = ask(call, d, l, MX_DNS_A, d * MX_URIRBL_LISTS_MAX + l);
            scratch->left = (uint16_t)(scratch->left + (err == 0));
            scratch->has_failed = scratch->has_failed || (err < 0 && err != -EINVAL);
        }
    }
    return decide(call);
}

static enum mx_verdict on_answer(struct mx_hook_call *call, const struct mx_lookup *lookup) {
    const struct mx_opt_urirbl *options = call->options;
    const struct mx_dns_answer *answer = &lookup->question.answer;
    struct scratch *scratch = call->scratch;
    bool is_error = false;
    if (lookup->tag == DETAIL_TAG)
        return refuse(call, answer);
    if (scratch->listed > 0) /* another answer, while the detail is under way */
        return MX_VERDICT_PENDING;
    scratch->left--;
    bool is_listed = mx_lookup_is_listed(answer, &is_error);
    scratch->has_failed = scratch->has_failed || is_error || !mx_dns_is_certain(answer);
    if (!is_listed)
        return decide(call);
    scratch->listed = (uint8_t)(lookup->tag / MX_URIRBL_LISTS_MAX + 1);
    scratch->list = (uint8_t)(lookup->tag % MX_URIRBL_LISTS_MAX);
    if (options->gets_detail &&
        ask(call, scratch->listed - 1u, scratch->list, MX_DNS_TXT, DETAIL_TAG) == 0)
        return MX_VERDICT_PENDING;
    return refuse(call, NULL);
}

static enum mx_verdict on_message(struct mx_hook_call *call) {
    const struct mx_lookup *lookup = mx_lookup_answer(call);
    return lookup != NULL ? on_answer(call, lookup) : begin(call);
}

const struct mx_hook_class mx_hook_urirbl = {
    .summary = "No host in a URI of the message may be in a domain that is on a list",
    .points = {[MX_HOOK_HEADER] = on_header,
               [MX_HOOK_CONTENT] = on_content,
               [MX_HOOK_MESSAGE] = on_message},
    .scratch_octets = sizeof(struct scratch),
    .waits = true,
    .replies = {{"one is", "554 5.7.0 Rejected: message contains domain DOMAIN listed by "
                           "Optional[LIST]"},
               {"... with getDetail", "554 5.7.0 Rejected: message contains domain DOMAIN listed "
                                       "by Optional[LIST]. Details: TEXT"}},
    .differences = "The last two and the last three labels of a host are asked about, of the first "
                   "domains in a message; base64 and quoted-printable are undone.",
};
