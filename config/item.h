/* item.h - the items of the list types, one by one, as a file would have them. Private to config/.
 */
#pragma once
#include "config/schema.h"
#include "config/size.h"

enum { MX_ITEM_TEXT_MAX = MX_NETWORK_TEXT_MAX };

/* How many items the row's list has. base: the struct mx_conf or struct mx_conf_server. */
uint32_t mx_item_count(const struct mx_row *row, const void *base);

/* Item number i, below the count; not of a chain; borrowed from base, from the schema or from buf.
 */
struct mx_span mx_item_text(const struct mx_row *row, const void *base, uint32_t i,
                            char buf[MX_ITEM_TEXT_MAX]);
