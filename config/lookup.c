#include "config/lookup.h"

#include <assert.h>
#include <stdio.h>

enum { WORD_MAX = 64 };

bool mx_lookup_value(const struct mx_lookup *self, struct mx_span text, int64_t *value) {
    for (; self && self->text; self++) {
        if (mx_span_equal_nocase(mx_span_of(self->text), text)) {
            *value = self->value;
            return true;
        }
    }
    return false;
}

const char *mx_lookup_text(const struct mx_lookup *self, int64_t value) {
    for (; self && self->text; self++) {
        if (self->value == value)
            return self->text;
    }
    return NULL;
}

const char *mx_lookup_list(const struct mx_lookup *self, char *buf, size_t size) {
    assert(size > 0);
    size_t len = 0;
    buf[0] = '\0';
    for (const struct mx_lookup *row = self; row->text; row++) {
        if (mx_lookup_text(self, row->value) != row->text)
            continue;
        int put = snprintf(buf + len, size - len, "%s%s", len > 0 ? ", " : "", row->text);
        if (put < 0 || (size_t)put >= size - len)
            break;
        len += (size_t)put;
    }
    return buf;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

uint32_t mx_lookup_distance(struct mx_span a, struct mx_span b) {
    a.len = a.len < WORD_MAX ? a.len : WORD_MAX;
    b.len = b.len < WORD_MAX ? b.len : WORD_MAX;
    uint32_t row[WORD_MAX + 1];
    for (uint32_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.len; j++) {
            bool differs = mx_ascii_lower(a.ptr[i - 1]) != mx_ascii_lower(b.ptr[j - 1]);
            uint32_t replaced = diagonal + differs;
            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

const char *mx_lookup_nearest(struct mx_span word, const char *const *names, size_t count) {
    const char *best = NULL;
    uint32_t best_distance =
        word.len < 4 ? 3 : (uint32_t)(least(WORD_MAX, (uint32_t)word.len) / 2) + 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t distance = mx_lookup_distance(word, mx_span_of(names[i]));
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}
