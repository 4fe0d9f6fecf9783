/* buf.h - the receive buffers of one worker: a ring of equal buffers that the kernel picks from.
 *
 * A buffer is ours from its completion until mx_buf_recycle; recycled buffers are published to the
 * kernel together by mx_buf_publish. No allocation after init.
 */
#pragma once
#include "engine/ring.h"

struct mx_buf {
    struct io_uring_buf_ring *ring;
    char *memory;
    uint32_t count;  /* power of two, 16..32768 */
    uint32_t octets; /* of one buffer */
    uint16_t group;
    uint16_t tail;       /* next ring entry to fill */
    uint32_t free_count; /* buffers the kernel holds */
    uint32_t recycled;   /* not published yet */
};

/* Map the memory and register it. -ENOMEM or the kernel's error. */
MX_MUST_CHECK int mx_buf_init(struct mx_buf *self, struct mx_ring *ring, uint16_t group,
                              uint32_t count, uint32_t octets);
void mx_buf_deinit(struct mx_buf *self);

/* The memory of buffer id, as named by a completion; ours until it is recycled. */
char *mx_buf_take(struct mx_buf *self, uint16_t id);

/* Give a buffer back. */
void mx_buf_recycle(struct mx_buf *self, uint16_t id);

/* Let the kernel see what was recycled: one store. */
void mx_buf_publish(struct mx_buf *self);
