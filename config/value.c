#include "config/value.h"

#include "config/size.h"
#include "config/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

/* James's words for yes and no, commons-configuration's and YAML 1.1's. */
static const struct mx_lookup words_bool[] = {
    {"true",  1},
    {"false", 0},
    {"yes",   1},
    {"no",    0},
    {"on",    1},
    {"off",   0},
    {NULL,    0}
};

bool mx_value_is_scalar(const struct mx_row *row) {
    return row->type >= MX_TYPE_BOOL && row->type <= MX_TYPE_WORD;
}

static int64_t stored_unit_us(const struct mx_row *row) {
    return row->unit == MX_UNIT_MICROSECOND ? 1 : 1000;
}

static int parse_duration(const struct mx_row *row, struct mx_span text, int64_t *value) {
    int64_t us = 0;
    int64_t bare_us = row->unit == MX_UNIT_MICROSECOND   ? 1
                      : row->unit == MX_UNIT_MILLISECOND ? 1000
                                                         : 1000000;
    int err = mx_size_duration(text, bare_us, &us);
    if (err < 0)
        return err;
    if (us % stored_unit_us(row) != 0)
        return -EDOM;
    *value = us / stored_unit_us(row);
    return 0;
}

static int parse_number(const struct mx_row *row, struct mx_span text, int64_t *value) {
    if (row->unit == MX_UNIT_PERCENT && text.len > 1 && text.ptr[text.len - 1] == '%')
        text.len--;
    return mx_size_number(text, value);
}

static int parse_unchecked(const struct mx_row *row, struct mx_span text, int64_t *value) {
    switch (row->type) {
    case MX_TYPE_NUMBER:
        return parse_number(row, text, value);
    case MX_TYPE_LENGTH:
    case MX_TYPE_SIZE:
        return mx_size_octets(text, row->unit == MX_UNIT_KIB ? 1024 : 1, value);
    case MX_TYPE_DURATION:
        return parse_duration(row, text, value);
    case MX_TYPE_BOOL:
    case MX_TYPE_WORD:
        return MX_ESYNTAX;
    case MX_TYPE_SECTION:
    case MX_TYPE_SERVERS:
    case MX_TYPE_TEXT:
    case MX_TYPE_PATH:
    case MX_TYPE_HELLO:
    case MX_TYPE_DOMAIN:
    case MX_TYPE_DOMAINS:
    case MX_TYPE_BINDS:
    case MX_TYPE_NETWORKS:
    case MX_TYPE_ADDRESSES:
    case MX_TYPE_FEATURES:
    case MX_TYPE_MECHANISMS:
    case MX_TYPE_TEXTS:
    case MX_TYPE_SECRETS:
    case MX_TYPE_GROUP:
    case MX_TYPE_TABLE:
    case MX_TYPE_CIPHERS:
    case MX_TYPE_CERTIFICATES:
    case MX_TYPE_CHAIN:
    case MX_TYPE_COUNT:
        break;
    }
    assert(false && "a row of a scalar type");
    return MX_ESYNTAX;
}

int mx_value_parse(const struct mx_row *row, struct mx_span text, int64_t *value) {
    int64_t number = 0;
    if (mx_lookup_value(row->type == MX_TYPE_BOOL ? words_bool : row->words, text, value))
        return 0;
    int err = parse_unchecked(row, text, &number);
    if (err < 0)
        return err;
    bool is_off = number == 0 && (row->flags & MX_ROW_ZERO);
    if (!is_off && (number < row->min || number > row->max))
        return -ERANGE;
    if ((row->flags & MX_ROW_POWER_OF_2) && (number & (number - 1)) != 0)
        return -EDOM;
    *value = number;
    return 0;
}

static const char *expectation(const struct mx_row *row) {
    switch (row->type) {
    case MX_TYPE_BOOL:
        return "true or false";
    case MX_TYPE_NUMBER:
        return row->unit == MX_UNIT_PERCENT ? "a percentage such as 10%" : "a whole number";
    case MX_TYPE_LENGTH:
    case MX_TYPE_SIZE:
        return "a size such as 64K or 10M";
    case MX_TYPE_DURATION:
        return "a duration such as 300s or 5m";
    case MX_TYPE_WORD:
        return "one of ";
    case MX_TYPE_SECTION:
    case MX_TYPE_SERVERS:
    case MX_TYPE_TEXT:
    case MX_TYPE_PATH:
    case MX_TYPE_HELLO:
    case MX_TYPE_DOMAIN:
    case MX_TYPE_DOMAINS:
    case MX_TYPE_BINDS:
    case MX_TYPE_NETWORKS:
    case MX_TYPE_ADDRESSES:
    case MX_TYPE_FEATURES:
    case MX_TYPE_MECHANISMS:
    case MX_TYPE_TEXTS:
    case MX_TYPE_SECRETS:
    case MX_TYPE_GROUP:
    case MX_TYPE_TABLE:
    case MX_TYPE_CIPHERS:
    case MX_TYPE_CERTIFICATES:
    case MX_TYPE_CHAIN:
    case MX_TYPE_COUNT:
        break;
    }
    assert(false && "a row of a scalar type");
    return "";
}

void mx_value_number_text(const struct mx_row *row, int64_t value, char text[MX_SIZE_TEXT_MAX]) {
    if (row->type == MX_TYPE_SIZE)
        mx_size_octets_text(value, text);
    else if (row->type == MX_TYPE_DURATION)
        mx_size_duration_text(value * stored_unit_us(row), text);
    else {
        const char *unit = row->unit == MX_UNIT_PERCENT ? "%" : "";
        int len = snprintf(text, MX_SIZE_TEXT_MAX, "%" PRId64 "%s", value, unit);
        assert(len > 0 && len < MX_SIZE_TEXT_MAX);
    }
}

const char *mx_value_error(const struct mx_row *row, int err, struct mx_span text, char *buf,
                           size_t size) {
    char words[128] = "", quoted[64], low[MX_SIZE_TEXT_MAX], high[MX_SIZE_TEXT_MAX];
    bool is_word = row->type == MX_TYPE_WORD;
    const char * or = row->words && !is_word ? ", or " : "";
    if (row->words)
        mx_lookup_list(row->words, words, sizeof words);
    int len = 0;
    if (err == MX_ESYNTAX) {
        len = snprintf(buf, size, "%s must be %s%s%s, not '%s'", row->key, expectation(row), or,
                       words, mx_text_quote(text, quoted, sizeof quoted));
    } else if (err == -ERANGE) {
        mx_value_number_text(row, row->min, low);
        mx_value_number_text(row, row->max, high);
        len = snprintf(buf, size, "%s must be between %s and %s%s%s%s", row->key, low, high,
                       row->flags & MX_ROW_ZERO ? ", or 0" : "", or, words);
    } else {
        assert(err == -EDOM);
        len = snprintf(buf, size, "%s must be a %s", row->key,
                       row->flags & MX_ROW_POWER_OF_2 ? "power of two"
                                                      : "whole number of milliseconds");
    }
    assert(len > 0 && (size_t)len < size);
    return buf;
}

void mx_value_text(const struct mx_row *row, int64_t value, char *buf, size_t size) {
    char text[MX_SIZE_TEXT_MAX];
    const char *word = mx_lookup_text(row->type == MX_TYPE_BOOL ? words_bool : row->words, value);
    if (!word)
        mx_value_number_text(row, value, text);
    int len = snprintf(buf, size, "%s", word ? word : text);
    assert(len > 0 && (size_t)len < size);
}

int64_t mx_value_get(const struct mx_row *row, const void *base) {
    const char *member = (const char *)base + row->offset;
    bool flag = false;
    int32_t narrow = 0;
    int64_t wide = 0;
    switch (row->size) {
    case sizeof flag:
        memcpy(&flag, member, sizeof flag);
        return flag;
    case sizeof narrow:
        memcpy(&narrow, member, sizeof narrow);
        return narrow;
    default:
        assert(row->size == sizeof wide);
        memcpy(&wide, member, sizeof wide);
        return wide;
    }
}

void mx_value_set(const struct mx_row *row, void *base, int64_t value) {
    char *member = (char *)base + row->offset;
    bool flag = value != 0;
    int32_t narrow = (int32_t)value;
    switch (row->size) {
    case sizeof flag:
        memcpy(member, &flag, sizeof flag);
        return;
    case sizeof narrow:
        assert(narrow == value);
        memcpy(member, &narrow, sizeof narrow);
        return;
    default:
        assert(row->size == sizeof value);
        memcpy(member, &value, sizeof value);
        return;
    }
}
