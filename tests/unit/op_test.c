/* op_test.c - what is packed into user_data comes out again. */
#include "engine/op.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

Test(op, round_trip) {
    static const uint32_t edges[] = {0, 1, 0x7FFFFF, MX_GENERATION_MASK, 0x7FFFFFFF, UINT32_MAX};
    struct rng seed = {1};
    for (unsigned i = 0; i < 100000; i++) {
        enum mx_op op = (enum mx_op)(rng_take(&seed, MX_OP_COUNT));
        uint32_t generation = i < 36 ? edges[i / 6] : rng_take(&seed, INT32_MAX) << 1;
        uint32_t slot = i < 36 ? edges[i % 6] : rng_take(&seed, INT32_MAX) << 1;
        uint64_t data = mx_op_pack(op, generation, slot);
        cr_assert_eq(mx_op_kind(data), op);
        cr_assert_eq(mx_op_generation(data), generation & MX_GENERATION_MASK);
        cr_assert_eq(mx_op_slot(data), slot);
    }
}
