/* crc32c.h - CRC-32C (Castagnoli), as of iSCSI: RFC 3720 12.1 and appendix B.4. Pure.
 *
 * The processor's own instruction where there is one, else a table.
 */
#pragma once
#include "proto/span.h"

/* Go on with the CRC of what went before; of nothing it is 0. */
uint32_t mx_crc32c(uint32_t before, struct mx_span octets);

/* The same by the table, on every processor. For tests. */
uint32_t mx_crc32c_portable(uint32_t before, struct mx_span octets);
