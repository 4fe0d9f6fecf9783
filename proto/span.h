/* span.h - borrowed bytes: a pointer and a length, never owned, never NUL-terminated.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mx_span {
    const char *ptr;
    size_t len; /* octets */
};

#define MX_SPAN(literal) ((struct mx_span){(literal), sizeof(literal) - 1})

static inline struct mx_span mx_span_of(const char *text) {
    return (struct mx_span){text, strlen(text)};
}

/* Drop the first n octets; n must not exceed the length. An empty span may have no pointer: NULL +
 * 0 is undefined in C. */
static inline struct mx_span mx_span_skip(struct mx_span span, size_t n) {
    return n > 0 ? (struct mx_span){span.ptr + n, span.len - n} : span;
}

static inline char mx_ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline char mx_ascii_upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

static inline bool mx_span_equal(struct mx_span a, struct mx_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case folded; octets above 0x7f compare as they are. */
static inline bool mx_span_equal_nocase(struct mx_span a, struct mx_span b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (mx_ascii_lower(a.ptr[i]) != mx_ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}
