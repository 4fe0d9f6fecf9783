#include "tls/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <wolfssl/ssl.h>

static const char *find(struct mx_span text, struct mx_span what) {
    return memmem(text.ptr, text.len, what.ptr, what.len);
}

bool mx_tls_pem_next(struct mx_span *text, struct mx_span label, struct mx_span *block) {
    char mark[64];
    int len = snprintf(mark, sizeof mark, "-----BEGIN %.*s-----", (int)label.len, label.ptr);
    if (len < 0 || (size_t)len >= sizeof mark || text->len == 0)
        return false;
    const char *begin = find(*text, mx_span_of(mark));
    if (begin == NULL)
        return false;
    struct mx_span rest = mx_span_skip(*text, (size_t)(begin - text->ptr));
    memcpy(mark, "-----END ", 9);
    len = snprintf(mark + 9, sizeof mark - 9, "%.*s-----", (int)label.len, label.ptr);
    const char *end = len > 0 ? find(rest, (struct mx_span){mark, (size_t)len + 9}) : NULL;
    if (end == NULL)
        return false;
    end += len + 9;
    *block = (struct mx_span){begin, (size_t)(end - begin)};
    *text = mx_span_skip(rest, block->len);
    return true;
}

static WOLFSSL_X509 *load(struct mx_span block) {
    return wolfSSL_X509_load_certificate_buffer((const unsigned char *)block.ptr, (int)block.len,
                                                WOLFSSL_FILETYPE_PEM);
}

/* Two digits of the text, or -1. */
static int pair(const char *digits) {
    bool are_digits = digits[0] >= '0' && digits[0] <= '9' && digits[1] >= '0' && digits[1] <= '9';
    return are_digits ? (digits[0] - '0') * 10 + (digits[1] - '0') : -1;
}

/* UTCTime or GeneralizedTime as the library keeps it: type, length, text. RFC 5280 4.1.2.5. */
static int64_t seconds_of(const unsigned char *time) {
    enum { UTC_TIME = 0x17, GENERALIZED_TIME = 0x18 };
    if (time == NULL)
        return 0;
    const char *text = (const char *)time + 2;
    size_t len = time[1];
    int century = -1;
    struct tm tm = {0};
    if (time[0] == GENERALIZED_TIME && len >= 15) {
        century = pair(text);
        text += 2;
    } else if (time[0] == UTC_TIME && len >= 13) {
        century = pair(text) >= 50 ? 19 : 20;
    }
    if (century < 0)
        return 0;
    tm.tm_year = century * 100 + pair(text) - 1900;
    tm.tm_mon = pair(text + 2) - 1;
    tm.tm_mday = pair(text + 4);
    tm.tm_hour = pair(text + 6);
    tm.tm_min = pair(text + 8);
    tm.tm_sec = pair(text + 10);
    return timegm(&tm);
}

static void put_printable(char *to, size_t cap, const char *from) {
    size_t len = 0;
    for (; from != NULL && from[len] != '\0' && len < cap - 1; len++)
        to[len] = from[len] >= 0x20 && from[len] < 0x7f ? from[len] : '?';
    to[len] = '\0';
}

static void name_text(WOLFSSL_X509_NAME *name, char *to, size_t cap) {
    char text[512] = "";
    wolfSSL_X509_NAME_oneline(name, text, sizeof text);
    put_printable(to, cap, text);
}

int mx_tls_inspect_chain(struct mx_span pem, struct mx_tls_chain *chain) {
    struct mx_span block;
    char issuer[512] = "", subject[512];
    *chain = (struct mx_tls_chain){.chain_not_after_s = INT64_MAX};
    while (chain->count < MX_TLS_CHAIN_MAX &&
           mx_tls_pem_next(&pem, MX_SPAN("CERTIFICATE"), &block)) {
        WOLFSSL_X509 *certificate = load(block);
        if (certificate == NULL)
            return MX_ESYNTAX;
        int64_t not_after_s = seconds_of(wolfSSL_X509_notAfter(certificate));
        name_text(wolfSSL_X509_get_subject_name(certificate), subject, sizeof subject);
        if (chain->count == 0) {
            chain->not_before_s = seconds_of(wolfSSL_X509_notBefore(certificate));
            chain->not_after_s = not_after_s;
            put_printable(chain->subject, sizeof chain->subject, subject);
        } else {
            if (not_after_s < chain->chain_not_after_s)
                chain->chain_not_after_s = not_after_s;
            if (chain->misplaced == 0 && strcmp(issuer, subject) != 0)
                chain->misplaced = chain->count + 1;
        }
        name_text(wolfSSL_X509_get_issuer_name(certificate), issuer, sizeof issuer);
        wolfSSL_X509_free(certificate);
        chain->count++;
    }
    return chain->count > 0 ? 0 : MX_ESYNTAX;
}

/* A name that could stand in SNI; the library lists addresses and URIs as well. */
static bool is_host_name(const char *name) {
    size_t len = strlen(name);
    size_t plain =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*");
    bool is_address = strspn(name, "0123456789.") == len;
    return len > 0 && len < 254 && plain == len && !is_address;
}

int mx_tls_inspect_names(struct mx_span pem, void (*visit)(void *argument, const char *name),
                         void *argument) {
    struct mx_span block;
    if (!mx_tls_pem_next(&pem, MX_SPAN("CERTIFICATE"), &block))
        return MX_ESYNTAX;
    WOLFSSL_X509 *certificate = load(block);
    if (certificate == NULL)
        return MX_ESYNTAX;
    uint32_t count = 0;
    for (const char *name;
         count < MX_TLS_NAMES_MAX && (name = wolfSSL_X509_get_next_altname(certificate)) != NULL;) {
        if (!is_host_name(name))
            continue;
        visit(argument, name);
        count++;
    }
    const char *common = count == 0 ? wolfSSL_X509_get_subjectCN(certificate) : NULL;
    if (common != NULL && is_host_name(common)) /* RFC 6125 6.4.4 */
        visit(argument, common);
    wolfSSL_X509_free(certificate);
    return 0;
}
