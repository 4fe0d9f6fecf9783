/* path_fuzz.c - properties of addresses and HELO names.
 *
 * What is split and parsed lies inside the input. What parses as an address parses again to the
 * same when written as "local@domain", inside brackets too. An accepted address holds no control
 * character, and no '<' or '>' outside a quoted string; without UTF-8 it is ASCII. A HELO name that
 * is accepted holds nothing but letters, digits, "-_.:[]", and every HELO name is an EHLO name.
 */
#include "proto/path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true)
        abort();
}

static bool is_inside(struct mx_span part, struct mx_span whole) {
    return part.ptr >= whole.ptr && part.len <= whole.len &&
           (size_t)(part.ptr - whole.ptr) <= whole.len - part.len;
}

/* Written anew, not with the parser's tables. */
static void check_octets(struct mx_span text, bool allow_utf8) {
    bool is_quoted = text.len > 0 && text.ptr[0] == '"';
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        must(c >= ' ' && c != 0x7f);
        must(allow_utf8 || c < 0x80);
        must(is_quoted || (c != '<' && c != '>'));
    }
}

/* "<local@domain>": splitting and parsing it must give the same two parts. */
static void check_again(const struct mx_path *path, bool allow_utf8) {
    size_t len = 0;
    char *text = malloc(path->local.len + path->domain.len + 3);
    must(text != NULL);
    text[len++] = '<';
    memcpy(text + len, path->local.ptr, path->local.len);
    len += path->local.len;
    if (path->domain.len > 0) {
        text[len++] = '@';
        memcpy(text + len, path->domain.ptr, path->domain.len);
        len += path->domain.len;
    }
    text[len++] = '>';
    struct mx_path again;
    struct mx_span inner, rest;
    must(mx_path_split((struct mx_span){text, len}, true, &inner, &rest) == 0);
    must(inner.ptr == text + 1 && inner.len == len - 2 && rest.len == 0);
    must(mx_path_parse(inner, allow_utf8, &again) == 0);
    must(mx_span_equal(again.local, path->local));
    must(mx_span_equal(again.domain, path->domain));
    must(again.is_utf8 == path->is_utf8 && !again.is_literal);
    free(text);
}

static void check_path(struct mx_span text, bool allow_utf8) {
    struct mx_path path, other;
    if (mx_path_parse(text, allow_utf8, &path) < 0)
        return;
    must(is_inside(path.local, text) && is_inside(path.domain, text));
    must(path.local.len > 0 || path.domain.len == 0);
    /* All of the text is in the two parts but for '@' and brackets. */
    size_t between = path.is_literal ? 3 : path.domain.len > 0;
    bool is_null = path.local.len == 0 && (text.len == 0 || mx_span_equal(text, MX_SPAN("@")));
    must(is_null || path.local.len + path.domain.len + between == text.len);
    must((mx_path_parse(text, !allow_utf8, &other) == 0) == (!path.is_utf8 || !allow_utf8));
    check_octets(path.local, allow_utf8);
    check_octets(path.domain, allow_utf8);
    check_again(&path, allow_utf8);
}

static void check_split(struct mx_span text, bool brackets_required) {
    struct mx_span inner, rest;
    if (mx_path_split(text, brackets_required, &inner, &rest) < 0)
        return;
    must(is_inside(inner, text) && is_inside(rest, text));
    must(rest.ptr + rest.len == text.ptr + text.len);
    must(rest.len == 0 || *rest.ptr == ' ');
    must(inner.len > 0 || (brackets_required || memchr(text.ptr, '<', text.len) != NULL));
    check_path(inner, false);
    check_path(inner, true);
}

static void check_helo(struct mx_span name) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.:[]";
    bool is_ehlo = mx_helo_is_valid(name, true);
    must(is_ehlo || !mx_helo_is_valid(name, false));
    must(!is_ehlo || name.len > 0);
    for (size_t i = 0; is_ehlo && i < name.len; i++)
        must(memchr(safe, name.ptr[i], sizeof safe - 1) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mx_span text = {(const char *)data, size};
    check_path(text, false);
    check_path(text, true);
    check_split(text, false);
    check_split(text, true);
    check_helo(text);
    return 0;
}
