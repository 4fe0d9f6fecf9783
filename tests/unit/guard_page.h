/* guard_page.h - one copy of test input at a time, ending right before an unreadable page. */
#pragma once
#include "tests/unit/guard.h"

/* len writable octets (at most GUARD_LEN) that end at the unreadable page. Valid until the next
 * call. */
static inline char *guard_room(size_t len) {
    static struct guard area;
    assert(len <= GUARD_LEN);
    if (area.end == NULL)
        area = guard_map();
    return area.end - len;
}

/* A copy of the octets, valid until the next call. */
static inline struct mx_span guard_copy(struct mx_span span) {
    char *at = guard_room(span.len);
    if (span.len > 0)
        memcpy(at, span.ptr, span.len);
    return (struct mx_span){at, span.len};
}
