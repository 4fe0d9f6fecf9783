/* ring_compat.h - io_uring names that are newer than liburing 2.3 (Debian 12). Values are kernel
 * ABI. */
#pragma once
#include <liburing.h>
#include <stdint.h>

#ifndef SO_PEERNAME
#define SO_PEERNAME 28
#endif

enum {
    MX_ENTER_NO_IOWAIT = 1 << 7,   /* 6.15 */
    MX_FEAT_MIN_TIMEOUT = 1 << 15, /* 6.12 */
    MX_FEAT_NO_IOWAIT = 1 << 17,   /* 6.15 */
    MX_SOCKET_OP_GETSOCKOPT = 2,   /* 6.7 */
    MX_SEND_ZC_REPORT = 1 << 3,    /* 6.2: IORING_SEND_ZC_REPORT_USAGE */
    MX_OP_RECV_ZC = 58,            /* 6.15: IORING_OP_RECV_ZC */
};

/* In the result of a notification: IORING_NOTIF_USAGE_ZC_COPIED. */
#define MX_NOTIF_COPIED (UINT32_C(1) << 31)

/* struct io_uring_getevents_arg since 6.12: the old padding is min_wait_usec. */
struct mx_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_sz;
    uint32_t min_wait_usec;
    uint64_t ts;
};
