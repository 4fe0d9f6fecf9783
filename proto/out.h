/* out.h - the append buffer replies are written to. The memory belongs to the caller.
 *
 * Pure: no I/O, no clock, no allocation.
 */
#pragma once
#include "proto/span.h"

#include <assert.h>

struct mx_out {
    char *ptr;
    uint32_t len, cap; /* octets */
};

static inline uint32_t mx_out_room(const struct mx_out *self) {
    return self->cap - self->len;
}

/* Append; the caller has made sure of the room (see MX_OUT_ROOM_MIN in session.h). */
static inline void mx_out_put(struct mx_out *self, struct mx_span text) {
    if (text.len == 0)
        return; /* an empty span may have no pointer */
    assert(text.len <= mx_out_room(self));
    memcpy(self->ptr + self->len, text.ptr, text.len);
    self->len += (uint32_t)text.len;
}
