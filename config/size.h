/* size.h - numbers as people write them: sizes, durations, networks.
 *
 * Pure: no I/O, no allocation. Private to config/, but for mx_size_number: the command line has the
 * same numbers.
 */
#pragma once
#include "config/conf.h"

enum { MX_SIZE_TEXT_MAX = 32 }; /* longest formatted number with its unit, octets, NUL included */
enum { MX_NETWORK_TEXT_MAX = MX_IP_TEXT_MAX + 4 };

/* A decimal number, digits only. 0; MX_ESYNTAX: something else; -ERANGE: negative or above
 * INT64_MAX. *value is set on 0 only. */
MX_MUST_CHECK int mx_size_number(struct mx_span text, int64_t *value);

/* A number with an optional unit B, K, M or G of any case (1024 based); without one it counts
 * units of bare_octets. Errors as above; *octets is set on 0 only. */
MX_MUST_CHECK int mx_size_octets(struct mx_span text, int64_t bare_octets, int64_t *octets);

/* A number with an optional unit us, ms, s, m, h, d, w (lower case; also the long forms such as
 * sec, minutes, hours, and a blank before the unit); without one it counts units of bare_us
 * microseconds. Errors as above; *us is set on 0 only. */
MX_MUST_CHECK int mx_size_duration(struct mx_span text, int64_t bare_us, int64_t *us);

/* Write a size with the largest unit that keeps it exact: "64K", "1000B"; "0" for 0. */
void mx_size_octets_text(int64_t octets, char text[MX_SIZE_TEXT_MAX]);

/* Write a duration in s, ms or us, exactly: "300s", "1500ms"; "0" for 0. */
void mx_size_duration_text(int64_t us, char text[MX_SIZE_TEXT_MAX]);

/* A network: 1.2.3.4, 1.2.3.0/24, 1.2.3.0/255.255.255.0, 127.*, 10.1.*, * (every IPv4 address),
 * 2001:db8::1, 2001:db8::/32, localhost, localhost/8. Bits behind the prefix are cleared. 0 or
 * MX_ESYNTAX. RFC 4632. */
MX_MUST_CHECK int mx_size_network(struct mx_span text, struct mx_conf_network *network);

/* Write address/prefix. */
void mx_size_network_text(const struct mx_conf_network *network, char text[MX_NETWORK_TEXT_MAX]);
