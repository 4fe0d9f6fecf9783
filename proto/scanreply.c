#include "proto/scanreply.h"

#include "proto/decimal.h"

/* ---- lines ---- */

/* A line off the front of *text, without its end (LF, mostly CRLF). False: it has none yet. */
static bool take_line(struct mx_span *text, struct mx_span *line) {
    const char *lf = text->len > 0 ? memchr(text->ptr, '\n', text->len) : NULL;
    if (lf == NULL)
        return false;
    *line = (struct mx_span){text->ptr, (size_t)(lf - text->ptr)};
    *text = mx_span_skip(*text, line->len + 1);
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

static struct mx_span trim(struct mx_span text) {
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = mx_span_skip(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Up to the mark, which is taken off, too. False: it is not there. */
static bool take_until(struct mx_span *text, char mark, struct mx_span *part) {
    const char *at = text->len > 0 ? memchr(text->ptr, mark, text->len) : NULL;
    if (at == NULL)
        return false;
    *part = (struct mx_span){text->ptr, (size_t)(at - text->ptr)};
    *text = mx_span_skip(*text, part->len + 1);
    return true;
}

static int read_number(struct mx_span text, uint32_t max, uint32_t *number) {
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return MX_ESYNTAX;
        *number = *number * 10 + (uint32_t)(text.ptr[i] - '0');
        if (*number > max)
            return MX_ESYNTAX;
    }
    return text.len > 0 ? 0 : MX_ESYNTAX;
}

/* "NAME/1.x NUMBER text". */
static int read_status(struct mx_span line, struct mx_span name, uint32_t *number) {
    struct mx_span word, code;
    if (!take_until(&line, ' ', &word) || word.len != name.len + 1 ||
        !mx_span_equal((struct mx_span){word.ptr, name.len}, name))
        return MX_ESYNTAX;
    line = trim(line);
    struct mx_span rest = line;
    return read_number(take_until(&rest, ' ', &code) ? code : line, 999, number);
}

/* The next field. 0; MX_EEND: the empty line; MX_EPARTIAL; MX_ESYNTAX. */
static int take_field(struct mx_span *text, struct mx_span *name, struct mx_span *value) {
    struct mx_span line;
    if (!take_line(text, &line))
        return MX_EPARTIAL;
    if (line.len == 0)
        return MX_EEND;
    if (!take_until(&line, ':', name))
        return MX_ESYNTAX;
    *name = trim(*name);
    *value = trim(line);
    return 0;
}

/* What is not over yet has to become so. */
static int unfinished(struct mx_span in, bool is_over) {
    return is_over || in.len > MX_SCANREPLY_HEAD_MAX ? MX_ESYNTAX : MX_EPARTIAL;
}

/* ---- HTTP ---- */

struct framing {
    bool has_length;
    uint32_t length;
};

static int read_framing(struct mx_span name, struct mx_span value, struct framing *framing) {
    uint32_t length;
    if (mx_span_equal_nocase(name, MX_SPAN("Transfer-Encoding")))
        return MX_ESYNTAX;
    if (!mx_span_equal_nocase(name, MX_SPAN("Content-Length")))
        return 0;
    int err = read_number(value, UINT32_MAX / 16, &length);
    if (err == 0 && framing->has_length && framing->length != length)
        err = MX_ESYNTAX;
    *framing = (struct framing){true, length};
    return err;
}

int mx_http_read(struct mx_span in, bool is_over, struct mx_http_reply *reply) {
    struct mx_span rest = in, line, name, value;
    struct framing framing = {0};
    *reply = (struct mx_http_reply){0};
    if (!take_line(&rest, &line))
        return unfinished(in, is_over);
    int err = read_status(line, MX_SPAN("HTTP/1."), &reply->status);
    while (err == 0) {
        err = take_field(&rest, &name, &value);
        if (err == 0)
            err = read_framing(name, value, &framing);
    }
    if (err == MX_EPARTIAL)
        return unfinished(in, is_over);
    if (err != MX_EEND)
        return err;
    reply->body = rest;
    if (!framing.has_length)
        return is_over ? 0 : MX_EPARTIAL;
    if (rest.len < framing.length)
        return is_over ? MX_ESYNTAX : MX_EPARTIAL;
    reply->body.len = framing.length;
    return 0;
}

/* ---- spamd ---- */

/* "True ; 15.0 / 5.0" */
static int read_judgement(struct mx_span value, struct mx_spamd_reply *reply) {
    struct mx_span word, score;
    if (!take_until(&value, ';', &word) || !take_until(&value, '/', &score))
        return MX_ESYNTAX;
    word = trim(word);
    bool is_true =
        mx_span_equal_nocase(word, MX_SPAN("True")) || mx_span_equal_nocase(word, MX_SPAN("Yes"));
    bool is_false =
        mx_span_equal_nocase(word, MX_SPAN("False")) || mx_span_equal_nocase(word, MX_SPAN("No"));
    if (!is_true && !is_false)
        return MX_ESYNTAX;
    reply->is_spam = is_true;
    int err = mx_decimal_parse(trim(score), &reply->score);
    if (err == 0)
        err = mx_decimal_parse(trim(value), &reply->required);
    return err < 0 ? MX_ESYNTAX : 0;
}

int mx_spamd_read(struct mx_span in, struct mx_spamd_reply *reply) {
    struct mx_span rest = in, line, name, value;
    bool is_judged = false;
    *reply = (struct mx_spamd_reply){0};
    if (!take_line(&rest, &line))
        return unfinished(in, false);
    int err = read_status(line, MX_SPAN("SPAMD/1."), &reply->code);
    if (err == 0 && reply->code != 0)
        return 0; /* what follows is of no interest, and may be missing */
    while (err == 0) {
        err = take_field(&rest, &name, &value);
        if (err == 0 && mx_span_equal_nocase(name, MX_SPAN("Spam"))) {
            err = is_judged ? MX_ESYNTAX : read_judgement(value, reply);
            is_judged = true;
        }
    }
    if (err == MX_EPARTIAL)
        return unfinished(in, false);
    if (err != MX_EEND)
        return err;
    return is_judged ? 0 : MX_ESYNTAX;
}
