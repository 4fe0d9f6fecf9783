/* crc32c_test.c - the vectors of RFC 3720 B.4; the processor's instructions against the table
 * at every length; in pieces it is the same as whole.
 */
#include "proto/crc32c.h"
#include "tests/unit/guard.h"

#include <criterion/criterion.h>

static char up[32], down[32], ones[32], zeros[32];

Test(crc32c, vectors) {
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (char)i;
        down[i] = (char)(31 - i);
        ones[i] = (char)0xff;
    }
    const struct {
        const char *name;
        struct mx_span in;
        uint32_t crc;
    } rows[] = {
        {"nothing",    {NULL, 0},            0         },
        {"check",      MX_SPAN("123456789"), 0xE3069283},
        {"32 zeros",   {zeros, 32},          0x8A9136AA},
        {"32 ones",    {ones, 32},           0x62A8AB43},
        {"ascending",  {up, 32},             0x46DD794E},
        {"descending", {down, 32},           0x113FDB5C},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(mx_crc32c(0, rows[i].in), rows[i].crc, "%s", rows[i].name);
        cr_expect_eq(mx_crc32c_portable(0, rows[i].in), rows[i].crc, "%s", rows[i].name);
    }
}

Test(crc32c, pieces_and_table) {
    static char octets[8000];
    struct rng rng = {3};
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (char)rng_take(&rng, 256);
    for (size_t len = 0; len <= sizeof octets; len += len < 800 ? 1 : 37) {
        struct mx_span in = {octets, len};
        uint32_t whole = mx_crc32c(0, in);
        cr_expect_eq(whole, mx_crc32c_portable(0, in), "%zu", len);
        size_t cut = rng_take(&rng, (uint32_t)len + 1);
        uint32_t crc = mx_crc32c(0, (struct mx_span){octets, cut});
        cr_expect_eq(mx_crc32c(crc, mx_span_skip(in, cut)), whole, "%zu at %zu", len, cut);
    }
}
