/* op.h - what an SQE was for, packed in its user_data: operation, generation, slot. */
#pragma once
#include <stdint.h>

enum mx_op {
    MX_OP_NONE,     /* no SQE: names a connection towards a sink */
    MX_OP_ACCEPT,   /* slot = listener index */
    MX_OP_HANDED,   /* a connection from another worker; slot = listener index */
    MX_OP_PASSED,   /* result of handing one over; slot = descriptor */
    MX_OP_PEERNAME, /* slot = connection, as below */
    MX_OP_RECV,
    MX_OP_SEND,
    MX_OP_CANCEL_ACCEPT, /* slot = listener index */
    MX_OP_CANCEL_RECV,   /* slot = connection */
    MX_OP_CANCEL_SEND,
    MX_OP_CLOSE,
    MX_OP_HELPED,  /* from a helper: look into the inbox */
    MX_OP_MESSAGE, /* from the main thread; slot = enum mx_message */
    MX_OP_SWAP,    /* likewise, a step of a reload; slot = mx_swap_number() */
    MX_OP_SPOOL,   /* slot = what the log writes */
    MX_OP_COUNT,
};

#define MX_GENERATION_MASK 0xFFFFFFu

static inline uint64_t mx_op_pack(enum mx_op op, uint32_t generation, uint32_t slot) {
    return (uint64_t)op << 56 | (uint64_t)(generation & MX_GENERATION_MASK) << 32 | slot;
}
static inline enum mx_op mx_op_kind(uint64_t user_data) {
    return (enum mx_op)(user_data >> 56);
}
static inline uint32_t mx_op_generation(uint64_t user_data) {
    return (uint32_t)(user_data >> 32) & MX_GENERATION_MASK;
}
static inline uint32_t mx_op_slot(uint64_t user_data) {
    return (uint32_t)user_data;
}
