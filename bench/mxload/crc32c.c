#include "bench/mxload/crc32c.h"

/* One nibble at a time: 16 rows, which need no initialisation. Row 8 is the reflected polynomial.
 */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

uint32_t mx_crc32c_portable(uint32_t before, struct mx_span octets) {
    uint32_t crc = ~before;
    for (size_t i = 0; i < octets.len; i++) {
        crc ^= (uint8_t)octets.ptr[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t before, struct mx_span octets) {
    uint64_t crc = ~before;
    size_t at = 0;
    for (; octets.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, octets.ptr + at, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t rest = (uint32_t)crc;
    for (; at < octets.len; at++)
        rest = __builtin_ia32_crc32qi(rest, (uint8_t)octets.ptr[at]);
    return ~rest;
}

uint32_t mx_crc32c(uint32_t before, struct mx_span octets) {
    return __builtin_cpu_supports("sse4.2") ? hardware(before, octets)
                                            : mx_crc32c_portable(before, octets);
}
#else
uint32_t mx_crc32c(uint32_t before, struct mx_span octets) {
    return mx_crc32c_portable(before, octets);
}
#endif
