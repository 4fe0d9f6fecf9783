#include "config/env.h"

#include "config/text.h"

#include <errno.h>
#include <stdlib.h>

static const struct mx_span opening = {"${env:", 6};

static bool is_name_octet(char c, bool is_first) {
    char lower = mx_ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || c == '_' || (!is_first && c >= '0' && c <= '9');
}

/* "${env:NAME}" off the front of *text. */
static int take_reference(struct mx_span *text, char name[MX_ENV_NAME_MAX]) {
    size_t len = 0;
    if (text->len < opening.len || memcmp(text->ptr, opening.ptr, opening.len) != 0)
        return MX_ESYNTAX;
    *text = mx_span_skip(*text, opening.len);
    while (len < text->len && len < MX_ENV_NAME_MAX - 1 && is_name_octet(text->ptr[len], len == 0))
        len++;
    if (len == 0 || len == text->len || text->ptr[len] != '}')
        return MX_ESYNTAX;
    memcpy(name, text->ptr, len);
    name[len] = '\0';
    *text = mx_span_skip(*text, len + 1);
    return 0;
}

static const char *find_dollar_brace(struct mx_span text) {
    return text.len > 0 ? memmem(text.ptr, text.len, "${", 2) : NULL;
}

struct joined {
    char bytes[MX_ENV_VALUE_MAX];
    size_t len;
};

static int append(struct joined *self, struct mx_span more) {
    if (more.len > sizeof self->bytes - self->len)
        return MX_ELIMIT;
    if (more.len > 0)
        memcpy(self->bytes + self->len, more.ptr, more.len);
    self->len += more.len;
    return 0;
}

static int append_variable(struct joined *sum, struct mx_span *rest, char name[MX_ENV_NAME_MAX]) {
    int err = take_reference(rest, name);
    if (err < 0)
        return err;
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody calls setenv */
    if (!value)
        return -ENOENT;
    if (!mx_text_is_utf8(mx_span_of(value)))
        return -EILSEQ;
    return append(sum, mx_span_of(value));
}

int mx_env_expand(struct mx_arena *arena, struct mx_span *text, char name[MX_ENV_NAME_MAX]) {
    struct joined sum;
    struct mx_span rest = *text;
    if (!find_dollar_brace(rest))
        return 0;
    sum.len = 0;
    for (const char *found; (found = find_dollar_brace(rest));) {
        struct mx_span before = {rest.ptr, (size_t)(found - rest.ptr)};
        rest = mx_span_skip(rest, before.len);
        int err = append(&sum, before);
        if (err == 0)
            err = append_variable(&sum, &rest, name);
        if (err < 0)
            return err;
    }
    int err = append(&sum, rest);
    if (err < 0)
        return err;
    struct mx_span result = {sum.bytes, sum.len};
    /* the dump of such a value would be expanded once more */
    if (find_dollar_brace(result))
        return MX_ESYNTAX;
    *text = (struct mx_span){mx_arena_copy(arena, result), result.len};
    return text->ptr ? 0 : -ENOMEM;
}
